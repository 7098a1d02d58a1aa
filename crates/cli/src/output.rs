//! What commands print: text for people, or one JSON value.

use std::io::Write;
use std::process::ExitCode;

use kernel::Error;
use serde::Serialize;

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the answer is to be JSON.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// Prints an answer: the value as JSON, or the text.
    pub fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(value).unwrap_or_default()
        } else {
            text()
        };
        line(&text);
    }

    /// Prints an error, for people on standard error and for programs as JSON on standard output;
    /// says with which code to exit.
    pub fn fail(self, error: &Error) -> u8 {
        if self.json {
            let faults: Vec<FaultJson> = match error {
                Error::Refused { faults, .. } => faults.shown().iter().map(FaultJson::of).collect(),
                _ => Vec::new(),
            };
            let json = ErrorJson {
                error: ErrorBody { code: code(error).1, message: error.to_string(), faults },
            };
            line(&serde_json::to_string_pretty(&json).unwrap_or_default());
        }
        let _ = writeln!(std::io::stderr(), "error: {error}");
        code(error).0
    }
}

/// Prints what is wrong with a command line, or the help that was asked for; as JSON where that was
/// asked for too.
pub fn refuse_command_line(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if wants_json && error.use_stderr() {
        let message = error.render().to_string();
        let message = message.trim().to_owned();
        let body = ErrorBody { code: "command_line", message, faults: Vec::new() };
        line(&serde_json::to_string_pretty(&ErrorJson { error: body }).unwrap_or_default());
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints a line. A reader that has gone away is not an error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The exit code of an error and its name in JSON.
fn code(error: &Error) -> (u8, &'static str) {
    match error {
        Error::Refused { .. } => (3, "refused"),
        Error::Invalid { .. } => (3, "invalid"),
        Error::NotFound { .. } => (4, "not_found"),
        Error::Conflict(_) => (4, "conflict"),
        Error::Unauthenticated(_) => (4, "unauthenticated"),
        Error::Denied(_) => (4, "denied"),
        Error::Busy(_) => (4, "busy"),
        Error::File { .. } => (5, "file"),
        Error::Internal(_) => (70, "internal"),
    }
}

#[derive(Serialize)]
struct ErrorJson {
    error: ErrorBody,
}

#[derive(Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    faults: Vec<FaultJson>,
}

#[derive(Serialize)]
struct FaultJson {
    file: String,
    line: Option<u64>,
    field: Option<String>,
    value: Option<String>,
    reason: String,
}

impl FaultJson {
    fn of(fault: &kernel::Fault) -> Self {
        Self {
            file: fault.file.clone(),
            line: fault.line,
            field: fault.field.clone(),
            value: fault.value.clone(),
            reason: fault.reason.clone(),
        }
    }
}

/// A table of text: columns as wide as they need to be, the named ones aligned to the right.
pub fn table(headers: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headers[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.enumerate().map(|(at, cell)| {
            let pad = " ".repeat(widths[at].saturating_sub(cell.chars().count()));
            if right.contains(&at) { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headers.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}
