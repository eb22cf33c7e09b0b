//! What a journal's directory says after whatever happened to it. Nothing is changed here.
//!
//! The last segment opens with the state of all outputs; its records move it on up to the first that is not whole.
//! What comes after that was being written when the power failed, and nobody was told that it is stored, unless a
//! mark says that this place had been synced: then it is damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memchr_iter;

use crate::error::JournalError;
use crate::record::{Head, Line};
use crate::scan::{Scanned, Scanner};
use crate::state::State;

/// How much is read at once behind the last record, in bytes.
const PIECE: usize = 1 << 20;
/// The longest mark: two numbers, a CRC.
const MAX_MARK: usize = 64;
const SEQUENCE_DIGITS: usize = 20;

/// A segment that belongs to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The sequence of its first message.
    pub first: u64,
    /// Where it ends; `None` for the one that is written.
    pub end: Option<u64>,
    /// When it was opened, in milliseconds since 1970.
    pub opened: u64,
    /// The length of its file in bytes.
    pub size: u64,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Examined {
    pub state: State,
    /// Oldest first, the written one last.
    pub segments: Vec<Segment>,
    /// Where the next record goes.
    pub end: u64,
    /// Up to where a mark says that the last segment is on stable storage.
    pub synced: u64,
    /// Up to where anything was written: torn records, which do not count.
    pub written: u64,
    /// The times of the first and of the newest message of the last segment, in milliseconds since 1970.
    pub times: Option<(u64, u64)>,
    /// Files of segments that no other refers to, left by a failure.
    pub abandoned: Vec<PathBuf>,
}

/// The file of a segment.
pub(crate) fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:0SEQUENCE_DIGITS$}.seg"))
}

/// Reads a journal's directory; `None` if it holds no segment.
pub(crate) fn examine(directory: &Path) -> Result<Option<Examined>, JournalError> {
    let files = list(directory)?;
    let Some(&last) = files.last() else { return Ok(None) };
    let (segments, abandoned) = chain(directory, &files)?;
    let last_segment = segment_path(directory, last);
    let (mut scanner, mut state) = open_last(directory, &segments, &last_segment)?;
    let (mut synced, mut times) = (scanner.offset(), None);
    let mut stopped = move_on(&mut scanner, &mut state, &mut synced, &mut times)?;
    let rest = look_behind(&last_segment, scanner.offset())?;
    if rest.synced > scanner.offset() {
        // A process that is writing may have come this far since: then it can be read now.
        scanner.refresh();
        stopped = move_on(&mut scanner, &mut state, &mut synced, &mut times)?;
    }
    if rest.synced > scanner.offset() {
        return Err(scanner.damaged(stopped));
    }
    // Behind a repaired place there may be no message that says how many were lost.
    state.next = state.next.max(scanner.sequence());
    let end = scanner.offset();
    if let Some(oldest) = segments.first()
        && state.floor() < oldest.first
    {
        return Err(JournalError::Missing { path: segment_path(directory, state.floor()) });
    }
    let synced = synced.min(end);
    let written = rest.written.max(end);
    Ok(Some(Examined { state, segments, end, synced, written, times, abandoned }))
}

/// Moves the state on by all whole records; gives what stands behind them.
fn move_on(
    scanner: &mut Scanner,
    state: &mut State,
    synced: &mut u64,
    times: &mut Option<(u64, u64)>,
) -> Result<&'static str, JournalError> {
    loop {
        match scanner.next()? {
            Scanned::Record { line, .. } => {
                if let Line::Synced { synced: up_to, .. } = line {
                    *synced = (*synced).max(up_to);
                }
                if let Line::Message { time, .. } = line {
                    let (first, newest) = times.unwrap_or((time, time));
                    *times = Some((first, newest.max(time)));
                }
                apply(state, &line);
            }
            Scanned::End => return Ok("nothing where something was"),
            Scanned::Bad(what) => return Ok(what),
        }
    }
}

/// Moves the state on by one record.
pub(crate) fn apply(state: &mut State, line: &Line<'_>) {
    match line {
        Line::Message { sequence, connection, .. } => {
            state.stored(*sequence, &crate::record::decode_name(connection));
        }
        Line::Delivery { sequence, output, outcome, .. } => {
            // It was checked before it was written; after a repair its message may be gone, and then it says nothing.
            let _ = state.settle(*sequence, &crate::record::decode_name(output), *outcome, u64::MAX);
        }
        _ => {}
    }
}

/// Reads the opening of a segment: the scanner then stands at its first record.
pub(crate) fn open_segment(path: &Path, end: Option<u64>) -> Result<(Scanner, Head, State), JournalError> {
    let mut scanner = Scanner::open(path, end)?;
    let Scanned::Record { line: Line::Head(head), .. } = scanner.next()? else {
        scanner.jump(0, 0, false);
        return Err(scanner.damaged("no first line of a segment"));
    };
    let mut state = State::new(head.first);
    loop {
        let what = match scanner.next()? {
            Scanned::Record { line: Line::End, .. } => {
                state.read(&Line::End);
                return Ok((scanner, head, state));
            }
            Scanned::Record { line, .. } if state.read(&line) => continue,
            Scanned::Record { .. } => "a line that does not belong into a segment's opening",
            Scanned::Bad(what) => what,
            Scanned::End => "an opening that ends early",
        };
        return Err(scanner.damaged(what));
    }
}

/// Opens the last segment. After a repair of its opening the state comes from the segment before it.
fn open_last(directory: &Path, segments: &[Segment], last: &Path) -> Result<(Scanner, State), JournalError> {
    let repaired = crate::skip::read(last)?.places.iter().any(|skip| skip.from == 0);
    let Some(before) = segments.len().checked_sub(2).map(|index| &segments[index]).filter(|_| repaired)
    else {
        return open_segment(last, None).map(|(scanner, _, state)| (scanner, state));
    };
    let (mut scanner, _, mut state) = open_segment(&segment_path(directory, before.first), before.end)?;
    while let Scanned::Record { line, .. } = scanner.next()? {
        apply(&mut state, &line);
    }
    Ok((Scanner::open(last, None)?, state))
}

/// The sequences in the names of the segments, sorted.
pub(crate) fn list(directory: &Path) -> Result<Vec<u64>, JournalError> {
    let failed = |source| JournalError::File { path: directory.to_owned(), doing: "cannot read", source };
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        if let Some(digits) = digits
            && digits.len() == SEQUENCE_DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(first) = digits.parse()
        {
            files.push(first);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Follows each segment's word about the one before it, from the last one back.
fn chain(directory: &Path, files: &[u64]) -> Result<(Vec<Segment>, Vec<PathBuf>), JournalError> {
    let mut segments = Vec::new();
    let mut end = None;
    let mut next = files.last().copied();
    while let Some(first) = next {
        let path = segment_path(directory, first);
        let head = head_of(&path)?;
        if head.first != first || head.previous >= first {
            return Err(JournalError::Damaged { path, offset: 0, what: "the first line of another segment" });
        }
        let metadata = path.metadata();
        let size = metadata
            .map_err(|source| JournalError::File { path: path.clone(), doing: "cannot read", source })?
            .len();
        segments.push(Segment { first, end, opened: head.time, size });
        end = Some(head.previous_end);
        next = files.binary_search(&head.previous).ok().map(|index| files[index]);
        if next.is_none() && files.first().is_some_and(|oldest| *oldest < head.previous) {
            return Err(JournalError::Missing { path: segment_path(directory, head.previous) });
        }
    }
    segments.reverse();
    let abandoned = files
        .iter()
        .filter(|first| !segments.iter().any(|segment| segment.first == **first))
        .map(|first| segment_path(directory, *first))
        .collect();
    Ok((segments, abandoned))
}

fn head_of(path: &Path) -> Result<Head, JournalError> {
    let mut scanner = Scanner::open(path, None)?;
    match scanner.next()? {
        Scanned::Record { line: Line::Head(head), .. } => Ok(head),
        _ => match crate::skip::read(path)?.head {
            Some(head) => Ok(head),
            None => {
                scanner.jump(0, 0, false);
                Err(scanner.damaged("no first line of a segment"))
            }
        },
    }
}

pub(crate) struct Rest {
    /// Up to where a mark says that everything had been synced; 0 if none does.
    pub synced: u64,
    /// The offset behind the last byte that is not zero.
    written: u64,
}

/// Looks at everything from `offset` on.
pub(crate) fn look_behind(path: &Path, offset: u64) -> Result<Rest, JournalError> {
    let failed = |source| JournalError::File { path: path.to_owned(), doing: "cannot read", source };
    let file = File::open(path).map_err(failed)?;
    let mut rest = Rest { synced: 0, written: 0 };
    let mut piece = vec![0; PIECE];
    let mut place = offset;
    loop {
        let filled = read_at(&file, &mut piece, place).map_err(failed)?;
        if filled == 0 {
            return Ok(rest);
        }
        let bytes = &piece[..filled];
        for at in memchr_iter(b'S', bytes) {
            rest.synced = rest.synced.max(synced_by(&bytes[at..], place + at as u64));
        }
        if let Some(last) = last_set(bytes) {
            rest.written = place + last as u64 + 1;
        }
        if filled < PIECE {
            return Ok(rest);
        }
        // A mark may lie across two pieces.
        place += (filled - MAX_MARK) as u64;
    }
}

/// Up to where a mark at this place says that everything had been synced; 0 if there is none.
fn synced_by(bytes: &[u8], here: u64) -> u64 {
    let line = bytes.iter().take(MAX_MARK).position(|byte| *byte == b'\n').map(|end| &bytes[..end]);
    match line.and_then(Line::parse) {
        Some(Line::Synced { at, synced }) if at == here => synced,
        _ => 0,
    }
}

/// The last byte that is not zero, found by comparing blocks, for most of a segment is zeros.
fn last_set(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 4096;
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let blocks = bytes.chunks(BLOCK).enumerate().rev();
    let (index, block) = blocks.into_iter().find(|(_, block)| **block != ZEROS[..block.len()])?;
    block.iter().rposition(|byte| *byte != 0).map(|last| index * BLOCK + last)
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
