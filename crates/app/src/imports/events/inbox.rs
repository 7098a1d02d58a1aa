//! Which ids are known, and one transaction for all events that wait.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use domain::Because;
use kernel::{Error, Result};
use lake::events::{EventDigest, EventEntry, EventKey, EventRun};
use lake::usage::{UsageRecord, pack};
use store::{Generation, InboxRow, InboxState, Turn, Tx};
use tokio::sync::{Mutex, oneshot};

use super::{EventFault, Outcome};
use crate::imports::usage::record::Directory;
use crate::{Ctx, crash, facts};

/// Events of one transaction, about.
const GROUP_EVENTS_MAX: usize = 50_000;
/// Events that may wait for their transaction; who sends more is asked to come back.
const QUEUE_EVENTS_MAX: usize = 500_000;
/// How often a transaction is tried again because another process was at it.
const ATTEMPTS_MAX: u32 = 8;

/// An event that could be read.
pub(in crate::imports) struct Candidate {
    pub record: UsageRecord,
    pub entry: EventEntry,
    /// The event that it corrects.
    pub root: Option<EventKey>,
}

/// What has become of a candidate.
pub(in crate::imports) type Verdict = (Outcome, Vec<EventFault>);

/// The events that this process is taking in.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: std::sync::Mutex<Vec<Queued>>,
    known: Mutex<KnownIds>,
    directory: std::sync::Mutex<Option<(i64, Arc<Directory>)>>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

/// A batch that waits for its transaction.
struct Queued {
    events: Vec<Candidate>,
    answer: oneshot::Sender<Result<Vec<Verdict>>>,
}

impl Inbox {
    /// The subscriptions of the programme as it is now.
    pub(super) async fn directory(&self, ctx: &Ctx<'_>) -> Result<Arc<Directory>> {
        let mut tx = ctx.system_read(Because::Metering).await?;
        let generation = tx.generation(Generation::Facts).await?;
        let lock = || self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, directory)) = &*lock()
            && *of == generation
        {
            return Ok(Arc::clone(directory));
        }
        let directory = Arc::new(Directory::of(&facts::programme(&mut tx, i64::MAX).await?));
        *lock() = Some((generation, Arc::clone(&directory)));
        Ok(directory)
    }

    /// Takes a batch, together with all others that wait: whoever comes first does it for them.
    pub(super) async fn take(&self, ctx: &Ctx<'_>, events: Vec<Candidate>) -> Result<Vec<Verdict>> {
        let (answer, mut answered) = oneshot::channel();
        self.enqueue(Queued { events, answer })?;
        let mut known = self.known.lock().await;
        loop {
            match answered.try_recv() {
                Ok(verdicts) => return verdicts,
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(Error::internal("a batch was not answered"));
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            known.take(ctx, self.next_group()).await;
        }
    }

    fn enqueue(&self, queued: Queued) -> Result<()> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: usize = queue.iter().map(|queued| queued.events.len()).sum();
        if waiting + queued.events.len() > QUEUE_EVENTS_MAX {
            return Err(Error::Busy(format!("{waiting} events wait to be written")));
        }
        queue.push(queued);
        Ok(())
    }

    /// The batches of the next transaction.
    fn next_group(&self) -> Vec<Queued> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut count, mut events) = (0, 0);
        for queued in &*queue {
            events += queued.events.len();
            if count > 0 && events > GROUP_EVENTS_MAX {
                break;
            }
            count += 1;
        }
        queue.drain(..count).collect()
    }
}

/// The ids that are known: in the lake, and on their way there.
#[derive(Default)]
struct KnownIds {
    /// The lake as of which the runs are.
    lake: Option<i64>,
    runs: Vec<(String, Arc<EventRun>)>,
    /// Ids of the inbox.
    inbox: HashMap<EventKey, EventDigest>,
    /// The same by row, to forget them once the row is in the lake.
    rows: VecDeque<(i64, Vec<EventKey>)>,
    last: i64,
}

impl KnownIds {
    /// Takes a group in one transaction and answers its batches.
    async fn take(&mut self, ctx: &Ctx<'_>, group: Vec<Queued>) {
        let mut attempt = 1;
        let taken = loop {
            match self.try_take(ctx, &group).await {
                Err(Error::Busy(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                taken => break taken,
            }
        };
        match taken {
            Ok(verdicts) => {
                for (queued, verdicts) in group.into_iter().zip(verdicts) {
                    // Whoever has gone away will ask again.
                    let _ = queued.answer.send(Ok(verdicts));
                }
            }
            Err(error) => {
                // After a failed commit nobody knows what is on disk: look again.
                *self = Self::default();
                let message = error.to_string();
                for queued in group {
                    let _ = queued.answer.send(Err(Error::Busy(message.clone())));
                }
            }
        }
    }

    async fn try_take(&mut self, ctx: &Ctx<'_>, group: &[Queued]) -> Result<Vec<Vec<Verdict>>> {
        let mut tx = ctx.system_write(Because::Metering, Turn::Inbox).await?;
        let state = self.refresh(ctx, &mut tx).await?;
        let (verdicts, accepted) = self.judge(group)?;
        if accepted.is_empty() {
            return Ok(verdicts);
        }
        let sequence = state.last + 1;
        let entries: Vec<EventEntry> = accepted.iter().map(|event| event.entry).collect();
        let records: Vec<&UsageRecord> = accepted.iter().map(|event| &event.record).collect();
        let row = InboxRow {
            sequence,
            received_at: ctx.now_micros(),
            events: accepted.len() as u64,
            ids: EventEntry::write_all(entries.iter().copied()),
            records: pack(&records),
        };
        tx.add_inbox(row).await?;
        crash::point();
        tx.commit().await?;
        crash::point();
        self.learn(sequence, &entries);
        Ok(verdicts)
    }

    /// Learns what others have done: ids that came in elsewhere, rows that went into the lake.
    async fn refresh(&mut self, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<InboxState> {
        let (state, lake) = (tx.inbox_state().await?, tx.generation(Generation::Lake).await?);
        if self.lake != Some(lake) {
            self.runs = ctx.installation.event_runs(tx.event_runs().await?)?;
            self.lake = Some(lake);
        }
        while self.rows.front().is_some_and(|(sequence, _)| *sequence <= state.drained) {
            let (_, keys) = self.rows.pop_front().unwrap_or_default();
            for key in keys {
                self.inbox.remove(&key);
            }
        }
        self.last = self.last.max(state.drained);
        if self.last < state.last {
            for (sequence, ids) in tx.inbox_ids(self.last).await? {
                let entries: Vec<EventEntry> = EventEntry::read_all(&ids).collect();
                self.learn(sequence, &entries);
            }
        }
        Ok(state)
    }

    fn learn(&mut self, sequence: i64, entries: &[EventEntry]) {
        self.inbox.extend(entries.iter().map(|entry| (entry.key, entry.digest)));
        self.rows.push_back((sequence, entries.iter().map(|entry| entry.key).collect()));
        self.last = sequence;
    }

    /// What becomes of each event, in the order in which they came; and those that are accepted.
    fn judge<'g>(&self, group: &'g [Queued]) -> Result<(Vec<Vec<Verdict>>, Vec<&'g Candidate>)> {
        let events = || group.iter().flat_map(|queued| &queued.events);
        let keys = events().flat_map(|event| [Some(event.entry.key), event.root]).flatten();
        let mut known = self.look_up(keys.collect())?;
        let mut accepted = Vec::new();
        let mut verdicts = Vec::with_capacity(group.len());
        for queued in group {
            let mut of_batch = Vec::with_capacity(queued.events.len());
            for event in &queued.events {
                let root = event.root.and_then(|root| known.get(&root).copied());
                let verdict = match known.entry(event.entry.key) {
                    Entry::Occupied(before) => again(event, *before.get()),
                    Entry::Vacant(_) if is_other(event, root) => mismatch(event),
                    Entry::Vacant(vacant) => {
                        vacant.insert(event.entry.digest);
                        accepted.push(event);
                        (Outcome::Accepted, Vec::new())
                    }
                };
                of_batch.push(verdict);
            }
            verdicts.push(of_batch);
        }
        Ok((verdicts, accepted))
    }

    /// What is known under some ids.
    fn look_up(&self, mut keys: Vec<EventKey>) -> Result<HashMap<EventKey, EventDigest>> {
        keys.sort_unstable();
        keys.dedup();
        let waiting = keys.iter().filter_map(|key| Some((*key, *self.inbox.get(key)?)));
        let mut known: HashMap<EventKey, EventDigest> = waiting.collect();
        keys.retain(|key| !known.contains_key(key));
        for (_, run) in &self.runs {
            run.look_up(&keys, |at, digest| {
                known.insert(keys[at], digest);
            })?;
        }
        Ok(known)
    }
}

/// The answer to an id that is known.
fn again(event: &Candidate, before: EventDigest) -> Verdict {
    if before == event.entry.digest {
        return (Outcome::Duplicate, Vec::new());
    }
    let fault = EventFault {
        field: Some("id".to_owned()),
        value: Some(event.record.event_id.clone()),
        reason: "was accepted before with other content, which counts; give a new event a new id, \
                 or send a correction: an event with an id of its own whose data.corrects names \
                 this one"
            .to_owned(),
    };
    (Outcome::Conflict, vec![fault])
}

/// Whether an event corrects another that is about something else.
fn is_other(event: &Candidate, root: Option<EventDigest>) -> bool {
    root.is_some_and(|root| root.identity != event.entry.digest.corrected_identity())
}

fn mismatch(event: &Candidate) -> Verdict {
    let fault = EventFault {
        field: Some("data.corrects".to_owned()),
        value: event.record.corrects.clone(),
        reason: "names an event about another subscription, meter, resource or time, or one that \
                 is itself a correction; a correction states the quantity of an event anew and \
                 nothing else"
            .to_owned(),
    };
    (Outcome::Refused, vec![fault])
}
