//! What is opened before the fork, so that what cannot be is told to whoever started the program.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use protogen_sys::daemon::Owner;
use protogen_sys::services::{self, Reserved};
use protogen_sys::tty::{Found, Pty, Tty};
use protogen_sys::unix_socket::UnixSocket;

use crate::args::{Config, From};

/// The line, open.
#[derive(Debug)]
pub(crate) enum Line {
    Tcp(Vec<TcpListener>),
    Unix(UnixSocket),
    Pty(Pty),
    Tty(Tty),
}

/// All that is open before the server is.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) line: Line,
    /// TO's addresses, in the resolver's order; none without TO.
    pub(crate) to: Vec<SocketAddr>,
    pub(crate) distal: Option<Reserved>,
    pub(crate) owner: Owner,
}

impl Bound {
    /// Opens the line, finds TO and reserves DIST.
    pub(crate) fn new(config: &Config) -> Result<Bound> {
        let owner = Owner::this_process();
        let to = match &config.to {
            Some(place) => place.to_connect()?,
            None => Vec::new(),
        };
        let distal = match &config.distal {
            Some(place) => Some(services::reserve(&place.to_listen()?)?),
            None => None,
        };
        let line = open(config, &owner).with_context(|| config.from.to_string())?;
        Ok(Bound { line, to, distal, owner })
    }
}

fn open(config: &Config, owner: &Owner) -> Result<Line> {
    Ok(match &config.from {
        From::Tcp(place) => Line::Tcp(services::listen(&place.to_listen()?)?),
        From::Unix(path) => Line::Unix(UnixSocket::listen(path, config.settings.socket_mode, owner.clone())?),
        From::Pty(path) => match Pty::look(path)? {
            Found::Free => Line::Pty(Pty::allocate(path, owner.clone())?),
            _ => Line::Tty(open_tty(path, config, owner)?),
        },
        From::Tty(path) => Line::Tty(open_tty(path, config, owner)?),
    })
}

/// Opens a serial line, or any terminal.
pub(crate) fn open_tty(path: &Path, config: &Config, owner: &Owner) -> io::Result<Tty> {
    Tty::open(path, &config.settings.serial, owner.clone())
}
