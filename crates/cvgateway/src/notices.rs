//! What people are told beside the answers: mails to the administrator, system messages to the ward. A thread of its
//! own sends them, so that no message waits for a mail server.

use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use protogen_sys::child::{self, Limits};
use protogen_sys::mail::Mailer;
use protogen_sys::site::Site;

/// How many notices wait at most; one more is dropped, with a warning.
const MOST: usize = 256;
/// How long a system message may take.
const SHOW_LIMIT: Duration = Duration::from_secs(30);
/// The remote shell, where `PG_RSH` names none.
const REMOTE_SHELL: &str = "ssh -o BatchMode=yes";

enum Notice {
    Mail { subject: String, text: String },
    Show(String),
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Notices(SyncSender<Notice>);

impl Notices {
    /// Starts the thread.
    pub(crate) fn start(site: Site) -> std::io::Result<Notices> {
        let (sender, receiver) = sync_channel(MOST);
        thread::Builder::new().name("notices".into()).spawn(move || serve(&site, &receiver))?;
        Ok(Notices(sender))
    }

    /// Mails the administrator.
    pub(crate) fn mail(&self, subject: String, text: String) {
        self.give(Notice::Mail { subject, text });
    }

    /// Shows a CareVue system message. The text comes to stand in single quotes of a shell.
    pub(crate) fn show(&self, text: String) {
        self.give(Notice::Show(text));
    }

    fn give(&self, notice: Notice) {
        if self.0.try_send(notice).is_err() {
            log::warn!("{MOST} mails and system messages wait already; one was dropped");
        }
    }
}

fn serve(site: &Site, notices: &Receiver<Notice>) {
    for notice in notices {
        let done = match notice {
            Notice::Mail { subject, text } => mail(site, &subject, &text),
            Notice::Show(text) => show(site, &text),
        };
        if let Err(why) = done {
            log::warn!("{why}");
        }
    }
}

fn mail(site: &Site, subject: &str, text: &str) -> Result<(), String> {
    let to = site.admin().map_err(|error| error.to_string())?;
    let mailer = Mailer::from_environment().map_err(|error| error.to_string())?;
    mailer.send(&to, subject, text).map_err(|error| error.to_string())
}

fn show(site: &Site, text: &str) -> Result<(), String> {
    let carevue = site.carevue().map_err(|error| format!("no system message: {error}"))?;
    let shell = std::env::var("PG_RSH").ok().filter(|shell| !shell.trim().is_empty());
    let shell = shell.unwrap_or_else(|| REMOTE_SHELL.to_owned());
    let mut words = shell.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg(format!("{}@{}", carevue.login, carevue.host));
    command.arg(format!("sysMsg '{}'", quotable(text)));
    let limits = Limits { time: SHOW_LIMIT, output: 1024 };
    let finished = child::run(&mut command, b"", limits).map_err(|error| format!("sysMsg: {error}"))?;
    match finished.status.success() {
        true => Ok(()),
        false => Err(format!("sysMsg: {}", finished.status)),
    }
}

/// The text without what single quotes of sh and csh do not hold.
fn quotable(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " .:,-+_/()".contains(c) { c } else { '?' };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_quotes() {
        assert_eq!(quotable("HL7: 2823-3'; rm `x` $y!\n\u{e4}"), "HL7: 2823-3?? rm ?x? ?y???");
    }
}
