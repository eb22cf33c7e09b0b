//! The foreign system interface: HL7 messages to the applications ADT and CLI.

mod adt;
mod cli;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Result;
use protogen_core::hl7::{
    Accepted, AckCode, Acknowledgment, Message, Value, answer_network_management, is_acknowledgment,
    is_network_management, reject_unreadable,
};
use protogen_core::roman8;

use crate::manner::Manner;
use crate::state::{State, Store};
pub(crate) use server::serve;

/// What an application makes of a message.
type Judgment = std::result::Result<(), Refusal>;

/// A message that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// AE: it is not as CareVue's applications need it.
    Content(String),
    /// AR: it is not for this application.
    Address(String),
    /// The census stays as it was. The real CareVue says AA.
    Unchanged(&'static str),
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// This answer, after this time.
    Answer(Vec<u8>, Duration),
    /// None, and the connection stays open.
    Hang,
    /// None, and the connection is closed.
    Close,
}

/// Carries out a message and gives the reply, with a line for the log: type, control id and size.
fn handle(store: &Store, bytes: &[u8]) -> Result<(Reply, String)> {
    let time = jiff::ZonedDateTime::now().strftime("%Y%m%d%H%M%S").to_string();
    let id = format!("CV{}", jiff::Timestamp::now().as_microsecond());
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            let said = format!("{} bytes that are no message: {error}", bytes.len());
            let text = error.to_string();
            let answer = reject_unreadable(bytes, time.as_bytes(), id.as_bytes(), text.as_bytes());
            let reply = answer.map_or(Reply::Close, |answer| Reply::Answer(answer, Duration::ZERO));
            return Ok((reply, said));
        }
    };
    let own = Acknowledgment {
        time: time.as_bytes(),
        control_id: id.as_bytes(),
        ..Acknowledgment::new(AckCode::AA)
    };
    let about = format!(
        "{} \"{}\", {} bytes",
        message.header(9).raw().escape_ascii(),
        message.control_id().escape_ascii(),
        bytes.len()
    );
    if is_acknowledgment(&message) {
        return Ok((Reply::Close, format!("{about}: an acknowledgment is not answered")));
    }
    let (manner, judgment) = store.change(|state| Ok(carry_out(state, &message)))?;
    let delay = if let Manner::Slow(time) = manner { Duration::from_millis(time) } else { Duration::ZERO };
    let (code, text) = match (manner, judgment) {
        (Manner::Hang, _) => return Ok((Reply::Hang, format!("{about}: left hanging"))),
        (Manner::Close, _) => return Ok((Reply::Close, format!("{about}: closed"))),
        (Manner::Lose, _) => return Ok((Reply::Close, format!("{about}: done, closed without an answer"))),
        (Manner::Ae, _) => (AckCode::AE, "told to refuse".to_owned()),
        (Manner::Ar, _) => (AckCode::AR, "told to reject".to_owned()),
        (_, Ok(())) => (AckCode::AA, String::new()),
        (Manner::Honest, Err(Refusal::Unchanged(why))) => (AckCode::AE, why.to_owned()),
        (_, Err(Refusal::Unchanged(why))) => {
            log::info!("{about}: AA, though {why}");
            (AckCode::AA, String::new())
        }
        (_, Err(Refusal::Content(why))) => (AckCode::AE, why),
        (_, Err(Refusal::Address(why))) => (AckCode::AR, why),
    };
    let said = if text.is_empty() { format!("{about}: {code}") } else { format!("{about}: {code}, {text}") };
    let own = Acknowledgment { code, text: text.as_bytes(), ..own };
    let managed = if is_network_management(&message) && code == AckCode::AA {
        answer_network_management(&message, None, &own)
    } else {
        None
    };
    Ok((Reply::Answer(managed.unwrap_or_else(|| own.answer(&message)), delay), said))
}

/// Changes the state as the message and the manner want it.
fn carry_out(state: &mut State, message: &Message) -> (Manner, Judgment) {
    let manner = state.manner;
    if let Some(times) = state.times {
        match times.saturating_sub(1) {
            0 => (state.manner, state.times) = (Manner::Real, None),
            left => state.times = Some(left),
        }
    }
    if matches!(manner, Manner::Ae | Manner::Ar | Manner::Hang | Manner::Close) {
        return (manner, Ok(()));
    }
    let hidden = if let Manner::Late(looks) = manner { looks } else { 0 };
    (manner, judge(state, message, hidden))
}

fn judge(state: &mut State, message: &Message, hidden: u32) -> Judgment {
    if is_network_management(message) {
        return Ok(());
    }
    let version = Accepted { types: &[], versions: &["2.1"], processing_ids: &[] };
    version.judge(message).map_err(|error| Refusal::Address(error.text))?;
    let careunit = text(message.header(6));
    if careunit != state.careunit {
        return Err(Refusal::Address("no such facility".to_owned()));
    }
    let application = text(message.header(5));
    match (application.as_str(), message.header(9).component(1).raw()) {
        ("ADT", b"ADT") => adt::carry_out(state, message, hidden),
        ("CLI", b"ORU") => cli::carry_out(state, message),
        ("ADT" | "CLI", kind) => {
            let kind = String::from_utf8_lossy(kind).into_owned();
            Err(Refusal::Address(format!("{application} does not take {kind:?}")))
        }
        _ => Err(Refusal::Address("no such application: ADT and CLI are served".to_owned())),
    }
}

/// The first component of the first repetition, in Unicode; HL7's null is empty. Control characters become blanks.
fn text(value: Value) -> String {
    part(value, 1)
}

/// A component of the first repetition, as [`text`].
fn part(value: Value, n: usize) -> String {
    let component = value.component(n);
    if component.is_null() {
        return String::new();
    }
    roman8::decode(&component.text()).replace(char::is_control, " ")
}
