use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use protogen_sys::mail::{MailError, Mailer, Route};
use protogen_testkit::Dir;
use protogen_testkit::smtp::{Manner, SmtpServer};

fn to(addresses: &[&str]) -> Vec<String> {
    addresses.iter().map(|address| (*address).to_owned()).collect()
}

fn smtp(server: &SmtpServer) -> Mailer {
    let address = server.address();
    let route = Route::Smtp { host: address.ip().to_string(), port: address.port() };
    Mailer::new(route, "hl7@gateway.example").with_timeout(Duration::from_secs(10))
}

fn sendmail(command: &Path) -> Mailer {
    Mailer::new(Route::Sendmail(command.to_owned()), "hl7@gateway.example")
        .with_timeout(Duration::from_secs(10))
}

/// A stand-in for sendmail that keeps its arguments and its input.
const SENDMAIL: &str =
    "printf '%s\\n' \"$@\" > \"$(dirname \"$0\")/arguments\"\ncat > \"$(dirname \"$0\")/mail\"\n";

#[test]
fn a_mail_server_receives_it() {
    let server = SmtpServer::start(Manner::Friendly);
    let recipients = to(&["admin@clinic.example", "root"]);
    smtp(&server).send(&recipients, "queue ABL held", "Köln: 3 messages\n.\n.dot\nend").unwrap();
    let mail = server.next_mail();
    assert_eq!(mail.from, "hl7@gateway.example");
    assert_eq!(mail.to, ["admin@clinic.example", "root@localhost"]);
    let (header, text) = mail.data.split_once("\r\n\r\n").unwrap();
    assert_eq!(text, "K?ln: 3 messages\r\n.\r\n.dot\r\nend\r\n");
    for line in [
        "From: hl7@gateway.example",
        "To: admin@clinic.example, root@localhost",
        "Subject: queue ABL held",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
    ] {
        assert!(header.lines().any(|one| one == line), "{line} in\n{header}");
    }
    assert!(header.contains("\r\nDate: "), "{header}");
}

#[test]
fn a_sendmail_command_receives_it() {
    let dir = Dir::new();
    let command = dir.script("sendmail", SENDMAIL);
    sendmail(&command).send(&to(&["admin@clinic.example"]), "held", "one\r\ntwo\n").unwrap();
    assert_eq!(dir.text("arguments"), "-i\n-f\nhl7@gateway.example\n--\nadmin@clinic.example\n");
    let mail = dir.text("mail");
    assert!(mail.ends_with("\n\none\ntwo\n"), "{mail}");
    assert!(mail.contains("Subject: held\n") && !mail.contains('\r'), "{mail}");
}

#[test]
fn nothing_in_a_subject_or_a_text_can_add_a_header_or_a_recipient() {
    let dir = Dir::new();
    let command = dir.script("sendmail", SENDMAIL);
    let mailer = sendmail(&command);
    let subject = format!("one\r\nBcc: evil@example\n\nbody\u{0}{}", "x".repeat(500));
    mailer.send(&to(&["a@b.example"]), &subject, &format!("{}\u{1b}[2J", "y".repeat(3000))).unwrap();
    let mail = dir.text("mail");
    let (header, text) = mail.split_once("\n\n").unwrap();
    assert!(!header.lines().any(|line| line.starts_with("Bcc")), "{header}");
    assert!(header.replace("\n ", " ").contains("Subject: one Bcc: evil@example  body xxx"), "{header}");
    assert!(text.lines().all(|line| line.len() <= 900) && text.contains("y [2J"), "{text}");
    for bad in ["-oQ/tmp@x.example", "a@b\nBcc: c@d", "a b@c.example", "\"a b\"@c.example", "a@", ""] {
        assert!(matches!(mailer.send(&to(&[bad]), "s", "t"), Err(MailError::BadAddress(_))), "{bad}");
    }
    assert!(matches!(mailer.send(&[], "s", "t"), Err(MailError::NoRecipient)));
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let dir = Dir::new();
    let command = dir.script("sendmail", SENDMAIL);
    sendmail(&command).send(&to(&["a@b.example"]), "s", &"é line\n".repeat(100_000)).unwrap();
    let mail = dir.text("mail");
    assert!(mail.len() < 300_000 && mail.ends_with("[the rest was cut]\n"));
}

#[test]
fn every_failure_is_a_value_that_says_what_to_do() {
    let dir = Dir::new();
    let one = to(&["a@b.example"]);
    let missing = sendmail(&dir.join("nothing")).send(&one, "s", "t").unwrap_err().to_string();
    assert!(missing.ends_with("set PG_SENDMAIL or PG_SMTP"), "{missing}");
    let failing = dir.script("failing", "echo 'no \x07queue' >&2; exit 75\n");
    let failed = sendmail(&failing).send(&one, "s", "t").unwrap_err().to_string();
    assert!(failed.ends_with("failing: exit status: 75: no  queue"), "{failed}");
    let hanging = dir.script("hanging", "sleep 600\n");
    let hung =
        sendmail(&hanging).with_timeout(Duration::from_secs(1)).send(&one, "s", "t").unwrap_err().to_string();
    assert!(hung.ends_with("hanging: killed after 1 s"), "{hung}");

    let refusing = SmtpServer::start(Manner::Refusing);
    let refused = smtp(&refusing).send(&one, "s", "t").unwrap_err().to_string();
    assert!(refused.contains("no such user here"), "{refused}");
    assert_eq!(refusing.try_mail(), None);
    let silent = SmtpServer::start(Manner::Silent);
    let error = smtp(&silent).with_timeout(Duration::from_secs(1)).send(&one, "s", "t").unwrap_err();
    assert!(matches!(error, MailError::Smtp { .. }), "{error}");
}

#[test]
fn the_environment_chooses_the_way() {
    let mailer = |variables: &[(&str, &str)]| {
        Mailer::from_variables(|name| {
            variables.iter().find(|row| row.0 == name).map(|row| OsString::from(row.1))
        })
        .map(|mailer| format!("{mailer:?}"))
    };
    assert!(mailer(&[]).unwrap().contains("Sendmail(\"/usr/sbin/sendmail\"), from: \"hl7@"));
    assert!(
        mailer(&[("PG_SENDMAIL", "/x"), ("PG_MAIL_FROM", "a@b")])
            .unwrap()
            .contains("Sendmail(\"/x\"), from: \"a@b\"")
    );
    for (server, expected) in [
        ("mail", "Smtp { host: \"mail\", port: 25 }"),
        ("mail:587", "Smtp { host: \"mail\", port: 587 }"),
        ("[::1]", "Smtp { host: \"::1\", port: 25 }"),
        ("[::1]:26", "Smtp { host: \"::1\", port: 26 }"),
    ] {
        let made = mailer(&[("PG_SENDMAIL", "/x"), ("PG_SMTP", server)]).unwrap();
        assert!(made.contains(expected), "{made}");
    }
    for bad in ["mail:", ":25", "mail:x", "mail:70000", "[::1", "[::1]x", "a b"] {
        assert!(matches!(mailer(&[("PG_SMTP", bad)]), Err(MailError::BadServer(_))), "{bad}");
    }
}
