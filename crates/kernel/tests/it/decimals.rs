use bigdecimal::BigDecimal;
use kernel::{Amount, DecimalError, ExchangeRate, Percent, Quantity, UnitPrice};
use proptest::prelude::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

#[test]
fn recorded_numbers_survive_to_the_last_digit() {
    for text in ["0.032258064516129", "0.217790327034891", "23.200004", "-7", "0", "999999999999"] {
        assert_eq!(quantity(text).to_string(), text);
    }
    let price: UnitPrice = "0.0209496384791679".parse().unwrap();
    assert_eq!(price.to_string(), "0.0209496384791679");
    let rate = ExchangeRate::parse("0.27224589249009701").unwrap();
    assert_eq!(rate.to_string(), "0.27224589249009701");
}

#[test]
fn spellings_of_numbers_are_understood() {
    for (text, same) in [
        ("2.5e-05", "0.000025"),
        ("2.5E-05", "0.000025"),
        ("1.2e3", "1200"),
        ("1024.0000000000", "1024"),
        ("1.000000000000000000000000", "1"),
        ("+3", "3"),
        (" 3 ", "3"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-0", "0"),
        ("0e999", "0"),
    ] {
        assert_eq!(quantity(text).to_string(), same, "{text}");
    }
}

#[test]
fn what_is_not_a_number_or_would_be_rounded_is_refused() {
    let refused = |text: &str| text.parse::<Quantity>().unwrap_err();
    assert_eq!(refused(""), DecimalError::Empty);
    assert_eq!(refused("  "), DecimalError::Empty);
    for text in
        ["1,5", "1.2.3", "NaN", "inf", "0x10", "1e", "1e+", "1e50000", "-", ".", "1 000", "٣"]
    {
        assert_eq!(refused(text), DecimalError::NotANumber, "{text}");
    }
    assert_eq!(refused("0.0000000000000001"), DecimalError::TooManyDecimals { max: 15 });
    assert_eq!(refused("1000000000000"), DecimalError::TooLarge { max: 12 });
    assert_eq!(refused("1e12"), DecimalError::TooLarge { max: 12 });
    assert_eq!(refused(&"9".repeat(60)), DecimalError::TooLarge { max: 12 });
    assert_eq!(refused("1e999"), DecimalError::TooLarge { max: 12 });
    assert!(matches!(refused("1e-999"), DecimalError::TooManyDecimals { .. }));
    assert_eq!(ExchangeRate::parse("0"), Err(DecimalError::Zero));
    assert_eq!(ExchangeRate::parse("-1"), Err(DecimalError::Negative));
}

#[test]
fn the_largest_values_multiply_without_overflow() {
    let most = Amount::of_exchanged(
        quantity("999999999999.999999999999999"),
        "999999999.9999999999999999".parse().unwrap(),
        ExchangeRate::parse("9999999.99999999999999999").unwrap(),
    )
    .unwrap();
    assert!(most.checked_add(most).is_ok());
}

#[test]
fn an_overflow_is_an_error_and_never_another_number() {
    let huge = Amount::from_mantissa(ethnum::I256::MAX);
    assert!(huge.checked_add(huge).is_err());
    assert!(Quantity::from_mantissa(i128::MAX).checked_add(quantity("1")).is_none());
}

#[test]
fn a_price_with_nothing_to_derive_passes_through_unrounded() {
    let recorded: UnitPrice = "0.0209496384791679".parse().unwrap();
    assert_eq!(recorded.derive(Percent::ZERO, &[ExchangeRate::ONE]), Some(recorded));
}

#[test]
fn a_derived_price_is_rounded_half_even_to_twelve_decimals() {
    for (price, percent, rate, derived) in [
        ("0.045", "-15", "1", "0.03825"),
        ("0.0000000000005", "1E-12", "1", "0.000000000001"),
        ("0.000000000001", "50", "1", "0.000000000002"),
        ("0.000000000003", "-50", "1", "0.000000000002"),
        ("0.000000000005", "-50", "1", "0.000000000002"),
        ("1", "8", "10.1234", "10.933272"),
        ("0.0209496384791679", "12.5", "1", "0.023568343289"),
    ] {
        let price: UnitPrice = price.parse().unwrap();
        let rate = ExchangeRate::parse(rate).unwrap();
        let got = price.derive(percent.parse().unwrap(), &[rate]).unwrap();
        assert_eq!(got.to_string(), derived, "{price} {percent} {rate}");
    }
}

#[test]
fn cross_rates_keep_twelve_decimals_or_ten_digits() {
    let cross = |from: &str, to: &str| {
        let rate = |text| ExchangeRate::parse(text).unwrap();
        ExchangeRate::cross(rate(from), rate(to)).unwrap().to_string()
    };
    assert_eq!(cross("1.1172", "10.312"), "9.230218403151");
    assert_eq!(cross("1.1172", "1"), "0.895094880057");
    assert_eq!(cross("20275.17", "1.1172"), "0.00005510188077");
    assert_eq!(cross("5", "5"), "1");
}

proptest! {
    #[test]
    fn reading_and_writing_agree(mantissa in -10i128.pow(27) + 1..10i128.pow(27)) {
        let value = Quantity::from_mantissa(mantissa);
        prop_assert_eq!(value.to_string().parse::<Quantity>().unwrap(), value);
    }

    #[test]
    fn products_equal_those_of_an_independent_library(
        q in -10i128.pow(27) + 1..10i128.pow(27),
        p in 0..10i128.pow(25),
        r in 1..10i128.pow(24),
    ) {
        let big = |mantissa: i128, scale: i64| BigDecimal::new(mantissa.into(), scale);
        let ours = Amount::of_exchanged(
            Quantity::from_mantissa(q),
            UnitPrice::from_mantissa(p),
            ExchangeRate::from_mantissa(r),
        ).unwrap();
        let theirs = big(q, 15) * big(p, 16) * big(r, 17);
        prop_assert_eq!(ours.to_string().parse::<BigDecimal>().unwrap(), theirs);
    }

    #[test]
    fn derived_prices_equal_those_of_an_independent_library(
        p in 0..10i128.pow(20),
        percent in -10i128.pow(14)..10i128.pow(15),
        r in 1..10i128.pow(19),
    ) {
        prop_assume!(percent != 0);
        let big = |mantissa: i128, scale: i64| BigDecimal::new(mantissa.into(), scale);
        let ours = UnitPrice::from_mantissa(p)
            .derive(Percent::from_mantissa(percent), &[ExchangeRate::from_mantissa(r)])
            .unwrap();
        let factor = (BigDecimal::from(100) + big(percent, 12)) * big(1, 2);
        let theirs = (big(p, 16) * factor * big(r, 17))
            .with_scale_round(12, bigdecimal::RoundingMode::HalfEven);
        prop_assert_eq!(ours.to_string().parse::<BigDecimal>().unwrap(), theirs);
    }
}
