//! Messages in files: spool directories, what was sent from them, and the journal of a gateway.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use protogen_core::hl7::{Item, Message, Splitter};

use super::events::{Found, What, answer};

/// The most that is read of an answer or a mark, in bytes.
const MAX_MARK: usize = 1 << 20;

/// Reads a file, if it is one of a message that is looked for.
pub(super) fn read(path: &Path, found: &mut Found) {
    let name = path.file_name().unwrap_or_default().as_bytes();
    // What belongs to a message is read with it; what is being written is not there yet.
    if name.starts_with(b".") || name.ends_with(b".ack") || name.ends_with(b".lock") {
        return;
    }
    let (bytes, time) = match contents(path, found.max_size) {
        Ok(Some(read)) => read,
        Ok(None) => return,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            found.troubles.push(format!("{}: {error}", path.display()));
            return;
        }
    };
    if let Some(kind) = Kind::of(name) {
        gateway(path, kind, &bytes, time, found);
        return;
    }
    for id in ids(&bytes, found) {
        let (what, time) = spooled(path, time);
        found.add(time, id, path, what);
    }
}

/// The bytes of a file that begins like a message, and when it was written. Only its beginning is read of others.
fn contents(path: &Path, max_size: usize) -> std::io::Result<Option<(Vec<u8>, SystemTime)>> {
    let mut file = File::open(path)?;
    let time = file.metadata()?.modified()?;
    let mut bytes = Vec::new();
    (&mut file).take(4).read_to_end(&mut bytes)?;
    let start = bytes.strip_prefix(b"\x0b").unwrap_or(&bytes);
    if ![&b"MSH"[..], b"FHS", b"BHS"].iter().any(|header| start.starts_with(header)) {
        return Ok(None);
    }
    file.take(max_size as u64).read_to_end(&mut bytes)?;
    Ok(Some((bytes, time)))
}

fn ids(bytes: &[u8], found: &Found) -> Vec<String> {
    let mut splitter = Splitter::new(found.max_size);
    splitter.feed(bytes);
    splitter.finish();
    let mut ids = Vec::new();
    while let Ok(Some(item)) = splitter.next_item() {
        ids.extend(id(&item, found));
    }
    ids
}

fn id(item: &Item, found: &Found) -> Option<String> {
    found.key.matches(&Message::parse(item.body()).ok()?)
}

/// A file beside another, by its name.
fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let mut name = OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(after);
    path.with_file_name(name)
}

/// Sent from a spool directory, with its answer beside it; or still there. See hl7tocv(8) for the files beside it.
fn spooled(path: &Path, time: SystemTime) -> (What, SystemTime) {
    if let Ok(Some((acknowledgment, time))) = contents(&beside(path, "", ".ack"), MAX_MARK) {
        return (What::Sent { answer: Some(answer(&acknowledgment)) }, time);
    }
    if original_of(path).is_some() {
        return (What::Edited, time);
    }
    if let Some((refusal, time)) = mark(&beside(path, ".", ".neg")) {
        return (What::Refused { answer: answer(&refusal) }, time);
    }
    if path.components().rev().skip(1).any(|part| part.as_os_str() == "log") {
        return (What::Sent { answer: None }, time);
    }
    let blocked = mark(&path.with_file_name(".error"));
    let blocked = blocked.map(|(reason, _)| String::from_utf8_lossy(&reason).trim().to_owned());
    (What::Spooled { blocked }, time)
}

/// The name of the message that an operator edited, of which this is what it was before: `NAME.orig`, `NAME.orig.2`.
pub(super) fn original_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let (name, number) = name.rsplit_once(".orig")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number.is_empty() || number.strip_prefix('.').is_some_and(is_number)).then(|| name.to_owned())
}

/// A mark beside messages: what it says behind its first line, which is its time in seconds, and when it was written.
fn mark(path: &Path) -> Option<(Vec<u8>, SystemTime)> {
    let mut file = File::open(path).ok()?;
    let time = file.metadata().and_then(|data| data.modified()).ok()?;
    let mut bytes = Vec::new();
    (&mut file).take(MAX_MARK as u64).read_to_end(&mut bytes).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let is_time = std::str::from_utf8(&bytes[..end]).is_ok_and(|time| time.parse::<Timestamp>().is_ok());
    Some((if is_time { bytes[bytes.len().min(end + 1)..].to_vec() } else { bytes }, time))
}

/// A file of a gateway's journal.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Received,
    Answered,
    Forwarded,
    Taken,
}

impl Kind {
    /// By its name, `REQ` and a time and a number.
    fn of(name: &[u8]) -> Option<Kind> {
        let (kind, rest) = name.split_at_checked(3)?;
        if !rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        Some(match kind {
            b"REQ" => Kind::Received,
            b"ACK" => Kind::Answered,
            b"FWD" => Kind::Forwarded,
            b"FAK" => Kind::Taken,
            _ => return None,
        })
    }
}

/// What belongs together has the same name behind the first three letters.
fn gateway(path: &Path, kind: Kind, bytes: &[u8], time: SystemTime, found: &mut Found) {
    let request = match kind {
        Kind::Received => bytes.to_vec(),
        _ => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let request = |rest: &str| contents(&path.with_file_name(format!("REQ{rest}")), found.max_size);
            // A part of a message is counted behind the name of the whole.
            let whole = name[3..].rsplit_once('.').map_or(&name[3..], |(whole, _)| whole);
            match request(&name[3..]).or_else(|_| request(whole)) {
                Ok(Some((request, _))) => request,
                _ => return,
            }
        }
    };
    let Some(id) = Message::parse(&request).ok().and_then(|request| found.key.matches(&request)) else {
        return;
    };
    let what = match kind {
        Kind::Received => What::Received,
        Kind::Forwarded => What::Forwarded,
        Kind::Taken => What::Taken { answer: answer(bytes) },
        Kind::Answered => What::Answered { answer: answer(bytes) },
    };
    found.add(time, id, path, what);
}
