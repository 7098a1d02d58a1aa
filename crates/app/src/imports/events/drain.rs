//! From the inbox into the lake.

use domain::Because;
use kernel::{ImportId, Result};
use lake::usage::unpack;
use store::{Exclusive, Turn};

use crate::imports::quarantine::Quarantine;
use crate::imports::usage::intake::{self, Intake};
use crate::imports::usage::record::{Directory, Reader};
use crate::{Ctx, crash};

/// Rows of the inbox that move on at once, at most.
const ROWS_MAX: u32 = 64;

/// What has moved from the inbox into the lake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events that are in the lake now.
    pub events: u64,
    /// When they became known, in microseconds since 1970; the last of them.
    pub known_at: Option<i64>,
}

/// Moves what is acknowledged into the lake, where it counts from now on. A run that is cut off has
/// done nothing; the next one does the same again.
///
/// # Errors
/// Where the lake cannot be written.
pub async fn drain(ctx: Ctx<'_>) -> Result<Drained> {
    let mut drained = Drained::default();
    loop {
        let step = step(&ctx).await?;
        if step.known_at.is_none() {
            return Ok(drained);
        }
        drained.events += step.events;
        drained.known_at = step.known_at;
    }
}

async fn step(ctx: &Ctx<'_>) -> Result<Drained> {
    let mut tx = ctx.system_read(Because::Metering).await?;
    let state = tx.inbox_state().await?;
    drop(tx);
    if state.last == state.drained {
        return Ok(Drained::default());
    }
    let _turn = ctx.installation.alone(Exclusive::Lake).await?;
    let lake = ctx.installation.lake();
    let mut tx = ctx.system_read(Because::Metering).await?;
    let rows = tx.inbox(ROWS_MAX).await?;
    let Some(through) = rows.last().map(|row| row.sequence) else {
        return Ok(Drained::default());
    };
    intake::sweep(&lake, &mut tx).await?;
    let index = intake::Index::of_lake(ctx.installation, &mut tx).await?;
    drop(tx);
    let import = ImportId::derived(&format!("inbox/{through}"));
    let reader = Reader::new("", None, Directory::default().into());
    let mut intake = Intake::new(&lake, import, reader, index, Quarantine::new(None));
    for row in &rows {
        for record in unpack(&row.records)? {
            intake.take_acknowledged(&record)?;
        }
    }
    let mut taken = intake.finish("the inbox")?;
    taken.ids_are_acknowledged();
    let mut tx = ctx.system_write(Because::Metering, Turn::Usage).await?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    taken.add(&mut tx, import, known_at).await?;
    tx.drain_inbox(through).await?;
    crash::point();
    tx.commit().await?;
    crash::point();
    let events = rows.iter().map(|row| row.events).sum();
    Ok(Drained { events, known_at: Some(known_at) })
}
