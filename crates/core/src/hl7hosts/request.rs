//! A request as the access list sees it.

use std::fmt;
use std::net::IpAddr;

/// Who asks for what. Everything the peer did not give is empty.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The peer's address; for a peer on a UNIX socket, that of the loopback interface.
    pub peer: IpAddr,
    /// The connection id of the ILLP session.
    pub connection_id: &'a [u8],
    /// MSH-3, as it stands in the message; only its first component is compared.
    pub sending_application: &'a [u8],
    /// MSH-4, likewise.
    pub sending_facility: &'a [u8],
    /// MSH-5, likewise.
    pub receiving_application: &'a [u8],
    /// MSH-6, likewise.
    pub receiving_facility: &'a [u8],
    /// MSH-9.1.
    pub message_type: &'a [u8],
    /// MSH-9.2.
    pub event: &'a [u8],
    /// The message's component separator (MSH-2), `^` as a rule.
    pub component_separator: u8,
}

impl Request<'_> {
    /// A request of `peer` with every value empty.
    #[must_use]
    pub fn from_peer(peer: IpAddr) -> Request<'static> {
        Request {
            peer,
            connection_id: b"",
            sending_application: b"",
            sending_facility: b"",
            receiving_application: b"",
            receiving_facility: b"",
            message_type: b"",
            event: b"",
            component_separator: b'^',
        }
    }
}

impl<'a> Request<'a> {
    /// The first components of MSH-3 to MSH-6.
    pub(super) fn applications(&self) -> [&'a [u8]; 4] {
        [self.sending_application, self.sending_facility, self.receiving_application, self.receiving_facility]
            .map(|field| self.first_component(field))
    }

    fn first_component(&self, field: &'a [u8]) -> &'a [u8] {
        field.split(|byte| *byte == self.component_separator).next().unwrap_or(field)
    }
}

/// For the log: every value that was judged, quoted, so that no value can forge a log line. It holds no patient data.
impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [application, facility, receiver, receiver_facility] = self.applications();
        write!(
            f,
            "host {} cid \"{}\" MSH-3 \"{}\" MSH-4 \"{}\" MSH-5 \"{}\" MSH-6 \"{}\" type \"{}\" event \"{}\"",
            self.peer.to_canonical(),
            self.connection_id.escape_ascii(),
            application.escape_ascii(),
            facility.escape_ascii(),
            receiver.escape_ascii(),
            receiver_facility.escape_ascii(),
            self.message_type.escape_ascii(),
            self.event.escape_ascii(),
        )
    }
}
