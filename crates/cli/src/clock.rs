//! The clock: the one place that reads it.

use jiff::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "time becomes an argument here")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
