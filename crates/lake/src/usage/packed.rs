//! Records as bytes, for as long as they wait for their place in a segment: what repeats is kept
//! once, numbers take as few bytes as they need.

use std::str;

use kernel::{Error, OrganisationId, Quantity, Result, SubscriptionId};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{UsageDetails, UsageRecord};

/// What opens packed records.
const MAGIC: &[u8; 4] = b"su1\n";

/// Packs records; [`unpack`] gives them back as they were.
pub fn pack(records: &[&UsageRecord]) -> Vec<u8> {
    let mut texts = Texts::default();
    let mut rows = Vec::with_capacity(records.len() * 64);
    for record in records {
        put_row(&mut rows, record, &mut texts);
    }
    let mut packed = Vec::with_capacity(rows.len() + texts.bytes.len() + 32);
    packed.extend(MAGIC);
    put(&mut packed, u128::from(texts.count));
    packed.extend(&texts.bytes);
    put(&mut packed, records.len() as u128);
    packed.extend(&rows);
    packed
}

/// The records that [`pack`] has packed.
///
/// # Errors
/// Where the bytes are not what it has written.
pub fn unpack(packed: &[u8]) -> Result<Vec<UsageRecord>> {
    unpacked(packed).ok_or_else(|| Error::internal("packed usage is damaged"))
}

fn unpacked(packed: &[u8]) -> Option<Vec<UsageRecord>> {
    let mut bytes = Bytes(packed.strip_prefix(MAGIC)?);
    let count = bytes.number()?;
    let texts: Vec<&str> = (0..count).map(|_| bytes.text()).collect::<Option<_>>()?;
    let count = bytes.number()?;
    let records = (0..count).map(|_| bytes.row(&texts)).collect::<Option<_>>()?;
    bytes.0.is_empty().then_some(records)
}

/// Texts that repeat, each kept once.
#[derive(Default)]
struct Texts<'a> {
    known: FxHashMap<&'a str, u32>,
    count: u32,
    bytes: Vec<u8>,
}

impl<'a> Texts<'a> {
    fn key(&mut self, text: &'a str) -> u128 {
        let key = *self.known.entry(text).or_insert_with(|| {
            put_text(&mut self.bytes, text);
            self.count += 1;
            self.count - 1
        });
        u128::from(key)
    }
}

fn put_row<'a>(out: &mut Vec<u8>, record: &'a UsageRecord, texts: &mut Texts<'a>) {
    put_text(out, &record.event_id);
    put_text(out, record.corrects.as_deref().unwrap_or_default());
    out.extend(record.customer.uuid().as_bytes());
    out.extend(record.subscription.uuid().as_bytes());
    put(out, u128::from(record.entitlement.is_some()));
    if let Some(entitlement) = record.entitlement {
        out.extend(entitlement.uuid().as_bytes());
    }
    put(out, signed(record.recorded_at.into()));
    put(out, signed(record.start.into()));
    put(out, signed((record.end - record.start).into()));
    put(out, signed(record.quantity.mantissa()));
    put(out, texts.key(&record.source));
    put(out, texts.key(record.meter.as_str()));
    put(out, texts.key(&record.unit));
    for detail in record.details.values() {
        put(out, texts.key(detail));
    }
}

/// Seven bits a byte, the lowest first.
fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u128);
    out.extend(text.as_bytes());
}

/// A number whose sign is its lowest bit, so that small ones stay small.
const fn signed(number: i128) -> u128 {
    ((number << 1) ^ (number >> 127)) as u128
}

const fn unsigned(number: u128) -> i128 {
    (number >> 1) as i128 ^ -((number & 1) as i128)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u128> {
        let mut number = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u128::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    fn instant(&mut self) -> Option<i64> {
        unsigned(self.number()?).try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?.try_into().ok()?;
        str::from_utf8(self.take(length)?).ok()
    }

    fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }

    fn row(&mut self, texts: &[&str]) -> Option<UsageRecord> {
        let event_id = self.text()?.to_owned();
        let corrects = Some(self.text()?).filter(|text| !text.is_empty()).map(str::to_owned);
        let customer = OrganisationId::from_uuid(self.uuid()?);
        let subscription = SubscriptionId::from_uuid(self.uuid()?);
        let entitlement = match self.number()? {
            0 => None,
            _ => Some(kernel::EntitlementId::from_uuid(self.uuid()?)),
        };
        let (recorded_at, start) = (self.instant()?, self.instant()?);
        let end = start.checked_add(self.instant()?)?;
        let quantity = Quantity::from_mantissa(unsigned(self.number()?));
        let mut text = || texts.get(usize::try_from(self.number()?).ok()?).copied();
        let source = text()?.to_owned();
        let meter = text()?.parse().ok()?;
        let unit = text()?.to_owned();
        let mut details = UsageDetails::default();
        for name in UsageDetails::NAMES {
            text()?.clone_into(details.get_mut(name)?);
        }
        Some(UsageRecord {
            source,
            event_id,
            corrects,
            recorded_at,
            customer,
            subscription,
            entitlement,
            meter,
            start,
            end,
            quantity,
            unit,
            details,
        })
    }
}
