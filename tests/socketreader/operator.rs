//! The operator's commands, given beside the running program and while it is down.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Stdio};

use protogen_sys::unix_socket::connect;
use protogen_testkit::pty::Pty;
use protogen_testkit::{Output, TestCommand};
use serde_json::Value;

use super::support::{Link, Peer, Router, Setup, adt, adts, control_id};

impl Router {
    /// The same program with the same configuration, told to do something.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        self.asking(arguments).run()
    }

    pub fn asking(&self, arguments: &[&str]) -> TestCommand {
        self.command.clone().args(arguments)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ask(arguments).stdout()).unwrap()
    }

    /// What `--queues --json` says about the connection out.
    pub fn out(&self) -> Value {
        let found = self.json(&["--queues", "--json"]);
        found["queues"].as_array().unwrap().iter().find(|row| row["connection"] == "out").unwrap().clone()
    }

    fn paused(&self) {
        self.ask(&["--pause", "out"]).success().stdout_contains("out is paused; go on with --resume out\n");
    }
}

/// A router from files to a receiver that we are, with messages `A000` on read into the journal.
fn holding(count: usize, options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let setup = Setup::new().file_in("in", "settle = 0").client_out("out", receiver.port(), options);
    for (number, message) in adts("A", count).iter().enumerate() {
        setup.dir.write(format!("in/{number:04}"), message);
    }
    let router = setup.start();
    router.wait("all files read", || router.dir.list("in").is_empty());
    (router, receiver)
}

/// The control ids of what comes next, acknowledged.
fn taken(link: &mut Link, count: usize) -> Vec<String> {
    (0..count).map(|_| control_id(&link.take())).collect()
}

const MLLP: &str = "usehl7 = True";

#[test]
fn the_queues_are_a_table_live_and_at_rest() {
    let (mut router, receiver) = holding(3, MLLP);
    let mut link = receiver.accept();
    assert_eq!(control_id(&link.frame()), "A000");
    let table = router.ask(&["--queues"]).success().stdout();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "CONNECTION WAITING OLDEST DEAD STATE LAST ERROR");
    assert_eq!((&lines[1][..2], &lines[1][3..]), (&["out", "3"][..], &["0", "running"][..]), "{table}");
    let row = router.out();
    assert_eq!((&row["pending"], &row["state"], &row["queue"]), (&3.into(), &"running".into(), &"q".into()));
    assert!(row["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{row}");
    assert!(row["oldestseconds"].is_u64() && row["oldest"].is_string(), "{row}");
    drop((link, receiver));
    router.wait("no receiver", || router.out()["state"] == "no receiver");
    let row = router.out();
    assert!(row["error"].as_str().unwrap().contains("127.0.0.1"), "{row}");
    assert_eq!(row["troubles"][0]["trouble"], "down", "{row}");
    router.end();
    router.ask(&["--queues"]).success().stdout_contains("at rest").stdout_contains("The daemon is down.\n");
    let found = router.json(&["--queues", "--json"]);
    assert_eq!((&found["running"], &found["queues"][0]["pending"]), (&false.into(), &3.into()));
}

#[test]
fn messages_are_listed_shown_whole_and_exported_as_they_came() {
    let (mut router, receiver) = holding(3, "usehl7 = True\nonae = stop");
    let mut link = receiver.accept();
    assert_eq!(taken(&mut link, 1), ["A000"]);
    for is_running in [true, false] {
        let listed = router.ask(&["--show", "out"]).success().stdout();
        assert!(!listed.contains("A000") && listed.contains("A001") && listed.contains("A002"), "{listed}");
        assert!(listed.starts_with("MESSAGE  TIME") && !listed.contains("Doe"), "{listed}");
        let all = router.json(&["--show", "out", "1-", "--json"]);
        let rows: Vec<String> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                format!("{} {} {} {} {}", row["message"], row["from"], row["state"], row["type"], row["id"])
            })
            .collect();
        assert_eq!(
            rows,
            [
                r#"1 "in" "done" "ADT^A01" "A000""#,
                r#"2 "in" "waiting" "ADT^A01" "A001""#,
                r#"3 "in" "waiting" "ADT^A01" "A002""#,
            ]
        );
        let whole = router.ask(&["--show", "out", "1"]);
        whole.success().stdout_contains("  PID|1||A000^^^KIS||Doe^Jane\n").stdout_contains("  MSA|AA|A000\n");
        router.ask(&["--export", "out", "id:A002", "1-2"]).success().stdout_is(adts("A", 3).concat());
        router.ask(&["--show", "out", "7-9"]).code(1);
        router.ask(&["--export", "out", "id:NONE"]).code(1);
        if is_running {
            router.end();
        }
    }
}

#[test]
fn messages_are_exported_for_programs() {
    let setup = Setup::new().file_in("in", "settle = 0").file_out("out", "filemode = 0600");
    let latin = b"MSH|^~\\&|||||||ADT|L1\rPID|||||M\xfcller\\r\r";
    setup.dir.write("in/1", adt("A1"));
    setup.dir.write("in/2", latin);
    setup.dir.write("in/3", "no HL7");
    let router = setup.start();
    router.files("out", 3);
    // A file is there a moment before the journal knows it.
    let mut exported = String::new();
    router.wait("three records", || {
        exported = router.ask(&["--export", "out", "1-", "--json"]).success().stdout();
        exported.matches("\"done\"").count() == 3
    });
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second, third] = &lines[..] else { panic!("{exported}") };
    assert_eq!(first["text"], String::from_utf8(adt("A1")).unwrap());
    let about = ["message", "from", "type", "id", "bytes", "state"].map(|name| first[name].to_string());
    let length = adt("A1").len().to_string();
    assert_eq!(about, ["1", "\"in\"", "\"ADT^A01\"", "\"A1\"", &length, "\"done\""]);
    assert!(first["time"].as_str().unwrap().starts_with("20"), "{first}");
    let escaped = r"MSH|^~\\&|||||||ADT|L1\rPID|||||M\xfcller\\r\r";
    assert_eq!((&second["escaped"], &second["text"]), (&escaped.into(), &Value::Null));
    assert_eq!((&third["text"], &third["id"]), (&"no HL7".into(), &Value::Null));
    router.ask(&["--export", "out", "id:NONE", "--json"]).code(1).stdout_is("");
}

#[test]
fn a_dead_letter_is_sent_again_by_number_by_id_and_all_of_them() {
    for (which, expected) in
        [(&["1"][..], "A000"), (&["id:A001"], "A001"), (&["dead"], "A000 A001"), (&["2", "1"], "A000 A001")]
    {
        let (router, receiver) = holding(2, MLLP);
        let mut link = receiver.accept();
        for _ in 0..2 {
            let message = link.frame();
            link.send(&super::support::acknowledgment(&message, "AE"));
        }
        router.wait("dead letters", || router.out()["dead"] == 2);
        router.ask(&["--show", "out", "1"]).success().stdout_contains("  MSA|AE|A000\n");
        router.ask(&[&["--resend", "out"], which].concat()).success().stdout_contains("sent again\n");
        let count = expected.split(' ').count();
        assert_eq!(taken(&mut link, count).join(" "), expected, "{which:?}");
        router.wait("delivered", || router.out()["delivered"] == count);
        assert_eq!(router.out()["dead"], 2 - count);
        router.wait_for_log(&format!(
            "out - INFO - {count} messages to be sent again, 0 not ({})",
            which.join(" ")
        ));
    }
}

#[test]
fn what_was_delivered_is_sent_again_only_when_asked() {
    let (router, receiver) = holding(2, MLLP);
    let mut link = receiver.accept();
    assert_eq!(taken(&mut link, 2), ["A000", "A001"]);
    router.wait("delivered", || router.out()["pending"] == 0);
    router.ask(&["--resend", "out", "1"]).success();
    assert_eq!(taken(&mut link, 1), ["A000"]);
    router.wait("delivered again", || router.out()["pending"] == 0);
}

#[test]
fn a_head_that_blocks_is_dropped_and_the_rest_goes_on() {
    let (router, receiver) = holding(3, "usehl7 = True\nonar = retry");
    let mut link = receiver.accept();
    let first = link.frame();
    link.send(&super::support::acknowledgment(&first, "AR"));
    router.ask(&["--drop", "out", "1"]).success().stdout_contains("out: 1 message is dropped\n");
    // It may be on its way once more already.
    let mut next = control_id(&link.take());
    if next == "A000" {
        next = control_id(&link.take());
    }
    assert_eq!(next, "A001");
    assert_eq!(taken(&mut link, 1), ["A002"]);
    router.wait("nothing waits", || router.out()["pending"] == 0);
    assert_eq!(router.out()["dropped"], 1);
    router.ask(&["--drop", "out", "1"]).code(1).stdout_contains("message 1 is delivered or dropped\n");
}

#[test]
fn what_is_dropped_on_its_way_counts_as_dropped_when_its_answer_comes() {
    let (mut router, receiver) = holding(2, MLLP);
    let mut link = receiver.accept();
    let first = link.frame();
    router.ask(&["--drop", "out", "1"]).success();
    link.send(&super::support::acknowledgment(&first, "AA"));
    assert_eq!(taken(&mut link, 1), ["A001"]);
    router.wait("nothing waits", || router.out()["pending"] == 0);
    router.end();
    router.restart();
    let mut link = receiver.accept();
    router.paused();
    router.end();
    link.closed();
}

#[test]
fn all_that_waits_is_dropped_at_once_also_in_a_directory() {
    let (router, receiver) = holding(50, MLLP);
    router.paused();
    drop(receiver);
    router.ask(&["--drop", "out", "waiting"]).success();
    assert_eq!(router.out()["pending"], 0);

    let mut router = Setup::new().server_in("in", MLLP).file_out("out", "").start();
    router.paused();
    let mut link = router.connect("in");
    for message in adts("B", 10) {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    router.ask(&["--drop", "out", "1-9"]).success().stdout_contains("out: 9 messages are dropped\n");
    router.ask(&["--resume", "out"]).success();
    assert_eq!(router.files("out", 1), [adt("B009")]);
    router.end();
}

#[test]
fn a_pause_survives_a_restart_and_a_kill() {
    let (mut router, receiver) = holding(1, MLLP);
    router.paused();
    let row = router.out();
    assert_eq!(row["state"], "paused");
    assert!(row["by"].as_str().unwrap().contains(" (process "), "{row}");
    router.daemon.kill_9();
    router.restart();
    let first = router.wait_for_log("out - INFO - paused, by ");
    assert!(first.contains(" (process "), "{first}");
    assert_eq!(router.out()["state"], "paused");
    assert_eq!(router.out()["pending"], 1);
    router.ask(&["--resume", "out"]).success().stdout_contains("out goes on\n");
    // Those of before were closed without a message.
    while receiver.accept().try_frame().map(|message| control_id(&message)) != Ok("A000".to_owned()) {}
    router.wait_for_log("out - INFO - resumed, by ");
    router.wait("no pause", || router.out()["state"] != "paused");
}

#[test]
fn commands_work_while_the_program_is_down() {
    let (mut router, receiver) = holding(4, MLLP);
    router.end();
    router.paused();
    router.ask(&["--drop", "out", "id:A001"]).success();
    router.wait_for_log("out - INFO - 1 messages dropped, 0 not (id:A001), by ");
    let found = router.json(&["--queues", "--json"]);
    assert_eq!((&found["queues"][0]["state"], &found["queues"][0]["pending"]), (&"paused".into(), &3.into()));
    router.ask(&["--resume", "out"]).success();
    router.restart();
    // The connection of before was closed without a message.
    while receiver.accept().try_frame().map(|message| control_id(&message)) != Ok("A000".to_owned()) {}
    router.end();
    router.ask(&["--follow"]).code(75).stderr_contains("the daemon is down, there is nothing to follow");
}

#[test]
fn wrong_commands_say_what_is_right() {
    let (router, _receiver) = holding(0, MLLP);
    router
        .ask(&["--pause", "lab"])
        .code(75)
        .stderr_contains("no outgoing connection is called \"lab\"; there are out\n");
    router
        .ask(&["--show", "in"])
        .code(75)
        .stderr_contains("no outgoing connection is called \"in\"; there are out\n");
    router.ask(&["--drop", "out"]).code(2).stderr_contains("<MESSAGES>");
    router
        .ask(&["--drop", "out", "all"])
        .code(2)
        .stderr_contains("say N, N-M, N-, dead, waiting or id:CONTROL-ID");
    router.ask(&["--queues", "--follow"]).code(2);
    router.ask(&["--resume", "out", "7"]).code(2);
    router.ask(&["--drop", "out", "dead"]).code(1).stdout_contains("out: 0 messages are dropped\n");
}

/// A command that goes on until it is killed.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(router: &Router, arguments: &[&str]) -> Following {
        let mut command = router.asking(arguments).command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        router.wait_for_log("is following");
        Following { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn following_prints_a_line_a_message() {
    let (mut router, receiver) = holding(0, MLLP);
    let mut link = receiver.accept();
    let mut text = Following::start(&router, &["--follow"]);
    let mut json = Following::start(&router, &["--follow", "--json"]);
    router.wait("both follow", || router.log().matches("is following").count() == 2);
    super::support::put(router.dir.join("in/1"), &adt("F1"));
    let message = link.frame();
    link.send(&super::support::acknowledgment(&message, "AA"));
    super::support::put(router.dir.join("in/2"), &adt("F2"));
    let message = link.frame();
    link.send(&super::support::acknowledgment(&message, "AE"));
    let line = text.line();
    let milliseconds =
        line.strip_prefix("F1 ADT^A01 in -> out AA delivered ").and_then(|rest| rest.strip_suffix(" ms\n"));
    assert!(milliseconds.is_some_and(|number| number.parse::<u64>().is_ok()), "{line}");
    assert!(text.line().starts_with("F2 ADT^A01 in -> out AE dead "));
    let first: Value = serde_json::from_str(&json.line()).unwrap();
    assert_eq!((&first["id"], &first["answer"], &first["to"]), (&"F1".into(), &"AA".into(), &"out".into()));
    router.end();
    let mut rest = String::new();
    text.lines.read_to_string(&mut rest).unwrap();
    assert_eq!(text.child.wait().unwrap().code(), Some(75), "{rest}");
}

#[test]
fn a_command_that_hangs_or_dies_does_not_hold_up_the_program() {
    let (router, receiver) = holding(3, MLLP);
    // They ask and do not listen, ask half, or go away; one is one too many for those that are served at a time.
    let socket = router.dir.join("state/control");
    let silent: Vec<UnixStream> = (0..20).map(|_| connect(&socket).unwrap()).collect();
    let mut link = receiver.accept();
    assert_eq!(taken(&mut link, 3), ["A000", "A001", "A002"]);
    router.ask(&["--queues"]).code(75).stderr_contains("too many commands are served; try again");
    drop(silent);
    router.wait("served again", || router.ask(&["--queues"]).stdout().starts_with("CONNECTION"));
    router.wait("nothing waits", || router.out()["pending"] == 0);
}

#[test]
fn commands_that_run_at_once_count_their_own() {
    const COUNT: usize = 300;
    let mut router = Setup::new().server_in("in", MLLP).file_out("out", "").start();
    router.paused();
    let mut link = router.connect("in");
    adts("A", COUNT).iter().for_each(|message| link.send(message));
    adts("A", COUNT).iter().for_each(|_| drop(link.frame()));
    let socket = router.dir.join("state/control");
    let start = std::sync::Barrier::new(8);
    for round in 0..10 {
        let command = ["drop", "resend"][round % 2];
        let request = format!("{{\"command\":\"{command}\",\"connection\":\"out\",\"messages\":[\"1-\"]}}\n");
        let ask = || {
            let mut stream = connect(&socket).unwrap();
            start.wait();
            std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer:?}"));
            let number = |name: &str| usize::try_from(answer[name].as_u64().unwrap()).unwrap();
            assert_eq!(number("messages") + number("refused"), COUNT, "{answer}");
            number("messages")
        };
        let done: usize = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().unwrap()).sum()
        });
        // Whatever came first: each message was changed once.
        assert_eq!(done, COUNT, "{command}");
    }
    router.end();
}

#[test]
fn the_socket_of_commands_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (router, _receiver) = holding(0, MLLP);
    let mode = |name: &str| router.dir.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/control")), (0o700, 0o600));
    router.paused();
    assert_eq!(mode("state/pauses"), 0o600);
}

#[test]
fn operators_at_work_under_load_stop_no_acknowledgment() {
    let receiver = Peer::listen();
    let setup = Setup::new().server_in("in", MLLP).client_out("out", receiver.port(), MLLP);
    let mut router = setup.start();
    let mut sender = router.connect("in");
    let mut link = receiver.accept();
    // It goes on until the operators have done all that they do.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let load = std::thread::spawn(move || {
        let mut sent = Vec::new();
        while is_done.try_recv().is_err() {
            let id = format!("L{}", sent.len());
            sender.exchange(&adt(&id), &format!("AA {id}"));
            sent.push(id);
        }
        sent
    });
    let taking = std::thread::spawn(move || {
        let mut heard = Vec::new();
        while let Ok(message) = link.try_frame() {
            heard.push(control_id(&message));
            link.send(&super::support::acknowledgment(&message, "AA"));
            if heard.last().is_some_and(|id| id == "END") {
                break;
            }
        }
        heard
    });
    let pty = Pty::terminal(24, 80).unwrap();
    let at_the_terminal = |arguments: &[&str]| {
        let mut command = router.asking(arguments).command();
        command.stdin(pty.slave().unwrap()).stdout(pty.slave().unwrap()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // Nobody reads this terminal: what follows and what shows comes to a stop there, and is killed in the end.
    let mut stuck = [at_the_terminal(&["--follow"]), at_the_terminal(&["--show", "out", "1-"])];
    router.wait_for_log("is following");
    for _ in 0..5 {
        assert_eq!(router.out()["state"], "running");
        router.paused();
        router.ask(&["--queues"]).success().stdout_contains("paused by ");
        let mut killed = router.asking(&["--follow"]).command().stdout(Stdio::null()).spawn().unwrap();
        router.ask(&["--resume", "out"]).success();
        killed.kill().unwrap();
        killed.wait().unwrap();
        router.ask(&["--show", "out", "id:L0"]).success().stdout_contains("L0");
    }
    for child in &mut stuck {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    done.send(()).unwrap();
    let mut sent = load.join().unwrap();
    router.connect("in").exchange(&adt("END"), "AA END");
    sent.push("END".to_owned());
    assert_eq!(taking.join().unwrap(), sent);
    router.end();
}
