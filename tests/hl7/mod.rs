//! The `hl7` filter, as a person at a shell uses it.

mod ack;
mod cat;
mod check;
mod diff;
mod get;
mod grep;
mod listen;
mod peers;
mod send;
mod set;
mod trace;

use crate::support::{data, hl7};
use protogen_testkit::Dir;

/// Two messages, plain, the second without an end.
const TWO: &str = "MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\rPID|1||7~8||Doe^Jo\r\
    MSH|^~\\&|A|B|C|D|1996||ADT^A08|2|P|2.3\rPID|1||9||Roe^Al";

#[test]
fn usage_errors_are_status_2() {
    for arguments in [&["get"][..], &["frob"], &["set", "--nope", "PID-1=1"], &["ack", "--code", "ZZ"], &[]] {
        let output = hl7().args(arguments).run();
        output.code(2).stdout_is("");
        assert!(!output.stderr.is_empty(), "{output}");
    }
}

#[test]
fn help_fits_a_screen() {
    for command in [
        &[][..],
        &["cat"],
        &["get"],
        &["grep"],
        &["set"],
        &["check"],
        &["ack"],
        &["diff"],
        &["trace"],
        &["send"],
        &["listen"],
    ] {
        let output = hl7().args(command).arg("-h").run();
        let lines = output.success().stdout().lines().count();
        assert!(lines <= 24, "{lines} lines\n{output}");
        hl7().args(command).arg("--help").run().success();
    }
    hl7().arg("--version").run().success().stdout_contains("hl7 ");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    hl7()
        .args(["cat", "no/such.hl7"])
        .run()
        .code(2)
        .stderr_is("hl7: no/such.hl7: No such file or directory (os error 2)\n");
    let directory = Dir::new();
    let output = hl7().arg("cat").arg(directory.path()).run();
    output.code(2).stderr_contains(&format!("hl7: {}: Is a directory", directory.path().display()));
}

#[test]
fn no_message_at_all_is_status_1() {
    for command in [&["get", "PID-5"][..], &["set", "PID-5=1"], &["check"], &["ack"], &["grep", "PID-5"]] {
        let output = hl7().args(command).stdin("hello\n").run();
        output.code(1).stderr_contains("no message found, expected text that begins with MSH");
    }
}

#[test]
fn a_message_beyond_the_limit_ends_the_run() {
    let output = hl7().args(["get", "--max-size", "40", "PID-5"]).stdin(TWO).run();
    output.code(2).stderr_is(
        "hl7: standard input: the message at byte 0 is longer than 40 bytes; --max-size allows more\n",
    );
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let directory = Dir::new();
    let many = format!("{TWO}\r").repeat(20_000);
    directory.write("many.hl7", many);
    let script =
        directory.script("run", "\"$1\" cat many.hl7 | head -1; \"$1\" get PID-5 many.hl7 | head -1\n");
    let output = protogen_testkit::TestCommand::new(script)
        .arg(env!("CARGO_BIN_EXE_hl7"))
        .in_dir(directory.path())
        .run();
    output.success().stderr_is("");
    assert_eq!(output.stdout().lines().count(), 2);
}

#[test]
fn a_framed_message_is_answered_before_the_stream_ends() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut command = hl7().args(["get", "PID-5.1"]).command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for name in ["Doe", "Roe"] {
        write!(input, "\x0BMSH|^~\\&|A\rPID|1||||{name}\r\x1C\r").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), name, "each comes while the next is not yet sent");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn wide_text_is_refused_by_name() {
    let wide: Vec<u8> = "MSH|^~\\&|A\r".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let output = hl7().arg("check").stdin(&wide).run();
    output.code(1).stdout_contains("byte 0: error: MSH: is UTF-16 or UTF-32 text, expected");
    hl7().args(["get", "PID-5"]).stdin(&wide).run().code(1).stderr_contains("byte 0: is UTF-16");
    let marked = [b"\xFF\xFE".as_slice(), &wide].concat();
    hl7().args(["get", "PID-5"]).stdin(&marked).run().code(1).stderr_contains("byte 0: is UTF-16");
}

#[test]
fn a_byte_order_mark_does_not_hide_the_message() {
    let marked = format!("\u{FEFF}{TWO}");
    hl7().args(["get", "MSH-10"]).stdin(&marked).run().success().stdout_is("1\n2\n").stderr_is("");
    hl7().args(["set", "PID-5.1=Doe"]).stdin(&marked).run().success().stdout_contains("\u{FEFF}MSH|^~\\&|A");
}

#[test]
fn samples_exist() {
    assert!(data("hl7/oru.hl7").metadata().unwrap().len() > 1500);
}
