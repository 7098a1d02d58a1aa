//! What is known about the credit that partners earn.

use domain::{AccessScope, CreditException, CreditFacts, EarnedCredit, EligibleAccess};
use kernel::Result;

use crate::db::{Tx, Value, inconsistent, int, text};
use crate::programme::{days, validity};

impl Tx {
    /// Appends what has changed.
    pub(crate) async fn add_credits(&mut self, changes: &CreditFacts, known: &Value) -> Result<()> {
        let rows = changes.granted.iter().map(|granted| {
            let (from, until) = days(granted.validity);
            let except: Vec<String> = granted.except.iter().map(ToString::to_string).collect();
            let seller = text(granted.seller);
            vec![seller, from, known.clone(), until, text(granted.percent), text(except.join("\n"))]
        });
        let into = "INSERT INTO earned_credit (seller_id, from_on, known_at, until_on, \
                    credit_percent, exceptions)";
        self.insert(into, "", rows).await?;
        let rows = changes.access.iter().map(|access| {
            let (from, until) = days(access.validity);
            vec![
                text(access.partner),
                text(access.subscription),
                text(access.scope.as_str()),
                from,
                known.clone(),
                until,
            ]
        });
        let into = "INSERT INTO eligible_access (partner_id, subscription_id, access_scope, \
                    from_on, known_at, until_on)";
        self.insert(into, "", rows).await
    }

    /// What was known at an instant.
    pub(crate) async fn credits(&mut self, known_at: i64) -> Result<CreditFacts> {
        Ok(CreditFacts {
            granted: self.granted(known_at).await?,
            access: self.access(known_at).await?,
        })
    }

    async fn granted(&mut self, known_at: i64) -> Result<Vec<EarnedCredit>> {
        let sql = "SELECT seller_id, from_on, until_on, credit_percent, exceptions \
                   FROM earned_credit e WHERE known_at = (SELECT MAX(known_at) \
                   FROM earned_credit k WHERE k.seller_id = e.seller_id \
                     AND k.from_on = e.from_on AND k.known_at <= $1) \
                   ORDER BY seller_id, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                let except = row.text(4)?;
                let except = except.lines().map(|line| {
                    let parsed = line.parse::<CreditException>();
                    parsed.map_err(|why| inconsistent("exception of a credit", line, &why))
                });
                Ok(EarnedCredit {
                    seller: row.parsed(0, "organisation id")?,
                    validity: validity(row, 1, 2)?,
                    percent: row.parsed(3, "credit")?,
                    except: except.collect::<Result<_>>()?,
                })
            })
            .collect()
    }

    async fn access(&mut self, known_at: i64) -> Result<Vec<EligibleAccess>> {
        let sql = "SELECT partner_id, subscription_id, access_scope, from_on, until_on \
                   FROM eligible_access e WHERE known_at = (SELECT MAX(known_at) \
                   FROM eligible_access k WHERE k.partner_id = e.partner_id \
                     AND k.subscription_id = e.subscription_id \
                     AND k.access_scope = e.access_scope AND k.from_on = e.from_on \
                     AND k.known_at <= $1) \
                   ORDER BY partner_id, subscription_id, access_scope, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                let scope = row.text(2)?;
                let scope = match scope.as_str() {
                    "" => AccessScope::ALL,
                    text => {
                        text.parse().map_err(|why| inconsistent("scope of access", text, &why))?
                    }
                };
                Ok(EligibleAccess {
                    partner: row.parsed(0, "organisation id")?,
                    subscription: row.parsed(1, "subscription id")?,
                    scope,
                    validity: validity(row, 3, 4)?,
                })
            })
            .collect()
    }
}
