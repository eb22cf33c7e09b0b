//! One message on its way through the gateway: what it may ask for, and what is written down of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protogen_core::hl7::{AckCode, Message};

use crate::APPLICATION;
use crate::adt;
use crate::decide::{Event, Status};
use crate::gateway::{Gateway, Loaded};
use crate::journal::{Entry, FORWARD_ANSWERED, FORWARDED};
use crate::outgoing::Header;
use crate::patient::Patient;
use crate::repeats::Progress;
use crate::reply::{Reply, printable};
use crate::results;

/// The longest control id that CareVue takes (HL7 v2.1 MSH-10).
const MAX_CONTROL_ID: usize = 20;
/// What is told of CareVue's own words.
const MAX_TOLD: usize = 120;

/// A message in work.
pub(crate) struct Transaction<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) loaded: &'a Loaded,
    pub(crate) target: Target<'a>,
    /// MSH-10 as it was received.
    pub(crate) control_id: Vec<u8>,
    /// How far the same bytes came before, and then how far they came now.
    pub(crate) progress: Mutex<Progress>,
}

/// Where messages go.
pub(crate) enum Target<'a> {
    /// To CareVue, and into the journal.
    CareVue(&'a Entry),
    /// Nowhere: what would be done is collected (`--dry-run`).
    Nobody(Mutex<Vec<String>>),
}

impl Transaction<'_> {
    /// Carries out a message: the character set is CareVue's, access was granted.
    pub(crate) fn carry_out(&self, message: &Message) -> Reply {
        let kind = message.header(9);
        let (kind, event) = (kind.component(1), kind.component(2));
        // HL7 v2.1 may leave the event to EVN-1.
        let from_evn = kind.raw() == b"ADT" && !event.is_valued();
        let event = if from_evn { message.field(*b"EVN", 1) } else { event };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.loaded.profile.ignores(&text(kind.raw()), &text(event.raw())) {
            let count = self.gateway.ignored.fetch_add(1, Ordering::Relaxed) + 1;
            log::info!("{}: ignored by profile, the {count}. since the start", self.name());
            return Reply::done("ignored by profile");
        }
        match (kind.raw(), Event::of_name(event.raw())) {
            (b"ADT", Some(event)) => self.gateway.one_at_a_time(|| adt::handle(self, message, event)),
            (b"ORU", _) => self.gateway.beside_others(|| results::handle(self, message)),
            (b"NMD", _) => self.network_data(message),
            _ => {
                // A blank, for MSA-3 would have to escape the separator.
                let named = [kind.raw(), event.raw()].map(|part| printable(part, 20)).join(" ");
                Reply::later(format!("message type {} is not supported", named.trim_end()))
            }
        }
    }

    fn network_data(&self, message: &Message) -> Reply {
        let receiver = message.header(5);
        if receiver.component(1).raw() == APPLICATION.as_bytes() {
            return Reply::done("");
        }
        let sent = self.gateway.beside_others(|| {
            let kind = (&b"NMD"[..], message.header(9).component(2).raw());
            self.forward(kind, receiver.raw(), "", |header| {
                let mut out = Vec::new();
                let header = Header { receiver: (receiver.raw(), message.header(6).raw()), ..*header };
                header.write(message, &mut out);
                for segment in message.segments().skip(1) {
                    out.extend_from_slice(segment.raw());
                    out.push(b'\r');
                }
                out
            })
        });
        sent.map_or_else(|reply| reply, |()| Reply::done("forwarded"))
    }

    /// Sends a message to an application of CareVue; `suffix` tells several of one received message apart.
    ///
    /// # Errors
    /// What the sender is answered, if CareVue did not say AA.
    pub(crate) fn forward(
        &self,
        kind: (&[u8], &[u8]),
        application: &[u8],
        suffix: &str,
        write: impl FnOnce(&Header) -> Vec<u8>,
    ) -> Result<(), Reply> {
        let id = [&self.control_id, suffix.as_bytes()].concat();
        let fits = !self.control_id.is_empty() && id.len() <= MAX_CONTROL_ID;
        let id = if fits { id } else { self.gateway.own_id().into_bytes() };
        let facility = &self.gateway.facility;
        let time = crate::gateway::now();
        let header = Header {
            receiver: (application, facility.as_bytes()),
            facility,
            time: &time,
            kind,
            control_id: &id,
        };
        let message = write(&header);
        // What the gateway adds may make it too long.
        self.loaded.fsi.can_send(&message).map_err(|error| {
            log::error!("{}: CareVue's form of it cannot be sent: {error}", self.name());
            Reply::refused(format!("CareVue's form of it cannot be sent: {error}"))
        })?;
        let entry = match &self.target {
            Target::CareVue(entry) => entry,
            Target::Nobody(_) => {
                self.note(&String::from_utf8_lossy(&message).replace('\r', "\n"));
                return Ok(());
            }
        };
        entry.write(FORWARDED, suffix, &message).map_err(|error| {
            log::error!("{}: cannot be written: {error}", self.name());
            Reply::later("the journal cannot be written")
        })?;
        let admits = kind == (b"ADT", b"A01");
        self.progress().may_be_admitted |= admits;
        let answer = self.loaded.fsi.exchange(&message).map_err(|error| {
            log::error!("{}: CareVue unreachable: {error}", self.name());
            Reply::later("CareVue unreachable")
        })?;
        if let Err(error) = entry.write(FORWARD_ANSWERED, suffix, &answer) {
            // CareVue has it: what is true is told to the sender, with or without the copy.
            log::error!("{}: CareVue's answer cannot be written: {error}", self.name());
        }
        let judged = judge_answer(&answer, &id);
        let mut progress = self.progress();
        match judged {
            Judged::Taken => {
                if kind.0 == b"ORU" {
                    progress.parts.insert(suffix.to_owned());
                }
                Ok(())
            }
            Judged::Refused(reply) => {
                progress.may_be_admitted &= !admits;
                Err(reply)
            }
            Judged::Unclear(reply) => Err(reply),
        }
    }

    /// How far the message came.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into CareVue's database by `idb_direct -c`. A failure is mailed.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) fn commit(
        &self,
        event: Event,
        patient: &Patient,
        observed: &BTreeMap<char, String>,
    ) -> Result<Status, String> {
        if let Target::Nobody(_) = &self.target {
            self.note(&format!("{event}: idb_direct -c {observed:?}"));
            return Ok(Status::There);
        }
        self.loaded.census.commit(event, patient, observed).map_err(|error| {
            log::error!("{}: idb_direct -c failed for {event}", self.name());
            let subject = format!("cvgateway: idb_direct -c failed for message {}", self.name());
            let text = format!(
                "CareVue took the message, but the step after it failed: {}\n\
                 Look into the patient's record in CareVue; the files of the message are in {}.\n",
                error.text(),
                self.gateway.journal.directory().display()
            );
            self.gateway.notices.mail(subject, text);
            error.text().to_owned()
        })
    }

    /// CareVue took an admission, and the patient is not in the bed that it named: the administrator is told, without a
    /// name.
    pub(crate) fn misplaced(&self, bed: &str) {
        log::error!("{}: CareVue took the admission, but the patient is not in {bed}", self.name());
        let subject = format!("cvgateway: the patient of message {} is not in {bed}", self.name());
        let text = format!(
            "CareVue took the admission to {bed}, but its census does not have the patient there.\n\
             Look into the census; the files of the message are in {}.\n",
            self.gateway.journal.directory().display()
        );
        self.gateway.notices.mail(subject, text);
    }

    /// A value was left out for its bounds or its unit: the administrator and the ward are told, without a name.
    pub(crate) fn alarm(&self, code: &str, why: &str) {
        if matches!(self.target, Target::Nobody(_)) {
            return;
        }
        let id = printable(&self.control_id, MAX_CONTROL_ID);
        let subject = format!("cvgateway: a value of message {id} was left out");
        let text = format!("{code}: {why}\nThe message is in the journal: {}\n", self.name());
        self.gateway.notices.mail(subject, text);
        self.gateway.notices.show(format!("HL7: {code} of message {id} was not taken"));
    }

    /// Something that `--dry-run` prints.
    pub(crate) fn note(&self, text: &str) {
        if let Target::Nobody(notes) = &self.target {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
    }

    /// The message as log lines name it: its control id and its files.
    pub(crate) fn name(&self) -> String {
        let id = printable(&self.control_id, 64);
        match &self.target {
            Target::CareVue(entry) => format!("{id} ({})", entry.name()),
            Target::Nobody(_) => id,
        }
    }
}

/// What CareVue says of a message.
pub(crate) enum Judged {
    /// It took it.
    Taken,
    /// It did not take it; what the sender is answered.
    Refused(Reply),
    /// Whether it took it is not known; what the sender is answered.
    Unclear(Reply),
}

/// What CareVue says of a message with this control id.
pub(crate) fn judge_answer(answer: &[u8], id: &[u8]) -> Judged {
    let unclear = |why: &str| {
        Judged::Unclear(Reply::later(format!("CareVue's answer is {why}; whether it took it is not known")))
    };
    let Ok(answer) = Message::parse(answer) else { return unclear("no HL7") };
    let about = answer.field(*b"MSA", 2);
    if about.is_valued() && about.raw() != id {
        return unclear("for another message");
    }
    let told = printable(&answer.field(*b"MSA", 3).text(), MAX_TOLD);
    match AckCode::of(&answer) {
        Some(AckCode::AA | AckCode::CA) => Judged::Taken,
        Some(AckCode::AE | AckCode::CE) => {
            Judged::Refused(Reply::refused(format!("CareVue refuses: {told}")))
        }
        Some(AckCode::AR | AckCode::CR) => Judged::Refused(Reply::later(format!("CareVue rejects: {told}"))),
        _ => unclear("no acknowledgment"),
    }
}
