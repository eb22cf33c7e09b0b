//! What the configuration says beside what this host has: directories, files, addresses.

use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use protogen_sys::access::{self, Use};
use protogen_sys::child::{Limits, run};
use protogen_sys::files::directory_of;

use super::problem::{At, Problems};
use super::resolve::Found;
use super::section::{Parsed, shown};
use super::{Connection, FileIn, Kind, LogLevel, Socket, StateDir};
use crate::tls::{Context, Fault};

/// How long the shell may take to read a command, and the most bytes of its complaint.
const SHELL_TIME: Duration = Duration::from_secs(5);
const MAX_COMPLAINT: usize = 4096;

/// Checks what one connection needs.
pub(super) fn connection(found: &Found<'_>, problems: &mut Problems) {
    let Some(Connection { kind, gate, .. }) = &found.connection else { return };
    let parsed = &found.parsed;
    if let Some(pipe) = &gate.pipe
        && let Some(text) = syntax_error(&pipe.command)
    {
        problems.error(parsed.at("pipe"), text);
    }
    match kind {
        Kind::SocketIn(socket) => tls(parsed, socket, problems),
        Kind::SocketOut(socket) => {
            tls(parsed, socket, problems);
            if let Some(queuedb) = &socket.queuedb
                && let Some(text) = foreign_queue(queuedb)
            {
                problems.error(parsed.at("queuedb"), text);
            }
        }
        Kind::FileIn(file) => file_in(found, file, problems),
        Kind::FileOut(file) => {
            directory(parsed.at("messagedir"), "messagedir", &file.dir, Use::Make, problems);
        }
    }
}

/// What the shell says about a command that it cannot read; it is not run.
fn syntax_error(command: &str) -> Option<String> {
    let limits = Limits { time: SHELL_TIME, output: MAX_COMPLAINT };
    let read = run(Command::new("/bin/sh").args(["-n", "-c", command]), b"", limits);
    // Without a shell the start of the command fails, and says so.
    let read = read.ok().filter(|read| !read.status.success() && !read.timed_out)?;
    let complaint = String::from_utf8_lossy(&read.stderr);
    let complaint = complaint.lines().next().unwrap_or_default();
    Some(format!("pipe: the shell cannot read the command: {}", shown(complaint.as_bytes())))
}

/// Reads the files of TLS: what is wrong with them shows now.
fn tls(parsed: &Parsed<'_>, socket: &Socket, problems: &mut Problems) {
    let Some(tls) = &socket.tls else { return };
    // A server without a certificate was named before.
    if !parsed.sound("tlscert") || (socket.server && tls.cert.is_none()) {
        return;
    }
    match Context::load(tls, socket.server) {
        Ok(context) => {
            for (option, text) in context.warnings() {
                problems.warning(parsed.at(option), text);
            }
        }
        Err(Fault { option, text }) => problems.error(parsed.at(option), text),
    }
}

fn file_in(found: &Found<'_>, file: &FileIn, problems: &mut Problems) {
    let at = found.parsed.at("messagedir");
    directory(at, "messagedir", &file.dir, Use::Take, problems);
    if mode(&file.dir).is_some_and(|mode| mode & 0o002 != 0) {
        problems.warning(
            at,
            format!("every account of this host may put messages into {}: chmod o-w it", file.dir.display()),
        );
    }
    if found.parsed.given("errordir") && file.errordir != file.dir {
        directory(found.parsed.at("errordir"), "errordir", &file.errordir, Use::Make, problems);
    }
}

fn directory(at: At<'_>, option: &str, path: &Path, wanted: Use, problems: &mut Problems) {
    if let Err(error) = access::directory(path, wanted) {
        problems.error(at, format!("{option} {}: {}", path.display(), trouble(path, &error)));
    }
}

/// What is wrong with a directory, and what helps.
fn trouble(path: &Path, error: &io::Error) -> String {
    let windows = path.components().any(|part| part.as_os_str().to_string_lossy().ends_with(':'));
    match error.kind() {
        io::ErrorKind::NotFound if windows => {
            "there is no such directory, and this looks like a Windows path; state one of this host".into()
        }
        io::ErrorKind::NotFound => "there is no such directory; make it, or correct the path".into(),
        io::ErrorKind::NotADirectory => "this is no directory; correct the path".into(),
        io::ErrorKind::PermissionDenied => {
            "this account may not write there; change its owner or its mode, or run as another account".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only; mount it for writing".into(),
        _ => error.to_string(),
    }
}

/// A file at the path of an old queue may hold messages that were acknowledged and never delivered.
fn foreign_queue(path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    let path = path.display();
    if found.is_dir() {
        return Some(format!("queuedb {path}: this is a directory; state a file in it"));
    }
    // An empty file holds no message, whoever made it.
    (found.len() > 0).then(|| {
        format!(
            "queuedb {path}: this file is not ours, and may hold messages that version 1.2.4 has still to deliver; \
             start that version until they are delivered, stop it, and move the file away"
        )
    })
}

/// Checks where the program logs and keeps its state.
pub(super) fn general(parsed: &Parsed<'_>, statedir: &StateDir, problems: &mut Problems) {
    let (at, draft) = (|option| parsed.at(option), &parsed.draft);
    if let Some(logfile) = &draft.logfile {
        log(at("logfile"), logfile, draft.loglvl, problems);
    }
    if let Some(address) = draft.metrics.filter(|address| !address.ip().is_loopback()) {
        problems.warning(
            at("metrics"),
            format!("whoever reaches {address} reads the figures of this program; state 127.0.0.1, or let a firewall guard it"),
        );
    }
    let path = &statedir.path;
    // What is not there yet is made at the start.
    let (needed, shown) = if path.exists() {
        (path.as_path(), "")
    } else {
        (directory_of(path), ", to be made: its directory")
    };
    if let Err(error) = access::directory(needed, Use::Make) {
        problems.error(
            at("statedir"),
            format!("statedir {}{shown}: {}", path.display(), trouble(needed, &error)),
        );
        return;
    }
    if mode(needed).is_some_and(|mode| mode & 0o1002 == 0o002) {
        problems.warning(
            at("statedir"),
            format!(
                "statedir {}: every account of this host could move the journal away; chmod o-w it",
                path.display()
            ),
        );
    }
    if let Ok(Some(network)) = access::network_file_system(needed) {
        problems.warning(
            at("statedir"),
            format!(
                "statedir {} is on a network file system ({network}), whose failures can lose acknowledged messages; \
                 state a directory on a local disk",
                path.display()
            ),
        );
    }
}

fn log(at: At<'_>, path: &Path, level: Option<LogLevel>, problems: &mut Problems) {
    let Some(mode) = mode(path) else {
        let directory = directory_of(path);
        if let Err(error) = access::directory(directory, Use::Make) {
            problems.error(at, format!("logfile {}: {}", directory.display(), trouble(directory, &error)));
        }
        return;
    };
    if let Err(error) = access::writable_file(path) {
        let text = match error.kind() {
            io::ErrorKind::IsADirectory => "this is a directory; state a file in it".into(),
            _ => trouble(path, &error),
        };
        problems.error(at, format!("logfile {}: {text}", path.display()));
    } else if mode & 0o077 != 0 && level.is_some_and(|level| level >= LogLevel::Prod) {
        problems.warning(
            at,
            format!(
                "logfile {} will hold contents of messages, and others than its owner may use it; chmod 600 it",
                path.display()
            ),
        );
    }
}

fn mode(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|found| Permissions::mode(&found.permissions()))
}

/// Checks what the servers listen on, and whether the names of peers are known (`peers`, which may take time).
pub(super) fn addresses(found: &[Found<'_>], peers: bool, problems: &mut Problems) {
    let mut taken: Vec<(SocketAddr, &Found<'_>)> = Vec::new();
    for one in found {
        let Some(socket) = one.connection.as_ref().and_then(|connection| connection.kind.socket()) else {
            continue;
        };
        if !one.parsed.sound("ipaddr") || !one.parsed.sound("port") || !one.parsed.sound("createserversocket")
        {
            continue;
        }
        if !socket.server {
            if peers && let Err(error) = resolve(socket) {
                problems.warning(one.parsed.at("ipaddr"), format!("ipaddr = {}: {error}", socket.host));
            }
            continue;
        }
        match resolve(socket) {
            Err(error) => {
                problems.error(one.parsed.at("ipaddr"), format!("ipaddr = {}: {error}", socket.host));
            }
            Ok(addresses) => {
                for address in &addresses {
                    server(one, socket, *address, &taken, problems);
                }
                taken.extend(addresses.into_iter().map(|address| (address, one)));
            }
        }
    }
}

fn resolve(socket: &Socket) -> Result<Vec<SocketAddr>, String> {
    let unknown = "no such host; state its address, or enter the name in /etc/hosts or the DNS";
    let place = socket.place().map_err(|error| error.to_string())?;
    let found = if socket.server { place.to_listen() } else { place.to_connect() };
    found.map_err(|_| unknown.to_owned())
}

fn server(
    one: &Found<'_>,
    socket: &Socket,
    address: SocketAddr,
    taken: &[(SocketAddr, &Found<'_>)],
    problems: &mut Problems,
) {
    let parsed = &one.parsed;
    if let Some((_, other)) = taken.iter().find(|(other, _)| collide(address, *other)) {
        let (name, line) = (&other.parsed.section.name, other.parsed.section.line);
        problems.error(
            parsed.at("port"),
            format!(
                "port {} is the one that [{name}] (line {line}) listens on; give one of them another port",
                address.port()
            ),
        );
        return;
    }
    // Any port will do: whether the address is one of this host is all that is asked.
    if let Err(error) = TcpListener::bind((address.ip(), 0))
        && error.kind() == io::ErrorKind::AddrNotAvailable
    {
        problems.error(
            parsed.at("ipaddr"),
            format!(
                "{} is no address of this host, so nothing can listen there; state one of its own, or 0.0.0.0 for all",
                address.ip()
            ),
        );
    } else if !address.ip().is_loopback() && socket.allow.is_empty() {
        let reach = if address.ip().is_unspecified() {
            "every address of this host".to_owned()
        } else {
            address.ip().to_string()
        };
        problems.warning(
            parsed.at("ipaddr"),
            format!("whoever reaches {reach} may connect here; state allow = PEER, ..., or let a firewall admit the peers only"),
        );
    }
}

/// Whether two servers cannot listen on both. An IPv6 wildcard takes IPv6 only.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let both = match (one.ip(), other.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
        (IpAddr::V6(a), IpAddr::V6(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
        _ => false,
    };
    both && one.port() == other.port()
}
