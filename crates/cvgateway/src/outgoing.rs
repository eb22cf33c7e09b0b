//! The messages that CareVue gets (cvgateway(8), MESSAGES TO CAREVUE): a header of the gateway's own, the segments that
//! the profile keeps, and ZDM behind each patient's.

use std::collections::BTreeMap;

use protogen_core::hl7::{CR, Message, Segment};

use crate::APPLICATION;
use crate::decide::Event;
use crate::patient::Patient;
use crate::profile::{PatientId, Profile, Source};

/// The version in MSH-12 of what CareVue gets.
const VERSION: &[u8] = b"2.1";

/// What the header of a message says.
pub(crate) struct Header<'a> {
    /// MSH-5 and MSH-6.
    pub(crate) receiver: (&'a [u8], &'a [u8]),
    /// MSH-4.
    pub(crate) facility: &'a str,
    /// MSH-7.
    pub(crate) time: &'a str,
    /// MSH-9, type and event; the event may be empty.
    pub(crate) kind: (&'a [u8], &'a [u8]),
    /// MSH-10.
    pub(crate) control_id: &'a [u8],
}

impl Header<'_> {
    /// Appends MSH with the delimiters and the processing id of the message that was received.
    pub(crate) fn write(&self, received: &Message, out: &mut Vec<u8>) {
        let delimiters = received.delimiters();
        let mut kind = self.kind.0.to_vec();
        if !self.kind.1.is_empty() {
            kind.push(delimiters.component.unwrap_or(b'^'));
            kind.extend_from_slice(self.kind.1);
        }
        let processing = received.header(11);
        let processing = if processing.is_valued() { processing.raw() } else { b"P" };
        let fields: [&[u8]; 11] = [
            &delimiters.encoding_characters(),
            APPLICATION.as_bytes(),
            self.facility.as_bytes(),
            self.receiver.0,
            self.receiver.1,
            self.time.as_bytes(),
            b"",
            &kind,
            self.control_id,
            processing,
            VERSION,
        ];
        out.extend_from_slice(b"MSH");
        for field in fields {
            out.push(delimiters.field);
            out.extend_from_slice(field);
        }
        out.push(CR);
    }
}

/// An ADT message: these patients under this event, with their locations or without.
pub(crate) struct Adt<'a> {
    pub(crate) event: Event,
    pub(crate) patients: &'a [&'a Patient],
    pub(crate) located: bool,
    /// Admit observations by MsmtClass.
    pub(crate) observed: &'a BTreeMap<char, String>,
}

impl Adt<'_> {
    /// The message.
    pub(crate) fn write(&self, header: &Header, received: &Message, profile: &Profile) -> Vec<u8> {
        let mut out = Vec::with_capacity(received.bytes().len() + 256);
        header.write(received, &mut out);
        self.write_event(header, received, &mut out);
        for patient in self.patients {
            // Each was read from a message before.
            let Ok(message) = Message::parse(&patient.bytes) else { continue };
            self.write_patient(patient, &message, profile, &mut out);
        }
        out
    }

    /// EVN with the event in EVN-1, also where none was received.
    fn write_event(&self, header: &Header, received: &Message, out: &mut Vec<u8>) {
        let field = received.delimiters().field;
        let name = self.event.name().as_bytes();
        let mut fields = match received.named(*b"EVN").next() {
            Some(segment) => split(&segment, field),
            None => vec![b"EVN".to_vec(), Vec::new(), header.time.as_bytes().to_vec()],
        };
        set(&mut fields, 1, name);
        join(&fields, field, out);
    }

    fn write_patient(&self, patient: &Patient, message: &Message, profile: &Profile, out: &mut Vec<u8>) {
        let field = message.delimiters().field;
        let kept = profile.kept("ADT", self.event.name());
        // What stands before PID is the whole message's.
        let own = message.segments().skip_while(|segment| segment.name() != b"PID");
        for segment in own.filter(|segment| kept.iter().any(|name| name == segment.name())) {
            match segment.name() {
                b"PID" => join(&pid(&segment, patient, field), field, out),
                b"PV1" => join(&self.pv1(&segment, patient, profile, field), field, out),
                b"EVN" => {}
                _ => {
                    out.extend_from_slice(segment.raw());
                    out.push(CR);
                }
            }
        }
        self.write_zdm(patient, message, profile, out);
    }

    fn pv1(&self, segment: &Segment, patient: &Patient, profile: &Profile, field: u8) -> Vec<Vec<u8>> {
        let mut fields = split(segment, field);
        for (n, value) in fields.iter_mut().enumerate().skip(1) {
            if !profile.pv1.contains(&n) || n == 3 && !self.located {
                value.clear();
            }
        }
        if profile.patient_id == PatientId::Visit && profile.pv1.contains(&19) {
            set(&mut fields, 19, &patient.account);
        }
        fields
    }

    fn write_zdm(&self, patient: &Patient, message: &Message, profile: &Profile, out: &mut Vec<u8>) {
        let mut fields = vec![b"ZDM".to_vec()];
        for (n, source) in &profile.zdm {
            let value = match source {
                Source::Record => patient.record.clone(),
                Source::Account => patient.account.clone(),
                Source::Observed(kind) => {
                    self.observed.get(kind).map(|value| value.as_bytes().to_vec()).unwrap_or_default()
                }
                Source::Place { .. } => {
                    source.value(message).map(|value| value.raw().to_vec()).unwrap_or_default()
                }
            };
            set(&mut fields, *n, &value);
        }
        join(&fields, message.delimiters().field, out);
    }
}

/// PID with CareVue's medical record number.
pub(crate) fn pid(segment: &Segment, patient: &Patient, field: u8) -> Vec<Vec<u8>> {
    let mut fields = split(segment, field);
    set(&mut fields, 3, &patient.record);
    fields
}

/// The fields of a segment, its name first. The character set is one of single bytes.
pub(crate) fn split(segment: &Segment, field: u8) -> Vec<Vec<u8>> {
    segment.raw().split(|byte| *byte == field).map(<[u8]>::to_vec).collect()
}

/// Puts a value into field `n`.
pub(crate) fn set(fields: &mut Vec<Vec<u8>>, n: usize, value: &[u8]) {
    if fields.len() <= n {
        fields.resize(n + 1, Vec::new());
    }
    fields[n] = value.to_vec();
}

/// Appends a segment, without the empty fields at its end.
pub(crate) fn join(fields: &[Vec<u8>], field: u8, out: &mut Vec<u8>) {
    let used = fields.iter().rposition(|value| !value.is_empty()).map_or(0, |last| last + 1);
    out.extend_from_slice(&fields[..used].join(&field));
    if used == 1 {
        out.push(field);
    }
    out.push(CR);
}
