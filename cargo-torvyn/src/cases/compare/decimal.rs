//! A number as it is written in JSON or TOML, compared by value and without rounding it.

use std::fmt;

/// A decimal number of any length. Equal to any other of the same value: 1, 1.0 and 1e0 are equal, and so are 0 and -0.
#[derive(Debug, Clone)]
pub(crate) struct Decimal {
    written: String,
    /// Whether it is below 0.
    negative: bool,
    /// The digits without zeros at either end; empty for 0.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i128,
}

impl Decimal {
    /// Parses digits with an optional sign, fraction and exponent. `None` for anything else, and for an exponent of more than
    /// 30 digits.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let dropped = (all.len() - digits.len()) as i128;
        let digits = digits.trim_start_matches('0').to_string();
        let is_zero = digits.is_empty();
        let exponent = if is_zero { 0 } else { exponent + dropped - fraction.len() as i128 };
        Some(Decimal { written: text.to_string(), negative: text.starts_with('-') && !is_zero, digits, exponent })
    }
}

impl Decimal {
    /// Whether it has no fraction, however it is written.
    pub(super) fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// Whether it is a multiple of another number. `None` if that number is 0, or has too many digits.
    pub(super) fn is_multiple_of(&self, divisor: &Decimal) -> Option<bool> {
        let modulus: u128 = divisor.digits.parse::<u64>().ok()?.into();
        let shift = self.exponent - divisor.exponent;
        if self.digits.is_empty() || shift < 0 {
            // The last digit of a number other than 0 is not 0, so no power of ten divides it.
            return Some(self.digits.is_empty());
        }
        let append = |rest: u128, digit: u8| (rest * 10 + u128::from(digit - b'0')) % modulus;
        let rest = self.digits.bytes().fold(0, append);
        Some((rest * power_of_ten(shift.unsigned_abs(), modulus)).is_multiple_of(modulus))
    }
}

/// A power of ten, modulo a number of 64 bits.
fn power_of_ten(mut exponent: u128, modulus: u128) -> u128 {
    let (mut power, mut square) = (1 % modulus, 10 % modulus);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power * square % modulus;
        }
        square = square * square % modulus;
        exponent >>= 1;
    }
    power
}

fn parse_exponent(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_short = digits.trim_start_matches('0').len() <= 30;
    (is_short && !digits.is_empty()).then(|| text.parse().ok())?
}

impl From<u128> for Decimal {
    fn from(number: u128) -> Self {
        let digits = number.to_string();
        Decimal::parse(&digits).unwrap_or(Decimal {
            written: digits,
            negative: false,
            digits: String::new(),
            exponent: 0,
        })
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        (self.negative, &self.digits, self.exponent) == (other.negative, &other.digits, other.exponent)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_is_not_a_number() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "nan", "inf", "0x1", "1.2.3", "--1", "1e5e5", "1 "] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
        assert!(Decimal::parse("1e1000000000000000000000000000000000000000000").is_none());
        assert!(Decimal::parse("1e0000000000000000000000000000000000000000001").is_some());
    }

    #[test]
    fn divides_without_rounding() {
        let is_multiple =
            |number: &str, of: &str| Decimal::parse(number).unwrap().is_multiple_of(&Decimal::parse(of).unwrap());
        for (number, of) in [
            ("19.99", "0.01"),
            ("-7.5", "2.5"),
            ("0", "7"),
            ("0.0", "0.3"),
            ("1e400", "1e-400"),
            ("9007199254740994", "2"),
            ("1e1000000", "64"),
            ("700", "35"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(is_multiple(number, of), Some(true), "{number} {of}");
        }
        for (number, of) in [
            ("19.995", "0.01"),
            ("1e300", "0.3"),
            ("9007199254740993", "2"),
            ("1", "10"),
            ("0.1", "1"),
            ("1e-400", "1"),
        ] {
            assert_eq!(is_multiple(number, of), Some(false), "{number} {of}");
        }
        assert_eq!((is_multiple("1", "0"), is_multiple("1", "18446744073709551617")), (None, None));
    }

    #[test]
    fn numbers_are_equal_by_value() {
        let number = |text| Decimal::parse(text).unwrap();
        assert_eq!(number("-12.50e3"), number("-12500"));
        assert_eq!(number("000"), number("-0.00e9"));
        assert_eq!(number("0.001"), number("1e-3"));
        assert_ne!(number("10"), number("1"));
        assert_ne!(number("0.1"), number("0.10000000000000001"));
        assert_eq!(Decimal::from(255), number("255"));
        assert_eq!(number("1e3").to_string(), "1e3");
        assert!(["0", "-0.0", "10", "1.50e1"].iter().all(|text| number(text).is_integer()));
        assert!(["0.5", "10e-2", "1.25e1"].iter().all(|text| !number(text).is_integer()));
    }
}
