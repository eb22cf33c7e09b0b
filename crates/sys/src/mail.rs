//! Mail to the administrator, by the sendmail command or by SMTP.
//!
//! A mail that cannot be sent is a value for the caller to log, never a reason to stop moving messages. Sending waits
//! for others: do it on a thread of its own, or in a program that has nothing else to do.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message, SmtpTransport, Transport};

use crate::child::{self, Limits};
use crate::site::host_name;

/// The sendmail command when `PG_SENDMAIL` is not set. cron's PATH does not have it, so it is absolute.
pub const DEFAULT_SENDMAIL: &str = "/usr/sbin/sendmail";
/// The SMTP port when `PG_SMTP` names none.
pub const DEFAULT_PORT: u16 = 25;
/// The sendmail command's time, and that of each exchange with an SMTP server.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest subject, in characters; the rest is cut.
pub const MAX_SUBJECT: usize = 150;
/// The longest text, in bytes; the rest is cut, and the mail says so.
pub const MAX_TEXT: usize = 256 << 10;
/// The longest line of the text; longer ones are broken (RFC 5322 allows 998).
const MAX_LINE: usize = 900;
/// What is kept of the sendmail command's complaints, in bytes.
const MAX_COMPLAINT: usize = 4096;

/// Sends mail for this site.
#[derive(Debug, Clone)]
pub struct Mailer {
    route: Route,
    from: String,
    timeout: Duration,
}

/// How mail leaves this host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// Through a command with sendmail(8)'s arguments.
    Sendmail(PathBuf),
    /// To a mail server, as plain SMTP.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A mail that was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum MailError {
    /// `PG_SMTP` is not `HOST[:PORT]`.
    BadServer(String),
    /// An address that cannot be one.
    BadAddress(String),
    /// There is nobody to send it to.
    NoRecipient,
    /// The text could not be made a mail.
    Compose(String),
    /// The sendmail command could not be run.
    Run {
        /// The command.
        command: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sendmail command failed or took too long.
    Refused {
        /// The command.
        command: PathBuf,
        /// Its status and the beginning of what it wrote.
        reason: String,
    },
    /// The mail server could not be reached, or refused.
    Smtp {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MailError::BadServer(text) => write!(f, "PG_SMTP: {text:?}: must be HOST or HOST:PORT"),
            MailError::BadAddress(text) => write!(f, "{text:?} is no mail address"),
            MailError::NoRecipient => {
                f.write_str("a mail for nobody; name the administrator in the file admin")
            }
            MailError::Compose(reason) => write!(f, "cannot write the mail: {reason}"),
            MailError::Run { command, source } => {
                write!(f, "{}: cannot run: {source}; set PG_SENDMAIL or PG_SMTP", command.display())
            }
            MailError::Refused { command, reason } => write!(f, "{}: {reason}", command.display()),
            MailError::Smtp { server, reason } => write!(f, "mail server {server}: {reason}"),
        }
    }
}

impl std::error::Error for MailError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MailError::Run { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Mailer {
    /// As `PG_SENDMAIL`, `PG_SMTP` and `PG_MAIL_FROM` say.
    ///
    /// # Errors
    /// [`MailError::BadServer`].
    pub fn from_environment() -> Result<Mailer, MailError> {
        Mailer::from_variables(|name| std::env::var_os(name))
    }

    /// As these variables say. An empty variable counts as unset.
    ///
    /// # Errors
    /// [`MailError::BadServer`].
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Mailer, MailError> {
        let lookup = |name| lookup(name).filter(|value| !value.is_empty());
        let route = match lookup("PG_SMTP") {
            Some(server) => parse_server(&server.to_string_lossy())?,
            None => Route::Sendmail(lookup("PG_SENDMAIL").unwrap_or_else(|| DEFAULT_SENDMAIL.into()).into()),
        };
        let from = lookup("PG_MAIL_FROM")
            .map_or_else(|| format!("hl7@{}", host_name()), |f| f.to_string_lossy().into());
        Ok(Mailer::new(route, &from))
    }

    /// A mailer for `route` that writes as `from`.
    #[must_use]
    pub fn new(route: Route, from: &str) -> Mailer {
        Mailer { route, from: from.to_owned(), timeout: TIMEOUT }
    }

    /// The same with another [`TIMEOUT`].
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Mailer {
        Mailer { timeout, ..self }
    }

    /// Sends a mail as plain ASCII text: another character becomes `?`, a control character a blank, and a line that
    /// is too long is broken.
    ///
    /// # Errors
    /// Why the mail was not sent: worth a warning in the log.
    pub fn send(&self, to: &[String], subject: &str, text: &str) -> Result<(), MailError> {
        let from = parse_address(&self.from)?;
        let to = to.iter().map(|address| parse_address(address)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(MailError::NoRecipient);
        }
        let message = compose(&from, &to, subject, text)?;
        match &self.route {
            Route::Sendmail(command) => self.run_sendmail(command, message.envelope(), &message.formatted()),
            Route::Smtp { host, port } => self.talk_smtp(host, *port, &message),
        }
    }

    /// lettre's own transport waits for the command without end, so we run it ourselves.
    fn run_sendmail(&self, path: &Path, envelope: &Envelope, message: &[u8]) -> Result<(), MailError> {
        let mut command = Command::new(path);
        // -i: a line with a single dot is text.
        command.arg("-i");
        if let Some(from) = envelope.from() {
            command.arg("-f").arg(AsRef::<str>::as_ref(from));
        }
        command.arg("--").args(envelope.to().iter().map(AsRef::<str>::as_ref));
        // The command is a local program: it gets the lines of this system.
        let lines = message.iter().chain(b"\n");
        let message: Vec<u8> = lines.copied().filter(|byte| *byte != b'\r').collect();
        let limits = Limits { time: self.timeout, output: MAX_COMPLAINT };
        let finished = child::run(&mut command, &message, limits)
            .map_err(|source| MailError::Run { command: path.to_owned(), source })?;
        if finished.status.success() {
            return Ok(());
        }
        let reason = if finished.timed_out {
            format!("killed after {} s", self.timeout.as_secs())
        } else {
            format!("{}: {}", finished.status, ascii(&String::from_utf8_lossy(&finished.stderr)).trim())
        };
        Err(MailError::Refused { command: path.to_owned(), reason })
    }

    fn talk_smtp(&self, host: &str, port: u16, message: &Message) -> Result<(), MailError> {
        let transport = SmtpTransport::builder_dangerous(host)
            .port(port)
            .timeout(Some(self.timeout))
            .hello_name(ClientId::Domain(host_name()))
            .build();
        transport.send(message).map(drop).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            MailError::Smtp { server: format!("{host}:{port}"), reason: ascii(&format!("{error}{cause}")) }
        })
    }
}

/// `HOST`, `HOST:PORT`, or an IPv6 address in brackets.
fn parse_server(text: &str) -> Result<Route, MailError> {
    let bad = || MailError::BadServer(text.to_owned());
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port.ok_or_else(bad)? {
        "" if !text.ends_with(':') => DEFAULT_PORT,
        digits => digits.parse().map_err(|_| bad())?,
    };
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_graphic()) {
        return Err(bad());
    }
    Ok(Route::Smtp { host: host.to_owned(), port })
}

/// An address without a domain is an account of this host.
fn parse_address(text: &str) -> Result<Mailbox, MailError> {
    let qualified = if text.contains('@') { text.to_owned() } else { format!("{text}@localhost") };
    // lettre takes quoted local parts and what begins with a dash; a command might not.
    if text.starts_with('-') || !qualified.chars().all(|c| c.is_ascii_graphic() && c != '"') {
        return Err(MailError::BadAddress(text.to_owned()));
    }
    let address: Address = qualified.parse().map_err(|_| MailError::BadAddress(text.to_owned()))?;
    Ok(Mailbox::new(None, address))
}

fn compose(from: &Mailbox, to: &[Mailbox], subject: &str, text: &str) -> Result<Message, MailError> {
    let failed = |error: &dyn fmt::Display| MailError::Compose(error.to_string());
    let subject: String =
        ascii(subject).chars().take(MAX_SUBJECT).map(|c| if c == '\n' { ' ' } else { c }).collect();
    let kind = ContentType::parse("text/plain; charset=us-ascii").map_err(|error| failed(&error))?;
    let builder = to.iter().fold(Message::builder().from(from.clone()), |mail, to| mail.to(to.clone()));
    // Pre-encoded, for plain_text gives nothing but short lines of ASCII; lettre would take other ways for lines of 77.
    let body = Body::dangerous_pre_encoded(plain_text(text).into_bytes(), ContentTransferEncoding::SevenBit);
    builder.subject(subject).header(kind).date_now().body(body).map_err(|error| failed(&error))
}

/// What a mail of seven-bit lines can carry; the last line without its end, which sending adds.
fn plain_text(text: &str) -> String {
    let mut plain = ascii(text);
    if plain.len() > MAX_TEXT {
        plain.truncate(MAX_TEXT);
        plain.push_str("\n[the rest was cut]\n");
    }
    let mut lines: Vec<&str> = Vec::new();
    for line in plain.lines() {
        let mut rest = line;
        while rest.len() > MAX_LINE {
            let (piece, more) = rest.split_at(MAX_LINE);
            lines.push(piece);
            rest = more;
        }
        lines.push(rest);
    }
    lines.join("\r\n")
}

/// ASCII of one byte a character, with no control characters but line ends.
fn ascii(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\r' => '\n',
            '\n' | ' '..='~' => c,
            c if c.is_control() => ' ',
            _ => '?',
        })
        .collect()
}
