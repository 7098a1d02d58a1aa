//! Usage events.

use app::imports::events::{self, EventAnswer, Outcome};
use kernel::Result;
use wire::v1::{EventResult, EventResultFault, EventsTaken, SendUsageEvents};

use crate::request::Input;
use crate::routes::Call;
use crate::wait;

pub fn send(call: &Call<'_>, input: &Input<SendUsageEvents>) -> Result<EventsTaken> {
    let answers = wait(events::send(call.ctx(), &input.bytes))?;
    let count = |outcome| answers.iter().filter(|answer| answer.outcome == outcome).count() as u64;
    Ok(EventsTaken {
        accepted: count(Outcome::Accepted),
        duplicate: count(Outcome::Duplicate),
        conflict: count(Outcome::Conflict),
        refused: count(Outcome::Refused),
        results: answers.into_iter().map(result).collect(),
    })
}

fn result(answer: EventAnswer) -> EventResult {
    let faults = answer.faults.into_iter().map(|fault| EventResultFault {
        field: fault.field,
        value: fault.value,
        reason: fault.reason,
    });
    EventResult {
        id: answer.id,
        source: answer.source,
        status: answer.outcome.name().to_owned(),
        faults: faults.collect(),
    }
}
