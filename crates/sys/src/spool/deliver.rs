//! Moving a delivered message to the log directory, with its acknowledgment.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::reader::is_message_name;
use super::{Queue, SpoolError};
use crate::durable::{self, stage_with};
use crate::files::FileOps;

/// How many names are tried when the log directory holds another message of that name.
const MAX_NAMES: usize = 1000;
/// The piece in which a message is copied to another file system, in bytes.
const COPY_BUFFER: usize = 64 << 10;

impl<F: FileOps> Queue<F> {
    /// Moves a delivered message to the log directory as `NAME`, with its acknowledgment as `NAME.ack`, and gives the
    /// name it has there: another one if the log holds a different message of that name. All is durable on return.
    ///
    /// On another file system the message is copied, synced, put in place and then removed from the spool. Called again
    /// after a crash, it finishes what the crash left.
    ///
    /// # Errors
    /// Names the file; the message is then still in the spool (and may be in the log as well).
    pub fn delivered(&self, name: &OsStr, acknowledgment: &[u8]) -> Result<OsString, SpoolError> {
        if !is_message_name(name) {
            return Err(SpoolError::BadName { name: name.to_owned() });
        }
        let message = self.spool.join(name);
        for number in 1..=MAX_NAMES {
            let log_name = numbered(name, number);
            let place = self.log.join(&log_name);
            if place.symlink_metadata().is_ok() && !same_content(&message, &place)? {
                continue;
            }
            durable::write(&self.files, &self.log.join(acknowledgment_name(&log_name)), acknowledgment)?;
            self.move_to_log(&message, &place)?;
            return Ok(log_name);
        }
        Err(SpoolError::NoName { path: self.log.clone() })
    }

    fn move_to_log(&self, message: &Path, place: &Path) -> Result<(), SpoolError> {
        match self.files.rename(message, place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy_to_log(message, place)?;
            }
            Err(error) => return Err(SpoolError::file(message, "move the message to the log")(error)),
        }
        // The log first: between the two syncs the message may be in both places, never in none.
        durable::sync_directory(&self.files, place)?;
        durable::sync_directory(&self.files, message).map_err(SpoolError::from)
    }

    fn copy_to_log(&self, message: &Path, place: &Path) -> Result<(), SpoolError> {
        let mut source = File::open(message).map_err(SpoolError::file(message, "read the message"))?;
        let staged = stage_with(&self.files, place, |copy| {
            let mut buffer = vec![0; COPY_BUFFER];
            let mut offset = 0;
            loop {
                let count = match source.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                self.files.write_at(copy, &buffer[..count], offset)?;
                offset += count as u64;
            }
        })?;
        staged.publish()?;
        durable::sync_directory(&self.files, place)?;
        self.files.remove(message).map_err(SpoolError::file(message, "remove the message from the spool"))
    }
}

/// `NAME`, then `NAME.2`, `NAME.3`, …
fn numbered(name: &OsStr, number: usize) -> OsString {
    let mut numbered = name.to_owned();
    if number > 1 {
        numbered.push(format!(".{number}"));
    }
    numbered
}

fn acknowledgment_name(name: &OsStr) -> OsString {
    let mut acknowledgment = name.to_owned();
    acknowledgment.push(".ack");
    acknowledgment
}

/// Whether both hold the same bytes: then the log's is what a crash left of this very move.
fn same_content(message: &Path, place: &Path) -> Result<bool, SpoolError> {
    let open = |path: &Path| File::open(path).map_err(SpoolError::file(path, "read the message"));
    let (mut left, mut right) = (open(message)?, open(place)?);
    let length = |file: &File| file.metadata().map(|meta| meta.len()).unwrap_or(0);
    if length(&left) != length(&right) {
        return Ok(false);
    }
    let (mut left_piece, mut right_piece) = (vec![0; COPY_BUFFER], vec![0; COPY_BUFFER]);
    loop {
        let count = left.read(&mut left_piece).map_err(SpoolError::file(message, "read the message"))?;
        if count == 0 {
            return Ok(true);
        }
        let read = right.read_exact(&mut right_piece[..count]);
        read.map_err(SpoolError::file(place, "read the message"))?;
        if left_piece[..count] != right_piece[..count] {
            return Ok(false);
        }
    }
}
