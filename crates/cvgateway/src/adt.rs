//! ADT: a message walks through the case table until it is sent, refused or done.

use std::collections::BTreeMap;

use protogen_core::hl7::{Message, Outcome};

use crate::decide::{Action, Event, Status, Where, decide, swap_fault};
use crate::outgoing::Adt;
use crate::patient::{Patient, patients};
use crate::reply::Reply;
use crate::results::{Fate, Specimen, judge};
use crate::transaction::Transaction;

/// How often the event of a message may change. The census may change meanwhile, so the table alone does not end it.
const MAX_CHANGES: usize = 2;

/// Carries out a message of an ADT event.
pub(crate) fn handle(tx: &Transaction, message: &Message, event: Event) -> Reply {
    let all = match patients(message, &tx.loaded.profile) {
        Ok(all) => all,
        Err(why) => return Reply::refused(why),
    };
    let wanted = if event == Event::A17 { 2 } else { 1 };
    if all.len() != wanted {
        return Reply::refused(format!("expected {wanted} PID for {event}, found {}", all.len()));
    }
    if let (Event::A17, [first, second]) = (event, &all[..])
        && let Some(why) = swap_fault([&first.record, &second.record], [&first.bed, &second.bed])
    {
        tx.note(&format!("{event}: {why}"));
        return Reply::refused(why);
    }
    let admitted = tx.progress().may_be_admitted;
    let mut walk = Walk::begin(tx, message, event, &all, admitted);
    let reply = walk.go();
    walk.said.push(reply.text);
    Reply { text: walk.said.join("; "), ..reply }
}

/// A message that CareVue took as this event before the gateway was killed: what was still to be done is done, and
/// nothing is sent again.
pub(crate) fn finish(tx: &Transaction, message: &Message, event: Event) -> Reply {
    let all = match patients(message, &tx.loaded.profile) {
        Ok(all) => all,
        Err(why) => return Reply::refused(why),
    };
    let walk = Walk::begin(tx, message, event, &all, false);
    let (observed, left) = walk.observed();
    let text = format!("CareVue took it as {event} before the gateway was interrupted; it is not sent again");
    walk.follow_up(&observed, left, text, false)
}

/// A message on its way through the table.
struct Walk<'a> {
    tx: &'a Transaction<'a>,
    message: &'a Message<'a>,
    /// The event as which it is handled now.
    event: Event,
    patients: Vec<&'a Patient>,
    /// It is the transfer of one patient of a swap, which admits nobody.
    of_swap: bool,
    /// The same message was sent to CareVue as an admission before, whose effect is not known.
    admitted: bool,
    /// The cases it has been through.
    said: Vec<String>,
}

impl<'a> Walk<'a> {
    /// At the beginning of its way.
    fn begin(
        tx: &'a Transaction<'a>,
        message: &'a Message<'a>,
        event: Event,
        all: &'a [Patient],
        admitted: bool,
    ) -> Walk<'a> {
        Walk {
            tx,
            message,
            event,
            patients: all.iter().collect(),
            of_swap: false,
            admitted,
            said: Vec::new(),
        }
    }

    fn go(&mut self) -> Reply {
        for _ in 0..=MAX_CHANGES {
            let census = &self.tx.loaded.census;
            let (first, second) = match census.ask(self.event, &self.patients) {
                Ok(statuses) => statuses,
                Err(error) => return error.reply(),
            };
            let places =
                [self.patients[0].place, self.patients.last().map_or(self.patients[0].place, |p| p.place)];
            let case = decide(self.event, first, second, places);
            let text = case.text.replace("{bed}", &self.patients[0].bed);
            let looked = match (self.event.number(), self.event.has_two()) {
                (None, _) => String::new(),
                (_, false) => format!("census {}: ", first.bits()),
                (_, true) => format!("census {}.{}: ", first.bits(), second.bits()),
            };
            self.tx.note(&format!("{}: {looked}{text}", self.event));
            match case.action {
                // Its first coming was an admission, which has left the patient without the bed.
                Action::Nothing | Action::Refuse
                    if self.admitted
                        && self.event == Event::A02
                        && first.is_known()
                        && matches!(places[0], Where::Bed | Where::Ward) =>
                {
                    self.event = Event::A01;
                    let (observed, left) = self.observed();
                    let text = format!("{text}; CareVue took it as A01 before, and it is not sent again");
                    return self.follow_up(&observed, left, text, false);
                }
                Action::Forward { located } => return self.forward(located, text),
                Action::Nothing => return Reply::done(text),
                Action::Refuse => return Reply::refused(text),
                Action::Distrust => return Reply::later(text),
                Action::Become(Event::A01) if self.of_swap => {
                    return Reply::refused(format!(
                        "not transferred: {text} by now, and a swap admits nobody"
                    ));
                }
                Action::Become(event) => self.event = event,
                Action::TransferOne(n) => {
                    self.event = Event::A02;
                    self.of_swap = true;
                    self.patients = vec![self.patients[n]];
                }
            }
            self.said.push(text);
        }
        Reply::later("the census changes while it is looked at")
    }

    fn forward(&self, located: bool, text: String) -> Reply {
        let (observed, left) = self.observed();
        let adt = Adt { event: self.event, patients: &self.patients, located, observed: &observed };
        let kind = (&b"ADT"[..], self.event.name().as_bytes());
        let sent = self
            .tx
            .forward(kind, b"ADT", "", |header| adt.write(header, self.message, &self.tx.loaded.profile));
        if let Err(reply) = sent {
            return reply;
        }
        self.follow_up(&observed, left, text, located)
    }

    /// What is to be done when CareVue has taken it: `idb_direct -c`.
    /// `located`: with the location of the message.
    fn follow_up(
        &self,
        observed: &BTreeMap<char, String>,
        left: Vec<String>,
        text: String,
        located: bool,
    ) -> Reply {
        let mut text = text;
        for why in left {
            text = format!("{text}; {why}");
        }
        // Where an admission came before this update, what belongs to it was not done.
        let event = if self.admitted && self.event == Event::A08 { Event::A01 } else { self.event };
        let commits = event == Event::A01 || event == Event::A08 && !observed.is_empty();
        let patient = self.patients[0];
        match commits.then(|| self.tx.commit(event, patient, observed)) {
            Some(Err(why)) => text = format!("{text}; CareVue took it, but idb_direct -c failed: {why}"),
            Some(Ok(status))
                if self.event == Event::A01
                    && located
                    && patient.place == Where::Bed
                    && status != Status::There =>
            {
                text = format!("{text}; but the patient is not in {}", patient.bed);
                self.tx.misplaced(&patient.bed);
            }
            _ => {}
        }
        Reply { outcome: Outcome::Accepted, text }
    }

    /// The admit observations that the message carries, and what was left out of them. Only events 1 and 8 have any.
    fn observed(&self) -> (BTreeMap<char, String>, Vec<String>) {
        let (mut observed, mut left) = (BTreeMap::new(), Vec::new());
        if !matches!(self.event, Event::A01 | Event::A08) {
            return (observed, left);
        }
        let Ok(own) = Message::parse(&self.patients[0].bytes) else { return (observed, left) };
        for obx in own.named(*b"OBX") {
            match judge(&obx, &Specimen::default(), &self.tx.loaded.tables) {
                Fate::Admit { kind, value } => {
                    observed.insert(kind, value);
                }
                // Another observation may be a source of ZDM; it is no result here.
                Fate::Left { code, why, alarm: true, admit: true } => {
                    self.tx.alarm(&code, &why);
                    left.push(format!("{code} left out: {why}"));
                }
                _ => {}
            }
        }
        (observed, left)
    }
}
