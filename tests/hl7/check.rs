use super::TWO;
use crate::support::{data, hl7};

#[test]
fn sound_messages_are_silent() {
    let names = ["adt.hl7", "oru.hl7", "latin1.hl7", "batch.hl7", "framed.hl7", "nmd.hl7", "delimiters.hl7"];
    hl7()
        .arg("check")
        .args(names.map(|name| data("hl7").join(name)))
        .run()
        .success()
        .stdout_is("")
        .stderr_is("");
}

#[test]
fn findings_name_file_and_byte_of_the_stream() {
    let second = TWO.find("MSH|^~\\&|A|B|C|D|1996||ADT^A08").unwrap();
    let text = format!("{TWO}\0\r");
    let output = hl7().arg("check").stdin(&text).run();
    let at = TWO.len() - "Roe^Al".len();
    output.code(1).stdout_is(format!(
        "standard input: byte {}: error: PID-5: control character 0x00, expected it escaped as \\X00\\\n",
        at + "Roe^Al".len()
    ));
    assert!(second < at);
}

#[test]
fn warnings_count_with_strict() {
    let file = data("hl7/adt-lf.hl7");
    let output = hl7().arg("check").arg(&file).run();
    output.success().stdout_contains("byte 73: warning: LF ends segments, expected CR\n");
    hl7().args(["check", "--strict"]).arg(&file).run().code(1);
}

#[test]
fn framing_and_batches() {
    for (text, finding) in [
        (
            "junk\r\x0BMSH|^~\\&|||||||A|1|P|2.3\r\x1C\r",
            "byte 0: error: 5 bytes that are no message, expected MSH",
        ),
        ("\x0BMSH|^~\\&|||||||A|1|P|2.3\r", "byte 26: error: the frame has no end, expected 0x1C 0x0D"),
        (
            "\x0BMSH|^~\\&|||||||A|1|P|2.3\r\x1C",
            "byte 27: warning: the frame ends with 0x1C alone, expected 0x1C 0x0D",
        ),
        (
            "BHS|^~\\&\rMSH|^~\\&|||||||A|1|P|2.3\rBTS|7\r",
            "byte 34: warning: BTS-1 says 7 messages, but there are 1",
        ),
        ("BHS|^~\\&\rMSH|^~\\&|||||||A|1|P|2.3\r", "byte 34: warning: the stream ends before BTS"),
    ] {
        let output = hl7().args(["check", "--strict"]).stdin(text).run();
        output.code(1).stdout_is(format!("standard input: {finding}\n"));
    }
}

#[test]
fn a_batch_ends_with_its_file() {
    let directory = protogen_testkit::Dir::new();
    let file = directory.write("half", "BHS|^~\\&\rMSH|^~\\&|||||||A|1|P|2.3\r");
    let output = hl7().arg("check").args([&file, &file]).run();
    let line = format!("{}: byte 34: warning: the stream ends before BTS\n", file.display());
    output.success().stdout_is(line.repeat(2));
}

#[test]
fn json_has_a_line_a_finding() {
    let output = hl7().args(["check", "--json"]).arg(data("hl7/adt-lf.hl7")).run();
    let finding: serde_json::Value = serde_json::from_str(&output.success().stdout()).unwrap();
    assert_eq!((finding["byte"].as_u64(), finding["severity"].as_str()), (Some(73), Some("warning")));
}
