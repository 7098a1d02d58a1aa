//! The checks of what is known about the credit that partners earn.

use std::collections::BTreeSet;

use kernel::{Month, OrganisationId, Percent, SubscriptionId};

use super::check_tax::overlaps;
use super::{FactRef, Finding, Programme};
use crate::{AccessScope, EarnedCredit, EligibleAccess, Role, Subscription, Validity};

pub(super) fn check(programme: &Programme) -> Vec<Finding> {
    let mut findings = Vec::new();
    for granted in &programme.credit.granted {
        findings.extend(grant_faults(programme, granted));
    }
    for access in &programme.credit.access {
        findings.extend(access_faults(programme, access));
    }
    let granted = &programme.credit.granted;
    findings.extend(overlaps(granted, |g: &EarnedCredit| g.seller, |g| g.validity, grant_ref));
    let by_scope = |a: &EligibleAccess| -> (OrganisationId, SubscriptionId, AccessScope) {
        (a.partner, a.subscription, a.scope.clone())
    };
    findings.extend(overlaps(&programme.credit.access, by_scope, |a| a.validity, access_ref));
    findings
}

fn grant_ref(granted: &EarnedCredit) -> FactRef {
    FactRef::EarnedCredit(granted.seller, granted.validity.from())
}

fn access_ref(access: &EligibleAccess) -> FactRef {
    let EligibleAccess { partner, subscription, scope, validity } = access;
    FactRef::EligibleAccess(*partner, *subscription, scope.clone(), validity.from())
}

fn grant_faults(programme: &Programme, granted: &EarnedCredit) -> Vec<Finding> {
    let mut faults = Vec::new();
    let role = programme.organisations.get(&granted.seller).map(|seller| seller.role);
    if role != Some(Role::Provider) {
        faults.push(("seller", "is not a provider; only providers grant credit".to_owned()));
    }
    let percent = granted.percent;
    if percent.is_negative() || percent == Percent::ZERO || Percent::HUNDRED < percent {
        let reason = format!("is {percent} %; it must lie above 0 and up to 100");
        faults.push(("percent", reason));
    }
    if percent.mantissa() % (Percent::HUNDRED.mantissa() / 100) != 0 {
        let reason = format!("is {percent} %; files state whole percents");
        faults.push(("percent", reason));
    }
    let days = [Some(granted.validity.from()), granted.validity.until()];
    let starts_inside =
        |day: &jiff::civil::Date| *day != Validity::EVER && *day != Month::of(*day).first_day();
    if let Some(day) = days.into_iter().flatten().find(starts_inside) {
        let field = if day == granted.validity.from() { "from" } else { "until" };
        let reason = format!("{day} is not the first day of a month; terms change with a month");
        faults.push((field, reason));
    }
    let finding = |(field, reason)| Finding { fact: grant_ref(granted), field, reason };
    faults.into_iter().map(finding).collect()
}

fn access_faults(programme: &Programme, access: &EligibleAccess) -> Vec<Finding> {
    let mut faults = Vec::new();
    let role = programme.organisations.get(&access.partner).map(|partner| partner.role);
    if !role.is_some_and(Role::is_partner) {
        faults.push(("partner", "is not a partner of this programme".to_owned()));
    }
    match programme.subscriptions.get(&access.subscription) {
        None => faults.push(("subscription", "is not a subscription".to_owned())),
        Some(subscription) => {
            let holders = holders(subscription);
            if let Some(holder) = access.scope.holder().filter(|id| !holders.contains(*id)) {
                let reason = format!(
                    "is in {holder}, which subscription {} does not hold; add the entitlement",
                    subscription.id
                );
                faults.push(("scope", reason));
            }
        }
    }
    let finding = |(field, reason)| Finding { fact: access_ref(access), field, reason };
    faults.into_iter().map(finding).collect()
}

/// The ids by which resources name a subscription.
fn holders(subscription: &Subscription) -> BTreeSet<String> {
    let entitlements = subscription.entitlements.iter().map(|e| e.id.to_string());
    entitlements.chain([subscription.id.to_string()]).collect()
}
