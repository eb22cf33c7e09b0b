//! What the environment sets: the command line is the one that a site's own script has too.

use std::time::Duration;

use protogen_sys::carevue;

use crate::Failure;

/// The times when nothing sets them, in seconds, and the most that can be set.
const DEFAULT_TIMEOUT: f64 = 30.0;
const DEFAULT_WAIT: f64 = 60.0;
const DEFAULT_POLL: f64 = 1.0;
const MOST: f64 = 3600.0;

/// How CareVue is reached, and for how long it is tried.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The remote shell and its options.
    pub(crate) rsh: Vec<String>,
    /// For all that is asked of CareVue, but for the wait.
    pub(crate) timeout: Duration,
    /// For a patient to appear in the census.
    pub(crate) wait: Duration,
    /// Between two looks at the census.
    pub(crate) poll: Duration,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Settings, Failure> {
        Settings::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, Failure> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let seconds = |name: &str, default: f64| match lookup(name).map(|text| text.trim().parse::<f64>()) {
            None => Ok(Duration::from_secs_f64(default)),
            Some(Ok(number)) if (0.01..=MOST).contains(&number) => Ok(Duration::from_secs_f64(number)),
            Some(_) => Err(Failure::Later(format!("{name}: must be seconds, from 0.01 to {MOST}"))),
        };
        Ok(Settings {
            rsh: carevue::shell_words(lookup("PG_RSH")),
            timeout: seconds("PG_IDB_TIMEOUT", DEFAULT_TIMEOUT)?,
            wait: seconds("PG_IDB_WAIT", DEFAULT_WAIT)?,
            poll: seconds("PG_IDB_POLL", DEFAULT_POLL)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let of = |name: &'static str, value: &'static str| {
            Settings::from_variables(|asked| (asked == name).then(|| value.to_owned()))
        };
        let default = of("", "").unwrap();
        assert_eq!(default.rsh, ["ssh", "-o", "BatchMode=yes"]);
        assert_eq!((default.timeout.as_secs(), default.wait.as_secs(), default.poll.as_secs()), (30, 60, 1));
        assert_eq!(of("PG_RSH", " rsh  -n ").unwrap().rsh, ["rsh", "-n"]);
        assert_eq!(of("PG_RSH", " ").unwrap().rsh.len(), 3);
        assert_eq!(of("PG_IDB_WAIT", "2.5").unwrap().wait, Duration::from_millis(2500));
        for bad in ["0", "-1", "x", "NaN", "4000"] {
            assert!(of("PG_IDB_POLL", bad).unwrap_err().to_string().starts_with("PG_IDB_POLL: must be"));
        }
    }
}
