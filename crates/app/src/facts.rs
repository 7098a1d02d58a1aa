//! What is known at an instant, ready to rate by; and the guard over closed months.

use std::collections::BTreeMap;

use domain::{ExchangeRates, PriceSheet, Programme};
use kernel::{Error, Key, MeterId, Month, Result, instant_micros};
use rating::RateBook;
use store::{RateRow, Tx};

use crate::{Ctx, sheets};

/// Everything that a month is rated by.
#[derive(Debug)]
pub(crate) struct Known {
    pub programme: Programme,
    pub sheets: BTreeMap<Key, PriceSheet>,
    pub rates: ExchangeRates,
    pub meters: Vec<MeterId>,
}

impl Known {
    /// Loads what was known at an instant.
    pub async fn load(ctx: &Ctx<'_>, tx: &mut Tx, month: Month, known_at: i64) -> Result<Self> {
        let programme = programme(tx, known_at).await?;
        let lake = ctx.installation.lake();
        let sheets = sheets::of_programme(tx, &lake, &programme, known_at).await?;
        let rates = tx.exchange_rates(month, known_at).await?;
        let meters = used(tx, month, &programme, known_at).await?;
        Ok(Self { programme, sheets, rates, meters })
    }

    /// The rate book of the month.
    pub fn book(&self, month: Month) -> Result<RateBook> {
        let facts =
            rating::Facts { programme: &self.programme, sheets: &self.sheets, rates: &self.rates };
        RateBook::compile(facts, month, &self.meters)
    }
}

/// The meters that occur in the usage of a month. Usage that reaches into it may begin in the
/// one before it or, if it lasts, long before; and, because zones differ, in the one after it.
async fn used(
    tx: &mut Tx,
    month: Month,
    programme: &Programme,
    known_at: i64,
) -> Result<Vec<MeterId>> {
    let period = month.in_zone(&programme.zone);
    let (start, end) = (instant_micros(period.start()), instant_micros(period.end()));
    let segments = tx.segments(start, end, known_at).await?;
    let first = segments.iter().map(|segment| segment.month).min();
    let first = first.map_or(month.previous(), |first| first.min(month.previous()));
    tx.meters_used(first, month.next(), known_at).await
}

/// The programme as known at an instant.
pub(crate) async fn programme(tx: &mut Tx, known_at: i64) -> Result<Programme> {
    tx.programme(known_at).await?.ok_or_else(|| {
        Error::conflict("there is no programme yet; apply one with `skyhandel apply FILE`")
    })
}

/// What is about to become known.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub programme: Option<Programme>,
    pub rates: Vec<RateRow>,
    pub sheet: Option<PriceSheet>,
}

/// Refuses news that would price the usage of a closed month differently.
///
/// Compares the rate books of each closed month with and without the news, for the subscriptions
/// and meters that were billed; what is new to the month does not count.
pub(crate) async fn refuse_restatement(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    news: &News,
    hint: &str,
) -> Result<()> {
    for close in tx.closes().await? {
        let month = close.month;
        let mut known = Known::load(ctx, tx, month, i64::MAX).await?;
        // Adjustments have billed what became known since the close.
        let last = tx.revisions(month).await?.pop().map_or(close.known_at, |last| last.known_at);
        known.meters = used(tx, month, &known.programme, last).await?;
        let before = known.book(month)?.hash();
        if let Some(programme) = &news.programme {
            let billed = std::mem::take(&mut known.programme.subscriptions);
            known.programme = programme.clone();
            known.programme.subscriptions.retain(|id, _| billed.contains_key(id));
        }
        if let Some(sheet) = &news.sheet {
            known.sheets.insert(sheet.key.clone(), sheet.clone());
        }
        for row in &news.rates {
            let (from, to) = (row.from, row.to);
            match row.source {
                domain::RateSource::Ecb => known.rates.add_ecb(to, row.on, row.rate),
                domain::RateSource::UsdSheet => {
                    known.rates.add_usd_sheet(from, Month::of(row.on), row.rate);
                }
                domain::RateSource::Programme => {
                    known.rates.add_agreed(from, to, Month::of(row.on), row.rate);
                }
            }
        }
        if known.book(month)?.hash() != before {
            return Err(Error::conflict(format!(
                "this would change prices of {month}, which is closed{hint}; let the change \
                 begin after the month, restating a closed month is not possible yet"
            )));
        }
    }
    Ok(())
}
