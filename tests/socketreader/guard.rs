//! Who may connect, and how peers that vanish are found out.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use super::manual::with;
use super::site::Site;
use super::support::{Link, Router, Setup, adt};
use crate::support::socketreader;

/// Connects from another address of loopback.
fn from(router: &Router, name: &str, address: Ipv4Addr) -> Link {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(address, 0))).unwrap();
    let to = std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, router.port(name));
    connect(socket.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    Link::new(socket.into())
}

const ME: Ipv4Addr = Ipv4Addr::new(127, 1, 2, 3);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 9, 2, 3);

#[test]
fn who_is_not_allowed_is_closed_at_once_and_logged() {
    let router = Setup::new()
        .server_in("in", "usehl7 = True\nallow = 10.0.0.1, 127.1.0.0/16, fd00:1::/32")
        .server_in("named", "usehl7 = True\nallow = localhost, no-such-host.invalid")
        .server_out("out", "usehl7 = True\nallow = 127.1.0.0/16")
        .start();
    let line = router.wait_for_log("no-such-host.invalid has no address");
    assert!(line.contains(" - named - ERROR - allow: "), "{line}");
    let mut link = from(&router, "in", ME);
    link.exchange(&adt("A"), "AA A");
    from(&router, "in", OTHER).closed();
    let line = router.wait_for_log("127.9.2.3: refused, it is not in allow");
    assert!(line.contains(" - in - ERROR - "), "{line}");
    // A name stands for its addresses.
    router.connect("named").exchange(&adt("B"), "AA B");
    from(&router, "named", ME).closed();
    // The receivers of a listening output too.
    from(&router, "out", OTHER).closed();
    let mut receiver = from(&router, "out", ME);
    assert_eq!(receiver.take(), adt("A"));
    assert_eq!(receiver.take(), adt("B"));
    link.exchange(&adt("C"), "AA C");
}

#[test]
fn what_is_wrong_with_allow_is_named() {
    let told = |value: &str| {
        let site = Site::new(&format!("in: allow = {value}"));
        let output = site.command(&socketreader()).run();
        output.code(2).stderr()
    };
    let rule = "write addresses, blocks ADDRESS/PREFIX or names, with commas between them";
    for (value, why) in [
        ("10.1.2.3/16", "10.1.2.3/16: the block's address has bits set beyond its prefix; clear them"),
        ("::1, 10.0.0.0/33", "10.0.0.0/33: the number after / must be 0 to 32 (IPv6: 0 to 128)"),
        ("10.1.2", "10.1.2: host looks like an address, but is none; write all of it"),
        ("*.example.org", "*.example.org: host must be a name, an address, a block ADDRESS/PREFIX, or *"),
    ] {
        let text = told(value);
        assert!(text.contains(&format!("[in] allow = {value}: {why}; {rule}")), "{text}");
    }
    assert!(told(" , ").contains("must be 1 to 1000 addresses, blocks or names"));
}

#[test]
fn without_allow_an_address_beyond_loopback_is_a_warning() {
    let told = |changes: &str| Site::new(changes).command(&socketreader()).run().success().stderr();
    let warning =
        "warning: [in] whoever reaches every address of this host may connect here; state allow = PEER, ...,";
    assert!(told("in: ipaddr = 0.0.0.0").contains(warning));
    assert_eq!(told("in: ipaddr = 0.0.0.0\nin: allow = 10.0.0.0/8"), "");
    let text = told("peer: allow = 10.0.0.0/8");
    assert!(text.contains("warning: [peer] allow has no effect where we connect; remove it"), "{text}");
}

/// The timer of a socket as the kernel shows it: 2 is keepalive.
fn keepalive_is_on(port: u16, to: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let hex = |port: u16| format!("0100007F:{port:04X}");
    table.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns[1] == hex(port) && columns[2] == hex(to.port()) && columns[5].starts_with("02:")
    })
}

#[test]
fn the_system_asks_whether_a_silent_peer_is_still_there() {
    let router = Setup::new()
        .server_in("in", "usehl7 = True\nkeepalive = 30")
        .server_in("off", "usehl7 = True\nkeepalive = 0")
        .file_out("out", "")
        .start();
    for (name, on) in [("in", true), ("off", false)] {
        let mut link = router.connect(name);
        link.exchange(&adt("A"), "AA A");
        let here = link.stream.local_addr().unwrap();
        router.wait(name, || keepalive_is_on(router.port(name), here) == on);
    }
    assert_eq!(
        with("socket-in", "keepalive = 30").connections[0].kind.socket().unwrap().keepalive.as_secs(),
        30
    );
}
