//! Cutting usage: by time where the price changes, by quantity where a tier ends.
//!
//! Both cuts are pure integer arithmetic, so that cutting or joining the records changes lines
//! but never the total of a group.

use domain::Tier;
use ethnum::I256;

use crate::schedule::PricedTier;

/// A record's interval and quantity, as integers: microseconds, and the quantity's mantissa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub start: i64,
    pub end: i64,
    pub quantity: i128,
    /// Which of the resources of its run was used; zero where that does not matter.
    pub resource: u32,
}

impl Stretch {
    /// How much of the quantity had been used up to an instant, in proportion to the time that
    /// had passed and rounded towards zero; all of it at the end, so the last part gets the
    /// remainder.
    ///
    /// What lies between two instants is the difference of two such numbers. It therefore does
    /// not depend on where else the record is cut: on another edge, in another month.
    pub fn used_until(self, instant: i64) -> i128 {
        if instant <= self.start {
            return 0;
        }
        if instant >= self.end {
            return self.quantity;
        }
        let (passed, whole) = (i128::from(instant - self.start), i128::from(self.end - self.start));
        if let Some(product) = self.quantity.checked_mul(passed) {
            return product / whole;
        }
        // A part of an i128 is an i128.
        (I256::new(self.quantity) * I256::new(passed) / I256::new(whole)).as_i128()
    }

    /// Whether anything of the record lies in a half-open stretch of time. A record without
    /// length lies where it starts.
    pub fn meets(self, from: i64, until: i64) -> bool {
        self.start < until && (self.end > from || self.start >= from)
    }
}

/// Lower bounds of tiers, as the slicing sees them.
pub(crate) trait Bound {
    fn bound(&self) -> i128;
}

impl Bound for PricedTier {
    fn bound(&self) -> i128 {
        self.from.mantissa()
    }
}

impl Bound for Tier {
    fn bound(&self) -> i128 {
        self.from.mantissa()
    }
}

/// Cuts `quantity` into the tiers that it fills when `before` units have gone before, in the
/// order in which it fills them. Negative usage empties tiers from the top; what is taken back
/// below zero counts at the first tier's price. No quantity is one empty slice.
pub(crate) fn slice_by_tier<T: Bound>(
    tiers: &[T],
    before: i128,
    quantity: i128,
    mut emit: impl FnMut(usize, i128),
) {
    let (mut counter, mut left) = (before, quantity);
    // The tier of the last unit that has gone before; the next unit may belong to the next tier.
    let mut tier = tiers.partition_point(|tier| tier.bound() < counter).max(1) - 1;
    if left <= 0 {
        while tier > 0 && counter + left < tiers[tier].bound() {
            let taken = tiers[tier].bound() - counter;
            emit(tier, taken);
            counter += taken;
            left -= taken;
            tier -= 1;
        }
        if left != 0 || quantity == 0 {
            emit(tier, left);
        }
        return;
    }
    while left > 0 {
        let room = tiers.get(tier + 1).map_or(left, |next| next.bound() - counter);
        let taken = left.min(room);
        if taken > 0 {
            emit(tier, taken);
        }
        counter += taken;
        left -= taken;
        tier += 1;
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Quantity, UnitPrice};
    use proptest::prelude::*;

    use super::*;

    fn tiers(bounds: &[i128]) -> Vec<Tier> {
        let tier =
            |from: &i128| Tier { from: Quantity::from_mantissa(*from), price: UnitPrice::ZERO };
        bounds.iter().map(tier).collect()
    }

    fn sliced(bounds: &[i128], before: i128, quantity: i128) -> Vec<(usize, i128)> {
        let mut slices = Vec::new();
        slice_by_tier(&tiers(bounds), before, quantity, |tier, taken| slices.push((tier, taken)));
        slices
    }

    #[test]
    fn units_fill_the_tiers_in_order() {
        // Unit 101 is the first above 100.
        assert_eq!(sliced(&[0, 100], 0, 101), [(0, 100), (1, 1)]);
        assert_eq!(sliced(&[0, 100], 100, 1), [(1, 1)]);
        assert_eq!(sliced(&[0, 100], 99, 1), [(0, 1)]);
        assert_eq!(sliced(&[0, 5, 10], 3, 20), [(0, 2), (1, 5), (2, 13)]);
    }

    #[test]
    fn negative_usage_empties_tiers_from_the_top() {
        assert_eq!(sliced(&[0, 5, 10], 12, -9), [(2, -2), (1, -5), (0, -2)]);
        assert_eq!(sliced(&[0, 5], 5, -2), [(0, -2)]);
        assert_eq!(sliced(&[0, 5], 2, -4), [(0, -4)]);
        assert_eq!(sliced(&[0, 5], -4, 10), [(0, 9), (1, 1)]);
    }

    #[test]
    fn no_quantity_is_one_empty_slice_in_the_tier_reached() {
        assert_eq!(sliced(&[0, 5], 0, 0), [(0, 0)]);
        assert_eq!(sliced(&[0, 5], 5, 0), [(0, 0)]);
        assert_eq!(sliced(&[0, 5], 6, 0), [(1, 0)]);
    }

    #[test]
    fn a_record_is_used_up_in_proportion_and_the_last_part_gets_the_remainder() {
        let record = Stretch { start: 0, end: 3, quantity: 10, resource: 0 };
        assert_eq!([1, 2, 3].map(|at| record.used_until(at)), [3, 6, 10]);
        let huge = Stretch { start: 0, end: 3_000_000, quantity: i128::MAX, resource: 0 };
        assert_eq!(huge.used_until(1_000_000), i128::MAX / 3);
        let point = Stretch { start: 5, end: 5, quantity: 7, resource: 0 };
        assert_eq!((point.used_until(5), point.used_until(6)), (0, 7));
        assert!(point.meets(5, 6) && !point.meets(6, 9) && !point.meets(0, 5));
    }

    proptest! {
        #[test]
        fn per_tier_totals_depend_on_the_sum_alone(
            parts in prop::collection::vec(-50i128..200, 1..20),
            bounds in prop::collection::btree_set(1i128..500, 0..6),
        ) {
            let bounds: Vec<i128> = std::iter::once(0).chain(bounds).collect();
            let tiers = tiers(&bounds);
            let mut by_parts = vec![0; bounds.len()];
            let mut counter = 0;
            for part in &parts {
                slice_by_tier(&tiers, counter, *part, |tier, taken| by_parts[tier] += taken);
                counter += part;
            }
            let mut at_once = vec![0; bounds.len()];
            slice_by_tier(&tiers, 0, counter, |tier, taken| at_once[tier] += taken);
            prop_assert_eq!(by_parts, at_once);
        }

        #[test]
        fn parts_of_a_record_add_up_wherever_it_is_cut(
            quantity in any::<i64>(), end in 1i64..1000, cuts in prop::collection::vec(0i64..1000, 0..5),
        ) {
            let record = Stretch { start: 0, end, quantity: i128::from(quantity), resource: 0 };
            let mut cuts: Vec<i64> = cuts.into_iter().filter(|cut| *cut < end).collect();
            cuts.extend([0, end]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|w| record.used_until(w[1]) - record.used_until(w[0]));
            prop_assert_eq!(parts.sum::<i128>(), record.quantity);
        }
    }
}
