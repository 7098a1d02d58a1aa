//! From the text of a programme file to a programme, with every fault named by its line.

mod credit;
mod tax;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use domain::{
    Calendar, Calendars, Derivation, Entitlement, ExchangePolicy, FactRef, Fixing, NumberSeries,
    Offer, Organisation, PriceBook, PriceRule, Programme, RateSource, RatedBy, Relationship, Role,
    RoundingPolicy, Selector, Subscription, Tier, Tiers, TradeAgreement, Validity,
};
use jiff::civil::Date;
use kernel::{
    Currency, Error, ExchangeRate, Fault, Faults, Key, Month, OrganisationId, Result, Rounding,
    SubscriptionId, Zone,
};
use store::RateRow;
use toml::Spanned;

use super::file::{
    AgreementEntry, DateText, DecimalText, ExchangeRateEntry, OfferEntry, OrganisationEntry,
    PriceBookEntry, ProgrammeFile, RelationshipEntry, RuleEntry, SubscriptionEntry, Text,
};

/// The largest programme file that is read.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// What a programme file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The programme.
    pub programme: Programme,
    /// Agreed exchange rates.
    pub rates: Vec<RateRow>,
    lines: HashMap<FactRef, BTreeMap<&'static str, u64>>,
    file: String,
}

impl Declared {
    /// A fault of a fact, at the line where the file states it. Facts that the file does not
    /// state are not its fault.
    pub fn fault(&self, fact: &FactRef, field: &'static str, reason: String) -> Option<Fault> {
        let fields = self.lines.get(fact)?;
        let line = fields.get(field).or_else(|| fields.values().min()).copied();
        let field = Some(field.to_owned());
        Some(Fault { file: self.file.clone(), line, field, value: None, reason })
    }
}

/// Reads the text of a programme file. It may refer to organisations that are known already.
///
/// # Errors
/// Lists what is wrong: file, line, key, value, reason.
pub fn read(file: &str, text: &str, known: Option<&Programme>) -> Result<Declared> {
    let mut reader = Reader::new(file, text);
    for organisation in known.iter().flat_map(|known| known.organisations.values()) {
        reader.organisations.insert(organisation.key.to_string(), organisation.id);
    }
    if text.len() > FILE_BYTES_MAX {
        let reason = format!("has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
        return Err(Error::invalid(file, reason));
    }
    let parsed: ProgrammeFile = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().map(|span| reader.line(span.start));
            let reason = error.message().to_owned();
            let field = error.span().and_then(|span| key_before(text, span.start));
            let fault = Fault { file: file.to_owned(), line, field, value: None, reason };
            reader.faults.push(fault);
            return Err(reader.refused());
        }
    };
    let declared = reader.programme(&parsed);
    if !reader.faults.is_empty() {
        return Err(reader.refused());
    }
    Ok(declared)
}

/// The key whose value stands at a place of a file.
fn key_before(text: &str, offset: usize) -> Option<String> {
    let line = text.get(..offset)?.rsplit('\n').next()?;
    let (before, _) = line.rsplit_once('=')?;
    let key = before.rsplit([',', '{', ' ', '\t']).find(|part| !part.is_empty())?;
    Some(key.to_owned())
}

struct Reader<'a> {
    file: &'a str,
    /// Where each line ends.
    ends: Vec<usize>,
    faults: Faults,
    organisations: HashMap<String, OrganisationId>,
    /// The keys of organisations that this file states.
    stated: HashSet<String>,
    lines: HashMap<FactRef, BTreeMap<&'static str, u64>>,
    /// The exchange rates that this file states.
    rates: HashSet<(Currency, Currency, Month)>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str, text: &str) -> Self {
        Self {
            file,
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            faults: Faults::default(),
            organisations: HashMap::new(),
            stated: HashSet::new(),
            lines: HashMap::new(),
            rates: HashSet::new(),
        }
    }

    fn refused(&mut self) -> Error {
        let faults = Box::new(std::mem::take(&mut self.faults));
        Error::Refused { subject: self.file.to_owned(), faults }
    }

    fn line(&self, offset: usize) -> u64 {
        self.ends.partition_point(|end| *end < offset) as u64 + 1
    }

    fn at<T>(&self, spanned: &Spanned<T>) -> u64 {
        self.line(spanned.span().start)
    }

    fn fault(&mut self, line: u64, field: &str, value: Option<&str>, reason: impl Display) {
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line: Some(line),
            field: Some(field.to_owned()),
            value: value.map(ToOwned::to_owned),
            reason: reason.to_string(),
        });
    }

    /// The value of a text, or a fault.
    fn parsed<T>(&mut self, text: &Text, field: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let parsed = text.get_ref().parse();
        parsed.map_err(|why| self.fault(self.at(text), field, Some(text.get_ref()), why)).ok()
    }

    fn or_else<T>(&mut self, text: Option<&Text>, field: &str, otherwise: T) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.map_or(Some(otherwise), |text| self.parsed(text, field))
    }

    fn decimal<T>(&mut self, decimal: &Spanned<DecimalText>, field: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = &decimal.get_ref().0;
        text.parse().map_err(|why| self.fault(self.at(decimal), field, Some(text), why)).ok()
    }

    fn day(&mut self, day: &Spanned<DateText>, field: &str) -> Option<Date> {
        let text = &day.get_ref().0;
        let parsed = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        if parsed.is_none() {
            let reason = "is not a day; write it like 2026-10-01";
            self.fault(self.at(day), field, Some(text), reason);
        }
        parsed
    }

    fn validity(
        &mut self,
        from: &Spanned<DateText>,
        until: Option<&Spanned<DateText>>,
    ) -> Option<Validity> {
        let first = self.day(from, "from");
        self.validity_from(first?, until)
    }

    /// The same, from ever if there is no first day.
    fn validity_or_ever(
        &mut self,
        from: Option<&Spanned<DateText>>,
        until: Option<&Spanned<DateText>>,
    ) -> Option<Validity> {
        match from {
            Some(from) => self.validity(from, until),
            None => self.validity_from(Validity::EVER, until),
        }
    }

    fn validity_from(
        &mut self,
        first: Date,
        until: Option<&Spanned<DateText>>,
    ) -> Option<Validity> {
        let Some(until) = until else { return Validity::new(first, None) };
        let last = self.day(until, "until")?;
        let validity = Validity::new(first, Some(last));
        if validity.is_none() {
            let reason = format!("is not after the first day, {first}");
            self.fault(self.at(until), "until", Some(&until.get_ref().0), reason);
        }
        validity
    }

    fn organisation_id(&mut self, key: &Text, field: &str) -> Option<OrganisationId> {
        let found = self.organisations.get(key.get_ref()).copied();
        if found.is_none() {
            let reason = "is not the key of an organisation";
            self.fault(self.at(key), field, Some(key.get_ref()), reason);
        }
        found
    }

    /// Remembers where a fact and its keys stand. A fact that stands twice is a fault.
    fn remember<T>(&mut self, fact: FactRef, entry: &Spanned<T>, fields: &[(&'static str, u64)]) {
        let line = self.at(entry);
        let fields = fields.iter().copied().chain([("", line)]).collect();
        if let Some(before) = self.lines.insert(fact, fields) {
            let first = before.get("").copied().unwrap_or_default();
            let reason = format!("is stated a second time; the first is at line {first}");
            self.fault(line, "entry", None, reason);
        }
    }

    fn programme(&mut self, file: &ProgrammeFile) -> Declared {
        let zone = self.or_else(file.programme.zone.as_ref(), "zone", Zone::UTC);
        let name = file.programme.name.get_ref().clone();
        let mut programme = Programme::new(name, zone.unwrap_or(Zone::UTC));
        for entry in &file.organisation {
            if let Some(organisation) = self.organisation(entry) {
                programme.organisations.insert(organisation.id, organisation);
            }
        }
        programme.relationships =
            file.relationship.iter().filter_map(|entry| self.relationship(entry)).collect();
        programme.agreements =
            file.agreement.iter().filter_map(|entry| self.agreement(entry)).collect();
        for entry in &file.price_book {
            if let Some(book) = self.price_book(entry) {
                programme.price_books.insert(book.key.clone(), book);
            }
        }
        for entry in &file.offer {
            if let Some(offer) = self.offer(entry) {
                programme.offers.insert(offer.key.clone(), offer);
            }
        }
        for entry in &file.subscription {
            if let Some(subscription) = self.subscription(entry, &programme) {
                programme.subscriptions.insert(subscription.id, subscription);
            }
        }
        programme.tax = self.taxes(file);
        programme.credit = self.credits(file);
        let rates = file.exchange_rate.iter().filter_map(|entry| self.exchange_rate(entry));
        let rates = rates.collect();
        let lines = std::mem::take(&mut self.lines);
        Declared { programme, rates, lines, file: self.file.to_owned() }
    }

    fn organisation(&mut self, spanned: &Spanned<OrganisationEntry>) -> Option<Organisation> {
        let entry = spanned.get_ref();
        let key = self.parsed::<Key>(&entry.key, "key")?;
        let derived = OrganisationId::derived(key.as_str());
        let id = self.or_else(entry.tenant_id.as_ref(), "tenant_id", derived);
        let role = self.parsed::<Role>(&entry.role, "role");
        let country = self.parsed(&entry.country, "country");
        let series = self.series(entry, &key);
        let (id, role, country) = (id?, role?, country?);
        if !self.stated.insert(key.to_string()) {
            let reason = "is the key of another organisation above";
            self.fault(self.at(&entry.key), "key", Some(key.as_str()), reason);
        }
        self.organisations.insert(key.to_string(), id);
        let fields = [("key", self.at(&entry.key)), ("role", self.at(&entry.role))];
        self.remember(FactRef::Organisation(id), spanned, &fields);
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone());
        Some(Organisation {
            id,
            key,
            role,
            name: entry.name.get_ref().clone(),
            country,
            domain: text(&entry.domain),
            mpn_id: text(&entry.mpn_id),
            series: series?,
        })
    }

    fn series(&mut self, entry: &OrganisationEntry, key: &Key) -> Option<NumberSeries> {
        let Some(series) = &entry.invoice_series else {
            return Some(NumberSeries {
                prefix: format!("{}-", key.as_str().to_uppercase()),
                digits: 6,
            });
        };
        let prefix = series.prefix.get_ref();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if prefix.is_empty() || prefix.len() > 20 || !prefix.chars().all(allowed) {
            let reason = "must have 1 to 20 letters, digits, '-', '_' or '.'";
            self.fault(self.at(&series.prefix), "prefix", Some(prefix), reason);
            return None;
        }
        let digits = series.digits.as_ref().map_or(6, |digits| *digits.get_ref());
        if !(1..=12).contains(&digits) {
            let line = series.digits.as_ref().map_or(0, |digits| self.at(digits));
            self.fault(line, "digits", Some(&digits.to_string()), "must lie between 1 and 12");
            return None;
        }
        Some(NumberSeries { prefix: prefix.clone(), digits: digits as u8 })
    }

    fn relationship(&mut self, spanned: &Spanned<RelationshipEntry>) -> Option<Relationship> {
        let entry = spanned.get_ref();
        let partner = self.organisation_id(&entry.partner, "partner");
        let with = self.organisation_id(&entry.with, "with");
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let (partner, with, validity) = (partner?, with?, validity?);
        let fields = [("partner", self.at(&entry.partner)), ("with", self.at(&entry.with))];
        let fact = FactRef::Relationship(partner, with, validity.from());
        self.remember(fact, spanned, &fields);
        Some(Relationship { partner, with, validity })
    }

    fn agreement(&mut self, spanned: &Spanned<AgreementEntry>) -> Option<TradeAgreement> {
        let entry = spanned.get_ref();
        let seller = self.organisation_id(&entry.seller, "seller");
        let buyer = self.organisation_id(&entry.buyer, "buyer");
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let currency = self.parsed(&entry.currency, "currency");
        let price_book = self.parsed(&entry.price_book, "price_book");
        let rated = self.or_else(entry.rated.as_ref(), "rated", RatedBy::Here);
        let exact = RoundingPolicy::Once(Rounding::HalfEven);
        let rounding = self.or_else(entry.rounding.as_ref(), "rounding", exact);
        let exchange = self.exchange(entry);
        let tax_rounding =
            self.or_else(entry.tax_rounding.as_ref(), "tax_rounding", Rounding::HalfUp);
        let corrections = entry.correction_months.as_ref();
        if let Some(months) = corrections.filter(|months| !(0..=600).contains(months.get_ref())) {
            let (line, value) = (self.at(months), months.get_ref().to_string());
            let reason = "must lie between 0 and 600";
            self.fault(line, "correction_months", Some(&value), reason);
            return None;
        }
        let terms = entry.payment_terms_days.as_ref().map_or(30, |days| *days.get_ref());
        if !(0..=365).contains(&terms) {
            let line = entry.payment_terms_days.as_ref().map_or(0, |days| self.at(days));
            let reason = "must lie between 0 and 365";
            self.fault(line, "payment_terms_days", Some(&terms.to_string()), reason);
            return None;
        }
        let months = Calendar::CalendarMonth;
        let plan = self.or_else(entry.plan_calendar.as_ref(), "plan_calendar", months);
        let legacy = self.or_else(entry.legacy_calendar.as_ref(), "legacy_calendar", months);
        let agreement = TradeAgreement {
            seller: seller?,
            buyer: buyer?,
            validity: validity?,
            currency: currency?,
            rated: rated?,
            price_book: price_book?,
            rounding: rounding?,
            exchange: exchange?,
            tax_rounding: tax_rounding?,
            correction_months: corrections.map(|months| *months.get_ref() as u16),
            payment_terms_days: terms as u16,
            calendars: Calendars { plan: plan?, legacy: legacy? },
        };
        let fields = [
            ("seller", self.at(&entry.seller)),
            ("buyer", self.at(&entry.buyer)),
            ("from", self.at(&entry.from)),
            ("price_book", self.at(&entry.price_book)),
        ];
        let fact = FactRef::Agreement(agreement.seller, agreement.buyer, agreement.validity.from());
        self.remember(fact, spanned, &fields);
        Some(agreement)
    }

    fn exchange(&mut self, entry: &AgreementEntry) -> Option<ExchangePolicy> {
        let usual = ExchangePolicy {
            source: RateSource::Ecb,
            fixing: Fixing::BeforePeriod,
            restated: false,
        };
        let Some(exchange) = &entry.exchange else { return Some(usual) };
        let source = self.parsed(&exchange.source, "source");
        let fixing = self.or_else(exchange.fixing.as_ref(), "fixing", usual.fixing);
        let restated = exchange.restated.unwrap_or(usual.restated);
        Some(ExchangePolicy { source: source?, fixing: fixing?, restated })
    }

    fn price_book(&mut self, spanned: &Spanned<PriceBookEntry>) -> Option<PriceBook> {
        let entry = spanned.get_ref();
        let key = self.parsed::<Key>(&entry.key, "key");
        let seller = self.organisation_id(&entry.seller, "seller");
        let (key, seller) = (key?, seller?);
        let fields = [("key", self.at(&entry.key)), ("seller", self.at(&entry.seller))];
        self.remember(FactRef::PriceBook(key.clone()), spanned, &fields);
        let rules = entry.rule.iter().filter_map(|rule| self.rule(&key, rule)).collect();
        Some(PriceBook { key, seller, rules })
    }

    fn rule(&mut self, book: &Key, spanned: &Spanned<RuleEntry>) -> Option<PriceRule> {
        let entry = spanned.get_ref();
        let line = self.at(spanned);
        let selector = self.selector(entry, line);
        let derivation = self.derivation(entry, line);
        let validity = self.validity_or_ever(entry.from.as_ref(), entry.until.as_ref());
        let rule = PriceRule { selector: selector?, validity: validity?, derivation: derivation? };
        let mut fields = vec![];
        for (name, text) in
            [("meter", &entry.meter), ("product", &entry.product), ("category", &entry.category)]
        {
            fields.extend(text.as_ref().map(|text| (name, self.at(text))));
        }
        for (name, text) in [("list_minus", &entry.list_minus), ("buy_plus", &entry.buy_plus)] {
            fields.extend(text.as_ref().map(|text| (name, self.at(text))));
        }
        let fact = FactRef::PriceRule(book.clone(), rule.selector.clone(), rule.validity.from());
        // Two rules with one selector and first day tie, which the check of the book reports.
        if self.lines.contains_key(&fact) {
            let reason = format!("ties with another rule for {} from the same day", rule.selector);
            self.fault(line, "rule", None, reason);
        } else {
            self.remember(fact, spanned, &fields);
        }
        Some(rule)
    }

    fn selector(&mut self, entry: &RuleEntry, line: u64) -> Option<Selector> {
        let mut named = Vec::new();
        if let Some(meter) = &entry.meter {
            named.push(self.parsed(meter, "meter").map(Selector::Meter));
        }
        let text = |text: &Text| Some(text.get_ref().clone()).filter(|text| !text.is_empty());
        named.extend(entry.product.as_ref().map(|product| text(product).map(Selector::Product)));
        named.extend(entry.category.as_ref().map(|name| text(name).map(Selector::Category)));
        if let Some(all) = &entry.all {
            if !all.get_ref() {
                self.fault(self.at(all), "all", Some("false"), "must be true or left out");
            }
            named.push(Some(Selector::All));
        }
        match named.len() {
            1 => named.pop().flatten(),
            0 => {
                let reason = "applies to nothing; give it a meter, product, category or all = true";
                self.fault(line, "rule", None, reason);
                None
            }
            _ => {
                let reason = "applies to more than one of meter, product, category and all; write \
                              a rule for each";
                self.fault(line, "rule", None, reason);
                None
            }
        }
    }

    fn derivation(&mut self, entry: &RuleEntry, line: u64) -> Option<Derivation> {
        let stated = [
            entry.list_minus.is_some(),
            entry.buy_plus.is_some(),
            entry.fixed.is_some(),
            entry.tiers.is_some(),
        ];
        if stated.into_iter().filter(|stated| *stated).count() != 1 {
            let reason = "must have exactly one of list_minus, buy_plus, fixed and tiers";
            self.fault(line, "rule", None, reason);
            return None;
        }
        if let (Some(currency), None, None) = (&entry.currency, &entry.fixed, &entry.tiers) {
            let reason =
                "has no meaning here: the price is in the currency of what it is made from";
            self.fault(self.at(currency), "currency", Some(currency.get_ref()), reason);
        }
        if let Some(percent) = &entry.list_minus {
            return self.decimal(percent, "list_minus").map(Derivation::ListMinus);
        }
        if let Some(percent) = &entry.buy_plus {
            return self.decimal(percent, "buy_plus").map(Derivation::BuyPlus);
        }
        let tiers = self.tiers(entry);
        let Some(currency) = &entry.currency else {
            self.fault(line, "currency", None, "is missing; a price needs a currency");
            return None;
        };
        let currency = self.parsed(currency, "currency")?;
        Some(Derivation::Fixed { currency, tiers: tiers? })
    }

    fn tiers(&mut self, entry: &RuleEntry) -> Option<Tiers> {
        if let Some(price) = &entry.fixed {
            let price: kernel::UnitPrice = self.decimal(price, "fixed")?;
            if price.is_negative() {
                let line = entry.fixed.as_ref().map_or(0, |fixed| self.at(fixed));
                self.fault(line, "fixed", Some(&price.to_string()), "is negative");
                return None;
            }
            return Some(Tiers::flat(price));
        }
        let spanned = entry.tiers.as_ref()?;
        let mut tiers = Vec::new();
        for tier in spanned.get_ref() {
            let from = self.decimal(&tier.from, "from");
            let price = self.decimal(&tier.price, "price");
            tiers.push(Tier { from: from?, price: price? });
        }
        Tiers::new(tiers).map_err(|why| self.fault(self.at(spanned), "tiers", None, why)).ok()
    }

    fn offer(&mut self, spanned: &Spanned<OfferEntry>) -> Option<Offer> {
        let entry = spanned.get_ref();
        let key = self.parsed::<Key>(&entry.key, "key");
        let family = self.parsed(&entry.family, "family");
        let price_sheet = self.parsed(&entry.price_sheet, "price_sheet");
        let tax_category = self.tax_category(entry.tax_category.as_ref())?;
        let (key, family, price_sheet) = (key?, family?, price_sheet?);
        let fields = [("key", self.at(&entry.key))];
        self.remember(FactRef::Offer(key.clone()), spanned, &fields);
        let name = entry.name.get_ref().clone();
        Some(Offer { key, name, family, price_sheet, tax_category })
    }

    fn subscription(
        &mut self,
        spanned: &Spanned<SubscriptionEntry>,
        programme: &Programme,
    ) -> Option<Subscription> {
        let entry = spanned.get_ref();
        let id = self.subscription_id(&entry.id, "id");
        let offer = self.parsed::<Key>(&entry.offer, "offer");
        let path: Vec<_> = entry.path.iter().map(|key| self.organisation_id(key, "path")).collect();
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let mut entitlements = Vec::new();
        for held in &entry.entitlement {
            let id = self.parsed(&held.id, "id");
            entitlements.push(Entitlement { id: id?, name: held.name.get_ref().clone() });
        }
        entitlements.sort_by_key(|entitlement| entitlement.id);
        let (id, offer, validity) = (id?, offer?, validity?);
        let path = path.into_iter().collect::<Option<Vec<_>>>()?;
        let line = entry.path.first().map_or_else(|| self.at(spanned), |key| self.at(key));
        let fields = [("path", line), ("offer", self.at(&entry.offer))];
        self.remember(FactRef::Subscription(id), spanned, &fields);
        let name = entry.name.as_ref().map(|name| name.get_ref().clone());
        let offered = programme.offers.get(&offer).map(|offer| offer.name.clone());
        let name = name.or(offered).unwrap_or_default();
        Some(Subscription { id, name, offer, path, validity, entitlements })
    }

    fn subscription_id(&mut self, text: &Text, field: &str) -> Option<SubscriptionId> {
        if let Ok(id) = text.get_ref().parse() {
            return Some(id);
        }
        if text.get_ref().parse::<Key>().is_ok() {
            return Some(SubscriptionId::derived(text.get_ref()));
        }
        let reason = "is neither a GUID nor a short name of lower-case letters, digits and hyphens";
        self.fault(self.at(text), field, Some(text.get_ref()), reason);
        None
    }

    fn exchange_rate(&mut self, spanned: &Spanned<ExchangeRateEntry>) -> Option<RateRow> {
        let entry = spanned.get_ref();
        let from = self.parsed(&entry.from, "from");
        let to = self.parsed(&entry.to, "to");
        let month = self.parsed::<Month>(&entry.month, "month");
        let text = &entry.rate.get_ref().0;
        let rate = ExchangeRate::parse(text)
            .map_err(|why| self.fault(self.at(&entry.rate), "rate", Some(text), why))
            .ok();
        let (from, to, month, rate) = (from?, to?, month?, rate?);
        if from == to {
            self.fault(self.at(&entry.to), "to", Some(entry.to.get_ref()), "is the same as from");
            return None;
        }
        if !self.rates.insert((from, to, month)) {
            let reason = format!("of {from} to {to} in {month} is stated more than once");
            self.fault(self.at(&entry.rate), "rate", Some(text), reason);
            return None;
        }
        let source = RateSource::Programme;
        Some(RateRow { source, from, to, on: month.first_day(), rate })
    }
}
