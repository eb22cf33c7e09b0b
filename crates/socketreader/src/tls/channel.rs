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
                    Err(error) => return Err(self.last_word().unwrap_or(error)),
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

    /// What a peer that has closed said before: a certificate of ours that it does not take, as a rule.
    fn last_word(&mut self) -> Option<io::Error> {
        while self.tls.read_tls(&mut self.socket).is_ok_and(|count| count > 0) {
            if let Err(error) = self.tls.process_new_packets() {
                return Some(io::Error::new(io::ErrorKind::InvalidData, told(&error)));
            }
        }
        None
    }
}

/// What an error of TLS itself begins with.
const TLS: &str = "TLS: ";

/// Whether a text is about TLS itself: not about the connection below, nor what crosses it.
pub(crate) fn is_of_tls(why: &str) -> bool {
    why.starts_with(TLS)
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
        _ => return format!("{TLS}{error}"),
    };
    format!("{TLS}{hint} ({error})")
}

#[cfg(test)]
mod tests;
