use super::TWO;
use crate::support::{data, hl7};
use protogen_testkit::Dir;

#[test]
fn the_same_is_status_0_and_silent() {
    let file = data("hl7/framed.hl7");
    hl7().arg("diff").args([&file, &file]).run().success().stdout_is("");
    // How the segments end is no difference between fields.
    hl7().arg("diff").args([data("hl7/adt.hl7"), data("hl7/adt-crlf.hl7")]).run().success().stdout_is("");
}

#[test]
fn differences_field_by_field() {
    let directory = Dir::new();
    let a = directory.write("a", TWO);
    let b = directory.write("b", TWO.replace("Doe^Jo", "Doe^Joe^X").replace("PID|1||9", "NTE|1\rPID|1||10"));
    let output = hl7().arg("diff").args([&a, &b]).run();
    output.code(1).stdout_is(
        "message 1: PID-5.2: \"Jo\" -> \"Joe\"\nmessage 1: PID-5.3: absent -> \"X\"\n\
         message 2: NTE: only in B: NTE|1\nmessage 2: PID-3: \"9\" -> \"10\"\n",
    );
    let output = hl7().args(["diff", "--json"]).args([&a, &b]).run();
    let first: serde_json::Value =
        serde_json::from_str(output.code(1).stdout().lines().next().unwrap()).unwrap();
    assert_eq!(first, serde_json::json!({ "message": 1, "path": "PID-5.2", "a": "Jo", "b": "Joe" }));
}

#[test]
fn messages_that_only_one_side_has() {
    let directory = Dir::new();
    let one = directory.write("one", TWO.split("\rMSH").next().unwrap());
    let output = hl7().arg("diff").arg(&one).arg("-").stdin(TWO).run();
    output.code(1).stdout_is("message 2: only in B: control id 2\n");
}

#[test]
fn what_cannot_be_compared() {
    hl7()
        .args(["diff", "-", "-"])
        .run()
        .code(2)
        .stderr_is("hl7: only one of the files can be standard input\n");
    let output = hl7().arg("diff").arg(data("hl7/adt.hl7")).arg("-").stdin("MSH|\r").run();
    output.code(2).stderr_contains("hl7: -: message 1: MSH-2 is empty");
    let output = hl7().arg("diff").arg(data("hl7/adt.hl7")).arg("-").stdin("x").run();
    output.code(2).stderr_contains("-: no message found");
}
