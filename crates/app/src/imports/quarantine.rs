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
    /// Where bad rows go, and the file once there are some.
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl Quarantine {
    /// Without a file, one bad row refuses the whole input; with one, bad rows go there.
    pub fn new(file: Option<&Path>) -> Self {
        Self {
            faults: Faults::default(),
            fatal: Faults::default(),
            rows: 0,
            path: file.map(Path::to_owned),
            file: None,
        }
    }

    /// The file, made when the first bad row comes. Rows of earlier files stay in it.
    fn open(&mut self) -> Result<Option<(&Path, &mut BufWriter<File>)>> {
        let Some(path) = &self.path else { return Ok(None) };
        if self.file.is_none() {
            let file = File::options().create(true).append(true).open(path);
            self.file = Some(BufWriter::new(file.map_err(Error::file(path))?));
        }
        Ok(self.file.as_mut().map(|file| (path.as_path(), file)))
    }

    /// A row with its faults: one line of JSON with what stood there, its number and the reasons.
    /// Mended, the lines can be imported as they are.
    pub fn put(&mut self, faults: Vec<Fault>, record: &BTreeMap<&str, &str>) -> Result<()> {
        self.rows += 1;
        if let Some((path, out)) = self.open()? {
            let reasons: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let row = faults.first().and_then(|fault| fault.line);
            let mut line: BTreeMap<&str, serde_json::Value> =
                record.iter().map(|(name, value)| (*name, (*value).into())).collect();
            line.insert("_row", row.into());
            line.insert("_faults", reasons.into());
            let line = serde_json::to_string(&line).map_err(|e| Error::internal(e.to_string()))?;
            writeln!(out, "{line}").map_err(Error::file(path))?;
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
        match (self.path, self.file) {
            (None, _) => self.faults.into_result(subject).map(|()| None),
            (Some(_), None) => Ok(None),
            (Some(path), Some(mut out)) => {
                out.flush().map_err(Error::file(&path))?;
                Ok(Some(path))
            }
        }
    }
}
