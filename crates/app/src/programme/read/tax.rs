//! What a programme file says about taxes.

use domain::{FactRef, TaxCategory, TaxFacts, TaxOverride, TaxRate, TaxRegistration};
use kernel::{Key, Percent};
use toml::Spanned;

use super::Reader;
use crate::programme::file::{
    ProgrammeFile, TaxOverrideEntry, TaxRateEntry, TaxRegistrationEntry, Text,
};

/// The tax category of what names none.
pub(super) fn standard() -> Option<Key> {
    domain::STANDARD.parse().ok()
}

impl Reader<'_> {
    pub(super) fn taxes(&mut self, file: &ProgrammeFile) -> TaxFacts {
        let registrations = file.tax_registration.iter();
        let registrations = registrations.filter_map(|entry| self.tax_registration(entry));
        let registrations = registrations.collect();
        let rates = file.tax_rate.iter().filter_map(|entry| self.tax_rate(entry)).collect();
        let overrides = file.tax_override.iter();
        let overrides = overrides.filter_map(|entry| self.tax_override(entry)).collect();
        TaxFacts { registrations, rates, overrides }
    }

    /// The tax category of an offer or a rate.
    pub(super) fn tax_category(&mut self, text: Option<&Text>) -> Option<Key> {
        match text {
            Some(text) => self.parsed(text, "tax_category"),
            None => standard(),
        }
    }

    fn tax_registration(
        &mut self,
        spanned: &Spanned<TaxRegistrationEntry>,
    ) -> Option<TaxRegistration> {
        let entry = spanned.get_ref();
        let organisation = self.organisation_id(&entry.organisation, "organisation");
        let country = self.parsed(&entry.country, "country");
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let checked = match (&entry.checked, &entry.checked_how) {
            (Some(day), how) => {
                let day = self.day(day, "checked")?;
                let how = how.as_ref().map(|how| how.get_ref().clone());
                Some((day, how.unwrap_or_default()))
            }
            (None, Some(how)) => {
                let reason = "says how the id was checked, but not when; add `checked`";
                self.fault(self.at(how), "checked_how", Some(how.get_ref()), reason);
                return None;
            }
            (None, None) => None,
        };
        let (organisation, country, validity) = (organisation?, country?, validity?);
        let fields = [
            ("organisation", self.at(&entry.organisation)),
            ("vat_id", self.at(&entry.vat_id)),
            ("from", self.at(&entry.from)),
        ];
        let fact = FactRef::TaxRegistration(organisation, country, validity.from());
        self.remember(fact, spanned, &fields);
        let vat_id = entry.vat_id.get_ref().clone();
        Some(TaxRegistration { organisation, country, validity, vat_id, checked })
    }

    fn tax_rate(&mut self, spanned: &Spanned<TaxRateEntry>) -> Option<TaxRate> {
        let entry = spanned.get_ref();
        let country = self.parsed(&entry.country, "country");
        let category = self.tax_category(entry.tax_category.as_ref());
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let exemption = entry.exempt.as_ref().map(|reason| reason.get_ref().clone());
        let rate: Option<Percent> = match &entry.rate {
            Some(rate) => self.decimal(rate, "rate"),
            None if exemption.is_some() => Some(Percent::ZERO),
            None => {
                let reason = "is missing; give a rate in percent, or say why it is exempt";
                self.fault(self.at(spanned), "rate", None, reason);
                None
            }
        };
        let (country, category, validity) = (country?, category?, validity?);
        let line = entry.rate.as_ref().map_or_else(|| self.at(spanned), |rate| self.at(rate));
        let fields = [("rate", line), ("from", self.at(&entry.from))];
        let fact = FactRef::TaxRate(country, category.clone(), validity.from());
        self.remember(fact, spanned, &fields);
        Some(TaxRate { country, category, validity, rate: rate?, exemption })
    }

    fn tax_override(&mut self, spanned: &Spanned<TaxOverrideEntry>) -> Option<TaxOverride> {
        let entry = spanned.get_ref();
        let seller = self.organisation_id(&entry.seller, "seller");
        let buyer = self.organisation_id(&entry.buyer, "buyer");
        let validity = self.validity(&entry.from, entry.until.as_ref());
        let category = self.parsed::<TaxCategory>(&entry.category, "category");
        let rate = match &entry.rate {
            Some(rate) => self.decimal(rate, "rate"),
            None => Some(Percent::ZERO),
        };
        let (seller, buyer, validity) = (seller?, buyer?, validity?);
        let line = entry.rate.as_ref().map_or_else(|| self.at(spanned), |rate| self.at(rate));
        let fields = [
            ("buyer", self.at(&entry.buyer)),
            ("rate", line),
            ("reason", self.at(&entry.reason)),
            ("from", self.at(&entry.from)),
        ];
        self.remember(FactRef::TaxOverride(seller, buyer, validity.from()), spanned, &fields);
        let reason = entry.reason.get_ref().clone();
        Some(TaxOverride { seller, buyer, validity, category: category?, rate: rate?, reason })
    }
}
