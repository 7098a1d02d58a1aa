//! Powers of ten in 128 bits, and division by them at the cost of a multiplication.
//!
//! Decimals are divided by nothing but powers of ten, and rating does it for every group on every
//! edge; the division that a processor offers for 128 bits takes many times as long.

/// The largest power of ten in 128 bits.
pub const POW10_MAX: u8 = 38;

static POWERS: [i128; POW10_MAX as usize + 1] = {
    let mut powers = [1; POW10_MAX as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// For each power of ten `d` of `bits` bits, `2^(127 + bits) / d` rounded down: a number of at most
/// 128 bits for every `d` above one.
static RECIPROCALS: [u128; POW10_MAX as usize + 1] = {
    let mut reciprocals = [0; POW10_MAX as usize + 1];
    let mut at = 1;
    while at < reciprocals.len() {
        let divisor = POWERS[at].unsigned_abs();
        // Long division of a one with so many zeros behind it.
        let mut zeros = 127 + u128::BITS - divisor.leading_zeros();
        let (mut quotient, mut rest) = (0u128, 1u128);
        while zeros > 0 {
            rest *= 2;
            quotient *= 2;
            if rest >= divisor {
                rest -= divisor;
                quotient += 1;
            }
            zeros -= 1;
        }
        reciprocals[at] = quotient;
        at += 1;
    }
    reciprocals
};

/// Ten to the power of `exponent`, which is at most [`POW10_MAX`].
pub fn ten_to(exponent: u8) -> i128 {
    POWERS[usize::from(exponent)]
}

/// `value / 10^exponent`, rounded towards zero, and the rest, which has the sign of `value`.
/// `exponent` is at most [`POW10_MAX`].
pub fn divide_by_ten_to(value: i128, exponent: u8) -> (i128, i128) {
    if exponent == 0 {
        return (value, 0);
    }
    let divisor = POWERS[usize::from(exponent)].unsigned_abs();
    let size = value.unsigned_abs();
    // Estimated from the reciprocal, which was rounded down: right, or one too small.
    let bits = u128::BITS - divisor.leading_zeros();
    let mut quotient = high_half(size, RECIPROCALS[usize::from(exponent)]) >> (bits - 1);
    let mut rest = size - quotient * divisor;
    if rest >= divisor {
        quotient += 1;
        rest -= divisor;
    }
    let (quotient, rest) = (quotient.cast_signed(), rest.cast_signed());
    if value < 0 { (-quotient, -rest) } else { (quotient, rest) }
}

/// The upper 128 of the 256 bits of a product.
const fn high_half(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & LOW);
    let (b_high, b_low) = (b >> 64, b & LOW);
    let middle = a_high * b_low + ((a_low * b_low) >> 64);
    let other = a_low * b_high + (middle & LOW);
    a_high * b_high + (middle >> 64) + (other >> 64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: i128, exponent: u8) {
        let divisor = 10i128.pow(u32::from(exponent));
        let expected = (value / divisor, value % divisor);
        assert_eq!(divide_by_ten_to(value, exponent), expected, "{value} / 10^{exponent}");
    }

    #[test]
    fn division_is_right_beside_every_multiple_that_can_go_wrong() {
        for exponent in 0..=POW10_MAX {
            let divisor = ten_to(exponent);
            assert_eq!(divisor, 10i128.pow(u32::from(exponent)));
            let mut multiples = vec![0, divisor, i128::MAX / divisor * divisor];
            multiples.extend((0..127).filter_map(|bit| divisor.checked_mul(1 << bit)));
            for multiple in multiples {
                for value in [multiple.checked_sub(1), Some(multiple), multiple.checked_add(1)] {
                    let Some(value) = value else { continue };
                    check(value, exponent);
                    check(-value, exponent);
                }
            }
            check(i128::MAX, exponent);
            check(i128::MIN + 1, exponent);
            if exponent > 0 {
                check(i128::MIN, exponent);
            }
        }
    }

    proptest! {
        #[test]
        fn division_is_that_of_the_language(
            value in any::<i128>(), shift in 0u32..127, exponent in 0..=POW10_MAX,
        ) {
            check((value >> shift).max(i128::MIN + 1), exponent);
        }
    }
}
