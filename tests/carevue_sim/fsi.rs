//! The FSI, over ILLP.

use super::{adt, carevue_sim, census, serve, transact, verdict};
use crate::support::{carevue, hl7};
use protogen_testkit::Dir;
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_patient_comes_moves_gets_results_and_leaves() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (mut daemon, address) = serve(&state);
    assert_eq!(verdict(address, &adt("A01", "12345", "601-1")), "AA|12345");
    assert_eq!(census(&state), "12345\t601-1\tNoname, Eva\n");
    assert_eq!(verdict(address, &adt("A02", "12345", "604-7")), "AA|12345");
    assert_eq!(census(&state), "12345\t604-7\tNoname, Eva\n");
    let oru = "MSH|^~\\&|CVGATEWAY|060_IOP|CLI|060_IOP|1996||ORU^R01|9|P|2.1\rPID|||12345\r\
        OBR|1\rOBX|1|NM|9948-1||12.9|g/dl||L\r";
    // With a connection id in front.
    assert_eq!(verdict(address, format!("abl\x02{oru}").as_bytes()), "AA|9");
    carevue_sim(&state).arg("results").run().success().stdout_is("12345\t9948-1\t12.9\tg/dl\tL\n");
    assert_eq!(
        verdict(address, oru.replace("\rOBR", "\rPV1|1|I\rOBR").as_bytes()),
        "AE|9|PV1 is not allowed in ORU"
    );
    // The real one says AA: here to an admission into a bed that is taken, and to one whom nobody knows.
    assert_eq!(verdict(address, &adt("A01", "777", "604-7")), "AA|777");
    assert_eq!(verdict(address, &adt("A03", "999", "604-7")), "AA|999");
    assert_eq!(census(&state), "12345\t604-7\tNoname, Eva\n");
    assert_eq!(verdict(address, &adt("A03", "12345", "604-7")), "AA|12345");
    assert_eq!(census(&state), "");
    // No content of a message is in the log.
    assert_eq!(daemon.terminate().code(), Some(0));
    let log = daemon.stderr();
    assert!(log.contains("ADT^A01 \"12345\"") && !log.contains("Noname") && !log.contains("12.9"), "{log}");
}

#[test]
fn it_answers_what_the_hl7_program_sends() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = serve(&state);
    let file = dir.write("adt.hl7", adt("A01", "1", "601-1"));
    let send = hl7().args(["send", "--illp", "127.0.0.1", &address.port().to_string()]).arg(file).run();
    send.success().stdout_contains("MSA|AA|1");
}

#[test]
fn it_misbehaves_as_told() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = serve(&state);
    let misbehave = |manner: &str| {
        carevue_sim(&state).arg("misbehave").args(manner.split(' ')).run().success().stdout_is("");
    };
    misbehave("honest");
    assert_eq!(verdict(address, &adt("A03", "1", "601-1")), "AE|1|unknown patient");
    misbehave("ae --times 1");
    assert_eq!(verdict(address, &adt("A01", "1", "601-1")), "AE|1|told to refuse");
    assert_eq!(verdict(address, &adt("A01", "1", "601-1")), "AA|1");
    misbehave("close");
    assert_eq!(transact(address, &adt("A02", "1", "601-2")).unwrap(), b"");
    assert_eq!(census(&state), "1\t601-1\tNoname, Eva\n");
    misbehave("lose");
    assert_eq!(transact(address, &adt("A02", "1", "601-2")).unwrap(), b"");
    assert_eq!(census(&state), "1\t601-2\tNoname, Eva\n");
    misbehave("slow 0.2");
    assert_eq!(verdict(address, &adt("A08", "1", "601-2")), "AA|1");
    misbehave("hang");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    std::io::Write::write_all(&mut stream, &adt("A03", "1", "601-2")).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    // The others are served meanwhile.
    misbehave("real");
    assert_eq!(verdict(address, &adt("A08", "1", "601-2")), "AA|1");
}

#[test]
fn what_is_no_message_is_not_answered() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = serve(&state);
    for bytes in [&b""[..], b"GET / HTTP/1.0\r\n\r\n", b"\x0bMSH|^~\\&\x1c\r", b"bad token\x02MSH|^~\\&|\r"] {
        assert_eq!(transact(address, bytes).unwrap(), b"", "{bytes:?}");
    }
    assert!(transact(address, b"MSH").unwrap().windows(6).any(|window| window == b"MSA|AR"));
    assert_eq!(verdict(address, b"MSH|^~\\&|A|B|C|D|||NMD|7|P|2.1\rNCK|1996\r"), "AA|7");
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = serve(&state);
    let port = address.port().to_string();
    let second = carevue_sim(&state).args(["serve", "--host", "127.0.0.1", "--port", &port]).run();
    second.code(2).stderr_contains("another program listens here already");
}
