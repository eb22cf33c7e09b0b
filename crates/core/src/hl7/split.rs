//! Cutting a stream of bytes into messages: MLLP-framed, plain, batches, one message or many.
//!
//! Nothing is lost on the way: the items' raw bytes, one after the other, are the input.

use super::delimiters::{CR, LF};
use super::message::{UTF8_BOM, is_wide};
use std::error::Error;
use std::fmt;
use std::ops::Range;

/// Start of an MLLP block (vertical tab).
const SB: u8 = 0x0B;
/// End of an MLLP block (file separator), followed by CR.
const EB: u8 = 0x1C;

/// The default limit for one message: 16 MiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// What an item is, by the name of its first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message: begins with MSH.
    Message,
    /// FHS, the header of a batch file.
    FileHeader,
    /// BHS, the header of a batch.
    BatchHeader,
    /// BTS, the trailer of a batch.
    BatchTrailer,
    /// FTS, the trailer of a batch file.
    FileTrailer,
    /// Anything else: blank lines, junk between frames, a text that is no HL7.
    Other,
}

impl Kind {
    fn of(text: &[u8]) -> Kind {
        let text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
        let kind = match text.get(..3) {
            Some(b"MSH") => Kind::Message,
            Some(b"FHS") => Kind::FileHeader,
            Some(b"BHS") => Kind::BatchHeader,
            Some(b"BTS") => Kind::BatchTrailer,
            Some(b"FTS") => Kind::FileTrailer,
            _ => return Kind::Other,
        };
        // "MSHX" is no header, for the field separator is punctuation; nor is "MSH-9 is empty" in a text of several
        // lines: MSH-2 is punctuation too, and the first field of a trailer a number.
        let separated = match text.get(3..) {
            None | Some([] | [b'|', ..]) => true,
            Some([separator, rest @ ..]) if separator.is_ascii_punctuation() => {
                rest.first().is_none_or(|next| match kind {
                    Kind::BatchTrailer | Kind::FileTrailer => {
                        next.is_ascii_digit() || next == separator || matches!(*next, CR | LF)
                    }
                    _ => next.is_ascii_punctuation(),
                })
            }
            Some([other, ..]) => other.is_ascii_control(),
        };
        if separated { kind } else { Kind::Other }
    }

    /// How many bytes [`of`](Self::of) looks at.
    fn len(text: &[u8]) -> usize {
        if text.first() == UTF8_BOM.first() { UTF8_BOM.len() + 5 } else { 5 }
    }
}

/// One piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the stream, its framing included.
    pub offset: u64,
    /// All its bytes, framing included.
    pub raw: &'a [u8],
    /// Where in `raw` the message is.
    body: Range<usize>,
    /// It came in an MLLP frame.
    pub framed: bool,
    /// Its frame has an end, or it needs none.
    pub complete: bool,
}

impl<'a> Item<'a> {
    /// The message (or batch segment) without framing and without blank lines behind it.
    pub fn body(&self) -> &'a [u8] {
        &self.raw[self.body.clone()]
    }

    /// What stands before the message: the start of its frame, or nothing.
    pub fn before(&self) -> &'a [u8] {
        &self.raw[..self.body.start]
    }

    /// What stands behind the message: the end of its frame, blank lines.
    pub fn after(&self) -> &'a [u8] {
        &self.raw[self.body.end..]
    }

    /// Where the message itself begins in the stream.
    pub fn body_offset(&self) -> u64 {
        self.offset + self.body.start as u64
    }
}

/// A piece of the stream exceeds the limit. The splitter gives nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLong {
    /// Where the piece begins.
    pub offset: u64,
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message at byte {} is longer than {} bytes", self.offset, self.limit)
    }
}

impl Error for TooLong {}

/// Cuts a stream into items as they become complete: a framed message at the end of its frame, a plain one when
/// the next begins or the stream ends.
///
/// It buffers one item and the rest of one read; an item longer than the limit is an error.
#[derive(Debug)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// The running item's first byte, and the first byte not looked at yet.
    start: usize,
    scanned: usize,
    /// Bytes of the stream before the buffer.
    base: u64,
    limit: usize,
    in_frame: bool,
    finished: bool,
    failed: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter::new(MAX_MESSAGE)
    }
}

impl Splitter {
    /// A splitter that takes items of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Splitter {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            base: 0,
            limit,
            in_frame: false,
            finished: false,
            failed: false,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.base += self.start as u64;
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that the stream has ended.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The stream has ended and all its items were given out.
    pub fn is_finished(&self) -> bool {
        self.failed || (self.finished && self.start == self.buffer.len())
    }

    /// The next complete item; none if more bytes are needed, or the stream has ended.
    ///
    /// # Errors
    /// When an item exceeds the limit.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, TooLong> {
        if self.failed || self.start == self.buffer.len() {
            return Ok(None);
        }
        let opening = if self.in_frame { 0 } else { self.opening() };
        self.in_frame |= opening > 0;
        self.scanned = self.scanned.max(self.start + opening);
        let end = self.find_end();
        if end.as_ref().map_or(self.buffer.len(), |end| end.at) - self.start > self.limit {
            self.failed = true;
            return Err(TooLong { offset: self.base + self.start as u64, limit: self.limit });
        }
        let Some(end) = end else {
            // The opening is looked for again when there is more: it may be a longer run.
            self.in_frame &= opening == 0;
            return Ok(None);
        };
        let start = std::mem::replace(&mut self.start, end.at);
        self.scanned = end.at;
        let framed = self.in_frame;
        self.in_frame &= !end.frame_ends;
        let raw = &self.buffer[start..end.at];
        let content = raw.len() - end.closing;
        let blank = match raw[opening..content] {
            _ if framed => 0,
            ref text => trailing_blank(text),
        };
        // UTF-16 text is taken for a message, which cannot be read: so it is told what it is.
        let kind = match &raw[opening..content] {
            text if is_wide(text) => Kind::Message,
            text => Kind::of(text),
        };
        Ok(Some(Item {
            kind,
            offset: self.base + start as u64,
            raw,
            body: opening..content - blank,
            framed,
            complete: !framed || end.closing > 0 || !end.frame_ends,
        }))
    }

    /// The length of a frame's start: one SB, or several as double framing has them.
    fn opening(&self) -> usize {
        self.buffer[self.start..].iter().take_while(|&&b| b == SB).count()
    }

    /// Goes over what was not looked at yet; remembers how far it came.
    fn find_end(&mut self) -> Option<End> {
        while let Some(found) =
            self.buffer[self.scanned..].iter().position(|&b| matches!(b, CR | LF | SB | EB))
        {
            let at = self.scanned + found;
            let verdict = match self.buffer[at] {
                EB if self.in_frame => self.frame_end(at),
                SB => self.frame_start(at),
                CR | LF => self.line_end(at),
                _ => Verdict::Data,
            };
            match verdict {
                Verdict::Ends(end) => return Some(end),
                Verdict::Unknown if !self.finished => {
                    self.scanned = at;
                    return None;
                }
                Verdict::Unknown | Verdict::Data => self.scanned = at + 1,
            }
        }
        self.scanned = self.buffer.len();
        self.finished.then_some(End { at: self.scanned, closing: 0, frame_ends: true })
    }

    /// EB CR ends a frame; so does an EB before the next frame or before the end. Any other EB is data.
    fn frame_end(&self, at: usize) -> Verdict {
        let closing = match self.buffer.get(at + 1) {
            Some(&CR) => 2,
            Some(&(SB | LF)) => 1,
            None if self.finished => 1,
            None => return Verdict::Unknown,
            Some(_) => return Verdict::Data,
        };
        Verdict::Ends(End { at: at + closing, closing, frame_ends: true })
    }

    /// An SB at the beginning of a line, or before a header, begins a frame; what ran before has ended.
    fn frame_start(&self, at: usize) -> Verdict {
        if at == self.start {
            return Verdict::Data;
        }
        let after_line = !self.in_frame && matches!(self.buffer[at - 1], CR | LF | EB);
        let next = &self.buffer[at + 1..];
        let ends = Verdict::Ends(End { at, closing: 0, frame_ends: true });
        if after_line {
            ends
        } else if next.len() < Kind::len(next) && !self.finished {
            Verdict::Unknown
        } else if Kind::of(next) != Kind::Other {
            ends
        } else {
            Verdict::Data
        }
    }

    /// A line that begins with a header segment begins the next item.
    fn line_end(&self, at: usize) -> Verdict {
        let crlf = self.buffer[at] == CR && self.buffer.get(at + 1) == Some(&LF);
        let line = at + 1 + usize::from(crlf);
        match self.buffer.get(line..) {
            Some(next) if next.len() >= Kind::len(next) || self.finished => match Kind::of(next) {
                Kind::Other => Verdict::Data,
                _ => Verdict::Ends(End { at: line, closing: 0, frame_ends: false }),
            },
            // "MS" may become MSH; "PI" and a frame's end cannot.
            Some([]) | None => Verdict::Unknown,
            Some(next) => match matches!(next[0], b'M' | b'F' | b'B' | 0xEF) {
                true => Verdict::Unknown,
                false => Verdict::Data,
            },
        }
    }
}

struct End {
    at: usize,
    closing: usize,
    frame_ends: bool,
}

enum Verdict {
    Ends(End),
    Data,
    /// The next bytes will tell.
    Unknown,
}

/// How many bytes of blank lines stand behind the last line's end.
fn trailing_blank(text: &[u8]) -> usize {
    let data = text.iter().rposition(|&b| !matches!(b, CR | LF)).map_or(0, |at| at + 1);
    match &text[data..] {
        _ if data == 0 => 0,
        [CR, LF, blank @ ..] | [CR | LF, blank @ ..] => blank.len(),
        _ => 0,
    }
}

/// Cuts a whole text at once.
///
/// # Errors
/// When an item exceeds `limit`.
pub fn split(text: &[u8], limit: usize, mut each: impl FnMut(&Item)) -> Result<(), TooLong> {
    let mut splitter = Splitter::new(limit);
    splitter.feed(text);
    splitter.finish();
    while let Some(item) = splitter.next_item()? {
        each(&item);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(pieces: &[&[u8]]) -> Vec<(Kind, String, bool, bool)> {
        let mut splitter = Splitter::new(1000);
        let mut found = Vec::new();
        let mut raw = Vec::new();
        let mut take = |splitter: &mut Splitter| {
            while let Some(item) = splitter.next_item().unwrap() {
                assert_eq!(item.offset, raw.len() as u64);
                raw.extend_from_slice(item.raw);
                found.push((item.kind, item.body().escape_ascii().to_string(), item.framed, item.complete));
            }
        };
        for piece in pieces {
            splitter.feed(piece);
            take(&mut splitter);
        }
        splitter.finish();
        take(&mut splitter);
        assert_eq!(raw, pieces.concat(), "nothing is lost");
        found
    }

    /// The same items come out however the stream is cut.
    fn all_ways(text: &[u8]) -> Vec<(Kind, String, bool, bool)> {
        let whole = items(&[text]);
        for i in 0..text.len() {
            assert_eq!(items(&[&text[..i], &text[i..]]), whole, "cut at {i}");
        }
        assert_eq!(items(&text.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
        whole
    }

    fn message(body: &str, framed: bool) -> (Kind, String, bool, bool) {
        (Kind::Message, body.into(), framed, true)
    }

    #[test]
    fn plain_messages_end_where_the_next_begins() {
        for (end, shown) in [("\r", "\\r"), ("\n", "\\n"), ("\r\n", "\\r\\n")] {
            let text = format!("MSH|1{end}PID|1{end}MSH|2{end}{end}MSH|3");
            let expected = [
                message(&format!("MSH|1{shown}PID|1{shown}"), false),
                message(&format!("MSH|2{shown}"), false),
                message("MSH|3", false),
            ];
            assert_eq!(all_ways(text.as_bytes()), expected, "{end:?}");
        }
    }

    #[test]
    fn frames_end_at_their_end() {
        let text = b"\x0BMSH|1\rPID|1\r\x1C\r\x0BMSH|2\r\x1C\r";
        assert_eq!(all_ways(text), [message("MSH|1\\rPID|1\\r", true), message("MSH|2\\r", true)]);
    }

    #[test]
    fn a_framed_message_needs_no_next_one() {
        let mut splitter = Splitter::default();
        splitter.feed(b"\x0BMSH|1\r\x1C\r");
        let item = splitter.next_item().unwrap().unwrap();
        assert_eq!(
            (item.body(), item.before(), item.after()),
            (&b"MSH|1\r"[..], &b"\x0B"[..], &b"\x1C\r"[..])
        );
        assert_eq!(item.body_offset(), 1);
        assert_eq!(splitter.next_item(), Ok(None));
    }

    #[test]
    fn strange_frames() {
        let junk = |body: &str| (Kind::Other, body.to_string(), false, true);
        assert_eq!(
            all_ways(b"junk\r\x0BMSH|1\x1C\r\n"),
            [junk("junk\\r"), message("MSH|1", true), junk("\\n")]
        );
        // An end of frame inside the data, a missing CR, a half frame and a restart, no end at all.
        assert_eq!(all_ways(b"\x0BMSH|a\x1Cb\r\x1C\r"), [message("MSH|a\\x1cb\\r", true)]);
        assert_eq!(
            all_ways(b"\x0BMSH|1\r\x1C\x0BMSH|2\r\x1C"),
            [message("MSH|1\\r", true), message("MSH|2\\r", true)]
        );
        let half = (Kind::Message, "MSH|1\\rPI".to_string(), true, false);
        assert_eq!(all_ways(b"\x0BMSH|1\rPI\x0BMSH|2\r\x1C\r"), [half.clone(), message("MSH|2\\r", true)]);
        assert_eq!(all_ways(b"\x0BMSH|1\rPI"), [half]);
        assert_eq!(all_ways(b"\x0B\x0BMSH|1\r\x1C\r"), [message("MSH|1\\r", true)]);
        assert_eq!(all_ways(b"MSH\x0BMSHx"), [message("MSH\\x0bMSHx", false)]);
        // LF for CR behind the end of a frame; a start of frame and blank lines that are data.
        assert_eq!(
            all_ways(b"\x0BMSH|1\r\x1C\nMSH|2"),
            [message("MSH|1\\r", true), junk("\\n"), message("MSH|2", false)]
        );
        assert_eq!(all_ways(b"\x0BMSH|1\r\x0Bx\r\x1C\r"), [message("MSH|1\\r\\x0bx\\r", true)]);
        assert_eq!(all_ways(b"\x0BMSH|1\r\r\n\x1C\r"), [message("MSH|1\\r\\r\\n", true)]);
        assert_eq!(all_ways(b"\x0B\x1C\r"), [(Kind::Other, String::new(), true, true)]);
    }

    #[test]
    fn batches() {
        let text = b"FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\rMSH|2\rBTS|2\rFTS|1\r";
        let kinds: Vec<Kind> = all_ways(text).into_iter().map(|item| item.0).collect();
        let expected = [
            Kind::FileHeader,
            Kind::BatchHeader,
            Kind::Message,
            Kind::Message,
            Kind::BatchTrailer,
            Kind::FileTrailer,
        ];
        assert_eq!(kinds, expected);
        let framed = [b"\x0B", &text[..], b"\x1C\r"].concat();
        assert_eq!(all_ways(&framed).iter().map(|item| item.0).collect::<Vec<_>>(), expected);
        assert!(all_ways(&framed).iter().all(|item| item.2 && item.3));
    }

    #[test]
    fn no_header_without_a_separator() {
        assert_eq!(all_ways(b"MSHELL\rMSH|1")[1], message("MSH|1", false));
        assert_eq!(all_ways(b"MSH|1\rMSHX\r"), [message("MSH|1\\rMSHX\\r", false)]);
    }

    #[test]
    fn a_text_that_names_a_header_field_is_no_header() {
        let text = b"MSH|1\rNTE|1||see\nMSH-9 is wrong\nBTS. x\nFHS: y\rMSH$%\rBTS$1\rBTS$\rMSH|2";
        let found = all_ways(text);
        assert_eq!(found[0].1, "MSH|1\\rNTE|1||see\\nMSH-9 is wrong\\nBTS. x\\nFHS: y\\r");
        assert_eq!(
            found[1..].iter().map(|item| item.1.as_str()).collect::<Vec<_>>(),
            ["MSH$%\\r", "BTS$1\\r", "BTS$\\r", "MSH|2"]
        );
    }

    #[test]
    fn a_message_may_begin_with_a_byte_order_mark() {
        const BOM: &str = "\\xef\\xbb\\xbf";
        let (one, two) = (message(&format!("{BOM}MSH|1\\r"), false), message(&format!("{BOM}MSH|2"), false));
        assert_eq!(all_ways(b"\xEF\xBB\xBFMSH|1\r\xEF\xBB\xBFMSH|2"), [one, two]);
        let framed = message(&format!("{BOM}MSH|1\\r"), true);
        assert_eq!(all_ways(b"x\x0B\xEF\xBB\xBFMSH|1\r\x1C\r")[1], framed);
        let (one, two) = (message("MSH$%\\r", false), message(&format!("{BOM}MSH$%"), false));
        assert_eq!(all_ways(b"MSH$%\r\xEF\xBB\xBFMSH$%"), [one, two]);
        assert_eq!(all_ways(b"MSH|1\r\xEF\xBB\xBFMSH-9"), [message(&format!("MSH|1\\r{BOM}MSH-9"), false)]);
        assert_eq!(all_ways(b"MSH|1\r\xEFx\r"), [message("MSH|1\\r\\xefx\\r", false)]);
    }

    #[test]
    fn utf_16_is_a_message_that_cannot_be_read() {
        assert_eq!(items(&[b"\xFF\xFEM\0S\0H\0|\0\r\0"])[0].0, Kind::Message);
    }

    #[test]
    fn the_limit_is_an_error_once() {
        let mut splitter = Splitter::new(10);
        splitter.feed(b"MSH|12345\r");
        assert_eq!(splitter.next_item(), Ok(None));
        splitter.finish();
        assert_eq!(splitter.next_item().unwrap().unwrap().raw.len(), 10);
        let mut splitter = Splitter::new(10);
        splitter.feed(b"MSH|1\r");
        assert_eq!(splitter.next_item(), Ok(None));
        splitter.feed(b"PID|1234");
        assert_eq!(splitter.next_item(), Err(TooLong { offset: 0, limit: 10 }));
        splitter.finish();
        assert_eq!(splitter.next_item(), Ok(None));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            pieces in proptest::collection::vec("(MSH|FHS|BTS|\u{FEFF}|\\||[$1]|\r|\n|\x0B|\x1C|x){0,6}", 0..12)
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let whole = items(&[&pieces.concat()]);
            prop_assert_eq!(items(&pieces), whole);
        }
    }
}
