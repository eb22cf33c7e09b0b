//! Going on after damage: the damaged bytes are copied aside, and a skip file tells readers to pass them by.
//!
//! The segment itself is not changed, so that a better copy of it can still be put back.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use protogen_sys::durable;
use protogen_sys::files::{FileOps, RealFiles};
use protogen_sys::lock::Lock;

use crate::error::JournalError;
use crate::record::{Head, Line};
use crate::recover::{self, look_behind, read_at, segment_path};
use crate::scan::{Scanned, Scanner};
use crate::skip::{self, Skip, Skips};

/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 20;
/// The shortest record of a message, in bytes: so many may be lost at most in a damaged place.
const SHORTEST: u64 = 24;

/// A damaged place that is passed by from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The segment.
    pub segment: PathBuf,
    /// The first damaged byte's record.
    pub from: u64,
    /// The first whole record after it, or the segment's end.
    pub to: u64,
    /// The copy of the damaged bytes.
    pub aside: PathBuf,
    /// The numbers of the messages that may be lost: from the first up to, and without, the second.
    pub lost: (u64, u64),
}

/// Looks through all segments of the journal in `directory`, which no process may have open, and makes readers pass
/// by what is damaged. Gives what it found; an empty list for a whole journal.
///
/// Lost delivery records mean that messages are delivered again.
///
/// # Errors
/// [`JournalError::Locked`], what the system says, and [`JournalError::Damaged`] where nothing can be done: the
/// opening of the only segment is gone, and with it what was delivered.
pub fn repair(directory: &Path) -> Result<Vec<Repaired>, JournalError> {
    let _lock = Lock::take_run_lock(directory).map_err(JournalError::Locked)?;
    let files = recover::list(directory)?;
    let heads = files
        .iter()
        .map(|first| Ok((*first, head_of(&segment_path(directory, *first))?)))
        .collect::<Result<BTreeMap<u64, Option<Head>>, JournalError>>()?;
    let mut done = Vec::new();
    for (index, first) in files.iter().enumerate() {
        let path = segment_path(directory, *first);
        // Where a segment ends, the one after it says; the last one ends where its marks say.
        let following = heads.values().flatten().find(|head| head.previous == *first);
        let before = index.checked_sub(1).map(|index| files[index]);
        repair_segment(directory, &path, *first, before, following, &mut done)?;
    }
    Ok(done)
}

fn head_of(path: &Path) -> Result<Option<Head>, JournalError> {
    Ok(match Scanner::open(path, None)?.next()? {
        Scanned::Record { line: Line::Head(head), .. } => Some(head),
        _ => skip::read(path)?.head,
    })
}

fn repair_segment(
    directory: &Path,
    path: &Path,
    first: u64,
    before: Option<u64>,
    following: Option<&Head>,
    done: &mut Vec<Repaired>,
) -> Result<(), JournalError> {
    let mut skips = skip::read(path)?;
    let end = following.map(|head| head.previous_end);
    let mut scanner = Scanner::open(path, end)?;
    let found = done.len();
    let mut in_opening = skips.places.iter().all(|place| place.from != 0);
    loop {
        match scanner.next()? {
            Scanned::Record { line: Line::End, .. } => in_opening = false,
            Scanned::Record { .. } => continue,
            Scanned::Bad(_) | Scanned::End if in_opening => {
                let Some(before) = before else {
                    return Err(scanner.damaged("the opening of the only segment"));
                };
                skips.head = Some(invent_head(directory, path, first, before)?);
                in_opening = false;
                let sequence = scanner.sequence().max(first);
                pass_by(&mut scanner, 0, following, sequence, path, &mut skips, done)?;
            }
            Scanned::Bad(_) | Scanned::End => {
                let here = scanner.offset();
                let is_over = match end {
                    Some(end) => here >= end,
                    None => look_behind(path, here)?.synced <= here,
                };
                if is_over {
                    break;
                }
                let sequence = scanner.sequence();
                pass_by(&mut scanner, here, following, sequence, path, &mut skips, done)?;
            }
        }
    }
    if done.len() > found {
        durable::write(&RealFiles, &skip::path_of(path), &skip::write(&skips)).map_err(|error| {
            JournalError::File { path: error.path, doing: "cannot write", source: error.source }
        })?;
    }
    Ok(())
}

/// Finds the next whole record, copies what lies before it aside and notes it.
fn pass_by(
    scanner: &mut Scanner,
    from: u64,
    following: Option<&Head>,
    sequence: u64,
    path: &Path,
    skips: &mut Skips,
    done: &mut Vec<Repaired>,
) -> Result<(), JournalError> {
    let mut to = from;
    let next = loop {
        let Some(place) = scanner.line_after(to)? else {
            // A file that was cut short ends before the place that its successor names.
            to = scanner.end().max(following.map_or(0, |head| head.previous_end));
            break None;
        };
        to = place;
        scanner.jump(place, sequence, true);
        match scanner.next()? {
            Scanned::Record { line: Line::Message { sequence, .. }, .. } => break Some(sequence),
            // A line of the opening among the damage goes with it.
            Scanned::Record { line: Line::Synced { .. } | Line::Delivery { .. }, .. } => {
                break next_message(scanner)?;
            }
            _ => {}
        }
    };
    let most = sequence.saturating_add((to - from) / SHORTEST + 1);
    let next = next.unwrap_or(following.map_or(most, |head| most.min(head.first)));
    let aside = copy_aside(path, from, to)?;
    skips.places.push(Skip { from, to, sequence: next });
    done.push(Repaired { segment: path.to_owned(), from, to, aside, lost: (sequence, next) });
    scanner.jump(to, next, false);
    Ok(())
}

/// The number of the next message that is whole, as far as records follow.
fn next_message(scanner: &mut Scanner) -> Result<Option<u64>, JournalError> {
    loop {
        match scanner.next()? {
            Scanned::Record { line: Line::Message { sequence, .. }, .. } => return Ok(Some(sequence)),
            Scanned::Record { .. } => {}
            _ => return Ok(None),
        }
    }
}

/// The first line of a segment whose own is damaged: the segment before it ends where its records end.
fn invent_head(directory: &Path, path: &Path, first: u64, before: u64) -> Result<Head, JournalError> {
    let previous = segment_path(directory, before);
    let mut scanner = Scanner::open(&previous, None)?;
    let mut time = 0;
    while let Scanned::Record { line, .. } = scanner.next()? {
        match line {
            Line::Head(head) => time = head.time,
            Line::Message { time: later, .. } => time = time.max(later),
            _ => {}
        }
    }
    if look_behind(&previous, scanner.offset())?.synced > scanner.offset() {
        // Repaired before this one, so this is what no skip file can mend.
        return Err(JournalError::Damaged {
            path: path.to_owned(),
            offset: 0,
            what: "the end of the segment before",
        });
    }
    Ok(Head { first, previous: before, previous_end: scanner.offset(), time })
}

fn copy_aside(path: &Path, from: u64, to: u64) -> Result<PathBuf, JournalError> {
    let aside = path.with_extension(format!("damaged-{from}"));
    let failed = |source| JournalError::File { path: path.to_owned(), doing: "cannot read", source };
    let file = File::open(path).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    let staged = durable::stage_with(&RealFiles, &aside, |copy| {
        let mut offset = from;
        while offset < to {
            let size = usize::try_from(to - offset).map_or(PIECE, |left| left.min(PIECE));
            let filled = read_at(&file, &mut piece[..size], offset)?;
            if filled == 0 {
                break;
            }
            RealFiles.write_at(copy, &piece[..filled], offset - from)?;
            offset += filled as u64;
        }
        Ok(())
    });
    staged
        .and_then(durable::Staged::publish)
        .and_then(|()| durable::sync_directory(&RealFiles, &aside))
        .map_err(|error| JournalError::File {
            path: error.path,
            doing: "cannot write",
            source: error.source,
        })?;
    Ok(aside)
}
