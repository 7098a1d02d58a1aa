//! Prices that were derived before, in a fixed amount of memory.

use std::sync::Arc;

use crate::book::{MeterIndex, NodeIndex, RateBook};
use crate::schedule::Schedule;

/// How many schedules are kept; a power of two.
const SLOTS: usize = 1 << 15;

/// A cache in which each node and meter has one place, taken over by whoever comes last: a
/// distributor has more prices than memory, and most repeat soon or never.
#[derive(Debug)]
pub(crate) struct PriceCache {
    slots: Vec<Option<(NodeIndex, MeterIndex, Arc<Schedule>)>>,
}

impl PriceCache {
    pub fn new() -> Self {
        Self { slots: vec![None; SLOTS] }
    }

    /// The prices of a meter on a node.
    pub fn get(&mut self, book: &RateBook, node: NodeIndex, meter: MeterIndex) -> Arc<Schedule> {
        let mixed =
            (u64::from(node.0) << 32 | u64::from(meter.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut self.slots[(mixed >> 49) as usize & (SLOTS - 1)];
        match slot {
            Some((n, m, schedule)) if *n == node && *m == meter => Arc::clone(schedule),
            _ => {
                let schedule = Arc::new(book.schedule(node, meter));
                *slot = Some((node, meter, Arc::clone(&schedule)));
                schedule
            }
        }
    }
}
