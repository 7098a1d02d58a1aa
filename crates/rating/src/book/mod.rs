//! The rate book: every edge, price, tier, dated rule and rate of one month, compiled once.
//!
//! A [`RateBook`] is immutable and named by the hash of what it says, so that a close can state
//! by which prices it billed. Prices themselves are derived on demand ([`RateBook::schedule`]),
//! because a distributor has millions of combinations of edge and meter and uses few of them.

mod compile;
mod draft;
mod fingerprint;
mod ids;
mod rules;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use domain::{
    AppliedRate, BilledDays, BillingPeriods, ListedMeter, Meter, OfferFamily, Restatements,
    RoundingPolicy,
};
use kernel::{
    Currency, ExchangeRate, Key, MeterId, Month, OrganisationId, Result, SubscriptionId, Zone,
};

use crate::credit::Credit;
use crate::flat_price::{FlatListed, FlatNode};
use ids::Ids;
pub(crate) use rules::{Candidates, Rule, Rules};

/// What a rate book is compiled from: facts as they are known at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is agreed.
    pub programme: &'a domain::Programme,
    /// What things cost by list.
    pub sheets: &'a std::collections::BTreeMap<Key, domain::PriceSheet>,
    /// What currencies are worth.
    pub rates: &'a domain::ExchangeRates,
    /// What was known before some of it was restated, where the month is closed and that happened.
    pub restated: Option<&'a Restated>,
    /// Which subscriptions matter; all where nothing is said.
    pub only: Option<&'a BTreeSet<SubscriptionId>>,
}

impl<'a> Facts<'a> {
    /// The subscriptions that matter, as some programme has them, by id.
    pub(crate) fn subscriptions(
        self,
        programme: &'a domain::Programme,
    ) -> impl Iterator<Item = &'a domain::Subscription> {
        let all = self.only.is_none().then(|| programme.subscriptions.values());
        let only = self.only.into_iter().flatten();
        let only = only.filter_map(|id| programme.subscriptions.get(id));
        all.into_iter().flatten().chain(only)
    }
}

/// The facts of a closed month before they were restated, and who bills by which.
#[derive(Debug, Clone)]
pub struct Restated {
    /// Since when restated facts are known, and who has accepted them.
    pub restatements: Restatements,
    /// The versions of the facts before the newest one, one a restatement.
    pub earlier: Vec<PriceFacts>,
}

/// What prices depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceFacts {
    /// What is agreed.
    pub programme: domain::Programme,
    /// What things cost by list.
    pub sheets: std::collections::BTreeMap<Key, domain::PriceSheet>,
    /// What currencies are worth.
    pub rates: domain::ExchangeRates,
}

/// The position of a price node in a [`RateBook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub(crate) u32);

/// The position of an edge in a [`RateBook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeIndex(pub(crate) u32);

/// The position of a subscription in a [`RateBook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionIndex(pub(crate) u32);

/// The position of a meter in a [`RateBook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterIndex(pub(crate) u32);

macro_rules! index {
    ($($name:ident),*) => { $(
        impl $name {
            /// As an index into a list that runs parallel to the book's.
            pub const fn get(self) -> usize {
                self.0 as usize
            }
        }
    )* };
}
index!(NodeIndex, EdgeIndex, SubscriptionIndex, MeterIndex);

/// The hash of everything that a rate book says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateBookHash(pub(crate) [u8; 32]);

impl fmt::Display for RateBookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RateBookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One seller and one buyer in the billed month, and the terms that documents need.
#[derive(Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// In which currency the buyer is billed.
    pub currency: Currency,
    /// How groups become what is billed.
    pub rounding: RoundingPolicy,
    /// Days from issue to due date.
    pub payment_terms_days: u16,
    /// Whether the seller rates it in a system of its own: what it comes to here is what is
    /// expected, and no invoice is issued.
    pub is_received: bool,
}

impl fmt::Debug for Edge {
    /// The hashes of rate books depend on it, so what is usual is not said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Edge");
        shown
            .field("seller", &self.seller)
            .field("buyer", &self.buyer)
            .field("currency", &self.currency)
            .field("rounding", &self.rounding)
            .field("payment_terms_days", &self.payment_terms_days);
        if self.is_received {
            shown.field("is_received", &true);
        }
        shown.finish()
    }
}

/// Where prices come from: one seller's rules on top of what the seller itself pays. Buyers with
/// the same terms share a node.
#[derive(Debug)]
pub(crate) struct Node {
    /// What the seller pays; none for the provider.
    pub parent: Option<NodeIndex>,
    /// The list.
    pub list: Option<u32>,
    /// The rules; none where nothing is agreed.
    pub book: Option<u32>,
    /// The currency of the edge.
    pub currency: Currency,
    /// What the edge bills with the month, half open, in microseconds.
    pub period: (i64, i64),
    /// When the agreement applies, clipped to that period, in microseconds.
    pub agreed: (i64, i64),
    /// The rates into the edge's currency from those that rules may need; few.
    pub rates: Vec<(Currency, std::result::Result<AppliedRate, Arc<str>>)>,
    /// Whether some rule starts from what the seller pays.
    pub buys: bool,
    /// Whether some rule of another node starts from this one's prices.
    pub is_bought_from: bool,
    /// Where a price comes from that these facts do not have: the same edge by the newest facts. A
    /// gap is not restated when it is filled, since nothing was billed by it.
    pub fallback: Option<NodeIndex>,
    /// What is earned on these prices, and the node with the same prices without it.
    pub credit: Option<(Arc<Credit>, NodeIndex)>,
    /// Whether what the seller pays by these prices is not what it is billed now: it has been
    /// restated, and this edge keeps to what was before.
    pub is_detached: bool,
}

/// A sale path: its edges and the nodes that price them, the provider's first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    pub edges: Vec<EdgeIndex>,
    pub nodes: Vec<NodeIndex>,
    /// Whether some edge rounds a legacy offer otherwise than it says.
    pub rounds_as_legacy: bool,
}

impl fmt::Debug for Chain {
    /// The hashes of rate books depend on it, so what is usual is not said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Chain");
        shown.field("edges", &self.edges).field("nodes", &self.nodes);
        if self.rounds_as_legacy {
            shown.field("rounds_as_legacy", &true);
        }
        shown.finish()
    }
}

/// A price sheet as the book uses it.
#[derive(Debug)]
pub(crate) struct List {
    pub key: Key,
    pub currency: Currency,
    /// By [`MeterIndex`]; the labels are those of [`Rules`].
    pub meters: Vec<Option<Listed>>,
    /// The same reduced to what is simple; none where the list does not have the meter.
    pub flat: Vec<Option<FlatListed>>,
}

/// A meter of a list, with the labels under which rules find it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub meter: ListedMeter,
    pub category: u32,
    pub products: [u32; 2],
}

/// Everything that prices the usage of one month.
#[derive(Debug)]
pub struct RateBook {
    pub(crate) month: Month,
    pub(crate) zone: Zone,
    /// The month, half open, in microseconds.
    pub(crate) period: (i64, i64),
    /// What subscriptions are billed that do not simply follow the month.
    periods: BillingPeriods,
    /// From the first instant that some edge bills to the last.
    usage_period: (i64, i64),
    pub(crate) meters: Vec<MeterId>,
    pub(crate) lists: Vec<List>,
    pub(crate) books: Vec<Rules>,
    pub(crate) nodes: Vec<Node>,
    /// The nodes again, as far as they are simple.
    pub(crate) flat_nodes: Vec<Option<FlatNode>>,
    edges: Vec<Edge>,
    /// How many of the edges are billed: the others stand beside them, in the same order.
    billed: usize,
    chains: Vec<Chain>,
    subscriptions: Vec<(SubscriptionId, u32)>,
    by_meter: Ids,
    by_subscription: Ids,
    hash: RateBookHash,
}

impl RateBook {
    /// Compiles the book of a month for the meters that its usage has. Facts that could not price
    /// any of it are left out, so that they do not change the hash.
    ///
    /// # Errors
    /// Where two rules of a book tie for one meter.
    pub fn compile<'a>(
        facts: Facts<'a>,
        month: Month,
        used: impl IntoIterator<Item = &'a MeterId>,
    ) -> Result<Self> {
        compile::compile(facts, None, month, used.into_iter().collect())
    }

    /// Compiles a book by which usage is rated twice in one pass: on every edge as it is billed,
    /// and on an edge beside it by a draft of the facts. Sale paths are those that are billed.
    ///
    /// # Errors
    /// Where two rules of a book tie for one meter.
    pub fn compile_beside<'a>(
        facts: Facts<'a>,
        draft: &'a PriceFacts,
        month: Month,
        used: impl IntoIterator<Item = &'a MeterId>,
    ) -> Result<Self> {
        compile::compile(facts, Some(draft), month, used.into_iter().collect())
    }

    /// The edge on which the same is rated by the draft, where there is one.
    pub fn beside(&self, edge: EdgeIndex) -> Option<EdgeIndex> {
        let beside = edge.get() + self.billed;
        (edge.get() < self.billed && beside < self.edges.len()).then_some(EdgeIndex(beside as u32))
    }

    /// The positions of all edges.
    pub fn edge_indices(&self) -> impl Iterator<Item = EdgeIndex> + use<> {
        (0..self.edges.len() as u32).map(EdgeIndex)
    }

    /// The edges that are billed, in the order of their positions.
    pub fn billed_edges(&self) -> impl Iterator<Item = EdgeIndex> + use<> {
        (0..self.billed as u32).map(EdgeIndex)
    }

    /// Whether an edge stands beside those that are billed.
    pub fn is_beside(&self, edge: EdgeIndex) -> bool {
        edge.get() >= self.billed
    }

    /// The hash of everything the book says.
    pub const fn hash(&self) -> RateBookHash {
        self.hash
    }

    /// The hash of what the book says of the time that it bills, whatever applies before or after.
    pub fn hash_in_force(&self) -> RateBookHash {
        fingerprint::in_force(self)
    }

    /// The hash that an earlier version of the engine would have given the same facts.
    pub fn hash_by(&self, engine_version: u32) -> RateBookHash {
        fingerprint::of(self, engine_version)
    }

    /// The month.
    pub const fn month(&self) -> Month {
        self.month
    }

    /// The month, half open, in microseconds since 1970.
    pub const fn period_micros(&self) -> (i64, i64) {
        self.period
    }

    /// From the first instant that some edge bills to the last: the month, unless some
    /// subscriptions are billed by their anniversaries.
    pub const fn usage_period(&self) -> (i64, i64) {
        self.usage_period
    }

    /// Whether every edge bills the month and nothing else, also what it has yet to bill.
    pub fn bills_months(&self) -> bool {
        self.periods.are_months() && self.nodes.iter().all(|node| node.period == self.period)
    }

    /// What is billed of a subscription on some edge of its path, half open, in microseconds.
    pub fn period_of(&self, subscription: SubscriptionIndex) -> (i64, i64) {
        let nodes = self.nodes(subscription).iter().map(|node| self.nodes[node.get()].period);
        nodes.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or(self.period)
    }

    /// What an edge bills by the prices of a node, half open, in microseconds.
    pub fn period_of_node(&self, node: NodeIndex) -> (i64, i64) {
        self.nodes[node.get()].period
    }

    /// The days that the edge at a position of a subscription's path bills.
    pub fn billed_days(&self, subscription: SubscriptionIndex, position: usize) -> BilledDays {
        self.periods.days(self.subscription_id(subscription), position)
    }

    /// Whether the edges of a subscription's path bill different days.
    pub fn is_uneven(&self, subscription: SubscriptionIndex) -> bool {
        let nodes = self.nodes(subscription).iter().map(|node| self.nodes[node.get()].period);
        let mut periods = nodes;
        let first = periods.next();
        periods.any(|period| Some(period) != first)
    }

    /// What would be billed of a subscription that is not sold in this month.
    pub(crate) fn period_of_unsold(&self, id: &str) -> (i64, i64) {
        if self.periods.are_months() {
            return self.period;
        }
        id.parse().map_or(self.period, |id| self.periods.of_subscription(id))
    }

    /// The edges, by [`EdgeIndex`]; ordered by seller and buyer.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The positions of the meters.
    pub fn meter_indices(&self) -> impl Iterator<Item = MeterIndex> + use<> {
        (0..self.meters.len() as u32).map(MeterIndex)
    }

    /// The meters, by [`MeterIndex`]; ordered by id.
    pub fn meters(&self) -> &[MeterId] {
        &self.meters
    }

    /// The subscriptions, by [`SubscriptionIndex`]; ordered by id.
    pub fn subscriptions(&self) -> impl ExactSizeIterator<Item = SubscriptionId> + '_ {
        self.subscriptions.iter().map(|(id, _)| *id)
    }

    /// The subscriptions with their positions.
    pub fn subscription_indices(
        &self,
    ) -> impl Iterator<Item = (SubscriptionIndex, SubscriptionId)> + '_ {
        let indexed = self.subscriptions.iter().enumerate();
        indexed.map(|(at, (id, _))| (SubscriptionIndex(at as u32), *id))
    }

    /// The id of a subscription.
    pub fn subscription_id(&self, index: SubscriptionIndex) -> SubscriptionId {
        self.subscriptions[index.get()].0
    }

    /// The subscription that a text names.
    pub fn find_subscription(&self, id: &str) -> Option<SubscriptionIndex> {
        self.by_subscription.find(id).map(SubscriptionIndex)
    }

    /// The edge between a seller and a buyer.
    pub fn find_edge(&self, seller: OrganisationId, buyer: OrganisationId) -> Option<EdgeIndex> {
        let edges = &self.edges[..self.billed];
        let found = edges.binary_search_by_key(&(seller, buyer), |e| (e.seller, e.buyer));
        found.ok().map(|at| EdgeIndex(at as u32))
    }

    /// The meter with an id, written as it is kept.
    pub fn find_meter(&self, id: &str) -> Option<MeterIndex> {
        self.by_meter.find(id).map(MeterIndex)
    }

    /// What the list of a subscription's offer says of a meter.
    pub fn meter_details(
        &self,
        subscription: SubscriptionIndex,
        meter: MeterIndex,
    ) -> Option<&Meter> {
        let node = *self.chain(subscription).nodes.first()?;
        let list = &self.lists[self.nodes[node.get()].list? as usize];
        // Of several versions of a list the first says what things are called, so that a document
        // calls them what the one before has called them.
        let mut versions = self.lists.iter().filter(|version| version.key == list.key);
        let listed = versions.find_map(|version| version.meters[meter.get()].as_ref())?;
        Some(&listed.meter.meter)
    }

    /// Whether subscriptions are sold along the same paths on the same terms as by another book,
    /// whatever they cost.
    pub fn has_terms_of(&self, other: &Self) -> bool {
        let same = |(a, at): &(SubscriptionId, u32), (b, other_at): &(SubscriptionId, u32)| {
            let (chain, others) = (&self.chains[*at as usize], &other.chains[*other_at as usize]);
            let periods = chain.nodes.iter().map(|node| self.period_of_node(*node));
            let other_periods = others.nodes.iter().map(|node| other.period_of_node(*node));
            a == b && chain.edges == others.edges && periods.eq(other_periods)
        };
        let paths = self.subscriptions.iter().zip(&other.subscriptions);
        self.period == other.period
            && self.edges == other.edges
            && self.subscriptions.len() == other.subscriptions.len()
            && paths.into_iter().all(|(mine, theirs)| same(mine, theirs))
    }

    /// The edges of a subscription's sale path, the provider's first.
    pub fn path(&self, subscription: SubscriptionIndex) -> &[EdgeIndex] {
        &self.chain(subscription).edges
    }

    /// How what a subscription comes to on an edge of its path is rounded.
    pub fn rounding(&self, subscription: SubscriptionIndex, edge: EdgeIndex) -> RoundingPolicy {
        let agreed = self.edges[edge.get()].rounding;
        if self.chain(subscription).rounds_as_legacy {
            return agreed.of_family(OfferFamily::Legacy);
        }
        agreed
    }

    /// The nodes that price a subscription's sale path, the provider's first.
    pub fn nodes(&self, subscription: SubscriptionIndex) -> &[NodeIndex] {
        &self.chain(subscription).nodes
    }

    /// Whether some price may change within the month, so that the times of usage matter.
    pub fn changes_within(&self) -> bool {
        if !self.bills_months() {
            return true;
        }
        let (start, end) = self.period;
        let inside = |at: i64| start < at && at < end;
        let agreed = self.nodes.iter().any(|n| inside(n.agreed.0) || inside(n.agreed.1));
        let rules = self.books.iter().flat_map(|book| &book.ordered);
        let listed = self.lists.iter().flat_map(|list| list.meters.iter().flatten());
        let mut credits = self.nodes.iter().filter_map(|node| node.credit.as_ref());
        agreed
            || credits.any(|(credit, _)| credit.changes(self.period).next().is_some())
            || rules.into_iter().any(|rule| inside(rule.from) || inside(rule.until))
            || listed
                .flat_map(|listed| listed.meter.intervals())
                .any(|(from, until, _)| inside(from) || inside(until))
    }

    /// Whether credit is earned on some prices.
    pub fn earns_credit(&self) -> bool {
        self.nodes.iter().any(|node| node.credit.is_some())
    }

    /// Whether prices may depend on the resource that was used.
    pub fn depends_on_resources(&self) -> bool {
        let mut credits = self.nodes.iter().filter_map(|node| node.credit.as_ref());
        credits.any(|(credit, _)| credit.is_narrow())
    }

    /// The rate from a currency into that of an edge, if some rule of the edge may need it.
    pub fn exchange(&self, edge: EdgeIndex, from: Currency) -> Option<ExchangeRate> {
        if self.edges[edge.get()].currency == from {
            return Some(ExchangeRate::ONE);
        }
        let on = |chain: &Chain| chain.edges.iter().position(|on| *on == edge);
        let (chain, at) = self.chains.iter().find_map(|chain| Some((chain, on(chain)?)))?;
        let rates = &self.nodes[chain.nodes[at].get()].rates;
        let found = rates.iter().find(|(currency, _)| *currency == from);
        found.and_then(|(_, rate)| rate.as_ref().ok()).map(|rate| rate.rate)
    }

    /// How many edges the longest sale path has.
    pub fn depth(&self) -> usize {
        self.chains.iter().map(|chain| chain.edges.len()).max().unwrap_or(0)
    }

    /// How many edges the shortest sale path has.
    pub fn depth_min(&self) -> usize {
        self.chains.iter().map(|chain| chain.edges.len()).min().unwrap_or(0)
    }

    fn chain(&self, subscription: SubscriptionIndex) -> &Chain {
        &self.chains[self.subscriptions[subscription.get()].1 as usize]
    }
}
