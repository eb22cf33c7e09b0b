//! The case table: what becomes of an ADT event, by what the census says (manual node cvgateway; cvgateway(8), CASES).
//!
//! Nothing here asks, sends or changes anything: [`decide`] is a function of the event, the census and the places that
//! the message names. Where the manual leaves a case open, the safe answer is taken: an update never moves a patient,
//! and a location outside of the care unit admits and transfers nobody.

use std::fmt;

/// The ADT events that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Admit.
    A01,
    /// Transfer.
    A02,
    /// Discharge.
    A03,
    /// Update.
    A08,
    /// Cancel admission.
    A11,
    /// Cancel transfer.
    A12,
    /// Cancel discharge.
    A13,
    /// Swap two patients.
    A17,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 8] =
        [Event::A01, Event::A02, Event::A03, Event::A08, Event::A11, Event::A12, Event::A13, Event::A17];

    /// The event as MSH-9.2 has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Event::A01 => "A01",
            Event::A02 => "A02",
            Event::A03 => "A03",
            Event::A08 => "A08",
            Event::A11 => "A11",
            Event::A12 => "A12",
            Event::A13 => "A13",
            Event::A17 => "A17",
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.name().as_bytes() == name)
    }

    /// The number that `idb_direct -e` takes; the cancellations are not asked about.
    #[must_use]
    pub fn number(self) -> Option<u8> {
        match self {
            Event::A01 => Some(1),
            Event::A02 => Some(2),
            Event::A03 => Some(3),
            Event::A08 => Some(8),
            Event::A17 => Some(17),
            Event::A11 | Event::A12 | Event::A13 => None,
        }
    }

    /// Whether the census is asked with two beds, so that the answer has two triples.
    #[must_use]
    pub fn has_two(self) -> bool {
        matches!(self, Event::A02 | Event::A17)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One triple of idb_direct's answer: what the census says about a patient and a bed (manual node idb_direct).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// 0: the bed is free or none was named, the patient unknown.
    #[default]
    FreeUnknown,
    /// 1: the bed is taken, the patient unknown.
    TakenUnknown,
    /// 2: the bed is free or none was named, the patient known.
    FreeKnown,
    /// 3: the bed is taken by somebody else, the patient known.
    TakenKnown,
    /// 7: the patient is in the bed.
    There,
}

impl Status {
    /// The status of these three bits; `None` for what no triple can be, since a match implies taken and known.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Status> {
        Some(match bits {
            0 => Status::FreeUnknown,
            1 => Status::TakenUnknown,
            2 => Status::FreeKnown,
            3 => Status::TakenKnown,
            7 => Status::There,
            _ => return None,
        })
    }

    /// The three bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Status::FreeUnknown => 0,
            Status::TakenUnknown => 1,
            Status::FreeKnown => 2,
            Status::TakenKnown => 3,
            Status::There => 7,
        }
    }

    /// The patient is in the census, in whatever bed.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.bits() & 2 != 0
    }

    /// Somebody is in the bed.
    #[must_use]
    pub fn is_taken(self) -> bool {
        self.bits() & 1 != 0
    }
}

/// Where a message puts a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In a bed of the care unit.
    Bed,
    /// In the care unit, and in no bed yet.
    Ward,
    /// Nowhere: the location is empty.
    NoBed,
    /// Somewhere that is not of the care unit.
    Outside,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send the message to the ADT application, with its location or without.
    Forward {
        /// Whether PV1-3 stays.
        located: bool,
    },
    /// Begin again as if the message had been of this event.
    Become(Event),
    /// Begin again as a transfer of one patient of a swap: 0 the first, 1 the second.
    TransferOne(usize),
    /// It has been done before.
    Nothing,
    /// Answer AE: the message cannot be carried out.
    Refuse,
    /// Answer AR: the census contradicts itself.
    Distrust,
}

/// A row of the case table: what is to be done, and in words for the sender. `{bed}` stands for the bed's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What to do.
    pub action: Action,
    /// What MSA-3 says of it.
    pub text: &'static str,
}

const fn case(action: Action, text: &'static str) -> Case {
    Case { action, text }
}

const KEEP: Action = Action::Forward { located: true };
const CLEAR: Action = Action::Forward { located: false };
const CONTRADICTION: Case = case(Action::Distrust, "the census contradicts itself");

/// Takes a decision. `first` and `second` are the triples (the second counts for A02 and A17 only), `places` where the
/// message puts the first and the second patient; for A02 the one place is the new one.
#[must_use]
pub fn decide(event: Event, first: Status, second: Status, places: [Where; 2]) -> Case {
    match event {
        Event::A01 => admit(first, places[0]),
        Event::A02 => transfer(first, second, places[0]),
        Event::A03 => match first.is_known() {
            true => case(KEEP, "discharged"),
            false => case(Action::Refuse, "not discharged: the patient is unknown"),
        },
        Event::A08 => update(first, places[0]),
        Event::A11 | Event::A12 | Event::A13 => case(KEEP, "forwarded; the effect is not controlled"),
        Event::A17 => swap(first, second, places),
    }
}

fn admit(status: Status, place: Where) -> Case {
    if place != Where::Bed && status.is_taken() {
        return CONTRADICTION;
    }
    match (status.is_known(), place) {
        (true, _) => case(Action::Become(Event::A08), "the patient is known already"),
        (false, Where::Outside) => {
            case(Action::Refuse, "not admitted: the location is not of this care unit")
        }
        (false, Where::Ward | Where::NoBed) => case(CLEAR, "admitted to the waiting list: no bed was named"),
        (false, Where::Bed) if status.is_taken() => {
            case(CLEAR, "admitted to the waiting list: bed {bed} is taken")
        }
        (false, Where::Bed) => case(KEEP, "admitted to {bed}"),
    }
}

fn transfer(old: Status, new: Status, place: Where) -> Case {
    // Both triples are about the same patient.
    if old.is_known() != new.is_known() || (place != Where::Bed && new.is_taken()) {
        return CONTRADICTION;
    }
    match (new.is_known(), place) {
        (false, Where::Outside) => case(
            Action::Refuse,
            "not transferred: the patient is unknown, the location not of this care unit",
        ),
        (true, Where::Outside) => {
            case(Action::Refuse, "not transferred: the location is not of this care unit, which takes an A03")
        }
        // The ward is within the scope of the census: an admission without a bed can be tried, a transfer cannot.
        (true, Where::Ward) | (_, Where::NoBed) => case(Action::Refuse, "not transferred: no bed was named"),
        (false, Where::Ward | Where::Bed) => case(Action::Become(Event::A01), "the patient is unknown"),
        (true, Where::Bed) => match new {
            Status::There => case(Action::Nothing, "transferred already: the patient is in {bed}"),
            Status::TakenKnown => case(Action::Refuse, "not transferred: another patient is in {bed}"),
            _ => case(KEEP, "transferred to {bed}"),
        },
    }
}

fn update(status: Status, place: Where) -> Case {
    if place != Where::Bed && status.is_taken() {
        return CONTRADICTION;
    }
    match status {
        Status::FreeUnknown | Status::TakenUnknown => {
            case(Action::Become(Event::A01), "the patient is unknown")
        }
        Status::There => case(KEEP, "updated"),
        Status::FreeKnown | Status::TakenKnown => case(CLEAR, "updated; the patient stays where he is"),
    }
}

/// Why two patients cannot change places, before the census is asked: it is one patient twice, or one bed.
#[must_use]
pub fn swap_fault(records: [&[u8]; 2], beds: [&str; 2]) -> Option<&'static str> {
    if records[0] == records[1] {
        return Some("not swapped: both patients have the same number");
    }
    (beds[0] == beds[1] && !beds[0].is_empty())
        .then_some("not swapped: both patients are to be in the same bed")
}

fn swap(first: Status, second: Status, places: [Where; 2]) -> Case {
    let statuses = [first, second];
    if statuses.iter().zip(places).any(|(status, place)| place != Where::Bed && status.is_taken()) {
        return CONTRADICTION;
    }
    match (first.is_known(), second.is_known()) {
        (false, false) => case(Action::Refuse, "not swapped: neither patient is known"),
        (true, false) => case(Action::TransferOne(0), "the second patient is unknown and not admitted"),
        (false, true) => case(Action::TransferOne(1), "the first patient is unknown and not admitted"),
        (true, true) if places.contains(&Where::Outside) => {
            case(Action::Refuse, "not swapped: a location is not of this care unit, which takes an A03")
        }
        (true, true) if places.iter().any(|place| *place != Where::Bed) => {
            case(Action::Refuse, "not swapped: no bed was named for one of the patients")
        }
        (true, true) => case(KEEP, "forwarded; the effect is not controlled"),
    }
}

#[cfg(test)]
mod tests;
