//! What is not as it should be, and where.

use std::fmt;

/// How many faults are listed; the rest is counted.
const LISTED_MAX: usize = 100;

/// A file and line that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, below the verified folder.
    pub file: String,
    /// The line of a text, the row of a Parquet file (the first is 2, as in a text with a header);
    /// none where the whole file is meant.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

/// Faults as they are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    more: u64,
}

impl Faults {
    /// The first faults, in the order of the checks.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// How many there are besides.
    pub const fn more(&self) -> u64 {
        self.more
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(crate) fn add(&mut self, file: &str, line: Option<u64>, reason: impl Into<String>) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Fault { file: file.to_owned(), line, reason: reason.into() });
        } else {
            self.more += 1;
        }
    }

    /// A fault, unless two texts are the same.
    pub(crate) fn same(
        &mut self,
        (file, line): (&str, Option<u64>),
        what: &str,
        found: &str,
        expected: &str,
    ) {
        if found != expected {
            self.add(file, line, format!("{what} is {found:?}; it should be {expected:?}"));
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        for fault in other.listed {
            self.add(&fault.file, fault.line, fault.reason);
        }
        self.more += other.more;
    }
}
