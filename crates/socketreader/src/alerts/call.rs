//! The call itself: a mail, or the site's own command.

use std::time::Duration;

use protogen_sys::child::{self, Limits};
use protogen_sys::mail::Mailer;
use protogen_sys::site::Site;

use crate::config::Alert;

/// How long the command may take; then it is killed.
const TIME: Duration = Duration::from_secs(30);
/// What is kept of its complaints, in bytes.
const MAX_COMPLAINT: usize = 1024;

/// Tells somebody; it may take [`TIME`].
///
/// # Errors
/// Why nobody was told.
pub(super) fn call(alert: &Alert, subject: &str, text: &str) -> Result<(), String> {
    match alert {
        Alert::Mail => mail(subject, text),
        Alert::Command(command) => run(command, subject, text),
    }
}

fn mail(subject: &str, text: &str) -> Result<(), String> {
    let to = Site::from_environment().admin().map_err(|error| error.to_string())?;
    let mailer = Mailer::from_environment().map_err(|error| error.to_string())?;
    mailer.send(&to, &format!("socketreader: {subject}"), text).map_err(|error| error.to_string())
}

/// The site's own words go to the shell; what we have to say is read by the command, and never stands among them.
fn run(command: &str, subject: &str, text: &str) -> Result<(), String> {
    let mut shell = child::shell(command);
    let limits = Limits { time: TIME, output: MAX_COMPLAINT };
    let finished = child::run(&mut shell, format!("{subject}\n\n{text}").as_bytes(), limits)
        .map_err(|error| format!("the alert command: {error}"))?;
    if finished.status.success() {
        return Ok(());
    }
    if finished.timed_out {
        return Err(format!("the alert command was killed after {} s", TIME.as_secs()));
    }
    let complaint = String::from_utf8_lossy(&finished.stderr);
    Err(format!("the alert command: {}: {}", finished.status, complaint.trim()))
}
