//! What two files disagree about, item by item, and why.
//!
//! The difference of an item is taken apart in a fixed order: usage of other days, rows that stand
//! twice, other quantities, credits and prices, exchange rates. What is then left is rounding, if it
//! is no more than the files can have rounded, and otherwise said to be unexplained. The parts add
//! up to the whole difference.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, One, RoundingMode, Zero};
use jiff::civil::Date;

use crate::side::{Identity, Item, Key, Side, Sum, is_usage};
use crate::{Cause, Difference, Kind, Part};

/// Two sides and what they have in common.
pub(crate) struct Pair<'a> {
    a: &'a Side,
    b: &'a Side,
    subscriptions: [BTreeSet<&'a str>; 2],
    items: [BTreeSet<&'a str>; 2],
}

/// What has been found so far about one item.
struct Taken {
    parts: Vec<Part>,
    /// What the first file says with the parts.
    first: Sum,
    /// What the second file says without what it alone has.
    second: Sum,
}

impl Taken {
    fn part(&mut self, cause: Cause, amount: BigDecimal, reason: String) {
        if !amount.is_zero() {
            self.parts.push(Part { cause, amount, reason });
        }
    }

    /// How many units more the second file has.
    fn missing(&self) -> BigDecimal {
        &self.second.quantity - &self.first.quantity
    }

    /// Leaves out of one side what the other does not have, if that brings them nearer.
    fn leave_out(&mut self, side: usize, sum: &Sum, cause: Cause, reason: String) {
        let (mut first, mut second) = (self.first.clone(), self.second.clone());
        let (of, amount) =
            if side == 0 { (&mut first, -&sum.amount) } else { (&mut second, sum.amount.clone()) };
        *of -= sum;
        let nearer = |then: BigDecimal, now: BigDecimal| then.abs() < now.abs();
        let by_quantity = nearer(&second.quantity - &first.quantity, self.missing());
        let by_amount =
            nearer(&second.amount - &first.amount, &self.second.amount - &self.first.amount);
        if by_quantity || (sum.quantity.is_zero() && by_amount) {
            (self.first, self.second) = (first, second);
            self.part(cause, amount, reason);
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
                amounts: [a.map(|a| a.sum.amount.clone()), b.map(|b| b.sum.amount.clone())],
                lines: [a.map(|a| a.first_line), b.map(|b| b.first_line)],
                difference: parts.iter().map(|part| &part.amount).sum(),
                parts,
            })
        });
        differences.collect()
    }

    /// An item that one file alone has.
    fn alone(&self, key: &Key, item: &Item, side: usize) -> Option<Part> {
        if item.sum.amount.is_zero() {
            return None;
        }
        let (own, other) = if side == 0 { (self.a, self.b) } else { (self.b, self.a) };
        let amount = if side == 0 { -&item.sum.amount } else { item.sum.amount.clone() };
        let place = &other.file;
        let outside = |days: &BTreeMap<Date, _>| {
            !days.is_empty() && days.keys().all(|day| !is_in(other.period, *day))
        };
        let (cause, reason) = if item.is_credit
            || item.charges.iter().any(|c| c.eq_ignore_ascii_case("customerCredit"))
        {
            (Cause::Credit, format!("a credit that {place} does not have"))
        } else if own.kind == Kind::Reconciliation
            && !item.charges.iter().all(|charge| is_usage(charge))
        {
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
        let whole = &b.sum.amount - &a.sum.amount;
        if whole.is_zero() {
            return Vec::new();
        }
        let (first, second) = (a.sum.clone(), b.sum.clone());
        let mut taken = Taken { parts: Vec::new(), first, second };
        for (side, item, other) in [(0, a, self.b), (1, b, self.a)] {
            let days = item.days.iter().filter(|(day, _)| !is_in(other.period, **day));
            let late = days.fold(Sum::default(), |mut sum, (_, of_day)| {
                sum += of_day;
                sum
            });
            let reason = format!("usage of days that {} does not bill", other.file);
            taken.leave_out(side, &late, Cause::Late, reason);
        }
        for (side, item, own) in [(0, a, self.a), (1, b, self.b)] {
            let (rows, sum) = &item.doubled;
            let reason = format!("{rows} rows stand twice in {}", own.file);
            taken.leave_out(side, sum, Cause::Duplicate, reason);
        }
        if a.says.quantity && b.says.quantity {
            self.quantities(&mut taken, a, b);
        }
        if a.says.price && b.says.price && a.says.quantity == b.says.quantity {
            self.prices(&mut taken, a, b);
        }
        if a.says.rate && b.says.rate && a.says.price && b.says.price {
            rates(&mut taken, a, b);
        }
        let explained: BigDecimal = taken.parts.iter().map(|part| &part.amount).sum();
        let left = whole - explained;
        if !left.is_zero() {
            let bound = rounding_of(self.a, a, &taken) + rounding_of(self.b, b, &taken);
            let (cause, reason) = if left.abs() <= bound {
                (Cause::Rounding, "amounts are rounded in one file and not in the other")
            } else {
                (Cause::Unexplained, "nothing in the files says why")
            };
            taken.parts.push(Part { cause, amount: left, reason: reason.to_owned() });
        }
        taken.parts
    }

    /// Units that only one of the files has. They cost what makes both sides equal, if that is what
    /// some rows cost, and otherwise what a unit of the first file costs on average.
    fn quantities(&self, taken: &mut Taken, a: &Item, b: &Item) {
        // Units that cost nothing may be counted in one file and not in the other.
        for (free, other) in [(&a.free, &b.free), (&b.free, &a.free)] {
            let counted = (taken.missing().abs() - free.abs()).abs() <= quantity_noise(self, a, b);
            if !free.is_zero() && other.is_zero() && counted {
                taken.second.quantity.clone_from(&taken.first.quantity);
            }
        }
        let missing = taken.missing();
        if missing.abs() <= quantity_noise(self, a, b) {
            taken.second.quantity.clone_from(&taken.first.quantity);
            return;
        }
        let gap = &taken.second.pricing - &taken.first.pricing;
        let noise = self.pricing_noise(a, b) / missing.abs();
        let implied = &gap / &missing;
        let units = [&a.unit, &b.unit].into_iter().flatten();
        let least = units.clone().map(|(least, _)| least).min();
        let most = units.map(|(_, most)| most).max();
        let is_a_price = least
            .zip(most)
            .is_some_and(|(least, most)| least - &noise <= implied && implied <= most + &noise);
        let pricing = match some(&taken.first.quantity) {
            _ if is_a_price => gap,
            Some(quantity) => &taken.first.pricing / quantity * &missing,
            None => gap,
        };
        let amount = rounded(&(&pricing * average_rate(a)));
        taken.first += &Sum { quantity: missing.clone(), pricing, amount: amount.clone() };
        let more = if missing > BigDecimal::zero() { "second" } else { "first" };
        let units = missing.abs().normalized().to_plain_string();
        taken.part(Cause::Late, amount, format!("{units} units more in the {more} file"));
    }

    /// What a unit costs before the exchange, where that is more than rounding can explain.
    fn prices(&self, taken: &mut Taken, a: &Item, b: &Item) {
        let change = &taken.second.pricing - &taken.first.pricing;
        let other_credit = a.credited != b.credited;
        let noise = self.pricing_noise(a, b);
        if change.abs() <= noise || (change.abs() <= cent() && !other_credit) {
            return;
        }
        // Of two list prices the change of the price comes first, at the first file's credit; what
        // is left is the credit's.
        let lists =
            a.list.as_ref().zip(b.list.as_ref()).filter(|(a, b)| !a.is_zero() && !b.is_zero());
        let same_units = (&a.sum.quantity - &b.sum.quantity).abs() <= quantity_noise(self, a, b);
        let price = lists.filter(|_| same_units).map(|(of_a, of_b)| {
            let dearer = of_b - of_a;
            if dearer.abs() <= cent() { BigDecimal::zero() } else { dearer * &a.sum.pricing / of_a }
        });
        let credited = a.credited || b.credited;
        let price = match price {
            Some(price) if credited => rounded(&price),
            Some(_) | None if !other_credit && !credited => change.clone(),
            Some(price) => rounded(&price),
            None if same_units => change.clone(),
            None => BigDecimal::zero(),
        };
        let credit = &change - &price;
        let rate = average_rate(a);
        taken.first.pricing += &change;
        if price.abs() > noise {
            let reason = "a unit costs something else".to_owned();
            taken.part(Cause::Price, rounded(&(&price * &rate)), reason);
        }
        if credit.abs() > noise && credited {
            let reason = match (a.credited, b.credited) {
                (true, false) => format!("{} has a credit, {} has none", self.a.file, self.b.file),
                (false, true) => format!("{} has a credit, {} has none", self.b.file, self.a.file),
                _ => "the credit is of other days or resources".to_owned(),
            };
            taken.part(Cause::Credit, rounded(&(&credit * &rate)), reason);
        }
    }

    /// How much prices as they are printed may be off: the provider derives the unit price of a
    /// line from an amount in cents.
    fn pricing_noise(&self, a: &Item, b: &Item) -> BigDecimal {
        let of = |side: &Side, item: &Item| match side.kind {
            Kind::Reconciliation => cent() * BigDecimal::from(item.rows),
            Kind::Daily => item.sum.quantity.abs() * tiny() + tiny() * BigDecimal::from(item.rows),
        };
        of(self.a, a) + of(self.b, b)
    }
}

/// How far quantities of one thing may lie apart: reconciliation files have six decimals.
fn quantity_noise(pair: &Pair<'_>, a: &Item, b: &Item) -> BigDecimal {
    let of = |side: &Side, item: &Item| match side.kind {
        Kind::Reconciliation => BigDecimal::new(item.rows.into(), 6),
        Kind::Daily => BigDecimal::zero(),
    };
    of(pair.a, a) + of(pair.b, b)
}

/// How much the amounts of an item may have been rounded by: a minor unit for each row that is not
/// exactly what it says it comes to, and in a reconciliation file a cent before the exchange. A row
/// that says more is not rounded, but wrong.
fn rounding_of(side: &Side, item: &Item, taken: &Taken) -> BigDecimal {
    let rows = BigDecimal::from(item.rounded_rows);
    let before = match side.kind {
        Kind::Reconciliation => cent() * average_rate(item).abs(),
        Kind::Daily => BigDecimal::zero(),
    };
    let bound = rows * (&item.minor_unit + before);
    // Prices that are averages have 15 decimals.
    bound + taken.first.quantity.abs() * tiny()
}

/// Other exchange rates, or the same of other days.
fn rates(taken: &mut Taken, a: &Item, b: &Item) {
    let (of_a, of_b) = (average_rate(a), average_rate(b));
    if (&of_a - &of_b).abs() < tiny() {
        return;
    }
    let change = rounded(&((&of_b - &of_a) * &taken.first.pricing));
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
        _ => format!("{} on average", average.with_scale_round(9, RoundingMode::HalfEven)),
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

/// A part with fewer digits; whatever that leaves is rounding.
fn rounded(amount: &BigDecimal) -> BigDecimal {
    amount.with_scale_round(30, RoundingMode::HalfEven)
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
