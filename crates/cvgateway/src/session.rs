//! One connection: a message is read, judged, carried out and answered (ILLP).

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::PoisonError;
use std::time::{Instant, SystemTime};

use protogen_core::hl7::{
    AckCode, Acknowledgment, Message, Mode, Outcome, is_acknowledgment, reject_unreadable,
};
use protogen_core::hl7hosts::Request;
use protogen_core::llp::{Event, Kind, Link, illp};
use protogen_sys::hl7hosts::SystemNames;

use crate::adt;
use crate::charset::{lost_id, transcode};
use crate::gateway::{Gateway, Loaded, now};
use crate::journal::{ANSWERED, Entry, RECEIVED};
use crate::repeats::Seen;
use crate::reply::{Reply, printable};
use crate::transaction::{Target, Transaction};

/// Serves a connection to its end.
pub(crate) fn serve(gateway: &Gateway, mut stream: TcpStream, peer: IpAddr) {
    let loaded = gateway.loaded();
    if let Err(error) = serve_stream(gateway, &loaded, &mut stream, peer) {
        log::warn!("{peer}: {error}");
    }
}

fn serve_stream(gateway: &Gateway, loaded: &Loaded, stream: &mut TcpStream, peer: IpAddr) -> io::Result<()> {
    let limits = &loaded.profile;
    stream.set_read_timeout(Some(limits.time.idle))?;
    stream.set_write_timeout(Some(limits.time.idle))?;
    let settings = illp::Settings {
        max_message: limits.limit.message,
        idle_timeout: limits.time.idle,
        ..illp::Settings::default()
    };
    let mut link = illp::Server::new(settings, Instant::now());
    let Some(message) = receive(&mut link, stream, peer)? else { return Ok(()) };
    let Some(answer) = answer(gateway, loaded, &message, peer, link.token()) else { return Ok(()) };
    if link.send(&answer, Kind::Reply, Instant::now()).is_err() {
        return Ok(());
    }
    let mut out = Vec::new();
    link.poll_transmit(&mut out);
    stream.write_all(&out)?;
    stream.shutdown(Shutdown::Write)
}

/// Reads until the sender closes its half.
fn receive(link: &mut illp::Server, stream: &mut TcpStream, peer: IpAddr) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        while let Some(event) = link.poll_event() {
            match event {
                Event::Message { message, .. } => return Ok(Some(message)),
                Event::Closed => return Ok(None),
                Event::Note(note) => log::warn!("{peer}: {note}"),
                _ => {}
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => link.handle_eof(Instant::now()),
            Ok(count) => link.handle_input(&buffer[..count], Instant::now()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a message is answered, if anything.
fn answer(gateway: &Gateway, loaded: &Loaded, bytes: &[u8], peer: IpAddr, token: &[u8]) -> Option<Vec<u8>> {
    let (time, id) = (now(), gateway.own_id());
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            log::warn!("{peer}: {} bytes that are no HL7 message: {error}", bytes.len());
            let text = format!("not readable: {error}");
            return reject_unreadable(bytes, time.as_bytes(), id.as_bytes(), text.as_bytes());
        }
    };
    if is_acknowledgment(&message) {
        log::warn!("{peer}: an acknowledgment came as a message; it gets no answer");
        return None;
    }
    let write = |reply: &Reply| {
        let code = Mode::of(&message).due(reply.outcome)?;
        Some(acknowledge(&message, code, reply, &time, &id))
    };
    if !is_allowed(loaded, &message, peer, token) {
        return write(&Reply::later("not allowed"));
    }
    let entry = gateway.journal.entry(loaded.profile.limit.journal_days);
    let entry = entry.and_then(|entry| entry.write(RECEIVED, "", bytes).map(|()| entry));
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            log::error!("{}: cannot be written: {error}", gateway.journal.directory().display());
            return write(&Reply::later("the journal cannot be written"));
        }
    };
    let name = entry.name().to_owned();
    let reply = carry_out(gateway, loaded, &message, &entry);
    log::info!(
        "{} {} ({name}), {} bytes from {peer}: {}",
        printable(message.header(9).raw(), 20),
        printable(message.control_id(), 64),
        bytes.len(),
        reply.code()
    );
    // The journal has the answer of original mode, also where the sender wants another form or none.
    let code = Mode::Original.due(reply.outcome).unwrap_or(AckCode::AR);
    let copy = write(&reply).unwrap_or_else(|| acknowledge(&message, code, &reply, &time, &id));
    if let Err(error) = entry.write(ANSWERED, "", &copy) {
        log::error!("{name}: the answer cannot be written: {error}");
    }
    write(&reply)
}

fn acknowledge(message: &Message, code: AckCode, reply: &Reply, time: &str, id: &str) -> Vec<u8> {
    let text = reply.told();
    let ack = Acknowledgment {
        time: time.as_bytes(),
        control_id: id.as_bytes(),
        text: text.as_bytes(),
        ..Acknowledgment::new(code)
    };
    ack.answer(message)
}

fn is_allowed(loaded: &Loaded, message: &Message, peer: IpAddr, token: &[u8]) -> bool {
    let event = message.header(9).component(2);
    let from_evn = message.header(9).component(1).raw() == b"ADT" && !event.is_valued();
    let event = if from_evn { message.field(*b"EVN", 1) } else { event };
    let request = Request {
        connection_id: token,
        sending_application: message.header(3).raw(),
        sending_facility: message.header(4).raw(),
        receiving_application: message.header(5).raw(),
        receiving_facility: message.header(6).raw(),
        message_type: message.header(9).component(1).raw(),
        event: event.raw(),
        component_separator: message.delimiters().component.unwrap_or(b'^'),
        ..Request::from_peer(peer)
    };
    let allowed = loaded.hosts.decide(&request, &SystemNames).is_allowed();
    if !allowed {
        log::warn!("not allowed: {request}");
    }
    allowed
}

/// Carries out a message that is no repeat, and remembers it if it was taken.
fn carry_out(gateway: &Gateway, loaded: &Loaded, message: &Message, entry: &Entry) -> Reply {
    let window = loaded.profile.limit.repeat;
    let tx = Transaction {
        gateway,
        loaded,
        target: Target::CareVue(entry),
        control_id: message.control_id().to_vec(),
    };
    if window.is_zero() {
        return in_carevues_characters(&tx, message, |message| tx.carry_out(message));
    }
    let repeats = || gateway.repeats.lock().unwrap_or_else(PoisonError::into_inner);
    let key = repeats().key(message);
    gateway.in_work.alone(key, || {
        let seen = repeats().look(message, window, SystemTime::now());
        match seen {
            Seen::New | Seen::Taken(_) => {}
            Seen::Repeat => {
                return Reply::done("a repeat: it was answered AA before, and is not forwarded again");
            }
            Seen::OtherBytes => {
                log::warn!("{}: this control id was used for other bytes before; handled anew", tx.name());
            }
        }
        let reply = match seen {
            Seen::Taken(event) => in_carevues_characters(&tx, message, |message| {
                gateway.one_at_a_time(|| adt::finish(&tx, message, event))
            }),
            _ => in_carevues_characters(&tx, message, |message| tx.carry_out(message)),
        };
        if reply.outcome == Outcome::Accepted {
            repeats().remember(message, SystemTime::now());
        }
        reply
    })
}

/// Does something with a message in CareVue's character set.
pub(crate) fn in_carevues_characters(
    tx: &Transaction,
    message: &Message,
    carry_out: impl FnOnce(&Message) -> Reply,
) -> Reply {
    let own = match transcode(message, tx.loaded.profile.charset) {
        Ok(own) => own,
        Err(error) => return Reply::refused(error.to_string()),
    };
    if own.lost > 0 {
        log::warn!("{}: {} characters that CareVue does not have became '?'", tx.name(), own.lost);
        if let Some(field) = lost_id(message, tx.loaded.profile.charset) {
            return Reply::refused(format!("the id in {field} has a character that CareVue does not have"));
        }
    }
    match Message::parse(&own.bytes) {
        Ok(message) => carry_out(&message),
        Err(error) => Reply::refused(format!("not readable in CareVue's character set: {error}")),
    }
}
