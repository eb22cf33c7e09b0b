//! The operator's mode, at a terminal: each message is sent, and what fails is seen to by a person.
//!
//! [`run`] goes through the queues; `message` is the work on one message, `actions` what its menu offers, `screen` the
//! terminal. Nothing is mailed and no system message shown: somebody is looking.

mod actions;
mod message;
mod screen;

use std::io;

use anyhow::{Context, Result};
use protogen_sys::exit::Exit;
use protogen_sys::lock::{self, Lock, LockError, RUN_LOCK};
use protogen_sys::site::Site;
use protogen_sys::spool;

use crate::batch::shown;
use crate::list::time;
use crate::settings::Queue;
use message::{Desk, Next};
use screen::{Pressed, Screen};

/// Works on the queues, one after the other.
///
/// # Errors
/// When a spool cannot be read, or the terminal is gone.
pub(crate) fn run(queues: &[Queue], site: &Site) -> Result<Exit> {
    let screen = Screen::open().context("the terminal")?;
    for queue in queues {
        if work(queue, site, &screen).with_context(|| queue.name.clone())? == Next::Exit {
            break;
        }
    }
    Ok(Exit::Done)
}

fn work(queue: &Queue, site: &Site, screen: &Screen) -> Result<Next> {
    let spool = spool::Queue::open(&queue.spool, &queue.log)?;
    let Some(_lock) = take_lock(queue, screen)? else { return Ok(Next::Exit) };
    log::info!("{}: an operator is at work", queue.name);
    if let Some(mark) = spool.error_mark()? {
        let since = mark.since.map_or(String::new(), |since| format!(" since {}", time(since)));
        screen.say(&format!("The queue was blocked{since}:\n  {}\nIt is open again.", mark.reason))?;
        spool.clear_error()?;
    }
    show(queue, &spool, screen)?;
    let mut desk = Desk::new(queue, site, &spool, screen);
    for name in spool.waiting() {
        if desk.work_on(&name?)? == Next::Exit {
            screen.say(&desk.account())?;
            return Ok(Next::Exit);
        }
    }
    screen.say(&desk.account())?;
    Ok(Next::Message)
}

/// Waits for the run lock; none if the operator does not want to.
fn take_lock(queue: &Queue, screen: &Screen) -> Result<Option<Lock>> {
    let path = queue.spool.join(RUN_LOCK);
    loop {
        let holder = match Lock::take_run_lock(&queue.spool) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Held { holder, .. }) => holder,
            Err(error) => return Err(error.into()),
        };
        screen.say(&format!(
            "{} is in work by {holder}.\nWaiting until it ends; ^C for the menu.",
            queue.name
        ))?;
        let is_held = || lock::holder(&path).is_ok_and(|holder| holder.is_some_and(|holder| holder.alive));
        if !screen.wait_while(is_held) {
            continue;
        }
        match screen.ask("r remove the lock, c continue to wait, x exit:")? {
            Pressed::Key('x') => return Ok(None),
            Pressed::Key('r') => remove_lock(queue, screen)?,
            _ => {}
        }
    }
}

/// By order of the operator, who is told what that means.
fn remove_lock(queue: &Queue, screen: &Screen) -> Result<()> {
    let path = queue.spool.join(RUN_LOCK);
    let Some(holder) = lock::holder(&path)?.filter(|holder| holder.alive) else {
        screen.say("Its owner has gone meanwhile.")?;
        return Ok(());
    };
    screen.say(&format!(
        "Its owner is alive: {holder}. Without the lock two work on the queue at once,\nand a message may be sent twice. Better end that process."
    ))?;
    if screen.confirms("Remove the lock all the same?")? {
        lock::remove(&path)?;
        log::warn!("{}: the run lock of {holder} was removed by an operator", queue.name);
    }
    Ok(())
}

/// The queue, as far as it fits.
fn show(queue: &Queue, spool: &spool::Queue, screen: &Screen) -> Result<()> {
    let census = spool.census()?;
    let refused = spool.count_negative()?;
    screen.say(&format!(
        "{}: {} waiting, {} locked, {refused} refused; to {}",
        queue.name, census.waiting, census.locked, queue.manner.gateway
    ))?;
    let room = screen.rows().saturating_sub(12).max(3);
    for name in spool.waiting_by(room).take(room) {
        let name = name?;
        let mark = if spool.is_negative(&name) { " (refused)" } else { "" };
        screen.say(&format!("  {}{mark}", shown(&name)))?;
    }
    if census.waiting > room {
        screen.say(&format!("  and {} more", census.waiting - room))?;
    }
    Ok(())
}

/// A failure of the queue's directories as one of the terminal's, which the same place reports.
fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
