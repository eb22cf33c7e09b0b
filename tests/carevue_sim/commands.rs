//! idb, ptMgrSup, dbload, sysMsg, rsh and the commands around them.

use super::{carevue_sim, census, linked};
use crate::support::{carevue, top};
use protogen_testkit::{Dir, TestCommand};

#[test]
fn the_commands_of_a_carevue_host_go_by_name_and_by_subcommand() {
    let dir = Dir::new();
    let state = carevue(&dir);
    carevue_sim(&state).args(["admit", "12345", "601-1", "--name", "Noname"]).run().success();
    carevue_sim(&state).args(["admit", "777"]).run().success();
    assert_eq!(census(&state), "12345\t601-1\tNoname\n777\t\t\n");
    let select = "SET ColumnMode; SELECT medRecNum, bed FROM Patient WHERE bed = \"601-1\";";
    for run in [linked(&state, "idb").stdin(select), carevue_sim(&state).arg("idb").stdin(select)] {
        run.run().success().stdout_is("medRecNum\tbed\n12345\t601-1\n").stderr_is("");
    }
    for run in [linked(&state, "ptMgrSup").arg("-c"), carevue_sim(&state).args(["ptMgrSup", "-c"])] {
        run.run().success().stdout_is("12345\t601-1\n777\t\n");
    }
    let file = dir.write("load", "AdmitObservation\tmedRecNum=777\tht=182\n");
    linked(&state, "dbload").arg(&file).run().success().stdout_is("1 loaded\n");
    linked(&state, "dbload").arg(&file).run().code(1).stderr_contains("line 1: this patient has");
    let all = "SELECT medRecNum, ht, admitWt FROM AdmitObservation;";
    linked(&state, "idb").stdin(all).run().success().stdout_is("medRecNum\tht\tadmitWt\n777\t182\t\n");
    linked(&state, "sysMsg").args(["HL7", "is\ndown"]).run().success();
    carevue_sim(&state).args(["sysMsg", "-x; `id`"]).run().success();
    carevue_sim(&state).arg("messages").run().success().stdout_is("HL7 is down\n-x; `id`\n");
}

#[test]
fn an_error_is_told_and_has_a_status() {
    let dir = Dir::new();
    let state = carevue(&dir);
    linked(&state, "idb")
        .stdin("SELECT x FROM Patient;")
        .run()
        .code(1)
        .stdout_is("")
        .stderr_is("idb: line 1: no such attribute; Patient has medRecNum, bed, name\n");
    linked(&state, "dbload").arg("nothing").run().code(1).stderr_contains("dbload: nothing: No such file");
    linked(&state, "ptMgrSup").run().code(2).stderr_contains("-c");
    carevue_sim(&dir.join("none"))
        .arg("census")
        .run()
        .code(2)
        .stderr_contains("make it with carevue-sim init");
    TestCommand::new(env!("CARGO_BIN_EXE_carevue-sim"))
        .arg("census")
        .run()
        .code(2)
        .stderr_contains("--state DIR");
    carevue_sim(&state)
        .args(["init", "--careunit", "x"])
        .run()
        .code(2)
        .stderr_contains("it is there already");
    for (arguments, told) in [
        ("admit 1 999-9", "not admitted: unknown bed"),
        ("misbehave badly", "badly: must be real, honest"),
        ("misbehave slow", "slow needs seconds, from 0 to 3600"),
        ("misbehave late 0", "late needs a number of looks, from 1"),
        ("misbehave ae 3", "ae takes no number"),
        ("rsh host idb", "host: must be LOGIN@HOST"),
        ("rsh -ohost@x idb", "-o"),
    ] {
        let output = carevue_sim(&state).args(arguments.split(' ')).run();
        output.code(2).stderr_contains(told);
    }
    dir.write("carevue/state.json", "{");
    carevue_sim(&state).arg("census").run().code(2).stderr_contains("state.json: not a state");
}

#[test]
fn help_fits_a_screen() {
    let output = TestCommand::new(env!("CARGO_BIN_EXE_carevue-sim")).arg("--help").run();
    let lines = output.success().stdout().lines().count();
    assert!(lines <= 24, "{lines} lines");
}

#[test]
fn the_remote_shell_runs_a_command_with_carevues_on_its_path() {
    let dir = Dir::new();
    let state = carevue(&dir);
    carevue_sim(&state).args(["admit", "12345", "601-1"]).run().success();
    let rsh = |command: &[&str]| carevue_sim(&state).args(["rsh", "cv@host"]).args(command).run();
    rsh(&["ptMgrSup", "-c"]).success().stdout_is("12345\t601-1\n");
    rsh(&["ptMgrSup -c | wc -l; exit 7"]).code(7).stdout_contains("1");
    rsh(&["new_wt_ht_bsa 12345"]).success();
    rsh(&["new_wt_ht_bsa 12345"]).code(1).stderr_contains("has admit observations already");
    rsh(&["new_wt_ht_bsa"]).code(2).stderr_contains("usage: new_wt_ht_bsa RECNO");
    rsh(&["new_wt_ht_bsa '$(touch run)`touch run`'"]).code(1).stderr_contains("does not know this patient");
    assert!(!dir.list(".").contains(&"run".to_owned()) && !top().join("run").exists());
    carevue_sim(&state).args(["misbehave", "no-rsh"]).run().success();
    rsh(&["ptMgrSup -c"]).code(255).stdout_is("").stderr_contains("Connection refused");
}

#[test]
fn a_late_patient_appears_at_the_look_that_was_said() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = super::serve(&state);
    carevue_sim(&state).args(["misbehave", "late", "3", "--times", "1"]).run().success();
    assert_eq!(super::verdict(address, &super::adt("A01", "1", "601-1")), "AA|1");
    let look = || linked(&state, "ptMgrSup").arg("-c").run().success().stdout();
    let select = || linked(&state, "idb").stdin("SELECT bed FROM Patient;").run().success().stdout();
    assert_eq!([look(), select(), look(), look()], ["", "bed\n", "", "1\t601-1\n"]);
    assert_eq!(select(), "bed\n601-1\n");
}

/// What labeventinfomgr -M prints goes through idb as it is, in CareVue's character set.
#[test]
fn the_map_of_lab_events_is_loaded() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let manager =
        || TestCommand::new(env!("CARGO_BIN_EXE_labeventinfomgr")).env("PG_CODELIB", dir.join("codes"));
    dir.make("codes");
    manager().arg("-c").arg(top().join("etc/LabEventInfo.tab")).run().success();
    let script = manager().arg("-M").run().success().stdout.clone();
    let inserts = script.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"INSERT")).count();
    assert!(inserts > 10 && script.contains(&0xCE), "{inserts}");
    // Twice: the script clears the map first.
    for _ in 0..2 {
        linked(&state, "idb").stdin(&script).run().success().stdout_is("");
        let map =
            linked(&state, "idb").stdin("SELECT labTestCode, careUnit, msmt, unit FROM LabEventMap;").run();
        assert_eq!(map.success().stdout.iter().filter(|byte| **byte == b'\n').count(), inserts + 1);
        map.stdout_contains("\n9948-1\t1\t");
    }
    let text = "SELECT labTestCode FROM LabEventMap WHERE mappedPtEvent = \"Ursprung_ven\u{CE}_CFG\";";
    let text: Vec<u8> = text.chars().map(|c| c as u8).collect();
    linked(&state, "idb").stdin(text).run().success().stdout_is("labTestCode\nBGATYPV\n");
    // Without the care unit it fails, and the map stays.
    let other = String::from_utf8_lossy(&script).replace("060_IOP", "elsewhere");
    linked(&state, "idb").stdin(other).run().code(1).stderr_contains("line 3: SELECT INTO found nothing");
    let count = linked(&state, "idb").stdin("SELECT objectId FROM LabEventMap;").run();
    assert_eq!(count.success().stdout().lines().count(), inserts + 1);
}
