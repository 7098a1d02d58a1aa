//! Whether the lines of an invoice bill as many units as its rows by day have, by subscription.

use std::collections::BTreeMap;

use desk::BigDecimal;

/// Units of each subscription.
#[derive(Debug, Default)]
pub(super) struct Units {
    of: BTreeMap<String, Counted>,
    /// Whether some line does not say how many it bills.
    unsaid: bool,
}

#[derive(Debug, Default)]
struct Counted {
    lines: u32,
    /// Units of lines and of rows by day, each in all and of what costs nothing.
    line: [BigDecimal; 2],
    row: [BigDecimal; 2],
}

impl Units {
    /// Counts a line.
    pub fn line(&mut self, subscription: &str, units: Option<BigDecimal>, is_free: bool) {
        let Some(units) = units else {
            self.unsaid = true;
            return;
        };
        let counted = self.of.entry(subscription.to_lowercase()).or_default();
        counted.lines += 1;
        add(&mut counted.line, &units, is_free);
    }

    /// Counts a row by day.
    pub fn row(&mut self, subscription: &str, units: &BigDecimal, is_free: bool) {
        add(&mut self.of.entry(subscription.to_lowercase()).or_default().row, units, is_free);
    }

    /// The subscriptions whose files do not agree, with what lines and rows have. What costs nothing
    /// may be counted in one file and not in the other.
    pub fn differences(&self) -> Vec<String> {
        if self.unsaid {
            return Vec::new();
        }
        let wrong = self.of.iter().filter(|(_, counted)| !counted.agrees());
        let said = wrong.map(|(id, Counted { line, row, .. })| {
            let text = |units: &BigDecimal| units.normalized().to_plain_string();
            let (rows, lines) = (text(&row[0]), text(&line[0]));
            format!("{id}: {rows} units in the rows by day, {lines} in the lines")
        });
        said.collect()
    }
}

impl Counted {
    fn agrees(&self) -> bool {
        // Lines have six decimals.
        let noise = BigDecimal::new(self.lines.into(), 6);
        let [line, free_line] = &self.line;
        let [row, free_row] = &self.row;
        let same = |a: &BigDecimal, b: &BigDecimal| (a - b).abs() <= noise;
        let (paid_line, paid_row) = (line - free_line, row - free_row);
        same(row, line)
            || same(&paid_row, line)
            || same(row, &paid_line)
            || same(&paid_row, &paid_line)
    }
}

fn add(sums: &mut [BigDecimal; 2], units: &BigDecimal, is_free: bool) {
    sums[0] += units;
    if is_free {
        sums[1] += units;
    }
}
