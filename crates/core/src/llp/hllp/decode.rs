//! Blocks out of a stream of bytes.

use std::time::Instant;

use memchr::{memchr, memrchr_iter};

use super::block::{Verdict, judge};
use super::{CR, DATA, HEADER, NAK, OTHER, Settings, TOO_LONG, TRAILER, WRONG_COUNT, WRONG_SUM};
use crate::llp::Note;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A good block of this kind, `DATA` or `NAK`, with its data. So many bytes right before it were cut off by it.
    Block { kind: u8, data: Vec<u8>, cut_off: u64 },
    /// A damaged block: of what kind, and the reason a NAK would give.
    Bad { kind: u8, reason: u8, count: u64, head: Vec<u8> },
    /// Bytes outside of blocks.
    Junk { count: u64, head: Vec<u8> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hunt,
    /// SB has come, the four bytes after it not all.
    Header,
    Body,
    /// EB is the last byte.
    Tail,
    /// EB CR are the last bytes, and the count says there should be more.
    Doubt,
    /// The block is too long; its end is waited for. Whether EB was the last byte.
    Skip(bool),
}

/// Memory: one block of at most `max_message` and 15 more bytes; the rest of a longer one is thrown away as it comes.
#[derive(Debug)]
pub(super) struct Decoder {
    settings: Settings,
    state: State,
    block: Vec<u8>,
    skipped: u64,
    junk: u64,
    junk_head: Vec<u8>,
    heard: Option<Instant>,
    pub(super) offset: u64,
}

impl Decoder {
    pub(super) fn new(settings: Settings) -> Self {
        let (block, junk_head) = (Vec::new(), Vec::new());
        Self { settings, state: State::Hunt, block, skipped: 0, junk: 0, junk_head, heard: None, offset: 0 }
    }

    /// Takes bytes from the front of `input` until something is found; `None` when all of it has been taken.
    pub(super) fn decode(&mut self, input: &mut &[u8], now: Instant) -> Option<Found> {
        while !input.is_empty() {
            self.heard = Some(now);
            let before = input.len();
            let found = match self.state {
                State::Hunt => self.hunt(input),
                State::Header => self.header(input),
                // More bytes have come, so that EB CR were data.
                State::Body | State::Doubt => self.body(input),
                State::Tail => self.tail(input),
                State::Skip(after_eb) => self.skip(input, after_eb),
            };
            self.offset += (before - input.len()) as u64;
            if found.is_some() {
                return found;
            }
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let wait = match self.state {
            State::Hunt => return None,
            State::Tail | State::Doubt => self.settings.eb_grace,
            State::Header | State::Body | State::Skip(_) => self.settings.byte_timeout,
        };
        self.heard.map(|heard| heard + wait)
    }

    /// Time has passed: what stands at the end of the input is all of the block.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Found> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        self.finish()
    }

    /// Ends what is unfinished, at a timeout or at the end of the input.
    pub(super) fn finish(&mut self) -> Option<Found> {
        match self.state {
            State::Hunt => self.report_junk(),
            // Too little to know whether it was a NAK, which must not be answered with one.
            State::Header => {
                let header = std::mem::take(&mut self.block);
                self.add_junk(&header);
                self.state = State::Hunt;
                self.report_junk()
            }
            State::Body => Some(self.bad(OTHER)),
            State::Tail => Some(self.conclude(1, true)).flatten(),
            State::Doubt => Some(self.conclude(2, true)).flatten(),
            State::Skip(_) => Some(self.bad(TOO_LONG)),
        }
    }

    pub(super) fn in_block(&self) -> bool {
        self.state != State::Hunt
    }

    fn hunt(&mut self, input: &mut &[u8]) -> Option<Found> {
        let hit = memchr(self.settings.sb, input).unwrap_or(input.len());
        let (junk, rest) = input.split_at(hit);
        self.add_junk(junk);
        *input = rest;
        if rest.is_empty() {
            return None;
        }
        *input = &rest[1..];
        self.start();
        self.report_junk()
    }

    fn start(&mut self) {
        self.block.clear();
        self.block.push(self.settings.sb);
        self.skipped = 0;
        self.state = State::Header;
    }

    /// SB must be followed by a block type, two more characters and CR, else it was no block (as VistA does).
    fn header(&mut self, input: &mut &[u8]) -> Option<Found> {
        let (&next, rest) = input.split_first()?;
        *input = rest;
        let fits = match self.block.len() {
            1 => matches!(next, DATA | NAK),
            2 | 3 => next >= 0x20,
            _ => next == CR,
        };
        if fits {
            self.block.push(next);
            if self.block.len() == HEADER {
                self.state = State::Body;
            }
            return None;
        }
        let header = std::mem::take(&mut self.block);
        self.add_junk(&header);
        self.state = State::Hunt;
        if next == self.settings.sb {
            self.start();
            return self.report_junk();
        }
        self.add_junk(&[next]);
        None
    }

    fn body(&mut self, input: &mut &[u8]) -> Option<Found> {
        let end = memchr(self.settings.eb, input).map_or(input.len(), |hit| hit + 1);
        let (part, rest) = input.split_at(end);
        let after_eb = part.last() == Some(&self.settings.eb);
        *input = rest;
        // The most a block can need is max_message, header, trailer, and EB CR.
        if self.block.len() + part.len() > HEADER + self.settings.max_message + TRAILER + 2 {
            self.skipped = part.len() as u64;
            self.state = State::Skip(after_eb);
            return None;
        }
        self.block.extend_from_slice(part);
        self.state = if after_eb { State::Tail } else { State::Body };
        None
    }

    fn tail(&mut self, input: &mut &[u8]) -> Option<Found> {
        match input.first() {
            Some(&CR) => {
                *input = &input[1..];
                self.block.push(CR);
                self.conclude(2, false)
            }
            // The CR was lost if the block is good without it; the SB stays for the next one.
            Some(next) if *next == self.settings.sb && self.is_good(1) => self.conclude(1, true),
            _ => {
                self.state = State::Body;
                None
            }
        }
    }

    fn skip(&mut self, input: &mut &[u8], after_eb: bool) -> Option<Found> {
        if after_eb && input.first() == Some(&CR) {
            *input = &input[1..];
            self.skipped += 1;
            return Some(self.bad(TOO_LONG));
        }
        let end = memchr(self.settings.eb, input).map_or(input.len(), |hit| hit + 1);
        self.skipped += end as u64;
        self.state = State::Skip(input[end - 1] == self.settings.eb);
        *input = &input[end..];
        None
    }

    fn is_good(&self, delimiters: usize) -> bool {
        judge(&self.block[..self.block.len() - delimiters], &self.settings) == Verdict::Good
    }

    /// Judges the block, whose last bytes are so many delimiters. When in doubt and not at the end, waits for more.
    fn conclude(&mut self, delimiters: usize, at_end: bool) -> Option<Found> {
        let end = self.block.len() - delimiters;
        match judge(&self.block[..end], &self.settings) {
            Verdict::Good => Some(self.good(0, end)),
            verdict => {
                // The end of an earlier block may have been lost, and this one stand whole behind it.
                if let Some(start) = self.block_within(end) {
                    return Some(self.good(start, end));
                }
                match verdict {
                    Verdict::MaybeMore if !at_end => {
                        self.state = State::Doubt;
                        None
                    }
                    Verdict::WrongSum => Some(self.bad(WRONG_SUM)),
                    _ => Some(self.bad(WRONG_COUNT)),
                }
            }
        }
    }

    /// Where within the bytes so far a good block begins, if one does. Few places are tried: SBs are rare in data.
    fn block_within(&self, end: usize) -> Option<usize> {
        let starts = memrchr_iter(self.settings.sb, &self.block[1..end]).map(|at| at + 1).take(4);
        let is_header = |at: &usize| {
            matches!(self.block.get(*at + 1), Some(&(DATA | NAK))) && self.block.get(*at + 4) == Some(&CR)
        };
        let mut blocks = starts.filter(is_header);
        blocks.find(|at| judge(&self.block[*at..end], &self.settings) == Verdict::Good)
    }

    fn good(&mut self, start: usize, end: usize) -> Found {
        self.state = State::Hunt;
        let data = self.block[start + HEADER..end - TRAILER].to_vec();
        Found::Block { kind: self.block[start + 1], data, cut_off: start as u64 }
    }

    fn bad(&mut self, reason: u8) -> Found {
        self.state = State::Hunt;
        let count = self.block.len() as u64 + self.skipped;
        let head = self.block[..self.block.len().min(Note::SHOWN)].to_vec();
        Found::Bad { kind: self.block.get(1).copied().unwrap_or(DATA), reason, count, head }
    }

    fn add_junk(&mut self, bytes: &[u8]) {
        self.junk += bytes.len() as u64;
        let room = Note::SHOWN.saturating_sub(self.junk_head.len()).min(bytes.len());
        self.junk_head.extend_from_slice(&bytes[..room]);
    }

    /// Line ends and NULs between blocks are not worth a word.
    fn report_junk(&mut self) -> Option<Found> {
        let count = std::mem::take(&mut self.junk);
        let head = std::mem::take(&mut self.junk_head);
        let silent = head.iter().all(|b| matches!(b, b'\r' | b'\n' | 0));
        if silent { None } else { Some(Found::Junk { count, head }) }
    }
}
