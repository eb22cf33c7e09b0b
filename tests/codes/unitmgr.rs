//! unitmgr(8): the units table and --convert.

use super::{UNITMGR, dump, manager, shipped};
use protogen_testkit::{Dir, TestCommand};

fn unitmgr(dir: &Dir) -> TestCommand {
    manager(UNITMGR, dir)
}

fn compiled() -> Dir {
    let dir = Dir::new();
    unitmgr(&dir).arg("-c").arg(shipped("units.tab")).run().success();
    dir
}

#[test]
fn the_shipped_codes_are_found_in_any_case() {
    let dir = compiled();
    unitmgr(&dir).args(["-q", "CODE", "==", "KPAL"]).run().success().stdout_is("kPal\tkPa\tkilopascal\n");
    unitmgr(&dir)
        .args(["-q", "ucum", "==", "mm[Hg]", "code", "^=", "mm(", "--field", "1"])
        .run()
        .success()
        .stdout_is("mm(hg)\n");
    unitmgr(&dir).args(["-q", "code", "==", "nothing"]).run().code(1).stdout_is("");
    let first = dump(UNITMGR, &dir);
    let table = dir.read("codes/units.db/1/table");
    dir.write("again.tab", &first);
    unitmgr(&dir).args(["-c", "again.tab"]).run().success();
    assert_eq!(dir.read("codes/units.db/2/table"), table, "byte for byte");
    let shipped = std::fs::read_to_string(shipped("units.tab")).unwrap();
    let mut rows: Vec<&str> = shipped.lines().filter(|line| !line.starts_with('#')).collect();
    let mut dumped: Vec<&str> = first.lines().collect();
    rows.sort_unstable();
    dumped.sort_unstable();
    assert_eq!(rows, dumped);
    dir.write("mine.tab", "furlong\t[fur_us]\tfurlong\n");
    unitmgr(&dir).args(["-u", "mine.tab"]).run().success().stderr_contains("1 added");
    unitmgr(&dir).args(["--convert", "1", "FURLONG", "m"]).run().success().stdout_contains("201.16");
    dir.write("mine.tab", "furlong\t[fur_us]\teighth of a mile\n");
    unitmgr(&dir).args(["-r", "mine.tab"]).run().success().stderr_contains("1 replaced");
    unitmgr(&dir).args(["-x", "mine.tab"]).run().success().stderr_contains("1 removed");
    unitmgr(&dir).args(["-d", "UCUM", "==", "[CFU]"]).run().success().stderr_contains("1 removed");
    unitmgr(&dir).arg("-R").run().success();
}

#[test]
fn values_convert() {
    let dir = compiled();
    for (arguments, shown) in [
        // 8.0 mmol/l haemoglobin x 16.113439 kg/mol
        (&["8.0", "mmol/l", "g/dl", "--const", "16.113439", "kg/mol"][..], "12.8907512 g/dl"),
        (&["12.8907512", "g/dl", "mmol/l", "--const", "16.113439", "kg/mol"], "8 mmol/l"),
        (&["-20", "cel", "K"], "253.15 K"),
        (&["-40", "°C", "°F"], "-40 °F"),
        (&["40", "mm(hg)", "kPal"], "5.33288 kPal"),
        (&["40", "mmHg", "kPa"], "5.33288 kPa"),
        (&["0.04", "m(hg)", "mm(hg)"], "40 mm(hg)"),
        (&["90", "sec", "min"], "1.5 min"),
        (&["7.4", "pH", "nmol/l"], "39.8107170553 nmol/l"),
        (&["140", "MMOL/L", "mmol/l"], "140 mmol/l"),
        (&["5", "10*9/l", "/nl"], "5 /nl"),
        (&["250", "G/100ML", "g/l"], "2500 g/l"),
        (&["1", "ML", "l"], "0.001 l"),           // not a megalitre
        (&["1", "Mmol/l", "mmol/l"], "1 mmol/l"), // nor a megamole
        (&["2", "m3", "l"], "2000 l"),            // in no row: as UCUM
        (&["1.80", "m2", "m2"], "1.80 m2"),
    ] {
        unitmgr(&dir)
            .arg("--convert")
            .args(arguments)
            .run()
            .success()
            .stderr_is("")
            .stdout_is(format!("{shown}\n"));
    }
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    let dir = compiled();
    for (arguments, told) in [
        // 2.5 meq/l calcium is 1.25 mmol/l: the valence is not known.
        (
            &["2.5", "meq/l", "mmol/l"][..],
            "unitmgr: cannot convert meq/l (dimension L-3.eq) to mmol/l (dimension L-3.mol)\n",
        ),
        (
            &["2.5", "meq/l", "mmol/l", "--const", "40.078", "g/mol"],
            "cannot convert meq/l (dimension L-3.eq)",
        ),
        (
            &["2.5", "mmol/l", "/l"],
            "unitmgr: cannot convert mmol/l (dimension L-3.mol) to /l (dimension L-3)\n",
        ),
        (&["2.5", "mmol/l", "1/l"], "cannot convert mmol/l (dimension L-3.mol) to 1/l (dimension L-3)"),
        (
            &["8", "mmol/l", "g/dl"],
            "to g/dl (dimension L-3.M) without a constant, such as a molar mass in g/mol",
        ),
        (&["1", "kg", "m"], "cannot convert kg (dimension M) to m (dimension L)"),
        (&["1", "iu/l", "u/l"], "cannot convert iu/l (dimension L-3.[iU]) to u/l (dimension L-3.T-1.mol)"),
        (&["-300", "cel", "K"], "-300 cel is below absolute zero"),
        (
            &["1", "frob", "K"],
            "\"frob\" is no known unit: it is in no row of the units table, and no UCUM expression",
        ),
        (&["1e3", "g", "kg"], "\"1e3\" is no number, expected one such as 8.0 or -20"),
        (&["1", "g", "mol", "--const", "x", "g/mol"], "--const: \"x\" is no number"),
        (&["1", "g", "mol", "--const", "1", "frob"], "--const: \"frob\" is no known unit"),
        (&["1", "g", "mol", "--const", "0", "g/mol"], "a constant of 0 g/mol; it must be above 0"),
    ] {
        unitmgr(&dir).arg("--convert").args(arguments).run().code(2).stdout_is("").stderr_contains(told);
    }
    for wrong in
        [&["--convert", "1", "g"][..], &["--convert", "1", "g", "kg", "-D"], &["--const", "1", "g/mol", "-D"]]
    {
        unitmgr(&dir).args(wrong).run().code(2);
    }
    let empty = Dir::new();
    unitmgr(&empty).args(["--convert", "1", "g", "kg"]).run().code(2).stderr_contains("no such table");
}
