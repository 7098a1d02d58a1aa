//! Taxes: each sum has its rate, lines share what their sum comes to, and the treatment fits the
//! parties.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use jiff::civil::Date;

use crate::edge::Edge;
use crate::fault::Faults;
use crate::invoice::{Invoice, Party, Tax};
use crate::number;

/// Categories of EN 16931 in the order of documents.
const CATEGORIES: [&str; 6] = ["S", "Z", "E", "AE", "G", "O"];

/// The member states of the European Union with the year in which they joined or 1993, and the
/// first day on which they no longer were.
const UNION: &str = "AT1995 BE1993 BG2007 CY2004 CZ2004 DE1993 DK1993 EE2004 ES1993 FI1995 FR1993 \
                     GR1993 HR2013 HU2004 IE1993 IT1993 LT2004 LU1993 LV2004 MT2004 NL1993 PL2004 \
                     PT1993 RO2007 SE1995 SI2004 SK2004 GB1993-2021";

/// The sums of an invoice while its lines are read: by category and rate.
#[derive(Debug, Default)]
pub(crate) struct Taxes {
    sums: BTreeMap<(usize, String), (BigDecimal, BigDecimal)>,
}

impl Taxes {
    /// Adds a line of a subscription; says what tax it must show.
    pub fn add(
        &mut self,
        edge: &Edge<'_>,
        subscription: &str,
        net: &BigDecimal,
    ) -> Result<BigDecimal, String> {
        let sold = edge.subscriptions.by_id.get(subscription);
        let [category, rate] = sold.map(|sold| sold.tax.clone()).unwrap_or_default();
        let at = CATEGORIES.iter().position(|known| *known == category);
        let at = at.ok_or_else(|| format!("{category:?} is not a tax category"))?;
        let percent = number::parse_trimmed(&rate);
        let percent = percent.ok_or_else(|| format!("{rate:?} is not a tax rate"))?;
        let sum =
            self.sums.entry((at, rate)).or_insert_with(|| (BigDecimal::zero(), BigDecimal::zero()));
        sum.0 += net;
        let exact = &sum.0 * percent * BigDecimal::new(1.into(), 2);
        let mode = &edge.invoice.invoice.tax_rounding;
        let rounded = number::rounded(&exact, edge.decimals, mode);
        let rounded = rounded.ok_or_else(|| format!("{mode} is not a way of rounding taxes"))?;
        let grown = &rounded - &sum.1;
        sum.1 = rounded;
        Ok(grown)
    }

    /// Compares the invoice with the sums of its lines; says what they come to with tax.
    pub fn check(&self, edge: &Edge<'_>, net: &BigDecimal, faults: &mut Faults) {
        let (file, invoice) = (&edge.invoice, &edge.invoice.invoice);
        let decimals = edge.decimals;
        let stated = invoice.taxes.iter();
        let stated: Vec<[String; 4]> = stated
            .map(|t| [t.category.clone(), t.rate.clone(), t.taxable.clone(), t.tax.clone()])
            .collect();
        let money = |amount: &BigDecimal| number::money(amount, decimals);
        let mut sums: Vec<(usize, BigDecimal, [String; 4])> = Vec::new();
        for ((category, rate), (base, tax)) in &self.sums {
            let cells = [CATEGORIES[*category].to_owned(), rate.clone(), money(base), money(tax)];
            sums.push((*category, number::parse(rate).unwrap_or_default(), cells));
        }
        sums.sort();
        let given: Vec<[String; 4]> = sums.into_iter().map(|(_, _, cells)| cells).collect();
        if stated != given {
            let differs = stated.iter().zip(&given).find(|(a, b)| a != b);
            let reason = differs.map_or_else(
                || format!("taxes has {} sums; the lines have {}", stated.len(), given.len()),
                |(a, b)| format!("taxes says {}; the lines come to {}", a.join(" "), b.join(" ")),
            );
            file.fault(faults, "taxes", reason);
        }
        let tax: BigDecimal = self.sums.values().map(|(_, tax)| tax).sum();
        let gross = net + &tax;
        for (field, found, certified, expected) in [
            ("tax", &invoice.tax, &edge.certified.tax, money(&tax)),
            ("gross", &invoice.gross, &edge.certified.gross, money(&gross)),
        ] {
            for (place, found) in [("invoice", found), ("certificate", certified)] {
                if *found != expected {
                    let reason =
                        format!("{field} of the {place} is {found}; it comes to {expected}");
                    file.fault(faults, field, reason);
                }
            }
        }
        for tax in &invoice.taxes {
            if let Err(reason) = check_treatment(invoice, tax) {
                file.fault(faults, "rule", reason);
            }
        }
        let last = invoice.period_day();
        if Some(invoice.tax_point_date.as_str()) != last.as_deref() {
            file.fault(faults, "tax_point_date", "is not the last day of the period");
        }
    }
}

/// A treatment follows from where the parties are and whether they are registered, unless somebody
/// has decided otherwise.
fn check_treatment(invoice: &Invoice, tax: &Tax) -> Result<(), String> {
    let (seller, buyer) = (&invoice.seller, &invoice.buyer);
    let on = invoice.tax_point_date.parse().map_err(|_| "tax_point_date is no day".to_owned())?;
    let is_taxed = tax.category == "S";
    if is_taxed == (tax.rate == "0") {
        return Err(format!("category {} has a rate of {} %", tax.category, tax.rate));
    }
    let code = match tax.category.as_str() {
        "AE" => Some("VATEX-EU-AE"),
        "G" => Some("VATEX-EU-G"),
        "O" => Some("VATEX-EU-O"),
        _ => None,
    };
    if tax.exemption_code.as_deref() != code {
        return Err(format!("category {} has another code of its reason", tax.category));
    }
    let needs_reason = matches!(tax.category.as_str(), "E" | "AE" | "G" | "O");
    let has_reason = tax.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
    if (needs_reason || tax.rule == "override") && !has_reason {
        return Err(format!("category {} by {} has no reason", tax.category, tax.rule));
    }
    if tax.rule == "override" {
        return Ok(());
    }
    let expected = expected_reason(tax, seller, buyer);
    if expected.is_some_and(|expected| tax.reason.as_deref().unwrap_or_default() != expected) {
        return Err(format!("the reason of {} is not that of its rule", tax.rule));
    }
    let (rule, categories): (&str, &[&str]) = expected_rule(seller, buyer, on);
    if tax.rule != rule || !categories.contains(&tax.category.as_str()) {
        return Err(format!(
            "{} by {} does not fit a seller in {} and a buyer in {}: that is {rule}",
            tax.category, tax.rule, seller.country, buyer.country
        ));
    }
    Ok(())
}

/// The words of a rule; none where they are somebody's own.
fn expected_reason(tax: &Tax, seller: &Party, buyer: &Party) -> Option<&'static str> {
    match (tax.rule.as_str(), tax.category.as_str()) {
        ("not-registered", _) => Some("The seller is not registered for VAT"),
        ("reverse-charge", _) => Some("Reverse charge"),
        ("no-vat-id", _) => Some("The buyer has no valid VAT id: taxed in the seller's country"),
        ("export", _) if seller.country == "NO" => {
            Some("Export of services, merverdiavgiftsloven § 6-22")
        }
        ("export", _) if buyer.country == "NO" => {
            Some("Export of services; reverse charge: the buyer accounts for Norwegian VAT")
        }
        ("export", _) => Some("Export of services"),
        ("domestic", "S" | "Z") => Some(""),
        _ => None,
    }
}

fn expected_rule(
    seller: &Party,
    buyer: &Party,
    on: Date,
) -> (&'static str, &'static [&'static str]) {
    const TAXED: &[&str] = &["S", "Z", "E"];
    let in_union = |party: &Party| is_in_union(&party.country, on);
    match (&seller.vat_id, &buyer.vat_id) {
        (None, _) => ("not-registered", &["O"]),
        _ if seller.country == buyer.country => ("domestic", TAXED),
        (Some(_), Some(_)) if in_union(seller) && in_union(buyer) => ("reverse-charge", &["AE"]),
        (Some(_), None) if in_union(seller) && in_union(buyer) => ("no-vat-id", TAXED),
        _ => ("export", &["G"]),
    }
}

fn is_in_union(country: &str, on: Date) -> bool {
    UNION.split_whitespace().any(|member| {
        let (code, years) = member.split_at(2);
        let (from, until) = years.split_once('-').unwrap_or((years, "9999"));
        let year = |text: &str| text.parse::<i16>().unwrap_or_default();
        code == country && year(from) <= on.year() && on.year() < year(until)
    })
}
