//! One edge with its small files: its invoice, its prices, its subscriptions.

use bigdecimal::BigDecimal;

use crate::fault::Faults;
use crate::folder::{CertifiedEdge, Folder, Revision};
use crate::invoice::InvoiceFile;
use crate::number;
use crate::prices::Prices;
use crate::subscriptions::Subscriptions;

/// An edge with its small files.
pub(crate) struct Edge<'f> {
    pub revision: &'f Revision,
    pub certified: &'f CertifiedEdge,
    pub place: String,
    pub invoice: InvoiceFile,
    pub prices: Prices,
    pub subscriptions: Subscriptions,
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
        Some(Self {
            prices: Prices::load(folder, &place, &certified.currency, faults),
            subscriptions: Subscriptions::load(folder, &place, faults),
            revision,
            certified,
            invoice,
            decimals,
            place,
        })
    }

    /// Whether no price of a meter changes within the month, for a subscription.
    pub fn has_one_price(&self, (id, meter): (&str, &str)) -> bool {
        let subscription = self.subscriptions.by_id.get(id);
        let prices =
            subscription.and_then(|subscription| self.prices.of(&subscription.list, meter));
        prices.is_none_or(|meter| meter.prices.iter().all(|price| price.interval == 0))
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
}
