//! A distributor's month: one provider, one distributor, a hundred resellers, eight thousand
//! customers with five subscriptions each; eight thousand meters, of which every twentieth has
//! tiers; rules of its own on every edge.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use domain::{
    Derivation, ExchangePolicy, ExchangeRates, Fixing, ListPrice, ListedMeter, Meter, NumberSeries,
    Offer, OfferFamily, Organisation, PriceBook, PriceRule, PriceSheet, Programme, RateSource,
    RatedBy, Role, RoundingPolicy, Selector, Subscription, Tier, Tiers, TradeAgreement, Validity,
};
use kernel::{
    Currency, Error, ExchangeRate, Key, MeterId, Month, OrganisationId, Percent, Quantity, Result,
    Rounding, SubscriptionId, UnitPrice, Zone, instant_micros,
};
use lake::usage::{SegmentInfo, UsageChunk, UsageDetails, UsageRecord};
use lake::{ColumnarWriter, PartitionHash};
use rating::{Facts, PriceFacts, RateBook};

use crate::Ctx;
use crate::facts::Known;
use crate::partitions::in_parallel;

const RESELLERS: usize = 100;
const CUSTOMERS: usize = 8_000;
const SUBSCRIPTIONS_EACH: usize = 5;
const METERS: usize = 8_000;
/// Every so-many-th meter has tiers.
const TIERED_EVERY: usize = 20;
/// Lines that a subscription has of one meter, at most: about one a day.
const LINES_PER_METER: usize = 25;
/// Lines of a segment, about.
const LINES_PER_SEGMENT: u64 = 1 << 20;
/// Decimals of a price in the tables for other programs.
const PEER_DECIMALS: u8 = 20;

/// The made-up month.
pub(super) struct World {
    lines: u64,
    programme: Programme,
    sheets: BTreeMap<Key, PriceSheet>,
    rates: ExchangeRates,
    meters: Vec<MeterId>,
    /// Customers in the order of their partition hashes.
    customers: Vec<(OrganisationId, usize)>,
}

/// Numbers without a pattern (`xorshift`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[expect(clippy::expect_used, reason = "constants of this file")]
fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a constant of the benchmark")
}

fn customer(number: usize) -> OrganisationId {
    OrganisationId::derived(&format!("c{number}"))
}

fn subscription(customer: usize, number: usize) -> SubscriptionId {
    SubscriptionId::derived(&format!("c{customer}/s{number}"))
}

fn meter(number: usize) -> MeterId {
    parsed(&format!("{number:08x}-1111-4000-8000-{:012x}", number * 7))
}

fn since() -> Validity {
    let from = parsed("2026-01-01");
    Validity::new(from, None).unwrap_or_else(|| unreachable!("it has no end"))
}

impl World {
    pub fn currency() -> Currency {
        parsed("EUR")
    }

    pub fn month() -> Month {
        parsed("2026-10")
    }

    pub fn new(lines: u64) -> Self {
        let mut programme = Programme::new("Benchmark".into(), Zone::UTC);
        let plan: Key = parsed("plan");
        let offer = Offer {
            key: plan.clone(),
            name: "Plan".into(),
            family: OfferFamily::Plan,
            price_sheet: parsed("list"),
            tax_category: parsed("standard"),
        };
        programme.offers.insert(plan, offer);
        let mut rates = ExchangeRates::default();
        let rate = ExchangeRate::parse("0.895094880057");
        let rate = rate.unwrap_or_else(|_| unreachable!("a constant"));
        rates.add_agreed(parsed("USD"), Self::currency(), Self::month(), rate);
        let mut world = Self {
            lines,
            programme,
            sheets: BTreeMap::from([(parsed("list"), sheet())]),
            rates,
            meters: (0..METERS).map(meter).collect(),
            customers: (0..CUSTOMERS).map(|number| (customer(number), number)).collect(),
        };
        world.customers.sort_by_key(|(id, _)| PartitionHash::of(&id.to_string()));
        world.path();
        world
    }

    fn organisation(&mut self, name: &str, role: Role) -> OrganisationId {
        let id = OrganisationId::derived(name);
        let organisation = Organisation {
            id,
            key: parsed(name),
            role,
            name: name.into(),
            country: parsed("NO"),
            domain: None,
            mpn_id: None,
            series: NumberSeries { prefix: name.into(), digits: 6 },
        };
        self.programme.organisations.insert(id, organisation);
        id
    }

    /// A book with one rule for all and one for each of ten categories.
    fn price_book(&mut self, key: &str, seller: OrganisationId, rule: impl Fn(i32) -> Derivation) {
        let all = PriceRule { selector: Selector::All, validity: since(), derivation: rule(0) };
        let categories = (0..10).map(|category| PriceRule {
            selector: Selector::Category(format!("category {category}")),
            validity: since(),
            derivation: rule(1 + category),
        });
        let rules = std::iter::once(all).chain(categories).collect();
        let key: Key = parsed(key);
        self.programme.price_books.insert(key.clone(), PriceBook { key, seller, rules });
    }

    fn agree(&mut self, seller: OrganisationId, buyer: OrganisationId, book: &str) {
        self.programme.agreements.push(TradeAgreement {
            seller,
            buyer,
            validity: since(),
            currency: Self::currency(),
            price_book: parsed(book),
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
    }

    /// Who sells to whom by which rules.
    fn path(&mut self) {
        let percent = |number: i32| parsed::<Percent>(&number.to_string());
        let provider = self.organisation("provider", Role::Provider);
        let distributor = self.organisation("distributor", Role::IndirectProvider);
        self.price_book("provider", provider, |rule| Derivation::ListMinus(percent(12 + rule)));
        self.agree(provider, distributor, "provider");
        for terms in 0..5 {
            let key = format!("distributor-{terms}");
            self.price_book(&key, distributor, |rule| {
                Derivation::BuyPlus(percent(2 + terms + rule))
            });
        }
        for number in 0..RESELLERS {
            let reseller = self.organisation(&format!("r{number}"), Role::IndirectReseller);
            self.agree(distributor, reseller, &format!("distributor-{}", number % 5));
            for terms in 0..3 {
                let key = format!("r{number}-{terms}");
                self.price_book(&key, reseller, |rule| {
                    Derivation::BuyPlus(percent(10 + terms + rule))
                });
            }
        }
        for number in 0..CUSTOMERS {
            let reseller = OrganisationId::derived(&format!("r{}", number % RESELLERS));
            let buyer = self.organisation(&format!("c{number}"), Role::Customer);
            let terms = number / RESELLERS % 3;
            self.agree(reseller, buyer, &format!("r{}-{terms}", number % RESELLERS));
            for subscription_number in 0..SUBSCRIPTIONS_EACH {
                let id = subscription(number, subscription_number);
                let sold = Subscription {
                    id,
                    name: String::new(),
                    offer: parsed("plan"),
                    path: vec![provider, distributor, reseller, buyer],
                    validity: since(),
                    entitlements: vec![],
                };
                self.programme.subscriptions.insert(id, sold);
            }
        }
    }

    pub fn book(&self) -> Result<RateBook> {
        let facts = Facts {
            programme: &self.programme,
            sheets: &self.sheets,
            rates: &self.rates,
            restated: None,
            only: None,
        };
        RateBook::compile(facts, Self::month(), &self.meters)
    }

    /// Where on the sale path an edge lies.
    pub fn position(&self, edge: &rating::Edge) -> usize {
        let role = self.programme.organisations.get(&edge.seller).map(|seller| seller.role);
        match role {
            Some(Role::Provider) => 0,
            Some(Role::IndirectProvider) => 1,
            _ => 2,
        }
    }

    /// Writes the usage below a folder, as segments of whole customers.
    pub fn usage(&self, ctx: &Ctx<'_>, folder: &Path, workers: usize) -> Result<Vec<SegmentInfo>> {
        let files = self.lines.div_ceil(LINES_PER_SEGMENT).clamp(1, CUSTOMERS as u64) as usize;
        ctx.progress.begin("making usage", Some(files as u64));
        let segments = in_parallel(workers, files, |file| {
            let (first, last) = (CUSTOMERS * file / files, CUSTOMERS * (file + 1) / files);
            let mut chunk = UsageChunk::default();
            for at in first..last {
                self.customer_usage(at, |record| chunk.push(record));
            }
            let written = chunk.write(folder, &format!("{file:05}"))?;
            ctx.progress.advance(1);
            Ok(written.segments)
        })?;
        ctx.progress.end();
        Ok(segments.into_iter().flatten().collect())
    }

    /// Writes late usage: one more record each of some customers, of what they have used already.
    pub fn late(&self, folder: &Path, records: usize) -> Result<Vec<SegmentInfo>> {
        let mut chunk = UsageChunk::default();
        for late in 0..records {
            let mut first: Option<UsageRecord> = None;
            self.customer_usage(CUSTOMERS * late / records, |record| {
                first.get_or_insert_with(|| record.clone());
            });
            if let Some(mut record) = first {
                record.event_id = format!("late-{late}");
                chunk.push(&record);
            }
        }
        Ok(chunk.write(folder, "late")?.segments)
    }

    /// A draft by which everybody sells two percent dearer than now.
    pub fn draft(&self) -> PriceFacts {
        let (sheets, rates) = (self.sheets.clone(), self.rates.clone());
        let mut programme = self.programme.clone();
        let rules = programme.price_books.values_mut().flat_map(|book| &mut book.rules);
        for rule in rules {
            if let Derivation::BuyPlus(percent) = &mut rule.derivation {
                let two = Percent::HUNDRED.mantissa() / 50;
                *percent = Percent::from_mantissa(percent.mantissa() + two);
            }
        }
        PriceFacts { programme, sheets, rates }
    }

    /// What is known of the month.
    pub fn known(&self) -> Known {
        Known {
            programme: self.programme.clone(),
            sheets: self.sheets.clone(),
            rates: self.rates.clone(),
            meters: self.meters.clone(),
            restated: None,
            only: None,
        }
    }

    /// The usage of one customer: its share of all lines, evenly over its subscriptions.
    fn customer_usage(&self, at: usize, mut take: impl FnMut(&UsageRecord)) {
        let (id, number) = self.customers[at];
        let share = |n: usize| u128::from(self.lines) * n as u128 / CUSTOMERS as u128;
        let lines = (share(at + 1) - share(at)) as usize;
        let mut random = Random(0x0139_408d_cbbf_7a44 ^ ((number as u64 + 1) * 7_919));
        let start = instant_micros(Zone::UTC.start_of(Self::month().first_day()));
        let mut record = UsageRecord {
            source: "meter".into(),
            event_id: String::new(),
            corrects: None,
            recorded_at: 0,
            customer: id,
            subscription: subscription(number, 0),
            entitlement: None,
            meter: meter(0),
            start,
            end: start,
            quantity: Quantity::ZERO,
            unit: "1 Hour".into(),
            details: UsageDetails::default(),
        };
        let mut left = lines;
        while left > 0 {
            let many = left.min(LINES_PER_METER);
            let of =
                (left * SUBSCRIPTIONS_EACH).div_ceil(lines.max(1)).clamp(1, SUBSCRIPTIONS_EACH);
            record.subscription = subscription(number, of - 1);
            record.meter = self.meters[(random.next() % METERS as u64) as usize].clone();
            for day in 0..many {
                record.event_id = format!("{number:x}-{left:x}-{day:x}");
                record.start = start + day as i64 * 86_400_000_000;
                record.end = record.start + 86_400_000_000;
                // Six decimals, up to fifty units.
                let millionths = i128::from(random.next() % 50_000_000);
                record.quantity = Quantity::from_mantissa(millionths * 1_000_000_000);
                take(&record);
            }
            left -= many;
        }
    }

    /// Writes, for other programs, the sale path of each subscription and every price on it, ready
    /// to be joined: exact and with the exchange rate in it.
    pub fn for_peers(&self, book: &RateBook, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let mut chains: BTreeMap<Vec<rating::NodeIndex>, i32> = BTreeMap::new();
        let (mut ids, mut chain_of) = (Vec::new(), Vec::new());
        for (_, number) in &self.customers {
            for of in 0..SUBSCRIPTIONS_EACH {
                let id = subscription(*number, of).to_string();
                let Some(index) = book.find_subscription(&id) else { continue };
                let next = chains.len() as i32;
                chain_of.push(*chains.entry(book.nodes(index).to_vec()).or_insert(next));
                ids.push(id);
            }
        }
        let texts: ArrayRef = Arc::new(StringArray::from(ids));
        let numbers: ArrayRef = Arc::new(Int32Array::from(chain_of));
        write(folder, "subscriptions", vec![("subscription_id", texts), ("chain", numbers)])?;
        self.prices_for_peers(book, &chains, folder)
    }

    fn prices_for_peers(
        &self,
        book: &RateBook,
        chains: &BTreeMap<Vec<rating::NodeIndex>, i32>,
        folder: &Path,
    ) -> Result<()> {
        let (mut chain, mut ids) = (Vec::new(), Vec::new());
        let mut bounds: [Vec<i128>; 2] = [Vec::new(), Vec::new()];
        let mut prices: Vec<Vec<i128>> = vec![Vec::new(); book.depth()];
        let mut tier = Vec::new();
        for (nodes, number) in chains {
            for id in &self.meters {
                let Some(meter) = book.find_meter(id.as_str()) else { continue };
                let schedules: Vec<_> =
                    nodes.iter().map(|node| book.schedule(*node, meter)).collect();
                let tiers = |at: usize| {
                    let price = schedules[at].intervals.first().map(|interval| &interval.price);
                    price.and_then(|price| price.as_ref().ok())
                };
                let first = tiers(0).ok_or_else(|| Error::internal("a meter without a price"))?;
                for at in 0..first.tiers.len() {
                    chain.push(*number);
                    ids.push(id.to_string());
                    tier.push(at as i32);
                    bounds[0].push(first.tiers[at].from.mantissa());
                    let next = first.tiers.get(at + 1).map(|next| next.from.mantissa());
                    bounds[1].push(next.unwrap_or(10i128.pow(23)));
                    for (position, prices) in prices.iter_mut().enumerate() {
                        let price = tiers(position).ok_or_else(|| Error::internal("no price"))?;
                        prices.push(exact(price.tiers[at].effective_unit_price, price.rate.rate)?);
                    }
                }
            }
        }
        let decimal = |values: Vec<i128>, scale: i8| -> Result<ArrayRef> {
            let array = Decimal128Array::from(values).with_precision_and_scale(29, scale);
            Ok(Arc::new(array.map_err(|error| Error::internal(error.to_string()))?))
        };
        let [from, until] = bounds;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("chain", Arc::new(Int32Array::from(chain))),
            ("meter_id", Arc::new(StringArray::from(ids))),
            ("tier", Arc::new(Int32Array::from(tier))),
            ("tier_from", decimal(from, 15)?),
            ("tier_until", decimal(until, 15)?),
        ];
        for (name, values) in ["price_1", "price_2", "price_3"].into_iter().zip(prices) {
            columns.push((name, decimal(values, PEER_DECIMALS.cast_signed())?));
        }
        write(folder, "prices", columns)
    }
}

/// A price with its exchange rate, as an integer with [`PEER_DECIMALS`] decimals.
fn exact(price: UnitPrice, rate: ExchangeRate) -> Result<i128> {
    let ((price, price_decimals), (rate, rate_decimals)) = (price.trimmed(), rate.trimmed());
    let product = price.checked_mul(rate);
    let scaled = PEER_DECIMALS.checked_sub(price_decimals + rate_decimals).zip(product);
    let scaled =
        scaled.and_then(|(more, product)| product.checked_mul(10i128.pow(u32::from(more))));
    scaled.ok_or_else(|| Error::internal("a price has more decimals than the tables"))
}

fn write(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
    let fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    let mut writer = ColumnarWriter::create(&folder.join(format!("{name}.parquet")), &schema)?;
    writer.write(&batch.map_err(|error| Error::internal(error.to_string()))?)?;
    writer.finish(false).map(|_| ())
}

/// The price sheet: prices with four decimals in dollars.
fn sheet() -> PriceSheet {
    let price = |number: usize| -> UnitPrice { parsed(&format!("0.{:04}", number % 9_999 + 1)) };
    let listed = (0..METERS).map(|number| {
        let mut tiers = vec![Tier { from: Quantity::ZERO, price: price(number * 37) }];
        if number % TIERED_EVERY == 0 {
            tiers.push(Tier { from: parsed("100"), price: price(number * 37 + 5) });
            tiers.push(Tier { from: parsed("500"), price: price(number * 37 + 9) });
        }
        let tiers = Tiers::new(tiers).unwrap_or_else(|_| unreachable!("tiers in order"));
        let text = String::new;
        let meter = Meter {
            id: meter(number),
            name: format!("Meter {number}"),
            category: format!("category {}", number % 40),
            subcategory: text(),
            region: text(),
            unit: "1 Hour".into(),
            product_id: text(),
            product_title: text(),
            sku_id: text(),
            sku_title: text(),
            publisher: text(),
            tags: text(),
        };
        ListedMeter { meter, prices: vec![ListPrice { from: i64::MIN, until: None, tiers }] }
    });
    let mut meters: Vec<ListedMeter> = listed.collect();
    meters.sort_by(|a, b| a.meter.id.cmp(&b.meter.id));
    PriceSheet { key: parsed("list"), currency: parsed("USD"), meters }
}

/// Whether a column holds decimals of 64 bits.
pub(super) fn is_narrow(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal64(..))
}
