//! A PostgreSQL server for tests: new, empty, gone afterwards.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server that is stopped and removed when it is dropped.
pub struct Server {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a server; none where PostgreSQL is not installed.
    pub fn start() -> Result<Option<Self>, String> {
        let Some(binaries) = binaries() else { return Ok(None) };
        let folder =
            std::env::temp_dir().join(format!("skyhandel-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| error.to_string())?.port();
        let server = Self { binaries, folder, port };
        if is_root() {
            let folder = server.folder.display().to_string();
            run(Command::new("chown").args(["-R", "postgres", &folder]))?;
        }
        let data = server.folder.join("data");
        run(server
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "-D", &data.display().to_string()]))?;
        // Tests kill our own processes, not the machine.
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=400 \
             -c full_page_writes=off -c shared_buffers=256MB",
            server.folder.display()
        );
        let log = server.folder.join("log").display().to_string();
        let data = data.display().to_string();
        run(server
            .command("pg_ctl")
            .args(["-D", &data, "-w", "-l", &log, "-o", &options, "start"]))?;
        Ok(Some(server))
    }

    /// Where it is, without a database's name.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// The folder of its programs, in front of those that are looked for anyway.
    pub fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.binaries.display())
    }

    /// A program of the server, as a user that it accepts.
    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).current_dir(&self.folder);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.join("data").display().to_string();
        let _ = run(self.command("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// The server refuses to run as root.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Where the server's programs are.
fn binaries() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.map(|told| PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    let has_server = |folder: &Path| folder.join("initdb").exists() && folder.join("psql").exists();
    told.into_iter().chain(installed.into_iter().rev()).find(|folder| has_server(folder))
}
