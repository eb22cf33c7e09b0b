//! What people are told beside the answers: mails to the administrator, system messages to the ward. A thread of its
//! own sends them, so that no message waits for a mail server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use protogen_sys::carevue;
use protogen_sys::mail::Mailer;
use protogen_sys::site::Site;

/// How many notices wait at most; one more is dropped, with a warning.
const MOST: usize = 256;
/// How long a system message may take.
const SHOW_LIMIT: Duration = Duration::from_secs(30);

enum Notice {
    Mail { subject: String, text: String },
    Show(String),
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Notices {
    sender: SyncSender<Notice>,
    /// How many are not sent yet.
    waiting: Arc<AtomicUsize>,
}

impl Notices {
    /// Starts the thread.
    pub(crate) fn start(site: Site) -> std::io::Result<Notices> {
        let (sender, receiver) = sync_channel(MOST);
        let waiting = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&waiting);
        thread::Builder::new().name("notices".into()).spawn(move || serve(&site, &receiver, &count))?;
        Ok(Notices { sender, waiting })
    }

    /// How many are not sent yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Mails the administrator.
    pub(crate) fn mail(&self, subject: String, text: String) {
        self.give(Notice::Mail { subject, text });
    }

    /// Shows a CareVue system message.
    pub(crate) fn show(&self, text: String) {
        self.give(Notice::Show(text));
    }

    fn give(&self, notice: Notice) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if self.sender.try_send(notice).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            log::warn!("{MOST} mails and system messages wait already; one was dropped");
        }
    }
}

fn serve(site: &Site, notices: &Receiver<Notice>, waiting: &AtomicUsize) {
    for notice in notices {
        let done = match notice {
            Notice::Mail { subject, text } => mail(site, &subject, &text),
            Notice::Show(text) => show(site, &text),
        };
        if let Err(why) = done {
            log::warn!("{why}");
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

fn mail(site: &Site, subject: &str, text: &str) -> Result<(), String> {
    let to = site.admin().map_err(|error| error.to_string())?;
    let mailer = Mailer::from_environment().map_err(|error| error.to_string())?;
    mailer.send(&to, subject, text).map_err(|error| error.to_string())
}

fn show(site: &Site, text: &str) -> Result<(), String> {
    carevue::show_system_message(site, text, SHOW_LIMIT)
        .map_err(|error| format!("no system message: {error}"))
}
