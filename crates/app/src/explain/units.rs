//! The usage behind a line: rated again, record by record.

use std::rc::Rc;

use arrow_array::{Array, RecordBatch, StringArray};
use domain::AccessScope;
use kernel::{Error, Quantity, Result, micros_instant};
use lake::usage::{Columns, UsageDetails};
use rating::{
    Group, Interval, LineNames, MeterIndex, Output, RateBook, Rater, Schedule, SubscriptionIndex,
    Unpriced,
};

use super::{Explainer, RatedGroup, UsedUnits};
use crate::frozen::{Decimals, Lines, Scopes, dictionary, times, without_runs};

/// A record of the line's subscription and meter.
struct Record {
    source: String,
    event_id: String,
    resource: String,
    /// The same as access to it is judged.
    scope: String,
    start: i64,
    end: i64,
    quantity: Quantity,
}

/// What rating the usage of one subscription and meter gives.
#[derive(Default)]
struct Rated {
    groups: Vec<Group>,
    lines: Vec<RecordBatch>,
}

impl Output for Rated {
    fn group(&mut self, group: &Group) -> Result<()> {
        self.groups.push(*group);
        Ok(())
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        Err(Error::internal(format!("usage of meter {} lost its price", unpriced.meter)))
    }

    fn lines(&mut self, batch: RecordBatch) -> Result<()> {
        self.lines.push(batch);
        Ok(())
    }
}

/// Units of a tier, and how many of them each price has.
pub(super) struct Units<'s> {
    pub usage: Vec<UsedUnits>,
    /// The stretch, whether the units have the price of resources that earn credit, how many.
    pub prices: Vec<(&'s Interval, bool, Quantity)>,
}

/// A record, or as much of it as has one price on the edge.
struct Part {
    interval: usize,
    /// Whether its resource earns credit that others do not earn.
    credited: bool,
    tier: u8,
    quantity: Quantity,
    record: Rc<Record>,
}

impl Explainer<'_> {
    /// The usage of the line's subscription and meter, as it was known.
    pub(super) fn batches(&self, found: &RatedGroup) -> Result<Vec<RecordBatch>> {
        let scope = (found.group.subscription, found.group.meter);
        let mut batches = Vec::new();
        let reader = self.usage.reader(found.partition, Columns::All);
        reader.read(|batch| {
            // Rows of one subscription and meter lie together.
            let from = rows_before(&batch, self.book, scope)?;
            if let Some((from, rows)) = from {
                batches.push(batch.slice(from, rows));
            }
            Ok(())
        })?;
        Ok(batches)
    }

    /// Rates these records: the groups, and the lines in the order of the records.
    pub(super) fn rate(&self, batches: &[RecordBatch]) -> Result<(Vec<Group>, Vec<RecordBatch>)> {
        let book = self.book;
        let mut rated = Rated::default();
        let names = LineNames::new(book, crate::groups::LINE_ROWS);
        let mut rater = Rater::new(book, Some(&names));
        batches.iter().try_for_each(|batch| rater.push(batch, &mut rated))?;
        rater.finish(&mut rated)?;
        let lines = rated.lines.iter().map(without_runs).collect::<Result<_>>()?;
        Ok((rated.groups, lines))
    }

    /// The units of the line's tier.
    pub(super) fn units<'s>(
        &self,
        found: &RatedGroup,
        schedule: &'s Schedule,
        batches: &[RecordBatch],
        lines: &[RecordBatch],
    ) -> Result<Units<'s>> {
        let mut parts = self.parts(found, schedule, batches, lines)?;
        // Tiers fill in the order of the prices, and within a price in that of the records.
        let stretches: Vec<usize> = schedule.before_credit().map(|(first, _)| first).collect();
        parts.sort_by_key(|part| stretches.partition_point(|first| *first <= part.interval));
        let mut before = Quantity::ZERO;
        let mut usage: Vec<UsedUnits> = Vec::new();
        let mut prices: Vec<((usize, bool), Quantity)> = Vec::new();
        for part in parts {
            if part.tier == found.group.tier {
                let place = (part.interval, part.credited);
                let known = prices.iter().position(|(other, _)| *other == place);
                let price = known.unwrap_or(prices.len());
                match known {
                    Some(at) => {
                        prices[at].1 = prices[at].1.checked_add(part.quantity).ok_or_else(lost)?;
                    }
                    None => prices.push((place, part.quantity)),
                }
                usage.push(UsedUnits {
                    source: part.record.source.clone(),
                    event_id: part.record.event_id.clone(),
                    resource: part.record.resource.clone(),
                    start: micros_instant(part.record.start),
                    end: micros_instant(part.record.end),
                    recorded: part.record.quantity,
                    before,
                    quantity: part.quantity,
                    price,
                });
            }
            before = before.checked_add(part.quantity).ok_or_else(lost)?;
        }
        let prices = prices.into_iter();
        let prices = prices.map(|((at, credited), sum)| (&schedule.intervals[at], credited, sum));
        Ok(Units { usage, prices: prices.collect() })
    }

    /// The records beside their lines, cut as this edge cuts them.
    fn parts(
        &self,
        found: &RatedGroup,
        schedule: &Schedule,
        batches: &[RecordBatch],
        lines: &[RecordBatch],
    ) -> Result<Vec<Part>> {
        let book = self.book;
        let position = usize::from(found.group.position);
        let mut lines = Lines::new(lines.iter().cloned().map(Ok), book);
        let subscription = book.subscription_id(found.group.subscription).to_string();
        let mut parts: Vec<Part> = Vec::new();
        let period = book.period_of(found.group.subscription);
        for batch in batches {
            for record in records(batch, &subscription)? {
                if !meets(&record, period) {
                    continue;
                }
                let record = Rc::new(record);
                let first = parts.len();
                loop {
                    let line = lines.current()?;
                    let Some(tier) = line.tier(position) else {
                        // Another edge of the path bills it with this month.
                        if lines.advance_within_record()? {
                            continue;
                        }
                        break;
                    };
                    let holds = |i: &Interval| i.from <= line.start && line.start < i.until;
                    let interval = schedule.intervals.iter().position(holds).ok_or_else(lost)?;
                    let quantity = line.quantity;
                    match parts[first..].last_mut() {
                        Some(last) if (last.interval, last.tier) == (interval, tier) => {
                            last.quantity = last.quantity.checked_add(quantity).ok_or_else(lost)?;
                        }
                        _ => {
                            let credited = schedule.intervals[interval].is_credited(&record.scope);
                            let record = Rc::clone(&record);
                            parts.push(Part { interval, credited, tier, quantity, record });
                        }
                    }
                    if !lines.advance_within_record()? {
                        break;
                    }
                }
            }
        }
        Ok(parts)
    }
}

fn lost() -> Error {
    Error::internal("a line has lost its price")
}

/// Where the rows of a scope lie in a batch: from which, and how many.
fn rows_before(
    batch: &RecordBatch,
    book: &RateBook,
    scope: (SubscriptionIndex, MeterIndex),
) -> Result<Option<(usize, usize)>> {
    let scopes = Scopes::of(batch, book)?;
    let (mut from, mut rows) = (None, 0);
    for row in 0..batch.num_rows() {
        // Usage of what is not in the book has not been billed.
        if scopes.get(row).is_ok_and(|found| found == scope) {
            from.get_or_insert(row);
            rows += 1;
        }
    }
    Ok(from.map(|from| (from, rows)))
}

fn records(batch: &RecordBatch, subscription: &str) -> Result<Vec<Record>> {
    let texts = |name: &str| dictionary(batch, name);
    let (entitlements, groups) = (texts("entitlement_id")?, texts("resource_group")?);
    let (sources, resources) = (texts("source")?, texts(UsageDetails::NAMES[0])?);
    let (starts, ends) = (times(batch, "usage_start")?, times(batch, "usage_end")?);
    let quantities = Decimals::of(batch, "quantity")?;
    let events = batch.column_by_name("event_id").map(Array::to_data);
    let events = StringArray::from(events.ok_or_else(|| Error::internal("no events"))?);
    let factor = 10i128.pow(u32::from(kernel::QUANTITY_SCALE - quantities.scale));
    let record = |row: usize| {
        let quantity = quantities.get(row).ok_or_else(|| Error::internal("no quantity"))?;
        let resource = resources.1.value(resources.0[row] as usize);
        let entitlement = entitlements.1.value(entitlements.0[row] as usize);
        let holder = if entitlement.is_empty() { subscription } else { entitlement };
        let group = groups.1.value(groups.0[row] as usize);
        Ok(Record {
            scope: AccessScope::resource(holder, group, resource),
            source: sources.1.value(sources.0[row] as usize).to_owned(),
            event_id: events.value(row).to_owned(),
            resource: resource.to_owned(),
            start: starts[row],
            end: ends[row],
            quantity: Quantity::from_mantissa(quantity * factor),
        })
    };
    (0..batch.num_rows()).map(record).collect()
}

/// Whether a record has a part in a period; the engine asks the same.
fn meets(record: &Record, (from, until): (i64, i64)) -> bool {
    record.start < until && (record.end > from || record.start >= from)
}
