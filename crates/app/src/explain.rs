//! Explaining an invoice line: from its usage, tier by tier and price by price, to its amount.
//!
//! The line is rated again from what was known at the close; a line of an adjustment also from what
//! had been known before. The explanation ends in exactly the frozen amount, or there is none.

mod difference;
mod find;
mod prices;
mod units;

use domain::RoundingPolicy;
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{
    Amount, Currency, Error, ExchangeRate, InvoiceLineId, Money, Percent, Quantity, Result,
    UnitPrice,
};
use rating::{EdgeIndex, MeterIndex, RateBook, SubscriptionIndex};
use store::InvoiceRow;

use crate::Ctx;
use crate::export::Frozen;
use crate::facts::Known;
use crate::frozen::FrozenGroup;
use crate::naming::Naming;
use crate::partitions::PeriodUsage;
use find::{line_id, month_with, no_such_line, numbered, referenced};
use units::Units;

/// Which line is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineName {
    /// By the id that the reconciliation file has for it.
    Reference(InvoiceLineId),
    /// The so-many-th line of an invoice, counted from one.
    Number {
        /// The number of the invoice.
        invoice: String,
        /// The line.
        line: u64,
    },
}

impl std::str::FromStr for LineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(reference) = text.parse() {
            return Ok(Self::Reference(reference));
        }
        let named = text.rsplit_once('/').and_then(|(invoice, line)| {
            let line = line.parse().ok().filter(|line| *line > 0)?;
            (!invoice.is_empty()).then(|| Self::Number { invoice: invoice.to_owned(), line })
        });
        named.ok_or_else(|| {
            "is not a line: give INVOICE/LINE, such as INV-000001/12, or a ReferenceID".to_owned()
        })
    }
}

/// Why a line costs what it costs.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The invoice.
    pub invoice: InvoiceRow,
    /// The keys of seller and buyer.
    pub edge: (String, String),
    /// Which line of the invoice it is, counted from one.
    pub line: u64,
    /// Its id.
    pub reference: InvoiceLineId,
    /// The id and name of the subscription.
    pub subscription: (String, String),
    /// The meter, and what it meters.
    pub meter: (String, String),
    /// The tier, counted from zero.
    pub tier: u8,
    /// What had been billed before, which the line takes back; none where it takes nothing back.
    pub before: Option<ExplainedSide>,
    /// What the line bills; none where it only takes back.
    pub now: Option<ExplainedSide>,
    /// What the line says: the latter less the former.
    pub amount: Money,
}

/// Why the units of a tier came to what they came to, by what was known at an instant.
#[derive(Debug, Clone)]
pub struct ExplainedSide {
    /// The usage in this tier, in the order in which it filled the tiers.
    pub usage: Vec<UsedUnits>,
    /// The prices of the tier that were used, by time.
    pub prices: Vec<ExplainedPrice>,
    /// What the parts come to.
    pub exact: Amount,
    /// How that becomes minor units.
    pub rounding: RoundingPolicy,
    /// The sums that are rounded before they are exchanged, where the policy does that.
    pub inside: Vec<RoundedSum>,
    /// The exact amount in minor units.
    pub amount: Money,
}

/// A sum that is rounded, exchanged and rounded again.
#[derive(Debug, Clone)]
pub struct RoundedSum {
    /// In the pricing currency.
    pub exact: Amount,
    /// The same in minor units.
    pub cost: Money,
    /// Into the billed currency.
    pub rate: ExchangeRate,
    /// What is billed.
    pub billed: Money,
}

/// Usage that lies in the tier: a record, or as much of it as does.
#[derive(Debug, Clone)]
pub struct UsedUnits {
    /// Whose id the event has.
    pub source: String,
    /// The event.
    pub event_id: String,
    /// What was used, if the source says so.
    pub resource: String,
    /// When the record begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// How much the whole record has.
    pub recorded: Quantity,
    /// How much had been used before these units, in all tiers.
    pub before: Quantity,
    /// How much of it lies in this tier at this price.
    pub quantity: Quantity,
    /// By which of the prices.
    pub price: usize,
}

/// A price of the tier: how it was made, and what it comes to.
#[derive(Debug, Clone)]
pub struct ExplainedPrice {
    /// From when it applied in the month.
    pub from: Timestamp,
    /// The first instant at which it no longer did.
    pub until: Timestamp,
    /// Where the tier begins.
    pub tier_from: Quantity,
    /// Where the next one begins.
    pub tier_until: Option<Quantity>,
    /// From the price sheet down the sale path to this edge.
    pub steps: Vec<PriceStep>,
    /// The partner earned credit that a unit costs less by; zero where there is none.
    pub credit: Percent,
    /// What one unit costs.
    pub effective_unit_price: UnitPrice,
    /// In which currency.
    pub pricing_currency: Currency,
    /// What one unit of it is worth in the billed one.
    pub rate: ExchangeRate,
    /// From which day and source the rate is, where something is exchanged.
    pub rate_of: Option<(Date, String)>,
    /// How many units.
    pub quantity: Quantity,
    /// What they come to in the billed currency.
    pub amount: Amount,
}

/// What one seller made of a price.
#[derive(Debug, Clone)]
pub struct PriceStep {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The price book.
    pub price_book: String,
    /// What the rule applies to.
    pub selector: String,
    /// From when the rule applies; none from ever.
    pub rule_from: Option<Timestamp>,
    /// The first instant at which it no longer does.
    pub rule_until: Option<Timestamp>,
    /// What the rule does: `list minus 10 %`.
    pub rule: String,
    /// From which price sheet entry, and since when that applies; none for what a seller pays.
    pub sheet: Option<(String, Option<Timestamp>)>,
    /// What it starts from: price and currency.
    pub source: (UnitPrice, Currency),
    /// By what that is exchanged before the rule applies: what the seller pays by, and into this
    /// edge's currency.
    pub rates: Vec<ExchangeRate>,
    /// What it makes.
    pub price: (UnitPrice, Currency),
}

/// Explains a line of a frozen invoice.
///
/// # Errors
/// Where there is no such line.
pub async fn explain(ctx: Ctx<'_>, name: &LineName, seller: Option<&str>) -> Result<Explanation> {
    let (frozen, invoice) = match name {
        LineName::Number { invoice, line } => {
            let found = crate::invoices::find(ctx, invoice, seller).await?;
            if found.row.revision > 0 {
                return difference::numbered(&ctx, &found.row, *line, name).await;
            }
            (Frozen::load(&ctx, found.row.month).await?, Some(found.row))
        }
        LineName::Reference(reference) => match month_with(&ctx, *reference).await? {
            Some(frozen) => (frozen, None),
            None => return difference::referenced(&ctx, *reference, name).await,
        },
    };
    let naming = Naming::new(&frozen.known, &frozen.book);
    let found = match (name, &invoice) {
        (LineName::Number { line, .. }, Some(invoice)) => numbered(&frozen, invoice, *line)?,
        (LineName::Reference(reference), _) => referenced(&frozen, *reference)?,
        _ => None,
    };
    let found = found.ok_or_else(|| no_such_line(name))?;
    let group = found.rated.group;
    let explainer = Explainer {
        known: &frozen.known,
        book: &frozen.book,
        usage: &frozen.usage,
        naming: &naming,
    };
    let now = explainer.side(&found.rated)?;
    let subject = explainer.subject(group.subscription, group.meter);
    Ok(Explanation {
        edge: (
            naming.key(found.invoice.seller).to_owned(),
            naming.key(found.invoice.buyer).to_owned(),
        ),
        line: found.line,
        reference: line_id(&frozen.book, found.rated.edge, &group),
        subscription: subject.0,
        meter: subject.1,
        tier: group.tier,
        before: None,
        amount: now.amount,
        now: Some(now),
        invoice: found.invoice,
    })
}

/// A group and where its usage is.
#[derive(Debug, Clone, Copy)]
struct RatedGroup {
    edge: EdgeIndex,
    partition: usize,
    group: FrozenGroup,
}

/// What was known at an instant.
struct Explainer<'a> {
    known: &'a Known,
    book: &'a RateBook,
    usage: &'a PeriodUsage,
    naming: &'a Naming<'a>,
}

impl Explainer<'_> {
    /// The id and name of a subscription, and of a meter.
    fn subject(
        &self,
        subscription: SubscriptionIndex,
        meter: MeterIndex,
    ) -> ((String, String), (String, String)) {
        let product = self.naming.product(subscription, meter);
        let name = self.naming.subscription(subscription).map(|s| s.name.clone());
        let id = self.book.subscription_id(subscription).to_string();
        ((id, name.unwrap_or_default()), (product.meter_id.to_owned(), product.description()))
    }

    /// Rates the usage of a group again, down to its parts.
    fn side(&self, found: &RatedGroup) -> Result<ExplainedSide> {
        let edge = &self.book.edges()[found.edge.get()];
        let group = found.group;
        let position = usize::from(group.position);
        let batches = self.batches(found)?;
        let (rated, lines) = self.rate(&batches)?;
        let same =
            |again: &&rating::Group| (again.position, again.tier) == (group.position, group.tier);
        let again = rated.iter().find(same);
        let again = again.ok_or_else(|| Error::internal("the line has no group any more"))?;
        let exact = again.amount()?;
        let amount = Money::new(group.amount_minor, edge.currency);
        if again.money != amount || again.quantity != group.quantity {
            return Err(Error::internal(format!(
                "rated again, the line comes to {exact}, which is not the frozen {amount}"
            )));
        }
        let node = self.book.nodes(group.subscription)[position];
        let schedule = self.book.schedule(node, group.meter);
        let Units { usage, prices } = self.units(found, &schedule, &batches, &lines)?;
        let prices: Vec<ExplainedPrice> = prices
            .into_iter()
            .map(|(interval, credited, quantity)| {
                self.price(found, node, (interval, credited), quantity)
            })
            .collect::<Result<_>>()?;
        let sum =
            prices.iter().try_fold(Amount::ZERO, |sum, price| sum.checked_add(price.amount))?;
        if sum != exact {
            return Err(Error::internal(format!("the parts come to {sum}, the line to {exact}")));
        }
        let rounding = self.book.rounding(group.subscription, found.edge);
        let inside = rounded_sums(&prices, rounding, edge.currency)?;
        Ok(ExplainedSide { usage, prices, exact, rounding, inside, amount })
    }
}

/// What prices come to by pricing currency and rate, where sums are rounded before the exchange.
fn rounded_sums(
    prices: &[ExplainedPrice],
    policy: RoundingPolicy,
    currency: Currency,
) -> Result<Vec<RoundedSum>> {
    if !policy.rounds_inside() {
        return Ok(Vec::new());
    }
    let mut sums: Vec<(Currency, ExchangeRate, Amount)> = Vec::new();
    for price in prices {
        let amount = Amount::of(price.quantity, price.effective_unit_price)?;
        let key = (price.pricing_currency, price.rate);
        match sums.iter_mut().find(|sum| (sum.0, sum.1) == key) {
            Some(sum) => sum.2 = sum.2.checked_add(amount)?,
            None => sums.push((key.0, key.1, amount)),
        }
    }
    let sums = sums.into_iter().map(|(pricing, rate, exact)| {
        let cost = exact.round(policy.mode(), pricing)?;
        let billed = cost.exchanged(rate, policy.mode(), currency)?;
        Ok(RoundedSum { exact, cost, rate, billed })
    });
    sums.collect()
}
