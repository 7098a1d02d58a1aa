//! Restating a closed month: what it would come to by facts that became known since, and the
//! sellers' decisions to bill by them.
//!
//! Facts that price a closed month otherwise change nothing by themselves. Each edge keeps the
//! prices that it was billed by until its seller accepts; what a buyer would then pay more needs
//! the buyer's consent. The next adjustment bills what was accepted.

use std::collections::BTreeSet;

use domain::{Action, Because, Programme, Resource};
use kernel::{Error, Key, Month, OrganisationId, Result};
use rating::{EdgeIndex, MeterIndex};
use store::{AcceptanceRow, CloseRow, Exclusive, Generation, Turn, Tx};

use crate::Ctx;
use crate::adjust::{
    Both, EdgeDifference, Side, Sides, Touched, beyond, last_revision, left_out, partitions,
};
use crate::facts::Known;
use crate::naming::Naming;
use crate::partitions::PeriodUsage;
use crate::rate::{missing_of, missing_prices};

/// What has been restated of a closed month.
#[derive(Debug, Clone)]
pub struct Restated {
    /// The month.
    pub month: Month,
    /// When facts were restated, in microseconds since 1970, and why.
    pub since: Vec<(i64, String)>,
    /// What each edge would come to besides what is accepted, if every seller accepted.
    pub open: Vec<EdgeDifference>,
    /// The decisions so far.
    pub accepted: Vec<Acceptance>,
}

/// A seller's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// How the buyer consented, where it pays more.
    pub consent: Option<String>,
    /// Whether an adjustment has billed it.
    pub billed: bool,
}

/// What a seller accepts.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The seller.
    pub seller: Key,
    /// One of its buyers; all of them if left out.
    pub buyer: Option<Key>,
    /// How the buyer consented.
    pub consent: Option<String>,
}

/// Shows what a closed month would come to if every seller accepted what has been restated.
/// Nothing is changed.
///
/// # Errors
/// Where the month is not closed.
pub async fn show(ctx: Ctx<'_>, month: Month, workers: usize) -> Result<Restated> {
    let mut tx = ctx.read(Action::Read, Resource::Period).await?;
    let last = last_revision(&mut tx, month).await?;
    let since = tx.restated(month, i64::MAX).await?;
    let rows = tx.acceptances(month, i64::MAX).await?;
    let (known, open) = if since.is_empty() {
        (Known::load(&ctx, &mut tx, month, i64::MAX).await?, Vec::new())
    } else {
        let programme = crate::facts::programme(&mut tx, i64::MAX).await?;
        let out = uncorrected(&ctx, &mut tx, month, &programme).await?;
        let effect = Effect::load(&ctx, &mut tx, month, |edge| !out.contains(&edge)).await?;
        let mut open = effect.differences(workers)?;
        open.retain(|edge| !out.contains(&(edge.seller, edge.buyer)));
        (effect.now.known, open)
    };
    let key = |id| known.programme.key_of(id);
    let acceptance = |row: AcceptanceRow| Acceptance {
        seller: key(row.seller),
        buyer: key(row.buyer),
        at: row.known_at,
        consent: row.consent,
        billed: row.known_at <= last.known_at,
    };
    Ok(Restated { month, since, open, accepted: rows.into_iter().map(acceptance).collect() })
}

/// Accepts for a seller what has been restated: its edges are billed by what is known now. Says
/// what they come to; the next adjustment bills it.
///
/// # Errors
/// Where nothing has been restated, where a buyer would pay more without having consented, where a
/// decision has not been billed yet, and where usage would have no price.
pub async fn accept(
    ctx: Ctx<'_>,
    month: Month,
    wish: &Wish,
    workers: usize,
) -> Result<Vec<EdgeDifference>> {
    let scope = ctx.decide(Action::Update, Resource::Period)?;
    let _alone = ctx.installation.alone(Exclusive::Billing).await?;
    let mut tx = ctx.system_read(Because::Rating).await?;
    let facts = tx.generation(Generation::Facts).await?;
    let last = last_revision(&mut tx, month).await?;
    if tx.restated(month, i64::MAX).await?.is_empty() {
        return Err(Error::conflict(format!("no price of {month} has been restated")));
    }
    let programme = crate::facts::programme(&mut tx, i64::MAX).await?;
    let id_of = |key: &Key, field| {
        let found = programme.organisations.values().find(|o| o.key == *key);
        found.map(|organisation| organisation.id).ok_or_else(|| {
            Error::invalid(field, format!("{key} is no organisation of the programme"))
        })
    };
    let seller = id_of(&wish.seller, "seller");
    if scope.party().is_some_and(|party| seller.as_ref().ok() != Some(&party)) {
        return Err(Error::Denied("a seller accepts for itself alone".to_owned()));
    }
    let seller = seller?;
    let buyer = wish.buyer.as_ref().map(|buyer| id_of(buyer, "buyer")).transpose()?;
    let is_wanted = |edge: (OrganisationId, OrganisationId)| {
        edge.0 == seller && buyer.is_none_or(|b| b == edge.1)
    };
    let effect = Effect::load(&ctx, &mut tx, month, is_wanted).await?;
    if effect.edges.is_empty() {
        return Err(Error::conflict(format!(
            "{} sold nothing{} in {month}",
            wish.seller,
            wish.buyer.as_ref().map_or_else(String::new, |buyer| format!(" to {buyer}"))
        )));
    }
    refuse_uncorrected(&ctx, &mut tx, month, &effect).await?;
    refuse_unbilled(&ctx, &mut tx, &last, (&effect, workers)).await?;
    let differences = effect.differences(workers)?;
    refuse_without_consent(&effect, &differences, wish)?;
    drop(tx);
    let mut tx = ctx.system_write(Because::Rating, Turn::Facts).await?;
    if tx.generation(Generation::Facts).await? != facts {
        return Err(Error::Busy("prices or terms have just changed".to_owned()));
    }
    let known_at = tx.known_at(ctx.now_micros()).await?;
    for (seller, buyer) in &effect.edges {
        let consent = wish.consent.clone();
        let row = AcceptanceRow { month, seller: *seller, buyer: *buyer, known_at, consent };
        tx.accept_restatement(&row).await?;
    }
    tx.commit().await?;
    Ok(differences)
}

/// What is no longer corrected cannot be restated either.
async fn refuse_uncorrected(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    month: Month,
    effect: &Effect,
) -> Result<()> {
    let out = uncorrected(ctx, tx, month, &effect.now.known.programme).await?;
    let Some((seller, buyer)) = effect.edges.iter().find(|edge| out.contains(*edge)) else {
        return Ok(());
    };
    let key = |id: &OrganisationId| effect.now.known.programme.key_of(*id);
    Err(Error::conflict(format!(
        "the agreement of {} and {} no longer corrects {month}; accept for other buyers with \
         --buyer",
        key(seller),
        key(buyer)
    )))
}

/// The edges that are no longer corrected today, or were left out before.
async fn uncorrected(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    month: Month,
    programme: &Programme,
) -> Result<BTreeSet<(OrganisationId, OrganisationId)>> {
    let revisions = tx.revisions(month).await?;
    let adjusted: Vec<&CloseRow> = revisions.iter().filter(|r| r.revision > 0).collect();
    let mut out = left_out(tx, month, &adjusted).await?;
    out.extend(beyond(programme, month, programme.zone.day_of(ctx.now)));
    Ok(out)
}

/// An adjustment bills one decision an edge: what others have bought by must stand in a document.
/// A decision that comes to other prices and is not billed yet comes first.
async fn refuse_unbilled(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    last: &CloseRow,
    (effect, workers): (&Effect, usize),
) -> Result<()> {
    let month = last.month;
    let rows = tx.acceptances(month, i64::MAX).await?;
    let unbilled: BTreeSet<_> = rows
        .iter()
        .filter(|row| last.known_at < row.known_at)
        .map(|row| (row.seller, row.buyer))
        .filter(|edge| effect.edges.contains(edge))
        .collect();
    if unbilled.is_empty() {
        return Ok(());
    }
    let now = Known::load(ctx, tx, month, i64::MAX).await?;
    let mut billed = Known::load(ctx, tx, month, last.known_at).await?;
    billed.meters.clone_from(&now.meters);
    if !Touched::restates((&billed.book(month)?, &now.book(month)?), &unbilled) {
        return Ok(());
    }
    // Prices by which nothing was used come to nothing, so there is nothing to be billed first.
    let pending = crate::adjust::pending(ctx, tx, last, workers).await?;
    if unbilled.is_disjoint(&pending) {
        return Ok(());
    }
    let key = |id| effect.now.known.programme.key_of(id);
    let edge = unbilled.iter().next().map_or_else(String::new, |(seller, buyer)| {
        format!("{} accepted for {}", key(*seller), key(*buyer))
    });
    Err(Error::conflict(format!(
        "what {edge} has not been billed yet; bill it first with `skyhandel adjust --period {month} \
         --post`"
    )))
}

/// A buyer consents to what it pays more, now or for what may still be used.
fn refuse_without_consent(
    effect: &Effect,
    differences: &[EdgeDifference],
    wish: &Wish,
) -> Result<()> {
    if wish.consent.is_some() {
        return Ok(());
    }
    let mut dearer: Vec<String> = differences
        .iter()
        .filter(|edge| edge.net.minor() > 0)
        .map(|edge| format!("{} would pay {} more", edge.buyer_key, edge.net))
        .collect();
    if dearer.is_empty() {
        let key = |id| effect.now.known.programme.key_of(id);
        let buyers = effect.dearer().into_iter().map(|(_, buyer)| buyer);
        dearer.extend(buyers.map(|buyer| format!("some prices of {} rise", key(buyer))));
    }
    if dearer.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{}; a buyer must consent to that: say how it did with --consent, or accept for other \
         buyers with --buyer",
        dearer.join(", ")
    )))
}

/// What accepting for some edges does.
struct Effect {
    month: Month,
    touched: Touched,
    before: Side,
    now: Side,
    /// The edges.
    edges: BTreeSet<(OrganisationId, OrganisationId)>,
}

impl Effect {
    async fn load(
        ctx: &Ctx<'_>,
        tx: &mut Tx,
        month: Month,
        is_wanted: impl Fn((OrganisationId, OrganisationId)) -> bool,
    ) -> Result<Self> {
        let before = Known::load(ctx, tx, month, i64::MAX).await?;
        let mut now = Known::load(ctx, tx, month, i64::MAX).await?;
        let book = before.book(month)?;
        let edges = book.edges().iter().map(|edge| (edge.seller, edge.buyer));
        let edges: BTreeSet<_> = edges.filter(|edge| is_wanted(*edge)).collect();
        if let Some(restated) = &mut now.restated {
            for edge in &edges {
                restated.restatements.accept(*edge, i64::MAX);
            }
        }
        let mut touched = Touched::default();
        touched.add_restated((&book, &now.book(month)?), &edges);
        let partitions = partitions(&tx.documents(month).await?);
        let period = book.usage_period();
        let mut sides = Vec::new();
        for known in [before, now] {
            let usage = PeriodUsage::load(ctx, tx, period, i64::MAX).await?;
            sides.push(Side::of(known, month, usage.in_partitions(partitions), &touched)?);
        }
        let now = sides.pop().ok_or_else(|| Error::internal("a side is missing"))?;
        let before = sides.pop().ok_or_else(|| Error::internal("a side is missing"))?;
        Ok(Self { month, touched, before, now, edges })
    }

    /// The edges on which some price would be higher than it is, whatever was used.
    fn dearer(&self) -> BTreeSet<(OrganisationId, OrganisationId)> {
        let (before, now) = (&self.before.book, &self.now.book);
        let mut dearer = BTreeSet::new();
        for (subscription, id) in now.subscription_indices() {
            let Some(then) = before.find_subscription(&id.to_string()) else { continue };
            let nodes = before.nodes(then).iter().zip(now.nodes(subscription));
            for (edge, (a, b)) in now.path(subscription).iter().zip(nodes) {
                let terms = &now.edges()[edge.get()];
                let pair = (terms.seller, terms.buyer);
                if !self.edges.contains(&pair) || dearer.contains(&pair) {
                    continue;
                }
                let rises = |meter: MeterIndex| {
                    let known = before.find_meter(now.meters()[meter.get()].as_str());
                    known.is_some_and(|known| {
                        before.schedule(*a, known).rises_to(&now.schedule(*b, meter))
                    })
                };
                if now.meter_indices().any(rises) {
                    dearer.insert(pair);
                }
            }
        }
        dearer
    }

    /// What each edge comes to besides.
    fn differences(&self, workers: usize) -> Result<Vec<EdgeDifference>> {
        let both = Both::rate((&self.before, &self.now), &self.touched, workers)?;
        let book = &self.now.book;
        let missing: Vec<_> = missing_of(&self.now.known, book, &both.unpriced);
        if !missing.is_empty() {
            return Err(missing_prices(self.month, &missing));
        }
        let sides = Sides { before: (&self.before, &both.before), now: (&self.now, &both.now) };
        let naming = Naming::new(&self.now.known, book);
        let mut edges = Vec::new();
        let lines: Vec<(EdgeIndex, _)> = sides.all_lines()?.into_iter().collect();
        for (edge, lines) in lines {
            edges.push(EdgeDifference::of((book, &naming), edge, &lines, None)?);
        }
        edges.sort_by(|a, b| (&a.seller_key, &a.buyer_key).cmp(&(&b.seller_key, &b.buyer_key)));
        Ok(edges)
    }
}
