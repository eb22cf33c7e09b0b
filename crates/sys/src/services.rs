//! SERVICE and SERVICE%HOST: where a program listens or connects.
//!
//! SERVICE is a name of services(5) or a number. A look-up may wait for a name server as long as resolv.conf(5) lets
//! it: do it at the start or on a thread of its own, never in an event loop.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, getaddrinfo};
use socket2::{Domain, Socket, Type};

/// How many connections the system holds until they are accepted.
const BACKLOG: i32 = 1024;
/// How often a free port is sought that all addresses of a name can share.
const PORT_ATTEMPTS: usize = 8;

/// A service and, perhaps, a host, as written on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    service: String,
    host: Option<String>,
}

/// A place that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// The text is not `SERVICE` or `SERVICE%HOST`.
    Malformed {
        /// The text.
        text: String,
    },
    /// No such service or host.
    Unknown {
        /// The place.
        place: Place,
        /// What the resolver said.
        source: io::Error,
    },
    /// An address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No address could be connected to; this is the failure of the last one.
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        self.host.as_ref().map_or(Ok(()), |host| write!(f, "%{host}"))
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Malformed { text } => {
                write!(
                    f,
                    "{text:?}: must be SERVICE or SERVICE%HOST, with a name from /etc/services or a port number"
                )
            }
            ServiceError::Unknown { place, source } => {
                write!(
                    f,
                    "{place}: {source}; is the service in /etc/services, the host in /etc/hosts or the DNS?"
                )
            }
            ServiceError::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => write!(f, "{address}: another program listens here already"),
                io::ErrorKind::PermissionDenied => {
                    write!(f, "{address}: {source}; ports below 1024 take a privilege")
                }
                _ => write!(f, "{address}: cannot listen: {source}"),
            },
            ServiceError::Connect { address, source } => write!(f, "{address}: cannot connect: {source}"),
        }
    }
}

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServiceError::Malformed { .. } => None,
            ServiceError::Unknown { source, .. }
            | ServiceError::Listen { source, .. }
            | ServiceError::Connect { source, .. } => Some(source),
        }
    }
}

impl FromStr for Place {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Place, ServiceError> {
        let malformed = || ServiceError::Malformed { text: text.to_owned() };
        let (service, host) = match text.split_once('%') {
            Some((service, host)) => (service, Some(host)),
            None => (text, None),
        };
        let is_number = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit());
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic());
        if !is_word(service) || host.is_some_and(|host| !is_word(host)) {
            return Err(malformed());
        }
        if is_number && service.parse::<u16>().is_err() {
            return Err(malformed());
        }
        Ok(Place { service: service.to_owned(), host: host.map(str::to_owned) })
    }
}

impl Place {
    /// The host, if one was written.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The addresses to connect to, in the resolver's order; without a host, this one.
    ///
    /// # Errors
    /// [`ServiceError::Unknown`]; also for port 0, which no one can be reached at.
    pub fn to_connect(&self) -> Result<Vec<SocketAddr>, ServiceError> {
        let addresses = self.resolve(Some(self.host.as_deref().unwrap_or("localhost")), 0)?;
        if addresses.iter().any(|address| address.port() == 0) {
            return Err(
                self.unknown(io::Error::new(io::ErrorKind::InvalidInput, "port 0 takes no connections"))
            );
        }
        Ok(addresses)
    }

    /// The addresses to listen on: every one of the host, or the wildcards of IPv6 and IPv4 without one.
    ///
    /// # Errors
    /// [`ServiceError::Unknown`].
    pub fn to_listen(&self) -> Result<Vec<SocketAddr>, ServiceError> {
        self.resolve(self.host.as_deref(), nix::libc::AI_PASSIVE)
    }

    fn resolve(&self, host: Option<&str>, flags: i32) -> Result<Vec<SocketAddr>, ServiceError> {
        let hints = AddrInfoHints { socktype: nix::libc::SOCK_STREAM, flags, ..AddrInfoHints::default() };
        let found = getaddrinfo(host, Some(&self.service), Some(hints))
            .map_err(|error| self.unknown(error.into()))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for info in found {
            let address = info.map_err(|error| self.unknown(error))?.sockaddr;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(self.unknown(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
        }
        Ok(addresses)
    }

    fn unknown(&self, source: io::Error) -> ServiceError {
        ServiceError::Unknown { place: self.clone(), source }
    }
}

/// Listens on every address, not blocking. Port 0 gives all of them one free port.
///
/// An IPv6 socket takes IPv6 only, so that both wildcards can be bound. A wildcard whose protocol this host lacks is
/// passed over if another address could be bound.
///
/// # Errors
/// The first address that failed; none is bound then.
pub fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServiceError> {
    for _ in 1..PORT_ATTEMPTS {
        match listen_once(addresses) {
            Err(ServiceError::Listen { address, source })
                if source.kind() == io::ErrorKind::AddrInUse && addresses.iter().any(|a| a.port() == 0) =>
            {
                log::debug!("{address}: taken, trying another port");
            }
            result => return result,
        }
    }
    listen_once(addresses)
}

/// Addresses that are bound and not yet listened on: who connects is refused by the system, and no other program
/// that listens can have them.
#[derive(Debug)]
pub struct Reserved(Vec<Socket>);

/// Binds every address as [`listen`] does, to listen later.
///
/// # Errors
/// The first address that failed; none is bound then.
pub fn reserve(addresses: &[SocketAddr]) -> Result<Reserved, ServiceError> {
    for _ in 1..PORT_ATTEMPTS {
        match bind_once(addresses) {
            Err(ServiceError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && addresses.iter().any(|a| a.port() == 0) => {}
            result => return result.map(Reserved),
        }
    }
    bind_once(addresses).map(Reserved)
}

impl Reserved {
    /// The addresses; port 0 was replaced by the one that was found.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok()?.as_socket()).collect()
    }

    /// Listens on all of them, not blocking.
    ///
    /// # Errors
    /// The first address that failed: another program that had it reserved listens now.
    pub fn listen(self) -> Result<Vec<TcpListener>, ServiceError> {
        let mut listeners = Vec::with_capacity(self.0.len());
        for socket in self.0 {
            let address = socket.local_addr().ok().and_then(|address| address.as_socket());
            let address = address.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
            let listening = socket.listen(BACKLOG).and_then(|()| socket.set_nonblocking(true));
            listening.map_err(|source| ServiceError::Listen { address, source })?;
            listeners.push(socket.into());
        }
        Ok(listeners)
    }
}

fn listen_once(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServiceError> {
    Reserved(bind_once(addresses)?).listen()
}

fn bind_once(addresses: &[SocketAddr]) -> Result<Vec<Socket>, ServiceError> {
    let mut sockets: Vec<Socket> = Vec::new();
    let mut passed_over = None;
    for address in addresses {
        let mut address = *address;
        if address.port() == 0
            && let Some(first) = sockets.first().and_then(|socket| socket.local_addr().ok()?.as_socket())
        {
            address.set_port(first.port());
        }
        match bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(source) if is_wildcard(address.ip()) && lacks_protocol(&source) => {
                passed_over = Some(ServiceError::Listen { address, source });
            }
            Err(source) => return Err(ServiceError::Listen { address, source }),
        }
    }
    match passed_over {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted server must not wait for the old one's connections to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn is_wildcard(address: IpAddr) -> bool {
    address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) || address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

fn lacks_protocol(error: &io::Error) -> bool {
    use nix::libc::{EADDRNOTAVAIL, EAFNOSUPPORT};
    matches!(error.raw_os_error(), Some(EAFNOSUPPORT | EADDRNOTAVAIL))
}

/// Connects to the first address that answers, giving each of them `timeout`. The stream blocks.
///
/// # Errors
/// The failure of the last address.
pub fn connect(addresses: &[SocketAddr], timeout: Duration) -> Result<TcpStream, ServiceError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(source) => last = Some(ServiceError::Connect { address: *address, source }),
        }
    }
    Err(last.unwrap_or_else(|| ServiceError::Connect {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        source: io::Error::new(io::ErrorKind::NotFound, "there is no address"),
    }))
}
