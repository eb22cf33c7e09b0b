//! Any text is a configuration or faults that name lines of it; what is a configuration can be worked with.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use protogen_socketreader::config::{Config, Kind, Report, Scope, Severity, parse};

/// What comes before the input, or few inputs would come past the first faults.
const STARTS: [&str; 4] = [
    "",
    "[general]\nuseconnections = a, b\n[b]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = /b\n\
     [a]\ntranstech = socket\ntransdir = in\nqueuename = q\n",
    "[general]\nuseconnections = a, b\n[a]\ntranstech = file\ntransdir = in\nqueuename = q\nmessagedir = /a\n\
     [b]\ntranstech = socket\ntransdir = out\nqueuename = q\n",
    "[general]\nuseconnections = a, b\n[a]\ntranstech = socket\ntransdir = in\nqueuename = q\n\
     [b]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = /b\n",
];

fuzz_target!(|data: (u8, &[u8])| {
    let (start, input) = data;
    let text = [STARTS[usize::from(start % 4)].as_bytes(), input].concat();
    let environment = Some(OsStr::from_bytes(input));
    let file = Path::new("/etc/c.cfg");
    let start = parse(file, &text, environment, Scope::Start);
    let check = parse(file, &text, environment, Scope::Check);
    let lines = text.split(|byte| *byte == b'\n').count();
    for problem in start.problems.iter().chain(&check.problems) {
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(problem.text.len() < 4096, "{problem}");
    }
    let errors = |report: &Report| report.problems.iter().filter(|p| p.severity == Severity::Error).count();
    assert_eq!(errors(&start), errors(&check), "what is not in use adds warnings only");
    assert_eq!(start.config.is_some(), errors(&start) == 0);
    let _ = (check.summary(), check.json());
    if let Some(config) = &start.config {
        sound(config, input);
    }
});

fn sound(config: &Config, name: &[u8]) {
    assert!(!config.connections.is_empty());
    for queue in config.queues() {
        assert!(!queue.inputs.is_empty() && !queue.outputs.is_empty());
    }
    let journal = config.journal_settings();
    assert!(journal.max_message as u64 <= journal.segment_size / 2);
    for connection in &config.connections {
        match &connection.kind {
            Kind::SocketIn(socket) | Kind::SocketOut(socket) => {
                assert!(socket.mllp.check().is_ok() && socket.place().is_ok() && socket.port >= 1024);
            }
            Kind::FileIn(file) => {
                assert!(file.dir.is_absolute() && file.errordir.is_absolute() && file.errordir != file.dir);
                let _ = file.mask.matches(OsStr::from_bytes(name));
            }
            Kind::FileOut(file) => assert!(file.dir.is_absolute() && !file.suffix.contains('/')),
        }
    }
}
