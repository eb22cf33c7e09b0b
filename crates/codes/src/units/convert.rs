//! Converting a value from one unit to another, in decimal arithmetic.

use std::fmt;

use octofhir_ucum::{Case, Number};
use rust_decimal::{Decimal, RoundingStrategy};

use super::unit::{Scale, Unit};

/// A constant that joins two dimensions, such as the molar mass 16.113439 kg/mol.
#[derive(Debug, Clone, Copy)]
pub struct Constant<'u> {
    /// Its value.
    pub value: Decimal,
    /// Its unit.
    pub unit: &'u Unit,
}

/// Why a value was not converted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConvertError {
    /// The units measure different things. The text names both with their dimensions.
    Incommensurable(String),
    /// A value with no counterpart: no pH of 0 mol/l, no temperature below absolute zero, a constant of zero.
    OutOfDomain(String),
    /// The result has more digits before or after the point than can be kept.
    OutOfRange(String),
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConvertError::Incommensurable(text)
            | ConvertError::OutOfDomain(text)
            | ConvertError::OutOfRange(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ConvertError {}

/// The digits that a result keeps. Arithmetic has 28; what is beyond is the remainder of divisions that do not come out.
const DIGITS: u32 = 20;
/// The digits of a result that a logarithm or a power gave.
const DIGITS_OF_LOGARITHM: u32 = 12;

/// Converts a value: between proportional units, temperatures, pH and amount concentration, and with a constant between
/// mass and amount of substance, either way. A constant that is not needed is not used.
///
/// The arithmetic is decimal: a result that has up to 20 digits is exact. Where pH is concerned it has 12.
///
/// # Errors
/// [`ConvertError`]; nothing is ever converted on a guess.
pub fn convert(
    value: Decimal,
    from: &Unit,
    to: &Unit,
    constant: Option<Constant<'_>>,
) -> Result<Decimal, ConvertError> {
    if from.expression() == to.expression() {
        return Ok(value);
    }
    let way = way(from, to, constant)?;
    let too_large =
        || ConvertError::OutOfRange(format!("{value} {} is out of range in {}", from.code(), to.code()));
    let proper = proper(value, from)?;
    let (over, under) = match way {
        Way::Direct => (Number::ONE, Number::ONE),
        Way::Times(by) => (by, Number::ONE),
        Way::Over(by) => (Number::ONE, by),
    };
    // All factors are multiplied before the one division, which is then the only step that can round.
    let product = |numbers: &[Number]| {
        numbers.iter().try_fold(Number::ONE, |product, number| product.checked_mul(*number))
    };
    let numerator = product(&[proper.over, from_factor(from), over]).ok_or_else(too_large)?;
    let denominator = product(&[proper.under, from_factor(to), under]).ok_or_else(too_large)?;
    let value = in_scale(numerator, denominator, to).ok_or_else(too_large)??;
    let logarithm = from.scale == Scale::Ph || to.scale == Scale::Ph;
    to_decimal(value, if logarithm { DIGITS_OF_LOGARITHM } else { DIGITS }).ok_or_else(too_large)
}

enum Way {
    Direct,
    Times(Number),
    Over(Number),
}

fn way(from: &Unit, to: &Unit, constant: Option<Constant<'_>>) -> Result<Way, ConvertError> {
    let refused = |why: &str| ConvertError::Incommensurable(format!("cannot convert {from} to {to}{why}"));
    if from.scale == Scale::Other || to.scale == Scale::Other {
        return Err(refused(": a logarithmic or other special unit but pH is not converted"));
    }
    if from.is_commensurable(to) {
        return Ok(Way::Direct);
    }
    let Some(constant) = constant else {
        // The hint is given only where such a constant would do.
        let molar = Unit::from_ucum("g/mol", "g/mol", Case::Sensitive);
        let would_do = molar.is_ok_and(|molar| from.becomes(&molar, 1, to) || from.becomes(&molar, -1, to));
        return Err(refused(if would_do {
            " without a constant, such as a molar mass in g/mol"
        } else {
            ""
        }));
    };
    if from.scale != Scale::Proper || to.scale != Scale::Proper || constant.unit.scale != Scale::Proper {
        return Err(refused(": a constant serves proportional units only"));
    }
    if constant.value <= Decimal::ZERO {
        return Err(ConvertError::OutOfDomain(format!(
            "a constant of {} {}; it must be above 0",
            constant.value,
            constant.unit.code()
        )));
    }
    let by = number(constant.value).and_then(|value| value.checked_mul(constant.unit.meaning.factor));
    let by = by.ok_or_else(|| refused(": the constant is out of range"))?;
    if from.becomes(constant.unit, 1, to) {
        Ok(Way::Times(by))
    } else if from.becomes(constant.unit, -1, to) {
        Ok(Way::Over(by))
    } else {
        Err(refused(&format!(" with a constant in {}", constant.unit)))
    }
}

/// A value in the proper unit that a unit stands on, as a fraction.
struct Proper {
    over: Number,
    under: Number,
}

fn proper(value: Decimal, unit: &Unit) -> Result<Proper, ConvertError> {
    let out = || ConvertError::OutOfDomain(format!("{value} {} is below absolute zero", unit.code()));
    let range = || ConvertError::OutOfRange(format!("{value} {} is out of range", unit.code()));
    let shifted = |zero: &str, over: i64, under: i64| {
        let kelvin = number(value).zip(Number::parse(zero)).and_then(|(value, zero)| value.checked_add(zero));
        let kelvin = kelvin.ok_or_else(range)?;
        if kelvin.is_negative() {
            return Err(out());
        }
        let over = kelvin.checked_mul(Number::from_i64(over)).ok_or_else(range)?;
        Ok(Proper { over, under: Number::from_i64(under) })
    };
    match unit.scale {
        Scale::Celsius => shifted(CELSIUS, 1, 1),
        Scale::Fahrenheit => shifted(FAHRENHEIT, 5, 9),
        Scale::Reaumur => shifted(REAUMUR, 5, 4),
        Scale::Ph => {
            let exponent: f64 = value.to_string().parse().map_err(|_| range())?;
            let over = Number::from_f64(10f64.powf(-exponent)).ok_or_else(range)?;
            Ok(Proper { over, under: Number::ONE })
        }
        Scale::Proper | Scale::Other => {
            Ok(Proper { over: number(value).ok_or_else(range)?, under: Number::ONE })
        }
    }
}

/// What the zero of each scale is above absolute zero, in its own degrees (UCUM, table of special units).
const CELSIUS: &str = "273.15";
const FAHRENHEIT: &str = "459.67";
const REAUMUR: &str = "218.52";

/// The factor of the proper unit; temperatures are counted in kelvin above.
fn from_factor(unit: &Unit) -> Number {
    match unit.scale {
        Scale::Fahrenheit | Scale::Reaumur => Number::ONE,
        _ => unit.meaning.factor,
    }
}

/// The fraction as a value of the unit. `None` when it is out of range.
fn in_scale(over: Number, under: Number, unit: &Unit) -> Option<Result<Number, ConvertError>> {
    let degrees = |zero: &str, times: i64, by: i64| {
        let over = over.checked_mul(Number::from_i64(times))?;
        over.checked_div(under.checked_mul(Number::from_i64(by))?)?.checked_sub(Number::parse(zero)?)
    };
    Some(Ok(match unit.scale {
        Scale::Celsius => degrees(CELSIUS, 1, 1)?,
        Scale::Fahrenheit => degrees(FAHRENHEIT, 9, 5)?,
        Scale::Reaumur => degrees(REAUMUR, 4, 5)?,
        Scale::Proper | Scale::Other => over.checked_div(under)?,
        Scale::Ph => {
            let concentration = over.checked_div(under)?.to_f64();
            if concentration <= 0.0 {
                let text = format!("there is no {} of a concentration that is not above 0", unit.code());
                return Some(Err(ConvertError::OutOfDomain(text)));
            }
            Number::from_f64(-concentration.log10())?
        }
    }))
}

fn number(value: Decimal) -> Option<Number> {
    Number::parse(&value.to_string())
}

/// `None` when the number is too large, or too small for anything of it to be left in 28 decimals.
fn to_decimal(number: Number, digits: u32) -> Option<Decimal> {
    let half_away = RoundingStrategy::MidpointAwayFromZero;
    let (mantissa, exponent) = number.to_integer_and_exponent();
    let mantissa = Decimal::try_from_i128_with_scale(mantissa, 0).ok()?;
    let mantissa = mantissa.round_sf_with_strategy(digits, half_away)?;
    let power = |exponent: u32| Decimal::try_from_i128_with_scale(10_i128.checked_pow(exponent)?, 0).ok();
    let places = exponent.unsigned_abs();
    let decimal = match exponent {
        0.. => mantissa.checked_mul(power(places)?)?,
        -28..0 => Decimal::try_from_i128_with_scale(mantissa.trunc().mantissa(), places).ok()?,
        _ => {
            let kept = mantissa.checked_div(power(places - 28)?)?.round_dp_with_strategy(0, half_away);
            Decimal::try_from_i128_with_scale(kept.mantissa(), 28).ok()?
        }
    };
    (!decimal.is_zero() || number.is_zero()).then(|| decimal.normalize())
}
