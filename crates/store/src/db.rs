//! The database: the one file that imports the driver.
//!
//! One SQL text runs on SQLite and on PostgreSQL; which one is decided by the URL. Columns are
//! text, 64-bit integers or bytes, placeholders are `$1`, transactions are serializable. There is
//! no transaction without a [`Scope`].
//!
//! Writers take turns, on either database: whoever has the [`Turn`] reads what it changes as if it
//! were alone, and never has to start again because of another.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::{Because, Scope};
use futures_util::{Stream, StreamExt as _};
use kernel::{Error, Result};
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow, AnyTypeInfoKind};
use sqlx::{
    Any, AnyPool, AssertSqlSafe, Column as _, Executor as _, Row as _, Transaction, ValueRef as _,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::migrations;

/// Placeholders that one statement may have. SQLite would take 32,766, but it looks `$n` up by
/// name, one after the other, so that long statements cost the square of their length.
const PLACEHOLDERS_MAX: usize = 600;
/// Connections that a process has at most.
const CONNECTIONS_MAX: u32 = 12;
/// How long somebody waits for a connection or for another's turn.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Where a database is: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/NAME`. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    engine: Engine,
    url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

impl DatabaseUrl {
    /// The embedded database of a data folder.
    pub fn embedded(folder: &Path) -> Self {
        let url = format!("sqlite:{}", folder.join("skyhandel.db").display());
        Self { engine: Engine::Sqlite, url }
    }

    /// The file of an embedded database; only one process can work with it.
    pub fn file(&self) -> Option<&Path> {
        let path = self.url.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }

    fn to_open(&self) -> String {
        match self.file() {
            Some(file) => format!("sqlite://{}?mode=rwc", file.display()),
            None => self.url.clone(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let engine = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Engine::Sqlite,
            Some("postgres" | "postgresql") => Engine::Postgres,
            _ => {
                return Err("is not the URL of a database; use sqlite:FILE or \
                            postgres://USER:PASSWORD@HOST/NAME"
                    .to_owned());
            }
        };
        Ok(Self { engine, url: url.to_owned() })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return f.write_str(&self.url);
        };
        // What follows the question mark may hold a password as well.
        let rest = rest.split('?').next().unwrap_or(rest);
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What may be written by one transaction at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Facts, closes and everything else.
    Facts,
    /// Usage as it comes in, which does not wait for the rest.
    Inbox,
    /// Both: what has come in moves on.
    Usage,
}

/// Long work that only one does at a time, while others go on reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    /// Writing files of the lake.
    Lake,
    /// Billing a month.
    Billing,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Bytes(Vec<u8>),
    /// No text.
    Null,
    /// No integer: PostgreSQL tells them apart.
    NullInt,
}

impl Value {
    /// Text, or nothing.
    pub fn optional(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_string()))
    }

    /// An integer, or nothing.
    pub fn optional_int(value: Option<impl TryInto<i64>>) -> Self {
        value.map_or(Self::NullInt, int)
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
    engine: Engine,
    pool: AnyPool,
    /// Whose turn it is within this process, so that waiting costs no connection.
    turns: [Arc<Mutex<()>>; 2],
    /// Who is at which work within this process.
    work: [Arc<Mutex<()>>; 2],
}

impl Db {
    /// Opens a database, or makes it if it is embedded, and brings it up to date.
    ///
    /// # Errors
    /// Where it cannot be reached, and where it would sort otherwise than by bytes.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let engine = url.engine;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(WAIT_MAX)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in at_connect(engine) {
                        sqlx::query(*statement).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            });
        let pool = pool.connect(&url.to_open()).await.map_err(|error| {
            Error::conflict(format!("the database {url} cannot be opened: {error}"))
        })?;
        let db = Self { engine, pool, turns: Default::default(), work: Default::default() };
        db.migrate().await?;
        Ok(db)
    }

    /// A transaction that reads a consistent state.
    pub async fn read(&self, scope: &Scope) -> Result<Tx> {
        let statement = match self.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        };
        self.begin(scope, statement, Vec::new()).await
    }

    /// A transaction that may write; others that write wait.
    pub async fn write(&self, scope: &Scope) -> Result<Tx> {
        self.write_in(scope, Turn::Facts).await
    }

    /// A transaction that may write what a turn is about.
    pub async fn write_in(&self, scope: &Scope, turn: Turn) -> Result<Tx> {
        let turns = match (self.engine, turn) {
            (Engine::Sqlite, _) | (_, Turn::Facts) => &self.turns[..1],
            (_, Turn::Inbox) => &self.turns[1..],
            (_, Turn::Usage) => &self.turns[..],
        };
        let mut guards = Vec::with_capacity(turns.len());
        for turn in turns {
            guards.push(Arc::clone(turn).lock_owned().await);
        }
        let statement = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        let mut tx = self.begin(scope, statement, guards).await?;
        if self.engine == Engine::Postgres {
            // The first statement, so that what is read is what the one before has left.
            let lock = match turn {
                Turn::Facts => "LOCK TABLE known_instant IN EXCLUSIVE MODE",
                Turn::Inbox => "LOCK TABLE usage_inbox IN EXCLUSIVE MODE",
                Turn::Usage => "LOCK TABLE known_instant, usage_inbox IN EXCLUSIVE MODE",
            };
            tx.inner.execute(lock).await.map_err(database)?;
        }
        Ok(tx)
    }

    /// Waits until nobody else is at some work; others wait as long as this is kept. Whoever dies
    /// gives it back.
    pub async fn alone(&self, work: Exclusive) -> Result<Alone> {
        let own = Arc::clone(&self.work[work as usize]).lock_owned().await;
        let mut inner = match self.engine {
            // One process works with an embedded database.
            Engine::Sqlite => return Ok(Alone { _others: None, _own: own }),
            Engine::Postgres => self.pool.begin().await.map_err(database)?,
        };
        let lock = match work {
            Exclusive::Lake => "LOCK TABLE lake_lock IN EXCLUSIVE MODE",
            Exclusive::Billing => "LOCK TABLE billing_lock IN EXCLUSIVE MODE",
        };
        inner.execute(lock).await.map_err(database)?;
        Ok(Alone { _others: Some(inner), _own: own })
    }

    async fn begin(
        &self,
        scope: &Scope,
        statement: &'static str,
        turns: Vec<OwnedMutexGuard<()>>,
    ) -> Result<Tx> {
        let inner = self.pool.begin_with(statement).await.map_err(database)?;
        Ok(Tx { engine: self.engine, inner, scope: scope.clone(), _turns: turns })
    }

    async fn migrate(&self) -> Result<()> {
        let statement = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN",
        };
        let scope = Scope::system(Because::Migration);
        let mut tx = self.begin(&scope, statement, Vec::new()).await?;
        if self.engine == Engine::Postgres {
            prepare_postgres(&mut tx).await?;
        }
        migrations::migrate(&mut tx).await?;
        tx.commit().await
    }
}

/// What every connection is told first.
const fn at_connect(engine: Engine) -> &'static [&'static str] {
    match engine {
        // Committed means on disk, also when the machine loses power.
        Engine::Sqlite => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA busy_timeout = 30000",
        ],
        Engine::Postgres => &["SET client_min_messages = warning", "SET synchronous_commit = on"],
    }
}

/// Lets one process at a time migrate, checks how texts are sorted, and gives bytes the name that
/// they have in SQLite.
async fn prepare_postgres(tx: &mut Tx) -> Result<()> {
    tx.inner.execute("SELECT pg_advisory_xact_lock(7310579)").await.map_err(database)?;
    let sql = "SELECT CAST(datcollate AS TEXT) FROM pg_database WHERE datname = current_database()";
    let rows = tx.fetch(sql, vec![]).await?;
    let collation = rows.first().map_or_else(|| Ok(String::new()), |row| row.text(0))?;
    if !["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&collation.as_str()) {
        return Err(Error::conflict(format!(
            "the database sorts texts by the rules of {collation}; make one that sorts them by \
             their bytes: CREATE DATABASE skyhandel TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE \
             'C' LC_CTYPE 'C'"
        )));
    }
    let sql = "SELECT CAST(typname AS TEXT) FROM pg_type WHERE typname = 'blob'";
    if tx.fetch(sql, vec![]).await?.is_empty() {
        tx.inner.execute("CREATE DOMAIN blob AS bytea").await.map_err(database)?;
    }
    Ok(())
}

/// Whoever has it is alone at some work.
#[derive(Debug)]
pub struct Alone {
    /// Keeps other processes out.
    _others: Option<Transaction<'static, Any>>,
    /// Keeps out others of this process.
    _own: OwnedMutexGuard<()>,
}

/// A transaction. What is not committed never happened.
#[derive(Debug)]
pub struct Tx {
    engine: Engine,
    inner: Transaction<'static, Any>,
    scope: Scope,
    /// Given back after the transaction has ended.
    _turns: Vec<OwnedMutexGuard<()>>,
}

impl Tx {
    /// The organisation whose rows alone may be seen; none if all may.
    pub(crate) fn party(&self) -> Value {
        Value::optional(self.scope.party())
    }

    /// For what belongs to no single organisation.
    ///
    /// # Errors
    /// Where the scope is that of one: somebody forgot to decide.
    pub(crate) fn everything(&self) -> Result<()> {
        match self.scope.party() {
            None => Ok(()),
            Some(_) => Err(Error::internal("the scope of an organisation is not enough for this")),
        }
    }

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

    /// The names of all tables, in order.
    pub(crate) async fn tables(&mut self) -> Result<Vec<String>> {
        let sql = match self.engine {
            Engine::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 ORDER BY name"
            }
            Engine::Postgres => {
                "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = \
                 current_schema() ORDER BY 1"
            }
        };
        self.fetch(sql, vec![]).await?.iter().map(|row| row.text(0)).collect()
    }

    /// Every row of one of [`Self::tables`], as they come.
    pub(crate) fn stream_table(&mut self, table: &str) -> impl Stream<Item = Result<Row>> + '_ {
        // Safe: the name is one that the database has told.
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        sqlx::query(sql).fetch(&mut *self.inner).map(|row| row.map(Row).map_err(database))
    }

    /// Runs a statement that is made of names of the schema alone.
    pub(crate) async fn execute_text(&mut self, sql: String) -> Result<()> {
        self.inner.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(database)
    }

    /// Inserts many rows with few statements. `into` is the statement up to `VALUES`, `after`
    /// what follows the rows.
    pub(crate) async fn insert(
        &mut self,
        into: &'static str,
        after: &'static str,
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Result<()> {
        self.insert_rows(into, after, rows).await
    }

    /// The same, of a statement that is made of names of the schema alone.
    pub(crate) async fn insert_text(&mut self, into: &str, rows: Vec<Vec<Value>>) -> Result<()> {
        self.insert_rows(into, "", rows).await
    }

    async fn insert_rows(
        &mut self,
        into: &str,
        after: &str,
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
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Null => query.bind(None::<String>),
        Value::NullInt => query.bind(None::<i64>),
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

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.0.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    /// The values of all columns, as they are.
    pub fn values(&self) -> Result<Vec<Value>> {
        (0..self.0.len()).map(|column| self.value(column)).collect()
    }

    fn value(&self, column: usize) -> Result<Value> {
        let value = self.0.try_get_raw(column).map_err(database)?;
        let is_int = matches!(
            self.0.column(column).type_info().kind(),
            AnyTypeInfoKind::BigInt | AnyTypeInfoKind::Integer
        );
        Ok(match value.type_info().kind() {
            _ if value.is_null() && is_int => Value::NullInt,
            _ if value.is_null() => Value::Null,
            AnyTypeInfoKind::BigInt | AnyTypeInfoKind::Integer => Value::Int(self.int(column)?),
            AnyTypeInfoKind::Blob => Value::Bytes(self.bytes(column)?),
            _ => Value::Text(self.text(column)?),
        })
    }

    /// The integer of a column that may have none.
    pub fn optional_int(&self, column: usize) -> Result<Option<i64>> {
        self.0.try_get(column).map_err(database)
    }

    /// The bytes of a column.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>> {
        self.0.try_get(column).map_err(database)
    }

    /// A column that reads as something; what it is, for the message when it does not.
    pub fn parsed<T>(&self, column: usize, what: &'static str) -> Result<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.text(column)?;
        text.parse().map_err(|error| inconsistent(what, &text, &error))
    }

    /// A column that reads as something or is empty.
    pub fn parsed_optional<T>(&self, column: usize, what: &'static str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.optional(column)?;
        text.map(|text| text.parse().map_err(|error| inconsistent(what, &text, &error))).transpose()
    }
}

/// A row that could not have been written by us.
pub(crate) fn inconsistent(what: &str, text: &str, error: &dyn fmt::Display) -> Error {
    Error::internal(format!("the database has \"{text}\" as {what}, which {error}"))
}

/// What a database says that a caller can do something about.
fn database(error: sqlx::Error) -> Error {
    if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) {
        return Error::Busy(format!("the database does not answer: {error}"));
    }
    let Some(said) = error.as_database_error() else {
        return Error::internal(format!("database: {error}"));
    };
    if said.is_unique_violation() {
        return Error::conflict(format!("this has been recorded before: {error}"));
    }
    // Serialization failure, deadlock, and administrators that shut down; SQLite's busy and locked.
    match said.code().as_deref() {
        Some("40001" | "40P01" | "57P01" | "57P02" | "57P03" | "5" | "6" | "517" | "261") => {
            Error::Busy(format!("the database is busy: {error}"))
        }
        _ => Error::internal(format!("database: {error}")),
    }
}
