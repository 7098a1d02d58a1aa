//! What edges, customers and meters come to, with what the sellers pay for the same.
//!
//! There are millions of groups and each costs a few additions: what belongs to an edge that many
//! customers share lies in dense rows by meter, and what belongs to one customer alone is kept for
//! as long as its usage lasts.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use kernel::{Error, Money, Result};
use rating::{EdgeIndex, Group, MeterIndex, Output, RateBook, Unpriced};

use super::{Compared, Side};
use crate::naming::Naming;
use crate::rate::margin;

/// Minor units by the facts in force and by the draft: what the buyer of an edge pays, and what
/// its seller pays for the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    net: [i64; 2],
    bought: [i64; 2],
}

impl Cell {
    fn changes(&self) -> bool {
        self.net[0] != self.net[1] || self.bought[0] != self.bought[1]
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        for half in 0..2 {
            add(&mut self.net[half], other.net[half])?;
            add(&mut self.bought[half], other.bought[half])?;
        }
        Ok(())
    }
}

fn add(sum: &mut i64, minor: i64) -> Result<()> {
    *sum = sum
        .checked_add(minor)
        .ok_or_else(|| Error::invalid("amount", "is too large for a document"))?;
    Ok(())
}

/// The edge on which the seller of an edge buys; none where the provider sells.
type Paid = Option<EdgeIndex>;

/// What something comes to, by where the seller buys.
type Cells = BTreeMap<Paid, Cell>;

/// Sums over the groups of a book that has every edge twice.
#[derive(Debug)]
pub(crate) struct Sums<'b> {
    book: &'b RateBook,
    /// By edge: what all meters come to, by where the seller buys.
    edges: Vec<Vec<(Paid, Cell)>>,
    /// By edge that is not the last of a sale path, and by meter.
    shared: Vec<Vec<(Paid, Vec<Cell>)>>,
    /// What changes on last edges, by meter.
    last: Vec<(EdgeIndex, MeterIndex, Paid, Cell)>,
    /// What changes for a customer, by edge and by the last edge of the sale path.
    customers: Vec<(EdgeIndex, EdgeIndex, Paid, Cell)>,
    pub unpriced: Vec<Unpriced>,
    /// How many usage records have been rated.
    pub records: u64,
    /// The sale path of the last groups.
    path: &'b [EdgeIndex],
    /// What it comes to, by position among the billed edges.
    on_path: Vec<Cell>,
    /// What its last edge comes to, by meter, and which meters there are.
    by_meter: Vec<Cell>,
    touched: Vec<MeterIndex>,
    /// What the sale paths of the customer so far come to: a customer with something that changes
    /// is shown with all of it.
    customer: Vec<(EdgeIndex, EdgeIndex, Paid, Cell)>,
    customer_meters: Vec<(EdgeIndex, MeterIndex, Paid, Cell)>,
}

impl Output for Sums<'_> {
    fn group(&mut self, group: &Group) -> Result<()> {
        let path = self.book.path(group.subscription);
        if !std::ptr::eq(path, self.path) {
            self.end_path()?;
            let buyer = |path: &[EdgeIndex]| {
                let last = (path.len() / 2).checked_sub(1).map(|at| path[at]);
                last.map(|last| self.book.edges()[last.get()].buyer)
            };
            if buyer(path) != buyer(self.path) {
                self.end_customer();
            }
            self.path = path;
            self.on_path.clear();
            self.on_path.resize(path.len() / 2, Cell::default());
        }
        let billed = path.len() / 2;
        let (half, at) =
            (usize::from(group.position) / billed, usize::from(group.position) % billed);
        let minor = group.money.minor();
        add(&mut self.on_path[at].net[half], minor)?;
        add(&mut self.meter(at, group.meter).net[half], minor)?;
        if at + 1 < billed {
            add(&mut self.on_path[at + 1].bought[half], minor)?;
            add(&mut self.meter(at + 1, group.meter).bought[half], minor)?;
        }
        Ok(())
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        self.unpriced.push(unpriced);
        Ok(())
    }

    fn lines(&mut self, _: RecordBatch) -> Result<()> {
        Ok(())
    }
}

impl<'b> Sums<'b> {
    pub fn new(book: &'b RateBook) -> Self {
        let edges = book.edges().len() / 2;
        Self {
            book,
            edges: vec![Vec::new(); edges],
            shared: vec![Vec::new(); edges],
            last: Vec::new(),
            customers: Vec::new(),
            unpriced: Vec::new(),
            records: 0,
            path: &[],
            on_path: Vec::new(),
            by_meter: vec![Cell::default(); book.meters().len()],
            touched: Vec::new(),
            customer: Vec::new(),
            customer_meters: Vec::new(),
        }
    }

    /// What a position of the current path comes to for a meter.
    fn meter(&mut self, at: usize, meter: MeterIndex) -> &mut Cell {
        let billed = self.path.len() / 2;
        if at + 1 == billed {
            let cell = &mut self.by_meter[meter.get()];
            if *cell == Cell::default() {
                self.touched.push(meter);
            }
            return cell;
        }
        let paid = at.checked_sub(1).map(|above| self.path[above]);
        let rows = &mut self.shared[self.path[at].get()];
        let meters = self.book.meters().len();
        &mut row(rows, paid, || vec![Cell::default(); meters])[meter.get()]
    }

    /// The groups of a sale path are complete.
    fn end_path(&mut self) -> Result<()> {
        let billed = self.path.len() / 2;
        let Some(last) = billed.checked_sub(1).map(|at| self.path[at]) else { return Ok(()) };
        let paid = |at: usize| at.checked_sub(1).map(|above| self.path[above]);
        for (at, cell) in self.on_path.drain(..).enumerate() {
            let edge = self.path[at];
            row(&mut self.edges[edge.get()], paid(at), Cell::default).add(&cell)?;
            self.customer.push((edge, last, paid(at), cell));
        }
        for meter in self.touched.drain(..) {
            let cell = std::mem::take(&mut self.by_meter[meter.get()]);
            self.customer_meters.push((last, meter, paid(billed - 1), cell));
        }
        Ok(())
    }

    /// The sale paths of a customer are complete: keeps the edges and meters of which something
    /// changes, whole.
    fn end_customer(&mut self) {
        self.customer.sort_by_key(|(edge, last, ..)| (*edge, *last));
        for of_edge in self.customer.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            if of_edge.iter().any(|(.., cell)| cell.changes()) {
                self.customers.extend_from_slice(of_edge);
            }
        }
        self.customer_meters.sort_by_key(|(edge, meter, ..)| (*edge, *meter));
        for of_meter in self.customer_meters.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            if of_meter.iter().any(|(.., cell)| cell.changes()) {
                self.last.extend_from_slice(of_meter);
            }
        }
        self.customer.clear();
        self.customer_meters.clear();
    }

    /// Completes a partition.
    pub fn finish(&mut self) -> Result<()> {
        self.end_path()?;
        self.end_customer();
        self.path = &[];
        Ok(())
    }

    /// Adds what others have added up.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        for (sums, others) in self.edges.iter_mut().zip(other.edges) {
            for (paid, cell) in others {
                row(sums, paid, Cell::default).add(&cell)?;
            }
        }
        for (sums, others) in self.shared.iter_mut().zip(other.shared) {
            for (paid, cells) in others {
                let row = row(sums, paid, || vec![Cell::default(); cells.len()]);
                row.iter_mut().zip(&cells).try_for_each(|(sum, cell)| sum.add(cell))?;
            }
        }
        self.last.extend(other.last);
        self.customers.extend(other.customers);
        self.unpriced.extend(other.unpriced);
        self.records += other.records;
        Ok(())
    }

    /// Each edge with usage.
    pub fn edges(&self, naming: &Naming<'_>) -> Result<Vec<Compared>> {
        let rows = self.indexed(&self.edges);
        let rows = rows.flat_map(|(edge, rows)| rows.iter().map(move |row| (edge, (), row)));
        let rows = rows.map(|(edge, of, (paid, cell))| (edge, of, *paid, *cell));
        self.compare(naming, rows, |()| "")
    }

    /// Each customer for whom something changes, on each edge.
    pub fn customers(&self, naming: &Naming<'_>) -> Result<Vec<Compared>> {
        let customer = |last: EdgeIndex| naming.key(self.book.edges()[last.get()].buyer);
        self.compare(naming, self.customers.iter().copied(), customer)
    }

    /// Each meter for which something changes, on each edge.
    pub fn meters(&self, naming: &Naming<'_>) -> Result<Vec<Compared>> {
        let shared = self.indexed(&self.shared).flat_map(|(edge, rows)| {
            let cells = rows.iter().flat_map(move |(paid, cells)| {
                let cells = self.book.meter_indices().zip(cells);
                cells.map(move |(meter, cell)| (edge, meter, *paid, *cell))
            });
            cells.filter(|(.., cell)| cell.changes())
        });
        let meter = |meter: MeterIndex| self.book.meters()[meter.get()].as_str();
        self.compare(naming, shared.chain(self.last.iter().copied()), meter)
    }

    /// What stands at each billed edge.
    fn indexed<'s, T>(&'s self, by_edge: &'s [T]) -> impl Iterator<Item = (EdgeIndex, &'s T)> {
        self.book.billed_edges().zip(by_edge)
    }

    /// What each thing comes to on each edge, by the names of edges and things.
    fn compare<'n, K: Copy>(
        &self,
        naming: &'n Naming<'_>,
        rows: impl Iterator<Item = (EdgeIndex, K, Paid, Cell)>,
        name: impl Fn(K) -> &'n str,
    ) -> Result<Vec<Compared>> {
        let mut named: BTreeMap<[&str; 3], (EdgeIndex, Cells)> = BTreeMap::new();
        for (edge, of, paid, cell) in rows {
            let terms = &self.book.edges()[edge.get()];
            let key = [naming.key(terms.seller), naming.key(terms.buyer), name(of)];
            let (_, cells) = named.entry(key).or_insert_with(|| (edge, Cells::new()));
            cells.entry(paid).or_default().add(&cell)?;
        }
        let compared = named.into_iter().map(|([seller, buyer, of], (edge, cells))| {
            Ok(Compared {
                seller: seller.to_owned(),
                buyer: buyer.to_owned(),
                of: of.to_owned(),
                now: self.side(edge, 0, &cells)?,
                draft: self.side(edge, 1, &cells)?,
            })
        });
        compared.collect()
    }

    /// What an edge comes to, and what is left of it.
    fn side(&self, edge: EdgeIndex, half: usize, cells: &Cells) -> Result<Side> {
        let of_half = |edge: EdgeIndex| match half {
            0 => edge,
            _ => self.book.beside(edge).unwrap_or(edge),
        };
        let currency = |edge: EdgeIndex| self.book.edges()[of_half(edge).get()].currency;
        let (mut net, mut bought) = (0, Vec::new());
        for (paid, cell) in cells {
            add(&mut net, cell.net[half])?;
            bought.extend(paid.map(|paid| Money::new(cell.bought[half], currency(paid))));
        }
        let net = Money::new(net, currency(edge));
        Ok(Side { net, margin: margin(self.book, of_half(edge), net, &bought) })
    }
}

/// The row for where the seller buys; mostly there is one.
fn row<T>(rows: &mut Vec<(Paid, T)>, paid: Paid, new: impl FnOnce() -> T) -> &mut T {
    let at = rows.iter().position(|(known, _)| *known == paid).unwrap_or_else(|| {
        rows.push((paid, new()));
        rows.len() - 1
    });
    &mut rows[at].1
}
