use bigdecimal::{BigDecimal, RoundingMode};
use kernel::{AMOUNT_SCALE, Amount, Currency, Money, Rounding};
use proptest::prelude::*;

fn amount(text: &str) -> Amount {
    let price = text.parse().unwrap();
    Amount::of("1".parse().unwrap(), price).unwrap()
}

fn rounded(text: &str, mode: Rounding, currency: &str) -> String {
    amount(text).round(mode, currency.parse().unwrap()).unwrap().digits()
}

#[test]
fn every_mode_does_what_its_name_says() {
    let table = [
        //        half-even half-up  down     up
        ("2.345", ["2.34", "2.35", "2.34", "2.35"]),
        ("2.355", ["2.36", "2.36", "2.35", "2.36"]),
        ("-2.345", ["-2.34", "-2.35", "-2.34", "-2.35"]),
        ("2.3451", ["2.35", "2.35", "2.34", "2.35"]),
        ("-2.341", ["-2.34", "-2.34", "-2.34", "-2.35"]),
        ("0.001", ["0.00", "0.00", "0.00", "0.01"]),
        ("-0.001", ["0.00", "0.00", "0.00", "-0.01"]),
        ("2", ["2.00", "2.00", "2.00", "2.00"]),
    ];
    for (text, expected) in table {
        let got = Rounding::NAMES.map(|(_, mode)| rounded(text, mode, "NOK"));
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn currencies_have_none_two_or_three_digits() {
    assert_eq!(rounded("1234.5", Rounding::HalfEven, "JPY"), "1234");
    assert_eq!(rounded("1235.5", Rounding::HalfEven, "JPY"), "1236");
    assert_eq!(rounded("0.0005", Rounding::HalfUp, "KWD"), "0.001");
    assert_eq!(rounded("-12.3455", Rounding::HalfUp, "KWD"), "-12.346");
    assert_eq!(Money::new(-5, "NOK".parse().unwrap()).to_string(), "-0.05 NOK");
}

#[test]
fn only_currencies_with_minor_units_are_known() {
    for code in ["XAU", "XTS", "nok", "ABC", ""] {
        assert!(code.parse::<Currency>().is_err(), "{code}");
    }
}

#[test]
fn two_currencies_do_not_add() {
    let nok = Money::new(100, "NOK".parse().unwrap());
    let eur = Money::new(100, "EUR".parse().unwrap());
    let refused = nok.checked_add(eur).unwrap_err().to_string();
    assert_eq!(
        refused,
        "currency: 1.00 NOK and 1.00 EUR cannot be added; exchange one of them first"
    );
    assert!(Money::new(i64::MAX, nok.currency()).checked_add(nok).is_err());
}

proptest! {
    #[test]
    fn rounding_equals_that_of_an_independent_library(
        high in any::<i128>(), cut in 0u32..50, code in prop::sample::select(vec!["JPY", "NOK", "KWD"]),
    ) {
        // Numbers of every length, so that ties and near ties occur.
        let mantissa = ethnum::I256::new(high >> 40) * ethnum::I256::new(10).pow(cut.min(48));
        let currency: Currency = code.parse().unwrap();
        let exact = Amount::from_mantissa(mantissa);
        let theirs = exact.to_string().parse::<BigDecimal>().unwrap();
        for (mode, same) in [
            (Rounding::HalfEven, RoundingMode::HalfEven),
            (Rounding::HalfUp, RoundingMode::HalfUp),
            (Rounding::Down, RoundingMode::Down),
            (Rounding::Up, RoundingMode::Up),
        ] {
            let expected = theirs.with_scale_round(i64::from(currency.minor_digits()), same);
            match exact.round(mode, currency) {
                Ok(money) => {
                    prop_assert_eq!(money.digits().parse::<BigDecimal>().unwrap(), expected);
                }
                Err(_) => prop_assert!(expected.abs() > i64::MAX / 1000),
            }
        }
    }

    #[test]
    fn narrow_amounts_round_like_wide_ones(
        mantissa in any::<i128>(), shift in 0u32..120, scale in 0u8..48,
        code in prop::sample::select(vec!["JPY", "NOK", "KWD"]),
    ) {
        let (mantissa, currency) = (mantissa >> shift, code.parse().unwrap());
        for (_, mode) in Rounding::NAMES {
            let wide = Amount::from_scaled(mantissa, scale).and_then(|a| a.round(mode, currency));
            let narrow = Money::rounded(mantissa, scale, mode, currency);
            prop_assert_eq!(narrow.ok(), wide.ok());
        }
    }

    #[test]
    fn money_becomes_an_amount_and_back_without_change(minor in any::<i64>()) {
        let money = Money::new(minor, "KWD".parse().unwrap());
        let amount = Amount::from(money);
        for (_, mode) in Rounding::NAMES {
            prop_assert_eq!(amount.round(mode, money.currency()).unwrap(), money);
        }
    }

    #[test]
    fn the_price_per_unit_is_the_quotient(cents in -10i128.pow(12)..10i128.pow(12), units in 1..10i128.pow(9)) {
        let exact = Amount::from_scaled(cents, 2).unwrap();
        let quantity = kernel::Quantity::from_mantissa(units * 10i128.pow(15));
        let per_unit = exact.per_unit(quantity, 15, Rounding::HalfEven).unwrap();
        let theirs = BigDecimal::new(cents.into(), 2) / BigDecimal::from(units);
        let difference = (per_unit.to_string().parse::<BigDecimal>().unwrap() - theirs).abs();
        prop_assert!(difference <= BigDecimal::new(5.into(), 16));
        prop_assert!(AMOUNT_SCALE == 48);
    }
}
