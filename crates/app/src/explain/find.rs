//! Finding the line that is to be explained.

use domain::{Action, LineOf, Resource};
use kernel::{Error, InvoiceLineId, Month, Result};
use rating::{EdgeIndex, RateBook};
use store::InvoiceRow;

use super::{LineName, RatedGroup};
use crate::Ctx;
use crate::export::Frozen;
use crate::frozen::{FrozenGroup, groups_name, read_groups};

pub(super) fn no_such_line(name: &LineName) -> Error {
    let id = match name {
        LineName::Reference(reference) => reference.to_string(),
        LineName::Number { invoice, line } => format!("{invoice}/{line}"),
    };
    Error::NotFound { kind: "invoice line", id }
}

/// A line and where it stands.
pub(super) struct Found {
    pub invoice: InvoiceRow,
    pub line: u64,
    pub rated: RatedGroup,
}

/// The groups of one edge in the order of its invoice, with their partitions.
fn groups_of(frozen: &Frozen, edge: EdgeIndex) -> Result<Vec<(usize, FrozenGroup)>> {
    let mut groups = Vec::new();
    for partition in 0..frozen.usage.partitioning.len() {
        let name = format!("{}/rated-lines/{}", frozen.close.month, groups_name(partition));
        let all = read_groups(&frozen.document(&name)?, &frozen.book)?.into_iter();
        groups.extend(
            all.filter(|group| {
                let path = frozen.book.path(group.subscription);
                path.get(usize::from(group.position)) == Some(&edge)
            })
            .map(|group| (partition, group)),
        );
    }
    groups.sort_by_key(|(_, group)| (group.subscription, group.meter, group.tier));
    Ok(groups)
}

fn edge_of(frozen: &Frozen, invoice: &InvoiceRow) -> Result<EdgeIndex> {
    let edge = frozen.book.find_edge(invoice.seller, invoice.buyer);
    edge.ok_or_else(|| Error::internal("an invoice without an edge"))
}

/// The so-many-th line of an invoice.
pub(super) fn numbered(frozen: &Frozen, invoice: &InvoiceRow, line: u64) -> Result<Option<Found>> {
    let edge = edge_of(frozen, invoice)?;
    let groups = groups_of(frozen, edge)?;
    let at = usize::try_from(line - 1).ok().and_then(|at| groups.get(at).copied());
    Ok(at.map(|(partition, group)| Found {
        invoice: invoice.clone(),
        line,
        rated: RatedGroup { edge, partition, group },
    }))
}

/// The line with an id, if the month has it.
pub(super) fn referenced(frozen: &Frozen, reference: InvoiceLineId) -> Result<Option<Found>> {
    for invoice in &frozen.invoices {
        let edge = edge_of(frozen, invoice)?;
        let groups = groups_of(frozen, edge)?;
        let at =
            groups.iter().position(|(_, group)| line_id(&frozen.book, edge, group) == reference);
        if let Some(at) = at {
            let (partition, group) = groups[at];
            let line = at as u64 + 1;
            let rated = RatedGroup { edge, partition, group };
            return Ok(Some(Found { invoice: invoice.clone(), line, rated }));
        }
    }
    Ok(None)
}

/// The id of a line.
pub(super) fn line_id(book: &RateBook, edge: EdgeIndex, group: &FrozenGroup) -> InvoiceLineId {
    let edge = &book.edges()[edge.get()];
    LineOf {
        seller: edge.seller,
        buyer: edge.buyer,
        month: book.month(),
        subscription: book.subscription_id(group.subscription),
        meter: &book.meters()[group.meter.get()],
        tier: group.tier,
    }
    .id()
}

/// The closed month whose close has billed a line.
pub(super) async fn month_with(ctx: &Ctx<'_>, reference: InvoiceLineId) -> Result<Option<Frozen>> {
    let mut tx = ctx.read(Action::Read, Resource::Invoice).await?;
    let mut months: Vec<Month> = tx.invoices().await?.iter().map(|invoice| invoice.month).collect();
    drop(tx);
    months.dedup();
    months.sort_unstable();
    months.dedup();
    // The latest first: that is what people ask about.
    for month in months.into_iter().rev() {
        let frozen = Frozen::load(ctx, month).await?;
        if referenced(&frozen, reference)?.is_some() {
            return Ok(Some(frozen));
        }
    }
    Ok(None)
}
