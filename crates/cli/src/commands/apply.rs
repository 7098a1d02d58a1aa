//! `skyhandel apply`

use app::Ctx;
use app::programme::{self, Applied, Plan};
use kernel::{Error, Month, Result};
use serde::Serialize;

use crate::args::ApplyArgs;
use crate::output::Output;

/// Changes that are listed one by one.
const LISTED_MAX: usize = 200;

#[derive(Serialize)]
struct PlanJson {
    applied: bool,
    changes: Vec<ChangeJson>,
    untouched: u64,
    restates: Vec<String>,
}

#[derive(Serialize)]
struct ChangeJson {
    action: &'static str,
    kind: &'static str,
    what: String,
}

pub async fn run(ctx: Ctx<'_>, args: &ApplyArgs, output: Output) -> Result<()> {
    let text = std::fs::read_to_string(&args.file).map_err(Error::file(&args.file))?;
    let name = args.file.display().to_string();
    let restate = args.restate.as_deref();
    let Applied { plan, restated } = if args.yes {
        programme::apply(ctx, &name, &text, restate).await?
    } else {
        programme::plan(ctx, &name, &text, restate).await?
    };
    let json = PlanJson {
        applied: args.yes,
        changes: plan
            .changes
            .iter()
            .map(|change| ChangeJson {
                action: if change.is_new { "add" } else { "change" },
                kind: change.kind,
                what: change.what.clone(),
            })
            .collect(),
        untouched: plan.untouched,
        restates: restated.iter().map(ToString::to_string).collect(),
    };
    output.print(&json, || describe(&plan, &restated, args.yes));
    Ok(())
}

fn describe(plan: &Plan, restated: &[Month], applied: bool) -> String {
    let mut lines: Vec<String> =
        plan.changes.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    if plan.changes.len() > LISTED_MAX {
        lines.push(format!("  and {} more", plan.changes.len() - LISTED_MAX));
    }
    let count = plan.changes.len();
    lines.push(match (plan.is_empty(), applied) {
        (true, _) => "Nothing to do: everything the file says is known.".to_owned(),
        (false, true) => format!("Applied {count} changes."),
        (false, false) => format!("{count} changes. Apply them with --yes."),
    });
    if plan.untouched > 0 {
        let untouched = plan.untouched;
        lines.push(format!("{untouched} known facts are not in the file; they stay as they are."));
    }
    let verb = if applied { "restates" } else { "would restate" };
    lines.extend(restated.iter().map(|month| {
        format!(
            "This {verb} prices of {month}, which is closed; nothing is billed by them until \
             sellers accept them. See what they come to: skyhandel restate --period {month}"
        )
    }));
    lines.join("\n")
}
