//! The listening sockets, kept across changes of the configuration.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};

use protogen_sys::services;

use crate::config::{Config, Connection};

/// The sockets that are listened on, by connection: a change takes them over, so that no peer is turned away meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Listening(BTreeMap<String, Vec<TcpListener>>);

impl Listening {
    /// Binds what a connection listens on, or takes over what is bound already.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(&mut self, connection: &Connection) -> Result<Vec<TcpListener>, String> {
        let Some(socket) = connection.kind.socket().filter(|socket| socket.server) else {
            return Ok(Vec::new());
        };
        let place = socket.place().map_err(|error| error.to_string())?;
        let addresses = place.to_listen().map_err(|error| error.to_string())?;
        let mut opened = Vec::new();
        let mut missing = Vec::new();
        for address in addresses {
            match self.find(address) {
                Some(listener) => opened.push(listener.map_err(|error| error.to_string())?),
                None => missing.push(address),
            }
        }
        if !missing.is_empty() {
            opened.extend(services::listen(&missing).map_err(|error| error.to_string())?);
        }
        Ok(opened)
    }

    fn find(&self, address: SocketAddr) -> Option<io::Result<TcpListener>> {
        let mut all = self.0.values().flatten();
        let found = all.find(|listener| listener.local_addr().is_ok_and(|here| here == address))?;
        Some(found.try_clone())
    }

    /// Keeps a second hold of what a connection listens on.
    ///
    /// # Errors
    /// What the system says: too many open files.
    pub(crate) fn keep(&mut self, name: &str, listeners: &[TcpListener]) -> io::Result<()> {
        let held = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
        self.0.insert(name.to_owned(), held);
        Ok(())
    }

    pub(super) fn keep_only(&mut self, config: &Config) {
        let is_server = |name: &str| {
            let connection = config.connections.iter().find(|connection| connection.name == name);
            connection.and_then(|connection| connection.kind.socket()).is_some_and(|socket| socket.server)
        };
        self.0.retain(|name, _| is_server(name));
    }
}
