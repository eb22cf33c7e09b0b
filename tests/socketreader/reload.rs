//! SIGHUP changes what has changed in the configuration, and nothing else: under load, and with answers outstanding.

use std::sync::atomic::{AtomicBool, Ordering};

use protogen_testkit::daemon::Signal;

use super::certificates::Authority;
use super::support::{Link, Peer, Router, Setup, adt, control_id, port, verdict};
use super::tls::shown;

const HL7: &str = "usehl7 = True";

/// Changes the text of the configuration, and waits until the program says what came of it: gives that line.
#[track_caller]
pub fn reload(router: &Router, change: impl FnOnce(String) -> String) -> String {
    let text = change(router.dir.text("sr.cfg"));
    router.dir.write("sr.cfg", text);
    let lines = router.log().lines().count();
    router.daemon.signal(Signal::SIGHUP);
    let mut line = None;
    router.wait("the end of the reload", || {
        let log = router.log();
        let ends = ["the configuration is read again", "stays in force"];
        line =
            log.lines().skip(lines).find(|line| ends.iter().any(|end| line.contains(end))).map(str::to_owned);
        line.is_some()
    });
    line.unwrap()
}

/// The text with a further connection.
fn with(text: &str, name: &str, section: &str) -> String {
    let text = text.replacen("useconnections = ", &format!("useconnections = {name}, "), 1);
    format!("{text}\n[{name}]\nqueuename = q\n{section}\n")
}

fn socket_in(port: u16, options: &str) -> String {
    format!("transtech = socket\ntransdir = in\nport = {port}\n{HL7}\n{options}")
}

/// Sends messages one after the other until it is told to end; connects again when it is closed, and sends what was not
/// answered once more. Gives the ids of those that were acknowledged.
fn load(port: u16, prefix: &str, ending: &AtomicBool) -> Vec<String> {
    let mut taken = Vec::new();
    let mut link = Link::connect(([127, 0, 0, 1], port).into());
    let mut number = 0;
    while !ending.load(Ordering::Relaxed) {
        let id = format!("{prefix}{number:06}");
        let sent = std::io::Write::write_all(&mut link.stream, &super::support::frame(&adt(&id)));
        match sent.ok().and_then(|()| link.try_frame().ok()) {
            Some(answer) => {
                assert_eq!(verdict(&answer), format!("AA {id}"));
                taken.push(id);
                number += 1;
                pace();
            }
            None => link = Link::connect(([127, 0, 0, 1], port).into()),
        }
    }
    taken
}

/// A load that the slowest disk can follow: every message becomes two files.
fn pace() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}

/// The ids of the messages in a directory, each once, in the order in which they came.
fn ids(router: &Router, directory: &str) -> Vec<String> {
    let names = router.dir.list(directory);
    let names = names.iter().filter(|name| !name.starts_with('.'));
    let mut ids: Vec<String> = Vec::new();
    for name in names {
        let id = control_id(&router.dir.read(format!("{directory}/{name}")));
        // One whose connection was closed before its answer came is sent again.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The threads end also where the test has failed.
struct Ends<'a>([&'a AtomicBool; 3]);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|end| end.store(true, Ordering::Relaxed));
    }
}

#[test]
fn each_kind_of_change_under_load() {
    let receiver = Peer::listen();
    let mut router = Setup::new()
        .general("loglvl = info")
        .server_in("stays", HL7)
        .server_in("altered", HL7)
        .server_in("gone", HL7)
        .file_out("files", "")
        .client_out("out", receiver.port(), HL7)
        .start();
    let ending = AtomicBool::new(false);
    let leaving = AtomicBool::new(false);
    let delivered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = Ends([&ending, &leaving, &delivered]);
        let loads = ["stays", "altered"].map(|name| {
            let (port, ending) = (router.port(name), &ending);
            scope.spawn(move || load(port, &name[..1], ending))
        });
        let going = {
            let (port, leaving) = (router.port("gone"), &leaving);
            scope.spawn(move || {
                let mut link = Link::connect(([127, 0, 0, 1], port).into());
                let mut taken = Vec::new();
                for number in 0.. {
                    let id = format!("g{number:06}");
                    let sent = std::io::Write::write_all(&mut link.stream, &super::support::frame(&adt(&id)));
                    if sent.is_err() || link.try_frame().is_err() {
                        break;
                    }
                    taken.push(id);
                    pace();
                }
                assert!(leaving.load(Ordering::Relaxed), "closed before it was to go");
                taken
            })
        };
        let receiving = {
            let (receiver, delivered) = (&receiver, &delivered);
            scope.spawn(move || {
                let mut got: Vec<String> = Vec::new();
                'links: while !delivered.load(Ordering::Relaxed) {
                    let mut link = receiver.accept();
                    while let Ok(message) = link.try_frame() {
                        let id = control_id(&message);
                        link.send(&super::support::acknowledgment(&message, "AA"));
                        let is_last = id == "LAST";
                        got.push(id);
                        if is_last {
                            break 'links;
                        }
                    }
                }
                got
            })
        };
        let mut link = router.connect("stays");
        link.exchange(&adt("FIRST"), "AA FIRST");
        for (expected, change) in [
            ("new: later, more", "new"),
            ("altered: altered", "altered"),
            ("altered: files, out", "outputs"),
            ("stays in force", "broken"),
            ("gone: gone", "gone"),
            ("no connection has changed", "nothing"),
        ] {
            // Some load between the changes.
            let count = router.dir.list("files").len();
            router.wait("load", || router.dir.list("files").len() > count + 20);
            if change == "gone" {
                leaving.store(true, Ordering::Relaxed);
            }
            let new_port = port();
            let more = router.dir.make("more");
            let line = reload(&router, |text| match change {
                "new" => {
                    let text = with(
                        &text,
                        "more",
                        &format!("transtech = file\ntransdir = out\nmessagedir = {}", more.display()),
                    );
                    with(&text, "later", &socket_in(new_port, ""))
                }
                "altered" => text.replacen("[altered]\n", "[altered]\nmaxsize = 2M\n", 1),
                "outputs" => text.replacen("[out]\n", "[out]\nretries = 5\n", 1).replacen(
                    "[files]\n",
                    "[files]\nmaxage = 100\n",
                    1,
                ),
                "broken" => format!("{text}\n[broken\n"),
                "gone" => text.replace("\n[broken\n", "\n").replacen(", gone", "", 1),
                _ => text,
            });
            assert!(line.contains(expected), "{change}: {line}");
            if change == "new" {
                let mut new = Link::connect(([127, 0, 0, 1], new_port).into());
                new.exchange(&adt("NEW"), "AA NEW");
            }
            // The same socket as before.
            link.exchange(&adt(&format!("X{change}")), &format!("AA X{change}"));
        }
        ending.store(true, Ordering::Relaxed);
        let taken: Vec<Vec<String>> = loads.into_iter().map(|load| load.join().unwrap()).collect();
        let gone = going.join().unwrap();
        link.exchange(&adt("LAST"), "AA LAST");
        delivered.store(true, Ordering::Relaxed);
        let got = receiving.join().unwrap();
        for directory in ["files", "more"] {
            // However long it takes, as long as it goes on.
            let has_last = || ids(&router, directory).contains(&"LAST".to_owned());
            let mut count = 0;
            while !has_last() {
                let whole =
                    || router.dir.list(directory).iter().filter(|name| !name.starts_with('.')).count();
                router.wait("further files", || whole() > count || has_last());
                count = whole();
            }
        }
        let filed = ids(&router, "files");
        for (prefix, taken) in [("s", &taken[0]), ("a", &taken[1]), ("g", &gone)] {
            assert!(taken.len() > 20, "{prefix}: {}", taken.len());
            for (place, all) in [("files", &filed), ("out", &got)] {
                let mut here: Vec<String> = all.iter().filter(|id| id.starts_with(prefix)).cloned().collect();
                here.dedup();
                // Nothing acknowledged is missing, and all is in order; the last may have been stored unanswered.
                assert!(here.starts_with(taken), "{place} {prefix}: {} {}", here.len(), taken.len());
                assert!(here.len() <= taken.len() + 1);
            }
        }
        // A new output begins with what came after it was there.
        let more = ids(&router, "more");
        assert!(more.contains(&"LAST".to_owned()) && more.contains(&"NEW".to_owned()));
        assert!(!more.contains(&"FIRST".to_owned()));
    });
    router.end();
}

#[test]
fn an_answer_that_is_due_comes_on_its_socket() {
    for (name, change) in [("stays", "retries = 9"), ("altered", "maxsize = 2M"), ("gone", "")] {
        let router = Setup::new()
            .server_in("other", HL7)
            .server_in("in", "usehl7 = True\ndebug = {\"delayack\": 2}")
            .file_out("out", "")
            .start();
        let mut link = router.connect("in");
        link.send(&adt("A"));
        // It is stored, and its answer is due later.
        router.files("out", 1);
        let line = reload(&router, |text| match name {
            "stays" => text.replacen("[other]\n", "[other]\nmaxsize = 3M\n", 1),
            "altered" => text.replacen("[in]\n", &format!("[in]\n{change}\n"), 1),
            _ => text.replacen(", in", "", 1),
        });
        assert!(line.contains("is read again"), "{line}");
        if name == "altered" {
            // Others are served meanwhile.
            router.connect("other").exchange(&adt("B"), "AA B");
        }
        assert_eq!(verdict(&link.frame()), "AA A", "{name}");
        if name == "stays" {
            link.send(&adt("C"));
            assert_eq!(verdict(&link.frame()), "AA C");
        } else {
            // Said goodbye, it may still talk, and is not heard.
            link.closed();
            let _ = std::io::Write::write_all(&mut link.stream, &super::support::frame(&adt("D")));
        }
    }
}

#[test]
fn an_output_that_awaits_an_answer_gets_it_before_it_changes() {
    let receiver = Peer::listen();
    let router = Setup::new().server_in("in", HL7).client_out("out", receiver.port(), HL7).start();
    let mut input = router.connect("in");
    input.exchange(&adt("A"), "AA A");
    input.exchange(&adt("B"), "AA B");
    let mut link = receiver.accept();
    let message = link.frame();
    let line = reload(&router, |text| text.replacen("[out]\n", "[out]\nretries = 9\n", 1));
    assert!(line.contains("altered: out"), "{line}");
    input.exchange(&adt("C"), "AA C");
    link.send(&super::support::acknowledgment(&message, "AA"));
    router.wait_for_log("message 1 delivered");
    // On the next connection, what is next; nothing twice.
    link.closed();
    let mut link = receiver.accept();
    assert_eq!([link.take(), link.take()], [adt("B"), adt("C")]);
    router.wait_for_log("message 3 delivered");
}

#[test]
fn what_waits_for_an_output_that_is_gone_stays_in_the_journal() {
    let port = port();
    let mut router =
        Setup::new().server_in("in", HL7).client_out("out", port, HL7).file_out("files", "").start();
    router.connect("in").exchange(&adt("A"), "AA A");
    let line = reload(&router, |text| text.replacen(", out", "", 1));
    assert!(line.contains("gone: out"), "{line}");
    router.wait_for_log("messages wait for out, which is no longer in use");
    router.connect("in").exchange(&adt("B"), "AA B");
    router.files("files", 2);
    router.command.clone().arg("--queues").run().success().stdout_contains("not in use");
    // It comes back, and gets what waited, and what comes from now on.
    let receiver = Peer::listen_on(port);
    let line = reload(&router, |text| text.replacen(", files", ", files, out", 1));
    assert!(line.contains("new: out"), "{line}");
    router.connect("in").exchange(&adt("C"), "AA C");
    let mut link = receiver.accept();
    assert_eq!([link.take(), link.take()], [adt("A"), adt("C")]);
    router.wait_for_log("message 3 delivered");
    router.end();
}

/// The ids of what `--show` lists, and what `--export` gives, of the connection out.
fn held(router: &Router, messages: &[&str]) -> (Vec<String>, Vec<u8>) {
    let rows = router.json(&[&["--show", "out", "--json"], messages].concat());
    let ids = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    (ids, router.ask(&[&["--export", "out"], messages].concat()).stdout().into_bytes())
}

/// What [`held`] gives for these messages.
fn these(ids: &[&str]) -> (Vec<String>, Vec<u8>) {
    (ids.iter().map(|id| (*id).to_owned()).collect(), ids.iter().flat_map(|id| adt(id)).collect())
}

#[test]
fn what_waits_for_an_output_that_is_gone_is_shown_exported_and_dropped() {
    let setup = Setup::new().server_in("in", HL7).client_out("out", port(), HL7).file_out("files", "");
    let mut router = setup.start();
    for id in ["A", "B", "C"] {
        router.connect("in").exchange(&adt(id), &format!("AA {id}"));
    }
    reload(&router, |text| text.replacen(", out", "", 1));
    router.connect("in").exchange(&adt("D"), "AA D");
    assert_eq!(held(&router, &["waiting"]), these(&["A", "B", "C"]));
    router.ask(&["--drop", "out", "2"]).success().stdout_contains("out: 1 message is dropped\n");
    assert_eq!(held(&router, &["1-"]), these(&["A", "B", "C"]), "D was never its");
    router.end();
    assert_eq!(held(&router, &["waiting"]), these(&["A", "C"]));
    router.ask(&["--drop", "out", "id:A"]).success().stdout_contains("out: 1 message is dropped\n");
    router.restart();
    router.wait("said again", || router.log().matches("messages wait for out, which").count() == 2);
    router.ask(&["--drop", "out", "waiting"]).success().stdout_contains("out: 1 message is dropped\n");
    assert_eq!(router.out()["pending"], 0);
    router.end();
}

#[test]
fn an_output_has_what_came_while_its_inputs_were_on_its_queue() {
    let mut router = Setup::new()
        .server_in("early", HL7)
        .server_in("late", &format!("{HL7}\nqueuename = p"))
        .server_in("third", &format!("{HL7}\nqueuename = p"))
        .client_out("out", port(), HL7)
        .file_out("elsewhere", "queuename = p")
        .start();
    let moves = |name: &str, from: &str, to: &str| {
        let line = reload(&router, |text| {
            let (before, section) = text.split_once(&format!("[{name}]\n")).unwrap();
            format!("{before}[{name}]\n{}", section.replacen(from, to, 1))
        });
        assert!(line.contains(&format!("altered: {name}")), "{line}");
    };
    let send = |name: &str, id: &str| router.connect(name).exchange(&adt(id), &format!("AA {id}"));
    send("early", "E1");
    send("late", "L1");
    moves("late", "queuename = p", "queuename = q");
    send("late", "L2");
    moves("early", "queuename = q", "queuename = p");
    send("early", "E2");
    assert_eq!(held(&router, &["waiting"]), these(&["E1", "L2"]));
    assert_eq!(held(&router, &["1-"]), these(&["E1", "L2"]));
    router.ask(&["--drop", "out", "waiting"]).success().stdout_contains("out: 2 messages are dropped\n");
    assert_eq!(router.out()["pending"], 0);
    router.end();
}

#[test]
fn another_port_another_directory_and_more_log() {
    let router = Setup::new()
        .general("loglvl = error")
        .server_in("in", HL7)
        .file_in("drop", "")
        .file_out("files", "")
        .start();
    router.connect("in").exchange(&adt("A"), "AA A");
    let (old, new) = (router.port("in"), port());
    let other = router.dir.make("other");
    let line = reload(&router, |text| {
        let text = text.replacen(&format!("port = {old}"), &format!("port = {new}"), 1);
        let text = text.replacen("loglvl = error", "loglvl = info", 1);
        text.replacen(&router.dir.join("drop").display().to_string(), &other.display().to_string(), 1)
    });
    assert!(line.contains("altered: in, drop"), "{line}");
    let mut link = Link::connect(([127, 0, 0, 1], new).into());
    link.exchange(&adt("B"), "AA B");
    router.wait("the old port", || std::net::TcpStream::connect(("127.0.0.1", old)).is_err());
    router.dir.write("other/1", adt("C"));
    router.wait_for_log("files - INFO - message 3 written as");
    // What cannot change without a restart is said.
    let line = reload(&router, |text| text.replacen("[general]\n", "[general]\ndurable = False\n", 1));
    assert!(line.contains("no connection has changed"), "{line}");
    router.wait_for_log("durable has changed, which takes effect at the next start");
    // A port that another program has: nothing changes.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = reload(&router, |text| text.replacen(&format!("port = {new}"), &format!("port = {port}"), 1));
    assert!(line.contains("another program listens here already; the configuration before stays"), "{line}");
    link.exchange(&adt("D"), "AA D");
}

#[test]
fn what_fails_half_way() {
    let setup = Setup::new().general("loglvl = error");
    let authority = Authority::new(&setup.dir);
    let certificate = authority.issue("router", &["localhost"]);
    let mut router = setup
        .server_in("plain", HL7)
        .server_in("in", &format!("{HL7}\n{}", certificate.options()))
        .file_out("files", "")
        .start();
    let mut link = router.connect("plain");
    let before = shown(&router);
    // All is well in the file; but a port is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    authority.issue("router", &["localhost"]);
    let line = reload(&router, |text| {
        let text = text.replacen("loglvl = error", "loglvl = debug\ndurable = False", 1);
        with(&text, "new", &socket_in(port, ""))
    });
    assert!(line.contains("another program listens here already; the configuration before stays"), "{line}");
    assert_eq!(shown(&router), before);
    link.exchange(&adt("A"), "AA A");
    router.files("files", 1);
    let log = router.log();
    assert!(!log.contains("DEBUG") && !log.contains("takes effect at the next start"), "{log}");
    // Now it is free.
    drop(taken);
    let line = reload(&router, |text| text);
    assert!(line.contains("is read again: new: new"), "{line}");
    assert_ne!(shown(&router), before);
    link.exchange(&adt("B"), "AA B");
    router.wait_for_log("DEBUG");
    router.wait_for_log("durable has changed, which takes effect at the next start");
    router.end();
}

#[test]
fn a_changed_filter_and_pipe_hold_from_then_on() {
    let mut router = Setup::new()
        .general("loglvl = info")
        .server_in("in", HL7)
        .file_in("drop", "cycletime = 3600\nsettle = 0")
        .file_out("some", "filter = MSH-10 ^= \"A\"\nprefix = some-")
        .file_out("all", "prefix = all-")
        .start();
    let mut link = router.connect("in");
    for id in ["A1", "B1"] {
        link.exchange(&adt(id), &format!("AA {id}"));
    }
    router.files("all", 2);
    assert_eq!(ids(&router, "some"), ["A1"]);
    reload(&router, |text| {
        let text = text.replace("MSH-10 ^= \"A\"", "MSH-10 ^= \"B\"");
        text.replace(
            "prefix = all-",
            &format!("prefix = all-\npipe = '{}' set PID-5.1=Roe", env!("CARGO_BIN_EXE_hl7")),
        )
    });
    // The connection that stayed is the same one.
    for id in ["A2", "B2"] {
        link.exchange(&adt(id), &format!("AA {id}"));
    }
    super::support::put(router.dir.join("drop/1"), &adt("B3"));
    router.files("all", 5);
    assert_eq!(ids(&router, "all"), ["A1", "B1", "A2", "B2", "B3"]);
    router.names("some", 3);
    assert_eq!(ids(&router, "some"), ["A1", "B2", "B3"]);
    let last = router.files("all", 5).pop().unwrap();
    assert!(String::from_utf8(last).unwrap().contains("|Roe^Jane"));
    let found = router.json(&["--queues", "--json"]);
    let some = found["queues"].as_array().unwrap().iter().find(|row| row["connection"] == "some").unwrap();
    assert_eq!((&some["delivered"], &some["filtered"], &some["dropped"]), (&3.into(), &2.into(), &2.into()));
    router.end();
}

#[test]
fn a_pause_is_there_when_its_connection_comes_back() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", HL7)
        .file_out("files", "")
        .client_out("out", receiver.port(), HL7)
        .start();
    router.ask(&["--pause", "out"]).success();
    reload(&router, |text| text.replacen(", out", "", 1));
    // Another change writes all pauses anew.
    router.ask(&["--pause", "files"]).success();
    router.ask(&["--resume", "files"]).success();
    reload(&router, |text| text.replacen(", files", ", files, out", 1));
    let out = router.json(&["--queues", "--json"]);
    let row = out["queues"].as_array().unwrap().iter().find(|row| row["connection"] == "out").unwrap();
    assert_eq!(row["state"], "paused");
    router.ask(&["--resume", "out"]).success();
}
