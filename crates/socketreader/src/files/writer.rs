//! Files out: groups of messages, each file durable before its delivery is recorded.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::ZonedDateTime;
use nix::sys::stat::{Mode, umask};
use protogen_journal::{Completion, Delivery, Outcome, Producer, Refusal, Stored};
use protogen_sys::durable::{DurableError, MAX_GROUP, Staged, Unsynced, fill_with, sync_directory};
use protogen_sys::files::RealFiles;
use protogen_sys::priority::give_way;

use super::names::Names;
use super::sweep::sweep;
use crate::backoff::Backoff;
use crate::bell::Bell;
use crate::board::{Board, Outbox, Trouble};
use crate::config::FileOut;
use crate::follow;
use crate::gate::{Gate, GateError, Passed, Unwanted};
use crate::log;

/// The most bytes of a group; a longer message is a group of its own.
const GROUP_BYTES: usize = 4 << 20;
/// The bell is not relied upon alone.
const LOOK: Duration = Duration::from_secs(30);
/// While senders wait for the disk, writing takes one part of the time in so many: a sender waits for its answer, while a
/// file can wait, and larger groups cost less.
const SHARE: u32 = 4;
/// The same while twice as much comes in as is written: it could not keep up anyhow.
const SMALL_SHARE: u32 = 16;
/// The longest pause for that.
const MAX_HOLD: Duration = Duration::from_secs(1);
/// How much the threads that write files give way to those that answer senders.
const NICE: u8 = 10;
/// How long a group is gathered, where the command of `pipe` takes its time.
const GATHER: Duration = Duration::from_millis(100);
/// How long it waits at a time for a command that failed: an operator may drop the message meanwhile.
const LATER: Duration = Duration::from_millis(500);
/// How often leftovers of a killed run are looked for.
const SWEEP: Duration = Duration::from_secs(3600);
/// The pause while the journal takes no records.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    name: Arc<str>,
    settings: FileOut,
    mode: u32,
    messages: Gate,
    producer: Producer,
    bell: Arc<Bell>,
    board: Arc<Board>,
    outbox: Arc<Outbox>,
    names: Names,
    /// Read, and not yet a file that is sure to stay.
    group: Vec<Item>,
    /// Not taken by the journal yet.
    unrecorded: Vec<Delivery>,
    backoff: Backoff,
    /// When leftovers were looked for.
    swept: Option<Instant>,
}

/// A message, and its file's name when it is in place.
struct Item {
    stored: Stored,
    placed: Option<OsString>,
    /// What is recorded in place of a delivery, for a message that gets no file.
    unwanted: Option<(Outcome, Vec<u8>)>,
}

impl Item {
    fn of(passed: Passed) -> Item {
        match passed {
            Passed::Wanted(stored) => Item { stored, placed: None, unwanted: None },
            Passed::Unwanted(Unwanted { stored, outcome, note }) => {
                Item { stored, placed: None, unwanted: Some((outcome, note)) }
            }
        }
    }

    /// Whether it needs a file that is not there yet.
    fn is_due(&self) -> bool {
        self.placed.is_none() && self.unwanted.is_none()
    }
}

impl Writer {
    pub(super) fn new(
        name: &str,
        settings: FileOut,
        messages: Gate,
        producer: Producer,
        (board, outbox): (Arc<Board>, Arc<Outbox>),
        statedir: &Path,
    ) -> io::Result<Writer> {
        let names = Names::open(settings.naming.clone(), settings.suffix.clone(), name, statedir)?;
        let mode = settings.filemode.unwrap_or_else(|| 0o666 & !current_umask());
        Ok(Writer {
            name: name.into(),
            settings,
            mode,
            messages,
            producer,
            bell: Arc::clone(&outbox.bell),
            board,
            outbox,
            names,
            group: Vec::new(),
            unrecorded: Vec::new(),
            backoff: Backoff::default(),
            swept: None,
        })
    }

    pub(super) fn run(mut self) {
        if let Err(error) = give_way(NICE) {
            log::warning!(&self.name, "its thread's priority stays as it is: {error}");
        }
        loop {
            self.collect();
            self.sweep();
            let goes_on = match self.turn() {
                Turn::More => !self.bell.is_stopping(),
                Turn::Nothing => self.bell.wait(LOOK),
                Turn::Hold(pause) | Turn::Failed(pause) => self.bell.pause(pause),
            };
            if !goes_on {
                break;
            }
        }
        self.collect();
    }

    /// Removes what an earlier run left behind, between two groups.
    fn sweep(&mut self) {
        if self.swept.is_some_and(|last| last.elapsed() < SWEEP) {
            return;
        }
        self.swept = Some(Instant::now());
        let FileOut { dir, naming, suffix, .. } = &self.settings;
        // A directory that cannot be read is told when it cannot be written.
        if let Ok(count @ 1..) = sweep(dir, naming, suffix, SystemTime::now()) {
            let dir = dir.display();
            log::info!(&self.name, "{dir}: {count} temporary files of an earlier run were removed");
        }
    }

    fn turn(&mut self) -> Turn {
        if !self.unrecorded.is_empty() {
            return Turn::Failed(PAUSE);
        }
        if self.outbox.take_stale() {
            // What is in place already is recorded when the rest of its group is.
            self.group.retain(|item| item.placed.is_some());
            // What was delivered before counts first: the queue of records is written.
            self.producer.store(&[]);
            self.messages.rewind();
        }
        if self.outbox.is_paused() {
            return Turn::Nothing;
        }
        match self.fill() {
            Ok(()) => {}
            // What was read before goes out all the same.
            Err(_) if !self.group.is_empty() => {}
            Err(GateError::Stopped) => return Turn::More,
            Err(GateError::Later(pause)) => return Turn::Failed(pause.min(LATER)),
            Err(error) => {
                log::error!(&self.name, "{error}");
                return Turn::Failed(self.backoff.pause());
            }
        }
        if self.group.is_empty() {
            return Turn::Nothing;
        }
        let (began, before, synced) =
            (Instant::now(), self.messages.next_number(), self.messages.sync_time());
        let count = self.group.len() as u64;
        if let Err(error) = self.write() {
            // A directory that is gone is the likely cause, and worth saying.
            let gone =
                if self.settings.dir.is_dir() { "" } else { "; the directory is missing, make it again" };
            log::error!(&self.name, "{error}{gone}; tried again");
            self.outbox.failed(format!("{error}{gone}"));
            self.outbox.raise(Trouble::Unwritable, || format!("{error}{gone}"));
            return Turn::Failed(self.backoff.pause());
        }
        self.backoff.reset();
        self.outbox.clear(Trouble::Unwritable);
        self.record();
        let (took, came) = (began.elapsed(), self.messages.next_number() - before);
        let is_disk_bound = 4 * (self.messages.sync_time() - synced) > 3 * took;
        match self.share(count, came, is_disk_bound) {
            Some(share) => Turn::Hold((took * (share - 1)).min(MAX_HOLD)),
            None => Turn::More,
        }
    }

    /// The part of the time that writing takes, if not all, after so many were written and so many came meanwhile;
    /// whether these waited for the disk most of the time.
    fn share(&self, written: u64, came: u64, is_disk_bound: bool) -> Option<u32> {
        if self.messages.is_crowded() {
            // Those who are held back wait for the files.
            return None;
        }
        if came > 2 * written {
            return Some(SMALL_SHARE);
        }
        (came > 0 && is_disk_bound).then_some(SHARE)
    }

    fn fill(&mut self) -> Result<(), GateError> {
        let (bell, outbox) = (Arc::clone(&self.bell), Arc::clone(&self.outbox));
        let stop = move || bell.is_stopping() || outbox.is_stale();
        let mut bytes: usize = self.group.iter().map(|item| item.stored.bytes.len()).sum();
        let began = Instant::now();
        let is_late = |group: &[Item]| !group.is_empty() && began.elapsed() > GATHER;
        while self.group.len() < MAX_GROUP && bytes < GROUP_BYTES && !is_late(&self.group) {
            let Some(passed) = self.messages.next(&stop)? else { break };
            let sequence = passed.stored().sequence;
            if self.group.iter().any(|item| item.stored.sequence == sequence) {
                // In place already, and read once more as what waits was looked up anew.
                continue;
            }
            bytes += passed.stored().bytes.len();
            self.group.push(Item::of(passed));
        }
        Ok(())
    }

    /// All temporary files first, then all names, then the directory: a full disk changes nothing. What is in place
    /// already when a later step fails is not written again.
    fn write(&mut self) -> Result<(), DurableError> {
        let now = ZonedDateTime::now();
        // The directory may have gone with what was placed there by an attempt that failed.
        for item in &mut self.group {
            item.placed.take_if(|name| !self.settings.dir.join(name).exists());
        }
        while let Some(first) = self.group.iter().position(Item::is_due) {
            let mut filled = Vec::new();
            for item in self.group[first..].iter().filter(|item| item.is_due()) {
                let (name, is_whole) = self.names.next(&item.stored.bytes, &now);
                if !is_whole {
                    let sequence = item.stored.sequence;
                    log::warning!(&self.name, "message {sequence} is not HL7: its name has no hl7prefix");
                }
                filled.push((self.write_temporary(&name, &item.stored.bytes)?, name));
            }
            let staged = filled.into_iter().map(|(file, name)| Ok((file.sync()?, name)));
            let staged = staged.collect::<Result<Vec<(Staged<'_, _>, _)>, DurableError>>()?;
            if let Err(error) = self.names.save() {
                log::error!(&self.name, "cannot keep the last file name: {error}");
            }
            let due = self.group[first..].iter_mut().filter(|item| item.is_due());
            for (item, (file, name)) in due.zip(staged) {
                match file.publish_new() {
                    Ok(()) => item.placed = Some(name),
                    // A file of somebody else has this name: the rest gets later ones.
                    Err(error) if error.is_taken() => break,
                    Err(error) => return Err(error),
                }
            }
        }
        let Some(name) = self.group.iter().find_map(|item| item.placed.as_ref()) else { return Ok(()) };
        sync_directory(&RealFiles, &self.settings.dir.join(name))
    }

    fn write_temporary(
        &self,
        name: &OsString,
        message: &[u8],
    ) -> Result<Unsynced<'static, RealFiles>, DurableError> {
        let path = self.settings.dir.join(name);
        let newline: &[u8] = if self.settings.newline { b"\n" } else { b"" };
        fill_with(&RealFiles, &path, |file| {
            file.write_all_at(message, 0)?;
            file.write_all_at(newline, message.len() as u64)?;
            file.set_permissions(Permissions::from_mode(self.mode))
        })
    }

    fn record(&mut self) {
        for Item { stored, placed, unwanted } in self.group.drain(..) {
            let output = Arc::clone(&self.name);
            if let Some((outcome, note)) = unwanted {
                if outcome == Outcome::Dead {
                    self.outbox.buried();
                }
                log::unwanted(&self.name, &stored, outcome, &note);
                self.board.followers.tell(|| follow::line(&self.name, &stored, outcome, &note));
                let delivery = Delivery { sequence: stored.sequence, output, outcome, note };
                self.unrecorded.extend(self.producer.record(delivery).err());
                continue;
            }
            let file = placed.unwrap_or_default();
            let named = log::Named(&stored.bytes);
            log::info!(&self.name, "message {} written as {}: {named}", stored.sequence, file.display());
            // With its place, so that it is found again: hl7 trace looks there.
            let path = self.settings.dir.join(file);
            let note = std::path::absolute(&path).unwrap_or(path).into_os_string().into_encoded_bytes();
            self.board.followers.tell(|| follow::line(&self.name, &stored, Outcome::Delivered, &note));
            self.board.meters.of(&self.name).delivered(stored.bytes.len(), stored.time);
            let delivery = Delivery { sequence: stored.sequence, output, outcome: Outcome::Delivered, note };
            self.unrecorded.extend(self.producer.record(delivery).err());
        }
    }

    /// Takes back what the journal refused, and tries again what it had no room for.
    fn collect(&mut self) {
        let mut results = Vec::new();
        self.producer.completions(&mut results);
        let mut refused = results.into_iter().filter_map(|result| match result {
            Completion::Unrecorded { delivery, refusal } => Some((delivery, refusal)),
            _ => None,
        });
        // Those that follow are refused because of the first.
        if let Some((delivery, refusal)) = refused.next() {
            let sequence = delivery.sequence;
            log::error!(&self.name, "message {sequence}: its delivery is not recorded: {refusal}");
            let all = std::iter::once((delivery, refusal)).chain(refused);
            let again = all.filter(|(_, refusal)| *refusal != Refusal::NotPending);
            self.unrecorded.extend(again.map(|(delivery, _)| delivery));
        }
        for delivery in std::mem::take(&mut self.unrecorded) {
            self.unrecorded.extend(self.producer.record(delivery).err());
        }
    }
}

enum Turn {
    More,
    /// More has come in meanwhile: it waits so long.
    Hold(Duration),
    Nothing,
    Failed(Duration),
}

/// The umask can only be asked for by setting it; no other thread makes files yet.
fn current_umask() -> u32 {
    let mask = umask(Mode::from_bits_truncate(0o077));
    umask(mask);
    mask.bits()
}
