//! Conversions against values computed by hand, and what is refused.

use super::*;

fn ucum(expression: &str) -> Unit {
    Unit::from_ucum(expression, expression, Case::Sensitive).unwrap()
}

fn decimal(text: &str) -> Decimal {
    parse_decimal(text).unwrap_or_else(|| panic!("{text}"))
}

fn converted(value: &str, from: &str, to: &str) -> String {
    convert(decimal(value), &ucum(from), &ucum(to), None)
        .unwrap_or_else(|error| panic!("{error}"))
        .to_string()
}

fn with_constant(value: &str, from: &str, to: &str, constant: &str, unit: &str) -> Result<String, String> {
    let unit = ucum(unit);
    let constant = Constant { value: decimal(constant), unit: &unit };
    let result = convert(decimal(value), &ucum(from), &ucum(to), Some(constant));
    result.map(|value| value.to_string()).map_err(|error| error.to_string())
}

fn refused(from: &str, to: &str) -> String {
    convert(decimal("2.5"), &ucum(from), &ucum(to), None).unwrap_err().to_string()
}

#[test]
fn proportional_units_convert_exactly() {
    for (value, from, to, expected) in [
        ("8.0", "mmol/L", "umol/mL", "8.0"), // both are 1 mol/m3
        ("97", "%", "1", "0.97"),
        ("1.82", "m", "cm", "182"),
        ("0.1", "kg", "g", "100"),
        ("760", "mm[Hg]", "kPa", "101.32472"), // 760 x 0.133322
        ("101.32472", "kPa", "mm[Hg]", "760"),
        ("40", "mm[Hg]", "kPa", "5.33288"), // 40 x 0.133322
        ("1", "[lb_av]", "g", "453.59237"), // 7000 grains of 64.79891 mg
        ("150", "10*9/L", "10*3/uL", "150"),
        ("3", "[iU]/mL", "[iU]/L", "3000"),
        ("60", "U/L", "ukat/L", "1"), // 60 umol/min is 1 umol/s
        ("-20", "m", "mm", "-20000"),
        ("0", "g/L", "mg/dL", "0"),
        ("1", "h", "s", "3600"),
        ("1", "s", "h", "0.00027777777777777777778"), // 1/3600, to 20 digits
    ] {
        let found = convert(decimal(value), &ucum(from), &ucum(to), None).unwrap();
        assert_eq!(found, decimal(expected), "{value} {from} in {to}");
    }
}

#[test]
fn temperatures_convert_exactly() {
    for (value, from, to, expected) in [
        ("36.6", "Cel", "K", "309.75"),  // + 273.15
        ("98.6", "[degF]", "Cel", "37"), // (98.6 - 32) x 5/9
        ("37", "Cel", "[degF]", "98.6"),
        ("-40", "[degF]", "Cel", "-40"),
        ("0", "K", "Cel", "-273.15"),
        ("80", "[degRe]", "Cel", "100"), // x 5/4
        ("100", "Cel", "[degRe]", "80"),
    ] {
        assert_eq!(converted(value, from, to), expected, "{value} {from} in {to}");
    }
    let error = convert(decimal("-273.16"), &ucum("Cel"), &ucum("K"), None).unwrap_err();
    assert_eq!(error, ConvertError::OutOfDomain("-273.16 Cel is below absolute zero".into()));
}

#[test]
fn ph_and_mol_per_litre() {
    assert_eq!(converted("7", "[pH]", "nmol/L"), "100"); // 10^-7 mol/l
    assert_eq!(converted("7.4", "[pH]", "nmol/L"), "39.8107170553"); // 10^-7.4, to 12 digits
    assert_eq!(converted("40", "nmol/L", "[pH]"), "7.39794000867"); // 9 - lg 40
    assert!(convert(decimal("0"), &ucum("mol/L"), &ucum("[pH]"), None).is_err());
    assert!(convert(decimal("-1"), &ucum("mol/L"), &ucum("[pH]"), None).is_err());
    assert!(refused("[pH]", "/L").contains("cannot convert"));
    assert!(refused("[pH]", "g/L").contains("cannot convert"));
}

/// The constants of the LabEventInfo table, both ways.
#[test]
fn molar_masses_both_ways() {
    for (amount, amount_unit, mass, mass_unit, constant, unit) in [
        // Haemoglobin: 8.0 mol/m3 x 16.113439 kg/mol = 128.907512 kg/m3 = 12.8907512 g/dl
        ("8", "mmol/L", "12.8907512", "g/dL", "16.113439", "kg/mol"),
        // Potassium: 4.1 x 39.0983 = 160.30303 mg/l
        ("4.1", "mmol/L", "160.30303", "mg/L", "39.0983", "g/mol"),
        // Sodium: 140 x 22.9898 = 3218.572 mg/l = 321.8572 mg/dl
        ("140", "mmol/L", "321.8572", "mg/dL", "22.9898", "g/mol"),
        // Calcium: 1.25 x 40.078 = 50.0975 mg/l = 5.00975 mg/dl
        ("1.25", "mmol/L", "5.00975", "mg/dL", "40.078", "g/mol"),
        // Chloride: 101 x 35.4527 = 3580.7227 mg/l
        ("101", "mmol/L", "3580.7227", "mg/L", "35.4527", "g/mol"),
        // Glucose: 5 x 180.16 = 900.8 mg/l = 90.08 mg/dl
        ("5", "mmol/L", "90.08", "mg/dL", "180.16", "g/mol"),
    ] {
        assert_eq!(with_constant(amount, amount_unit, mass_unit, constant, unit).as_deref(), Ok(mass));
        assert_eq!(with_constant(mass, mass_unit, amount_unit, constant, unit).as_deref(), Ok(amount));
    }
    // A constant that is not needed is not used.
    assert_eq!(with_constant("8", "mmol/L", "umol/mL", "16.113439", "kg/mol").as_deref(), Ok("8"));
    assert_eq!(
        refused("mmol/L", "g/dL"),
        "cannot convert mmol/L (dimension L-3.mol) to g/dL (dimension L-3.M) without a constant, such as a molar mass in g/mol"
    );
    for (constant, unit, told) in [
        ("0", "g/mol", "must be above 0"),
        ("-3", "g/mol", "must be above 0"),
        ("2", "g/L", "with a constant in g/L"),
    ] {
        let error = with_constant("8", "mmol/L", "g/dL", constant, unit).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_ucum_takes_for_numbers_is_not_taken_for_one_another() {
    // 2.5 meq/l calcium is 1.25 mmol/l: the valence is not known.
    assert_eq!(
        refused("meq/L", "mmol/L"),
        "cannot convert meq/L (dimension L-3.eq) to mmol/L (dimension L-3.mol)"
    );
    for (from, to) in [
        ("mmol/L", "meq/L"),
        ("mmol/L", "/L"),
        ("/L", "mmol/L"),
        ("meq/L", "/L"),
        ("mosm/L", "mmol/L"),
        ("mosm/kg", "mmol/kg"),
        ("mol", "1"),
        ("U/L", "/min/L"),
        ("kat", "/s"),
        ("mmol/L", "10*9/L"),
    ] {
        assert!(refused(from, to).starts_with(&format!("cannot convert {from} (dimension ")), "{from} {to}");
    }
    // The constant does not open a way round: eq is no mol.
    assert!(with_constant("2.5", "meq/L", "mg/dL", "40.078", "g/mol").is_err());
    assert!(with_constant("2.5", "meq/L", "mg/dL", "20.039", "g/eq").is_ok());
    // mol in mol is a plain ratio.
    assert_eq!(converted("42", "mmol/mol", "%"), "4.2");
}

#[test]
fn the_rest_is_refused_with_both_dimensions() {
    assert_eq!(refused("kg", "m"), "cannot convert kg (dimension M) to m (dimension L)");
    assert_eq!(
        refused("[iU]/L", "U/L"),
        "cannot convert [iU]/L (dimension L-3.[iU]) to U/L (dimension L-3.T-1.mol)"
    );
    assert!(refused("dB", "1").contains("logarithmic"));
    assert!(refused("mCel", "K").contains("special"));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let large = convert(decimal(&"9".repeat(28)), &ucum("km"), &ucum("nm"), None).unwrap_err();
    assert!(matches!(large, ConvertError::OutOfRange(_)), "{large}");
    let small = convert(decimal("0.0000000001"), &ucum("nm"), &ucum("Ym"), None).unwrap_err();
    assert!(matches!(small, ConvertError::OutOfRange(_)), "{small}");
    assert_eq!(converted("0.000000000000001", "nmol/L", "mol/L"), "0.000000000000000000000001");
    assert_eq!(converted("123456789", "m", "Zm"), "0.000000000000123456789");
    assert_eq!(converted("123456789", "nm", "Zm"), "0.0000000000000000000001234568");
}

#[test]
fn codes_that_are_no_units_are_named() {
    let error = Unit::parse("frob/L").unwrap_err().to_string();
    assert!(
        error.starts_with("\"frob/L\" is no known unit: it is in no row of the units table, and no UCUM"),
        "{error}"
    );
    assert!(Unit::parse("").unwrap_err().to_string().contains("write 1 for a plain number"));
    assert_eq!(Unit::parse("MMOL/L").unwrap().dimension(), "L-3.mol", "in upper case, as UCUM's other form");
}

proptest::proptest! {
    #[test]
    fn there_and_back_is_the_same(value in -100_000_000i64..100_000_000, scale in 0u32..6, pair in 0usize..6) {
        let value = Decimal::new(value, scale).normalize();
        let (from, to) = [("mmol/L", "umol/dL"), ("kPa", "mm[Hg]"), ("g/dL", "ug/uL"), ("[lb_av]", "kg"), ("U/L", "nkat/mL"), ("/min", "/h")][pair];
        let there = convert(value, &ucum(from), &ucum(to), None).unwrap();
        let back = convert(there, &ucum(to), &ucum(from), None).unwrap();
        proptest::prop_assert_eq!(back.round_dp(10), value);
    }
}
