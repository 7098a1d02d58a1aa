//! The tax of invoices: each line has its category, sums have their tax, and lines share it.
//!
//! Tax is computed on the sum of a treatment and rounded once. A line shows by how much the tax on
//! the lines up to it has grown, so that the lines add up to the tax of the invoice.

use std::collections::{BTreeMap, BTreeSet};

use documents::invoice::TaxDocument;
use domain::{TaxTreatment, Validity};
use jiff::civil::Date;
use kernel::{Error, Key, Money, OrganisationId, Result, Rounding};
use rating::{EdgeIndex, RateBook, SubscriptionIndex};

use crate::facts::Known;

/// A seller and a buyer.
type Pair = (OrganisationId, OrganisationId);

/// How the edges of a month are taxed.
pub(crate) struct Taxation<'a> {
    known: &'a Known,
    book: &'a RateBook,
    /// The tax categories of the offers.
    categories: Vec<Key>,
    /// The one of each subscription.
    of: Vec<usize>,
    /// The day that decides: the last of the month, on which what was sold is complete.
    pub point: Date,
}

/// The sum of what an invoice taxes in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaxSum {
    pub treatment: TaxTreatment,
    pub base: Money,
    pub tax: Money,
}

impl TaxSum {
    /// As invoices state it.
    pub fn document(&self) -> TaxDocument {
        let reason = &self.treatment.reason;
        TaxDocument {
            category: self.treatment.category.to_string(),
            rate: self.treatment.rate.to_string(),
            taxable: self.base.digits(),
            tax: self.tax.digits(),
            rule: self.treatment.rule.to_string(),
            reason: (!reason.is_empty()).then(|| reason.clone()),
            exemption_code: self.treatment.category.exemption_code().map(str::to_owned),
        }
    }
}

impl<'a> Taxation<'a> {
    pub fn new(known: &'a Known, book: &'a RateBook) -> Self {
        let mut categories: Vec<Key> = Vec::new();
        let of = book.subscriptions().map(|id| {
            let sold = known.programme.subscriptions.get(&id);
            let offer = sold.and_then(|sold| known.programme.offers.get(&sold.offer));
            let Some(category) = offer.map(|offer| &offer.tax_category) else { return 0 };
            let at = categories.iter().position(|known| known == category);
            at.unwrap_or_else(|| {
                categories.push(category.clone());
                categories.len() - 1
            })
        });
        let of = of.collect();
        Self { known, book, categories, of, point: book.month().last_day() }
    }

    /// How an edge taxes a category.
    fn treatment(&self, edge: EdgeIndex, category: usize) -> Result<TaxTreatment> {
        let terms = &self.book.edges()[edge.get()];
        let organisations = &self.known.programme.organisations;
        let parties = organisations.get(&terms.seller).zip(organisations.get(&terms.buyer));
        let parties = parties.ok_or_else(|| Error::internal("an edge without parties"))?;
        let category = self.categories.get(category);
        let category = category.ok_or_else(|| Error::internal("an offer without category"))?;
        self.known.programme.tax_treatment(parties, category, self.point).map_err(|reason| {
            Error::conflict(format!("{} -> {}: {reason}", parties.0.key, parties.1.key))
        })
    }

    /// How an edge taxes a subscription.
    pub fn of_subscription(
        &self,
        edge: EdgeIndex,
        subscription: SubscriptionIndex,
    ) -> Result<TaxTreatment> {
        self.treatment(edge, self.of[subscription.get()])
    }

    /// The tax of an edge's lines, which are still to come.
    pub fn of_edge(&self, edge: EdgeIndex) -> EdgeTaxes<'_> {
        let terms = &self.book.edges()[edge.get()];
        let programme = &self.known.programme;
        let month = Validity::new(
            self.book.month().first_day(),
            Some(self.book.month().next().first_day()),
        );
        let agreed = || programme.agreements_of(terms.seller, terms.buyer);
        let of_month = agreed().find(|a| month.is_some_and(|month| a.validity.overlaps(month)));
        // What is left to be billed when terms have ended is billed by them.
        let first_day = self.book.month().first_day();
        let before = agreed().filter(|a| a.validity.from() < first_day);
        let agreed = of_month.or_else(|| before.max_by_key(|a| a.validity.from()));
        EdgeTaxes {
            taxation: self,
            edge,
            rounding: agreed.map_or(Rounding::HalfUp, |agreement| agreement.tax_rounding),
            slots: vec![None; self.categories.len()],
            sums: Vec::new(),
        }
    }

    /// How each category is taxed on each edge with such a subscription: seller and buyer, category,
    /// treatment. A missing rate is told in words.
    pub fn all(&self) -> BTreeMap<(Pair, Key), Result<(TaxTreatment, Rounding), String>> {
        let mut pairs: BTreeSet<(EdgeIndex, usize)> = BTreeSet::new();
        for (at, _) in self.book.subscription_indices() {
            let category = self.of[at.get()];
            pairs.extend(self.book.path(at).iter().map(|edge| (*edge, category)));
        }
        let treated = pairs.into_iter().filter_map(|(edge, category)| {
            let treatment = self.treatment(edge, category).map_err(|error| error.to_string());
            let treatment = treatment.map(|treatment| (treatment, self.of_edge(edge).rounding));
            let terms = &self.book.edges()[edge.get()];
            let key = ((terms.seller, terms.buyer), self.categories.get(category)?.clone());
            Some((key, treatment))
        });
        treated.collect()
    }
}

/// The tax of the lines of an edge.
pub(crate) struct EdgeTaxes<'a> {
    taxation: &'a Taxation<'a>,
    edge: EdgeIndex,
    pub rounding: Rounding,
    /// By category: where its sum stands.
    slots: Vec<Option<usize>>,
    /// One for each treatment.
    sums: Vec<TaxSum>,
}

impl EdgeTaxes<'_> {
    /// Adds a line; says by how much the tax grows.
    pub fn add(&mut self, subscription: SubscriptionIndex, net: Money) -> Result<Money> {
        let category = self.taxation.of[subscription.get()];
        let at = match self.slots[category] {
            Some(at) => at,
            None => self.slot(category, net)?,
        };
        let sum = &mut self.sums[at];
        let base = sum.base.checked_add(net)?;
        let tax = sum.treatment.tax_on(base, self.rounding)?;
        let before = Money::new(-sum.tax.minor(), sum.tax.currency());
        let grown = tax.checked_add(before)?;
        (sum.base, sum.tax) = (base, tax);
        Ok(grown)
    }

    /// The place of a category's sum: that of another category which is treated alike.
    fn slot(&mut self, category: usize, like: Money) -> Result<usize> {
        let treatment = self.taxation.treatment(self.edge, category)?;
        let alike = |sum: &TaxSum| {
            (sum.treatment.category, sum.treatment.rate) == (treatment.category, treatment.rate)
        };
        let at = self.sums.iter().position(alike);
        let at = at.unwrap_or_else(|| {
            let zero = Money::zero(like.currency());
            self.sums.push(TaxSum { treatment: treatment.clone(), base: zero, tax: zero });
            self.sums.len() - 1
        });
        // EN 16931 has one breakdown for a category and rate, so it gives all reasons.
        let reason = &mut self.sums[at].treatment.reason;
        if !reason.contains(&treatment.reason) {
            *reason = format!("{reason}; {}", treatment.reason);
        }
        self.slots[category] = Some(at);
        Ok(at)
    }

    /// The sums, by treatment.
    pub fn sums(mut self) -> Vec<TaxSum> {
        self.sums.sort_by(|a, b| a.treatment.cmp(&b.treatment));
        self.sums
    }
}

/// What sums of taxes come to.
pub(crate) fn total(sums: &[TaxSum], net: Money) -> Result<Money> {
    sums.iter().try_fold(Money::zero(net.currency()), |all, sum| all.checked_add(sum.tax))
}
