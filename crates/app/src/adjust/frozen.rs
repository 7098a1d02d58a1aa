//! What has been billed, as the documents froze it, against what rating it again gives.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Error, Quantity, Result};

use super::{Both, Work};
use lake::usage::Wanted;

use crate::Ctx;
use crate::frozen::{BilledKey as Key, groups_name, read_billed};
use crate::invoices::place;
use crate::sheets;

/// The file of all groups of an adjustment.
pub(crate) const GROUPS: &str = "groups.parquet";

impl Work {
    /// Rated again, what was billed must come to what was frozen; otherwise a difference would
    /// bill a mistake.
    pub fn check_frozen(&self, ctx: &Ctx<'_>, rated: &Both) -> Result<()> {
        let frozen = self.billed(ctx)?;
        let book = &self.before.book;
        let again: BTreeMap<Key, (Quantity, i64)> = rated
            .before
            .groups
            .iter()
            .map(|group| {
                let subscription = book.subscription_id(group.subscription).to_string();
                let meter = book.meters()[group.meter.get()].as_str().to_owned();
                let key = (subscription, meter, group.position, group.tier);
                (key, (group.quantity, group.money))
            })
            .collect();
        if again == frozen {
            return Ok(());
        }
        let keys = again.keys().chain(frozen.keys());
        let differs = keys.into_iter().find(|key| again.get(key) != frozen.get(key));
        let place = differs.map_or_else(String::new, |(subscription, meter, position, tier)| {
            let (position, tier) = (position + 1, tier);
            format!("subscription {subscription}, meter {meter}, edge {position}, tier {tier}")
        });
        Err(Error::conflict(format!(
            "rated again as it was known then, {} does not come to what was billed: {place}; the \
             data folder has been changed, or the engine has: see `skyhandel shadow --period {}`",
            self.month, self.month
        )))
    }

    /// The billed groups of everything that is rated again: of its last revision.
    fn billed(&self, ctx: &Ctx<'_>) -> Result<BTreeMap<Key, (Quantity, i64)>> {
        let mut billed: BTreeMap<Key, (Quantity, i64)> = BTreeMap::new();
        for partition in 0..self.now.partitions() {
            if self.now.meets(&self.touched, partition) {
                let name = groups_name(partition);
                self.overlay(ctx, &format!("{}/rated-lines/{name}", self.month), &mut billed)?;
            }
        }
        for revision in 1..=self.last.revision {
            let path = format!("{}/{GROUPS}", place(self.month, revision));
            self.overlay(ctx, &path, &mut billed)?;
        }
        Ok(billed)
    }

    /// Puts the groups of a file in the place of those that were billed before it.
    fn overlay(
        &self,
        ctx: &Ctx<'_>,
        path: &str,
        billed: &mut BTreeMap<Key, (Quantity, i64)>,
    ) -> Result<()> {
        let file = ctx.installation.documents().join(path);
        let row = self.documents.iter().find(|document| document.path == path);
        let row = row.ok_or_else(|| Error::internal(format!("{path} is not a document")))?;
        sheets::check_sha256(&file, &row.sha256)?;
        let wanted = |subscription: &str, meter: &str| self.touched.has(subscription, meter);
        let rows = read_billed(&file, wanted)?;
        let anew: BTreeSet<(&str, &str)> =
            rows.iter().map(|((s, m, ..), _)| (s.as_str(), m.as_str())).collect();
        billed.retain(|(s, m, ..), _| !anew.contains(&(s.as_str(), m.as_str())));
        drop(anew);
        billed.extend(rows);
        Ok(())
    }
}
