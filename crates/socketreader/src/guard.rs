//! Who may connect to a connection's socket, and how both ends show who they are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use protogen_core::hl7hosts::{Peers, Resolver};
use protogen_sys::hl7hosts::SystemNames;

use crate::config::{Config, Connection, Socket};
use crate::log;
use crate::tls::Context;

/// What stands before a socket connection. Its files are read, and its names looked up, at the start and on SIGHUP.
#[derive(Debug)]
pub(crate) struct Guard {
    inner: RwLock<Inner>,
    /// Peers that were not allowed.
    pub(crate) refused: AtomicU64,
    /// Handshakes that failed.
    pub(crate) failed: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    allowed: Allowed,
    tls: Option<Arc<Context>>,
}

impl Guard {
    /// Reads the files and looks the names up, which may wait for a name server.
    ///
    /// # Errors
    /// Why TLS cannot be spoken.
    pub(crate) fn open(name: &str, socket: &Socket) -> Result<Guard, String> {
        let inner = RwLock::new(Inner::read(name, socket)?);
        Ok(Guard { inner, refused: AtomicU64::new(0), failed: AtomicU64::new(0) })
    }

    /// Reads the files again, and looks the names up; nothing of it is in force yet.
    ///
    /// # Errors
    /// Why TLS cannot be spoken.
    pub(crate) fn read_again(self: &Arc<Guard>, name: &str, socket: &Socket) -> Result<Renewal, String> {
        let inner = Inner::read(name, socket)?;
        Ok(Renewal { guard: Arc::clone(self), inner })
    }

    /// Whether a peer may connect; those that may not are counted.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        let admits = self.inner.read().unwrap_or_else(PoisonError::into_inner).allowed.admits(peer);
        if !admits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// What begins TLS with a peer, if it is spoken.
    pub(crate) fn tls(&self) -> Option<Arc<Context>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).tls.clone()
    }
}

impl Inner {
    fn read(name: &str, socket: &Socket) -> Result<Inner, String> {
        let allowed = Allowed::look_up(name, &socket.allow);
        let context = |tls| Context::load(tls, socket.server).map(Arc::new);
        let tls = socket.tls.as_ref().map(context).transpose().map_err(|fault| fault.text)?;
        Ok(Inner { allowed, tls })
    }
}

/// What a guard is to go by from some moment on.
#[derive(Debug)]
pub(crate) struct Renewal {
    guard: Arc<Guard>,
    inner: Inner,
}

impl Renewal {
    /// That moment has come.
    pub(crate) fn take_effect(self) {
        *self.guard.inner.write().unwrap_or_else(PoisonError::into_inner) = self.inner;
    }
}

/// The guards of all socket connections, by name.
pub(crate) type Guards = BTreeMap<String, Arc<Guard>>;

/// Opens those of a configuration.
///
/// # Errors
/// The connection, and why its files cannot be used.
pub(crate) fn open(config: &Config) -> Result<Guards, String> {
    let sockets = config.connections.iter().filter_map(|connection| {
        let Connection { name, kind, .. } = connection;
        Some((name, kind.socket()?))
    });
    sockets
        .map(|(name, socket)| match Guard::open(name, socket) {
            Ok(guard) => Ok((name.clone(), Arc::new(guard))),
            Err(why) => Err(format!("[{name}] {why}")),
        })
        .collect()
}

/// Who may connect: everybody where the list is empty.
#[derive(Debug)]
struct Allowed {
    peers: Vec<Peers>,
    names: Names,
}

impl Allowed {
    fn look_up(connection: &str, peers: &[Peers]) -> Allowed {
        let names = peers.iter().filter_map(Peers::name).map(|name| {
            let addresses = SystemNames.addresses(name);
            if addresses.is_empty() {
                log::error!(connection, "allow: {name} has no address now, so it cannot connect; correct it, or send SIGHUP when it has");
            }
            (name.to_owned(), addresses)
        });
        let names = Names(names.collect());
        Allowed { peers: peers.to_vec(), names }
    }

    fn admits(&self, peer: IpAddr) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peers| peers.matches(peer, &self.names))
    }
}

/// What was looked up: nobody waits for a name server while a peer waits.
#[derive(Debug)]
struct Names(BTreeMap<String, Vec<IpAddr>>);

impl Resolver for Names {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn names(&self, _address: IpAddr) -> Vec<String> {
        Vec::new()
    }
}
