//! The command line, the two names, and the configuration.

use std::os::unix::fs::symlink;

use super::support::{Site, message};
use crate::support::top;

#[test]
fn each_name_has_its_queue() {
    let site = Site::new();
    site.put("1");
    site.dir.write("var/spool/ABL/060_IOP/2", message("2"));
    let abl = site.dir.join("ablhl7tocv");
    symlink(env!("CARGO_BIN_EXE_hl7tocv"), &abl).unwrap();
    site.command(&abl).arg("batch").run().success();
    assert_eq!(site.sent(), ["2"]);
    assert_eq!(site.dir.list("var/log/ABL/060_IOP"), ["2", "2.ack"]);
    site.batch().success();
    assert_eq!(site.sent(), ["1"]);
    // Without etc/queues they are there all the same; so is the gateway's usual place.
    std::fs::remove_file(site.dir.join("etc/queues")).unwrap();
    let text = site.program().args(["--list", "--json"]).run().success().stdout();
    assert_eq!(text.matches("\"gateway\": \"carevuehl7%localhost\"").count(), 2, "{text}");
    site.dir.write("etc/queues", "[OTHER]\n");
    site.program().args(["--list", "--queue", "ABL/060_IOP"]).run().success();
}

#[test]
fn any_two_directories_are_a_queue() {
    let site = Site::new();
    site.dir.write("in/1", message("1"));
    site.dir.make("out");
    site.program().args(["--spool", "in", "--log", "out", "batch"]).run().success();
    assert_eq!(
        (site.sent(), site.dir.list("out")),
        (vec!["1".to_owned()], vec!["1".to_owned(), "1.ack".to_owned()])
    );
    site.program().args(["--spool", "in", "batch"]).run().code(2).stderr_contains("--log <DIR>");
    site.program()
        .args(["--spool", "in", "--log", "in", "batch"])
        .run()
        .code(2)
        .stderr_contains("the same directory");
    site.program().args(["--spool", "in", "--log", "out", "--all"]).run().code(2);
}

#[test]
fn a_configuration_is_checked() {
    let site = Site::new();
    let check = || site.program().arg("--check").run();
    check().success().stdout_is("").stderr_is("");
    std::fs::remove_dir(site.dir.join("var/log/ABL/060_IOP")).unwrap();
    check().code(2).stderr_contains("[ABL/060_IOP]: ").stderr_contains("060_IOP: no such directory");
    site.dir.write("etc/queues", "\n[A]\nretires = 3\n");
    check().code(2).stderr_contains("etc/queues:3: retires: is no key of queues(5)\n");
    site.batch().code(2).stderr_contains("etc/queues:3: retires");
    site.dir.write("etc/queues", b"[A]\n# \xE4\n");
    check().code(2).stderr_contains("etc/queues:2: this is not UTF-8");
    site.dir.write("etc/queues", "[A]\ngateway = \"noservice%127.0.0.1\"\n");
    check().code(2).stderr_contains("[A]: gateway: noservice%127.0.0.1: ");
}

#[test]
fn the_shipped_queues_are_the_ones_without_a_file() {
    let site = Site::new();
    let list = || site.program().args(["--list", "--json"]).run().success().stdout();
    std::fs::copy(top().join("etc/queues"), site.dir.join("etc/queues")).unwrap();
    let shipped = list();
    std::fs::remove_file(site.dir.join("etc/queues")).unwrap();
    assert_eq!(list(), shipped);
    // cron's lines are commands that exist.
    let crontab = std::fs::read_to_string(top().join("etc/crontab.example")).unwrap();
    assert!(crontab.contains("\n* * * * * /usr/hl7/bin/hl7tocv --all batch\n"));
}

#[test]
fn without_a_terminal_there_is_no_operator() {
    let site = Site::new();
    site.program().run().code(2).stderr_contains("needs a terminal; for cron: hl7tocv batch");
    site.program().arg("bach").run().code(2).stderr_contains("batch");
}

#[test]
fn help_fits_a_screen() {
    let help = Site::new().program().arg("--help").run().success().stdout();
    assert!(help.lines().count() <= 24 && help.lines().all(|line| line.chars().count() <= 100), "{help}");
}
