//! Importing what a provider bills that rates in a system of its own: its daily rated usage becomes
//! usage here, which the buyer sells on; its invoice becomes what the buyer pays.
//!
//! The files must agree with each other, or somebody must say why they need not. All of it is one
//! transaction.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use desk::{BigDecimal, Comparison, Document, FileRow, Invoice, Refused};
use documents::{Format, Sink, TableBuilder};
use domain::{Programme, RatedBy};
use jiff::civil::Date;
use kernel::{
    Currency, Error, Fault, Faults, InvoiceId, Key, Money, Month, OrganisationId, Result,
};
use store::{ControlTotal, DocumentRow, ImportRow, ReceivedRow};

use super::quarantine::Quarantine;
use super::usage::intake::{self, Intake};
use super::usage::record::{Directory, Field, RawRecord};
use super::{Imported, UsageOptions};
use crate::sheets::sha256;
use crate::{Ctx, crash, facts};

/// The kind of document that a received file is.
const RECEIVED: &str = "received";
/// Rows that are collected before they are written.
const BATCH_ROWS: usize = 1 << 16;
/// How many differences an error names.
const NAMED: usize = 5;

/// Which invoice is imported.
#[derive(Debug, Clone)]
pub struct ReceivedOptions {
    /// Who sells and rates, by key.
    pub seller: Key,
    /// Who buys, by key.
    pub buyer: Key,
    /// The billed month.
    pub month: Month,
    /// The day of issue, where the files do not say it.
    pub issue_on: Option<Date>,
    /// Why the files need not agree with each other.
    pub accept: Option<String>,
}

/// What importing an invoice did.
#[derive(Debug, Clone)]
pub struct Received {
    /// The invoice.
    pub invoice: ReceivedRow,
    /// The files side by side.
    pub comparisons: Vec<Comparison>,
    /// What became of the rows of the daily file.
    pub usage: Imported,
}

/// The files of an invoice, told apart by what they hold.
struct Files {
    daily: PathBuf,
    lines: PathBuf,
    invoice: Option<(PathBuf, Invoice)>,
}

/// Imports an invoice of a provider: daily rated usage, reconciliation file and, if there is one,
/// the invoice itself, in any order.
///
/// # Errors
/// Where a file cannot be read, the files do not agree, or the edge is rated here.
pub async fn import_received(
    ctx: Ctx<'_>,
    paths: &[PathBuf],
    options: &ReceivedOptions,
) -> Result<Received> {
    let files = Files::of(paths)?;
    let mut tx = ctx.write().await?;
    let programme = facts::programme(&mut tx, i64::MAX).await?;
    let edge = Edge::find(&programme, options)?;
    let comparisons = files.compare(options.accept.as_deref())?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    let today = programme.zone.day_of(ctx.now);
    let folder = ctx.installation.documents().join("received");
    let writer = Writer { folder: &folder, edge: &edge, month: options.month };
    let (number, sums, lines) = writer.lines(&files)?;
    let id = InvoiceId::derived(&format!("received/{}/{}/{number}", edge.seller, edge.buyer));
    let hashes = [sha256(&files.lines)?, sha256(&files.daily)?];
    let stated = files.invoice.as_ref().and_then(|(_, invoice)| invoice.issue_date);
    let mut row = ReceivedRow {
        id,
        month: options.month,
        seller: edge.seller,
        buyer: edge.buyer,
        number,
        known_at,
        issue_on: stated.or(options.issue_on).unwrap_or(today),
        net: sums.net,
        tax: sums.tax,
        lines: sums.rows,
        daily_rows: 0,
        daily_billed: String::new(),
        sha256: hashes,
        differences: files.differ(&comparisons).then(|| options.accept.clone()).flatten(),
    };
    if let Some(known) = tx.received().await?.into_iter().find(|known| known.id == id) {
        return already(known, &row, comparisons);
    }
    let place = folder.join(id.to_string());
    let lines = lines.finish(&place, "reconciliation.parquet")?;
    let lake = ctx.installation.lake();
    intake::sweep(&lake, &mut tx).await?;
    let index = intake::Index::open(&lake, &mut tx).await?;
    let import = kernel::ImportId::derived(&format!("received/{id}"));
    let usage = UsageOptions {
        source: options.seller.clone(),
        format: None,
        subscription: None,
        quarantine: None,
    };
    let directory = Directory::of(&programme);
    let mut taker = Intake::new(&lake, import, &usage, directory, index, Quarantine::new(None));
    let (daily, rows) = writer.daily(&files, (&row, &mut taker))?;
    let rows = rows.finish(&place, "daily-rated-usage.parquet")?;
    row.daily_rows = daily.rows;
    row.daily_billed = daily.billed.normalized().to_plain_string();
    let name = file_name(&files.daily);
    let mut taken = taker.finish(&name)?;
    taken.notes.extend(daily.notes());
    taken.notes.extend(super::usage::late(&mut tx, &taken.added).await?);
    let imported = ImportRow {
        id: import,
        kind: "received".into(),
        subject: options.seller.to_string(),
        file_name: name,
        sha256: row.sha256[1].clone(),
        known_at,
        rows_read: taken.counts.read,
        rows_taken: taken.counts.new,
        rows_duplicate: taken.counts.duplicate,
        rows_conflicting: taken.counts.conflicting,
        rows_quarantined: 0,
        rows_waiting: 0,
        conflicts_path: taken.conflicts_path,
    };
    tx.add_import(&imported, &taken.totals).await?;
    tx.add_usage(import, known_at, &taken.added).await?;
    tx.add_received(&row).await?;
    let documents = [document(id, &lines, row.lines)?, document(id, &rows, row.daily_rows)?];
    tx.add_documents(row.month, &documents).await?;
    crash::point();
    tx.commit().await?;
    crash::point();
    let usage = imported_usage(imported, taken.totals, taken.notes, false);
    Ok(Received { invoice: row, comparisons, usage })
}

fn imported_usage(
    import: ImportRow,
    totals: Vec<ControlTotal>,
    notes: Vec<String>,
    already: bool,
) -> Imported {
    Imported { import, totals, already, notes, quarantine: None }
}

/// The same invoice again: nothing is done if it says the same.
fn already(
    known: ReceivedRow,
    again: &ReceivedRow,
    comparisons: Vec<Comparison>,
) -> Result<Received> {
    if known.sha256 != again.sha256 || known.month != again.month {
        return Err(Error::conflict(format!(
            "invoice {} of {} has been imported with other content; a corrected invoice has a \
             number of its own",
            known.number, known.month
        )));
    }
    let import = ImportRow {
        id: kernel::ImportId::derived(&format!("received/{}", known.id)),
        kind: "received".into(),
        subject: String::new(),
        file_name: String::new(),
        sha256: known.sha256[1].clone(),
        known_at: known.known_at,
        rows_read: known.daily_rows,
        rows_taken: 0,
        rows_duplicate: known.daily_rows,
        rows_conflicting: 0,
        rows_quarantined: 0,
        rows_waiting: 0,
        conflicts_path: None,
    };
    let usage = imported_usage(import, Vec::new(), Vec::new(), true);
    Ok(Received { invoice: known, comparisons, usage })
}

impl Files {
    fn of(paths: &[PathBuf]) -> Result<Self> {
        let (mut daily, mut lines, mut invoice) = (None, None, None);
        for path in paths {
            let twice = |what: &str| {
                Err(Error::invalid(file_name(path), format!("is a second {what}; import one")))
            };
            match desk::document(path).map_err(refused)? {
                Document::Rows(desk::Kind::Daily) if daily.is_none() => daily = Some(path.clone()),
                Document::Rows(desk::Kind::Reconciliation) if lines.is_none() => {
                    lines = Some(path.clone());
                }
                Document::Invoice(found) if invoice.is_none() => {
                    invoice = Some((path.clone(), found));
                }
                Document::Rows(desk::Kind::Daily) => return twice("daily file"),
                Document::Rows(desk::Kind::Reconciliation) => return twice("reconciliation file"),
                Document::Invoice(_) => return twice("invoice"),
            }
        }
        let missing = |what: &str| Error::invalid("files", format!("lack a {what}; name it too"));
        Ok(Self {
            daily: daily.ok_or_else(|| missing("daily rated usage file"))?,
            lines: lines.ok_or_else(|| missing("reconciliation file"))?,
            invoice,
        })
    }

    /// Compares the files, each with the next; refuses differences that nobody has accepted.
    fn compare(&self, accept: Option<&str>) -> Result<Vec<Comparison>> {
        if accept.is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Error::invalid("accept", "is blank; write why the files may differ"));
        }
        let invoice = self.invoice.iter().map(|(path, _)| path.clone());
        let files: Vec<PathBuf> =
            [self.daily.clone(), self.lines.clone()].into_iter().chain(invoice).collect();
        let comparisons = desk::reconcile(&files).map_err(refused)?;
        if accept.is_none() && self.differ(&comparisons) {
            return Err(differences(&comparisons));
        }
        Ok(comparisons)
    }

    fn differ(&self, comparisons: &[Comparison]) -> bool {
        !comparisons.iter().all(Comparison::agrees)
    }
}

/// The error that names what files disagree about.
fn differences(comparisons: &[Comparison]) -> Error {
    let parts = comparisons.iter().flat_map(|compared| {
        let differences = compared.differences.iter().flat_map(|difference| {
            let parts = difference.parts.iter();
            parts.filter(|part| part.cause != desk::Cause::Rounding).map(move |part| {
                format!(
                    "{} {}: {} {} ({})",
                    difference.subscription,
                    difference.item,
                    part.amount.normalized().to_plain_string(),
                    difference.currency,
                    part.cause
                )
            })
        });
        let taxes = compared.taxes.iter().map(|(currency, [a, b])| {
            format!("tax: {} {currency}", (b - a).normalized().to_plain_string())
        });
        differences.chain(taxes)
    });
    let parts: Vec<String> = parts.collect();
    let named = parts.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match parts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Error::conflict(format!(
        "the files disagree: {named}{more}. See all of it with `skyhandel reconcile`; import them \
         as they are with --accept and the reason"
    ))
}

/// The edge of an invoice.
struct Edge {
    seller: OrganisationId,
    buyer: OrganisationId,
    currency: Currency,
}

impl Edge {
    fn find(programme: &Programme, options: &ReceivedOptions) -> Result<Self> {
        let id = |key: &Key| {
            let found = programme.organisations.values().find(|o| o.key == *key);
            found
                .map(|organisation| organisation.id)
                .ok_or_else(|| Error::NotFound { kind: "organisation", id: key.to_string() })
        };
        let (seller, buyer) = (id(&options.seller)?, id(&options.buyer)?);
        let month = options.month;
        let whole = domain::Validity::new(month.first_day(), Some(month.next().first_day()));
        let mut agreed = programme.agreements_of(seller, buyer);
        let agreed = agreed.find(|a| whole.is_some_and(|whole| a.validity.overlaps(whole)));
        let edge = format!("{} -> {} in {month}", options.seller, options.buyer);
        let agreed =
            agreed.ok_or_else(|| Error::conflict(format!("there is no agreement for {edge}")))?;
        if agreed.rated != RatedBy::Seller {
            return Err(Error::conflict(format!(
                "{edge} is rated here, so its invoices are issued here; if the seller rates it, say \
                 rated = \"seller\" in the agreement"
            )));
        }
        Ok(Self { seller, buyer, currency: agreed.currency })
    }
}

/// What the lines of an invoice come to.
struct Sums {
    net: Money,
    tax: Money,
    rows: u64,
}

/// What the rows of a daily file come to.
#[derive(Default)]
struct DailySums {
    rows: u64,
    billed: BigDecimal,
    /// Rows that charge something else than usage.
    others: u64,
    /// Rows that a reservation or savings plan has paid for.
    covered: u64,
}

impl DailySums {
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.others > 0 {
            notes.push(format!("{} rows charge something else than usage", self.others));
        }
        if self.covered > 0 {
            notes.push(format!(
                "{} rows are paid for by a reservation or savings plan and cost nothing; they are \
                 not sold on as usage",
                self.covered
            ));
        }
        notes
    }
}

/// Keeps the files of an invoice in one spelling.
struct Writer<'a> {
    folder: &'a Path,
    edge: &'a Edge,
    month: Month,
}

/// The columns that are numbers, days and amounts of the billing currency; all others are texts.
const NUMBERS: [&str; 11] = [
    "UnitPrice",
    "Quantity",
    "EffectiveUnitPrice",
    "BillableQuantity",
    "PCToBCExchangeRate",
    "BillingPreTaxTotal",
    "PricingPreTaxTotal",
    "PartnerEarnedCreditPercentage",
    "CreditPercentage",
    "TotalDiscount",
    "Tax",
];
const DAYS: [&str; 7] = [
    "OrderDate",
    "ChargeStartDate",
    "ChargeEndDate",
    "UsageDate",
    "PCToBCExchangeRateDate",
    "SubscriptionStartDate",
    "SubscriptionEndDate",
];
const AMOUNTS: [&str; 3] = ["Subtotal", "TaxTotal", "Total"];

/// A cell in the one spelling that is kept.
fn cell(
    row: &FileRow<'_>,
    at: usize,
    column: &str,
    currency: Currency,
) -> std::result::Result<String, String> {
    if NUMBERS.contains(&column) {
        let number = row.number(at)?;
        return Ok(number.map_or_else(String::new, |n| n.normalized().to_plain_string()));
    }
    if AMOUNTS.contains(&column) {
        let amount = row.number(at)?.unwrap_or_default();
        return Ok(amount.with_scale(i64::from(currency.minor_digits())).to_plain_string());
    }
    if DAYS.contains(&column) {
        let day = row.day(at)?;
        return Ok(day.map_or_else(String::new, |day| format!("{day}T00:00:00Z")));
    }
    Ok(row.text(at).to_owned())
}

impl Writer<'_> {
    /// Copies the lines; returns the number of the invoice, what it comes to, and the copy.
    fn lines(&self, files: &Files) -> Result<(String, Sums, Kept)> {
        let columns = documents::reconciliation::COLUMNS;
        let at = |name: &str| columns.iter().position(|column| *column == name).unwrap_or(0);
        let [number_at, currency_at, subtotal_at, tax_at, total_at, start_at] =
            ["InvoiceNumber", "Currency", "Subtotal", "TaxTotal", "Total", "ChargeStartDate"]
                .map(at);
        let state = RefCell::new((String::new(), Money::zero(self.edge.currency), 0i64, 0u64));
        let mut out = self.table(&documents::received::lines_layout(), "lines")?;
        desk::each_row(&files.lines, columns, |row| {
            let (number, net, tax, rows) = &mut *state.borrow_mut();
            one_number(number, row.text(number_at))?;
            self.check_currency(row.text(currency_at))?;
            self.check_start(row.day(start_at)?)?;
            let subtotal = self.amount(row, subtotal_at, "Subtotal")?.unwrap_or_default();
            let of_row = self.amount(row, tax_at, "TaxTotal")?.unwrap_or_default();
            if let Some(total) = self.amount(row, total_at, "Total")?
                && subtotal.checked_add(of_row) != Some(total)
            {
                return Err("Total is not Subtotal with TaxTotal".to_owned());
            }
            let subtotal = Money::new(subtotal, self.edge.currency);
            *net = net.checked_add(subtotal).map_err(|error| error.to_string())?;
            *tax = tax.checked_add(of_row).ok_or("TaxTotal: the sum is too large")?;
            *rows += 1;
            for (at, column) in columns.iter().enumerate() {
                out.text(at, &cell(row, at, column, self.edge.currency)?);
            }
            out.row().map_err(|error| error.to_string())
        })
        .map_err(refused)?;
        let (number, net, tax, rows) = state.into_inner();
        let number = match (&files.invoice, number.as_str()) {
            (Some((_, invoice)), "") => invoice.number.clone(),
            _ => number,
        };
        if number.is_empty() {
            let reason = "is nowhere in the files; only billed usage is imported";
            return Err(Error::invalid("InvoiceNumber", reason));
        }
        let sums = Sums { net, tax: Money::new(tax, self.edge.currency), rows };
        Ok((number, sums, out))
    }

    /// Copies the rows by day and hands them on as usage.
    fn daily(
        &self,
        files: &Files,
        (invoice, taker): (&ReceivedRow, &mut Intake<'_>),
    ) -> Result<(DailySums, Kept)> {
        let columns = documents::daily::COLUMNS;
        let at = |name: &str| columns.iter().position(|column| *column == name).unwrap_or(0);
        let [number_at, currency_at, billed_at, benefit_at] =
            ["InvoiceNumber", "BillingCurrency", "BillingPreTaxTotal", "BenefitId"].map(at);
        let fields = FIELDS.map(|(field, column)| (field, at(column)));
        let names = std::array::from_fn(|field| {
            let known = FIELDS.iter().find(|(known, _)| *known as usize == field);
            known.map_or_else(String::new, |(_, column)| (*column).to_owned())
        });
        taker.begin(&file_name(&files.daily), names, true);
        let state = RefCell::new((DailySums::default(), None::<Error>));
        let mut out = self.table(&documents::received::daily_layout(), "daily")?;
        let read = desk::each_row(&files.daily, columns, |row| {
            let (sums, failed) = &mut *state.borrow_mut();
            let number = row.text(number_at);
            if !number.is_empty() && number != invoice.number {
                return Err(format!("InvoiceNumber is {number}, not {}", invoice.number));
            }
            self.check_currency(row.text(currency_at))?;
            let billed = row.number(billed_at)?.unwrap_or_default();
            sums.rows += 1;
            for (at, column) in columns.iter().enumerate() {
                out.text(at, &cell(row, at, column, self.edge.currency)?);
            }
            out.row().map_err(|error| error.to_string())?;
            let covered = !row.text(benefit_at).is_empty() && billed == BigDecimal::default();
            sums.billed += billed;
            if !row.is_usage() || covered {
                sums.covered += u64::from(covered);
                sums.others += u64::from(!covered);
                return Ok(());
            }
            let mut raw = RawRecord { row: row.line, ..RawRecord::default() };
            for (field, at) in fields {
                raw.values[field as usize] = cell(row, at, columns[at], self.edge.currency)?.into();
            }
            taker.take(&raw).map_err(|error| {
                let text = error.to_string();
                *failed = Some(error);
                text
            })
        });
        let (sums, failed) = state.into_inner();
        if let Some(error) = failed {
            return Err(error);
        }
        read.map_err(refused)?;
        Ok((sums, out))
    }

    fn check_currency(&self, text: &str) -> std::result::Result<(), String> {
        if text.eq_ignore_ascii_case(self.edge.currency.code()) {
            return Ok(());
        }
        let agreed = self.edge.currency;
        Err(format!("is in {text:?}; the agreement says {agreed}"))
    }

    /// An invoice bills its month, and may bill what is older.
    fn check_start(&self, day: Option<Date>) -> std::result::Result<(), String> {
        match day {
            Some(day) if day > self.month.last_day() => {
                Err(format!("ChargeStartDate {day} is after {}", self.month))
            }
            _ => Ok(()),
        }
    }

    /// An amount in minor units.
    fn amount(
        &self,
        row: &FileRow<'_>,
        at: usize,
        name: &str,
    ) -> std::result::Result<Option<i64>, String> {
        let Some(number) = row.number(at)? else { return Ok(None) };
        let minor = (&number * power(self.edge.currency)).normalized();
        let whole = minor.is_integer().then(|| minor.with_scale(0).to_plain_string());
        whole
            .and_then(|whole| whole.parse().ok())
            .map(Some)
            .ok_or_else(|| format!("{name} is {number}: not an amount in {}", self.edge.currency))
    }

    fn table(&self, layout: &documents::Layout, name: &str) -> Result<Kept> {
        std::fs::create_dir_all(self.folder).map_err(Error::file(self.folder))?;
        let path = self.folder.join(format!("{name}.part"));
        Ok(Kept {
            sink: Sink::create(&path, Format::Parquet, layout)?,
            table: TableBuilder::new(layout),
            path,
        })
    }
}

/// How many minor units a currency has in one of its units.
fn power(currency: Currency) -> BigDecimal {
    BigDecimal::new(1.into(), -i64::from(currency.minor_digits()))
}

/// Which columns of a daily file say what of a record.
const FIELDS: [(Field, &str); 13] = [
    (Field::SubscriptionId, "SubscriptionId"),
    (Field::MeterId, "MeterId"),
    (Field::Date, "UsageDate"),
    (Field::Quantity, "Quantity"),
    (Field::Unit, "Unit"),
    (Field::ResourceUri, "ResourceURI"),
    (Field::ResourceLocation, "ResourceLocation"),
    (Field::ResourceGroup, "ResourceGroup"),
    (Field::ConsumedService, "ConsumedService"),
    (Field::Tags, "Tags"),
    (Field::AdditionalInfo, "AdditionalInfo"),
    (Field::ServiceInfo1, "ServiceInfo1"),
    (Field::ServiceInfo2, "ServiceInfo2"),
];

/// A file that is being kept.
struct Kept {
    sink: Sink,
    table: TableBuilder,
    path: PathBuf,
}

impl Kept {
    fn text(&mut self, at: usize, text: &str) {
        self.table.text(at, text);
    }

    fn row(&mut self) -> Result<()> {
        self.table.row();
        if self.table.rows() == BATCH_ROWS { self.sink.write(&self.table.take()?) } else { Ok(()) }
    }

    /// Ends the file and puts it where it belongs; says where that is.
    fn finish(mut self, folder: &Path, name: &str) -> Result<PathBuf> {
        if self.table.rows() > 0 {
            self.sink.write(&self.table.take()?)?;
        }
        self.sink.finish()?;
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let target = folder.join(name);
        std::fs::rename(&self.path, &target).map_err(Error::file(&target))?;
        Ok(target)
    }
}

/// The catalogue's row for a file that is kept.
fn document(id: InvoiceId, file: &Path, lines: u64) -> Result<DocumentRow> {
    Ok(DocumentRow {
        revision: 0,
        path: format!("received/{id}/{}", file_name(file)),
        invoice: Some(id),
        kind: RECEIVED.to_owned(),
        sha256: sha256(file)?,
        bytes: std::fs::metadata(file).map_err(Error::file(file))?.len(),
        lines,
    })
}

/// All rows that name an invoice name the same one.
fn one_number(known: &mut String, number: &str) -> std::result::Result<(), String> {
    if number.is_empty() || number == known {
        return Ok(());
    }
    if known.is_empty() {
        number.clone_into(known);
        return Ok(());
    }
    Err(format!("InvoiceNumber is {number}, further up {known}; import one invoice at a time"))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What the desk refuses, as our own error.
fn refused(refused: Refused) -> Error {
    let mut faults = Faults::default();
    faults.push(Fault {
        file: refused.file.clone(),
        line: refused.line,
        field: None,
        value: None,
        reason: refused.reason,
    });
    Error::Refused { subject: refused.file, faults: Box::new(faults) }
}
