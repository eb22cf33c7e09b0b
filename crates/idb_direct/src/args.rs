//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::Failure;
use crate::value;

/// A bed and a patient to look up together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Empty: no bed.
    pub(crate) bed: Vec<u8>,
    pub(crate) recno: Vec<u8>,
}

/// An attribute of AdmitObservation and its new value.
pub(crate) type Observation = (&'static str, String);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) event: u8,
    pub(crate) commit: bool,
    /// One, or two for the events 2 and 17.
    pub(crate) pairs: Vec<Pair>,
    pub(crate) observations: Vec<Observation>,
}

/// The command line, for manual pages and shell completions.
pub(crate) fn command() -> Command {
    let option = |name: &'static str, letter: char, value: &'static str, help: &'static str| {
        // Whatever a message brought is a value, also one that looks like an option.
        let option = Arg::new(name).short(letter).value_name(value).help(help);
        option.value_parser(value_parser!(OsString)).allow_hyphen_values(true)
    };
    Command::new("idb_direct")
        .about("Asks CareVue whether a bed is occupied and a patient known; the exit status is the answer.")
        .override_usage(
            "idb_direct -e 1|8 -r RECNO -l BED [-c] [-H HEIGHT] [-W WEIGHT] [-S BSA]\n       \
             idb_direct -e 2 -r RECNO -l OLD_BED -n NEW_BED\n       \
             idb_direct -e 3 -r RECNO -l BED\n       \
             idb_direct -e 17 -r RECNO1 -l BED1 -s RECNO2 -m BED2",
        )
        .after_help(
            "Status: 1 occupied, 2 known, 7 in this bed; the second pair times 8; 128 error; 192 try later.",
        )
        .disable_version_flag(true)
        .args([
            option("event", 'e', "EVENT", "The ADT event: 1, 2, 3, 8 or 17").required(true),
            option("recno", 'r', "RECNO", "The medical record number").required(true),
            option("bed", 'l', "BED", "The bed; '' for none").required(true),
            option("recno2", 's', "RECNO2", "The second patient of event 17"),
            option("bed2", 'm', "BED2", "The second patient's bed, event 17"),
            option("new_bed", 'n', "NEW_BED", "The new bed of event 2"),
            Arg::new("commit")
                .short('c')
                .action(ArgAction::SetTrue)
                .help("Wait for the patient, write the observations (events 1 and 8)"),
            option("height", 'H', "HEIGHT", "The admit height, in cm"),
            option("weight", 'W', "WEIGHT", "The admit weight, in kg"),
            option("bsa", 'S', "BSA", "The body surface area, in m2"),
        ])
}

impl Request {
    /// Takes the options that belong to the event, and no others.
    pub(crate) fn new(matches: &ArgMatches) -> Result<Request, Failure> {
        let given = |name: &str| matches.get_one::<OsString>(name).map(|value| value.as_bytes().to_vec());
        let event = match given("event").unwrap_or_default().as_slice() {
            b"1" => 1,
            b"2" => 2,
            b"3" => 3,
            b"8" => 8,
            b"17" => 17,
            _ => return Err(Failure::Usage("-e: must be 1, 2, 3, 8 or 17".to_owned())),
        };
        let only = |letter: char, name: &str, events: &[u8], told: &str| match given(name).is_some()
            && !events.contains(&event)
        {
            true => Err(Failure::Usage(format!("-{letter} is for {told}, not for event {event}"))),
            false => Ok(()),
        };
        for (letter, name) in [('H', "height"), ('W', "weight"), ('S', "bsa")] {
            only(letter, name, &[1, 8], "the events 1 and 8")?;
        }
        only('n', "new_bed", &[2], "event 2")?;
        only('s', "recno2", &[17], "event 17")?;
        only('m', "bed2", &[17], "event 17")?;
        let commit = matches.get_flag("commit");
        if commit && ![1, 8].contains(&event) {
            return Err(Failure::Usage(format!("-c is for the events 1 and 8, not for event {event}")));
        }
        let bed = |letter, name| sound(letter, needed(letter, given(name), event)?);
        let recno = |letter, name| match bed(letter, name)? {
            recno if recno.is_empty() => Err(Failure::Wrong(format!("-{letter}: no record number"))),
            recno => Ok(recno),
        };
        let first = Pair { bed: bed('l', "bed")?, recno: recno('r', "recno")? };
        let pairs = match event {
            2 => {
                let second = Pair { bed: bed('n', "new_bed")?, recno: first.recno.clone() };
                vec![first, second]
            }
            17 => vec![first, Pair { bed: bed('m', "bed2")?, recno: recno('s', "recno2")? }],
            _ => vec![first],
        };
        let mut observations = Vec::new();
        for (letter, name, attribute) in
            [('H', "height", "ht"), ('W', "weight", "admitWt"), ('S', "bsa", "BSA")]
        {
            if let Some(number) = given(name) {
                observations.push((attribute, measure(letter, number)?));
            }
        }
        Ok(Request { event, commit, pairs, observations })
    }

    /// Event and beds, for a person: nothing of the patient.
    pub(crate) fn place(&self) -> String {
        let beds: Vec<String> = self.pairs.iter().map(|pair| format!("{:?}", shown(&pair.bed))).collect();
        format!("A{:02}, bed {}", self.event, beds.join(" and "))
    }
}

fn needed(letter: char, value: Option<Vec<u8>>, event: u8) -> Result<Vec<u8>, Failure> {
    value.ok_or_else(|| Failure::Usage(format!("-{letter} is needed for event {event}")))
}

fn sound(letter: char, value: Vec<u8>) -> Result<Vec<u8>, Failure> {
    value::check(&value).map_err(|why| Failure::Wrong(format!("-{letter}: {why}")))?;
    Ok(value)
}

fn measure(letter: char, value: Vec<u8>) -> Result<String, Failure> {
    match String::from_utf8(value) {
        Ok(text) if value::is_measure(text.as_bytes()) => Ok(text),
        _ => Err(Failure::Wrong(format!("-{letter}: must be a number above 0, such as 75 or 2.7"))),
    }
}

/// A bed in a text for people, in ASCII.
pub(crate) fn shown(bed: &[u8]) -> String {
    bed.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
