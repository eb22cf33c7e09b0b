//! Lines that go away and come again.

use super::support::{Destination, Driver, Station, accepted, illp, message, mllp, open, verdict};
use protogen_testkit::Dir;
use protogen_testkit::pty::Pty;
use std::os::unix::fs::symlink;

#[test]
fn a_tty_that_hangs_up_is_opened_again() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("tty");
    let options = "--reopen-pause 0.01 --reopen-limit 0.04";
    let first = Pty::raw().unwrap();
    symlink(first.path(), &path).unwrap();
    let driver = Driver::start(&format!("-m {options} -t {} {} -I -i 0", path.display(), destination.to()));
    let station = Station::new(first.master().try_clone().unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    // Its cable is pulled, and the device vanishes.
    std::fs::remove_file(&path).unwrap();
    drop(station);
    first.hang_up();
    driver.wait_for("next attempt in 0.04 s", 3);
    assert_eq!(verdict(&illp(driver.distal(), &message("2"))), "AR|2|nobody is on the line");
    // Another one takes its place.
    let second = Pty::raw().unwrap();
    symlink(second.path(), &path).unwrap();
    driver.wait_for("the line is open", 2);
    let station = Station::new(second.master().try_clone().unwrap(), mllp());
    station.send(&message("3"));
    assert_eq!(station.next(), accepted("3"));
    assert_eq!(illp(driver.distal(), &message("4")), accepted("4"));
}

#[test]
fn a_pty_outlives_its_clients() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("line");
    let driver = Driver::start(&format!("-m -p {} {} -I -i 0", path.display(), destination.to()));
    let slave = std::fs::read_link(&path).unwrap();
    for (n, id) in ["1", "2", "3"].into_iter().enumerate() {
        let station = Station::new(open(&path), mllp());
        station.send(&message(id));
        assert_eq!(station.next(), accepted(id));
        drop(station);
        driver.wait_for("the line is open", n + 2);
    }
    assert_eq!(std::fs::read_link(&path).unwrap(), slave, "the same device all the time");
}

#[test]
fn the_next_client_of_a_pty_does_not_get_the_last_ones_reply() {
    use std::io::{Read, Write};
    let directory = Dir::new();
    let path = directory.join("line");
    // A destination that answers only when it is told to.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let driver = Driver::start(&format!("-m -p {} -i {port}%127.0.0.1", path.display()));
    let mut first = open(&path);
    first.write_all(&[b"\x0b".to_vec(), message("1"), b"\x1c\r".to_vec()].concat()).unwrap();
    let (mut one, _) = listener.accept().unwrap();
    one.read_to_end(&mut Vec::new()).unwrap();
    drop(first);
    one.write_all(&accepted("1")).unwrap();
    drop(one);
    driver.daemon.wait_for_stderr("not given, the client has gone");
    let mut second = open(&path);
    second.write_all(&[b"\x0b".to_vec(), message("2"), b"\x1c\r".to_vec()].concat()).unwrap();
    let (mut two, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    two.read_to_end(&mut request).unwrap();
    assert_eq!(request, message("2"));
    two.write_all(&accepted("2")).unwrap();
    drop(two);
    let expected = [b"\x0b".to_vec(), accepted("2"), b"\x1c\r".to_vec()].concat();
    let mut got = vec![0; expected.len()];
    second.read_exact(&mut got).unwrap();
    assert_eq!(got, expected, "its own reply, and nothing before it");
}

#[test]
fn what_a_client_did_not_read_is_thrown_away() {
    use std::io::{Read, Write};
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("line");
    let driver = Driver::start(&format!("-m -p {} {}", path.display(), destination.to()));
    let frame = |message: &[u8]| [b"\x0b", message, b"\x1c\r"].concat();
    let mut first = open(&path);
    first.write_all(&frame(&message("1"))).unwrap();
    driver.daemon.wait_for_stderr("reply ACK \"A1\"");
    drop(first);
    driver.wait_for("the line is open", 2);
    let mut second = open(&path);
    second.write_all(&frame(&message("2"))).unwrap();
    let expected = frame(&accepted("2"));
    let mut got = vec![0; expected.len()];
    second.read_exact(&mut got).unwrap();
    assert_eq!(got, expected, "its own reply, and nothing before it");
}
