//! A unit of measure with its dimension, and what of its substance it counts.

use std::fmt;

use octofhir_ucum::{
    Case, EvalResult, SpecialKind, UnitExpr, evaluate_with_case, lookup_unit, parse_expression,
};

/// A unit, understood.
#[derive(Debug, Clone)]
pub struct Unit {
    code: String,
    expression: String,
    pub(super) meaning: EvalResult,
    pub(super) scale: Scale,
    amounts: Amounts,
}

/// How a value in the unit relates to its dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Proportional.
    Proper,
    Celsius,
    Fahrenheit,
    Reaumur,
    /// The negative logarithm of mol/l.
    Ph,
    /// A function that is not converted here: bel, neper and their like.
    Other,
}

/// Exponents of what UCUM takes for plain numbers: moles, equivalents, osmoles. The number of equivalents in a mole is
/// the valence, that of osmoles depends on the solute, and a mole is no plain count in a laboratory's result: none of
/// the three may become another.
type Amounts = [i32; 3];
const AMOUNTS: [&str; 3] = ["mol", "eq", "osm"];

/// What is wrong with a unit's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    /// The code.
    pub code: String,
    pub(super) why: String,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no known unit: {}", self.code, self.why)
    }
}

impl std::error::Error for UnitError {}

impl Unit {
    /// The unit of a UCUM expression, under the code that stands for it.
    ///
    /// # Errors
    /// What UCUM finds wrong with it.
    pub fn from_ucum(code: &str, expression: &str, case: Case) -> Result<Unit, UnitError> {
        let failed = |why: String| UnitError { code: code.to_owned(), why };
        let parsed = parse_expression(expression).map_err(|error| failed(error.to_string()))?;
        let meaning = evaluate_with_case(&parsed, case).map_err(|error| failed(error.to_string()))?;
        let mut amounts = Amounts::default();
        add_amounts(&parsed, case, 1, &mut amounts);
        let scale = match meaning.special {
            None => Scale::Proper,
            Some(term) if term.scale != octofhir_ucum::Number::ONE => Scale::Other,
            Some(term) => match term.unit.special {
                SpecialKind::Celsius => Scale::Celsius,
                SpecialKind::Fahrenheit => Scale::Fahrenheit,
                SpecialKind::Reaumur => Scale::Reaumur,
                SpecialKind::PH => Scale::Ph,
                _ => Scale::Other,
            },
        };
        Ok(Unit { code: code.to_owned(), expression: expression.to_owned(), meaning, scale, amounts })
    }

    /// The code as it was given.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The UCUM expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Its dimension, for people: L length, T time, M mass, Θ temperature, and the units that count something, each with
    /// its exponent (`L-3.mol` for mmol/l, `1` for a plain number).
    #[must_use]
    pub fn dimension(&self) -> String {
        let mut parts = Vec::new();
        if !self.meaning.dim.is_dimensionless() {
            parts.push(self.meaning.dim.to_string());
        }
        let amounts = AMOUNTS.into_iter().zip(self.amounts);
        for (name, exponent) in amounts.chain(self.meaning.arbitrary.iter().copied()) {
            match exponent {
                0 => {}
                1 => parts.push(name.to_owned()),
                _ => parts.push(format!("{name}{exponent}")),
            }
        }
        if parts.is_empty() { "1".to_owned() } else { parts.join(".") }
    }

    /// Whether a value in one unit is a value in the other without further knowledge.
    pub(super) fn is_commensurable(&self, other: &Unit) -> bool {
        self.meaning.is_commensurable(&other.meaning) && self.amounts == other.amounts
    }

    /// Whether this unit, multiplied by `by` (1) or divided by it (-1), is commensurable with `other`.
    pub(super) fn becomes(&self, by: &Unit, sign: i32, other: &Unit) -> bool {
        let dims = self.meaning.dim.0.iter().zip(by.meaning.dim.0).zip(other.meaning.dim.0);
        let amounts = self.amounts.iter().zip(by.amounts).zip(other.amounts);
        self.meaning.arbitrary == other.meaning.arbitrary
            && by.meaning.arbitrary.is_empty()
            && dims
                .fold(true, |same, ((a, b), c)| same && i32::from(*a) + sign * i32::from(b) == i32::from(c))
            && amounts.fold(true, |same, ((a, b), c)| same && a.saturating_add(sign * b) == c)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (dimension {})", self.code, self.dimension())
    }
}

fn add_amounts(expression: &UnitExpr, case: Case, exponent: i32, to: &mut Amounts) {
    match expression {
        UnitExpr::Symbol(symbol) => {
            let place = match lookup_unit(symbol, case).map(|(_, atom)| atom.code) {
                Some("mol" | "kat" | "U" | "[pH]") => 0,
                Some("eq") => 1,
                Some("osm") => 2,
                _ => return,
            };
            to[place] = to[place].saturating_add(exponent);
        }
        UnitExpr::Power(base, power) => add_amounts(base, case, exponent.saturating_mul(*power), to),
        UnitExpr::Annotated(base, _) => add_amounts(base, case, exponent, to),
        UnitExpr::Product(parts) => parts.iter().for_each(|part| add_amounts(part, case, exponent, to)),
        UnitExpr::Quotient(over, under) => {
            add_amounts(over, case, exponent, to);
            add_amounts(under, case, exponent.saturating_neg(), to);
        }
        UnitExpr::Reciprocal(under) => add_amounts(under, case, exponent.saturating_neg(), to),
        UnitExpr::Numeric(_) | UnitExpr::Annotation(_) => {}
    }
}
