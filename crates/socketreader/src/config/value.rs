//! From the text of an option to its value. An error is the rule that the text breaks: "must be …".

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use protogen_core::hl7hosts::Peers;

use super::Alert;
use super::ini::{text, trim};
use super::python;

/// The longest name of a connection or a queue, in bytes: the journal's bound.
pub const MAX_NAME: usize = protogen_journal::MAX_NAME;

/// The most items of a list of peers.
const MAX_PEERS: usize = 1000;

/// An option's text, with its references in place.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(pub &'a [u8]);

impl Value<'_> {
    /// The text within its quotes, if it has any.
    pub fn unquoted(&self) -> Result<&[u8], String> {
        match self.0 {
            [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => {
                if inner.contains(quote) {
                    return Err(format!("must have no {} within its quotes", char::from(*quote)));
                }
                Ok(inner)
            }
            [quote @ (b'"' | b'\''), ..] => {
                Err(format!("must have a closing {}; \" ;\" begins a comment", char::from(*quote)))
            }
            bytes => Ok(bytes),
        }
    }

    /// Text for people and for names: printable.
    pub fn text(&self) -> Result<String, String> {
        let text = text(self.unquoted()?);
        if text.chars().any(char::is_control) {
            Err("must hold no control character".into())
        } else {
            Ok(text)
        }
    }

    /// Text that names something: not empty, not endless.
    pub fn name(&self) -> Result<String, String> {
        let text = self.text()?;
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(format!("must have 1 to {MAX_NAME} bytes"));
        }
        Ok(text)
    }

    /// Names with commas between them; empty ones are passed over.
    pub fn names(&self) -> Result<Vec<String>, String> {
        let list = self.unquoted().unwrap_or(self.0);
        let items = list.split(|byte| *byte == b',').map(trim).filter(|item| !item.is_empty());
        items.map(|item| Value(item).name()).collect()
    }

    /// One of these words, in any case.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let text = text(self.unquoted()?);
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let (last, others) = words.split_last().unwrap_or((&"", &[]));
            format!("must be {} or {last}", others.join(", "))
        })
    }

    /// Who is called: the administrator by mail, or a command of the shell.
    pub fn alert(&self) -> Result<Alert, String> {
        let text = text(self.unquoted()?);
        match text.trim() {
            "mail" => Ok(Alert::Mail),
            "" => Err("must be mail, or a command that reads the alert on its standard input".to_owned()),
            command => Ok(Alert::Command(command.to_owned())),
        }
    }

    /// `True` or `False`, and the other words that Python's `getboolean` takes.
    pub fn boolean(&self) -> Result<bool, String> {
        match text(self.unquoted()?).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be True or False".into()),
        }
    }

    /// A whole number in this range.
    pub fn number<T: FromStr + PartialOrd + Display>(&self, range: RangeInclusive<T>) -> Result<T, String> {
        let number = text(self.unquoted()?).parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }

    /// Seconds, with decimals where wanted.
    pub fn seconds(&self, range: RangeInclusive<f64>) -> Result<Duration, String> {
        self.decimal(range, "seconds").map(Duration::from_secs_f64)
    }

    /// Days, with decimals where wanted.
    pub fn days(&self, range: RangeInclusive<f64>) -> Result<Duration, String> {
        self.decimal(range, "days").map(|days| Duration::from_secs_f64(days * 86_400.0))
    }

    fn decimal(&self, range: RangeInclusive<f64>, unit: &str) -> Result<f64, String> {
        let text = text(self.unquoted()?);
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number = text.parse().ok().filter(|number| plain && range.contains(number));
        number.ok_or_else(|| format!("must be {} to {} {unit}", range.start(), range.end()))
    }

    /// Bytes, with `K`, `M` or `G` behind the number for 1024 and its powers.
    pub fn size(&self, range: RangeInclusive<u64>) -> Result<u64, String> {
        let text = text(self.unquoted()?).to_ascii_uppercase();
        let (digits, unit) = match text.as_bytes() {
            [.., b'K'] => (&text[..text.len() - 1], 1 << 10),
            [.., b'M'] => (&text[..text.len() - 1], 1 << 20),
            [.., b'G'] => (&text[..text.len() - 1], 1_u64 << 30),
            _ => (text.as_str(), 1),
        };
        let number = digits.trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        number.filter(|size| range.contains(size)).ok_or_else(|| {
            let (least, most) = (shown_size(*range.start()), shown_size(*range.end()));
            format!("must be a number of bytes from {least} to {most}, such as 500000, 64K, 16M or 2G")
        })
    }

    /// The mode of a file, in octal digits.
    pub fn mode(&self) -> Result<u32, String> {
        let text = text(self.unquoted()?);
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(&text, 8).ok().filter(|_| digits);
        mode.filter(|mode| mode & !0o666 == 0 && mode & 0o400 != 0).ok_or_else(|| {
            "must be octal digits, such as 0640, without execute bits and readable by its owner".into()
        })
    }

    /// A path, made absolute from the working directory.
    pub fn path(&self) -> Result<PathBuf, String> {
        let bytes = self.unquoted()?;
        if bytes.is_empty() || bytes.contains(&0) {
            return Err("must be a path".into());
        }
        let path = Path::new(OsStr::from_bytes(bytes));
        std::path::absolute(path).map_err(|error| format!("must be an absolute path ({error})"))
    }

    /// Part of a file's name.
    pub fn file_name_part(&self) -> Result<String, String> {
        let text = self.text()?;
        if text.contains('/') || text.len() > MAX_NAME / 2 {
            return Err(format!("must be part of a file's name: no / and at most {} bytes", MAX_NAME / 2));
        }
        Ok(text)
    }

    /// A host's name or address; brackets around an IPv6 address are taken off.
    pub fn host(&self) -> Result<String, String> {
        let text = text(self.unquoted()?);
        let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let host = inner.unwrap_or(&text);
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:%".contains(c)) {
            return Err("must be the name or the address of a host".into());
        }
        Ok(host.to_owned())
    }

    /// An address with a port.
    pub fn socket_address(&self) -> Result<SocketAddr, String> {
        let address = text(self.unquoted()?).parse().ok();
        address
            .filter(|address: &SocketAddr| address.port() > 0)
            .ok_or_else(|| "must be an address and a port, such as 127.0.0.1:9100 or [::1]:9100".to_owned())
    }

    /// Who may connect: addresses, blocks and names of hosts, with commas between them.
    pub fn peers(&self) -> Result<Vec<Peers>, String> {
        let bytes = self.unquoted()?;
        let items: Vec<&[u8]> =
            bytes.split(|byte| *byte == b',').map(trim).filter(|item| !item.is_empty()).collect();
        if items.is_empty() || items.len() > MAX_PEERS {
            return Err(format!(
                "must be 1 to {MAX_PEERS} addresses, blocks or names, with commas between them"
            ));
        }
        let one = |item: &&[u8]| {
            Peers::parse(item).map_err(|fault| {
                format!(
                    "{}: {fault}; write addresses, blocks ADDRESS/PREFIX or names, with commas between them",
                    text(item)
                )
            })
        };
        items.iter().map(one).collect()
    }

    /// A delimiter of frames: `chr()` and strings, joined by `+`.
    pub fn delimiter(&self) -> Result<Vec<u8>, String> {
        python::bytes(self.0)
    }
}

/// A number of bytes with the largest unit that leaves it whole.
fn shown_size(size: u64) -> String {
    for (unit, shift) in [("G", 30), ("M", 20), ("K", 10)] {
        if size != 0 && size.is_multiple_of(1 << shift) {
            return format!("{}{unit}", size >> shift);
        }
    }
    size.to_string()
}
