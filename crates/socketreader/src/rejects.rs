//! Bytes that were thrown away, kept for whoever looks for the cause: under `statedir/rejected`, one file a connection.
//!
//! A thread writes them, so that no socket waits for the disk. Each entry is a line `TIME offset N, M bytes: WHY`, the bytes
//! and a line feed; where not all are kept, the line is `TIME offset N, M bytes, the first L kept: WHY`. A file that reaches 1 MiB becomes `NAME.old`, in place of an older one: at most 2 MiB a connection.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use crate::log;

/// The most bytes kept of one entry.
const MAX_ENTRY: usize = 64 << 10;
/// The length at which a file is set aside.
const MAX_FILE: u64 = 1 << 20;
/// The most entries that wait to be written; further ones are dropped, the log has their lines.
const QUEUE: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Rejects {
    sender: SyncSender<Entry>,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<str>,
    head: String,
    bytes: Vec<u8>,
}

impl Rejects {
    /// Starts the thread, which ends with the last clone of this.
    pub(crate) fn start(statedir: &Path) -> io::Result<Rejects> {
        let (sender, receiver) = sync_channel(QUEUE);
        let directory = statedir.join("rejected");
        std::thread::Builder::new()
            .name("rejects".to_owned())
            .spawn(move || write_all(&directory, &receiver))?;
        Ok(Rejects { sender })
    }

    /// Keeps the first of `count` bytes, if the thread keeps up.
    pub(crate) fn keep(
        &self,
        connection: &Arc<str>,
        time: SystemTime,
        why: &str,
        offset: u64,
        count: u64,
        bytes: &[u8],
    ) {
        let time = jiff::Timestamp::try_from(time).unwrap_or_default();
        let bytes = bytes[..bytes.len().min(MAX_ENTRY)].to_vec();
        let kept = bytes.len();
        let kept = if kept as u64 == count { String::new() } else { format!(", the first {kept} kept") };
        let head = format!("{time:.3} offset {offset}, {count} bytes{kept}: {why}\n");
        // A full queue: the log says what happened, only the bytes are missing.
        let _ = self.sender.try_send(Entry { connection: Arc::clone(connection), head, bytes });
    }
}

fn write_all(directory: &Path, entries: &Receiver<Entry>) {
    for entry in entries {
        if let Err(error) = write(directory, &entry) {
            log::error!(&entry.connection, "{}: cannot keep rejected bytes: {error}", directory.display());
        }
    }
}

fn write(directory: &Path, entry: &Entry) -> io::Result<()> {
    if !directory.is_dir() {
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    let path = directory.join(file_name(&entry.connection));
    if fs::metadata(&path).is_ok_and(|file| file.len() >= MAX_FILE) {
        let mut old = path.clone().into_os_string();
        old.push(".old");
        fs::rename(&path, PathBuf::from(old))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    file.write_all(&[entry.head.as_bytes(), &entry.bytes, b"\n"].concat())
}

/// The connection's name with `-` for what has a meaning in paths.
pub(crate) fn file_name(connection: &str) -> String {
    connection
        .chars()
        .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect::<String>()
        .replace("..", "--")
}
