//! The daemon's side: a socket in the state directory, a thread for each command. None of them can hold up a message.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};
use protogen_journal::{Journal, Producer, Reader};
use protogen_sys::daemon::Owner;
use protogen_sys::unix_socket::UnixSocket;
use serde_json::{Value, json};

use super::perform::{Change, Ground};
use super::queues;
use crate::board::Board;
use crate::log;

/// The socket's name in the state directory.
pub(crate) const SOCKET: &str = "control";
/// The most commands at a time.
const MAX_CLIENTS: usize = 16;
/// The longest request, in bytes.
const MAX_REQUEST: u64 = 1 << 20;
/// How long a command may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after the system had no room for a command.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What commands are answered from.
struct Shared {
    board: Arc<Board>,
    journal: Reader,
    producer: Producer,
    clients: AtomicUsize,
}

/// Listens for commands, as long as what it gives lives.
///
/// # Errors
/// What the system says about the socket.
pub(crate) fn start(board: &Arc<Board>, journal: &Journal) -> io::Result<UnixSocket> {
    let socket =
        UnixSocket::listen(&path(&board.config().general.statedir.path), 0o600, Owner::this_process())?;
    let listener = socket.listener()?;
    listener.set_nonblocking(false)?;
    let shared = Arc::new(Shared {
        board: Arc::clone(board),
        journal: journal.reader(),
        producer: journal.producer(|| {}),
        clients: AtomicUsize::new(0),
    });
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => begin(stream, &shared),
                Err(error) => {
                    log::error!(log::GENERAL, "cannot take a command: {error}");
                    std::thread::sleep(NO_ROOM);
                }
            }
        }
    })?;
    Ok(socket)
}

/// Where the socket is.
pub(crate) fn path(statedir: &Path) -> std::path::PathBuf {
    statedir.join(SOCKET)
}

fn begin(stream: UnixStream, shared: &Arc<Shared>) {
    if shared.clients.fetch_add(1, Ordering::AcqRel) >= MAX_CLIENTS {
        shared.clients.fetch_sub(1, Ordering::AcqRel);
        // It hears it, or is gone.
        let _ = answer(&stream, &json!({ "error": "too many commands are served; try again" }));
        return;
    }
    let here = Arc::clone(shared);
    let serve = move || {
        // A command that went away is no concern of ours.
        let _ = serve(&stream, &here);
        here.clients.fetch_sub(1, Ordering::AcqRel);
    };
    if let Err(error) = std::thread::Builder::new().name("command".to_owned()).spawn(serve) {
        shared.clients.fetch_sub(1, Ordering::AcqRel);
        log::error!(log::GENERAL, "cannot serve a command: {error}");
    }
}

fn serve(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_REQUEST)).read_line(&mut line)?;
    let Ok(request) = serde_json::from_str::<Value>(&line) else {
        return answer(stream, &json!({ "error": "the request is no JSON" }));
    };
    match request["command"].as_str() {
        Some("queues") => {
            answer(stream, &queues::live(&shared.board.config(), &shared.journal, &shared.board))
        }
        Some("follow") => follow(stream, shared),
        _ => {
            let done = match Change::requested(&request) {
                Some(Ok(change)) => {
                    let name = request["connection"].as_str().unwrap_or_default();
                    let Shared { board, journal, producer, .. } = shared;
                    // What another command is refused is none of this one's.
                    let producer = &producer.another();
                    Ground { board, journal, producer }.perform(name, &change, &who(stream))
                }
                Some(Err(error)) => Err(error),
                None => Err("this version does not know the command".to_owned()),
            };
            answer(stream, &done.unwrap_or_else(|error| json!({ "error": error })))
        }
    }
}

fn follow(mut stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    let Some(lines) = shared.board.followers.follow() else {
        return answer(stream, &json!({ "error": "too many follow already" }));
    };
    log::always!(log::GENERAL, "{} is following", who(stream));
    // So that it knows that nothing is missed from now on.
    answer(stream, &json!({ "following": true }))?;
    loop {
        let line = lines.recv_timeout(PATIENCE);
        match line {
            Ok(line) => answer(stream, &line)?,
            // An empty line finds out whether somebody is still there.
            Err(_) => stream.write_all(b"\n")?,
        }
    }
}

fn answer(mut stream: &UnixStream, answer: &Value) -> io::Result<()> {
    stream.write_all(format!("{answer}\n").as_bytes())
}

/// Who asks, as the system knows them.
fn who(stream: &UnixStream) -> String {
    match getsockopt(stream, PeerCredentials) {
        Ok(peer) => format!("{} (process {})", user(Uid::from_raw(peer.uid())), peer.pid()),
        Err(error) => format!("somebody ({error})"),
    }
}

/// The name of a user, or the number of one without.
pub(crate) fn user(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("user {uid}"), |user| user.name)
}
