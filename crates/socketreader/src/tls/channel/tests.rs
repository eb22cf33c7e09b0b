//! The channel, with a peer that has its own way with records.

use super::*;

use std::net;
use std::sync::Arc;

use protogen_testkit::{Dir, TestCommand};
use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig,
    ServerConnection, SupportedCipherSuite,
};

/// Both ends after their handshake: ours, and the socket of a peer with what it encrypts with.
fn pair() -> (Channel, net::TcpStream, u64, ConnectionTrafficSecrets) {
    let dir = Dir::new();
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -keyout key -out pem";
    TestCommand::new("openssl").args(make.split(' ')).in_dir(dir.path()).run().success();
    let chain = vec![CertificateDer::from_pem_file(dir.join("pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.join("key")).unwrap();
    let mut provider = default_provider();
    provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(crate::tls::trust::anybody(&provider))
        .with_no_client_auth();
    client.enable_secret_extraction = true;

    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut channel = Channel::new(TcpStream::from_std(ours), Some(server.into()));
    let name = ServerName::try_from("test").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let shaking = std::thread::spawn(move || {
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut peer).unwrap();
        }
        (client, peer)
    });
    while !channel.is_open() {
        let _ = channel.drain(&mut [0; 64], 64, |_| ControlFlow::Continue(())).unwrap();
        channel.push(&[]).unwrap();
    }
    let (client, peer) = shaking.join().unwrap();
    let (sequence, secrets) = client.dangerous_extract_secrets().unwrap().tx;
    (channel, peer, sequence, secrets)
}

/// Makes a peer's records, one after the other.
fn records(first: u64, secrets: ConnectionTrafficSecrets) -> impl FnMut(ContentType, &[u8]) -> Vec<u8> {
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else { unreachable!() };
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { unreachable!() };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let mut sequence = first;
    move |typ, payload| {
        let payload = OutboundChunks::Single(payload);
        let plain = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        sequence += 1;
        encrypter.encrypt(plain, sequence - 1).unwrap().encode()
    }
}

#[test]
fn whoever_resets_is_heard_before() {
    let (mut channel, mut peer, first, secrets) = pair();
    // Fatal: certificate_expired (RFC 8446, 6).
    peer.write_all(&records(first, secrets)(ContentType::Alert, &[2, 45])).unwrap();
    // What is reset is not only closed: whoever writes is told so first.
    socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    let error = channel.push(b"x").unwrap_err();
    let expected = "TLS: the peer does not take our certificate, or wants one (received fatal alert: CertificateExpired)";
    assert_eq!(error.to_string(), expected);
    assert!(is_of_tls(expected) && !is_of_tls("closed by the receiver"));
}

#[test]
fn records_without_data_end_a_turn_too() {
    // rustls refuses 33 in a row.
    const EMPTY: usize = 20;
    const BYTES: usize = 100;
    let (mut channel, mut peer, first, secrets) = pair();
    let mut record = records(first, secrets);
    let mut sent = Vec::new();
    for _ in 0..BYTES {
        (0..EMPTY).for_each(|_| sent.extend(record(ContentType::ApplicationData, b"")));
        sent.extend(record(ContentType::ApplicationData, b"x"));
    }
    peer.write_all(&sent).unwrap();

    let (mut turns, mut heard) = (0, 0);
    while heard < BYTES {
        let drained = channel.drain(&mut [0; 64], 1024, |bytes| {
            heard += bytes.len();
            ControlFlow::Continue(())
        });
        turns += usize::from(matches!(drained.unwrap(), Drained::Stopped));
    }
    // Without a bound on what comes off the wire, all would have been read in one.
    assert!(turns >= 5, "{} bytes in {turns} turns", sent.len());
}
