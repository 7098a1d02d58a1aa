//! Partner earned credit: less to pay for what a partner manages.
//!
//! A provider grants it on its plan, on what the transacting partner buys. It is earned resource by
//! resource and day by day, where the transacting partner or a reseller of the sale path has eligible
//! access. Source: Partner Center documentation, "Partner earned credit".

use std::fmt;
use std::str::FromStr;

use kernel::{OrganisationId, Percent, SubscriptionId};

use crate::{Meter, OfferFamily, Programme, Selector, Subscription, Validity};

/// Everything that is known about the credit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreditFacts {
    /// What providers grant.
    pub granted: Vec<EarnedCredit>,
    /// Who has had access to what.
    pub access: Vec<EligibleAccess>,
}

/// What a provider grants. Another percentage starts with a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarnedCredit {
    /// The provider.
    pub seller: OrganisationId,
    /// When.
    pub validity: Validity,
    /// How much less is paid, above 0 and up to 100.
    pub percent: Percent,
    /// What earns nothing.
    pub except: Vec<CreditException>,
}

/// The eligible access of a partner: whole days, each with access at all times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibleAccess {
    /// The partner.
    pub partner: OrganisationId,
    /// The commerce subscription.
    pub subscription: SubscriptionId,
    /// To what of it.
    pub scope: AccessScope,
    /// On which days.
    pub validity: Validity,
}

/// What access is to: a whole commerce subscription, or a resource with everything beneath it, as
/// Azure Resource Manager writes it: `/subscriptions/ID`, `.../resourceGroups/NAME` and so on.
/// Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessScope(String);

impl AccessScope {
    /// A whole commerce subscription.
    pub const ALL: Self = Self(String::new());

    /// The scope in lower case; empty for everything.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a resource, in lower case, lies beneath it.
    pub fn covers(&self, resource: &str) -> bool {
        let rest = resource.strip_prefix(self.0.as_str());
        rest.is_some_and(|rest| rest.is_empty() || self.0.is_empty() || rest.starts_with('/'))
    }

    /// The resource of a usage record in lower case: its id, or what can be told of it by the
    /// entitlement (or subscription) and the resource group where the source names no id.
    pub fn resource(holder: &str, group: &str, uri: &str) -> String {
        let uri = uri.to_lowercase();
        if uri.starts_with("/subscriptions/") {
            return uri;
        }
        let holder = holder.to_lowercase();
        if group.is_empty() {
            return format!("/subscriptions/{holder}");
        }
        format!("/subscriptions/{holder}/resourcegroups/{}", group.to_lowercase())
    }

    /// The Azure subscription that it is in; none for everything.
    pub fn holder(&self) -> Option<&str> {
        self.0.strip_prefix("/subscriptions/")?.split('/').next()
    }
}

impl FromStr for AccessScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope = text.trim_end_matches('/').to_lowercase();
        let mut segments = scope.split('/');
        let named = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "?#\\".contains(c))
        };
        let starts = [segments.next(), segments.next()] == [Some(""), Some("subscriptions")];
        let rest: Vec<&str> = segments.collect();
        // Pairs of a kind and a name follow the id: a group, a provider's resource.
        let beneath = matches!(rest.get(1), None | Some(&("resourcegroups" | "providers")));
        if starts && beneath && rest.len() % 2 == 1 && rest.into_iter().all(named) {
            return Ok(Self(scope));
        }
        Err("is no scope; write /subscriptions/ID, .../resourceGroups/NAME or the id of a resource")
    }
}

impl fmt::Display for AccessScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "all of it" } else { &self.0 })
    }
}

/// Meters that earn nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditException {
    /// By meter, product or category.
    Of(Selector),
    /// Every meter with a word in its name, or in the title of its product or SKU.
    Name(String),
    /// Every meter of a publisher.
    Publisher(String),
    /// Every meter with a tag of the price sheet.
    Tag(String),
}

impl CreditException {
    /// What earns nothing unless terms say otherwise: spot machines and what third parties sell.
    pub fn usual() -> Vec<Self> {
        vec![Self::Name("Spot".into()), Self::Tag("Third Party".into())]
    }

    /// Whether a meter is meant. Case and spaces do not matter.
    pub fn matches(&self, meter: &Meter) -> bool {
        let plain = |text: &str| text.replace(' ', "").to_lowercase();
        let has_word = |text: &str, word: &str| {
            text.split(|c: char| !c.is_alphanumeric()).any(|w| w.eq_ignore_ascii_case(word))
        };
        match self {
            Self::Of(selector) => selector.matches(meter),
            Self::Name(word) => {
                let names = [&meter.name, &meter.product_title, &meter.sku_title];
                names.iter().any(|name| has_word(name, word))
            }
            Self::Publisher(publisher) => plain(publisher) == plain(&meter.publisher),
            Self::Tag(tag) => {
                let mut tags = meter.tags.split([',', ';', '"', '[', ']']);
                tags.any(|other| plain(other) == plain(tag))
            }
        }
    }
}

impl fmt::Display for CreditException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(selector) => selector.fmt(f),
            Self::Name(word) => write!(f, "name {word}"),
            Self::Publisher(publisher) => write!(f, "publisher {publisher}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

impl FromStr for CreditException {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = match text.split_once(' ') {
            Some((_, rest)) if rest.trim().is_empty() => None,
            Some(("name", word)) if word.contains(|c: char| !c.is_alphanumeric()) => {
                return Err("names more than one word; write one, or the meter or product".into());
            }
            Some(("name", word)) => Some(Self::Name(word.to_owned())),
            Some(("publisher", publisher)) => Some(Self::Publisher(publisher.to_owned())),
            Some(("tag", tag)) => Some(Self::Tag(tag.to_owned())),
            Some(("meter" | "product" | "category", _)) => Some(Self::Of(text.parse()?)),
            _ => None,
        };
        known.ok_or_else(|| {
            "is unknown; write meter, product, category, name, publisher or tag, and which".into()
        })
    }
}

impl CreditFacts {
    /// The access to a subscription that earns credit: that of the transacting partner or a
    /// reseller of the sale path. That of anybody else neither helps nor harms.
    pub fn access_to<'a>(
        &'a self,
        programme: &Programme,
        subscription: &'a Subscription,
    ) -> impl Iterator<Item = &'a EligibleAccess> {
        let offer = programme.offers.get(&subscription.offer);
        let is_plan = offer.is_some_and(|offer| offer.family == OfferFamily::Plan);
        let sells = subscription.path.len().saturating_sub(1);
        let partners = subscription.path.get(1..sells).unwrap_or_default();
        let access = self.access.iter();
        access.filter(move |access| {
            is_plan && access.subscription == subscription.id && partners.contains(&access.partner)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_covers_everything_beneath_it() {
        let scope: AccessScope = "/subscriptions/A1/resourceGroups/Web/".parse().unwrap();
        let covers = |resource: &str| scope.covers(resource);
        assert!(covers("/subscriptions/a1/resourcegroups/web"));
        assert!(covers("/subscriptions/a1/resourcegroups/web/providers/x/y"));
        assert!(!covers("/subscriptions/a1/resourcegroups/website"));
        assert!(!covers("/subscriptions/a1"));
        assert!(AccessScope::ALL.covers("/subscriptions/b2") && AccessScope::ALL.covers(""));
        assert_eq!(scope.holder(), Some("a1"));
        for wrong in
            ["", "/", "/subscriptions", "subscriptions/a", "/subscriptions//x", "/tenants/a"]
        {
            assert!(wrong.parse::<AccessScope>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_resource_is_told_by_what_the_source_says() {
        let resource = |group, uri| AccessScope::resource("A1", group, uri);
        assert_eq!(resource("G", "/Subscriptions/B/x"), "/subscriptions/b/x");
        assert_eq!(resource("G", "/vm/1"), "/subscriptions/a1/resourcegroups/g");
        assert_eq!(resource("", ""), "/subscriptions/a1");
    }

    #[test]
    fn exceptions_match_words_publishers_and_tags() {
        let meter = Meter {
            id: "m".parse().unwrap(),
            name: "D2s v3 Spot".into(),
            category: "Virtual Machines".into(),
            subcategory: String::new(),
            region: String::new(),
            unit: "1 Hour".into(),
            product_id: String::new(),
            product_title: "Spotless Windows".into(),
            sku_id: String::new(),
            sku_title: String::new(),
            publisher: "Contoso Ltd".into(),
            tags: "Azure;ThirdParty".into(),
        };
        let matches = |text: &str| text.parse::<CreditException>().unwrap().matches(&meter);
        for text in
            ["name spot", "publisher contoso ltd", "tag Third Party", "category virtual machines"]
        {
            assert!(matches(text), "{text}");
        }
        for text in ["name less", "publisher contoso", "tag Azure Third Party", "meter n"] {
            assert!(!matches(text), "{text}");
        }
        assert!("all".parse::<CreditException>().is_err());
        assert!("name ".parse::<CreditException>().is_err());
        assert!("name Low Priority".parse::<CreditException>().is_err());
    }
}
