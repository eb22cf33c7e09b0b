//! The managers of the code tables, as an administrator uses them.

mod crash;
mod labeventinfomgr;
mod library;
mod loincmgr;
mod malformed;
mod unitmgr;

use crate::support::top;
use protogen_testkit::{Dir, TestCommand};
use std::path::PathBuf;

const LOINCMGR: &str = env!("CARGO_BIN_EXE_loincmgr");
const LABEVENTINFOMGR: &str = env!("CARGO_BIN_EXE_labeventinfomgr");
const UNITMGR: &str = env!("CARGO_BIN_EXE_unitmgr");

/// A manager in `dir`, with its tables in `dir/codes`.
fn manager(program: &str, dir: &Dir) -> TestCommand {
    TestCommand::new(program).in_dir(dir.path()).env("PG_CODELIB", dir.join("codes"))
}

fn loincmgr(dir: &Dir) -> TestCommand {
    manager(LOINCMGR, dir)
}

/// A file of `etc`.
fn shipped(name: &str) -> PathBuf {
    top().join("etc").join(name)
}

/// A LOINC row: the first columns, the rest empty.
fn row(columns: &[&str]) -> String {
    let all = columns.iter().copied().chain(std::iter::repeat("")).take(25);
    all.map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join("\t") + "\n"
}

/// Everything in a table, as `-D` prints it.
fn dump(program: &str, dir: &Dir) -> String {
    manager(program, dir).arg("-D").run().success().stdout()
}

#[test]
fn help_fits_a_screen_and_usage_errors_are_status_2() {
    let dir = Dir::new();
    for (program, name) in [
        (LOINCMGR, "loincmgr"),
        (LABEVENTINFOMGR, "labeventinfomgr"),
        (env!("CARGO_BIN_EXE_LabEventInfoMgr"), "labeventinfomgr"),
        (UNITMGR, "unitmgr"),
    ] {
        for help in ["-h", "--help"] {
            let output = manager(program, &dir).arg(help).run();
            let text = output.success().stdout();
            assert!(text.lines().count() <= 24 && text.contains(&format!("Usage: {name} -c|-r")), "{output}");
            assert!(text.lines().all(|line| line.len() <= 100), "{output}");
        }
        manager(program, &dir).arg("--version").run().success().stdout_contains(name);
        for wrong in [
            &[][..],
            &["-c"],
            &["-R", "-D"],
            &["-q"],
            &["-c", "x", "-D"],
            &["--csv", "--json", "-D"],
            &["-Z"],
        ] {
            let output = manager(program, &dir).args(wrong).run();
            output.code(2).stdout_is("");
            assert!(!output.stderr.is_empty(), "{output}");
        }
        let told = format!("{name}: no/such.tab: No such file or directory (os error 2)\n");
        manager(program, &dir).args(["-c", "no/such.tab"]).run().code(2).stderr_is(&told);
        let output = manager(program, &dir).arg("-D").run();
        output.code(2).stdout_is("").stderr_contains("no such table; make it with the manager's -c");
    }
    assert!(!dir.join("codes").exists(), "nothing was made");
}

#[test]
fn tables_move_with_pg_home() {
    let dir = Dir::new();
    let home = dir.make("home");
    TestCommand::new(UNITMGR).env("PG_HOME", &home).arg("-c").arg(shipped("units.tab")).run().success();
    assert_eq!(dir.list("home/lib/codes"), ["units.db"]);
    use std::os::unix::fs::PermissionsExt;
    let mode = |name: &str| dir.join(name).metadata().unwrap().permissions().mode() & 0o777;
    // Code tables hold no patient data, and another account's gateway reads them.
    assert_eq!((mode("home/lib/codes/units.db"), mode("home/lib/codes/units.db/1/table")), (0o755, 0o644));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = Dir::new();
    dir.write("L.tab", protogen_testkit::loinc::table(2000));
    loincmgr(&dir).args(["-c", "L.tab"]).run().success();
    let script = dir.script("run", "\"$1\" -D | head -1\n");
    let output = manager(script.to_str().unwrap(), &dir).arg(LOINCMGR).run();
    output.success().stderr_is("");
    assert_eq!(output.stdout().lines().count(), 1);
}

#[test]
fn a_run_log_is_written_on_request_only() {
    let dir = Dir::new();
    dir.write("one.tab", row(&["5914-7", "GLUCOSE"]));
    loincmgr(&dir).args(["-c", "one.tab"]).run().success();
    assert_eq!(dir.list("."), ["codes", "one.tab"], "no log");
    dir.write("two.tab", row(&["5914-8", "GLUCOSE"]));
    loincmgr(&dir)
        .args(["-c", "two.tab", "--log", "run.log", "--quiet"])
        .run()
        .success()
        .stderr_contains("check digit");
    let log = dir.text("run.log");
    assert!(
        log.contains("1 read, 1 added") && log.contains("two.tab:1: warning: 5914-8: the check digit"),
        "{log}"
    );
}

#[test]
fn long_imports_show_their_progress_on_a_terminal_only() {
    use std::io::Read;
    let dir = Dir::new();
    dir.write("L.tab", protogen_testkit::loinc::table(3000));
    loincmgr(&dir).args(["-c", "L.tab"]).run().success().stderr_is(
        "loincmgr: 3000 read, 3000 added, 0 replaced, 0 removed, 0 skipped; the table has 3000 rows\n",
    );
    let pty = protogen_testkit::pty::Pty::terminal(24, 80).unwrap();
    let mut command = loincmgr(&dir).args(["-c", "L.tab"]).command();
    let mut child = command.env("TERM", "xterm").stderr(pty.slave().unwrap()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    drop(command);
    let mut shown = vec![0; 4096];
    let count = pty.master().read(&mut shown).unwrap();
    let shown = String::from_utf8_lossy(&shown[..count]).into_owned();
    assert!(shown.contains('%') && shown.contains(" KiB of "), "{shown:?}");
}
