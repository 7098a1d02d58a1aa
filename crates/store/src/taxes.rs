//! What is known about taxes.

use domain::{TaxFacts, TaxOverride, TaxRate, TaxRegistration};
use kernel::Result;

use crate::db::{Tx, Value, int, text};
use crate::programme::{days, validity};

impl Tx {
    /// Appends what has changed.
    pub(crate) async fn add_taxes(&mut self, changes: &TaxFacts, known: &Value) -> Result<()> {
        let rows = changes.registrations.iter().map(|registration| {
            let (from, until) = days(registration.validity);
            let (on, how) = registration.checked.clone().unzip();
            vec![
                text(registration.organisation),
                text(registration.country),
                from,
                known.clone(),
                until,
                text(&registration.vat_id),
                Value::optional(on),
                Value::optional(how),
            ]
        });
        let into = "INSERT INTO tax_registration (organisation_id, country, from_on, known_at, \
                    until_on, vat_id, checked_on, checked_how)";
        self.insert(into, "", rows).await?;
        let rows = changes.rates.iter().map(|rate| {
            let (from, until) = days(rate.validity);
            vec![
                text(rate.country),
                text(&rate.category),
                from,
                known.clone(),
                until,
                text(rate.rate),
                Value::optional(rate.exemption.as_ref()),
            ]
        });
        let into = "INSERT INTO tax_rate (country, tax_category, from_on, known_at, until_on, \
                    rate, exemption)";
        self.insert(into, "", rows).await?;
        let rows = changes.overrides.iter().map(|decided| {
            let (from, until) = days(decided.validity);
            vec![
                text(decided.seller),
                text(decided.buyer),
                from,
                known.clone(),
                until,
                text(decided.category),
                text(decided.rate),
                text(&decided.reason),
            ]
        });
        let into = "INSERT INTO tax_override (seller_id, buyer_id, from_on, known_at, until_on, \
                    category, rate, reason)";
        self.insert(into, "", rows).await
    }

    /// What was known at an instant.
    pub(crate) async fn taxes(&mut self, known_at: i64) -> Result<TaxFacts> {
        Ok(TaxFacts {
            registrations: self.tax_registrations(known_at).await?,
            rates: self.tax_rates(known_at).await?,
            overrides: self.tax_overrides(known_at).await?,
        })
    }

    async fn tax_registrations(&mut self, known_at: i64) -> Result<Vec<TaxRegistration>> {
        let sql = "SELECT organisation_id, country, from_on, until_on, vat_id, checked_on, \
                   checked_how FROM tax_registration r WHERE known_at = ( \
                   SELECT MAX(known_at) FROM tax_registration k \
                   WHERE k.organisation_id = r.organisation_id AND k.country = r.country \
                     AND k.from_on = r.from_on AND k.known_at <= $1) \
                   ORDER BY organisation_id, country, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                let on = row.parsed_optional(5, "day of a check")?;
                Ok(TaxRegistration {
                    organisation: row.parsed(0, "organisation id")?,
                    country: row.parsed(1, "country")?,
                    validity: validity(row, 2, 3)?,
                    vat_id: row.text(4)?,
                    checked: on.zip(row.optional(6)?),
                })
            })
            .collect()
    }

    async fn tax_rates(&mut self, known_at: i64) -> Result<Vec<TaxRate>> {
        let sql = "SELECT country, tax_category, from_on, until_on, rate, exemption \
                   FROM tax_rate r WHERE known_at = (SELECT MAX(known_at) FROM tax_rate k \
                   WHERE k.country = r.country AND k.tax_category = r.tax_category \
                     AND k.from_on = r.from_on AND k.known_at <= $1) \
                   ORDER BY country, tax_category, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(TaxRate {
                    country: row.parsed(0, "country")?,
                    category: row.parsed(1, "tax category")?,
                    validity: validity(row, 2, 3)?,
                    rate: row.parsed(4, "tax rate")?,
                    exemption: row.optional(5)?,
                })
            })
            .collect()
    }

    async fn tax_overrides(&mut self, known_at: i64) -> Result<Vec<TaxOverride>> {
        let sql = "SELECT seller_id, buyer_id, from_on, until_on, category, rate, reason \
                   FROM tax_override o WHERE known_at = (SELECT MAX(known_at) FROM tax_override k \
                   WHERE k.seller_id = o.seller_id AND k.buyer_id = o.buyer_id \
                     AND k.from_on = o.from_on AND k.known_at <= $1) \
                   ORDER BY seller_id, buyer_id, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(TaxOverride {
                    seller: row.parsed(0, "organisation id")?,
                    buyer: row.parsed(1, "organisation id")?,
                    validity: validity(row, 2, 3)?,
                    category: row.parsed(4, "tax category")?,
                    rate: row.parsed(5, "tax rate")?,
                    reason: row.text(6)?,
                })
            })
            .collect()
    }
}
