use super::TWO;
use crate::support::{data, hl7};

fn ids(arguments: &[&str]) -> Vec<String> {
    let output = hl7().arg("grep").args(arguments).stdin(TWO).run();
    assert!(output.stderr.is_empty(), "{output}");
    let found = hl7().args(["get", "MSH-10"]).stdin(&output.stdout).run();
    let found = found.stdout().lines().map(str::to_string).collect::<Vec<_>>();
    assert_eq!(output.status.code(), Some(i32::from(found.is_empty())), "{output}");
    found
}

#[test]
fn each_condition() {
    assert_eq!(ids(&["PID-5"]), ["1", "2"]);
    assert_eq!(ids(&["PID-6"]), [""; 0]);
    assert_eq!(ids(&["MSH-9.2=A08"]), ["2"]);
    assert_eq!(ids(&["MSH-9.2!=A08"]), ["1"]);
    assert_eq!(ids(&["PID-5.1~oe"]), ["1", "2"]);
    assert_eq!(ids(&["PID-5=Doe^Jo"]), ["1"]);
    assert_eq!(ids(&["PID-5.1~D"]), ["1"]);
    assert_eq!(ids(&["-v", "MSH-9.2=A08"]), ["1"]);
    assert_eq!(ids(&["--invert", "PID-5"]), [""; 0]);
}

#[test]
fn an_index_left_out_means_any() {
    assert_eq!(ids(&["PID-3=8"]), ["1"]);
    assert_eq!(ids(&["PID-3[1]=8"]), [""; 0]);
    hl7().args(["grep", "-q", "OBX-3.1=2713-6"]).arg(data("hl7/oru.hl7")).run().success().stdout_is("");
    hl7().args(["grep", "-q", "OBX[1]-3.1=2713-6"]).arg(data("hl7/oru.hl7")).run().code(1);
}

#[test]
fn messages_leave_as_they_came() {
    let framed = std::fs::read(data("hl7/framed.hl7")).unwrap();
    let oru = std::fs::read(data("hl7/oru.hl7")).unwrap();
    let output = hl7().args(["grep", "MSH-9.1=ORU"]).stdin(&framed).run();
    output.success().stdout_is([b"\x0B", &oru[..], b"\x1C\r"].concat());
    // The last of a plain file has no end; the next would begin in its line.
    let output = hl7().args(["grep", "PID-5", "-", "-"]).stdin("MSH|^~\\&|A\rPID|||||x").run();
    output.success().stdout_is("MSH|^~\\&|A\rPID|||||x");
    let output = hl7().args(["grep", "PID-5"]).arg(data("hl7/batch.hl7")).run();
    output.success().stdout_contains("MSH");
    assert!(!output.stdout().contains("BHS"));
}

#[test]
fn values_are_compared_as_text_in_the_messages_set() {
    let file = data("hl7/latin1.hl7");
    hl7().args(["grep", "-q", "PID-5.1=Müller"]).arg(&file).run().success();
    hl7().args(["grep", "-q", "NTE-3~\\ links"]).arg(&file).run().success();
    hl7().args(["grep", "-q", "PID-5.1=Łódź"]).arg(&file).run().code(1);
    // A set that is not declared is guessed, as for `cat` and `get --json`.
    for name in [&b"M\xFCller"[..], "Müller".as_bytes()] {
        let text = [b"MSH|^~\\&|A\rPID|||||", name].concat();
        hl7().args(["grep", "-q", "PID-5.1=Müller"]).stdin(&text).run().success();
        hl7().args(["grep", "-q", "PID-5.1~ülle"]).stdin(&text).run().success();
        hl7().args(["grep", "-q", "PID-5.1!=Müller"]).stdin(&text).run().code(1);
    }
    // The second byte of a Big5 character is no '^'.
    let big5 = b"MSH|^~\\&|||||||A|1|P|2.3||||||BIG-5\rPID|\xA5\x7C\xA5\x5E\r";
    hl7().args(["grep", "-q", "PID-1~四"]).stdin(big5).run().success();
    hl7().args(["grep", "-q", "PID-1~^"]).stdin(big5).run().code(1);
    hl7().args(["grep", "-q", "PID-1~"]).stdin(big5).run().success();
}

#[test]
fn counting() {
    hl7().args(["grep", "-c", "PID-5"]).stdin(TWO).run().success().stdout_is("2\n");
    hl7().args(["grep", "--count", "PID-9"]).stdin(TWO).run().code(1).stdout_is("0\n");
    hl7().args(["grep", "--quiet", "PID-5"]).stdin(TWO).run().success().stdout_is("");
}

#[test]
fn conditions_that_are_none() {
    let output = hl7().args(["grep", "PID-5!x"]).stdin(TWO).run();
    output.code(2).stderr_contains("\"!x\" is no condition, expected =VALUE, !=VALUE or ~VALUE");
    hl7().args(["grep", "PID5=x"]).stdin(TWO).run().code(2).stderr_contains("not a path at character 4");
}

#[test]
fn a_message_that_cannot_be_read_may_be_the_one() {
    let output = hl7().args(["grep", "-q", "PID-5=Doe^Jo"]).stdin(format!("MSH|\r{TWO}")).run();
    output.code(2).stderr_contains("MSH-2 is empty");
}
