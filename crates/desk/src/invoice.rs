//! What an invoice comes to, read from its JSON document.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bigdecimal::BigDecimal;
use jiff::civil::Date;
use serde_json::value::RawValue;

use crate::Refused;
use crate::value::{DecimalMark, day, number};

/// The largest invoice document that is read.
const BYTES_MAX: u64 = 16 << 20;

/// The totals of an invoice.
#[derive(Debug, Clone)]
pub(crate) struct InvoiceTotals {
    pub number: String,
    pub currency: String,
    pub issue_date: Option<Date>,
    /// Before tax; none where only the sum with tax is stated.
    pub net: Option<BigDecimal>,
    /// With tax.
    pub gross: BigDecimal,
}

/// Reads an invoice: our own document, or one of Partner Center. None where the file is something
/// else.
pub(crate) fn read(path: &Path) -> Result<Option<InvoiceTotals>, Refused> {
    let name = path.display().to_string();
    let refused = |reason: String| Refused { file: name.clone(), line: None, reason };
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    file.take(BYTES_MAX).read_to_end(&mut head).map_err(|error| refused(error.to_string()))?;
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    if head.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let Ok(document) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(head) else {
        return Ok(None);
    };
    let text = |key: &str| document.get(key).map(|value| value.get().trim_matches('"').to_owned());
    let amount = |key: &str| -> Result<Option<BigDecimal>, Refused> {
        let Some(text) = text(key) else { return Ok(None) };
        let read = number(&text, DecimalMark::Point);
        read.map(Some).ok_or_else(|| refused(format!("{key} is {text:?}: not a number")))
    };
    let ours = text("format").is_some_and(|format| format.starts_with("skyhandel-invoice-"));
    let (net, gross, currency, id) = if ours {
        let net = amount("net")?;
        let gross = amount("gross")?.or_else(|| net.clone());
        (net, gross, text("currency"), text("number"))
    } else if document.contains_key("totalCharges") {
        (None, amount("totalCharges")?, text("currencyCode"), text("id"))
    } else {
        return Ok(None);
    };
    let gross = gross.ok_or_else(|| refused("states no amount".to_owned()))?;
    let currency = currency.ok_or_else(|| refused("states no currency".to_owned()))?;
    let issued = text("issue_date").or_else(|| text("invoiceDate"));
    let issue_date = issued.as_deref().and_then(day);
    let number = id.unwrap_or_default();
    Ok(Some(InvoiceTotals { number, currency, issue_date, net, gross }))
}
