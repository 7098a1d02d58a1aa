//! Numbers and days as files write them.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use jiff::civil::Date;

/// How a file separates whole numbers from decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalMark {
    Point,
    Comma,
}

/// A number. Signs for thousands are not read, since they cannot be told from decimals.
pub(crate) fn number(text: &str, mark: DecimalMark) -> Option<BigDecimal> {
    let text = text.trim();
    let (negative, digits) = match (text.strip_prefix('-'), text.strip_prefix('(')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (true, rest.strip_suffix(')')?),
        (None, None) => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let point =
        if mark == DecimalMark::Comma { digits.replace(',', ".") } else { digits.to_owned() };
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    let starts = point.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts || point.len() > 64 || !point.chars().all(plain) {
        return None;
    }
    if mark == DecimalMark::Comma && digits.contains('.') {
        return None;
    }
    // Exponents appear in exported spreadsheets; large ones only in mistakes.
    let exponent = point.split_once(['e', 'E']).map_or(Some(0), |(_, e)| e.parse::<i32>().ok())?;
    if exponent.abs() > 40 {
        return None;
    }
    let number = BigDecimal::from_str(&point).ok()?;
    Some(if negative { -number } else { number })
}

/// The day of a time: ISO with or without a clock, or US (`3/1/2018 12:00:00 AM`).
pub(crate) fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    let iso = text.get(..10).filter(|_| text.as_bytes().get(4) == Some(&b'-'));
    if let Some(iso) = iso {
        return iso.parse().ok();
    }
    let date = text.split(' ').next()?;
    let mut parts = date.split('/').map(|part| part.parse::<i16>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    let year = if year < 100 { year + 2000 } else { year };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_spelling_or_not_at_all() {
        let point = |text| number(text, DecimalMark::Point).map(|n| n.to_plain_string());
        assert_eq!(point("12.50").as_deref(), Some("12.50"));
        assert_eq!(point("-0.25").as_deref(), Some("-0.25"));
        assert_eq!(point("(3.1)").as_deref(), Some("-3.1"));
        assert_eq!(point("1.5E-3").as_deref(), Some("0.0015"));
        for wrong in ["", "1,5", "1 000", "1,234.50", "abc", "--1", "1e999"] {
            assert_eq!(point(wrong), None, "{wrong}");
        }
        let comma = |text| number(text, DecimalMark::Comma).map(|n| n.to_plain_string());
        assert_eq!(comma("1234,5").as_deref(), Some("1234.5"));
        assert_eq!(comma("1.234,5"), None);
    }

    #[test]
    fn days_are_read_in_both_spellings() {
        let expected: Date = "2018-03-01".parse().unwrap();
        for text in ["2018-03-01", "2018-03-01T00:00:00Z", "3/1/2018 12:00:00 AM", "03/01/18"] {
            assert_eq!(day(text), Some(expected), "{text}");
        }
        for text in ["", "1.3.2018", "2018-13-01", "13/13/2018"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
