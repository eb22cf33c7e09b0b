//! loincmgr(8): the manual's nodes LOINC.tab and loincmgr, and what goes beyond them.

use super::{LOINCMGR, dump, loincmgr, row, shipped};
use protogen_testkit::Dir;

/// The names of the manual, in its order, and those of LOINC today.
const NAMES: [(&str, &str); 25] = [
    ("LOINC_NUM", ""),
    ("MEASURE", "COMPONENT"),
    ("PROPERTY", ""),
    ("TIMING", "TIME_ASPCT"),
    ("SPECIMEN", "SYSTEM"),
    ("PRECISION", "SCALE_TYP"),
    ("METHOD", "METHOD_TYP"),
    ("RELAT_NMS", "RELATEDNAMES2"),
    ("CLASS", "mclass"),
    ("SOURCE", ""),
    ("EUCLIDE_CD", ""),
    ("ASTM_CD", ""),
    ("IUPAC_CD", ""),
    ("DT_LAST_CH", "VersionLastChanged"),
    ("COMMENTS", ""),
    ("ANSWERLIST", ""),
    ("STATUS", ""),
    ("SCOPE", ""),
    ("SNOMED_CD", ""),
    ("VA_CD", ""),
    ("METPATH_CODE", ""),
    ("HCFA_CODE", ""),
    ("NORM_RANGE", ""),
    ("UNITS", "EXAMPLE_UNITS"),
    ("MAP_TO", ""),
];
/// Those that the manual calls the key or indexed.
const INDEXED: [&str; 9] = [
    "LOINC_NUM",
    "MEASURE",
    "RELAT_NMS",
    "CLASS",
    "SOURCE",
    "EUCLIDE_CD",
    "ASTM_CD",
    "IUPAC_CD",
    "METPATH_CODE",
];

/// The four rows of the manual, compiled.
fn extensions() -> Dir {
    let dir = Dir::new();
    loincmgr(&dir).arg("-c").arg(shipped("LOINC+.tab")).run().success().stdout_is("");
    dir
}

fn numbers(dir: &Dir, arguments: &[&str]) -> String {
    let output = loincmgr(dir).args(arguments).args(["--field", "loinc_num"]).run();
    assert!(output.status.code().unwrap() < 2, "{output}");
    output.stdout().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_manuals_rows_are_shipped_and_found() {
    let dir = extensions();
    let oxygen = |number, specimen| {
        row(&[
            number,
            "OXYGEN^^SATURATION ADJUSTED TO 0.5",
            "PRES",
            "PT",
            specimen,
            "QN",
            "",
            "PO2(50);P50",
            "CHEM",
            "GUSW",
        ])
    };
    let temperature =
        row(&["9984-6", "BODY TEMPERATURE", "TEMP", "PT", "PAT", "QN", "MEASURED", "", "CLIN", "GUSW"]);
    let [venous, capillary, arterial] = [("9997-8", "BLDV"), ("9998-6", "BLDC"), ("9999-4", "BLDA")]
        .map(|(number, specimen)| oxygen(number, specimen));
    assert_eq!(
        dump(LOINCMGR, &dir),
        [&*temperature, &*venous, &*capillary, &*arterial].concat(),
        "sorted by number"
    );
    let file = std::fs::read_to_string(shipped("LOINC+.tab")).unwrap();
    assert_eq!(file.replace("\"9984\"", "\"9984-6\"").lines().next(), temperature.lines().next());

    let query = |clauses: &[&str]| loincmgr(&dir).arg("-q").args(clauses).run();
    query(&["LOINC_NUM", "==", "9984-6"]).success().stdout_is(&temperature);
    query(&["1", "==", "9984"]).success().stdout_is(&temperature);
    query(&["relat_nms", "==", "P50", "Specimen", "!=", "BLDV"])
        .success()
        .stdout_is([&*capillary, &*arterial].concat());
    query(&["8", "==", "PO2(50)", "5", "==", "BLDA"]).success().stdout_is(&arterial);
    query(&["CLASS", "==", "CHEM", "measure", "~", "ADJUSTED", "specimen", "^=", "BLDC"])
        .success()
        .stdout_is(&capillary);
    query(&["MEASURE", "==", "BODY"]).code(1).stdout_is("");
    query(&["MEASURE", "==", "body temperature"]).code(1).stdout_is("");
    query(&["loinc_num", "==", "9984-5"]).code(1).stdout_is("");
    query(&["loinc_num", "==", "x"]).code(1).stderr_contains("\"x\" is no LOINC_NUM");
}

#[test]
fn every_field_goes_by_its_names_and_its_number() {
    let dir = Dir::new();
    let values: Vec<String> = (1..=25).map(|number| format!("value {number}")).collect();
    let mut columns: Vec<&str> = values.iter().map(String::as_str).collect();
    columns[0] = "5914-7";
    dir.write("one.tab", row(&columns));
    loincmgr(&dir).args(["-c", "one.tab"]).run().success();
    for (number, (name, other)) in (1..).zip(NAMES) {
        let (number, value) = (number.to_string(), columns[number - 1]);
        for called in [name, &name.to_lowercase(), other, &number].into_iter().filter(|name| !name.is_empty())
        {
            let shown = loincmgr(&dir).args(["-D", "--field", called]).run();
            shown.success().stdout_is(format!("{value}\n"));
            let first = loincmgr(&dir).args(["-q", called, "==", value, "--field", "1"]).run();
            match INDEXED.contains(&name) {
                true => first.success().stdout_is("5914-7\n"),
                false => first.code(2).stderr_contains(&format!("{name} is not indexed; the first clause is on the key or an indexed field: LOINC_NUM, MEASURE, RELAT_NMS, CLASS, SOURCE, EUCLIDE_CD, ASTM_CD, IUPAC_CD, METPATH_CODE")),
            };
            for (operator, found) in [("==", true), ("!=", false), ("~", true), ("^=", true)] {
                let second = loincmgr(&dir).args(["-q", "1", "==", "5914-7", called, operator, value]).run();
                second.code(if found { 0 } else { 1 });
            }
        }
    }
}

#[test]
fn queries_that_cannot_be_looked_up_are_usage_errors() {
    let dir = extensions();
    for (clauses, told) in [
        (&["MEASURE", "!=", "x"][..], "its operator is == or ^="),
        (&["MEASURE", "~", "x"], "its operator is == or ^="),
        (&["MEASURE", "==", ""], "an empty value cannot be looked up"),
        (&["MEASURE", "=="], "2 words, expected FIELD OP VALUE"),
        (&["MEASURE", "=", "x"], "\"=\" is no operator, expected ==, !=, ~ or ^="),
        (&["MEASURE", "/root", "x"], "quote ~ for the shell"),
        (&["COLOUR", "==", "x"], "\"COLOUR\" is no field, expected 1 to 25 or one of LOINC_NUM, MEASURE,"),
        (&["26", "==", "x"], "\"26\" is no field"),
        (&["0", "==", "x"], "\"0\" is no field"),
    ] {
        for action in ["-q", "-d", "-D"] {
            loincmgr(&dir).arg(action).args(clauses).run().code(2).stdout_is("").stderr_contains(told);
        }
    }
    loincmgr(&dir)
        .args(["-D", "--field", "COLOUR"])
        .run()
        .code(2)
        .stderr_contains("--field: \"COLOUR\" is no field");
}

#[test]
fn a_start_of_a_key_or_an_alias_is_looked_up() {
    let dir = Dir::new();
    dir.write("L.tab", protogen_testkit::loinc::table(300));
    loincmgr(&dir).args(["-c", "L.tab"]).run().success();
    // In the order of the numbers, not of the text.
    assert_eq!(
        numbers(&dir, &["-q", "LOINC_NUM", "^=", "29"]),
        "29-9 290-7 291-5 292-3 293-1 294-9 295-6 296-4 297-2 298-0 299-8"
    );
    assert_eq!(numbers(&dir, &["-q", "RELAT_NMS", "^=", "ALIAS 30"]), "30-7 300-4");
    assert_eq!(numbers(&dir, &["-q", "RELAT_NMS", "==", "ALIAS 30"]), "30-7");
    assert_eq!(numbers(&dir, &["-q", "MEASURE", "==", "MEASURE 7"]).split(' ').count(), 20);
    assert_eq!(numbers(&dir, &["-D", "MEASURE", "==", "MEASURE 7"]).split(' ').count(), 20);
}

#[test]
fn a_dump_makes_the_same_table() {
    let dir = Dir::new();
    let odd = row(&["11-7", "a \"\"quoted\"\" name; 5' µ", "tab\there", "", " blanks "]);
    dir.write("L.tab", protogen_testkit::loinc::table(10) + &odd);
    loincmgr(&dir).args(["-c", "L.tab"]).arg("--extensions").arg(shipped("LOINC+.tab")).run().success();
    let first = dump(LOINCMGR, &dir);
    assert!(first.contains(odd.trim_end()) && first.contains("\"LOINC+:9984-6\""), "{first}");
    dir.write("again.tab", &first);
    let compiled = dir.read("codes/LOINC.db/1/table");
    // The manual's way around its missing -R.
    loincmgr(&dir).args(["-c", "again.tab"]).run().success();
    assert_eq!(dump(LOINCMGR, &dir), first);
    assert_eq!(dir.read("codes/LOINC.db/2/table"), compiled, "byte for byte");
    loincmgr(&dir).args(["-D", "--csv"]).run().success();
    let csv = loincmgr(&dir).args(["-D", "--csv"]).run().stdout;
    dir.write("again.csv", &csv);
    loincmgr(&dir).args(["-c", "again.csv"]).run().success();
    assert_eq!(dump(LOINCMGR, &dir), first, "the CSV form is read, too");
    loincmgr(&dir).args(["-c", "-"]).stdin(&first).run().success();
    assert_eq!(dump(LOINCMGR, &dir), first, "from standard input");
    loincmgr(&dir).arg("-R").run().success().stderr_is("loincmgr: reorganized; the table has 15 rows\n");
    assert_eq!(dir.read("codes/LOINC.db/5/table"), compiled);
}

#[test]
fn rows_are_added_replaced_and_taken_out() {
    let dir = extensions();
    let glucose = row(&["5914-7", "GLUCOSE", "SCNC"]);
    dir.write("new.tab", format!("{glucose}{}", std::fs::read_to_string(shipped("LOINC+.tab")).unwrap()));
    let added = loincmgr(&dir).args(["-u", "new.tab"]).run();
    added
        .success()
        .stderr_is("loincmgr: 5 read, 1 added, 0 replaced, 0 removed, 4 skipped; the table has 5 rows\n");
    assert!(dump(LOINCMGR, &dir).starts_with(&glucose));

    let other = row(&["5914-7", "GLUCOSE", "MCNC"]);
    dir.write("other.tab", &other);
    loincmgr(&dir).args(["-u", "other.tab"]).run().code(2).stderr_is(
        "loincmgr: other.tab:1: 5914-7: the table has another row under this key; -r replaces it\n\
         loincmgr: 1 error in the input; the table is as it was\n",
    );
    assert!(dump(LOINCMGR, &dir).starts_with(&glucose));
    let replaced = loincmgr(&dir).args(["-r", "other.tab"]).run();
    replaced
        .success()
        .stderr_is("loincmgr: 1 read, 0 added, 1 replaced, 0 removed, 0 skipped; the table has 5 rows\n");
    assert!(dump(LOINCMGR, &dir).starts_with(&other));
    loincmgr(&dir).args(["-r", "other.tab", "--quiet"]).run().success().stderr_is("");

    dir.write("unknown.tab", row(&["1-8", "x"]));
    loincmgr(&dir)
        .args(["-r", "unknown.tab"])
        .run()
        .code(2)
        .stderr_contains("unknown.tab:1: 1-8: not in the table, so there is nothing to replace; -u adds it");
    let excluded = loincmgr(&dir).args(["-x", "other.tab", "unknown.tab"]).run();
    excluded
        .success()
        .stderr_is("loincmgr: 2 read, 0 added, 0 replaced, 1 removed, 1 skipped; the table has 4 rows\n");
    assert!(!dump(LOINCMGR, &dir).contains("5914"));

    loincmgr(&dir)
        .args(["-d", "RELAT_NMS", "==", "P50", "SPECIMEN", "!=", "BLDA"])
        .run()
        .success()
        .stderr_contains("2 removed");
    assert_eq!(numbers(&dir, &["-D"]), "9984-6 9999-4");
    assert_eq!(numbers(&dir, &["-q", "RELAT_NMS", "==", "P50"]), "9999-4", "the index goes with the rows");
    loincmgr(&dir).args(["-d", "RELAT_NMS", "==", "nothing"]).run().code(1).stderr_contains("0 removed");
}

#[test]
fn todays_files_are_read_by_their_header() {
    let dir = Dir::new();
    let header = "\"LOINC_NUM\",\"COMPONENT\",\"PROPERTY\",\"TIME_ASPCT\",\"SYSTEM\",\"SCALE_TYP\",\"METHOD_TYP\",\"CLASS\",\
        \"VersionLastChanged\",\"CHNG_TYPE\",\"DefinitionDescription\",\"STATUS\",\"RELATEDNAMES2\",\"EXAMPLE_UNITS\",\"LONG_COMMON_NAME\"";
    let line = "\"2339-0\",\"Glucose\",\"MCnc\",\"Pt\",\"Bld\",\"Qn\",\"\",\"CHEM\",\"2.73\",\"MIN\",\"two\nlines, and \"\"quotes\"\"\",\
        \"ACTIVE\",\"Glu; Blood sugar; Gluc\",\"mg/dL\",\"Glucose [Mass/volume] in Blood\"";
    let second = line.replace("2339-0", "2947-0").replace("Glucose", "Sodium");
    // With a byte order mark and CR LF, as they are published.
    dir.write("Loinc.csv", format!("\u{FEFF}{header}\r\n{line}\r\n{second}\r\n"));
    let output = loincmgr(&dir).args(["-c", "Loinc.csv"]).run();
    output
        .success()
        .stderr_contains("Loinc.csv:1: warning: 3 of 15 columns have no field in the table and are dropped");
    output.stderr_contains("2 read, 2 added");
    let found =
        loincmgr(&dir).args(["-q", "RELATEDNAMES2", "==", "Blood sugar", "COMPONENT", "==", "Glucose"]).run();
    let values = [
        "2339-0",
        "Glucose",
        "MCnc",
        "Pt",
        "Bld",
        "Qn",
        "",
        "Glu; Blood sugar; Gluc",
        "CHEM",
        "",
        "",
        "",
        "",
        "2.73",
        "",
        "",
        "ACTIVE",
        "",
        "",
        "",
        "",
        "",
        "",
        "mg/dL",
    ];
    found.success().stdout_is(row(&values));

    let core = "LOINC_NUM,COMPONENT,PROPERTY,TIME_ASPCT,SYSTEM,SCALE_TYP,METHOD_TYP,CLASS,CLASSTYPE,LONG_COMMON_NAME,SHORTNAME,EXTERNAL_COPYRIGHT_NOTICE,STATUS,VersionFirstReleased,VersionLastChanged\n\
        2703-7,Oxygen,PPres,Pt,BldA,Qn,,CHEM,1,Oxygen in Arterial blood,pO2 BldA,,ACTIVE,1.0,2.34\n";
    dir.write("LoincTableCore.csv", core);
    loincmgr(&dir)
        .args(["-u", "LoincTableCore.csv"])
        .run()
        .success()
        .stderr_contains("5 of 15 columns")
        .stderr_contains("1 added");
    assert_eq!(numbers(&dir, &["-D", "LOINC_NUM", "==", "2703-7"]), "2703-7");

    for (text, told) in [
        (format!("{header}\n{line},x\n"), "L.csv:2: 16 columns, expected 15 as the header has"),
        (format!("{header}\n{line}\n{}\n", &line[..40]), "L.csv:4: "),
        (
            format!("{header}\n{line}\n{line}\n"),
            "L.csv:4: 2339-0: the same key as at L.csv:2; a key stands once",
        ),
        (
            format!("{header}\n{}\n", line.replace("2339-0", "LP2339")),
            "L.csv:2: column 1: \"LP2339\", expected a LOINC number",
        ),
        (
            format!("{header}\n{}\n", line.replace("MCnc", "M\0nc")),
            "L.csv:2: column 3: NUL; a table holds text only",
        ),
        (
            format!("{header},\"SYSTEM\"\n{line},\"\"\n"),
            "L.csv:1: column 16: SYSTEM stands for a field that another column has",
        ),
        (
            format!("{header}\n\"{}", "x,y\n".repeat(400_000)),
            "L.csv:2: the record is longer than 1048576 bytes: is a quote",
        ),
    ] {
        dir.write("L.csv", text);
        loincmgr(&dir).args(["-c", "L.csv"]).run().code(2).stderr_contains(told);
        assert_eq!(numbers(&dir, &["-D"]), "2339-0 2703-7 2947-0", "{told}");
    }
    dir.write(
        "L.csv",
        [
            header.as_bytes(),
            b"\n",
            &line
                .replace("Glucose", "Gl\u{1}cose")
                .into_bytes()
                .iter()
                .map(|b| if *b == 1 { 0xFC } else { *b })
                .collect::<Vec<_>>(),
        ]
        .concat(),
    );
    loincmgr(&dir).args(["-c", "L.csv"]).run().code(2).stderr_contains("L.csv:2: column 2: not UTF-8");
}

#[test]
fn extensions_stand_beside_a_table_that_has_their_numbers() {
    let dir = Dir::new();
    let issued = row(&["9984-6", "Anatomic part", "Prid"]);
    dir.write("L.tab", &issued);
    let both = loincmgr(&dir).args(["-c", "L.tab"]).arg(shipped("LOINC+.tab")).run();
    let plus = shipped("LOINC+.tab");
    let told = format!("{}:1: 9984-6: the same key as at L.tab:1; a key stands once", plus.display());
    both.code(2).stderr_contains(&told);
    loincmgr(&dir)
        .args(["-c", "L.tab"])
        .arg("--extensions")
        .arg(&plus)
        .run()
        .success()
        .stderr_contains("5 added");
    assert_eq!(numbers(&dir, &["-D"]), "9984-6 LOINC+:9984-6 LOINC+:9997-8 LOINC+:9998-6 LOINC+:9999-4");
    loincmgr(&dir).args(["-q", "LOINC_NUM", "==", "9984-6"]).run().success().stdout_is(&issued);
    assert_eq!(numbers(&dir, &["-q", "LOINC_NUM", "==", "LOINC+:9984-6"]), "LOINC+:9984-6");
    loincmgr(&dir).arg("-x").arg("--extensions").arg(&plus).run().success().stderr_contains("4 removed");
    assert_eq!(dump(LOINCMGR, &dir), issued);
    loincmgr(&dir).arg("-D").arg("--extensions").arg(&plus).run().code(2);
}

#[test]
fn rows_print_as_csv_json_and_single_fields() {
    let dir = Dir::new();
    dir.write("one.tab", row(&["5914-7", "a, \"\"b\"\"", "", "", "BLD"]));
    loincmgr(&dir).args(["-c", "one.tab"]).run().success();
    let csv = loincmgr(&dir).args(["-D", "--csv"]).run().success().stdout();
    let header: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(csv, format!("{}\n5914-7,\"a, \"\"b\"\"\",,,BLD{}\n", header.join(","), ",".repeat(20)));
    let json = loincmgr(&dir).args(["-q", "1", "==", "5914-7", "--json"]).run().success().stdout();
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (json.lines().count(), &object["MEASURE"], &object["MAP_TO"]),
        (1, &"a, \"b\"".into(), &"".into())
    );
    loincmgr(&dir).args(["-D", "--field", "MEASURE"]).run().success().stdout_is("a, \"b\"\n");
    // Nothing found: an empty table in each form, and status 1.
    loincmgr(&dir).args(["-q", "1", "==", "1-8", "--json"]).run().code(1).stdout_is("");
}

/// With `PG_SOAK`, a table of the size that LOINC has today.
#[test]
fn a_large_table_comes_back_whole() {
    let rows = if std::env::var_os("PG_SOAK").is_some() { 110_000 } else { 5000 };
    let dir = Dir::new();
    let text = protogen_testkit::loinc::table(rows);
    dir.write("L.tab", &text);
    let output = loincmgr(&dir).args(["-c", "L.tab"]).timeout(std::time::Duration::from_secs(600)).run();
    output.success().stderr_is(&format!(
        "loincmgr: {rows} read, {rows} added, 0 replaced, 0 removed, 0 skipped; the table has {rows} rows\n"
    ));
    assert!(dump(LOINCMGR, &dir) == text, "the dump is the table");
    for number in (1..=rows).step_by(rows as usize / 20) {
        let line = text.lines().nth(number as usize - 1).unwrap();
        let alias = format!("ALIAS {number}");
        loincmgr(&dir).args(["-q", "RELAT_NMS", "==", &alias]).run().success().stdout_is(format!("{line}\n"));
    }
    let measures = rows.div_ceil(protogen_testkit::loinc::ROWS_OF_A_MEASURE);
    let found = numbers(&dir, &["-q", "MEASURE", "==", &format!("MEASURE {}", measures - 1)]);
    assert_eq!(found.split(' ').count(), 20);
}
