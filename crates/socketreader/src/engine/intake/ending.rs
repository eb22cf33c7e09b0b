//! How incoming connections end: what they took is stored and answered first.

use std::ops::ControlFlow;
use std::time::Instant;

use protogen_sys::event_loop::{Drained, EventLoop};

use super::{Intake, TURN};
use crate::engine::client::Client;
use crate::engine::replies::Replies;
use crate::engine::token::Owner;

impl Intake {
    /// A peer that was told that nothing more comes may send what it likes, for a while: closed at once, it might not read
    /// its last answers.
    pub(super) fn ignore(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.wire.drain(&mut self.buffer, TURN, |_| ControlFlow::Continue(())) {
            Ok(Drained::WouldBlock) => {}
            Ok(Drained::Stopped) => events.revisit(Owner::Client(id).token()),
            Ok(Drained::End) | Err(_) => return self.close(id, events),
        }
        self.settle(id, events, now);
    }

    /// Takes nothing more for an incoming connection, and lets its peers go as soon as they have their answers.
    pub(in crate::engine) fn leave(&mut self, number: usize, events: &mut EventLoop, now: Instant) {
        let input = &mut self.inputs[number];
        input.parked.give_up(now);
        self.take_parked(events, now);
        self.inputs[number].leaving = true;
        let peers: Vec<u32> =
            self.clients.iter().filter(|(_, client)| client.input == number).map(|(id, _)| *id).collect();
        for id in peers {
            self.let_go(id);
            self.settle(id, events, now);
        }
    }

    /// Waits for no commit block of a peer.
    pub(super) fn let_go(&mut self, id: u32) {
        let client = self.clients.get_mut(&id);
        client.and_then(|client| client.slots.replies()).into_iter().for_each(Replies::let_go);
    }

    /// Whether all that these incoming connections took is stored, or its senders hear that it is not.
    ///
    /// # Errors
    /// Names the one that holds something, and the remedy.
    pub(in crate::engine) fn all_stored(&self, numbers: &[usize]) -> Result<(), String> {
        let held = numbers.iter().map(|number| &self.inputs[*number]).find(|input| !input.again.is_empty());
        held.map_or(Ok(()), |input| {
            let (count, name) = (input.again.len(), &input.name);
            Err(format!("{count} messages of {name} cannot be stored yet; send SIGHUP again when they are"))
        })
    }

    /// Reads no more; what is being stored is still answered.
    pub(in crate::engine) fn stop(&mut self, events: &mut EventLoop, now: Instant) {
        self.stopping = true;
        let peers: Vec<u32> = self.clients.keys().copied().collect();
        for id in peers {
            self.let_go(id);
            self.settle(id, events, now);
        }
        self.inputs.iter_mut().for_each(|input| input.parked.give_up(now));
        self.again_at = Some(now);
    }

    /// Whether every message that was read is stored and its answer written.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.group.messages.is_empty() && self.clients.values().all(Client::is_answered)
    }

    /// How many messages are to be stored right now.
    pub(in crate::engine) fn in_flight(&self) -> usize {
        self.group.messages.len()
    }
}
