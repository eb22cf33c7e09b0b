//! The access list of this site: the file that [`protogen_core::hl7hosts`] judges by, and the system's name service.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use protogen_core::hl7hosts::{AccessList, Decision, MAX_BYTES, Matching, Request, Resolver, SyntaxError};

use crate::files::read_bounded;

/// Asks the system's name service (hosts file, DNS, whatever nsswitch.conf(5) says). It may wait as long as
/// resolv.conf(5) lets it; never call it from an event loop.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Resolver for SystemNames {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        dns_lookup::lookup_host(name).map(Iterator::collect).unwrap_or_default()
    }

    fn names(&self, address: IpAddr) -> Vec<String> {
        dns_lookup::lookup_addr(&address).into_iter().collect()
    }
}

/// An access list that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostsError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is wrong.
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line and its fault.
        source: SyntaxError,
    },
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostsError::Unreadable { path, source } => {
                write!(f, "{}: {source}; it must list who may send what", path.display())
            }
            HostsError::Syntax { path, source } => {
                write!(f, "{}:{}: {}", path.display(), source.line, source.fault)
            }
        }
    }
}

impl std::error::Error for HostsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HostsError::Unreadable { source, .. } => Some(source),
            HostsError::Syntax { source, .. } => Some(source),
        }
    }
}

/// Reads and parses an access list.
///
/// # Errors
/// Names the file, and the line for a syntax error.
pub fn read(path: &Path, matching: Matching) -> Result<AccessList, HostsError> {
    let text = read_bounded(path, MAX_BYTES)
        .map_err(|source| HostsError::Unreadable { path: path.to_owned(), source })?;
    AccessList::parse(&text, matching).map_err(|source| HostsError::Syntax { path: path.to_owned(), source })
}

/// The access list of a server, which fails closed at the start and keeps the old list when a new one is broken.
#[derive(Debug)]
pub struct HostsFile {
    path: PathBuf,
    matching: Matching,
    list: AccessList,
}

impl HostsFile {
    /// Reads the file. A missing or broken one is logged as an error and refuses everyone until
    /// [`reload`](HostsFile::reload) finds a good one.
    #[must_use]
    pub fn open(path: &Path, matching: Matching) -> HostsFile {
        let list = read(path, matching).unwrap_or_else(|error| {
            log::error!("{error}; everyone is refused");
            AccessList::default()
        });
        HostsFile { path: path.to_owned(), matching, list }
    }

    /// Reads the file again, on SIGHUP. A broken one is logged as an error and the old list stays in force.
    ///
    /// # Errors
    /// What was logged.
    pub fn reload(&mut self) -> Result<(), HostsError> {
        match read(&self.path, self.matching) {
            Ok(list) => self.list = list,
            Err(error) => {
                log::error!("{error}; the old list stays in force");
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the request may be served; a refusal is logged with the values that were refused. Tell the peer no
    /// more than "not allowed".
    #[must_use]
    pub fn allows(&self, request: &Request<'_>, resolver: &dyn Resolver) -> bool {
        let decision = self.list.decide(request, resolver);
        if decision == Decision::Refused {
            log::warn!("{}: not allowed: {request}", self.path.display());
        }
        decision.is_allowed()
    }
}
