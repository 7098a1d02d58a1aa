//! The migrations, in order. They only add.

use kernel::Result;

use crate::db::{Tx, text};

const MIGRATIONS: [(&str, &str); 10] = [
    ("0001_facts", include_str!("../migrations/0001_facts.sql")),
    ("0002_catalogue", include_str!("../migrations/0002_catalogue.sql")),
    ("0003_close", include_str!("../migrations/0003_close.sql")),
    ("0004_revisions", include_str!("../migrations/0004_revisions.sql")),
    ("0005_restatements", include_str!("../migrations/0005_restatements.sql")),
    ("0006_tax", include_str!("../migrations/0006_tax.sql")),
    ("0007_received", include_str!("../migrations/0007_received.sql")),
    ("0008_credit", include_str!("../migrations/0008_credit.sql")),
    ("0009_calendars", include_str!("../migrations/0009_calendars.sql")),
    ("0010_service", include_str!("../migrations/0010_service.sql")),
];

/// Runs the migrations that a database has not seen.
pub(crate) async fn migrate(tx: &mut Tx) -> Result<()> {
    let table = "CREATE TABLE IF NOT EXISTS migration (name TEXT NOT NULL PRIMARY KEY)";
    tx.execute(table, vec![]).await?;
    let done = tx.fetch("SELECT name FROM migration", vec![]).await?;
    let done: Vec<String> = done.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
    for (name, script) in MIGRATIONS {
        if done.iter().any(|done| done == name) {
            continue;
        }
        for statement in statements(script) {
            tx.execute_text(statement).await?;
        }
        tx.execute("INSERT INTO migration (name) VALUES ($1)", vec![text(name)]).await?;
    }
    Ok(())
}

/// The statements of a script: they end with a semicolon, and comments fill whole lines.
fn statements(script: &str) -> Vec<String> {
    let lines = script.lines().filter(|line| !line.starts_with("--"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}
