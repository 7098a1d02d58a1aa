//! How long a month is corrected: each agreement says so for its edge.

use std::collections::BTreeSet;

use domain::Validity;
use jiff::civil::Date;
use kernel::Month;
use rating::{EdgeIndex, RateBook};

use crate::facts::Known;

/// The edges of a month on which nothing is billed any more, given the days on which it was
/// adjusted and is now: an edge that was left out once stays as it was billed then.
pub(crate) fn beyond(known: &Known, book: &RateBook, issued: &[Date]) -> BTreeSet<EdgeIndex> {
    let month = book.month();
    let Some(latest) = issued.iter().max() else { return BTreeSet::new() };
    let stretch = Validity::new(month.first_day(), Some(month.next().first_day()));
    let is_beyond = |edge: &EdgeIndex| {
        let terms = &book.edges()[edge.get()];
        let mut agreed = known.programme.agreements_of(terms.seller, terms.buyer);
        let agreed = agreed.find(|a| stretch.is_some_and(|month| a.validity.overlaps(month)));
        let months = agreed.and_then(|agreed| agreed.correction_months);
        months.is_some_and(|months| last_day(month, months) < *latest)
    };
    book.edge_indices().filter(is_beyond).collect()
}

/// The last day of the month so many months later.
fn last_day(month: Month, later: u16) -> Date {
    (0..later).fold(month, |month, _| month.next()).last_day()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted_from_the_one_that_is_corrected() {
        let month: Month = "2025-11".parse().unwrap();
        assert_eq!(last_day(month, 0).to_string(), "2025-11-30");
        assert_eq!(last_day(month, 3).to_string(), "2026-02-28");
    }
}
