//! Usage in the lake: sorted, immutable segments, and what counts of them.
//!
//! # Canonical order
//! Rows lie in the order of customer (by the hash of its id), subscription, meter, start,
//! resource, event id and source, with corrections behind what they correct. Every segment is sorted so;
//! reading merges segments into one such order, which therefore does not depend on how the usage
//! arrived.

mod chunk;
mod file;
mod packed;
mod read;
mod selected;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use kernel::{EntitlementId, MeterId, Month, OrganisationId, Quantity, SubscriptionId};
use sha2::{Digest, Sha256};

use crate::PartitionHash;
use crate::events::EventDigest;

pub use chunk::{ChunkWritten, UsageChunk};
pub use file::batches_of;
pub use packed::{pack, unpack};
pub use read::{Columns, UsageReader, Wanted, resolve};

/// The most characters that a text of a usage record may have.
pub const TEXT_LENGTH_MAX: usize = 8192;

/// One record of usage: an append-only fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Whose ids these are.
    pub source: String,
    /// The id under which the source can send it again.
    pub event_id: String,
    /// The event whose quantity this one states anew.
    pub corrects: Option<String>,
    /// When the source stated it, in microseconds since 1970; zero where it does not say. Of
    /// several corrections of one event the one stated last counts; of those stated at once, the one
    /// with the greatest id.
    pub recorded_at: i64,
    /// The customer of the subscription.
    pub customer: OrganisationId,
    /// The commerce subscription.
    pub subscription: SubscriptionId,
    /// What the subscription holds, where the usage names it.
    pub entitlement: Option<EntitlementId>,
    /// What was used.
    pub meter: MeterId,
    /// When the use began, in microseconds since 1970.
    pub start: i64,
    /// When it ended; not before it began.
    pub end: i64,
    /// How much.
    pub quantity: Quantity,
    /// What one unit is, as the source spells it.
    pub unit: String,
    /// What was used, where and by whom, as the source says.
    pub details: UsageDetails,
}

/// What a source says of a record besides what is billed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageDetails {
    /// The resource.
    pub resource_uri: String,
    /// Where it is.
    pub resource_location: String,
    /// Its group.
    pub resource_group: String,
    /// The service that reports it.
    pub consumed_service: String,
    /// Tags, as JSON.
    pub tags: String,
    /// More about it, as JSON.
    pub additional_info: String,
    /// The service's own remark.
    pub service_info1: String,
    /// The service's other remark.
    pub service_info2: String,
}

impl UsageDetails {
    /// The names of the details, as columns have them.
    pub const NAMES: [&'static str; 8] = [
        "resource_uri",
        "resource_location",
        "resource_group",
        "consumed_service",
        "tags",
        "additional_info",
        "service_info1",
        "service_info2",
    ];

    /// The details in the order of their names.
    pub fn values(&self) -> [&str; 8] {
        [
            &self.resource_uri,
            &self.resource_location,
            &self.resource_group,
            &self.consumed_service,
            &self.tags,
            &self.additional_info,
            &self.service_info1,
            &self.service_info2,
        ]
    }

    /// The detail of a name, to be filled in.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "resource_uri" => &mut self.resource_uri,
            "resource_location" => &mut self.resource_location,
            "resource_group" => &mut self.resource_group,
            "consumed_service" => &mut self.consumed_service,
            "tags" => &mut self.tags,
            "additional_info" => &mut self.additional_info,
            "service_info1" => &mut self.service_info1,
            "service_info2" => &mut self.service_info2,
            _ => return None,
        })
    }
}

impl UsageRecord {
    /// What is remembered of the record under its id. Details are not part of it: a source that
    /// sends a record again with other tags has sent the same record again.
    pub fn digest(&self) -> EventDigest {
        let mut identity = Sha256::new();
        identity.update(self.subscription.uuid().as_bytes());
        identity.update(self.meter.as_str());
        identity.update([0]);
        identity.update(self.start.to_be_bytes());
        identity.update(self.end.to_be_bytes());
        identity.update(&self.details.resource_uri);
        let mut content = identity.clone();
        content.update([0]);
        if let Some(entitlement) = self.entitlement {
            content.update(entitlement.uuid().as_bytes());
        }
        content.update(self.quantity.mantissa().to_be_bytes());
        content.update(&self.unit);
        if let Some(corrects) = &self.corrects {
            content.update([0]);
            content.update(corrects);
        }
        let first = |hash: Sha256| {
            let digest = hash.finalize();
            std::array::from_fn(|at| digest[at])
        };
        EventDigest::new(first(identity), first(content), self.corrects.is_some())
    }
}

/// A file of usage, and what one must know of it to decide whether to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Where it lies below the lake's folder.
    pub path: String,
    /// The month (of UTC) in which its records begin.
    pub month: Month,
    /// How many records it has.
    pub rows: u64,
    /// When the first record begins.
    pub start_min: i64,
    /// When the last record ends.
    pub end_max: i64,
    /// Decimals of its quantities.
    pub quantity_scale: u8,
    /// How many of its records correct another one.
    pub corrections: u64,
    /// Its row groups, in order.
    pub row_groups: Vec<RowGroupInfo>,
}

/// A row group of a segment: whole customers, mostly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroupInfo {
    /// How many records it has.
    pub rows: u64,
    /// The partition hash of its first customer.
    pub first: PartitionHash,
    /// The partition hash of its last customer.
    pub last: PartitionHash,
}

/// The columns of a segment. Ids and details are dictionaries, so that what repeats costs little.
pub fn schema(quantity: DataType) -> SchemaRef {
    let text = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("customer_id", text(), false),
        Field::new("subscription_id", text(), false),
        Field::new("meter_id", text(), false),
        Field::new("usage_start", time(), false),
        Field::new("usage_end", time(), false),
        Field::new("quantity", quantity, false),
        Field::new("entitlement_id", text(), false),
        Field::new("unit", text(), false),
        Field::new("source", text(), false),
        Field::new("recorded_at", time(), false),
    ];
    fields.extend(UsageDetails::NAMES.map(|name| Field::new(name, text(), false)));
    fields.push(Field::new("event_id", DataType::Utf8, false));
    fields.push(Field::new("corrects", DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}
