//! Tokens out of a stream of bytes.

use std::time::Instant;

use super::token::{Block, Token};
use super::{ACK, Ack, Bcc, CR, DLE, ENQ, EOT, ETB, ETX, LF, NAK, Numbering, RINT, SOH, STX, Settings, Term};
use crate::llp::NoteKind;

/// Number and length.
const HEADER: usize = 6;

/// Makes tokens of bytes. Printable bytes before a token are a prefix and ignored, except before EOT, which has none:
/// there they are what noise left of a block, and the EOT is ignored with them.
///
/// A token is complete with its terminator. If that is missing, the next byte completes it too, or timer B.
///
/// Memory: one block of at most `max_message` bytes; of a longer one only the length is kept.
#[derive(Debug)]
pub(super) struct Reader {
    settings: Settings,
    state: State,
    /// Printable bytes have come since the last token.
    prefixed: bool,
    /// Number, length and text.
    body: Vec<u8>,
    overflow: bool,
    sum: u8,
    last: bool,
    /// The token's terminator has been taken already.
    terminated: bool,
    /// The first of two hexadecimal digits.
    digit: u8,
    heard: Option<Instant>,
    /// Offset of the next byte of input.
    pub(super) offset: u64,
    /// Bytes that were in no token.
    pub(super) noise: u64,
}

#[derive(Debug)]
enum State {
    Idle,
    AfterDle,
    /// From SOH on.
    Heading,
    Text,
    /// In text, after what is an EOT if a terminator follows.
    TextEot,
    /// In transparent text, after a DLE.
    TextDle,
    /// The first check character is next.
    Check,
    /// The second one is.
    Check2,
    /// All but the terminator is there.
    Term(Token),
}

impl Reader {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Idle,
            prefixed: false,
            body: Vec::new(),
            overflow: false,
            sum: 0,
            last: false,
            terminated: false,
            digit: 0,
            heard: None,
            offset: 0,
            noise: 0,
        }
    }

    /// Takes bytes from the front of `input` until a token is complete.
    pub(super) fn decode(&mut self, input: &mut &[u8], now: Instant) -> Option<Token> {
        while let Some((&byte, rest)) = input.split_first() {
            self.heard = Some(now);
            let byte = if self.settings.seven_bit { byte & 0x7f } else { byte };
            if let State::Term(_) = self.state {
                let token = self.take_pending();
                // A byte that is no terminator begins the next token.
                if matches!(byte, CR | LF) {
                    *input = rest;
                    self.offset += 1;
                }
                return token;
            }
            *input = rest;
            self.offset += 1;
            self.step(byte);
            let terminated = std::mem::take(&mut self.terminated) || self.settings.term == Term::None;
            if terminated && let State::Term(_) = self.state {
                return self.take_pending();
            }
        }
        None
    }

    /// When a pause becomes too long (timer B).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.state, State::Idle) {
            None
        } else {
            self.heard.map(|heard| heard + self.settings.timer_b)
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Token> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Term(token) => Some(token),
            State::Idle | State::AfterDle => None,
            State::TextEot => Some(Token::Eot),
            _ => Some(Token::Stale),
        }
    }

    /// A token has begun.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    fn take_pending(&mut self) -> Option<Token> {
        self.prefixed = false;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Term(token) => Some(token),
            _ => None,
        }
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Idle | State::Term(_) => self.idle(byte),
            State::AfterDle => self.after_dle(byte),
            State::Heading => self.heading(byte),
            State::Text if self.settings.dle_transparency => self.transparent_text(byte),
            State::Text => self.text(byte),
            State::TextEot => self.text_eot(byte),
            State::TextDle => self.text_dle(byte),
            State::Check => self.check(byte),
            State::Check2 => self.check2(byte),
        }
    }

    fn idle(&mut self, byte: u8) {
        let plain_blocks = !self.settings.dle_transparency;
        self.state = match byte {
            ENQ => State::Term(Token::Enq),
            NAK => State::Term(Token::Nak),
            EOT if !self.prefixed => State::Term(Token::Eot),
            ACK if self.settings.ack == Ack::Plain => State::Term(Token::Ack(None)),
            DLE => State::AfterDle,
            STX if plain_blocks => return self.begin_text(0),
            SOH if plain_blocks => return self.begin_heading(),
            CR | LF => {
                self.prefixed = false;
                State::Idle
            }
            _ => {
                self.noise += 1;
                self.prefixed = self.prefixed || byte >= 0x20;
                State::Idle
            }
        };
    }

    fn after_dle(&mut self, byte: u8) {
        self.state = match byte {
            b'0'..=b'7' if self.settings.ack != Ack::Plain => State::Term(Token::Ack(Some(byte - b'0'))),
            RINT => State::Term(Token::Rint),
            STX if self.settings.dle_transparency => return self.begin_text(0),
            _ => {
                // Half of a token; a control character begins another one.
                self.noise += 1;
                self.state = State::Idle;
                return self.idle(byte);
            }
        };
    }

    // ---- blocks -----------------------------------------------------------------------------------------------

    fn begin_heading(&mut self) {
        self.begin_text(0);
        self.state = State::Heading;
    }

    /// The check covers what follows the first SOH or STX, so after a heading it has begun already.
    fn begin_text(&mut self, sum: u8) {
        self.body.clear();
        self.overflow = false;
        self.sum = sum;
        self.state = State::Text;
    }

    /// A heading is covered by the check and otherwise ignored.
    fn heading(&mut self, byte: u8) {
        self.sum ^= byte;
        match byte {
            STX => self.begin_text(self.sum),
            SOH => self.begin_heading(),
            ENQ | EOT | ETX | ETB => self.broken_off(byte),
            _ => {}
        }
    }

    fn text(&mut self, byte: u8) {
        match byte {
            ETX | ETB => self.end_text(byte),
            ENQ => self.broken_off(byte),
            EOT if self.settings.term != Term::None => self.state = State::TextEot,
            // The end of the block before was lost.
            STX => self.begin_text(0),
            SOH => self.begin_heading(),
            _ => self.keep(byte),
        }
    }

    /// A letter is one bit away from EOT, which would end the session; without its terminator it is damaged text.
    fn text_eot(&mut self, byte: u8) {
        self.state = State::Text;
        if matches!(byte, CR | LF) {
            self.broken_off(EOT);
            self.terminated = true;
        } else {
            self.keep(EOT);
            self.text(byte);
        }
    }

    fn transparent_text(&mut self, byte: u8) {
        if byte == DLE {
            self.state = State::TextDle;
        } else {
            self.keep(byte);
        }
    }

    fn text_dle(&mut self, byte: u8) {
        self.state = State::Text;
        match byte {
            DLE => self.keep(DLE),
            ETX | ETB => self.end_text(byte),
            ENQ | EOT => self.broken_off(byte),
            STX => self.begin_text(0),
            // Not a sequence there is: both are kept, and the check says no.
            _ => {
                self.keep(DLE);
                self.keep(byte);
            }
        }
    }

    /// ENQ ends a block that is to be forgotten; EOT ends the session too, and speaks for itself.
    fn broken_off(&mut self, byte: u8) {
        self.state = State::Term(match byte {
            ENQ => Token::Aborted,
            EOT => Token::Eot,
            _ => Token::Damaged(NoteKind::BadBlock),
        });
    }

    fn keep(&mut self, byte: u8) {
        self.sum ^= byte;
        if self.body.len() < self.settings.max_message + HEADER {
            self.body.push(byte);
        } else {
            self.overflow = true;
        }
    }

    fn end_text(&mut self, byte: u8) {
        self.sum ^= byte;
        self.last = byte == ETX;
        if self.settings.bcc == Bcc::None { self.judge(true) } else { self.state = State::Check }
    }

    fn check(&mut self, byte: u8) {
        if self.settings.bcc == Bcc::RawLrc {
            return self.judge(byte & 0x7f == self.sum & 0x7f);
        }
        self.digit = byte;
        if byte.is_ascii_hexdigit() { self.state = State::Check2 } else { self.damaged_check(byte) }
    }

    fn check2(&mut self, byte: u8) {
        if !byte.is_ascii_hexdigit() {
            return self.damaged_check(byte);
        }
        self.judge(hex(self.digit) << 4 | hex(byte) == self.sum);
    }

    /// A check character is missing; a control character in its place may begin the next token.
    fn damaged_check(&mut self, byte: u8) {
        match byte {
            ENQ | EOT => self.broken_off(byte),
            STX if !self.settings.dle_transparency => self.begin_text(0),
            _ => {
                self.terminated = byte == CR;
                self.state = State::Term(Token::Damaged(NoteKind::BadCheck));
            }
        }
    }

    fn judge(&mut self, check_is_good: bool) {
        let block = if self.overflow {
            Err(NoteKind::TooLong)
        } else if !check_is_good {
            Err(NoteKind::BadCheck)
        } else {
            self.split_header()
        };
        self.state = State::Term(match block {
            Ok((number, skip)) => {
                let text = self.body[skip..].to_vec();
                Token::Block(Block { number, text, last: self.last })
            }
            Err(kind) => Token::Damaged(kind),
        });
    }

    /// The block number, and how many bytes stand before the text.
    fn split_header(&self) -> Result<(Option<u8>, usize), NoteKind> {
        if self.settings.numbering == Numbering::None {
            return Ok((None, 0));
        }
        let Some((header, text)) = self.body.split_at_checked(HEADER) else { return Err(NoteKind::BadBlock) };
        if !matches!(header[0], b'0'..=b'7') {
            return Err(NoteKind::BadBlock);
        }
        let digit = |n: usize, d: &u8| d.is_ascii_digit().then(|| n * 10 + usize::from(d - b'0'));
        match header[1..].iter().try_fold(0, digit) {
            Some(length) if length == text.len() => Ok((Some(header[0] - b'0'), HEADER)),
            _ => Err(NoteKind::BadCount),
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a') + 10,
    }
}
