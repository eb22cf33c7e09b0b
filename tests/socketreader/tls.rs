//! MLLP over TLS: with openssl and python's ssl at the other end, and with peers that have no right to be there.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use protogen_testkit::daemon::Signal;
use protogen_testkit::{Daemon, Dir, TestCommand};

use super::certificates::{Authority, Certificate};
use super::site::Site;
use super::support::{Peer, Router, Setup, adt, adts, frame, port, verdict};
use crate::support::{data, peer, python};

/// `openssl s_client`, with a terminal's end for messages.
struct Client {
    child: Child,
}

impl Client {
    fn connect(port: u16, arguments: &[&str]) -> Client {
        let child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Client { child }
    }

    /// Sends a message, and gives what stands in the answer's frame; `None` if there is no answer.
    fn exchange(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        // One that was refused has closed.
        let _ = self.child.stdin.as_mut().unwrap().write_all(&frame(message));
        let (mut heard, mut byte) = (Vec::new(), [0]);
        let output = self.child.stdout.as_mut().unwrap();
        while !heard.ends_with(b"\x1c\r") {
            match output.read(&mut byte) {
                Ok(1) => heard.push(byte[0]),
                _ => return None,
            }
        }
        Some(heard[1..heard.len() - 2].to_vec())
    }

    #[track_caller]
    fn accepted(&mut self, id: &str) {
        assert_eq!(self.exchange(&adt(id)).map(|answer| verdict(&answer)), Some(format!("AA {id}")));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A router's setup with its own authority, and a certificate for localhost.
fn setup() -> (Setup, Authority, Certificate) {
    let setup = Setup::new();
    let authority = Authority::new(&setup.dir);
    let certificate = authority.issue("router", &["localhost", "127.0.0.1"]);
    (setup, authority, certificate)
}

/// python-hl7's server over TLS.
fn server(arguments: &[&std::path::Path]) -> (Daemon, u16) {
    let port = port();
    let command = python().arg(peer("hl7_server.py")).arg(port.to_string()).args(arguments);
    let daemon = Daemon::launch(&command.env("PYTHONUNBUFFERED", "1"));
    daemon.wait_for_stdout("listening");
    (daemon, port)
}

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

#[test]
fn from_openssls_client() {
    let (setup, authority, certificate) = setup();
    let mut router = setup
        .server_in("in", &format!("usehl7 = True\n{}", certificate.options()))
        .file_out("out", "")
        .start();
    let ca = authority.pem().display().to_string();
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let strict = ["-CAfile", &ca, "-verify_return_error", "-verify_hostname", "localhost", version];
        let mut client = Client::connect(router.port("in"), &strict);
        for message in 0..20 {
            client.accepted(&format!("A{number}M{message:02}"));
        }
        // Longer than a record of TLS, and than the buffers of sockets.
        let long = [adt("LONG"), b"OBX|1|".to_vec(), vec![b'x'; 3 << 20], b"\r".to_vec()].concat();
        assert_eq!(client.exchange(&long).map(|answer| verdict(&answer)), Some("AA LONG".to_owned()));
        assert_eq!(*router.files("out", 21 * (number + 1)).last().unwrap(), long);
    }
    // What is older is not spoken.
    assert_eq!(Client::connect(router.port("in"), &["-tls1_1"]).exchange(&adt("OLD")), None);
    router.wait_for_log(" - in - ERROR - 127.0.0.1:");
    router.end();
}

#[test]
fn many_messages_without_waiting_for_answers_and_a_slow_reader() {
    let (setup, _, certificate) = setup();
    let options = format!("usehl7 = True\n{}", certificate.options());
    let router = setup.server_in("in", &options).file_out("out", "").start();
    let mut client = Client::connect(router.port("in"), &[]);
    let messages = adts("A", 1000);
    let mut input = client.child.stdin.take().unwrap();
    let all = messages.iter().flat_map(|message| frame(message)).collect::<Vec<u8>>();
    let writer = std::thread::spawn(move || {
        input.write_all(&all).unwrap();
        input
    });
    // Nothing is read until all is stored.
    assert_eq!(router.files("out", 1000), messages);
    let mut output = client.child.stdout.take().unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while heard.iter().filter(|byte| **byte == 0x1C).count() < 1000 {
        let count = output.read(&mut buffer).unwrap();
        assert!(count > 0);
        heard.extend_from_slice(&buffer[..count]);
    }
    assert!(String::from_utf8_lossy(&heard).contains("MSA|AA|A999"));
    drop(writer.join().unwrap());
}

#[test]
fn to_and_from_pythons_ssl_with_certificates_on_both_sides() {
    let (setup, authority, certificate) = setup();
    let ca = authority.pem();
    let (server, to) = server(&[&certificate.cert, &certificate.key, &ca]);
    let both =
        format!("usehl7 = True\ntlsverify = True\ntlsca = {}\n{}", ca.display(), certificate.options());
    let router = setup.server_in("in", &both).client_out("out", to, &both).start();
    let sample = data("hl7/adt.hl7");
    let client = |certificate: Option<&Certificate>| {
        let mut command =
            python().arg(peer("tls_client.py")).arg(router.port("in").to_string()).arg(authority.pem());
        if let Some(Certificate { cert, key }) = certificate {
            command = command.arg("--cert").arg(cert).arg(key);
        }
        command.arg(&sample).arg(&sample).run()
    };
    client(Some(&certificate)).success().stdout_is("AA A000174\nAA A000174\n");
    server.wait_for_stdout("received A000174");
    router.wait_for_log("message 2 delivered");
    // A client without a certificate, and one with a stranger's.
    assert!(!client(None).status.success());
    let line = router.wait_for_log("the peer shows no certificate, and tlsverify asks for one");
    assert!(line.contains(" - in - ERROR - 127.0.0.1:"), "{line}");
    let stranger = Authority::called(&router.dir, "stranger").issue("other", &["localhost"]);
    assert!(!client(Some(&stranger)).status.success());
    router.wait_for_log("the peer's certificate is not signed by one of tlsca");
    let ended = authority.issue_for("ended", &["localhost"], "-1", "");
    assert!(!client(Some(&ended)).status.success());
    router.wait_for_log("the peer's certificate has ended");
    client(Some(&certificate)).success();
}

/// A router that cannot deliver to a server with this certificate, until it has a good one; gives the line of its log.
#[track_caller]
fn refused(make: impl FnOnce(&Authority, &Dir) -> Certificate, options: &str, why: &str) {
    let (setup, authority, good) = setup();
    let bad = make(&authority, &setup.dir);
    let (mut bad, port) = server(&[&bad.cert, &bad.key]);
    let options = format!("usehl7 = True\ntls = True\ntlsca = {}\n{options}", authority.pem().display());
    let router = setup.server_in("in", "usehl7 = True").client_out("out", port, &options).start();
    router.connect("in").exchange(&adt("A"), "AA A");
    let line = router.wait_for_log(why);
    assert!(line.contains(" - out - ERROR - 127.0.0.1:") && line.ends_with("; tried again"), "{line}");
    assert!(!bad.stdout().contains("received"));
    // There was no receiver at any time.
    let queues = router.command.clone().arg("--queues").run();
    queues.success().stdout_contains("no receiver");
    bad.kill_9();
    let good = python().arg(peer("hl7_server.py")).arg(port.to_string()).arg(good.cert).arg(good.key);
    let good = Daemon::launch(&good.env("PYTHONUNBUFFERED", "1"));
    good.wait_for_stdout("received A");
    router.wait_for_log("message 1 delivered");
}

#[test]
fn a_server_whose_certificate_is_of_another_signer() {
    refused(
        |_, dir| Authority::called(dir, "other").issue("bad", &["127.0.0.1"]),
        "",
        "TLS: the peer's certificate is not signed by one of tlsca",
    );
}

#[test]
fn a_server_whose_certificate_has_ended() {
    refused(
        |authority, _| authority.issue_for("bad", &["127.0.0.1"], "-1", ""),
        "",
        "TLS: the peer's certificate has ended",
    );
}

#[test]
fn a_server_whose_certificate_is_for_another_name() {
    refused(
        |authority, _| authority.issue("bad", &["ward.example.org"]),
        "",
        "TLS: the peer's certificate is for another host; set tlsname to the name in it",
    );
    refused(
        |authority, _| authority.issue("bad", &["127.0.0.1"]),
        "tlsname = localhost",
        "TLS: the peer's certificate is for another host",
    );
}

/// An extension that makes a certificate that long.
fn a_megabyte() -> String {
    format!("1.2.3.4.5 = ASN1:UTF8String:{}\n", "x".repeat(1 << 20))
}

const TOO_LONG: &str = "TLS: a handshake message has more than 65535 bytes: the certificate is too long";

#[test]
fn a_server_whose_certificate_has_a_megabyte() {
    refused(|authority, _| authority.issue_for("bad", &["127.0.0.1"], "300", &a_megabyte()), "", TOO_LONG);
}

#[test]
fn clients_whose_certificate_has_a_megabyte() {
    let (setup, authority, certificate) = setup();
    let long = authority.issue_for("long", &["localhost"], "300", &a_megabyte());
    let show = |path: &std::path::Path| path.display().to_string();
    let options = format!("usehl7 = True\ntlsverify = True\ntlsca = {}\n", show(&authority.pem()));
    let mut router = setup
        .server_in("in", &(options + &certificate.options()))
        .server_in("plain", "usehl7 = True")
        .file_out("out", "")
        .start();
    let mut plain = router.connect("plain");
    let client = |certificate: &Certificate, version: &str| {
        let (cert, key) = (show(&certificate.cert), show(&certificate.key));
        Client::connect(router.port("in"), &["-cert", &cert, "-key", &key, version])
    };
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let mut good = client(&certificate, version);
        good.accepted("BEFORE");
        let long: Vec<Client> = (0..5).map(|_| client(&long, version)).collect();
        for message in 0..10 {
            plain.exchange(&adt(&format!("P{message}")), &format!("AA P{message}"));
            good.accepted(&format!("G{message}"));
        }
        for mut long in long {
            assert_eq!(long.exchange(&adt("LONG")), None, "{version}");
        }
        router.wait("each is told", || router.log().matches(TOO_LONG).count() == 5 * (number + 1));
        // Those that were there, and those that come.
        good.accepted("AFTER");
        client(&certificate, version).accepted("NEW");
        plain.exchange(&adt("LAST"), "AA LAST");
    }
    let line = router.wait_for_log(TOO_LONG);
    assert!(line.contains(" - in - ERROR - 127.0.0.1:"), "{line}");
    assert!(!router.files("out", 48).contains(&adt("LONG")));
    router.end();
}

#[test]
fn a_server_that_is_not_verified_needs_no_signature() {
    let (setup, _, _) = setup();
    let stranger = Authority::called(&setup.dir, "stranger").issue("other", &["nobody"]);
    let (server, port) = server(&[&stranger.cert, &stranger.key]);
    let options = "usehl7 = True\ntls = True\ntlsverify = False";
    let router = setup.server_in("in", "usehl7 = True").client_out("out", port, options).start();
    router.connect("in").exchange(&adt("A"), "AA A");
    server.wait_for_stdout("received A");
}

#[test]
fn who_speaks_no_tls_or_nothing_at_all_holds_up_nobody() {
    let (setup, authority, certificate) = setup();
    let router = setup
        .server_in("in", &format!("usehl7 = True\ntimeout = 2\n{}", certificate.options()))
        .server_in("plain", "usehl7 = True")
        .file_out("out", "")
        .start();
    let mut plain = router.connect("in");
    plain.send(&adt("PLAIN"));
    // It is told in TLS's words, and closed.
    assert!(plain.try_frame().is_err());
    router.wait_for_log("TLS: the peer does not speak TLS; set tls on both sides or on none");
    // Silent, slow, in the middle of the handshake, and one without an end.
    let mut silent: Vec<_> = (0..20).map(|_| router.connect("in")).collect();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &[7; 32]].concat();
    silent[1].raw(&hello);
    silent[2].raw(&hello[..3]);
    let endless = [&[0x16, 3, 1, 0x40, 0][..], &[1, 0xFF, 0xFF, 0xFF], &[0; 0x4000 - 4]].concat();
    silent[3].raw(&endless);
    let ca = authority.pem().display().to_string();
    let mut client = Client::connect(router.port("in"), &["-CAfile", &ca, "-verify_return_error"]);
    for number in 0..10 {
        client.accepted(&format!("A{number}"));
        router.connect("plain").exchange(&adt("B"), "AA B");
    }
    for link in &mut silent {
        let _ = link.try_frame();
    }
    let line = router.wait_for_log("TLS: the handshake takes too long");
    assert!(line.contains(" - in - ERROR - 127.0.0.1:"), "{line}");
    // Who is through it may be silent.
    client.accepted("AFTER");
    router.connect("plain").exchange(&adt("D"), "AA D");
}

#[test]
fn a_receiver_that_never_ends_its_handshake() {
    let (setup, authority, certificate) = setup();
    let port = port();
    let options = format!("usehl7 = True\ntimeout = 1\ntls = True\ntlsca = {}", authority.pem().display());
    let silent = Peer::listen_on(port);
    let router = setup
        .server_in("in", "usehl7 = True")
        .client_out("out", port, &options)
        .file_out("files", "")
        .start();
    let mut link = silent.accept();
    router.connect("in").exchange(&adt("A"), "AA A");
    router.files("files", 1);
    let line = router.wait_for_log("TLS: the handshake takes too long");
    assert!(line.contains(" - out - ERROR - 127.0.0.1:"), "{line}");
    // It is closed, behind the router's hello, and tried again.
    while link.stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    drop(silent.accept());
    drop(silent);
    let good = python().arg(peer("hl7_server.py")).arg(port.to_string());
    let good = good.arg(certificate.cert).arg(certificate.key).env("PYTHONUNBUFFERED", "1");
    let good = Daemon::launch(&good);
    good.wait_for_stdout("received A");
    router.wait_for_log("message 1 delivered");
}

/// The certificate that a server shows, as PEM.
pub fn shown(router: &Router) -> String {
    let at = format!("127.0.0.1:{}", router.port("in"));
    let script = format!("openssl s_client -connect {at} </dev/null 2>/dev/null | openssl x509");
    TestCommand::new("sh").args(["-c", &script]).run().success().stdout()
}

#[test]
fn a_renewed_certificate_is_taken_up_by_sighup_and_a_broken_one_is_not() {
    let (setup, authority, certificate) = setup();
    let router = setup
        .server_in("in", &format!("usehl7 = True\n{}", certificate.options()))
        .file_out("out", "")
        .start();
    let mut client = Client::connect(router.port("in"), &[]);
    client.accepted("A");
    let before = shown(&router);
    let renewed = authority.issue("renewed", &["localhost"]);
    std::fs::rename(&renewed.cert, &certificate.cert).unwrap();
    std::fs::rename(&renewed.key, &certificate.key).unwrap();
    assert_eq!(shown(&router), before);
    router.daemon.signal(Signal::SIGHUP);
    router.wait_for_log("the configuration is read again: no connection has changed");
    let after = shown(&router);
    assert_ne!(after, before);
    // One that is there stays.
    client.accepted("B");
    for broken in [&b"rubbish"[..], b"", &std::fs::read(authority.pem()).unwrap()] {
        std::fs::write(&certificate.cert, broken).unwrap();
        let lines = router.log().lines().count();
        router.daemon.signal(Signal::SIGHUP);
        router.wait("the fault", || {
            router.log().lines().skip(lines).any(|line| line.contains("the one before stays in force"))
        });
        assert_eq!(shown(&router), after);
        client.accepted("C");
        Client::connect(router.port("in"), &[]).accepted("D");
    }
}

#[test]
fn a_renewed_certificate_is_shown_to_a_receiver() {
    let (setup, authority, certificate) = setup();
    let show = |path: &std::path::Path| path.display().to_string();
    let ca = authority.pem();
    let ours = authority.issue_for("ours", &["localhost"], "-1", "");
    let port = port();
    let (cert, key) = (show(&certificate.cert), show(&certificate.key));
    let strict = ["s_server", "-quiet", "-Verify", "1", "-verify_return_error", "-CAfile", &show(&ca)];
    let strict = TestCommand::new("openssl").args(strict).args(["-cert", &cert, "-key", &key]);
    let mut strict = Daemon::launch(&strict.args(["-accept", &port.to_string()]));
    let options = format!("usehl7 = True\ntlsca = {}\n{}", ca.display(), ours.options());
    let router = setup.server_in("in", "usehl7 = True").client_out("out", port, &options).start();
    let line = router.wait_for_log("TLS: the peer does not take our certificate, or wants one");
    assert!(line.contains(" - out - ERROR - 127.0.0.1:"), "{line}");
    // With a message on its way it may have closed before that is written.
    router.connect("in").exchange(&adt("A"), "AA A");
    let line = router.wait_for_log("; message 1 is sent again");
    assert!(line.contains("TLS: the peer does not take our certificate"), "{line}");
    strict.kill_9();
    let server = python().arg(peer("hl7_server.py")).arg(port.to_string()).args([&cert, &key]).arg(ca);
    let server = Daemon::launch(&server.env("PYTHONUNBUFFERED", "1"));
    server.wait_for_stdout("listening");
    authority.issue("ours", &["localhost"]);
    router.daemon.signal(Signal::SIGHUP);
    router.wait_for_log("the configuration is read again: no connection has changed");
    server.wait_for_stdout("received A");
    router.wait_for_log("message 1 delivered");
}

#[test]
fn each_fault_of_the_files_has_its_message() {
    let dir = Dir::new();
    let authority = Authority::new(&dir);
    let good = authority.issue("good", &["localhost"]);
    let other = authority.issue("other", &["localhost"]);
    let soon = authority.issue_for("soon", &["localhost"], "20", "");
    let ended = authority.issue_for("ended", &["localhost"], "-1", "");
    let empty = dir.write("empty", "");
    let rubbish =
        dir.write("rubbish", "-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n");
    let long = dir.write("long", vec![b'x'; 1 << 20]);
    let open = dir.write("open.key", std::fs::read(&good.key).unwrap());
    let group = dir.write("group.key", std::fs::read(&good.key).unwrap());
    for (file, mode) in [(&open, 0o604), (&group, 0o640), (&empty, 0o600)] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
    }
    let show = |path: &std::path::Path| path.display().to_string();
    let (cert, key) = (show(&good.cert), show(&good.key));
    let server = |cert: &str, key: &str| format!("in: tls = True\nin: tlscert = {cert}\nin: tlskey = {key}");
    let sound = server(&cert, &key);
    let cases = [
        (sound.clone(), ""),
        ("in: tls = True".into(), "[in] tls = True needs tlscert, the certificate that peers are shown"),
        (
            "peer: tls = True\npeer: tlskey = x".into(),
            "[peer] tlskey needs tlscert, the certificate that it belongs to",
        ),
        ("in: tlscert = x".into(), "warning: [in] tlscert has no effect without tls = True"),
        (
            format!("{sound}\nin: tlsverify = True"),
            "[in] tlsverify = True needs tlsca, the certificates that sign those of the peers",
        ),
        (
            "peer: tls = True\npeer: tlsverify = False".into(),
            "warning: [peer] tlsverify = False: whoever is in between can read and change every message; state tlsca instead",
        ),
        ("peer: tls = maybe".into(), "[peer] tls = maybe: must be True or False"),
        (
            format!("peer: tls = True\npeer: tlsca = {}\npeer: tlsname = a_b-", show(&authority.pem())),
            "[peer] a_b-: no certificate can have this name; state the host's",
        ),
        (server("/no/such", &key), "[in] tlscert /no/such: there is no such file; correct the path"),
        (server(&show(&empty), &key), "there is no certificate in it; it must be PEM"),
        (server(&show(&rubbish), &key), "this is no PEM file: "),
        (server(&show(&long), &key), "longer than 262144 bytes"),
        (server(&cert, "/no/such"), "[in] tlskey /no/such: there is no such file; correct the path"),
        (server(&cert, &show(&empty)), "no private key can be read"),
        (server(&cert, &show(&other.key)), "[in] tlskey: "),
        (
            server(&cert, &show(&open)),
            "other accounts may read or change the private key (mode 0604); chmod 600 it",
        ),
        (
            server(&cert, &show(&group)),
            "its group may read the private key; chmod 600 it unless that is meant",
        ),
        (server(&show(&soon.cert), &show(&soon.key)), "warning: [in] the certificate ends on "),
        (server(&show(&ended.cert), &show(&ended.key)), "warning: [in] the certificate has ended on "),
        (format!("peer: tls = True\npeer: tlsca = {}", show(&empty)), "[peer] tlsca "),
    ];
    let mut wrong = Vec::new();
    for (changes, expected) in cases {
        let output = Site::new(&changes).check();
        let told = output.stderr();
        let fits = if expected.is_empty() {
            told.is_empty()
        } else {
            told.contains(expected) && told.lines().count() == 1
        };
        let warning = expected.contains("warning: ") || expected.contains("its group") || expected.is_empty();
        if !fits || output.status.code() != Some(if warning { 0 } else { 2 }) {
            wrong.push(format!("{changes}\n expected {expected}\n told {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_certificate_that_ends_soon_is_told_at_the_start() {
    let setup = Setup::new();
    let soon = Authority::new(&setup.dir).issue_for("soon", &["localhost"], "20", "");
    let options = format!("usehl7 = True\n{}", soon.options());
    let router = setup.server_in("in", &options).file_out("out", "").start();
    let line = router.wait_for_log(" - general - ERROR - [in] the certificate ends on ");
    assert!(line.contains("renew it in time, then send SIGHUP"), "{line}");
}
