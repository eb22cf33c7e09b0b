//! A whole ORU: taken apart, judged, sent, and put together to one answer.

use std::collections::BTreeMap;

use protogen_core::hl7::{CR, Message, Outcome, Segment};

use super::judge::{Fate, Specimen, judge};
use crate::charset;
use crate::decide::Event;
use crate::outgoing::{join, pid, set, split};
use crate::patient::{Patient, patients};
use crate::reply::Reply;
use crate::transaction::Transaction;

/// One order of one patient: what becomes one message to CLI.
struct Part<'a> {
    patient: &'a Patient,
    /// What stands before the OBX, ready to be sent.
    head: Vec<u8>,
    /// The OBX that are sent, one after the other.
    results: Vec<u8>,
    sent: usize,
    /// Whether one of them is the gateway's own, about the specimen.
    tells_specimen: bool,
    observed: BTreeMap<char, String>,
    left: Vec<String>,
    /// The whole part is refused for this.
    refused: Option<String>,
}

/// Carries out an ORU.
pub(crate) fn handle(tx: &Transaction, message: &Message) -> Reply {
    if !tx.loaded.tables.has_results() {
        return Reply::later("no LabEventInfo or units table: results cannot be taken now");
    }
    let all = match patients(message, &tx.loaded.profile) {
        Ok(all) if !all.is_empty() => all,
        Ok(_) => return Reply::refused("no PID"),
        Err(why) => return Reply::refused(why),
    };
    let parts: Vec<Part> = all.iter().flat_map(|patient| parts(tx, patient)).collect();
    if parts.is_empty() {
        return Reply::refused("no OBX");
    }
    let several = parts.len() > 1;
    let mut outcome = Outcome::Accepted;
    let mut told = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let suffix = if several { format!(".{}", n + 1) } else { String::new() };
        let reply = part.send(tx, message, &suffix);
        // What may be sent again says so: the sender has to know first of all.
        outcome = match (outcome, reply.outcome) {
            (Outcome::Rejected, _) | (_, Outcome::Rejected) => Outcome::Rejected,
            (Outcome::Error, _) | (_, Outcome::Error) => Outcome::Error,
            _ => Outcome::Accepted,
        };
        told.push(if several { format!("part {}: {}", n + 1, reply.text) } else { reply.text });
    }
    Reply { outcome, text: told.join("; ") }
}

/// The orders of a patient; one without OBR, where there are only OBX.
fn parts<'a>(tx: &Transaction, patient: &'a Patient) -> Vec<Part<'a>> {
    // It was read from a message before.
    let Ok(message) = Message::parse(&patient.bytes) else { return Vec::new() };
    let own: Vec<Segment> = message.segments().skip_while(|segment| segment.name() != b"PID").collect();
    let is_order = |segment: &Segment| segment.name() == b"OBR";
    let first = own.iter().position(is_order).unwrap_or(own.len());
    let has_early = own[..first].iter().any(|segment| segment.name() == b"OBX");
    // OBX before the first OBR are an order of their own, with the patient's segments as its head.
    let mut starts: Vec<usize> = (first..own.len()).filter(|at| is_order(&own[*at])).collect();
    let common = if has_early { own.iter().position(|s| s.name() == b"OBX").unwrap_or(0) } else { first };
    if has_early {
        starts.insert(0, common);
    }
    let ends = starts.iter().skip(1).copied().chain([own.len()]);
    starts.iter().zip(ends).map(|(start, end)| part(tx, patient, &own[..common], &own[*start..end])).collect()
}

fn part<'a>(tx: &Transaction, patient: &'a Patient, common: &[Segment], order: &[Segment]) -> Part<'a> {
    let profile = &tx.loaded.profile;
    let kept = profile.kept("ORU", "");
    let mut part = Part {
        patient,
        head: Vec::new(),
        results: Vec::new(),
        sent: 0,
        tells_specimen: false,
        observed: BTreeMap::new(),
        left: Vec::new(),
        refused: None,
    };
    let Some(field) = common.first().or(order.first()).and_then(|first| first.raw().get(3).copied()) else {
        return part;
    };
    let specimen = Specimen::of(&source(order), profile);
    for segment in common.iter().chain(order) {
        match segment.name() {
            b"OBX" => part.take(tx, segment, &specimen, field),
            b"PID" => join(&pid(segment, patient, field), field, &mut part.head),
            name if kept.iter().any(|one| one == name) => {
                part.head.extend_from_slice(segment.raw());
                part.head.push(CR);
            }
            _ => {}
        }
    }
    part.tell_specimen(tx, &specimen, field);
    part
}

/// The specimen source of an order: OBR-15.1.1, else SPM-4.1.
fn source(order: &[Segment]) -> String {
    let named = |name: &[u8]| order.iter().find(|segment| segment.name() == name);
    let text = |segment: Option<&Segment>, n| {
        let value = segment.map(|segment| segment.field(n).repetition(1).component(1).subcomponent(1).text());
        value.map(|text| String::from_utf8_lossy(&text).into_owned()).filter(|text| !text.is_empty())
    };
    text(named(b"OBR"), 15).or_else(|| text(named(b"SPM"), 4)).unwrap_or_default()
}

impl Part<'_> {
    fn take(&mut self, tx: &Transaction, obx: &Segment, specimen: &Specimen, field: u8) {
        match judge(obx, specimen, &tx.loaded.tables) {
            Fate::Sent { key, value, unit, flag, converted } => {
                self.sent += 1;
                let mut fields = split(obx, field);
                set(&mut fields, 1, self.sent.to_string().as_bytes());
                set(&mut fields, 3, key.as_bytes());
                if let Some(value) = value {
                    set(&mut fields, 2, b"NM");
                    set(&mut fields, 5, value.as_bytes());
                }
                set(&mut fields, 6, unit.as_bytes());
                if converted {
                    set(&mut fields, 7, b"");
                }
                if fields.get(8).is_none_or(Vec::is_empty) {
                    set(&mut fields, 8, flag.as_bytes());
                }
                join(&fields, field, &mut self.results);
            }
            Fate::Admit { kind, value } => {
                self.observed.insert(kind, value);
            }
            Fate::Left { code, why, alarm, .. } => {
                log::warn!("{}: {code} left out: {why}", tx.name());
                if alarm {
                    tx.alarm(&code, &why);
                }
                self.left.push(format!("{code}: {why}"));
            }
            Fate::Withdrawn { code } => {
                self.refused = Some(format!(
                    "{code} is withdrawn by its sender, which CareVue cannot do; tell the ward"
                ));
            }
        }
    }

    /// One more OBX that says whether the blood is arterial or venous, where results are sent and the table has it.
    fn tell_specimen(&mut self, tx: &Transaction, specimen: &Specimen, field: u8) {
        let Some(side) = specimen.side.filter(|_| self.sent > 0) else { return };
        let key = format!("BGATYP{side}");
        let has = |key: &str| tx.loaded.tables.infos.as_ref().is_some_and(|infos| infos.contains_key(key));
        let texts = &tx.loaded.profile.blood_specimen;
        let Some(text) = texts.get(&specimen.code).or_else(|| texts.get("unknown")).filter(|_| has(&key))
        else {
            return;
        };
        self.sent += 1;
        self.tells_specimen = true;
        let text = charset::encode(text, tx.loaded.profile.charset);
        let fields = [
            b"OBX".to_vec(),
            self.sent.to_string().into_bytes(),
            b"ST".to_vec(),
            key.into_bytes(),
            vec![],
            text,
        ];
        join(&fields, field, &mut self.results);
    }

    fn send(&self, tx: &Transaction, message: &Message, suffix: &str) -> Reply {
        if let Some(why) = &self.refused {
            return Reply::refused(why.clone());
        }
        let left = match self.left.is_empty() {
            true => String::new(),
            false => format!("; left out: {}", self.left.join(", ")),
        };
        if self.sent == 0 && self.observed.is_empty() {
            return Reply::refused(format!("no result is left{left}"));
        }
        let mut done = Vec::new();
        if !self.observed.is_empty() {
            let written = tx.gateway.one_at_a_time(|| tx.commit(Event::A08, self.patient, &self.observed));
            match written {
                Ok(()) => done.push(format!("{} written", counted(self.observed.len(), "admit observation"))),
                Err(why) if self.sent == 0 => return Reply::refused(format!("not written: {why}{left}")),
                Err(why) => done.push(format!("admit observations not written: {why}")),
            }
        }
        if self.sent > 0 {
            let kind = (&b"ORU"[..], message.header(9).component(2).raw());
            let sent = tx.forward(kind, b"CLI", suffix, |header| {
                let mut out = Vec::with_capacity(self.head.len() + self.results.len() + 128);
                header.write(message, &mut out);
                out.extend_from_slice(&self.head);
                out.extend_from_slice(&self.results);
                out
            });
            if let Err(reply) = sent {
                return Reply { text: format!("{}{left}", reply.text), ..reply };
            }
            let own = usize::from(self.tells_specimen);
            done.push(format!("{} forwarded", counted(self.sent - own, "result")));
        }
        Reply::done(format!("{}{left}", done.join(", ")))
    }
}

/// `1 result`, `2 results`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
