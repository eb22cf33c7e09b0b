//! The server: a thread a connection, one transaction each.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use mio::Interest;
use mio::net::TcpListener;
use protogen_core::llp::illp::{Server, Settings};
use protogen_core::llp::{Event as LinkEvent, Kind, Link};
use protogen_sys::event_loop::{Event, EventLoop, Signal, Token};
use protogen_sys::log::Setup;
use protogen_sys::sd_notify::Notifier;
use protogen_sys::services::{self, Place};

use super::{Reply, handle};
use crate::state::Store;

/// Connections that are served at a time; more are closed at once.
const MOST: usize = 256;
/// How long a connection is left hanging.
const HANG: Duration = Duration::from_secs(900);

/// Serves at the place until SIGTERM or SIGINT.
pub(crate) fn serve(store: &Store, place: &str) -> Result<()> {
    Setup::new("carevue-sim").foreground(true).install()?;
    // A state that cannot be read is told before anybody connects.
    store.read()?;
    let mut events = EventLoop::new(&[Signal::Interrupt, Signal::Terminate])?;
    let mut listeners = Vec::new();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (i, listener) in services::listen(&place.parse::<Place>()?.to_listen()?)?.into_iter().enumerate() {
        addresses.push(listener.local_addr()?);
        let mut listener = TcpListener::from_std(listener);
        events.registry().register(&mut listener, Token(i), Interest::READABLE)?;
        listeners.push(listener);
    }
    // One of IPv4 first, for whoever takes the first.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let listening = format!("listening on {}", addresses.join(" and "));
    eprintln!("carevue-sim: {listening}");
    let notifier = Notifier::from_environment();
    if let Err(error) = notifier.status(&listening).and_then(|()| notifier.ready()) {
        log::warn!("the service manager cannot be told: {error}");
    }
    let served = Arc::new(AtomicUsize::new(0));
    loop {
        match events.wait()? {
            Event::Readable(Token(i)) => accept(&listeners[i], store, &served),
            Event::Signal(_) => break,
            _ => {}
        }
    }
    // Nobody left to be told is no failure of ours.
    let _ = notifier.stopping();
    Ok(())
}

fn accept(listener: &TcpListener, store: &Store, served: &Arc<AtomicUsize>) {
    loop {
        let (stream, peer) = match listener.accept() {
            Ok((stream, peer)) => (TcpStream::from(stream), peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => return log::warn!("a connection was not accepted: {error}"),
        };
        if served.load(Ordering::Relaxed) >= MOST {
            log::warn!("{peer}: refused, {MOST} connections are open");
            continue;
        }
        served.fetch_add(1, Ordering::Relaxed);
        let (store, ended) = (store.clone(), Arc::clone(served));
        let thread = std::thread::Builder::new().spawn(move || {
            if let Err(error) = transact(&stream, &store, peer) {
                log::error!("{peer}: {error:#}");
            }
            ended.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = thread {
            served.fetch_sub(1, Ordering::Relaxed);
            log::error!("{peer}: no thread: {error}");
        }
    }
}

/// Reads a request, carries it out, and replies.
fn transact(stream: &TcpStream, store: &Store, peer: SocketAddr) -> Result<()> {
    let settings = Settings::default();
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(settings.idle_timeout))?;
    stream.set_write_timeout(Some(settings.idle_timeout))?;
    let mut link = Server::new(settings, Instant::now());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match (&*stream).read(&mut buffer) {
            Ok(0) => link.handle_eof(Instant::now()),
            Ok(count) => link.handle_input(&buffer[..count], Instant::now()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        match link.poll_event() {
            None => {}
            Some(LinkEvent::Message { message, .. }) => {
                return reply(stream, store, peer, &mut link, &message);
            }
            Some(LinkEvent::Note(note)) => log::warn!("{peer}: {note}"),
            Some(_) => return Ok(()),
        }
    }
}

fn reply(
    stream: &TcpStream,
    store: &Store,
    peer: SocketAddr,
    link: &mut Server,
    message: &[u8],
) -> Result<()> {
    let (reply, said) = handle(store, message)?;
    log::info!("{peer}: {said}");
    match reply {
        Reply::Close => {}
        // A client that has shut down its half and goes away is not noticed before something is written to it.
        Reply::Hang => std::thread::sleep(HANG),
        Reply::Answer(answer, delay) => {
            std::thread::sleep(delay);
            link.send(&answer, Kind::Reply, Instant::now())?;
            let mut out = Vec::new();
            link.poll_transmit(&mut out);
            (&*stream).write_all(&out)?;
            stream.shutdown(Shutdown::Write)?;
        }
    }
    Ok(())
}
