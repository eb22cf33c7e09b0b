//! The figures: for Prometheus, by its own parser; whether the program is well; and in the log.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use protogen_testkit::daemon::Signal;

use super::site::Site;
use super::support::{LIMIT, Peer, Router, Setup, acknowledgment, adt, adts, control_id, port};
use crate::support::{peer, python};

const HL7: &str = "usehl7 = True";

/// Asks over HTTP: gives the status and the body.
fn get(port: u16, path: &str) -> (u16, String) {
    let answer = ask(port, format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap());
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn ask(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // What it does not read may reset the connection behind its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// The samples, as Prometheus's parser reads them.
#[track_caller]
fn scrape(port: u16) -> HashMap<String, f64> {
    let (status, text) = get(port, "/metrics");
    assert_eq!(status, 200);
    let output = python().arg(peer("scrape.py")).stdin(text).run();
    let samples = output.success().stdout();
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.strip_prefix("socketreader_").unwrap().to_owned(), value.parse().unwrap())
    };
    samples.lines().map(sample).collect()
}

/// One sample, without a parser.
#[track_caller]
pub fn figure(port: u16, name: &str) -> f64 {
    let (_, text) = get(port, "/metrics");
    let name = format!("socketreader_{name} ");
    let value = text.lines().find_map(|line| line.replace('"', "").strip_prefix(&name)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}in {text}"))
}

/// accepted + resent = delivered + dead + dropped + pending, for each output: gives how many were accepted.
#[track_caller]
fn adds_up(samples: &HashMap<String, f64>, output: &str) -> f64 {
    let of = |name: &str| samples[&format!("{name}{{connection={output}}}")];
    let settled = of("delivered_total") + of("dead_letters") + of("dropped_total") + of("pending");
    assert_eq!(of("accepted_total") + of("resent_total"), settled, "{output}: {samples:?}");
    of("accepted_total")
}

/// A setup that serves figures, and the port.
fn setup() -> (Setup, u16) {
    let port = port();
    (Setup::new().general(&format!("metrics = 127.0.0.1:{port}")), port)
}

#[test]
fn a_scrape_has_what_happened() {
    let receiver = Peer::listen();
    let (setup, figures) = setup();
    let mut router = setup
        .server_in("in", "usehl7 = True\nallow = 127.0.0.1")
        .server_in("odd \"name\\", "queuename = odd")
        .file_out("odd", "queuename = odd")
        .client_out("out", receiver.port(), "usehl7 = True\nonar = dead\nretries = 2")
        .file_out("files", "")
        .start();
    let mut input = router.connect("in");
    let messages = adts("A", 10);
    for message in &messages {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    input.raw(b"\x0bMSH|broken\x1c\r");
    input.frame();
    let mut link = receiver.accept();
    for code in ["AA", "AE", "AR", "AR", "AA"] {
        let message = link.frame();
        link.send(&acknowledgment(&message, code));
    }
    router.wait_for_log("message 4 delivered");
    router.files("files", 10);
    router.wait_for_log("message 10 written");
    link.frame();
    let samples = scrape(figures);
    let of = |name: &str, labels: &str| samples[&format!("{name}{{{labels}}}")];
    let bytes: usize = messages.iter().map(Vec::len).sum();
    for (name, labels, expected) in [
        ("messages_total", "connection=in,direction=in", 10.0),
        ("bytes_total", "connection=in,direction=in", bytes as f64),
        ("peers", "connection=in,direction=in", 1.0),
        ("peers", "connection=out,direction=out", 1.0),
        ("answers_total", "code=AA,connection=in,direction=in", 10.0),
        ("answers_total", "code=AR,connection=in,direction=in", 1.0),
        ("answers_total", "code=AA,connection=out,direction=out", 2.0),
        ("answers_total", "code=AE,connection=out,direction=out", 1.0),
        ("answers_total", "code=AR,connection=out,direction=out", 2.0),
        ("messages_total", "connection=out,direction=out", 2.0),
        ("messages_total", "connection=files,direction=out", 10.0),
        ("retries_total", "connection=out,direction=out", 1.0),
        ("dead_letters", "connection=out", 2.0),
        ("pending", "connection=out", 6.0),
        ("delivered_total", "connection=files", 10.0),
        ("delivery_seconds_count", "connection=files", 10.0),
        ("delivery_seconds_bucket", "connection=files,le=+Inf", 10.0),
        ("refused_peers_total", "connection=in", 0.0),
        ("state", "connection=out,state=running", 1.0),
        ("messages_total", "connection=odd \"name\\,direction=in", 0.0),
    ] {
        assert_eq!(of(name, labels), expected, "{name} {labels}");
    }
    assert!(of("oldest_seconds", "connection=out") < 60.0);
    for output in ["out", "files"] {
        assert_eq!(adds_up(&samples, output), 10.0);
    }
    // What the journal counts survives; what is counted since the start begins again.
    link.send(&acknowledgment(&messages[4], "AA"));
    router.wait("its record", || scrape(figures)["pending{connection=out}"] == 5.0);
    router.daemon.kill_9();
    router.restart();
    let mut link = receiver.accept();
    for _ in 0..5 {
        link.take();
    }
    router.wait("all delivered", || scrape(figures)["pending{connection=out}"] == 0.0);
    let samples = scrape(figures);
    assert_eq!(adds_up(&samples, "out"), 10.0);
    assert_eq!(samples["dead_letters{connection=out}"], 2.0);
    assert_eq!(samples["messages_total{connection=in,direction=in}"], 0.0);
    router.command.clone().args(["--drop", "out", "2"]).run().success();
    router.command.clone().args(["--resend", "out", "1", "3"]).run().success();
    router.wait("what was sent again", || scrape(figures)["pending{connection=out}"] == 2.0);
    assert_eq!(adds_up(&scrape(figures), "out"), 10.0);
}

#[test]
fn kills_leave_accounts_that_add_up() {
    let (setup, figures) = setup();
    let mut router = setup.server_in("in", HL7).file_out("one", "").file_out("two", "").start();
    let mut taken = 0;
    for round in 0..4 {
        let mut link = router.connect("in");
        for message in adts(&format!("R{round}M"), 50) {
            link.exchange(&message, &format!("AA {}", control_id(&message)));
            taken += 1;
        }
        // One that is on its way, and whose fate is not known.
        link.send(&adt(&format!("R{round}LAST")));
        router.daemon.kill_9();
        router.restart();
    }
    router.wait("all delivered", || {
        let samples = scrape(figures);
        ["one", "two"].iter().all(|name| samples[&format!("pending{{connection={name}}}")] == 0.0)
    });
    let samples = scrape(figures);
    for output in ["one", "two"] {
        let accepted = adds_up(&samples, output);
        assert!((f64::from(taken)..=f64::from(taken + 4)).contains(&accepted), "{accepted} of {taken}");
    }
}

#[test]
fn the_health_says_why_nothing_is_taken() {
    let (setup, figures) = setup();
    let router =
        setup.server_in("in", HL7).client_out("out", port(), "usehl7 = True\nmaxpending = 2").start();
    assert_eq!(get(figures, "/healthz"), (200, "ok\n".to_owned()));
    let mut link = router.connect("in");
    link.exchange(&adt("A"), "AA A");
    link.exchange(&adt("B"), "AA B");
    let (status, why) = get(figures, "/healthz");
    assert_eq!((status, why.as_str()), (503, "in takes no message: 2 messages wait for out\n"));
    router.command.clone().args(["--drop", "out", "waiting"]).run().success();
    router.wait("health", || get(figures, "/healthz").0 == 200);
}

#[test]
fn whoever_asks_wrongly_or_never_ends_holds_up_nothing() {
    let (setup, figures) = setup();
    let mut router = setup.server_in("in", HL7).file_out("out", "").start();
    assert_eq!(get(figures, "/other").0, 404);
    assert_eq!(get(figures, "/metrics?x=1").0, 200);
    assert!(ask(figures, b"HEAD /metrics HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
    assert!(ask(figures, b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(figures, b"\x16\x03\x01 what is this\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert_eq!(ask(figures, &vec![b'x'; 100_000]), "");
    // As many as are served, and more, that say nothing: others wait or are closed, and messages go on.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", figures)).unwrap()).collect();
    let mut link = router.connect("in");
    for message in adts("A", 50) {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    drop(silent);
    router.wait("an answer", || {
        let answer = ask(figures, b"GET /healthz HTTP/1.1\r\n\r\n");
        answer.starts_with("HTTP/1.1 200 ")
    });
    router.end();
}

#[test]
fn sigusr1_logs_a_line_for_each_connection() {
    let router = Setup::new()
        .general("loglvl = error")
        .server_in("in", HL7)
        .client_out("out", port(), HL7)
        .file_out("files", "")
        .start();
    router.connect("in").exchange(&adt("A"), "AA A");
    router.files("files", 1);
    let state = |router: &Router, name: &str| router.wait_for_log(&format!(" - {name} - INFO - state: "));
    router.daemon.signal(Signal::SIGUSR1);
    let line = state(&router, "out");
    assert!(line.contains("socket out, no receiver: 1 wait, the oldest for "), "{line}");
    assert!(
        line.contains(" s, 0 dead letters; since the start 0 messages, 0 bytes, 0 tried again"),
        "{line}"
    );
    let line = state(&router, "in");
    assert!(line.contains("socket in: ") && line.contains("since the start 1 messages, "), "{line}");
    assert!(state(&router, "files").contains("file out, running: "));
}

#[test]
fn faults_of_metrics_have_their_messages() {
    let told = |value: &str| Site::new(&format!("general: metrics = {value}")).check();
    for value in ["9100", "localhost:9100", "127.0.0.1:0", "127.0.0.1"] {
        let text = told(value).code(2).stderr();
        let rule = "must be an address and a port, such as 127.0.0.1:9100 or [::1]:9100";
        assert!(text.contains(&format!("metrics = {value}: {rule}")), "{text}");
    }
    assert_eq!(told("[::1]:9100").success().stderr(), "");
    let text = told("0.0.0.0:9100").success().stderr();
    assert!(text.contains("warning: [general] whoever reaches 0.0.0.0:9100 reads the figures"), "{text}");
    // In use: nothing is started.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup =
        Setup::new().general(&format!("metrics = {address}")).server_in("in", HL7).file_out("out", "");
    let output = setup.command().run();
    let text = output.code(75).stderr();
    assert!(text.contains(&format!("metrics = {address}: cannot listen there")), "{text}");
}
