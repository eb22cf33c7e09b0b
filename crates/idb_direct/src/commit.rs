//! `-c`: waiting for the patient, the system message, and writing the admit observations.

use std::time::Instant;

use protogen_sys::site::Site;

use crate::args::{Observation, Pair, Request, shown};
use crate::census::{self, Answer, Select, literal};
use crate::remote::Remote;
use crate::settings::Settings;
use crate::{Failure, bits, report, say, told};

/// Serialises the insertion of entities on this host.
const LOCK: &str = ".idb_direct.lock";
/// Whether a patient has admit observations.
const ENTITY: Select = Select { attributes: &["medRecNum"], class: "AdmitObservation", key: "medRecNum" };

/// Waits where the event has a reason to, asks, and writes what there is to write.
pub(crate) fn run(
    remote: &mut Remote,
    request: &Request,
    site: &Site,
    settings: &Settings,
) -> Result<u8, Failure> {
    let Some(pair) = request.pairs.first() else { return Ok(0) };
    remote.extend(settings.wait);
    // After an admission, the next transaction must find the patient there.
    let mut managed = request.event == 1 && appears(remote, pair, settings)?;
    let answer = census::ask_one(remote, pair)?;
    let status = bits::status(&[answer.found]);
    if managed {
        tell_waiting_list(remote, pair, &answer, request, site);
    }
    let is_written = answer.found.known && !request.observations.is_empty();
    if is_written && request.event != 1 {
        managed = appears(remote, pair, settings)?;
    }
    let waited = settings.wait.as_secs_f64();
    if is_written && !managed {
        let text = format!("ptMgrSup does not know the patient after {waited} s; nothing was written");
        return Err(Failure::Later(text));
    }
    if request.event == 1 && !managed {
        let text = format!("the patient is not in the census after {waited} s");
        say(&text);
        report::mail(site, &text, &request.place());
    }
    if !is_written {
        return Ok(status);
    }
    write(remote, pair, &request.observations, site)?;
    Ok(status)
}

/// Looks at the census until the patient is in it, or the wait is over. A look that fails is followed by another: the
/// message went to CareVue already, and what is to be written would be lost.
fn appears(remote: &Remote, pair: &Pair, settings: &Settings) -> Result<bool, Failure> {
    let end = Instant::now() + settings.wait;
    loop {
        let look = census::is_managed(remote, &pair.recno);
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !matches!(look, Ok(false) | Err(Failure::Later(_))) {
            return look;
        }
        std::thread::sleep(settings.poll.min(left));
    }
}

/// The bed is another's and the patient has none: the people at the bedside are told.
fn tell_waiting_list(remote: &Remote, pair: &Pair, answer: &Answer, request: &Request, site: &Site) {
    let waits = answer.bed.as_ref().is_some_and(Vec::is_empty);
    if !(answer.found.occupied && waits) {
        return;
    }
    let text =
        [b"HL7: patient ", &pair.recno[..], b" is on the waiting list: bed ", &pair.bed, b" is occupied"];
    let text = text.concat();
    if let Err(failure) = told::once(site, "shown", &text, remote.left(), || remote.show(&text)) {
        say(&format!("warning: the system message was not shown: {failure}"));
        let bed = shown(&pair.bed);
        let text = format!("a patient is on the waiting list for {bed}; CareVue was not told: {failure}");
        report::mail(site, &text, &request.place());
    }
}

/// Writes the observations, after inserting the entities if they are missing, and reads them back.
fn write(remote: &Remote, pair: &Pair, observations: &[Observation], site: &Site) -> Result<(), Failure> {
    {
        // Where there is no lock to be had, CareVue alone keeps the entities from being inserted twice.
        let lock = told::lock(site, LOCK, remote.left());
        let _lock = lock.map_err(|error| Failure::Later(error.to_string()))?;
        if !has_entities(remote, pair)? {
            let inserted = remote.run(&[b"new_wt_ht_bsa", &pair.recno], b"");
            // Another host may have been faster; what counts is that they are there.
            if !has_entities(remote, pair)? {
                inserted?;
                return Err(Failure::Later("new_wt_ht_bsa inserted no entities".to_owned()));
            }
        }
    }
    let mut values = Vec::new();
    for (attribute, value) in observations {
        values.push([attribute.as_bytes(), b" = ", &literal(value.as_bytes())?].concat());
    }
    let key = literal(&pair.recno)?;
    let update =
        [b"UPDATE AdmitObservation SET ", &values.join(&b", "[..])[..], b" WHERE medRecNum = ", &key, b";\n"];
    let update = update.concat();
    let back = Select { attributes: &["ht", "admitWt", "BSA"], ..ENTITY };
    let rows = census::select(remote, &update, &[(back, &pair.recno)])?;
    let row = rows.first().and_then(|rows| rows.first());
    for (attribute, value) in observations {
        let place = back.attributes.iter().position(|name| name == attribute);
        let written = place.and_then(|place| row?.get(place));
        if written.is_none_or(|written| !is_same(written, value)) {
            return Err(Failure::Later(format!("idb: {attribute} was not written")));
        }
    }
    Ok(())
}

/// CareVue may write a number in another way.
fn is_same(written: &[u8], value: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let written = String::from_utf8_lossy(written);
    written == value || number(&written).is_some_and(|written| Some(written) == number(value))
}

fn has_entities(remote: &Remote, pair: &Pair) -> Result<bool, Failure> {
    let rows = census::select(remote, b"", &[(ENTITY, &pair.recno)])?;
    Ok(rows.first().is_some_and(|rows| !rows.is_empty()))
}
