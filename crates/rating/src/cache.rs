//! Prices that were derived before, in a fixed amount of memory.

use crate::book::{MeterIndex, NodeIndex, RateBook};
use crate::schedule::NodePrice;

/// How many prices are kept at most; a power of two.
const SLOTS_MAX: usize = 1 << 16;
/// How many are kept for each subscription, so that a book of few is ready at once.
const SLOTS_EACH: usize = 4;

/// A cache in which each node and meter has one place, taken over by whoever comes last: a
/// distributor has more prices than memory. Only prices from which others follow are kept; making
/// one at the end of a sale path anew is faster than looking for it.
#[derive(Debug)]
pub(crate) struct PriceCache {
    slots: Vec<Option<(NodeIndex, MeterIndex, NodePrice)>>,
}

impl PriceCache {
    pub fn new(book: &RateBook) -> Self {
        let wanted = book.subscriptions().len() * SLOTS_EACH;
        Self { slots: vec![None; wanted.next_power_of_two().clamp(2, SLOTS_MAX)] }
    }

    /// The price of a meter on a node.
    pub fn get(&mut self, book: &RateBook, node: NodeIndex, meter: MeterIndex) -> NodePrice {
        if !book.is_bought_from(node) {
            let bought = book.bought_at(node).map(|parent| self.get(book, parent, meter));
            return NodePrice::derive(book, node, meter, bought);
        }
        let mixed = u64::from(node.0) << 32 | u64::from(meter.0);
        let slot =
            (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize & (self.slots.len() - 1);
        if let Some((n, m, price)) = &self.slots[slot]
            && (*n, *m) == (node, meter)
        {
            return price.clone();
        }
        let bought = book.bought_at(node).map(|parent| self.get(book, parent, meter));
        let price = NodePrice::derive(book, node, meter, bought);
        self.slots[slot] = Some((node, meter, price.clone()));
        price
    }
}
