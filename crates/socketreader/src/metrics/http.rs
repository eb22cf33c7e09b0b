//! As much of HTTP/1.1 as a scraper and a health check need: one request a connection, bounded in number, length and
//! time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::log;

/// The most that are served at a time; further ones are closed.
const MAX_CLIENTS: usize = 8;
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8 << 10;
/// How long a client may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What is answered.
pub(super) struct Answer {
    /// 200, or 503.
    pub(super) is_well: bool,
    pub(super) text: String,
}

/// Serves what `find` has for a path, until the program ends.
pub(super) fn serve(
    listener: TcpListener,
    find: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) -> io::Result<()> {
    let (find, clients) = (Arc::new(find), Arc::new(AtomicUsize::new(0)));
    let accept = move || {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log::error!(log::GENERAL, "metrics: cannot accept a connection: {error}");
                    std::thread::sleep(NO_ROOM);
                    continue;
                }
            };
            if clients.fetch_add(1, Ordering::AcqRel) >= MAX_CLIENTS {
                clients.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let (find, here) = (Arc::clone(&find), Arc::clone(&clients));
            let answer = move || {
                // One that went away is no concern of ours.
                let _ = one(stream, &*find);
                here.fetch_sub(1, Ordering::AcqRel);
            };
            if std::thread::Builder::new().name("scrape".to_owned()).spawn(answer).is_err() {
                clients.fetch_sub(1, Ordering::AcqRel);
            }
        }
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(accept).map(drop)
}

fn one(mut stream: TcpStream, find: &dyn Fn(&str) -> Option<Answer>) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = head(&mut stream)?;
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let (status, text) = match (is_http, method) {
        (false, _) => ("400 Bad Request", "this is no request of HTTP/1.1\n".to_owned()),
        (true, "GET" | "HEAD") => match find(path) {
            Some(Answer { is_well: true, text }) => ("200 OK", text),
            Some(Answer { is_well: false, text }) => ("503 Service Unavailable", text),
            None => ("404 Not Found", "there are /metrics and /healthz\n".to_owned()),
        },
        (true, _) => ("405 Method Not Allowed", "only GET is allowed\n".to_owned()),
    };
    let kind = if path == "/metrics" {
        "text/plain; version=0.0.4; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let length = text.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if method != "HEAD" {
        answer += &text;
    }
    stream.write_all(answer.as_bytes())
}

/// What comes before the empty line.
fn head(stream: &mut TcpStream) -> io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece)? {
            0 => break,
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
