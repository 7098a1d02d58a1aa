//! What is known at an instant, ready to rate by; and the guard over closed months.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::{BillingPeriods, ExchangeRates, ListedMeter, PriceSheet, Programme, RateSource};
use kernel::{Error, Key, MeterId, Month, Result, SubscriptionId};
use rating::{PriceFacts, RateBook, Restated};
use store::{RateRow, Tx};

use crate::taxes::Taxation;
use crate::{Ctx, sheets};

/// Everything that a month is rated by.
#[derive(Debug)]
pub(crate) struct Known {
    pub programme: Programme,
    pub sheets: BTreeMap<Key, PriceSheet>,
    pub rates: ExchangeRates,
    pub meters: Vec<MeterId>,
    /// What was known before some of it was restated.
    pub restated: Option<Restated>,
    /// Which subscriptions are rated; all where nothing is said.
    pub only: Option<BTreeSet<SubscriptionId>>,
}

impl Known {
    /// Loads what was known at an instant.
    pub async fn load(ctx: &Ctx<'_>, tx: &mut Tx, month: Month, known_at: i64) -> Result<Self> {
        let mut known = Self::newest(ctx, tx, month, known_at).await?;
        let restatements = tx.restatements(month, known_at).await?;
        if !restatements.is_empty() {
            let mut earlier = Vec::new();
            for since in restatements.since() {
                earlier.push(price_facts(ctx, tx, month, since - 1).await?);
            }
            let mut billed = Vec::new();
            let revisions = tx.revisions(month).await?;
            for since in restatements.since() {
                let before = revisions.iter().rev().find(|revision| revision.known_at < *since);
                let until = before.map_or(*since, |revision| revision.known_at);
                let meters = used(tx, month, &known.programme, until).await?;
                billed.push(meters.into_iter().collect::<BTreeSet<_>>());
            }
            known.restated = Some(Restated { restatements, earlier });
            known.carry_back(&billed);
        }
        Ok(known)
    }

    /// Loads what was known at an instant as if all of it counted.
    async fn newest(ctx: &Ctx<'_>, tx: &mut Tx, month: Month, known_at: i64) -> Result<Self> {
        let PriceFacts { programme, sheets, rates } = price_facts(ctx, tx, month, known_at).await?;
        let meters = used(tx, month, &programme, known_at).await?;
        Ok(Self { programme, sheets, rates, meters, restated: None, only: None })
    }

    /// Gives the earlier versions what only later ones have, and the present prices of what was not
    /// billed by them: neither is restated. `billed` are the meters of each version.
    fn carry_back(&mut self, billed: &[BTreeSet<MeterId>]) {
        let Some(restated) = &mut self.restated else { return };
        let mut later = &self.sheets;
        for (earlier, billed) in restated.earlier.iter_mut().zip(billed).rev() {
            for sheet in earlier.sheets.values_mut() {
                sheet.meters.retain(|listed| billed.contains(&listed.meter.id));
            }
            for (key, sheet) in later {
                match earlier.sheets.entry(key.clone()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(sheet.clone());
                    }
                    Entry::Occupied(mut occupied) => add_meters(occupied.get_mut(), sheet),
                }
            }
            later = &earlier.sheets;
        }
    }

    /// The rate book of the month.
    pub fn book(&self, month: Month) -> Result<RateBook> {
        RateBook::compile(self.facts(), month, &self.meters)
    }

    /// The rate book of the month with a draft of other facts beside it.
    pub fn book_beside(&self, month: Month, draft: &PriceFacts) -> Result<RateBook> {
        RateBook::compile_beside(self.facts(), draft, month, &self.meters)
    }

    fn facts(&self) -> rating::Facts<'_> {
        rating::Facts {
            programme: &self.programme,
            sheets: &self.sheets,
            rates: &self.rates,
            restated: self.restated.as_ref(),
            only: self.only.as_ref(),
        }
    }
}

/// What prices of a month depend on, as known at an instant.
pub(crate) async fn price_facts(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    month: Month,
    known_at: i64,
) -> Result<PriceFacts> {
    let programme = programme(tx, known_at).await?;
    let lake = ctx.installation.lake();
    let sheets = sheets::of_programme(tx, &lake, &programme, known_at).await?;
    let rates = tx.exchange_rates(month, known_at).await?;
    Ok(PriceFacts { programme, sheets, rates })
}

/// Adds the meters that a sheet does not have.
fn add_meters(sheet: &mut PriceSheet, other: &PriceSheet) {
    let has = |listed: &ListedMeter| {
        sheet.meters.binary_search_by(|known| known.meter.id.cmp(&listed.meter.id)).is_ok()
    };
    let missing: Vec<ListedMeter> =
        other.meters.iter().filter(|listed| !has(listed)).cloned().collect();
    sheet.meters.extend(missing);
    sheet.meters.sort_by(|a, b| a.meter.id.cmp(&b.meter.id));
}

/// The meters that occur in the usage of a month's bills. Usage that reaches into it may begin in
/// the one before it or, if it lasts, long before; and, because zones differ, in the one after it.
async fn used(
    tx: &mut Tx,
    month: Month,
    programme: &Programme,
    known_at: i64,
) -> Result<Vec<MeterId>> {
    let (start, end) = BillingPeriods::of(programme, month).envelope();
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
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    pub programme: Option<Programme>,
    pub rates: Vec<RateRow>,
    pub sheet: Option<PriceSheet>,
}

/// Which closed months news would price differently. Refuses them unless there is a reason to
/// restate, and whatever cannot be restated: who sold what to whom, in which currency, how rounded.
///
/// Compares the rate books of each closed month with and without the news, for the subscriptions
/// and meters that were billed; what is new to the month does not count.
pub(crate) async fn restated_months(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    news: &News,
    reason: Option<&str>,
    hint: &str,
) -> Result<Vec<Month>> {
    let mut restated = Vec::new();
    let invoices = tx.invoices().await?;
    for close in tx.closes().await? {
        let month = close.month;
        let mut known = Known::newest(ctx, tx, month, i64::MAX).await?;
        // Adjustments have billed what became known since the close.
        let last = tx.revisions(month).await?.pop().map_or(close.known_at, |last| last.known_at);
        known.meters = used(tx, month, &known.programme, last).await?;
        let before = known.book(month)?;
        let taxed = Taxation::new(&known, &before).all();
        let billed: BTreeSet<_> = known.programme.subscriptions.keys().copied().collect();
        news.clone().learn((&mut known.programme, &mut known.sheets, &mut known.rates));
        known.programme.subscriptions.retain(|id, _| billed.contains(id));
        let now = known.book(month)?;
        let taxes = Taxation::new(&known, &now).all();
        let invoiced =
            |edge| invoices.iter().any(|i| (i.month, (i.seller, i.buyer)) == (month, edge));
        let other = taxed.iter().find(|(of, how)| invoiced(of.0) && taxes.get(of) != Some(how));
        if let Some((((seller, buyer), _), _)) = other {
            let name = |id| known.programme.key_of(id);
            return Err(Error::conflict(format!(
                "this would tax otherwise what {} sold to {} in {month}, which is closed; let the \
                 change begin after the month",
                name(*seller),
                name(*buyer)
            )));
        }
        if now.hash_in_force() == before.hash_in_force() {
            continue;
        }
        let same_terms = now.has_terms_of(&before);
        if reason.is_none() || !same_terms {
            return Err(refused(month, hint, same_terms));
        }
        restated.push(month);
    }
    Ok(restated)
}

fn refused(month: Month, hint: &str, same_terms: bool) -> Error {
    if !same_terms {
        return Error::conflict(format!(
            "this would change more than prices of {month}, which is closed{hint}: sale paths, \
             calendars and the first days of what is billed by them, currencies, rounding and \
             payment terms cannot be restated; let the change begin after the month"
        ));
    }
    Error::conflict(format!(
        "this would change prices of {month}, which is closed{hint}; let the change begin after \
         the month, or restate it: add --restate REASON and then see what it comes to with \
         `skyhandel restate --period {month}`"
    ))
}

impl News {
    /// Adds the news to what is known.
    pub fn learn(
        self,
        (known, sheets, rates): (
            &mut Programme,
            &mut BTreeMap<Key, PriceSheet>,
            &mut ExchangeRates,
        ),
    ) {
        if let Some(programme) = self.programme {
            *known = programme;
        }
        if let Some(sheet) = self.sheet {
            sheets.insert(sheet.key.clone(), sheet);
        }
        for row in self.rates {
            let (from, to) = (row.from, row.to);
            match row.source {
                RateSource::Ecb => rates.add_ecb(to, row.on, row.rate),
                RateSource::UsdSheet => {
                    rates.add_usd_sheet(from, Month::of(row.on), row.rate);
                }
                RateSource::Programme => {
                    rates.add_agreed(from, to, Month::of(row.on), row.rate);
                }
            }
        }
    }
}
