//! The prices behind a month's bill: what a buyer paid, which subscriptions by which prices, and,
//! for the seller alone, how each price was made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::{Derivation, OfferFamily, Tiers};
use kernel::{Currency, Error, Percent, Result, UnitPrice, Zone, micros_instant};
use rating::{
    Derived, EdgeIndex, Interval, MeterIndex, NodeIndex, Origin, Price, RateBook, SubscriptionIndex,
};

use store::InvoiceRow;

use super::{Frozen, WantedEdge};
use crate::close::adjustment;
use crate::facts::Known;
use crate::frozen::{groups_name, read_groups};
use crate::naming::Naming;
use crate::taxes::Taxation;

/// The columns of `prices.csv`.
const PRICES: [&str; 22] = [
    "PriceList",
    "MeterId",
    "MeterName",
    "MeterCategory",
    "MeterSubCategory",
    "MeterRegion",
    "Unit",
    "ProductId",
    "ProductName",
    "SkuId",
    "SkuName",
    "PublisherName",
    "EffectiveFrom",
    "EffectiveUntil",
    "Tier",
    "TierFrom",
    "UnitPrice",
    "EffectiveUnitPrice",
    "PricingCurrency",
    "PCToBCExchangeRate",
    "PCToBCExchangeRateDate",
    "PriceAdjustmentDescription",
];

/// The columns of `subscriptions.csv`.
const SUBSCRIPTIONS: [&str; 14] = [
    "SubscriptionId",
    "SubscriptionDescription",
    "CustomerId",
    "CustomerName",
    "CustomerDomainName",
    "CustomerCountry",
    "SubscriptionStartDate",
    "SubscriptionEndDate",
    "PriceList",
    "TaxCategory",
    "TaxRate",
    "OfferFamily",
    "ChargeStartDate",
    "ChargeEndDate",
];

/// The columns of `charged-days.csv`: first and last day.
const CHARGED_DAYS: [&str; 5] =
    ["SubscriptionId", "Seller", "Buyer", "ChargeStartDate", "ChargeEndDate"];

/// The columns of `credits.csv`. Days, the second exclusive; the scope is empty for everything.
const CREDITS: [&str; 4] = ["SubscriptionId", "Scope", "EarnedFrom", "EarnedUntil"];

/// The columns of `derivations.csv`.
const DERIVATIONS: [&str; 21] = [
    "Buyer",
    "PriceList",
    "MeterId",
    "EffectiveFrom",
    "EffectiveUntil",
    "Tier",
    "TierFrom",
    "PriceBook",
    "Selector",
    "RuleFrom",
    "RuleUntil",
    "Derivation",
    "Percent",
    "Source",
    "SourcePriceList",
    "SourcePrice",
    "SourceCurrency",
    "SourceExchangeRate",
    "ExchangeRate",
    "EffectiveUnitPrice",
    "PricingCurrency",
];

/// How many digits prices have before and behind the point.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PriceDigits {
    pub whole: u8,
    pub decimals: u8,
}

/// Which prices each edge used.
pub(crate) struct PriceLists<'a> {
    pub book: &'a RateBook,
    pub naming: &'a Naming<'a>,
    known: &'a Known,
    edges: BTreeMap<EdgeIndex, EdgeLists>,
    /// The edges that have an invoice with these prices, and those that others bill.
    billed: BTreeSet<EdgeIndex>,
    /// The subscriptions of which the edges bill different days.
    uneven: BTreeSet<SubscriptionIndex>,
}

/// The price lists of an edge: buyers may pay by several where their sale paths differ.
#[derive(Default)]
struct EdgeLists {
    /// The first one is list 1.
    nodes: Vec<NodeIndex>,
    subscriptions: BTreeMap<SubscriptionIndex, NodeIndex>,
    /// The prices less credit of those that earn some.
    credited: BTreeMap<SubscriptionIndex, NodeIndex>,
    /// What is used of legacy offers.
    legacy: BTreeSet<(SubscriptionIndex, MeterIndex)>,
    /// What earns credit.
    charged: BTreeSet<(NodeIndex, MeterIndex)>,
    /// What was used, and a subscription that used it.
    used: BTreeMap<(NodeIndex, MeterIndex), SubscriptionIndex>,
    /// By which edge the seller itself bought, and at which of its prices: not always those that
    /// it is billed now, where they have been restated.
    sources: BTreeMap<NodeIndex, (EdgeIndex, NodeIndex)>,
}

/// A subscription and a meter, and the position of an edge that bills them.
pub(crate) type Run = (SubscriptionIndex, MeterIndex, usize);

impl EdgeLists {
    fn number(&self, node: NodeIndex) -> String {
        self.nodes.binary_search(&node).map_or_else(|_| String::new(), |at| (at + 1).to_string())
    }
}

impl<'a> PriceLists<'a> {
    /// Finds the prices that the groups of a close were billed by.
    pub fn of_frozen(frozen: &'a Frozen, naming: &'a Naming<'a>) -> Result<Self> {
        let (mut runs, months) = (Vec::new(), frozen.book.bills_months());
        for partition in 0..frozen.usage.partitioning.len() {
            let name = format!("{}/rated-lines/{}", frozen.close.month, groups_name(partition));
            let groups = read_groups(&frozen.document(&name)?, &frozen.book)?;
            runs.extend(groups.iter().map(|group| {
                let position = usize::from(group.position);
                (group.subscription, group.meter, if months { 0 } else { position })
            }));
            runs.dedup();
        }
        Ok(Self::of((&frozen.known, &frozen.book), &frozen.invoices, naming, runs))
    }

    /// The prices of some subscriptions and meters, which some invoices bill. The positions say on
    /// which edges, where the edges of a sale path bill different days.
    pub fn of(
        (known, book): (&'a Known, &'a RateBook),
        invoices: &[InvoiceRow],
        naming: &'a Naming<'a>,
        runs: impl IntoIterator<Item = Run>,
    ) -> Self {
        let mut edges: BTreeMap<EdgeIndex, EdgeLists> = BTreeMap::new();
        let (mut current, mut uneven_ones) = (None, BTreeSet::new());
        for (subscription, meter, position) in runs {
            let uneven = book.is_uneven(subscription);
            if uneven {
                uneven_ones.insert(subscription);
            }
            let family = match current {
                Some((same, family)) if same == subscription => family,
                _ => naming.family(subscription),
            };
            current = Some((subscription, family));
            let (path, nodes) = (book.path(subscription), book.nodes(subscription));
            for (at, (edge, node)) in path.iter().zip(nodes).enumerate() {
                if uneven && position != at {
                    continue;
                }
                let lists = edges.entry(*edge).or_default();
                if family == OfferFamily::Legacy {
                    lists.legacy.insert((subscription, meter));
                }
                if book.earned(*node).is_some() {
                    lists.credited.insert(subscription, *node);
                    lists.charged.insert((*node, meter));
                }
                // Price lists are the same with and without credit.
                let node = &book.without_credit(*node);
                lists.subscriptions.insert(subscription, *node);
                lists.used.entry((*node, meter)).or_insert(subscription);
                if let Some((above, paid)) = at.checked_sub(1).zip(book.bought_at(*node)) {
                    lists.sources.entry(*node).or_insert((path[above], paid));
                }
            }
        }
        for lists in edges.values_mut() {
            let nodes: BTreeSet<NodeIndex> = lists.subscriptions.values().copied().collect();
            lists.nodes = nodes.into_iter().collect();
        }
        let mut billed: BTreeSet<EdgeIndex> =
            invoices.iter().filter_map(|i| book.find_edge(i.seller, i.buyer)).collect();
        let received = edges.keys().filter(|edge| book.edges()[edge.get()].is_received);
        billed.extend(received.copied());
        Self { book, naming, known, edges, billed, uneven: uneven_ones }
    }

    /// How long effective prices are.
    pub fn digits(&self) -> PriceDigits {
        let mut digits = PriceDigits::default();
        let pairs = self.edges.values().flat_map(|l| l.used.keys().chain(&l.charged));
        for (node, meter) in pairs.collect::<BTreeSet<_>>() {
            for (.., price) in self.priced(*node, *meter) {
                for tier in &price.tiers {
                    let (mantissa, decimals) = tier.effective_unit_price.trimmed();
                    let length = mantissa.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
                    digits.whole = digits.whole.max((length as u8).saturating_sub(decimals));
                    digits.decimals = digits.decimals.max(decimals);
                }
            }
        }
        digits
    }

    /// The prices of a meter over the month.
    fn priced(&self, node: NodeIndex, meter: MeterIndex) -> Vec<(i64, i64, Price)> {
        let schedule = self.book.schedule(node, meter);
        let priced = |interval: &Interval| {
            let credited = interval.credited.as_ref().map(|credited| credited.price.clone());
            let prices = interval.price.clone().ok().into_iter().chain(credited);
            let (from, until) = (interval.from, interval.until);
            prices.map(move |price| (from, until, price)).collect::<Vec<_>>()
        };
        schedule.intervals.iter().flat_map(priced).collect()
    }

    /// What is used of legacy offers on an edge.
    pub fn legacy_runs(
        &self,
        edge: EdgeIndex,
    ) -> impl Iterator<Item = (SubscriptionIndex, MeterIndex)> + '_ {
        self.edges.get(&edge).into_iter().flat_map(|lists| lists.legacy.iter().copied())
    }

    /// The edges here whose seller rates them.
    pub fn rated_by_seller(&self) -> impl Iterator<Item = EdgeIndex> + '_ {
        let edges = self.edges.keys().copied();
        edges.filter(|edge| self.book.edges()[edge.get()].is_received)
    }

    /// Writes which days each edge bills of the subscriptions of which not all edges bill the same.
    pub fn write_charged_days(&self, place: &Path) -> Result<()> {
        if self.uneven.is_empty() {
            return Ok(());
        }
        std::fs::create_dir_all(place).map_err(Error::file(place))?;
        let mut table = Table::create(&place.join("charged-days.csv"), &CHARGED_DAYS)?;
        let day = |midnight| Zone::UTC.day_of(micros_instant(midnight)).to_string();
        for subscription in &self.uneven {
            for edge in self.book.path(*subscription) {
                let terms = &self.book.edges()[edge.get()];
                let rows = self.naming.rows_of(*subscription, *edge);
                table.row(&[
                    rows.id,
                    self.naming.key(terms.seller),
                    self.naming.key(terms.buyer),
                    &day(rows.charged.0),
                    &day(rows.charged.1),
                ])?;
            }
        }
        table.finish()
    }

    /// Writes the price lists of an edge, which its buyer may know.
    pub fn write_prices(&self, edge: EdgeIndex, folder: &Path) -> Result<()> {
        let empty = EdgeLists::default();
        let lists = self.edges.get(&edge).unwrap_or(&empty);
        let currency = self.book.edges()[edge.get()].currency;
        let mut prices = Table::create(&folder.join("prices.csv"), &PRICES)?;
        for ((node, meter), subscription) in &lists.used {
            let product = self.naming.product(*subscription, *meter);
            for (from, until, price) in self.priced(*node, *meter) {
                let exchange_date = exchange_date(&price, currency);
                for (at, tier) in price.tiers.iter().enumerate() {
                    let adjustment =
                        adjustment(self.book.derivation(*node, *meter, from), &price.stated(tier));
                    prices.row(&[
                        &lists.number(*node),
                        product.meter_id,
                        product.meter_name,
                        product.category,
                        product.subcategory,
                        product.region,
                        product.unit,
                        product.product_id,
                        product.product_name(),
                        product.sku_id,
                        product.sku_name(),
                        product.publisher,
                        &instant(from),
                        &instant(until),
                        &at.to_string(),
                        &tier.from.to_string(),
                        &tier.unit_price.to_string(),
                        &tier.effective_unit_price.to_string(),
                        price.pricing_currency.code(),
                        &price.rate.rate.to_string(),
                        &exchange_date,
                        &adjustment,
                    ])?;
                }
            }
        }
        prices.finish()
    }

    /// Writes what the buyer of an edge may know; says which credit is earned on it.
    pub fn write(&self, edge: &WantedEdge<'_>) -> Result<Option<Percent>> {
        self.write_prices(edge.edge, &edge.folder)?;
        let empty = EdgeLists::default();
        let lists = self.edges.get(&edge.edge).unwrap_or(&empty);
        let mut table = Table::create(&edge.folder.join("subscriptions.csv"), &SUBSCRIPTIONS)?;
        let taxation = Taxation::new(self.known, self.book);
        let day = |midnight| Zone::UTC.day_of(micros_instant(midnight)).to_string();
        for (subscription, node) in &lists.subscriptions {
            let tax = taxation.of_subscription(edge.edge, *subscription)?;
            let rows = self.naming.rows_of(*subscription, edge.edge);
            table.row(&[
                rows.id,
                rows.name,
                rows.customer.id,
                rows.customer.name,
                rows.customer.domain,
                rows.customer.country,
                &instant(rows.start),
                &rows.end.map_or_else(String::new, instant),
                &lists.number(*node),
                &tax.category.to_string(),
                &tax.rate.to_string(),
                &self.naming.family(*subscription).to_string(),
                &day(rows.charged.0),
                &day(rows.charged.1),
            ])?;
        }
        table.finish()?;
        self.write_credits(lists, &edge.folder)
    }

    /// Writes where and when credit is earned, and on which of the used meters not.
    fn write_credits(&self, lists: &EdgeLists, folder: &Path) -> Result<Option<Percent>> {
        let earned = |node| self.book.earned(node);
        let Some((percent, _)) = lists.credited.values().find_map(|node| earned(*node)) else {
            return Ok(None);
        };
        let zone = &self.known.programme.zone;
        let day = |micros: i64| zone.day_of(micros_instant(micros)).to_string();
        let mut table = Table::create(&folder.join("credits.csv"), &CREDITS)?;
        for (subscription, node) in &lists.credited {
            let id = self.book.subscription_id(*subscription).to_string();
            let scopes = earned(*node).map_or(&[][..], |(_, scopes)| scopes);
            for (scope, parts) in scopes {
                for (from, until) in parts {
                    table.row(&[&id, scope.as_str(), &day(*from), &day(*until)])?;
                }
            }
        }
        table.finish()?;
        let mut table = Table::create(&folder.join("credit-exceptions.csv"), &["MeterId"])?;
        let pairs = lists.charged.iter();
        let excepted = pairs.filter(|(node, meter)| self.book.earns_nothing(*node, *meter));
        for meter in excepted.map(|(_, meter)| *meter).collect::<BTreeSet<_>>() {
            table.row(&[self.book.meters()[meter.get()].as_str()])?;
        }
        table.finish()?;
        Ok(Some(percent))
    }

    /// Writes how each seller made its prices: one file a seller, in its own folder.
    pub fn write_derivations(&self, wanted: &[WantedEdge<'_>], place: &Path) -> Result<()> {
        for edges in wanted.chunk_by(|a, b| a.seller == b.seller) {
            let Some(seller) = edges.first().map(|edge| edge.seller) else { continue };
            let folder = place.join(seller);
            let mut table = Table::create(&folder.join("derivations.csv"), &DERIVATIONS)?;
            for edge in edges {
                if let Some(lists) = self.edges.get(&edge.edge) {
                    self.derivations(edge, lists, &mut table)?;
                }
            }
            table.finish()?;
        }
        Ok(())
    }

    fn derivations(
        &self,
        edge: &WantedEdge<'_>,
        lists: &EdgeLists,
        table: &mut Table,
    ) -> Result<()> {
        let book = self.book;
        for (node, meter) in lists.used.keys() {
            for (from, until, price) in self.priced(*node, *meter) {
                let derived = book.derived(*node, *meter, from);
                let derived = derived.ok_or_else(|| Error::internal("a price without a rule"))?;
                let source = self.source(&derived, lists, (*node, *meter));
                let made = Made::of(&derived);
                for (at, tier) in price.tiers.iter().enumerate() {
                    let source_price = made.prices.get(at).copied().unwrap_or(UnitPrice::ZERO);
                    table.row(&[
                        edge.buyer,
                        &lists.number(*node),
                        book.meters()[meter.get()].as_str(),
                        &instant(from),
                        &instant(until),
                        &at.to_string(),
                        &tier.from.to_string(),
                        derived.book.as_str(),
                        &derived.selector.to_string(),
                        &instant_or_open(derived.rule.0),
                        &instant_or_open(derived.rule.1),
                        made.name,
                        &made.percent.to_string(),
                        &source.0,
                        &source.1,
                        &source_price.to_string(),
                        &made.currency,
                        &made.source_rate,
                        &made.rate,
                        &tier.effective_unit_price.to_string(),
                        price.pricing_currency.code(),
                    ])?;
                }
            }
        }
        Ok(())
    }

    /// Where the price before the rule stands: in a price sheet, or in the price list of whoever
    /// sells to the seller.
    fn source(
        &self,
        derived: &Derived<'_>,
        lists: &EdgeLists,
        (node, meter): (NodeIndex, MeterIndex),
    ) -> (String, String) {
        match &derived.origin {
            Origin::List { sheet, .. } => (format!("price sheet {sheet}"), String::new()),
            Origin::Rule => ("rule".to_owned(), String::new()),
            Origin::Bought { .. } => {
                let Some((edge, above)) = lists.sources.get(&node) else {
                    return Default::default();
                };
                let seller = self.book.edges()[edge.get()].seller;
                // Another subscription may be billed by the same list, and the meter on other days.
                let billed = self.edges.get(edge).filter(|lists| {
                    self.billed.contains(edge) && lists.used.contains_key(&(*above, meter))
                });
                let number = billed.map_or_else(String::new, |lists| lists.number(*above));
                (format!("bought from {}", self.naming.key(seller)), number)
            }
        }
    }
}

/// What a rule makes a price from, as cells.
struct Made {
    name: &'static str,
    percent: Percent,
    prices: Vec<UnitPrice>,
    currency: String,
    source_rate: String,
    rate: String,
}

impl Made {
    fn of(derived: &Derived<'_>) -> Self {
        let (name, percent) = match derived.derivation {
            Derivation::ListMinus(percent) => ("list minus", *percent),
            Derivation::BuyPlus(percent) => ("buy plus", *percent),
            Derivation::Fixed { .. } => ("fixed", Percent::ZERO),
        };
        let stated = |tiers: &Tiers, currency: &Currency| {
            let prices = tiers.as_slice().iter().map(|tier| tier.price).collect();
            (prices, currency.code(), "1".to_owned(), "1".to_owned())
        };
        let (prices, currency, source_rate, rate) = match (&derived.origin, derived.derivation) {
            (Origin::List { currency, tiers, .. }, _) => stated(tiers, currency),
            (Origin::Rule, Derivation::Fixed { currency, tiers }) => stated(tiers, currency),
            (Origin::Bought { price, rate, .. }, _) => {
                let prices = price.tiers.iter().map(|tier| tier.effective_unit_price).collect();
                let source_rate = price.rate.rate.to_string();
                (prices, price.pricing_currency.code(), source_rate, rate.rate.to_string())
            }
            (Origin::Rule, _) => (Vec::new(), "", String::new(), String::new()),
        };
        Self { name, percent, prices, currency: currency.to_owned(), source_rate, rate }
    }
}

/// The day of the exchange rate, where something is exchanged.
fn exchange_date(price: &Price, currency: Currency) -> String {
    if price.pricing_currency == currency {
        return String::new();
    }
    Zone::UTC.start_of(price.rate.day).to_string()
}

fn instant(micros: i64) -> String {
    micros_instant(micros).to_string()
}

/// An instant, or nothing where there is no bound.
fn instant_or_open(micros: i64) -> String {
    if micros == i64::MAX || micros == i64::MIN { String::new() } else { instant(micros) }
}

/// A small table of text.
pub(super) struct Table {
    writer: csv::Writer<std::fs::File>,
    path: std::path::PathBuf,
}

impl Table {
    /// Starts a file with a header.
    pub fn create(path: &Path, columns: &[&str]) -> Result<Self> {
        let file = std::fs::File::create(path).map_err(Error::file(path))?;
        let mut table = Self { writer: csv::Writer::from_writer(file), path: path.to_owned() };
        table.row(columns)?;
        Ok(table)
    }

    /// Appends a row.
    pub fn row(&mut self, cells: &[&str]) -> Result<()> {
        let path = &self.path;
        self.writer.write_record(cells).map_err(|error| Error::file(path)(error.into()))
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(Error::file(&self.path))
    }
}
