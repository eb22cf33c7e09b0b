use super::TWO;
use crate::support::{all_samples, data, hl7};

#[test]
fn raw_gives_the_bytes_back() {
    for file in all_samples() {
        let expected = std::fs::read(&file).unwrap();
        hl7().args(["cat", "--raw"]).arg(&file).run().success().stdout_is(&expected);
    }
    for text in ["", "junk", "\x0BMSH|", "\r\n\r\nMSH|^~\\&|A\n\nMSH|", "\x0B\x0B\x1C\r\x1C", TWO] {
        hl7().args(["cat", "--raw"]).stdin(text).run().success().stdout_is(text);
    }
}

#[test]
fn a_segment_a_line_and_a_blank_line_between_messages() {
    let expected = "MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\nPID|1||7~8||Doe^Jo\n\n\
        MSH|^~\\&|A|B|C|D|1996||ADT^A08|2|P|2.3\nPID|1||9||Roe^Al\n";
    hl7().arg("cat").stdin(TWO).run().success().stdout_is(expected);
    hl7().args(["cat", "-"]).stdin(TWO).run().success().stdout_is(expected);
}

#[test]
fn text_is_shown_in_utf_8_and_control_characters_are_visible() {
    hl7().arg("cat").arg(data("hl7/latin1.hl7")).run().success().stdout_contains("Müller^Jörg");
    let output = hl7().arg("cat").stdin("MSH|^~\\&|A\rNTE|\x1B[31m\x07\r").run();
    output.success().stdout_contains("NTE|\\u{1b}[31m\\u{7}");
}

#[test]
fn fields_have_their_names() {
    let output = hl7().args(["cat", "--fields"]).arg(data("hl7/escapes.hl7")).run();
    let expected = [
        "MSH",
        "  MSH-1      Field Separator                  |",
        "  MSH-10     Message Control ID               E1",
        "  OBX-5      Observation Value                Note a&b",
        "                                              c|d^e~f\\g\\Z42\\h\\u{d}",
        "  OBX-5      Observation Value                \"\"",
    ];
    let text = output.success().stdout();
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line}\n{output}");
    }
    let output = hl7().args(["cat", "--fields"]).stdin(TWO).run();
    output.success().stdout_contains("  PID-3[2]   Patient Identifier List          8\n");
}

#[test]
fn batches_junk_and_faults() {
    let batch = hl7().arg("cat").arg(data("hl7/batch.hl7")).run();
    assert_eq!(
        batch.success().stdout().lines().next(),
        Some("FHS|^~\\&|LABOR|ZLAB|STATION|IOP|20261120||nightly||F77")
    );
    batch.stdout_contains("\nBTS|3\n");
    let output = hl7().arg("cat").stdin("junk\r\x0BMSH|^~\\&|A\r").run();
    output.success().stdout_is("MSH|^~\\&|A\n");
    output.stderr_contains("hl7: warning: standard input: byte 0: 5 bytes that are no message\n");
    output
        .stderr_contains("hl7: warning: standard input: byte 5: the frame has no end, expected 0x1C 0x0D\n");
    // NULs and blank lines between frames are no junk worth a word.
    let output = hl7().arg("cat").stdin("\0\0\r\n\x0BMSH|^~\\&|A\r\x1C\r\0").run();
    output.success().stdout_is("MSH|^~\\&|A\n").stderr_is("");
    let output = hl7().arg("cat").stdin("MSH|A\rPID|1\r").run();
    output.code(1).stdout_is("MSH|A\nPID|1\n").stderr_contains("byte 0: 'A' at byte 4 is no delimiter");
}

#[test]
fn no_colour_in_a_pipe() {
    let output = hl7().arg("cat").stdin(TWO).run();
    assert!(!output.stdout.contains(&0x1B));
}
