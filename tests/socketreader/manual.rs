//! Chapters 3 and 4 of the manual: every usage, every option with its default, every example line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protogen_socketreader::config::options::{Fallback, OPTIONS, Place};
use protogen_socketreader::config::{Config, FileIn, FileOut, Kind, LogLevel, Naming, Scope, Socket, parse};

use super::site::Site;
use crate::support::socketreader;

/// A configuration of a router with these lines in the section of one kind of connection.
pub fn with(kind: &str, lines: &str) -> Config {
    let section = |name: &str, fixed: &str| {
        format!("[{name}]\n{fixed}\nqueuename = q\n{}\n", if name == kind { lines } else { "" })
    };
    let text = [
        section("socket-in", "transtech = socket\ntransdir = in"),
        section("socket-out", "transtech = socket\ntransdir = out"),
        section("file-in", "transtech = file\ntransdir = in\nmessagedir = /in"),
        section("file-out", "transtech = file\ntransdir = out\nmessagedir = /out"),
    ];
    let general = if kind == "general" { lines } else { "" };
    let text = format!(
        "[general]\nuseconnections = socket-in, socket-out, file-in, file-out\n{general}\n{}",
        text.concat()
    );
    let report = parse(Path::new("/etc/c.cfg"), text.as_bytes(), None, Scope::Start);
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    report.config.unwrap_or_else(|| panic!("{lines}: {told:?}"))
}

fn kind(name: &str, lines: &str) -> Kind {
    with(name, lines).connections.into_iter().find(|connection| connection.name == name).unwrap().kind
}

fn socket(name: &str, lines: &str) -> Socket {
    match kind(name, lines) {
        Kind::SocketIn(socket) | Kind::SocketOut(socket) => socket,
        other => panic!("{other:?}"),
    }
}

fn file_in(lines: &str) -> FileIn {
    let Kind::FileIn(file) = kind("file-in", lines) else { panic!() };
    file
}

fn file_out(lines: &str) -> FileOut {
    let Kind::FileOut(file) = kind("file-out", lines) else { panic!() };
    file
}

#[test]
fn chapter_3_usage() {
    let site = Site::new("");
    let run = |arguments: &[&str]| socketreader().args(arguments).in_dir(site.path()).run();
    run(&["-h"]).success().stdout_contains("--configfile");
    run(&["--help"]).success().stdout_contains("--configfile");
    run(&["--version"]).success().stdout_contains("socketreader ");
    for option in ["-h", "--help"] {
        assert!(run(&[option]).stdout().lines().count() <= 24);
    }
    for option in ["--configfile", "-c"] {
        run(&[option, "c.cfg", "--check"]).success().stdout_contains("c.cfg: ready to start");
    }
    let odd = "c:/Program Files/socketReader/socketReader.cfg";
    site.dir.write(odd, site.dir.text("c.cfg"));
    run(&["-c", odd, "--check"]).success().stdout_contains(odd);
    let missing = "socketreader: socketReader.cfg: there is no such file; name the configuration with --configfile FILE\n";
    run(&["--check"]).code(2).stderr_is(missing);
    run(&[]).code(2).stderr_is(missing).stdout_is("");
    site.dir.write("socketReader.cfg", site.dir.text("c.cfg"));
    run(&["--check"]).success().stdout_contains("socketReader.cfg: ready to start: 0 errors, 0 warnings\n");
}

#[test]
fn usage_errors_are_status_2() {
    for arguments in [&["--nope"][..], &["-c"], &["surplus"], &["--json"]] {
        let output = socketreader().args(arguments).run();
        output.code(2).stdout_is("");
        assert!(!output.stderr.is_empty(), "{output}");
    }
}

#[test]
fn general_options() {
    let general = with("general", "").general;
    assert_eq!((general.logfile, general.loglvl), (None, LogLevel::Warning), "the defaults");
    assert_eq!(with("general", "logfile =").general.logfile, None, "the empty string");
    let levels = ["critical", "error", "warning", "prod", "info", "debug"];
    let found = levels.map(|level| with("general", &format!("loglvl = {level}")).general.loglvl);
    assert!(found.is_sorted() && found[0] == LogLevel::Critical && found[5] == LogLevel::Debug);
    assert_eq!(with("general", "loglvl = PROD").general.loglvl, LogLevel::Prod);
    assert!(LogLevel::Prod > LogLevel::Warning && LogLevel::Prod < LogLevel::Info);

    // The example: d:/logs/ is a directory here too.
    let site = Site::new("general: logfile = \"d:/logs/logfile.log\"");
    site.check().code(2).stderr_contains("this looks like a Windows path; state one of this host");
    site.dir.make("d:/logs");
    site.check().success();
}

#[test]
fn connections_in_use_and_their_queues() {
    let text = "[general]\nuseconnections = socket-in_2, socket-out_2, file-out_2\n\
        [socket-in_2]\ntranstech = socket\ntransdir = in\nqueuename = Queue_2\n\
        [socket-out_2]\ntranstech = socket\ntransdir = out\nport = 22223\nqueuename = Queue_2\n\
        [file-out_2]\ntranstech = file\ntransdir = out\nmessagedir = /out\nqueuename = Queue_2\n\
        [file-in_3]\nthis is not in use\n";
    let report = parse(Path::new("c.cfg"), text.as_bytes(), None, Scope::Start);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let config = report.config.unwrap();
    let names: Vec<&str> = config.connections.iter().map(|connection| connection.name.as_str()).collect();
    assert_eq!(names, ["socket-in_2", "socket-out_2", "file-out_2"]);
    assert!(config.connections.iter().all(|connection| connection.queue == "Queue_2" && !connection.use_hl7));
    let outputs = config.outputs();
    let outputs: Vec<_> =
        outputs.iter().map(|output| (output.name.as_str(), output.inputs.join(","))).collect();
    assert_eq!(
        outputs,
        [("socket-out_2", "socket-in_2".to_owned()), ("file-out_2", "socket-in_2".to_owned())]
    );
    assert!(with("socket-in", "usehl7 = True").connections[0].use_hl7);
}

#[test]
fn the_picture_of_chapter_2() {
    let connection = |name: &str, queue: &str| {
        let direction = if name.contains("-in") { "in" } else { "out" };
        let technique = name.split('-').next().unwrap();
        let number = name.bytes().last().unwrap();
        let more = if technique == "file" {
            format!("messagedir = /{name}")
        } else {
            format!("port = {}{number}", if direction == "in" { 30 } else { 31 })
        };
        format!("[{name}]\ntranstech = {technique}\ntransdir = {direction}\nqueuename = {queue}\n{more}\n")
    };
    let members = [
        ("file-in_1", "Queue_1"),
        ("file-out_1", "Queue_1"),
        ("file-in_2", "Queue_1"),
        ("socket-out_1", "Queue_1"),
        ("socket-in_1", "Queue_1"),
        ("socket-in_2", "Queue_2"),
        ("socket-out_2", "Queue_2"),
        ("file-out_2", "Queue_2"),
        ("file-in_3", "Queue_3"),
        ("socket-out_3", "Queue_3"),
    ];
    let names = members.map(|(name, _)| name).join(",");
    let sections = members.map(|(name, queue)| connection(name, queue)).concat();
    let text = format!("[general]\nuseconnections = {names}\n{sections}");
    let config = parse(Path::new("c.cfg"), text.as_bytes(), None, Scope::Start).config.unwrap();
    let queues: Vec<_> =
        config.queues().iter().map(|queue| (queue.inputs.join(" "), queue.outputs.join(" "))).collect();
    let expected = [
        ("file-in_1 file-in_2 socket-in_1", "file-out_1 socket-out_1"),
        ("socket-in_2", "socket-out_2 file-out_2"),
        ("file-in_3", "socket-out_3"),
    ];
    assert_eq!(queues, expected.map(|(inputs, outputs)| (inputs.to_owned(), outputs.to_owned())));
}

#[test]
fn socket_options() {
    for name in ["socket-in", "socket-out"] {
        let plain = socket(name, "");
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.server, plain.use_ack),
            ("127.0.0.1", 22222, true, true)
        );
        assert_eq!((plain.mllp.sob, plain.mllp.eod, plain.mllp.eob), (vec![0x0b], vec![0x1c], vec![0x0d]));
        assert_eq!(plain.queuedb, None);
        assert!(!socket(name, "useack = False").use_ack);
        let client = socket(name, "createserversocket = False\nipaddr = 192.168.3.154");
        assert!(!client.server);
        for host in ["commserver.yoursite.com", "commserver", "192.168.3.154", "2001:db8::1"] {
            assert_eq!(socket(name, &format!("ipaddr = {host}")).host, host);
            assert_eq!(socket(name, &format!("ipaddr = \"{host}\"")).place().unwrap().host(), Some(host));
        }
        assert_eq!(socket(name, "port = 1024").port, 1024);
        assert_eq!(socket(name, "port = 65535").port, 65535);
    }
    let queuedb = "queuedb = \"/var/lib/socketReader/queue.db\"";
    assert_eq!(socket("socket-out", queuedb).queuedb, Some(PathBuf::from("/var/lib/socketReader/queue.db")));
}

#[test]
fn delimiters() {
    let sob = |text: &str| socket("socket-in", &format!("sob = {text}")).mllp.sob;
    assert_eq!(sob("chr(0x0b)"), [0x0b]);
    assert_eq!(sob("chr(11)"), [0x0b]);
    assert_eq!(sob("chr( 0x0B )"), [0x0b]);
    assert_eq!(sob("chr(013)"), [0x0b], "octal, in Python 2");
    assert_eq!(sob("chr(0o13) + chr(0b1010)"), [0x0b, 0x0a]);
    assert_eq!(sob("\"A\" + chr(0) + '\\x7f\\n\\\\'"), [0x41, 0, 0x7f, 0x0a, 0x5c]);
    assert_eq!(sob("'\\013\\q'"), b"\x0b\\q");
    let strings = "sob = \"START-BLOCK\"\neod = \"END-DATA\"\neob = \"END-BLOCK\"";
    let mllp = socket("socket-in", strings).mllp;
    assert_eq!(
        (mllp.sob, mllp.eod, mllp.eob),
        (b"START-BLOCK".into(), b"END-DATA".into(), b"END-BLOCK".into())
    );
    assert_eq!(socket("socket-out", "eob = ''").mllp.eob, b"");
}

#[test]
fn file_options() {
    let file = file_in("");
    assert_eq!((file.dir.as_path(), file.newline), (Path::new("/in"), false));
    assert_eq!(
        (file.mask.text().to_str(), file.cycletime, file.maxfiles),
        (Some("*"), Duration::from_secs(120), 50)
    );
    assert!(file_in("newline = True").newline && file_out("newline = True").newline);
    let tokis = file_in("filemask = tokis_*_.hl7").mask;
    assert!(tokis.matches("tokis_1_.hl7".as_ref()) && !tokis.matches("tokis_1.hl7".as_ref()));
    let dat = file_in("filemask = *.dat").mask;
    assert!(
        dat.matches("f_01.dat".as_ref()) && !dat.matches("F.DAT".as_ref()) && !dat.matches(".dat".as_ref())
    );
    assert_eq!(file_in("cycletime = 5").cycletime, Duration::from_secs(5));
    assert_eq!(file_in("cycletime = 0").cycletime, Duration::from_millis(100), "as often as makes sense");
    assert_eq!((file_in("maxfiles = 1").maxfiles, file_in("maxfiles = 1000").maxfiles), (1, 1000));

    let file = file_out("");
    assert_eq!(
        (file.naming, file.suffix.as_str(), file.newline),
        (Naming::Prefix(String::new()), ".dat", false)
    );
    assert_eq!(file_out("hl7prefix = True\nusehl7 = True").naming, Naming::Hl7);
    assert_eq!(file_out("prefix = PRE").naming, Naming::Prefix("PRE".into()));
    assert_eq!(file_out("prefix = 'PRE '\nsuffix = .hl7").suffix, ".hl7");
    assert_eq!(file_out("suffix = \"\"").suffix, "");
    assert_eq!(file_out("filemode = 0640").filemode, Some(0o640));

    let site = Site::new("files: messagedir = \"in\"\nout: messagedir = 'out'");
    site.check().success();
}

#[test]
fn debug_takes_a_python_dictionary() {
    let site = Site::new(
        "in: debug = {\"option1\":\"value\", \"option2\":\"value\", \"option3\":False, \"option4\":True}",
    );
    let expected: String = (1..=4)
        .map(|number| {
            format!(
                "socketreader: c.cfg:8: warning: [in] debug has no key \"option{number}\"; it has dump, noack, nack, \
                 delayack, drop, slow\n"
            )
        })
        .collect();
    site.check().success().stderr_is(&expected);
    let debug = |text: &str| with("socket-in", &format!("debug = {text}")).connections[0].debug.clone();
    let all = debug(
        "{'dump':True, 'noack':\"1\", \"nack\":False, 'delayack':2.5, \"drop\":\"10\", \"slow\":300, }",
    );
    assert!(all.dump && all.noack && !all.nack);
    assert_eq!((all.delayack, all.drop, all.slow), (Duration::from_millis(2500), 10, Some(300)));
    assert_eq!(debug("{}"), debug(""), "none is the default");
    assert_eq!(debug("{\"dump\":True,\n  \"drop\":1}").drop, 1, "over two lines");
    assert_eq!(debug("{\"other\":[1,(2,None)],\"drop\":1}").drop, 1, "whatever an unknown key has");
}

#[test]
fn defaults_are_those_of_the_table() {
    for row in OPTIONS {
        let Fallback::Value(default) = row.fallback else { continue };
        let places = [
            (Place::GENERAL, "general"),
            (Place::SOCKET_IN, "socket-in"),
            (Place::SOCKET_OUT, "socket-out"),
            (Place::FILE_IN, "file-in"),
            (Place::FILE_OUT, "file-out"),
        ];
        for (_, kind) in places.iter().filter(|(place, _)| row.place.meets(*place)) {
            let stated = with(kind, &format!("{} = {default}", row.name));
            assert_eq!(stated, with(kind, ""), "{}", row.name);
        }
    }
}

#[test]
fn quotes_case_and_separators() {
    for line in [
        "PORT = 2575",
        "Port: 2575",
        "port=2575",
        "port = \"2575\"",
        "port = '2575' ; a comment",
        "port:2575",
    ] {
        assert_eq!(socket("socket-in", line).port, 2575, "{line}");
    }
    for (text, on) in [
        ("True", true),
        ("TRUE", true),
        ("1", true),
        ("yes", true),
        ("On", true),
        ("False", false),
        ("0", false),
        ("NO", false),
        ("off", false),
        ("\"True\"", true),
    ] {
        assert_eq!(with("socket-in", &format!("usehl7 = {text}")).connections[0].use_hl7, on, "{text}");
    }
    let names = with("general", "useconnections =\n  socket-in, socket-out,\n  'file-in' , \"file-out\",");
    assert_eq!(names.connections.len(), 4);
}
