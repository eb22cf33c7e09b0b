//! A small SMTP server that keeps the mails it receives (RFC 5321, the minimum of section 4.5.1).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

use crate::TIMEOUT;

/// The longest line and the longest mail taken, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A mail as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Header and text, lines ended with CR LF, dots unstuffed.
    pub data: String,
}

/// What the server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes every mail.
    Friendly,
    /// It refuses every recipient.
    Refusing,
    /// It accepts connections and never says a word.
    Silent,
}

/// A server on the loopback interface; its thread ends with the test.
#[derive(Debug)]
pub struct SmtpServer {
    address: SocketAddr,
    mails: Receiver<Mail>,
}

impl SmtpServer {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(manner: Manner) -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let (sender, mails) = mpsc::channel();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                match manner {
                    Manner::Silent => silent.push(stream),
                    // A client that breaks off is the test's subject, not this server's.
                    _ => drop(serve(&stream, manner, &sender)),
                }
            }
        });
        SmtpServer { address, mails }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next mail.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    #[must_use]
    pub fn next_mail(&self) -> Mail {
        self.mails.recv_timeout(TIMEOUT).expect("a mail")
    }

    /// A mail that is there already.
    #[must_use]
    pub fn try_mail(&self) -> Option<Mail> {
        self.mails.try_recv().ok()
    }
}

fn serve(stream: &TcpStream, manner: Manner, mails: &Sender<Mail>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(stream.take(MAX_BYTES));
    let reply = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    reply("220 test ESMTP")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" | "RSET" | "NOOP" => reply("250 test")?,
            "MAIL" => {
                mail = Mail { from: path_of(line), to: Vec::new(), data: String::new() };
                reply("250 sender ok")?;
            }
            "RCPT" if manner == Manner::Refusing => reply("550 no such user here")?,
            "RCPT" => {
                mail.to.push(path_of(line));
                reply("250 recipient ok")?;
            }
            "DATA" => {
                reply("354 end with a dot")?;
                mail.data = read_data(&mut reader)?;
                reply("250 taken")?;
                if mails.send(mail.clone()).is_err() {
                    return Ok(());
                }
            }
            "QUIT" => return reply("221 bye"),
            _ => reply("500 unknown command")?,
        }
    }
}

/// What stands between the angle brackets.
fn path_of(line: &str) -> String {
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

fn read_data(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
