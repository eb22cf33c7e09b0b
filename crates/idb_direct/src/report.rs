//! Mail to the administrator: what failed, for which event and bed, and nothing of the patient.

use std::time::Duration;

use protogen_sys::mail::Mailer;
use protogen_sys::site::Site;

use crate::{say, told};

/// What a mail may take, and how long another mail is waited for: the message that was asked about waits.
const MAIL_TIME: Duration = Duration::from_secs(10);

/// Mails it; if that fails, a warning on standard error is all.
pub(crate) fn mail(site: &Site, text: &str, place: &str) {
    let send = || {
        let admin = site.admin()?;
        let mailer = Mailer::from_environment()?.with_timeout(MAIL_TIME);
        let quiet = told::minutes();
        let body =
            format!("idb_direct ({place}): {text}\n\nThe same is not mailed again for {quiet} minutes.\n");
        anyhow::Ok(mailer.send(&admin, "idb_direct: CareVue was not asked or not changed", &body)?)
    };
    if let Err(error) = told::once(site, "mailed", text.as_bytes(), MAIL_TIME, send) {
        say(&format!("warning: no mail to the administrator: {error:#}"));
    }
}
