//! Many connections that do nothing useful change nothing for the one that works.

use std::net::TcpStream;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpRepair;
use protogen_testkit::{TestCommand, not_tested, raise_open_files};

use super::certificates::TlsClients;
use super::support::{Router, Setup, adt};

const HL7: &str = "usehl7 = True\nmaxconnections = 20000\ntimeout = 3600";

/// How many there are: with `PG_SOAK` set, as many as a hostile or broken network may bring.
fn crowd() -> usize {
    if std::env::var_os("PG_SOAK").is_some() { 10_000 } else { 200 }
}

/// Resident memory of a process, in KiB.
fn resident(router: &Router) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Exchanges some messages on a connection of long standing and on a new one.
fn works(router: &Router, link: &mut super::support::Link, round: usize) {
    for number in 0..20 {
        let id = format!("R{round}N{number}");
        link.exchange(&adt(&id), &format!("AA {id}"));
    }
    router.connect("in").exchange(&adt("NEW"), "AA NEW");
}

#[test]
fn connections_left_half_way_through_a_frame() {
    let crowd = crowd();
    raise_open_files(crowd as u64 + 200).unwrap();
    let mut router = Setup::new()
        .general("loglvl = warning")
        .server_in("in", HL7)
        .server_in("crowded", HL7)
        .file_out("out", "")
        .start();
    let mut link = router.connect("in");
    works(&router, &mut link, 0);
    let before = resident(&router);
    let mut others: Vec<TcpStream> = Vec::new();
    for number in 0..crowd {
        let name = if number % 2 == 0 { "in" } else { "crowded" };
        let mut other = router.connect(name);
        // In the middle of the header, of a segment, of the delimiters; or before all of it.
        let whole = super::support::frame(&adt("HALF"));
        other.raw(&whole[..[0, 1, 30, whole.len() - 2, whole.len() - 10][number % 5]]);
        others.push(other.stream);
    }
    works(&router, &mut link, 1);
    let full = resident(&router);
    // 8 KiB for each: a decoder, its buffers and what the system's allocator keeps.
    assert!(full < before + 1024 + crowd * 8, "{before} KiB before, {full} KiB with {crowd} connections");
    // They go, some first.
    let third = others.len() / 3;
    others.drain(..third);
    works(&router, &mut link, 2);
    others.clear();
    works(&router, &mut link, 3);
    // Every message of the one that works, and no half one.
    let delivered = router.files("out", 4 * 21);
    assert!(!delivered.contains(&adt("HALF")));
    router.end();
}

#[test]
fn connections_left_half_way_through_a_handshake() {
    let crowd = crowd();
    raise_open_files(crowd as u64 + 200).unwrap();
    let setup = Setup::new().general("loglvl = warning");
    let certificate = super::certificates::Authority::new(&setup.dir).issue("router", &["localhost"]);
    let mut router = setup
        .server_in("in", HL7)
        .server_in("crowded", &format!("{HL7}\n{}", certificate.options()))
        .file_out("out", "")
        .start();
    let mut link = router.connect("in");
    works(&router, &mut link, 0);
    let before = resident(&router);
    // The beginning of a hello that says that it is longer.
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &[7; 32]].concat();
    let others: Vec<_> = (0..crowd)
        .map(|number| {
            let mut other = router.connect("crowded");
            other.raw(&hello[..[0, 1, 5, 6, hello.len()][number % 5]]);
            other.stream
        })
        .collect();
    works(&router, &mut link, 1);
    let full = resident(&router);
    // Those that have begun have a buffer for what follows.
    assert!(full < before + 4096 + crowd * 40, "{before} KiB before, {full} KiB with {crowd} connections");
    drop(others);
    works(&router, &mut link, 2);
    router.files("out", 3 * 21);
    router.end();
}

#[test]
fn connections_that_are_silent_after_their_handshake() {
    let crowd = crowd();
    raise_open_files(crowd as u64 + 200).unwrap();
    let figures = super::support::port();
    let setup = Setup::new().general(&format!("loglvl = warning\nmetrics = 127.0.0.1:{figures}"));
    let authority = super::certificates::Authority::new(&setup.dir);
    let certificate = authority.issue("router", &["localhost"]);
    let mut router = setup
        .server_in("in", HL7)
        .server_in("crowded", &format!("{HL7}\n{}", certificate.options()))
        .file_out("out", "")
        .start();
    let mut link = router.connect("in");
    works(&router, &mut link, 0);
    let before = resident(&router);
    let clients = TlsClients::trusting(&authority.pem());
    let others: Vec<_> = (0..crowd).map(|_| clients.connect(router.connect("crowded").stream)).collect();
    assert_eq!(super::metrics::figure(figures, "peers{connection=crowded,direction=in}"), crowd as f64);
    works(&router, &mut link, 1);
    let full = resident(&router);
    assert!(full < before + 4096 + crowd * 40, "{before} KiB before, {full} KiB with {crowd} connections");
    drop(others);
    works(&router, &mut link, 2);
    router.files("out", 3 * 21);
    router.end();
}

#[test]
fn peers_that_vanish() {
    let crowd = crowd().min(1000);
    raise_open_files(crowd as u64 + 200).unwrap();
    let figures = super::support::port();
    let mut router = Setup::new()
        .general(&format!("loglvl = warning\nmetrics = 127.0.0.1:{figures}"))
        .server_in("in", HL7)
        .server_in("crowded", &format!("{HL7}\nkeepalive = 1"))
        .file_out("out", "")
        .start();
    let mut link = router.connect("in");
    let others: Vec<TcpStream> = (0..crowd)
        .map(|number| {
            let mut other = router.connect("crowded");
            other.raw(&super::support::frame(&adt("HALF"))[..30 * (number % 2)]);
            other.stream
        })
        .collect();
    let peers = || super::metrics::figure(figures, "peers{connection=crowded,direction=in}");
    router.wait("all are accepted", || peers() == crowd as f64);
    // As when their power fails: the system says nothing to the router when they close.
    for other in others {
        if let Err(error) = setsockopt(&other, TcpRepair, &1) {
            return not_tested(format!("half-open peers: {error}"));
        }
    }
    works(&router, &mut link, 0);
    router.wait("all are found out", || peers() == 0.0);
    works(&router, &mut link, 1);
    assert!(!router.files("out", 2 * 21).contains(&adt("HALF")));
    router.end();
}

#[test]
fn long_unfinished_frames_are_bounded_together() {
    let mut router = Setup::new().general("loglvl = error").server_in("in", HL7).file_out("out", "").start();
    let mut link = router.connect("in");
    works(&router, &mut link, 0);
    // Each within its limit of 16 MiB, together more than the memory that is meant for them.
    let long = [super::support::frame(&adt("HALF")).strip_suffix(b"\x1c\r").unwrap(), &vec![b'x'; 15 << 20]]
        .concat();
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut other = router.connect("in");
        other.raw(&long);
        others.push(other);
        link.exchange(&adt("B"), "AA B");
    }
    // Those that said nothing for longest are gone.
    let line = router.wait_for_log("closed in the middle of a frame");
    assert!(
        line.contains(" - in - ERROR - 127.0.0.1:") && line.contains(" take more than 268435456"),
        "{line}"
    );
    others[0].closed();
    assert!(resident(&router) < 700 << 10, "{} KiB", resident(&router));
    works(&router, &mut link, 1);
    drop(others);
    router.end();
}

/// Starts a router under a limit of open files, as a shell sets it.
fn limited(setup: Setup, limit: &str) -> Router {
    let _ = setup.command();
    let script = format!("ulimit {limit} && exec {} -c sr.cfg", env!("CARGO_BIN_EXE_socketreader"));
    let command = TestCommand::new("sh").args(["-c", &script]).in_dir(setup.dir.path());
    setup.start_with(&command)
}

#[test]
fn more_files_are_asked_for_than_the_soft_limit_allows() {
    let router = limited(Setup::new().server_in("in", HL7).file_out("out", ""), "-S -n 40");
    let mut link = router.connect("in");
    let others: Vec<_> = (0..100).map(|_| router.connect("in")).collect();
    works(&router, &mut link, 0);
    drop(others);
    assert!(!router.log().contains("refused"), "{}", router.log());
}

#[test]
fn a_limit_of_open_files_costs_peers_and_no_message() {
    let mut router = limited(Setup::new().server_in("in", HL7).file_out("out", ""), "-n 100");
    router.wait_for_log(
        "peers can be connected, although maxconnections allows 20000: the limit of open files is 100",
    );
    let mut link = router.connect("in");
    link.exchange(&adt("FIRST"), "AA FIRST");
    let others: Vec<_> = (0..100).map(|_| router.connect("in")).collect();
    router.wait_for_log("refused, the limit of open files is reached");
    for number in 0..20 {
        let id = format!("A{number}");
        link.exchange(&adt(&id), &format!("AA {id}"));
    }
    assert_eq!(router.files("out", 21).len(), 21);
    // Those that were served leave, and there is room again.
    drop(others);
    router.wait("room", || {
        let mut other = router.connect("in");
        let sent = std::io::Write::write_all(&mut other.stream, &super::support::frame(&adt("LATE")));
        sent.is_ok() && other.try_frame().is_ok()
    });
    router.end();
}

#[test]
fn maxconnections_is_a_bound_for_each_connection() {
    let two = "usehl7 = True\nmaxconnections = 2";
    let router = Setup::new().server_in("in", two).server_in("in2", two).file_out("out", "").start();
    let (mut one, mut two) = (router.connect("in"), router.connect("in"));
    one.exchange(&adt("A"), "AA A");
    two.exchange(&adt("B"), "AA B");
    router.connect("in").closed();
    let line = router.wait_for_log("refused");
    assert!(
        line.contains(" - in - WARNING - 127.0.0.1:") && line.contains("maxconnections allows no more"),
        "{line}"
    );
    router.connect("in2").exchange(&adt("C"), "AA C");
    drop(two);
    router.wait_for_log("closed");
    router.connect("in").exchange(&adt("D"), "AA D");
    one.exchange(&adt("E"), "AA E");
}
