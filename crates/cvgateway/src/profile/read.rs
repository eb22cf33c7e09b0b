//! Reading the profile: the shipped one first, then the site's over it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protogen_sys::files::read_bounded;
use protogen_sys::toml_file::{Fault, Text, Value, text_of};

use super::{BedName, Charset, Limits, PatientId, Profile, SHIPPED, Source, Times, UNKNOWN};
use crate::decide::Event;

/// The longest profile, in bytes.
const MAX_PROFILE: usize = 1 << 20;
/// The segments of an ORU that stand nowhere but before an order's results.
const BEFORE_RESULTS: [[u8; 3]; 9] =
    [*b"PID", *b"PD1", *b"NK1", *b"PV2", *b"ORC", *b"OBR", *b"TQ1", *b"TQ2", *b"CTD"];
/// The highest field of ZDM that a profile may fill.
const MAX_ZDM: usize = 200;

/// A profile that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key is wrong.
    Wrong {
        /// The file; empty for the shipped one.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, and what was expected.
        what: String,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::Unreadable { path, source } => {
                write!(
                    f,
                    "{}: {source}; start from the cvgateway.toml that is shipped, and set its beds",
                    path.display()
                )
            }
            ProfileError::Wrong { path, line, what } => write!(f, "{}:{line}: {what}", path.display()),
        }
    }
}

impl std::error::Error for ProfileError {}

/// Reads a profile.
///
/// # Errors
/// Names the file, and the line and the key of the first fault.
pub fn read(path: &Path) -> Result<Profile, ProfileError> {
    let wrong = |line, what: &str| ProfileError::Wrong { path: path.to_owned(), line, what: what.to_owned() };
    let bytes = read_bounded(path, MAX_PROFILE)
        .map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })?;
    let text = text_of(bytes).map_err(|fault| wrong(fault.line, &fault.what))?;
    parse(&text).map_err(|error| match error {
        ProfileError::Wrong { line, what, .. } => wrong(line, &what),
        other => other,
    })
}

/// A profile of this text; the path of an error is empty.
pub(super) fn parse(text: &str) -> Result<Profile, ProfileError> {
    let wrong = |Fault { line, what }| ProfileError::Wrong { path: PathBuf::new(), line, what };
    let mut profile = blank();
    apply(SHIPPED, &mut profile).map_err(wrong)?;
    apply(text, &mut profile).map_err(wrong)?;
    Ok(profile)
}

/// What the shipped profile is laid over: it sets every key.
fn blank() -> Profile {
    let zero = Duration::ZERO;
    Profile {
        patient_id: PatientId::Visit,
        bed_name: BedName::blank(),
        beds: Vec::new(),
        wards: Vec::new(),
        arterial: Vec::new(),
        venous: Vec::new(),
        ignore: Vec::new(),
        charset: Charset::Ascii,
        pv1: Vec::new(),
        keep: Default::default(),
        zdm: Default::default(),
        blood_specimen: Default::default(),
        time: Times { census: zero, commit: zero, connect: zero, answer: zero, idle: zero },
        limit: Limits { connections: 1, results: 1, message: 1, journal_days: 1, repeat: zero },
        idb_direct: None,
    }
}

fn apply(text: &str, profile: &mut Profile) -> Result<(), Fault> {
    let text = Text(text);
    let table = text.parse()?;
    let mut needs_visit = None;
    for (key, value) in table.get_ref() {
        let value = text.value(key.get_ref().as_ref(), value);
        match key.get_ref().as_ref() {
            "patient-id" => profile.patient_id = patient_id(&value)?,
            "bed-name" => {
                let name = BedName::parse(&value.string()?);
                profile.bed_name = name.ok_or_else(|| value.fault("expected a text such as \"{2}-{3}\""))?;
            }
            "beds" => profile.beds = patterns(&value)?,
            "wards" => profile.wards = value.strings()?,
            "arterial" => profile.arterial = codes(&value)?,
            "venous" => profile.venous = codes(&value)?,
            "ignore" => profile.ignore = ignored(&value)?,
            "charset" => profile.charset = charset(&value)?,
            "pv1" => {
                profile.pv1 = fields(&value)?;
                needs_visit = Some(value.fault("19 must be sent on where patient-id is \"visit\""));
            }
            "keep" => profile.keep = value.table()?.into_iter().map(kept).collect::<Result<_, _>>()?,
            "zdm" => profile.zdm = value.table()?.into_iter().map(zdm).collect::<Result<_, _>>()?,
            "blood-specimen" => {
                profile.blood_specimen = specimen_texts(&value)?;
            }
            "time" => times(&value, &mut profile.time)?,
            "limit" => limits(&value, &mut profile.limit)?,
            "idb-direct" => profile.idb_direct = Some(value.string()?.into()),
            _ => return Err(value.fault("is no key of cvgateway.toml(5)")),
        }
    }
    if let Some(fault) = needs_visit
        && profile.patient_id == PatientId::Visit
        && !profile.pv1.contains(&19)
    {
        return Err(fault);
    }
    if let Some(both) = profile.arterial.iter().find(|code| profile.venous.contains(code)) {
        return Err(Fault {
            line: 1,
            what: format!("{both:?} is both arterial and venous; it must be one of the two"),
        });
    }
    Ok(())
}

fn patient_id(value: &Value) -> Result<PatientId, Fault> {
    match value.string()?.as_str() {
        "visit" => Ok(PatientId::Visit),
        "patient" => Ok(PatientId::Patient),
        _ => Err(value.fault("expected \"visit\" or \"patient\"")),
    }
}

fn charset(value: &Value) -> Result<Charset, Fault> {
    match value.string()?.as_str() {
        "hp-roman8" => Ok(Charset::HpRoman8),
        "latin1" => Ok(Charset::Latin1),
        "ascii" => Ok(Charset::Ascii),
        _ => Err(value.fault("expected \"hp-roman8\", \"latin1\" or \"ascii\"")),
    }
}

fn patterns(value: &Value) -> Result<Vec<glob::Pattern>, Fault> {
    let list = value.list()?;
    if list.is_empty() {
        return Err(value.fault("expected at least one pattern, such as \"60[0-9]-[0-9]\""));
    }
    list.iter()
        .map(|value| {
            let text = value.string()?;
            if text.is_empty() {
                return Err(value.fault("an empty pattern"));
            }
            glob::Pattern::new(&text).map_err(|error| {
                value.fault(format!("{text:?}: {}, at character {}", error.msg, error.pos + 1))
            })
        })
        .collect()
}

/// Codes of specimen sources, which are compared in capitals.
fn codes(value: &Value) -> Result<Vec<String>, Fault> {
    Ok(value.strings()?.iter().map(|code| code.to_uppercase()).collect())
}

fn ignored(value: &Value) -> Result<Vec<String>, Fault> {
    // ORU and NMD are served whatever their event.
    let is_served = |kind: &str, event: &str| match kind {
        "ORU" | "NMD" => true,
        "ADT" => event.is_empty() || Event::of_name(event.as_bytes()).is_some(),
        _ => false,
    };
    for one in value.list()? {
        let text = one.string()?;
        let (kind, event) = text.split_once('^').unwrap_or((&text, ""));
        let sound = |part: &str| part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if kind.len() != 3 || !sound(kind) || !sound(event) {
            return Err(one.fault(format!("{text:?}, expected a type and an event such as \"ADT^A31\"")));
        }
        if is_served(kind, event) {
            return Err(one.fault(format!("{text:?} is what the gateway is for; it cannot be ignored")));
        }
    }
    value.strings()
}

fn fields(value: &Value) -> Result<Vec<usize>, Fault> {
    let fields: Result<Vec<usize>, Fault> =
        value.list()?.iter().map(|value| Ok(value.number(1, 100)? as usize)).collect();
    match fields? {
        fields if fields.contains(&3) => Ok(fields),
        _ => Err(value.fault("3, the location, must be sent on")),
    }
}

fn kept((key, value): (String, Value)) -> Result<(String, Vec<[u8; 3]>), Fault> {
    let event = Event::of_name(key.as_bytes()).is_some();
    if !event && key != "ADT" && key != "ORU" {
        return Err(value.fault("expected ADT, ORU or an event such as A01"));
    }
    let mut segments = Vec::new();
    for one in value.list()? {
        let name = one.string()?;
        let bytes: Option<[u8; 3]> = name.as_bytes().try_into().ok();
        let sound = bytes.filter(|name| name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
        let Some(segment) = sound else {
            return Err(one.fault(format!("{name:?}, expected the name of a segment, such as \"PV1\"")));
        };
        if matches!(&segment, b"MSH" | b"ZDM" | b"OBX") || key == "ORU" && &segment == b"PV1" {
            return Err(
                one.fault(format!("{name} cannot be kept: it is written anew, or CareVue refuses it"))
            );
        }
        if key == "ORU" && !BEFORE_RESULTS.contains(&segment) {
            return Err(one.fault(format!(
                "{name} cannot be kept in its place; expected PID, PD1, NK1, PV2, ORC, OBR, TQ1, TQ2 or CTD"
            )));
        }
        segments.push(segment);
    }
    let needed: &[[u8; 3]] = if key == "ORU" { &[*b"PID", *b"OBR"] } else { &[*b"EVN", *b"PID", *b"PV1"] };
    match needed.iter().find(|name| !segments.contains(name)) {
        Some(name) => Err(value.fault(format!("{} must be kept", String::from_utf8_lossy(name)))),
        None => Ok((key, segments)),
    }
}

fn zdm((key, value): (String, Value)) -> Result<(usize, Source), Fault> {
    let field = key.parse().ok().filter(|field| (1..=MAX_ZDM).contains(field));
    let field =
        field.ok_or_else(|| value.fault(format!("expected the number of a field, 1 to {MAX_ZDM}")))?;
    let text = value.string()?;
    let source = Source::parse(&text).map_err(|error| value.fault(format!("{text:?}: {error}")))?;
    Ok((field, source))
}

/// The texts of `[blood-specimen]`, by specimen source in capitals, as sources are compared.
fn specimen_texts(value: &Value) -> Result<BTreeMap<String, String>, Fault> {
    let mut texts = BTreeMap::new();
    for (key, text) in value.table()? {
        if texts.insert(key.to_uppercase(), plain(&text)?).is_some() {
            return Err(text.fault("stands twice, for case does not count"));
        }
    }
    match texts.contains_key(UNKNOWN) {
        true => Ok(texts),
        false => Err(value.fault("expected unknown = \"...\", the text of every other specimen source")),
    }
}

/// A text that goes into a message: printable.
fn plain(value: &Value) -> Result<String, Fault> {
    let text = value.string()?;
    match text.chars().any(char::is_control) || text.is_empty() {
        true => Err(value.fault("expected a text without control characters")),
        false => Ok(text),
    }
}

fn times(value: &Value, times: &mut Times) -> Result<(), Fault> {
    for (key, value) in value.table()? {
        let slot = match key.as_str() {
            "census" => &mut times.census,
            "commit" => &mut times.commit,
            "connect" => &mut times.connect,
            "answer" => &mut times.answer,
            "idle" => &mut times.idle,
            _ => {
                return Err(
                    value.fault("is no key of [time]; expected census, commit, connect, answer, idle")
                );
            }
        };
        *slot = Duration::from_secs(value.number(1, 3600)?);
    }
    Ok(())
}

fn limits(value: &Value, limits: &mut Limits) -> Result<(), Fault> {
    for (key, value) in value.table()? {
        match key.as_str() {
            "connections" => limits.connections = value.number(1, 10_000)? as usize,
            "results" => limits.results = value.number(1, 64)? as usize,
            "message" => limits.message = value.number(1024, 1 << 30)? as usize,
            "journal-days" => limits.journal_days = value.number(1, 36_500)? as u32,
            "repeat-hours" => limits.repeat = Duration::from_secs(value.number(0, 24 * 366)? * 3600),
            _ => {
                return Err(value.fault(
                    "is no key of [limit]; expected connections, results, message, journal-days, repeat-hours",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protogen_testkit::Dir;

    #[test]
    fn the_shipped_one_sets_every_key_and_a_site_changes_what_it_names() {
        let profile = parse("beds = [\"A?\"]\n[zdm]\n3 = \"PID-18\"\n[limit]\nrepeat-hours = 0\n").unwrap();
        assert!(profile.beds[0].matches("A1") && profile.beds.len() == 1);
        assert_eq!(profile.zdm.len(), 1);
        assert_eq!((profile.limit.repeat, profile.limit.results), (Duration::ZERO, 4));
        let shipped = parse("").unwrap();
        assert!(parse("patient-id = \"patient\"\npv1 = [3]\n").is_ok());
        assert_eq!(shipped.zdm.len(), 28);
        assert_eq!(shipped.kept("ADT", "A17"), [*b"EVN", *b"PID", *b"PV1"]);
        assert_eq!(shipped.kept("ORU", "R01"), [*b"PID", *b"OBR"]);
        assert_eq!(shipped.time.answer, Duration::from_secs(30));
    }

    #[test]
    fn faults_are_named_with_line_and_key() {
        for (text, line, told) in [
            ("\npatient-id = \"name\"", 2, "patient-id: expected \"visit\" or \"patient\""),
            ("colour = 1", 1, "colour: is no key"),
            ("bed-name = \"601\"", 1, "bed-name: expected a text such as"),
            ("beds = []", 1, "beds: expected at least one"),
            ("beds = [\"60[\"]", 1, "beds: \"60[\": "),
            ("\n\nbeds = [\n\"a\",\n3]", 5, "beds: expected a text in quotes"),
            ("ignore = [\"ADT^A01\"]", 1, "ignore: \"ADT^A01\" is what the gateway is for"),
            ("ignore = [\"ADT\"]", 1, "cannot be ignored"),
            ("ignore = [\"ORU\"]", 1, "cannot be ignored"),
            ("ignore = [\"ADT^A31\",\n\"ORU^R01\"]", 2, "\"ORU^R01\" is what the gateway is for"),
            ("ignore = [\"NMD^N02\"]", 1, "\"NMD^N02\" is what the gateway is for"),
            ("ignore = [\"adt^a31\"]", 1, "expected a type and an event"),
            ("charset = \"utf-8\"", 1, "charset: expected"),
            ("pv1 = [0]", 1, "pv1: expected a whole number from 1 to 100"),
            ("pv1 = [6, 19]", 1, "pv1: 3, the location, must be sent on"),
            ("\npv1 = [3]", 2, "pv1: 19 must be sent on where"),
            ("[blood-specimen]\nBLDA = \"a\"", 1, "blood-specimen: expected unknown"),
            ("[blood-specimen]\nunknown = \"u\"\nBLDA = \"a\"\nblda = \"b\"", 4, "stands twice"),
            ("[keep]\nORU = [\"PID\", \"OBR\", \"PV1\"]", 2, "ORU: PV1 cannot be kept"),
            ("[keep]\nORU = [\"PID\", \"OBR\",\n\"NTE\"]", 3, "ORU: NTE cannot be kept in its place"),
            ("[keep]\nA01 = [\"PID\", \"PV1\"]", 2, "A01: EVN must be kept"),
            ("[keep]\nA05 = []", 2, "A05: expected ADT, ORU or an event"),
            ("[zdm]\n0 = \"PID-5\"", 2, "0: expected the number of a field"),
            ("[zdm]\n1 = \"PID\"", 2, "1: \"PID\": expected a field"),
            ("[time]\nanswer = 0", 2, "answer: expected a whole number from 1 to 3600"),
            ("[time]\nanswers = 1", 2, "answers: is no key of [time]"),
            ("[limit]\nresults = \"4\"", 2, "results: expected a whole number"),
            ("[blood-specimen]\nunknown = \"a\\nb\"", 2, "unknown: expected a text without control"),
            ("arterial = [\"X\"]\nvenous = [\"x\"]", 1, "both arterial and venous"),
            ("beds = [\"a\"]\nbeds = [\"b\"]", 2, "duplicate key"),
            ("\nbeds = ", 2, ""),
        ] {
            let ProfileError::Wrong { line: at, what, .. } = parse(text).unwrap_err() else { panic!() };
            assert_eq!(at, line, "{text}: {what}");
            assert!(what.contains(told), "{text}: {what}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_no_text_is_named() {
        let dir = Dir::new();
        let error = read(&dir.join("none.toml")).unwrap_err().to_string();
        assert!(error.contains("none.toml: No such file"), "{error}");
        let path = dir.write("bad.toml", b"\n\nbeds = [\"\xE4\"]\n");
        assert!(read(&path).unwrap_err().to_string().ends_with("bad.toml:3: this is not UTF-8"));
        let path = dir.write("site.toml", "\ncolour = 1\n");
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .ends_with("site.toml:2: colour: is no key of cvgateway.toml(5)")
        );
    }
}
