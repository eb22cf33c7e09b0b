//! An incoming connection of the configuration.

use std::sync::Arc;

use super::answer::Manner;
use crate::bell::Bell;
use crate::config::{Connection, Debug, Socket};

/// An incoming connection.
#[derive(Debug)]
pub(super) struct Input {
    /// Its number in the configuration.
    pub(super) number: usize,
    pub(super) name: Arc<str>,
    pub(super) socket: Socket,
    pub(super) manner: Manner,
    pub(super) debug: Debug,
    /// Rung when a message of it was stored.
    pub(super) bells: Vec<Arc<Bell>>,
    pub(super) open: usize,
    pub(super) framing_errors: u64,
    /// A message of it was stored in this turn.
    pub(super) stored: bool,
}

impl Input {
    pub(super) fn new(
        number: usize,
        connection: &Connection,
        socket: &Socket,
        bells: Vec<Arc<Bell>>,
    ) -> Input {
        let manner = match (socket.use_ack, connection.use_hl7) {
            (false, _) => Manner::Silent,
            (true, true) => Manner::Hl7,
            (true, false) => Manner::Mllp,
        };
        Input {
            number,
            name: connection.name.as_str().into(),
            socket: socket.clone(),
            manner,
            debug: connection.debug.clone(),
            bells,
            open: 0,
            framing_errors: 0,
            stored: false,
        }
    }
}
