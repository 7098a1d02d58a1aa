//! Prices of one meter on one node over the month: when which tiers apply.

use std::sync::Arc;

use domain::{AccessScope, AppliedRate, Derivation, Tiers};
use kernel::{
    Amount, Currency, ExchangeRate, POW10_MAX, Percent, QUANTITY_SCALE, Quantity, UnitPrice,
    half_even, ten_to,
};

use crate::GroupPrice;
use crate::book::{MeterIndex, NodeIndex, RateBook};
use crate::credit::Earned;
use crate::derivation::Derivations;

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
    pub(crate) const fn new(from: i64, until: i64, price: Result<Price, Gap>) -> Self {
        Self { from, until, price, credited: None, begins: true }
    }

    /// Whether an instant lies in it.
    pub const fn holds(&self, instant: i64) -> bool {
        self.from <= instant && instant < self.until
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
            let price = Self::derive(book, *without, meter, bought);
            return credit.apply(price, meter, book.period_of_node(node));
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
        self.node_price(node, meter).schedule(self.period_of_node(node))
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
