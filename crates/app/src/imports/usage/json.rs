//! Usage as JSON: our own records one a line, and the answers of Partner Center.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read};

use kernel::{Error, Fault, Faults, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::intake::Intake;
use super::record::{Field, RawRecord};
use crate::Ctx;
use crate::imports::input::Input;
use crate::imports::table::normalized;

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Reads one record a line. Names are compared as those of columns are; nested values (tags) are
/// kept as the JSON they are.
pub(super) fn lines(ctx: &Ctx<'_>, input: &Input, intake: &mut Intake<'_>) -> Result<()> {
    let mut text = input.read(ctx.progress)?;
    let names = Field::NAMES.map(|(_, names)| names[0].to_owned());
    intake.begin(&input.name, names, false);
    let known: HashMap<String, Field> = Field::NAMES
        .iter()
        .flat_map(|(field, names)| names.iter().map(|name| (normalized(name), *field)))
        .collect();
    let (mut line, mut row) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = text.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(Error::file(&input.path))? == 0 {
            return Ok(());
        }
        row += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match record(&line, row, &known) {
            Ok(raw) => intake.take(&raw)?,
            Err(reason) => {
                let fault = Fault {
                    file: input.name.clone(),
                    line: Some(row),
                    field: None,
                    value: None,
                    reason,
                };
                let line = String::from_utf8_lossy(&line);
                intake.bad(vec![fault], &BTreeMap::from([("_line", line.trim())]))?;
            }
        }
    }
}

fn record<'a>(
    line: &[u8],
    row: u64,
    known: &HashMap<String, Field>,
) -> Result<RawRecord<'a>, String> {
    let values: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(line).map_err(|error| format!("is not a JSON object: {error}"))?;
    let mut raw = RawRecord { row, ..RawRecord::default() };
    for (name, value) in values {
        if let Some(field) = known.get(&normalized(&name)) {
            raw.values[*field as usize] = Cow::Owned(text(&value));
        }
    }
    Ok(raw)
}

/// A JSON value as text: what a text says, nothing for null, everything else as it is written.
fn text(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        json if json.starts_with('"') => serde_json::from_str(json).unwrap_or_default(),
        json => json.to_owned(),
    }
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    #[serde(rename = "self", default)]
    this: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    usage_start_time: String,
    usage_end_time: String,
    resource: Resource,
    quantity: Box<RawValue>,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    info_fields: Option<Box<RawValue>>,
    #[serde(default)]
    instance_data: Option<InstanceData>,
}

#[derive(Deserialize)]
struct Resource {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceData {
    #[serde(default)]
    resource_uri: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    tags: Option<Box<RawValue>>,
    #[serde(default)]
    additional_info: Option<Box<RawValue>>,
}

/// Reads an answer of the utilization resource. The subscription is that of its own link, unless
/// one was given.
pub(super) fn utilization(ctx: &Ctx<'_>, input: &Input, intake: &mut Intake<'_>) -> Result<()> {
    let mut json = Vec::new();
    let mut text_of_file = input.read(ctx.progress)?;
    text_of_file.read_to_end(&mut json).map_err(Error::file(&input.path))?;
    let answer: Answer = serde_json::from_slice(&json).map_err(|error| {
        let mut faults = Faults::default();
        faults.push(Fault {
            file: input.name.clone(),
            line: Some(error.line() as u64),
            field: None,
            value: None,
            reason: format!("is not an answer of the utilization resource: {error}"),
        });
        Error::Refused { subject: input.name.clone(), faults: Box::new(faults) }
    })?;
    let link = answer.links.and_then(|links| links.this).map(|link| link.uri).unwrap_or_default();
    let subscription = subscription_of(&link).unwrap_or_default();
    let mut names = Field::NAMES.map(|(_, names)| names[0].to_owned());
    for (field, name) in [
        (Field::MeterId, "resource.id"),
        (Field::UsageStart, "usageStartTime"),
        (Field::UsageEnd, "usageEndTime"),
        (Field::ResourceUri, "instanceData.resourceUri"),
    ] {
        name.clone_into(&mut names[field as usize]);
    }
    intake.begin(&input.name, names, true);
    for (at, item) in answer.items.iter().enumerate() {
        intake.take(&raw(item, at as u64 + 1, subscription))?;
    }
    Ok(())
}

fn raw<'a>(item: &'a Item, row: u64, subscription: &'a str) -> RawRecord<'a> {
    let mut raw = RawRecord { row, ..RawRecord::default() };
    let mut put = |field: Field, value: Cow<'a, str>| raw.values[field as usize] = value;
    put(Field::SubscriptionId, Cow::Borrowed(subscription));
    put(Field::MeterId, Cow::Borrowed(&item.resource.id));
    put(Field::UsageStart, Cow::Borrowed(&item.usage_start_time));
    put(Field::UsageEnd, Cow::Borrowed(&item.usage_end_time));
    put(Field::Quantity, Cow::Owned(text(&item.quantity)));
    put(Field::Unit, Cow::Borrowed(&item.unit));
    let json = |value: &'a Option<Box<RawValue>>| {
        let text = value.as_deref().map(text).filter(|text| text != "{}");
        Cow::Owned(text.unwrap_or_default())
    };
    put(Field::ServiceInfo1, json(&item.info_fields));
    if let Some(instance) = &item.instance_data {
        put(Field::ResourceUri, Cow::Borrowed(&instance.resource_uri));
        put(Field::ResourceLocation, Cow::Borrowed(&instance.location));
        put(Field::Tags, json(&instance.tags));
        put(Field::AdditionalInfo, json(&instance.additional_info));
    }
    raw
}

/// The id in `customers/{c}/subscriptions/{s}/utilizations/azure`.
fn subscription_of(link: &str) -> Option<&str> {
    let mut parts = link.split('/').skip_while(|part| *part != "subscriptions");
    parts.nth(1)
}
