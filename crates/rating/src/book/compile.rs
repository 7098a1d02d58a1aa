//! From facts to a rate book.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::{Derivation, ExchangePolicy, Subscription, TradeAgreement};
use kernel::{Currency, Error, Key, MeterId, Month, OrganisationId, Result, instant_micros};

use rustc_hash::FxHashMap;

use super::ids::Ids;
use super::rules::{Labels, Rules};
use super::{
    Chain, Edge, EdgeIndex, Facts, List, Listed, MeterIndex, Node, NodeIndex, RateBook,
    RateBookHash, fingerprint,
};
use crate::flat_price::{FlatListed, FlatNode};

pub(super) fn compile(
    facts: Facts<'_>,
    month: Month,
    used: BTreeSet<&MeterId>,
) -> Result<RateBook> {
    let zone = &facts.programme.zone;
    let period = month.in_zone(zone);
    let period = (instant_micros(period.start()), instant_micros(period.end()));
    let mut compiler = Compiler::new(facts, month, period);
    compiler.edges();
    compiler.meters(used);
    compiler.books();
    for subscription in facts.programme.subscriptions.values() {
        compiler.subscription(subscription);
    }
    let flat_nodes = compiler.nodes.iter();
    let flat_nodes =
        flat_nodes.map(|node| FlatNode::of(node, &compiler.lists, &compiler.nodes, period));
    let flat_nodes = flat_nodes.collect();
    let mut book = RateBook {
        flat_nodes,
        month,
        zone: zone.clone(),
        period,
        by_meter: Ids::new(compiler.meters.iter().map(MeterId::as_str)),
        by_subscription: Ids::new(compiler.subscriptions.iter().map(|(id, _)| id.to_string())),
        meters: compiler.meters,
        lists: compiler.lists,
        books: compiler.books,
        nodes: compiler.nodes,
        edges: compiler.edges,
        chains: compiler.chains,
        subscriptions: compiler.subscriptions,
        hash: RateBookHash([0; 32]),
    };
    refuse_ties(&book)?;
    book.hash = fingerprint::of(&book);
    Ok(book)
}

/// What identifies a node: buyers that agree in all of this see the same prices.
#[derive(PartialEq, Eq, Hash)]
struct NodeKey {
    parent: Option<NodeIndex>,
    list: Option<u32>,
    book: Option<u32>,
    currency: Currency,
    exchange: Option<ExchangePolicy>,
    agreed: (i64, i64),
}

struct Compiler<'a> {
    facts: Facts<'a>,
    month: Month,
    period: (i64, i64),
    products: Labels,
    categories: Labels,
    agreements: HashMap<(OrganisationId, OrganisationId), &'a TradeAgreement>,
    edge_index: HashMap<(OrganisationId, OrganisationId), EdgeIndex>,
    list_index: BTreeMap<Key, u32>,
    book_index: HashMap<Key, u32>,
    meter_index: FxHashMap<MeterId, MeterIndex>,
    node_index: HashMap<NodeKey, NodeIndex>,
    chain_index: HashMap<Chain, u32>,
    meters: Vec<MeterId>,
    lists: Vec<List>,
    books: Vec<Rules>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    chains: Vec<Chain>,
    subscriptions: Vec<(kernel::SubscriptionId, u32)>,
}

impl<'a> Compiler<'a> {
    fn new(facts: Facts<'a>, month: Month, period: (i64, i64)) -> Self {
        Self {
            facts,
            month,
            period,
            products: Labels::default(),
            categories: Labels::default(),
            agreements: HashMap::new(),
            edge_index: HashMap::new(),
            list_index: BTreeMap::new(),
            book_index: HashMap::new(),
            meter_index: FxHashMap::default(),
            node_index: HashMap::new(),
            chain_index: HashMap::new(),
            meters: Vec::new(),
            lists: Vec::new(),
            books: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            chains: Vec::new(),
            subscriptions: Vec::new(),
        }
    }

    /// The agreements of the month on the sale paths in use, each an edge. New terms start with a
    /// month, so an edge has one version in it.
    fn edges(&mut self) {
        let zone = &self.facts.programme.zone;
        let sold = self.facts.programme.subscriptions.values();
        let sold = sold.filter(|s| overlap(s.validity.micros(zone), self.period).is_some());
        let on_paths: HashSet<_> = sold.flat_map(Subscription::edges).collect();
        let mut agreements: Vec<_> = self
            .facts
            .programme
            .agreements
            .iter()
            .filter(|a| overlap(a.validity.micros(zone), self.period).is_some())
            .filter(|a| on_paths.contains(&(a.seller, a.buyer)))
            .collect();
        agreements.sort_by_key(|a| (a.seller, a.buyer, a.validity.from()));
        for agreement in agreements {
            let key = (agreement.seller, agreement.buyer);
            if self.agreements.contains_key(&key) {
                continue;
            }
            self.agreements.insert(key, agreement);
            self.edge_index.insert(key, EdgeIndex(self.edges.len() as u32));
            self.edges.push(Edge {
                seller: agreement.seller,
                buyer: agreement.buyer,
                currency: agreement.currency,
                rounding: agreement.rounding,
                payment_terms_days: agreement.payment_terms_days,
            });
        }
    }

    /// The meters of the usage, and what the lists in use say of them.
    fn meters(&mut self, used: BTreeSet<&MeterId>) {
        let programme = self.facts.programme;
        let offers: BTreeSet<&Key> =
            programme.subscriptions.values().map(|subscription| &subscription.offer).collect();
        let sheets: BTreeMap<_, _> = offers
            .into_iter()
            .filter_map(|offer| programme.offers.get(offer))
            .filter_map(|offer| self.facts.sheets.get_key_value(&offer.price_sheet))
            .collect();
        self.meters = used.into_iter().cloned().collect();
        let indexed = self.meters.iter().enumerate();
        self.meter_index = indexed.map(|(at, id)| (id.clone(), MeterIndex(at as u32))).collect();
        for (key, sheet) in sheets {
            self.list_index.insert(key.clone(), self.lists.len() as u32);
            let (products, categories) = (&mut self.products, &mut self.categories);
            let mut listed = sheet.meters.iter().peekable();
            // Both are ordered by id, so one walk pairs them.
            let meters = self.meters.iter().map(|id| {
                while listed.next_if(|listed| listed.meter.id < *id).is_some() {}
                let meter = listed.next_if(|listed| listed.meter.id == *id)?.clone();
                let category = categories.intern(&meter.meter.category);
                let product = products.intern(&meter.meter.product_id);
                let title = products.intern(&meter.meter.product_title);
                Some(Listed { meter, category, products: [product, title] })
            });
            let meters: Vec<Option<Listed>> = meters.collect();
            let period = self.period;
            let flat = |listed: &Option<Listed>| Some(FlatListed::of(listed.as_ref()?, period));
            let flat = meters.iter().map(flat).collect();
            self.lists.push(List { key: key.clone(), currency: sheet.currency, meters, flat });
        }
    }

    /// The price books that the month's agreements name.
    fn books(&mut self) {
        let named: BTreeSet<&Key> = self.agreements.values().map(|a| &a.price_book).collect();
        for key in named {
            let Some(book) = self.facts.programme.price_books.get(key) else { continue };
            self.book_index.insert(key.clone(), self.books.len() as u32);
            let zone = &self.facts.programme.zone;
            let labels = (&mut self.products, &mut self.categories);
            self.books.push(Rules::new(book, zone, &self.meter_index, labels));
        }
        for rules in &mut self.books {
            rules.flatten(self.categories.len(), self.period);
        }
    }

    fn subscription(&mut self, subscription: &Subscription) {
        let zone = &self.facts.programme.zone;
        if overlap(subscription.validity.micros(zone), self.period).is_none() {
            return;
        }
        let offer = self.facts.programme.offers.get(&subscription.offer);
        let list = offer.and_then(|offer| self.list_index.get(&offer.price_sheet)).copied();
        let (mut edges, mut nodes, mut parent) = (Vec::new(), Vec::new(), None);
        for (seller, buyer) in subscription.edges() {
            let Some(edge) = self.edge_index.get(&(seller, buyer)).copied() else { return };
            let node = self.node(edge, parent, list);
            edges.push(edge);
            nodes.push(node);
            parent = Some(node);
        }
        let chain = Chain { edges, nodes };
        let next = self.chains.len() as u32;
        let index = *self.chain_index.entry(chain.clone()).or_insert(next);
        if index == next {
            self.chains.push(chain);
        }
        self.subscriptions.push((subscription.id, index));
    }

    fn node(&mut self, edge: EdgeIndex, parent: Option<NodeIndex>, list: Option<u32>) -> NodeIndex {
        let Edge { seller, buyer, currency, .. } = self.edges[edge.get()];
        let agreement = self.agreements.get(&(seller, buyer)).copied();
        let zone = &self.facts.programme.zone;
        let agreed = agreement
            .and_then(|a| overlap(a.validity.micros(zone), self.period))
            .unwrap_or((self.period.0, self.period.0));
        let book = agreement.and_then(|a| self.book_index.get(&a.price_book)).copied();
        let exchange = agreement.map(|a| a.exchange);
        let key = NodeKey { parent, list, book, currency, exchange, agreed };
        if let Some(node) = self.node_index.get(&key) {
            return *node;
        }
        let node = Node {
            parent,
            list,
            book,
            currency,
            agreed,
            rates: self.rates_into(currency, exchange, parent, list, book),
            buys: book.is_some_and(|book| self.books[book as usize].buys()),
            is_bought_from: false,
        };
        if let Some(parent) = node.parent.filter(|_| node.buys) {
            self.nodes[parent.get()].is_bought_from = true;
        }
        let index = NodeIndex(self.nodes.len() as u32);
        self.nodes.push(node);
        self.node_index.insert(key, index);
        index
    }

    /// The rates that the rules of a node may need. A missing one is kept with its reason, and
    /// matters only when usage meets it.
    fn rates_into(
        &self,
        to: Currency,
        exchange: Option<ExchangePolicy>,
        parent: Option<NodeIndex>,
        list: Option<u32>,
        book: Option<u32>,
    ) -> Vec<(Currency, std::result::Result<domain::AppliedRate, Arc<str>>)> {
        let (Some(exchange), Some(book)) = (exchange, book) else { return Vec::new() };
        let list = list.map(|list| self.lists[list as usize].currency);
        let bought = parent.map(|parent| self.nodes[parent.get()].currency);
        let needed =
            self.books[book as usize].ordered.iter().filter_map(|rule| match &rule.derivation {
                Derivation::ListMinus(_) => list,
                Derivation::BuyPlus(_) => bought,
                Derivation::Fixed { currency, .. } => Some(*currency),
            });
        let needed: BTreeSet<Currency> = needed.collect();
        needed
            .into_iter()
            .map(|from| {
                let found = self.facts.rates.find(from, to, exchange, self.month);
                (from, found.map_err(Arc::from))
            })
            .collect()
    }
}

/// What two half-open stretches have in common.
fn overlap(a: (i64, i64), b: (i64, i64)) -> Option<(i64, i64)> {
    let (from, until) = (a.0.max(b.0), a.1.min(b.1));
    (from < until).then_some((from, until))
}

fn refuse_ties(book: &RateBook) -> Result<()> {
    let meters = (0..book.meters.len()).map(|at| MeterIndex(at as u32));
    let tie = book.books.iter().filter(|rules| rules.may_tie()).find_map(|rules| {
        meters.clone().find_map(|meter| {
            let listed = book.lists.iter().map(|list| list.meters[meter.get()].as_ref());
            let mut ties = listed.filter_map(|listed| rules.candidates(meter, listed).tie());
            ties.next().map(|(a, b)| (rules, meter, a, b))
        })
    });
    let Some((rules, meter, a, b)) = tie else { return Ok(()) };
    Err(Error::conflict(format!(
        "price book {}: the rules for {} and {} are equally specific for meter {} and apply at \
         once; end one of them or make it more specific",
        rules.key,
        a.selector,
        b.selector,
        book.meters[meter.get()]
    )))
}
