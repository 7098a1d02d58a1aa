//! What has been restated of closed months, and who bills by it.

use std::collections::BTreeMap;

use domain::Restatements;
use kernel::{Month, OrganisationId, Result};

use crate::db::{Tx, Value, int, text};
use crate::inbox::Generation;

/// A seller's decision to bill an edge of a closed month by what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptanceRow {
    /// The month.
    pub month: Month,
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// When, in microseconds since 1970; what was known then is what is accepted.
    pub known_at: i64,
    /// How the buyer consented, where it pays more.
    pub consent: Option<String>,
}

impl Tx {
    /// Records that facts which became known at an instant price closed months otherwise.
    pub async fn restate(&mut self, months: &[Month], known_at: i64, reason: &str) -> Result<()> {
        self.everything()?;
        self.changed(Generation::Facts).await?;
        let rows = months.iter().map(|month| vec![text(month), int(known_at), text(reason)]);
        self.insert("INSERT INTO restatement (month, known_at, reason)", "", rows).await
    }

    /// Records a decision.
    pub async fn accept_restatement(&mut self, row: &AcceptanceRow) -> Result<()> {
        self.everything()?;
        let values = vec![
            text(row.month),
            text(row.seller),
            text(row.buyer),
            int(row.known_at),
            Value::optional(row.consent.as_ref()),
        ];
        let into = "INSERT INTO restatement_acceptance \
                    (month, seller_id, buyer_id, known_at, consent)";
        self.insert(into, "", [values]).await
    }

    /// When facts of a month were restated, and why, as known at an instant; earliest first.
    pub async fn restated(&mut self, month: Month, known_at: i64) -> Result<Vec<(i64, String)>> {
        self.everything()?;
        let sql = "SELECT known_at, reason FROM restatement \
                   WHERE month = $1 AND known_at <= $2 ORDER BY known_at";
        let rows = self.fetch(sql, vec![text(month), int(known_at)]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect()
    }

    /// The decisions about a month, as known at an instant; earliest first.
    pub async fn acceptances(&mut self, month: Month, known_at: i64) -> Result<Vec<AcceptanceRow>> {
        self.everything()?;
        let sql = "SELECT seller_id, buyer_id, known_at, consent \
                   FROM restatement_acceptance WHERE month = $1 AND known_at <= $2 \
                   ORDER BY known_at, seller_id, buyer_id";
        let rows = self.fetch(sql, vec![text(month), int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(AcceptanceRow {
                    month,
                    seller: row.parsed(0, "organisation id")?,
                    buyer: row.parsed(1, "organisation id")?,
                    known_at: row.int(2)?,
                    consent: row.optional(3)?,
                })
            })
            .collect()
    }

    /// What has been restated of a month, as known at an instant.
    pub async fn restatements(&mut self, month: Month, known_at: i64) -> Result<Restatements> {
        self.everything()?;
        let since = self.restated(month, known_at).await?;
        let accepted = self.acceptances(month, known_at).await?;
        let accepted = accepted.iter().map(|row| ((row.seller, row.buyer), row.known_at));
        let agreed = self.first_agreed(known_at).await?;
        let since = since.into_iter().map(|(at, _)| at).collect();
        Ok(Restatements::new(since, accepted).with_agreed(agreed))
    }

    /// When each edge was first agreed, as known at an instant.
    async fn first_agreed(
        &mut self,
        known_at: i64,
    ) -> Result<BTreeMap<(OrganisationId, OrganisationId), i64>> {
        let sql = "SELECT seller_id, buyer_id, MIN(known_at) FROM agreement WHERE known_at <= $1 \
                   GROUP BY seller_id, buyer_id";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                let edge = (row.parsed(0, "organisation id")?, row.parsed(1, "organisation id")?);
                Ok((edge, row.int(2)?))
            })
            .collect()
    }
}
