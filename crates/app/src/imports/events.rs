//! Usage events: each is answered by itself, and what is acknowledged is on disk.
//!
//! ```text
//! CloudEvents -> batch (records or reasons) -> inbox (one transaction for all that wait: ids are
//! looked up, new records appended) -> answers ... drain -> segments of the lake
//! ```
//!
//! The database keeps acknowledged events in rows of bytes until [`drain()`] has put them into the
//! lake, where they begin to count. Ids are known from the moment of the answer.

mod batch;
mod drain;
mod inbox;

use domain::{Action, Because, Resource};
use kernel::Result;

use crate::Ctx;

pub use batch::{EVENT_TYPE, EVENTS_MAX};
pub use drain::{Drained, drain};
pub(crate) use inbox::Inbox;

/// What has become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is new, on disk, and will be counted once.
    Accepted,
    /// It had been accepted before, with the same content.
    Duplicate,
    /// Its id had been accepted before with other content, which stays.
    Conflict,
    /// It cannot be taken as it is.
    Refused,
}

impl Outcome {
    /// Every outcome with the name it has in answers.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("accepted", Self::Accepted),
        ("duplicate", Self::Duplicate),
        ("conflict", Self::Conflict),
        ("refused", Self::Refused),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, outcome)| *outcome == self).map_or("", |(name, _)| name)
    }
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFault {
    /// The attribute, or the member of its data.
    pub field: Option<String>,
    /// What stands there, or the beginning of it.
    pub value: Option<String>,
    /// Why it cannot be taken, and what to do.
    pub reason: String,
}

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAnswer {
    /// Its id, as far as it could be read.
    pub id: String,
    /// Its source, as far as it could be read.
    pub source: String,
    /// What has become of it.
    pub outcome: Outcome,
    /// Why it was not accepted.
    pub faults: Vec<EventFault>,
}

/// Takes a batch of CloudEvents in JSON: an array, or a single event. The answers are in the order
/// of the events, and whoever has them may forget what was accepted.
///
/// # Errors
/// Where the batch as a whole cannot be read or is too large; nothing of it is taken then.
pub async fn send(ctx: Ctx<'_>, body: &[u8]) -> Result<Vec<EventAnswer>> {
    let scope = ctx.decide(Action::Create, Resource::Usage)?;
    let inbox = &ctx.installation.inbox;
    let directory = inbox.directory(&ctx).await?;
    let read = batch::read(body, scope.party(), directory)?;
    let (mut answers, mut places, mut events) = (Vec::with_capacity(read.len()), vec![], vec![]);
    for event in read {
        match event {
            Ok(event) => {
                places.push(answers.len());
                answers.push(event.answer);
                events.push(event.candidate);
            }
            Err(answer) => answers.push(answer),
        }
    }
    if !events.is_empty() {
        let verdicts = inbox.take(&ctx, events).await?;
        for (place, (outcome, faults)) in places.into_iter().zip(verdicts) {
            answers[place].outcome = outcome;
            answers[place].faults = faults;
        }
    }
    Ok(answers)
}

/// How many events are acknowledged and not in the lake yet.
pub async fn waiting(ctx: Ctx<'_>) -> Result<i64> {
    let mut tx = ctx.system_read(Because::Metering).await?;
    let state = tx.inbox_state().await?;
    Ok(state.last - state.drained)
}
