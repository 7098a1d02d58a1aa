//! The checks of what is known about taxes.

use kernel::Percent;

use super::{FactRef, Finding, Programme};
use crate::{TaxCategory, TaxOverride, TaxRate, TaxRegistration, Validity, vat_id_fault};

pub(super) fn check(programme: &Programme) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tax = &programme.tax;
    for registration in &tax.registrations {
        findings.extend(registration_faults(programme, registration));
    }
    for rate in &tax.rates {
        findings.extend(rate_faults(rate));
    }
    for decided in &tax.overrides {
        findings.extend(override_faults(programme, decided));
    }
    let by_place = |r: &TaxRegistration| (r.organisation, r.country);
    findings.extend(overlaps(&tax.registrations, by_place, |r| r.validity, registration_ref));
    let by_category = |r: &TaxRate| (r.country, r.category.clone());
    findings.extend(overlaps(&tax.rates, by_category, |r| r.validity, rate_ref));
    let by_edge = |o: &TaxOverride| (o.seller, o.buyer);
    findings.extend(overlaps(&tax.overrides, by_edge, |o| o.validity, override_ref));
    findings
}

fn registration_ref(registration: &TaxRegistration) -> FactRef {
    let TaxRegistration { organisation, country, validity, .. } = registration;
    FactRef::TaxRegistration(*organisation, *country, validity.from())
}

fn rate_ref(rate: &TaxRate) -> FactRef {
    FactRef::TaxRate(rate.country, rate.category.clone(), rate.validity.from())
}

fn override_ref(decided: &TaxOverride) -> FactRef {
    FactRef::TaxOverride(decided.seller, decided.buyer, decided.validity.from())
}

fn registration_faults(
    programme: &Programme,
    registration: &TaxRegistration,
) -> impl Iterator<Item = Finding> {
    let fact = registration_ref(registration);
    let unknown = !programme.organisations.contains_key(&registration.organisation);
    let unknown = unknown.then(|| ("organisation", "is not an organisation".to_owned()));
    let wrong = vat_id_fault(registration.country, &registration.vat_id);
    let faults = unknown.into_iter().chain(wrong.map(|reason| ("vat_id", reason)));
    faults.map(move |(field, reason)| Finding { fact: fact.clone(), field, reason })
}

fn rate_faults(rate: &TaxRate) -> Option<Finding> {
    if rate.exemption.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        let reason = "is empty; say why it is exempt".to_owned();
        return Some(Finding { fact: rate_ref(rate), field: "exempt", reason });
    }
    let reason = if rate.rate.is_negative() || Percent::HUNDRED < rate.rate {
        format!("is {} %; it must lie between 0 and 100", rate.rate)
    } else if rate.exemption.is_some() && rate.rate != Percent::ZERO {
        format!("is {} %, but what is exempt has none", rate.rate)
    } else {
        return None;
    };
    Some(Finding { fact: rate_ref(rate), field: "rate", reason })
}

fn override_faults(programme: &Programme, decided: &TaxOverride) -> Vec<Finding> {
    let mut faults = Vec::new();
    if programme.agreements_of(decided.seller, decided.buyer).next().is_none() {
        faults.push(("buyer", "has no trade agreement with the seller".to_owned()));
    }
    let is_taxed = decided.category == TaxCategory::S;
    if decided.rate.is_negative() || Percent::HUNDRED < decided.rate {
        faults.push(("rate", format!("is {} %; it must lie between 0 and 100", decided.rate)));
    } else if is_taxed != (decided.rate != Percent::ZERO) {
        let reason = "category S has a rate above zero, and no other category has one";
        faults.push(("rate", reason.to_owned()));
    }
    if decided.reason.trim().is_empty() {
        faults.push(("reason", "is empty; say why the rules do not decide".to_owned()));
    }
    let finding = |(field, reason)| Finding { fact: override_ref(decided), field, reason };
    faults.into_iter().map(finding).collect()
}

/// Facts about one thing follow each other in time.
pub(super) fn overlaps<T, K: Ord>(
    facts: &[T],
    key: impl Fn(&T) -> K,
    validity: impl Fn(&T) -> Validity,
    fact: impl Fn(&T) -> FactRef,
) -> Vec<Finding> {
    let mut ordered: Vec<&T> = facts.iter().collect();
    ordered.sort_by_key(|item| (key(item), validity(item).from()));
    let pairs = ordered.windows(2).filter(|pair| {
        key(pair[0]) == key(pair[1]) && validity(pair[0]).overlaps(validity(pair[1]))
    });
    let finding = |pair: &[&T]| Finding {
        fact: fact(pair[1]),
        field: "from",
        reason: format!("overlaps the one {}; end that one first", validity(pair[0])),
    };
    pairs.map(finding).collect()
}
