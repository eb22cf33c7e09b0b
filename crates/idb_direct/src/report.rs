//! Mail to the administrator: what failed, for which event and bed, and nothing of the patient.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use protogen_sys::mail::Mailer;
use protogen_sys::site::Site;

use crate::say;

/// What a mail may take: the message that was asked about waits.
const MAIL_TIME: Duration = Duration::from_secs(10);
/// The same text is not mailed again within this time: a blocked queue asks every minute.
const QUIET: Duration = Duration::from_secs(900);
/// Holds the text mailed last.
const LAST: &str = ".idb_direct.mailed";

/// Mails it; if that fails, a warning on standard error is all.
pub(crate) fn mail(site: &Site, text: &str, place: &str) {
    if was_mailed(site, text) {
        return;
    }
    let sent = site.admin().map_err(anyhow::Error::from).and_then(|admin| {
        let mailer = Mailer::from_environment()?.with_timeout(MAIL_TIME);
        let body = format!("idb_direct ({place}): {text}\n\nThe same is not mailed again for 15 minutes.\n");
        Ok(mailer.send(&admin, "idb_direct: CareVue was not asked or not changed", &body)?)
    });
    match sent {
        Ok(()) => remember(site, text),
        Err(error) => say(&format!("warning: no mail to the administrator: {error:#}")),
    }
}

fn was_mailed(site: &Site, text: &str) -> bool {
    let path = site.spool(LAST);
    let age = fs::metadata(&path).and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age < QUIET) && fs::read(&path).is_ok_and(|last| last == text.as_bytes())
}

/// Where this cannot be written, every failure is mailed.
fn remember(site: &Site, text: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(site.spool(LAST));
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}
