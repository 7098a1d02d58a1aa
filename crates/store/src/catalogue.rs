//! Which files have been imported, and what lies in the lake.

use kernel::{Currency, ImportId, Key, MeterId, Month, Quantity, Result};

use crate::db::{Row, Tx, Value, inconsistent, int, text};
use crate::inbox::Generation;

/// One import of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its id.
    pub id: ImportId,
    /// What kind of file: usage, prices, rates.
    pub kind: String,
    /// Into what: the source of usage or rates, the price sheet.
    pub subject: String,
    /// The file's name.
    pub file_name: String,
    /// The hash of its content.
    pub sha256: String,
    /// When it became known, in microseconds since 1970.
    pub known_at: i64,
    /// Rows that it has.
    pub rows_read: u64,
    /// Rows that are new.
    pub rows_taken: u64,
    /// Rows that were known already.
    pub rows_duplicate: u64,
    /// Rows whose ids are known with other content; kept aside.
    pub rows_conflicting: u64,
    /// Rows that could not be taken and were written to a file.
    pub rows_quarantined: u64,
    /// Corrections that wait for what they correct.
    pub rows_waiting: u64,
    /// Where conflicting rows are kept, below the lake's folder.
    pub conflicts_path: Option<String>,
}

/// The rows and the quantity of one unit that an import took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTotal {
    /// The unit, as the file spells it.
    pub unit: String,
    /// How many rows.
    pub rows: u64,
    /// Their sum.
    pub quantity: Quantity,
}

/// A version of a price sheet: all its prices as they were after one import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSheetRow {
    /// The sheet.
    pub key: Key,
    /// When this version became known.
    pub known_at: i64,
    /// By which import.
    pub import: ImportId,
    /// The currency of its prices.
    pub currency: Currency,
    /// Where it lies below the lake's folder.
    pub path: String,
    /// The hash of the file.
    pub sha256: String,
    /// How many meters it lists.
    pub meters: u64,
    /// How many dated prices they have.
    pub prices: u64,
}

/// A segment of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// Where it lies below the lake's folder.
    pub path: String,
    /// The month in which its records begin.
    pub month: Month,
    /// How many records.
    pub rows: u64,
    /// When the first begins.
    pub start_min: i64,
    /// When the last ends.
    pub end_max: i64,
    /// Decimals of the quantities.
    pub quantity_scale: u8,
    /// How many correct another record.
    pub corrections: u64,
    /// Rows, first and last partition hash of each row group.
    pub row_groups: Vec<(u64, u64, u64)>,
}

/// A correction of an event that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCorrection {
    /// The key of the event it waits for.
    pub root_key: String,
    /// The key of the correction's own id.
    pub event_key: String,
    /// What the correction is about; the event must be about the same.
    pub identity: String,
    /// The correction's own id.
    pub event_id: String,
}

/// Everything that an import of usage adds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageAdded {
    /// New segments.
    pub segments: Vec<SegmentRow>,
    /// Meters that occur in them.
    pub meters: Vec<(Month, MeterId)>,
    /// The runs of event ids that exist from now on, with their entries.
    pub event_runs: Vec<(String, u64)>,
    /// Corrections that wait.
    pub waiting: Vec<WaitingCorrection>,
    /// Keys of events that have come, so that nothing waits for them any more.
    pub arrived: Vec<String>,
}

const IMPORTS: &str = "SELECT import_id, kind, subject, file_name, sha256, known_at, \
     rows_read, rows_taken, rows_duplicate, rows_conflicting, rows_quarantined, rows_waiting, \
     conflicts_path FROM file_import ORDER BY known_at, import_id";

const IMPORTS_OF: &str = "SELECT import_id, kind, subject, file_name, sha256, known_at, \
     rows_read, rows_taken, rows_duplicate, rows_conflicting, rows_quarantined, rows_waiting, \
     conflicts_path FROM file_import WHERE sha256 = $1 AND kind = $2 AND subject = $3 \
     ORDER BY known_at";

impl Tx {
    /// Records an import and its control totals.
    pub async fn add_import(&mut self, import: &ImportRow, totals: &[ControlTotal]) -> Result<()> {
        self.everything()?;
        let values = vec![
            text(import.id),
            text(&import.kind),
            text(&import.subject),
            text(&import.file_name),
            text(&import.sha256),
            int(import.known_at),
            int(import.rows_read),
            int(import.rows_taken),
            int(import.rows_duplicate),
            int(import.rows_conflicting),
            int(import.rows_quarantined),
            int(import.rows_waiting),
            Value::optional(import.conflicts_path.as_ref()),
        ];
        let into = "INSERT INTO file_import (import_id, kind, subject, file_name, sha256, \
                    known_at, rows_read, rows_taken, rows_duplicate, rows_conflicting, \
                    rows_quarantined, rows_waiting, conflicts_path)";
        self.insert(into, "", [values]).await?;
        let totals = totals.iter().map(|total| {
            vec![
                text(import.id),
                text(&total.unit),
                int(total.rows),
                text(total.quantity.mantissa()),
            ]
        });
        let into = "INSERT INTO control_total (import_id, unit, rows_taken, quantity)";
        self.insert(into, "", totals).await
    }

    /// The imports of a file with some content into some subject, oldest first.
    pub async fn imports_of(
        &mut self,
        kind: &str,
        subject: &str,
        sha256: &str,
    ) -> Result<Vec<ImportRow>> {
        self.everything()?;
        let values = vec![text(sha256), text(kind), text(subject)];
        let rows = self.fetch(IMPORTS_OF, values).await?;
        rows.iter().map(import_row).collect()
    }

    /// Every import, oldest first.
    pub async fn imports(&mut self) -> Result<Vec<ImportRow>> {
        self.everything()?;
        let rows = self.fetch(IMPORTS, vec![]).await?;
        rows.iter().map(import_row).collect()
    }

    /// The control totals of an import.
    pub async fn control_totals(&mut self, import: ImportId) -> Result<Vec<ControlTotal>> {
        self.everything()?;
        let sql = "SELECT unit, rows_taken, quantity FROM control_total WHERE import_id = $1 \
                   ORDER BY unit";
        let rows = self.fetch(sql, vec![text(import)]).await?;
        let total = |row: &Row| {
            Ok(ControlTotal {
                unit: row.text(0)?,
                rows: row.int(1)? as u64,
                quantity: Quantity::from_mantissa(row.parsed(2, "mantissa of a quantity")?),
            })
        };
        rows.iter().map(total).collect()
    }

    /// Records a version of a price sheet.
    pub async fn add_price_sheet(&mut self, sheet: &PriceSheetRow) -> Result<()> {
        self.everything()?;
        self.changed(Generation::Facts).await?;
        let values = vec![
            text(&sheet.key),
            int(sheet.known_at),
            text(sheet.import),
            text(sheet.currency),
            text(&sheet.path),
            text(&sheet.sha256),
            int(sheet.meters),
            int(sheet.prices),
        ];
        let into = "INSERT INTO price_sheet (price_sheet, known_at, import_id, currency, path, \
                    sha256, meters, prices)";
        self.insert(into, "", [values]).await
    }

    /// The versions of all price sheets that were the newest at an instant.
    pub async fn price_sheets(&mut self, known_at: i64) -> Result<Vec<PriceSheetRow>> {
        self.everything()?;
        let sql = "SELECT price_sheet, known_at, import_id, currency, path, sha256, meters, prices \
                   FROM price_sheet s WHERE known_at = (SELECT MAX(known_at) FROM price_sheet k \
                   WHERE k.price_sheet = s.price_sheet AND k.known_at <= $1) ORDER BY price_sheet";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(PriceSheetRow {
                    key: row.parsed(0, "price sheet")?,
                    known_at: row.int(1)?,
                    import: row.parsed(2, "import id")?,
                    currency: row.parsed(3, "currency")?,
                    path: row.text(4)?,
                    sha256: row.text(5)?,
                    meters: row.int(6)? as u64,
                    prices: row.int(7)? as u64,
                })
            })
            .collect()
    }

    /// Catalogues what an import of usage added. Runs of event ids are replaced: those given are
    /// all there are.
    pub async fn add_usage(
        &mut self,
        import: ImportId,
        known_at: i64,
        added: &UsageAdded,
    ) -> Result<()> {
        self.everything()?;
        let segments = added.segments.iter().map(|segment| {
            let groups = segment.row_groups.iter();
            let groups: Vec<String> =
                groups.map(|(rows, first, last)| format!("{rows}:{first}:{last}")).collect();
            vec![
                text(&segment.path),
                text(import),
                int(known_at),
                text(segment.month),
                int(segment.rows),
                int(segment.start_min),
                int(segment.end_max),
                int(segment.quantity_scale),
                int(segment.corrections),
                text(groups.join(" ")),
            ]
        });
        let into = "INSERT INTO usage_segment (path, import_id, known_at, month, rows_taken, \
                    start_min, end_max, quantity_scale, corrections, row_groups)";
        self.insert(into, "", segments).await?;
        let meters = added.meters.iter();
        let meters = meters.map(|(month, meter)| vec![text(month), text(meter), int(known_at)]);
        let into = "INSERT INTO usage_meter (month, meter_id, known_at)";
        self.insert(into, "ON CONFLICT DO NOTHING", meters).await?;
        self.execute("DELETE FROM event_run", vec![]).await?;
        let runs = added.event_runs.iter().map(|(path, entries)| vec![text(path), int(*entries)]);
        self.insert("INSERT INTO event_run (path, entries)", "", runs).await?;
        let waiting = added.waiting.iter().map(|waiting| {
            let WaitingCorrection { root_key, event_key, identity, event_id } = waiting;
            vec![text(root_key), text(event_key), text(identity), text(event_id), text(import)]
        });
        let into = "INSERT INTO waiting_correction (root_key, event_key, identity, event_id, \
                    import_id)";
        self.insert(into, "", waiting).await?;
        for root in &added.arrived {
            let sql = "DELETE FROM waiting_correction WHERE root_key = $1";
            self.execute(sql, vec![text(root)]).await?;
        }
        self.changed(Generation::Lake).await
    }

    /// The segments with usage between two instants that were known at a third, oldest first.
    pub async fn segments(
        &mut self,
        from: i64,
        until: i64,
        known_at: i64,
    ) -> Result<Vec<SegmentRow>> {
        self.everything()?;
        let sql = "SELECT path, month, rows_taken, start_min, end_max, quantity_scale, \
                   corrections, row_groups FROM usage_segment \
                   WHERE start_min < $1 AND end_max >= $2 AND known_at <= $3 \
                   ORDER BY known_at, path";
        let rows = self.fetch(sql, vec![int(until), int(from), int(known_at)]).await?;
        rows.iter().map(segment_row).collect()
    }

    /// The paths of every segment, so that files without a row can be told apart.
    pub async fn segment_paths(&mut self) -> Result<Vec<String>> {
        self.everything()?;
        let rows = self.fetch("SELECT path FROM usage_segment", vec![]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// The paths of every version of every price sheet.
    pub async fn price_sheet_paths(&mut self) -> Result<Vec<String>> {
        self.everything()?;
        let rows = self.fetch("SELECT path FROM price_sheet", vec![]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// The meters that occur in the usage of some months, as known at an instant.
    pub async fn meters_used(
        &mut self,
        first: Month,
        last: Month,
        known_at: i64,
    ) -> Result<Vec<MeterId>> {
        self.everything()?;
        let sql = "SELECT DISTINCT meter_id FROM usage_meter WHERE month >= $1 AND month <= $2 \
                   AND known_at <= $3 ORDER BY meter_id";
        let rows = self.fetch(sql, vec![text(first), text(last), int(known_at)]).await?;
        rows.iter().map(|row| row.parsed(0, "meter id")).collect()
    }

    /// The runs of event ids.
    pub async fn event_runs(&mut self) -> Result<Vec<(String, u64)>> {
        self.everything()?;
        let sql = "SELECT path, entries FROM event_run ORDER BY entries DESC, path";
        let rows = self.fetch(sql, vec![]).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.int(1)? as u64))).collect()
    }

    /// Corrections that wait for what they correct.
    pub async fn waiting_corrections(&mut self) -> Result<Vec<WaitingCorrection>> {
        self.everything()?;
        let sql = "SELECT root_key, event_key, identity, event_id FROM waiting_correction \
                   ORDER BY root_key, event_key";
        let rows = self.fetch(sql, vec![]).await?;
        rows.iter()
            .map(|row| {
                Ok(WaitingCorrection {
                    root_key: row.text(0)?,
                    event_key: row.text(1)?,
                    identity: row.text(2)?,
                    event_id: row.text(3)?,
                })
            })
            .collect()
    }
}

fn import_row(row: &Row) -> Result<ImportRow> {
    Ok(ImportRow {
        id: row.parsed(0, "import id")?,
        kind: row.text(1)?,
        subject: row.text(2)?,
        file_name: row.text(3)?,
        sha256: row.text(4)?,
        known_at: row.int(5)?,
        rows_read: row.int(6)? as u64,
        rows_taken: row.int(7)? as u64,
        rows_duplicate: row.int(8)? as u64,
        rows_conflicting: row.int(9)? as u64,
        rows_quarantined: row.int(10)? as u64,
        rows_waiting: row.int(11)? as u64,
        conflicts_path: row.optional(12)?,
    })
}

fn segment_row(row: &Row) -> Result<SegmentRow> {
    let groups = row.text(7)?;
    let parsed: Option<Vec<_>> = groups
        .split(' ')
        .map(|group| {
            let mut numbers = group.split(':').map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        })
        .collect();
    Ok(SegmentRow {
        path: row.text(0)?,
        month: row.parsed(1, "month")?,
        rows: row.int(2)? as u64,
        start_min: row.int(3)?,
        end_max: row.int(4)?,
        quantity_scale: row.int(5)? as u8,
        corrections: row.int(6)? as u64,
        row_groups: parsed.ok_or_else(|| inconsistent("row groups", &groups, &"are none"))?,
    })
}
