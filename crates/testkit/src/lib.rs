//! A world for tests: an installation in a temporary folder that is fed with texts and asked what
//! everybody pays.
//!
//! Everything goes through the operations of `app`; a test that wants the command line runs the
//! executable.

mod database;
pub mod fixtures;
mod shared;
mod table;

use std::future::Future;
use std::path::{Path, PathBuf};

use app::adjust::{Adjusted, Differences, EdgeDifference};
use app::close::Closed;
use app::explain::{Explanation, LineName};
use app::export::{ExportOptions, Exported};
use app::imports::{Imported, PriceOptions, Received, ReceivedOptions, UsageOptions};
use app::invoices::{Invoice, InvoiceFilter};
use app::rate::Rated;
use app::restate::{Restated, Wish};
use app::{Ctx, Installation, NoProgress};
use documents::Format;
use domain::Actor;
use jiff::Timestamp;
use kernel::{Month, Result};

pub use database::TestDatabase;
pub use shared::shared;
pub use table::Cells;

/// An installation in a temporary folder.
#[derive(Debug)]
pub struct World {
    installation: Installation,
    now: Timestamp,
    runtime: tokio::runtime::Runtime,
    database: TestDatabase,
    folder: tempfile::TempDir,
}

/// What an installation of a [`World`] lives in.
#[derive(Debug)]
pub struct Keep {
    /// What its operations run on.
    pub runtime: tokio::runtime::Runtime,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

impl World {
    /// An empty installation, at an instant.
    pub fn at(now: &str) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(kernel::Error::file("a temporary folder"))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| kernel::Error::internal(error.to_string()))?;
        let data = folder.path().join("data");
        let database = TestDatabase::fresh(&data);
        let installation = runtime.block_on(Installation::init(&data, Some(database.url())))?;
        let now = now.parse().map_err(|error| kernel::Error::internal(format!("{error}")))?;
        Ok(Self { installation, now, runtime, database, folder })
    }

    /// The folder in which everything lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The installation for whoever serves it, and what must be kept until that has ended.
    pub fn into_installation(self) -> (Installation, Keep) {
        let Self { installation, runtime, database, folder, .. } = self;
        (installation, Keep { runtime, _database: database, _folder: folder })
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The same installation in another database.
    pub fn moved_to(self, url: &app::DatabaseUrl) -> Result<Self> {
        let data = self.data();
        let Self { installation, now, runtime, database, folder } = self;
        let from = installation.url().clone();
        drop(installation);
        runtime.block_on(app::move_database(&data, &from, url))?;
        let installation = runtime.block_on(Installation::open(&data, Some(url)))?;
        Ok(Self { installation, now, runtime, database, folder })
    }

    /// The same installation as another process finds it.
    pub fn reopened(self) -> Result<Self> {
        let Self { installation, now, runtime, database, folder } = self;
        drop(installation);
        let data = folder.path().join("data");
        let installation = runtime.block_on(Installation::open(&data, Some(database.url())))?;
        Ok(Self { installation, now, runtime, database, folder })
    }

    /// The database in which everything is kept.
    pub const fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Goes to another instant.
    pub fn go_to(&mut self, now: &str) -> Result<()> {
        self.now = now.parse().map_err(|error| kernel::Error::internal(format!("{error}")))?;
        Ok(())
    }

    /// Runs an operation.
    pub fn run<'a, T, F: Future<Output = Result<T>>>(
        &'a self,
        operation: impl FnOnce(Ctx<'a>) -> F,
    ) -> Result<T> {
        self.run_as(Actor::CONSOLE, operation)
    }

    /// Runs an operation for somebody.
    pub fn run_as<'a, T, F: Future<Output = Result<T>>>(
        &'a self,
        actor: Actor,
        operation: impl FnOnce(Ctx<'a>) -> F,
    ) -> Result<T> {
        let (installation, now) = (&self.installation, self.now);
        self.runtime.block_on(operation(Ctx { installation, actor, now, progress: &NoProgress }))
    }

    /// Writes a file and says where it is.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).map_err(kernel::Error::file(&path))?;
        Ok(path)
    }

    /// Applies a programme.
    pub fn apply(&self, programme: &str) -> Result<()> {
        self.run(|ctx| app::programme::apply(ctx, "programme.toml", programme, None)).map(|_| ())
    }

    /// Imports prices into a sheet.
    pub fn prices(&self, sheet: &str, name: &str, content: impl AsRef<[u8]>) -> Result<Imported> {
        let path = self.file(name, content)?;
        self.price_file(sheet, &path)
    }

    /// Imports a price file that lies somewhere.
    pub fn price_file(&self, sheet: &str, path: &Path) -> Result<Imported> {
        self.price_file_with(sheet, path, None)
    }

    /// Imports prices that restate those of closed months.
    pub fn restate_prices(&self, sheet: &str, name: &str, content: &str) -> Result<Imported> {
        let path = self.file(name, content)?;
        self.price_file_with(sheet, &path, Some("a mistake"))
    }

    fn price_file_with(&self, sheet: &str, path: &Path, restate: Option<&str>) -> Result<Imported> {
        let sheet = sheet.parse().map_err(|error| kernel::Error::internal(format!("{error}")))?;
        let restate = restate.map(str::to_owned);
        let options =
            PriceOptions { sheet, market: None, valid_from: None, quarantine: None, restate };
        self.run(|ctx| async move { app::imports::import_prices(ctx, path, &options).await })
    }

    /// Imports exchange rates.
    pub fn rates(&self, content: &str) -> Result<Imported> {
        let path = self.file("rates.csv", content)?;
        self.run(|ctx| async move { app::imports::import_rates(ctx, &path, None, None).await })
    }

    /// Imports usage; the name tells the layout.
    pub fn usage(&self, name: &str, content: impl AsRef<[u8]>) -> Result<Imported> {
        self.usage_with(name, content, &Self::usage_options())
    }

    /// Imports what the cloud bills the partner for a month.
    pub fn received(&self, month: &str, files: &[PathBuf]) -> Result<Received> {
        self.received_with(month, files, None)
    }

    /// The same, though its files differ.
    pub fn received_with(
        &self,
        month: &str,
        files: &[PathBuf],
        accept: Option<&str>,
    ) -> Result<Received> {
        let key =
            |key: &str| key.parse().map_err(|error| kernel::Error::internal(format!("{error}")));
        let options = ReceivedOptions {
            seller: key("cloud")?,
            buyer: key("partner")?,
            month: Self::month(month)?,
            issue_on: None,
            accept: accept.map(str::to_owned),
        };
        self.run(|ctx| async move { app::imports::import_received(ctx, files, &options).await })
    }

    /// Imports usage with other options.
    pub fn usage_with(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
        options: &UsageOptions,
    ) -> Result<Imported> {
        let path = self.file(name, content)?;
        self.usage_file(&path, options)
    }

    /// Imports a usage file that lies somewhere.
    pub fn usage_file(&self, path: &Path, options: &UsageOptions) -> Result<Imported> {
        self.run(|ctx| async move { app::imports::import_usage(ctx, path, options).await })
    }

    /// The options of an import of usage that has none.
    ///
    /// # Panics
    /// Never: the name is a key.
    pub fn usage_options() -> UsageOptions {
        UsageOptions {
            source: "meter".parse().unwrap_or_else(|_| unreachable!("a key")),
            format: None,
            subscription: None,
            quarantine: None,
        }
    }

    /// Rates a month with some workers.
    pub fn rate(&self, month: &str, workers: usize) -> Result<Rated> {
        let month = Self::month(month)?;
        self.run(|ctx| app::rate::rate(ctx, month, workers, None))
    }

    /// Closes a month with some workers.
    pub fn close(&self, month: &str, workers: usize) -> Result<Closed> {
        let month = Self::month(month)?;
        self.run(|ctx| app::close::close(ctx, month, None, workers))
    }

    /// Shows what became known about a closed month since it was billed.
    pub fn differences(&self, month: &str, workers: usize) -> Result<Differences> {
        let month = Self::month(month)?;
        self.run(|ctx| app::adjust::differences(ctx, month, workers))
    }

    /// Bills what became known about a closed month.
    pub fn adjust(&self, month: &str, workers: usize) -> Result<Adjusted> {
        let month = Self::month(month)?;
        self.run(|ctx| app::adjust::post(ctx, month, None, workers))
    }

    /// What has been restated of a closed month.
    pub fn restated(&self, month: &str) -> Result<Restated> {
        let month = Self::month(month)?;
        self.run(|ctx| app::restate::show(ctx, month, 1))
    }

    /// Accepts for a seller what has been restated of a closed month.
    pub fn accept(
        &self,
        month: &str,
        (seller, buyer): (&str, Option<&str>),
        consent: Option<&str>,
    ) -> Result<Vec<EdgeDifference>> {
        let key =
            |key: &str| key.parse().map_err(|error| kernel::Error::internal(format!("{error}")));
        let wish = Wish {
            seller: key(seller)?,
            buyer: buyer.map(key).transpose()?,
            consent: consent.map(str::to_owned),
        };
        let month = Self::month(month)?;
        self.run(|ctx| async move { app::restate::accept(ctx, month, &wish, 1).await })
    }

    /// Every invoice.
    pub fn invoices(&self) -> Result<Vec<Invoice>> {
        let filter = InvoiceFilter::default();
        self.run(|ctx| async move { app::invoices::list(ctx, &filter).await })
    }

    /// Explains a line by number or reference.
    pub fn explain(&self, name: &str) -> Result<Explanation> {
        let name: LineName = name.parse().map_err(kernel::Error::internal)?;
        self.run(|ctx| async move { app::explain::explain(ctx, &name, None).await })
    }

    /// Exports everything of a month into a folder of this name; says where that is.
    pub fn export(&self, month: &str, name: &str, format: Format) -> Result<PathBuf> {
        let options =
            ExportOptions { month: Self::month(month)?, format, seller: None, buyer: None };
        self.export_with(name, &options).map(|exported| exported.folder)
    }

    /// Exports some of a month.
    pub fn export_with(&self, name: &str, options: &ExportOptions) -> Result<Exported> {
        let to = self.folder.path().join(name);
        self.run(|ctx| async move { app::export::export(ctx, &to, options).await })
    }

    fn month(month: &str) -> Result<Month> {
        month.parse().map_err(kernel::Error::internal)
    }
}

/// Every file below a folder with its content, by path.
pub fn contents(folder: &Path) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(kernel::Error::file(&next))? {
            let path = entry.map_err(kernel::Error::file(&next))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).map_err(kernel::Error::file(&path))?;
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                found.insert(name, content);
            }
        }
    }
    Ok(found)
}
