//! Prices of one meter on one node over the month: when which tiers apply.

use std::fmt;
use std::sync::Arc;

use domain::{AccessScope, AppliedRate, Derivation, Tiers};
use kernel::{
    Amount, Currency, ExchangeRate, POW10_MAX, Percent, QUANTITY_SCALE, Quantity, UnitPrice,
    half_even, micros_instant, ten_to,
};

use crate::GroupPrice;
use crate::book::{Listed, MeterIndex, Node, NodeIndex, RateBook, Rule};
use crate::credit::Earned;

/// The prices of one meter on one node, from the start of the month to its end without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Stretches of time with one price each, earliest first; neighbours differ.
    pub intervals: Vec<Interval>,
}

/// A stretch of time with one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The first microsecond.
    pub from: i64,
    /// The first microsecond that no longer belongs to it.
    pub until: i64,
    /// The price, or why there is none.
    pub price: Result<Price, Gap>,
    /// What some resources cost instead.
    pub credited: Option<Credited>,
    /// Whether the price before credit begins here. Where only credit begins or ends, units go on
    /// filling tiers in the order of their records.
    pub begins: bool,
}

impl Interval {
    const fn new(from: i64, until: i64, price: Result<Price, Gap>) -> Self {
        Self { from, until, price, credited: None, begins: true }
    }

    /// What a resource costs, in lower case as [`AccessScope::resource`] says it.
    ///
    /// # Errors
    /// Why there is no price.
    pub fn price_of(&self, resource: &str) -> Result<&Price, &Gap> {
        match &self.credited {
            Some(credited) if self.is_credited(resource) => Ok(&credited.price),
            _ => self.price.as_ref(),
        }
    }

    /// Whether a resource costs less than others.
    pub fn is_credited(&self, resource: &str) -> bool {
        let credited = self.credited.iter();
        credited.flat_map(|c| c.scopes.iter()).any(|scope| scope.covers(resource))
    }
}

/// The price of resources that earn credit, where others do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    /// The price.
    pub price: Price,
    /// Beneath what these resources lie.
    pub scopes: Arc<[AccessScope]>,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap(pub Arc<str>);

/// A graduated price on an edge, and what it is worth in the edge's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The currency in which the price is stated.
    pub pricing_currency: Currency,
    /// From that currency to the one that is billed.
    pub rate: AppliedRate,
    /// The partner earned credit that effective prices are less by; zero where there is none.
    pub credit: Percent,
    /// The tiers, lowest bound first.
    pub tiers: Vec<PricedTier>,
}

impl Price {
    /// What one of its tiers says.
    pub const fn stated(&self, tier: &PricedTier) -> GroupPrice {
        GroupPrice {
            pricing_currency: self.pricing_currency,
            rate: self.rate,
            unit_price: tier.unit_price,
            effective_unit_price: tier.effective_unit_price,
            credit: self.credit,
        }
    }

    fn rises_to(&self, other: &Self) -> bool {
        let bounds = self.tiers.iter().chain(&other.tiers).map(|tier| tier.from);
        bounds.into_iter().any(|from| {
            let cost = |of: &Self| {
                let tier = of.tiers.iter().rev().find(|tier| tier.from <= from)?;
                let one = Quantity::from_mantissa(ten_to(QUANTITY_SCALE));
                let amount = Amount::of_exchanged(one, tier.effective_unit_price, of.rate.rate);
                amount.ok().map(Amount::mantissa)
            };
            cost(self).zip(cost(other)).is_some_and(|(then, now)| then < now)
        })
    }
}

/// A tier of a graduated price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricedTier {
    /// How many units have gone before.
    pub from: Quantity,
    /// What the unit costs before the edge's own rule: the list price under "list minus",
    /// otherwise the price itself.
    pub unit_price: UnitPrice,
    /// What the unit costs on this edge, in the pricing currency.
    pub effective_unit_price: UnitPrice,
    /// What the unit costs on this edge, in the billed currency: the exact product of effective
    /// price and rate, without trailing zeros. None where that needs more than 128 bits.
    pub charge: Option<Charge>,
}

/// An exact price, or a factor of one, as an integer and its decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The integer.
    pub mantissa: i128,
    /// How many of its digits are decimals.
    pub scale: u8,
}

impl Charge {
    /// The exact product of a price and a rate.
    pub fn of(price: UnitPrice, rate: ExchangeRate) -> Option<Self> {
        let ((price, price_scale), (rate, rate_scale)) = (price.trimmed(), rate.trimmed());
        let product = price.checked_mul(rate)?;
        let (mantissa, scale) = kernel::trimmed(product, price_scale + rate_scale);
        Some(Self { mantissa, scale })
    }

    /// What a quantity costs, with so many decimals, rounded half even where the exact product has
    /// more. None where 128 bits do not suffice.
    pub fn of_quantity(self, quantity: Quantity, decimals: u8) -> Option<i128> {
        let product = quantity.mantissa().checked_mul(self.mantissa)?;
        let scale = QUANTITY_SCALE + self.scale;
        match scale.checked_sub(decimals) {
            Some(dropped @ 0..=POW10_MAX) => Some(half_even(product, dropped)),
            Some(_) => None,
            None => product.checked_mul(ten_to(decimals - scale)),
        }
    }
}

impl Schedule {
    /// The one price that applies all month long whatever the quantity, where that is so.
    fn flat(&self) -> Option<FlatPrice> {
        match self.intervals.as_slice() {
            [Interval { price: Ok(price), credited: None, .. }] if price.tiers.len() == 1 => {
                let tier = price.tiers.first()?;
                let stated = price.stated(tier);
                Some(FlatPrice { stated, charge: tier.charge? })
            }
            _ => None,
        }
    }

    /// Whether some unit costs more by another schedule of the same month, at some time and after
    /// some quantity. Where one of them has no price, there is nothing to compare.
    pub fn rises_to(&self, other: &Self) -> bool {
        let starts = self.intervals.iter().chain(&other.intervals).map(|interval| interval.from);
        starts.into_iter().any(|at| {
            let Some((then, now)) = self.at(at).zip(other.at(at)) else { return false };
            let scopes = then.credited.iter().flat_map(|credited| credited.scopes.iter());
            let resources = scopes.map(AccessScope::as_str).chain([""]);
            resources.into_iter().any(|resource| {
                let prices = then.price_of(resource).ok().zip(now.price_of(resource).ok());
                prices.is_some_and(|(then, now)| then.rises_to(now))
            })
        })
    }

    /// The stretches with one price before credit, each with where it begins in the list.
    pub fn before_credit(&self) -> impl Iterator<Item = (usize, &[Interval])> {
        let stretches = self.intervals.chunk_by(|_, next| !next.begins);
        stretches.scan(0, |first, stretch| {
            let at = *first;
            *first += stretch.len();
            Some((at, stretch))
        })
    }

    /// Whether some resources cost less than others.
    pub fn depends_on_resources(&self) -> bool {
        self.intervals.iter().any(|interval| interval.credited.is_some())
    }

    /// The stretch in which an instant lies.
    pub fn at(&self, micros: i64) -> Option<&Interval> {
        self.intervals.iter().find(|interval| interval.from <= micros && micros < interval.until)
    }
}

/// A price that applies all month long whatever the quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlatPrice {
    pub stated: GroupPrice,
    /// The exact product of effective price and rate.
    pub charge: Charge,
}

/// The price of a meter on a node. Most are flat, and those are small and derived in one step.
#[derive(Debug, Clone)]
pub(crate) enum NodePrice {
    Flat(FlatPrice),
    Scheduled(Arc<Schedule>),
}

impl NodePrice {
    /// The price of a meter on a node, given what the seller pays.
    pub fn derive(
        book: &RateBook,
        node: NodeIndex,
        meter: MeterIndex,
        bought: Option<Self>,
    ) -> Self {
        if let Some((credit, without)) = &book.nodes[node.get()].credit {
            return credit.apply(Self::derive(book, *without, meter, bought), meter, book.period);
        }
        let derivations = Derivations::new(book, node, meter, bought);
        if let Some(flat) = derivations.flat() {
            return Self::Flat(flat);
        }
        let schedule = book.filled(node, meter, derivations.schedule());
        match schedule.flat() {
            Some(flat) => Self::Flat(flat),
            None => Self::Scheduled(Arc::new(schedule)),
        }
    }

    /// The price over the whole of a period.
    pub fn schedule(&self, (from, until): (i64, i64)) -> Arc<Schedule> {
        match self {
            Self::Scheduled(schedule) => Arc::clone(schedule),
            Self::Flat(flat) => {
                let stated = flat.stated;
                let tier = PricedTier {
                    from: Quantity::ZERO,
                    unit_price: stated.unit_price,
                    effective_unit_price: stated.effective_unit_price,
                    charge: Some(flat.charge),
                };
                let price = Price {
                    pricing_currency: stated.pricing_currency,
                    rate: stated.rate,
                    credit: stated.credit,
                    tiers: vec![tier],
                };
                let interval = Interval::new(from, until, Ok(price));
                Arc::new(Schedule { intervals: vec![interval] })
            }
        }
    }
}

/// How the price at an instant came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived<'a> {
    /// The price book.
    pub book: &'a kernel::Key,
    /// What the winning rule applies to.
    pub selector: &'a domain::Selector,
    /// When the rule applies, half open, in microseconds.
    pub rule: (i64, i64),
    /// How it makes a price.
    pub derivation: &'a Derivation,
    /// What it makes the price from.
    pub origin: Origin<'a>,
}

/// What a rule makes a price from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin<'a> {
    /// "List minus": an entry of a price sheet.
    List {
        /// The sheet.
        sheet: &'a kernel::Key,
        /// When the entry applies, half open, in microseconds.
        dates: (i64, i64),
        /// The currency of the sheet.
        currency: Currency,
        /// The entry.
        tiers: &'a Tiers,
    },
    /// "Buy plus": what the seller itself pays.
    Bought {
        /// The node that prices it.
        node: NodeIndex,
        /// The price.
        price: Price,
        /// From the currency in which the seller pays into the one of this edge.
        rate: AppliedRate,
    },
    /// "Fixed": nothing but the rule.
    Rule,
}

impl RateBook {
    /// The prices of a meter on a node, over the month.
    pub fn schedule(&self, node: NodeIndex, meter: MeterIndex) -> Arc<Schedule> {
        self.node_price(node, meter).schedule(self.period)
    }

    /// The price of a meter on a node, where it applies all month long whatever the quantity.
    pub fn flat_price(&self, node: NodeIndex, meter: MeterIndex) -> Option<GroupPrice> {
        match self.node_price(node, meter) {
            NodePrice::Scheduled(_) => None,
            NodePrice::Flat(flat) => Some(flat.stated),
        }
    }

    fn node_price(&self, node: NodeIndex, meter: MeterIndex) -> NodePrice {
        let bought = self.bought_at(node).map(|parent| self.node_price(parent, meter));
        NodePrice::derive(self, node, meter, bought)
    }

    /// The node with the same prices before credit is earned on them.
    pub fn without_credit(&self, node: NodeIndex) -> NodeIndex {
        self.nodes[node.get()].credit.as_ref().map_or(node, |(_, without)| *without)
    }

    /// The partner earned credit on a node's prices, in percent, and when it is earned: beneath a
    /// scope, during half-open stretches in microseconds.
    pub fn earned(&self, node: NodeIndex) -> Option<(Percent, &[Earned])> {
        let (credit, _) = self.nodes[node.get()].credit.as_ref()?;
        Some((credit.percent, &credit.earned))
    }

    /// Whether usage of a meter earns no credit where others do.
    pub fn earns_nothing(&self, node: NodeIndex, meter: MeterIndex) -> bool {
        let credit = self.nodes[node.get()].credit.as_ref();
        credit.is_some_and(|(credit, _)| credit.excluded[meter.get()])
    }

    /// Whether prices of another node may follow from this one's.
    pub(crate) fn is_bought_from(&self, node: NodeIndex) -> bool {
        self.nodes[node.get()].is_bought_from
    }

    /// The node whose prices those of another may follow from: what its seller pays.
    pub fn bought_at(&self, node: NodeIndex) -> Option<NodeIndex> {
        let node = &self.nodes[node.get()];
        node.parent.filter(|_| node.buys)
    }

    /// A schedule whose gaps are filled by what became known later, where that says more.
    fn filled(&self, node: NodeIndex, meter: MeterIndex, schedule: Schedule) -> Schedule {
        let Some(fallback) = self.nodes[node.get()].fallback else { return schedule };
        if schedule.intervals.iter().all(|interval| interval.price.is_ok()) {
            return schedule;
        }
        let later = self.schedule(fallback, meter);
        let mut intervals: Vec<Interval> = Vec::new();
        for interval in schedule.intervals {
            if interval.price.is_ok() {
                push_merged(&mut intervals, interval);
                continue;
            }
            for other in &later.intervals {
                let (from, until) =
                    (interval.from.max(other.from), interval.until.min(other.until));
                if from < until {
                    push_merged(&mut intervals, Interval { from, until, ..other.clone() });
                }
            }
        }
        Schedule { intervals }
    }

    /// How the price at an instant came about; `None` where there is no price.
    pub fn derived(&self, node: NodeIndex, meter: MeterIndex, at: i64) -> Option<Derived<'_>> {
        let node = self.without_credit(node);
        let fallback = || self.derived(self.nodes[node.get()].fallback?, meter, at);
        self.derived_by(node, meter, at).or_else(fallback)
    }

    fn derived_by(&self, node: NodeIndex, meter: MeterIndex, at: i64) -> Option<Derived<'_>> {
        let derivations = Derivations::new(self, node, meter, None);
        let book = &self.books[derivations.node.book? as usize];
        let rule = derivations.winner(at)?;
        let origin = match rule.derivation {
            Derivation::ListMinus(_) => {
                let (sheet, from, until, tiers) = derivations.list_at(at).ok()?;
                let currency = self.lists[derivations.node.list? as usize].currency;
                Origin::List { sheet, dates: (from, until), currency, tiers }
            }
            Derivation::BuyPlus(_) => {
                let node = derivations.node.parent?;
                let schedule = self.schedule(node, meter);
                let price = schedule.at(at)?.price.clone().ok()?;
                Origin::Bought { node, price, rate: derivations.bought_rate().ok()? }
            }
            Derivation::Fixed { .. } => Origin::Rule,
        };
        Some(Derived {
            book: &book.key,
            selector: &rule.selector,
            rule: (rule.from, rule.until),
            derivation: &rule.derivation,
            origin,
        })
    }

    /// The rule that makes the price at an instant.
    pub fn derivation(&self, node: NodeIndex, meter: MeterIndex, at: i64) -> Option<&Derivation> {
        let node = self.without_credit(node);
        if self.nodes[node.get()].fallback.is_some() {
            return self.derived(node, meter, at).map(|derived| derived.derivation);
        }
        Derivations::new(self, node, meter, None).winner(at).map(|rule| &rule.derivation)
    }
}

/// Adds a stretch; neighbours with one price become one.
pub(crate) fn push_merged(intervals: &mut Vec<Interval>, next: Interval) {
    match intervals.last_mut() {
        Some(last)
            if last.until == next.from
                && (&last.price, &last.credited) == (&next.price, &next.credited) =>
        {
            last.until = next.until;
        }
        _ => intervals.push(next),
    }
}

/// One meter on one node, with everything that its prices depend on.
struct Derivations<'a> {
    book: &'a RateBook,
    meter: MeterIndex,
    node: &'a Node,
    listed: Option<&'a Listed>,
    candidates: Option<crate::book::Candidates<'a>>,
    /// What the seller pays; only where a rule asks for it.
    bought: Option<NodePrice>,
}

impl<'a> Derivations<'a> {
    fn new(
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
        Self { book, meter, node, listed, candidates, bought }
    }

    /// The price, where one rule makes one price of one price all month long.
    fn flat(&self) -> Option<FlatPrice> {
        let period = self.book.period;
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
                let one = AppliedRate { rate: ExchangeRate::ONE, ..rate };
                (self.node.currency, one, price, price)
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

    fn schedule(&self) -> Schedule {
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
        let (start, end) = self.book.period;
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

    fn winner(&self, at: i64) -> Option<&'a Rule> {
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
        let bought = self.bought.as_ref().map(|bought| bought.schedule(self.book.period));
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
        let one = AppliedRate { rate: ExchangeRate::ONE, ..rate };
        Ok(priced(self.node.currency, one, derived.ok_or_else(too_large)?))
    }

    /// The list price at an instant, with its dates.
    fn list_at(&self, at: i64) -> Result<(&'a kernel::Key, i64, i64, &'a Tiers), Gap> {
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
    fn bought_rate(&self) -> Result<AppliedRate, Gap> {
        let parent = self.node.parent.map(|parent| self.book.nodes[parent.get()].currency);
        self.rate_from(parent.unwrap_or(self.node.currency))
    }

    fn rate_from(&self, currency: Currency) -> Result<AppliedRate, Gap> {
        match self.node.rates.iter().find(|(from, _)| *from == currency) {
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
