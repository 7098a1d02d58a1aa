//! A data folder: the embedded database, the lake, the documents.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use domain::{Because, Scope};
use jiff::Timestamp;
use kernel::{Error, Result, instant_micros};
use store::{Db, Tx};

use crate::progress::Progress;

/// An opened data folder. One process works in it at a time.
#[derive(Debug)]
pub struct Installation {
    folder: PathBuf,
    db: Db,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Installation {
    /// Makes a data folder, or opens it if it is one already.
    pub async fn init(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        Self::open_in(folder).await
    }

    /// Opens a data folder.
    pub async fn open(folder: &Path) -> Result<Self> {
        if !folder.join("skyhandel.db").exists() {
            return Err(Error::conflict(format!(
                "{} is not a data folder; make one with `skyhandel init --data {}`",
                folder.display(),
                folder.display()
            )));
        }
        Self::open_in(folder).await
    }

    async fn open_in(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!(
                    "{} is in use by another process; wait until it has ended",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(path)(error)),
        }
        let db = Db::open_embedded(folder).await?;
        Ok(Self { folder: folder.to_owned(), db, _lock: lock })
    }

    /// The folder of usage and price files.
    pub fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    /// The folder of frozen documents.
    pub fn documents(&self) -> PathBuf {
        self.folder.join("documents")
    }
}

/// What an operation works with: the installation, the instant, and who watches.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// The instant of the operation; read once, at the edge.
    pub now: Timestamp,
    /// Who shows how far it has come.
    pub progress: &'a dyn Progress,
}

impl Ctx<'_> {
    /// The scope of whoever gave the command.
    fn scope() -> Scope {
        Scope::installation(Because::Console)
    }

    /// A transaction that reads.
    pub async fn read(&self) -> Result<Tx> {
        self.installation.db.read(&Self::scope()).await
    }

    /// A transaction that may write.
    pub async fn write(&self) -> Result<Tx> {
        self.installation.db.write(&Self::scope()).await
    }

    /// The instant in microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        instant_micros(self.now)
    }
}
