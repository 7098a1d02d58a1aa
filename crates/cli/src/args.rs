//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use app::DatabaseUrl;
use app::Duty;
use app::explain::LineName;
use app::imports::UsageFormat;
use app::seats::SeatRounding;
use clap::{Args, Parser, Subcommand};
use documents::Format;
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{ApplicationId, Currency, ExchangeRate, Key, Month, SubscriptionId, UnitPrice};

/// Runs a cloud solution provider programme: prices, usage, invoices at every tier.
///
/// Start with `skyhandel demo`, or with `skyhandel init` and a programme file.
#[derive(Debug, Parser)]
#[command(name = "skyhandel", version, propagate_version = true)]
#[command(after_help = "Exit codes: 0 done, 1 verification failed, 2 wrong command line, 3 input \
    refused, 4 not possible now, 5 file not readable or writable, 70 internal error.\n\n\
    Example:\n  skyhandel demo --dir demo")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The data folder: an embedded database and the files beside it.
    #[arg(long, global = true, env = "SKYHANDEL_DATA", default_value = "skyhandel-data")]
    pub data: PathBuf,
    /// The database, if it is not the embedded one of the data folder: sqlite:FILE or
    /// `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(long, global = true, env = "SKYHANDEL_DATABASE", value_name = "URL")]
    #[arg(hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
    /// Print one JSON value instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Run as if it were this instant, to repeat something exactly.
    #[arg(long, global = true, hide = true, env = "SKYHANDEL_NOW", value_name = "INSTANT")]
    pub now: Option<Timestamp>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a programme of our own from price sheet and usage to verified invoices at every tier.
    #[command(after_help = "Example:\n  skyhandel demo --dir demo --no-serve")]
    Demo(DemoArgs),
    /// Make a data folder.
    #[command(after_help = "Example:\n  skyhandel init --data skyhandel-data")]
    Init,
    /// Show what a programme file would change, and apply it.
    #[command(after_help = "Example:\n  skyhandel apply programme.toml\n  skyhandel apply \
        programme.toml --yes")]
    Apply(ApplyArgs),
    /// Import prices, exchange rates or usage.
    #[command(after_help = "Example:\n  skyhandel import usage october.csv.gz --source meters")]
    #[command(subcommand)]
    Import(ImportCommand),
    /// List the imports so far with their control totals.
    #[command(after_help = "Example:\n  skyhandel imports --json")]
    Imports,
    /// Rate an open month: what everybody would be billed now. Nothing is frozen.
    #[command(after_help = "Example:\n  skyhandel rate --period 2026-10")]
    Rate(RateArgs),
    /// Rehearse a draft: what a month's real usage comes to by the facts in force and by the draft.
    ///
    /// Shows old and new amount and margin of each edge, customer and meter, what would be sold for
    /// less than it costs, and what would have no price. Nothing is kept; applying or importing the
    /// draft gives the same numbers.
    #[command(after_help = "Example:\n  skyhandel rehearse --period 2026-10 --programme \
        draft.toml\n  skyhandel rehearse --period 2026-10 --prices next.csv --sheet azure --as-of \
        2026-12-01")]
    Rehearse(RehearseArgs),
    /// Close a month: number and freeze its invoices, post them, write its documents.
    ///
    /// Closing a closed month does nothing; a close that was cut off goes on where it stopped.
    #[command(after_help = "Example:\n  skyhandel close --period 2026-10")]
    Close(CloseArgs),
    /// Show what restated prices would make of a closed month, and accept them for a seller.
    ///
    /// Prices of a closed month are restated by `apply` and `import` with `--restate`. An edge keeps
    /// the prices that it was billed by until its seller accepts; then the next `adjust` bills the
    /// difference.
    #[command(after_help = "Example:\n  skyhandel restate --period 2026-10\n  skyhandel restate \
        --period 2026-10 --accept nordsky --buyer fjordtech --consent \"mail of 2026-11-20\"")]
    Restate(RestateArgs),
    /// Show what became known about a closed month since it was billed, and bill the difference.
    ///
    /// Without `--post` nothing is frozen. An adjustment that was cut off goes on where it stopped.
    #[command(after_help = "Example:\n  skyhandel adjust --period 2026-10\n  skyhandel adjust \
        --period 2026-10 --post")]
    Adjust(AdjustArgs),
    /// Rate a closed month again in the shadow: does this version of the engine come to what was
    /// billed? Nothing is changed.
    #[command(
        after_help = "Exits with 1 where it does not.\n\nExample:\n  skyhandel shadow --period \
        2026-10"
    )]
    Shadow(ShadowArgs),
    /// List frozen invoices, or show one.
    #[command(after_help = "Example:\n  skyhandel invoices --period 2026-10\n  skyhandel \
        invoices show INV-000001")]
    #[command(args_conflicts_with_subcommands = true)]
    Invoices(InvoicesArgs),
    /// Export the documents of a closed month into a new folder, with a certificate.
    #[command(after_help = "Example:\n  skyhandel export --period 2026-10 --to october\n  \
        skyhandel export --period 2026-10 --to october-acme --buyer acme --format parquet")]
    Export(ExportArgs),
    /// Prove an exported folder from its files alone: recompute every amount, check every tie.
    #[command(after_help = "Exits with 1 and names file and line where something does not tie \
        out.\n\nExample:\n  skyhandel verify october")]
    Verify(VerifyArgs),
    /// Compare billing files, each with the next: daily rated usage, reconciliation, invoice.
    ///
    /// Lists every difference by its cause, with parts that add up to the whole. Works offline on
    /// any files with the documented columns, in any order and spelling: CSV, JSON lines, gzip.
    #[command(
        after_help = "Exits with 1 where more than rounding differs.\n\nExample:\n  skyhandel \
        reconcile daily.csv.gz reconciliation.csv invoice.json"
    )]
    Reconcile(ReconcileArgs),
    /// Show what a change of seats comes to as Partner Center bills it, to check the rows of an
    /// invoice: the rest of the charge cycle is taken back and charged again.
    #[command(after_help = "Example:\n  skyhandel prorate --price 12.00 --currency USD \
        --cycle-start 2022-03-01 --on 2022-03-03 --from 10 --to 15 --rounding \
        partner-center-product")]
    Prorate(ProrateArgs),
    /// Explain an invoice line: usage, tier, price entry, rules, exchange rate, rounding.
    #[command(after_help = "Example:\n  skyhandel explain INV-000001/12\n  skyhandel explain \
        2fdcb8a5-5b9c-5c10-8b2e-1f6f3f5f2c11 --json")]
    Explain(ExplainArgs),
    /// Measure on a made-up month; prints figures and ratios.
    #[command(after_help = "Example:\n  skyhandel bench rate --lines 20000000 --json")]
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Serve the API until asked to stop (SIGTERM or Ctrl-C).
    ///
    /// Programs get a token for their application's id and secret at /oauth2/token; make the first
    /// application with `skyhandel applications create`. The document of all operations is at
    /// /api/v1/openapi.json.
    #[command(after_help = "Example:\n  skyhandel serve --listen 0.0.0.0:8443 --tls-certificate \
        chain.pem --tls-key key.pem")]
    Serve(ServeArgs),
    /// Make, list and take away the programs that may call the API.
    #[command(after_help = "Example:\n  skyhandel applications create --name ops --duty operator")]
    #[command(subcommand)]
    Applications(ApplicationsCommand),
    /// Look after the database.
    #[command(after_help = "Example:\n  skyhandel db copy --from sqlite:data/skyhandel.db --to \
        postgres://sky@db/sky --data data")]
    #[command(subcommand)]
    Db(DbCommand),
    /// Print the JSON schema of programme files, or their reference.
    #[command(after_help = "Example:\n  skyhandel schema > programme.schema.json")]
    Schema {
        /// The reference for people, as Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  skyhandel completions bash > \
        ~/.local/share/bash-completion/completions/skyhandel")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder: a new one, or that of an earlier demo, which is replaced.
    #[arg(long, default_value = "skyhandel-demo")]
    pub dir: PathBuf,
    /// How many times as much usage as usual: about 200,000 lines each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub scale: u64,
    /// What the made-up numbers depend on: the same seed gives the same documents.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End when the documents are verified, without serving a portal. There is no portal yet, so
    /// the demo ends there anyway.
    #[arg(long)]
    pub no_serve: bool,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address to listen on.
    #[arg(
        long,
        default_value = "127.0.0.1:8440",
        env = "SKYHANDEL_LISTEN",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// The certificate chain (PEM), to serve HTTPS.
    #[arg(long, requires = "tls_key", env = "SKYHANDEL_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, requires = "tls_certificate", env = "SKYHANDEL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ApplicationsCommand {
    /// Make an application; its secret is shown this once.
    #[command(after_help = "Example:\n  skyhandel applications create --name meters --duty \
        metering-agent --organisation nordsky")]
    Create(NewApplicationArgs),
    /// List the applications.
    List,
    /// Take an application away.
    Delete {
        /// Its id.
        application: ApplicationId,
    },
}

#[derive(Debug, Args)]
pub struct NewApplicationArgs {
    /// What it is called.
    #[arg(long)]
    pub name: String,
    /// What it may do: operator, admin-agent, sales-agent, billing-agent or metering-agent.
    #[arg(long)]
    pub duty: Duty,
    /// The organisation in whose name it acts; operators have none.
    #[arg(long)]
    pub organisation: Option<Key>,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Move the installation to another database, which must be empty. The data folder stays, and
    /// belongs to the new database from then on; the old one is left as it was.
    #[command(after_help = "Example:\n  skyhandel db copy --from sqlite:data/skyhandel.db --to \
        postgres://sky@db/sky --data data")]
    Copy {
        /// Where the installation is.
        #[arg(long, value_name = "URL")]
        from: DatabaseUrl,
        /// Where it goes.
        #[arg(long, value_name = "URL")]
        to: DatabaseUrl,
    },
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The programme file (TOML).
    pub file: PathBuf,
    /// Apply the plan; without it, the plan is only shown.
    #[arg(long)]
    pub yes: bool,
    /// Let it change prices of closed months, and say why. Nothing is billed by them until a seller
    /// accepts them with `skyhandel restate`.
    #[arg(long, value_name = "REASON", value_parser = said)]
    pub restate: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import prices: a plan price sheet (CSV) or a RateCard (JSON), plain or gzip.
    #[command(after_help = "Example:\n  skyhandel import prices ratecard.json.gz --sheet azure")]
    Prices(PriceArgs),
    /// Import exchange rates: the ECB's history (CSV) or a monthly sheet of USD per unit.
    #[command(after_help = "Example:\n  skyhandel import rates eurofxref-hist.csv")]
    Rates(RatesArgs),
    /// Import usage: CSV, JSON lines, Parquet, the utilization answer of Partner Center, or Azure
    /// cost details; text may be gzip.
    #[command(after_help = "Example:\n  skyhandel import usage october.csv.gz --source meters")]
    Usage(UsageArgs),
    /// Import what a provider bills that rates in a system of its own: its daily rated usage, its
    /// reconciliation file and its invoice (JSON). The usage is sold on; the invoice is what the
    /// buyer pays. The agreement says rated = "seller".
    #[command(after_help = "Example:\n  skyhandel import received daily.csv.gz lines.csv \\\n    \
                            --seller microsoft --buyer partner --period 2026-10")]
    Received(ReceivedArgs),
}

#[derive(Debug, Args)]
pub struct ReceivedArgs {
    /// The files of one invoice, in any order and spelling.
    #[arg(required = true, num_args = 2..=3)]
    pub files: Vec<PathBuf>,
    /// Who sells and rates.
    #[arg(long)]
    pub seller: Key,
    /// Who buys.
    #[arg(long)]
    pub buyer: Key,
    /// The billed month.
    #[arg(long)]
    pub period: Month,
    /// The day of issue, where the invoice does not say it; today if left out.
    #[arg(long, value_name = "DAY")]
    pub issue_date: Option<Date>,
    /// Import files that do not agree with each other, and say why.
    #[arg(long, value_name = "REASON", value_parser = said)]
    pub accept: Option<String>,
}

#[derive(Debug, Args)]
pub struct PriceArgs {
    /// The files, imported one after the other.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The price sheet to which the prices belong; offers refer to it by this name.
    #[arg(long)]
    pub sheet: Key,
    /// The market to take, of a file that has several.
    #[arg(long)]
    pub market: Option<String>,
    /// Take each meter's earliest price to apply from this day on: a RateCard only tells the
    /// present prices, and usage may be older.
    #[arg(long, value_name = "DAY")]
    pub valid_from: Option<Date>,
    /// Take the good rows and write the bad ones to this file.
    #[arg(long, value_name = "FILE")]
    pub quarantine: Option<PathBuf>,
    /// Let it change prices of closed months, and say why. Nothing is billed by them until a seller
    /// accepts them with `skyhandel restate`.
    #[arg(long, value_name = "REASON", value_parser = said)]
    pub restate: Option<String>,
}

#[derive(Debug, Args)]
pub struct RatesArgs {
    /// The files, imported one after the other.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Take the good rows and write the bad ones to this file.
    #[arg(long, value_name = "FILE")]
    pub quarantine: Option<PathBuf>,
    /// Let it change prices of closed months, and say why. Nothing is billed by them until a seller
    /// accepts them with `skyhandel restate`.
    #[arg(long, value_name = "REASON", value_parser = said)]
    pub restate: Option<String>,
}

#[derive(Debug, Args)]
pub struct UsageArgs {
    /// The files, imported one after the other.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Whose event ids these are. The same id from two sources is two events.
    #[arg(long, default_value = "default")]
    pub source: Key,
    /// The layout, if it cannot be told from the file: csv, jsonl, parquet or utilization.
    #[arg(long)]
    pub format: Option<UsageFormat>,
    /// The subscription of rows that do not name one.
    #[arg(long)]
    pub subscription: Option<SubscriptionId>,
    /// Take the good rows and write the bad ones to this file.
    #[arg(long, value_name = "FILE")]
    pub quarantine: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RateArgs {
    /// The month.
    #[arg(long)]
    pub period: Month,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
    /// Also write the rated lines into this folder, as Parquet with all tiers' amounts in a row.
    #[arg(long, value_name = "DIR")]
    pub lines: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CloseArgs {
    /// The month.
    #[arg(long)]
    pub period: Month,
    /// The day of issue of the invoices; today if left out.
    #[arg(long, value_name = "DAY")]
    pub issue_date: Option<Date>,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("draft").required(true).multiple(true))]
pub struct RehearseArgs {
    /// The month whose usage is rated, open or closed.
    #[arg(long)]
    pub period: Month,
    /// A programme file as `apply` takes it: price books, agreements, rates.
    #[arg(long, value_name = "FILE", group = "draft")]
    pub programme: Option<PathBuf>,
    /// Price files as `import prices` takes them.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "sheet", group = "draft")]
    pub prices: Vec<PathBuf>,
    /// The price sheet to which the prices belong.
    #[arg(long, requires = "prices")]
    pub sheet: Option<Key>,
    /// The market to take, of a price file that has several.
    #[arg(long, requires = "prices")]
    pub market: Option<String>,
    /// Take each meter's earliest price to apply from this day on.
    #[arg(long, value_name = "DAY", requires = "prices")]
    pub valid_from: Option<Date>,
    /// Take the agreements, rules and list prices of this day, all month long: for a draft that
    /// begins later. Exchange rates stay those of the month.
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<Date>,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
pub struct RestateArgs {
    /// The month, which must be closed.
    #[arg(long)]
    pub period: Month,
    /// The seller that accepts what is known now; without it, the effect is only shown.
    #[arg(long, value_name = "SELLER")]
    pub accept: Option<Key>,
    /// Accept for this buyer only; for all buyers of the seller if left out.
    #[arg(long, requires = "accept")]
    pub buyer: Option<Key>,
    /// How the buyer consented, which it must where it pays more.
    #[arg(long, value_name = "TEXT", requires = "accept", value_parser = said)]
    pub consent: Option<String>,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
pub struct AdjustArgs {
    /// The month, which must be closed.
    #[arg(long)]
    pub period: Month,
    /// Number, freeze and post the invoices and credit notes of the differences.
    #[arg(long)]
    pub post: bool,
    /// The day of issue; today if left out.
    #[arg(long, value_name = "DAY", requires = "post")]
    pub issue_date: Option<Date>,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
pub struct ShadowArgs {
    /// The month, which must be closed.
    #[arg(long)]
    pub period: Month,
    /// How many workers; one a core if left out. The result does not depend on it.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
pub struct InvoicesArgs {
    /// Only those of this month.
    #[arg(long)]
    pub period: Option<Month>,
    /// Only those of this seller.
    #[arg(long)]
    pub seller: Option<Key>,
    /// Only those of this buyer.
    #[arg(long)]
    pub buyer: Option<Key>,
    #[command(subcommand)]
    pub command: Option<InvoicesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum InvoicesCommand {
    /// Show an invoice.
    #[command(after_help = "Example:\n  skyhandel invoices show INV-000001")]
    Show(ShowInvoiceArgs),
}

#[derive(Debug, Args)]
pub struct ShowInvoiceArgs {
    /// The number.
    pub number: String,
    /// Whose invoice it is, where several sellers have one of this number.
    #[arg(long)]
    pub seller: Option<Key>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The month.
    #[arg(long)]
    pub period: Month,
    /// The folder, which must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// The form of reconciliation and daily files: csv, csv.gz or parquet.
    #[arg(long, default_value = "csv")]
    pub format: Format,
    /// Only what this organisation sells.
    #[arg(long)]
    pub seller: Option<Key>,
    /// Only what this organisation buys.
    #[arg(long)]
    pub buyer: Option<Key>,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The exported folder.
    pub folder: PathBuf,
    /// How many workers; one a core if left out.
    #[arg(long)]
    pub workers: Option<usize>,
}

#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The files: daily rated usage or reconciliation files, and behind the lines of an invoice its
    /// JSON document.
    #[arg(required = true, num_args = 2..=8)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ProrateArgs {
    /// What a seat costs for a whole cycle.
    #[arg(long)]
    pub price: UnitPrice,
    /// The currency of the price.
    #[arg(long)]
    pub currency: Currency,
    /// The first day of the charge cycle, which is a month.
    #[arg(long, value_name = "DAY")]
    pub cycle_start: Date,
    /// The charge cycle is a year.
    #[arg(long)]
    pub annual: bool,
    /// The day of the change; the first of the cycle if left out.
    #[arg(long, value_name = "DAY")]
    pub on: Option<Date>,
    /// How many seats there were before.
    #[arg(long, value_name = "SEATS", default_value_t = 0)]
    pub from: u32,
    /// How many seats there are from that day on; none for a cancellation.
    #[arg(long, value_name = "SEATS", required_unless_present = "to_price")]
    pub to: Option<u32>,
    /// What a seat of the product costs into which the seats are converted.
    #[arg(long, value_name = "PRICE", conflicts_with = "to")]
    pub to_price: Option<UnitPrice>,
    /// The currency of the invoice, where it is another one.
    #[arg(long, value_name = "CURRENCY")]
    pub billing_currency: Option<Currency>,
    /// From the currency of the price into that of the invoice.
    #[arg(long)]
    pub rate: Option<ExchangeRate>,
    /// How it is rounded: `partner-center` (a seat, down, as documented), `partner-center-product` or
    /// `partner-center-product-nearest` (all seats, as the published tables), or `legacy` (a day, to
    /// one decimal more than an amount).
    #[arg(long, default_value = "partner-center")]
    pub rounding: SeatRounding,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The line: INVOICE/LINE, counted from one, or the `ReferenceID` of a reconciliation file.
    pub line: LineName,
    /// Whose invoice it is, where several sellers have one of this number.
    #[arg(long)]
    pub seller: Option<Key>,
    /// List every usage record.
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Rate a distributor's month from Parquet to Parquet, beside a floor that rates nothing.
    #[command(after_help = "Example:\n  skyhandel bench rate --lines 20000000 --json")]
    Rate(BenchRateArgs),
}

#[derive(Debug, Args)]
pub struct BenchRateArgs {
    /// How many usage lines.
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub lines: u64,
    /// How many workers; one a core if left out.
    #[arg(long)]
    pub workers: Option<usize>,
    /// How often each thing is measured; the fastest counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Where the files go and stay, with tables for `benches/peers`; a temporary folder if left
    /// out.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// A text that says something.
fn said(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("says nothing".to_owned()) } else { Ok(text.to_owned()) }
}
