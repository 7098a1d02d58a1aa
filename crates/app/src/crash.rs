//! Places where the process may be killed, so that tests can try each of them.
//!
//! In builds with debug assertions, `SKYHANDEL_CRASH_AT=17` kills the process the hard way at the
//! seventeenth place it comes to, and `SKYHANDEL_CRASH_COUNT=FILE` appends the number of places
//! to a file. In release builds neither does anything.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static PASSED: AtomicU64 = AtomicU64::new(0);
static CRASH_AT: OnceLock<Option<u64>> = OnceLock::new();

/// A place after which nothing more may be assumed to happen.
pub fn point() {
    if !cfg!(debug_assertions) {
        return;
    }
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let wanted = CRASH_AT
        .get_or_init(|| std::env::var("SKYHANDEL_CRASH_AT").ok().and_then(|at| at.parse().ok()));
    if *wanted == Some(passed) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Tells how many places have been passed, where somebody asked.
pub fn report() {
    if let Ok(path) = std::env::var("SKYHANDEL_CRASH_COUNT")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{}", PASSED.load(Ordering::SeqCst));
    }
}
