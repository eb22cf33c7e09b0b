//! What a possible delimiter is, judged by the bytes from its first one on.
//!
//! A pure function of those bytes and the settings, so that it gives the same answer wherever reads were split.

use super::Settings;

/// What stands at a place inside a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first byte is data.
    Data,
    /// More bytes are needed to tell.
    Undecided,
    /// The frame ends, with this many bytes of delimiters; these may include the next frame's `sob`.
    End { length: usize, opens_next: bool },
    /// The frame was cut off: a new one begins after this many bytes.
    Restart(usize),
    /// Strict: `eod`, so long, is followed by something else than `eob`.
    Broken(usize),
}

/// What the segments are called that a message, a file or a batch begins with (HL7 v2 chapter 2), and the byte
/// order mark that some systems put before them.
const BEGINNINGS: [&[u8]; 4] = [b"MSH", b"FHS", b"BHS", b"\xef\xbb\xbf"];

impl Settings {
    /// Judges `rest`, not empty, which begins inside a frame; `first` says that nothing of the frame stands before.
    pub(super) fn judge(&self, rest: &[u8], first: bool) -> Verdict {
        if let Some(after) = rest.strip_prefix(self.eod.as_slice()) {
            self.judge_tail(after)
        } else if self.eod.starts_with(rest) {
            Verdict::Undecided
        } else if let Some(after) = rest.strip_prefix(self.sob.as_slice()) {
            self.judge_start(after, first)
        } else if self.sob.starts_with(rest) {
            Verdict::Undecided
        } else {
            Verdict::Data
        }
    }

    /// After `eod`: `eob` ends the frame. Tolerantly, the next `sob` does too, and anything else makes the `eod` data.
    fn judge_tail(&self, after: &[u8]) -> Verdict {
        let length = self.eod.len();
        if after.starts_with(&self.eob) {
            return Verdict::End { length: length + self.eob.len(), opens_next: false };
        }
        if !self.strict && after.starts_with(&self.sob) {
            return Verdict::End { length: length + self.sob.len(), opens_next: true };
        }
        if self.eob.starts_with(after) || (!self.strict && self.sob.starts_with(after)) {
            return Verdict::Undecided;
        }
        if self.strict { Verdict::Broken(length) } else { Verdict::Data }
    }

    /// After a `sob` inside a frame: a message's beginning shows that the frame was cut off. A `sob` right after
    /// a `sob` is double framing, seen from an old interface engine.
    fn judge_start(&self, after: &[u8], first: bool) -> Verdict {
        let begins = |b: &&[u8]| after.starts_with(b);
        if self.strict || first || BEGINNINGS.iter().any(begins) {
            return Verdict::Restart(self.sob.len());
        }
        if BEGINNINGS.iter().any(|b| b.starts_with(after)) { Verdict::Undecided } else { Verdict::Data }
    }
}
