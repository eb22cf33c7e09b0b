//! Every fault of a configuration, by its exact message: `tests/data/socketreader/faults.txt`, and those that need more
//! than a changed line.

use std::os::unix::fs::PermissionsExt;

use protogen_testkit::{Dir, Output, TestCommand};

use super::site::Site;
use crate::support::{data, socketreader};

#[test]
fn each_has_its_message() {
    let table = std::fs::read_to_string(data("socketreader/faults.txt")).unwrap();
    let cases: Vec<&str> =
        table.split("\n\n").filter(|case| case.lines().any(|line| !line.starts_with('#'))).collect();
    assert!(cases.len() >= 125, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (expected, changes): (Vec<&str>, Vec<&str>) =
            case.lines().partition(|line| line.starts_with("> "));
        let site = Site::new(&changes.join("\n"));
        let output = site.check();
        let expected = filled(&expected, &changes, &site);
        let clean = expected.lines().all(|line| line.contains(" warning: "));
        let status = output.status.code() == Some(if clean { 0 } else { 2 });
        if output.stderr() != expected || !status {
            wrong.push(format!(
                "{case}\n expected:\n{expected} told ({}):\n{}",
                output.status,
                output.stderr()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The expected text with its places filled in, and the names of program and file before each line.
fn filled(expected: &[&str], changes: &[&str], site: &Site) -> String {
    let expected: Vec<&str> = expected.iter().map(|line| &line[2..]).collect();
    let mut text = expected.join("\n").replace("{dir}", site.path().to_str().unwrap());
    let mut places: Vec<(String, &str, String)> = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let (section, line) = change.split_once(": ").unwrap();
        places.push(((index + 1).to_string(), section, line.to_owned()));
    }
    for name in ["general", "in", "files", "out", "peer", "spare"] {
        places.push((name.to_owned(), "", format!("[{name}]")));
    }
    for line in ["port = 22223", "createserversocket = False"] {
        places.push((line.to_owned(), "peer", line.to_owned()));
    }
    for (place, section, line) in places {
        let place = format!("{{{place}}}");
        if text.contains(&place) {
            text = text.replace(&place, &site.line(section, &line).to_string());
        }
    }
    text.lines().map(|line| format!("socketreader: c.cfg:{line}\n")).collect()
}

/// Asserts the faults of a site, each without program and file.
#[track_caller]
fn told(output: &Output, status: i32, expected: &[&str]) {
    let expected: String = expected.iter().map(|line| format!("socketreader: c.cfg:{line}\n")).collect();
    output.code(status).stderr_is(&expected);
}

#[test]
fn all_are_named_at_once() {
    let site = Site::new(
        "general: loglvl = loud\nin: port = 80\nfiles: maxfiles = 0\nout: messagedir = gone\nout: prefix = a/b\n\
         peer: -ipaddr\nend: [spare]\nend: transdir = up",
    );
    let gone = format!(
        "19: [out] messagedir {}: there is no such directory; make it, or correct the path",
        site.path().join("gone").display()
    );
    let expected = [
        "3: [general] loglvl = loud: must be critical, error, warning, prod, info or debug",
        "8: [in] port = 80: must be a whole number from 1024 to 65535",
        "14: [files] maxfiles = 0: must be a whole number from 1 to 1000",
        &gone,
        "20: [out] prefix = a/b: must be part of a file's name: no / and at most 127 bytes",
        "25: [peer] createserversocket = False needs ipaddr, the host to connect to",
    ];
    let start = socketreader().args(["-c", "c.cfg"]).in_dir(site.path()).run();
    told(&start, 2, &expected);
    start.stdout_is("");
    let spare = [
        "27: warning: [spare] transtech is missing; state file or socket",
        "27: warning: [spare] queuename is missing; inputs and outputs with the same queue name are joined",
        "28: warning: [spare] transdir = up: must be in or out",
    ];
    let check = site.check();
    told(&check, 2, &[&expected[..], &spare].concat());
    check.stdout_contains("c.cfg: cannot start: 6 errors, 3 warnings\n");
    assert!(!site.path().join("socketReader.state").exists(), "nothing was started");
}

#[test]
fn a_file_that_cannot_be_read() {
    let dir = Dir::new();
    let check = |name: &str| socketreader().args(["--check", "-c", name]).in_dir(dir.path()).run();
    check("none.cfg").code(2).stderr_is(
        "socketreader: none.cfg: there is no such file; name the configuration with --configfile FILE\n",
    );
    check(".").code(2).stderr_is("socketreader: .: Is a directory (os error 21)\n");
    dir.write("long.cfg", "# long\n".repeat(200_000));
    check("long.cfg")
        .code(2)
        .stderr_is("socketreader: long.cfg: longer than 1048576 bytes, so this is no configuration\n");
    let no_general =
        ": there is no section [general]; begin the file with it, and name the connections in it\n";
    dir.write("empty.cfg", "");
    check("empty.cfg").code(2).stderr_is(&format!("socketreader: empty.cfg{no_general}"));
    dir.write("c.cfg", "[General]\n");
    let output = check("c.cfg");
    let hint = ", and [General] is not the same; begin the file with it, and name the connections in it\n";
    output.code(2).stderr_contains(&format!("socketreader: c.cfg: there is no section [general]{hint}"));
}

#[test]
fn a_file_that_is_no_configuration() {
    let many = |line: &dyn Fn(usize) -> String| (0..60_000).map(line).collect::<String>();
    let site = Site::new("");
    let sound = site.dir.text("c.cfg");
    let said = |more: &str| {
        site.dir.write("c.cfg", format!("{sound}{more}"));
        let output = site.check();
        output.code(2);
        output.stderr().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = said(&many(&|number| format!("garbage {number}\n")));
    assert_eq!(told.len(), 1001);
    assert_eq!(told[1000], "socketreader: c.cfg: there are more faults than these 1000; mend them first");
    let told = said(&many(&|number| format!("[s{number}]\n")));
    let sections = "the file has more than 4096 sections, so this is no configuration";
    assert!(told.contains(&format!("socketreader: c.cfg:4116: {sections}")), "{}", told[0]);
    let told = said(&many(&|number| format!("o{number}=1\n")));
    let options = "[peer] the section has more than 512 options, so this is no configuration";
    assert!(told.contains(&format!("socketreader: c.cfg:531: {options}")), "{}", told[0]);
}

#[test]
fn names_that_no_log_can_show() {
    let long = "n".repeat(256);
    for name in ["a\tb", long.as_str()] {
        let site = Site::new(&format!(
            "end: [{name}]\nend: transtech = socket\nend: transdir = in\nend: queuename = adt"
        ));
        told(
            &site.check(),
            0,
            &["25: warning: the section's name must be printable and have at most 255 bytes"],
        );
    }
}

/// A socketreader whose account is not above the rules of files, as root is.
fn unprivileged() -> TestCommand {
    let program = env!("CARGO_BIN_EXE_socketreader");
    TestCommand::new("setpriv").args(["--bounding-set=-all", "--inh-caps=-all", program])
}

#[test]
fn directories_that_may_not_be_used() {
    let site = Site::new("general: logfile = log/sr.log\ngeneral: statedir = state\nfiles: errordir = bad");
    let names = ["in", "out", "log", "state", "bad"];
    for name in names {
        std::fs::set_permissions(site.dir.make(name), PermissionsExt::from_mode(0o555)).unwrap();
    }
    let dir = site.path().display();
    let helps = "this account may not write there; change its owner or its mode, or run as another account";
    let expected = [
        format!("3: [general] logfile {dir}/log: {helps}"),
        format!("4: [general] statedir {dir}/state: {helps}"),
        format!("14: [files] messagedir {dir}/in: {helps}"),
        format!("15: [files] errordir {dir}/bad: {helps}"),
        format!("20: [out] messagedir {dir}/out: {helps}"),
    ];
    told(&site.command(&unprivileged()).run(), 2, &expected.each_ref().map(String::as_str));
    for name in names {
        std::fs::set_permissions(site.path().join(name), PermissionsExt::from_mode(0o700)).unwrap();
    }
    told(&site.command(&unprivileged()).run(), 0, &[]);
}

#[test]
fn what_others_may_reach() {
    let site = Site::new("general: loglvl = prod\ngeneral: logfile = sr.log\ngeneral: statedir = state");
    let dir = site.path().display();
    for (name, mode) in [("in", 0o777), ("state", 0o777)] {
        std::fs::set_permissions(site.dir.make(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let log = site.dir.write("sr.log", "");
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o644)).unwrap();
    let expected = [
        format!(
            "4: warning: [general] logfile {dir}/sr.log will hold contents of messages, and others than its owner may use it; chmod 600 it"
        ),
        format!(
            "5: warning: [general] statedir {dir}/state: every account of this host could move the journal away; chmod o-w it"
        ),
        format!(
            "15: warning: [files] every account of this host may put messages into {dir}/in: chmod o-w it"
        ),
    ];
    told(&site.check(), 0, &expected.each_ref().map(String::as_str));
    for (name, mode) in [("in", 0o755), ("state", 0o1777), ("sr.log", 0o600)] {
        std::fs::set_permissions(site.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    told(&site.check(), 0, &[]);
}

#[test]
fn servers_of_both_protocols_can_share_a_port() {
    let changes = "peer: createserversocket = True\npeer: port = 22222\npeer: ipaddr = [::1]";
    told(&Site::new(changes).check(), 0, &[]);
    let both = format!("{changes}\nin: ipaddr = ::1");
    told(
        &Site::new(&both).check(),
        2,
        &["25: [peer] port 22222 is the one that [in] (line 3) listens on; give one of them another port"],
    );
    let wildcard = format!("{changes}\nin: ipaddr = ::");
    let expected = [
        "8: warning: [in] whoever reaches every address of this host may connect here; state allow = PEER, ..., or let a firewall admit the peers only",
        "25: [peer] port 22222 is the one that [in] (line 3) listens on; give one of them another port",
    ];
    told(&Site::new(&wildcard).check(), 2, &expected);
}
