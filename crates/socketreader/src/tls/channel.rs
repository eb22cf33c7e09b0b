//! A TCP connection, with or without TLS, that never waits.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;

use mio::net::TcpStream;
use protogen_sys::event_loop::{Drained, drain, push};
use rustls::Connection;

/// What bytes of messages cross.
pub(crate) enum Channel {
    Plain(TcpStream),
    Tls(Box<Session>),
}

/// TLS over a connection. rustls holds at most 64 KiB that are to be written, one handshake message and one record.
pub(crate) struct Session {
    tls: Connection,
    socket: TcpStream,
    /// The peer has closed.
    ended: bool,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Plain(_) => "Channel::Plain",
            Channel::Tls(_) => "Channel::Tls",
        })
    }
}

impl Channel {
    pub(crate) fn new(socket: TcpStream, tls: Option<Connection>) -> Channel {
        match tls {
            None => Channel::Plain(socket),
            Some(tls) => Channel::Tls(Box::new(Session { tls, socket, ended: false })),
        }
    }

    /// The socket, to be registered.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Channel::Plain(socket) => socket,
            Channel::Tls(session) => &mut session.socket,
        }
    }

    /// Whether messages can cross: the handshake is over, where there is one.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Channel::Plain(_) => true,
            Channel::Tls(session) => !session.tls.is_handshaking(),
        }
    }

    /// Whether something that was taken to be written is not with the system yet.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Channel::Plain(_) => false,
            Channel::Tls(session) => session.tls.wants_write(),
        }
    }

    /// Reads as [`drain`] does. What TLS itself has to say leaves with the next [`push`](Channel::push).
    ///
    /// # Errors
    /// What the system says; `InvalidData` for what is no TLS, or a certificate that is not taken.
    pub(crate) fn drain(
        &mut self,
        buffer: &mut [u8],
        limit: usize,
        take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<Drained> {
        match self {
            Channel::Plain(socket) => drain(socket, buffer, limit, take),
            Channel::Tls(session) => session.drain(buffer, limit, take),
        }
    }

    /// Writes as [`push`] does; during a handshake, only what belongs to it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(socket) => push(socket, bytes),
            Channel::Tls(session) => session.push(bytes),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&mut self) {
        if let Channel::Tls(session) = self {
            session.tls.send_close_notify();
            // A peer that is gone needs no farewell.
            let _ = session.push(&[]);
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Session {
    fn drain(
        &mut self,
        buffer: &mut [u8],
        limit: usize,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<Drained> {
        // Records may be without data, and a byte of it may have many around it: what came off the wire counts too, or
        // one peer could hold up all others.
        let (mut taken, mut raw) = (0, 0);
        loop {
            match self.tls.reader().read(buffer) {
                Ok(0) => return Ok(Drained::End),
                Ok(count) => {
                    taken += count;
                    // Short reads say nothing here: a record is shorter than the buffer.
                    if take(&buffer[..count]).is_break() || taken >= limit {
                        return Ok(Drained::Stopped);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.ended => {}
                // Closed without TLS's farewell: frames have ends of their own, so nothing is cut unseen.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) =>
                {
                    return Ok(Drained::End);
                }
                Err(error) => return Err(error),
            }
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => self.ended = true,
                Ok(count) => raw += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::WouldBlock),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Err(error) = self.tls.process_new_packets() {
                // The peer hears why, if it listens.
                let _ = self.push(&[]);
                return Err(io::Error::new(io::ErrorKind::InvalidData, told(&error)));
            }
            if raw >= limit.saturating_mul(2) {
                return Ok(Drained::Stopped);
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut self.socket) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if self.tls.is_handshaking() || taken == bytes.len() {
                return Ok(taken);
            }
            match self.tls.writer().write(&bytes[taken..])? {
                0 => return Ok(taken),
                count => taken += count,
            }
        }
    }
}

/// What went wrong, and what helps.
fn told(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Cert, Error, InvalidMessage};
    let hint = match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "the peer does not speak TLS; set tls on both sides or on none",
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            "a handshake message has more than 65535 bytes: the certificate is too long"
        }
        Error::NoCertificatesPresented => "the peer shows no certificate, and tlsverify asks for one",
        Error::InvalidCertificate(Cert::UnknownIssuer) => {
            "the peer's certificate is not signed by one of tlsca"
        }
        Error::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. }) => {
            "the peer's certificate has ended; it must be renewed there"
        }
        Error::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. }) => {
            "the peer's certificate is for another host; set tlsname to the name in it"
        }
        Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::HandshakeFailure,
        ) => "the peer does not take our certificate, or wants one",
        _ => return format!("TLS: {error}"),
    };
    format!("TLS: {hint} ({error})")
}

#[cfg(test)]
mod tests {
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
            .with_custom_certificate_verifier(super::super::trust::anybody(&provider))
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

    #[test]
    fn records_without_data_end_a_turn_too() {
        // rustls refuses 33 in a row.
        const EMPTY: usize = 20;
        const BYTES: usize = 100;
        let (mut channel, mut peer, mut sequence, secrets) = pair();
        let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else { unreachable!() };
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { unreachable!() };
        let mut encrypter = suite.aead_alg.encrypter(key, iv);
        let mut record = |payload: &[u8]| {
            let plain = OutboundPlainMessage {
                typ: ContentType::ApplicationData,
                version: ProtocolVersion::TLSv1_2,
                payload: OutboundChunks::Single(payload),
            };
            sequence += 1;
            encrypter.encrypt(plain, sequence - 1).unwrap().encode()
        };
        let mut sent = Vec::new();
        for _ in 0..BYTES {
            (0..EMPTY).for_each(|_| sent.extend(record(b"")));
            sent.extend(record(b"x"));
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
}
