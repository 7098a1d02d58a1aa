//! A small programme to rate in: built by sentences, rated in one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Decimal128Array, DictionaryArray, RecordBatch, TimestampMicrosecondArray};
use domain::{
    Derivation, ExchangePolicy, ExchangeRates, Fixing, ListPrice, ListedMeter, Meter, NumberSeries,
    Offer, OfferFamily, Organisation, PriceBook, PriceRule, PriceSheet, Programme, RateSource,
    RatedBy, Role, RoundingPolicy, Selector, Subscription, Tier, Tiers, TradeAgreement, Validity,
};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{
    ExchangeRate, Key, MeterId, OrganisationId, Quantity, Result, Rounding, SubscriptionId, Zone,
};
use rating::{Facts, Group, LineExtents, LineNames, Output, RateBook, Rater, Unpriced, columns};

pub(crate) const MONTH: &str = "2026-10";

pub(crate) struct World {
    pub programme: Programme,
    pub sheets: BTreeMap<Key, PriceSheet>,
    pub rates: ExchangeRates,
}

/// One usage record: subscription, meter, start, end, quantity.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub subscription: SubscriptionId,
    pub meter: String,
    pub start: i64,
    pub end: i64,
    pub quantity: Quantity,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Rated {
    pub groups: Vec<Group>,
    pub unpriced: Vec<Unpriced>,
    pub lines: Vec<RecordBatch>,
    pub extents: LineExtents,
}

impl Output for Rated {
    fn group(&mut self, group: &Group) -> Result<()> {
        self.groups.push(*group);
        Ok(())
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        self.unpriced.push(unpriced);
        Ok(())
    }

    fn lines(&mut self, batch: RecordBatch) -> Result<()> {
        self.lines.push(batch);
        Ok(())
    }
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn micros(text: &str) -> i64 {
    let instant: Timestamp = text.parse().unwrap();
    instant.as_microsecond()
}

pub(crate) fn from(text: &str) -> Validity {
    Validity::new(day(text), None).unwrap()
}

pub(crate) fn between(from: &str, until: &str) -> Validity {
    Validity::new(day(from), Some(day(until))).unwrap()
}

/// `0:0 5:2.99`: nothing up to five units, 2.99 each above.
pub(crate) fn tiers(text: &str) -> Tiers {
    let tier = |tier: &str| {
        let (from, price) = tier.split_once(':').unwrap();
        Tier { from: from.parse().unwrap(), price: price.parse().unwrap() }
    };
    Tiers::new(text.split(' ').map(tier).collect()).unwrap()
}

impl World {
    /// A provider whose list `list` is in `currency`, and nobody else.
    pub fn new(currency: &str) -> Self {
        let mut programme = Programme::new("test".into(), Zone::UTC);
        let offer = Offer {
            key: key("plan"),
            name: "Plan".into(),
            family: OfferFamily::Plan,
            price_sheet: key("list"),
            tax_category: "standard".parse().unwrap(),
        };
        programme.offers.insert(offer.key.clone(), offer);
        let sheet =
            PriceSheet { key: key("list"), currency: currency.parse().unwrap(), meters: vec![] };
        let sheets = BTreeMap::from([(key("list"), sheet)]);
        Self { programme, sheets, rates: ExchangeRates::default() }
    }

    /// Lists a meter of a category at graduated prices with their first instants.
    pub fn list(&mut self, meter: &str, category: &str, prices: &[(&str, &str)]) -> &mut Self {
        let text = String::new;
        let details = Meter {
            id: meter.parse().unwrap(),
            name: meter.to_owned(),
            category: category.to_owned(),
            subcategory: text(),
            region: text(),
            unit: text(),
            product_id: format!("product-{category}"),
            product_title: format!("All of {category}"),
            sku_id: text(),
            sku_title: text(),
            publisher: text(),
            tags: text(),
        };
        let price = |(from, price): &(&str, &str)| ListPrice {
            from: if *from == "ever" { i64::MIN } else { micros(from) },
            until: None,
            tiers: tiers(price),
        };
        let prices = prices.iter().map(price).collect();
        let sheet = self.sheets.get_mut(&key("list")).unwrap();
        sheet.meters.push(ListedMeter { meter: details, prices });
        sheet.meters.sort_by(|a, b| a.meter.id.cmp(&b.meter.id));
        self
    }

    fn organisation(&mut self, name: &str, role: Role) -> OrganisationId {
        let id = OrganisationId::derived(name);
        self.programme.organisations.entry(id).or_insert_with(|| Organisation {
            id,
            key: key(name),
            role,
            name: name.to_owned(),
            country: "NO".parse().unwrap(),
            domain: None,
            mpn_id: None,
            series: NumberSeries { prefix: format!("{name}-"), digits: 4 },
        });
        id
    }

    /// `seller` sells to `buyer` in a currency by rules: selector, validity, derivation.
    pub fn sells(
        &mut self,
        seller: &str,
        buyer: &str,
        currency: &str,
        rules: &[(&str, Validity, Derivation)],
    ) -> &mut Self {
        let book = key(&format!("{seller}-to-{buyer}"));
        let (seller, buyer) = (
            self.organisation(seller, Role::IndirectReseller),
            self.organisation(buyer, Role::IndirectReseller),
        );
        let rules = rules.iter().map(|(selector, validity, derivation)| PriceRule {
            selector: selector.parse::<Selector>().unwrap(),
            validity: *validity,
            derivation: derivation.clone(),
        });
        let rules = rules.collect();
        self.programme
            .price_books
            .insert(book.clone(), PriceBook { key: book.clone(), seller, rules });
        self.programme.agreements.push(TradeAgreement {
            seller,
            buyer,
            validity: from("2026-01-01"),
            currency: currency.parse().unwrap(),
            price_book: book,
            rated: RatedBy::Here,
            rounding: RoundingPolicy::Once(Rounding::HalfEven),
            exchange: ExchangePolicy {
                source: RateSource::Programme,
                fixing: Fixing::PeriodStart,
                restated: false,
            },
            tax_rounding: Rounding::HalfUp,
            correction_months: None,
            calendars: domain::Calendars::default(),
            payment_terms_days: 30,
        });
        self
    }

    /// A subscription sold along a path.
    pub fn subscription(&mut self, name: &str, path: &[&str]) -> SubscriptionId {
        let id = SubscriptionId::derived(name);
        let path = path.iter().map(|name| OrganisationId::derived(name)).collect();
        self.programme.subscriptions.insert(
            id,
            Subscription {
                id,
                name: name.to_owned(),
                offer: key("plan"),
                path,
                validity: from("2026-01-01"),
                entitlements: vec![],
            },
        );
        id
    }

    /// An agreed exchange rate of the month.
    pub fn rate(&mut self, from: &str, to: &str, rate: &str) -> &mut Self {
        let rate = ExchangeRate::parse(rate).unwrap();
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        self.rates.add_agreed(from, to, MONTH.parse().unwrap(), rate);
        self
    }

    pub fn book(&self, usage: &[Usage]) -> RateBook {
        let facts = Facts {
            programme: &self.programme,
            sheets: &self.sheets,
            rates: &self.rates,
            restated: None,
            only: None,
        };
        let used: Vec<MeterId> = usage.iter().map(|u| u.meter.parse().unwrap()).collect();
        RateBook::compile(facts, MONTH.parse().unwrap(), &used).unwrap()
    }

    /// Rates usage in batches of so many rows: first groups, then groups and lines.
    pub fn rate_usage(&self, usage: &[Usage], rows_per_batch: usize) -> (RateBook, Rated) {
        let book = self.book(usage);
        let batches = batches(usage, rows_per_batch);
        let groups_only = run(&book, None, &batches);
        let names = LineNames::new(&book, 7);
        let rated = run(&book, Some(&names), &batches);
        assert_eq!(groups_only.groups, rated.groups, "lines change nothing");
        assert_eq!(groups_only.extents, rated.extents);
        (book, rated)
    }

    /// Rates usage and writes the groups as `seller>buyer meter tier: quantity = money`.
    pub fn groups(&self, usage: &[Usage]) -> Vec<String> {
        let (book, rated) = self.rate_usage(usage, 1000);
        assert_eq!(rated.unpriced, []);
        rated.groups.iter().map(|group| self.describe(&book, group)).collect()
    }

    pub fn describe(&self, book: &RateBook, group: &Group) -> String {
        let edge = &book.edges()[group.edge.get()];
        format!(
            "{}>{} {} {}: {} = {}",
            self.programme.key_of(edge.seller),
            self.programme.key_of(edge.buyer),
            book.meters()[group.meter.get()],
            group.tier,
            group.quantity,
            group.money
        )
    }
}

fn run(book: &RateBook, names: Option<&LineNames>, batches: &[RecordBatch]) -> Rated {
    let mut out = Rated::default();
    let mut rater = Rater::new(book, names);
    for batch in batches {
        rater.push(batch, &mut out).unwrap();
    }
    out.extents = rater.finish(&mut out).unwrap();
    out
}

pub(crate) fn usage(
    subscription: SubscriptionId,
    meter: &str,
    start: &str,
    end: &str,
    quantity: &str,
) -> Usage {
    Usage {
        subscription,
        meter: meter.to_owned(),
        start: micros(start),
        end: micros(end),
        quantity: quantity.parse().unwrap(),
    }
}

/// The usage in canonical order, in batches.
pub(crate) fn batches(usage: &[Usage], rows_per_batch: usize) -> Vec<RecordBatch> {
    let mut usage = usage.to_vec();
    usage.sort_by_key(|u| (u.subscription, u.meter.clone(), u.start));
    usage.chunks(rows_per_batch.max(1)).map(batch).collect()
}

fn batch(usage: &[Usage]) -> RecordBatch {
    let ids: DictionaryArray<Int32Type> = usage
        .iter()
        .map(|u| u.subscription.to_string())
        .collect::<Vec<_>>()
        .iter()
        .map(String::as_str)
        .collect();
    let meters: DictionaryArray<Int32Type> = usage.iter().map(|u| u.meter.as_str()).collect();
    let times = |time: fn(&Usage) -> i64| {
        TimestampMicrosecondArray::from_iter_values(usage.iter().map(time)).with_timezone("UTC")
    };
    let quantities = usage.iter().map(|u| u.quantity.mantissa());
    let quantities = Decimal128Array::from_iter_values(quantities).with_precision_and_scale(38, 15);
    RecordBatch::try_from_iter([
        (columns::SUBSCRIPTION_ID, Arc::new(ids) as arrow_array::ArrayRef),
        (columns::METER_ID, Arc::new(meters)),
        (columns::USAGE_START, Arc::new(times(|u| u.start))),
        (columns::USAGE_END, Arc::new(times(|u| u.end))),
        (columns::QUANTITY, Arc::new(quantities.unwrap())),
    ])
    .unwrap()
}
