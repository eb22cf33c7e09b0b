//! Where a site keeps its files, and what it wrote into the two that many programs read: `admin` and `carevue`.
//!
//! Everything moves with `PG_HOME`; nothing is compiled in that a site must change.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::read_bounded;

/// The installation prefix when `PG_HOME` is not set.
pub const DEFAULT_HOME: &str = "/usr/hl7";
/// The most that is read of a site file, in bytes.
const MAX_SITE_FILE: usize = 64 << 10;

/// The places of this installation, with what the environment says.
#[derive(Debug, Clone)]
pub struct Site {
    home: PathBuf,
    codes: PathBuf,
    admin: Option<OsString>,
    carevue: Option<OsString>,
}

/// The CareVue host and the account commands run under, from `LOGIN@HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CareVue {
    /// The account; letters, digits, `.`, `_` and `-`.
    pub login: String,
    /// The host name or address; never begins with `-`, so that it is no option to a command.
    pub host: String,
}

/// A site file or variable that is missing or wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum SiteError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What belongs in it.
        expected: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What it says cannot be used.
    Malformed {
        /// The file with the line (`PATH:LINE`), or the variable.
        place: String,
        /// What belongs there.
        expected: &'static str,
    },
}

const ADMIN_HOLDS: &str = "the administrator's mail address, one a line (or set ADMIN, comma-separated)";
const CAREVUE_HOLDS: &str = "one line LOGIN@HOST, the CareVue host and the account on it (or set CAREVUE)";

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SiteError::Unreadable { path, expected, source } => {
                write!(f, "{}: {source}; it must hold {expected}", path.display())
            }
            SiteError::Malformed { place, expected } => write!(f, "{place}: must be {expected}"),
        }
    }
}

impl std::error::Error for SiteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SiteError::Unreadable { source, .. } => Some(source),
            SiteError::Malformed { .. } => None,
        }
    }
}

impl Site {
    /// The site that the environment of this process describes.
    #[must_use]
    pub fn from_environment() -> Site {
        Site::from_variables(|name| std::env::var_os(name))
    }

    /// The site that these variables describe. An empty variable counts as unset.
    #[must_use]
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Site {
        let lookup = |name| lookup(name).filter(|value| !value.is_empty());
        let home = lookup("PG_HOME").map_or_else(|| PathBuf::from(DEFAULT_HOME), PathBuf::from);
        let codes = lookup("PG_CODELIB").map_or_else(|| home.join("lib/codes"), PathBuf::from);
        Site { home, codes, admin: lookup("ADMIN"), carevue: lookup("CAREVUE") }
    }

    /// The installation prefix.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The compiled code tables.
    #[must_use]
    pub fn codes(&self) -> &Path {
        &self.codes
    }

    /// A site file, such as `hl7hosts`.
    #[must_use]
    pub fn etc(&self, name: &str) -> PathBuf {
        self.home.join("etc").join(name)
    }

    /// The spool area of a queue, such as `ABL/060_IOP`.
    #[must_use]
    pub fn spool(&self, queue: &str) -> PathBuf {
        self.home.join("var/spool").join(queue)
    }

    /// The log directory of a queue or a program.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.home.join("var/log").join(name)
    }

    /// The mail addresses of the administrators, at least one: `ADMIN`, else the file `admin`. Blank lines and lines
    /// that begin with `#` are skipped. An address without `@` is an account of this host.
    ///
    /// # Errors
    /// Names the file (or the variable) and what belongs in it.
    pub fn admin(&self) -> Result<Vec<String>, SiteError> {
        let found = match &self.admin {
            Some(value) => {
                let text = value.to_string_lossy();
                let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
                addresses
                    .map(|address| checked_address(address, || "ADMIN".to_owned()))
                    .collect::<Result<Vec<_>, _>>()?
            }
            None => self
                .lines("admin", ADMIN_HOLDS)?
                .iter()
                .map(|(line, text)| checked_address(text, || self.line_of("admin", *line)))
                .collect::<Result<Vec<_>, _>>()?,
        };
        if found.is_empty() {
            let place = if self.admin.is_some() { "ADMIN".to_owned() } else { self.file("admin") };
            return Err(SiteError::Malformed { place, expected: ADMIN_HOLDS });
        }
        Ok(found)
    }

    /// The CareVue host: `CAREVUE`, else the file `carevue`.
    ///
    /// # Errors
    /// Names the file (or the variable) and what belongs in it.
    pub fn carevue(&self) -> Result<CareVue, SiteError> {
        let (place, text) = match &self.carevue {
            Some(value) => ("CAREVUE".to_owned(), value.to_string_lossy().trim().to_owned()),
            None => match self.lines("carevue", CAREVUE_HOLDS)?.as_slice() {
                [(line, text)] => (self.line_of("carevue", *line), text.clone()),
                [] => (self.file("carevue"), String::new()),
                [_, (second, _), ..] => (self.line_of("carevue", *second), String::new()),
            },
        };
        parse_carevue(&text).ok_or(SiteError::Malformed { place, expected: CAREVUE_HOLDS })
    }

    /// The lines that say something, with their numbers.
    fn lines(&self, name: &str, expected: &'static str) -> Result<Vec<(usize, String)>, SiteError> {
        let path = self.etc(name);
        let bytes = read_bounded(&path, MAX_SITE_FILE).map_err(|source| SiteError::Unreadable {
            path,
            expected,
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).enumerate().map(|(index, line)| (index + 1, line.to_owned()));
        Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
    }

    fn file(&self, name: &str) -> String {
        self.etc(name).display().to_string()
    }

    fn line_of(&self, name: &str, line: usize) -> String {
        format!("{}:{line}", self.file(name))
    }
}

/// Refuses what a mail command could take for an option, or a header line for two.
fn checked_address(address: &str, place: impl Fn() -> String) -> Result<String, SiteError> {
    let sound = !address.starts_with('-')
        && address.chars().all(|c| c.is_ascii_graphic() && !"<>()[],;:\\\"|&`$".contains(c))
        && address.matches('@').count() < 2
        && !address.starts_with('@')
        && !address.ends_with('@');
    if sound {
        Ok(address.to_owned())
    } else {
        Err(SiteError::Malformed { place: place(), expected: ADMIN_HOLDS })
    }
}

/// Takes only letters, digits and a few signs: both parts go to a remote shell command.
fn parse_carevue(text: &str) -> Option<CareVue> {
    let (login, host) = text.split_once('@')?;
    let sound = |part: &str, signs: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    (sound(login, "._-") && sound(host, "._-:")).then(|| CareVue { login: login.into(), host: host.into() })
}

/// The name of this host; `localhost` when the system has none to tell.
#[must_use]
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
