//! `hl7 ack`

use crate::Status;
use crate::input::{self, Place};
use crate::output::Output;
use jiff::ZonedDateTime;
use protogen_core::hl7::{
    AckCode, Acknowledgment, CharacterSet, Delimiters, ErrorCode, ErrorDetail, Item, Kind, Message, Mode,
    Outcome, Path, answer_network_management, answering_header, is_acknowledgment, is_network_management,
    reject_unreadable, trailer,
};
use std::io::Write;
use std::path::PathBuf;

/// Print the acknowledgment of each message, framed if it was, a batch for a batch
///
/// Without --code it is the one the sender asked for by MSH-15 and MSH-16, which may be none; with --error it says
/// that the message is at fault. A message that cannot be read is rejected (AR), one that is itself an
/// acknowledgment gets none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// AA, AE, AR, CA, CE or CR
    #[arg(long, value_parser = code)]
    code: Option<AckCode>,
    /// What to tell a person: MSA-3, or ERR-8 from HL7 v2.7 on
    #[arg(long, default_value = "")]
    text: String,
    /// A field at fault and its code of HL7 table 0357, as PID-3.1=101; may be repeated
    #[arg(long, value_name = "PATH=CODE", value_parser = error)]
    error: Vec<ErrorDetail>,
    /// MSH-7 of the answers; now, if it is not given
    #[arg(long, value_parser = plain)]
    time: Option<String>,
    /// MSH-10 of the answers begins with this, a number follows; the time, if it is not given
    #[arg(long, value_name = "PREFIX", value_parser = plain)]
    id: Option<String>,
    /// Files to read; standard input if there are none
    files: Vec<PathBuf>,
}

pub(crate) fn code(text: &str) -> Result<AckCode, String> {
    AckCode::parse(text.as_bytes()).ok_or_else(|| "expected AA, AE, AR, CA, CE or CR".into())
}

/// A value of MSH that must not divide it.
fn plain(text: &str) -> Result<String, String> {
    match text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'_')) {
        true => Ok(text.into()),
        false => Err("expected letters, digits, and of . + - _".into()),
    }
}

fn error(text: &str) -> Result<ErrorDetail, String> {
    let (path, number) = text.split_once('=').ok_or("expected PATH=CODE, as PID-3.1=101")?;
    let path: Path = input::path(path)?;
    let code = number.parse().ok().and_then(ErrorCode::from_number);
    let code =
        code.ok_or_else(|| format!("\"{number}\" is no code of HL7 table 0357, expected one such as 101"))?;
    Ok(ErrorDetail { location: Some(path), code, text: String::new() })
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let mut writer = Writer {
        args,
        count: 0,
        delimiters: Delimiters::default(),
        in_batch: 0,
        in_file: 0,
        batch_frame: false,
    };
    let mut found = false;
    let status = input::each_item(&args.files, max_size, |item, place| {
        found |= item.kind == Kind::Message;
        let (answer, status) = writer.answer(item, place);
        let (before, after) = writer.frame(item, answer.is_some());
        output.message(before, &answer.unwrap_or_default(), after)?;
        output.flush()?;
        Ok(status)
    })?;
    if !found {
        eprintln!("hl7: no message found, expected text that begins with MSH");
        return Ok(Status::Negative);
    }
    Ok(status)
}

struct Writer<'a> {
    args: &'a Args,
    /// Answers so far, for their control ids.
    count: u64,
    delimiters: Delimiters,
    in_batch: u64,
    in_file: u64,
    /// The frame of a batch was begun in the output: what is in it gets no frames of its own.
    batch_frame: bool,
}

impl Writer<'_> {
    fn answer(&mut self, item: &Item, place: &Place) -> (Option<Vec<u8>>, Status) {
        let time = self.args.time.clone().unwrap_or_else(now);
        match item.kind {
            Kind::Message => self.acknowledge(item, place, &time),
            Kind::FileHeader | Kind::BatchHeader => {
                let id = self.next_id(&time);
                if let Ok(delimiters) = Delimiters::from_header(item.body()) {
                    self.delimiters = delimiters;
                }
                if item.kind == Kind::BatchHeader {
                    self.in_batch = 0;
                    self.in_file += 1;
                } else {
                    self.in_file = 0;
                }
                let header = answering_header(item.body(), time.as_bytes(), id.as_bytes());
                if header.is_none() {
                    place.complain(item.body_offset(), "the header of the batch cannot be read");
                    return (None, Status::Negative);
                }
                (header, Status::Done)
            }
            Kind::BatchTrailer => (Some(trailer(b"BTS", self.in_batch, &self.delimiters)), Status::Done),
            Kind::FileTrailer => (Some(trailer(b"FTS", self.in_file, &self.delimiters)), Status::Done),
            Kind::Other => {
                input::warn_of_junk(item, place);
                (None, Status::Done)
            }
        }
    }

    /// What to write before and after the answer to an item: a frame around it, or the ends of a whole batch's.
    fn frame(&mut self, item: &Item, answered: bool) -> (&'static [u8], &'static [u8]) {
        const START: &[u8] = b"\x0B";
        const END: &[u8] = b"\x1C\r";
        if !self.batch_frame {
            if !item.framed || !answered {
                return (b"", b"");
            }
            if item.kind == Kind::Message {
                return (START, END);
            }
        }
        let before = if self.batch_frame { b"" } else { START };
        // The frame ends with its last item, whether it was ended properly or not.
        let ends = !item.complete || !item.after().is_empty();
        self.batch_frame = !ends;
        (before, if ends { END } else { b"" })
    }

    fn acknowledge(&mut self, item: &Item, place: &Place, time: &str) -> (Option<Vec<u8>>, Status) {
        input::warn_of_half_frame(item, place);
        let id = self.next_id(time);
        let message = match Message::parse(item.body()) {
            Ok(message) => message,
            Err(error) => {
                place.complain(item.body_offset(), &error);
                let text = error.to_string();
                let answer = reject_unreadable(item.body(), time.as_bytes(), id.as_bytes(), text.as_bytes());
                self.in_batch += u64::from(answer.is_some());
                return (answer, Status::Negative);
            }
        };
        let asked = self.args.code.or_else(|| match is_acknowledgment(&message) {
            true => None,
            false => Mode::of(&message).due(self.outcome()),
        });
        let Some(code) = asked else { return (None, Status::Done) };
        // The text is the terminal's, in UTF-8; the answer is in the request's set, or in ASCII.
        let set = CharacterSet::of(&message).unwrap_or(CharacterSet::Ascii);
        let text = set.encode(&self.args.text).map(std::borrow::Cow::into_owned);
        let text = text.unwrap_or_else(|_| {
            self.args.text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect()
        });
        let ack = Acknowledgment {
            time: time.as_bytes(),
            control_id: id.as_bytes(),
            text: &text,
            errors: &self.args.error,
            ..Acknowledgment::new(code)
        };
        let by_itself = self.args.code.is_none() && self.args.error.is_empty();
        let answer = match is_network_management(&message) && by_itself {
            true => answer_network_management(&message, None, &ack),
            false => Some(ack.answer(&message)),
        };
        self.in_batch += u64::from(answer.is_some());
        (answer, Status::Done)
    }

    /// A message with an error is not accepted: errors of the 200s are rejects (HL7 table 0357).
    fn outcome(&self) -> Outcome {
        match self.args.error.iter().map(|error| error.code as u16).max() {
            None | Some(0) => Outcome::Accepted,
            Some(100..200) => Outcome::Error,
            Some(_) => Outcome::Rejected,
        }
    }

    fn next_id(&mut self, time: &str) -> String {
        self.count += 1;
        match &self.args.id {
            Some(prefix) => format!("{prefix}{}", self.count),
            // 14 digits of time and a number: within MSH-10's 20 characters for a million answers.
            None => format!("{}{}", time.get(..14).unwrap_or(time), self.count),
        }
    }
}

/// The time as HL7 writes it, with the offset from UTC.
pub(crate) fn now() -> String {
    ZonedDateTime::now().strftime("%Y%m%d%H%M%S%z").to_string()
}
