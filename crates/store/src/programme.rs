//! What is agreed, as it was known at any instant.

use std::collections::BTreeMap;

use domain::{
    Calendars, CreditFacts, Derivation, Entitlement, ExchangePolicy, NumberSeries, Offer,
    Organisation, PriceBook, PriceRule, Programme, Relationship, Selector, Subscription, TaxFacts,
    Tier, Tiers, TradeAgreement, Validity,
};
use jiff::civil::Date;
use kernel::{Key, OrganisationId, Result, SubscriptionId, Zone};

use crate::db::{Row, Tx, Value, inconsistent, int, text};
use crate::inbox::Generation;

/// Facts that are new or say something else than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgrammeChanges {
    /// Name and zone of the programme.
    pub programme: Option<(String, Zone)>,
    /// Organisations.
    pub organisations: Vec<Organisation>,
    /// Relationships.
    pub relationships: Vec<Relationship>,
    /// Trade agreements.
    pub agreements: Vec<TradeAgreement>,
    /// Price books, without their rules.
    pub price_books: Vec<(Key, OrganisationId)>,
    /// Rules, with the book each belongs to.
    pub price_rules: Vec<(Key, PriceRule)>,
    /// Offers.
    pub offers: Vec<Offer>,
    /// Subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Registrations, rates and overrides of taxes.
    pub tax: TaxFacts,
    /// Granted credit, and the access that earns it.
    pub credit: CreditFacts,
}

impl Tx {
    /// Appends what has changed.
    pub async fn add_programme(&mut self, changes: &ProgrammeChanges, known_at: i64) -> Result<()> {
        self.everything()?;
        let known = int(known_at);
        if let Some((name, zone)) = &changes.programme {
            let values = vec![known.clone(), text(name), text(zone)];
            let sql = "INSERT INTO programme (known_at, name, zone) VALUES ($1, $2, $3)";
            self.execute(sql, values).await?;
        }
        self.insert(
            "INSERT INTO organisation (organisation_id, known_at, organisation_key, role, name, \
             country, domain, mpn_id, series_prefix, series_digits)",
            "",
            changes.organisations.iter().map(|o| organisation_values(o, &known)),
        )
        .await?;
        self.insert(
            "INSERT INTO relationship (partner_id, with_id, from_on, known_at, until_on)",
            "",
            changes.relationships.iter().map(|r| {
                let (from, until) = days(r.validity);
                vec![text(r.partner), text(r.with), from, known.clone(), until]
            }),
        )
        .await?;
        self.insert(
            "INSERT INTO agreement (seller_id, buyer_id, from_on, known_at, until_on, currency, \
             price_book, rounding, rate_source, rate_fixing, payment_terms_days, rate_restated, \
             tax_rounding, correction_months, rated, plan_calendar, legacy_calendar)",
            "",
            changes.agreements.iter().map(|a| agreement_values(a, &known)),
        )
        .await?;
        self.add_prices(changes, &known).await?;
        self.add_taxes(&changes.tax, &known).await?;
        self.add_credits(&changes.credit, &known).await?;
        self.add_subscriptions(changes, &known).await?;
        self.changed(Generation::Facts).await
    }

    async fn add_prices(&mut self, changes: &ProgrammeChanges, known: &Value) -> Result<()> {
        self.insert(
            "INSERT INTO price_book (price_book, known_at, seller_id)",
            "",
            changes
                .price_books
                .iter()
                .map(|(key, seller)| vec![text(key), known.clone(), text(seller)]),
        )
        .await?;
        self.insert(
            "INSERT INTO price_rule (price_book, selector, from_on, known_at, until_on, derivation)",
            "",
            changes.price_rules.iter().map(|(key, rule)| {
                let (from, until) = days(rule.validity);
                let derivation = text(written(&rule.derivation));
                vec![text(key), text(&rule.selector), from, known.clone(), until, derivation]
            }),
        )
        .await?;
        self.insert(
            "INSERT INTO offer (offer, known_at, name, family, price_sheet, tax_category)",
            "",
            changes.offers.iter().map(|o| {
                vec![
                    text(&o.key),
                    known.clone(),
                    text(&o.name),
                    text(o.family),
                    text(&o.price_sheet),
                    text(&o.tax_category),
                ]
            }),
        )
        .await
    }

    async fn add_subscriptions(&mut self, changes: &ProgrammeChanges, known: &Value) -> Result<()> {
        self.insert(
            "INSERT INTO subscription (subscription_id, known_at, name, offer, path, from_on, \
             until_on)",
            "",
            changes.subscriptions.iter().map(|s| {
                let (from, until) = days(s.validity);
                let path: Vec<String> = s.path.iter().map(ToString::to_string).collect();
                let path = text(path.join(" "));
                vec![text(s.id), known.clone(), text(&s.name), text(&s.offer), path, from, until]
            }),
        )
        .await?;
        let held = changes.subscriptions.iter().flat_map(|s| {
            s.entitlements
                .iter()
                .map(|e| vec![text(s.id), known.clone(), text(e.id), text(&e.name)])
        });
        let into = "INSERT INTO entitlement (subscription_id, known_at, entitlement_id, name)";
        self.insert(into, "", held).await
    }

    /// The programme as it was known at an instant; none before it was first applied.
    pub async fn programme(&mut self, known_at: i64) -> Result<Option<Programme>> {
        self.everything()?;
        let sql = "SELECT name, zone FROM programme WHERE known_at = \
                   (SELECT MAX(known_at) FROM programme WHERE known_at <= $1)";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut programme = Programme::new(row.text(0)?, row.parsed(1, "time zone")?);
        for organisation in self.organisations(known_at).await? {
            programme.organisations.insert(organisation.id, organisation);
        }
        programme.relationships = self.relationships(known_at).await?;
        programme.agreements = self.agreements(known_at).await?;
        programme.price_books = self.price_books(known_at).await?;
        for offer in self.offers(known_at).await? {
            programme.offers.insert(offer.key.clone(), offer);
        }
        programme.subscriptions = self.subscriptions(known_at).await?;
        programme.tax = self.taxes(known_at).await?;
        programme.credit = self.credits(known_at).await?;
        Ok(Some(programme))
    }

    async fn organisations(&mut self, known_at: i64) -> Result<Vec<Organisation>> {
        let sql = "SELECT organisation_id, organisation_key, role, name, country, domain, mpn_id, \
                   series_prefix, series_digits FROM organisation o WHERE known_at = ( \
                   SELECT MAX(known_at) FROM organisation k \
                   WHERE k.organisation_id = o.organisation_id AND k.known_at <= $1)";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Organisation {
                    id: row.parsed(0, "organisation id")?,
                    key: row.parsed(1, "organisation key")?,
                    role: row.parsed(2, "role")?,
                    name: row.text(3)?,
                    country: row.parsed(4, "country")?,
                    domain: row.optional(5)?,
                    mpn_id: row.optional(6)?,
                    series: NumberSeries { prefix: row.text(7)?, digits: row.int(8)? as u8 },
                })
            })
            .collect()
    }

    async fn relationships(&mut self, known_at: i64) -> Result<Vec<Relationship>> {
        let sql = "SELECT partner_id, with_id, from_on, until_on FROM relationship r \
                   WHERE known_at = (SELECT MAX(known_at) FROM relationship k \
                   WHERE k.partner_id = r.partner_id AND k.with_id = r.with_id \
                     AND k.from_on = r.from_on AND k.known_at <= $1) \
                   ORDER BY partner_id, with_id, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Relationship {
                    partner: row.parsed(0, "organisation id")?,
                    with: row.parsed(1, "organisation id")?,
                    validity: validity(row, 2, 3)?,
                })
            })
            .collect()
    }

    async fn agreements(&mut self, known_at: i64) -> Result<Vec<TradeAgreement>> {
        let sql = "SELECT seller_id, buyer_id, from_on, until_on, currency, price_book, rounding, \
                   rate_source, rate_fixing, payment_terms_days, rate_restated, tax_rounding, correction_months, \
                   rated, plan_calendar, legacy_calendar FROM agreement a \
                   WHERE known_at = (SELECT MAX(known_at) FROM agreement k \
                   WHERE k.seller_id = a.seller_id AND k.buyer_id = a.buyer_id \
                     AND k.from_on = a.from_on AND k.known_at <= $1) \
                   ORDER BY seller_id, buyer_id, from_on";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(TradeAgreement {
                    seller: row.parsed(0, "organisation id")?,
                    buyer: row.parsed(1, "organisation id")?,
                    validity: validity(row, 2, 3)?,
                    currency: row.parsed(4, "currency")?,
                    rated: row.parsed(13, "who rates")?,
                    price_book: row.parsed(5, "price book")?,
                    rounding: row.parsed(6, "rounding")?,
                    exchange: ExchangePolicy {
                        source: row.parsed(7, "source of exchange rates")?,
                        fixing: row.parsed(8, "fixing")?,
                        restated: row.int(10)? == 1,
                    },
                    tax_rounding: row.parsed(11, "rounding of taxes")?,
                    correction_months: row.optional_int(12)?.map(|months| months as u16),
                    payment_terms_days: row.int(9)? as u16,
                    calendars: Calendars {
                        plan: row.parsed(14, "calendar")?,
                        legacy: row.parsed(15, "calendar")?,
                    },
                })
            })
            .collect()
    }

    async fn price_books(&mut self, known_at: i64) -> Result<BTreeMap<Key, PriceBook>> {
        let sql = "SELECT price_book, seller_id FROM price_book b WHERE known_at = ( \
                   SELECT MAX(known_at) FROM price_book k \
                   WHERE k.price_book = b.price_book AND k.known_at <= $1)";
        let mut books = BTreeMap::new();
        for row in self.fetch(sql, vec![int(known_at)]).await? {
            let key: Key = row.parsed(0, "price book")?;
            let seller = row.parsed(1, "organisation id")?;
            books.insert(key.clone(), PriceBook { key, seller, rules: Vec::new() });
        }
        let sql = "SELECT price_book, selector, from_on, until_on, derivation FROM price_rule r \
                   WHERE known_at = (SELECT MAX(known_at) FROM price_rule k \
                   WHERE k.price_book = r.price_book AND k.selector = r.selector \
                     AND k.from_on = r.from_on AND k.known_at <= $1)";
        for row in self.fetch(sql, vec![int(known_at)]).await? {
            let key: Key = row.parsed(0, "price book")?;
            let rule = PriceRule {
                selector: row.parsed::<Selector>(1, "selector")?,
                validity: validity(&row, 2, 3)?,
                derivation: read(&row.text(4)?)?,
            };
            if let Some(book) = books.get_mut(&key) {
                book.rules.push(rule);
            }
        }
        // A database orders texts; a price book orders selectors.
        for book in books.values_mut() {
            book.rules.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        Ok(books)
    }

    async fn offers(&mut self, known_at: i64) -> Result<Vec<Offer>> {
        let sql = "SELECT offer, name, family, price_sheet, tax_category FROM offer o WHERE known_at = ( \
                   SELECT MAX(known_at) FROM offer k \
                   WHERE k.offer = o.offer AND k.known_at <= $1)";
        let rows = self.fetch(sql, vec![int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Offer {
                    key: row.parsed(0, "offer")?,
                    name: row.text(1)?,
                    family: row.parsed(2, "offer family")?,
                    price_sheet: row.parsed(3, "price sheet")?,
                    tax_category: row.parsed(4, "tax category")?,
                })
            })
            .collect()
    }

    async fn subscriptions(
        &mut self,
        known_at: i64,
    ) -> Result<BTreeMap<SubscriptionId, Subscription>> {
        let sql = "SELECT subscription_id, name, offer, path, from_on, until_on, known_at \
                   FROM subscription s WHERE known_at = (SELECT MAX(known_at) FROM subscription k \
                   WHERE k.subscription_id = s.subscription_id AND k.known_at <= $1)";
        let mut subscriptions = BTreeMap::new();
        let mut versions: BTreeMap<SubscriptionId, i64> = BTreeMap::new();
        for row in self.fetch(sql, vec![int(known_at)]).await? {
            let id = row.parsed(0, "subscription id")?;
            let path = row.text(3)?;
            let path: Result<Vec<OrganisationId>> = path
                .split(' ')
                .map(|id| id.parse().map_err(|error| inconsistent("organisation id", id, &error)))
                .collect();
            versions.insert(id, row.int(6)?);
            let subscription = Subscription {
                id,
                name: row.text(1)?,
                offer: row.parsed(2, "offer")?,
                path: path?,
                validity: validity(&row, 4, 5)?,
                entitlements: Vec::new(),
            };
            subscriptions.insert(id, subscription);
        }
        let sql = "SELECT subscription_id, known_at, entitlement_id, name FROM entitlement \
                   WHERE known_at <= $1 ORDER BY subscription_id, entitlement_id";
        for row in self.fetch(sql, vec![int(known_at)]).await? {
            let id = row.parsed(0, "subscription id")?;
            if versions.get(&id) != Some(&row.int(1)?) {
                continue;
            }
            let entitlement =
                Entitlement { id: row.parsed(2, "entitlement id")?, name: row.text(3)? };
            if let Some(subscription) = subscriptions.get_mut(&id) {
                subscription.entitlements.push(entitlement);
            }
        }
        Ok(subscriptions)
    }
}

fn organisation_values(o: &Organisation, known: &Value) -> Vec<Value> {
    vec![
        text(o.id),
        known.clone(),
        text(&o.key),
        text(o.role),
        text(&o.name),
        text(o.country),
        Value::optional(o.domain.as_ref()),
        Value::optional(o.mpn_id.as_ref()),
        text(&o.series.prefix),
        int(o.series.digits),
    ]
}

fn agreement_values(a: &TradeAgreement, known: &Value) -> Vec<Value> {
    let (from, until) = days(a.validity);
    vec![
        text(a.seller),
        text(a.buyer),
        from,
        known.clone(),
        until,
        text(a.currency),
        text(&a.price_book),
        text(a.rounding),
        text(a.exchange.source),
        text(a.exchange.fixing),
        int(a.payment_terms_days),
        int(i64::from(a.exchange.restated)),
        text(a.tax_rounding),
        Value::optional_int(a.correction_months),
        text(a.rated),
        text(a.calendars.plan),
        text(a.calendars.legacy),
    ]
}

pub(crate) fn days(validity: Validity) -> (Value, Value) {
    (text(validity.from()), Value::optional(validity.until()))
}

pub(crate) fn validity(row: &Row, from: usize, until: usize) -> Result<Validity> {
    let first: Date = row.parsed(from, "day")?;
    let until = row.parsed_optional(until, "day")?;
    Validity::new(first, until)
        .ok_or_else(|| inconsistent("a stretch of days", &first.to_string(), &"is empty"))
}

/// A derivation as it is kept: `list-minus 12`, `buy-plus 8`, `fixed NOK 0:1 100:0.5`.
fn written(derivation: &Derivation) -> String {
    match derivation {
        Derivation::ListMinus(percent) => format!("list-minus {percent}"),
        Derivation::BuyPlus(percent) => format!("buy-plus {percent}"),
        Derivation::Fixed { currency, tiers } => {
            let tiers = tiers.as_slice().iter();
            let tiers: Vec<_> = tiers.map(|tier| format!("{}:{}", tier.from, tier.price)).collect();
            format!("fixed {currency} {}", tiers.join(" "))
        }
    }
}

fn read(text: &str) -> Result<Derivation> {
    let wrong = || inconsistent("a derivation", text, &"is none");
    let (kind, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let percent = || rest.parse().map_err(|_| wrong());
    match kind {
        "list-minus" => Ok(Derivation::ListMinus(percent()?)),
        "buy-plus" => Ok(Derivation::BuyPlus(percent()?)),
        "fixed" => {
            let (currency, tiers) = rest.split_once(' ').ok_or_else(wrong)?;
            let tier = |tier: &str| {
                let (from, price) = tier.split_once(':')?;
                Some(Tier { from: from.parse().ok()?, price: price.parse().ok()? })
            };
            let tiers: Option<Vec<Tier>> = tiers.split(' ').map(tier).collect();
            let tiers = tiers.and_then(|tiers| Tiers::new(tiers).ok()).ok_or_else(wrong)?;
            Ok(Derivation::Fixed { currency: currency.parse().map_err(|_| wrong())?, tiers })
        }
        _ => Err(wrong()),
    }
}
