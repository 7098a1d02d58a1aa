//! Programs that call the service.

use domain::Duty;
use kernel::{ApplicationId, OrganisationId, Result};

use crate::db::{Row, Tx, Value, int, text};

/// A program that calls the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRow {
    /// Its id.
    pub id: ApplicationId,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub duty: Duty,
    /// In whose name; nobody's for an operator.
    pub organisation: Option<OrganisationId>,
    /// The hash of its secret.
    pub secret_sha256: String,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
}

impl Tx {
    /// Adds an application.
    pub async fn add_application(&mut self, row: &ApplicationRow) -> Result<()> {
        let sql = "INSERT INTO application (application_id, name, duty, organisation_id, \
                   secret_sha256, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let values = vec![
            text(row.id),
            text(&row.name),
            text(row.duty),
            Value::optional(row.organisation),
            text(&row.secret_sha256),
            int(row.created_at),
        ];
        self.execute(sql, values).await.map(|_| ())
    }

    /// An application that may be seen and has not been taken away.
    pub async fn application(&mut self, id: ApplicationId) -> Result<Option<ApplicationRow>> {
        let sql = "SELECT application_id, name, duty, organisation_id, secret_sha256, created_at \
                   FROM application WHERE application_id = $1 AND deleted_at IS NULL AND \
                   (CAST($2 AS TEXT) IS NULL OR organisation_id = $2)";
        let values = vec![text(id), self.party()];
        let rows = self.fetch(sql, values).await?;
        rows.first().map(application_row).transpose()
    }

    /// The applications that may be seen, oldest first, behind one of them.
    pub async fn applications(
        &mut self,
        after: Option<(i64, ApplicationId)>,
        limit: u16,
    ) -> Result<Vec<ApplicationRow>> {
        let sql = "SELECT application_id, name, duty, organisation_id, secret_sha256, created_at \
                   FROM application WHERE deleted_at IS NULL AND \
                   (CAST($1 AS TEXT) IS NULL OR organisation_id = $1) AND \
                   (created_at, application_id) > ($2, $3) \
                   ORDER BY created_at, application_id LIMIT $4";
        let (at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at, id.to_string()));
        let rows = self.fetch(sql, vec![self.party(), int(at), text(id), int(limit)]).await?;
        rows.iter().map(application_row).collect()
    }

    /// Takes an application away.
    pub async fn delete_application(&mut self, id: ApplicationId, now: i64) -> Result<()> {
        let sql = "UPDATE application SET deleted_at = $1 WHERE application_id = $2 AND \
                   (CAST($3 AS TEXT) IS NULL OR organisation_id = $3)";
        let values = vec![int(now), text(id), self.party()];
        self.execute(sql, values).await.map(|_| ())
    }
}

fn application_row(row: &Row) -> Result<ApplicationRow> {
    Ok(ApplicationRow {
        id: row.parsed(0, "application id")?,
        name: row.text(1)?,
        duty: row.parsed(2, "duty")?,
        organisation: row.parsed_optional(3, "organisation id")?,
        secret_sha256: row.text(4)?,
        created_at: row.int(5)?,
    })
}
