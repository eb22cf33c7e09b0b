//! Results: every row of LabEventInfo through the program, and how an ORU is taken apart.

use super::support::{Manner, Site, told};

/// An ORU of one order.
fn oru(id: usize, specimen: &str, observations: &[&str]) -> String {
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
fn observations(message: &str) -> Vec<&str> {
    message.split('\r').filter(|segment| segment.starts_with("OBX")).collect()
}

/// What an OBX becomes: in, out (`-` for left out), with why.
const ROWS: &[(&str, &str, &str)] = &[
    // 8.0 mmol/l x 16.113439 kg/mol = 128.907512 g/l = 12.8907512 g/dl, to 0.1: 12.9
    ("NM|9948-1||8.0|mmol/l", "NM|9948-1||12.9|g/dl", ""),
    ("NM|9947-3||12.9|g/dl", "NM|9947-3||12.9|g/dl", ""),
    // 18.6 mmol/l x 16.113439 = 299.7099654 g/l = 29.97099654 g/dl, below 30
    ("NM|9948-1||18.6|mmol/l", "NM|9948-1||30.0|g/dl", ""),
    // 18.62 mmol/l x 16.113439 = 300.03223418 g/l = 30.003223418 g/dl, above 30
    ("NM|9948-1||18.62|mmol/l", "-", "outside of 0 to 30 g/dl"),
    ("NM|9948-1||8.0|cel", "-", "cel does not convert to g/dl"),
    ("NM|9948-1||8.0|", "-", "it has no unit"),
    ("NM|9948-1||8.0|furlongs", "-", "is not known"),
    ("NM|9948-1||<8|g/dl", "-", "its value is no number"),
    ("NM|9948-1||8~9|g/dl", "-", "its value is no number"),
    ("NM|1234-5||8|g/dl", "-", "no row in LabEventInfo"),
    // 75 mm(hg) x 133.322 Pa (UCUM 133.322) = 9999.15 Pa = 9.99915 kPa, to 0.1: 10.0
    ("NM|2703-7||75|mm(hg)", "NM|2703-7||10.0|kPal", ""),
    ("NM|2704-5||40|kPal", "NM|2704-5||40.0|kPal", ""),
    ("NM|2704-5||40.01|kPal", "-", "outside of 0 to 40 kPal"),
    ("NM|2705-2||5.555|kPal", "NM|2705-2||5.56|kPal", ""),
    ("NM|2705-2||1.99|kPal", "-", "outside of 2 to 40 kPal"),
    ("NM|2714-4||97.25|%", "NM|2714-4||97.3|%", ""),
    ("NM|2715-1||-20|%", "NM|2715-1||-20.0|%", ""),
    // 156.4 mg/l / 39.0983 g/mol = 4.00017... mmol/l
    ("NM|6298-4||156.4|mg/l", "NM|6298-4||4.0|mmol/l", ""),
    // 310.831485 mg/l / 39.0983 g/mol = 7.95 mmol/l exactly, half away from zero: 8.0
    ("NM|6298-4||310.831485|mg/l", "NM|6298-4||8.0|mmol/l", ""),
    ("NM|6298-4||8.1|mmol/l", "-", "outside of 0 to 8 mmol/l"),
    // 3218.572 mg/l / 22.9898 g/mol = 140 mmol/l exactly
    ("NM|2947-0||3218.572|mg/l", "NM|2947-0||140|mmol/l", ""),
    ("NM|2947-0||139.5|mmol/l", "NM|2947-0||140|mmol/l", ""),
    // 100.195 mg/l / 40.078 g/mol = 2.5 mmol/l exactly
    ("NM|1994-3||100.195|mg/l", "NM|1994-3||2.5|mmol/l", ""),
    // 98.1911 mg/l / 40.078 g/mol = 2.45 mmol/l exactly: 2.5
    ("NM|1994-3||98.1911|mg/l", "NM|1994-3||2.5|mmol/l", ""),
    ("NM|1994-3||0.49|mmol/l", "-", "outside of 0.5 to 25 mmol/l"),
    ("NM|1994-3||2.5|meq/l", "-", "meq/l does not convert to mmol/l"),
    // 3545.27 mg/l / 35.4527 g/mol = 100 mmol/l exactly
    ("NM|2069-3||3545.27|mg/l", "NM|2069-3||100.0|mmol/l", ""),
    ("NM|2069-3||150.1|mmol/l", "-", "outside of 1 to 150 mmol/l"),
    // 90 mg/dl = 900 mg/l / 180.16 g/mol = 4.99556 mmol/l, to 0.1: 5.0
    ("NM|2339-0||90|mg/dl", "NM|2339-0||5.0|mmol/l", ""),
    // 891.792 mg/l / 180.16 g/mol = 4.95 mmol/l exactly: 5.0
    ("NM|2339-0||891.792|mg/l", "NM|2339-0||5.0|mmol/l", ""),
    ("ST|BGATYPA||art.|", "ST|BGATYPA||art.", ""),
    ("NM|9984-6||37|cel", "-", "neither arterial nor venous"),
    ("NM|BGATEMPA||37.04|cel", "NM|BGATEMPA||37.0|cel", ""),
    // (98.6 + 459.67) x 5/9 - 273.15 = 37 degrees Celsius
    ("NM|BGATEMPV||98.6|[degF]", "NM|BGATEMPV||37.0|cel", ""),
    ("NM|BGATEMPV||45.1|cel", "-", "outside of 25 to 45 cel"),
    ("NM|6298-4||4|mmol/l|||||I", "-", "its status is I"),
    ("NM|6298-4||4|mmol/l|||||X", "-", "its status is X"),
    ("NM|6298-4||4|mmol/l|||||C", "NM|6298-4||4.0|mmol/l|||||C", ""),
];

#[test]
fn each_observation_in_carevues_code_and_unit() {
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

#[test]
fn an_oru_of_several_orders_is_taken_apart() {
    let site = Site::new().with_tables().start();
    let two = oru(1, "", &["NM|6298-4||4|mmol/l"]) + "OBR|2\rOBX|1|NM|2947-0||140|mmol/l\r";
    assert_eq!(
        told(&site.send(two.as_bytes())),
        ("AA".into(), "part 1: 1 results forwarded; part 2: 1 results forwarded".into())
    );
    let sent = site.fsi.take();
    assert!(sent[0].contains("|ORU^R01|1.1|") && sent[1].contains("|ORU^R01|1.2|"), "{sent:?}");
    assert!(sent[1].contains("\rPID|1||77||Muster\rOBR|2\rOBX|1|NM|2947-0||140|mmol/l\r"), "{sent:?}");
    assert_eq!(site.journal("FWD").len(), 2);
    let bad = two.replace("|R01|1|", "|R01|2|").replace("2947-0", "XXXX");
    let (code, text) = told(&site.send(bad.as_bytes()));
    assert_eq!(code, "AE");
    assert!(
        text.contains("part 1: 1 results forwarded; part 2: no result is left; left out: XXXX"),
        "{text}"
    );
    assert_eq!(site.fsi.take().len(), 1);
    // An id that has no room for the suffix is one of the gateway's own.
    let long = two.replace("^R01|1|", "^R01|0123456789012345678|");
    let answer = site.send(long.as_bytes());
    assert!(answer.contains("|AA|0123456789012345678|"), "{answer:?}");
    assert!(site.fsi.take().iter().all(|one| one.contains("|CVG")));
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
    assert_eq!((code.as_str(), text.as_str()), ("AE", "no patient id: PV1-19 is empty"));
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
