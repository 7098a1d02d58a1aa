//! A batch of usage, as the daily file needs it.

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::ScalarBuffer;
use documents::Keyed;
use kernel::Result;
use lake::usage::UsageDetails;
use rating::RateBook;

use crate::frozen::{dictionary, times};

/// Times and texts of the current batch.
#[derive(Default)]
pub(super) struct Records {
    starts: ScalarBuffer<i64>,
    ends: ScalarBuffer<i64>,
    details: [Texts; UsageDetails::NAMES.len()],
    entitlements: Texts,
    /// What is billed of the subscription of each row, where that is not the month.
    periods: Option<Periods>,
    month: (i64, i64),
}

/// What is billed of subscriptions: by the number of each in a column of numbers.
type Periods = (ScalarBuffer<i32>, Vec<(i64, i64)>);

/// A text column.
#[derive(Default)]
struct Texts {
    keys: ScalarBuffer<i32>,
    texts: Option<StringArray>,
    /// A number for the dictionary, which batches of one row group share.
    dictionary: u64,
}

impl Texts {
    fn turn_to(&mut self, batch: &RecordBatch, name: &str) -> Result<()> {
        let (keys, texts) = dictionary(batch, name)?;
        self.keys = keys;
        // Compared by place while the old one is still kept, so that no other can lie there.
        if !self.texts.as_ref().is_some_and(|known| lies_with(known, &texts)) {
            self.dictionary += 1;
            self.texts = Some(texts);
        }
        Ok(())
    }

    fn get(&self, row: usize) -> Keyed<'_> {
        let key = self.keys[row];
        let text = self.texts.as_ref().map_or("", |texts| texts.value(key as usize));
        Keyed { dictionary: self.dictionary, key, text }
    }
}

/// Whether two arrays are the same piece of memory.
fn lies_with(a: &StringArray, b: &StringArray) -> bool {
    let place = |texts: &StringArray| {
        (texts.value_offsets().as_ptr(), texts.value_data().as_ptr(), texts.len())
    };
    place(a) == place(b)
}

impl Records {
    /// Turns to the next batch.
    pub fn turn_to(&mut self, batch: &RecordBatch, book: &RateBook) -> Result<()> {
        self.month = book.period_micros();
        self.periods = None;
        if !book.bills_months() {
            let (keys, ids) = dictionary(batch, "subscription_id")?;
            let found = ids.iter().map(|id| book.find_subscription(id.unwrap_or_default()));
            // What is not sold in the month is billed with another one.
            let periods = found.map(|of| of.map_or((0, 0), |of| book.period_of(of)));
            self.periods = Some((keys, periods.collect()));
        }
        self.starts = times(batch, "usage_start")?;
        self.ends = times(batch, "usage_end")?;
        for (texts, name) in self.details.iter_mut().zip(UsageDetails::NAMES) {
            texts.turn_to(batch, name)?;
        }
        self.entitlements.turn_to(batch, "entitlement_id")
    }

    /// When the use began.
    pub fn start(&self, row: usize) -> i64 {
        self.starts[row]
    }

    /// Whether a record has a part in what is billed; the engine asks the same.
    pub fn is_billed(&self, row: usize) -> bool {
        let own = self.periods.as_ref().map(|(keys, periods)| periods[keys[row] as usize]);
        let (from, until) = own.unwrap_or(self.month);
        let (start, end) = (self.starts[row], self.ends[row]);
        start < until && (end > from || start >= from)
    }

    /// What the source said of a record.
    pub fn details(&self, row: usize) -> [Keyed<'_>; UsageDetails::NAMES.len()] {
        std::array::from_fn(|at| self.details[at].get(row))
    }

    /// The entitlement of a record.
    pub fn entitlement(&self, row: usize) -> Keyed<'_> {
        self.entitlements.get(row)
    }
}
