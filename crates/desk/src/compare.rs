//! What two files disagree about, item by item, and why.
//!
//! The difference of an item is taken apart in a fixed order: usage of other days, rows that stand
//! twice, other quantities, credits and prices, exchange rates. What is then left is rounding, if it
//! is no more than the files can have rounded, and otherwise said to be unexplained. The parts add
//! up to the whole difference.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, One, Zero};
use jiff::civil::Date;

use crate::side::{Identity, Item, Key, Side};
use crate::{Cause, Difference, Kind, Part};

/// Two sides and what they have in common.
pub(crate) struct Pair<'a> {
    a: &'a Side,
    b: &'a Side,
    subscriptions: [BTreeSet<&'a str>; 2],
    items: [BTreeSet<&'a str>; 2],
}

/// What has been found so far about one item: what is left to be explained.
struct Taken {
    parts: Vec<Part>,
    /// What the first file says, as far as it is not explained away.
    quantity: BigDecimal,
    pricing: BigDecimal,
    amount: BigDecimal,
}

impl Taken {
    fn part(&mut self, cause: Cause, amount: BigDecimal, reason: String) {
        if !amount.is_zero() {
            self.amount += &amount;
            self.parts.push(Part { cause, amount, reason });
        }
    }
}

impl<'a> Pair<'a> {
    pub fn new(a: &'a Side, b: &'a Side) -> Self {
        let items = |side: &'a Side| side.items.keys().map(|key| key.item.as_str()).collect();
        Self {
            a,
            b,
            subscriptions: [a.subscriptions(), b.subscriptions()],
            items: [items(a), items(b)],
        }
    }

    /// Every item that differs, by currency, subscription and item.
    pub fn differences(&self) -> Vec<Difference> {
        let keys: BTreeSet<&Key> = self.a.items.keys().chain(self.b.items.keys()).collect();
        let differences = keys.into_iter().filter_map(|key| {
            let (a, b) = (self.a.items.get(key), self.b.items.get(key));
            let parts = match (a, b) {
                (Some(a), Some(b)) => self.both(a, b),
                (Some(a), None) => vec![self.alone(key, a, 0)?],
                (None, Some(b)) => vec![self.alone(key, b, 1)?],
                (None, None) => return None,
            };
            let named = a.or(b)?;
            (!parts.is_empty()).then(|| Difference {
                currency: key.currency.clone(),
                subscription: key.subscription.clone(),
                customer: named.customer.clone(),
                item: if named.name.is_empty() { key.item.clone() } else { named.name.clone() },
                amounts: [a.map(|a| a.amount.clone()), b.map(|b| b.amount.clone())],
                lines: [a.map(|a| a.first_line), b.map(|b| b.first_line)],
                difference: parts.iter().map(|part| &part.amount).sum(),
                parts,
            })
        });
        differences.collect()
    }

    /// An item that one file alone has.
    fn alone(&self, key: &Key, item: &Item, side: usize) -> Option<Part> {
        if item.amount.is_zero() {
            return None;
        }
        let (own, other) = if side == 0 { (self.a, self.b) } else { (self.b, self.a) };
        let amount = if side == 0 { -&item.amount } else { item.amount.clone() };
        let place = &other.file;
        let outside = |days: &BTreeMap<Date, _>| {
            !days.is_empty() && days.keys().all(|day| !is_in(other.period, *day))
        };
        let is_usage = |charge: &String| charge.is_empty() || charge.eq_ignore_ascii_case("new");
        let (cause, reason) =
            if item.is_credit || item.charges.iter().any(|c| c == "customerCredit") {
                (Cause::Credit, format!("a credit that {place} does not have"))
            } else if own.kind == Kind::Reconciliation && !item.charges.iter().all(is_usage) {
                let charges: Vec<&str> = item.charges.iter().map(String::as_str).collect();
                let charges = charges.join(", ");
                (Cause::OutsideFile, format!("charges of other kinds ({charges}), not in {place}"))
            } else if outside(&item.days) {
                (Cause::Late, format!("usage of days that {place} does not bill"))
            } else if !self.subscriptions[1 - side].contains(key.subscription.as_str()) {
                (Cause::MissingMapping, format!("{place} does not know the subscription"))
            } else if !self.items[1 - side].contains(key.item.as_str()) {
                (Cause::MissingMapping, format!("{place} does not know the product or meter"))
            } else {
                (Cause::Late, format!("usage that {place} does not have"))
            };
        Some(Part { cause, amount, reason })
    }

    /// An item that both files have.
    fn both(&self, a: &Item, b: &Item) -> Vec<Part> {
        let whole = &b.amount - &a.amount;
        if whole.is_zero() {
            return Vec::new();
        }
        let mut taken = Taken {
            parts: Vec::new(),
            quantity: a.quantity.clone(),
            pricing: a.pricing.clone(),
            amount: a.amount.clone(),
        };
        let (late_a, late_b) = (self.late(a, self.b), self.late(b, self.a));
        let mut target = (b.quantity.clone(), b.amount.clone());
        self.other_days(&mut taken, &mut target, (late_a, late_b));
        self.doubled(&mut taken, &mut target, (a, b));
        quantities(&mut taken, a, b, &target);
        self.prices(&mut taken, a, b);
        rates(&mut taken, a, b);
        let explained: BigDecimal = taken.parts.iter().map(|part| &part.amount).sum();
        let left = whole - explained;
        if !left.is_zero() {
            let bound = self.rounding_of(self.a, a) + self.rounding_of(self.b, b);
            let (cause, reason) = if left.abs() <= bound {
                (Cause::Rounding, "amounts are rounded in one file and not in the other")
            } else {
                (Cause::Unexplained, "nothing in the files says why")
            };
            taken.parts.push(Part { cause, amount: left, reason: reason.to_owned() });
        }
        taken.parts
    }

    /// The usage of days that the other file does not bill: quantity and amount.
    fn late(&self, item: &Item, other: &Side) -> (BigDecimal, BigDecimal) {
        let days = item.days.iter().filter(|(day, _)| !is_in(other.period, **day));
        days.fold((BigDecimal::zero(), BigDecimal::zero()), |sum, (_, (quantity, amount))| {
            (sum.0 + quantity, sum.1 + amount)
        })
    }

    fn other_days(
        &self,
        taken: &mut Taken,
        target: &mut (BigDecimal, BigDecimal),
        (a, b): ((BigDecimal, BigDecimal), (BigDecimal, BigDecimal)),
    ) {
        let gap = (&target.0 - &taken.quantity).abs();
        if !a.0.is_zero() && (&target.0 - (&taken.quantity - &a.0)).abs() < gap {
            scale(taken, &-&a.0);
            let reason = format!("usage of days that {} does not bill", self.b.file);
            taken.part(Cause::Late, -&a.1, reason);
        }
        let gap = (&target.0 - &taken.quantity).abs();
        if !b.0.is_zero() && (&target.0 - &b.0 - &taken.quantity).abs() < gap {
            let reason = format!("usage of days that {} does not bill", self.a.file);
            taken.parts.push(Part { cause: Cause::Late, amount: b.1.clone(), reason });
            *target = (&target.0 - &b.0, &target.1 - &b.1);
        }
    }

    fn doubled(
        &self,
        taken: &mut Taken,
        target: &mut (BigDecimal, BigDecimal),
        (a, b): (&Item, &Item),
    ) {
        let nearer = |gap: BigDecimal, without: BigDecimal| without.abs() < gap.abs();
        let (rows, quantity, amount) = &a.doubled;
        if *rows > 0
            && nearer(&target.1 - &taken.amount, &target.1 - (&taken.amount - amount))
            && (quantity.is_zero()
                || nearer(&target.0 - &taken.quantity, &target.0 - (&taken.quantity - quantity)))
        {
            scale(taken, &-quantity);
            let reason = format!("{rows} rows stand twice in {}", self.a.file);
            taken.part(Cause::Duplicate, -amount, reason);
        }
        let (rows, quantity, amount) = &b.doubled;
        if *rows > 0
            && nearer(&target.1 - &taken.amount, &target.1 - amount - &taken.amount)
            && (quantity.is_zero()
                || nearer(&target.0 - &taken.quantity, &target.0 - quantity - &taken.quantity))
        {
            let reason = format!("{rows} rows stand twice in {}", self.b.file);
            taken.parts.push(Part { cause: Cause::Duplicate, amount: amount.clone(), reason });
            *target = (&target.0 - quantity, &target.1 - amount);
        }
    }

    /// What a unit costs before the exchange, where that is more than rounding can explain.
    fn prices(&self, taken: &mut Taken, a: &Item, b: &Item) {
        let Some(quantity) = some(&taken.quantity) else { return };
        let Some(per_unit) = some(&b.quantity).map(|q| &b.pricing / q) else { return };
        let change = per_unit * quantity - &taken.pricing;
        let other_credit = a.credited != b.credited;
        let noise = self.pricing_noise(a, b);
        if change.abs() <= noise || (change.abs() <= cent() && !other_credit) {
            return;
        }
        let amount = &change * average_rate(a);
        let list = |item: &Item| some(&item.quantity).zip(item.list.clone()).map(|(q, l)| l / q);
        let same_list = list(a).zip(list(b)).is_some_and(|(a, b)| (a - b).abs() < tiny());
        let credited = other_credit || (same_list && (a.credited || b.credited));
        let cause = if credited { Cause::Credit } else { Cause::Price };
        let reason = match cause {
            Cause::Credit if a.credited && !b.credited => {
                format!("{} has a partner earned credit, {} has none", self.a.file, self.b.file)
            }
            Cause::Credit if b.credited && !a.credited => {
                format!("{} has a partner earned credit, {} has none", self.b.file, self.a.file)
            }
            Cause::Credit => "the partner earned credit is of other days or resources".to_owned(),
            _ => "a unit costs something else".to_owned(),
        };
        taken.pricing += change;
        taken.part(cause, amount, reason);
    }

    /// How much prices as they are printed may be off: the provider derives the unit price of a
    /// line from an amount in cents.
    fn pricing_noise(&self, a: &Item, b: &Item) -> BigDecimal {
        let of = |side: &Side, item: &Item| match side.kind {
            Kind::Reconciliation => cent() * BigDecimal::from(item.rows),
            Kind::Daily => item.quantity.abs() * tiny() + tiny() * BigDecimal::from(item.rows),
        };
        of(self.a, a) + of(self.b, b)
    }

    /// How much the amounts of an item may have been rounded by: a unit of the last decimal a row,
    /// and in a reconciliation file a cent before the exchange.
    fn rounding_of(&self, side: &Side, item: &Item) -> BigDecimal {
        let unit = BigDecimal::new(1.into(), side.decimals);
        let rows = BigDecimal::from(item.rows);
        let before = match side.kind {
            Kind::Reconciliation => cent() * average_rate(item).abs(),
            Kind::Daily => BigDecimal::zero(),
        };
        rows * (unit + before)
    }
}

/// A quantity that only one of the files has, at what a unit costs in it.
fn quantities(taken: &mut Taken, a: &Item, b: &Item, target: &(BigDecimal, BigDecimal)) {
    let missing = &target.0 - &taken.quantity;
    if missing.is_zero() {
        return;
    }
    let of = some(&taken.quantity).map(|quantity| &taken.amount / quantity);
    let of = of.or_else(|| some(&b.quantity).map(|quantity| &b.amount / quantity));
    let Some(price) = of else { return };
    let amount = (&missing * price).with_scale_round(30, bigdecimal::RoundingMode::HalfEven);
    let more = if missing > BigDecimal::zero() { "second" } else { "first" };
    let reason =
        format!("{} units more in the {more} file", missing.abs().normalized().to_plain_string());
    if taken.quantity.is_zero() {
        // All of it is missing on one side: prices and rates are those of the other.
        taken.pricing.clone_from(&b.pricing);
        taken.quantity.clone_from(&target.0);
    } else {
        scale(taken, &missing);
    }
    let _ = a;
    taken.part(Cause::Late, amount, reason);
}

/// Other exchange rates, or the same of other days.
fn rates(taken: &mut Taken, a: &Item, b: &Item) {
    let (of_a, of_b) = (average_rate(a), average_rate(b));
    if (&of_a - &of_b).abs() < tiny() {
        return;
    }
    let change = (&of_b - &of_a) * &taken.pricing;
    let change = change.with_scale_round(30, bigdecimal::RoundingMode::HalfEven);
    let reason = format!("exchanged at {} instead of {}", stated(b, &of_b), stated(a, &of_a));
    taken.part(Cause::ExchangeDate, change, reason);
}

/// The rate of an item with its day; the average where there are several.
fn stated(item: &Item, average: &BigDecimal) -> String {
    let mut rates = item.rates.keys();
    match (rates.next(), rates.next()) {
        (Some((rate, day)), None) => {
            let rate = rate.normalized().to_plain_string();
            day.map_or(rate.clone(), |day| format!("{rate} of {day}"))
        }
        _ => format!(
            "{} on average",
            average.with_scale_round(9, bigdecimal::RoundingMode::HalfEven)
        ),
    }
}

/// The rate of an item, weighed by what was exchanged.
fn average_rate(item: &Item) -> BigDecimal {
    let mut rates = item.rates.iter();
    if let (Some(((rate, _), _)), None) = (rates.next(), rates.next()) {
        return rate.clone();
    }
    let all: BigDecimal = item.rates.values().sum();
    let Some(all) = some(&all) else { return BigDecimal::one() };
    item.rates.iter().map(|((rate, _), amount)| rate * amount).sum::<BigDecimal>() / all
}

/// Leaves out, or adds, units at what a unit costs before the exchange.
fn scale(taken: &mut Taken, by: &BigDecimal) {
    if let Some(quantity) = some(&taken.quantity) {
        taken.pricing = &taken.pricing + (&taken.pricing / quantity) * by;
    }
    taken.quantity += by;
}

fn some(number: &BigDecimal) -> Option<&BigDecimal> {
    (!number.is_zero()).then_some(number)
}

fn cent() -> BigDecimal {
    BigDecimal::new(1.into(), 2)
}

/// What no file prints.
fn tiny() -> BigDecimal {
    BigDecimal::new(1.into(), 9)
}

fn is_in(period: Option<(Date, Date)>, day: Date) -> bool {
    period.is_none_or(|(first, last)| first <= day && day <= last)
}

/// By what two files tell their rows apart: the most telling of what both have.
pub(crate) fn common(a: &[Identity], b: &[Identity]) -> Option<Identity> {
    a.iter().copied().find(|identity| b.contains(identity))
}
