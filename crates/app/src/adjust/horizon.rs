//! How long a month is corrected: each agreement says so for its edge.

use std::collections::BTreeSet;

use domain::{Programme, Validity};
use jiff::civil::Date;
use kernel::{Month, OrganisationId, Result};
use store::{CloseRow, Tx};

/// A seller and a buyer.
pub(crate) type Pair = (OrganisationId, OrganisationId);

/// The edges that some adjustments of a month have left out, each by what was known then. They stay
/// as they were billed, whatever is agreed later.
pub(crate) async fn left_out(
    tx: &mut Tx,
    month: Month,
    adjusted: &[&CloseRow],
) -> Result<BTreeSet<Pair>> {
    let mut out = BTreeSet::new();
    for revision in adjusted {
        let programme = crate::facts::programme(tx, revision.known_at).await?;
        out.extend(beyond(&programme, month, revision.issue_on));
    }
    Ok(out)
}

/// The edges on which a month is no longer corrected on a day.
pub(crate) fn beyond(programme: &Programme, month: Month, on: Date) -> BTreeSet<Pair> {
    let stretch = Validity::new(month.first_day(), Some(month.next().first_day()));
    let agreed = programme.agreements.iter();
    let agreed = agreed.filter(|a| stretch.is_some_and(|month| a.validity.overlaps(month)));
    let is_over = |months: u16| last_day(month, months) < on;
    let over = agreed.filter(|agreed| agreed.correction_months.is_some_and(is_over));
    over.map(|agreed| (agreed.seller, agreed.buyer)).collect()
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
