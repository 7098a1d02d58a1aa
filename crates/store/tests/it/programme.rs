use domain::{
    AccessScope, CreditException, CreditFacts, Derivation, EarnedCredit, EligibleAccess,
    Entitlement, ExchangePolicy, Fixing, NumberSeries, Offer, OfferFamily, Organisation, PriceRule,
    RateSource, RatedBy, Relationship, Role, RoundingPolicy, Selector, Subscription, TaxCategory,
    TaxFacts, TaxOverride, TaxRate, TaxRegistration, Tier, Tiers, TradeAgreement, Validity,
};
use jiff::civil::date;
use kernel::{EntitlementId, Key, OrganisationId, Rounding, SubscriptionId, Zone};
use store::{ProgrammeChanges, RateRow};

use crate::SCOPE;
use crate::databases::fresh;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn organisation(name: &str, role: Role) -> Organisation {
    Organisation {
        id: OrganisationId::derived(name),
        key: key(name),
        role,
        name: format!("{name} \"quoted\" æøå"),
        country: "NO".parse().unwrap(),
        domain: Some(format!("{name}.example")),
        mpn_id: None,
        series: NumberSeries { prefix: name.into(), digits: 7 },
    }
}

fn from_january() -> Validity {
    Validity::new(date(2026, 1, 1), None).unwrap()
}

fn rules() -> Vec<(Key, PriceRule)> {
    let tier = |from: &str, price: &str| Tier {
        from: from.parse().unwrap(),
        price: price.parse().unwrap(),
    };
    let rule = |selector, derivation| PriceRule { selector, validity: from_january(), derivation };
    vec![
        (key("book"), rule(Selector::All, Derivation::ListMinus("12.5".parse().unwrap()))),
        (
            key("book"),
            rule(
                Selector::Category("Data, Management".into()),
                Derivation::BuyPlus("-3.25".parse().unwrap()),
            ),
        ),
        (
            key("book"),
            rule(
                Selector::Meter("1core".parse().unwrap()),
                Derivation::Fixed {
                    currency: "NOK".parse().unwrap(),
                    tiers: Tiers::new(vec![tier("0", "0"), tier("100", "0.0209496384791679")])
                        .unwrap(),
                },
            ),
        ),
    ]
}

fn everything() -> ProgrammeChanges {
    let (seller, buyer) = (OrganisationId::derived("seller"), OrganisationId::derived("buyer"));
    ProgrammeChanges {
        programme: Some(("Test".into(), "Europe/Oslo".parse::<Zone>().unwrap())),
        organisations: vec![
            organisation("seller", Role::Provider),
            organisation("buyer", Role::Customer),
        ],
        relationships: vec![Relationship {
            partner: seller,
            with: buyer,
            validity: Validity::new(date(2026, 1, 1), Some(date(2027, 1, 1))).unwrap(),
        }],
        agreements: vec![TradeAgreement {
            seller,
            buyer,
            validity: from_january(),
            currency: "KWD".parse().unwrap(),
            price_book: key("book"),
            rated: RatedBy::Here,
            rounding: RoundingPolicy::Once(Rounding::HalfUp),
            exchange: ExchangePolicy {
                source: RateSource::Ecb,
                fixing: Fixing::BeforePeriod,
                restated: false,
            },
            tax_rounding: Rounding::HalfUp,
            correction_months: Some(6),
            calendars: domain::Calendars::default(),
            payment_terms_days: 45,
        }],
        price_books: vec![(key("book"), seller)],
        price_rules: rules(),
        offers: vec![Offer {
            key: key("plan"),
            name: "Plan".into(),
            family: OfferFamily::Plan,
            price_sheet: key("list"),
            tax_category: "standard".parse().unwrap(),
        }],
        subscriptions: vec![Subscription {
            id: SubscriptionId::derived("s"),
            name: "S".into(),
            offer: key("plan"),
            path: vec![seller, buyer],
            validity: from_january(),
            entitlements: vec![Entitlement { id: EntitlementId::derived("e"), name: "E".into() }],
        }],
        tax: taxes(seller, buyer),
        credit: credits(seller, buyer),
    }
}

fn credits(seller: OrganisationId, partner: OrganisationId) -> CreditFacts {
    let access = |scope: AccessScope| EligibleAccess {
        partner,
        subscription: SubscriptionId::derived("s"),
        scope,
        validity: Validity::new(date(2026, 3, 1), Some(date(2026, 4, 1))).unwrap(),
    };
    CreditFacts {
        granted: vec![EarnedCredit {
            seller,
            validity: from_january(),
            percent: "15".parse().unwrap(),
            except: CreditException::usual(),
        }],
        access: vec![
            access(AccessScope::ALL),
            access("/subscriptions/a/resourceGroups/b".parse().unwrap()),
        ],
    }
}

fn taxes(seller: OrganisationId, buyer: OrganisationId) -> TaxFacts {
    TaxFacts {
        registrations: vec![TaxRegistration {
            organisation: seller,
            country: "NO".parse().unwrap(),
            validity: from_january(),
            vat_id: "NO123456785MVA".into(),
            checked: Some((date(2026, 1, 2), "register".into())),
        }],
        rates: vec![TaxRate {
            country: "NO".parse().unwrap(),
            category: key("standard"),
            validity: from_january(),
            rate: "25".parse().unwrap(),
            exemption: None,
        }],
        overrides: vec![TaxOverride {
            seller,
            buyer,
            validity: Validity::new(date(2026, 3, 1), Some(date(2026, 4, 1))).unwrap(),
            category: TaxCategory::E,
            rate: "0".parse().unwrap(),
            reason: "embassy".into(),
        }],
    }
}

#[tokio::test]
async fn every_fact_comes_back_as_it_was() {
    let (_folder, db) = fresh().await;
    let facts = everything();
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.add_programme(&facts, 10).await.unwrap();
    let programme = tx.programme(10).await.unwrap().unwrap();
    assert_eq!(tx.programme(9).await.unwrap(), None, "not known before");
    assert_eq!((programme.name.as_str(), programme.zone.name()), ("Test", "Europe/Oslo"));
    let organisations: Vec<_> = programme.organisations.values().cloned().collect();
    let mut expected = facts.organisations.clone();
    expected.sort_by_key(|o| o.id);
    assert_eq!(organisations, expected);
    assert_eq!(programme.relationships, facts.relationships);
    assert_eq!(programme.agreements, facts.agreements);
    let book = &programme.price_books[&key("book")];
    for (_, rule) in &facts.price_rules {
        assert!(book.rules.contains(rule), "{rule:?}");
    }
    assert_eq!(book.rules.len(), 3);
    assert_eq!(programme.offers[&key("plan")], facts.offers[0]);
    assert_eq!(programme.subscriptions[&SubscriptionId::derived("s")], facts.subscriptions[0]);
    assert_eq!(programme.tax, facts.tax);
    assert_eq!(programme.credit, facts.credit);
}

#[tokio::test]
async fn a_change_leaves_what_was_known_before() {
    let (_folder, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.add_programme(&everything(), 10).await.unwrap();
    let mut subscription = everything().subscriptions.remove(0);
    subscription.entitlements = vec![];
    subscription.name = "renamed".into();
    let change = ProgrammeChanges { subscriptions: vec![subscription], ..Default::default() };
    tx.add_programme(&change, 20).await.unwrap();
    let id = SubscriptionId::derived("s");
    let before = tx.programme(19).await.unwrap().unwrap();
    let after = tx.programme(20).await.unwrap().unwrap();
    assert_eq!(
        (&*before.subscriptions[&id].name, before.subscriptions[&id].entitlements.len()),
        ("S", 1)
    );
    assert_eq!(
        (&*after.subscriptions[&id].name, after.subscriptions[&id].entitlements.len()),
        ("renamed", 0)
    );
    assert_eq!(before.organisations, after.organisations);
}

#[tokio::test]
async fn many_rows_go_in_by_few_statements() {
    let (_folder, db) = fresh().await;
    let names: Vec<String> = (0..10_000).map(|at| format!("o{at}")).collect();
    let organisations = names.iter().map(|name| organisation(name, Role::Customer)).collect();
    let changes = ProgrammeChanges {
        programme: Some(("Test".into(), Zone::UTC)),
        organisations,
        ..Default::default()
    };
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.add_programme(&changes, 1).await.unwrap();
    assert_eq!(tx.programme(1).await.unwrap().unwrap().organisations.len(), 10_000);
}

#[tokio::test]
async fn rates_are_added_once_and_corrected_by_later_ones() {
    let (_folder, db) = fresh().await;
    let row = |on, rate: &str| RateRow {
        source: RateSource::Ecb,
        from: "EUR".parse().unwrap(),
        to: "NOK".parse().unwrap(),
        on,
        rate: kernel::ExchangeRate::parse(rate).unwrap(),
    };
    let day = date(2026, 9, 28);
    let mut tx = db.write(&SCOPE).await.unwrap();
    assert_eq!(
        tx.add_rates(&[row(day, "10.5"), row(date(2026, 9, 29), "10.6")], 1).await.unwrap(),
        2
    );
    assert_eq!(tx.add_rates(&[row(day, "10.5")], 2).await.unwrap(), 0);
    assert_eq!(tx.add_rates(&[row(day, "10.7")], 3).await.unwrap(), 1);
    assert_eq!(tx.rates(day, day, 2).await.unwrap(), [row(day, "10.5")]);
    assert_eq!(tx.rates(day, day, 3).await.unwrap(), [row(day, "10.7")]);
    let rates = tx.exchange_rates("2026-10".parse().unwrap(), 3).await.unwrap();
    let policy =
        ExchangePolicy { source: RateSource::Ecb, fixing: Fixing::BeforePeriod, restated: false };
    let (eur, nok) = ("EUR".parse().unwrap(), "NOK".parse().unwrap());
    let found = rates.find(eur, nok, policy, "2026-10".parse().unwrap()).unwrap();
    assert_eq!((found.rate.to_string().as_str(), found.day), ("10.7", day));
}
