//! The checks of a programme: each rule is one function that reports what breaks it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use kernel::{Month, OrganisationId, Percent};

use super::{FactRef, Finding, Programme, check_credit, check_tax};
use crate::{
    Derivation, EDGES_MAX, Organisation, PriceBook, PriceRule, RatedBy, Role, Selector,
    Subscription, TradeAgreement, Validity,
};

/// The largest markup or negative discount a rule may state, in percent.
const PERCENT_MAX: i128 = 1000;

pub(super) fn check(programme: &Programme) -> Vec<Finding> {
    let mut checks = Checks { programme, edges: Edges::of(programme), findings: Vec::new() };
    checks.organisations();
    checks.relationships();
    checks.agreements();
    for book in programme.price_books.values() {
        checks.price_book(book);
    }
    checks.entitlements();
    for subscription in programme.subscriptions.values() {
        checks.subscription(subscription);
    }
    checks.findings.extend(check_tax::check(programme));
    checks.findings.extend(check_credit::check(programme));
    checks.findings
}

/// The facts by edge, so that a programme of many thousand customers is checked in one pass.
struct Edges<'a> {
    agreements: HashMap<(OrganisationId, OrganisationId), Vec<&'a TradeAgreement>>,
    relationships: HashMap<(OrganisationId, OrganisationId), Vec<Validity>>,
}

impl<'a> Edges<'a> {
    fn of(programme: &'a Programme) -> Self {
        let mut edges = Self { agreements: HashMap::new(), relationships: HashMap::new() };
        for a in &programme.agreements {
            edges.agreements.entry((a.seller, a.buyer)).or_default().push(a);
        }
        for r in &programme.relationships {
            edges.relationships.entry((r.partner, r.with)).or_default().push(r.validity);
        }
        edges
    }
}

struct Checks<'a> {
    programme: &'a Programme,
    edges: Edges<'a>,
    findings: Vec<Finding>,
}

impl<'a> Checks<'a> {
    fn report(&mut self, fact: FactRef, field: &'static str, reason: impl Into<String>) {
        self.findings.push(Finding { fact, field, reason: reason.into() });
    }

    fn known(
        &mut self,
        fact: FactRef,
        field: &'static str,
        id: OrganisationId,
    ) -> Option<&'a Organisation> {
        let found = self.programme.organisations.get(&id);
        if found.is_none() {
            self.report(fact, field, "is not an organisation of this programme");
        }
        found
    }

    fn organisations(&mut self) {
        let (mut keys, mut prefixes) = (BTreeMap::new(), BTreeMap::new());
        for organisation in self.programme.organisations.values() {
            let fact = || FactRef::Organisation(organisation.id);
            if let Some(other) = keys.insert(&organisation.key, organisation) {
                let reason = format!("is also the key of {}", other.name);
                self.report(fact(), "key", reason);
            }
            if !organisation.role.sells() {
                continue;
            }
            if let Some(other) = prefixes.insert(&organisation.series.prefix, organisation) {
                let reason = format!(
                    "numbers invoices with the prefix {} like {}; give one of them another prefix",
                    organisation.series.prefix, other.key
                );
                self.report(fact(), "invoice_series", reason);
            }
        }
    }

    fn relationships(&mut self) {
        for relationship in &self.programme.relationships {
            let (partner, with) = (relationship.partner, relationship.with);
            let fact = || FactRef::Relationship(partner, with, relationship.validity.from());
            if let Some(partner) = self.known(fact(), "partner", partner)
                && !partner.role.is_partner()
            {
                let reason = format!("is a {}, not a partner", partner.role);
                self.report(fact(), "partner", reason);
            }
            if let Some(with) = self.known(fact(), "with", with)
                && !with.role.buys()
            {
                self.report(fact(), "with", "is the provider, which buys from nobody");
            }
        }
    }

    fn agreements(&mut self) {
        let mut edges: Vec<_> = self.edges.agreements.iter().collect();
        edges.sort_by_key(|(edge, _)| **edge);
        let versions: Vec<Vec<&TradeAgreement>> =
            edges.into_iter().map(|(_, versions)| versions.clone()).collect();
        for mut versions in versions {
            versions.sort_by_key(|version| version.validity.from());
            for version in &versions {
                self.agreement(version);
            }
            for pair in versions.windows(2) {
                self.succession(pair[0], pair[1]);
            }
        }
    }

    fn agreement(&mut self, agreement: &TradeAgreement) {
        let fact =
            || FactRef::Agreement(agreement.seller, agreement.buyer, agreement.validity.from());
        if agreement.seller == agreement.buyer {
            self.report(fact(), "buyer", "is the seller itself");
        }
        let provides = self.known(fact(), "seller", agreement.seller);
        if agreement.rated == RatedBy::Seller
            && provides.is_some_and(|seller| seller.role != Role::Provider)
        {
            let reason = "cannot be `seller`: only a provider rates in a system of its own; what it \
                          sells begins the sale path";
            self.report(fact(), "rated", reason);
        }
        if let Some(seller) = self.known(fact(), "seller", agreement.seller)
            && !seller.role.sells()
        {
            self.report(fact(), "seller", "is a customer, which sells to nobody");
        }
        if let Some(buyer) = self.known(fact(), "buyer", agreement.buyer)
            && !buyer.role.buys()
        {
            self.report(fact(), "buyer", "is the provider, which buys from nobody");
        }
        match self.programme.price_books.get(&agreement.price_book) {
            None => {
                let reason = format!("{} is not a price book", agreement.price_book);
                self.report(fact(), "price_book", reason);
            }
            Some(book) if book.seller != agreement.seller => {
                let owner = self.programme.key_of(book.seller);
                let reason = format!("{} is a price book of {owner}, not of the seller", book.key);
                self.report(fact(), "price_book", reason);
            }
            Some(_) => {}
        }
    }

    /// A later version of an agreement: it follows the earlier one and changes at a month's start,
    /// because a month is billed on one set of terms.
    fn succession(&mut self, earlier: &TradeAgreement, later: &TradeAgreement) {
        let fact = FactRef::Agreement(later.seller, later.buyer, later.validity.from());
        if earlier.validity.overlaps(later.validity) {
            let reason = format!(
                "overlaps the version {}; end that one with until = {}",
                earlier.validity,
                later.validity.from()
            );
            self.report(fact, "from", reason);
        } else if later.validity.from() != Month::of(later.validity.from()).first_day() {
            self.report(
                fact,
                "from",
                "is not the first day of a month; new terms start with a month",
            );
        }
    }

    fn price_book(&mut self, book: &'a PriceBook) {
        let fact = FactRef::PriceBook(book.key.clone());
        let Some(seller) = self.known(fact.clone(), "seller", book.seller) else { return };
        if !seller.role.sells() {
            self.report(fact, "seller", "is a customer, which sells to nobody");
        }
        let mut by_selector: BTreeMap<String, Vec<&PriceRule>> = BTreeMap::new();
        for rule in &book.rules {
            self.derivation(book, rule, seller);
            let same = rule.selector.to_string().to_lowercase();
            by_selector.entry(same).or_default().push(rule);
        }
        for rules in by_selector.values_mut() {
            rules.sort_by_key(|rule| rule.validity.from());
            for pair in rules.windows(2).filter(|p| p[0].validity.overlaps(p[1].validity)) {
                let reason = format!(
                    "ties with another rule for {}, {}: neither is more specific, and both apply \
                     at once",
                    pair[0].selector, pair[0].validity
                );
                self.report(rule_ref(book, pair[1]), selector_field(&pair[1].selector), reason);
            }
        }
    }

    fn derivation(&mut self, book: &PriceBook, rule: &PriceRule, seller: &Organisation) {
        let percent = |whole: i128| Percent::HUNDRED.mantissa() / 100 * whole;
        match &rule.derivation {
            Derivation::ListMinus(p)
                if *p > Percent::HUNDRED || p.mantissa() < percent(-PERCENT_MAX) =>
            {
                let reason = format!("is {p} %; it must lie between -{PERCENT_MAX} and 100");
                self.report(rule_ref(book, rule), "list_minus", reason);
            }
            Derivation::BuyPlus(p)
                if p.mantissa() < percent(-100) || p.mantissa() > percent(PERCENT_MAX) =>
            {
                let reason = format!("is {p} %; it must lie between -100 and {PERCENT_MAX}");
                self.report(rule_ref(book, rule), "buy_plus", reason);
            }
            Derivation::BuyPlus(_) if !seller.role.buys() => {
                let reason = "needs a price the seller pays, and the provider buys from nobody; \
                              use list_minus or fixed";
                self.report(rule_ref(book, rule), "buy_plus", reason);
            }
            _ => {}
        }
    }

    fn entitlements(&mut self) {
        let mut holders = BTreeMap::new();
        for subscription in self.programme.subscriptions.values() {
            let fact = || FactRef::Subscription(subscription.id);
            for entitlement in &subscription.entitlements {
                if let Some(other) = holders.insert(entitlement.id, subscription.id) {
                    let reason = format!("{} is also held by subscription {other}", entitlement.id);
                    self.report(fact(), "entitlements", reason);
                }
                let as_subscription = kernel::SubscriptionId::from_uuid(entitlement.id.uuid());
                if as_subscription != subscription.id
                    && self.programme.subscriptions.contains_key(&as_subscription)
                {
                    let reason = format!("{} is the id of another subscription", entitlement.id);
                    self.report(fact(), "entitlements", reason);
                }
            }
        }
    }

    fn subscription(&mut self, subscription: &Subscription) {
        let fact = || FactRef::Subscription(subscription.id);
        if !self.programme.offers.contains_key(&subscription.offer) {
            self.report(fact(), "offer", format!("{} is not an offer", subscription.offer));
        }
        if !self.path(subscription) {
            return;
        }
        let start = subscription.validity.from();
        for (seller, buyer) in subscription.edges() {
            let names = (self.programme.key_of(seller), self.programme.key_of(buyer));
            let agreed = self.edges.agreements.get(&(seller, buyer));
            if !agreed.is_some_and(|all| all.iter().any(|a| a.validity.contains(start))) {
                let reason = format!(
                    "{} and {} have no trade agreement on {start}; add an [[agreement]]",
                    names.0, names.1
                );
                self.report(fact(), "path", reason);
            }
            if self.needs_relationship(seller) && !self.related(seller, buyer, start) {
                let reason = format!(
                    "{} has no relationship with {} on {start}; add a [[relationship]]",
                    names.0, names.1
                );
                self.report(fact(), "path", reason);
            }
        }
    }

    /// The provider's partners are admitted by agreement; everybody else needs a relationship.
    fn needs_relationship(&self, seller: OrganisationId) -> bool {
        self.programme.organisations.get(&seller).is_some_and(|seller| seller.role.is_partner())
    }

    fn related(&self, partner: OrganisationId, with: OrganisationId, day: Date) -> bool {
        let all = self.edges.relationships.get(&(partner, with));
        all.is_some_and(|all| all.iter().any(|validity| validity.contains(day)))
    }

    /// Whether the sale path leads from a provider over partners to a customer.
    fn path(&mut self, subscription: &Subscription) -> bool {
        let fact = || FactRef::Subscription(subscription.id);
        let before = self.findings.len();
        let edges = subscription.path.len().saturating_sub(1);
        if edges == 0 || edges > EDGES_MAX {
            let reason = format!("has {edges} edges; it must have 1 to {EDGES_MAX}");
            self.report(fact(), "path", reason);
            return false;
        }
        let mut seen = BTreeSet::new();
        for (at, id) in subscription.path.iter().enumerate() {
            let Some(organisation) = self.known(fact(), "path", *id) else { continue };
            let (fits, wanted) = match at {
                0 => (!organisation.role.buys(), "start with the provider"),
                _ if at == edges => (!organisation.role.sells(), "end with a customer"),
                _ => (organisation.role.is_partner(), "lead over partners"),
            };
            if !fits {
                let reason =
                    format!("must {wanted}, but {} is a {}", organisation.key, organisation.role);
                self.report(fact(), "path", reason);
            }
            if !seen.insert(*id) {
                self.report(fact(), "path", format!("visits {} twice", organisation.key));
            }
        }
        self.findings.len() == before
    }
}

fn rule_ref(book: &PriceBook, rule: &PriceRule) -> FactRef {
    FactRef::PriceRule(book.key.clone(), rule.selector.clone(), rule.validity.from())
}

fn selector_field(selector: &Selector) -> &'static str {
    match selector {
        Selector::Meter(_) => "meter",
        Selector::Product(_) => "product",
        Selector::Category(_) => "category",
        Selector::All => "all",
    }
}
