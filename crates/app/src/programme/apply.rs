//! Applying a programme file: plan, check, append what has changed.

use domain::{Action, Programme, Resource};
use jiff::civil::Date;
use kernel::{Error, Faults, Month, Result};
use store::Tx;

use super::plan::{self, Plan};
use super::read;
use crate::facts::{News, restated_months};
use crate::{Ctx, crash};

/// What applying a file did or would do.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What changed.
    pub plan: Plan,
    /// The closed months whose prices are restated by it.
    pub restated: Vec<Month>,
}

/// What applying a file would change. Nothing is written. `restate` is the reason for which prices
/// of closed months may be restated.
///
/// # Errors
/// Where the file cannot be read, where what it says does not hold together, and where a change
/// would reach into a month that has been closed without being restated.
pub async fn plan(ctx: Ctx<'_>, file: &str, text: &str, restate: Option<&str>) -> Result<Applied> {
    let mut tx = ctx.read(Action::Read, Resource::Programme).await?;
    checked_plan(&mut tx, &ctx, (file, text), restate).await
}

/// Applies a file. Applying it again changes nothing.
///
/// # Errors
/// As [`plan()`].
pub async fn apply(ctx: Ctx<'_>, file: &str, text: &str, restate: Option<&str>) -> Result<Applied> {
    let mut tx = ctx.write(Action::Update, Resource::Programme).await?;
    let applied = checked_plan(&mut tx, &ctx, (file, text), restate).await?;
    let plan = &applied.plan;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    tx.add_programme(&plan.facts, known_at).await?;
    tx.add_rates(&plan.rates, known_at).await?;
    tx.restate(&applied.restated, known_at, restate.unwrap_or_default()).await?;
    crash::point();
    tx.commit().await?;
    crash::point();
    Ok(applied)
}

async fn checked_plan(
    tx: &mut Tx,
    ctx: &Ctx<'_>,
    file: (&str, &str),
    restate: Option<&str>,
) -> Result<Applied> {
    let known = tx.programme(i64::MAX).await?;
    let (plan, result) = sound_plan(tx, file, known.as_ref()).await?;
    let mut restated = Vec::new();
    if known.is_some() {
        let changed = plan::fact_refs(&plan);
        let hint = changed.first().map(|fact| format!(" (such as {})", result.describe(fact)));
        let news = News { programme: Some(result), rates: plan.rates.clone(), sheet: None };
        let hint = hint.unwrap_or_default();
        restated = restated_months(ctx, tx, &news, restate, &hint).await?;
    }
    Ok(Applied { plan, restated })
}

/// What a file would add to what is known.
pub(crate) async fn draft(tx: &mut Tx, file: (&str, &str)) -> Result<News> {
    let known = tx.programme(i64::MAX).await?;
    let (plan, result) = sound_plan(tx, file, known.as_ref()).await?;
    Ok(News { programme: Some(result), rates: plan.rates, sheet: None })
}

/// What a file would change, and the programme that would result, which holds together.
async fn sound_plan(
    tx: &mut Tx,
    (file, text): (&str, &str),
    known: Option<&Programme>,
) -> Result<(Plan, Programme)> {
    let declared = read(file, text, known)?;
    let agreed = tx.rates(Date::MIN, Date::MAX, i64::MAX).await;
    let known_rates = if declared.rates.is_empty() { Vec::new() } else { agreed? };
    let (plan, result) = plan::plan(&declared, known, &known_rates);
    let mut faults = Faults::default();
    let mut elsewhere = Vec::new();
    for finding in result.check() {
        match declared.fault(&finding.fact, finding.field, finding.reason.clone()) {
            Some(fault) => faults.push(fault),
            None => elsewhere.push(finding),
        }
    }
    faults.into_result(file)?;
    if let Some(finding) = elsewhere.first() {
        return Err(Error::conflict(format!(
            "with this file the programme no longer holds together: {}: {} {}",
            result.describe(&finding.fact),
            finding.field,
            finding.reason
        )));
    }
    Ok((plan, result))
}
