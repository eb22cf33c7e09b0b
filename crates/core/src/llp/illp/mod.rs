//! ILLP: one transaction a connection, the ends of the streams are the ends of the messages.
//!
//! The client connects, may name itself with a connection id (`TOKEN <STX>`), writes one message and shuts down its
//! write half. The server reads to the end, serves, writes one reply and closes; the client reads to the end. A server
//! never needs to trust what comes before the end of its input, and does not.

mod client;
mod server;
mod settings;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use server::Server;
pub use settings::Settings;

/// Ends the connection id.
pub const STX: u8 = 0x02;
/// A connection id ends within so many bytes, or there is none.
pub const TOKEN_WINDOW: usize = 64;

/// Whether these bytes can be a connection id: printable ASCII without blanks, short enough for the server's window.
pub fn is_token(token: &[u8]) -> bool {
    token.len() < TOKEN_WINDOW && token.iter().all(u8::is_ascii_graphic)
}
