//! From what was read to the journal, and the answers of that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protogen_core::hl7::Outcome;
use protogen_journal::{Message, Refusal};
use protogen_sys::event_loop::EventLoop;

use super::{Group, Intake, Sender};
use crate::engine::token::Owner;
use crate::log;

/// How long inputs wait that take nothing, before they are looked at again.
const AGAIN: Duration = Duration::from_millis(100);
/// The same while messages wait for room.
const AGAIN_PARKED: Duration = Duration::from_millis(10);
/// How long a message that was not stored counts against our health, if none is stored meanwhile.
const REFUSED: Duration = Duration::from_secs(60);
/// How long messages that come one after the other are taken along before the first of them is stored.
const GROW: Duration = Duration::from_micros(50);

impl Intake {
    /// Whether messages are taken.
    ///
    /// # Errors
    /// Why they are not.
    pub(in crate::engine) fn health(&self, now: Instant) -> Result<(), String> {
        if let Some((when, why)) = &self.refused
            && now.duration_since(*when) < REFUSED
        {
            return Err(format!("the journal takes no message: {why}"));
        }
        match self.inputs.iter().find_map(|input| Some((input, input.full.as_ref()?))) {
            Some((input, why)) => Err(format!("{} takes no message: {why}", input.name)),
            None => Ok(()),
        }
    }

    /// Whether there are messages to be stored.
    pub(in crate::engine) fn has_group(&self) -> bool {
        self.group.begun.is_some()
    }

    /// Whether more may be taken along before they are stored.
    pub(in crate::engine) fn may_grow(&self, now: Instant) -> bool {
        self.group.begun.is_some_and(|begun| now.duration_since(begun) < GROW)
    }

    /// Stores what has come and answers it: all that was ready is one group.
    pub(in crate::engine) fn turn_ends(&mut self, events: &mut EventLoop, now: Instant) {
        if self.again_at.is_some_and(|due| due <= now) {
            self.again_at = None;
            self.look();
            self.try_again();
            self.take_parked(events, now);
        }
        self.store(events, now);
        if self.inputs.iter().any(|input| !input.parked.is_empty()) {
            self.again_at.get_or_insert(now + AGAIN_PARKED);
        } else if self.inputs.iter().any(|input| input.full.is_some() || input.is_blocked()) {
            self.again_at.get_or_insert(now + AGAIN);
        }
        if !self.held.is_empty() && !self.stopping {
            self.read_those_held(events);
        }
    }

    /// Looks which inputs may take more.
    pub(super) fn look(&mut self) {
        self.inputs.iter_mut().for_each(|input| input.look(&self.journal));
    }

    /// Those that were not read because of others are read again, unless that still holds.
    pub(super) fn read_those_held(&mut self, events: &mut EventLoop) {
        let (clients, inputs) = (&self.clients, &self.inputs);
        self.held.retain(|id| {
            let Some(client) = clients.get(id) else { return false };
            let is_blocked = inputs[client.input].is_blocked();
            if !is_blocked {
                events.revisit(Owner::Client(*id).token());
            }
            is_blocked
        });
    }

    /// What waits for room, as far as there is some; who has waited too long is told to try later.
    pub(super) fn take_parked(&mut self, events: &mut EventLoop, now: Instant) {
        let time = SystemTime::now();
        let mut told = Vec::new();
        for (index, input) in self.inputs.iter_mut().enumerate() {
            for _ in 0..input.room {
                let Some(waiting) = input.parked.take() else { break };
                // One that has gone has no answer, and sends it again.
                if self.clients.contains_key(&waiting.client) {
                    let message = Message { connection: Arc::clone(&input.name), time, bytes: waiting.bytes };
                    let (client, slot, answer) = (waiting.client, waiting.slot, waiting.answer);
                    self.group.push(message, Sender { client, slot, input: index, answer, hears_no: true });
                }
            }
            while let Some(late) = input.parked.take_late(now) {
                let Some(client) = self.clients.get_mut(&late.client) else { continue };
                let text = format!("try later: {}", input.full.as_deref().unwrap_or("the router ends"));
                let settings = &input.socket.mllp;
                let no = self.answers.negative(
                    &late.bytes,
                    input.manner,
                    Outcome::Rejected,
                    &text,
                    settings,
                    time,
                );
                client.slots.answer(late.slot, no, None);
                told.push(late.client);
            }
        }
        for id in told {
            self.settle(id, events, now);
        }
    }

    /// What could not be stored before, of inputs that may take more now.
    pub(super) fn try_again(&mut self) {
        for (index, input) in self.inputs.iter_mut().enumerate().filter(|(_, input)| input.full.is_none()) {
            for bytes in input.again.drain(..) {
                let message = Message { connection: Arc::clone(&input.name), time: SystemTime::now(), bytes };
                // No client has this slot: there is nobody to answer.
                let (client, slot, answer) = (u32::MAX, 0, Vec::new());
                let sender = Sender { client, slot, input: index, answer, hears_no: false };
                self.group.push(message, sender);
            }
        }
    }

    /// When [`turn_ends`](Intake::turn_ends) has something to do without an event.
    pub(in crate::engine) fn poll_timeout(&self) -> Option<Instant> {
        self.again_at
    }

    /// Stores the group, waiting for the disk, and answers the senders.
    pub(super) fn store(&mut self, events: &mut EventLoop, now: Instant) {
        if self.group.messages.is_empty() {
            return;
        }
        let Group { mut messages, mut senders, .. } = std::mem::take(&mut self.group);
        let results = self.producer.store(&messages);
        let time = SystemTime::now();
        for ((result, sender), message) in results.into_iter().zip(senders.drain(..)).zip(messages.drain(..))
        {
            let input = &mut self.inputs[sender.input];
            if let Err(refusal @ (Refusal::Full | Refusal::Failed)) = &result {
                self.refused = Some((now, refusal.to_string()));
            }
            let answer = match result {
                Ok(_) => {
                    input.stored = true;
                    self.refused = None;
                    input.outboxes.meter.took(message.bytes.len());
                    sender.answer
                }
                Err(refusal) if !sender.hears_no && refusal != Refusal::TooLong => {
                    input.keep(message.bytes, refusal);
                    Vec::new()
                }
                Err(refusal) => {
                    log::error!(&input.name, "not stored, the sender is to try later: {refusal}");
                    let (text, settings) = (format!("try later: {refusal}"), &input.socket.mllp);
                    let (manner, outcome) = (input.manner, Outcome::Rejected);
                    self.answers.negative(&message.bytes, manner, outcome, &text, settings, time)
                }
            };
            if let Some(here) = self.clients.get_mut(&sender.client) {
                let due = (!input.debug.delayack.is_zero()).then(|| now + input.debug.delayack);
                log::debug!(&input.name, "{}: answered {}", here.peer, answer.escape_ascii());
                here.slots.answer(sender.slot, answer, due);
                if self.touched.last() != Some(&sender.client) {
                    self.touched.push(sender.client);
                }
            }
        }
        self.look();
        // Their room is used again.
        (self.group.messages, self.group.senders) = (messages, senders);
        for input in &mut self.inputs {
            if std::mem::take(&mut input.stored) {
                input.kept();
                input.outboxes.now().iter().for_each(|(outbox, _)| outbox.bell.ring());
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched.drain(..) {
            self.settle(id, events, now);
        }
        self.touched = touched;
    }
}
