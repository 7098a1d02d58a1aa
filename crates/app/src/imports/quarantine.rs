//! Rows that could not be taken: counted, and written to a file if somebody wants the others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use kernel::{Error, Fault, Faults, Result};

/// What happens to bad rows.
pub(super) struct Quarantine {
    faults: Faults,
    fatal: Faults,
    rows: u64,
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl Quarantine {
    /// Without a file, one bad row refuses the whole input; with one, bad rows go there.
    pub fn new(file: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = File::create(path).map_err(Error::file(path))?;
            Ok((path.to_owned(), BufWriter::new(file)))
        };
        Ok(Self {
            faults: Faults::default(),
            fatal: Faults::default(),
            rows: 0,
            file: file.map(open).transpose()?,
        })
    }

    /// A row with its faults: one line of JSON with what stood there, its number and the reasons.
    /// Mended, the lines can be imported as they are.
    pub fn put(&mut self, faults: Vec<Fault>, record: &BTreeMap<&str, &str>) -> Result<()> {
        self.rows += 1;
        if let Some((path, out)) = &mut self.file {
            let reasons: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let row = faults.first().and_then(|fault| fault.line);
            let mut line: BTreeMap<&str, serde_json::Value> =
                record.iter().map(|(name, value)| (*name, (*value).into())).collect();
            line.insert("_row", row.into());
            line.insert("_faults", reasons.into());
            let line = serde_json::to_string(&line).map_err(|e| Error::internal(e.to_string()))?;
            writeln!(out, "{line}").map_err(Error::file(&*path))?;
        }
        for fault in faults {
            self.faults.push(fault);
        }
        Ok(())
    }

    /// A fault that refuses the whole input, quarantine or not.
    pub fn refuse(&mut self, fault: Fault) {
        self.fatal.push(fault);
    }

    /// How many rows are bad.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Refuses the input if it had bad rows and nobody wants the others.
    pub fn finish(self, subject: &str) -> Result<Option<PathBuf>> {
        self.fatal.into_result(subject)?;
        match self.file {
            None => self.faults.into_result(subject).map(|()| None),
            Some((path, mut out)) => {
                out.flush().map_err(Error::file(&path))?;
                Ok(Some(path))
            }
        }
    }
}
