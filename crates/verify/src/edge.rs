//! One edge: its invoice, its prices, its subscriptions, and the rows that they are checked with.

use bigdecimal::BigDecimal;

use crate::chain::{Paths, Usage};
use crate::daily;
use crate::fault::Faults;
use crate::folder::{CertifiedEdge, Folder};
use crate::invoice::InvoiceFile;
use crate::number;
use crate::prices::Prices;
use crate::reconciliation;
use crate::subscriptions::Subscriptions;

/// An edge with its small files.
pub(crate) struct Edge<'f> {
    pub certified: &'f CertifiedEdge,
    pub place: String,
    pub invoice: InvoiceFile,
    pub prices: Prices,
    pub subscriptions: Subscriptions,
    /// Decimals of the currency.
    pub decimals: usize,
}

/// What the rows of an edge came to.
#[derive(Debug, Default)]
pub(crate) struct EdgeSeen<'a> {
    pub net: String,
    pub rated_lines: u64,
    pub lines: u64,
    pub usage: Usage<'a>,
}

impl<'f> Edge<'f> {
    /// Loads everything but the rows; none where there is no invoice to go by.
    pub fn load(
        folder: &Folder,
        certified: &'f CertifiedEdge,
        faults: &mut Faults,
    ) -> Option<Self> {
        let place = folder.path(&format!("{}/{}", certified.seller, certified.buyer));
        let invoice = InvoiceFile::load(folder, certified, faults)?;
        let net = &invoice.invoice.net;
        let decimals = net.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if number::parse(net).is_none() {
            invoice.fault(faults, "net", format!("net is {net:?}: not an amount"));
        }
        Some(Self {
            prices: Prices::load(folder, &place, &certified.currency, faults),
            subscriptions: Subscriptions::load(folder, &place, faults),
            certified,
            invoice,
            decimals,
            place,
        })
    }

    /// Whether the buyer is the customer of a subscription.
    pub fn sells_to(&self, customer: &str) -> bool {
        self.invoice.invoice.buyer.tenant_id == customer
    }

    /// An exact amount as the agreement rounds it.
    pub fn rounded(&self, exact: &BigDecimal) -> BigDecimal {
        let rounded = number::rounded(exact, self.decimals, &self.certified.rounding);
        rounded.unwrap_or_else(|| exact.clone())
    }

    /// Checks every row.
    pub fn check<'a>(
        &'a self,
        folder: &Folder,
        paths: &'a Paths<'_>,
        faults: &mut Faults,
    ) -> EdgeSeen<'a> {
        let certified = self.certified;
        if number::rounded(&BigDecimal::default(), 0, &certified.rounding).is_none() {
            folder.certificate_fault(
                faults,
                &format!("\"rounding\": \"{}\"", certified.rounding),
                format!("{} is not a way of rounding", certified.rounding),
            );
        }
        let daily = daily::check(self, folder, paths, faults);
        let bill = reconciliation::check(self, folder, paths, daily.groups, faults);
        self.invoice.check_categories(&bill.categories, self.decimals, faults);
        let net = number::money(&bill.net, self.decimals);
        for (what, found, expected) in [
            ("net", certified.net.clone(), net.clone()),
            ("lines", certified.lines.to_string(), bill.lines.to_string()),
            ("rated_lines", certified.rated_lines.to_string(), daily.rated_lines.to_string()),
            (
                "rounding_lines",
                certified.rounding_lines.to_string(),
                daily.rounding_lines.to_string(),
            ),
        ] {
            if found != expected {
                let needle = format!("\"invoice\": \"{}\"", certified.invoice);
                let reason = format!(
                    "{what} of {} is {found}; the rows come to {expected}",
                    certified.invoice
                );
                folder.certificate_fault(faults, &needle, reason);
            }
        }
        if self.invoice.invoice.net != net {
            let reason = format!("net is {}; the lines come to {net}", self.invoice.invoice.net);
            self.invoice.fault(faults, "net", reason);
        }
        EdgeSeen { net, rated_lines: daily.rated_lines, lines: bill.lines, usage: daily.usage }
    }
}
