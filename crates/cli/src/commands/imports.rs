//! `skyhandel import ...` and `skyhandel imports`

use app::Ctx;
use app::imports::{self, Imported, PriceOptions, Received, ReceivedOptions, UsageOptions};
use kernel::{Result, micros_instant};
use serde::Serialize;
use store::{ControlTotal, ImportRow};

use crate::args::{ImportCommand, PriceArgs, RatesArgs, ReceivedArgs, UsageArgs};
use crate::output::{Output, table};

#[derive(Serialize)]
struct ImportJson {
    import_id: String,
    kind: String,
    subject: String,
    file: String,
    sha256: String,
    known_at: String,
    already_imported: bool,
    rows: RowsJson,
    totals: Vec<TotalJson>,
    notes: Vec<String>,
    conflicts_file: Option<String>,
    quarantine_file: Option<String>,
}

#[derive(Serialize)]
struct RowsJson {
    read: u64,
    taken: u64,
    duplicate: u64,
    conflicting: u64,
    quarantined: u64,
    waiting: u64,
}

#[derive(Serialize)]
struct TotalJson {
    unit: String,
    rows: u64,
    quantity: String,
}

fn json(import: &ImportRow, totals: &[ControlTotal]) -> ImportJson {
    ImportJson {
        import_id: import.id.to_string(),
        kind: import.kind.clone(),
        subject: import.subject.clone(),
        file: import.file_name.clone(),
        sha256: import.sha256.clone(),
        known_at: micros_instant(import.known_at).to_string(),
        already_imported: false,
        rows: RowsJson {
            read: import.rows_read,
            taken: import.rows_taken,
            duplicate: import.rows_duplicate,
            conflicting: import.rows_conflicting,
            quarantined: import.rows_quarantined,
            waiting: import.rows_waiting,
        },
        totals: totals
            .iter()
            .map(|total| TotalJson {
                unit: total.unit.clone(),
                rows: total.rows,
                quantity: total.quantity.to_string(),
            })
            .collect(),
        notes: Vec::new(),
        conflicts_file: import.conflicts_path.clone(),
        quarantine_file: None,
    }
}

pub async fn run(ctx: Ctx<'_>, command: &ImportCommand, output: Output) -> Result<()> {
    let imported = match command {
        ImportCommand::Prices(args) => prices(ctx, args).await?,
        ImportCommand::Rates(args) => rates(ctx, args).await?,
        ImportCommand::Usage(args) => usage(ctx, args).await?,
        ImportCommand::Received(args) => return received(ctx, args, output).await,
    };
    let answers: Vec<ImportJson> = imported
        .iter()
        .map(|imported| ImportJson {
            already_imported: imported.already,
            notes: imported.notes.clone(),
            quarantine_file: imported.quarantine.as_ref().map(|path| path.display().to_string()),
            ..json(&imported.import, &imported.totals)
        })
        .collect();
    let text = || imported.iter().map(describe).collect::<Vec<_>>().join("\n");
    output.print(&answers, text);
    Ok(())
}

async fn prices(ctx: Ctx<'_>, args: &PriceArgs) -> Result<Vec<Imported>> {
    let options = PriceOptions {
        sheet: args.sheet.clone(),
        market: args.market.clone(),
        valid_from: args.valid_from,
        quarantine: args.quarantine.clone(),
        restate: args.restate.clone(),
    };
    let mut imported = Vec::new();
    for file in &args.files {
        imported.push(imports::import_prices(ctx, file, &options).await?);
    }
    Ok(imported)
}

async fn rates(ctx: Ctx<'_>, args: &RatesArgs) -> Result<Vec<Imported>> {
    let mut imported = Vec::new();
    for file in &args.files {
        imported.push(
            imports::import_rates(ctx, file, args.quarantine.clone(), args.restate.as_deref())
                .await?,
        );
    }
    Ok(imported)
}

async fn usage(ctx: Ctx<'_>, args: &UsageArgs) -> Result<Vec<Imported>> {
    let options = UsageOptions {
        source: args.source.clone(),
        format: args.format,
        subscription: args.subscription,
        quarantine: args.quarantine.clone(),
    };
    let mut imported = Vec::new();
    for file in &args.files {
        imported.push(imports::import_usage(ctx, file, &options).await?);
    }
    Ok(imported)
}

#[derive(Serialize)]
struct ReceivedJson {
    invoice: String,
    invoice_id: String,
    period: String,
    issue_date: String,
    currency: String,
    net: String,
    tax: String,
    gross: String,
    lines: u64,
    daily_rows: u64,
    agrees: bool,
    already_imported: bool,
    usage: ImportJson,
}

async fn received(ctx: Ctx<'_>, args: &ReceivedArgs, output: Output) -> Result<()> {
    let options = ReceivedOptions {
        seller: args.seller.clone(),
        buyer: args.buyer.clone(),
        month: args.period,
        issue_on: args.issue_date,
        accept: args.accept.clone(),
    };
    let received = imports::import_received(ctx, &args.files, &options).await?;
    let Received { invoice, comparisons, usage } = &received;
    let answer = ReceivedJson {
        invoice: invoice.number.clone(),
        invoice_id: invoice.id.to_string(),
        period: invoice.month.to_string(),
        issue_date: invoice.issue_on.to_string(),
        currency: invoice.net.currency().to_string(),
        net: invoice.net.digits(),
        tax: invoice.tax.digits(),
        gross: invoice.gross()?.digits(),
        lines: invoice.lines,
        daily_rows: invoice.daily_rows,
        agrees: comparisons.iter().all(desk::Comparison::agrees),
        already_imported: usage.already,
        usage: ImportJson {
            already_imported: usage.already,
            notes: usage.notes.clone(),
            ..json(&usage.import, &usage.totals)
        },
    };
    output.print(&answer, || {
        if answer.already_imported {
            return format!("Invoice {} was imported before; nothing was done", answer.invoice);
        }
        let but = if answer.agrees { "but for rounding" } else { "except as accepted" };
        format!(
            "Invoice {} of {} for {}: {} {} before tax, {} with tax, {} lines, {} rows by day; its \
             files agree {but}\n{}",
            answer.invoice,
            args.seller,
            answer.period,
            answer.net,
            answer.currency,
            answer.gross,
            answer.lines,
            answer.daily_rows,
            describe(usage)
        )
    });
    Ok(())
}

fn describe(imported: &Imported) -> String {
    let import = &imported.import;
    if imported.already {
        let known = micros_instant(import.known_at);
        return format!("{}: imported before, at {known}; nothing was done", import.file_name);
    }
    let mut lines = vec![format!(
        "{}: {} rows read, {} taken, {} known already, {} conflicting, {} bad",
        import.file_name,
        import.rows_read,
        import.rows_taken,
        import.rows_duplicate,
        import.rows_conflicting,
        import.rows_quarantined
    )];
    lines.extend(imported.totals.iter().map(|total| {
        let unit = if total.unit.is_empty() { "(no unit)" } else { &total.unit };
        format!("  {:>12} rows  {:>28}  {unit}", total.rows, total.quantity.to_string())
    }));
    lines.extend(imported.notes.iter().map(|note| format!("  {note}")));
    if import.rows_waiting > 0 {
        let waiting = import.rows_waiting;
        lines.push(format!("  {waiting} corrections wait for the events that they correct"));
    }
    if let Some(path) = &import.conflicts_path {
        lines.push(format!("  conflicting rows are kept in lake/{path}"));
    }
    if let Some(path) = &imported.quarantine {
        lines.push(format!("  bad rows are in {}", path.display()));
    }
    lines.join("\n")
}

pub async fn list(ctx: Ctx<'_>, output: Output) -> Result<()> {
    let imports = imports::list(ctx).await?;
    let answers: Vec<ImportJson> =
        imports.iter().map(|(import, totals)| json(import, totals)).collect();
    output.print(&answers, || {
        let rows: Vec<Vec<String>> = imports
            .iter()
            .map(|(import, _)| {
                vec![
                    micros_instant(import.known_at).to_string(),
                    import.kind.clone(),
                    import.subject.clone(),
                    import.file_name.clone(),
                    import.rows_read.to_string(),
                    import.rows_taken.to_string(),
                    import.rows_duplicate.to_string(),
                    import.rows_conflicting.to_string(),
                ]
            })
            .collect();
        let headers = ["known at", "kind", "into", "file", "read", "taken", "known", "conflicting"];
        table(&headers, &[4, 5, 6, 7], &rows)
    });
    Ok(())
}
