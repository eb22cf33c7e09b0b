use super::*;
use crate::census::Patient;

fn state() -> State {
    let patient = |recno: &str, bed: &str, hidden| Patient {
        recno: recno.into(),
        bed: bed.into(),
        name: "Noname".into(),
        hidden,
    };
    State {
        careunit: "060_IOP".into(),
        beds: vec!["601-1".into(), "601-2".into()],
        patients: vec![patient("1", "601-1", 0), patient("2", "", 0), patient("3", "601-2", 1)],
        ..State::default()
    }
}

#[test]
fn selects_print_a_header_and_rows() {
    let mut state = state();
    for (script, printed) in [
        ("SET ColumnMode;", ""),
        ("SELECT name FROM BedConfig WHERE name = \"601-1\";", "name\n601-1\n"),
        ("SELECT name FROM BedConfig WHERE name=\"x\";", "name\n"),
        ("SELECT medRecNum, bed FROM Patient;", "medRecNum\tbed\n1\t601-1\n2\t\n"),
        ("select medRecNum from Patient where bed = NULL;", "medRecNum\n2\n"),
        ("SELECT medRecNum FROM Patient WHERE bed != NULL;", "medRecNum\n1\n"),
        ("SELECT bed FROM Patient WHERE medRecNum = 1 AND bed = \"601-1\";", "bed\n601-1\n"),
        ("SELECT bed FROM Patient WHERE medRecNum = \"1\" AND bed = \"601-2\";", "bed\n"),
        (
            "SELECT objectId INTO OID FROM CISCareUnitCfg WHERE name=\"060_IOP\"; SELECT name FROM BedConfig WHERE careUnit = OID AND name = \"601-2\";",
            "name\n601-2\n",
        ),
    ] {
        assert_eq!(run(&mut state, script).unwrap(), printed, "{script}");
    }
}

#[test]
fn what_cannot_be_is_told_with_its_line_and_changes_nothing() {
    for (script, told) in [
        ("SELECT name FROM Beds;", "line 1: no such class"),
        ("SELECT nmae FROM BedConfig;", "line 1: no such attribute; BedConfig has name, careUnit"),
        ("SET ColumnMode;\nDROP TABLE Patient;", "line 2: SET, SELECT"),
        ("SELECT name FROM BedConfig WHERE name = \"601", "line 1: a string without its end"),
        ("SELECT name FROM BedConfig WHERE name = `id`;", "line 1: '`' has no meaning here"),
        ("SELECT name FROM BedConfig WHERE name = OID;", "OID was not selected INTO"),
        ("SELECT objectId INTO O FROM CISCareUnitCfg WHERE name=\"x\";", "found nothing"),
        ("INSERT INTO Patient (medRecNum) VALUES (\"9\");", "the patient manager's"),
        ("CLEAR FROM BedConfig WHERE name != NULL;", "configuration"),
        ("CLEAR FROM LabEventMap;", "WHERE expected"),
        ("INSERT INTO LabEventMap (labTestCode, mappedPtEvent) VALUES (\"1\");", "2 values expected"),
        ("INSERT INTO LabEventMap (labTestCode, mappedPtEvent) VALUES (\"1\", \"\");", "must name an event"),
        ("INSERT INTO AdmitObservation (medRecNum) VALUES (\"9\");", "does not know this patient"),
        ("INSERT INTO AdmitObservation (medRecNum) VALUES (\"3\");", "does not know this patient"),
        ("SELECT name FROM BedConfig", "; expected"),
    ] {
        let mut after = state();
        let error = format!("{:#}", run(&mut after, script).unwrap_err());
        assert!(error.contains(told), "{script}: {error}");
        assert_eq!(after.classes.values().flatten().count(), 0, "{script}");
    }
}

#[test]
fn entities_are_inserted_updated_and_cleared() {
    let mut state = state();
    let all = "SELECT medRecNum, ht, admitWt, BSA FROM AdmitObservation;";
    let insert = "INSERT INTO AdmitObservation (medRecNum, ht) VALUES (\"1\", NULL);";
    run(&mut state, insert).unwrap();
    assert!(run(&mut state, insert).unwrap_err().root_cause().to_string().contains("already"));
    let update = "UPDATE AdmitObservation SET ht = 182, admitWt = \"75\" WHERE medRecNum = \"1\";";
    let printed = run(&mut state, &format!("{update} {all}")).unwrap();
    assert_eq!(printed, "medRecNum\tht\tadmitWt\tBSA\n1\t182\t75\t\n");
    run(&mut state, "UPDATE AdmitObservation SET ht = NULL WHERE medRecNum = \"2\";").unwrap();
    assert!(run(&mut state, all).unwrap().contains("182"), "another patient's are not touched");
    run(&mut state, "CLEAR FROM AdmitObservation WHERE medRecNum = \"1\";").unwrap();
    assert_eq!(run(&mut state, all).unwrap(), "medRecNum\tht\tadmitWt\tBSA\n");
}
