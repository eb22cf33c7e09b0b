//! The tables as a gateway uses them: looked up and converted through the library.

use super::{LABEVENTINFOMGR, LOINCMGR, UNITMGR, manager, row, shipped};
use protogen_codes::loinc::CodingSystem;
use protogen_codes::table::Table;
use protogen_codes::units::{Constant, Units, convert, parse_decimal};
use protogen_testkit::Dir;

fn compiled() -> Dir {
    let dir = Dir::new();
    manager(LABEVENTINFOMGR, &dir).arg("-c").arg(shipped("LabEventInfo.tab")).run().success();
    manager(UNITMGR, &dir).arg("-c").arg(shipped("units.tab")).run().success();
    let mut glucose = vec![""; 25];
    (glucose[0], glucose[1], glucose[10], glucose[11], glucose[12], glucose[20]) =
        ("2339-0", "GLUCOSE", "E12", "1234", "I5", "M9");
    let mut other = glucose.clone();
    (other[0], other[1]) = ("5914-7", "GLUCOSE 2H");
    dir.write("L.tab", row(&other) + &row(&glucose) + &row(&["9984-6", "ISSUED SINCE"]));
    manager(LOINCMGR, &dir)
        .args(["-c", "L.tab"])
        .arg("--extensions")
        .arg(shipped("LOINC+.tab"))
        .run()
        .success();
    dir
}

#[test]
fn codes_of_other_systems_lead_to_loinc() {
    let dir = compiled();
    let loinc = Table::loinc(&dir.join("codes")).unwrap();
    let found = |code: &str, name: &str| -> Vec<String> {
        let system = CodingSystem::of_name(name).unwrap();
        loinc.records(code, system).unwrap().iter().map(|record| record.number().to_owned()).collect()
    };
    for (code, system) in [("1234", "AS4"), ("1234", "as4e"), ("I5", "IUPC"), ("E12", "E"), ("M9", "MET")] {
        assert_eq!(found(code, system), ["2339-0", "5914-7"], "{system}");
    }
    assert_eq!(found("9984-6", "LN"), ["9984-6"], "LOINC's own, never LOINC+");
    for local in ["LOINC+", "L", ""] {
        assert_eq!(found("9984-6", local), ["LOINC+:9984-6"]);
        assert_eq!(found("2339-0", local), ["2339-0"]);
    }
    assert_eq!(found("LOINC+:9984-6", "LN"), [""; 0]);
    assert_eq!(found("1234", "LN"), [""; 0]);
    assert_eq!(CodingSystem::of_name("SNM"), None);
    let record = loinc.record("2339").unwrap().unwrap();
    assert_eq!(
        (record.measure(), record.field("component"), record.field("nothing")),
        ("GLUCOSE", "GLUCOSE", "")
    );
}

/// Every unit of the LabEventInfo table, each converted to CareVue's and rounded as its row says, and back.
#[test]
fn results_of_the_lab_event_info_table_both_ways() {
    let dir = compiled();
    let (infos, units) =
        (Table::lab_event_info(&dir.join("codes")).unwrap(), Table::open(Units, &dir.join("codes")).unwrap());
    let mut seen = Vec::new();
    for (id, value, from, printed, back) in [
        // 182 cm and 1.82 m; increment 1.0, 1 decimal
        ("3138-5", "1.82", "m", "182.0", "1.82"),
        // 165.3 lb x 0.45359237 = 74.978818761 kg, to 75; back 75 / 0.45359237 = 165.3466966386... lb
        ("3142-7", "165.3", "lb", "75.00", "165.34669663865818554"),
        // 18512 cm2 = 1.8512 m2, to 1.85
        ("3140-1", "18512", "cm2", "1.85", "18500"),
        // (98.24 - 32) x 5/9 = 36.8 cel; 36.8 x 9/5 + 32 = 98.24
        ("BGATEMPA", "98.24", "degF", "36.8", "98.24"),
        ("BGATEMPV", "309.95", "K", "36.8", "309.95"),
        // 95 x 0.133322 = 12.66559 kPa, to 12.7; 12.7 / 0.133322 = 95.258096...
        ("2703-7", "95", "mmHg", "12.7", "95.258096938239750379"),
        ("2704-5", "126.7", "hPa", "12.7", "127"),
        // 40 x 0.133322 = 5.33288 kPa, to 5.33; 5.33 / 0.133322 = 39.978398...
        ("2705-2", "40", "mm(hg)", "5.33", "39.978398163843926734"),
        // 8.0 x 16.113439 = 128.907512 g/l = 12.8907512 g/dl, to 12.9; 129 / 16.113439 = 8.00574...
        ("9948-1", "8.0", "mmol/l", "12.9", "8.0057398051402931429"),
        ("9947-3", "129", "g/l", "12.9", "129"),
        // 0.9745 = 97.45 %, half away from zero: 97.5
        ("2714-4", "0.9745", "1", "97.5", "0.975"),
        ("2715-1", "975", "‰", "97.5", "975"),
        // 160.30303 / 39.0983 = 4.1 mmol/l; 4.1 x 39.0983 = 160.30303 mg/l
        ("6298-4", "160.30303", "mg/l", "4.1", "160.30303"),
        // 321.8572 mg/dl / 22.9898 = 140 mmol/l
        ("2947-0", "321.8572", "mg/dl", "140", "321.8572"),
        // 5.21014 mg/dl / 40.078 = 1.3 mmol/l
        ("1994-3", "5.21014", "mg/dl", "1.3", "5.21014"),
        // 3580.7227 mg/l / 35.4527 = 101 mmol/l
        ("2069-3", "3580.7227", "mg/l", "101.0", "3580.7227"),
        // 90.08 mg/dl / 180.16 = 5 mmol/l
        ("2339-0", "90.08", "mg/dl", "5.0", "90.08"),
    ] {
        let info = infos.info(id).unwrap().unwrap_or_else(|| panic!("{id}"));
        let unit = |code: &str| units.unit(code).unwrap().unwrap_or_else(|error| panic!("{error}"));
        let (from, to) = (unit(from), unit(info.unit.as_deref().unwrap()));
        let constant_unit = info.constant.as_ref().map(|(_, code)| unit(code));
        let constant = info.constant.as_ref().zip(constant_unit.as_ref());
        let constant = constant.map(|((value, _), unit)| Constant { value: *value, unit });
        let found = convert(parse_decimal(value).unwrap(), &from, &to, constant)
            .unwrap_or_else(|error| panic!("{id}: {error}"));
        let shown = info.print(found).unwrap();
        assert_eq!(shown, printed, "{id}");
        let returned = convert(parse_decimal(&shown).unwrap(), &to, &from, constant).unwrap();
        assert_eq!(returned, parse_decimal(back).unwrap(), "{id} back");
        seen.push(id);
    }
    for text in ["BGATYPA", "BGATYPV"] {
        assert!(infos.info(text).unwrap().unwrap().is_text());
        seen.push(text);
    }
    let pointer = infos.info("9984-6").unwrap().unwrap();
    assert_eq!((pointer.property.as_deref(), pointer.lab_event_class), (Some("*BGATEMP*"), None));
    assert_eq!(seen.len() + 1, infos.rows() as usize, "every row");
    assert_eq!(infos.info("no such").unwrap(), None);
}

#[test]
fn boundaries_that_are_equal_are_off() {
    let dir = compiled();
    let infos = Table::lab_event_info(&dir.join("codes")).unwrap();
    let calcium = infos.info("1994-3").unwrap().unwrap();
    let value = |text| parse_decimal(text).unwrap();
    assert!(calcium.allowed.is_below(value("0.49")) && !calcium.allowed.is_below(value("0.5")));
    assert!(calcium.allowed.is_above(value("25.1")) && !calcium.allowed.is_above(value("25.0")));
    assert!(!calcium.normal.is_above(value("1000")) && !calcium.alert.is_below(value("-1")));
}
