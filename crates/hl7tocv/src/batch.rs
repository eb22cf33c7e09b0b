//! A batch run, as cron starts it: everything that waits is sent once, in order, and nobody is asked.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use protogen_sys::durable;
use protogen_sys::exit::Exit;
use protogen_sys::files::RealFiles;
use protogen_sys::illp::Server;
use protogen_sys::lock::{Holder, Lock, LockError};
use protogen_sys::site::Site;
use protogen_sys::spool::{self, SpoolError};

use crate::delivery::{self, Outcome, attempt, describe, printable};
use crate::reports::{Kind, Reports};
use crate::settings::Queue;

/// Temporary files of producers that are gone are removed at this age.
const LEFTOVER: Duration = Duration::from_secs(24 * 3600);
/// Says that a lock held too long was reported; the next who gets the lock removes it.
const HELD_REPORTED: &str = ".held";

/// Works on every queue at the same time: a dead gateway must not hold up the queues of another.
pub(crate) fn run_all(queues: &[Queue], site: &Site) -> Exit {
    let mut worst = Exit::Done;
    thread::scope(|scope| {
        let runs: Vec<_> = queues.iter().map(|queue| scope.spawn(|| run(queue, site))).collect();
        for run in runs {
            let exit = run.join().unwrap_or(Exit::TryLater);
            if exit.status() > worst.status() {
                worst = exit;
            }
        }
    });
    worst
}

/// Works on one queue.
fn run(queue: &Queue, site: &Site) -> Exit {
    let reports = Reports::new(site, queue);
    match locked(queue, &reports) {
        Ok(exit) => {
            reports.mail_if_due();
            exit
        }
        Err(failure) => block(queue, &reports, &failure),
    }
}

/// A graver failure: the queue cannot go on. Its text says why.
struct Failure(String);

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Failure {
        Failure(error.to_string())
    }
}

fn locked(queue: &Queue, reports: &Reports) -> Result<Exit, Failure> {
    let spool = spool::Queue::open(&queue.spool, &queue.log)?;
    // Before the lock, too, which a full disk may not let us have.
    if is_blocked(queue, &spool)? {
        return Ok(Exit::Done);
    }
    let _lock = match Lock::take_run_lock(&queue.spool) {
        Ok(lock) => lock,
        Err(LockError::Held { holder, .. }) => {
            log::debug!("{}: held by {holder}", queue.name);
            report_if_too_long(queue, reports, &holder);
            return Ok(Exit::Done);
        }
        Err(error) => return Err(Failure(error.to_string())),
    };
    // Whoever was reported to hold the lock does not any more.
    let _ = std::fs::remove_file(queue.spool.join(HELD_REPORTED));
    if is_blocked(queue, &spool)? {
        return Ok(Exit::Done);
    }
    spool.remove_leftovers(LEFTOVER)?;
    let end = Instant::now() + queue.manner.run_limit;
    Run { queue, reports, spool, server: queue.manner.server(), end }.deliver_all()
}

fn is_blocked(queue: &Queue, spool: &spool::Queue) -> Result<bool, Failure> {
    let mark = spool.error_mark()?;
    if let Some(mark) = &mark {
        log::debug!("{}: blocked: {}", queue.name, mark.reason);
    }
    Ok(mark.is_some())
}

/// Once for each time somebody holds it.
fn report_if_too_long(queue: &Queue, reports: &Reports, holder: &Holder) {
    let age = holder.since.and_then(|since| since.elapsed().ok()).unwrap_or_default();
    if age < queue.manner.lock_limit {
        return;
    }
    let text = holder.to_string();
    match durable::write_new(&RealFiles, &queue.spool.join(HELD_REPORTED), text.as_bytes()) {
        Ok(()) => {
            log::warn!("{}: its run lock is held by {holder}", queue.name);
            reports.add(
                Kind::Held,
                &text,
                &format!("the run lock is held by {text}: an operator, or a run that hangs"),
            );
        }
        Err(error) if error.is_taken() => {}
        Err(error) => log::warn!("{}: {error}", queue.name),
    }
}

/// Tells everybody first, then marks the queue: a run that is killed in between leaves it to the next one.
fn block(queue: &Queue, reports: &Reports, Failure(why): &Failure) -> Exit {
    log::error!(
        "{}: {why}; the queue is blocked until an operator sees to it: {}",
        queue.name,
        queue.operator_command()
    );
    reports.add(Kind::Blocked, "", &format!("blocked: {why}"));
    thread::scope(|scope| {
        scope.spawn(|| reports.show_if_due());
        reports.mail_if_due();
    });
    let spool = spool::Queue::open(&queue.spool, &queue.log);
    if let Err(error) = spool.and_then(|spool| spool.mark_error(why, SystemTime::now())) {
        log::error!("{}: no error mark: {error}; the next run tries again", queue.name);
    }
    Exit::TryLater
}

/// A run that holds the lock.
struct Run<'a> {
    queue: &'a Queue,
    reports: &'a Reports<'a>,
    spool: spool::Queue,
    server: Server,
    end: Instant,
}

/// What became of a message.
enum Fate {
    Delivered,
    Refused,
    /// It went away, or its time is not now.
    Left,
}

impl Run<'_> {
    fn deliver_all(&self) -> Result<Exit, Failure> {
        let (mut delivered, mut refused) = (0_u64, 0_u64);
        for name in self.spool.waiting() {
            let name = name?;
            if Instant::now() >= self.end {
                log::info!("{}: the run's time is up (run-limit); the next one goes on", self.queue.name);
                break;
            }
            match self.deliver(&name)? {
                Fate::Delivered => delivered += 1,
                Fate::Refused => refused += 1,
                Fate::Left => {}
            }
        }
        if delivered + refused > 0 {
            log::info!("{}: {delivered} delivered, {refused} refused", self.queue.name);
        }
        Ok(if refused == 0 { Exit::Done } else { Exit::Negative })
    }

    fn deliver(&self, name: &OsStr) -> Result<Fate, Failure> {
        let was_refused = self.spool.is_negative(name);
        if was_refused && !self.queue.manner.retry_negative {
            return Ok(Fate::Left);
        }
        let path = self.spool.spool().join(name);
        if !delivery::is_name_short(name) {
            return Err(Failure(format!("{}: the name is too long for the log; rename it", path.display())));
        }
        let bytes = delivery::read(&path)
            .map_err(|error| Failure(format!("{}: cannot read the message: {error}", path.display())))?;
        let Some(bytes) = bytes else { return Ok(Fate::Left) };
        let what = describe(&bytes);
        match self.attempts(&bytes, &path, &what)? {
            Outcome::Taken(answer) => {
                let log_name = self.spool.delivered(name, &answer)?;
                self.spool.clear_negative(name)?;
                log::info!("{}: {what} delivered, {} in the log", self.queue.name, shown(&log_name));
                Ok(Fate::Delivered)
            }
            Outcome::Refused { answer, told } => self.refused(name, &what, &answer, &told, was_refused),
            Outcome::Failed { why, .. } => Err(Failure(format!("{}: {what}: {why}", path.display()))),
        }
    }

    /// Tries until there is an answer that counts, or the retries are used up.
    fn attempts(&self, bytes: &[u8], path: &Path, what: &str) -> Result<Outcome, Failure> {
        let mut tries = 0;
        loop {
            match attempt(&self.server, bytes) {
                Outcome::Failed { answer, why } if tries == self.queue.manner.retries => {
                    let why = if tries == 0 { why } else { format!("{why} (tried {} times)", tries + 1) };
                    return Ok(Outcome::Failed { answer, why });
                }
                Outcome::Failed { why, .. } => {
                    log::warn!(
                        "{}: {what}: {why}; again in {} s",
                        path.display(),
                        self.queue.manner.pause.as_secs_f64()
                    );
                    thread::sleep(self.queue.manner.pause);
                    tries += 1;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// Reported first, then marked: a run that is killed in between sends it again, and does not report it twice.
    fn refused(
        &self,
        name: &OsStr,
        what: &str,
        answer: &[u8],
        told: &str,
        again: bool,
    ) -> Result<Fate, Failure> {
        let shown = shown(name);
        log::warn!("{}: {what} refused, {shown} is left in the queue: {told}", self.queue.name);
        if !again {
            let (message, mark) = (self.spool.spool().join(name), self.spool.negative_path(name));
            let text = format!(
                "refused: {what}: {told}; the message is {}, the answer {}",
                message.display(),
                mark.display()
            );
            self.reports.add(Kind::Refused, &shown, &text);
        }
        let kept = if answer.is_empty() { told.as_bytes() } else { answer };
        self.spool.mark_negative(name, kept, SystemTime::now())?;
        match self.queue.manner.stop {
            true => Err(Failure(format!("{what} refused, and this queue stops there (on-negative): {told}"))),
            false => Ok(Fate::Refused),
        }
    }
}

/// A file's name for the log and for mails.
pub(crate) fn shown(name: &(impl AsRef<OsStr> + ?Sized)) -> String {
    let name: OsString = name.as_ref().to_owned();
    name.into_string().unwrap_or_else(|name| printable(name.as_encoded_bytes()))
}
