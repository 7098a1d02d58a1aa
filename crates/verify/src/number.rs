//! Numbers as files have them, exactly.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Zero};

/// A number in the one form in which files write it: no sign but minus, no leading zeros, no
/// exponent.
pub(crate) fn parse(text: &str) -> Option<BigDecimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let number: BigDecimal = text.parse().ok()?;
    (!(number.is_zero() && text.starts_with('-'))).then_some(number)
}

/// The same without trailing zeros.
pub(crate) fn parse_trimmed(text: &str) -> Option<BigDecimal> {
    if text.contains('.') && text.ends_with('0') { None } else { parse(text) }
}

/// The same with exactly so many decimals.
pub(crate) fn parse_money(text: &str, decimals: usize) -> Option<BigDecimal> {
    let found = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if found == decimals { parse(text) } else { None }
}

/// A number without trailing zeros.
pub(crate) fn trimmed(number: &BigDecimal) -> String {
    if number.is_zero() { "0".to_owned() } else { number.normalized().to_plain_string() }
}

/// A number with so many decimals.
pub(crate) fn money(number: &BigDecimal, decimals: usize) -> String {
    if number.is_zero() {
        return BigDecimal::zero().with_scale(decimals as i64).to_plain_string();
    }
    number.with_scale(decimals as i64).to_plain_string()
}

/// Rounds half even: what is nearest, of two the even one.
pub(crate) fn half_even(number: &BigDecimal, decimals: u8) -> BigDecimal {
    number.with_scale_round(i64::from(decimals), RoundingMode::HalfEven)
}

/// Rounds by the name that the mode has in files.
pub(crate) fn rounded(number: &BigDecimal, decimals: usize, mode: &str) -> Option<BigDecimal> {
    let mode = match mode {
        "half-even" => RoundingMode::HalfEven,
        "half-up" => RoundingMode::HalfUp,
        "down" => RoundingMode::Down,
        "up" => RoundingMode::Up,
        _ => return None,
    };
    Some(number.with_scale_round(decimals as i64, mode))
}

/// The quotient to so many decimals, half even; none where nothing can be divided.
pub(crate) fn quotient(a: &BigDecimal, b: &BigDecimal, decimals: u8) -> Option<BigDecimal> {
    let (floor, rest, d) = divided(a, b, decimals)?;
    let twice = rest * 2;
    let odd = &floor % 2 != BigInt::from(0);
    let up = twice > d || (twice == d && odd);
    Some(BigDecimal::new(if up { floor + 1 } else { floor }, i64::from(decimals)))
}

/// The quotient to so many decimals, away from zero; none where nothing can be divided.
pub(crate) fn quotient_up(a: &BigDecimal, b: &BigDecimal, decimals: u8) -> Option<BigDecimal> {
    let (floor, rest, _) = divided(a, b, decimals)?;
    let zero = BigInt::from(0);
    let up = rest != zero && floor >= zero;
    Some(BigDecimal::new(if up { floor + 1 } else { floor }, i64::from(decimals)))
}

/// The quotient to so many decimals, towards zero; none where nothing can be divided.
pub(crate) fn quotient_down(a: &BigDecimal, b: &BigDecimal, decimals: u8) -> Option<BigDecimal> {
    let (floor, rest, _) = divided(a, b, decimals)?;
    let zero = BigInt::from(0);
    let up = rest != zero && floor < zero;
    Some(BigDecimal::new(if up { floor + 1 } else { floor }, i64::from(decimals)))
}

/// The quotient in units of the last decimal, rounded down towards minus infinity; what is left,
/// not negative; and by what that was divided.
fn divided(a: &BigDecimal, b: &BigDecimal, decimals: u8) -> Option<(BigInt, BigInt, BigInt)> {
    if b.is_zero() {
        return None;
    }
    // As integers: n / d with n = a * 10^decimals, so that the remainder decides exactly.
    let shifted = a * BigDecimal::from(10).powi(i64::from(decimals));
    let scale = shifted.as_bigint_and_exponent().1.max(b.as_bigint_and_exponent().1);
    let integer = |number: &BigDecimal| number.with_scale(scale).into_bigint_and_exponent().0;
    let (n, d) = (integer(&shifted), integer(b));
    let zero = BigInt::from(0);
    let (n, d) = if d < zero { (-n, -d) } else { (n, d) };
    let mut floor = &n / &d;
    if n < zero && &floor * &d != n {
        floor -= 1;
    }
    let rest = &n - &floor * &d;
    Some((floor, rest, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    #[test]
    fn only_one_spelling_of_a_number_is_accepted() {
        for text in ["0", "-1", "12.5", "0.000000000000001", "10.50"] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in ["", "-", "-0", "+1", "01", ".5", "5.", "1e3", "1 ", "0x1", "1,5", "-0.0"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse_trimmed("1.50").is_none() && parse_trimmed("10").is_some());
        assert!(parse_money("1.50", 2).is_some() && parse_money("1.5", 2).is_none());
        assert!(parse_money("150", 0).is_some() && parse_money("150.0", 0).is_none());
    }

    #[test]
    fn numbers_are_written_without_exponents() {
        assert_eq!(trimmed(&number("120.500")), "120.5");
        assert_eq!(trimmed(&number("1200")), "1200");
        assert_eq!(trimmed(&number("0.000000000000001")), "0.000000000000001");
        assert_eq!(
            (money(&number("0"), 2), money(&number("-3"), 3)),
            ("0.00".into(), "-3.000".into())
        );
    }

    #[test]
    fn the_named_modes_round_as_their_names_say() {
        let by = |mode: &str, text: &str| trimmed(&rounded(&number(text), 0, mode).unwrap());
        for (mode, expected) in [
            ("half-even", ["2", "4", "-2", "1", "0"]),
            ("half-up", ["3", "4", "-3", "1", "0"]),
            ("down", ["2", "3", "-2", "0", "0"]),
            ("up", ["3", "4", "-3", "1", "1"]),
        ] {
            let given = ["2.5", "3.5", "-2.5", "0.7", "0.2"].map(|text| by(mode, text));
            assert_eq!(given, expected, "{mode}");
        }
        assert_eq!(rounded(&number("1"), 0, "somehow"), None);
    }

    #[test]
    fn quotients_are_rounded_half_even() {
        let by = |a: &str, b: &str, decimals| {
            trimmed(&quotient(&number(a), &number(b), decimals).unwrap())
        };
        assert_eq!(by("1", "3", 4), "0.3333");
        assert_eq!(by("-2", "3", 2), "-0.67");
        assert_eq!((by("5", "2", 0), by("7", "2", 0)), ("2".into(), "4".into()));
        assert_eq!((by("-5", "2", 0), by("5", "-2", 0)), ("-2".into(), "-2".into()));
        assert_eq!(by("0.0005", "0.01", 1), "0");
        assert_eq!(quotient(&number("1"), &number("0"), 2), None);
        let up = |a: &str, b: &str| trimmed(&quotient_up(&number(a), &number(b), 2).unwrap());
        assert_eq!(
            (up("1", "3"), up("-1", "3"), up("1", "-3")),
            ("0.34".into(), "-0.34".into(), "-0.34".into())
        );
        assert_eq!((up("1", "4"), up("-1", "4")), ("0.25".into(), "-0.25".into()));
    }
}
