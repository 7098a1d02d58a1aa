//! The touched usage of a partition in portions: a restated price may touch a whole month, and what
//! documents say of a row takes much more memory than the row.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::RecordBatch;
use kernel::{Error, Result};
use lake::Partition;
use lake::usage::{Columns, resolve};
use rating::{LineNames, Rater};

use super::side::{Rated, Side, rate_usage};
use super::touched::Touched;
use crate::frozen::dictionary;

/// Rows of a portion, about: it ends with a subscription's meter.
const ROWS: usize = 1 << 14;

/// Some subscriptions and meters with all their usage, as it was known and as it is now.
pub(crate) struct Portion {
    before: RecordBatch,
    now: RecordBatch,
}

/// The names of both sides' lines.
pub(crate) struct Names {
    before: LineNames,
    now: LineNames,
}

impl Names {
    pub fn of(before: &Side, now: &Side) -> Self {
        Self { before: before.line_names(), now: now.line_names() }
    }
}

/// A rater for each side.
pub(crate) struct Raters<'s> {
    before: Rater<'s>,
    now: Rater<'s>,
}

impl<'s> Raters<'s> {
    pub fn new(before: &'s Side, now: &'s Side, names: &'s Names) -> Self {
        Self { before: before.rater(Some(&names.before)), now: now.rater(Some(&names.now)) }
    }

    /// Rates both sides of a portion.
    pub fn rate(&mut self, portion: Portion) -> Result<(Rated, Rated)> {
        let before = rate_usage(&mut self.before, portion.before, true)?;
        Ok((before, rate_usage(&mut self.now, portion.now, true)?))
    }
}

/// Reads the touched usage of a partition, in canonical order.
pub(crate) fn portions(
    (before, now): (&Side, &Side),
    touched: &Touched,
    partition: Partition,
) -> Result<Vec<Portion>> {
    let rows = now.rows(touched, partition, Columns::Details)?;
    let known = rows.iter().filter(|(segment, _)| before.knows(segment)).map(|(_, rows)| rows);
    let then = resolve(known, Columns::Details)?;
    let now = resolve(rows.iter().map(|(_, rows)| rows), Columns::Details)?;
    cut(&then, &now)
}

/// A subscription and a meter, and their rows.
type Run = ((String, String), Range<usize>);

/// Cuts both sides after the same subscription and meter.
fn cut(then: &RecordBatch, now: &RecordBatch) -> Result<Vec<Portion>> {
    let before: HashMap<(String, String), Range<usize>> = runs(then)?.into_iter().collect();
    let (mut portions, mut taken) = (Vec::new(), 0);
    let (mut from, mut first) = (0, 0);
    for (key, rows) in runs(now)? {
        if let Some(run) = before.get(&key) {
            if run.start != taken {
                return Err(Error::internal("usage stands in another order than it did"));
            }
            taken = run.end;
        }
        if rows.end - from >= ROWS || rows.end == now.num_rows() {
            let slice =
                |batch: &RecordBatch, rows: Range<usize>| batch.slice(rows.start, rows.len());
            portions.push(Portion {
                before: slice(then, first..taken),
                now: slice(now, from..rows.end),
            });
            (from, first) = (rows.end, taken);
        }
    }
    if taken != then.num_rows() {
        return Err(Error::internal("usage that was known is known no longer"));
    }
    Ok(portions)
}

/// The stretches of rows of one subscription and meter.
fn runs(batch: &RecordBatch) -> Result<Vec<Run>> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let (subscription_keys, subscriptions) = dictionary(batch, "subscription_id")?;
    let (meter_keys, meters) = dictionary(batch, "meter_id")?;
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    for row in 0..batch.num_rows() {
        let keys = (subscription_keys[row], meter_keys[row]);
        if last == Some(keys) {
            if let Some((_, rows)) = runs.last_mut() {
                rows.end = row + 1;
            }
            continue;
        }
        last = Some(keys);
        let (id, meter) = (subscriptions.value(keys.0 as usize), meters.value(keys.1 as usize));
        // Rows of several files have several numbers for one text.
        match runs.last_mut().filter(|((of, with), _)| of == id && with == meter) {
            Some((_, rows)) => rows.end = row + 1,
            None => runs.push(((id.to_owned(), meter.to_owned()), row..row + 1)),
        }
    }
    Ok(runs)
}
