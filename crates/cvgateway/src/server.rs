//! The server: accepts connections, and follows signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::{Interest, Token};
use protogen_sys::event_loop::{Event, EventLoop, Signal};
use protogen_sys::log::Log;
use protogen_sys::open_files;
use protogen_sys::sd_notify::Notifier;
use protogen_sys::services::{self, Place};

use crate::gateway::{Gateway, Places};
use crate::session;

/// How long messages in work, and what people are to be told, are waited for at the end.
const END_LIMIT: Duration = Duration::from_secs(4);
/// The open files of one connection: its socket, that to CareVue, three pipes of idb_direct, a file of the journal.
const FILES_EACH: usize = 8;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(places: Places, service: &str, facility: &str, log: &Log) -> Result<()> {
    let place: Place = service.parse()?;
    let listeners = services::listen(&place.to_listen()?)?;
    let gateway = Arc::new(Gateway::new(places, facility)?);
    gateway.open_journal()?;
    let most = gateway.loaded().profile.limit.connections;
    open_files::raise_limit((most * FILES_EACH + 64) as u64).context("cannot ask for open files")?;
    let mut events = EventLoop::new(&[Signal::Terminate, Signal::Interrupt, Signal::HangUp])?;
    let addresses: Vec<String> =
        listeners.iter().filter_map(|one| Some(one.local_addr().ok()?.to_string())).collect();
    let mut sockets = Vec::new();
    for (n, listener) in listeners.into_iter().enumerate() {
        let mut socket = mio::net::TcpListener::from_std(listener);
        events.registry().register(&mut socket, Token(n), Interest::READABLE)?;
        sockets.push(socket);
    }
    let notifier = Notifier::from_environment();
    let listening = format!("listening on {}", addresses.join(" "));
    log::info!("{listening}");
    if let Err(error) = notifier.status(&listening).and_then(|()| notifier.ready()) {
        log::warn!("the service manager cannot be told: {error}");
    }
    let active = Arc::new(AtomicUsize::new(0));
    loop {
        match events.wait()? {
            Event::Readable(Token(n)) if n < sockets.len() => accept(&gateway, &sockets[n], &active),
            Event::Signal(Signal::HangUp) => {
                if let Err(error) = log.reopen() {
                    log::error!("{error}");
                }
                gateway.reload();
            }
            Event::Signal(Signal::Terminate | Signal::Interrupt) => break,
            _ => {}
        }
    }
    // Nobody left to be told is no failure of ours.
    let _ = notifier.stopping();
    drop(sockets);
    let end = Instant::now() + END_LIMIT;
    while active.load(Ordering::Acquire) > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    if gateway.notices.waiting() > 0 {
        log::info!("{} mails and system messages are still to be sent", gateway.notices.waiting());
    }
    while gateway.notices.waiting() > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    match gateway.notices.waiting() {
        0 => {}
        left => log::warn!("ended with {left} mails and system messages that were not sent"),
    }
    match active.load(Ordering::Acquire) {
        0 => log::info!("ended"),
        left => log::warn!("ended with {left} messages in work; their senders have no answer and send again"),
    }
    Ok(())
}

/// Accepts all that wait; each gets a thread. Beyond the limit a connection is closed at once, so that its sender tries
/// again.
fn accept(gateway: &Arc<Gateway>, socket: &mio::net::TcpListener, active: &Arc<AtomicUsize>) {
    loop {
        let (stream, peer) = match socket.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log::error!("cannot accept a connection: {error}");
                return;
            }
        };
        let most = gateway.loaded().profile.limit.connections;
        if active.load(Ordering::Acquire) >= most {
            log::warn!("{}: {most} connections are in work already (limit.connections); closed", peer.ip());
            continue;
        }
        let stream = std::net::TcpStream::from(stream);
        if let Err(error) = stream.set_nonblocking(false) {
            log::warn!("{}: {error}", peer.ip());
            continue;
        }
        let count = Counted::new(active);
        let gateway = Arc::clone(gateway);
        let started = thread::Builder::new().name("session".into()).spawn(move || {
            let _count = count;
            session::serve(&gateway, stream, peer.ip());
        });
        if let Err(error) = started {
            log::error!("no thread for a connection: {error}");
        }
    }
}

/// A connection in work, counted until it ends, however it does.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(active: &Arc<AtomicUsize>) -> Counted {
        active.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(active))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
