//! What a profile may say, and how it is told what it may not.

use super::*;
use protogen_testkit::Dir;

#[test]
fn the_shipped_one_sets_every_key_and_a_site_changes_what_it_names() {
    let profile = parse("beds = [\"A?\"]\n[zdm]\n3 = \"PID-18\"\n[limit]\nrepeat-hours = 0\n").unwrap();
    assert!(profile.beds[0].matches("A1") && profile.beds.len() == 1);
    assert_eq!(profile.zdm.len(), 1);
    assert_eq!((profile.limit.repeat, profile.limit.results), (Duration::ZERO, 4));
    let shipped = parse("").unwrap();
    assert!(parse("patient-id = \"patient\"\npv1 = [3]\n").is_ok());
    assert_eq!(shipped.zdm.len(), 28);
    assert_eq!(shipped.kept("ADT", "A17"), [*b"EVN", *b"PID", *b"PV1"]);
    assert_eq!(shipped.kept("ORU", "R01"), [*b"PID", *b"OBR"]);
    assert_eq!(shipped.time.answer, Duration::from_secs(30));
}

#[test]
fn faults_are_named_with_line_and_key() {
    for (text, line, told) in [
        ("\npatient-id = \"name\"", 2, "patient-id: expected \"visit\" or \"patient\""),
        ("colour = 1", 1, "colour: is no key"),
        ("bed-name = \"601\"", 1, "bed-name: expected a text such as"),
        ("beds = []", 1, "beds: expected at least one"),
        ("beds = [\"60[\"]", 1, "beds: \"60[\": "),
        ("\n\nbeds = [\n\"a\",\n3]", 5, "beds: expected a text in quotes"),
        ("ignore = [\"ADT^A01\"]", 1, "ignore: \"ADT^A01\" is what the gateway is for"),
        ("ignore = [\"ADT\"]", 1, "cannot be ignored"),
        ("ignore = [\"ORU\"]", 1, "cannot be ignored"),
        ("ignore = [\"ADT^A31\",\n\"ORU^R01\"]", 2, "\"ORU^R01\" is what the gateway is for"),
        ("ignore = [\"NMD^N02\"]", 1, "\"NMD^N02\" is what the gateway is for"),
        ("ignore = [\"adt^a31\"]", 1, "expected a type and an event"),
        ("charset = \"utf-8\"", 1, "charset: expected"),
        ("pv1 = [0]", 1, "pv1: expected a whole number from 1 to 100"),
        ("pv1 = [6, 19]", 1, "pv1: 3, the location, must be sent on"),
        ("\npv1 = [3]", 2, "pv1: 19 must be sent on where"),
        ("[blood-specimen]\nBLDA = \"a\"", 1, "blood-specimen: expected unknown"),
        ("[blood-specimen]\nunknown = \"u\"\nBLDA = \"a\"\nblda = \"b\"", 4, "stands twice"),
        ("[keep]\nORU = [\"PID\", \"OBR\", \"PV1\"]", 2, "ORU: PV1 cannot be kept"),
        ("[keep]\nORU = [\"PID\", \"OBR\",\n\"NTE\"]", 3, "ORU: NTE cannot be kept in its place"),
        ("[keep]\nA01 = [\"PID\", \"PV1\"]", 2, "A01: EVN must be kept"),
        ("[keep]\nA05 = []", 2, "A05: expected ADT, ORU or an event"),
        ("[zdm]\n0 = \"PID-5\"", 2, "0: expected the number of a field"),
        ("[zdm]\n1 = \"PID\"", 2, "1: \"PID\": expected a field"),
        ("[time]\nanswer = 0", 2, "answer: expected a whole number from 1 to 3600"),
        ("[time]\nanswers = 1", 2, "answers: is no key of [time]"),
        ("[limit]\nresults = \"4\"", 2, "results: expected a whole number"),
        ("[blood-specimen]\nunknown = \"a\\nb\"", 2, "unknown: expected a text without control"),
        ("arterial = [\"X\"]\nvenous = [\"x\"]", 1, "both arterial and venous"),
        ("beds = [\"a\"]\nbeds = [\"b\"]", 2, "duplicate key"),
        ("\nbeds = ", 2, ""),
    ] {
        let ProfileError::Wrong { line: at, what, .. } = parse(text).unwrap_err() else { panic!() };
        assert_eq!(at, line, "{text}: {what}");
        assert!(what.contains(told), "{text}: {what}");
    }
}

#[test]
fn a_file_that_is_missing_or_no_text_is_named() {
    let dir = Dir::new();
    let error = read(&dir.join("none.toml")).unwrap_err().to_string();
    assert!(error.contains("none.toml: No such file"), "{error}");
    let path = dir.write("bad.toml", b"\n\nbeds = [\"\xE4\"]\n");
    assert!(read(&path).unwrap_err().to_string().ends_with("bad.toml:3: this is not UTF-8"));
    let path = dir.write("site.toml", "\ncolour = 1\n");
    assert!(
        read(&path).unwrap_err().to_string().ends_with("site.toml:2: colour: is no key of cvgateway.toml(5)")
    );
}
