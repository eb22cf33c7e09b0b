use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use protogen_sys::services::{Place, ServiceError, connect, listen};

const LIMIT: Duration = Duration::from_secs(10);

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

#[test]
fn a_service_is_a_name_or_a_number() {
    let ports = |text: &str| -> BTreeSet<u16> {
        place(text).to_connect().unwrap().iter().map(SocketAddr::port).collect()
    };
    assert_eq!(ports("2575"), BTreeSet::from([2575]));
    assert_eq!(ports("2575%127.0.0.1"), BTreeSet::from([2575]));
    if std::fs::read_to_string("/etc/services").is_ok_and(|text| text.contains("smtp")) {
        assert_eq!(ports("smtp%127.0.0.1"), BTreeSet::from([25]));
    }
    assert_eq!(place("carevuehl7%uks3p").to_string(), "carevuehl7%uks3p");
    assert_eq!((place("a%b").host(), place("a").host()), (Some("b"), None));
}

#[test]
fn errors_are_found_before_anything_is_opened() {
    for bad in ["", "%host", "2575%", "65536", "99999999999", "a b", "a%b c", "2575%h\n"] {
        let error = bad.parse::<Place>().unwrap_err();
        assert!(matches!(error, ServiceError::Malformed { .. }), "{bad}");
        assert!(error.to_string().contains("must be SERVICE or SERVICE%HOST"), "{error}");
    }
    let service = place("no-such-service-7").to_listen().unwrap_err().to_string();
    assert!(service.starts_with("no-such-service-7: "), "{service}");
    assert!(
        service.ends_with("is the service in /etc/services, the host in /etc/hosts or the DNS?"),
        "{service}"
    );
    assert!(matches!(place("2575%no-such-host.invalid").to_connect(), Err(ServiceError::Unknown { .. })));
    assert!(place("0%127.0.0.1").to_connect().is_err());
}

#[test]
fn all_addresses_of_a_name_are_listened_on_at_one_port() {
    let wildcards = place("0").to_listen().unwrap();
    assert!(wildcards.iter().all(|address| address.ip().is_unspecified()), "{wildcards:?}");
    let listeners = listen(&wildcards).unwrap();
    let addresses: Vec<SocketAddr> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
    let ports: BTreeSet<u16> = addresses.iter().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 1, "{addresses:?}");
    let port = addresses[0].port();
    for loopback in ["127.0.0.1", "::1"] {
        let loopback: IpAddr = loopback.parse().unwrap();
        if addresses.iter().any(|one| one.is_ipv4() == loopback.is_ipv4()) {
            connect(&[SocketAddr::new(loopback, port)], LIMIT).unwrap();
        }
    }
    let taken = listen(&[addresses[0]]).unwrap_err().to_string();
    assert!(taken.ends_with(": another program listens here already"), "{taken}");

    let both = place("0%localhost").to_listen().unwrap();
    assert!(both.iter().all(|address| address.ip().is_loopback()));
    assert_eq!(listen(&both).unwrap().len(), both.len());
}

#[test]
fn each_address_is_tried() {
    let good = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let good = TcpListener::bind(good.unwrap()).unwrap();
    let closed = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let stream = connect(&[closed, good.local_addr().unwrap()], LIMIT).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
    let refused = connect(&[closed], LIMIT).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("{closed}: cannot connect: ")), "{refused}");
    assert!(connect(&[], LIMIT).is_err());
}
