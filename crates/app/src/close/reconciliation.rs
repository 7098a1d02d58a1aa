//! The reconciliation file of an edge, from its groups.

use std::collections::BTreeMap;
use std::path::Path;

use documents::daily::CHARGE_NEW;
use documents::invoice::CategoryDocument;
use documents::reconciliation::{Line, begin, layout, line, subscription};
use documents::{Billing, Format, Sink, TableBuilder};
use domain::{AppliedRate, Derivation, LineOf};
use kernel::{
    Amount, Currency, Error, ExchangeRate, Money, Percent, Result, Rounding, UnitPrice, Zone,
    instant_micros,
};
use rating::{EdgeIndex, GroupPrice, Mixed, NodeIndex, Price, RateBook};

use crate::groups::{KeptGroup, KeptGroups, LINE_ROWS, PriceRef};
use crate::issuing::BilledLines;
use crate::naming::Naming;
use crate::taxes::Taxation;

/// Decimals of an average price, as the provider's files have them.
const AVERAGE_DECIMALS: u8 = 15;

/// What a line says whose price is an average.
const AVERAGE: &str = "average of the month's prices";

/// The lines of one invoice.
pub(crate) struct Lines<'a> {
    pub naming: &'a Naming<'a>,
    pub taxation: &'a Taxation<'a>,
    pub book: &'a RateBook,
    pub kept: &'a KeptGroups,
    pub groups: &'a [&'a KeptGroup],
    pub edge: EdgeIndex,
    pub number: &'a str,
}

impl Lines<'_> {
    /// Writes the file; returns what the lines come to.
    pub fn write(&self, path: &Path, format: Format) -> Result<BilledLines> {
        let edge = &self.book.edges()[self.edge.get()];
        let layout = layout(edge.currency);
        let mut sink = Sink::create(path, format, &layout)?;
        let mut table = TableBuilder::new(&layout);
        begin(&mut table, self.number);
        let mut categories: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
        let mut current = None;
        let mut taxes = self.taxation.of_edge(self.edge);
        for group in self.groups {
            if current != Some(group.subscription) {
                current = Some(group.subscription);
                subscription(&mut table, self.naming.rows_of(group.subscription, self.edge));
            }
            let category = self.naming.product(group.subscription, group.meter).category;
            let (lines, net) = categories.entry(category).or_default();
            *lines += 1;
            *net += group.money;
            let tax = taxes.add(group.subscription, Money::new(group.money, edge.currency))?;
            self.line(&mut table, group, tax)?;
            if table.rows() == LINE_ROWS {
                sink.write(&table.take()?)?;
            }
        }
        if table.rows() > 0 {
            sink.write(&table.take()?)?;
        }
        sink.finish()?;
        let categories = categories.into_iter().map(|(category, (lines, net))| CategoryDocument {
            category: category.to_owned(),
            lines,
            net: Money::new(net, edge.currency).digits(),
        });
        Ok(BilledLines {
            categories: categories.collect(),
            tax_rounding: taxes.rounding,
            taxes: taxes.sums(),
        })
    }

    fn line(&self, table: &mut TableBuilder, group: &KeptGroup, tax: Money) -> Result<()> {
        let edge = &self.book.edges()[self.edge.get()];
        let (price, adjustment) = statement(self.book, self.kept, group, edge.currency)?;
        let id = LineOf {
            seller: edge.seller,
            buyer: edge.buyer,
            month: self.book.month(),
            subscription: self.book.subscription_id(group.subscription),
            meter: &self.book.meters()[group.meter.get()],
            tier: group.tier,
        };
        line(
            table,
            &Line {
                product: self.naming.product(group.subscription, group.meter),
                unit_price: price.unit_price,
                effective_unit_price: price.effective_unit_price,
                quantity: group.quantity,
                subtotal: group.money,
                tax: tax.minor(),
                adjustment: &adjustment,
                billing: billing(&price, edge.currency),
                reference: &id.id().to_string(),
                charge_type: CHARGE_NEW,
                alternate: "",
            },
        );
        Ok(())
    }
}

/// The price of a group and why it is not the list price. Where there was more than one, the
/// average, in the billed currency.
pub(crate) fn statement(
    book: &RateBook,
    kept: &KeptGroups,
    group: &KeptGroup,
    currency: Currency,
) -> Result<(GroupPrice, String)> {
    let node = book.nodes(group.subscription)[usize::from(group.position)];
    let gone = || Error::internal("a group has lost its price");
    let policy = book.rounding(group.subscription, group.edge);
    let price = match group.price {
        PriceRef::Flat => book.flat_price(node, group.meter).ok_or_else(gone)?,
        PriceRef::Stated(at) => kept.prices[at as usize],
        PriceRef::Mixed(at) => {
            let price = average(book, group, currency, kept.amounts[at as usize])?;
            return Ok((price, listed([Some(AVERAGE.to_owned()), credited(price.credit)])));
        }
    };
    let at = since(book, node, group, &price).ok_or_else(gone)?;
    let derivation = book.derivation(node, group.meter, at);
    let adjustment = adjustment(derivation, &price);
    if !policy.derives_price() {
        return Ok((price, adjustment));
    }
    let exact = Amount::of(group.quantity, price.effective_unit_price)?;
    let cost = exact.round(policy.mode(), price.pricing_currency)?;
    let effective_unit_price = policy.effective_unit_price(cost, group.quantity);
    Ok((GroupPrice { effective_unit_price, ..price }, adjustment))
}

/// The average of several prices: before the exchange where a policy derives prices and one
/// exchange rate allows it, otherwise in the billed currency.
fn average(
    book: &RateBook,
    group: &KeptGroup,
    currency: Currency,
    (exact, mixed): (Amount, Mixed),
) -> Result<GroupPrice> {
    let policy = book.rounding(group.subscription, group.edge);
    let of = |amount: Amount| {
        let average = amount.per_unit(group.quantity, AVERAGE_DECIMALS, Rounding::HalfEven);
        average.unwrap_or(UnitPrice::ZERO)
    };
    if let Some(priced) = mixed.priced.filter(|_| policy.derives_price()) {
        let cost = priced.exact.round(policy.mode(), priced.currency)?;
        return Ok(GroupPrice {
            pricing_currency: priced.currency,
            rate: priced.rate,
            unit_price: mixed.unit_price.unwrap_or_else(|| of(priced.exact)),
            effective_unit_price: policy.effective_unit_price(cost, group.quantity),
            credit: mixed.credit,
        });
    }
    let unit_price = of(exact);
    let effective_unit_price = if policy.derives_price() {
        policy.effective_unit_price(Money::new(group.money, currency), group.quantity)
    } else {
        unit_price
    };
    let rate = AppliedRate { rate: ExchangeRate::ONE, day: book.month().first_day() };
    Ok(GroupPrice {
        pricing_currency: currency,
        rate,
        unit_price,
        effective_unit_price,
        credit: mixed.credit,
    })
}

/// Since when the price of a group has applied in the month.
fn since(book: &RateBook, node: NodeIndex, group: &KeptGroup, price: &GroupPrice) -> Option<i64> {
    if matches!(group.price, PriceRef::Flat) {
        return Some(book.period_of_node(node).0);
    }
    let schedule = book.schedule(node, group.meter);
    let says = |of: &Price| {
        let tier = of.tiers.get(usize::from(group.tier));
        tier.is_some_and(|tier| {
            (tier.unit_price, tier.effective_unit_price, of.credit)
                == (price.unit_price, price.effective_unit_price, price.credit)
        })
    };
    let found = schedule.intervals.iter().find(|interval| {
        let credited = interval.credited.as_ref().map(|credited| &credited.price);
        interval.price.as_ref().ok().into_iter().chain(credited).any(says)
    });
    found.map(|interval| interval.from)
}

/// Why a price is not the list price, in the form of Partner Center: a list of texts.
pub(crate) fn adjustment(derivation: Option<&Derivation>, price: &GroupPrice) -> String {
    let rule = match derivation {
        Some(Derivation::ListMinus(percent)) if !percent.is_zero() => Some(percent),
        _ => None,
    };
    // What costs nothing has no discount, and may have no other price but the list's.
    let changed = |percent: &&Percent| {
        let derived = price.unit_price.derive(percent.negated(), &[]);
        derived.is_some_and(|derived| derived != price.unit_price)
    };
    let rule = rule.filter(changed).map(|percent| {
        if percent.is_negative() {
            format!("{}% surcharge on the list price", percent.negated())
        } else {
            format!("{percent}% discount on the list price")
        }
    });
    listed([rule, credited(price.credit)])
}

/// What Partner Center says of a price less its credit.
fn credited(credit: Percent) -> Option<String> {
    let has_fraction = credit.to_string().contains('.');
    let text = if has_fraction { credit.to_string() } else { format!("{credit}.0") };
    (!credit.is_zero()).then(|| format!("{text}% Partner earned credit for services managed"))
}

/// A list as JSON; empty where there is nothing to say.
fn listed(texts: [Option<String>; 2]) -> String {
    let texts: Vec<String> =
        texts.into_iter().flatten().map(|text| format!("\"{text}\"")).collect();
    if texts.is_empty() { String::new() } else { format!("[{}]", texts.join(",")) }
}

/// Currencies and rate of a price; the rate has a day only where something is exchanged.
pub(crate) fn billing(price: &GroupPrice, currency: Currency) -> Billing<'static> {
    let exchanged = price.pricing_currency != currency;
    Billing {
        pricing_currency: price.pricing_currency.code(),
        billing_currency: currency.code(),
        rate: price.rate.rate,
        rate_date: exchanged.then(|| instant_micros(Zone::UTC.start_of(price.rate.day))),
    }
}
