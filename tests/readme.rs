//! The README's example lines do what they say.

use crate::support::{data, top};
use protogen_testkit::{Dir, TestCommand};

/// Each example with what stands behind its `#`.
fn examples() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    hl7 "));
    let lines = lines.filter(|line| !line.starts_with(':')).map(|line| format!("hl7 {line}"));
    lines.map(|line| line.split_once('#').map(|(a, b)| (a.trim().into(), b.trim().into())).unwrap()).collect()
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
