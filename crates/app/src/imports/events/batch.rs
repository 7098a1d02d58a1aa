//! CloudEvents 1.0 in JSON: a batch becomes records, or the reasons why an event is none.

use std::borrow::Cow;
use std::sync::Arc;

use kernel::{Error, Fault, OrganisationId, Result};
use lake::events::{EventEntry, EventKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::inbox::Candidate;
use super::{EventAnswer, EventFault, Outcome};
use crate::imports::usage::record::{Directory, Field, RawRecord, Reader};

/// The events of a batch at most.
pub const EVENTS_MAX: usize = 10_000;
/// The type of event that is usage.
pub const EVENT_TYPE: &str = "skyhandel.usage.v1";
/// The longest source.
const SOURCE_LENGTH_MAX: usize = 256;

/// The attributes of an event that matter; others are allowed and ignored, as CloudEvents wants.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

/// What an event of usage says. A name that is not one of these is a mistake that would go
/// unnoticed, so it is refused.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Data<'a> {
    #[serde(borrow)]
    subscription_id: Option<&'a RawValue>,
    #[serde(borrow)]
    entitlement_id: Option<&'a RawValue>,
    #[serde(borrow)]
    meter_id: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_start: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_end: Option<&'a RawValue>,
    #[serde(borrow)]
    date: Option<&'a RawValue>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    unit: Option<&'a RawValue>,
    #[serde(borrow)]
    corrects: Option<&'a RawValue>,
    #[serde(borrow)]
    recorded_at: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_uri: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_location: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_group: Option<&'a RawValue>,
    #[serde(borrow)]
    consumed_service: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    additional_info: Option<&'a RawValue>,
    #[serde(borrow)]
    service_info1: Option<&'a RawValue>,
    #[serde(borrow)]
    service_info2: Option<&'a RawValue>,
}

/// An event that can be taken.
pub(super) struct ReadEvent {
    pub answer: EventAnswer,
    pub candidate: Candidate,
}

/// Reads a batch. `party` is the provider that sends it, whose subscriptions alone it may meter;
/// none if the operator does.
pub(super) fn read(
    body: &[u8],
    party: Option<OrganisationId>,
    directory: Arc<Directory>,
) -> Result<Vec<Result<ReadEvent, EventAnswer>>> {
    let invalid = |error: serde_json::Error| {
        Error::invalid("body", format!("is not a CloudEvent or an array of them: {error}"))
    };
    let events: Vec<&RawValue> = match body.trim_ascii_start().first() {
        Some(b'{') => vec![serde_json::from_slice(body).map_err(invalid)?],
        _ => serde_json::from_slice(body).map_err(invalid)?,
    };
    if events.len() > EVENTS_MAX {
        let reason = format!("has {} events; send at most {EVENTS_MAX} at once", events.len());
        return Err(Error::invalid("body", reason));
    }
    let mut reader = Reader::new("", None, directory);
    reader.metered_by = party;
    let events = events.into_iter().enumerate();
    Ok(events.map(|(at, event)| read_event(&mut reader, at, event.get())).collect())
}

fn read_event(reader: &mut Reader, at: usize, json: &str) -> Result<ReadEvent, EventAnswer> {
    let envelope: Envelope<'_> = serde_json::from_str(json).map_err(|error| {
        let (id, source) = names(json);
        let reason = format!("is not an event of usage: {error}");
        refused(id, source, vec![EventFault { field: None, value: None, reason }])
    })?;
    let (id, source) = (envelope.id.as_ref(), envelope.source.as_ref());
    if let Some(fault) = envelope_fault(&envelope) {
        return Err(refused(id.to_owned(), source.to_owned(), vec![fault]));
    }
    // Ids of two providers never meet, whatever they call their meters.
    reader.source = match reader.metered_by {
        Some(party) => format!("{party}:{source}"),
        None => source.to_owned(),
    };
    let raw = raw(at as u64 + 1, &envelope);
    let record = reader.read(&raw).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| fault_of(&fault)).collect();
        refused(id.to_owned(), source.to_owned(), faults)
    })?;
    let root = record.corrects.as_deref().map(|root| EventKey::of(&record.source, root));
    let key = EventKey::of(&record.source, &record.event_id);
    let entry = EventEntry { key, digest: record.digest() };
    let answer = EventAnswer {
        id: id.to_owned(),
        source: source.to_owned(),
        outcome: Outcome::Accepted,
        faults: Vec::new(),
    };
    Ok(ReadEvent { answer, candidate: Candidate { record, entry, root } })
}

/// Id and source of an event that cannot be read otherwise.
fn names(json: &str) -> (String, String) {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Names {
        id: serde_json::Value,
        source: serde_json::Value,
    }
    let names: Names = serde_json::from_str(json).unwrap_or_default();
    let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(names.id), text(names.source))
}

fn refused(id: String, source: String, faults: Vec<EventFault>) -> EventAnswer {
    EventAnswer { id, source, outcome: Outcome::Refused, faults }
}

fn envelope_fault(envelope: &Envelope<'_>) -> Option<EventFault> {
    let fault = |field: &str, value: &str, reason: &str| {
        let value = Some(value.chars().take(100).collect());
        Some(EventFault { field: Some(field.to_owned()), value, reason: reason.to_owned() })
    };
    if envelope.specversion != "1.0" {
        return fault("specversion", &envelope.specversion, "is not 1.0");
    }
    if envelope.event_type != EVENT_TYPE {
        return fault("type", &envelope.event_type, "is not skyhandel.usage.v1");
    }
    let source = envelope.source.as_ref();
    if source.trim().is_empty() || source.len() > SOURCE_LENGTH_MAX {
        return fault("source", source, "must have 1 to 256 characters");
    }
    if envelope.data.is_none() {
        return fault("data", "", "is missing; write what was used");
    }
    None
}

fn fault_of(fault: &Fault) -> EventFault {
    let field = fault.field.as_ref().map(|field| match field.as_str() {
        "event_id" => "id".to_owned(),
        name => format!("data.{name}"),
    });
    EventFault { field, value: fault.value.clone(), reason: fault.reason.clone() }
}

fn raw<'a>(row: u64, envelope: &'a Envelope<'a>) -> RawRecord<'a> {
    let mut raw = RawRecord { row, ..RawRecord::default() };
    raw.values[Field::EventId as usize] = Cow::Borrowed(&envelope.id);
    let Some(data) = &envelope.data else { return raw };
    let mut put = |field: Field, value: Option<&'a RawValue>| {
        if let Some(value) = value {
            raw.values[field as usize] = text(value);
        }
    };
    put(Field::SubscriptionId, data.subscription_id);
    put(Field::EntitlementId, data.entitlement_id);
    put(Field::MeterId, data.meter_id);
    put(Field::UsageStart, data.usage_start);
    put(Field::UsageEnd, data.usage_end);
    put(Field::Date, data.date);
    put(Field::Quantity, data.quantity);
    put(Field::Unit, data.unit);
    put(Field::Corrects, data.corrects);
    put(Field::RecordedAt, data.recorded_at);
    put(Field::ResourceUri, data.resource_uri);
    put(Field::ResourceLocation, data.resource_location);
    put(Field::ResourceGroup, data.resource_group);
    put(Field::ConsumedService, data.consumed_service);
    put(Field::Tags, data.tags);
    put(Field::AdditionalInfo, data.additional_info);
    put(Field::ServiceInfo1, data.service_info1);
    put(Field::ServiceInfo2, data.service_info2);
    if let (None, Some(time)) = (data.recorded_at, &envelope.time) {
        raw.values[Field::RecordedAt as usize] = Cow::Borrowed(time);
    }
    raw
}

/// A JSON value as text: what a text says, nothing for null, everything else as it is written, so
/// that a number keeps its digits.
fn text(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) => Cow::Owned(serde_json::from_str(json).unwrap_or_default()),
        None if json == "null" => Cow::Borrowed(""),
        None => Cow::Borrowed(json),
    }
}
