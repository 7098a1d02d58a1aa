//! How far a long operation has come.

/// Who shows it.
pub trait Progress: Sync {
    /// A step begins; it has so many units (bytes, rows, partitions), or an unknown number.
    fn begin(&self, step: &str, units: Option<u64>);

    /// So many more units are done.
    fn advance(&self, units: u64);

    /// The step is over.
    fn end(&self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _step: &str, _units: Option<u64>) {}

    fn advance(&self, _units: u64) {}

    fn end(&self) {}
}
