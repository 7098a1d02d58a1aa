//! How usage fills tiers: what each tier must hold, given what was used at which price.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bigdecimal::{BigDecimal, Zero};

use crate::prices::Price;

/// A row of usage.
#[derive(Debug, Clone)]
pub(crate) struct UsageRow {
    pub line: u64,
    /// Which prices state what the row states, on its day; in order.
    pub candidates: Rc<[usize]>,
    /// Whether it earns credit.
    pub credited: bool,
    pub quantity: BigDecimal,
    /// What the row says it comes to.
    pub billed: BigDecimal,
}

/// From which currency, at which rate, of which day, as files state them.
pub(crate) type Exchange = [String; 3];

/// What a tier comes to.
#[derive(Debug, Clone)]
pub(crate) struct TierTotal {
    pub tier: usize,
    pub quantity: BigDecimal,
    /// In the billed currency, not rounded.
    pub exact: BigDecimal,
    /// Before the exchange, by currency, rate and its day.
    pub priced: BTreeMap<Exchange, BigDecimal>,
    /// What its rows say they come to; none where rows can belong to several tiers.
    pub billed: Option<BigDecimal>,
    /// The prices that it was billed by, with credit or without.
    pub used: BTreeSet<(usize, bool)>,
    /// How many units were billed by each.
    units: BTreeMap<(usize, bool), BigDecimal>,
    /// Whether the tier was certainly used: a row of nothing may lie on the bound of two.
    pub certain: bool,
}

/// Adds usage up by tier and checks that the rows, in their order, fill the tiers in theirs. Where
/// rows have no order, all rows of a price together must be what its tiers hold.
pub(crate) fn fill(
    prices: &[Price],
    rows: &[UsageRow],
    in_order: bool,
) -> Result<Vec<TierTotal>, (u64, String)> {
    let mut totals = Totals { prices, tiers: BTreeMap::new() };
    let interval = |row: &UsageRow| {
        let first = prices[*row.candidates.first()?].interval;
        row.candidates.iter().all(|at| prices[*at].interval == first).then_some(first)
    };
    if rows.iter().all(|row| interval(row).is_some()) {
        if in_order {
            totals.in_order(rows)?;
        } else {
            totals.by_interval(rows)?;
        }
    } else {
        totals.unsplit(rows).map_err(|reason| (rows[0].line, reason))?;
    }
    let prices = totals.prices;
    Ok(totals.tiers.into_values().map(|total| total.of_units(prices)).collect())
}

impl TierTotal {
    /// Leaves prices out by which no units were billed in all, if some were by others.
    fn of_units(mut self, prices: &[Price]) -> Self {
        let stated = |(at, credited): (usize, bool)| (prices[at].stated(credited), credited);
        let has_units = |place: &(usize, bool)| {
            let same = self.units.iter().filter(|(other, _)| stated(**other) == stated(*place));
            !same.map(|(_, units)| units).sum::<BigDecimal>().is_zero()
        };
        let used: BTreeSet<_> = self.used.iter().copied().filter(has_units).collect();
        if used.is_empty() {
            return self;
        }
        let exchanges: BTreeSet<&[String]> =
            used.iter().map(|(at, _)| &prices[*at].stated[2..]).collect();
        self.priced.retain(|exchange, _| exchanges.contains(exchange.as_slice()));
        self.used = used;
        self
    }
}

struct Totals<'a> {
    prices: &'a [Price],
    tiers: BTreeMap<usize, TierTotal>,
}

impl Totals<'_> {
    fn tier(&mut self, tier: usize) -> &mut TierTotal {
        self.tiers.entry(tier).or_insert_with(|| TierTotal {
            tier,
            quantity: BigDecimal::zero(),
            exact: BigDecimal::zero(),
            priced: BTreeMap::new(),
            billed: Some(BigDecimal::zero()),
            used: BTreeSet::new(),
            units: BTreeMap::new(),
            certain: false,
        })
    }

    fn add(&mut self, price: usize, credited: bool, quantity: &BigDecimal) -> &mut TierTotal {
        let Price { tier, rate, stated, .. } = &self.prices[price];
        let priced = quantity * self.prices[price].effective(credited);
        let (amount, [_, _, exchange @ ..]) = (&priced * rate, stated.clone());
        let total = self.tier(*tier);
        total.quantity += quantity;
        total.exact += amount;
        *total.priced.entry(exchange).or_default() += priced;
        total.used.insert((price, credited));
        *total.units.entry((price, credited)).or_default() += quantity;
        total
    }

    /// Each row lies in a tier of its price: from what has gone before to what has gone with it.
    fn in_order(&mut self, rows: &[UsageRow]) -> Result<(), (u64, String)> {
        let interval_of = |row: &UsageRow| self.prices[row.candidates[0]].interval;
        let mut intervals: BTreeMap<usize, Vec<&UsageRow>> = BTreeMap::new();
        for row in rows {
            intervals.entry(interval_of(row)).or_default().push(row);
        }
        let mut counter = BigDecimal::zero();
        for rows in intervals.into_values() {
            for row in rows {
                let after = &counter + &row.quantity;
                let (low, high) =
                    if counter < after { (&counter, &after) } else { (&after, &counter) };
                let fitting: Vec<usize> = row
                    .candidates
                    .iter()
                    .copied()
                    .filter(|at| self.holds(*at, low, high))
                    .collect();
                let Some(first) = fitting.first() else {
                    return Err((row.line, self.misplaced(row, &counter)));
                };
                // A row of nothing may lie on the bound of two tiers.
                for at in &fitting[1..] {
                    self.tier(self.prices[*at].tier).used.insert((*at, row.credited));
                }
                let total = self.add(*first, row.credited, &row.quantity);
                total.certain |= fitting.len() == 1;
                if let Some(billed) = &mut total.billed {
                    *billed += &row.billed;
                }
                counter = after;
            }
        }
        Ok(())
    }

    /// However its rows are cut, usage fills each tier as far as it goes in all.
    fn by_interval(&mut self, rows: &[UsageRow]) -> Result<(), (u64, String)> {
        let interval_of = |row: &UsageRow| self.prices[row.candidates[0]].interval;
        let mut intervals: BTreeMap<usize, Vec<&UsageRow>> = BTreeMap::new();
        for row in rows {
            intervals.entry(interval_of(row)).or_default().push(row);
        }
        let mut counter = BigDecimal::zero();
        for (interval, rows) in intervals {
            let used: BigDecimal = rows.iter().map(|row| &row.quantity).sum();
            let after = &counter + &used;
            let tiers: Vec<usize> =
                (0..self.prices.len()).filter(|at| self.prices[*at].interval == interval).collect();
            // What earns credit, of tiers that state the same.
            let mut earning: BTreeMap<usize, BigDecimal> = BTreeMap::new();
            for at in &tiers {
                let stated = &self.prices[*at].stated;
                let alike: Vec<usize> =
                    tiers.iter().copied().filter(|o| self.prices[*o].stated == *stated).collect();
                let mine: Vec<&&UsageRow> =
                    rows.iter().filter(|row| row.candidates.contains(at)).collect();
                let found: BigDecimal = mine.iter().map(|row| &row.quantity).sum();
                let held: BigDecimal =
                    alike.iter().map(|at| self.held(*at, &counter, &after)).sum();
                if found != held {
                    let line = mine.first().or(rows.first().as_ref()).map_or(1, |row| row.line);
                    let reason = format!(
                        "{} units have the price of tier {}, which holds {} of {}",
                        crate::number::trimmed(&found),
                        self.prices[*at].tier,
                        crate::number::trimmed(&held),
                        crate::number::trimmed(&after),
                    );
                    return Err((line, reason));
                }
                if mine.is_empty() {
                    continue;
                }
                let quantity = self.held(*at, &counter, &after);
                // Of tiers that state the same, those count that hold something.
                let is_ruled_out = quantity.is_zero() && alike.len() > 1;
                if is_ruled_out && (!held.is_zero() || alike.first() != Some(at)) {
                    continue;
                }
                let billed: BigDecimal = mine.iter().map(|row| &row.billed).sum();
                let has = |credited| mine.iter().any(|row| row.credited == credited);
                let first = alike.first().copied().unwrap_or(*at);
                let left = earning.entry(first).or_insert_with(|| {
                    mine.iter().filter(|row| row.credited).map(|row| &row.quantity).sum()
                });
                let less = if alike.len() == 1 {
                    left.clone()
                } else {
                    left.clone().min(quantity.clone())
                };
                *left -= &less;
                if has(true) {
                    self.add(*at, true, &less);
                }
                if has(false) {
                    self.add(*at, false, &(&quantity - &less));
                }
                let total = self.tier(self.prices[*at].tier);
                total.certain |= !quantity.is_zero();
                // Where tiers state the same, nobody can see from a row in which it lies.
                total.billed =
                    if alike.len() == 1 { total.billed.take().map(|b| b + billed) } else { None };
            }
            counter = after;
        }
        Ok(())
    }

    /// How many of the units from one count to another a tier holds. What is below zero lies in
    /// the first.
    fn held(&self, price: usize, from: &BigDecimal, until: &BigDecimal) -> BigDecimal {
        let price = &self.prices[price];
        let next = self
            .prices
            .iter()
            .find(|next| next.interval == price.interval && next.tier == price.tier + 1);
        let within = |count: &BigDecimal| {
            let count =
                next.map_or(count.clone(), |next| count.clone().min(next.tier_from.clone()));
            if price.tier == 0 { count } else { count.max(price.tier_from.clone()) }
        };
        within(until) - within(from)
    }

    /// Whether a tier holds a stretch of units. What is below zero lies in the first.
    fn holds(&self, price: usize, low: &BigDecimal, high: &BigDecimal) -> bool {
        let price = &self.prices[price];
        let next = self
            .prices
            .iter()
            .find(|next| next.interval == price.interval && next.tier == price.tier + 1);
        (price.tier == 0 || *low >= price.tier_from)
            && next.is_none_or(|next| *high <= next.tier_from)
    }

    fn misplaced(&self, row: &UsageRow, before: &BigDecimal) -> String {
        let tiers = row.candidates.iter().map(|at| self.prices[*at].tier.to_string());
        format!(
            "{} units are billed in tier {}, which does not hold them after {}",
            crate::number::trimmed(&row.quantity),
            tiers.collect::<Vec<_>>().join(" or "),
            crate::number::trimmed(before)
        )
    }

    /// Where the price changes within a day and states the same before and after, nobody can see
    /// from the rows which part is which, and it makes no difference to the amount. The tiers
    /// are then compared over the whole month, if they begin at the same quantities.
    fn unsplit(&mut self, rows: &[UsageRow]) -> Result<(), String> {
        let intervals: Vec<Vec<&Price>> = self
            .prices
            .chunk_by(|a, b| a.interval == b.interval)
            .map(|tiers| tiers.iter().collect())
            .collect();
        let bounds = |tiers: &Vec<&Price>| -> Vec<BigDecimal> {
            tiers.iter().map(|price| price.tier_from.clone()).collect()
        };
        let Some(first) = intervals.first() else { return Ok(()) };
        let quantity: BigDecimal = rows.iter().map(|row| &row.quantity).sum();
        let mut left = filled(first, &quantity);
        let comparable = intervals.iter().all(|tiers| bounds(tiers) == bounds(first));
        for row in rows {
            let mut rest = row.quantity.clone();
            for (at, price) in row.candidates.iter().enumerate() {
                let tier = self.prices[*price].tier;
                let same_tier = |other: &usize| self.prices[*other].tier == tier;
                let is_last = row.candidates[at..].iter().all(same_tier);
                let room = left.get(tier).cloned().unwrap_or_default();
                let taken = if is_last { rest.clone() } else { room.min(rest.clone()) };
                if let Some(left) = left.get_mut(tier) {
                    *left -= &taken;
                }
                rest -= &taken;
                let total = self.add(*price, row.credited, &taken);
                total.certain |= !taken.is_zero();
                total.billed = None;
                if is_last {
                    break;
                }
            }
        }
        match left.iter().position(|left| !left.is_zero()) {
            Some(tier) if comparable => {
                let left = crate::number::trimmed(&left[tier]);
                Err(format!("tier {tier} is off by {left} units"))
            }
            _ => Ok(()),
        }
    }
}

/// How many units of a quantity lie in each tier.
fn filled(tiers: &[&Price], quantity: &BigDecimal) -> Vec<BigDecimal> {
    let until = |at: usize| tiers.get(at + 1).map(|next| next.tier_from.clone());
    let within = tiers.iter().enumerate().map(|(at, tier)| {
        let end = until(at).map_or_else(|| quantity.clone(), |next| next.min(quantity.clone()));
        let units = end - &tier.tier_from;
        if at == 0 { units } else { units.max(BigDecimal::zero()) }
    });
    within.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    /// Two tiers, of which the second begins at 100.
    fn prices() -> Vec<Price> {
        let price = |tier: usize, from: &str, unit: &str| Price {
            line: 2,
            interval: 0,
            tier,
            tier_from: number(from),
            from: jiff::Timestamp::UNIX_EPOCH,
            until: jiff::Timestamp::MAX,
            days: (jiff::civil::Date::MIN, jiff::civil::Date::MAX),
            stated: std::array::from_fn(|_| unit.to_owned()),
            effective: number(unit),
            rate: number("1"),
            adjustment: String::new(),
            credited: None,
        };
        vec![price(0, "0", "1"), price(1, "100", "0.5")]
    }

    fn filled(rows: &[(usize, &str)]) -> Result<Vec<(usize, String)>, (u64, String)> {
        filled_in(rows, true)
    }

    fn filled_in(
        rows: &[(usize, &str)],
        in_order: bool,
    ) -> Result<Vec<(usize, String)>, (u64, String)> {
        let rows: Vec<UsageRow> = rows
            .iter()
            .enumerate()
            .map(|(at, (price, quantity))| UsageRow {
                line: at as u64 + 2,
                candidates: Rc::new([*price]),
                credited: false,
                quantity: number(quantity),
                billed: number("0"),
            })
            .collect();
        let totals = fill(&prices(), &rows, in_order)?;
        Ok(totals.iter().map(|t| (t.tier, crate::number::trimmed(&t.exact))).collect())
    }

    #[test]
    fn rows_fill_the_tiers_in_order() {
        let right = [(0, "60"), (0, "40"), (1, "30"), (1, "-10"), (1, "0")];
        assert_eq!(filled(&right), Ok(vec![(0, "100".to_owned()), (1, "10".to_owned())]));
    }

    #[test]
    fn a_row_in_a_tier_that_does_not_hold_it_is_named() {
        for (rows, line) in [
            (vec![(1, "40"), (0, "60")], 2),
            (vec![(0, "60"), (0, "70")], 3),
            (vec![(0, "100"), (1, "5"), (1, "-6")], 4),
            (vec![(0, "100"), (0, "1")], 3),
        ] {
            assert_eq!(filled(&rows).map_err(|(line, _)| line), Err(line), "{rows:?}");
        }
    }

    /// After an adjustment rows of a day have no order, but each price still has its units.
    #[test]
    fn without_an_order_all_units_together_fill_the_tiers() {
        for rows in [
            vec![(0, "60"), (0, "40"), (1, "30")],
            vec![(1, "30"), (0, "40"), (0, "60")],
            vec![(1, "40"), (0, "100"), (1, "-10")],
        ] {
            let expected = vec![(0, "100".to_owned()), (1, "15".to_owned())];
            assert_eq!(filled_in(&rows, false), Ok(expected), "{rows:?}");
        }
        for rows in [
            vec![(0, "60"), (0, "70")],
            vec![(0, "99"), (1, "31")],
            vec![(1, "30")],
            vec![(0, "101"), (1, "29")],
        ] {
            assert!(filled_in(&rows, false).is_err(), "{rows:?}");
        }
    }
}
