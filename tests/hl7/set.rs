use super::TWO;
use crate::support::{data, hl7};

#[test]
fn only_what_is_set_changes() {
    let output = hl7().args(["set", "PID-5.1=Poe", "PID-8=F", "PID-3[2]=88"]).stdin(TWO).run();
    let expected =
        TWO.replacen("7~8||Doe^Jo", "7~88||Poe^Jo|||F", 1).replacen("|9||Roe^Al", "|9~88||Poe^Al|||F", 1);
    output.success().stdout_is(expected);
}

#[test]
fn framing_batches_and_line_ends_stay() {
    for name in ["framed.hl7", "batch.hl7", "adt-lf.hl7", "adt-crlf.hl7"] {
        let bytes = std::fs::read(data("hl7").join(name)).unwrap();
        let output = hl7().args(["set", "MSH-11=T"]).stdin(&bytes).run();
        let text = String::from_utf8_lossy(&bytes).replace("|P|2.", "|T|2.");
        assert_eq!(output.success().stdout(), text, "{name}");
    }
    let noise = "\r\nnoise\r\x0BMSH|^~\\&|A\r\x1C\r\n";
    hl7().args(["set", "MSH-3=B"]).stdin(noise).run().success().stdout_is(noise.replace("|A", "|B"));
}

#[test]
fn a_value_never_breaks_out_of_its_place() {
    let first = |arguments: &[&str]| {
        let output = hl7().arg("set").args(arguments).stdin("MSH|^~\\&|A\rPID|1\r").run();
        output.success().stdout().split('\r').nth(1).unwrap().to_string()
    };
    assert_eq!(first(&["PID-2=a^b&c"]), "PID|1|a^b&c");
    assert_eq!(first(&["PID-2=a|b~c"]), "PID|1|a\\F\\b\\R\\c");
    assert_eq!(first(&["PID-2.1=a^b&c"]), "PID|1|a\\S\\b&c");
    assert_eq!(first(&["PID-2=x\\T\\y"]), "PID|1|x\\T\\y");
    assert_eq!(first(&["--text", "PID-2=a^b\\"]), "PID|1|a\\S\\b\\E\\");
    assert_eq!(first(&["PID-2=a\rOBX|1\n"]), "PID|1|a\\X0D\\OBX\\F\\1\\X0A\\");
    assert_eq!(first(&["PID-1="]), "PID|");
    assert_eq!(first(&["PID-2=a=b"]), "PID|1|a=b");
}

#[test]
fn text_goes_into_the_messages_character_set() {
    let file = data("hl7/latin1.hl7");
    let expected = std::fs::read(&file).unwrap();
    let output = hl7().args(["set", "PID-5.1=Bär"]).arg(&file).run();
    let at = expected.windows(6).position(|window| window == b"M\xFCller").unwrap();
    let expected = [&expected[..at], b"B\xE4r", &expected[at + 6..]].concat();
    output.success().stdout_is(expected);
    let output = hl7().args(["set", "PID-5.1=Łódź"]).arg(&file).run();
    output
        .code(2)
        .stdout_is("")
        .stderr_contains("byte 0: PID-5.1: 'Ł' is not of the message's character set");
    let output = hl7().args(["set", "MSH-18=UNICODE UTF-8", "PID-5.1=Łódź"]).stdin(TWO).run();
    output.success().stdout_contains("Łódź");
}

#[test]
fn what_cannot_be_set_ends_the_run() {
    for (assignment, cause) in [
        ("ZZZ-1=x", "ZZZ-1: the message has no such segment"),
        ("MSH-2=x", "MSH-2: the delimiters of a message cannot be changed in place"),
        ("PID-99999=x", "PID-99999: more than 10000 places beyond what the message has"),
    ] {
        let output = hl7().args(["set", assignment]).stdin(TWO).run();
        output.code(2).stdout_is("").stderr_is(&format!("hl7: standard input: byte 0: {cause}\n"));
    }
    let output = hl7().args(["set", "PID=x"]).stdin(TWO).run();
    output.code(2).stderr_contains("not a segment");
    hl7()
        .args(["set", "PID-5"])
        .stdin(TWO)
        .run()
        .code(2)
        .stderr_contains("no assignment, expected PATH=VALUE");
}

#[test]
fn files_follow_the_assignments() {
    let output =
        hl7().args(["set", "MSH-10=X"]).arg(data("hl7/adt.hl7")).arg("--").arg(data("hl7/latin1.hl7")).run();
    assert_eq!(output.success().stdout.windows(3).filter(|window| window == b"|X|").count(), 2);
}

#[test]
fn the_next_file_begins_in_a_line_of_its_own() {
    let directory = protogen_testkit::Dir::new();
    let one = directory.write("one", "MSH|^~\\&|A\rPID|1");
    let two = directory.write("two", "FHS|^~\\&|A\rMSH|^~\\&|B\rFTS|1");
    let output = hl7().args(["set", "MSH-4=x"]).args([&one, &two, &one]).run();
    output
        .success()
        .stdout_is("MSH|^~\\&|A|x\rPID|1\rFHS|^~\\&|A\rMSH|^~\\&|B|x\rFTS|1\rMSH|^~\\&|A|x\rPID|1");
    // A frame needs none.
    let output = hl7().args(["set", "MSH-4=x"]).stdin("MSH|^~\\&|A\rPID|1\x0BMSH|^~\\&|B\r\x1C\r").run();
    output.success().stdout_is("MSH|^~\\&|A|x\rPID|1\x0BMSH|^~\\&|B|x\r\x1C\r");
}
