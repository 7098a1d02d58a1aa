//! The lines of legacy offers again, in the columns that Partner Center has for them.

use std::collections::HashMap;
use std::path::Path;

use documents::daily::CHARGE_REVERSAL;
use documents::legacy::{TierRow, begin, layout, row};
use documents::{Format, Sink, TableBuilder};
use domain::LineOf;
use kernel::{
    Amount, EXCHANGE_RATE_SCALE, Error, ExchangeRate, Money, QUANTITY_SCALE, Quantity, Result,
    Rounding, UNIT_PRICE_SCALE, UnitPrice, ten_to,
};
use lake::usage::batches_of;
use rating::{EdgeIndex, MeterIndex, SubscriptionIndex};

use super::WantedEdge;
use super::price_lists::PriceLists;
use crate::frozen::{Decimals, dictionary};

/// What is read of the reconciliation file.
const COLUMNS: [&str; 7] = [
    "ReferenceID",
    "ChargeType",
    "BillableQuantity",
    "EffectiveUnitPrice",
    "PCToBCExchangeRate",
    "Subtotal",
    "TaxTotal",
];

/// What an invoice line is about.
type Group = (SubscriptionIndex, MeterIndex, u8);

/// Writes the file of an edge from its reconciliation file, where some line is of a legacy offer;
/// says how many rows it has.
pub(super) fn write(
    lists: &PriceLists<'_>,
    edge: &WantedEdge<'_>,
    reconciliation: &Path,
    format: Format,
) -> Result<Option<u64>> {
    let groups = groups(lists, edge);
    if groups.is_empty() {
        return Ok(None);
    }
    let layout = layout(edge.invoice.net.currency());
    let target = edge.folder.join(format!("legacy-usage.{}", format.extension()));
    let mut sink = Sink::create(&target, format, &layout)?;
    let mut table = TableBuilder::new(&layout);
    begin(&mut table, &edge.invoice.number);
    let mut rows = 0;
    for batch in batches_of(reconciliation, Some(&COLUMNS), None)? {
        let lines = Lines::of(&batch?)?;
        for at in 0..lines.references.0.len() {
            let Some(group) = groups.get(lines.reference(at)) else { continue };
            row(&mut table, &lines.tier(at, *group, (lists, edge))?);
            rows += 1;
        }
        if table.rows() > 0 {
            sink.write(&table.take()?)?;
        }
    }
    sink.finish()?;
    Ok(Some(rows))
}

/// What the ids of lines stand for: those of the close, or all that an adjustment may have.
fn groups(lists: &PriceLists<'_>, edge: &WantedEdge<'_>) -> HashMap<String, Group> {
    let (book, revision) = (lists.book, edge.invoice.revision);
    let mut groups = HashMap::new();
    for (subscription, meter) in lists.legacy_runs(edge.edge) {
        for tier in 0..domain::TIERS_MAX as u8 {
            let of = LineOf {
                seller: edge.invoice.seller,
                buyer: edge.invoice.buyer,
                month: book.month(),
                subscription: book.subscription_id(subscription),
                meter: &book.meters()[meter.get()],
                tier,
            };
            let ids = match revision {
                0 => vec![of.id()],
                _ => documents::daily::CHARGES.map(|c| of.adjustment_id(revision, c)).to_vec(),
            };
            let group = (subscription, meter, tier);
            groups.extend(ids.into_iter().map(|id| (id.to_string(), group)));
        }
    }
    groups
}

/// A batch of invoice lines.
struct Lines {
    references: (arrow_buffer::ScalarBuffer<i32>, arrow_array::StringArray),
    charges: (arrow_buffer::ScalarBuffer<i32>, arrow_array::StringArray),
    quantity: Decimals,
    price: Decimals,
    rate: Decimals,
    subtotal: Decimals,
    tax: Decimals,
}

impl Lines {
    fn of(batch: &arrow_array::RecordBatch) -> Result<Self> {
        let number = |name: &str| Decimals::of(batch, name);
        Ok(Self {
            references: dictionary(batch, "ReferenceID")?,
            charges: dictionary(batch, "ChargeType")?,
            quantity: number("BillableQuantity")?,
            price: number("EffectiveUnitPrice")?,
            rate: number("PCToBCExchangeRate")?,
            subtotal: number("Subtotal")?,
            tax: number("TaxTotal")?,
        })
    }

    fn reference(&self, row: usize) -> &str {
        self.references.1.value(self.references.0[row] as usize)
    }

    fn tier<'l>(
        &self,
        at: usize,
        (subscription, meter, tier): Group,
        (lists, edge): (&'l PriceLists<'_>, &WantedEdge<'_>),
    ) -> Result<TierRow<'l>> {
        let lost = || Error::internal("a line without a number");
        let number = |of: &Decimals, scale: u8| {
            let number = of.get(at).ok_or_else(lost)?;
            number.checked_mul(ten_to(scale - of.scale)).ok_or_else(lost)
        };
        let currency = edge.invoice.net.currency();
        let money = |of: &Decimals| {
            let minor = of.get(at).and_then(|minor| i64::try_from(minor).ok());
            Ok::<_, Error>(Money::new(minor.ok_or_else(lost)?, currency))
        };
        let consumed = Quantity::from_mantissa(number(&self.quantity, QUANTITY_SCALE)?);
        let price = UnitPrice::from_mantissa(number(&self.price, UNIT_PRICE_SCALE)?);
        let rate = ExchangeRate::from_mantissa(number(&self.rate, EXCHANGE_RATE_SCALE)?);
        let one = Quantity::from_mantissa(ten_to(QUANTITY_SCALE));
        let exact = Amount::of_exchanged(one, price, rate)?;
        let charge = self.charges.1.value(self.charges.0[at] as usize);
        Ok(TierRow {
            subscription: lists.naming.rows_of(subscription, edge.edge),
            product: lists.naming.product(subscription, meter),
            tier,
            consumed,
            is_included: tier == 0
                && price == UnitPrice::ZERO
                && lists.has_tiers(edge.edge, subscription, meter),
            list_price: exact
                .per_unit(one, UNIT_PRICE_SCALE, Rounding::HalfEven)
                .ok_or_else(lost)?,
            charges: money(&self.subtotal)?,
            tax: money(&self.tax)?,
            is_offset: charge == CHARGE_REVERSAL || consumed.is_negative(),
        })
    }
}

impl PriceLists<'_> {
    /// Whether some price of a meter has tiers, for a subscription on an edge.
    fn has_tiers(
        &self,
        edge: EdgeIndex,
        subscription: SubscriptionIndex,
        meter: MeterIndex,
    ) -> bool {
        let book = self.book;
        let position = book.path(subscription).iter().position(|on| *on == edge);
        let node = position.map(|at| book.nodes(subscription)[at]);
        node.is_some_and(|node| {
            let schedule = book.schedule(node, meter);
            let mut prices = schedule.intervals.iter().filter_map(|i| i.price.as_ref().ok());
            prices.any(|price| price.tiers.len() > 1)
        })
    }
}
