//! The hash of everything that a rate book says, in one fixed order.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{List, Node, RateBook, RateBookHash};

/// Text that is hashed and not kept.
struct Hashed(Sha256);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

pub(super) fn of(book: &RateBook, engine_version: u32) -> RateBookHash {
    let mut hashed = Hashed(Sha256::new());
    // Writing into a hash cannot fail.
    let _ = describe(book, engine_version, None, &mut hashed);
    RateBookHash(hashed.0.finalize().into())
}

/// The hash of what a book says of its own time. What applies before it or after it makes another
/// book, but no other price.
pub(super) fn in_force(book: &RateBook) -> RateBookHash {
    let mut hashed = Hashed(Sha256::new());
    let _ = describe(book, crate::ENGINE_VERSION, Some(book.usage_period), &mut hashed);
    RateBookHash(hashed.0.finalize().into())
}

/// A stretch of time as far as it lies in another one; none where it does not.
fn clipped((from, until): (i64, i64), within: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let within = within.unwrap_or((i64::MIN, i64::MAX));
    let (from, until) = (from.max(within.0), until.min(within.1));
    (from < until).then_some((from, until))
}

/// One line a fact; `{:?}` quotes names, so that no two different books describe alike. All facts, or
/// as far as they apply within a stretch of time.
fn describe(
    book: &RateBook,
    engine_version: u32,
    within: Option<(i64, i64)>,
    out: &mut Hashed,
) -> std::fmt::Result {
    writeln!(out, "engine {engine_version}")?;
    writeln!(out, "month {} {} {:?}", book.month, book.zone, book.period)?;
    for list in &book.lists {
        describe_list(list, within, out)?;
    }
    for rules in &book.books {
        writeln!(out, "book {}", rules.key)?;
        for rule in &rules.ordered {
            let Some((from, until)) = clipped((rule.from, rule.until), within) else { continue };
            writeln!(out, "rule {:?} {from} {until} {}", rule.selector, rule.derivation)?;
        }
    }
    for node in &book.nodes {
        describe_node(node, book.period, out)?;
    }
    for edge in &book.edges {
        writeln!(out, "edge {edge:?}")?;
    }
    for (id, chain) in &book.subscriptions {
        writeln!(out, "subscription {id} {:?}", book.chains[*chain as usize])?;
    }
    Ok(())
}

fn describe_list(list: &List, within: Option<(i64, i64)>, out: &mut Hashed) -> std::fmt::Result {
    writeln!(out, "list {} {}", list.key, list.currency)?;
    for listed in list.meters.iter().flatten() {
        writeln!(out, "{:?}", listed.meter.meter)?;
        if within.is_none() {
            listed.meter.prices.iter().try_for_each(|price| writeln!(out, "{price:?}"))?;
            continue;
        }
        for (from, until, tiers) in listed.meter.intervals() {
            if let Some(applies) = clipped((from, until), within) {
                writeln!(out, "{applies:?} {tiers:?}")?;
            }
        }
    }
    Ok(())
}

fn describe_node(node: &Node, month: (i64, i64), out: &mut Hashed) -> std::fmt::Result {
    let Node { parent, list, book, currency, agreed, rates, fallback, credit, .. } = node;
    writeln!(out, "node {parent:?} {list:?} {book:?} {currency} {agreed:?}")?;
    if node.period != month {
        writeln!(out, "period {:?}", node.period)?;
    }
    if let Some(fallback) = fallback {
        writeln!(out, "fallback {fallback:?}")?;
    }
    if let Some((credit, without)) = credit {
        writeln!(out, "credit {credit:?} {without:?}")?;
    }
    writeln!(out, "{rates:?}")
}
