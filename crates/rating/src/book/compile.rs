//! From facts to a rate book.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::{
    BillingPeriods, Derivation, EarnedCredit, ExchangePolicy, ExchangeRates, Offer, OfferFamily,
    PriceSheet, PricedBy, Programme, RatedBy, Subscription, TradeAgreement,
};
use kernel::{Currency, Error, Key, MeterId, Month, OrganisationId, Result, instant_micros};

use rustc_hash::FxHashMap;

use super::ids::Ids;
use super::rules::{Labels, Rules};
use super::{
    Chain, Edge, EdgeIndex, Facts, List, Listed, MeterIndex, Node, NodeIndex, PriceFacts, RateBook,
    RateBookHash, fingerprint,
};
use crate::ENGINE_VERSION;
use crate::credit::{self, Credit};
use crate::flat_price::{FlatListed, FlatNode};

pub(super) fn compile(
    facts: Facts<'_>,
    draft: Option<&PriceFacts>,
    month: Month,
    used: BTreeSet<&MeterId>,
) -> Result<RateBook> {
    let zone = &facts.programme.zone;
    let period = month.in_zone(zone);
    let period = (instant_micros(period.start()), instant_micros(period.end()));
    let periods = BillingPeriods::of(facts.programme, month);
    let drafted = draft.map(|draft| BillingPeriods::of(&draft.programme, month));
    let mut compiler = Compiler::new(facts, draft, (periods, drafted), (month, period));
    compiler.edges();
    compiler.meters(used);
    compiler.books();
    for subscription in facts.subscriptions(facts.programme) {
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
        usage_period: compiler.envelope(),
        periods: compiler.periods,
        by_meter: Ids::new(compiler.meters.iter().map(MeterId::as_str)),
        by_subscription: Ids::new(compiler.subscriptions.iter().map(|(id, _)| id.to_string())),
        meters: compiler.meters,
        lists: compiler.lists,
        books: compiler.books,
        nodes: compiler.nodes,
        billed: compiler.edge_index.len(),
        edges: compiler.edges,
        chains: compiler.chains,
        subscriptions: compiler.subscriptions,
        hash: RateBookHash([0; 32]),
    };
    refuse_ties(&book)?;
    book.hash = fingerprint::of(&book, ENGINE_VERSION);
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
    rates: usize,
    period: (i64, i64),
    agreed: (i64, i64),
    fallback: Option<NodeIndex>,
}

/// A seller and a buyer.
type Pair = (OrganisationId, OrganisationId);

/// An edge of a sale path, and what it bills of a subscription.
#[derive(Clone, Copy)]
struct Step {
    pair: Pair,
    edge: EdgeIndex,
    period: (i64, i64),
}

/// One version of the facts: there is one more than restatements.
struct Version<'a> {
    programme: &'a Programme,
    sheets: &'a BTreeMap<Key, PriceSheet>,
    rates: &'a ExchangeRates,
    /// The agreements of the month. New terms start with a month, so there is one for each pair.
    agreements: HashMap<Pair, &'a TradeAgreement>,
    lists: BTreeMap<Key, u32>,
    books: HashMap<Key, u32>,
}

struct Compiler<'a> {
    facts: Facts<'a>,
    month: Month,
    period: (i64, i64),
    /// What subscriptions are billed, and what they would be by the draft.
    periods: BillingPeriods,
    drafted: Option<BillingPeriods>,
    /// Oldest first: restated ones, that of the facts themselves, and the draft if there is one.
    versions: Vec<Version<'a>>,
    /// Which one is that of the facts themselves.
    newest: usize,
    products: Labels,
    categories: Labels,
    edge_index: HashMap<Pair, EdgeIndex>,
    meter_index: FxHashMap<MeterId, MeterIndex>,
    node_index: HashMap<NodeKey, NodeIndex>,
    credit_index: HashMap<(NodeIndex, Arc<Credit>), NodeIndex>,
    /// The meters that earn nothing, by list and exceptions.
    excluded: HashMap<(Option<u32>, String), Arc<[bool]>>,
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
    fn new(
        facts: Facts<'a>,
        draft: Option<&'a PriceFacts>,
        (periods, drafted): (BillingPeriods, Option<BillingPeriods>),
        (month, period): (Month, (i64, i64)),
    ) -> Self {
        let version = |programme, sheets, rates| Version {
            programme,
            sheets,
            rates,
            agreements: HashMap::new(),
            lists: BTreeMap::new(),
            books: HashMap::new(),
        };
        let earlier = facts.restated.map_or(&[][..], |restated| &restated.earlier);
        let of = |facts: &'a PriceFacts| version(&facts.programme, &facts.sheets, &facts.rates);
        let mut versions: Vec<Version<'a>> = earlier.iter().map(of).collect();
        let newest = versions.len();
        versions.push(version(facts.programme, facts.sheets, facts.rates));
        versions.extend(draft.map(of));
        Self {
            facts,
            month,
            period,
            periods,
            drafted,
            versions,
            newest,
            products: Labels::default(),
            categories: Labels::default(),
            edge_index: HashMap::new(),
            meter_index: FxHashMap::default(),
            node_index: HashMap::new(),
            credit_index: HashMap::new(),
            excluded: HashMap::new(),
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

    /// From the first instant that some edge bills to the last.
    fn envelope(&self) -> (i64, i64) {
        let billed = self.periods.envelope();
        let drafted = self.drafted.as_ref().map_or(billed, BillingPeriods::envelope);
        (billed.0.min(drafted.0), billed.1.max(drafted.1))
    }

    /// Whether some of a subscription is billed with the month.
    fn is_sold(&self, subscription: &Subscription) -> bool {
        let zone = &self.facts.programme.zone;
        let billed = self.periods.of_subscription(subscription.id);
        overlap(subscription.validity.micros(zone), billed).is_some()
    }

    /// The agreements of the month on the sale paths in use, each an edge. What is left to be billed
    /// by anniversary after the last agreement has ended is billed by that one.
    fn edges(&mut self) {
        let zone = &self.facts.programme.zone;
        let (month, envelope) = (self.period, self.envelope());
        let sold = self.facts.subscriptions(self.facts.programme).filter(|s| self.is_sold(s));
        let (mut on_paths, mut by_anniversary) = (HashSet::new(), HashSet::new());
        for subscription in sold {
            on_paths.extend(subscription.edges());
            if self.periods.has_own(subscription.id) {
                by_anniversary.extend(subscription.edges());
            }
        }
        for version in &mut self.versions {
            let agreements = version.programme.agreements.iter();
            let agreements = agreements.filter(|a| on_paths.contains(&(a.seller, a.buyer)));
            let applies = |a: &TradeAgreement, period| overlap(a.validity.micros(zone), period);
            let (now, before): (Vec<_>, Vec<_>) =
                agreements.partition(|a| applies(a, month).is_some());
            let mut ended: Vec<_> = before;
            ended.retain(|a| by_anniversary.contains(&(a.seller, a.buyer)));
            ended.retain(|a| applies(a, envelope).is_some());
            ended.sort_by_key(|a| std::cmp::Reverse(a.validity.from()));
            let mut agreements: Vec<_> = now;
            agreements.sort_by_key(|a| (a.seller, a.buyer, a.validity.from()));
            for agreement in agreements.into_iter().chain(ended) {
                let key = (agreement.seller, agreement.buyer);
                version.agreements.entry(key).or_insert(agreement);
            }
        }
        let agreed = self.versions[self.newest].agreements.iter();
        let mut agreed: Vec<(Pair, &TradeAgreement)> = agreed.map(|(p, a)| (*p, *a)).collect();
        agreed.sort_by_key(|(pair, _)| *pair);
        for (pair, agreement) in &agreed {
            self.edge_index.insert(*pair, EdgeIndex(self.edges.len() as u32));
            self.edges.push(edge_of(agreement));
        }
        if let Some(draft) = self.versions.get(self.newest + 1) {
            let beside = agreed.iter().map(|(pair, agreement)| {
                edge_of(draft.agreements.get(pair).copied().unwrap_or(agreement))
            });
            self.edges.extend(beside);
        }
    }

    /// The meters of the usage, and what the lists in use say of them.
    fn meters(&mut self, used: BTreeSet<&MeterId>) {
        let programme = self.facts.programme;
        self.meters = used.into_iter().cloned().collect();
        let indexed = self.meters.iter().enumerate();
        self.meter_index = indexed.map(|(at, id)| (id.clone(), MeterIndex(at as u32))).collect();
        for at in 0..self.versions.len() {
            let of = if at > self.newest { self.versions[at].programme } else { programme };
            let sold = self.facts.subscriptions(of);
            let sold: BTreeSet<&Key> = sold.map(|subscription| &subscription.offer).collect();
            let offers = sold.iter().filter_map(|offer| self.offer(at, offer));
            let named: BTreeSet<&Key> = offers.map(|offer| &offer.price_sheet).collect();
            let version = &self.versions[at];
            let sheets = named.into_iter().filter_map(|key| version.sheets.get_key_value(key));
            for (key, sheet) in sheets.collect::<Vec<_>>() {
                self.versions[at].lists.insert(key.clone(), self.lists.len() as u32);
                let list = self.list(key, sheet);
                self.lists.push(list);
            }
        }
    }

    /// What a sheet says of the meters.
    fn list(&mut self, key: &Key, sheet: &PriceSheet) -> List {
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
        List { key: key.clone(), currency: sheet.currency, meters, flat }
    }

    /// An offer as some version knows it; one that was not there yet, as it is now.
    fn offer(&self, version: usize, offer: &Key) -> Option<&'a Offer> {
        let then = self.versions[version].programme.offers.get(offer);
        then.or_else(|| self.facts.programme.offers.get(offer))
    }

    /// The price books that the month's agreements name.
    fn books(&mut self) {
        let zone = &self.facts.programme.zone;
        for version in &mut self.versions {
            let named = version.agreements.values().map(|a| &a.price_book);
            for key in named.collect::<BTreeSet<_>>() {
                let Some(book) = version.programme.price_books.get(key) else { continue };
                version.books.insert(key.clone(), self.books.len() as u32);
                let labels = (&mut self.products, &mut self.categories);
                self.books.push(Rules::new(book, zone, &self.meter_index, labels));
            }
        }
        for rules in &mut self.books {
            rules.flatten(self.categories.len(), self.period);
        }
    }

    fn subscription(&mut self, subscription: &Subscription) {
        if !self.is_sold(subscription) {
            return;
        }
        let steps = subscription.edges().enumerate().map(|(at, pair)| {
            let edge = self.edge_index.get(&pair).copied()?;
            Some(Step { pair, edge, period: self.periods.micros(subscription.id, at) })
        });
        let Some(path) = steps.collect::<Option<Vec<Step>>>() else { return };
        let mut nodes = self.over_own_periods(&path, |compiler, path| {
            compiler.billed_nodes(path, &subscription.offer)
        });
        if let Some(first) = nodes.first_mut() {
            let version = self.priced_by(path[0].pair, i64::MAX).version;
            *first = self.less_credit(*first, version, subscription);
        }
        let edges = path.iter().map(|step| step.edge).collect();
        let mut chain = Chain { edges, nodes, rounds_as_legacy: false };
        if self.newest + 1 < self.versions.len() {
            self.add_beside(&mut chain, &path, subscription);
        }
        let family = self.offer(self.newest, &subscription.offer).map(|offer| offer.family);
        let rounds = |edge: &EdgeIndex| self.edges[edge.get()].rounding.rounds_inside();
        chain.rounds_as_legacy =
            family == Some(OfferFamily::Legacy) && chain.edges.iter().any(rounds);
        let next = self.chains.len() as u32;
        let index = *self.chain_index.entry(chain.clone()).or_insert(next);
        if index == next {
            self.chains.push(chain);
        }
        self.subscriptions.push((subscription.id, index));
    }

    /// The nodes of a sale path. What an edge pays for what it bills follows from what its seller
    /// pays for the same time, also where the seller itself is billed another time.
    fn over_own_periods(
        &mut self,
        path: &[Step],
        nodes: impl Fn(&mut Self, &[Step]) -> Vec<NodeIndex>,
    ) -> Vec<NodeIndex> {
        let mut known: Vec<((i64, i64), Vec<NodeIndex>)> = Vec::with_capacity(1);
        for Step { period, .. } in path {
            if known.iter().all(|(of, _)| of != period) {
                let alike: Vec<Step> =
                    path.iter().map(|step| Step { period: *period, ..*step }).collect();
                known.push((*period, nodes(self, &alike)));
            }
        }
        let of = |period| known.iter().find(|(of, _)| *of == period).map(|(_, nodes)| nodes);
        let own = path.iter().enumerate();
        own.filter_map(|(at, step)| of(step.period)?.get(at).copied()).collect()
    }

    /// The nodes that bill a sale path whose edges all bill the same time.
    fn billed_nodes(&mut self, path: &[Step], offer: &Key) -> Vec<NodeIndex> {
        let mut nodes: Vec<NodeIndex> = Vec::with_capacity(path.len());
        let newest = self.newest_nodes(path, offer);
        for at in 0..path.len() {
            let priced = self.priced_by(path[at].pair, i64::MAX);
            let above = nodes.last().copied();
            let paid = match self.facts.restated {
                Some(_) => self.paid(&path[..at], priced.at, (offer, &newest)),
                None => above,
            };
            let node = self.node(path[at], priced.version, paid, (offer, newest.get(at).copied()));
            let node = if paid == above { node } else { self.detached(node) };
            nodes.push(node);
        }
        nodes
    }

    /// Adds the sale path again, by the draft.
    fn add_beside(&mut self, chain: &mut Chain, path: &[Step], subscription: &Subscription) {
        let (billed, draft) = (self.edge_index.len() as u32, self.newest + 1);
        let drafted = self.versions[draft].programme.subscriptions.get(&subscription.id);
        let drafted = drafted.unwrap_or(subscription);
        let period = |at| {
            let periods = self.drafted.as_ref().unwrap_or(&self.periods);
            periods.micros(subscription.id, at)
        };
        let beside = path.iter().enumerate().map(|(at, step)| {
            let edge = EdgeIndex(step.edge.0 + billed);
            Step { edge, period: period(at), ..*step }
        });
        let beside: Vec<Step> = beside.collect();
        let mut nodes = self.over_own_periods(&beside, |compiler, path| {
            let mut nodes: Vec<NodeIndex> = Vec::with_capacity(path.len());
            for step in path {
                let above = nodes.last().copied();
                nodes.push(compiler.node(*step, draft, above, (&drafted.offer, None)));
            }
            nodes
        });
        if let Some(first) = nodes.first_mut() {
            *first = self.less_credit(*first, draft, drafted);
        }
        chain.edges.extend(beside.iter().map(|step| step.edge));
        chain.nodes.extend(nodes);
    }

    /// By which version of the facts an edge is priced, by what was accepted up to an instant.
    fn priced_by(&self, pair: Pair, until: i64) -> PricedBy {
        let Some(restated) = self.facts.restated else {
            return PricedBy { version: 0, at: i64::MAX };
        };
        restated.restatements.priced_by(pair, until, self.first_agreed(pair))
    }

    /// The first version of the facts that knows an edge.
    fn first_agreed(&self, pair: Pair) -> usize {
        let versions = &self.versions[..self.newest];
        let first = versions.iter().position(|v| v.agreements.contains_key(&pair));
        first.unwrap_or(self.newest)
    }

    /// What the last buyer of a path paid, by what was accepted up to an instant.
    fn paid(
        &mut self,
        path: &[Step],
        until: i64,
        (offer, newest): (&Key, &[NodeIndex]),
    ) -> Option<NodeIndex> {
        let (last, above) = path.split_last()?;
        let priced = self.priced_by(last.pair, until);
        let paid = self.paid(above, priced.at, (offer, newest));
        let fallback = newest.get(above.len()).copied();
        Some(self.node(*last, priced.version, paid, (offer, fallback)))
    }

    /// The nodes of a sale path by the newest facts alone; none where nothing was restated.
    fn newest_nodes(&mut self, path: &[Step], offer: &Key) -> Vec<NodeIndex> {
        let mut nodes: Vec<NodeIndex> = Vec::new();
        if self.facts.restated.is_some() {
            for step in path {
                let above = nodes.last().copied();
                nodes.push(self.node(*step, self.newest, above, (offer, None)));
            }
        }
        nodes
    }

    /// The same node, for edges that keep to what their seller paid before.
    fn detached(&mut self, node: NodeIndex) -> NodeIndex {
        self.nodes[node.get()].is_detached = true;
        node
    }

    fn node(
        &mut self,
        Step { pair, edge, period }: Step,
        version: usize,
        parent: Option<NodeIndex>,
        (offer, fallback): (&Key, Option<NodeIndex>),
    ) -> NodeIndex {
        // The newest facts are their own fallback.
        let own = fallback.filter(|_| version == self.newest);
        if let Some(own) = own.filter(|own| self.nodes[own.get()].parent == parent) {
            return own;
        }
        let sheet = self.offer(version, offer).map(|offer| &offer.price_sheet);
        let first = self.first_agreed(pair);
        let of = &self.versions[version];
        let list = sheet.and_then(|sheet| of.lists.get(sheet)).copied();
        let agreement = of.agreements.get(&pair).copied();
        let currency = self.edges[edge.get()].currency;
        let agreed = agreement
            .and_then(|a| overlap(self.agreed(of.programme, a, period), period))
            .unwrap_or((period.0, period.0));
        let book = agreement.and_then(|a| of.books.get(&a.price_book)).copied();
        let exchange = agreement.map(|a| a.exchange);
        let is_billed = version <= self.newest;
        let keeps = is_billed && !exchange.is_some_and(|exchange| exchange.restated);
        let rates = if keeps { first } else { version };
        let key =
            NodeKey { parent, list, book, currency, exchange, rates, period, agreed, fallback };
        if let Some(node) = self.node_index.get(&key) {
            return *node;
        }
        let node = Node {
            parent,
            list,
            book,
            currency,
            period,
            agreed,
            rates: self.rates_into(currency, (exchange, rates), parent, list, book),
            buys: book.is_some_and(|book| self.books[book as usize].buys()),
            is_bought_from: false,
            fallback,
            credit: None,
            is_detached: false,
        };
        if let Some(parent) = node.parent.filter(|_| node.buys) {
            self.nodes[parent.get()].is_bought_from = true;
        }
        let index = NodeIndex(self.nodes.len() as u32);
        self.nodes.push(node);
        self.node_index.insert(key, index);
        index
    }

    /// When an agreement applies. Its terms also bill what lies before it and is billed with its
    /// first month, where another agreement goes before it.
    fn agreed(
        &self,
        programme: &Programme,
        agreement: &TradeAgreement,
        period: (i64, i64),
    ) -> (i64, i64) {
        let mut validity = agreement.validity;
        let (from, until) = validity.micros(&self.facts.programme.zone);
        if from <= period.0 || self.period.0 <= period.0 {
            return (from, until);
        }
        let of_pair =
            |a: &&TradeAgreement| (a.seller, a.buyer) == (agreement.seller, agreement.buyer);
        let earlier: Vec<_> = programme.agreements.iter().filter(of_pair).collect();
        while let Some(before) =
            earlier.iter().find(|a| a.validity.until() == Some(validity.from()))
        {
            validity = before.validity;
        }
        (validity.micros(&self.facts.programme.zone).0, until)
    }

    /// The node with the prices of another less what is earned on a subscription, by some version
    /// of the facts; the other one where nothing is.
    fn less_credit(
        &mut self,
        without: NodeIndex,
        version: usize,
        subscription: &Subscription,
    ) -> NodeIndex {
        let programme = self.versions[version].programme;
        let list = self.nodes[without.get()].list;
        let (lists, meters, known) = (&self.lists, self.meters.len(), &mut self.excluded);
        let excluded = |granted: &EarnedCredit| {
            let except: Vec<String> = granted.except.iter().map(ToString::to_string).collect();
            let known = known.entry((list, except.join("\n")));
            let list = list.map(|list| &lists[list as usize]);
            Arc::clone(known.or_insert_with(|| credit::excluded(list, &granted.except, meters)))
        };
        let month = (&self.facts.programme.zone, self.nodes[without.get()].period);
        let Some(credit) = Credit::of(programme, subscription, month, excluded) else {
            return without;
        };
        let credit = Arc::new(credit);
        if let Some(node) = self.credit_index.get(&(without, Arc::clone(&credit))) {
            return *node;
        }
        let index = NodeIndex(self.nodes.len() as u32);
        let of = &self.nodes[without.get()];
        self.nodes.push(Node {
            rates: of.rates.clone(),
            credit: Some((Arc::clone(&credit), without)),
            is_bought_from: false,
            ..*of
        });
        self.credit_index.insert((without, credit), index);
        index
    }

    /// The rates into a currency that the rules of a node may need. A missing one is kept with its
    /// reason, and matters only when usage meets it.
    fn rates_into(
        &self,
        to: Currency,
        (exchange, version): (Option<ExchangePolicy>, usize),
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
            .map(|from| (from, self.rate(from, to, exchange, version).map_err(Arc::from)))
            .collect()
    }

    /// A rate as some version of the facts knows it; one that it does not know, as the first one
    /// that does.
    fn rate(
        &self,
        from: Currency,
        to: Currency,
        exchange: ExchangePolicy,
        version: usize,
    ) -> std::result::Result<domain::AppliedRate, String> {
        let find = |of: &Version<'_>| of.rates.find(from, to, exchange, self.month);
        let later = &self.versions[version..=self.newest.max(version)];
        let found = later.iter().find_map(|version| find(version).ok());
        match (found, later.last()) {
            (Some(rate), _) => Ok(rate),
            (None, Some(newest)) => find(newest),
            (None, None) => Err("no version of the facts".to_owned()),
        }
    }
}

/// An edge on the terms of an agreement.
fn edge_of(agreement: &TradeAgreement) -> Edge {
    Edge {
        seller: agreement.seller,
        buyer: agreement.buyer,
        currency: agreement.currency,
        rounding: agreement.rounding,
        payment_terms_days: agreement.payment_terms_days,
        is_received: agreement.rated == RatedBy::Seller,
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
