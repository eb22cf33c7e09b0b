//! Messages from the line.

use super::support::{
    Destination, Driver, FAST, Heard, LIMIT, MACHINES, Station, accepted, id_of, message, mllp, open, verdict,
};
use crate::support::free_port;
use protogen_testkit::Dir;
use protogen_testkit::pty::Pty;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

/// A driver on a port of its own.
fn driver(options: &str) -> Driver {
    Driver::start(&format!("{FAST} -i 0%127.0.0.1 {options}"))
}

fn connect(driver: &Driver) -> TcpStream {
    let stream = TcpStream::connect(driver.line()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

#[test]
fn without_a_reply_the_sender_gets_ar() {
    let nobody = format!("-i {}%127.0.0.1 --connect-retries 0", free_port());
    for (protocol, machine) in MACHINES {
        for (options, told) in
            [("", "there is no destination"), (&nobody, "the destination cannot be reached")]
        {
            let driver = driver(&format!("{protocol} {options}"));
            let station = Station::new(connect(&driver), machine());
            station.send(&message("1"));
            assert_eq!(verdict(&station.next()), format!("AR|1|{told}"), "{protocol}");
            driver.daemon.wait_for_stderr(told);
        }
        let silent = Destination::answering(|_| None);
        let driver = driver(&format!("{protocol} {}", silent.to()));
        let station = Station::new(connect(&driver), machine());
        station.send(&message("2"));
        assert_eq!(verdict(&station.next()), "AR|2|the destination gave no answer", "{protocol}");
        assert_eq!(id_of(&silent.next()), "2");
    }
}

#[test]
fn a_destination_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let driver = driver(&format!("-m -i {port}%127.0.0.1 --destination-timeout 0.1"));
    let station = Station::new(connect(&driver), mllp());
    station.send(&message("1"));
    assert_eq!(verdict(&station.next()), "AR|1|the destination gave no answer");
}

#[test]
fn a_destination_that_starts_late_is_tried_again() {
    let port = free_port();
    let driver = driver(&format!("-m -i {port}%127.0.0.1 --connect-retries 1000 --connect-pause 0.01 -d"));
    let station = Station::new(connect(&driver), mllp());
    station.send(&message("1"));
    driver.daemon.wait_for_stderr("not connected to");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    stream.read_to_end(&mut request).unwrap();
    assert_eq!(request, message("1"));
    stream.write_all(&accepted("1")).unwrap();
    drop(stream);
    assert_eq!(station.next(), accepted("1"));
}

#[test]
fn the_connection_id_is_shown() {
    let destination = Destination::answering(|request| {
        let token = request.split(|b| *b == 2).next().unwrap();
        Some(accepted(&String::from_utf8_lossy(token)))
    });
    let command = super::support::llpdrv(&format!("-m -i 0%127.0.0.1 {}", destination.to()));
    for (command, shown) in
        [(command.clone().args(["--cid", "lab-1"]), "lab-1"), (command.env("PG_CID", "lab-2"), "lab-2")]
    {
        let driver = Driver::of(&command);
        let station = Station::new(connect(&driver), mllp());
        station.send(&message("1"));
        assert_eq!(station.next(), accepted(shown));
        assert!(destination.next().starts_with(format!("{shown}\x02MSH|").as_bytes()));
    }
}

#[test]
fn what_is_no_hl7_is_refused_in_the_protocols_words() {
    let destination = Destination::new();
    for (protocol, machine) in MACHINES {
        let driver = driver(&format!("{protocol} {}", destination.to()));
        let station = Station::new(connect(&driver), machine());
        station.send(b"hello\r");
        // MLLP has no word for it: its client is hung up on.
        if protocol == "-m" {
            station.wait_for_close();
        } else {
            assert!(matches!(station.next_event(), Heard::Failed(_)), "{protocol}: EOT or NAK");
        }
        driver.daemon.wait_for_stderr("6 bytes that are no message: refused");
    }
    assert_eq!(destination.rest(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_header_that_cannot_be_read_gets_ar() {
    let destination = Destination::new();
    let driver = driver(&format!("-m {}", destination.to()));
    let station = Station::new(connect(&driver), mllp());
    station.send(b"MSH|\r");
    assert!(verdict(&station.next()).starts_with("AR||MSH-2 is empty"));
    station.send(&message("2"));
    assert_eq!(station.next(), accepted("2"), "the line goes on");
    assert_eq!(destination.next(), message("2"));
}

#[test]
fn a_batch_goes_through_and_is_rejected_as_a_batch() {
    let batch = [b"BHS|^~\\&|A|F|B|G\r".to_vec(), message("1"), message("2"), b"BTS|2\r".to_vec()].concat();
    let destination = Destination::answering(|_| Some(b"BHS|^~\\&|B\rBTS|0\r".to_vec()));
    let through = driver(&format!("-m {}", destination.to()));
    let station = Station::new(connect(&through), mllp());
    station.send(&batch);
    assert_eq!(station.next(), b"BHS|^~\\&|B\rBTS|0\r");
    assert_eq!(destination.next(), batch);
    let nowhere = driver("-m");
    let station = Station::new(connect(&nowhere), mllp());
    station.send(&batch);
    let answer = String::from_utf8(station.next()).unwrap();
    assert!(answer.starts_with("BHS|") && answer.ends_with("\rBTS|2\r"), "{answer}");
    assert!(answer.contains("MSA|AR|1|there is no destination") && answer.contains("MSA|AR|2|"), "{answer}");
}

#[test]
fn an_acknowledgment_is_forwarded_and_never_rejected() {
    let destination = Destination::answering(|_| None);
    let driver = driver(&format!("-m {}", destination.to()));
    let station = Station::new(connect(&driver), mllp());
    station.send(&accepted("17"));
    assert_eq!(destination.next(), accepted("17"), "an application acknowledgment in a turn of its own");
    driver.daemon.wait_for_stderr("no answer can be given to it");
    station.send(&message("2"));
    assert_eq!(verdict(&station.next()), "AR|2|the destination gave no answer", "the first thing that came");
}

#[test]
fn a_reply_that_the_line_cannot_carry_becomes_ar() {
    let destination = Destination::answering(|_| Some(b"MSH|^~\\&|A\rMSA|AA|1|\x1c\r".to_vec()));
    let driver = driver(&format!("-h {}", destination.to()));
    let station = Station::new(connect(&driver), super::support::hllp());
    station.send(&message("1"));
    let told = verdict(&station.next());
    assert!(told.starts_with("AR|1|the destination's reply cannot be given: byte 0x1c"), "{told}");
}

#[test]
fn messages_in_one_write_are_served_in_order() {
    let destination = Destination::new();
    let driver = driver(&format!("-m {} --waiting 3", destination.to()));
    let mut stream = connect(&driver);
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let frames: Vec<u8> =
        ids.iter().flat_map(|id| [b"\x0b".to_vec(), message(id), b"\x1c\r".to_vec()].concat()).collect();
    let mut writer = stream.try_clone().unwrap();
    let write = std::thread::spawn(move || {
        writer.write_all(&frames).unwrap();
        // A client that is done sending still gets every reply.
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).unwrap();
    write.join().unwrap();
    let expected: Vec<u8> =
        ids.iter().flat_map(|id| [b"\x0b".to_vec(), accepted(id), b"\x1c\r".to_vec()].concat()).collect();
    assert!(replies == expected, "{}", replies.escape_ascii());
    assert_eq!(destination.rest().iter().map(|m| id_of(m)).collect::<Vec<_>>(), ids);
}

#[test]
fn several_clients_are_served_at_once() {
    let destination = Destination::new();
    let driver = driver(&format!("-m {} --connections 3", destination.to()));
    let stations: Vec<Station> = (0..3).map(|_| Station::new(connect(&driver), mllp())).collect();
    for (n, station) in stations.iter().enumerate() {
        station.send(&message(&n.to_string()));
    }
    for (n, station) in stations.iter().enumerate() {
        assert_eq!(station.next(), accepted(&n.to_string()));
    }
    let mut fourth = connect(&driver);
    let mut nothing = Vec::new();
    assert!(matches!(fourth.read_to_end(&mut nothing), Ok(0)), "one too many");
    driver.daemon.wait_for_stderr("3 clients are on the line; see --connections");
}

#[test]
fn duplicates_are_the_protocols_matter() {
    let destination = Destination::new();
    for (protocol, machine) in MACHINES {
        let driver = driver(&format!("{protocol} {}", destination.to()));
        let station = Station::new(connect(&driver), machine());
        for _ in 0..2 {
            station.send(&message("1"));
            assert_eq!(station.next(), accepted("1"), "{protocol}");
            assert_eq!(destination.next(), message("1"), "{protocol}: the same control id is no duplicate");
        }
    }
}

#[test]
fn one_shot_disconnects_after_each_transaction() {
    for (protocol, machine) in MACHINES {
        let destination = Destination::new();
        let once = driver(&format!("{protocol} -1 {} -I -i 0", destination.to()));
        once.daemon.wait_for_stderr("warning: with -1 there is no distal server: DIST has no effect");
        for id in ["1", "2"] {
            let station = Station::new(connect(&once), machine());
            station.send(&message(id));
            assert_eq!(station.next(), accepted(id), "{protocol}");
            station.wait_for_close();
        }
    }
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("line");
    let _unix = Driver::start(&format!("-m -1 -u {} {}", path.display(), destination.to()));
    let station = Station::new(UnixStream::connect(&path).unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    station.wait_for_close();
}

#[test]
fn one_shot_on_devices() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("line");
    let mut pty = Driver::start(&format!("-m -1 -p {} {}", path.display(), destination.to()));
    for id in ["1", "2"] {
        let station = Station::new(open(&path), mllp());
        station.send(&message(id));
        assert_eq!(station.next(), accepted(id));
        station.wait_for_close();
    }
    pty.daemon.terminate();
    assert!(path.symlink_metadata().is_err(), "the link goes with the driver");
    let device = Pty::raw().unwrap();
    let tty = Driver::start(&format!("-m -1 -t {} {}", device.path().display(), destination.to()));
    let station = Station::new(device.master().try_clone().unwrap(), mllp());
    for (id, opened) in [("1", 2), ("2", 3)] {
        station.send(&message(id));
        assert_eq!(station.next(), accepted(id));
        tty.wait_for("the line is open", opened);
    }
}

#[test]
fn half_a_reply_is_none_and_neither_is_another_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let driver = driver(&format!("-m -i {port}%127.0.0.1"));
    let station = Station::new(connect(&driver), mllp());
    station.send(&message("1"));
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&accepted("1")[..20]).unwrap();
    // Closed with the request unread, the connection is reset.
    drop(stream);
    assert_eq!(verdict(&station.next()), "AR|1|the destination gave no answer");
    let other = Destination::answering(|_| Some(b"HTTP/1.0 400 Bad Request\r".to_vec()));
    let driver = self::driver(&format!("-m {}", other.to()));
    let station = Station::new(connect(&driver), mllp());
    station.send(&message("2"));
    assert_eq!(verdict(&station.next()), "AR|2|the destination's reply is no HL7 message");
}

#[test]
fn what_came_before_junk_is_served() {
    let destination = Destination::new();
    let driver = driver(&format!("-m {}", destination.to()));
    let mut stream = connect(&driver);
    let frame = |message: &[u8]| [b"\x0b", message, b"\x1c\r"].concat();
    stream.write_all(&[frame(&message("1")), frame(&message("2")), frame(b"junk\r")].concat()).unwrap();
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).unwrap();
    assert_eq!(replies, [frame(&accepted("1")), frame(&accepted("2"))].concat(), "and then it is hung up on");
}

#[test]
fn a_message_that_is_too_long_gets_ar() {
    let destination = Destination::new();
    for (protocol, machine) in MACHINES {
        let driver = driver(&format!("{protocol} --max-message 300 {}", destination.to()));
        let station = Station::new(connect(&driver), machine());
        station.send(&[message("1"), vec![b'x'; 300]].concat());
        if protocol.starts_with("-m") {
            assert_eq!(verdict(&station.next()), "AR|1|the message is longer than 300 bytes", "{protocol}");
        } else {
            assert!(matches!(station.next_event(), Heard::Failed(_)), "{protocol}: NAK or EOT");
        }
    }
    assert_eq!(destination.rest(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_protocol_that_can_refuse_does_when_too_many_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let driver = driver(&format!("-m --mllp-release 2 --waiting 1 -i {port}%127.0.0.1"));
    let mut stream = connect(&driver);
    let frame = |message: &[u8]| [b"\x0b", message, b"\x1c\r"].concat();
    let mut commit = [0; 4];
    let mut send = |id: &str| {
        stream.write_all(&frame(&message(id))).unwrap();
        stream.read_exact(&mut commit).unwrap();
        commit[1]
    };
    assert_eq!(send("1"), 0x06);
    let (mut first, _) = listener.accept().unwrap();
    first.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(send("2"), 0x06, "one may wait");
    assert_eq!(send("3"), 0x15, "not a second one");
    first.write_all(&accepted("1")).unwrap();
}
