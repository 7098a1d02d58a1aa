//! From the texts of a row to a usage record, with every fault of the row named.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::Programme;
use kernel::{
    EntitlementId, Fault, MeterId, OrganisationId, Quantity, SubscriptionId, micros_instant,
};
use lake::usage::{TEXT_LENGTH_MAX, UsageDetails, UsageRecord};
use sha2::{Digest, Sha256};

use crate::imports::times;
use crate::sheets::hex;

/// The longest event id.
const EVENT_ID_LENGTH_MAX: usize = 256;
/// The longest use of one record, in microseconds: a leap year.
const LENGTH_MAX: i64 = 366 * 86_400_000_000;
/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;

/// What a row can say, with the names that columns have for it. The first is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::imports) enum Field {
    EventId,
    SubscriptionId,
    EntitlementId,
    MeterId,
    UsageStart,
    UsageEnd,
    Date,
    Quantity,
    Unit,
    Corrects,
    RecordedAt,
    ChargeType,
    ResourceUri,
    ResourceLocation,
    ResourceGroup,
    ConsumedService,
    Tags,
    AdditionalInfo,
    ServiceInfo1,
    ServiceInfo2,
}

/// How many fields there are.
pub(in crate::imports) const FIELDS: usize = 20;

impl Field {
    /// Every field with its names.
    pub const NAMES: [(Self, &'static [&'static str]); FIELDS] = [
        (Self::EventId, &["event_id"]),
        (Self::SubscriptionId, &["subscription_id", "SubscriptionGuid"]),
        (Self::EntitlementId, &["entitlement_id"]),
        (Self::MeterId, &["meter_id"]),
        (Self::UsageStart, &["usage_start", "usageStartTime"]),
        (Self::UsageEnd, &["usage_end", "usageEndTime"]),
        (Self::Date, &["date", "UsageDateTime", "UsageDate"]),
        (Self::Quantity, &["quantity", "UsageQuantity"]),
        (Self::Unit, &["unit", "UnitOfMeasure"]),
        (Self::Corrects, &["corrects"]),
        (Self::RecordedAt, &["recorded_at"]),
        (Self::ChargeType, &["charge_type"]),
        (Self::ResourceUri, &["resource_uri", "ResourceId", "InstanceId", "InstanceName"]),
        (Self::ResourceLocation, &["resource_location", "location"]),
        (Self::ResourceGroup, &["resource_group", "ResourceGroupName"]),
        (Self::ConsumedService, &["consumed_service"]),
        (Self::Tags, &["tags"]),
        (Self::AdditionalInfo, &["additional_info"]),
        (Self::ServiceInfo1, &["service_info1"]),
        (Self::ServiceInfo2, &["service_info2"]),
    ];

    /// Our name of the field.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize].1[0]
    }
}

/// The texts of a row; empty where it says nothing.
#[derive(Debug, Clone, Default)]
pub(in crate::imports) struct RawRecord<'a> {
    /// Its number in the file.
    pub row: u64,
    pub values: [Cow<'a, str>; FIELDS],
}

impl RawRecord<'_> {
    pub fn get(&self, field: Field) -> &str {
        self.values[field as usize].trim()
    }

    /// The texts by the names that the source has for them.
    pub fn record<'r>(&'r self, names: &'r [String; FIELDS]) -> BTreeMap<&'r str, &'r str> {
        let values = self.values.iter().map(AsRef::as_ref);
        let cells = names.iter().map(String::as_str).zip(values);
        cells.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// Whose usage an id means.
#[derive(Debug, Clone, Copy)]
struct Holder {
    subscription: SubscriptionId,
    customer: OrganisationId,
    /// Whose cloud it is.
    provider: OrganisationId,
    entitlement: Option<EntitlementId>,
    active: (i64, i64),
}

/// The subscriptions and entitlements of a programme, by id.
#[derive(Debug, Default)]
pub(in crate::imports) struct Directory {
    holders: HashMap<SubscriptionId, Holder>,
}

impl Directory {
    pub fn of(programme: &Programme) -> Self {
        let mut holders = HashMap::new();
        for subscription in programme.subscriptions.values() {
            let ends = subscription.path.first().copied().zip(subscription.customer());
            let Some((provider, customer)) = ends else { continue };
            let holder = Holder {
                subscription: subscription.id,
                customer,
                provider,
                entitlement: None,
                active: subscription.validity.micros(&programme.zone),
            };
            holders.insert(subscription.id, holder);
            for held in &subscription.entitlements {
                let id = SubscriptionId::from_uuid(held.id.uuid());
                holders.insert(id, Holder { entitlement: Some(held.id), ..holder });
            }
        }
        Self { holders }
    }

    /// The holder of an id; or, where the resource is in something that the subscription holds,
    /// that.
    fn find(&self, id: SubscriptionId, resource_uri: &str) -> Option<Holder> {
        let holder = *self.holders.get(&id)?;
        let inside = subscription_of(resource_uri).and_then(|id| self.holders.get(&id));
        let inside = inside.filter(|inside| inside.subscription == holder.subscription);
        Some(match (holder.entitlement, inside) {
            (None, Some(inside)) => *inside,
            _ => holder,
        })
    }
}

/// The id in `/subscriptions/{id}/...`.
fn subscription_of(resource_uri: &str) -> Option<SubscriptionId> {
    let mut parts = resource_uri.trim_start_matches('/').split('/');
    let is_subscription = parts.next()?.eq_ignore_ascii_case("subscriptions");
    parts.next().filter(|_| is_subscription)?.parse().ok()
}

/// How rows of one file become records.
pub(in crate::imports) struct Reader {
    pub file: String,
    pub source: String,
    /// The names that the file has for the fields.
    pub names: [String; FIELDS],
    /// The subscription of rows that do not name one.
    pub subscription: Option<SubscriptionId>,
    /// Whether event ids are derived, because the source has none.
    pub derives_ids: bool,
    /// The provider whose subscriptions alone may be named; all may if there is none.
    pub metered_by: Option<OrganisationId>,
    directory: Arc<Directory>,
    /// How often a derived id has occurred.
    occurrences: HashMap<[u8; 16], u32>,
}

impl Reader {
    pub fn new(
        source: &str,
        subscription: Option<SubscriptionId>,
        directory: Arc<Directory>,
    ) -> Self {
        Self {
            file: String::new(),
            source: source.to_owned(),
            names: Field::NAMES.map(|(_, names)| names[0].to_owned()),
            subscription,
            derives_ids: false,
            metered_by: None,
            directory,
            occurrences: HashMap::new(),
        }
    }

    /// The record of a row, or everything that is wrong with the row.
    pub fn read(&mut self, raw: &RawRecord<'_>) -> Result<UsageRecord, Vec<Fault>> {
        let mut faults = Vec::new();
        let charge = raw.get(Field::ChargeType);
        if !charge.is_empty() && !charge.eq_ignore_ascii_case("usage") {
            let reason = "is not usage; only rows of the charge type Usage are imported";
            return Err(vec![self.fault(raw, Field::ChargeType, reason)]);
        }
        let details = self.details(raw, &mut faults);
        let holder = self.holder(raw, &details.resource_uri, &mut faults);
        let meter = self.parsed::<MeterId>(raw, Field::MeterId, &mut faults);
        let quantity = self.parsed::<Quantity>(raw, Field::Quantity, &mut faults);
        let times = self.times(raw, &mut faults);
        let recorded_at = self.time(raw, Field::RecordedAt, &mut faults).unwrap_or(0);
        let ids = self.ids(raw, &mut faults);
        let (Some(holder), Some(meter), Some(quantity), Some((start, end)), Some(ids)) =
            (holder, meter, quantity, times, ids)
        else {
            return Err(faults);
        };
        if start < holder.active.0 || start >= holder.active.1 {
            let reason = format!(
                "lies outside the time in which subscription {} is active",
                holder.subscription
            );
            faults.push(self.fault(raw, start_field(raw), reason));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut record = UsageRecord {
            source: self.source.clone(),
            event_id: ids.0,
            corrects: ids.1,
            recorded_at,
            customer: holder.customer,
            subscription: holder.subscription,
            entitlement: holder.entitlement,
            meter,
            start,
            end,
            quantity,
            unit: raw.get(Field::Unit).to_owned(),
            details,
        };
        if self.derives_ids {
            record.event_id = self.derived_id(&record);
        }
        Ok(record)
    }

    pub fn fault(&self, raw: &RawRecord<'_>, field: Field, reason: impl ToString) -> Fault {
        let value = raw.get(field);
        Fault {
            file: self.file.clone(),
            line: Some(raw.row),
            field: Some(self.names[field as usize].clone()),
            value: Some(value.chars().take(100).collect()),
            reason: reason.to_string(),
        }
    }

    fn parsed<T>(&self, raw: &RawRecord<'_>, field: Field, faults: &mut Vec<Fault>) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: ToString,
    {
        let parsed = raw.get(field).parse();
        parsed.map_err(|why: T::Err| faults.push(self.fault(raw, field, why.to_string()))).ok()
    }

    fn details(&self, raw: &RawRecord<'_>, faults: &mut Vec<Fault>) -> UsageDetails {
        let mut details = UsageDetails::default();
        for (field, names) in &Field::NAMES[Field::ResourceUri as usize..] {
            let value = raw.get(*field);
            if value.len() > TEXT_LENGTH_MAX {
                let reason =
                    format!("has {} characters; at most {TEXT_LENGTH_MAX} are kept", value.len());
                faults.push(self.fault(raw, *field, reason));
            } else if let Some(detail) = details.get_mut(names[0]) {
                value.clone_into(detail);
            }
        }
        details
    }

    fn holder(
        &self,
        raw: &RawRecord<'_>,
        resource_uri: &str,
        faults: &mut Vec<Fault>,
    ) -> Option<Holder> {
        let entitlement = raw.get(Field::EntitlementId);
        let field =
            if entitlement.is_empty() { Field::SubscriptionId } else { Field::EntitlementId };
        let named = match (raw.get(field), self.subscription) {
            ("", Some(subscription)) => subscription,
            _ => self.parsed(raw, field, faults)?,
        };
        let found = self.directory.find(named, resource_uri);
        let found = found.filter(|found| self.metered_by.is_none_or(|by| by == found.provider));
        if found.is_none() {
            let reason = "is neither a subscription nor an entitlement of the programme; add it \
                          to the programme file and apply that first";
            faults.push(self.fault(raw, field, reason));
        }
        found
    }

    fn time(&self, raw: &RawRecord<'_>, field: Field, faults: &mut Vec<Fault>) -> Option<i64> {
        let text = raw.get(field);
        if text.is_empty() {
            return None;
        }
        let time = times::time(text);
        if time.is_none() {
            faults.push(self.fault(raw, field, times::EXPECTED));
        }
        time
    }

    /// Start and end; a row with a date alone is about that day.
    fn times(&self, raw: &RawRecord<'_>, faults: &mut Vec<Fault>) -> Option<(i64, i64)> {
        let before = faults.len();
        let start = self.time(raw, Field::UsageStart, faults);
        let end = self.time(raw, Field::UsageEnd, faults);
        let day = self.time(raw, Field::Date, faults);
        if faults.len() > before {
            return None;
        }
        let (start, end) = match (start, end, day) {
            (Some(start), Some(end), _) => (start, end),
            (None, None, Some(day)) => (day, day + DAY),
            (None, ..) => {
                faults.push(self.fault(
                    raw,
                    Field::UsageStart,
                    "is empty; write when the use began",
                ));
                return None;
            }
            (_, None, _) => {
                faults.push(self.fault(raw, Field::UsageEnd, "is empty; write when the use ended"));
                return None;
            }
        };
        if end < start {
            let reason = format!("is before the start, {}", micros_instant(start));
            faults.push(self.fault(raw, Field::UsageEnd, reason));
            return None;
        }
        if end - start > LENGTH_MAX {
            let reason = "is more than 366 days after the start; split the record";
            faults.push(self.fault(raw, Field::UsageEnd, reason));
            return None;
        }
        Some((start, end))
    }

    /// The event's id, and that of the event which it corrects.
    fn ids(
        &self,
        raw: &RawRecord<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<(String, Option<String>)> {
        let (id, corrects) = (raw.get(Field::EventId), raw.get(Field::Corrects));
        let wrong_length = |text: &str| text.is_empty() || text.len() > EVENT_ID_LENGTH_MAX;
        if !self.derives_ids && wrong_length(id) {
            let reason = format!("must have 1 to {EVENT_ID_LENGTH_MAX} characters");
            faults.push(self.fault(raw, Field::EventId, reason));
            return None;
        }
        if corrects.len() > EVENT_ID_LENGTH_MAX {
            let reason = format!("must have at most {EVENT_ID_LENGTH_MAX} characters");
            faults.push(self.fault(raw, Field::Corrects, reason));
            return None;
        }
        if !corrects.is_empty() && corrects == id {
            faults.push(self.fault(raw, Field::Corrects, "is the event itself"));
            return None;
        }
        let corrects = Some(corrects).filter(|text| !text.is_empty());
        Some((id.to_owned(), corrects.map(ToOwned::to_owned)))
    }

    /// An id that the same row has whenever it is sent again: of what the row is about, and of
    /// how many rows before it are about the same.
    fn derived_id(&mut self, record: &UsageRecord) -> String {
        let mut hash = Sha256::new();
        hash.update(record.digest().identity);
        hash.update(record.entitlement.map(|id| id.to_string()).unwrap_or_default());
        hash.update([0]);
        hash.update(&record.details.resource_location);
        hash.update([0]);
        hash.update(&record.details.additional_info);
        let digest = hash.finalize();
        let key: [u8; 16] = std::array::from_fn(|at| digest[at]);
        let occurrence = self.occurrences.entry(key).or_insert(0);
        *occurrence += 1;
        format!("derived-{}-{occurrence}", hex(&key))
    }
}

/// The field that says when the use began.
fn start_field(raw: &RawRecord<'_>) -> Field {
    if raw.get(Field::UsageStart).is_empty() { Field::Date } else { Field::UsageStart }
}
