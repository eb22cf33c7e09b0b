//! A command that messages go through: a long-lived child that gets frames of MLLP and answers each with one.
//!
//! An answer is credited to the message that was given last, so a child that is out of step is never asked again: one
//! that was late, said something unasked, or answered twice is ended, and another one started.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::process::ChildStderr;
use std::time::Instant;

use protogen_core::llp::NoteKind;
use protogen_core::llp::mllp::{Decoder, Item, Settings, encode_unchanged};
use protogen_sys::child::shell;
use protogen_sys::coprocess::{Coprocess, ExchangeError};

use crate::config;
use crate::log;

/// The longest line of standard error that is shown, in bytes.
const MAX_LINE: u64 = 1024;

/// What a child answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Message(Vec<u8>),
    /// An empty frame.
    Nothing,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The caller wants to wait no longer.
    Stopped,
    /// The message has the bytes of the frame in it.
    Unframed(String),
    /// The child failed.
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Child {
    name: String,
    settings: config::Pipe,
    mllp: Settings,
    running: Option<(Coprocess, Decoder)>,
}

impl Child {
    pub(super) fn new(name: &str, settings: config::Pipe) -> Child {
        let mllp = Settings {
            max_message: settings.max_message,
            frame_timeout: settings.timeout,
            ..Settings::default()
        };
        Child { name: name.to_owned(), settings, mllp, running: None }
    }

    /// Gives a message to the child and waits for its answer.
    pub(super) fn ask(&mut self, message: &[u8], stop: &dyn Fn() -> bool) -> Result<Answer, NoAnswer> {
        let mut frame = Vec::new();
        encode_unchanged(message, &self.mllp, &mut frame)
            .map_err(|error| NoAnswer::Unframed(error.to_string()))?;
        if stop() {
            return Err(NoAnswer::Stopped);
        }
        let (mut program, mut decoder) = self.in_step().map_err(NoAnswer::Failed)?;
        let mut answers = Answers::new(&self.name);
        let exchanged = program.exchange(&frame, self.settings.timeout, stop, |bytes| {
            answers.take(&mut decoder, bytes);
            if answers.found.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match exchanged {
            Ok(()) => {}
            Err(ExchangeError::Stopped) => return Err(NoAnswer::Stopped),
            Err(ExchangeError::TimedOut) => {
                let seconds = self.settings.timeout.as_secs_f64();
                return Err(NoAnswer::Failed(format!("no answer within {seconds} s")));
            }
            Err(error) => return Err(NoAnswer::Failed(error.to_string())),
        }
        let answer = answers.only().map_err(NoAnswer::Failed)?;
        self.running = Some((program, decoder));
        Ok(answer)
    }

    /// The running child, if it has said nothing since its last answer, or a new one.
    fn in_step(&mut self) -> Result<(Coprocess, Decoder), String> {
        if let Some((mut program, mut decoder)) = self.running.take() {
            let mut answers = Answers::new(&self.name);
            let heard = program.hear(|bytes| answers.take(&mut decoder, bytes));
            match heard {
                Ok(()) if answers.found.is_empty() && !decoder.in_frame() => return Ok((program, decoder)),
                Ok(()) => log::error!(&self.name, "pipe: it answered unasked; another one is started"),
                Err(error) => log::error!(&self.name, "pipe: {error}; another one is started"),
            }
        }
        let (program, stderr) = Coprocess::start(&mut shell(&self.settings.command))
            .map_err(|error| format!("the shell for it: {error}"))?;
        log::info!(&self.name, "pipe: started as process {}", program.id());
        let name = self.name.clone();
        std::thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || read_errors(&name, stderr))
            .map_err(|error| error.to_string())?;
        Ok((program, Decoder::new(self.mllp.clone())))
    }
}

/// What came back for one message.
struct Answers<'a> {
    name: &'a str,
    found: Vec<Result<Answer, String>>,
}

impl Answers<'_> {
    fn new(name: &str) -> Answers<'_> {
        Answers { name, found: Vec::new() }
    }

    fn take(&mut self, decoder: &mut Decoder, mut bytes: &[u8]) {
        let now = Instant::now();
        if bytes.is_empty()
            && let Some(item) = decoder.handle_timeout(now)
        {
            self.add(item);
        }
        while let Some(item) = decoder.decode(&mut bytes, now) {
            self.add(item);
        }
    }

    fn add(&mut self, item: Item<'_>) {
        match item {
            Item::Frame(frame) => self.found.push(Ok(Answer::Message(frame.message.to_vec()))),
            Item::Dropped(dropped) => match dropped.kind {
                NoteKind::EmptyFrame => self.found.push(Ok(Answer::Nothing)),
                NoteKind::Junk => log::error!(
                    self.name,
                    "pipe: {} bytes on its standard output are in no frame and are ignored",
                    dropped.count
                ),
                kind => self.found.push(Err(format!("its answer was dropped: {kind}"))),
            },
            _ => self.found.push(Err("a commit block is no answer".to_owned())),
        }
    }

    fn only(mut self) -> Result<Answer, String> {
        let count = self.found.len();
        match self.found.pop() {
            Some(answer) if count == 1 => answer,
            _ => Err(format!("{count} answers to one message")),
        }
    }
}

/// Counts the lines; they may hold patient data, so that they are shown at `debug` only.
fn read_errors(name: &str, stderr: ChildStderr) {
    let mut stderr = BufReader::new(stderr);
    let (mut line, mut count, mut told) = (Vec::new(), 0_u64, 1);
    // An error of reading is an end as good as any.
    while let Ok(1..) = stderr.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
        log::debug!(name, "pipe: standard error: {}", line.trim_ascii_end().escape_ascii());
        line.clear();
        count += 1;
        // The first, the tenth, the hundredth: a child that complains of every message does not fill the log.
        if count == told {
            told *= 10;
            log::warning!(name, "pipe: {count} lines on standard error so far; loglvl debug shows them");
        }
    }
    if count > 0 {
        log::warning!(name, "pipe: its standard error ended after {count} lines");
    }
}
