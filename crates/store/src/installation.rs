//! Which installation a database is, and moving it to another.

use futures_util::TryStreamExt;
use kernel::{Error, InstallationId, Result};

use crate::db::{Tx, Value, int, text};

/// Rows that are moved with one statement at most.
const ROWS_AT_ONCE: usize = 1_000;

/// Which installation a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallationRow {
    /// Its id.
    pub id: InstallationId,
    /// How often it has been moved to another database.
    pub moves: u64,
}

impl Tx {
    /// Which installation this is; none while it is new.
    pub async fn installation(&mut self) -> Result<Option<InstallationRow>> {
        let rows = self.fetch("SELECT installation_id, moves FROM installation", vec![]).await?;
        let row = rows.first().map(|row| {
            let id = row.parsed(0, "installation id")?;
            Ok(InstallationRow { id, moves: row.int(1)? as u64 })
        });
        row.transpose()
    }

    /// Records which installation a new database is.
    pub async fn add_installation(&mut self, row: &InstallationRow) -> Result<()> {
        let sql = "INSERT INTO installation (one, installation_id, moves) VALUES (1, $1, $2)";
        self.execute(sql, vec![text(row.id), int(row.moves)]).await.map(|_| ())
    }

    /// Records that an installation has been moved here.
    pub async fn move_installation(&mut self, row: &InstallationRow) -> Result<()> {
        let sql = "UPDATE installation SET moves = $1";
        self.execute(sql, vec![int(row.moves)]).await.map(|_| ())
    }

    /// Writes every row into another database, which has none yet; says how many each table has.
    ///
    /// # Errors
    /// Where the other has rows, another schema, or reads back something else.
    pub async fn copy_to(&mut self, target: &mut Self) -> Result<Vec<(String, u64)>> {
        self.everything()?;
        let tables = self.tables().await?;
        if tables != target.tables().await? {
            return Err(Error::conflict("the other database has other tables; use an empty one"));
        }
        let mut copied = Vec::new();
        for table in tables {
            let kept = ["migration", "generation", "usage_inbox_state"].contains(&table.as_str());
            if kept {
                target.execute_text(format!("DELETE FROM {table}")).await?;
            } else if target.summary(&table).await? != Summary::default() {
                return Err(Error::conflict(format!(
                    "the other database is not empty: {table} has rows; use an empty one"
                )));
            }
            self.copy_table(&table, target).await?;
            let (here, there) = (self.summary(&table).await?, target.summary(&table).await?);
            if here != there {
                return Err(Error::internal(format!("{table} reads otherwise after the move")));
            }
            copied.push((table, here.rows));
        }
        Ok(copied)
    }

    async fn copy_table(&mut self, table: &str, target: &mut Self) -> Result<()> {
        let mut stream = self.stream_table(table);
        let mut rows: Vec<Vec<Value>> = Vec::new();
        let mut into = String::new();
        while let Some(row) = stream.try_next().await? {
            if into.is_empty() {
                into = format!("INSERT INTO {table} ({})", row.columns().join(", "));
            }
            rows.push(row.values()?);
            if rows.len() == ROWS_AT_ONCE {
                target.insert_text(&into, std::mem::take(&mut rows)).await?;
            }
        }
        target.insert_text(&into, rows).await
    }

    /// What a table holds, whatever the order of its rows.
    async fn summary(&mut self, table: &str) -> Result<Summary> {
        let mut stream = self.stream_table(table);
        let mut summary = Summary::default();
        while let Some(row) = stream.try_next().await? {
            let mut values: Vec<_> = row.columns().into_iter().zip(row.values()?).collect();
            values.sort_by(|(a, _), (b, _)| a.cmp(b));
            summary.add(&values);
        }
        Ok(summary)
    }
}

/// How many rows, and the sum of their hashes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    rows: u64,
    sum: u64,
}

impl Summary {
    fn add(&mut self, row: &[(String, Value)]) {
        use std::hash::{DefaultHasher, Hasher};
        let mut hash = DefaultHasher::new();
        for (column, value) in row {
            hash.write(column.as_bytes());
            hash.write_u8(b'=');
            // Nothing is nothing, whichever column it stands in.
            match value {
                Value::Text(text) => hash.write(text.as_bytes()),
                Value::Int(int) => hash.write_i64(*int),
                Value::Bytes(bytes) => hash.write(bytes),
                Value::Null | Value::NullInt => hash.write_u8(0),
            }
            hash.write_u8(b'\n');
        }
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash.finish());
    }
}
