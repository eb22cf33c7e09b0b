//! What the event loop's tokens stand for.

use protogen_sys::event_loop::Token;

/// The owner of a socket or of a timer, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A listening socket.
    Listener(usize),
    /// A peer that brings messages.
    Client(u32),
    /// The socket of an outgoing connection, and the timer of what is written there.
    Outlet(usize),
    /// The timer of an outgoing connection: its peer's answer, or a pause.
    OutletTimer(usize),
    /// The pause before a connection is made again.
    Dial(usize),
}

/// Timers of the loop itself, which have no owner.
pub(super) const PRUNE_TIMER: Token = Token(usize::MAX >> 1);
pub(super) const AGAIN_TIMER: Token = Token((usize::MAX >> 1) - 1);

const SHIFT: u32 = 32;

impl Owner {
    pub(super) fn token(self) -> Token {
        let (kind, number) = match self {
            Owner::Listener(number) => (0, number),
            Owner::Client(number) => (1, number as usize),
            Owner::Outlet(number) => (2, number),
            Owner::OutletTimer(number) => (3, number),
            Owner::Dial(number) => (4, number),
        };
        Token((kind << SHIFT) | number)
    }

    pub(super) fn of(token: Token) -> Owner {
        let number = token.0 & ((1 << SHIFT) - 1);
        match token.0 >> SHIFT {
            0 => Owner::Listener(number),
            1 => Owner::Client(u32::try_from(number).unwrap_or(u32::MAX)),
            2 => Owner::Outlet(number),
            3 => Owner::OutletTimer(number),
            _ => Owner::Dial(number),
        }
    }
}
