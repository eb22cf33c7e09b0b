//! Results: what is no plain value, and how an ORU is taken apart.

use super::support::{Manner, Site, told};

/// An ORU of one order.
pub fn oru(id: usize, specimen: &str, observations: &[&str]) -> String {
    let mut text = format!(
        "MSH|^~\\&|LAB|HOSP|CVGATEWAY|060_IOP|||ORU^R01|{id}|P|2.3\rPID|1||4711||Muster\rPV1|1|I|IOP^601^1||||||||||||||||77\r\
         OBR|1|||BGA|||20261124||||||||{specimen}\rNTE|1||dropped\r"
    );
    for (n, observation) in observations.iter().enumerate() {
        text += &format!("OBX|{}|{observation}\r", n + 7);
    }
    text
}

/// The OBX segments of what CareVue got.
pub fn observations(message: &str) -> Vec<&str> {
    message.split('\r').filter(|segment| segment.starts_with("OBX")).collect()
}

/// What an OBX becomes that is no plain number with a unit: in, out (`-` for left out), with why.
const ROWS: &[(&str, &str, &str)] = &[
    ("NM|9948-1||8.0|", "-", "it has no unit"),
    ("NM|9948-1||8.0|furlongs", "-", "is not known"),
    ("NM|9948-1||<8|g/dl", "-", "its value is no number"),
    ("NM|9948-1||8~9|g/dl", "-", "its value is no number"),
    ("NM|9948-1||8^9|g/dl", "-", "its value is no number"),
    ("NM|9948-1||8,5|g/dl", "-", "its value is no number"),
    ("NM|9948-1||1e1|g/dl", "-", "its value is no number"),
    ("NM|9948-1|||g/dl", "-", "its value is no number"),
    ("NM|9948-1||\"\"|g/dl", "-", "its value is no number"),
    ("NM|9948-1|| 8.0 |g/dl", "NM|9948-1||8.0|g/dl", ""),
    ("NM|1234-5||8|g/dl", "-", "no row in LabEventInfo"),
    ("NM|||8|g/dl", "-", "no row in LabEventInfo"),
    ("NM|BODY TEMPERATURE^^LN||37|cel", "-", "no row in LabEventInfo"),
    ("NM|6298-4||4|mmol/l|||||D2", "-", "its status is D2"),
    ("NM|6298-4||4|mmol/l|||||I", "-", "its status is I"),
    ("NM|6298-4||4|mmol/l|||||N", "-", "its status is N"),
    ("NM|6298-4||4|mmol/l|||||O", "-", "its status is O"),
    ("NM|6298-4||4|mmol/l|||||S", "-", "its status is S"),
    ("NM|6298-4||4|mmol/l|||||X", "-", "its status is X"),
    ("NM|6298-4||4|mmol/l|||||F", "NM|6298-4||4.0|mmol/l|||||F", ""),
    ("NM|6298-4||4|mmol/l|||||P", "NM|6298-4||4.0|mmol/l|||||P", ""),
    ("NM|6298-4||4|mmol/l|||||R", "NM|6298-4||4.0|mmol/l|||||R", ""),
    ("NM|6298-4||4|mmol/l|||||C", "NM|6298-4||4.0|mmol/l|||||C", ""),
    ("NM|6298-4||4|mmol/l|||||U", "NM|6298-4||4.0|mmol/l|||||U", ""),
    ("NM|6298-4^KALIUM^LN||4|mmol/l|3-5|H", "NM|6298-4||4.0|mmol/l|3-5|H", ""),
    // The same unit in another spelling keeps its range; a range in another unit would make a normal value abnormal.
    ("NM|6298-4||4|MMOL/L|3-5|N", "NM|6298-4||4.0|mmol/l|3-5|N", ""),
    ("NM|9948-1||8.0|mmol/l|7.4-10.7|N", "NM|9948-1||12.9|g/dl||N", ""), // 8.0 x 1.6113439 = 12.89
    ("NM|2703-7||90|mm(hg)|80-100", "NM|2703-7||12.0|kPal", ""),         // 90 x 0.133322 = 11.999
    ("NM|2339-0||90|mg/dl|60-100|", "NM|2339-0||5.0|mmol/l", ""),        // 900 / 180.16 = 4.996
    ("ST|BGATYPA||art.|cel|1-2", "ST|BGATYPA||art.", ""),
];

#[test]
fn what_is_no_plain_value() {
    let site = Site::new().with_tables().start();
    for (id, (given, expected, why)) in ROWS.iter().enumerate() {
        // Beside it one that always goes.
        let (code, text) = told(&site.send(oru(id, "", &[given, "NM|2339-0||5|mmol/l"]).as_bytes()));
        assert_eq!(code, "AA", "{given}: {text}");
        assert!(text.contains(why), "{given}: {text}");
        let sent = site.fsi.take().remove(0);
        let observations = observations(&sent);
        if *expected == "-" {
            assert_eq!(observations, ["OBX|1|NM|2339-0||5.0|mmol/l"], "{given}");
            assert!(text.contains("left out: "), "{given}: {text}");
        } else {
            assert_eq!(observations[0], format!("OBX|1|{expected}"), "{given}");
            assert_eq!(observations.len(), 2, "{given}");
        }
        let header: Vec<&str> = sent.split('\r').collect();
        assert!(header[0].starts_with("MSH|^~\\&|CVGATEWAY|060_IOP|CLI|060_IOP|"), "{sent:?}");
        assert!(header[0].ends_with(&format!("|ORU^R01|{id}|P|2.1")), "{sent:?}");
        assert_eq!(header[1], "PID|1||77||Muster");
        assert!(
            header[2].starts_with("OBR|1|") && !sent.contains("PV1") && !sent.contains("NTE"),
            "{sent:?}"
        );
    }
}

#[test]
fn blood_tells_where_it_is_from() {
    let site = Site::new().with_tables().start();
    for (id, (specimen, side)) in
        [("BLDA", "A"), ("blda^x", "A"), ("BLDV&VENOUS", "V"), ("BLDC", ""), ("", "")].iter().enumerate()
    {
        let text =
            told(&site.send(oru(id, specimen, &["NM|9984-6||37|cel", "NM|6298-4||4|mmol/l"]).as_bytes())).1;
        let sent = site.fsi.take().remove(0);
        let expected = match *side {
            "" => vec!["OBX|1|NM|6298-4||4.0|mmol/l".to_owned()],
            side => vec![
                format!("OBX|1|NM|BGATEMP{side}||37.0|cel"),
                "OBX|2|NM|6298-4||4.0|mmol/l".to_owned(),
                format!("OBX|3|ST|BGATYP{side}||unbek."),
            ],
        };
        assert_eq!(observations(&sent), expected, "{specimen}: {text}");
    }
    let spm = oru(9, "", &["NM|9984-6||37|cel"]) + "SPM|1|||ART\r";
    site.send(spm.as_bytes());
    assert!(site.fsi.take()[0].contains("BGATEMPA"));
}

/// A code of another system is found by the LOINC table; a number of LOINC+ is never taken for LOINC's own.
#[test]
fn codes_of_other_systems_are_found_in_the_loinc_table() {
    let site = Site::new().with_tables();
    let row = |number: &str, astm: &str| {
        let mut columns = [""; 25];
        (columns[0], columns[1], columns[11]) = (number, "X", astm);
        columns.map(|column| format!("\"{column}\"")).join("\t") + "\n"
    };
    let own = row("6298-4", "K1") + &row("2947-0", "NAX") + &row("2069-3", "NAX") + &row("9984-6", "OTHER");
    let own = site.dir.write("own.tab", own);
    let manager = protogen_testkit::TestCommand::new(env!("CARGO_BIN_EXE_loincmgr"));
    let manager = manager.env("PG_CODELIB", site.dir.join("lib/codes")).arg("-c").arg(own);
    let extensions = crate::support::top().join("etc/LOINC+.tab");
    manager.arg("--extensions").arg(extensions).run().success();
    let site = site.start();
    for (id, (code, expected)) in [
        ("K1^POTASSIUM^AS4", Ok("6298-4")),
        ("K1^POTASSIUM^L", Err("no row in LabEventInfo")),
        ("NAX^SODIUM^AS4", Err("it stands for several rows")),
        ("9984^BODY TEMPERATURE^L", Ok("BGATEMPA")),
        ("9984-6", Ok("BGATEMPA")),
        ("9984-6^BODY TEMPERATURE^LOINC+", Ok("BGATEMPA")),
        ("9984-6^SOMETHING ELSE^LN", Err("no row in LabEventInfo")),
        ("6298-4^POTASSIUM^LN", Ok("6298-4")),
    ]
    .into_iter()
    .enumerate()
    {
        let unit = if code.starts_with('9') { "37|cel" } else { "4|mmol/l" };
        let observed = [&format!("NM|{code}||{unit}"), "NM|2339-0||5|mmol/l"];
        let text = told(&site.send(oru(id, "BLDA", &observed).as_bytes())).1;
        let sent = site.fsi.take().remove(0);
        let key = observations(&sent)[0].split('|').nth(3).unwrap();
        assert_eq!(key, expected.unwrap_or("2339-0"), "{code}: {text}");
        assert!(text.contains(expected.err().unwrap_or_default()), "{code}: {text}");
    }
}

#[test]
fn an_oru_of_several_orders_is_taken_apart() {
    let site = Site::new().with_tables().start();
    let two = oru(1, "", &["NM|6298-4||4|mmol/l"]) + "OBR|2\rOBX|1|NM|2947-0||140|mmol/l\r";
    assert_eq!(
        told(&site.send(two.as_bytes())),
        ("AA".into(), "part 1: 1 result forwarded; part 2: 1 result forwarded".into())
    );
    let sent = site.fsi.take();
    assert!(sent[0].contains("|ORU^R01|1.1|") && sent[1].contains("|ORU^R01|1.2|"), "{sent:?}");
    assert!(sent[1].contains("\rPID|1||77||Muster\rOBR|2\rOBX|1|NM|2947-0||140|mmol/l\r"), "{sent:?}");
    assert_eq!(site.journal("FWD").len(), 2);
    let bad = two.replace("|R01|1|", "|R01|2|").replace("2947-0", "XXXX");
    let (code, text) = told(&site.send(bad.as_bytes()));
    assert_eq!(code, "AE");
    assert!(text.contains("part 1: 1 result forwarded; part 2: no result is left; left out: XXXX"), "{text}");
    assert_eq!(site.fsi.take().len(), 1);
    // An id that has no room for the suffix is one of the gateway's own.
    let long = two.replace("^R01|1|", "^R01|0123456789012345678|");
    let answer = site.send(long.as_bytes());
    assert!(answer.contains("|AA|0123456789012345678|"), "{answer:?}");
    assert!(site.fsi.take().iter().all(|one| one.contains("|CVG")));
}

/// An order without results, as one that is only placed, does not spoil the others.
#[test]
fn an_order_without_results_is_passed_over() {
    let site = Site::new().with_tables().start();
    let one = oru(1, "", &["NM|6298-4||4|mmol/l"]).replace("OBR|1", "OBR|0\rOBR|1") + "OBR|2\r";
    assert_eq!(told(&site.send(one.as_bytes())), ("AA".into(), "1 result forwarded".into()));
    let sent = site.fsi.take();
    assert!(sent.len() == 1 && sent[0].contains("|ORU^R01|1|") && !sent[0].contains("OBR|0"), "{sent:?}");
    assert_eq!(told(&site.send(oru(2, "", &[]).as_bytes())), ("AE".into(), "no OBX".into()));
}

/// Two patients, each with an order, a specimen and results of the own.
#[test]
fn an_oru_of_two_patients_is_taken_apart_by_patient() {
    let site = Site::new().with_tables().start();
    let group = |n: usize, visit: &str, specimen: &str| {
        format!(
            "PID|{n}||P{n}||Name{n}\rPV1|{n}|I|IOP^601^{n}||||||||||||||||{visit}\rOBR|{n}\rSPM|1|||{specimen}\r\
             OBX|1|NM|9984-6||37|cel\r"
        )
    };
    let header = |id: usize| format!("MSH|^~\\&|LAB|HOSP|CVGATEWAY|060_IOP|||ORU^R01|{id}|P|2.5\r");
    let both = header(1) + &group(1, "77", "BLDA") + &group(2, "88", "BLDV");
    let said = "part 1: 1 result forwarded; part 2: 1 result forwarded";
    assert_eq!(told(&site.send(both.as_bytes())), ("AA".into(), said.into()));
    let sent = site.fsi.take();
    for (n, (visit, side)) in [("77", "A"), ("88", "V")].iter().enumerate() {
        let segments: Vec<&str> = sent[n].split('\r').skip(1).collect();
        let expected = [
            format!("PID|{0}||{visit}||Name{0}", n + 1),
            format!("OBR|{}", n + 1),
            format!("OBX|1|NM|BGATEMP{side}||37.0|cel"),
            format!("OBX|2|ST|BGATYP{side}||unbek."),
            String::new(),
        ];
        assert_eq!(segments, expected);
    }
    let without = header(2) + &group(1, "77", "BLDA") + &group(2, "", "BLDV");
    let (code, text) = told(&site.send(without.as_bytes()));
    assert_eq!((code.as_str(), text.as_str()), ("AE", "no patient id: PV1-19 is empty or blank"));
    assert!(site.fsi.take().is_empty());
}

/// The texts are found whatever the case of their sources; what the sender says himself is not said twice.
#[test]
fn the_specimen_is_told_once_and_in_any_case() {
    let site = Site::new().with_tables();
    site.dir.write("etc/cvgateway.toml", "[blood-specimen]\nunknown = \"unbek.\"\nbldA = \"art.\"\n");
    let site = site.start();
    site.send(oru(1, "blda", &["NM|6298-4||4|mmol/l"]).as_bytes());
    assert_eq!(observations(&site.fsi.take()[0])[1], "OBX|2|ST|BGATYPA||art.");
    site.send(oru(2, "BLDV", &["NM|6298-4||4|mmol/l"]).as_bytes());
    assert_eq!(observations(&site.fsi.take()[0])[1], "OBX|2|ST|BGATYPV||unbek.");
    let (_, text) = told(&site.send(oru(3, "BLDA", &["NM|6298-4||4|mmol/l", "ST|BGATYPA||own"]).as_bytes()));
    let sent = site.fsi.take().remove(0);
    assert_eq!(observations(&sent), ["OBX|1|NM|6298-4||4.0|mmol/l", "OBX|2|ST|BGATYPA||own"]);
    assert_eq!(text, "2 results forwarded");
}

/// An ORC goes with the OBR behind it, and what stands behind the results of an order is not put before them.
#[test]
fn kept_segments_of_an_oru_stay_in_their_order() {
    let site = Site::new().with_tables();
    site.dir.write("etc/cvgateway.toml", "[keep]\nORU = [\"PID\", \"PD1\", \"ORC\", \"OBR\"]\n");
    let site = site.start();
    let results = |n: usize| format!("ORC|{n}\rOBR|{n}\rOBX|1|NM|6298-4||{n}|mmol/l\rPD1|{n}\r");
    let message =
        oru(1, "", &[]).split("OBR").next().unwrap().to_owned() + "PD1|0\r" + &results(1) + &results(2);
    assert_eq!(told(&site.send(message.as_bytes())).0, "AA");
    let sent = site.fsi.take();
    for (n, sent) in (1..=2).zip(&sent) {
        let body = sent.split_once('\r').unwrap().1;
        let obx = format!("OBX|1|NM|6298-4||{n}.0|mmol/l");
        assert_eq!(body, format!("PID|1||77||Muster\rPD1|0\rORC|{n}\rOBR|{n}\r{obx}\r"));
    }
    assert_eq!(sent.len(), 2);
}

#[test]
fn what_cannot_be_taken_is_told() {
    let site = Site::new().with_tables().start();
    let withdrawn = oru(1, "", &["NM|2339-0||5|mmol/l", "NM|6298-4||4|mmol/l|||||W"]);
    let (code, text) = told(&site.send(withdrawn.as_bytes()));
    assert_eq!(code, "AE");
    assert!(text.contains("6298-4 is withdrawn"), "{text}");
    let (code, text) =
        told(&site.send(oru(2, "", &["NM|6298-4||4|mmol/l"]).replace("|77\r", "|\r").as_bytes()));
    assert_eq!((code.as_str(), text.as_str()), ("AE", "no patient id: PV1-19 is empty or blank"));
    assert_eq!(told(&site.send(oru(3, "", &[]).as_bytes())).0, "AE");
    assert!(site.fsi.take().is_empty());
    site.fsi.answers(Manner::Close);
    let (code, text) = told(&site.send(oru(4, "", &["NM|6298-4||4|mmol/l"]).as_bytes()));
    assert_eq!((code.as_str(), text.as_str()), ("AR", "CareVue unreachable"));
}

#[test]
fn admit_observations_go_to_idb_direct_and_never_to_cli() {
    let site = Site::new().with_tables().start();
    site.census(&[2]);
    let rows = ["NM|3138-5||1.82|m", "NM|3142-7||75|kg", "NM|3140-1||1.955|m2"];
    assert_eq!(
        told(&site.send(oru(1, "", &rows).as_bytes())),
        ("AA".into(), "3 admit observations written".into())
    );
    assert!(site.fsi.take().is_empty());
    assert_eq!(site.asked(), ["-e 8 -r 77 -l 601-1 -c -H 182.0 -S 1.96 -W 75.00"]);
    // 301 cm are above 300 cm.
    let (code, text) = told(&site.send(oru(2, "", &["NM|3138-5||3.01|m"]).as_bytes()));
    assert_eq!(code, "AE");
    assert!(text.contains("outside of 0.5 to 300"), "{text}");
    site.census(&[0]);
    let (code, text) = told(&site.send(oru(3, "", &rows).as_bytes()));
    assert_eq!((code.as_str(), text.as_str()), ("AE", "not written: the patient is not in the census"));
}

/// The unit and the bounds are told, for an AA alone would hide them; what else is left out is named and no more.
#[test]
fn a_mail_is_sent_for_the_unit_and_the_bounds_only() {
    let site = Site::new().with_tables();
    site.dir.script("sendmail", "cat >>\"$(dirname \"$0\")/mails\"\n");
    let site = site.start();
    for (id, (given, why)) in [
        ("<8|mmol/l", None),
        ("|mmol/l", None),
        ("4^5|mmol/l", None),
        ("4|mmol/l|||||X", None),
        ("4|", Some("it has no unit")),
        ("4|kg", Some("kg does not convert to mmol/l")),
        ("4|furlongs", Some("the unit \"furlongs\" is not known")),
        ("8.1|mmol/l", Some("its value is outside of 0 to 8 mmol/l")),
    ]
    .into_iter()
    .enumerate()
    {
        let given = format!("NM|6298-4||{given}");
        assert_eq!(told(&site.send(oru(id, "", &[&given]).as_bytes())).0, "AE", "{given}");
        let Some(why) = why else { continue };
        crate::support::wait_until(|| {
            site.dir.join("mails").exists()
                && site
                    .dir
                    .text("mails")
                    .contains(&format!("6298-4: {why}\nThe message is in the journal: {id} "))
        });
    }
    // They are sent one after the other, so that none is on its way any more.
    assert_eq!(site.dir.text("mails").matches("Subject: ").count(), 4, "{}", site.dir.text("mails"));
}

/// A temperature is sent under the row of its specimen, and in that row's unit.
#[test]
fn a_reference_range_in_another_unit_is_dropped_also_for_temperatures() {
    let site = Site::new().with_tables().start();
    for (id, (given, expected)) in
        [("98.6|degf|97-99", "37.0|cel"), ("37|cel|36-38", "37.0|cel|36-38")].iter().enumerate()
    {
        site.send(oru(id, "BLDA", &[&format!("NM|9984-6||{given}")]).as_bytes());
        let sent = site.fsi.take().remove(0);
        assert_eq!(observations(&sent)[0], format!("OBX|1|NM|BGATEMPA||{expected}"));
    }
}

/// A row of numbers without a unit, as of a pH or a ratio.
#[test]
fn a_row_without_a_unit_takes_plain_numbers_only() {
    let site = Site::new().with_tables();
    let table = site.dir.write("own.tab", "\"1-8\":\"X\":\"value1\":\"M\":\"\":\"\":0:0:0:0:0:0:10:0.01:2\n");
    let manager = protogen_testkit::TestCommand::new(env!("CARGO_BIN_EXE_labeventinfomgr"));
    manager.env("PG_CODELIB", site.dir.join("lib/codes")).arg("-c").arg(table).run().success();
    let site = site.start();
    for (id, (given, expected)) in [
        ("7.4||7.3-7.5", Ok("7.40||7.3-7.5")),
        ("7.4|1|7.3-7.5", Ok("7.40||7.3-7.5")),
        ("50|%|40-60", Ok("0.50")), // 50 / 100 = 0.5
        ("7.4|mmol/l|", Err("mmol/l does not convert to 1")),
        ("7.4|furlongs|", Err("is not known")),
    ]
    .into_iter()
    .enumerate()
    {
        let (code, text) = told(&site.send(oru(id, "", &[&format!("NM|1-8||{given}")]).as_bytes()));
        match expected {
            Ok(sent) => {
                assert_eq!(observations(&site.fsi.take()[0]), [format!("OBX|1|NM|1-8||{sent}")], "{text}");
            }
            Err(why) => assert!(code == "AE" && text.contains(why), "{given}: {text}"),
        }
    }
    assert!(site.fsi.take().is_empty());
}

#[test]
fn flags_follow_the_boundaries_unless_the_sender_set_one() {
    let site = Site::new().with_tables();
    let table =
        site.dir.write("own.tab", "\"1-8\":\"X\":\"value1\":\"M\":\"mmol/l\":\"\":0:0:2:3:5:6:100:0.1:1\n");
    let manager = protogen_testkit::TestCommand::new(env!("CARGO_BIN_EXE_labeventinfomgr"));
    manager.env("PG_CODELIB", site.dir.join("lib/codes")).arg("-c").arg(table).run().success();
    let site = site.start();
    for (id, (value, flag)) in
        [("1.9", "LL"), ("2", "L"), ("3", ""), ("5", ""), ("5.1", "H"), ("6", "H"), ("6.1", "HH")]
            .iter()
            .enumerate()
    {
        site.send(oru(id, "", &[&format!("NM|1-8||{value}|mmol/l")]).as_bytes());
        let sent = site.fsi.take().remove(0);
        let got = observations(&sent)[0].split('|').nth(8).unwrap_or_default().to_owned();
        assert_eq!(got, *flag, "{value}");
    }
    site.send(oru(99, "", &["NM|1-8||6.1|mmol/l|3-5|N"]).as_bytes());
    assert!(site.fsi.take()[0].contains("|3-5|N\r"));
}
