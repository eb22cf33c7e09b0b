//! Both sides want the line at the same moment.

use super::support::{
    Destination, Driver, FAST, Station, accepted, id_of, illp_begin, message, mllp, verdict,
};
use protogen_testkit::line::{Direction, Line};
use std::io::Read;
use std::net::TcpStream;

/// The two ends of a line, both drivers: requests at the distal servers of both at once, again and again.
fn both_at_once(protocol: &str, left: &str, right: &str, rounds: usize) {
    let line = Line::new(Direction::perfect(), Direction::perfect()).unwrap();
    let destinations = [Destination::new(), Destination::new()];
    let driver = |path: &std::path::Path, priority: &str, to: &Destination| {
        let place = path.display();
        Driver::start(&format!("{protocol} {FAST} --priority {priority} -t {place} {} -I -i 0", to.to()))
    };
    let drivers =
        [driver(line.left(), left, &destinations[0]), driver(line.right(), right, &destinations[1])];
    for round in 0..rounds {
        let ids = [format!("L{round}"), format!("R{round}")];
        let streams = [0, 1].map(|end| illp_begin(drivers[end].distal(), &message(&ids[end])));
        for (mut stream, id) in streams.into_iter().zip(&ids) {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let heard = format!("{protocol} {left} {right}\n{}\n{}", drivers[0].daemon, drivers[1].daemon);
            assert_eq!(verdict(&answer), format!("AA|{id}"), "{heard}");
        }
        assert_eq!(id_of(&destinations[0].next()), ids[1]);
        assert_eq!(id_of(&destinations[1].next()), ids[0]);
    }
    assert!(destinations.iter().all(|one| one.rest().is_empty()), "{protocol}: nothing came twice");
}

#[test]
fn both_ends_are_served_whatever_their_priorities() {
    let rounds = if std::env::var_os("PG_SOAK").is_some() { 300 } else { 5 };
    for protocol in ["-m", "-m --mllp-release 2", "-h", "-a"] {
        both_at_once(protocol, "high", "low", rounds);
        both_at_once(protocol, "low", "high", rounds);
        both_at_once(protocol, "low", "low", rounds);
    }
}

#[test]
fn the_priority_says_who_waits() {
    for (priority, held) in [("low", false), ("high", true)] {
        let destination = Destination::new();
        let driver = Driver::start(&format!(
            "-m --priority {priority} --reply-timeout 20 -i 0%127.0.0.1 {} -I -i 0",
            destination.to()
        ));
        let station = Station::silent(TcpStream::connect(driver.line()).unwrap(), mllp());
        driver.daemon.wait_for_stderr("the line is open");
        let mut request = illp_begin(driver.distal(), &message("D"));
        assert_eq!(station.next(), message("D"));
        // Our peer sends a message of its own before it answers.
        station.send(&message("P"));
        if !held {
            assert_eq!(station.next(), accepted("P"), "served at once: the peer may wait for it");
        }
        station.send(&accepted("D"));
        let mut answer = Vec::new();
        request.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, accepted("D"));
        if held {
            // It was not forwarded before the answer came, which the log tells.
            assert_eq!(station.next(), accepted("P"));
            let log = driver.daemon.stderr();
            let (answered, served) = (log.find("distal answer").unwrap(), log.find("\"P\"").unwrap());
            assert!(answered < served, "{log}");
        }
        assert_eq!(destination.next(), message("P"));
    }
}

#[test]
fn a_distal_request_waits_until_a_message_has_its_reply() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let driver = Driver::start(&format!("-m -i 0%127.0.0.1 -i {port}%127.0.0.1 -I -i 0"));
    let station = Station::new(TcpStream::connect(driver.line()).unwrap(), mllp());
    station.send(&message("P"));
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let mut request = illp_begin(driver.distal(), &message("D"));
    // A query is answered at once, so the request before it has been read.
    super::support::illp(driver.distal(), b"MSH|^~\\&|W||LLPDRV||1||NMQ|9|P|2.1\rNCK\rNST\r");
    std::io::Write::write_all(&mut stream, &accepted("P")).unwrap();
    drop(stream);
    assert_eq!(station.next(), accepted("P"), "first its reply");
    assert_eq!(station.next(), message("D"));
    let mut answer = Vec::new();
    request.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, accepted("D"));
}
