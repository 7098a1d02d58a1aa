//! Everything that is agreed: who trades with whom, on which terms, what is sold through whom.

mod check;
mod check_credit;
mod check_tax;

use std::collections::BTreeMap;

use jiff::civil::Date;
use kernel::{Country, Key, OrganisationId, SubscriptionId, Zone};

use crate::{
    AccessScope, CreditFacts, Offer, Organisation, PriceBook, Relationship, Selector, Subscription,
    TaxFacts, TradeAgreement,
};

/// A whole programme, as it is known at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// What it is called.
    pub name: String,
    /// The zone in which its months begin and end.
    pub zone: Zone,
    /// Who takes part.
    pub organisations: BTreeMap<OrganisationId, Organisation>,
    /// Who has accepted whom.
    pub relationships: Vec<Relationship>,
    /// On which terms they trade.
    pub agreements: Vec<TradeAgreement>,
    /// How sellers derive prices.
    pub price_books: BTreeMap<Key, PriceBook>,
    /// What can be bought.
    pub offers: BTreeMap<Key, Offer>,
    /// What has been bought.
    pub subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// What is known about taxes.
    pub tax: TaxFacts,
    /// What is known about the credit that partners earn.
    pub credit: CreditFacts,
}

/// Which fact of a programme is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactRef {
    /// An organisation.
    Organisation(OrganisationId),
    /// A relationship, by partner, other party and first day.
    Relationship(OrganisationId, OrganisationId, Date),
    /// A trade agreement, by seller, buyer and first day.
    Agreement(OrganisationId, OrganisationId, Date),
    /// A price book.
    PriceBook(Key),
    /// A rule of a price book, by selector and first day.
    PriceRule(Key, Selector, Date),
    /// An offer.
    Offer(Key),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A tax registration, by organisation, country and first day.
    TaxRegistration(OrganisationId, Country, Date),
    /// A tax rate, by country, tax category and first day.
    TaxRate(Country, Key, Date),
    /// A tax override, by seller, buyer and first day.
    TaxOverride(OrganisationId, OrganisationId, Date),
    /// What a provider grants, by its first day.
    EarnedCredit(OrganisationId, Date),
    /// Access of a partner to a scope of a subscription, by its first day.
    EligibleAccess(OrganisationId, SubscriptionId, AccessScope, Date),
}

/// Something in a programme that does not hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The fact.
    pub fact: FactRef,
    /// The key of the fact that is wrong.
    pub field: &'static str,
    /// Why, and what to do.
    pub reason: String,
}

impl Programme {
    /// An empty programme.
    pub fn new(name: String, zone: Zone) -> Self {
        Self {
            name,
            zone,
            organisations: BTreeMap::new(),
            relationships: Vec::new(),
            agreements: Vec::new(),
            price_books: BTreeMap::new(),
            offers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            tax: TaxFacts::default(),
            credit: CreditFacts::default(),
        }
    }

    /// The versions of the agreement between a seller and a buyer, in the order of the facts.
    pub fn agreements_of(
        &self,
        seller: OrganisationId,
        buyer: OrganisationId,
    ) -> impl Iterator<Item = &TradeAgreement> {
        self.agreements.iter().filter(move |a| a.seller == seller && a.buyer == buyer)
    }

    /// The key of an organisation, or its id where it is unknown.
    pub fn key_of(&self, id: OrganisationId) -> String {
        self.organisations.get(&id).map_or_else(|| id.to_string(), |o| o.key.to_string())
    }

    /// A fact in words.
    pub fn describe(&self, fact: &FactRef) -> String {
        let name = |id: &OrganisationId| self.key_of(*id);
        match fact {
            FactRef::Organisation(id) => format!("organisation {}", name(id)),
            FactRef::Relationship(partner, with, from) => {
                format!("the relationship of {} with {} from {from}", name(partner), name(with))
            }
            FactRef::Agreement(seller, buyer, from) => {
                format!("the agreement of {} and {} from {from}", name(seller), name(buyer))
            }
            FactRef::PriceBook(key) => format!("price book {key}"),
            FactRef::PriceRule(key, selector, from) => {
                format!("the rule of price book {key} for {selector} from {from}")
            }
            FactRef::Offer(key) => format!("offer {key}"),
            FactRef::Subscription(id) => format!("subscription {id}"),
            FactRef::TaxRegistration(id, country, from) => {
                format!("the tax registration of {} in {country} from {from}", name(id))
            }
            FactRef::TaxRate(country, category, from) => {
                format!("the tax rate of {country} for {category} from {from}")
            }
            FactRef::TaxOverride(seller, buyer, from) => {
                format!("the tax override of {} and {} from {from}", name(seller), name(buyer))
            }
            FactRef::EarnedCredit(seller, from) => {
                format!("the earned credit of {} from {from}", name(seller))
            }
            FactRef::EligibleAccess(partner, subscription, scope, from) => format!(
                "the access of {} to subscription {subscription} ({scope}) from {from}",
                name(partner)
            ),
        }
    }

    /// What does not hold together, in a fixed order; nothing when the programme is sound.
    pub fn check(&self) -> Vec<Finding> {
        check::check(self)
    }
}
