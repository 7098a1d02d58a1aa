//! One edge with its small files: its invoice, its prices, its subscriptions.

use bigdecimal::BigDecimal;
use jiff::civil::Date;

use crate::credits::Credits;
use crate::daily::stated_of;
use crate::fault::Faults;
use crate::fill::TierTotal;
use crate::folder::{CertifiedEdge, Folder, Revision};
use crate::invoice::InvoiceFile;
use crate::number;
use crate::prices::{MeterPrices, Prices, Stated};
use crate::subscriptions::Subscriptions;

/// The policy by which effective unit prices follow from what lines come to.
const DERIVES_PRICE: &str = "partner-center";

/// How a policy rounds that does so before the exchange, too.
fn inside(policy: &str) -> Option<&'static str> {
    match policy {
        "partner-center" => Some("down"),
        "partner-center-nearest" => Some("half-up"),
        _ => None,
    }
}

/// An amount in minor units of its currency.
fn cost(currency: &str, exact: &BigDecimal, mode: &str) -> BigDecimal {
    let known = iso_currency::Currency::from_code(currency);
    let decimals = known.and_then(iso_currency::Currency::exponent).unwrap_or(2);
    number::rounded(exact, usize::from(decimals), mode).unwrap_or_default()
}

/// An edge with its small files.
pub(crate) struct Edge<'f> {
    pub revision: &'f Revision,
    pub certified: &'f CertifiedEdge,
    pub place: String,
    pub invoice: InvoiceFile,
    pub prices: Prices,
    pub subscriptions: Subscriptions,
    pub credits: Option<Credits>,
    /// Decimals of the currency.
    pub decimals: usize,
}

impl<'f> Edge<'f> {
    /// Loads everything but the rows; none where there is no invoice to go by.
    pub fn load(
        folder: &Folder,
        revision: &'f Revision,
        certified: &'f CertifiedEdge,
        faults: &mut Faults,
    ) -> Option<Self> {
        let place = folder.path(revision, &format!("{}/{}", certified.seller, certified.buyer));
        let invoice = InvoiceFile::load(folder, revision, certified, faults)?;
        let net = &invoice.invoice.net;
        let decimals = net.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if number::parse(net).is_none() {
            invoice.fault(faults, "net", format!("net is {net:?}: not an amount"));
        }
        let credits = certified.earned_credit.as_ref();
        let credits = credits.map(|percent| Credits::load(folder, &place, percent, faults));
        let mut prices = Prices::load(folder, &place, &certified.currency, faults);
        if let Some(credits) = &credits {
            prices.credit(&credits.factor());
        }
        let subscriptions = Subscriptions::load(folder, &place, faults);
        prices.check_charged(folder, &subscriptions, faults);
        Some(Self { revision, certified, place, invoice, prices, subscriptions, credits, decimals })
    }

    /// Whether no price of a meter changes within the month, for a subscription.
    pub fn has_one_price(&self, (id, meter): (&str, &str)) -> bool {
        if self.credits.as_ref().is_some_and(|credits| credits.changes(id).next().is_some()) {
            return false;
        }
        let subscription = self.subscriptions.by_id.get(id);
        let prices =
            subscription.and_then(|subscription| self.prices.of(&subscription.list, meter));
        prices.is_none_or(|meter| meter.prices.iter().all(|price| price.interval == 0))
    }

    /// The first and the last day that is charged of a subscription.
    pub fn charged(&self, id: &str) -> Option<(Date, Date)> {
        self.subscriptions.by_id.get(id).map(|subscription| subscription.charged)
    }

    /// Whether the buyer is the customer of a subscription.
    pub fn sells_to(&self, customer: &str) -> bool {
        self.invoice.invoice.buyer.tenant_id == customer
    }

    /// Whether what a subscription comes to is rounded before the exchange, too.
    pub fn rounds_inside(&self, subscription: &str) -> bool {
        inside(self.policy(subscription)).is_some()
    }

    /// How what a subscription comes to is rounded: of legacy offers once, half up, where the
    /// agreement rounds as Partner Center does.
    fn policy(&self, subscription: &str) -> &str {
        let policy = self.certified.rounding.as_str();
        let sold = self.subscriptions.by_id.get(subscription);
        let is_legacy = sold.is_some_and(|sold| sold.is_legacy);
        if is_legacy && inside(policy).is_some() { "half-up" } else { policy }
    }

    /// Whether the agreement rounds in a way that is known here.
    pub fn knows_rounding(&self) -> bool {
        let policy = self.certified.rounding.as_str();
        inside(policy).is_some() || number::rounded(&BigDecimal::default(), 0, policy).is_some()
    }

    /// What a tier comes to as the agreement rounds it.
    pub fn rounded(&self, subscription: &str, total: &TierTotal) -> BigDecimal {
        let policy = self.policy(subscription);
        let Some(mode) = inside(policy) else {
            let rounded = number::rounded(&total.exact, self.decimals, policy);
            return rounded.unwrap_or_else(|| total.exact.clone());
        };
        let sums = total.priced.iter().map(|([currency, rate, _], exact)| {
            let cost = cost(currency, exact, mode);
            let rate = number::parse(rate).unwrap_or_default();
            number::rounded(&(cost * rate), self.decimals, mode).unwrap_or_default()
        });
        sums.sum()
    }

    /// How the line of a tier states its price. Where the agreement derives the effective unit price
    /// from what the line comes to before the exchange, it is rounded away from zero.
    pub fn stated(&self, subscription: &str, meter: &MeterPrices, total: &TierTotal) -> Stated {
        let stated = stated_of(meter, total, &total.exact, &self.certified.currency);
        if self.policy(subscription) != DERIVES_PRICE {
            return stated;
        }
        let per_unit = |amount: &BigDecimal| {
            let price = number::quotient_up(amount, &total.quantity, 15).unwrap_or_default();
            number::trimmed(&price)
        };
        let mut sums = total.priced.iter();
        let (Some(([currency, rate, day], exact)), None) = (sums.next(), sums.next()) else {
            let [unit_price, _, exchange @ ..] = stated;
            let [currency, rate, day] = exchange;
            return [unit_price, per_unit(&self.rounded(subscription, total)), currency, rate, day];
        };
        let mut unit_prices = total.used.iter().map(|(at, _)| &meter.prices[*at].stated[0]);
        let first = unit_prices.next().cloned().unwrap_or_default();
        let unit_price = if unit_prices.all(|price| *price == first) {
            first
        } else {
            let average = number::quotient(exact, &total.quantity, 15).unwrap_or_default();
            number::trimmed(&average)
        };
        let effective = per_unit(&cost(currency, exact, "down"));
        [unit_price, effective, currency.clone(), rate.clone(), day.clone()]
    }
}
