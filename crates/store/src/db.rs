//! The database: the one file that imports the driver.
//!
//! One SQL text runs on every database; which one is decided by the URL. Columns are text or
//! 64-bit integers, placeholders are `$1`, transactions are serializable. There is no transaction
//! without a [`Scope`].

use std::fmt::Write as _;
use std::path::Path;

use domain::Scope;
use kernel::{Error, Result};
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, AssertSqlSafe, Row as _, Transaction};

/// Placeholders that one statement may have. SQLite would take 32,766, but it looks `$n` up by
/// name, one after the other, so that long statements cost the square of their length.
const PLACEHOLDERS_MAX: usize = 600;

/// The migrations, in order. They only add.
const MIGRATIONS: [(&str, &str); 9] = [
    ("0001_facts", include_str!("../migrations/0001_facts.sql")),
    ("0002_catalogue", include_str!("../migrations/0002_catalogue.sql")),
    ("0003_close", include_str!("../migrations/0003_close.sql")),
    ("0004_revisions", include_str!("../migrations/0004_revisions.sql")),
    ("0005_restatements", include_str!("../migrations/0005_restatements.sql")),
    ("0006_tax", include_str!("../migrations/0006_tax.sql")),
    ("0007_received", include_str!("../migrations/0007_received.sql")),
    ("0008_credit", include_str!("../migrations/0008_credit.sql")),
    ("0009_calendars", include_str!("../migrations/0009_calendars.sql")),
];

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Null,
}

impl Value {
    /// Text, or nothing.
    pub fn optional(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_string()))
    }
}

/// Anything that is written as text.
pub(crate) fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// A count or an instant.
pub(crate) fn int(value: impl TryInto<i64>) -> Value {
    Value::Int(value.try_into().unwrap_or(i64::MAX))
}

/// A database and its connections.
#[derive(Debug, Clone)]
pub struct Db {
    pool: AnyPool,
}

impl Db {
    /// Opens, or makes, the embedded database in a folder and brings it up to date.
    pub async fn open_embedded(folder: &Path) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", folder.join("skyhandel.db").display());
        let pool = AnyPoolOptions::new().max_connections(4).after_connect(|connection, _| {
            Box::pin(async move {
                // Committed means on disk, also when the machine loses power.
                for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"] {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        });
        let pool = pool.connect(&url).await.map_err(|error| {
            Error::conflict(format!("the database {url} cannot be opened: {error}"))
        })?;
        let db = Self { pool };
        db.migrate().await?;
        Ok(db)
    }

    /// A transaction that reads a consistent state.
    pub async fn read(&self, scope: &Scope) -> Result<Tx> {
        self.begin(scope, "BEGIN").await
    }

    /// A transaction that may write; others that write wait.
    pub async fn write(&self, scope: &Scope) -> Result<Tx> {
        self.begin(scope, "BEGIN IMMEDIATE").await
    }

    async fn begin(&self, _scope: &Scope, statement: &'static str) -> Result<Tx> {
        let inner = self.pool.begin_with(statement).await.map_err(database)?;
        Ok(Tx { inner })
    }

    async fn migrate(&self) -> Result<()> {
        let mut tx = Tx { inner: self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(database)? };
        let table = "CREATE TABLE IF NOT EXISTS migration (name TEXT NOT NULL PRIMARY KEY)";
        tx.execute(table, vec![]).await?;
        let done = tx.fetch("SELECT name FROM migration", vec![]).await?;
        let done: Vec<String> = done.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
        for (name, script) in MIGRATIONS {
            if done.iter().any(|done| done == name) {
                continue;
            }
            for statement in statements(script) {
                tx.execute(statement, vec![]).await?;
            }
            tx.execute("INSERT INTO migration (name) VALUES ($1)", vec![text(name)]).await?;
        }
        tx.commit().await
    }
}

/// The statements of a script: they end with a semicolon, and comments fill whole lines.
fn statements(script: &'static str) -> impl Iterator<Item = &'static str> {
    script.split(';').map(str::trim).filter(|statement| {
        statement.lines().any(|line| !line.trim().is_empty() && !line.starts_with("--"))
    })
}

/// A transaction. What is not committed never happened.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
}

impl Tx {
    /// Makes everything that was written durable and visible.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await.map_err(database)
    }

    /// The instant at which what this transaction writes becomes known: `now`, or just after the
    /// latest one so far where the clock has not moved on. No two transactions share one.
    pub async fn known_at(&mut self, now: i64) -> Result<i64> {
        let sql = "INSERT INTO known_instant (one, latest) VALUES (1, $1) \
                   ON CONFLICT (one) DO UPDATE SET latest = CASE \
                   WHEN known_instant.latest >= excluded.latest THEN known_instant.latest + 1 \
                   ELSE excluded.latest END RETURNING latest";
        let rows = self.fetch(sql, vec![int(now)]).await?;
        rows.first()
            .map_or_else(|| Err(Error::internal("no instant was recorded")), |row| row.int(0))
    }

    /// Runs a statement; says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        let mut query = sqlx::query(sql);
        for value in values {
            query = bind(query, value);
        }
        let done = query.execute(&mut *self.inner).await.map_err(database)?;
        Ok(done.rows_affected())
    }

    /// The rows of a query.
    pub(crate) async fn fetch(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let mut query = sqlx::query(sql);
        for value in values {
            query = bind(query, value);
        }
        let rows = query.fetch_all(&mut *self.inner).await.map_err(database)?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Inserts many rows with few statements. `into` is the statement up to `VALUES`, `after`
    /// what follows the rows.
    pub(crate) async fn insert(
        &mut self,
        into: &'static str,
        after: &'static str,
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Result<()> {
        let mut rows = rows.into_iter().peekable();
        while let Some(first) = rows.peek() {
            let columns = first.len();
            let mut sql = format!("{into} VALUES ");
            let mut values = Vec::new();
            while values.len() + columns <= PLACEHOLDERS_MAX {
                let Some(row) = rows.next() else { break };
                sql.push_str(if values.is_empty() { "(" } else { ", (" });
                for at in 0..columns {
                    let comma = if at == 0 { "" } else { ", " };
                    // Writing into a text cannot fail.
                    let _ = write!(sql, "{comma}${}", values.len() + at + 1);
                }
                sql.push(')');
                values.extend(row);
            }
            sql.push(' ');
            sql.push_str(after);
            // Safe: the text is made of constants and placeholders alone.
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for value in values {
                query = bind(query, value);
            }
            query.execute(&mut *self.inner).await.map_err(database)?;
        }
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

fn bind(query: Query<'_>, value: Value) -> Query<'_> {
    match value {
        Value::Text(text) => query.bind(text),
        Value::Int(int) => query.bind(int),
        Value::Null => query.bind(None::<String>),
    }
}

/// A row of a result.
pub(crate) struct Row(AnyRow);

impl Row {
    /// The text of a column.
    pub fn text(&self, column: usize) -> Result<String> {
        self.0.try_get(column).map_err(database)
    }

    /// The text of a column that may have none.
    pub fn optional(&self, column: usize) -> Result<Option<String>> {
        self.0.try_get(column).map_err(database)
    }

    /// The integer of a column.
    pub fn int(&self, column: usize) -> Result<i64> {
        self.0.try_get(column).map_err(database)
    }

    /// The integer of a column that may have none.
    pub fn optional_int(&self, column: usize) -> Result<Option<i64>> {
        self.0.try_get(column).map_err(database)
    }

    /// A column that reads as something; what it is, for the message when it does not.
    pub fn parsed<T>(&self, column: usize, what: &'static str) -> Result<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(column)?;
        text.parse().map_err(|error| inconsistent(what, &text, &error))
    }

    /// A column that reads as something or is empty.
    pub fn parsed_optional<T>(&self, column: usize, what: &'static str) -> Result<Option<T>>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.optional(column)?;
        text.map(|text| text.parse().map_err(|error| inconsistent(what, &text, &error))).transpose()
    }
}

/// A row that could not have been written by us.
pub(crate) fn inconsistent(what: &str, text: &str, error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the database has \"{text}\" as {what}, which {error}"))
}

fn database(error: sqlx::Error) -> Error {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return Error::conflict(format!("this has been recorded before: {error}"));
    }
    Error::internal(format!("database: {error}"))
}
