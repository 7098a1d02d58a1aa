//! How a price is derived: by the winning rule, from the list or from what the seller pays.

use std::fmt;
use std::sync::Arc;

use domain::{AppliedRate, Derivation, Tiers};
use jiff::civil::Date;
use kernel::{Currency, ExchangeRate, Percent, Quantity, UnitPrice, micros_instant};

use crate::GroupPrice;
use crate::book::{Listed, MeterIndex, Node, NodeIndex, RateBook, Rule};
use crate::schedule::{Charge, FlatPrice, Gap, Interval, NodePrice, Price, PricedTier, Schedule};

/// One meter on one node, with everything that its prices depend on.
pub(crate) struct Derivations<'a> {
    book: &'a RateBook,
    meter: MeterIndex,
    pub node: &'a Node,
    listed: Option<&'a Listed>,
    candidates: Option<crate::book::Candidates<'a>>,
    /// What the seller pays; only where a rule asks for it.
    bought: Option<NodePrice>,
    first_day: Date,
}

impl<'a> Derivations<'a> {
    pub fn new(
        book: &'a RateBook,
        node: NodeIndex,
        meter: MeterIndex,
        bought: Option<NodePrice>,
    ) -> Self {
        let node = &book.nodes[node.get()];
        let list = node.list.map(|list| &book.lists[list as usize]);
        let listed = list.and_then(|list| list.meters[meter.get()].as_ref());
        let rules = node.book.map(|rules| &book.books[rules as usize]);
        let candidates = rules.map(|rules| rules.candidates(meter, listed));
        let first_day = book.month.first_day();
        Self { book, meter, node, listed, candidates, bought, first_day }
    }

    /// The price, where one rule makes one price of one price all month long.
    pub fn flat(&self) -> Option<FlatPrice> {
        let period = self.node.period;
        if self.node.agreed != period {
            return None;
        }
        let rule = self.candidates?.winner_throughout(period)?;
        let (pricing_currency, rate, unit_price, effective_unit_price) = match &rule.derivation {
            Derivation::ListMinus(percent) => {
                let list = &self.book.lists[self.node.list? as usize];
                let mut intervals = self.listed?.meter.intervals();
                let (.., tiers) =
                    intervals.find(|(from, until, _)| *from <= period.0 && period.1 <= *until)?;
                let [tier] = tiers.as_slice() else { return None };
                let price = tier.price.derive(percent.negated(), &[])?;
                (list.currency, self.rate_from(list.currency).ok()?, tier.price, price)
            }
            Derivation::BuyPlus(percent) => {
                let Some(NodePrice::Flat(bought)) = &self.bought else { return None };
                let rate = self.bought_rate().ok()?;
                let rates = [bought.stated.rate.rate, rate.rate];
                let price = bought.stated.effective_unit_price.derive(*percent, &rates)?;
                (self.node.currency, self.unexchanged(), price, price)
            }
            Derivation::Fixed { currency, tiers } => {
                let [tier] = tiers.as_slice() else { return None };
                (*currency, self.rate_from(*currency).ok()?, tier.price, tier.price)
            }
        };
        let charge = Charge::of(effective_unit_price, rate.rate)?;
        let credit = Percent::ZERO;
        let stated =
            GroupPrice { pricing_currency, rate, unit_price, effective_unit_price, credit };
        Some(FlatPrice { stated, charge })
    }

    pub fn schedule(&self) -> Schedule {
        let mut intervals: Vec<Interval> = Vec::with_capacity(1);
        for (from, until) in self.stretches() {
            let price = self.price(from);
            match intervals.last_mut() {
                Some(last) if last.price == price => last.until = until,
                _ => intervals.push(Interval::new(from, until, price)),
            }
        }
        Schedule { intervals }
    }

    /// The month, cut wherever anything that a price depends on changes.
    fn stretches(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let (start, end) = self.node.period;
        let mut cuts = vec![start, end];
        let mut cut = |from: i64, until: i64| {
            cuts.extend([from, until].into_iter().filter(|at| start < *at && *at < end));
        };
        cut(self.node.agreed.0, self.node.agreed.1);
        for rule in self.candidates.iter().flat_map(|candidates| candidates.iter()) {
            cut(rule.from, rule.until);
        }
        if let Some(listed) = self.listed {
            listed.meter.intervals().for_each(|(from, until, _)| cut(from, until));
        }
        if let Some(NodePrice::Scheduled(bought)) = &self.bought {
            bought.intervals.iter().for_each(|interval| cut(interval.from, interval.until));
        }
        cuts.sort_unstable();
        cuts.dedup();
        let ends: Vec<_> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
        ends.into_iter()
    }

    pub fn winner(&self, at: i64) -> Option<&'a Rule> {
        self.candidates.and_then(|candidates| candidates.winner(at))
    }

    fn price(&self, at: i64) -> Result<Price, Gap> {
        let (from, until) = self.node.agreed;
        if at < from || until <= at {
            return Err(gap(format_args!("no trade agreement applies on {}", self.day(at))));
        }
        let Some(rule) = self.winner(at) else {
            let book = self.node.book.map(|book| self.book.books[book as usize].key.to_string());
            let book = book.unwrap_or_else(|| "that the agreement names".into());
            return Err(gap(format_args!("no rule of price book {book} covers the meter")));
        };
        match &rule.derivation {
            Derivation::ListMinus(percent) => self.list_minus(*percent, at),
            Derivation::BuyPlus(percent) => self.buy_plus(*percent, at),
            Derivation::Fixed { currency, tiers } => {
                let tiers = tiers.as_slice().iter().map(|tier| (tier.from, tier.price, tier.price));
                Ok(priced(*currency, self.rate_from(*currency)?, tiers))
            }
        }
    }

    fn list_minus(&self, percent: Percent, at: i64) -> Result<Price, Gap> {
        let currency = self.node.list.map(|list| self.book.lists[list as usize].currency);
        let (.., tiers) = self.list_at(at)?;
        let currency = currency.unwrap_or(self.node.currency);
        let derived: Option<Vec<_>> = tiers
            .as_slice()
            .iter()
            .map(|tier| Some((tier.from, tier.price, tier.price.derive(percent.negated(), &[])?)))
            .collect();
        let derived = derived.ok_or_else(too_large)?;
        Ok(priced(currency, self.rate_from(currency)?, derived))
    }

    fn buy_plus(&self, percent: Percent, at: i64) -> Result<Price, Gap> {
        let bought = self.bought.as_ref().map(|bought| bought.schedule(self.node.period));
        let bought = bought.as_ref().and_then(|bought| bought.at(at));
        let bought = match bought.map(|interval| &interval.price) {
            Some(Ok(price)) => price,
            Some(Err(Gap(reason))) => {
                return Err(gap(format_args!("the seller itself has no price: {reason}")));
            }
            None => return Err(gap(format_args!("the seller buys from nobody"))),
        };
        let rate = self.bought_rate()?;
        let rates = [bought.rate.rate, rate.rate];
        let derived: Option<Vec<_>> = bought
            .tiers
            .iter()
            .map(|tier| {
                let price = tier.effective_unit_price.derive(percent, &rates)?;
                Some((tier.from, price, price))
            })
            .collect();
        // The exchange is part of the seller's own calculation; the buyer sees a price in the
        // currency it is billed in.
        let one = self.unexchanged();
        Ok(priced(self.node.currency, one, derived.ok_or_else(too_large)?))
    }

    /// The list price at an instant, with its dates.
    pub fn list_at(&self, at: i64) -> Result<(&'a kernel::Key, i64, i64, &'a Tiers), Gap> {
        let Some(list) = self.node.list.map(|list| &self.book.lists[list as usize]) else {
            return Err(gap(format_args!("the offer's price sheet has not been imported")));
        };
        let Some(listed) = self.listed else {
            let id = &self.book.meters[self.meter.get()];
            return Err(gap(format_args!("price sheet {} does not list meter {id}", list.key)));
        };
        let found = listed.meter.intervals().find(|(from, until, _)| *from <= at && at < *until);
        if let Some((from, until, tiers)) = found {
            return Ok((&list.key, from, until, tiers));
        }
        let known: Vec<String> = listed
            .meter
            .intervals()
            .map(|(from, until, _)| match until {
                i64::MAX => format!("from {}", self.day(from)),
                _ => format!("from {} until {}", self.day(from), self.day(until)),
            })
            .collect();
        Err(gap(format_args!(
            "price sheet {} lists the meter only {}, not on {}",
            list.key,
            known.join(" and "),
            self.day(at)
        )))
    }

    /// From the currency in which the seller pays into the edge's.
    pub fn bought_rate(&self) -> Result<AppliedRate, Gap> {
        let parent = self.node.parent.map(|parent| self.book.nodes[parent.get()].currency);
        self.rate_from(parent.unwrap_or(self.node.currency))
    }

    /// The rate of what is not exchanged: whatever it comes from, it is the same.
    const fn unexchanged(&self) -> AppliedRate {
        AppliedRate { rate: ExchangeRate::ONE, day: self.first_day }
    }

    fn rate_from(&self, currency: Currency) -> Result<AppliedRate, Gap> {
        match self.node.rates.iter().find(|(from, _)| *from == currency) {
            Some((_, Ok(_))) if currency == self.node.currency => Ok(self.unexchanged()),
            Some((_, Ok(rate))) => Ok(*rate),
            Some((_, Err(reason))) => Err(Gap(Arc::clone(reason))),
            None => Err(gap(format_args!("no exchange from {currency} is agreed"))),
        }
    }

    fn day(&self, micros: i64) -> String {
        self.book.zone.day_of(micros_instant(micros)).to_string()
    }
}

fn priced(
    pricing_currency: Currency,
    rate: AppliedRate,
    tiers: impl IntoIterator<Item = (Quantity, UnitPrice, UnitPrice)>,
) -> Price {
    let tiers = tiers.into_iter().map(|(from, unit_price, effective_unit_price)| PricedTier {
        from,
        unit_price,
        effective_unit_price,
        charge: Charge::of(effective_unit_price, rate.rate),
    });
    Price { pricing_currency, rate, credit: Percent::ZERO, tiers: tiers.collect() }
}

fn gap(reason: fmt::Arguments<'_>) -> Gap {
    Gap(reason.to_string().into())
}

fn too_large() -> Gap {
    gap(format_args!("the derived price is too large to be kept exactly"))
}
