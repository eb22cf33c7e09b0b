//! Tokens, and how they look on the line.

use super::{ACK, Ack, Bcc, DLE, ENQ, EOT, ETB, ETX, NAK, Numbering, RINT, STX, Settings};
use crate::llp::{NoteKind, SendError};

/// One thing that a station says to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Enq,
    Eot,
    Nak,
    /// With the number given, if any: 0 to 7, or 0 and 1.
    Ack(Option<u8>),
    Rint,
    Block(Block),
    /// A block that its sender ended with ENQ.
    Aborted,
    /// A block that came to its end and is no good.
    Damaged(NoteKind),
    /// A block that stopped in the middle.
    Stale,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The block number; none where blocks are not numbered.
    pub(super) number: Option<u8>,
    pub(super) text: Vec<u8>,
    /// Ended by ETX: the message is complete.
    pub(super) last: bool,
}

/// The number in the acknowledgment of the block with this number; 0 is also what a bid gets.
pub(super) fn ack_number(number: u8, ack: Ack) -> Option<u8> {
    match ack {
        Ack::Numbered => Some(number % 8),
        Ack::Alternating => Some(number % 2),
        Ack::Plain => None,
    }
}

/// The bytes of a token that is not a block.
pub(super) fn encode(token: &Token, settings: &Settings) -> Vec<u8> {
    let mut bytes = match token {
        Token::Enq => vec![ENQ],
        Token::Eot => vec![EOT],
        Token::Ack(Some(number)) => vec![DLE, b'0' + number % 8],
        Token::Ack(None) => vec![ACK],
        Token::Rint => vec![DLE, RINT],
        _ => vec![NAK],
    };
    bytes.extend_from_slice(settings.term.bytes());
    bytes
}

/// Writes a block over what `out` holds. The text must fit the five digits of its length.
pub(super) fn encode_block(number: u8, text: &[u8], last: bool, settings: &Settings, out: &mut Vec<u8>) {
    out.clear();
    if settings.dle_transparency {
        out.push(DLE);
    }
    out.push(STX);
    let mut sum = 0;
    if settings.numbering == Numbering::BlockAndLength {
        let header = format!("{}{:05}", number % 8, text.len());
        out.extend_from_slice(header.as_bytes());
        sum = header.bytes().fold(sum, |sum, b| sum ^ b);
    }
    sum = text.iter().fold(sum, |sum, b| sum ^ b);
    if settings.dle_transparency {
        for byte in text {
            out.push(*byte);
            if *byte == DLE {
                out.push(DLE);
            }
        }
        out.push(DLE);
    } else {
        out.extend_from_slice(text);
    }
    let end = if last { ETX } else { ETB };
    out.push(end);
    sum ^= end;
    match settings.bcc {
        Bcc::HexXor => out.extend_from_slice(format!("{sum:02X}").as_bytes()),
        Bcc::RawLrc => out.push(sum & 0x7f),
        Bcc::None => {}
    }
    out.extend_from_slice(settings.term.bytes());
}

/// Whether a message can be carried: text holds no control character but CR, unless the transparent variant is on,
/// and 7 bits are all there is on a line of 7 bits.
pub(super) fn check_text(message: &[u8], settings: &Settings) -> Result<(), SendError> {
    let forbidden = |b: &u8| {
        (settings.seven_bit && *b >= 0x80) || (!settings.dle_transparency && *b < 0x20 && *b != super::CR)
    };
    match message.iter().position(forbidden) {
        Some(offset) => Err(SendError::Forbidden { offset, byte: message[offset] }),
        None => Ok(()),
    }
}
