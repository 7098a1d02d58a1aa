//! Facts as if what applies on one day had applied for ever.

use domain::{ListPrice, ListedMeter, TradeAgreement, Validity};
use jiff::civil::Date;
use kernel::instant_micros;

use super::PriceFacts;

impl PriceFacts {
    /// The facts with the agreements, rules and list prices of one day, at its beginning, and no
    /// others: they apply for ever. Exchange rates stay those of their months.
    #[must_use]
    pub fn as_of(mut self, day: Date) -> Self {
        let ever = Validity::new(Validity::EVER, None);
        let Some(ever) = ever else { return self };
        let at = instant_micros(self.programme.zone.start_of(day));
        let agreements = self.programme.agreements.into_iter();
        let agreed = agreements.filter(|agreement| agreement.validity.contains(day));
        self.programme.agreements =
            agreed.map(|agreement| TradeAgreement { validity: ever, ..agreement }).collect();
        for book in self.programme.price_books.values_mut() {
            book.rules.retain(|rule| rule.validity.contains(day));
            for rule in &mut book.rules {
                rule.validity = ever;
            }
        }
        for sheet in self.sheets.values_mut() {
            sheet.meters.iter_mut().for_each(|listed| keep_price_at(listed, at));
        }
        self
    }
}

/// Leaves the price of an instant, for ever; none where the meter has none then.
fn keep_price_at(listed: &mut ListedMeter, at: i64) {
    let mut intervals = listed.intervals();
    let applies = intervals.find(|(from, until, _)| *from <= at && at < *until);
    let tiers = applies.map(|(_, _, tiers)| tiers.clone());
    drop(intervals);
    listed.prices =
        tiers.into_iter().map(|tiers| ListPrice { from: i64::MIN, until: None, tiers }).collect();
}
