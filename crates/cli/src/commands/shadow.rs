//! `skyhandel shadow`

use std::process::ExitCode;

use app::Ctx;
use app::shadow::{Shadow, ShadowEdge, ShadowGroup, shadow};
use kernel::{Quantity, Result};
use serde::Serialize;

use crate::args::ShadowArgs;
use crate::output::{Output, table};

/// How many groups are shown; `--json` has more.
const SHOWN_MAX: usize = 20;

#[derive(Serialize)]
struct ShadowJson {
    period: String,
    revision: u32,
    billed_by_engine: Vec<u32>,
    engine_version: u32,
    groups: u64,
    differing: u64,
    edges: Vec<EdgeJson>,
    differences: Vec<GroupJson>,
}

#[derive(Serialize)]
struct EdgeJson {
    seller: String,
    buyer: String,
    currency: String,
    billed: String,
    again: String,
}

#[derive(Serialize)]
struct GroupJson {
    subscription: String,
    meter: String,
    position: u8,
    tier: u8,
    billed: Option<(String, i64)>,
    again: Option<(String, i64)>,
}

pub async fn run(ctx: Ctx<'_>, args: &ShadowArgs, output: Output) -> Result<ExitCode> {
    let workers = args.workers.unwrap_or_else(app::workers);
    let found = shadow(ctx, args.period, workers).await?;
    let json = ShadowJson {
        period: found.month.to_string(),
        revision: found.revision,
        billed_by_engine: found.billed_by.clone(),
        engine_version: found.engine_version,
        groups: found.groups,
        differing: found.differing,
        edges: found.edges.iter().map(edge).collect(),
        differences: found.differences.iter().map(group).collect(),
    };
    output.print(&json, || describe(&found));
    Ok(if found.differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn edge(edge: &ShadowEdge) -> EdgeJson {
    EdgeJson {
        seller: edge.seller.clone(),
        buyer: edge.buyer.clone(),
        currency: edge.billed.currency().to_string(),
        billed: edge.billed.digits(),
        again: edge.again.digits(),
    }
}

fn group(group: &ShadowGroup) -> GroupJson {
    let side =
        |of: Option<(Quantity, i64)>| of.map(|(quantity, minor)| (quantity.to_string(), minor));
    GroupJson {
        subscription: group.subscription.clone(),
        meter: group.meter.clone(),
        position: group.position,
        tier: group.tier,
        billed: side(group.billed),
        again: side(group.again),
    }
}

fn describe(found: &Shadow) -> String {
    let versions: Vec<String> = found.billed_by.iter().map(ToString::to_string).collect();
    let head = format!(
        "{} was billed by engine {}; engine {} rated it again.",
        found.month,
        versions.join(", "),
        found.engine_version
    );
    if found.differing == 0 {
        return format!("{head}\nAll {} groups come to what was billed.", found.groups);
    }
    let edges = found.edges.iter().filter(|edge| edge.billed != edge.again);
    let rows = edges.map(|edge| {
        vec![
            edge.seller.clone(),
            edge.buyer.clone(),
            edge.billed.to_string(),
            edge.again.to_string(),
        ]
    });
    let side = |of: Option<(Quantity, i64)>| {
        of.map_or_else(|| "-".to_owned(), |(quantity, minor)| format!("{quantity} for {minor}"))
    };
    let groups = found.differences.iter().take(SHOWN_MAX).map(|group| {
        vec![
            group.subscription.clone(),
            group.meter.clone(),
            (group.position + 1).to_string(),
            group.tier.to_string(),
            side(group.billed),
            side(group.again),
        ]
    });
    [
        head,
        format!("{} of {} groups differ. Nothing is changed.", found.differing, found.groups),
        String::new(),
        table(&["seller", "buyer", "billed", "again"], &[2, 3], &rows.collect::<Vec<_>>()),
        String::new(),
        table(
            &["subscription", "meter", "edge", "tier", "billed", "again"],
            &[2, 3, 4, 5],
            &groups.collect::<Vec<_>>(),
        ),
    ]
    .join("\n")
}
