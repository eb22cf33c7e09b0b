//! The file `etc/queues`: every queue, and what is set for all. See queues(5).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protogen_core::llp::illp::is_token;
use protogen_sys::files::read_bounded;
use protogen_sys::site::Site;
use protogen_sys::toml_file::{Fault, Text, Value, text_of};

use crate::settings::{ABLHL7TOCV, HL7TOCV, Manner, Queue};

/// The longest file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// The most queues.
const MAX_QUEUES: usize = 64;
/// The longest time that can be set, in seconds.
const MOST_SECONDS: f64 = 86_400.0;

/// What the file says.
#[derive(Debug, Clone)]
pub struct Queues {
    /// What is set for all queues, and in force for one that the file does not name.
    pub common: Manner,
    /// The queues in the order of the file.
    pub queues: Vec<Queue>,
    /// The run log, where the command line names none.
    pub run_log: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum QueuesError {
    /// It cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key is wrong.
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
    },
}

impl fmt::Display for QueuesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueuesError::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            QueuesError::Wrong { path, fault } => write!(f, "{}:{fault}", path.display()),
        }
    }
}

impl std::error::Error for QueuesError {}

/// Reads the site's file. Without one there are the two queues of the manual, each as it is shipped.
///
/// # Errors
/// Names the file, the line and the key of the first fault.
pub fn read(site: &Site) -> Result<Queues, QueuesError> {
    let path = site.etc("queues");
    let wrong = |fault| QueuesError::Wrong { path: path.clone(), fault };
    let bytes = match read_bounded(&path, MAX_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("[{HL7TOCV}]\n[\"{ABLHL7TOCV}\"]\n").into_bytes()
        }
        result => result.map_err(|source| QueuesError::Unreadable { path: path.clone(), source })?,
    };
    text_of(bytes).and_then(|text| parse(&text, site)).map_err(wrong)
}

/// The queues of this text.
///
/// # Errors
/// The line and the key of the first fault.
pub fn parse(text: &str, site: &Site) -> Result<Queues, Fault> {
    let text = Text(text);
    let table = text.parse()?;
    let shipped = Manner::shipped().map_err(|error| Fault { line: 1, what: error.to_string() })?;
    let mut queues = Queues { common: shipped, queues: Vec::new(), run_log: None };
    // In TOML the keys of no table come first.
    for (key, value) in table.get_ref() {
        let value = text.value(key.get_ref().as_ref(), value);
        match key.get_ref().as_ref() {
            "run-log" => queues.run_log = Some(path(&value)?),
            _ if value.is_table() => {}
            key => manner(key, &value, &mut queues.common)?,
        }
    }
    let mut tables: Vec<_> = table.get_ref().iter().collect();
    tables.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in tables {
        let name = key.get_ref().as_ref();
        let value = text.value(name, value);
        if value.is_table() {
            let fault = |what| Fault { line: text.line(key.span().start), what: format!("[{name}]: {what}") };
            check_name(name).map_err(fault)?;
            let queue = queue(name, &value, &queues.common, site)?;
            check_places(&queue, &queues.queues).map_err(fault)?;
            queues.queues.push(queue);
        }
    }
    match queues.queues.len() {
        0..=MAX_QUEUES => Ok(queues),
        count => Err(Fault { line: 1, what: format!("{count} queues; {MAX_QUEUES} are the most") }),
    }
}

/// A name may be a path below the spool area, and nothing that leads out of it.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let sound = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(plain);
    match name.len() <= 100 && name.split('/').all(sound) {
        true => Ok(()),
        false => Err("expected a name of letters, digits, '_', '-', '.' and '/', such as ABL/060_IOP".into()),
    }
}

/// Two queues in one directory would each take the other's messages for their own.
fn check_places(queue: &Queue, others: &[Queue]) -> Result<(), String> {
    if queue.spool == queue.log {
        return Err("spool and log are the same directory".into());
    }
    for other in others {
        for place in [&queue.spool, &queue.log] {
            if [&other.spool, &other.log].contains(&place) {
                return Err(format!("{} is a directory of [{}] already", place.display(), other.name));
            }
        }
    }
    Ok(())
}

fn queue(name: &str, value: &Value, common: &Manner, site: &Site) -> Result<Queue, Fault> {
    let mut queue = Queue::of_site(site, name, common.clone());
    for (key, value) in value.table()? {
        match key.as_str() {
            "spool" => queue.spool = path(&value)?,
            "log" => queue.log = path(&value)?,
            key => manner(key, &value, &mut queue.manner)?,
        }
    }
    Ok(queue)
}

fn manner(key: &str, value: &Value, manner: &mut Manner) -> Result<(), Fault> {
    match key {
        "gateway" => manner.gateway = value.string()?.parse().map_err(|error| value.fault(error))?,
        "cid" => {
            manner.cid = value.string()?;
            if !is_token(manner.cid.as_bytes()) {
                return Err(value.fault("expected at most 63 printable ASCII characters without blanks"));
            }
        }
        "retries" => manner.retries = value.number(0, 1000)? as u32,
        "pause" => manner.pause = seconds(value)?,
        "connect" => manner.connect = seconds(value)?,
        "answer" => manner.answer = seconds(value)?,
        "probe" => {
            let probe = value.decimal(0.0, MOST_SECONDS)?;
            manner.probe = (probe > 0.0).then(|| Duration::from_secs_f64(probe));
        }
        "on-negative" => {
            manner.stop = match value.string()?.as_str() {
                "skip" => false,
                "stop" => true,
                _ => return Err(value.fault("expected \"skip\" or \"stop\"")),
            };
        }
        "retry-negative" => manner.retry_negative = value.boolean()?,
        "mail-message" => manner.mail_message = value.boolean()?,
        "run-limit" => manner.run_limit = seconds(value)?,
        "lock-limit" => manner.lock_limit = seconds(value)?,
        "system-message" => manner.system_message = plain(value)?,
        "carevue-log" => manner.carevue_log = plain(value)?,
        _ => return Err(value.fault("is no key of queues(5)")),
    }
    Ok(())
}

fn seconds(value: &Value) -> Result<Duration, Fault> {
    value.decimal(0.01, MOST_SECONDS).map(Duration::from_secs_f64)
}

fn path(value: &Value) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(plain(value)?);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(value.fault("expected a path that begins with /, for cron starts it elsewhere")),
    }
}

fn plain(value: &Value) -> Result<String, Fault> {
    let text = value.string()?;
    match text.chars().any(char::is_control) || text.is_empty() {
        true => Err(value.fault("expected a text without control characters")),
        false => Ok(text),
    }
}

impl Queues {
    /// The queue of this name, with the nearest known one in the error.
    pub(crate) fn named(&self, name: &str, site: &Site, file: &Path) -> anyhow::Result<Queue> {
        if let Some(queue) = self.queues.iter().find(|queue| queue.name == name) {
            return Ok(queue.clone());
        }
        if [HL7TOCV, ABLHL7TOCV].contains(&name) {
            return Ok(Queue::of_site(site, name, self.common.clone()));
        }
        let nearest = self.queues.iter().map(|queue| (strsim::jaro_winkler(&queue.name, name), &queue.name));
        let nearest = nearest.filter(|(like, _)| *like > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = nearest.map_or(String::new(), |(_, name)| format!("; did you mean {name}?"));
        anyhow::bail!("{}: no queue is called {name}{hint}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::from_variables(|name| (name == "PG_HOME").then(|| "/site".into()))
    }

    #[test]
    fn keys_of_no_table_are_for_all_and_a_queue_has_its_own() {
        let text = "retries = 1\npause = 0.5\nrun-log = \"/var/log/hl7tocv\"\n\
                    [B]\ngateway = \"4000%gate\"\nspool = \"/in\"\non-negative = \"stop\"\n\
                    [\"A/1\"]\nretries = 0\nmail-message = true\n";
        let queues = parse(text, &site()).unwrap();
        assert_eq!(queues.run_log, Some("/var/log/hl7tocv".into()));
        let [b, a] = &queues.queues[..] else { panic!("{queues:?}") };
        assert_eq!(
            (b.name.as_str(), b.spool.as_path(), b.log.as_path()),
            ("B", Path::new("/in"), Path::new("/site/var/log/B"))
        );
        assert_eq!(
            (b.manner.gateway.to_string().as_str(), b.manner.retries, b.manner.stop),
            ("4000%gate", 1, true)
        );
        assert_eq!(a.spool, Path::new("/site/var/spool/A/1"));
        assert_eq!((a.manner.retries, a.manner.mail_message, a.manner.stop), (0, true, false));
        assert_eq!(
            (a.manner.gateway.to_string().as_str(), a.manner.pause),
            ("carevuehl7%localhost", Duration::from_millis(500))
        );
        let empty = parse("", &site()).unwrap();
        assert_eq!((empty.queues.len(), empty.common.retries, empty.common.pause.as_secs()), (0, 3, 5));
    }

    #[test]
    fn a_fault_has_its_line_and_key() {
        for (text, line, told) in [
            ("\nretires = 3", 2, "retires: is no key of queues(5)"),
            ("[A]\nretries = -1", 2, "retries: expected a whole number from 0 to 1000"),
            ("[A]\npause = \"5\"", 2, "pause: expected a number from 0.01 to 86400"),
            ("pause = nan", 1, "pause: expected a number"),
            ("[A]\n\ngateway = \"a b\"", 3, "gateway: \"a b\": must be SERVICE"),
            ("[A]\nspool = \"in\"", 2, "spool: expected a path that begins with /"),
            ("spool = \"/in\"", 1, "spool: is no key"),
            ("[A]\nspool = \"/x\"\nlog = \"/x\"", 1, "[A]: spool and log are the same"),
            ("[A]\nspool = \"/x\"\n[B]\nlog = \"/x\"", 3, "[B]: /x is a directory of [A] already"),
            ("[\"../A\"]", 1, "[../A]: expected a name of letters"),
            ("[\"/A\"]", 1, "expected a name of letters"),
            ("[A]\non-negative = \"hold\"", 2, "on-negative: expected \"skip\" or \"stop\""),
            ("[A]\nretry-negative = 1", 2, "retry-negative: expected true or false"),
            ("cid = \"a b\"", 1, "cid: expected at most 63"),
            ("system-message = \"a\\nb\"", 1, "system-message: expected a text without control"),
            ("[A]\n[A]", 2, "duplicate key"),
            ("[A", 1, ""),
            ("run-log = 3", 1, "run-log: expected a text in quotes"),
        ] {
            let fault = parse(text, &site()).unwrap_err();
            assert_eq!(fault.line, line, "{text}: {fault}");
            assert!(fault.what.contains(told), "{text}: {fault}");
        }
        let many: String = (0..65).map(|n| format!("[Q{n}]\n")).collect();
        assert!(parse(&many, &site()).unwrap_err().what.contains("65 queues; 64 are the most"));
    }

    #[test]
    fn an_unknown_name_has_the_nearest_one_beside_it() {
        let queues = parse("[LABOR]\n", &site()).unwrap();
        let named = |name| queues.named(name, &site(), Path::new("/q")).map(|queue| queue.name);
        assert_eq!(named("LABOR").unwrap(), "LABOR");
        assert_eq!(named(ABLHL7TOCV).unwrap(), ABLHL7TOCV);
        assert_eq!(
            named("LABRO").unwrap_err().to_string(),
            "/q: no queue is called LABRO; did you mean LABOR?"
        );
    }
}
