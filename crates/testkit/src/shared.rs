//! Real data beside the checkout, for the tests that want it.

use std::path::PathBuf;

/// A file or folder of the shared data, at `SKYHANDEL_SHARED` or beside the checkout. Where it is
/// not there, says loudly that the test is skipped.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SKYHANDEL_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let found = root.unwrap_or_else(beside).join(path);
    if found.exists() {
        return Some(found);
    }
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("SKIPPED {test}: {} is not there; set SKYHANDEL_SHARED", found.display());
    None
}
