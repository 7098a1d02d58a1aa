//! Opening a billing file: packed or not, in whatever spelling, one row after the other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

use crate::Refused;
use crate::columns::Columns;
use crate::value::DecimalMark;

/// The largest file that is read, unpacked.
const BYTES_MAX: u64 = 16 << 30;
/// The largest JSON document that is read at once; JSON lines have no such limit.
const JSON_MAX: u64 = 512 << 20;
/// How many rows are looked at to tell a decimal comma from a point.
const SAMPLE: usize = 200;

/// What a file is read with: which columns stand where, and how numbers are written.
#[derive(Debug)]
pub(crate) struct Form {
    pub columns: Columns,
    pub header: Vec<String>,
    pub mark: DecimalMark,
}

/// Reads a file row by row; the first argument of the visitor is the row's number in the file.
pub(crate) fn rows(
    path: &Path,
    mut begin: impl FnMut(&Form) -> Result<(), String>,
    mut visit: impl FnMut(u64, &[&str]) -> Result<(), String>,
) -> Result<(), Refused> {
    let name = path.display().to_string();
    let refused = |line: Option<u64>, reason: String| Refused { file: name.clone(), line, reason };
    let open = || -> std::io::Result<Box<dyn BufRead>> {
        let mut raw = BufReader::new(File::open(path)?);
        let packed = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let text: Box<dyn Read> =
            if packed { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let mut text = BufReader::with_capacity(1 << 20, text.take(BYTES_MAX));
        if text.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]) {
            text.consume(3);
        }
        Ok(Box::new(text))
    };
    let io = |error: std::io::Error| refused(None, error.to_string());
    let mut text = open().map_err(io)?;
    let head = text.fill_buf().map_err(io)?;
    if head.starts_with(b"PAR1") {
        return Err(refused(None, "is Parquet; export it as csv or csv.gz".to_owned()));
    }
    let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err(refused(None, "is empty".to_owned())),
        Some(b'{' | b'[') => {
            json(text, &mut begin, &mut visit).map_err(|(line, reason)| refused(line, reason))
        }
        Some(_) => {
            let sample = open().map_err(io)?;
            let form = sniff(sample).map_err(|reason| refused(Some(1), reason))?;
            begin(&form.0).map_err(|reason| refused(Some(1), reason))?;
            table(text, form.1, &mut visit).map_err(|(line, reason)| refused(line, reason))
        }
    }
}

/// Tells how a table is written from its first rows: what separates its cells, and what its
/// decimals.
fn sniff(sample: Box<dyn BufRead>) -> Result<(Form, u8), String> {
    let mut lines = sample.lines().map_while(Result::ok);
    let header = lines.next().unwrap_or_default();
    let count = |byte: char| header.matches(byte).count();
    let delimiter =
        [',', ';', '\t', '|'].into_iter().max_by_key(|byte| (count(*byte), *byte == ','));
    let delimiter = delimiter.unwrap_or(',');
    let rest: Vec<String> = lines.take(SAMPLE).collect();
    let text = std::iter::once(header).chain(rest).collect::<Vec<_>>().join("\n");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header: Vec<String> =
        reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    let columns = Columns::of(&header)?;
    let numbers = crate::side::NUMBERS.iter().filter_map(|field| columns.at(*field));
    let numbers: Vec<usize> = numbers.collect();
    let (mut points, mut commas, mut grouped) = (0, 0, 0);
    for record in reader.records().map_while(Result::ok) {
        for cell in numbers.iter().filter_map(|at| record.get(*at)) {
            points += usize::from(cell.contains('.'));
            commas += usize::from(cell.contains(','));
            grouped += usize::from(is_grouped(cell));
        }
    }
    if commas > 0 && grouped == commas {
        return Err(
            "has numbers like 25,000, of which nobody can tell whether that is a sign for \
                    thousands; write them without"
                .to_owned(),
        );
    }
    let mark = match (points, commas) {
        (0, 1..) => DecimalMark::Comma,
        (1.., 1..) => {
            return Err("writes numbers both with points and with commas; write them one way, \
                        without signs for thousands"
                .to_owned());
        }
        _ => DecimalMark::Point,
    };
    Ok((Form { columns, header, mark }, delimiter as u8))
}

/// Whether a comma may stand for thousands: three digits behind each.
fn is_grouped(cell: &str) -> bool {
    let mut groups = cell.trim().trim_start_matches('-').split(',');
    let first = groups.next().unwrap_or_default();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let rest: Vec<&str> = groups.collect();
    is_digits(first)
        && first.len() <= 3
        && !rest.is_empty()
        && rest.iter().all(|group| group.len() == 3 && is_digits(group))
}

fn table(
    text: Box<dyn BufRead>,
    delimiter: u8,
    visit: Visit<'_>,
) -> Result<(), (Option<u64>, String)> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let width = reader.byte_headers().map_err(|e| (Some(1), e.to_string()))?.len();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                return Err((line, error.to_string()));
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() != width {
            let reason = format!("has {} cells; the header has {width}", record.len());
            return Err((Some(line), reason));
        }
        let row: Vec<&str> = record.iter().collect();
        visit(line, &row).map_err(|reason| (Some(line), reason))?;
    }
}

type Visit<'v> = &'v mut dyn FnMut(u64, &[&str]) -> Result<(), String>;
type Begin<'v> = &'v mut dyn FnMut(&Form) -> Result<(), String>;
/// An object whose numbers keep their digits.
type Members = BTreeMap<String, Box<RawValue>>;

/// JSON lines, an array of objects, or an answer with `items` or `value`.
fn json(
    mut text: Box<dyn BufRead>,
    begin: Begin<'_>,
    visit: Visit<'_>,
) -> Result<(), (Option<u64>, String)> {
    let mut first = String::new();
    text.read_line(&mut first).map_err(|error| (Some(1), error.to_string()))?;
    let is_lines =
        serde_json::from_str::<Members>(&first).is_ok_and(|object| !object.contains_key("items"));
    let mut objects = Objects { begin, visit, form: None };
    if is_lines {
        let lines = std::iter::once(Ok(first)).chain(text.lines());
        for (at, line) in lines.enumerate() {
            let number = Some(at as u64 + 1);
            let line = line.map_err(|error| (number, error.to_string()))?;
            if !line.trim().is_empty() {
                objects.take(at as u64 + 1, &line).map_err(|reason| (number, reason))?;
            }
        }
        return Ok(());
    }
    let mut all = first;
    text.take(JSON_MAX).read_to_string(&mut all).map_err(|error| (None, error.to_string()))?;
    for (at, item) in items(&all)?.iter().enumerate() {
        let number = at as u64 + 1;
        objects.take(number, item.get()).map_err(|reason| (Some(number), reason))?;
    }
    Ok(())
}

/// The rows of a JSON document.
fn items(text: &str) -> Result<Vec<Box<RawValue>>, (Option<u64>, String)> {
    let wrong =
        |error: serde_json::Error| (Some(error.line() as u64), format!("is not JSON: {error}"));
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(wrong);
    }
    let document: Members = serde_json::from_str(text).map_err(wrong)?;
    let items = ["items", "value"].iter().find_map(|key| document.get(*key));
    let items = items.ok_or_else(|| (None, "has no list of rows (items or value)".to_owned()))?;
    serde_json::from_str(items.get()).map_err(wrong)
}

/// Objects as rows. Members that are null may be left out, so columns may come later.
struct Objects<'v> {
    begin: Begin<'v>,
    visit: Visit<'v>,
    form: Option<Form>,
}

impl Objects<'_> {
    fn take(&mut self, number: u64, text: &str) -> Result<(), String> {
        let object: Members =
            serde_json::from_str(text).map_err(|error| format!("is not a JSON object: {error}"))?;
        let mut header = self.form.as_ref().map_or_else(Vec::new, |form| form.header.clone());
        let known = header.len();
        header
            .extend(object.keys().filter(|key| !header.contains(key)).cloned().collect::<Vec<_>>());
        if self.form.is_none() || known < header.len() {
            let columns = Columns::of(&header)?;
            let form = Form { columns, header: header.clone(), mark: DecimalMark::Point };
            (self.begin)(&form)?;
            self.form = Some(form);
        }
        let cells: Vec<String> = header
            .iter()
            .map(|key| cell(object.get(key).map(AsRef::as_ref)))
            .collect::<Result<_, _>>()?;
        let row: Vec<&str> = cells.iter().map(String::as_str).collect();
        (self.visit)(number, &row)
    }
}

/// A member as a cell: numbers with their digits, texts as they are, nothing for null.
fn cell(value: Option<&RawValue>) -> Result<String, String> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(String::new()),
        Some(text) if text.starts_with('"') => {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        Some(text) => Ok(text.to_owned()),
    }
}
