//! What documents call parties, subscriptions and products.

use std::collections::HashMap;

use documents::reconciliation::SubscriptionRows;
use documents::{Party, Product};
use domain::{OfferFamily, Organisation, Subscription};
use kernel::{OrganisationId, Zone, instant_micros};
use rating::{EdgeIndex, MeterIndex, RateBook, SubscriptionIndex};

use crate::facts::Known;

/// The names behind the positions of a rate book.
pub(crate) struct Naming<'k> {
    known: &'k Known,
    book: &'k RateBook,
    organisations: HashMap<OrganisationId, String>,
    subscriptions: Vec<String>,
    entitlements: HashMap<String, &'k str>,
    /// The provider's name: the publisher of what names none.
    provider: &'k str,
}

impl<'k> Naming<'k> {
    pub fn new(known: &'k Known, book: &'k RateBook) -> Self {
        let organisations = known.programme.organisations.values();
        let provider = organisations.clone().find(|organisation| !organisation.role.buys());
        Self {
            known,
            book,
            organisations: organisations.map(|o| (o.id, o.id.to_string())).collect(),
            subscriptions: book.subscriptions().map(|id| id.to_string()).collect(),
            entitlements: known
                .programme
                .subscriptions
                .values()
                .flat_map(|subscription| &subscription.entitlements)
                .map(|entitlement| (entitlement.id.to_string(), entitlement.name.as_str()))
                .collect(),
            provider: provider.map_or("", |provider| provider.name.as_str()),
        }
    }

    pub fn organisation(&self, id: OrganisationId) -> Option<&'k Organisation> {
        self.known.programme.organisations.get(&id)
    }

    /// The key of an organisation.
    pub fn key(&self, id: OrganisationId) -> &'k str {
        self.organisation(id).map_or("", |organisation| organisation.key.as_str())
    }

    pub fn party(&self, id: OrganisationId) -> Party<'_> {
        let Some(organisation) = self.organisation(id) else { return Party::default() };
        Party {
            id: self.organisations.get(&id).map_or("", String::as_str),
            name: &organisation.name,
            domain: organisation.domain.as_deref().unwrap_or_default(),
            country: organisation.country.code(),
            mpn_id: organisation.mpn_id.as_deref().unwrap_or_default(),
        }
    }

    /// The name of an entitlement.
    pub fn entitlement(&self, id: &str) -> &'k str {
        self.entitlements.get(id).copied().unwrap_or_default()
    }

    pub fn subscription(&self, subscription: SubscriptionIndex) -> Option<&'k Subscription> {
        let id = self.book.subscription_id(subscription);
        self.known.programme.subscriptions.get(&id)
    }

    /// Whose rows those of a subscription are on an edge: of the partner that buys, or, where a
    /// customer buys, of the partner that sells.
    pub fn rows_of(
        &self,
        subscription: SubscriptionIndex,
        edge: EdgeIndex,
    ) -> SubscriptionRows<'_> {
        let position = self.book.path(subscription).iter().position(|on| *on == edge);
        let (first, end_of) = self.book.billed_days(subscription, position.unwrap_or_default());
        let midnight = |day| instant_micros(Zone::UTC.start_of(day));
        let edge = &self.book.edges()[edge.get()];
        let buys = self.organisation(edge.buyer).is_some_and(|buyer| buyer.role.is_partner());
        let partner = if buys { edge.buyer } else { edge.seller };
        let sold = self.subscription(subscription);
        let path = sold.map(|sold| sold.path.as_slice()).unwrap_or_default();
        let customer = path.last().copied();
        let reseller = path.len().checked_sub(2).map(|at| path[at]).filter(|id| *id != partner);
        let zone = &self.known.programme.zone;
        let start = sold.map_or(0, |sold| instant_micros(zone.start_of(sold.validity.from())));
        let end = sold.and_then(|sold| sold.validity.until());
        SubscriptionRows {
            partner: self.party(partner),
            customer: customer.map(|id| self.party(id)).unwrap_or_default(),
            reseller_mpn_id: reseller.map_or("", |id| self.party(id).mpn_id),
            id: &self.subscriptions[subscription.get()],
            name: sold.map_or("", |sold| sold.name.as_str()),
            start,
            end: end.map(|end| instant_micros(zone.start_of(end))),
            charged: (midnight(first), midnight(end_of.yesterday().unwrap_or(end_of))),
        }
    }

    /// The family of a subscription's offer.
    pub fn family(&self, subscription: SubscriptionIndex) -> OfferFamily {
        let offer = self.subscription(subscription).map(|sold| &sold.offer);
        let offer = offer.and_then(|offer| self.known.programme.offers.get(offer));
        offer.map_or(OfferFamily::Plan, |offer| offer.family)
    }

    pub fn product(&self, subscription: SubscriptionIndex, meter: MeterIndex) -> Product<'_> {
        let meter_id = self.book.meters()[meter.get()].as_str();
        let Some(meter) = self.book.meter_details(subscription, meter) else {
            return Product { meter_id, publisher: self.provider, ..Product::default() };
        };
        let publisher = if meter.publisher.is_empty() { self.provider } else { &meter.publisher };
        Product {
            meter_id,
            meter_name: &meter.name,
            category: &meter.category,
            subcategory: &meter.subcategory,
            region: &meter.region,
            unit: &meter.unit,
            product_id: &meter.product_id,
            product_title: &meter.product_title,
            sku_id: &meter.sku_id,
            sku_title: &meter.sku_title,
            publisher,
        }
    }
}
