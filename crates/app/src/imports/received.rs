//! Importing what a provider bills that rates in a system of its own: its daily rated usage becomes
//! usage here, which the buyer sells on; its invoice becomes what the buyer pays.
//!
//! The files must agree with each other, or somebody must say why they need not. All of it is one
//! transaction.

mod keep;
mod units;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use desk::{BigDecimal, Comparison, Document, Invoice, Refused};
use domain::{Action, Because, Programme, RatedBy, Resource};
use jiff::civil::Date;
use kernel::{
    Currency, Error, Fault, Faults, ImportId, InvoiceId, Key, Money, Month, OrganisationId, Result,
    Zone,
};
use store::{ControlTotal, DocumentRow, Exclusive, ImportRow, ReceivedRow, Turn, Tx};

use super::Imported;
use super::quarantine::Quarantine;
use super::usage::intake::{self, Intake, Taken};
use super::usage::record::{Directory, Reader};
use crate::sheets::sha256;
use crate::{Ctx, crash, facts};
use keep::Writer;

/// The kind of document that a received file is.
const RECEIVED: &str = "received";
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
    let _turn = ctx.installation.alone(Exclusive::Lake).await?;
    let mut tx = ctx.read(Action::Create, Resource::Import).await?;
    let programme = facts::programme(&mut tx, i64::MAX).await?;
    let edge = Edge::find(&programme, options)?;
    let comparisons = files.compare(options.accept.as_deref())?;
    let folder = ctx.installation.documents().join("received");
    let (month, units) = (options.month, RefCell::default());
    let writer = Writer { folder: &folder, edge: &edge, month, units };
    let (number, sums, lines) = writer.lines(&files)?;
    let differs = files.check_invoice((sums.net, sums.tax), options.accept.is_some())?;
    let stated = files.invoice.as_ref().and_then(|(_, invoice)| invoice.issue_date);
    let issue_on = stated.or(options.issue_on);
    let mut row = ReceivedRow {
        id: InvoiceId::derived(&format!("received/{}/{}/{number}", edge.seller, edge.buyer)),
        month: options.month,
        seller: edge.seller,
        buyer: edge.buyer,
        number,
        known_at: 0,
        issue_on: issue_on.unwrap_or_else(|| programme.zone.day_of(ctx.now)),
        net: sums.net,
        tax: sums.tax,
        lines: sums.rows,
        daily_rows: 0,
        daily_billed: String::new(),
        sha256: [sha256(&files.lines)?, sha256(&files.daily)?],
        differences: options.accept.clone().filter(|_| differs || differ(&comparisons)),
    };
    if let Some(known) = tx.received().await?.into_iter().find(|known| is_known(known, &row)) {
        return already(known, &row, comparisons);
    }
    let place = folder.join(row.id.to_string());
    let lines = lines.finish(&place, "reconciliation.parquet")?;
    let taking = Taking { writer: &writer, files: &files, programme: &programme, options };
    let taken = taking.take(&ctx, tx, (&mut row, &place)).await?;
    let documents =
        [document(row.id, &lines, row.lines)?, document(row.id, &taken.rows, row.daily_rows)?];
    let mut tx = ctx.system_write(Because::Metering, Turn::Usage).await?;
    row.known_at = tx.known_at(ctx.now_micros()).await?;
    let usage = taken.add(&ctx, &mut tx, (&row, options)).await?;
    tx.add_received(&row).await?;
    tx.add_documents(row.month, &documents).await?;
    crash::point();
    tx.commit().await?;
    crash::point();
    Ok(Received { invoice: row, comparisons, usage })
}

/// Takes the daily file: keeps it, and adds what was used to the usage that is sold on.
struct Taking<'a> {
    writer: &'a Writer<'a>,
    files: &'a Files,
    programme: &'a Programme,
    options: &'a ReceivedOptions,
}

impl Taking<'_> {
    /// Completes the invoice's row.
    async fn take(
        &self,
        ctx: &Ctx<'_>,
        mut tx: Tx,
        (row, place): (&mut ReceivedRow, &Path),
    ) -> Result<TakenDaily> {
        let lake = ctx.installation.lake();
        intake::sweep(&lake, &mut tx).await?;
        let index = intake::Index::open(ctx.installation, &mut tx).await?;
        drop(tx);
        let import = ImportId::derived(&format!("received/{}", row.id));
        let directory = Directory::of(self.programme);
        let reader = Reader::new(self.options.seller.as_str(), None, directory.into());
        let mut taker = Intake::new(&lake, import, reader, index, Quarantine::new(None));
        let (daily, rows) = self.writer.daily(self.files, (row, &mut taker))?;
        let different = self.writer.units.borrow().differences();
        if self.options.accept.is_none() && !different.is_empty() {
            return Err(disagree(&different));
        }
        if row.differences.is_none() && !different.is_empty() {
            row.differences.clone_from(&self.options.accept);
        }
        let rows = rows.finish(place, "daily-rated-usage.parquet")?;
        row.daily_rows = daily.rows;
        row.daily_billed = daily.billed.normalized().to_plain_string();
        let name = file_name(&self.files.daily);
        let mut taken = taker.finish(&name)?;
        taken.notes.extend(daily.notes());
        Ok(TakenDaily { import, rows, name, taken })
    }
}

/// What has become of a daily file.
struct TakenDaily {
    import: ImportId,
    /// Where it is kept.
    rows: PathBuf,
    name: String,
    taken: Taken,
}

impl TakenDaily {
    /// Makes what was used known.
    async fn add(
        self,
        ctx: &Ctx<'_>,
        tx: &mut Tx,
        (row, options): (&ReceivedRow, &ReceivedOptions),
    ) -> Result<Imported> {
        let Self { import, name, mut taken, .. } = self;
        let imported = ImportRow {
            subject: options.seller.to_string(),
            file_name: name,
            rows_read: taken.counts.read,
            rows_taken: taken.counts.new,
            rows_duplicate: taken.counts.duplicate,
            rows_conflicting: taken.counts.conflicting,
            conflicts_path: taken.conflicts_path.clone(),
            ..import_row(row)
        };
        tx.add_import(&imported, &taken.totals).await?;
        taken.add(tx, import, row.known_at).await?;
        let lake = ctx.installation.lake();
        taken.notes.extend(super::usage::late(&lake, tx, &taken.added).await?);
        Ok(imported_usage(imported, taken.totals, taken.notes, false))
    }
}

/// The import of an invoice of which nothing is taken.
fn import_row(invoice: &ReceivedRow) -> ImportRow {
    ImportRow {
        id: ImportId::derived(&format!("received/{}", invoice.id)),
        kind: "received".into(),
        subject: String::new(),
        file_name: String::new(),
        sha256: invoice.sha256[1].clone(),
        known_at: invoice.known_at,
        rows_read: invoice.daily_rows,
        rows_taken: 0,
        rows_duplicate: 0,
        rows_conflicting: 0,
        rows_quarantined: 0,
        rows_waiting: 0,
        conflicts_path: None,
    }
}

fn imported_usage(
    import: ImportRow,
    totals: Vec<ControlTotal>,
    notes: Vec<String>,
    already: bool,
) -> Imported {
    Imported { import, totals, already, notes, quarantine: None }
}

/// A seller gives a number once.
fn is_known(known: &ReceivedRow, row: &ReceivedRow) -> bool {
    (known.seller, &known.number) == (row.seller, &row.number)
}

/// The same invoice again: nothing is done if it says the same.
fn already(
    known: ReceivedRow,
    again: &ReceivedRow,
    comparisons: Vec<Comparison>,
) -> Result<Received> {
    if known.buyer != again.buyer {
        return Err(Error::conflict(format!(
            "invoice {} of the same seller has been imported for another buyer, in {}",
            known.number, known.month
        )));
    }
    if known.sha256 != again.sha256 || known.month != again.month {
        return Err(Error::conflict(format!(
            "invoice {} of {} has been imported with other content; a corrected invoice has a \
             number of its own",
            known.number, known.month
        )));
    }
    let import = ImportRow { rows_duplicate: known.daily_rows, ..import_row(&known) };
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

    /// The totals of the invoice are those of its lines; says whether they differ where somebody
    /// has accepted that.
    fn check_invoice(&self, (net, tax): (Money, Money), accepted: bool) -> Result<bool> {
        let Some((path, invoice)) = &self.invoice else { return Ok(false) };
        let gross = net.checked_add(tax)?;
        let same =
            |stated: &BigDecimal, money: Money| stated.normalized() == decimal(money).normalized();
        let fits = match &invoice.net {
            Some(stated) => same(stated, net) && same(&invoice.gross, gross),
            None => same(&invoice.gross, gross) || same(&invoice.gross, net),
        };
        if fits || accepted {
            return Ok(!fits);
        }
        let net_said = invoice.net.as_ref().map_or_else(String::new, |net| format!(" (net {net})"));
        let reason = format!(
            "says {}{net_said}; the lines come to {gross} (net {net}, tax {tax}); import it as it is \
             with --accept and the reason",
            invoice.gross
        );
        Err(Error::invalid(file_name(path), reason))
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
        if accept.is_none() && differ(&comparisons) {
            return Err(differences(&comparisons));
        }
        Ok(comparisons)
    }
}

fn differ(comparisons: &[Comparison]) -> bool {
    !comparisons.iter().all(Comparison::agrees)
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
    disagree(&parts.collect::<Vec<String>>())
}

fn disagree(parts: &[String]) -> Error {
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
    zone: Zone,
    /// By the id of a subscription or of what one holds, in lower case.
    sold: HashMap<String, Sold>,
}

/// What an id in a file stands for.
struct Sold {
    subscription: String,
    /// What the subscription holds, where the id is of that.
    entitlement: Option<String>,
    /// Whether the sale path begins with the edge.
    is_of_edge: bool,
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
        let zone = programme.zone.clone();
        let sold = sold(programme, (seller, buyer));
        Ok(Self { seller, buyer, currency: agreed.currency, zone, sold })
    }

    /// The subscription that an id stands for, and what it holds where the id is of that.
    fn sold(&self, id: &str) -> (String, Option<String>) {
        match self.sold.get(&id.to_lowercase()) {
            Some(sold) => (sold.subscription.clone(), sold.entitlement.clone()),
            None => (id.to_owned(), None),
        }
    }

    /// What a subscription holds, if an id is of that.
    fn held(&self, subscription: &str, id: &str) -> Option<String> {
        let held = self.sold.get(&id.to_lowercase())?;
        (held.subscription == subscription).then(|| held.entitlement.clone()).flatten()
    }

    /// A subscription that is known must be sold along the edge.
    fn refuse_others(&self, subscription: &str) -> std::result::Result<(), String> {
        match self.sold.get(&subscription.to_lowercase()) {
            Some(sold) if !sold.is_of_edge => Err(format!(
                "subscription {subscription} is not sold along this edge; its sale path begins \
                 otherwise"
            )),
            _ => Ok(()),
        }
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

fn decimal(money: Money) -> BigDecimal {
    money.digits().parse().unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What ids in files stand for.
fn sold(programme: &Programme, edge: (OrganisationId, OrganisationId)) -> HashMap<String, Sold> {
    let mut all = HashMap::new();
    for subscription in programme.subscriptions.values() {
        let is_of_edge = subscription.edges().next() == Some(edge);
        let of = |entitlement: Option<String>| Sold {
            subscription: subscription.id.to_string(),
            entitlement,
            is_of_edge,
        };
        for entitlement in &subscription.entitlements {
            let id = entitlement.id.to_string();
            all.insert(id.to_lowercase(), of(Some(id)));
        }
        all.insert(subscription.id.to_string().to_lowercase(), of(None));
    }
    all
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
