//! All three protocols on all four media, both directions.

use super::support::{Destination, Driver, FAST, MACHINES, Station, accepted, illp, message, open, verdict};
use protogen_testkit::pty::Pty;
use protogen_testkit::{Dir, TestCommand};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// A message of the line goes to TO and its reply back; one of a distal client goes to the line and its reply back.
fn both_ways(station: &Station, destination: &Destination, driver: &Driver, protocol: &str) {
    for round in ["1", "2"] {
        station.send(&message(round));
        assert_eq!(station.next(), accepted(round), "{protocol}: the reply of TO, byte for byte");
        assert_eq!(destination.next(), message(round), "{protocol}: byte for byte");
        let id = format!("D{round}");
        assert_eq!(illp(driver.distal(), &message(&id)), accepted(&id), "{protocol}: the line's reply");
        assert_eq!(station.next(), message(&id), "{protocol}");
    }
    assert_eq!(destination.rest(), Vec::<Vec<u8>>::new(), "{protocol}: nothing came twice");
}

#[test]
fn tcp() {
    for (protocol, machine) in MACHINES {
        let destination = Destination::new();
        let driver = Driver::start(&format!("{protocol} {FAST} -i 0%127.0.0.1 {} -i 0", destination.to()));
        let station = Station::new(TcpStream::connect(driver.line()).unwrap(), machine());
        both_ways(&station, &destination, &driver, protocol);
    }
}

#[test]
fn unix_sockets() {
    for (protocol, machine) in MACHINES {
        let (destination, directory) = (Destination::new(), Dir::new());
        let path = directory.join("line");
        let driver =
            Driver::start(&format!("{protocol} {FAST} -u {} {} -i 0", path.display(), destination.to()));
        let station = Station::new(UnixStream::connect(&path).unwrap(), machine());
        both_ways(&station, &destination, &driver, protocol);
    }
}

#[test]
fn ptys() {
    for (protocol, machine) in MACHINES {
        let (destination, directory) = (Destination::new(), Dir::new());
        let path = directory.join("line");
        let driver =
            Driver::start(&format!("{protocol} {FAST} -p {} {} -i 0", path.display(), destination.to()));
        let station = Station::new(open(&path), machine());
        both_ways(&station, &destination, &driver, protocol);
    }
}

#[test]
fn ttys() {
    for (protocol, machine) in MACHINES {
        for medium in ["-t", "-p"] {
            let (destination, pty) = (Destination::new(), Pty::raw().unwrap());
            let path = pty.path().display();
            let driver =
                Driver::start(&format!("{protocol} {FAST} {medium} {path} {} -i 0", destination.to()));
            let station = Station::new(pty.master().try_clone().unwrap(), machine());
            both_ways(&station, &destination, &driver, protocol);
        }
    }
}

#[test]
fn a_message_from_a_shell() {
    // As a person tries it: a client that closes its half right behind its message gets its reply.
    let destination = Destination::new();
    let driver = Driver::start(&format!("-m -i 0%127.0.0.1 {}", destination.to()));
    let sent = TestCommand::new(env!("CARGO_BIN_EXE_hl7"))
        .args(["send", "127.0.0.1", &driver.line().port().to_string()])
        .stdin(message("7"))
        .run();
    sent.success().stdout_contains("MSA|AA|7");
    assert_eq!(verdict(&destination.next()), "");
}
