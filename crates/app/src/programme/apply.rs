//! Applying a programme file: plan, check, append what has changed.

use jiff::civil::Date;
use kernel::{Error, Faults, Result};
use store::Tx;

use super::plan::{self, Plan};
use super::read;
use crate::facts::{News, refuse_restatement};
use crate::{Ctx, crash};

/// What applying a file did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What changed.
    pub plan: Plan,
    /// When it became known, in microseconds since 1970.
    pub known_at: i64,
}

/// What applying a file would change. Nothing is written.
///
/// # Errors
/// Where the file cannot be read, where what it says does not hold together, and where a change
/// would reach into a month that has been closed.
pub async fn plan(ctx: Ctx<'_>, file: &str, text: &str) -> Result<Plan> {
    let mut tx = ctx.read().await?;
    checked_plan(&mut tx, &ctx, file, text).await
}

/// Applies a file. Applying it again changes nothing.
///
/// # Errors
/// As [`plan()`].
pub async fn apply(ctx: Ctx<'_>, file: &str, text: &str) -> Result<Applied> {
    let mut tx = ctx.write().await?;
    let plan = checked_plan(&mut tx, &ctx, file, text).await?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    tx.add_programme(&plan.facts, known_at).await?;
    tx.add_rates(&plan.rates, known_at).await?;
    crash::point();
    tx.commit().await?;
    crash::point();
    Ok(Applied { plan, known_at })
}

async fn checked_plan(tx: &mut Tx, ctx: &Ctx<'_>, file: &str, text: &str) -> Result<Plan> {
    let known = tx.programme(i64::MAX).await?;
    let declared = read(file, text, known.as_ref())?;
    let agreed = tx.rates(Date::MIN, Date::MAX, i64::MAX).await;
    let known_rates = if declared.rates.is_empty() { Vec::new() } else { agreed? };
    let (plan, result) = plan::plan(&declared, known.as_ref(), &known_rates);
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
    if known.is_some() {
        let changed = plan::fact_refs(&plan);
        let hint = changed.first().map(|fact| format!(" (such as {})", result.describe(fact)));
        let news = News { programme: Some(result), rates: plan.rates.clone(), sheet: None };
        refuse_restatement(ctx, tx, &news, &hint.unwrap_or_default()).await?;
    }
    Ok(plan)
}
