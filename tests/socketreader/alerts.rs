//! Who is called, when, and what they are told.

use protogen_testkit::TestCommand;
use protogen_testkit::smtp::{Manner, SmtpServer};

use super::certificates::Authority;
use super::reload::reload;
use super::support::{Peer, Router, Setup, acknowledgment, adt, adts};

/// What stands between two calls in the file of them.
const BETWEEN: &str = "\n=====\n";

/// A router whose alerts are kept in a file, from the directory `in` to what `outputs` adds.
pub fn calling(general: &str, outputs: impl FnOnce(Setup) -> Setup) -> Router {
    let setup = Setup::new().file_in("in", "settle = 0");
    let script = setup.dir.script("call", "cat >.call; { cat .call; printf '\\n=====\\n'; } >>calls\n");
    let setup = setup.general(&format!("alert = {}\n{general}", script.display()));
    setup.dir.write("calls", "");
    outputs(setup).start()
}

/// The same to a receiver that we are, with messages waiting.
fn to_a_receiver(count: usize, options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let options = format!("usehl7 = True\nretries = 1\n{options}");
    let router = calling("mailinterval = 1", |setup| setup.client_out("out", receiver.port(), &options));
    put(&router, count);
    (router, receiver)
}

fn put(router: &Router, count: usize) {
    for message in adts("A", count) {
        super::support::put(
            router.dir.join(format!("in/{}", super::support::control_id(&message))),
            &message,
        );
    }
}

/// The calls so far.
pub fn calls(router: &Router) -> Vec<String> {
    let text = router.dir.text("calls");
    text.split(BETWEEN).filter(|call| !call.is_empty()).map(str::to_owned).collect()
}

/// The first call that has this in its subject, waited for.
#[track_caller]
pub fn call(router: &Router, subject: &str) -> String {
    let mut found = None;
    router.wait(&format!("a call about {subject}"), || {
        let is_it = |call: &String| call.lines().next().unwrap().contains(subject);
        found = calls(router).into_iter().find(is_it);
        found.is_some()
    });
    let call = found.unwrap();
    assert!(!call.contains("Doe"), "a call with the content of a message: {call}");
    call
}

/// The commands that a call names, as they stand there; asserts what comes behind the configuration's name.
#[track_caller]
fn commands(call: &str, expected: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = call.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let options: Vec<&str> =
        lines.iter().map(|line| line.split_once(".cfg ").unwrap_or_else(|| panic!("{line}")).1).collect();
    assert_eq!(options, expected, "{call}");
    lines.into_iter().map(str::to_owned).collect()
}

/// Runs a command of a call as somebody does who pastes it.
#[track_caller]
pub fn paste(router: &Router, command: &str) {
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_socketreader")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    TestCommand::new("sh").arg("-c").arg(command).env("PATH", path).in_dir(router.dir.path()).run().success();
}

/// Answers what comes with these codes.
fn answer(link: &mut super::support::Link, codes: &str) {
    for code in codes.split(' ') {
        let message = link.frame();
        link.send(&acknowledgment(&message, code));
    }
}

/// How many dead letters all calls together name.
fn dead_letters_told(router: &Router) -> u32 {
    let told = |call: &String| {
        let subject = call.lines().next().unwrap();
        let (before, _) = subject.split_once(" dead letter").unwrap_or(("0", ""));
        before.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    calls(router).iter().map(told).sum()
}

#[test]
fn dead_letters_are_told_with_their_number_and_what_to_do() {
    let (mut router, receiver) = to_a_receiver(3, "breaker = 0");
    let mut link = receiver.accept();
    answer(&mut link, "AE AA AE");
    let told = call(&router, " dead letter");
    assert!(told.lines().next().unwrap().starts_with("out: "), "{told}");
    router.wait("both dead letters told", || dead_letters_told(&router) == 2);
    let lines = commands(&told, &["--queues", "--show out dead", "--resend out dead", "--drop out dead"]);
    lines[..3].iter().for_each(|line| paste(&router, line));
    answer(&mut link, "AE AA");
    router.wait("the third dead letter told", || dead_letters_told(&router) == 3);
    paste(&router, &lines[3]);
    router.end();
}

#[test]
fn one_call_in_mailinterval_and_the_rest_is_counted() {
    let (one, two) = (Peer::listen(), Peer::listen());
    let options = "usehl7 = True\nretries = 1\nbreaker = 0\n";
    let mut router = calling("mailinterval = 86400", |setup| {
        setup.client_out("one", one.port(), options).client_out("two", two.port(), options)
    });
    put(&router, 4);
    let (mut one, mut two) = (one.accept(), two.accept());
    answer(&mut one, "AE");
    call(&router, "one: 1 dead letter");
    answer(&mut one, "AE AE AE");
    router.wait_for_log("one - ERROR - message 4 is a dead letter");
    // Whoever looks at the other one has looked at this one, too.
    answer(&mut two, "AE");
    call(&router, "two: 1 dead letter");
    assert_eq!(dead_letters_told(&router), 2, "{:?}", calls(&router));
    answer(&mut two, "AA AA AA");
    router.end();
}

#[test]
fn a_queue_that_is_held_and_that_it_is_over() {
    let (mut router, receiver) = to_a_receiver(3, "breaker = 1");
    let mut link = receiver.accept();
    answer(&mut link, "AE AE");
    let told = call(&router, "queue held");
    assert!(told.contains("1 dead letters in a row"), "{told}");
    let (_, mend) = told.split_once("To mend:").unwrap();
    assert!(mend.contains("--drop out 2"), "the message that is tried: {told}");
    let resume = told.lines().find(|line| line.contains("--resume out")).unwrap();
    paste(&router, resume);
    answer(&mut link, "AA AA");
    let over = call(&router, "out: recovered: queue held");
    assert!(over.contains("0 messages waiting") && !over.contains("To mend"), "{over}");
    router.end();
}

#[test]
fn a_connection_that_stopped_by_itself() {
    let (mut router, receiver) = to_a_receiver(2, "onae = stop");
    let mut link = receiver.accept();
    answer(&mut link, "AE");
    let told = call(&router, "stopped; 2 messages waiting");
    assert!(told.contains("message 1 was answered AE"), "{told}");
    let lines = commands(&told, &["--queues", "--show out 1", "--resume out"]);
    lines.iter().for_each(|line| paste(&router, line));
    answer(&mut link, "AA AA");
    call(&router, "out: recovered: stopped");
    router.end();
}

#[test]
fn an_operators_pause_is_no_alert_until_messages_get_old() {
    let (mut router, _receiver) = to_a_receiver(0, "maxage = 0.2");
    router.ask(&["--pause", "out"]).success();
    put(&router, 1);
    let told = call(&router, "messages wait too long");
    commands(&told, &["--queues"]);
    assert!(!told.contains("stopped"), "{told}");
    assert!(told.contains("1 message waiting, the oldest since 20"), "{told}");
    router.end();
}

#[test]
fn a_receiver_that_is_away_while_messages_wait() {
    let port = super::support::port();
    let mut router = calling("mailinterval = 1", |setup| {
        setup.client_out("out", port, "usehl7 = True\ndowntime = 0.1").file_out("files", "")
    });
    // Nothing waits, so nobody is called: the other output's trouble is told first.
    std::fs::remove_dir(router.dir.join("files")).unwrap();
    router.wait_for_log("tried again");
    put(&router, 1);
    call(&router, "files: cannot write files; 1 message waiting");
    let told = call(&router, "out: no receiver; 1 message waiting");
    assert!(
        told.contains(&format!("127.0.0.1:{port}")) || told.contains("no receiver since the start"),
        "{told}"
    );
    let receiver = Peer::listen_on(port);
    answer(&mut receiver.accept(), "AA");
    call(&router, "out: recovered: no receiver");
    router.dir.make("files");
    call(&router, "files: recovered: cannot write files");
    router.end();
}

#[test]
fn a_command_that_fails_on_a_message() {
    let mut router = calling("mailinterval = 1", |setup| {
        setup.file_out("out", "pipe = test -e mended && exec cat; exit 1")
    });
    put(&router, 1);
    let told = call(&router, "out: pipe fails; 1 message waiting");
    commands(&told, &["--queues", "--show out 1", "--resume out", "--drop out 1"]);
    assert!(
        told.contains("pipe: it ended, exit status: 1; message 1 is held, after 3 attempts: ADT"),
        "{told}"
    );
    router.dir.write("mended", "");
    router.ask(&["--resume", "out"]).success();
    assert_eq!(router.files("out", 1), adts("A", 1));
    call(&router, "out: recovered: pipe fails");
    router.end();
}

#[test]
fn a_receiver_that_closes_twice_on_the_same_message() {
    let (mut router, receiver) = to_a_receiver(1, "downtime = 0");
    for _ in 0..2 {
        let mut link = receiver.accept();
        link.frame();
    }
    let told = call(&router, "no answer; 1 message waiting");
    let what = "no answer to message 1, 2 times: ADT^A01 A000, 78 bytes; at last closed by the receiver";
    assert!(told.contains(what), "{told}");
    commands(&told, &["--queues", "--show out 1", "--resume out", "--drop out 1"]);
    answer(&mut receiver.accept(), "AA");
    call(&router, "out: recovered: no answer");
    router.end();
}

#[test]
fn three_answers_to_other_messages() {
    let (mut router, receiver) = to_a_receiver(1, "");
    let mut link = receiver.accept();
    let message = link.frame();
    for id in ["X", "Y", "Z"] {
        link.send(&acknowledgment(&adt(id), "AA"));
    }
    let told = call(&router, "answers to other messages");
    commands(&told, &["--queues"]);
    link.send(&acknowledgment(&message, "AA"));
    call(&router, "out: recovered: answers to other messages");
    router.end();
}

#[test]
fn a_disk_with_little_room_and_a_slow_one() {
    let mut router = calling("mailinterval = 1\ndisklow = 1000000G\nslowsync = 0.000001", |setup| {
        setup.file_out("out", "")
    });
    let told = call(&router, "disk nearly full");
    assert!(told.contains("MiB of room are left"), "{told}");
    put(&router, 1);
    let told = call(&router, "disk slow");
    assert!(told.contains("storing a group of messages took"), "{told}");
    router.end();
}

#[test]
fn a_disk_that_does_not_come_back_is_told_while_it_hangs() {
    let setup = Setup::new().file_in("in", "settle = 0").file_out("out", "");
    let script = setup.dir.script("call", "cat >.call; { cat .call; printf '\n=====\n'; } >>calls\n");
    let setup = setup.general(&format!("alert = {}\nslowsync = 1", script.display()));
    setup.dir.write("calls", "");
    let _ = setup.command(); // writes the configuration
    let segment = setup.dir.join("state/journal/00000000000000000001.seg");
    // Each sync of the journal takes half an hour.
    let command = TestCommand::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "--trace=fdatasync"])
        .args(["--inject=fdatasync:delay_enter=1800000000", "-P"])
        .arg(segment)
        .arg(env!("CARGO_BIN_EXE_socketreader"))
        .arg("-c")
        .arg(setup.dir.join("sr.cfg"))
        .in_dir(setup.dir.path());
    let router = setup.start_with(&command);
    put(&router, 1);
    assert!(call(&router, "disk slow").contains("storing a group of messages took"));
}

/// The calls about certificates, by their first lines without the host.
fn about_certificates(router: &Router) -> Vec<String> {
    let subjects = calls(router).into_iter().map(|call| call.lines().next().unwrap().to_owned());
    let subjects = subjects.filter(|subject| subject.contains("certificate"));
    subjects.map(|subject| subject.split(" on ").next().unwrap().to_owned()).collect()
}

/// Has the alerts look twice at least.
fn looked_at(router: &Router) {
    std::fs::remove_dir(router.dir.join("files")).unwrap();
    put(router, 1);
    call(router, "files: cannot write files; 1 message waiting");
    router.dir.make("files");
    call(router, "files: recovered: cannot write files");
}

#[test]
fn a_certificate_30_days_before_its_end() {
    let mut authority = None;
    let mut router = calling("mailinterval = 1", |setup| {
        let signer = authority.insert(Authority::new(&setup.dir));
        let soon = signer.issue_for("shown", &["localhost"], "29", "");
        let later = signer.issue_for("later", &["localhost"], "31", "");
        setup
            .server_in("soon", &format!("usehl7 = True\n{}", soon.options()))
            .server_in("later", &format!("usehl7 = True\n{}", later.options()))
            .file_out("files", "")
    });
    let authority = authority.unwrap();
    let told = call(&router, "certificate ends on ");
    assert!(
        told.contains("  certificate ends, since 20") && told.contains("[soon] the certificate ends on 20"),
        "{told}"
    );
    assert!(!told.contains("[later]"), "{told}");
    looked_at(&router);
    assert_eq!(about_certificates(&router), ["certificate ends"]);
    let renew = |days: &str| {
        let line = reload(&router, |text| {
            authority.issue_for("shown", &["localhost"], days, "");
            text
        });
        assert!(line.contains("no connection has changed"), "{line}");
    };
    // Not renewed for long enough: this one is told as well.
    renew("20");
    router.wait("a second call", || about_certificates(&router).len() == 2);
    renew("300");
    call(&router, "recovered: certificate ends");
    let all = ["certificate ends", "certificate ends", "recovered: certificate ends"];
    assert_eq!(about_certificates(&router), all);
    router.end();
}

#[test]
fn a_certificate_of_a_connection_that_is_gone() {
    let mut router = calling("", |setup| {
        let soon = Authority::new(&setup.dir).issue_for("soon", &["localhost"], "20", "");
        setup.server_in("tls", &format!("usehl7 = True\n{}", soon.options())).file_out("files", "")
    });
    call(&router, "certificate ends on ");
    let line = reload(&router, |text| text.replacen(", tls", "", 1));
    assert!(line.contains("gone: tls"), "{line}");
    call(&router, "recovered: certificate ends");
    router.end();
}

#[test]
fn by_mail() {
    let server = SmtpServer::start(Manner::Friendly);
    let receiver = Peer::listen();
    let setup = Setup::new().file_in("in", "settle = 0").general("alert = mail");
    let setup = setup.client_out("out", receiver.port(), "usehl7 = True");
    let command = setup.command().env("ADMIN", "night@example.org");
    let mut router = setup.start_with(&command.env("PG_SMTP", server.address().to_string()));
    put(&router, 1);
    answer(&mut receiver.accept(), "AE");
    let mail = server.next_mail();
    assert_eq!(mail.to, ["night@example.org"]);
    assert!(mail.data.contains("Subject: socketreader: out: 1 dead letter\r\n"), "{}", mail.data);
    assert!(mail.data.contains("    socketreader -c ") && !mail.data.contains("Doe"), "{}", mail.data);
    router.end();
}

#[test]
fn a_call_that_fails_is_made_again() {
    let receiver = Peer::listen();
    let setup = Setup::new().file_in("in", "settle = 0");
    let script = "cat >.call; test -e broken && exit 3; { cat .call; printf '\\n=====\\n'; } >>calls\n";
    let script = setup.dir.script("call", script);
    let setup = setup.general(&format!("alert = {}\nmailinterval = 86400", script.display()));
    setup.dir.write("calls", "");
    setup.dir.write("broken", "");
    let options = "usehl7 = True\nretries = 1\nbreaker = 1";
    let mut router = setup.client_out("out", receiver.port(), options).start();
    put(&router, 3);
    let mut link = receiver.accept();
    answer(&mut link, "AE AE");
    let failed = |times: usize| {
        router.wait("a call that failed", || {
            router.log().matches("nobody could be told: the alert command: exit status: 3").count() >= times
        });
    };
    failed(2);
    assert_eq!(calls(&router), [""; 0]);
    std::fs::remove_file(router.dir.join("broken")).unwrap();
    let told = call(&router, "queue held");
    assert!(told.lines().next().unwrap().contains("1 dead letter"), "{told}");
    router.dir.write("broken", "");
    let before = router.log().matches("nobody could be told").count();
    router.ask(&["--resume", "out"]).success();
    answer(&mut link, "AA AA");
    failed(before + 1);
    std::fs::remove_file(router.dir.join("broken")).unwrap();
    call(&router, "out: recovered: queue held");
    assert_eq!(calls(&router).len(), 2, "{:?}", calls(&router));
    router.end();
}

#[test]
fn a_call_that_hangs_or_fails_stops_nothing() {
    for (script, logged) in
        [("exec sleep 1000", None), ("echo no line >&2; exit 3", Some("exit status: 3: no line"))]
    {
        let receiver = Peer::listen();
        let setup = Setup::new().server_in("in", "usehl7 = True");
        let call = setup.dir.script("call", &format!("echo called >>calls; {script}\n"));
        let setup = setup.general(&format!("alert = {}", call.display()));
        let mut router = setup.client_out("out", receiver.port(), "usehl7 = True").start();
        let mut sender = router.connect("in");
        sender.exchange(&adt("A1"), "AA A1");
        let mut link = receiver.accept();
        answer(&mut link, "AE");
        router.wait("the call", || router.dir.join("calls").exists());
        if let Some(logged) = logged {
            router.wait_for_log(logged);
        }
        sender.exchange(&adt("A2"), "AA A2");
        answer(&mut link, "AA");
        router.end();
    }
}
