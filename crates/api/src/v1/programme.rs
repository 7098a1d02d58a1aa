//! What a programme file says.

use app::programme::{self, Applied};
use kernel::{Error, Result};
use wire::v1::{ApplyProgramme, ProgrammeChange, ProgrammePlan};

use crate::request::Input;
use crate::routes::Call;
use crate::wait;

/// What the file is called in its faults.
const NAME: &str = "programme.toml";

pub fn apply(call: &Call<'_>, input: &Input<ApplyProgramme>) -> Result<ProgrammePlan> {
    let text = std::str::from_utf8(&input.bytes);
    let text = text.map_err(|_| Error::invalid("body", "is not UTF-8"))?;
    let restate = input.query.restate.as_deref();
    let Applied { plan, restated } = if input.query.apply {
        wait(programme::apply(call.ctx(), NAME, text, restate))?
    } else {
        wait(programme::plan(call.ctx(), NAME, text, restate))?
    };
    let changes = plan.changes.iter().map(|change| ProgrammeChange {
        action: if change.is_new { "add" } else { "change" }.to_owned(),
        kind: change.kind.to_owned(),
        what: change.what.clone(),
    });
    Ok(ProgrammePlan {
        applied: input.query.apply,
        changes: changes.collect(),
        untouched: plan.untouched,
        restates: restated.iter().map(ToString::to_string).collect(),
    })
}
