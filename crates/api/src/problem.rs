//! From errors to problem details, in one place.

use std::fmt::Write as _;

use kernel::{Error, Fault};
use wire::{CODES, Problem, ProblemCode, ProblemFault};

/// What went wrong with a request.
#[derive(Debug)]
pub struct Failure {
    pub code: ProblemCode,
    pub detail: String,
    pub faults: Vec<ProblemFault>,
    /// What only the log is told.
    pub cause: Option<String>,
}

impl Failure {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new(), cause: None }
    }

    /// The status and title of the code.
    pub fn meaning(&self) -> (u16, &'static str) {
        let known = CODES.iter().find(|(code, ..)| *code == self.code);
        known.map_or((500, ""), |(_, status, title, _)| (*status, *title))
    }

    pub fn problem(self, request_id: &str) -> Problem {
        let (status, title) = self.meaning();
        let name = serde_json::to_value(self.code).unwrap_or_default();
        Problem {
            page: format!("docs/reference/errors.md#{}", name.as_str().unwrap_or_default()),
            title: title.to_owned(),
            status,
            code: self.code,
            detail: self.detail,
            request_id: request_id.to_owned(),
            faults: self.faults,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Refused { .. } => ProblemCode::Refused,
            Error::Invalid { .. } => ProblemCode::Invalid,
            Error::NotFound { .. } => ProblemCode::NotFound,
            Error::Conflict(_) => ProblemCode::Conflict,
            Error::Unauthenticated(_) => ProblemCode::Unauthenticated,
            Error::Denied(_) => ProblemCode::Denied,
            Error::Busy(_) => ProblemCode::Busy,
            Error::File { .. } | Error::Internal(_) => ProblemCode::Internal,
        };
        let faults = match &error {
            Error::Refused { faults, .. } => faults.shown().iter().map(fault).collect(),
            Error::Invalid { field, reason } => vec![ProblemFault {
                file: "request".to_owned(),
                line: None,
                field: Some(field.clone()),
                value: None,
                reason: reason.clone(),
            }],
            _ => Vec::new(),
        };
        match code {
            // What the machine says is for those who run it.
            ProblemCode::Internal => Self {
                cause: Some(error.to_string()),
                ..Self::new(code, "something went wrong here; the log says what")
            },
            _ => Self { faults, ..Self::new(code, error.to_string()) },
        }
    }
}

fn fault(fault: &Fault) -> ProblemFault {
    ProblemFault {
        file: fault.file.clone(),
        line: fault.line,
        field: fault.field.clone(),
        value: fault.value.clone(),
        reason: fault.reason.clone(),
    }
}

/// The page about every code.
pub fn pages() -> String {
    let mut page = String::from(
        "# Errors\n\nWhat the API answers instead of a result is a problem (RFC 9457, \
         `application/problem+json`). Its `code` stays what it is.\n",
    );
    for (code, status, title, what_to_do) in CODES {
        let name = serde_json::to_value(code).unwrap_or_default();
        let name = name.as_str().unwrap_or_default().to_owned();
        let _ = write!(page, "\n## {name}\n\n{status}. {title}. {what_to_do}\n");
    }
    page
}
