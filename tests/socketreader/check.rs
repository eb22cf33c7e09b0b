//! What `--check` tells of a sound configuration, and what the running program gets from it.

use std::path::Path;
use std::time::Duration;

use protogen_testkit::Dir;

use super::manual::with;
use super::site::Site;
use crate::support::socketreader;

#[test]
fn the_state_directory_and_why() {
    let told = |changes: &str, environment: Option<&str>| {
        let site = Site::new(changes);
        let mut command = site.command(&socketreader());
        if let Some(value) = environment {
            command = command.env("STATE_DIRECTORY", value.replace("{dir}", site.path().to_str().unwrap()));
        }
        let output = command.run();
        let line =
            output.success().stdout().lines().find(|line| line.starts_with("statedir: ")).unwrap().to_owned();
        line.replace(site.path().to_str().unwrap(), "{dir}")
    };
    let beside =
        "statedir: {dir}/socketReader.state (beside the configuration: neither statedir nor queuedb is set)";
    assert_eq!(told("", None), beside);
    assert_eq!(told("", Some("relative")), beside);
    let state = Some("{dir}/in:{dir}/out");
    assert_eq!(told("", state), "statedir: {dir}/in (environment STATE_DIRECTORY)");
    let queuedb = "peer: queuedb = out/q.db";
    assert_eq!(told(queuedb, state), "statedir: {dir}/out (the directory of queuedb in [peer])");
    let option = format!("general: statedir = other\n{queuedb}");
    assert_eq!(told(&option, state), "statedir: {dir}/other (option statedir)");
    let config = with("general", "statedir = /var/lib/sr");
    assert_eq!(config.general.statedir.journal(), Path::new("/var/lib/sr/journal"));
}

#[test]
fn the_journal_gets_what_it_needs() {
    let journal = with("general", "durable = False\nkeep = 0.5\nkeepsize = 64M").journal_settings();
    assert!(!journal.durable);
    assert_eq!((journal.keep, journal.keep_size), (Duration::from_secs(43_200), 64 << 20));
    assert_eq!((journal.max_message, journal.segment_size), (16 << 20, 64 << 20));
    let config = with("file-in", "maxsize = 100M");
    assert_eq!(config.journal_settings().max_message, 100 << 20);
    assert_eq!(config.journal_settings().segment_size, 200 << 20, "a message takes at most half a segment");
    let out = config.connections[1].kind.socket().unwrap();
    assert_eq!(out.mllp.max_message, 100 << 20, "an output takes what its inputs take");
}

#[test]
fn check_for_a_script() {
    let site = Site::new("in: port = 80\npeer: queuedb = out/q.db");
    let output = site.command(&socketreader()).arg("--json").run();
    let json: serde_json::Value = serde_json::from_slice(&output.code(2).stdout).unwrap();
    assert_eq!((&json["ok"], &json["file"]), (&false.into(), &"c.cfg".into()));
    assert_eq!(json["problems"][0]["line"], 7);
    assert_eq!(json["problems"][0]["severity"], "error");
    assert_eq!(json["problems"][0]["section"], "in");
    assert_eq!(json["problems"][0]["text"], "port = 80: must be a whole number from 1024 to 65535");
    assert_eq!(json["statedir"]["path"], site.path().join("out").to_str().unwrap());

    let site = Site::new("");
    let output = site.command(&socketreader()).arg("--json").run();
    let json: serde_json::Value = serde_json::from_slice(&output.success().stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(
        json["queues"],
        serde_json::json!([{"name": "adt", "inputs": ["in", "files"], "outputs": ["out", "peer"]}])
    );
    assert_eq!(
        json["connections"][1],
        serde_json::json!({"name": "files", "line": 8, "kind": "file in", "queue": "adt", "usehl7": false})
    );
    site.check().success().stderr_is("").stdout_contains("queue adt: in, files -> out, peer\n");
}

#[test]
fn paths_are_absolute_from_the_working_directory() {
    let dir = Dir::new();
    for name in ["work/in", "work/out", "etc"] {
        dir.make(name);
    }
    dir.write("etc/c.cfg", "[general]\nuseconnections = a, b\n[a]\ntranstech = file\ntransdir = in\nqueuename = q\nmessagedir = in\n[b]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = out\n");
    let check = socketreader().args(["--check", "-c", "../etc/c.cfg"]);
    check.clone().in_dir(dir.join("work")).run().success();
    check.in_dir(dir.join("etc")).run().code(2).stderr_contains("/etc/in: there is no such directory");
    assert!(!dir.join("etc/socketReader.state").exists(), "--check makes nothing");
}
