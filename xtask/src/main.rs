//! Chores of the workspace. `cargo xtask` lists them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod postgres;
mod requirements;
mod tidy;

const HELP: &str = "\
Chores of the workspace

  cargo xtask test           every test; installs or starts what they need
  cargo xtask lint           formatting, clippy, tidy, requirements
  cargo xtask tidy           crate arrows, lengths of files and lines
  cargo xtask requirements   which test cites which requirement
  cargo xtask codegen        write docs/reference anew from the code
";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let root = root();
    let done = match task.as_str() {
        "test" => test(&root),
        "lint" => lint(&root),
        "tidy" => tidy::run(&root),
        "requirements" => requirements::run(&root),
        "codegen" => codegen(&root),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask {task}: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace: of the one that was asked, even where several share a target folder.
fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    own.parent().map_or_else(|| own.clone(), Path::to_owned)
}

/// Every test of the workspace. The shared data is looked for beside the checkout.
fn test(root: &Path) -> Result<(), String> {
    let shared = match std::env::var_os("SKYHANDEL_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => root.join("../shared"),
    };
    if !shared.is_dir() {
        eprintln!(
            "NOTE: {} is not there: the tests on real price sheets and usage skip themselves",
            shared.display()
        );
    }
    let shared = shared.display().to_string();
    let shared = ("SKYHANDEL_SHARED", shared.as_str());
    cargo(root, &["test", "--workspace"], &[shared, (SERVER, "")])?;
    let Some(server) = postgres::Server::start()? else {
        if std::env::var_os("CI").is_some() {
            return Err("PostgreSQL is missing; CI runs its tests on it as well".to_owned());
        }
        eprintln!("SKIPPED: PostgreSQL is not installed; what runs on both databases ran on one");
        return Ok(());
    };
    eprintln!("NOTE: the same once more on PostgreSQL");
    let both = BOTH.iter().flat_map(|name| ["--package", name]);
    let arguments: Vec<&str> = ["test"].into_iter().chain(both).collect();
    let (url, path) = (server.url(), server.path());
    let there = [shared, (SERVER, url.as_str()), ("PATH", path.as_str())];
    cargo(root, &arguments, &there)?;
    cargo(root, &["test", "--package", "cli", "served"], &there)
}

/// The crates whose suites run on both databases.
const BOTH: [&str; 3] = ["store", "app", "api"];
/// How tests are told of the server to make their databases on.
const SERVER: &str = "SKYHANDEL_TEST_POSTGRES";

fn lint(root: &Path) -> Result<(), String> {
    cargo(root, &["fmt", "--all", "--check"], &[])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    cargo(root, &clippy, &[])?;
    tidy::run(root)?;
    requirements::run(root)
}

/// The references are compared with the code by tests, which write them when asked to.
fn codegen(root: &Path) -> Result<(), String> {
    let packages = ["--package", "cli", "--package", "api"];
    let arguments: Vec<&str> = ["test"].into_iter().chain(packages).chain(["reference"]).collect();
    cargo(root, &arguments, &[("SKYHANDEL_BLESS", "1")])
}

fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo {}: {error}", arguments.join(" ")))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

/// Every Rust file of the workspace, in order.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask"), root.join("benches")];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries =
            std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
