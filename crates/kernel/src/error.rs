//! Errors, named for what their reader can do next.

use std::fmt;
use std::path::PathBuf;

/// The result of everything that can go wrong.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How many faults of one input are listed; the rest is counted.
pub const FAULTS_SHOWN_MAX: usize = 100;

/// One thing that is wrong with an input: where, what stands there, why it cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, counted from one; the row with its header for tables.
    pub line: Option<u64>,
    /// The key or column.
    pub field: Option<String>,
    /// What stands there.
    pub value: Option<String>,
    /// Why it cannot be taken, and what to do.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(":")?;
        if let Some(field) = &self.field {
            write!(f, " {field}")?;
        }
        if let Some(value) = &self.value {
            write!(f, " \"{value}\"")?;
        }
        write!(f, " {}", self.reason)
    }
}

/// The faults of one input: the first [`FAULTS_SHOWN_MAX`] and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    shown: Vec<Fault>,
    count: u64,
}

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.count += 1;
        if self.shown.len() < FAULTS_SHOWN_MAX {
            self.shown.push(fault);
        }
    }

    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether there were none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first ones.
    pub fn shown(&self) -> &[Fault] {
        &self.shown
    }

    /// `Ok` when there were none, and the error that lists them otherwise.
    pub fn into_result(self, subject: &str) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Error::Refused { subject: subject.to_owned(), faults: Box::new(self) })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.shown {
            write!(f, "\n  {fault}")?;
        }
        match self.count - self.shown.len() as u64 {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Whatever can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input was refused whole; mend it and try again.
    #[error("{subject} was refused; nothing of it was taken.{faults}")]
    Refused {
        /// What was refused.
        subject: String,
        /// Why.
        faults: Box<Faults>,
    },
    /// One value is not acceptable; change it.
    #[error("{field}: {reason}")]
    Invalid {
        /// The value's name.
        field: String,
        /// Why, and what to do.
        reason: String,
    },
    /// No such thing; check the name.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Under which name.
        id: String,
    },
    /// The state of things forbids it; the message says what to do first.
    #[error("{0}")]
    Conflict(String),
    /// Nobody has proved who is calling; the message says how.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller's roles do not allow it.
    #[error("{0}")]
    Denied(String),
    /// Somebody else was at it; the same again may succeed.
    #[error("{0}; try again")]
    Busy(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that must never happen; report it.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// An [`Error::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict(message.into())
    }

    /// An [`Error::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    /// Turns an IO error into an [`Error::File`] of a path.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
