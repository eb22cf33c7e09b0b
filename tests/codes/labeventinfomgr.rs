//! labeventinfomgr(8): the manual's nodes LabEventInfo.tab and LabEventInfoMgr.

use super::{LABEVENTINFOMGR, dump, manager, shipped};
use crate::support::data;
use protogen_testkit::{Dir, TestCommand};

fn labeventinfomgr(dir: &Dir) -> TestCommand {
    manager(LABEVENTINFOMGR, dir)
}

fn compiled() -> Dir {
    let dir = Dir::new();
    labeventinfomgr(&dir).arg("-c").arg(shipped("LabEventInfo.tab")).run().success().stderr_is(
        "labeventinfomgr: 20 read, 20 added, 0 replaced, 0 removed, 0 skipped; the table has 20 rows\n",
    );
    dir
}

/// The rows of a table file, as text: what is no comment.
fn rows(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with('"')).map(str::to_owned).collect()
}

#[test]
fn the_shipped_table_is_the_manuals_repaired() {
    let manual = std::fs::read(data("codes/manual-LabEventInfo.tab")).unwrap();
    let manual: String =
        manual.iter().map(|byte| if *byte == 0xCE { 'ö' } else { char::from(*byte) }).collect();
    let ours = std::fs::read_to_string(shipped("LabEventInfo.tab")).unwrap();
    let (manual, ours) = (rows(&manual), rows(&ours));
    assert_eq!((manual.len(), ours.len()), (20, 20));
    let mut repaired = Vec::new();
    for (theirs, ours) in manual.iter().zip(&ours) {
        assert_eq!(ours.matches(':').count(), 14, "{ours}");
        if theirs != ours {
            repaired.push(ours.split('"').nth(1).unwrap());
            // The same values in the same order, but for empty ones: nothing was made up.
            let values = |row: &str| -> Vec<String> {
                let columns = row.split(':').map(|column| column.trim_matches('"').to_owned());
                columns.filter(|column| !column.is_empty() && column != "0").collect()
            };
            assert_eq!(values(theirs), values(ours));
        }
    }
    assert_eq!(repaired, ["BGATYPA", "BGATYPV", "9984-6", "BGATEMPA", "BGATEMPV"]);
}

#[test]
fn the_manuals_own_rows_are_told_line_by_line_and_none_is_loaded() {
    let dir = compiled();
    let before = dump(LABEVENTINFOMGR, &dir);
    dir.write("manual.tab", std::fs::read(data("codes/manual-LabEventInfo.tab")).unwrap());
    let output = labeventinfomgr(&dir).args(["-c", "manual.tab"]).run();
    let extra = |line, columns| {
        format!(
            "labeventinfomgr: manual.tab:{line}: warning: {columns} columns, expected 15; the last ones are empty and left out\n"
        )
    };
    let short =
        |line| format!("labeventinfomgr: manual.tab:{line}: 14 columns, expected 15 separated by colons\n");
    let told = [extra(9, 16), extra(10, 16), extra(14, 17), short(15), short(16)].concat();
    output
        .code(2)
        .stderr_is(&format!("{told}labeventinfomgr: 2 errors in the input; the table is as it was\n"));
    assert_eq!(dump(LABEVENTINFOMGR, &dir), before);
}

/// The manual's example, in its spelling.
#[test]
fn the_manuals_commands() {
    let dir = Dir::new();
    std::fs::copy(shipped("LabEventInfo.tab"), dir.join("LabEventInfo.tab")).unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_LabEventInfoMgr")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = "LabEventInfoMgr -c LabEventInfo.tab\nLabEventInfoMgr -M > LabEventMap.idb\n";
    let script = dir.script("run", script);
    manager(script.to_str().unwrap(), &dir).env("PATH", path).run().success();
    let script = dir.read("LabEventMap.idb");
    let text: String =
        script.iter().map(|byte| if *byte == 0xCE { 'ö' } else { char::from(*byte) }).collect();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "SET ColumnMode;",
            "CLEAR FROM LabEventMap WHERE objectId != NULL;",
            "SELECT objectId INTO OID FROM CISCareUnitCfg WHERE name = \"060_IOP\";",
        ]
    );
    // 20 rows without the three admit observations and 9984-6.
    assert_eq!(lines.len(), 3 + 16);
    let insert = |values: &str| {
        format!(
            "INSERT INTO LabEventMap (careUnit, labTestCode, mappedPtEvent, property, msmt, unit) VALUES (OID, {values});"
        )
    };
    for values in [
        "\"9948-1\", \"t_Hb_CFG\", \"value1\", \"t_HbMsmt\", \"g/dl\"",
        "\"BGATYPV\", \"Ursprung_venö_CFG\", \"value1\", \"UrsprungVBGACode\", NULL",
        "\"BGATEMPA\", \"a__BGA_Temp_CFG\", \"value1\", NULL, \"cel\"",
    ] {
        assert!(lines.contains(&insert(values).as_str()), "{values}\n{text}");
    }
    for none in ["9984-6", "3138-5", "3142-7", "3140-1", "\"\""] {
        assert!(!text.contains(none), "{none}");
    }
}

#[test]
fn the_map_is_for_the_care_unit_that_is_named_and_quotes_safely() {
    let dir = compiled();
    labeventinfomgr(&dir)
        .args(["-M", "--careunit", "070_IOC"])
        .run()
        .success()
        .stdout_contains("WHERE name = \"070_IOC\";");
    let output = labeventinfomgr(&dir).args(["-M", "--careunit", "x\"; CLEAR FROM Patient; \""]).run();
    output
        .code(2)
        .stdout_is("")
        .stderr_contains("no script made: care unit \"x\\\"; CLEAR FROM Patient; \\\"\"")
        .stderr_contains("which idb cannot have within a string");
    for (class, told) in [("a\"\"b", "'\"'"), ("a\\b", "'\\\\'"), ("5 €", "'€' is no character of hp-roman8")]
    {
        dir.write(
            "bad.tab",
            format!("\"2947-0\":\"{class}\":\"value1\":\"NaMsmt\":\"mmol/l\":\"\":0:0:0:0:0:0:500:1:0\n"),
        );
        labeventinfomgr(&dir).args(["-c", "bad.tab"]).run().success();
        labeventinfomgr(&dir).arg("-M").run().code(2).stdout_is("").stderr_contains(told);
    }
}

#[test]
fn text_comes_back_in_the_bytes_it_came_in() {
    let dir = Dir::new();
    let row = |name: &[u8]| {
        [b"\"V\":\"Ursprung_ven".as_slice(), name, b"_CFG\":\"value1\":\"M\":\"\":\"\"::::::::0:0\n"].concat()
    };
    // The name in Roman-8 (0xCE), in Latin-1 (0xF6) and in UTF-8, and how to say which.
    for (name, charset) in
        [(b"\xCE".as_slice(), "hp-roman8"), (b"\xF6", "latin1"), ("ö".as_bytes(), "hp-roman8")]
    {
        dir.write("v.tab", row(name));
        labeventinfomgr(&dir).args(["-c", "v.tab", "--charset", charset]).run().success();
        labeventinfomgr(&dir).arg("-D").run().success().stdout_is(row(name));
        labeventinfomgr(&dir)
            .args(["-q", "labEventClass", "==", "Ursprung_venö_CFG"])
            .run()
            .success()
            .stdout_is(row(name));
        labeventinfomgr(&dir).args(["-D", "--field", "2"]).run().success().stdout_is("Ursprung_venö_CFG\n");
        // CareVue reads Roman-8 whatever the file was in.
        let script = labeventinfomgr(&dir).arg("-M").run();
        assert!(script.success().stdout.windows(4).any(|bytes| bytes == b"ven\xCE"), "{script}");
        let compiled =
            dir.read(format!("codes/LabEventInfo.db/{}/table", dir.list("codes/LabEventInfo.db")[0]));
        dir.write("again.tab", row(name));
        labeventinfomgr(&dir).args(["-c", "again.tab", "--charset", charset]).run().success();
        assert_eq!(
            dir.read(format!("codes/LabEventInfo.db/{}/table", dir.list("codes/LabEventInfo.db")[0])),
            compiled
        );
    }
    labeventinfomgr(&dir)
        .args(["-D", "--charset", "ebcdic"])
        .run()
        .code(2)
        .stderr_contains("hp-roman8, latin1");
}

#[test]
fn a_dump_makes_the_same_table_and_rows_change() {
    let dir = compiled();
    let first = dump(LABEVENTINFOMGR, &dir);
    let mut shipped_rows = rows(&std::fs::read_to_string(shipped("LabEventInfo.tab")).unwrap());
    shipped_rows.sort();
    assert_eq!(rows(&first), shipped_rows);
    let compiled = dir.read("codes/LabEventInfo.db/1/table");
    dir.write("again.tab", &first);
    labeventinfomgr(&dir).args(["-c", "again.tab"]).run().success();
    assert_eq!(dir.read("codes/LabEventInfo.db/2/table"), compiled, "byte for byte");

    let sodium = rows(&first).into_iter().find(|row| row.starts_with("\"2947-0\"")).unwrap();
    labeventinfomgr(&dir)
        .args(["-q", "loinc_num", "==", "2947-0"])
        .run()
        .success()
        .stdout_is(format!("{sodium}\n"));
    let other = sodium.replace(":500:", ":300:");
    dir.write("other.tab", format!("{other}\n"));
    labeventinfomgr(&dir).args(["-u", "other.tab"]).run().code(2).stderr_contains("-r replaces it");
    labeventinfomgr(&dir).args(["-r", "other.tab"]).run().success().stderr_contains("1 replaced");
    labeventinfomgr(&dir)
        .args(["-q", "msmt", "==", "NaMsmt", "maxval", "==", "300"])
        .run()
        .success()
        .stdout_is(format!("{other}\n"));
    labeventinfomgr(&dir).args(["-x", "other.tab"]).run().success().stderr_contains("1 removed");
    labeventinfomgr(&dir).args(["-q", "loinc_num", "==", "2947-0"]).run().code(1).stdout_is("");
    labeventinfomgr(&dir).args(["-u", "other.tab"]).run().success().stderr_contains("1 added");
    labeventinfomgr(&dir)
        .args(["-d", "unit", "==", "kPal", "increment", "==", "0.01"])
        .run()
        .success()
        .stderr_contains("1 removed");
    labeventinfomgr(&dir).arg("-R").run().success().stderr_contains("19 rows");
}

#[test]
fn units_that_nobody_knows_are_a_warning() {
    let dir = Dir::new();
    manager(super::UNITMGR, &dir).arg("-c").arg(shipped("units.tab")).run().success();
    let output = labeventinfomgr(&dir).arg("-c").arg(shipped("LabEventInfo.tab")).run();
    assert!(
        !output.success().stderr().contains("warning"),
        "every unit of the shipped table is known\n{output}"
    );
    dir.write(
        "odd.tab",
        "\"2947-0\":\"Na\":\"value1\":\"NaMsmt\":\"mmmol/l\":\"g/mole\":22.9898:0:0:0:0:0:500:1:0\n",
    );
    let output = labeventinfomgr(&dir).args(["-c", "odd.tab"]).run();
    for code in ["mmmol/l", "g/mole"] {
        output
            .success()
            .stderr_contains(&format!("labeventinfomgr: warning: 2947-0: {code:?} is no known unit: "));
    }
}
