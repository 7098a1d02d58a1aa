//! What applying a programme file would change.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use domain::{CreditFacts, FactRef, Programme, TaxFacts};
use kernel::Key;
use store::{ProgrammeChanges, RateRow};

use super::Declared;

/// One change, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether the fact is new; otherwise it says something else than before.
    pub is_new: bool,
    /// What kind of fact.
    pub kind: &'static str,
    /// Which one, and what it says.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_new { '+' } else { '~' };
        write!(f, "{sign} {:<14} {}", self.kind, self.what)
    }
}

/// Everything that applying a file would change.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The changes, in the order of the file's sections.
    pub changes: Vec<Change>,
    /// Facts that are known and that the file does not mention; they stay.
    pub untouched: u64,
    pub(super) facts: ProgrammeChanges,
    pub(super) rates: Vec<RateRow>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Compares what a file says with what is known; also returns the programme as it would be.
pub(super) fn plan(
    declared: &Declared,
    known: Option<&Programme>,
    known_rates: &[RateRow],
) -> (Plan, Programme) {
    let wanted = &declared.programme;
    let mut result =
        known.cloned().unwrap_or_else(|| Programme::new(wanted.name.clone(), wanted.zone.clone()));
    let mut plan = Plan::default();
    let named = (wanted.name.clone(), wanted.zone.clone());
    if known.is_none_or(|known| (known.name.clone(), known.zone.clone()) != named) {
        plan.add(known.is_none(), "programme", format!("{}, zone {}", named.0, named.1));
        (result.name, result.zone) = named.clone();
        plan.facts.programme = Some(named);
    }
    organisations(&mut plan, wanted, &mut result);
    let keys = Names::of(&result);
    relationships(&mut plan, wanted, &mut result, &keys);
    agreements(&mut plan, wanted, &mut result, &keys);
    price_books(&mut plan, wanted, &mut result, &keys);
    offers_and_subscriptions(&mut plan, wanted, &mut result, &keys);
    taxes(&mut plan, &wanted.tax, &mut result.tax, &keys);
    credits(&mut plan, &wanted.credit, &mut result.credit, &keys);
    rates(&mut plan, &declared.rates, known_rates);
    (plan, result)
}

/// The keys of organisations, for people to read.
struct Names(HashMap<kernel::OrganisationId, Key>);

impl Names {
    fn of(programme: &Programme) -> Self {
        Self(programme.organisations.values().map(|o| (o.id, o.key.clone())).collect())
    }

    fn get(&self, id: kernel::OrganisationId) -> String {
        self.0.get(&id).map_or_else(|| id.to_string(), ToString::to_string)
    }
}

impl Plan {
    fn add(&mut self, is_new: bool, kind: &'static str, what: String) {
        self.changes.push(Change { is_new, kind, what });
    }
}

fn organisations(plan: &mut Plan, wanted: &Programme, result: &mut Programme) {
    for organisation in wanted.organisations.values() {
        let before = result.organisations.insert(organisation.id, organisation.clone());
        if before.as_ref() == Some(organisation) {
            continue;
        }
        let what = format!("{} ({}, {})", organisation.key, organisation.role, organisation.name);
        plan.add(before.is_none(), "organisation", what);
        plan.facts.organisations.push(organisation.clone());
    }
    plan.untouched += (result.organisations.len() - wanted.organisations.len()) as u64;
}

fn relationships(plan: &mut Plan, wanted: &Programme, result: &mut Programme, names: &Names) {
    let key = |r: &domain::Relationship| (r.partner, r.with, r.validity.from());
    let mut known: BTreeMap<_, _> = result.relationships.iter().map(|r| (key(r), *r)).collect();
    for relationship in &wanted.relationships {
        let before = known.insert(key(relationship), *relationship);
        if before == Some(*relationship) {
            continue;
        }
        let (partner, with) = (names.get(relationship.partner), names.get(relationship.with));
        plan.add(
            before.is_none(),
            "relationship",
            format!("{partner} - {with}, {}", relationship.validity),
        );
        plan.facts.relationships.push(*relationship);
    }
    plan.untouched += (known.len() - wanted.relationships.len()) as u64;
    result.relationships = known.into_values().collect();
}

fn agreements(plan: &mut Plan, wanted: &Programme, result: &mut Programme, names: &Names) {
    let key = |a: &domain::TradeAgreement| (a.seller, a.buyer, a.validity.from());
    let mut known: BTreeMap<_, _> = result.agreements.drain(..).map(|a| (key(&a), a)).collect();
    for agreement in &wanted.agreements {
        let before = known.insert(key(agreement), agreement.clone());
        if before.as_ref() == Some(agreement) {
            continue;
        }
        let what = format!(
            "{} -> {}, {}: {}, price book {}, {}{}",
            names.get(agreement.seller),
            names.get(agreement.buyer),
            agreement.validity,
            agreement.currency,
            agreement.price_book,
            agreement.rounding,
            calendars(agreement.calendars)
        );
        plan.add(before.is_none(), "agreement", what);
        plan.facts.agreements.push(agreement.clone());
    }
    plan.untouched += (known.len() - wanted.agreements.len()) as u64;
    result.agreements = known.into_values().collect();
}

/// What is billed by anniversary.
fn calendars(calendars: domain::Calendars) -> String {
    let families = domain::OfferFamily::NAMES.iter();
    let other = families.filter(|(_, family)| calendars.of(*family) != domain::Calendar::default());
    other
        .flat_map(|(name, family)| {
            [", ".into(), (*name).into(), " by ".into(), calendars.of(*family).to_string()]
        })
        .collect()
}

fn price_books(plan: &mut Plan, wanted: &Programme, result: &mut Programme, names: &Names) {
    for book in wanted.price_books.values() {
        let known = result.price_books.entry(book.key.clone()).or_insert_with(|| {
            plan.add(true, "price book", format!("{} of {}", book.key, names.get(book.seller)));
            plan.facts.price_books.push((book.key.clone(), book.seller));
            domain::PriceBook { rules: Vec::new(), ..book.clone() }
        });
        if known.seller != book.seller {
            plan.add(false, "price book", format!("{} of {}", book.key, names.get(book.seller)));
            plan.facts.price_books.push((book.key.clone(), book.seller));
            known.seller = book.seller;
        }
        let key = |rule: &domain::PriceRule| (rule.selector.clone(), rule.validity.from());
        let mut rules: BTreeMap<_, _> =
            known.rules.drain(..).map(|rule| (key(&rule), rule)).collect();
        for rule in &book.rules {
            let before = rules.insert(key(rule), rule.clone());
            if before.as_ref() == Some(rule) {
                continue;
            }
            let what =
                format!("{}: {}, {}: {}", book.key, rule.selector, rule.validity, rule.derivation);
            plan.add(before.is_none(), "price rule", what);
            plan.facts.price_rules.push((book.key.clone(), rule.clone()));
        }
        plan.untouched += (rules.len() - book.rules.len()) as u64;
        known.rules = rules.into_values().collect();
    }
}

fn offers_and_subscriptions(
    plan: &mut Plan,
    wanted: &Programme,
    result: &mut Programme,
    names: &Names,
) {
    for offer in wanted.offers.values() {
        let before = result.offers.insert(offer.key.clone(), offer.clone());
        if before.as_ref() == Some(offer) {
            continue;
        }
        let what = format!("{} ({}), price sheet {}", offer.key, offer.family, offer.price_sheet);
        plan.add(before.is_none(), "offer", what);
        plan.facts.offers.push(offer.clone());
    }
    for subscription in wanted.subscriptions.values() {
        let before = result.subscriptions.insert(subscription.id, subscription.clone());
        if before.as_ref() == Some(subscription) {
            continue;
        }
        let path: Vec<String> = subscription.path.iter().map(|id| names.get(*id)).collect();
        let what = format!(
            "{} {} ({}), {}, {} entitlements",
            subscription.id,
            subscription.offer,
            path.join(" > "),
            subscription.validity,
            subscription.entitlements.len()
        );
        plan.add(before.is_none(), "subscription", what);
        plan.facts.subscriptions.push(subscription.clone());
    }
    let (offers, subscriptions) = (result.offers.len(), result.subscriptions.len());
    plan.untouched += (offers - wanted.offers.len()) as u64;
    plan.untouched += (subscriptions - wanted.subscriptions.len()) as u64;
}

fn taxes(plan: &mut Plan, wanted: &TaxFacts, result: &mut TaxFacts, names: &Names) {
    let (registrations, rates, overrides) =
        (&mut result.registrations, &mut result.rates, &mut result.overrides);
    plan.facts.tax = TaxFacts {
        registrations: changed(
            plan,
            (&wanted.registrations, registrations),
            |r| (r.organisation, r.country, r.validity.from()),
            |r| {
                let who = names.get(r.organisation);
                (
                    "tax registration",
                    format!("{who} in {}, {}: {}", r.country, r.validity, r.vat_id),
                )
            },
        ),
        rates: changed(
            plan,
            (&wanted.rates, rates),
            |r| (r.country, r.category.clone(), r.validity.from()),
            |r| ("tax rate", format!("{} {}, {}: {} %", r.country, r.category, r.validity, r.rate)),
        ),
        overrides: changed(
            plan,
            (&wanted.overrides, overrides),
            |o| (o.seller, o.buyer, o.validity.from()),
            |o| {
                let edge = format!("{} - {}", names.get(o.seller), names.get(o.buyer));
                let what = format!("{edge}, {}: {} {} %", o.validity, o.category, o.rate);
                ("tax override", format!("{what}, {}", o.reason))
            },
        ),
    };
}

fn credits(plan: &mut Plan, wanted: &CreditFacts, result: &mut CreditFacts, names: &Names) {
    plan.facts.credit = CreditFacts {
        granted: changed(
            plan,
            (&wanted.granted, &mut result.granted),
            |g| (g.seller, g.validity.from()),
            |g| {
                let what = format!("{}, {}: {} %", names.get(g.seller), g.validity, g.percent);
                let except: Vec<String> = g.except.iter().map(ToString::to_string).collect();
                ("earned credit", format!("{what}, except {}", except.join(", ")))
            },
        ),
        access: changed(
            plan,
            (&wanted.access, &mut result.access),
            |a| (a.partner, a.subscription, a.scope.clone(), a.validity.from()),
            |a| {
                let who = names.get(a.partner);
                ("access", format!("{who} to {} ({}), {}", a.subscription, a.scope, a.validity))
            },
        ),
    };
}

/// The facts that are new or other than those that are known, which take them in.
fn changed<T: Clone + PartialEq, K: Ord>(
    plan: &mut Plan,
    (wanted, known): (&[T], &mut Vec<T>),
    key: impl Fn(&T) -> K,
    describe: impl Fn(&T) -> (&'static str, String),
) -> Vec<T> {
    let mut facts: BTreeMap<K, T> = known.drain(..).map(|fact| (key(&fact), fact)).collect();
    let mut changed = Vec::new();
    for fact in wanted {
        let before = facts.insert(key(fact), fact.clone());
        if before.as_ref() == Some(fact) {
            continue;
        }
        let (kind, what) = describe(fact);
        plan.add(before.is_none(), kind, what);
        changed.push(fact.clone());
    }
    plan.untouched += (facts.len() - wanted.len()) as u64;
    *known = facts.into_values().collect();
    changed
}

fn rates(plan: &mut Plan, wanted: &[RateRow], known: &[RateRow]) {
    let key = |row: &RateRow| (row.from, row.to, row.on);
    let known: BTreeMap<_, _> = known
        .iter()
        .filter(|row| row.source == domain::RateSource::Programme)
        .map(|row| (key(row), row.rate))
        .collect();
    for row in wanted {
        let before = known.get(&key(row));
        if before == Some(&row.rate) {
            continue;
        }
        let month = kernel::Month::of(row.on);
        let what = format!("{month}: 1 {} = {} {}", row.from, row.rate, row.to);
        plan.add(before.is_none(), "exchange rate", what);
        plan.rates.push(*row);
    }
}

/// The fact that a change would alter; only for facts whose change can reach into the past.
pub(super) fn fact_refs(plan: &Plan) -> Vec<FactRef> {
    let facts = &plan.facts;
    let agreements = facts.agreements.iter();
    let rules = facts.price_rules.iter();
    agreements
        .map(|a| FactRef::Agreement(a.seller, a.buyer, a.validity.from()))
        .chain(rules.map(|(book, rule)| {
            FactRef::PriceRule(book.clone(), rule.selector.clone(), rule.validity.from())
        }))
        .chain(facts.subscriptions.iter().map(|s| FactRef::Subscription(s.id)))
        .collect()
}
