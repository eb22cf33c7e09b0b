//! The README's example lines do what they say.

use crate::support::{data, top};
use protogen_testkit::{Dir, TestCommand};

/// Each example with what stands behind its `#`.
fn examples() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    hl7 "));
    let on_files =
        |line: &&str| !line.starts_with(':') && !line.starts_with("send") && !line.starts_with("listen");
    let lines = lines.filter(on_files).map(|line| format!("hl7 {line}"));
    lines.map(|line| line.split_once('#').map(|(a, b)| (a.trim().into(), b.trim().into())).unwrap()).collect()
}

#[test]
fn the_examples_of_a_line_run() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let example =
        |start: &str| readme.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap().to_string();
    let directory = Dir::new();
    let spool = directory.make("in");
    let listen = example("hl7 listen 2575").replace("/tmp/in &", spool.to_str().unwrap());
    let arguments: Vec<&str> = listen.split('#').next().unwrap().split_whitespace().skip(2).collect();
    assert_eq!(arguments[0], "2575");
    let (_daemon, port) = crate::support::listen(&arguments[1..]);
    for (start, told) in [("hl7 send localhost", "MSA|AA|"), ("hl7 send --count", "answered  100  CA 100")] {
        let line = example(start)
            .replace("2575", &port.to_string())
            .replace("localhost", "127.0.0.1")
            .replace("10000", "100");
        let arguments: Vec<&str> = line.split('#').next().unwrap().split_whitespace().skip(1).collect();
        crate::support::hl7().args(arguments).in_dir(data("hl7")).run().success().stdout_contains(told);
    }
    assert_eq!(directory.list("in").len(), 101);
}

#[test]
fn every_example_line_runs() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_hl7"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let examples = examples();
    assert!(examples.len() >= 5);
    let directory = Dir::new();
    for (line, told) in examples {
        let script = directory.script("example", &format!("{line}\n"));
        let output = TestCommand::new(script).in_dir(data("hl7")).env("PATH", &path).run();
        let shown = output.stdout().replace('\t', "  ");
        match told.as_str() {
            "which messages have a sodium?" => {
                assert_eq!(shown, "L2026112000417\nL2026112000417\n", "{output}");
            }
            "the answer to give" => assert!(shown.contains("MSA|AE|A000174|unknown bed"), "{output}"),
            "what is out of order, and at which byte" => {
                assert!(shown.contains("byte 73: warning"), "{output}");
            }
            told => assert_eq!(shown.trim_end(), told, "{output}"),
        }
    }
}

#[test]
fn the_examples_of_code_tables_run() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let managers = ["unitmgr ", "labeventinfomgr ", "loincmgr "];
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let lines: Vec<&str> = lines.filter(|line| managers.iter().any(|name| line.starts_with(name))).collect();
    assert_eq!(lines.len(), 6);
    let directory = Dir::new();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_unitmgr"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for line in lines {
        let (line, told) = line.split_once('#').unwrap_or((line, ""));
        let script = directory.script("example", &format!("{line}\n"));
        let command = TestCommand::new(script).in_dir(top()).env("PATH", &path);
        let output = command.env("PG_CODELIB", directory.join("codes")).run();
        let shown = output.success().stdout();
        match told.trim() {
            "how haemoglobin goes to CareVue" => {
                assert!(
                    shown.starts_with("\"9948-1\":\"t_Hb_CFG\":") && shown.lines().count() == 1,
                    "{output}"
                );
            }
            told => assert_eq!(shown.trim_end(), told, "{output}"),
        }
    }
}

#[test]
fn the_routers_configuration_is_one() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let block = readme.split("## The router").nth(1).unwrap().split("in `socketReader.cfg`").next().unwrap();
    let directory = Dir::new();
    let out = directory.make("out");
    let config: String = block.lines().map(|line| format!("{}\n", line.trim())).collect();
    directory.write("socketReader.cfg", config.replace("/var/spool/results", out.to_str().unwrap()));
    let output = crate::support::socketreader().arg("--check").in_dir(directory.path()).run();
    output.success().stdout_contains("queue results: lab-in -> files-out\n");
}

#[test]
fn the_examples_of_carevue_run() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let block = readme.split("## CareVue, simulated").nth(1).unwrap().split("\n`").next().unwrap();
    let directory = Dir::new();
    let block = block.replace("/tmp/carevue", directory.join("carevue").to_str().unwrap());
    let told: Vec<&str> = block.lines().filter_map(|line| Some(line.split_once("# ")?.1)).collect();
    assert_eq!(told.len(), 3);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_idb_direct"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = TestCommand::new(directory.script("example", &block)).env("PATH", path).run();
    assert_eq!(output.success().stderr_is("").stdout().lines().collect::<Vec<_>>(), told);
}
