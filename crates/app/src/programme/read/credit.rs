//! What a programme file says about earned credit.

use domain::{
    AccessScope, CreditException, CreditFacts, EarnedCredit, EligibleAccess, FactRef, Validity,
};
use toml::Spanned;

use super::Reader;
use crate::programme::file::{EarnedCreditEntry, EligibleAccessEntry, ProgrammeFile};

impl Reader<'_> {
    pub(super) fn credits(&mut self, file: &ProgrammeFile) -> CreditFacts {
        let granted = file.earned_credit.iter();
        let granted = granted.filter_map(|entry| self.earned_credit(entry)).collect();
        let access = file.eligible_access.iter();
        let access = access.filter_map(|entry| self.eligible_access(entry)).collect();
        CreditFacts { granted, access }
    }

    fn earned_credit(&mut self, spanned: &Spanned<EarnedCreditEntry>) -> Option<EarnedCredit> {
        let entry = spanned.get_ref();
        let seller = self.organisation_id(&entry.seller, "seller");
        let percent = self.decimal(&entry.percent, "percent");
        let validity = self.validity_or_ever(entry.from.as_ref(), entry.until.as_ref());
        let except = match &entry.except {
            None => Some(CreditException::usual()),
            Some(all) => {
                let parsed = all.iter().map(|text| self.parsed::<CreditException>(text, "except"));
                parsed.collect::<Vec<_>>().into_iter().collect()
            }
        };
        let (seller, validity) = (seller?, validity?);
        let from = entry.from.as_ref().map_or_else(|| self.at(spanned), |from| self.at(from));
        let fields = [
            ("seller", self.at(&entry.seller)),
            ("percent", self.at(&entry.percent)),
            ("from", from),
            ("until", entry.until.as_ref().map_or(from, |until| self.at(until))),
        ];
        self.remember(FactRef::EarnedCredit(seller, validity.from()), spanned, &fields);
        Some(EarnedCredit { seller, validity, percent: percent?, except: except? })
    }

    fn eligible_access(
        &mut self,
        spanned: &Spanned<EligibleAccessEntry>,
    ) -> Option<EligibleAccess> {
        let entry = spanned.get_ref();
        let partner = self.organisation_id(&entry.partner, "partner");
        let subscription = self.subscription_id(&entry.subscription, "subscription");
        let scope = match &entry.scope {
            Some(scope) => self.parsed::<AccessScope>(scope, "scope"),
            None => Some(AccessScope::ALL),
        };
        let validity: Option<Validity> = self.validity(&entry.from, entry.until.as_ref());
        let (partner, subscription, scope) = (partner?, subscription?, scope?);
        let validity = validity?;
        let line = entry.scope.as_ref().map_or_else(|| self.at(spanned), |scope| self.at(scope));
        let fields = [
            ("partner", self.at(&entry.partner)),
            ("subscription", self.at(&entry.subscription)),
            ("scope", line),
            ("from", self.at(&entry.from)),
        ];
        let fact = FactRef::EligibleAccess(partner, subscription, scope.clone(), validity.from());
        self.remember(fact, spanned, &fields);
        Some(EligibleAccess { partner, subscription, scope, validity })
    }
}
