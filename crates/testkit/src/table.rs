//! Looking into exported tables.

use std::path::Path;

use kernel::{Error, Result};

/// A small comma-separated file, all in memory.
#[derive(Debug, Clone)]
pub struct Cells {
    /// The columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Cells {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let mut rows = text.lines().map(split);
        let columns = rows.next().unwrap_or_default();
        Ok(Self { columns, rows: rows.collect() })
    }

    /// Writes a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let rows = std::iter::once(&self.columns).chain(&self.rows);
        let lines: Vec<String> = rows
            .map(|row| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","))
            .collect();
        std::fs::write(path, lines.join("\n") + "\n").map_err(Error::file(path))
    }

    /// The position of a column.
    ///
    /// # Panics
    /// Where there is none.
    pub fn column(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column == name);
        found.unwrap_or_else(|| unreachable!("no column {name} among {:?}", self.columns))
    }

    /// Some columns of every row.
    pub fn select<const N: usize>(&self, names: [&str; N]) -> Vec<[&str; N]> {
        let columns = names.map(|name| self.column(name));
        self.rows.iter().map(|row| columns.map(|column| row[column].as_str())).collect()
    }
}

/// The cells of a line without line breaks in cells.
fn split(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut inside) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if inside && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => inside = !inside,
            ',' if !inside => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}
