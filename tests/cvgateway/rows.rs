//! Each row of etc/LabEventInfo.tab: values at, inside and outside of its bounds, in its own unit, in one that converts
//! and in one that does not. What is expected has its arithmetic beside it; UCUM's mm[Hg] is 0.133322 kPa.

use super::oru::{observations, oru};
use super::support::{Site, told};

/// What is sent of a value, or a part of why it is left out.
type Expected = Result<&'static str, &'static str>;

/// Observations of one code with one specimen source.
struct Group {
    code: &'static str,
    specimen: &'static str,
    /// OBX-3 of what CareVue gets; idb_direct's option for an admit observation.
    key: &'static str,
    unit: &'static str,
    values: &'static [(&'static str, &'static str, Expected)],
}

const HAEMOGLOBIN: &[(&str, &str, Expected)] = &[
    ("0", "g/dl", Ok("0.0")),
    ("12.94", "g/dl", Ok("12.9")),
    ("12.95", "g/dl", Ok("13.0")), // half away from zero
    ("30", "g/dl", Ok("30.0")),
    ("-0.1", "g/dl", Err("outside of 0 to 30 g/dl")),
    ("30.01", "g/dl", Err("outside of 0 to 30 g/dl")),
    ("129", "g/l", Ok("12.9")),                          // 129 / 10 = 12.9
    ("8.0", "mmol/l", Ok("12.9")), // 8.0 x 16.113439 kg/mol = 128.907512 g/l = 12.8907512 g/dl
    ("10", "mmol/l", Ok("16.1")),  // 10 x 16.113439 = 161.13439 g/l = 16.113439 g/dl
    ("18.61", "mmol/l", Ok("30.0")), // 18.61 x 16.113439 = 299.87109979 g/l = 29.987109979 g/dl
    ("18.62", "mmol/l", Err("outside of 0 to 30 g/dl")), // 18.62 x 16.113439 = 300.03223418 g/l, above 300
    ("37", "cel", Err("cel does not convert to g/dl")),
];

const SATURATION: &[(&str, &str, Expected)] = &[
    ("-20", "%", Ok("-20.0")),
    ("-0.25", "%", Ok("-0.3")), // half away from zero
    ("97.24", "%", Ok("97.2")),
    ("97.25", "%", Ok("97.3")),
    ("100", "%", Ok("100.0")),
    ("-20.1", "%", Err("outside of -20 to 100 %")),
    ("100.1", "%", Err("outside of -20 to 100 %")),
    ("0.9725", "1", Ok("97.3")), // 0.9725 x 100 = 97.25
    ("8", "mmol/l", Err("mmol/l does not convert to %")),
];

const PRESSURE: &[(&str, &str, Expected)] = &[
    ("0", "kPal", Ok("0.0")),
    ("12.34", "kPal", Ok("12.3")),
    ("12.35", "kPal", Ok("12.4")),
    ("40", "kPal", Ok("40.0")),
    ("-0.1", "kPal", Err("outside of 0 to 40 kPal")),
    ("40.01", "kPal", Err("outside of 0 to 40 kPal")),
    ("75", "mm(hg)", Ok("10.0")),                      // 75 x 0.133322 = 9.99915
    ("90", "MMHG", Ok("12.0")),                        // 90 x 0.133322 = 11.99898
    ("300", "mm(hg)", Ok("40.0")),                     // 300 x 0.133322 = 39.9966
    ("301", "mm(hg)", Err("outside of 0 to 40 kPal")), // 301 x 0.133322 = 40.129922
    ("37", "cel", Err("cel does not convert to kPal")),
];

const TEMPERATURE: &[(&str, &str, Expected)] = &[
    ("25", "cel", Ok("25.0")),
    ("37.04", "cel", Ok("37.0")),
    ("37.05", "cel", Ok("37.1")),
    ("45", "cel", Ok("45.0")),
    ("24.9", "cel", Err("outside of 25 to 45 cel")),
    ("45.1", "cel", Err("outside of 25 to 45 cel")),
    ("98.6", "degf", Ok("37.0")),                      // (98.6 - 32) x 5 / 9 = 37
    ("113", "degf", Ok("45.0")),                       // (113 - 32) x 5 / 9 = 45
    ("113.2", "degf", Err("outside of 25 to 45 cel")), // (113.2 - 32) x 5 / 9 = 45.11...
    ("310.15", "K", Ok("37.0")),                       // 310.15 - 273.15 = 37
    ("37", "kg", Err("kg does not convert to cel")),
];

const UNDECIDED: &[(&str, &str, Expected)] =
    &[("37", "cel", Err("its specimen is neither arterial nor venous"))];

/// A text stays as it is, and loses its unit.
const TEXT: &[(&str, &str, Expected)] = &[("art.", "", Ok("art.")), ("1 \\T\\ 2", "cel", Ok("1 \\T\\ 2"))];

const GROUPS: &[Group] = &[
    Group {
        code: "3138-5",
        specimen: "",
        key: "-H",
        unit: "cm",
        values: &[
            ("0.5", "cm", Ok("1.0")), // to 1.0, half away from zero
            ("181.4", "cm", Ok("181.0")),
            ("181.5", "cm", Ok("182.0")),
            ("300", "cm", Ok("300.0")),
            ("0.49", "cm", Err("outside of 0.5 to 300.0 cm")),
            ("300.1", "cm", Err("outside of 0.5 to 300.0 cm")),
            ("1.82", "m", Ok("182.0")), // 1.82 x 100 = 182
            ("70", "in", Ok("178.0")),  // 70 x 2.54 = 177.8
            ("182", "kg", Err("kg does not convert to cm")),
        ],
    },
    Group {
        code: "3142-7",
        specimen: "",
        key: "-W",
        unit: "kg",
        values: &[
            ("0.5", "kg", Ok("1.00")), // to 1.0, half away from zero
            ("74.4", "kg", Ok("74.00")),
            ("74.5", "kg", Ok("75.00")),
            ("250", "kg", Ok("250.00")),
            ("0.19", "kg", Err("outside of 0.20 to 250.00 kg")),
            ("250.1", "kg", Err("outside of 0.20 to 250.00 kg")),
            // Within the bounds, and rounded to 1.0 no more: nobody weighs 0 kg.
            ("0.20", "kg", Err("rounded to 0.00, outside of 0.20 to 250.00 kg")),
            ("0.49", "kg", Err("rounded to 0.00, outside of 0.20 to 250.00 kg")),
            ("74500", "g", Ok("75.00")), // 74500 / 1000 = 74.5
            ("165", "lb", Ok("75.00")),  // 165 x 0.45359237 = 74.84274105
            ("75", "cm", Err("cm does not convert to kg")),
        ],
    },
    Group {
        code: "3140-1",
        specimen: "",
        key: "-S",
        unit: "m2",
        values: &[
            ("0.5", "m2", Ok("0.50")),
            ("1.954", "m2", Ok("1.95")),
            ("1.955", "m2", Ok("1.96")),
            ("300", "m2", Ok("300.00")),
            ("0.49", "m2", Err("outside of 0.5 to 300.0 m2")),
            ("300.1", "m2", Err("outside of 0.5 to 300.0 m2")),
            ("19550", "cm2", Ok("1.96")), // 19550 / 10000 = 1.955
            ("1.9", "m", Err("m does not convert to m2")),
        ],
    },
    Group { code: "BGATYPA", specimen: "", key: "BGATYPA", unit: "", values: TEXT },
    Group { code: "BGATYPV", specimen: "", key: "BGATYPV", unit: "", values: TEXT },
    Group { code: "9984-6", specimen: "BLDA", key: "BGATEMPA", unit: "cel", values: TEMPERATURE },
    Group { code: "9984-6", specimen: "BLDV", key: "BGATEMPV", unit: "cel", values: TEMPERATURE },
    Group { code: "9984-6", specimen: "BLDC", key: "", unit: "cel", values: UNDECIDED },
    Group { code: "9984-6", specimen: "", key: "", unit: "cel", values: UNDECIDED },
    Group { code: "BGATEMPA", specimen: "", key: "BGATEMPA", unit: "cel", values: TEMPERATURE },
    Group { code: "BGATEMPV", specimen: "", key: "BGATEMPV", unit: "cel", values: TEMPERATURE },
    Group { code: "2703-7", specimen: "", key: "2703-7", unit: "kPal", values: PRESSURE },
    Group { code: "2704-5", specimen: "", key: "2704-5", unit: "kPal", values: PRESSURE },
    Group {
        code: "2705-2",
        specimen: "",
        key: "2705-2",
        unit: "kPal",
        values: &[
            ("2", "kPal", Ok("2.00")),
            ("5.554", "kPal", Ok("5.55")),
            ("5.555", "kPal", Ok("5.56")),
            ("40", "kPal", Ok("40.00")),
            ("1.99", "kPal", Err("outside of 2 to 40 kPal")),
            ("40.01", "kPal", Err("outside of 2 to 40 kPal")),
            ("40", "mm(hg)", Ok("5.33")), // 40 x 0.133322 = 5.33288
            ("15", "mm(hg)", Err("outside of 2 to 40 kPal")), // 15 x 0.133322 = 1.99983
            ("37", "cel", Err("cel does not convert to kPal")),
        ],
    },
    Group { code: "9948-1", specimen: "", key: "9948-1", unit: "g/dl", values: HAEMOGLOBIN },
    Group { code: "9947-3", specimen: "", key: "9947-3", unit: "g/dl", values: HAEMOGLOBIN },
    Group { code: "2714-4", specimen: "", key: "2714-4", unit: "%", values: SATURATION },
    Group { code: "2715-1", specimen: "", key: "2715-1", unit: "%", values: SATURATION },
    Group {
        code: "6298-4",
        specimen: "",
        key: "6298-4",
        unit: "mmol/l",
        values: &[
            ("0", "mmol/l", Ok("0.0")),
            ("4.04", "mmol/l", Ok("4.0")),
            ("4.05", "MMOL/L", Ok("4.1")),
            ("8", "mmol/l", Ok("8.0")),
            ("-0.1", "mmol/l", Err("outside of 0 to 8 mmol/l")),
            ("8.01", "mmol/l", Err("outside of 0 to 8 mmol/l")),
            ("0.0041", "mol/l", Ok("4.1")),    // 0.0041 x 1000 = 4.1
            ("156.3932", "mg/l", Ok("4.0")),   // 156.3932 / 39.0983 g/mol = 4
            ("158.348115", "mg/l", Ok("4.1")), // 158.348115 / 39.0983 = 4.05
            ("158.348114", "mg/l", Ok("4.0")), // 158.348114 / 39.0983 = 4.04999997...
            ("4", "meq/l", Err("meq/l does not convert to mmol/l")),
            ("37", "cel", Err("cel does not convert to mmol/l")),
        ],
    },
    Group {
        code: "2947-0",
        specimen: "",
        key: "2947-0",
        unit: "mmol/l",
        values: &[
            ("0", "mmol/l", Ok("0")),
            ("139.4", "mmol/l", Ok("139")),
            ("139.5", "mmol/l", Ok("140")),
            ("500", "mmol/l", Ok("500")),
            ("-1", "mmol/l", Err("outside of 0 to 500 mmol/l")),
            ("500.4", "mmol/l", Err("outside of 0 to 500 mmol/l")), // judged before it is rounded to 500
            ("321.8572", "mg/dl", Ok("140")),                       // 3218.572 mg/l / 22.9898 g/mol = 140
            ("3207.0771", "mg/l", Ok("140")),                       // 3207.0771 / 22.9898 = 139.5
            ("3207.0770", "mg/l", Ok("139")),                       // 3207.0770 / 22.9898 = 139.499995...
            ("37", "cel", Err("cel does not convert to mmol/l")),
        ],
    },
    Group {
        code: "1994-3",
        specimen: "",
        key: "1994-3",
        unit: "mmol/l",
        values: &[
            ("0.5", "mmol/l", Ok("0.5")),
            ("2.44", "mmol/l", Ok("2.4")),
            ("2.45", "mmol/l", Ok("2.5")),
            ("25", "mmol/l", Ok("25.0")),
            ("0.49", "mmol/l", Err("outside of 0.5 to 25 mmol/l")),
            ("25.01", "mmol/l", Err("outside of 0.5 to 25 mmol/l")),
            ("10", "mg/dl", Ok("2.5")),     // 100 mg/l / 40.078 g/mol = 2.4951...
            ("98.1911", "mg/l", Ok("2.5")), // 98.1911 / 40.078 = 2.45
            ("98.1910", "mg/l", Ok("2.4")), // 98.1910 / 40.078 = 2.4499975...
            ("2.5", "meq/l", Err("meq/l does not convert to mmol/l")),
        ],
    },
    Group {
        code: "2069-3",
        specimen: "",
        key: "2069-3",
        unit: "mmol/l",
        values: &[
            ("1", "mmol/l", Ok("1.0")),
            ("104.24", "mmol/l", Ok("104.2")),
            ("104.25", "mmol/l", Ok("104.3")),
            ("150", "mmol/l", Ok("150.0")),
            ("0.99", "mmol/l", Err("outside of 1 to 150 mmol/l")),
            ("150.1", "mmol/l", Err("outside of 1 to 150 mmol/l")),
            ("354.527", "mg/dl", Ok("100.0")), // 3545.27 mg/l / 35.4527 g/mol = 100
            ("35", "mg/l", Err("outside of 1 to 150 mmol/l")), // 35 / 35.4527 = 0.987...
            ("37", "cel", Err("cel does not convert to mmol/l")),
        ],
    },
    Group {
        code: "2339-0",
        specimen: "",
        key: "2339-0",
        unit: "mmol/l",
        values: &[
            ("0", "mmol/l", Ok("0.0")),
            ("5.54", "mmol/l", Ok("5.5")),
            ("5.55", "mmol/l", Ok("5.6")),
            ("100", "mmol/l", Ok("100.0")),
            ("-0.1", "mmol/l", Err("outside of 0 to 100 mmol/l")),
            ("100.1", "mmol/l", Err("outside of 0 to 100 mmol/l")),
            ("90", "mg/dl", Ok("5.0")),     // 900 mg/l / 180.16 g/mol = 4.9955...
            ("891.792", "mg/l", Ok("5.0")), // 891.792 / 180.16 = 4.95
            ("891.791", "mg/l", Ok("4.9")), // 891.791 / 180.16 = 4.94999...
            ("37", "cel", Err("cel does not convert to mmol/l")),
        ],
    },
];

#[test]
fn every_value_of_every_row() {
    let site = Site::new().with_tables().start();
    let mut id = 0;
    for Group { code, specimen, key, unit, values } in GROUPS {
        for (value, given, expected) in *values {
            let told_as = format!("{code} {specimen} {value} {given}");
            id += 1;
            site.census(&[7]);
            // Beside it a result that always goes.
            let observed = [&format!("ST|{code}||{value}|{given}"), "NM|2339-0||5|mmol/l"];
            let (answer, text) = told(&site.send(oru(id, specimen, &observed).as_bytes()));
            assert_eq!(answer, "AA", "{told_as}: {text}");
            let sent = site.fsi.take().remove(0);
            let (first, written) = (observations(&sent)[0].to_owned(), site.asked());
            let other = "OBX|1|NM|2339-0||5.0|mmol/l";
            match expected {
                Ok(printed) if key.starts_with('-') => {
                    assert_eq!(written, [format!("-e 8 -r 77 -l 601-1 -c {key} {printed}")], "{told_as}");
                    assert_eq!(first, other, "{told_as}: an admit observation is no result");
                }
                Ok(printed) => {
                    let kind = if unit.is_empty() { "ST" } else { "NM" };
                    let obx = format!("OBX|1|{kind}|{key}||{printed}|{unit}");
                    assert_eq!(first, obx.trim_end_matches('|'), "{told_as}: {text}");
                }
                Err(why) => {
                    assert_eq!(first, other, "{told_as}: {text}");
                    assert!(text.contains("left out: ") && text.contains(why), "{told_as}: {text}");
                    assert!(written.is_empty(), "{told_as}: {written:?}");
                }
            }
        }
    }
}

/// No row of the table is forgotten above, nor a kind of value: at both bounds, inside, below and above; in its own
/// unit, in another one, in one that does not convert.
#[test]
fn every_row_has_every_kind_of_value() {
    let table = std::fs::read_to_string(crate::support::top().join("etc/LabEventInfo.tab")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| line.starts_with('"')) {
        let columns: Vec<&str> = line.split(':').map(|column| column.trim_matches('"')).collect();
        let (code, unit) = (columns[0], columns[4]);
        let number = |n: usize| columns[n].parse::<f64>().unwrap();
        let (low, high) = (number(7), number(12));
        let groups = || GROUPS.iter().filter(|group| group.code == code);
        assert!(groups().count() > 0, "{code}");
        count += 1;
        for Group { values, specimen, .. } in groups().filter(|group| !group.key.is_empty()) {
            if unit.is_empty() {
                continue;
            }
            // 9984-6 has the bounds of the rows that it points to.
            let (low, high) = if code == "9984-6" { (25.0, 45.0) } else { (low, high) };
            let own = |value: &dyn Fn(f64) -> bool, sent: bool| {
                values.iter().any(|(text, given, expected)| {
                    *given == unit && expected.is_ok() == sent && value(text.parse().unwrap())
                })
            };
            let (is_weight, name) = (code == "3142-7", format!("{code} {specimen}"));
            assert!(own(&|value| value == low, !is_weight), "{name}: at {low}");
            assert!(own(&|value| value == high, true), "{name}: at {high}");
            assert!(own(&|value| value > low && value < high, true), "{name}: inside");
            assert!(own(&|value| value < low, false), "{name}: below {low}");
            assert!(own(&|value| value > high, false), "{name}: above {high}");
            assert!(values.iter().any(|(_, given, expected)| *given != unit && expected.is_ok()), "{name}");
            let wrong = |why: &str| why.contains("does not convert");
            assert!(values.iter().any(|(.., expected)| expected.is_err_and(wrong)), "{name}");
        }
    }
    assert_eq!(count, 20);
}
