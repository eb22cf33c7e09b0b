//! Servers that do as little as can be for what they promise: a single loop each.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// What a floor does with the messages of a turn before it answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// Nothing: the bare loop.
    Bare,
    /// L: one append and one fdatasync for all that is ready.
    Log,
    /// F: a durable file for each, in groups of 64 with one sync of the directory.
    Files,
}

const LISTENER: Token = Token(usize::MAX);
/// The log is filled with zeros before, and written round and round.
const LOG: u64 = 64 << 20;
const GROUP: usize = 64;

struct Client {
    stream: TcpStream,
    frame: Vec<u8>,
}

/// Serves until it is killed; prints its address first.
///
/// # Errors
/// What the system says.
pub fn serve(floor: Floor, directory: &Path) -> io::Result<()> {
    let mut store = Store::new(floor, directory)?;
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("{}", listener.local_addr()?);
    let mut events = Events::with_capacity(1024);
    let mut clients: HashMap<Token, Client> = HashMap::new();
    let (mut next, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        poll.poll(&mut events, None)?;
        let mut ready = Vec::new();
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE)?;
                    clients.insert(Token(next), Client { stream, frame: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let Some(client) = clients.get_mut(&event.token()) else { continue };
            loop {
                match client.stream.read(&mut buffer) {
                    Ok(0) => {
                        clients.remove(&event.token());
                        break;
                    }
                    Ok(count) => client.frame.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if client.frame.ends_with(b"\x1C\r") {
                            ready.push(event.token());
                        }
                        break;
                    }
                    Err(_) => {
                        clients.remove(&event.token());
                        break;
                    }
                }
            }
        }
        store.keep(ready.iter().filter_map(|token| clients.get(token)).map(|client| &*client.frame))?;
        for token in ready {
            let Some(client) = clients.get_mut(&token) else { continue };
            let id = client.frame.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
            let answer = [b"\x0BMSH|^~\\&|B||A||2026||ACK|1|P|2.5\rMSA|AA|", id, b"\r\x1C\r"].concat();
            client.stream.write_all(&answer)?;
            client.frame.clear();
        }
    }
}

enum Store {
    Bare,
    Log { file: File, offset: u64, buffer: Vec<u8> },
    Files { directory: PathBuf, count: u64 },
}

impl Store {
    fn new(floor: Floor, directory: &Path) -> io::Result<Store> {
        Ok(match floor {
            Floor::Bare => Store::Bare,
            Floor::Log => {
                let file = File::create_new(directory.join("log"))?;
                file.write_all_at(&vec![0; LOG as usize], 0)?;
                file.sync_all()?;
                Store::Log { file, offset: 0, buffer: Vec::new() }
            }
            Floor::Files => Store::Files { directory: directory.to_owned(), count: 0 },
        })
    }

    fn keep<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        match self {
            Store::Bare => Ok(()),
            Store::Log { file, offset, buffer } => {
                buffer.clear();
                frames.for_each(|frame| buffer.extend_from_slice(frame));
                if *offset + buffer.len() as u64 > LOG {
                    *offset = 0;
                }
                file.write_all_at(buffer, *offset)?;
                *offset += buffer.len() as u64;
                file.sync_data()
            }
            Store::Files { directory, count } => {
                let frames: Vec<&[u8]> = frames.collect();
                for group in frames.chunks(GROUP) {
                    let mut names = Vec::new();
                    for frame in group {
                        let (from, to) =
                            (directory.join(format!(".{count}")), directory.join(format!("{count}")));
                        let file = File::create_new(&from)?;
                        file.write_all_at(frame, 0)?;
                        file.sync_data()?;
                        names.push((from, to));
                        *count += 1;
                    }
                    for (from, to) in names {
                        std::fs::rename(from, to)?;
                    }
                    File::open(&*directory)?.sync_all()?;
                }
                Ok(())
            }
        }
    }
}
