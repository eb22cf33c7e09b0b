use super::TWO;
use crate::support::{data, hl7};

fn ack(arguments: &[&str], input: impl AsRef<[u8]>) -> protogen_testkit::Output {
    hl7().args(["ack", "--time", "2026", "--id", "Q"]).args(arguments).stdin(input).run()
}

#[test]
fn each_message_is_answered() {
    ack(&[], TWO).success().stdout_is(
        "MSH|^~\\&|C|D|A|B|2026||ACK^A01|Q1|P|2.3\rMSA|AA|1\rMSH|^~\\&|C|D|A|B|2026||ACK^A08|Q2|P|2.3\rMSA|AA|2\r",
    );
}

#[test]
fn the_answer_is_framed_as_the_message_was() {
    let output = ack(&[], std::fs::read(data("hl7/framed.hl7")).unwrap());
    let text = output.success().stdout();
    assert_eq!((text.matches('\x0B').count(), text.matches("\x1C\r").count()), (3, 3), "{output}");
    // The ORU asks for a commit acknowledgment.
    output.stdout_contains("ACK^R01^ACK|Q2|P|2.5\rMSA|CA|L2026112000417\r\x1C\r");
}

#[test]
fn code_text_and_errors() {
    let one = "MSH|^~\\&|A||B|||T|ORU^R01|7|P|2.5\r";
    let output =
        ack(&["--code", "ae", "--text", "no bed", "--error", "PV1-3.2=101", "--error", "PID-3=204"], one);
    output.success().stdout_is(
        "MSH|^~\\&|B||A||2026||ACK^R01^ACK|Q1|P|2.5\rMSA|AE|7|no bed\r\
        ERR||PV1^1^3^1^2|101^Required field missing^HL70357|E||||no bed\r\
        ERR||PID^1^3^1|204^Unknown key identifier^HL70357|E\r"
            .replace("|E||||no bed", "|E"),
    );
    ack(&["--error", "PID-3=999"], one).code(2).stderr_contains("\"999\" is no code of HL7 table 0357");
    ack(&["--error", "PID-3"], one).code(2).stderr_contains("expected PATH=CODE, as PID-3.1=101");
}

#[test]
fn none_where_none_is_due() {
    ack(&[], "MSH|^~\\&|A||B|||T|ORU|7|P|2.5|||NE|NE\r").success().stdout_is("");
    ack(&[], "MSH|^~\\&|A||B|||T|ACK|7|P|2.5\rMSA|AA|1\r").success().stdout_is("");
    ack(&["--code", "AA"], "MSH|^~\\&|A||B|||T|ORU|7|P|2.5|||NE|NE\r").success().stdout_contains("MSA|AA|7");
}

#[test]
fn a_batch_is_answered_by_a_batch() {
    let output = ack(&[], std::fs::read(data("hl7/batch.hl7")).unwrap());
    let lines: Vec<String> = output.success().stdout().split('\r').map(str::to_string).collect();
    assert_eq!(lines[0], "FHS|^~\\&|STATION|IOP|LABOR|ZLAB|2026||||Q1|F77");
    assert_eq!(lines[1], "BHS|^~\\&|STATION|IOP|LABOR|ZLAB|2026||||Q2|B12");
    assert_eq!(lines[8..], ["BTS|3", "FTS|1", ""]);
    hl7().arg("check").stdin(&output.stdout).run().success().stdout_is("");
}

#[test]
fn an_unreadable_header_is_rejected() {
    let output = ack(&[], "MSH|\rPID|1\r");
    output
        .code(1)
        .stdout_contains("MSA|AR||MSH-2 is empty at byte 4")
        .stderr_contains("byte 0: MSH-2 is empty");
}

#[test]
fn a_network_query_gets_its_answer() {
    let output = ack(&[], "MSH|^~\\&|A||B|||T|NMQ|7|P|2.1\rNCK\rNST\r");
    output.success().stdout_is("MSH|^~\\&|B||A||2026||NMR|Q1|P|2.1\rMSA|AA|7\rNCK|2026\rNST|N\r");
}

#[test]
fn time_and_id_are_made_where_they_are_not_given() {
    let output = hl7().arg("ack").stdin(TWO).run();
    let answers = hl7().args(["get", "MSH-7", "MSH-10"]).stdin(&output.success().stdout).run();
    let lines: Vec<Vec<String>> =
        answers.stdout().lines().map(|line| line.split('\t').map(str::to_string).collect()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(line[0].len() == 19 && line[0][..14].bytes().all(|b| b.is_ascii_digit()), "{line:?}");
        assert!(line[1].len() <= 20, "{line:?}");
    }
    assert_ne!(lines[0][1], lines[1][1]);
}

#[test]
fn text_in_the_senders_character_set() {
    let output = ack(&["--text", "Prüfen"], "MSH|^~\\&|A||B|||T|ORU|7|P|2.3||||||8859/1\r");
    output.success().stdout_is(b"MSH|^~\\&|B||A||2026||ACK|Q1|P|2.3||||||8859/1\rMSA|AA|7|Pr\xFCfen\r");
    ack(&["--text", "Prüfen"], "MSH|^~\\&|A||B|||T|ORU|7|P|2.3\r")
        .success()
        .stdout_contains("MSA|AA|7|Pr?fen\r");
}

#[test]
fn a_framed_batch_is_answered_in_one_frame() {
    let batch = std::fs::read(data("hl7/batch.hl7")).unwrap();
    let plain = ack(&[], &batch).success().stdout.clone();
    for end in [&b"\x1C\r"[..], b"\x1C", b""] {
        let framed = ack(&[], [b"\x0B", &batch[..], end].concat());
        framed.success().stdout_is([b"\x0B", &plain[..], b"\x1C\r"].concat());
    }
    // The frame ends even where its last message gets no answer, and the next message has one of its own.
    let output = ack(
        &[],
        "\x0BBHS|^~\\&\rMSH|^~\\&|A||B||||ORU|7|P|2.3\rMSH|^~\\&|||||||ACK|8\rMSA|AA|1\r\x1C\r\
         \x0BMSH|^~\\&|A||B||||ORU|9|P|2.3\r\x1C\r",
    );
    output.success().stdout_is(
        "\x0BBHS|^~\\&|||||2026||||Q1|\rMSH|^~\\&|B||A||2026||ACK|Q2|P|2.3\rMSA|AA|7\r\x1C\r\
         \x0BMSH|^~\\&|B||A||2026||ACK|Q4|P|2.3\rMSA|AA|9\r\x1C\r",
    );
}

#[test]
fn time_and_id_do_not_divide_the_header() {
    for arguments in [["--time", "1|2"], ["--id", "a^b"], ["--id", "a\rb"]] {
        hl7().arg("ack").args(arguments).stdin(TWO).run().code(2).stdout_is("");
    }
    let output = hl7().args(["ack", "--time", "20261123120000.5+0100", "--id", "LAB_1-"]).stdin(TWO).run();
    output.success().stdout_contains("|20261123120000.5+0100||ACK^A01|LAB_1-1|");
}

#[test]
fn the_trailer_counts_the_answers() {
    let output = ack(
        &[],
        "FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|||||||NMR|1|P|2.1\rMSH|^~\\&|||||||ORU|2|P|2.1\rBTS\r\
         BHS|^~\\&\rMSH|^~\\&|||||||ORU|3|P|2.1\rBTS\rFTS\rFHS|^~\\&\rFTS\r",
    );
    let text = output.success().stdout();
    let trailers: Vec<&str> =
        text.split('\r').filter(|line| line.starts_with("BTS") || line.starts_with("FTS")).collect();
    assert_eq!(trailers, ["BTS|1", "BTS|1", "FTS|2", "FTS|0"]);
}

#[test]
fn an_error_is_no_acceptance() {
    let one = "MSH|^~\\&|A||B|||T|ORU^R01|7|P|2.5";
    ack(&["--error", "PID-3=101"], one).success().stdout_contains("MSA|AE|7\rERR");
    ack(&["--error", "PID-3=101", "--error", "PID-4=204"], one).success().stdout_contains("MSA|AR|7\rERR");
    ack(&["--error", "PID-3=101"], format!("{one}|||AL")).success().stdout_contains("MSA|CE|7\rERR");
    ack(&["--error", "PID-3=101"], format!("{one}|||SU")).success().stdout_is("");
    ack(&["--error", "PID-3=0"], one).success().stdout_contains("MSA|AA|7\rERR");
    ack(&["--code", "AA", "--error", "PID-3=101"], one).success().stdout_contains("MSA|AA|7\rERR");
    let query = "MSH|^~\\&|A||B|||T|NMQ|7|P|2.1\rNCK\r";
    ack(&["--error", "NCK-1=207"], query).success().stdout_contains("MSA|AR|7\rERR");
}
