//! The work on one message: sent until it is taken, or the operator decides otherwise.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use protogen_sys::site::Site;
use protogen_sys::spool;

use super::other;
use super::screen::{Pressed, Screen};
use crate::batch::shown;
use crate::delivery::{self, Outcome, attempt, describe};
use crate::settings::Queue;

/// The menu, on two lines of 80.
const MENU: &str = "v view   e edit   l CareVue log   r problem report\n\
                    d delete   s skip   c continue   x exit";

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next message.
    Message,
    /// The end.
    Exit,
}

/// What the menu was left for.
enum Decision {
    Continue,
    Skip,
    Delete,
    Exit,
}

/// The operator's place of work.
pub(super) struct Desk<'a> {
    pub(super) queue: &'a Queue,
    pub(super) site: &'a Site,
    pub(super) spool: &'a spool::Queue,
    pub(super) screen: &'a Screen,
    delivered: u64,
    deleted: u64,
    skipped: u64,
    /// ^C was pressed while a message was sent: the menu comes before the next is.
    wants_menu: bool,
}

/// A message in work.
pub(super) struct Work<'n> {
    pub(super) name: &'n OsStr,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// The last answer; empty where there was none.
    pub(super) answer: Vec<u8>,
    /// What came of the last attempt; empty before the first.
    pub(super) told: String,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        queue: &'a Queue,
        site: &'a Site,
        spool: &'a spool::Queue,
        screen: &'a Screen,
    ) -> Desk<'a> {
        Desk { queue, site, spool, screen, delivered: 0, deleted: 0, skipped: 0, wants_menu: false }
    }

    /// What was done.
    pub(super) fn account(&self) -> String {
        format!(
            "{}: {} delivered, {} deleted, {} skipped.",
            self.queue.name, self.delivered, self.deleted, self.skipped
        )
    }

    /// # Errors
    /// When the terminal is gone, or the message cannot be read.
    pub(super) fn work_on(&mut self, name: &OsStr) -> io::Result<Next> {
        let path = self.spool.spool().join(name);
        let Some(bytes) = delivery::read(&path)? else { return Ok(Next::Message) };
        let mut work = Work { name, path, bytes, answer: Vec::new(), told: String::new() };
        if let Some(negative) = self.spool.negative(name).map_err(other)? {
            work.answer = negative.answer;
        }
        let mut menu = false;
        loop {
            menu |= std::mem::take(&mut self.wants_menu) || self.screen.is_interrupted();
            if menu {
                match self.menu(&mut work)? {
                    Decision::Continue => {}
                    Decision::Skip => return self.skip(&work),
                    Decision::Delete => return Ok(Next::Message),
                    Decision::Exit => return Ok(Next::Exit),
                }
            }
            if self.send(&mut work)? {
                return Ok(Next::Message);
            }
            menu = std::mem::take(&mut self.wants_menu)
                || self.screen.count_down("Again", self.queue.manner.pause)?;
        }
    }

    /// One attempt; whether the message is out of the queue.
    fn send(&mut self, work: &mut Work) -> io::Result<bool> {
        let what = describe(&work.bytes);
        self.screen.say(&format!("{}: {what}: sending", shown(work.name)))?;
        let (server, bytes) = (self.queue.manner.server(), work.bytes.clone());
        let (done, interrupted) = self.screen.while_working(move || attempt(&server, &bytes))?;
        self.wants_menu = interrupted;
        let (answer, told) = match done {
            Some(Outcome::Taken(answer)) => match self.move_to_log(work, &answer) {
                Ok(log_name) => {
                    self.delivered += 1;
                    log::info!("{}: {what} delivered, {log_name} in the log", self.queue.name);
                    self.screen.say(&format!("  taken; in the log as {log_name}"))?;
                    return Ok(true);
                }
                Err(error) => (answer, format!("taken, but it cannot move to the log: {error}")),
            },
            Some(Outcome::Refused { answer, told }) => {
                let kept = if answer.is_empty() { told.as_bytes() } else { &answer };
                self.spool.mark_negative(work.name, kept, SystemTime::now()).map_err(other)?;
                (answer, format!("refused: {told}"))
            }
            Some(Outcome::Failed { answer, why }) => (answer, why),
            None => (Vec::new(), "not waited for; the gateway may have it".to_owned()),
        };
        log::warn!("{}: {what}: {told}", self.queue.name);
        self.screen.say(&format!("  {told}"))?;
        (work.answer, work.told) = (answer, told);
        Ok(false)
    }

    /// Moves a message to the log, with what was answered or stands for it.
    pub(super) fn move_to_log(&self, work: &Work, answer: &[u8]) -> Result<String, spool::SpoolError> {
        let log_name = self.spool.delivered(work.name, answer)?;
        self.spool.clear_negative(work.name)?;
        Ok(shown(&log_name))
    }

    fn skip(&mut self, work: &Work) -> io::Result<Next> {
        self.skipped += 1;
        log::info!("{}: {} skipped by the operator", self.queue.name, shown(work.name));
        self.screen.say("  skipped; it stays in the queue")?;
        Ok(Next::Message)
    }

    /// Until one of its keys leaves it. What fails is told, and the menu is back.
    fn menu(&mut self, work: &mut Work) -> io::Result<Decision> {
        loop {
            self.screen.say(&format!("{} ({})\n{MENU}", shown(work.name), describe(&work.bytes)))?;
            let done = match self.screen.ask("Key:")? {
                Pressed::Key('v') => self.view(work),
                Pressed::Key('e') => self.edit(work),
                Pressed::Key('l') => self.show_carevue_log(),
                Pressed::Key('r') => self.report(work),
                Pressed::Key('d') => match self.delete(work) {
                    Ok(true) => {
                        self.deleted += 1;
                        return Ok(Decision::Delete);
                    }
                    result => result.map(drop),
                },
                Pressed::Key('s') => return Ok(Decision::Skip),
                Pressed::Key('c') => return Ok(Decision::Continue),
                Pressed::Key('x') => return Ok(Decision::Exit),
                Pressed::Key(key) => self.screen.say(&format!("{key} is none of these")),
                Pressed::Interrupt => self.screen.say("x exits"),
            };
            if let Err(error) = done {
                self.screen.say(&format!("  {error}"))?;
            }
        }
    }
}
