//! What CareVue gets of an ADT message, byte by byte, and what follows an admission.

use super::support::{Manner, Site, told};

/// An admission with everything that ZDM takes, and more that is dropped.
const ADMISSION: &str = "MSH|^~\\&|ADM|HOSP|CVGATEWAY|060_IOP|202611241200||ADT^A01|C1|T|2.3||||||8859/1\r\
    EVN|A01|202611241200\r\
    PID|1|X|4711^5^M11||Muster^Eva^A||19500203|F|||Weg 1^^Ulm||0731-1\r\
    NK1|1|Muster^Otto|NK|Weg 1|1~2~3\rNK1|2|Dr. Arzt|FD|Platz|99\r\
    PV1|1|I|IOP^601^1|||IOP^602^2|||Dr. Chef|CHI|||||||||880011^2\r\
    AL1|1||P^Penicillin\rAL1|2||N^Nuesse\rDG1|1||I21|Infarkt\r\
    OBX|1|NM|3138-5||1.82|m\rOBX|2|NM|3142-7||75000|g\rZXX|1\r";

/// The segments of what CareVue got, without MSH-7.
fn segments(message: &str) -> Vec<String> {
    let mut all: Vec<String> = message.split('\r').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let mut header: Vec<&str> = all[0].split('|').collect();
    assert_eq!(header[6].len(), 14, "{}", all[0]);
    header[6] = "";
    all[0] = header.join("|");
    all
}

#[test]
fn an_admission_has_a_header_of_the_gateway_the_kept_segments_and_zdm() {
    let site = Site::new().with_tables().start();
    site.census(&[0, 7]);
    let latin: Vec<u8> =
        ADMISSION.replace("|C1|", "|C2|").replace("Eva", "Ev\u{e4}").chars().map(|c| c as u8).collect();
    let answer = site.send(&latin);
    assert_eq!(told(&answer), ("AA".into(), "admitted to 601-1".into()));
    assert!(answer.starts_with("MSH|^~\\&|CVGATEWAY|060_IOP|ADM|HOSP|"), "{answer:?}");
    let sent = site.fsi.take();
    // ä is E4 in ISO 8859-1 and CC in HP Roman-8. 1.82 m are 182 cm, rounded to 1.0 with one decimal; 75000 g are 75 kg,
    // with two.
    assert_eq!(
        segments(&sent[0]),
        [
            "MSH|^~\\&|CVGATEWAY|060_IOP|ADT|060_IOP|||ADT^A01|C2|T|2.1",
            "EVN|A01|202611241200",
            "PID|1|X|880011||Muster^Ev\u{cc}^A||19500203|F|||Weg 1^^Ulm||0731-1",
            "PV1|||IOP^601^1|||IOP^602^2|||||||||||||4711",
            "ZDM|Muster|Ev\u{cc}|4711|880011|F|19500203||Dr. Chef|Infarkt|Penicillin|Nuesse||Muster^Otto|1|2|3||182.0|75.00\
             |||Weg 1^^Ulm|0731-1|Dr. Arzt|99|CHI|I21",
        ]
    );
    let calls = site.asked();
    assert_eq!(calls[1], "-e 1 -r 880011 -l 601-1 -c -H 182.0 -W 75.00");
}

#[test]
fn a_site_may_use_patient_ids_and_other_beds() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "patient-id = \"patient\"\nbeds = [\"A?\"]\nbed-name = \"A{3}\"\n");
    let site = site.start();
    site.census(&[0, 7]);
    assert_eq!(told(&site.send(ADMISSION.as_bytes())).1, "admitted to A1");
    let sent = segments(&site.fsi.take()[0]);
    assert!(
        sent[2].starts_with("PID|1|X|4711||") && sent[4].starts_with("ZDM|Muster|Eva|880011|4711|"),
        "{sent:?}"
    );
    assert_eq!(site.asked()[0], "-e 1 -r 4711 -l A1");
    // PID-18 is the account number, where there is one.
    site.census(&[0, 7]);
    let with_account = ADMISSION.replace("0731-1\r", "0731-1|||||55^x\r").replace("|C1|", "|C2|");
    site.send(with_account.as_bytes());
    assert!(segments(&site.fsi.take()[0])[4].starts_with("ZDM|Muster|Eva|55|4711|"));
}

/// The admit observations of an update are written, those of another event are not looked at.
#[test]
fn an_update_writes_its_admit_observations() {
    let site = Site::new().with_tables().start();
    site.census(&[7]);
    assert_eq!(told(&site.send(ADMISSION.replace("A01", "A08").as_bytes())), ("AA".into(), "updated".into()));
    assert_eq!(site.asked()[1], "-e 8 -r 880011 -l 601-1 -c -H 182.0 -W 75.00");
    let sent = segments(&site.fsi.take()[0]);
    assert!(sent[4].contains("|182.0|75.00|"), "{sent:?}");
    site.census(&[7]);
    let discharge = ADMISSION.replace("A01", "A03").replace("|C1|", "|C3|");
    assert_eq!(told(&site.send(discharge.as_bytes())).1, "discharged");
    assert_eq!(site.asked().len(), 1);
    assert!(!site.fsi.take()[0].contains("|182.0|"));
}

#[test]
fn a_message_without_what_it_needs_is_ae() {
    let site = Site::new().start();
    for (from, to, said) in [
        ("880011^2", "", "no patient id: PV1-19 is empty"),
        ("880011^2", "\"\"", "no patient id: PV1-19 is empty"),
        ("880011^2", "   ^2", "no patient id: PV1-19 is empty or blank"),
        ("PID|1", "ZID|1", "expected 1 PID for A01, found 0"),
        ("ZXX|1", "PID|2||5\rPV1|||||||||||||||||||6", "expected 1 PID for A01, found 2"),
        ("8859/1", "KLINGON", "MSH-18 names the character set"),
    ] {
        let (code, text) = told(&site.send(ADMISSION.replace(from, to).as_bytes()));
        assert_eq!(code, "AE", "{text}");
        assert!(text.contains(said), "{text}");
    }
    assert!(site.fsi.take().is_empty() && site.asked().is_empty());
}

#[test]
fn only_a_true_answer_of_idb_direct_is_taken() {
    let site = Site::new().start();
    for (status, code, said) in [
        (128, "AE", "the census refuses: idb_direct: scripted failure"),
        (192, "AR", "the census cannot be asked: idb_direct: scripted failure"),
        (126, "AR", "the census cannot be asked: idb_direct: exit status: 126"),
        (255, "AR", "the census cannot be asked"),
        (4, "AR", "no meaning"),
        (8, "AR", "no meaning"),
        (64, "AR", "the census cannot be asked"),
    ] {
        site.census(&[status]);
        let (answer, text) = told(&site.send(ADMISSION.as_bytes()));
        assert_eq!((answer.as_str(), text.contains(said)), (code, true), "{status}: {text}");
    }
    site.dir.script("etc/idb_direct", "kill -9 $$\n");
    assert_eq!(told(&site.send(ADMISSION.as_bytes())).0, "AR");
    std::fs::remove_file(site.dir.join("etc/idb_direct")).unwrap();
    assert_eq!(
        told(&site.send(ADMISSION.as_bytes())),
        ("AR".into(), "the census cannot be asked: idb_direct does not run".into())
    );
    assert!(site.fsi.take().is_empty());
}

#[test]
fn a_commit_that_fails_is_aa_with_the_reason_and_a_mail() {
    let site = Site::new().start();
    site.dir.script("sendmail", "cd \"$(dirname \"$0\")\"; cat >mail.tmp; mv mail.tmp mail\n");
    site.census(&[0, 192]);
    let (code, text) = told(&site.send(ADMISSION.as_bytes()));
    assert_eq!(code, "AA");
    assert!(text.contains("idb_direct -c failed: idb_direct: scripted failure"), "{text}");
    let end = std::time::Instant::now() + protogen_testkit::TIMEOUT;
    while !site.dir.join("mail").exists() {
        assert!(std::time::Instant::now() < end, "no mail");
        std::thread::yield_now();
    }
    let mail = site.dir.text("mail");
    assert!(mail.contains("idb_direct -c failed for message C1") && !mail.contains("Muster"), "{mail}");
}

/// CareVue says AA where it should not: the census tells.
#[test]
fn an_admission_that_does_not_come_to_its_bed_is_told_and_mailed() {
    let site = Site::new();
    site.dir.script("sendmail", "cat >>\"$(dirname \"$0\")/mails\"\n");
    let site = site.start();
    for (n, status) in [2, 3].into_iter().enumerate() {
        site.census(&[0, status]);
        let message = ADMISSION.replace("|C1|", &format!("|C1{n}|"));
        let (code, text) = told(&site.send(message.as_bytes()));
        assert_eq!(
            (code.as_str(), text.as_str()),
            ("AA", "admitted to 601-1; but the patient is not in 601-1")
        );
        let subject = format!("the patient of message C1{n}");
        crate::support::wait_until(|| {
            site.dir.join("mails").exists() && site.dir.text("mails").contains(&subject)
        });
    }
    assert!(!site.dir.text("mails").contains("880011"));
    // Without the bed nothing is promised.
    site.census(&[1, 3]);
    let text = told(&site.send(ADMISSION.replace("|C1|", "|C2|").as_bytes())).1;
    assert_eq!(text, "admitted to the waiting list: bed 601-1 is taken");
}

#[test]
fn carevues_answer_decides() {
    let site = Site::new().start();
    for (n, (manner, code, said)) in [
        (Manner::Answer("CE", "no such bed"), "AE", "CareVue refuses: no such bed"),
        (Manner::Answer("CR", "busy"), "AR", "CareVue rejects: busy"),
        (Manner::Answer("AE", "no such bed"), "AE", "CareVue refuses: no such bed"),
        (Manner::Answer("AR", "busy"), "AR", "CareVue rejects: busy"),
        (Manner::Close, "AR", "CareVue unreachable"),
        (Manner::Bytes("junk"), "AR", "no HL7"),
        (Manner::Bytes("MSH|^~\\&|\rMSA|AA|other\r"), "AR", "for another message"),
        (Manner::Bytes("MSH|^~\\&|\rMSA|XX|\r"), "AR", "no acknowledgment"),
        // The last one: what was answered AA is not sent again.
        (Manner::Answer("CA", ""), "AA", "discharged"),
    ]
    .into_iter()
    .enumerate()
    {
        site.census(&[7]);
        site.fsi.answers(manner);
        let (answer, text) = told(&site.send(ADMISSION.replace("A01", "A03").as_bytes()));
        assert_eq!((answer.as_str(), text.contains(said)), (code, true), "{n}: {text}");
    }
}

/// What fits as it comes may not fit with ZDM, which has the address once more: to send it again is of no use.
#[test]
fn a_message_that_gets_too_long_is_ae_and_leaves_no_trace_of_a_forward() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[limit]\nmessage = 4096\n");
    let site = site.start();
    site.census(&[0]);
    let message = ADMISSION.replace("Weg 1^^Ulm", &"x".repeat(3000));
    let (code, text) = told(&site.send(message.as_bytes()));
    assert_eq!(code, "AE");
    assert_eq!(text, "CareVue's form of it cannot be sent: the message is longer than 4096 bytes");
    assert!(site.fsi.take().is_empty() && site.journal("FWD").is_empty());
    assert_eq!(site.asked().len(), 1);
}

/// An id of blanks is none, one between blanks is the id, and one that lost a character would be another patient's.
#[test]
fn ids_are_taken_without_blanks_and_never_with_a_lost_character() {
    let site = Site::new().start();
    site.census(&[0, 7]);
    let padded = ADMISSION.replace("880011^2", " 880011 ^2").replace("4711^5^M11", " 4711 ");
    assert_eq!(told(&site.send(padded.as_bytes())).0, "AA");
    let sent = segments(&site.fsi.take()[0]);
    assert!(sent[2].starts_with("PID|1|X|880011||") && sent[3].ends_with("|4711"), "{sent:?}");
    assert!(sent[4].starts_with("ZDM|Muster|Eva|4711|880011|"), "{sent:?}");
    assert_eq!(site.asked()[0], "-e 1 -r 880011 -l 601-1");
    site.census(&[0, 7]);
    let utf8 = ADMISSION.replace("8859/1", "UNICODE UTF-8");
    for (n, (from, to, field)) in
        [("880011^2", "88\u{20ac}11^2", "PV1-19"), ("4711^5", "47\u{20ac}1^5", "PID-3")].iter().enumerate()
    {
        let message = utf8.replace(from, to).replace("|C1|", &format!("|L{n}|"));
        let (code, text) = told(&site.send(message.as_bytes()));
        let said = format!("the id in {field} has a character that CareVue does not have");
        assert_eq!((code, text), ("AE".to_owned(), said));
    }
    assert!(site.fsi.take().is_empty() && site.asked().is_empty());
    // In a name it is a question mark, and a warning.
    assert_eq!(told(&site.send(utf8.replace("Eva", "Ev\u{20ac}").as_bytes())).0, "AA");
    assert!(site.fsi.take()[0].contains("Muster^Ev?"));
}

/// The only one of a swap who is known is discharged before the transfer is looked at: a swap admits nobody.
#[test]
fn a_swap_admits_nobody_whatever_happens_meanwhile() {
    let site = Site::new().start();
    site.census(&[0o02, 0, 0, 7]);
    let other = "PID|2||5\rPV1|2|I|IOP^602^2|||IOP^601^1|||||||||||||6\r";
    let swap = ADMISSION.replace("A01", "A17").replace("ZXX|1\r", other);
    let (code, text) = told(&site.send(swap.as_bytes()));
    assert_eq!(code, "AE", "{text}");
    assert!(
        text.ends_with("not transferred: the patient is unknown by now, and a swap admits nobody"),
        "{text}"
    );
    assert_eq!(site.asked().len(), 2);
    assert!(site.fsi.take().is_empty());
}

/// What is out of its bounds in an admission: an admit observation is left out and told, any other is not CareVue's.
#[test]
fn an_admit_observation_out_of_bounds_is_left_out_and_told() {
    let site = Site::new().with_tables();
    site.dir.script("sendmail", "cat >>\"$(dirname \"$0\")/mails\"\n");
    let mut site = site.start();
    site.census(&[0, 7]);
    let message = ADMISSION
        .replace("1.82|m", "3.01|m")
        .replace("ZXX|1", "OBX|3|NM|6298-4||44|mmol/l\rOBX|4|NM|2339-0||5|kg");
    let (code, text) = told(&site.send(message.as_bytes()));
    assert_eq!(code, "AA");
    assert_eq!(text, "admitted to 601-1; 3138-5 left out: its value is outside of 0.5 to 300.0 cm");
    let sent = segments(&site.fsi.take()[0]);
    let zdm: Vec<&str> = sent[4].split('|').collect();
    assert_eq!((zdm[18], zdm[19]), ("", "75.00"), "{}", sent[4]);
    assert_eq!(site.asked()[1], "-e 1 -r 880011 -l 601-1 -c -W 75.00");
    site.daemon().wait_for_stderr("no system message");
    crate::support::wait_until(|| {
        site.dir.join("mails").exists() && site.dir.text("mails").contains("3138-5")
    });
    let mails = site.dir.text("mails");
    assert!(!mails.contains("6298-4") && !mails.contains("2339-0"), "{mails}");
}

/// The census changes between two looks, so that the types would change for ever.
#[test]
fn a_type_changes_twice_at_most() {
    let site = Site::new().start();
    site.census(&[2, 0, 2, 0, 2, 0]);
    let (code, text) = told(&site.send(ADMISSION.as_bytes()));
    assert_eq!(code, "AR");
    assert!(text.ends_with("the census changes while it is looked at"), "{text}");
    assert_eq!(site.asked().len(), 3);
    assert!(site.fsi.take().is_empty());
}

#[test]
fn a_control_id_that_is_too_long_is_replaced_and_answered_as_it_was() {
    let site = Site::new().start();
    site.census(&[7]);
    let message = ADMISSION.replace("A01", "A03").replace("|C1|", "|0123456789-0123456789|");
    let answer = site.send(message.as_bytes());
    assert!(answer.contains("\rMSA|AA|0123456789-0123456789|discharged"), "{answer:?}");
    let sent = &site.fsi.take()[0];
    let id = sent.split('|').nth(9).unwrap();
    assert!(id.starts_with("CVG") && id.len() == 20, "{id}");
}
