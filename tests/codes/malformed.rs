//! Every way a row can be malformed: its message, and the old table in force.

use super::{LABEVENTINFOMGR, LOINCMGR, UNITMGR, dump, manager, row};
use protogen_testkit::Dir;

/// Loads `bad` in every way and holds the message and the table against what is expected.
fn refused(program: &str, old: &str, bad: &[u8], told: &str) {
    let dir = Dir::new();
    dir.write("old.tab", old);
    manager(program, &dir).args(["-c", "old.tab"]).run().success();
    let before = dump(program, &dir);
    dir.write("bad.tab", bad);
    for how in ["-c", "-u", "-r", "-x"] {
        let output = manager(program, &dir).args([how, "bad.tab"]).run();
        output
            .code(2)
            .stdout_is("")
            .stderr_contains(told)
            .stderr_contains("in the input; the table is as it was\n");
        assert_eq!(dump(program, &dir), before, "{told}");
    }
    assert_eq!(
        dir.list(dir.path().join("codes").read_dir().unwrap().next().unwrap().unwrap().path()),
        ["1", "current"]
    );
}

#[test]
fn loinc_rows() {
    let good = row(&["5914-7", "GLUCOSE"]);
    let old = format!("{good}{}", row(&["9984", "BODY TEMPERATURE"]));
    let bad = |bad: &str| format!("{good}{bad}\n");
    for (text, told) in [
        (bad("\"1-8\"\t\"x\""), "bad.tab:2: 2 columns, expected 25 separated by TAB"),
        (bad(&(row(&["1-8"]).trim_end().to_owned() + "\t\"\"")), "bad.tab:2: 26 columns, expected 25"),
        (bad("\"1-8\"\t\"x"), "bad.tab:2: column 2: the quote (\") is not closed on this line"),
        (bad("\"1-8\"x\t\"x\""), "bad.tab:2: column 1: text after the closing quote"),
        (
            row(&["GLUCOSE"]),
            "bad.tab:1: column 1: \"GLUCOSE\", expected a LOINC number of up to 8 digits with its check digit, such as 5914-7",
        ),
        (row(&["123456789-1"]), "bad.tab:1: column 1: \"123456789-1\""),
        (row(&["5914-77"]), "bad.tab:1: column 1: \"5914-77\""),
        (row(&["05914-7"]), "bad.tab:1: column 1: \"05914-7\""),
        (row(&[""]), "bad.tab:1: column 1: \"\""),
        (bad(""), "bad.tab:2: an empty line; each line is a row"),
        (
            good.replace('\n', "\r\n"),
            "bad.tab:1: ends in CR LF, expected LF alone; tr -d '\\r' makes such a file",
        ),
        (good.replace("GLU", "G\rU"), "bad.tab:1: byte 12: CR within the line"),
        (good.replace("GLU", "G\0U"), "bad.tab:1: byte 12: NUL; a table holds text only"),
        (
            format!("\u{FEFF}{good}"),
            "bad.tab:1: begins with a byte order mark (EF BB BF); save the file as UTF-8 without one",
        ),
        (good.replace("GLU", &"x".repeat(70_000)), "bad.tab:1: the line is longer than 65536 bytes"),
    ] {
        refused(LOINCMGR, &old, text.as_bytes(), told);
    }
    let latin1 = [good.as_bytes(), b"\"1-8\"\t\"K\xFCrbis\"\n"].concat();
    refused(
        LOINCMGR,
        &old,
        &latin1,
        "bad.tab:2: byte 9: 0xFC is not UTF-8; if the file is Latin-1, iconv -f ISO-8859-1 -t UTF-8 makes it so",
    );
}

#[test]
fn a_key_twice_names_both_rows() {
    let dir = Dir::new();
    dir.write("old.tab", row(&["1-8", "old"]));
    manager(LOINCMGR, &dir).args(["-c", "old.tab"]).run().success();
    let before = dump(LOINCMGR, &dir);
    dir.write("a.tab", row(&["5914-7", "GLUCOSE"]) + &row(&["9984", "x"]));
    dir.write("b.tab", row(&["9984-6", "x"]));
    for how in ["-c", "-u"] {
        let output = manager(LOINCMGR, &dir).args([how, "a.tab", "b.tab"]).run();
        output.code(2).stderr_contains("b.tab:1: 9984-6: the same key as at a.tab:2; a key stands once");
        assert_eq!(dump(LOINCMGR, &dir), before);
    }
}

#[test]
fn all_errors_of_all_files_are_told_up_to_a_number() {
    let dir = Dir::new();
    dir.write("a.tab", "x\n".repeat(15));
    dir.write("b.tab", "y\n".repeat(15));
    let output = manager(LOINCMGR, &dir).args(["-c", "a.tab", "b.tab", "--log", "run.log"]).run();
    output
        .code(2)
        .stderr_contains("b.tab:5: ")
        .stderr_contains("10 more errors not shown")
        .stderr_contains("30 errors in the input");
    assert_eq!(output.stderr().lines().count(), 22, "{output}");
    assert!(dir.text("run.log").contains("b.tab:15: 1 columns"));
}

#[test]
fn a_wrong_check_digit_is_a_warning() {
    let dir = Dir::new();
    dir.write("a.tab", row(&["5914-8", "GLUCOSE"]));
    let output = manager(LOINCMGR, &dir).args(["-c", "a.tab"]).run();
    output.success().stderr_contains(
        "a.tab:1: warning: 5914-8: the check digit is wrong, by the rule it is 7; kept as it is",
    );
    assert!(dump(LOINCMGR, &dir).starts_with("\"5914-8\""));
}

#[test]
fn a_last_line_without_its_end_is_read() {
    let dir = Dir::new();
    dir.write("a.tab", row(&["5914-7", "GLUCOSE"]).trim_end());
    manager(LOINCMGR, &dir).args(["-c", "a.tab"]).run().success().stderr_contains("1 added");
}

#[test]
fn lab_event_info_rows() {
    let good = "\"2947-0\":\"Na\":\"value1\":\"NaMsmt\":\"mmol/l\":\"g/mol\":22.9898:0:0:0:0:0:500:1:0";
    let with = |from: &str, to: &str| format!("# comment\n\n{}\n", good.replace(from, to));
    for (text, told) in [
        (with(":1:0", ""), "bad.tab:3: 13 columns, expected 15 separated by colons"),
        (with(":1:0", ":1:0:7"), "bad.tab:3: 16 columns, expected 15"),
        (with("\"Na\"", "\"Na"), "bad.tab:3: column 2: text after the closing quote"),
        (with("\"2947-0\"", "\"\""), "bad.tab:3: column 1 (loinc_num): empty, expected an observation id"),
        (
            with("22.9898", "22,9898"),
            "bad.tab:3: column 7 (constValue): \"22,9898\", expected a number such as 0.5",
        ),
        (with("22.9898", "1e3"), "column 7 (constValue): \"1e3\""),
        (
            with("22.9898", "-1"),
            "bad.tab:3: columns 6 and 7 (constUnit, constValue): expected a unit with a number above 0, or neither",
        ),
        (with("22.9898", ""), "bad.tab:3: columns 6 and 7"),
        (with(":0:0:0:0:0:500", ":9:0:0:0:0:5"), "bad.tab:3: minVal is above maxVal"),
        (with(":0:0:0:0:0:500", ":0:9:0:0:5:500"), "bad.tab:3: lowAlert is above highAlert"),
        (with(":0:0:0:0:0:500", ":0:0:9:5:0:500"), "bad.tab:3: lowNormal is above highNormal"),
        (with(":1:0", ":-1:0"), "bad.tab:3: column 14 (increment): below 0"),
        (
            with(":1:0", ":1:10"),
            "bad.tab:3: column 15 (precision): \"10\", expected the number of decimals, 0 to 9",
        ),
        (with("\"Na\"", "\"N\0\""), "bad.tab:3: byte 12: NUL"),
        (with("\"Na\"", "\"N\u{1}\""), "bad.tab:3: column 2 (labEventClass): a control character"),
        (with("500:1:0", "500:1:0\r"), "bad.tab:3: ends in CR LF"),
        (format!("\u{FEFF}{good}\n"), "bad.tab:1: begins with a byte order mark"),
    ] {
        refused(LABEVENTINFOMGR, "\"X\":::::::::::0:0:0:0\n", text.as_bytes(), told);
    }
    let undefined = [b"\"N".as_slice(), b"\xFF", b"\"::::::::::::::\n"].concat();
    refused(
        LABEVENTINFOMGR,
        "\"X\":::::::::::0:0:0:0\n",
        &undefined,
        "bad.tab:1: a byte that is no character of hp-roman8",
    );
    let dir = Dir::new();
    dir.write("a.tab", format!("{good}\n# again\n{good}\n"));
    let output = manager(LABEVENTINFOMGR, &dir).args(["-c", "a.tab"]).run();
    output.code(2).stderr_contains("a.tab:3: 2947-0: the same key as at a.tab:1; a key stands once");
}

#[test]
fn units_rows() {
    for (text, told) in [
        ("# c\ncel\tCel\n", "bad.tab:2: 2 columns, expected 3 separated by TAB: code, UCUM expression, name"),
        ("cel\tCel\tx\ty\n", "bad.tab:1: 4 columns, expected 3"),
        ("\tCel\tx\n", "bad.tab:1: column 1: \"\", expected a unit's code without blanks and # before it"),
        (
            "deg c\tCel\tx\n",
            "bad.tab:1: column 1: \"deg c\", expected a unit's code without blanks and # before it",
        ),
        (" #c\tCel\tx\n", "bad.tab:1: column 1: \"#c\""), // -D would print a comment
        ("cel\tfrob\tx\n", "bad.tab:1: column 2: \"frob\" is no UCUM expression"),
        ("cel\tg/\tx\n", "bad.tab:1: column 2: \"g/\" is no UCUM expression"),
        ("cel\t\tx\n", "bad.tab:1: column 2: \"\" is no UCUM expression"),
        ("cel\tCel\tx\r\n", "bad.tab:1: ends in CR LF"),
        ("cel\tCel\tx\0\n", "bad.tab:1: byte 10: NUL"),
        ("\u{FEFF}cel\tCel\tx\n", "bad.tab:1: begins with a byte order mark"),
    ] {
        refused(UNITMGR, "old\tm\tmetre\n", text.as_bytes(), told);
    }
    refused(UNITMGR, "old\tm\tmetre\n", b"\xB0C\tCel\tx\n", "bad.tab:1: byte 1: 0xB0 is not UTF-8");
    let dir = Dir::new();
    dir.write("a.tab", "cel\tCel\tx\nCEL\tCel\ty\n");
    let output = manager(UNITMGR, &dir).args(["-c", "a.tab"]).run();
    output.code(2).stderr_contains("a.tab:2: CEL: the same key as at a.tab:1; a key stands once");
}
