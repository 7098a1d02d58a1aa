//! Usage that is acknowledged and not in the lake yet.

use kernel::{Error, Result};

use crate::db::{Tx, Value, int, text};

/// What counts up when something that is kept in memory has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// What is agreed: the programme, prices, rates.
    Facts,
    /// What lies in the lake.
    Lake,
}

impl Generation {
    const fn subject(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Lake => "lake",
        }
    }
}

/// How far the inbox is: what has come in, and what has gone on into the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxState {
    /// The last row that came in.
    pub last: i64,
    /// The last row that is in the lake.
    pub drained: i64,
}

/// What one transaction took in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// Its place.
    pub sequence: i64,
    /// When, in microseconds since 1970.
    pub received_at: i64,
    /// How many events.
    pub events: u64,
    /// Their ids and what is remembered of them.
    pub ids: Vec<u8>,
    /// Their records.
    pub records: Vec<u8>,
}

impl Tx {
    /// How often something has changed.
    pub async fn generation(&mut self, of: Generation) -> Result<i64> {
        let sql = "SELECT counted FROM generation WHERE subject = $1";
        let rows = self.fetch(sql, vec![text(of.subject())]).await?;
        rows.first().map_or_else(|| Err(Error::internal("nothing counts this")), |row| row.int(0))
    }

    /// Says that something has changed.
    pub(crate) async fn changed(&mut self, what: Generation) -> Result<()> {
        let sql = "UPDATE generation SET counted = counted + 1 WHERE subject = $1";
        self.execute(sql, vec![text(what.subject())]).await.map(|_| ())
    }

    /// How far the inbox is.
    pub async fn inbox_state(&mut self) -> Result<InboxState> {
        self.everything()?;
        let sql = "SELECT last_sequence, drained_sequence FROM usage_inbox_state";
        let rows = self.fetch(sql, vec![]).await?;
        let row = rows.first().ok_or_else(|| Error::internal("the inbox has no state"))?;
        Ok(InboxState { last: row.int(0)?, drained: row.int(1)? })
    }

    /// Takes events in, behind all others.
    pub async fn add_inbox(&mut self, row: InboxRow) -> Result<()> {
        self.everything()?;
        let sql = "UPDATE usage_inbox_state SET last_sequence = $1";
        self.execute(sql, vec![int(row.sequence)]).await?;
        let sql = "INSERT INTO usage_inbox (inbox_sequence, received_at, events, ids, records) \
                   VALUES ($1, $2, $3, $4, $5)";
        let values = vec![
            int(row.sequence),
            int(row.received_at),
            int(row.events),
            Value::Bytes(row.ids),
            Value::Bytes(row.records),
        ];
        self.execute(sql, values).await.map(|_| ())
    }

    /// The ids of what came in behind a place.
    pub async fn inbox_ids(&mut self, behind: i64) -> Result<Vec<(i64, Vec<u8>)>> {
        self.everything()?;
        let sql = "SELECT inbox_sequence, ids FROM usage_inbox WHERE inbox_sequence > $1 \
                   ORDER BY inbox_sequence";
        let rows = self.fetch(sql, vec![int(behind)]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.bytes(1)?))).collect()
    }

    /// The first rows of the inbox.
    pub async fn inbox(&mut self, count: u32) -> Result<Vec<InboxRow>> {
        self.everything()?;
        let sql = "SELECT inbox_sequence, received_at, events, ids, records FROM usage_inbox \
                   ORDER BY inbox_sequence LIMIT $1";
        let rows = self.fetch(sql, vec![int(count)]).await?;
        rows.iter()
            .map(|row| {
                Ok(InboxRow {
                    sequence: row.int(0)?,
                    received_at: row.int(1)?,
                    events: row.int(2)? as u64,
                    ids: row.bytes(3)?,
                    records: row.bytes(4)?,
                })
            })
            .collect()
    }

    /// Takes away what is in the lake now.
    pub async fn drain_inbox(&mut self, through: i64) -> Result<()> {
        self.everything()?;
        let sql = "DELETE FROM usage_inbox WHERE inbox_sequence <= $1";
        self.execute(sql, vec![int(through)]).await?;
        let sql = "UPDATE usage_inbox_state SET drained_sequence = $1";
        self.execute(sql, vec![int(through)]).await.map(|_| ())
    }
}
