//! Messages for the line.

use super::support::{
    Destination, Driver, FAST, LIMIT, MACHINES, Station, accepted, id_of, illp, illp_begin, message, mllp,
    open, verdict,
};
use protogen_testkit::Dir;
use protogen_testkit::pty::Pty;
use std::io::Read;
use std::net::TcpStream;

/// A driver whose distal server serves at once.
fn driver(options: &str) -> Driver {
    Driver::start(&format!("{FAST} {options} -i 0%127.0.0.1 -I -i 0"))
}

fn answer(mut stream: TcpStream) -> Vec<u8> {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

#[test]
fn two_clients_at_once_are_served_in_order() {
    for (protocol, machine) in MACHINES {
        let driver = driver(protocol);
        let station = Station::new(TcpStream::connect(driver.line()).unwrap(), machine());
        driver.daemon.wait_for_stderr("the line is open");
        let streams: Vec<_> = (0..6).map(|n| illp_begin(driver.distal(), &message(&n.to_string()))).collect();
        for (n, stream) in streams.into_iter().enumerate() {
            assert_eq!(answer(stream), accepted(&n.to_string()), "{protocol}");
            assert_eq!(id_of(&station.next()), n.to_string(), "{protocol}: one after the other");
        }
    }
}

#[test]
fn a_request_waits_a_limited_time_for_the_line() {
    let driver = driver("-m --line-wait 0.2 --reply-timeout 20");
    let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), mllp());
    driver.daemon.wait_for_stderr("the line is open");
    let first = illp_begin(driver.distal(), &message("1"));
    assert_eq!(id_of(&station.next()), "1");
    assert_eq!(verdict(&illp(driver.distal(), &message("2"))), "AR|2|line busy");
    station.send(&accepted("1"));
    assert_eq!(answer(first), accepted("1"));
}

#[test]
fn with_nobody_on_the_line_the_answer_is_ar() {
    let tcp = driver("-m");
    assert_eq!(verdict(&illp(tcp.distal(), &message("1"))), "AR|1|nobody is on the line");
    let directory = Dir::new();
    let path = directory.join("line");
    let pty = Driver::start(&format!("-m -I -p {} -i 0", path.display()));
    assert_eq!(verdict(&illp(pty.distal(), &message("1"))), "AR|1|nobody is on the line");
    let station = Station::new(open(&path), mllp());
    assert_eq!(illp(pty.distal(), &message("2")), accepted("2"));
    drop(station);
}

#[test]
fn an_answer_that_comes_too_late_is_not_anothers() {
    for (protocol, machine) in [MACHINES[0], MACHINES[1], MACHINES[3]] {
        let driver = driver(&format!("{protocol} --reply-timeout 0.2"));
        let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), machine());
        driver.daemon.wait_for_stderr("the line is open");
        assert_eq!(
            verdict(&illp(driver.distal(), &message("1"))),
            "AR|1|the line gave no answer",
            "{protocol}"
        );
        assert_eq!(id_of(&station.next()), "1");
        station.send(&accepted("1"));
        driver.daemon.wait_for_stderr("dropped, its request was given up before");
        let second = illp_begin(driver.distal(), &message("2"));
        assert_eq!(id_of(&station.next()), "2");
        station.send(&accepted("2"));
        assert_eq!(answer(second), accepted("2"), "{protocol}");
    }
}

#[test]
fn a_request_that_is_not_delivered_is_answered() {
    let pty = Pty::raw().unwrap();
    for (protocol, told) in [("-a", "no answer after 4 attempts"), ("-h", "no answer after 1 attempts")] {
        let driver = Driver::start(&format!(
            "{protocol} {FAST} --x328-timer-a 0.05 --hllp-receive-timeout 0.1 -I -t {} -i 0",
            pty.path().display()
        ));
        assert_eq!(verdict(&illp(driver.distal(), &message("1"))), format!("AR|1|not delivered: {told}"));
    }
}

#[test]
fn a_line_that_closes_answers_for_its_request() {
    let driver = driver("-m");
    let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), mllp());
    driver.daemon.wait_for_stderr("the line is open");
    let request = illp_begin(driver.distal(), &message("1"));
    assert_eq!(id_of(&station.next()), "1");
    drop(station);
    assert_eq!(verdict(&answer(request)), "AR|1|the line was closed before it answered");
}

#[test]
fn the_service_starts_with_the_lines_first_message() {
    let destination = Destination::new();
    let driver = Driver::start(&format!("-m -i 0%127.0.0.1 {} -i 0", destination.to()));
    let station = Station::new(TcpStream::connect(driver.line()).unwrap(), mllp());
    driver.daemon.wait_for_stderr("the line is open");
    let refused = TcpStream::connect(driver.distal()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    assert_eq!(illp(driver.distal(), &message("2")), accepted("2"));
}

#[test]
fn a_request_goes_to_the_client_that_spoke_last() {
    let destination = Destination::new();
    let driver = Driver::start(&format!("-m -i 0%127.0.0.1 {} -I -i 0", destination.to()));
    let stations: Vec<Station> =
        (0..2).map(|_| Station::new(TcpStream::connect(driver.line()).unwrap(), mllp())).collect();
    for speaker in [0, 1, 0] {
        stations[speaker].send(&message("1"));
        assert_eq!(stations[speaker].next(), accepted("1"));
        assert_eq!(illp(driver.distal(), &message("2")), accepted("2"));
        assert_eq!(stations[speaker].next(), message("2"));
    }
}

#[test]
fn what_is_no_hl7_is_closed_and_told() {
    let driver = driver("-m");
    assert_eq!(illp(driver.distal(), b"GET / HTTP/1.0\r\n\r\n"), b"");
    driver.daemon.wait_for_stderr("that are no message: closed");
    assert_eq!(illp(driver.distal(), b""), b"");
    assert!(verdict(&illp(driver.distal(), b"MSH|\r")).starts_with("AR||MSH-2 is empty"));
}

#[test]
fn what_the_line_cannot_carry_is_answered() {
    let driver = driver("-a");
    let _station = TcpStream::connect(driver.line()).unwrap();
    driver.daemon.wait_for_stderr("the line is open");
    let request = [message("1"), b"NTE|1||\x04\r".to_vec()].concat();
    let told = verdict(&illp(driver.distal(), &request));
    assert!(told.starts_with("AR|1|the line cannot carry it: byte 0x04"), "{told}");
}

#[test]
fn connections_beyond_the_limit_wait() {
    let driver = driver("-m --connections 1");
    let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), mllp());
    driver.daemon.wait_for_stderr("the line is open");
    let first = illp_begin(driver.distal(), &message("1"));
    assert_eq!(id_of(&station.next()), "1");
    let second = illp_begin(driver.distal(), &message("2"));
    station.send(&accepted("1"));
    assert_eq!(answer(first), accepted("1"));
    assert_eq!(id_of(&station.next()), "2");
    station.send(&accepted("2"));
    assert_eq!(answer(second), accepted("2"));
}

#[test]
fn a_client_that_goes_away_does_not_stop_the_next() {
    let driver = driver("-m");
    let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), mllp());
    driver.daemon.wait_for_stderr("the line is open");
    let gone = illp_begin(driver.distal(), &message("1"));
    assert_eq!(id_of(&station.next()), "1");
    drop(gone);
    let next = illp_begin(driver.distal(), &message("2"));
    next.set_read_timeout(Some(LIMIT)).unwrap();
    station.send(&accepted("1"));
    assert_eq!(id_of(&station.next()), "2");
    station.send(&accepted("2"));
    assert_eq!(answer(next), accepted("2"));
}

#[test]
fn the_driver_tells_its_counters() {
    let destination = Destination::new();
    let driver = Driver::start(&format!("-m -i 0%127.0.0.1 {} -I -i 0", destination.to()));
    let station = Station::new(TcpStream::connect(driver.line()).unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    let query = b"MSH|^~\\&|WATCH||LLPDRV||1996||NMQ|9|P|2.1\rNCK\rNST\r";
    let answer = String::from_utf8(illp(driver.distal(), query)).unwrap();
    let fields: Vec<&str> = answer.split("\rNST|").nth(1).unwrap().split('|').collect();
    assert_eq!(
        (fields[0], fields[1], &fields[5..9]),
        ("Y", "0%127.0.0.1", &["66", "56", "1", "1"][..]),
        "{answer}"
    );
    assert!(
        answer.contains("\rNCK|") && answer.contains("NTE|1|L|blocks in 1 out 1, NAKs in 0 out 0, "),
        "{answer}"
    );
    station.send(query);
    assert!(String::from_utf8(station.next()).unwrap().contains("\rNST|Y|"), "from the line too");
    assert_eq!(destination.rest().len(), 1, "it is not forwarded");
}
