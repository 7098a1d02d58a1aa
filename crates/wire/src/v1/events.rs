//! Usage events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::operation;

/// A CloudEvent (1.0, JSON) of the type `skyhandel.usage.v1`. Other attributes are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageEvent {
    /// `1.0`.
    pub specversion: String,
    /// Under which id the source can send it again. Ids never expire.
    pub id: String,
    /// Whose ids these are: a URI reference of at most 256 characters.
    pub source: String,
    /// `skyhandel.usage.v1`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When the source stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What was used: `subscription_id` or `entitlement_id`, `meter_id`, `usage_start` and
    /// `usage_end` (or `date`), `quantity`, `unit`, and as further members `corrects`,
    /// `recorded_at`, `resource_uri`, `resource_location`, `resource_group`, `consumed_service`,
    /// `tags`, `additional_info`, `service_info1`, `service_info2`. Numbers keep the digits that
    /// they are written with.
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// One event, or up to 10,000 of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UsageEvents {
    /// A batch.
    Batch(Vec<UsageEvent>),
    /// A single event.
    Single(UsageEvent),
}

/// What has become of the events of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsTaken {
    /// How many are new: on disk, and counted once.
    pub accepted: u64,
    /// How many had been accepted before.
    pub duplicate: u64,
    /// How many have an id that was accepted with other content.
    pub conflict: u64,
    /// How many cannot be taken as they are.
    pub refused: u64,
    /// The answer to each event, in the order of the batch.
    pub results: Vec<EventResult>,
}

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventResult {
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// `accepted`, `duplicate`, `conflict` or `refused`.
    pub status: String,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<EventResultFault>,
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventResultFault {
    /// The attribute, or the member of its data.
    pub field: Option<String>,
    /// What stands there.
    pub value: Option<String>,
    /// Why it cannot be taken, and what to do.
    pub reason: String,
}

operation!(
    /// Takes usage events.
    SendUsageEvents, "usage.events.send", Post, "/api/v1/usage/events",
    "Takes usage as CloudEvents, each answered by itself. What is accepted is on disk.",
    raw: UsageEvents, &["application/cloudevents-batch+json", "application/cloudevents+json", "application/json"],
    answer: EventsTaken
);
