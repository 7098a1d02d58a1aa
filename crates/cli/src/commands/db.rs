//! `skyhandel db ...`

use std::path::Path;

use app::Moved;
use kernel::Result;
use serde::Serialize;

use crate::args::DbCommand;
use crate::output::{Output, table};

#[derive(Serialize)]
struct MovedJson {
    from: String,
    to: String,
    tables: Vec<TableJson>,
}

#[derive(Serialize)]
struct TableJson {
    table: String,
    rows: u64,
}

pub async fn run(data: &Path, command: &DbCommand, output: Output) -> Result<()> {
    let DbCommand::Copy { from, to } = command;
    let Moved { tables } = app::move_database(data, from, to).await?;
    let tables = tables.into_iter().map(|(table, rows)| TableJson { table, rows });
    let json = MovedJson { from: from.to_string(), to: to.to_string(), tables: tables.collect() };
    output.print(&json, || {
        let rows: Vec<Vec<String>> =
            json.tables.iter().map(|t| vec![t.table.clone(), t.rows.to_string()]).collect();
        format!(
            "{}\n\nEvery row was read back. From now on: --data {} --database {to}",
            table(&["table", "rows"], &[1], &rows),
            data.display()
        )
    });
    Ok(())
}
