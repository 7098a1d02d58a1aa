//! The files of adjustments: as they were frozen, with the prices that they were billed by.

use domain::{Action, Resource};
use std::collections::BTreeSet;
use std::path::Path;

use documents::daily::{self, CHARGE_ROUNDING};
use kernel::{Error, Month, Result};
use lake::usage::batches_of;
use rating::EdgeIndex;
use store::{CloseRow, InvoiceRow};

use super::daily::Decimal;
use super::price_lists::{PriceLists, Run};
use super::{
    ExportOptions, Frozen, RevisionFiles, WantedEdge, WrittenRevision, copy_documents, copy_table,
    make_folders, wanted,
};
use crate::Ctx;
use crate::adjust::{Side, billed_side, left_out};
use crate::facts::Known;
use crate::frozen::{Decimals, dictionary};
use crate::invoices::place;
use crate::naming::Naming;

/// A posted adjustment.
pub(super) struct Posted {
    close: CloseRow,
    side: Side,
    invoices: Vec<InvoiceRow>,
    /// The edges that were no longer corrected.
    beyond: BTreeSet<EdgeIndex>,
}

impl Posted {
    /// Loads every adjustment of a month, in order.
    pub async fn load_all(ctx: &Ctx<'_>, month: Month) -> Result<Vec<Self>> {
        let mut tx = ctx.read(Action::Read, Resource::Document).await?;
        let revisions = tx.revisions(month).await?;
        let invoices = tx.invoices().await?;
        let mut all = Vec::new();
        for pair in revisions.windows(2) {
            let [before, close] = pair else { continue };
            if !close.finished {
                return Err(Error::conflict(format!(
                    "an adjustment of {month} is not finished; go on with `skyhandel adjust \
                     --period {month} --post`"
                )));
            }
            let side = billed_side(ctx, &mut tx, before, close).await?;
            let of_revision = |i: &&InvoiceRow| (i.month, i.revision) == (month, close.revision);
            let invoices = invoices.iter().filter(of_revision).cloned().collect();
            let adjusted = revisions.iter().filter(|r| (1..=close.revision).contains(&r.revision));
            let out = left_out(&mut tx, month, &adjusted.collect::<Vec<_>>()).await?;
            let beyond = out.into_iter().filter_map(|(s, b)| side.book.find_edge(s, b)).collect();
            all.push(Self { close: close.clone(), side, invoices, beyond });
        }
        Ok(all)
    }

    /// What was known then.
    pub const fn known(&self) -> &Known {
        &self.side.known
    }

    /// When it was posted, by what had become known until then.
    pub const fn known_at(&self) -> i64 {
        self.close.known_at
    }

    /// Whether there is anything to be exported.
    pub fn has_wanted(&self, options: &ExportOptions) -> bool {
        let naming = Naming::new(&self.side.known, &self.side.book);
        let fits = |wish: &Option<String>, key: &str| wish.as_ref().is_none_or(|wish| wish == key);
        self.invoices.iter().any(|invoice| {
            fits(&options.seller, naming.key(invoice.seller))
                && fits(&options.buyer, naming.key(invoice.buyer))
        })
    }

    /// Writes what is wanted; nothing where no edge is.
    pub fn export(
        &self,
        frozen: &Frozen,
        to: &Path,
        options: &ExportOptions,
    ) -> Result<Option<WrittenRevision>> {
        let (book, revision) = (&self.side.book, self.close.revision);
        let naming = Naming::new(&self.side.known, book);
        let wanted = wanted((&self.invoices, book, &naming), to, options)?;
        if wanted.is_empty() {
            return Ok(None);
        }
        make_folders(&wanted)?;
        let place = place(options.month, revision);
        let lists = PriceLists::of(
            (&self.side.known, book),
            &self.invoices,
            &naming,
            self.runs(frozen, &naming, &place)?,
        );
        let (mut rounding, mut decimals) = (Vec::new(), Vec::new());
        for edge in &wanted {
            copy_documents(frozen, revision, edge, options.format)?;
            let file = format!("{place}/{}/{}/daily-rated-usage.parquet", edge.seller, edge.buyer);
            let copied = copy_daily(&frozen.document(&file)?, edge, options)?;
            rounding.push(copied.0);
            decimals.push(copied.1);
        }
        let files = RevisionFiles {
            frozen,
            close: &self.close,
            postings: &frozen.postings,
            received: None,
            lists,
            place: to.join(place),
            beyond: &self.beyond,
        };
        files.write(&wanted, options, &rounding, decimals).map(Some)
    }
}

impl Posted {
    /// The subscriptions and meters that have rows on some edge, and its position: what was rated
    /// again and came to the same is nobody's business.
    fn runs(&self, frozen: &Frozen, naming: &Naming<'_>, place: &str) -> Result<BTreeSet<Run>> {
        let book = &self.side.book;
        let mut runs = BTreeSet::new();
        for invoice in &self.invoices {
            let (seller, buyer) = (naming.key(invoice.seller), naming.key(invoice.buyer));
            let edge = book.find_edge(invoice.seller, invoice.buyer);
            let file = format!("{place}/{seller}/{buyer}/daily-rated-usage.parquet");
            for batch in
                batches_of(&frozen.document(&file)?, Some(&["SubscriptionId", "MeterId"]), None)?
            {
                let batch = batch?;
                let (subscription_keys, subscriptions) = dictionary(&batch, "SubscriptionId")?;
                let (meter_keys, meters) = dictionary(&batch, "MeterId")?;
                let keys = subscription_keys.iter().zip(&meter_keys);
                let keys: BTreeSet<(i32, i32)> = keys.map(|(s, m)| (*s, *m)).collect();
                for (subscription, meter) in keys {
                    let subscription =
                        book.find_subscription(subscriptions.value(subscription as usize));
                    let meter = book.find_meter(meters.value(meter as usize));
                    let Some((subscription, meter)) = subscription.zip(meter) else { continue };
                    let mut path = book.path(subscription).iter();
                    let position = path.position(|on| Some(*on) == edge);
                    runs.insert((subscription, meter, position.unwrap_or_default()));
                }
            }
        }
        Ok(runs)
    }
}

/// Copies a daily file; says how many of its rows make up for rounding, and its decimals.
fn copy_daily(
    file: &Path,
    edge: &WantedEdge<'_>,
    options: &ExportOptions,
) -> Result<(u64, Decimal)> {
    let (mut rounding, mut decimals) = (0, None);
    for batch in batches_of(file, None, None)? {
        let batch = batch?;
        let (keys, texts) = dictionary(&batch, "ChargeType")?;
        let is_rounding = |key: &&i32| texts.value(**key as usize) == CHARGE_ROUNDING;
        rounding += keys.iter().filter(is_rounding).count() as u64;
        decimals = Some(Decimal {
            billing: Decimals::of(&batch, "BillingPreTaxTotal")?.scale,
            pricing: Decimals::of(&batch, "PricingPreTaxTotal")?.scale,
        });
    }
    let decimals = decimals.ok_or_else(|| Error::internal("a daily file without rows"))?;
    let target = edge.folder.join("daily-rated-usage");
    copy_table(file, &target, options.format, &daily::layout(decimals.billing, decimals.pricing))?;
    Ok((rounding, decimals))
}
