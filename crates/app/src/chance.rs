//! The one place that draws randomness: for ids that nothing else determines, and for secrets.

use kernel::{Error, Result};

/// An id for a request that has brought none.
pub fn request_id() -> String {
    bytes::<8>().map_or_else(|_| "unknown".to_owned(), |bytes| crate::sheets::hex(&bytes))
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// Where the system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(format!("no chance: {error}")))?;
    Ok(bytes)
}
