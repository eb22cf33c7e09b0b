use super::*;
use crate::census::Patient;

fn state() -> State {
    let mut state = State {
        careunit: "060_IOP".into(),
        beds: ["601-1", "601-2", "604-7"].map(str::to_owned).to_vec(),
        ..State::default()
    };
    let patient = |recno: &str, bed: &str| Patient {
        recno: recno.into(),
        bed: bed.into(),
        name: "Alt".into(),
        hidden: 0,
    };
    state.admit(patient("1", "601-1")).unwrap();
    state.admit(patient("2", "601-2")).unwrap();
    state
}

/// An ADT message for one patient in the dialect of CareVue.
fn adt(event: &str, recno: &str, bed: &str) -> String {
    format!(
        "MSH|^~\\&|CVGATEWAY|060_IOP|ADT|060_IOP|19960102||ADT^{event}|1|P|2.1\r\
         PID|||{recno}\rPV1|||{bed}\rZDM|M\u{FFFD}ller|Eva|5|{recno}\r"
    )
}

fn given(state: &mut State, message: &str) -> Judgment {
    let bytes = roman8_bytes(message);
    carry_out(state, &Message::parse(&bytes).unwrap()).1
}

/// U+FFFD stands for ü.
fn roman8_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| if c == '\u{FFFD}' { 0xCF } else { c as u8 }).collect()
}

fn census(state: &State) -> Vec<String> {
    state.patients.iter().map(|one| format!("{}@{} {}", one.recno, one.bed, one.name)).collect()
}

#[test]
fn each_event_changes_the_census() {
    for (event, recno, bed, expected) in [
        ("A01", "3", "IOP^604^7", "1@601-1 Alt,2@601-2 Alt,3@604-7 Müller, Eva"),
        ("A01", "3", "604-7", "1@601-1 Alt,2@601-2 Alt,3@604-7 Müller, Eva"),
        ("A01", "3", "", "1@601-1 Alt,2@601-2 Alt,3@ Müller, Eva"),
        ("A02", "1", "IOP^604^7", "1@604-7 Alt,2@601-2 Alt"),
        ("A02", "1", "\"\"", "1@ Alt,2@601-2 Alt"),
        ("A12", "1", "IOP^604^7", "1@604-7 Alt,2@601-2 Alt"),
        ("A03", "1", "IOP^601^1", "2@601-2 Alt"),
        ("A11", "2", "IOP^601^2", "1@601-1 Alt"),
        ("A08", "1", "IOP^604^7", "1@601-1 Müller, Eva,2@601-2 Alt"),
    ] {
        let mut state = state();
        assert_eq!(given(&mut state, &adt(event, recno, bed)), Ok(()), "{event} {recno} {bed}");
        assert_eq!(census(&state).join(","), expected, "{event} {recno} {bed}");
    }
}

#[test]
fn what_leaves_the_census_as_it_was() {
    for (event, recno, bed, why) in [
        ("A01", "1", "IOP^604^7", "the patient is here already"),
        ("A01", "3", "IOP^601^1", "the bed is occupied"),
        ("A01", "3", "IOP^999^1", "unknown bed"),
        ("A02", "3", "IOP^604^7", "unknown patient"),
        ("A02", "1", "IOP^601^2", "the bed is occupied"),
        ("A03", "3", "", "unknown patient"),
        ("A08", "3", "", "unknown patient"),
        ("A13", "3", "", "no discharge to cancel"),
    ] {
        let mut state = state();
        let before = state.clone();
        assert_eq!(given(&mut state, &adt(event, recno, bed)), Err(Refusal::Unchanged(why)), "{event}");
        assert_eq!(state, before);
    }
}

#[test]
fn a_discharge_is_cancelled() {
    let mut state = state();
    given(&mut state, &adt("A03", "1", "IOP^601^1")).unwrap();
    given(&mut state, &adt("A13", "1", "IOP^604^7")).unwrap();
    assert_eq!(census(&state), ["2@601-2 Alt", "1@604-7 Alt"]);
}

#[test]
fn two_patients_swap_beds() {
    let swap = |first: &str, second: &str| {
        format!(
            "MSH|^~\\&|CVGATEWAY|060_IOP|ADT|060_IOP|19960102||ADT^A17|1|P|2.1\r\
             PID|||1\rPV1|||{first}\rPID|||2\rPV1|||{second}\rZDM|x\r"
        )
    };
    let mut swapped = state();
    given(&mut swapped, &swap("IOP^601^2", "IOP^601^1")).unwrap();
    assert_eq!(census(&swapped), ["1@601-2 Alt", "2@601-1 Alt"]);
    given(&mut swapped, &swap("IOP^604^7", "IOP^601^2")).unwrap();
    assert_eq!(census(&swapped), ["1@604-7 Alt", "2@601-2 Alt"]);
    let mut taken = state();
    taken.admit(Patient { recno: "9".into(), bed: "604-7".into(), ..Patient::default() }).unwrap();
    let outcome = given(&mut taken, &swap("IOP^604^7", "IOP^601^1"));
    assert_eq!(outcome, Err(Refusal::Unchanged("the bed is occupied")));
    assert_eq!(census(&taken), ["1@601-1 Alt", "2@601-2 Alt", "9@604-7 "]);
}

#[test]
fn the_dialect_is_insisted_on() {
    let good = adt("A08", "1", "");
    let oru = "MSH|^~\\&|CVGATEWAY|060_IOP|CLI|060_IOP|1996||ORU^R01|1|P|2.1\rPID|||1\rOBX|1|NM|9948-1||12.9|g/dl||L\r";
    for (message, refusal) in [
        (good.replace("\rZDM", "\rZZZ"), "Content(\"ZDM must be the last segment\")"),
        (format!("{good}OBX|1\r"), "Content(\"ZDM must be the last segment\")"),
        (good.replace("PID|||1", "PID|||"), "Content(\"PID-3 must be the record number\")"),
        (good.replace("PID|||1\r", ""), "Content(\"PID is missing\")"),
        (good.replace("|ADT|060_IOP|19", "|CLI|060_IOP|19"), "Address(\"CLI does not take \\\"ADT\\\"\")"),
        (good.replace("|ADT|060_IOP|19", "|LAB|060_IOP|19"), "Address(\"no such application"),
        (good.replace("|ADT|060_IOP|19", "|ADT|elsewhere|19"), "Address(\"no such facility\")"),
        (good.replace("|2.1", "|2.3"), "Address("),
        (good.replace("A08", "A40"), "Address(\"ADT does not take this event\")"),
        (oru.replace("\rOBX", "\rPV1||I\rOBX"), "Content(\"PV1 is not allowed in ORU\")"),
        (oru.replace("\rOBX", "\rPID|||2\rOBX"), "Content(\"ORU must be for one patient\")"),
        (oru.replace("PID|||1", "PID|||7"), "Unchanged(\"unknown patient\")"),
        (oru.replace("|CLI|", "|ADT|"), "Address("),
    ] {
        let mut state = state();
        let before = state.clone();
        let outcome = format!("{:?}", given(&mut state, &message).unwrap_err());
        assert!(outcome.starts_with(refusal), "{message:?}: {outcome}");
        assert_eq!(state, before);
    }
    let mut state = state();
    given(&mut state, oru).unwrap();
    let result = ["1", "9948-1", "12.9", "g/dl", "L"].map(str::to_owned);
    let [recno, code, value, unit, flag] = result;
    assert_eq!(state.results, [crate::state::LabResult { recno, code, value, unit, flag }]);
}

fn store(state: &State) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::init(&directory.path().join("state"), state).unwrap();
    (directory, store)
}

fn msa(reply: &Reply) -> String {
    match reply {
        Reply::Answer(answer, delay) => {
            let text = String::from_utf8_lossy(answer).into_owned();
            let msa = text.split("\rMSA|").nth(1).unwrap_or(&text).trim_end().to_owned();
            if delay.is_zero() { msa } else { format!("{msa} after {delay:?}") }
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn manners() {
    let late = adt("A01", "3", "IOP^604^7");
    let lie = adt("A01", "3", "IOP^601^1");
    for (manner, message, expected, admitted) in [
        (Manner::Real, &late, "AA|1", true),
        (Manner::Real, &lie, "AA|1", false),
        (Manner::Honest, &lie, "AE|1|the bed is occupied", false),
        (Manner::Ae, &late, "AE|1|told to refuse", false),
        (Manner::Ar, &late, "AR|1|told to reject", false),
        (Manner::Hang, &late, "Hang", false),
        (Manner::Close, &late, "Close", false),
        (Manner::Lose, &late, "Close", true),
        (Manner::Slow(1500), &late, "AA|1 after 1.5s", true),
        (Manner::Late(2), &late, "AA|1", true),
    ] {
        let (_directory, store) = store(&State { manner, ..state() });
        let (reply, _) = handle(&store, &roman8_bytes(message)).unwrap();
        assert_eq!(msa(&reply), expected, "{manner:?}");
        let after = store.read().unwrap();
        assert_eq!(after.patient("3").is_some(), admitted, "{manner:?}");
        assert_eq!(after.census().any(|one| one.recno == "3"), admitted && manner != Manner::Late(2));
    }
}

#[test]
fn a_manner_can_hold_for_some_messages() {
    let (_directory, store) = store(&State { manner: Manner::Ar, times: Some(2), ..state() });
    let replies = [(); 3].map(|()| msa(&handle(&store, &roman8_bytes(&adt("A08", "1", ""))).unwrap().0));
    assert_eq!(replies, ["AR|1|told to reject", "AR|1|told to reject", "AA|1"]);
}

#[test]
fn other_messages() {
    let (_directory, store) = store(&state());
    let reply = |bytes: &[u8]| msa(&handle(&store, bytes).unwrap().0);
    assert_eq!(reply(b"MSH|^~\\&|A|B|C|D|||NMD|7|P|2.1\rNCK|1996\r"), "AA|7");
    assert_eq!(reply(b"MSH|^~\\&|A|B|C|D|||ACK|7|P|2.1\rMSA|AA|6\r"), "Close");
    assert_eq!(reply(b"GET / HTTP/1.0\r\n"), "Close");
    assert!(reply(b"MSH").contains("AR"));
}
