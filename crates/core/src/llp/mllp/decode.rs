//! The receiver's side: frames out of a stream of bytes.

use std::time::Instant;

use memchr::{memchr, memchr2};

use super::Settings;
use super::verdict::Verdict;
use crate::llp::{Note, NoteKind};

/// Acknowledgment in a commit block of release 2.
const ACK: u8 = 0x06;
/// Negative acknowledgment in a commit block of release 2.
const NAK: u8 = 0x15;
/// Junk is reported at the latest after so many bytes.
const JUNK_RUN: u64 = 64 << 10;
/// A buffer larger than this is given back after its message.
const KEPT_CAPACITY: usize = 64 << 10;

/// Takes the frames out of a stream, however it was split.
///
/// The tolerant receiver skips and reports bytes outside of frames (CR, LF and NUL silently), takes an EB as data
/// unless CR, the next SB, a pause or the end of the input follows, drops a frame that another one cuts off,
/// removes a byte order mark, and ignores empty frames and doubled SBs. The strict one (see [`Settings::strict`]) drops
/// what breaks the grammar. Both drop a frame that exceeds `max_message`, goes stale, is in UTF-16, or is unfinished
/// at the end of the input; every drop is an [`Item`] with its place and its first bytes.
///
/// Memory: at most `max_message` bytes plus two delimiters. A frame that lies whole within one input is lent out
/// from there; one that spans several is collected. No byte of input is searched twice, but the few that may belong
/// to a delimiter cut in two.
#[derive(Debug)]
pub struct Decoder {
    settings: Settings,
    in_frame: bool,
    /// What is certain of the frame so far.
    partial: Vec<u8>,
    /// The start of what may be a delimiter, at the end of all input so far.
    undecided: Vec<u8>,
    /// Offset of the next byte of input.
    offset: u64,
    frame_at: u64,
    heard: Option<Instant>,
    junk: Junk,
    /// The last item lent out `partial` or `junk`: empty it before going on.
    partial_spent: bool,
    junk_spent: bool,
}

#[derive(Debug, Default)]
struct Junk {
    offset: u64,
    count: u64,
    head: Vec<u8>,
    audible: bool,
}

/// What was found in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A message.
    Frame(Frame<'a>),
    /// A commit block of MLLP release 2: true for ACK, false for NAK. Its offset.
    Commit(bool, u64),
    /// Something was thrown away.
    Dropped(Dropped<'a>),
}

/// A message and how its frame looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// What stood between the delimiters; not empty.
    pub message: &'a [u8],
    /// Where in the stream the frame began.
    pub offset: u64,
    /// `eob` did not follow `eod`.
    pub missing_trailer: bool,
    /// A byte order mark stood before the message and was removed.
    pub byte_order_mark: bool,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped<'a> {
    /// Why.
    pub kind: NoteKind,
    /// Where in the stream they began.
    pub offset: u64,
    /// How many there were.
    pub count: u64,
    /// The first of them; for a frame that is too long, all that was collected, for an answer to its sender.
    pub bytes: &'a [u8],
}

/// An [`Item`] before it borrows: where its bytes are.
#[derive(Clone, Copy)]
enum Found<'i> {
    Frame { place: Place<'i>, missing_trailer: bool, bad: Option<NoteKind> },
    Drop(NoteKind, Place<'i>, u64),
    Junk,
}

/// `Partial` is the collected bytes, `Input` lies in the caller's.
#[derive(Clone, Copy)]
enum Place<'i> {
    Partial,
    Input(&'i [u8]),
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            in_frame: false,
            partial: Vec::new(),
            undecided: Vec::new(),
            offset: 0,
            frame_at: 0,
            heard: None,
            junk: Junk::default(),
            partial_spent: false,
            junk_spent: false,
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes bytes from the front of `input` until something is found. Call it until it returns `None`; then all of
    /// `input` has been taken.
    pub fn decode<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8], now: Instant) -> Option<Item<'s>> {
        self.forget_spent();
        if !input.is_empty() {
            self.heard = Some(now);
        }
        loop {
            let found = if self.in_frame { self.body(input) } else { self.hunt(input) };
            match found {
                None if input.is_empty() => return None,
                None => {}
                // An empty frame right before its doubled SB, and the like: nothing to say.
                Some(Found::Drop(NoteKind::Restarted, _, 0)) => {
                    self.next_frame_at();
                }
                Some(found) => return Some(self.lend(found)),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted, if no input comes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = if self.tail_is_open() { self.settings.eb_grace } else { self.settings.frame_timeout };
        if self.in_frame { self.heard.map(|heard| heard + wait) } else { None }
    }

    /// Time has passed: a frame that only lacks its last delimiter is done, an unfinished one is dropped.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Item<'_>> {
        self.forget_spent();
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        self.cut_off(NoteKind::Stale)
    }

    /// The stream has ended: a frame that only lacks its last delimiter is done, an unfinished one is dropped.
    pub fn handle_eof(&mut self) -> Option<Item<'_>> {
        self.forget_spent();
        if self.in_frame {
            return self.cut_off(NoteKind::EndOfInput);
        }
        let held = std::mem::take(&mut self.undecided);
        self.add_junk(&held, self.offset - held.len() as u64);
        if self.junk.audible { Some(self.lend(Found::Junk)) } else { None }
    }

    /// How much of an unfinished frame is kept, in bytes.
    pub fn collected(&self) -> usize {
        if self.in_frame { self.partial.len() + self.undecided.len() } else { 0 }
    }

    /// Whether a frame has begun and not ended.
    pub fn in_frame(&self) -> bool {
        self.in_frame
    }

    fn cut_off(&mut self, kind: NoteKind) -> Option<Item<'_>> {
        if self.tail_is_open() {
            self.undecided.drain(..self.settings.eod.len());
            self.in_frame = false;
            return Some(self.lend(Found::Frame { place: Place::Partial, missing_trailer: true, bad: None }));
        }
        let count = (self.partial.len() + self.undecided.len()) as u64;
        self.undecided.clear();
        self.in_frame = false;
        Some(self.lend(Found::Drop(kind, Place::Partial, count)))
    }

    fn tail_is_open(&self) -> bool {
        self.in_frame && !self.settings.strict && self.undecided.starts_with(&self.settings.eod)
    }

    // ---- outside of a frame -----------------------------------------------------------------------------------

    fn hunt<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        if !self.undecided.is_empty() {
            return self.hunt_undecided(input);
        }
        let bytes = *input;
        let hit = memchr(self.settings.sob[0], bytes).unwrap_or(bytes.len());
        self.add_junk(&bytes[..hit], self.offset);
        self.advance(input, hit);
        if input.starts_with(&self.settings.sob) {
            self.advance(input, self.settings.sob.len());
            return self.open_frame();
        }
        if self.settings.sob.starts_with(input) {
            self.undecided.extend_from_slice(input);
            self.advance(input, input.len());
        } else {
            self.add_junk(&input[..1], self.offset);
            self.advance(input, 1);
        }
        if self.junk.count >= JUNK_RUN && self.junk.audible { Some(Found::Junk) } else { None }
    }

    fn hunt_undecided<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        while !self.undecided.is_empty() {
            if self.undecided.starts_with(&self.settings.sob) {
                self.undecided.drain(..self.settings.sob.len());
                return self.open_frame();
            }
            if !self.settings.sob.starts_with(&self.undecided) {
                let first = self.undecided.remove(0);
                self.add_junk(&[first], self.offset - self.undecided.len() as u64 - 1);
                continue;
            }
            let Some(&next) = input.first() else { break };
            self.undecided.push(next);
            self.advance(input, 1);
        }
        None
    }

    fn open_frame<'i>(&mut self) -> Option<Found<'i>> {
        self.in_frame = true;
        self.frame_at = self.offset - (self.undecided.len() + self.settings.sob.len()) as u64;
        if self.junk.audible {
            return Some(Found::Junk);
        }
        self.junk.clear();
        None
    }

    /// Line ends and NULs between frames are so common that they are not worth a word.
    fn add_junk(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        if self.junk.count == 0 {
            self.junk.offset = offset;
        }
        self.junk.count += bytes.len() as u64;
        let room = Note::SHOWN.saturating_sub(self.junk.head.len()).min(bytes.len());
        self.junk.head.extend_from_slice(&bytes[..room]);
        self.junk.audible = self.junk.audible || bytes.iter().any(|b| !matches!(b, b'\r' | b'\n' | 0));
    }

    // ---- inside a frame ---------------------------------------------------------------------------------------

    fn body<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        while !self.undecided.is_empty() {
            match self.settings.judge(&self.undecided, self.partial.is_empty()) {
                Verdict::Data => {
                    let first = self.undecided.remove(0);
                    if let Some(found) = self.keep(&[first]) {
                        return Some(found);
                    }
                }
                Verdict::Undecided => {
                    let next = *input.first()?;
                    self.undecided.push(next);
                    self.advance(input, 1);
                }
                verdict => {
                    let length = self.partial.len();
                    let (found, taken) = self.conclude(verdict, Place::Partial, length);
                    self.undecided.drain(..taken);
                    return Some(self.begin_next(found, verdict));
                }
            }
        }
        self.body_of_input(input)
    }

    /// The fast way: nothing is undecided, so the next delimiter can only begin within the input.
    fn body_of_input<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        let bytes = *input;
        let mut from = 0;
        while let Some(hit) = memchr2(self.settings.eod[0], self.settings.sob[0], &bytes[from..]) {
            let hit = from + hit;
            match self.settings.judge(&bytes[hit..], self.partial.is_empty() && hit == 0) {
                Verdict::Data => from = hit + 1,
                Verdict::Undecided => {
                    self.undecided.extend_from_slice(&bytes[hit..]);
                    let found = self.keep(&bytes[..hit]);
                    self.advance(input, bytes.len());
                    return found;
                }
                verdict => {
                    let place = if self.partial.is_empty() {
                        Place::Input(&bytes[..hit])
                    } else {
                        self.partial.extend_from_slice(&bytes[..hit]);
                        Place::Partial
                    };
                    let length = self.partial.len().max(hit);
                    let (found, taken) = self.conclude(verdict, place, length);
                    self.advance(input, hit + taken);
                    return Some(self.begin_next(found, verdict));
                }
            }
        }
        let found = self.keep(bytes);
        self.advance(input, bytes.len());
        found
    }

    /// What a verdict other than `Data` and `Undecided` means for the frame so far, and how many bytes of
    /// delimiters it covers.
    fn conclude<'i>(&self, verdict: Verdict, place: Place<'i>, length: usize) -> (Found<'i>, usize) {
        let count = length as u64;
        match verdict {
            Verdict::Restart(taken) => (Found::Drop(NoteKind::Restarted, place, count), taken),
            Verdict::Broken(taken) => (Found::Drop(NoteKind::BadByte, place, count), taken),
            Verdict::End { length: taken, opens_next } => {
                let body = self.bytes_of(place);
                let bad = if length > self.settings.max_message {
                    Some(NoteKind::TooLong)
                } else if is_utf16(body) {
                    Some(NoteKind::Utf16)
                } else if self.settings.strict && !is_commit(body) && has_bad_byte(body) {
                    Some(NoteKind::BadByte)
                } else {
                    None
                };
                (Found::Frame { place, missing_trailer: opens_next, bad }, taken)
            }
            Verdict::Data | Verdict::Undecided => (Found::Drop(NoteKind::Junk, place, count), 0),
        }
    }

    /// Sets the state for what follows. To be called when `undecided` and `offset` stand after the delimiters.
    fn begin_next<'i>(&mut self, found: Found<'i>, verdict: Verdict) -> Found<'i> {
        self.in_frame = matches!(verdict, Verdict::Restart(_) | Verdict::End { opens_next: true, .. });
        found
    }

    /// Collects bytes of the frame. At the limit, or when they turn out to be UTF-16, the frame is over.
    fn keep<'i>(&mut self, bytes: &[u8]) -> Option<Found<'i>> {
        let room = self.settings.max_message - self.partial.len().min(self.settings.max_message);
        let short = self.partial.len() < 2;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let kind = if bytes.len() > room {
            NoteKind::TooLong
        } else if short && is_utf16(&self.partial) {
            NoteKind::Utf16
        } else {
            return None;
        };
        self.in_frame = false;
        let count = self.partial.len() + bytes.len() - bytes.len().min(room);
        Some(Found::Drop(kind, Place::Partial, count as u64))
    }

    // ---- common -----------------------------------------------------------------------------------------------

    fn advance(&mut self, input: &mut &[u8], count: usize) {
        *input = &input[count..];
        self.offset += count as u64;
    }

    fn bytes_of<'a>(&'a self, place: Place<'a>) -> &'a [u8] {
        match place {
            Place::Partial => &self.partial,
            Place::Input(bytes) => bytes,
        }
    }

    fn lend<'s, 'i: 's>(&'s mut self, found: Found<'i>) -> Item<'s> {
        match found {
            Found::Junk => {
                self.junk_spent = true;
                let Junk { offset, count, head, .. } = &self.junk;
                Item::Dropped(Dropped { kind: NoteKind::Junk, offset: *offset, count: *count, bytes: head })
            }
            Found::Drop(kind, place, count) => {
                let offset = self.next_frame_at();
                self.partial_spent = true;
                Item::Dropped(Dropped { kind, offset, count, bytes: self.bytes_of(place) })
            }
            Found::Frame { place, missing_trailer, bad } => {
                let offset = self.next_frame_at();
                self.partial_spent = true;
                let body = self.bytes_of(place);
                let count = body.len() as u64;
                let dropped = |kind| Item::Dropped(Dropped { kind, offset, count, bytes: body });
                if let Some(kind) = bad {
                    return dropped(kind);
                }
                let (message, byte_order_mark) = match body.strip_prefix(b"\xef\xbb\xbf") {
                    Some(message) if !self.settings.strict => (message, true),
                    _ => (body, false),
                };
                match message {
                    [] => dropped(NoteKind::EmptyFrame),
                    [byte @ (ACK | NAK)] => Item::Commit(*byte == ACK, offset),
                    _ => Item::Frame(Frame { message, offset, missing_trailer, byte_order_mark }),
                }
            }
        }
    }

    /// Where the frame that just ended began. If the next one has begun already, that place is kept for it.
    fn next_frame_at(&mut self) -> u64 {
        let next = self.offset - (self.undecided.len() + self.settings.sob.len()) as u64;
        if self.in_frame { std::mem::replace(&mut self.frame_at, next) } else { self.frame_at }
    }

    fn forget_spent(&mut self) {
        if std::mem::take(&mut self.partial_spent) {
            self.partial.clear();
            self.partial.shrink_to(KEPT_CAPACITY);
        }
        if std::mem::take(&mut self.junk_spent) {
            self.junk.clear();
        }
    }
}

impl Junk {
    fn clear(&mut self) {
        self.count = 0;
        self.head.clear();
        self.audible = false;
    }
}

/// A byte order mark, or the zero half of an ASCII character.
fn is_utf16(body: &[u8]) -> bool {
    matches!(body, [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, _, ..] | [_, 0, ..])
}

/// Release 2 allows 0x20 to 0xFF and CR. In chunks without an early exit, which the compiler turns into vectors.
fn has_bad_byte(body: &[u8]) -> bool {
    body.chunks(256).any(|chunk| chunk.iter().fold(false, |bad, &b| bad | ((b < 0x20) & (b != b'\r'))))
}

fn is_commit(body: &[u8]) -> bool {
    matches!(body, [ACK | NAK])
}
