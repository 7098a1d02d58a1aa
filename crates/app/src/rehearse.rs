//! Rehearsing a draft: what a month's real usage comes to by the facts in force and by a draft of
//! new ones, side by side. Nothing is kept.
//!
//! Both are rated in one pass over the usage: the rate book has every edge twice.

mod sums;

use domain::{Action, Resource};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use kernel::{Error, Money, Month, Result};
use rating::{PriceFacts, RateBook, Rater};

use crate::Ctx;
use crate::facts::{Known, News, price_facts};
use crate::imports::{PriceOptions, draft_prices};
use crate::naming::Naming;
use crate::partitions::{PeriodUsage, in_parallel_with};
use crate::rate::{MissingPrice, missing_of};
use crate::sheets;
pub(crate) use sums::Sums;

/// A draft.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// A programme file: its name and content.
    pub programme: Option<(String, String)>,
    /// Price files and how to read them.
    pub prices: Option<(Vec<PathBuf>, PriceOptions)>,
    /// Take the prices and agreements of this day, all month long: for a draft that begins later.
    pub as_of: Option<Date>,
}

/// A month, rated by the facts in force and by a draft.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// The month.
    pub month: Month,
    /// How many usage records there are.
    pub records: u64,
    /// Each edge.
    pub edges: Vec<Compared>,
    /// Each customer for whom something changes, on each edge.
    pub customers: Vec<Compared>,
    /// Each meter for which something changes, on each edge.
    pub meters: Vec<Compared>,
    /// Usage without a price by the facts in force.
    pub missing_now: Vec<MissingPrice>,
    /// Usage without a price by the draft.
    pub missing: Vec<MissingPrice>,
}

/// What something comes to, by the facts in force and by the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The customer's key, or the meter's id; nothing for a whole edge.
    pub of: String,
    /// By the facts in force.
    pub now: Side,
    /// By the draft.
    pub draft: Side,
}

/// An amount and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// What the buyer pays before tax.
    pub net: Money,
    /// What is left after what the seller pays; none for the provider, and where no exchange rate
    /// leads from what it pays to what it gets.
    pub margin: Option<Money>,
}

impl Compared {
    /// Whether the draft changes anything.
    pub fn changes(&self) -> bool {
        self.now != self.draft
    }

    /// Whether the seller would sell for less than it pays.
    pub fn loses(&self) -> bool {
        self.draft.margin.is_some_and(|margin| margin.minor() < 0)
    }
}

/// Rates a month by a draft beside the facts in force. The month may be open or closed; a closed
/// one is compared with what it was billed by.
///
/// # Errors
/// Where the draft does not hold together, and where it would sell something along another path.
pub async fn rehearse(
    ctx: Ctx<'_>,
    month: Month,
    draft: &Draft,
    workers: usize,
) -> Result<Rehearsed> {
    let mut tx = ctx.read(Action::Read, Resource::Rehearsal).await?;
    let known = Known::load(&ctx, &mut tx, month, i64::MAX).await?;
    let mut drafted = price_facts(&ctx, &mut tx, month, i64::MAX).await?;
    if let Some((name, text)) = &draft.programme {
        let news = crate::programme::draft(&mut tx, (name, text)).await?;
        learn(&mut drafted, news);
        let lake = ctx.installation.lake();
        drafted.sheets = sheets::of_programme(&mut tx, &lake, &drafted.programme, i64::MAX).await?;
    }
    if let Some((files, options)) = &draft.prices {
        for file in files {
            // A file adds to what the one before has made of the sheet.
            let known = drafted.sheets.get(&options.sheet).cloned();
            let sheet = draft_prices(&ctx, (file, options), known)?;
            learn(&mut drafted, News { sheet: Some(sheet), ..News::default() });
        }
    }
    if let Some(day) = draft.as_of {
        drafted = drafted.as_of(day);
    }
    refuse_other_paths(&known, &drafted)?;
    let book = known.book_beside(month, &drafted)?;
    let usage = PeriodUsage::load(&ctx, &mut tx, book.usage_period(), i64::MAX).await?;
    drop(tx);
    let sums = rate(&ctx, &book, &usage, workers)?;
    let naming = Naming::new(&known, &book);
    let missing = |beside: bool| {
        let of_side = sums.unpriced.iter().filter(|unpriced| match unpriced.edge {
            Some(edge) => book.is_beside(edge) == beside,
            None => !beside,
        });
        missing_of(&known, &book, of_side)
    };
    Ok(Rehearsed {
        month,
        records: sums.records,
        edges: sums.edges(&naming)?,
        customers: sums.customers(&naming)?,
        meters: sums.meters(&naming)?,
        missing_now: missing(false),
        missing: missing(true),
    })
}

fn learn(facts: &mut PriceFacts, news: News) {
    news.learn((&mut facts.programme, &mut facts.sheets, &mut facts.rates));
}

/// Usage has gone along the paths that it has gone.
fn refuse_other_paths(known: &Known, drafted: &PriceFacts) -> Result<()> {
    let sold = known.programme.subscriptions.values();
    let other = sold.into_iter().find(|sold| {
        let drafted = drafted.programme.subscriptions.get(&sold.id);
        drafted.is_none_or(|drafted| drafted.path != sold.path)
    });
    other.map_or(Ok(()), |sold| {
        Err(Error::conflict(format!(
            "the draft sells subscription {} along another path; only prices and terms can be \
             rehearsed on usage of the past",
            sold.id
        )))
    })
}

/// Rates usage by a book that has every edge twice.
pub(crate) fn rate<'b>(
    ctx: &Ctx<'_>,
    book: &'b RateBook,
    usage: &PeriodUsage,
    workers: usize,
) -> Result<Sums<'b>> {
    let partitions = usage.partitioning.len();
    let columns = usage.columns_for_totals(book);
    ctx.progress.begin("rating", Some(partitions as u64));
    let rater = || Rater::new(book, None);
    // Each worker adds up what it rates; whoever is free takes sums over.
    let pool: Mutex<Vec<Sums<'_>>> = Mutex::new(Vec::new());
    let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
    in_parallel_with(workers, partitions, rater, |rater, index| {
        let taken = lock().pop();
        let mut sums = taken.unwrap_or_else(|| Sums::new(book));
        let before = rater.records();
        usage.reader(index, columns).read(|batch| rater.push(&batch, &mut sums))?;
        sums.records += rater.records() - before;
        rater.finish(&mut sums)?;
        sums.finish()?;
        ctx.progress.advance(1);
        lock().push(sums);
        Ok(())
    })?;
    ctx.progress.end();
    let mut all = Sums::new(book);
    let parts = pool.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.into_iter().try_for_each(|part| all.merge(part))?;
    all.unpriced.sort_by(|a, b| {
        (a.edge, &a.subscription, &a.meter).cmp(&(b.edge, &b.subscription, &b.meter))
    });
    Ok(all)
}
