//! An installation: a database, and the data folder with the lake and the documents.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use domain::{Action, Actor, Because, Resource, Scope, decide};
use jiff::Timestamp;
use kernel::{Error, InstallationId, Result, instant_micros};
use lake::events::EventRun;
use store::{Alone, DatabaseUrl, Db, Exclusive, InstallationRow, Turn, Tx};

use crate::chance;
use crate::imports::events::Inbox;
use crate::progress::Progress;

/// The file that says which installation a data folder belongs to.
const IDENTITY: &str = "installation.json";

/// An opened installation.
///
/// One process works with an embedded database; several share PostgreSQL and the data folder.
#[derive(Debug)]
pub struct Installation {
    folder: PathBuf,
    url: DatabaseUrl,
    db: Db,
    /// Usage events that are coming in.
    pub(crate) inbox: Inbox,
    /// Runs of event ids that are open.
    runs: std::sync::Mutex<BTreeMap<String, Arc<EventRun>>>,
    /// Held as long as the folder is in use.
    _lock: File,
}

/// What ties a data folder to its database. After a move only the new database has the right one.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Identity {
    installation_id: String,
    moves: u64,
}

impl From<InstallationRow> for Identity {
    fn from(row: InstallationRow) -> Self {
        Self { installation_id: row.id.to_string(), moves: row.moves }
    }
}

impl Installation {
    /// Makes an installation, or opens it if it is one already.
    ///
    /// # Errors
    /// Where folder or database cannot be used, or do not belong together.
    pub async fn init(folder: &Path, url: Option<&DatabaseUrl>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        Self::open_in(folder, url).await
    }

    /// Opens an installation.
    ///
    /// # Errors
    /// Where there is none, or folder and database do not belong together.
    pub async fn open(folder: &Path, url: Option<&DatabaseUrl>) -> Result<Self> {
        let embedded = DatabaseUrl::embedded(folder);
        let file = url.unwrap_or(&embedded).file();
        if !folder.join(IDENTITY).exists() && !file.is_some_and(Path::exists) {
            return Err(Error::conflict(format!(
                "{} is not a data folder; make one with `skyhandel init --data {}`",
                folder.display(),
                folder.display()
            )));
        }
        Self::open_in(folder, url).await
    }

    async fn open_in(folder: &Path, url: Option<&DatabaseUrl>) -> Result<Self> {
        let embedded = DatabaseUrl::embedded(folder);
        let url = url.unwrap_or(&embedded);
        let lock = lock(folder, url.file().is_some())?;
        let db = Db::open(url).await?;
        let installation = Self {
            folder: folder.to_owned(),
            url: url.clone(),
            db,
            inbox: Inbox::default(),
            runs: std::sync::Mutex::default(),
            _lock: lock,
        };
        installation.identify(url).await?;
        Ok(installation)
    }

    /// Ties folder and database together, or checks that they are.
    async fn identify(&self, url: &DatabaseUrl) -> Result<()> {
        let mut tx = self.db.write(&Scope::system(Because::Migration)).await?;
        let (known, told) = (tx.installation().await?, read_identity(&self.folder)?);
        let row = match (known, told) {
            (Some(known), Some(told)) if told == known.into() => return Ok(()),
            (Some(known), None) => known,
            (None, None) => {
                let id = InstallationId::from_random(chance::bytes()?);
                let row = InstallationRow { id, moves: 0 };
                tx.add_installation(&row).await?;
                row
            }
            (Some(known), Some(told)) if known.id.to_string() == told.installation_id => {
                return Err(Error::conflict(format!(
                    "{} works with another database since it was moved; {url} is an old copy of it",
                    self.folder.display()
                )));
            }
            (_, Some(_)) => {
                return Err(Error::conflict(format!(
                    "{} is the data folder of another installation than {url}; name the database \
                     that belongs to it",
                    self.folder.display()
                )));
            }
        };
        // In this order: a folder that knows nothing is told, one that knows too much is refused.
        tx.commit().await?;
        write_identity(&self.folder, &row.into())
    }

    /// Where its facts are.
    pub const fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The folder of usage and price files.
    pub fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    /// The folder of files that have been sent and are being imported.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.folder.join("uploads")
    }

    /// The folder of frozen documents.
    pub fn documents(&self) -> PathBuf {
        self.folder.join("documents")
    }

    /// The runs of a list, opened once and kept open until a list lacks them.
    pub(crate) fn event_runs(
        &self,
        list: Vec<(String, u64)>,
    ) -> Result<Vec<(String, Arc<EventRun>)>> {
        let mut open = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs = Vec::with_capacity(list.len());
        for (path, entries) in list {
            let run = match open.get(&path) {
                Some(run) => Arc::clone(run),
                None => Arc::new(EventRun::open(&self.lake().join(&path))?),
            };
            if run.len() != entries {
                return Err(Error::conflict(format!(
                    "{path} has {} event ids instead of {entries}; restore it from a backup",
                    run.len()
                )));
            }
            runs.push((path, run));
        }
        *open = runs.iter().cloned().collect();
        Ok(runs)
    }

    /// The installation's id, by which others know it.
    ///
    /// # Errors
    /// Where the data folder cannot be read.
    pub fn id(&self) -> Result<String> {
        let identity = read_identity(&self.folder)?;
        identity
            .map(|identity| identity.installation_id)
            .ok_or_else(|| Error::internal("the data folder has no identity"))
    }

    /// The key that signs tokens: made once, kept beside the database and not in it, for the
    /// system's user alone.
    ///
    /// # Errors
    /// Where it can be neither read nor made.
    pub fn token_key(&self) -> Result<Vec<u8>> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;

        let path = self.folder.join("token.key");
        if !path.exists() {
            // Whole from the moment it has its name: servers may start at once.
            let name = format!("token.key.{}", crate::sheets::hex(&chance::bytes::<8>()?));
            let part = self.folder.join(name);
            let key = chance::bytes::<32>()?;
            let made = File::options().write(true).create_new(true).mode(0o600).open(&part);
            made.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
                .map_err(Error::file(&part))?;
            let linked = std::fs::hard_link(&part, &path);
            std::fs::remove_file(&part).map_err(Error::file(&part))?;
            match linked {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::file(&path)(error));
                }
                _ => {}
            }
        }
        let key = std::fs::read(&path).map_err(Error::file(&path))?;
        if key.len() == 32 {
            return Ok(key);
        }
        Err(Error::conflict(format!(
            "{} is not a key; remove it to make a new one",
            path.display()
        )))
    }

    /// Waits until nobody else is at some work, in this process or another.
    pub(crate) async fn alone(&self, work: Exclusive) -> Result<Alone> {
        self.db.alone(work).await
    }
}

/// Keeps others out: all of them from an embedded database, and from any while it is moved.
fn lock(folder: &Path, alone: bool) -> Result<File> {
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(Error::file(&path))?;
    let locked = if alone { lock.try_lock() } else { lock.try_lock_shared() };
    match locked {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!(
            "{} is in use by another process; wait until it has ended, or ask the server with \
             --server URL",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::file(path)(error)),
    }
}

fn read_identity(folder: &Path) -> Result<Option<Identity>> {
    let path = folder.join(IDENTITY);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(Error::file(&path))?;
    let identity = serde_json::from_slice(&text);
    identity.map(Some).map_err(|error| Error::conflict(format!("{}: {error}", path.display())))
}

fn write_identity(folder: &Path, identity: &Identity) -> Result<()> {
    let (path, part) = (folder.join(IDENTITY), folder.join("installation.json.part"));
    let text = serde_json::to_vec(identity).map_err(|e| Error::internal(e.to_string()))?;
    std::fs::write(&part, text).map_err(Error::file(&part))?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(Error::file(&part))?;
    std::fs::rename(&part, &path).map_err(Error::file(&path))?;
    lake::sync_folder(folder)
}

/// What moving a database did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The tables with their rows.
    pub tables: Vec<(String, u64)>,
}

/// Moves an installation to another database, which must be empty. The data folder stays where it
/// is, and belongs to the new database from then on; the old one is left as it was.
///
/// # Errors
/// Where the folder is in use or belongs to another database, and where the new one has data.
pub async fn move_database(folder: &Path, from: &DatabaseUrl, to: &DatabaseUrl) -> Result<Moved> {
    let _lock = lock(folder, true)?;
    let scope = Scope::system(Because::Migration);
    let source = Db::open(from).await?;
    let mut read = source.read(&scope).await?;
    let known = read.installation().await?;
    let told = read_identity(folder)?;
    let (Some(known), Some(told)) = (known, told) else {
        return Err(Error::conflict(format!("{from} is not the database of {}", folder.display())));
    };
    if told != known.into() {
        return Err(Error::conflict(format!(
            "{} belongs to another database than {from}",
            folder.display()
        )));
    }
    let target = Db::open(to).await?;
    let mut write = target.write(&scope).await?;
    let tables = read.copy_to(&mut write).await?;
    let moved = InstallationRow { moves: known.moves + 1, ..known };
    write.move_installation(&moved).await?;
    write.commit().await?;
    write_identity(folder, &moved.into())?;
    Ok(Moved { tables })
}

/// What an operation works with: the installation, who acts, the instant, and who watches.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// Who acts.
    pub actor: Actor,
    /// The instant of the operation; read once, at the edge.
    pub now: Timestamp,
    /// Who shows how far it has come.
    pub progress: &'a dyn Progress,
}

impl<'a> Ctx<'a> {
    /// For whoever has the data folder in hand.
    pub const fn console(
        installation: &'a Installation,
        now: Timestamp,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { installation, actor: Actor::CONSOLE, now, progress }
    }

    /// The scope in which the actor may do something.
    ///
    /// # Errors
    /// Where it may not.
    pub fn decide(&self, action: Action, resource: Resource) -> Result<Scope> {
        decide(&self.actor, action, resource)
    }

    /// A transaction that reads, for something that the actor may do.
    ///
    /// # Errors
    /// Where it may not.
    pub async fn read(&self, action: Action, resource: Resource) -> Result<Tx> {
        self.installation.db.read(&self.decide(action, resource)?).await
    }

    /// A transaction that may write, for something that the actor may do.
    ///
    /// # Errors
    /// Where it may not.
    pub async fn write(&self, action: Action, resource: Resource) -> Result<Tx> {
        self.installation.db.write(&self.decide(action, resource)?).await
    }

    /// A transaction of the system's own that reads.
    pub(crate) async fn system_read(&self, because: Because) -> Result<Tx> {
        self.installation.db.read(&Scope::system(because)).await
    }

    /// A transaction of the system's own that may write what a turn is about.
    pub(crate) async fn system_write(&self, because: Because, turn: Turn) -> Result<Tx> {
        self.installation.db.write_in(&Scope::system(because), turn).await
    }

    /// The instant in microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        instant_micros(self.now)
    }
}
