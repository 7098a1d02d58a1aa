//! Reading batches of usage.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_schema::DataType;
use domain::AccessScope;
use kernel::{Error, QUANTITY_SCALE, Result};

/// The columns of usage that the engine reads, by name. Rows are in canonical order: one
/// subscription and meter after the other, and within them by start, resource and event id.
pub mod columns {
    /// The commerce subscription: a dictionary of text.
    pub const SUBSCRIPTION_ID: &str = "subscription_id";
    /// The meter: a dictionary of text.
    pub const METER_ID: &str = "meter_id";
    /// When the use began: microseconds, UTC. Needed for lines and where prices change.
    pub const USAGE_START: &str = "usage_start";
    /// When the use ended. Needed where prices change within the month.
    pub const USAGE_END: &str = "usage_end";
    /// How much was used: an exact decimal of 64 or 128 bits.
    pub const QUANTITY: &str = "quantity";
    /// What the subscription holds: a dictionary of text. Needed, as the next two, where prices
    /// depend on resources ([`crate::RateBook::depends_on_resources`]).
    pub const ENTITLEMENT_ID: &str = "entitlement_id";
    /// The group of the resource: a dictionary of text.
    pub const RESOURCE_GROUP: &str = "resource_group";
    /// The resource: a dictionary of text.
    pub const RESOURCE_URI: &str = "resource_uri";
}

/// Quantities as they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Quantities<'a> {
    Narrow(&'a [i64]),
    Wide(&'a [i128]),
}

/// The columns of one batch.
pub(crate) struct Usage<'a> {
    pub subscription: &'a DictionaryArray<Int32Type>,
    pub meter: &'a DictionaryArray<Int32Type>,
    pub start: Option<&'a [i64]>,
    pub end: Option<&'a [i64]>,
    pub quantity: Quantities<'a>,
    /// Decimals of the quantities.
    pub scale: u8,
    pub resources: Option<Resources<'a>>,
}

/// What says which resource was used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources<'a> {
    entitlement: &'a DictionaryArray<Int32Type>,
    group: &'a DictionaryArray<Int32Type>,
    uri: &'a DictionaryArray<Int32Type>,
}

impl<'a> Resources<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Option<Self>> {
        if batch.column_by_name(columns::RESOURCE_GROUP).is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            entitlement: dictionary(batch, columns::ENTITLEMENT_ID)?,
            group: dictionary(batch, columns::RESOURCE_GROUP)?,
            uri: dictionary(batch, columns::RESOURCE_URI)?,
        }))
    }

    /// The keys of a row, by which it is known again within its batch.
    pub fn keys(&self, row: usize) -> [i32; 3] {
        [self.entitlement, self.group, self.uri].map(|column| column.keys().value(row))
    }

    /// The resource of a row, as [`AccessScope::resource`] says it.
    pub fn resource(&self, row: usize, subscription: &str) -> String {
        let text = |column: &'a DictionaryArray<Int32Type>| {
            column.values().as_string::<i32>().value(column.keys().value(row) as usize)
        };
        let entitlement = text(self.entitlement);
        let holder = if entitlement.is_empty() { subscription } else { entitlement };
        AccessScope::resource(holder, text(self.group), text(self.uri))
    }
}

impl<'a> Usage<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        let (quantity, scale) = quantities(required(batch, columns::QUANTITY)?)?;
        Ok(Self {
            subscription: dictionary(batch, columns::SUBSCRIPTION_ID)?,
            meter: dictionary(batch, columns::METER_ID)?,
            start: times(batch, columns::USAGE_START)?,
            end: times(batch, columns::USAGE_END)?,
            quantity,
            scale,
            resources: Resources::of(batch)?,
        })
    }

    pub fn rows(&self) -> usize {
        self.subscription.len()
    }
}

fn required<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let column = batch.column_by_name(name).filter(|column| column.null_count() == 0);
    column.ok_or_else(|| Error::internal(format!("usage without the column {name}, or with nulls")))
}

fn dictionary<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a DictionaryArray<Int32Type>> {
    let dictionary = required(batch, name)?.as_dictionary_opt::<Int32Type>();
    let dictionary = dictionary.filter(|d| d.values().data_type() == &DataType::Utf8);
    dictionary
        .ok_or_else(|| Error::internal(format!("usage column {name} is not a text dictionary")))
}

fn times<'a>(batch: &'a RecordBatch, name: &str) -> Result<Option<&'a [i64]>> {
    if batch.column_by_name(name).is_none() {
        return Ok(None);
    }
    let times = required(batch, name)?.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.map(|times| &times.values()[..]);
    times
        .map(Some)
        .ok_or_else(|| Error::internal(format!("usage column {name} has no microseconds")))
}

fn quantities(column: &ArrayRef) -> Result<(Quantities<'_>, u8)> {
    let (quantities, scale) = match column.data_type() {
        DataType::Decimal64(_, scale) => {
            (Quantities::Narrow(column.as_primitive::<Decimal64Type>().values()), *scale)
        }
        DataType::Decimal128(_, scale) => {
            (Quantities::Wide(column.as_primitive::<Decimal128Type>().values()), *scale)
        }
        other => return Err(Error::internal(format!("quantities of the type {other}"))),
    };
    match u8::try_from(scale).ok().filter(|scale| *scale <= QUANTITY_SCALE) {
        Some(scale) => Ok((quantities, scale)),
        None => Err(Error::internal(format!("quantities with {scale} decimals"))),
    }
}

/// Translates the keys of a dictionary into positions of the rate book, each once.
#[derive(Debug)]
pub(crate) struct Translation<T> {
    values: Option<ArrayRef>,
    answers: Vec<Option<T>>,
}

/// Whether two dictionaries are one and the same piece of memory. Readers wrap the dictionary of a
/// row group anew for each batch.
fn is_same(a: &ArrayRef, b: &ArrayRef) -> bool {
    let place = |values: &ArrayRef| {
        let texts = values.as_string::<i32>();
        (texts.value_offsets().as_ptr(), texts.value_data().as_ptr(), texts.len())
    };
    Arc::ptr_eq(a, b) || place(a) == place(b)
}

impl<T: Copy> Translation<T> {
    pub const fn new() -> Self {
        Self { values: None, answers: Vec::new() }
    }

    /// Finds the positions behind the keys of a batch, unless its dictionary is known. All at once,
    /// because one search need not wait for the memory that another one touches.
    pub fn prepare(
        &mut self,
        column: &DictionaryArray<Int32Type>,
        find: impl Fn(&str) -> Option<T>,
    ) {
        let values = column.values();
        if self.values.as_ref().is_some_and(|known| is_same(known, values)) {
            return;
        }
        self.answers.clear();
        let texts = values.as_string::<i32>();
        self.answers.extend((0..texts.len()).map(|at| find(texts.value(at))));
        self.values = Some(Arc::clone(values));
    }

    /// The text behind a key.
    pub fn text(&self, key: i32) -> &str {
        self.values.as_ref().map_or("", |values| values.as_string::<i32>().value(key as usize))
    }

    /// The position behind a key.
    pub fn get(&self, key: i32) -> Option<T> {
        self.answers[key as usize]
    }
}
