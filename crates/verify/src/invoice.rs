//! Invoices: what each says of itself, its parties, and the series of numbers.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fault::Faults;
use crate::folder::{CertifiedEdge, Folder, Revision, line_of, pretty, read_text};
use crate::number;

/// The format that is understood.
const FORMAT: &str = "skyhandel-invoice-2";
/// The kind of an invoice that gives something back.
pub(crate) const KIND_CREDIT_NOTE: &str = "credit-note";
/// The name space of ids that follow from names.
const NAMESPACE: Uuid = Uuid::from_u128(0x736b_7968_616e_6465_6c00_0000_0000_0001);

/// An invoice, field by field in its order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invoice {
    pub format: String,
    pub kind: String,
    pub number: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preceding: Option<Preceding>,
    pub invoice_id: String,
    pub period: String,
    pub revision: u32,
    pub period_start: String,
    pub period_end: String,
    pub issue_date: String,
    pub due_date: String,
    pub payment_terms_days: u16,
    pub seller: Party,
    pub buyer: Party,
    pub currency: String,
    pub lines: u64,
    pub rated_lines: u64,
    pub net: String,
    pub tax_point_date: String,
    pub taxes: Vec<Tax>,
    pub tax: String,
    pub gross: String,
    pub tax_rounding: String,
    pub rounding: String,
    pub rate_book: String,
    pub engine_version: u32,
    pub by_category: Vec<Category>,
}

/// The invoice that another one adjusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preceding {
    pub number: String,
    pub issue_date: String,
}

/// A party of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Party {
    pub tenant_id: String,
    pub key: String,
    pub name: String,
    pub country: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vat_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mpn_id: Option<String>,
}

impl Party {
    /// The id in the partner network, or nothing.
    pub fn mpn(&self) -> &str {
        self.mpn_id.as_deref().unwrap_or_default()
    }
}

/// The tax on a sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tax {
    pub category: String,
    pub rate: String,
    pub taxable: String,
    pub tax: String,
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exemption_code: Option<String>,
}

impl Invoice {
    /// The last day of the period.
    pub fn period_day(&self) -> Option<String> {
        let first: Date = format!("{}-01", self.period).parse().ok()?;
        Some(first.last_of_month().to_string())
    }
}

/// What a service comes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category {
    pub category: String,
    pub lines: u64,
    pub net: String,
}

/// An invoice as it lies in the folder.
#[derive(Debug)]
pub(crate) struct InvoiceFile {
    pub path: String,
    pub invoice: Invoice,
    text: String,
}

/// The id that follows from a name.
pub(crate) fn derived_id(kind: &str, name: &str) -> String {
    Uuid::new_v5(&NAMESPACE, format!("{kind}:{name}").as_bytes()).to_string()
}

impl InvoiceFile {
    /// Reads the invoice of an edge and compares it with the certificate.
    pub fn load(
        folder: &Folder,
        revision: &Revision,
        certified: &CertifiedEdge,
        faults: &mut Faults,
    ) -> Option<Self> {
        let name = format!("{}/{}/invoice.json", certified.seller, certified.buyer);
        let path = folder.path(revision, &name);
        let text = read_text(&folder.root.join(&path))
            .map_err(|reason| faults.add(&path, None, reason))
            .ok()?;
        let invoice: Invoice = serde_json::from_str(&text)
            .map_err(|error| faults.add(&path, Some(error.line() as u64), error.to_string()))
            .ok()?;
        let file = Self { path, invoice, text };
        if pretty(&file.invoice).as_ref() != Some(&file.text) {
            faults.add(&file.path, None, "is not written in the invoice's form");
        }
        file.check(folder, revision, certified, faults);
        Some(file)
    }

    /// Its number and day of issue.
    pub fn named(&self) -> (String, String) {
        (self.invoice.number.clone(), self.invoice.issue_date.clone())
    }

    /// A fault at the line of a field.
    pub fn fault(&self, faults: &mut Faults, field: &str, reason: impl Into<String>) {
        faults.add(&self.path, line_of(&self.text, &format!("\"{field}\":")), reason);
    }

    fn same(&self, faults: &mut Faults, field: &str, found: &str, expected: &str) {
        let line = line_of(&self.text, &format!("\"{field}\":"));
        faults.same((&self.path, line), field, found, expected);
    }

    fn check(
        &self,
        folder: &Folder,
        revision: &Revision,
        certified: &CertifiedEdge,
        faults: &mut Faults,
    ) {
        let (invoice, certificate) = (&self.invoice, &folder.certificate);
        let edge = format!(
            "{}/{}/{}",
            invoice.seller.tenant_id, invoice.buyer.tenant_id, certificate.period
        );
        let id = match revision.revision {
            0 => edge,
            adjustment => format!("{edge}/{adjustment}"),
        };
        let number = (invoice.revision.to_string(), revision.revision.to_string());
        let is_credit = invoice.net.starts_with('-');
        let kind = if is_credit { KIND_CREDIT_NOTE } else { "invoice" };
        let lines = (invoice.lines.to_string(), certified.lines.to_string());
        let rated = (invoice.rated_lines.to_string(), certified.rated_lines.to_string());
        let engine = (invoice.engine_version.to_string(), revision.engine_version.to_string());
        for (field, found, expected) in [
            ("format", invoice.format.as_str(), FORMAT),
            ("kind", &invoice.kind, kind),
            ("revision", &number.0, &number.1),
            ("number", &invoice.number, &certified.invoice),
            ("invoice_id", &invoice.invoice_id, &derived_id("InvoiceId", &id)),
            ("period", &invoice.period, &certificate.period),
            ("period_start", &invoice.period_start, &certificate.period_start),
            ("period_end", &invoice.period_end, &certificate.period_end),
            ("issue_date", &invoice.issue_date, &revision.issue_date),
            ("due_date", &invoice.due_date, &due(invoice).unwrap_or_default()),
            ("seller", &invoice.seller.key, &certified.seller),
            ("buyer", &invoice.buyer.key, &certified.buyer),
            ("currency", &invoice.currency, &certified.currency),
            ("lines", &lines.0, &lines.1),
            ("rated_lines", &rated.0, &rated.1),
            ("net", &invoice.net, &certified.net),
            ("rounding", &invoice.rounding, &certified.rounding),
            ("rate_book", &invoice.rate_book, &revision.rate_book),
            ("engine_version", &engine.0, &engine.1),
        ] {
            self.same(faults, field, found, expected);
        }
    }

    /// Compares the services with what the lines of each come to.
    pub fn check_categories(
        &self,
        found: &BTreeMap<String, (u64, BigDecimal)>,
        decimals: usize,
        faults: &mut Faults,
    ) {
        let stated = self.invoice.by_category.iter();
        let stated: Vec<_> = stated.map(|c| (c.category.clone(), c.lines, c.net.clone())).collect();
        let given: Vec<_> = found
            .iter()
            .map(|(category, (lines, net))| {
                (category.clone(), *lines, number::money(net, decimals))
            })
            .collect();
        if stated == given {
            return;
        }
        let differs = stated.iter().zip(&given).find(|(stated, given)| stated != given);
        let (needle, reason) = match differs {
            Some((stated, given)) => (
                format!("\"category\": \"{}\"", stated.0),
                format!(
                    "by_category says {} with {} lines and {}; the lines of {} are {} and come to {}",
                    stated.0, stated.1, stated.2, given.0, given.1, given.2
                ),
            ),
            None => (
                "\"by_category\":".to_owned(),
                format!(
                    "by_category names {} services; the lines have {}",
                    stated.len(),
                    given.len()
                ),
            ),
        };
        faults.add(&self.path, line_of(&self.text, &needle), reason);
    }
}

fn due(invoice: &Invoice) -> Option<String> {
    let issued: Date = invoice.issue_date.parse().ok()?;
    let due = issued.checked_add(Span::new().days(i64::from(invoice.payment_terms_days))).ok()?;
    Some(due.to_string())
}
