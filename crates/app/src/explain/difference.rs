//! Lines of adjustments: what had been billed, and what should have been.

use domain::{Action, Resource};
use std::collections::BTreeMap;

use kernel::{Error, InvoiceLineId, Money, Result};
use rating::EdgeIndex;
use store::{CloseRow, InvoiceRow};

use super::find::no_such_line;
use super::{ExplainedSide, Explainer, Explanation, LineName, RatedGroup};
use crate::Ctx;
use crate::adjust::{DifferenceLine, Drawn, Side, Work, refuse_other_book};
use crate::frozen::FrozenGroup;
use crate::groups::KeptGroup;
use crate::naming::Naming;

/// Explains the so-many-th line of an adjusting invoice.
pub(super) async fn numbered(
    ctx: &Ctx<'_>,
    invoice: &InvoiceRow,
    line: u64,
    name: &LineName,
) -> Result<Explanation> {
    let mut tx = ctx.read(Action::Read, Resource::Invoice).await?;
    let revisions = tx.revisions(invoice.month).await?;
    let posted = Posted::load(ctx, &mut tx, &revisions, invoice.revision).await?;
    drop(tx);
    let at = usize::try_from(line - 1).ok();
    let edge = posted.work.now.book.find_edge(invoice.seller, invoice.buyer);
    let edge = edge.ok_or_else(|| Error::internal("an invoice without an edge"))?;
    let lines = posted.lines()?.remove(&edge).unwrap_or_default();
    let found = at.and_then(|at| lines.get(at)).ok_or_else(|| no_such_line(name))?;
    posted.explain(invoice, (edge, line), found)
}

/// Explains the line of an adjustment with an id.
pub(super) async fn referenced(
    ctx: &Ctx<'_>,
    reference: InvoiceLineId,
    name: &LineName,
) -> Result<Explanation> {
    let mut tx = ctx.read(Action::Read, Resource::Invoice).await?;
    let invoices = tx.invoices().await?;
    let mut months: Vec<_> =
        invoices.iter().filter(|i| i.revision > 0).map(|i| (i.month, i.revision)).collect();
    months.dedup();
    // The latest first: that is what people ask about.
    for (month, revision) in months.into_iter().rev() {
        let revisions = tx.revisions(month).await?;
        let posted = Posted::load(ctx, &mut tx, &revisions, revision).await?;
        for (edge, lines) in posted.lines()? {
            let is_it = |line: &DifferenceLine| {
                posted.work.line_of(edge, line).adjustment_id(revision, line.charge_type)
                    == reference
            };
            let Some(at) = lines.iter().position(is_it) else { continue };
            let terms = &posted.work.now.book.edges()[edge.get()];
            let of_line = |i: &&InvoiceRow| {
                (i.month, i.revision, i.seller, i.buyer)
                    == (month, revision, terms.seller, terms.buyer)
            };
            let invoice = invoices.iter().find(of_line).ok_or_else(|| no_such_line(name))?;
            return posted.explain(invoice, (edge, at as u64 + 1), &lines[at]);
        }
    }
    Err(no_such_line(name))
}

/// A posted adjustment, rated again.
struct Posted {
    close: CloseRow,
    work: Work,
    drawn: Drawn,
}

impl Posted {
    async fn load(
        ctx: &Ctx<'_>,
        tx: &mut store::Tx,
        revisions: &[CloseRow],
        revision: u32,
    ) -> Result<Self> {
        let pair = revisions.windows(2).find(|pair| pair[1].revision == revision);
        let Some([before, close]) = pair else {
            return Err(Error::internal("an invoice without its adjustment"));
        };
        let work = Work::load(ctx, tx, before, close.known_at).await?;
        refuse_other_book(&work.now.book, close)?;
        let drawn = work.draw(crate::workers(), &work.beyond(close.issue_on))?;
        work.check_frozen(ctx, &drawn.groups)?;
        Ok(Self { close: close.clone(), work, drawn })
    }

    /// The lines of each edge.
    fn lines(&self) -> Result<BTreeMap<EdgeIndex, Vec<DifferenceLine>>> {
        self.work.lines(&self.drawn, &self.work.beyond(self.close.issue_on))
    }

    fn explain(
        &self,
        invoice: &InvoiceRow,
        (edge, at): (EdgeIndex, u64),
        line: &DifferenceLine,
    ) -> Result<Explanation> {
        let work = &self.work;
        let key = (edge, line.subscription, line.meter, line.tier);
        let change = work.sides(&self.drawn.groups).changes()?.remove(&key);
        let change = change.ok_or_else(|| Error::internal("a line without a group"))?;
        let (takes_back, bills) = match line.charge_type {
            documents::daily::CHARGE_REVERSAL => (true, false),
            documents::daily::CHARGE_NEW => (false, true),
            _ => (true, true),
        };
        let before = change.before.filter(|_| takes_back);
        let before = before.map(|group| explained(&work.before, &group)).transpose()?;
        let now = change.now.filter(|_| bills);
        let now = now.map(|group| explained(&work.now, &group)).transpose()?;
        let minor = |side: &Option<ExplainedSide>| side.as_ref().map_or(0, |s| s.amount.minor());
        let amount = Money::new(line.amount_minor, invoice.net.currency());
        if minor(&now) - minor(&before) != amount.minor() {
            return Err(Error::internal(format!("the parts do not come to {amount}")));
        }
        let naming = Naming::new(&work.now.known, &work.now.book);
        let explainer = explainer(&work.now, &naming);
        let (subscription, meter) = explainer.subject(line.subscription, line.meter);
        let of = work.line_of(edge, line);
        Ok(Explanation {
            edge: (naming.key(of.seller).to_owned(), naming.key(of.buyer).to_owned()),
            line: at,
            reference: of.adjustment_id(self.close.revision, line.charge_type),
            subscription,
            meter,
            tier: line.tier,
            before,
            now,
            amount,
            invoice: invoice.clone(),
        })
    }
}

/// A group, rated again by what was known on one side.
fn explained(side: &Side, group: &KeptGroup) -> Result<ExplainedSide> {
    let naming = Naming::new(&side.known, &side.book);
    let found = RatedGroup {
        edge: group.edge,
        partition: side.partition_of(group.subscription)?,
        group: FrozenGroup::from(group),
    };
    explainer(side, &naming).side(&found)
}

fn explainer<'a>(side: &'a Side, naming: &'a Naming<'a>) -> Explainer<'a> {
    Explainer { known: &side.known, book: &side.book, usage: &side.usage, naming }
}
