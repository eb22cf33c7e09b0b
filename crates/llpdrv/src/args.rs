//! The command line: the old one, where order matters, and long options for the rest.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use protogen_sys::log::Facility;
use protogen_sys::services::Place;

use crate::settings::{Protocol, ROWS, Settings, profile};

/// FROM: the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Tcp(Place),
    Unix(PathBuf),
    Pty(PathBuf),
    Tty(PathBuf),
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            From::Tcp(place) => write!(f, "{place}"),
            From::Unix(path) | From::Pty(path) | From::Tty(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How far the driver goes from its terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// It forks and leaves.
    Detached,
    /// It leaves without forking (`-y`).
    Leaves,
    /// Neither (`-Y`).
    Stays,
}

/// All that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) protocol: Protocol,
    pub(crate) from: From,
    pub(crate) to: Option<Place>,
    pub(crate) distal: Option<Place>,
    /// DIST was given with `-1`, which has none.
    pub(crate) has_useless_distal: bool,
    pub(crate) dialogue: bool,
    pub(crate) stay: Stay,
    /// The distal service starts at once.
    pub(crate) at_once: bool,
    pub(crate) one_shot: bool,
    pub(crate) log: Option<PathBuf>,
    pub(crate) facility: Facility,
    pub(crate) check: bool,
    pub(crate) settings: Settings,
}

/// The command line, for manual pages and shell completions.
pub(crate) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).short(letter(name)).help(help).action(ArgAction::SetTrue)
    };
    let medium = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).short(letter(name)).value_name(value).help(help).action(ArgAction::Append)
    };
    let file = |name: &'static str, help: &'static str| {
        let argument = Arg::new(name).long(name).value_name("FILE").help(help);
        argument.value_parser(value_parser!(PathBuf)).value_hint(ValueHint::FilePath)
    };
    let mut command = Command::new("llpdrv")
        .about("Joins a line that speaks X3.28, HLLP or MLLP with programs that speak ILLP")
        .override_usage("llpdrv [-dyYI1] -a|-h|-m -i|-u|-p|-t FROM [-i TO] [-i DIST] [OPTION...]")
        .after_help("Every timer, retry, size and variant is an option too: see --settings and llpdrv(8).")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args([
            flag("a", "The line speaks ANSI X3.28"),
            flag("h", "The line speaks HLLP"),
            flag("m", "The line speaks MLLP"),
            medium("i", "SERVICE[%HOST]", "FROM is TCP; behind it TO (with %HOST) or DIST (without)"),
            medium("u", "PATH", "FROM is a UNIX socket"),
            medium("p", "PATH", "FROM is a pseudo terminal to be made"),
            medium("t", "PATH", "FROM is a serial line"),
            flag("d", "Log the dialogue (it holds patient data)"),
            flag("y", "Do not fork"),
            flag("Y", "Do not fork nor leave the terminal"),
            flag("I", "Serve DIST at once, not only after the line's first message"),
            flag("1", "Disconnect the line after each transaction; no DIST"),
            file("profile", "Read settings from here"),
            file("log", "Log to this file"),
            Arg::new("facility")
                .long("facility")
                .hide_short_help(true)
                .value_name("NAME")
                .help("Log to this syslog facility"),
            Arg::new("check").long("check").action(ArgAction::SetTrue).help("Check all of this, and end"),
        ]);
    for row in ROWS {
        let argument = Arg::new(row.name).long(row.name).value_name(row.value).help(row.about);
        let argument = argument.hide_short_help(true).hide_possible_values(true);
        command =
            command.arg(if row.name == "cid" { argument.env("PG_CID").hide_env(true) } else { argument });
    }
    command.args([
        Arg::new("settings")
            .long("settings")
            .action(ArgAction::SetTrue)
            .help("Print the settings as a profile"),
        Arg::new("help").long("help").action(ArgAction::HelpShort).help("Print this"),
        Arg::new("version")
            .long("version")
            .hide_short_help(true)
            .action(ArgAction::Version)
            .help("Print the version"),
    ])
}

fn letter(name: &str) -> char {
    name.chars().next().unwrap_or_default()
}

impl Config {
    /// What the command line and the profile ask for; the command line wins.
    pub(crate) fn new(matches: &ArgMatches) -> Result<Config> {
        let flag = |name: &str| matches.get_flag(name);
        let protocol = match (flag("a"), flag("h"), flag("m")) {
            (true, false, false) => Protocol::X328,
            (false, true, false) => Protocol::Hllp,
            (false, false, true) => Protocol::Mllp,
            (false, false, false) => bail!("which protocol does the line speak? -a, -h or -m is needed"),
            _ => bail!("the line speaks one protocol: only one of -a, -h and -m"),
        };
        let (from, to, distal) = places(matches)?;
        let settings = settings(matches, matches!(from, From::Tty(_)))?;
        settings.check(protocol)?;
        let one_shot = flag("1");
        Ok(Config {
            protocol,
            from,
            to,
            // Not an error: the old program had none either, whatever its command line said.
            has_useless_distal: one_shot && distal.is_some(),
            distal: distal.filter(|_| !one_shot),
            dialogue: flag("d"),
            stay: match (flag("Y"), flag("y")) {
                (true, _) => Stay::Stays,
                (_, true) => Stay::Leaves,
                _ => Stay::Detached,
            },
            at_once: flag("I"),
            one_shot,
            log: matches.get_one::<PathBuf>("log").cloned(),
            facility: match matches.get_one::<String>("facility") {
                Some(name) => name.parse().map_err(|error| anyhow::anyhow!("--facility {error}"))?,
                None => Facility::default(),
            },
            check: flag("check"),
            settings,
        })
    }
}

/// The settings of profile and command line.
pub(crate) fn settings(matches: &ArgMatches, on_serial_line: bool) -> Result<Settings> {
    let mut settings = Settings::default();
    if let Some(path) = matches.get_one::<PathBuf>("profile") {
        profile::read(path, &mut settings)?;
    }
    for row in ROWS {
        if let Some(text) = matches.get_one::<String>(row.name) {
            let set = (row.field)(&mut settings).set(text);
            set.map_err(|expected| anyhow::anyhow!("--{} {text}: {expected}", row.name))?;
        }
    }
    settings.derive(on_serial_line);
    Ok(settings)
}

/// FROM is the first of `-i -u -p -t`, and what follows it, in any order, is TO and DIST.
fn places(matches: &ArgMatches) -> Result<(From, Option<Place>, Option<Place>)> {
    let mut given: Vec<(usize, &str, &String)> = Vec::new();
    for medium in ["i", "u", "p", "t"] {
        let values = matches.get_many::<String>(medium).into_iter().flatten();
        given.extend(
            matches.indices_of(medium).into_iter().flatten().zip(values).map(|(i, v)| (i, medium, v)),
        );
    }
    given.sort_unstable();
    let mut given = given.into_iter();
    let Some((_, medium, value)) = given.next() else {
        bail!("what is the line? FROM is needed: -i SERVICE, -u PATH, -p PATH or -t PATH");
    };
    let place = |text: &str| text.parse::<Place>().with_context(|| format!("-i {text}"));
    let from = match medium {
        "i" => From::Tcp(place(value)?),
        "u" => From::Unix(value.into()),
        "p" => From::Pty(value.into()),
        _ => From::Tty(value.into()),
    };
    let (mut to, mut distal) = (None, None);
    for (_, medium, value) in given {
        if medium != "i" {
            bail!("-{medium} {value}: FROM was given before, and there is one line only");
        }
        let place = place(value)?;
        let (slot, name) = match place.host() {
            Some(_) => (&mut to, "TO"),
            None => (&mut distal, "DIST"),
        };
        if let Some(first) = slot.replace(place) {
            bail!("-i {value}: {name} was given before, it is {first}");
        }
    }
    Ok((from, to, distal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config> {
        let arguments = std::iter::once("llpdrv").chain(line.split_whitespace());
        Config::new(&command().try_get_matches_from(arguments)?)
    }

    #[test]
    fn the_command_lines_of_the_manual() {
        let one = config("-a -t /dev/cua00 -i mahl7%myhost -i cvhl7").unwrap();
        assert_eq!((one.protocol, one.stay), (Protocol::X328, Stay::Detached));
        assert_eq!(one.from, From::Tty("/dev/cua00".into()));
        assert_eq!(one.to.unwrap().to_string(), "mahl7%myhost");
        assert_eq!(one.distal.unwrap().to_string(), "cvhl7");
        let two = config("-YIa -t /dev/ttyd0 -i discard%localhost -i carevuefsi").unwrap();
        assert!(two.stay == Stay::Stays && two.at_once);
    }

    #[test]
    fn order_tells_what_is_what() {
        let config = |line| config(line).unwrap();
        let all = config("-m -i 1%localhost -i 3 -i 2%localhost");
        assert_eq!(all.from, From::Tcp("1%localhost".parse().unwrap()));
        assert_eq!(
            (all.to.unwrap().to_string(), all.distal.unwrap().to_string()),
            ("2%localhost".into(), "3".into())
        );
        let bare = config("-i 1 -h");
        assert!(bare.protocol == Protocol::Hllp && bare.to.is_none() && bare.distal.is_none());
    }

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        for (line, told) in [
            ("-i 1", "-a, -h or -m is needed"),
            ("-a -m -i 1", "only one of"),
            ("-a", "FROM is needed"),
            ("-a -i 1 -t /dev/x", "FROM was given before"),
            ("-a -t /dev/x -i 1 -i 2", "DIST was given before, it is 1"),
            ("-a -t /dev/x -i 1%a -i 2%b", "TO was given before, it is 1%a"),
            ("-a -i 99999", "must be SERVICE or SERVICE%HOST"),
            ("-a -i 1 --x328-timer-d 1", "--x328-timer-d must be longer than timer-a"),
            ("-a -i 1 --x328-timer-a x", "--x328-timer-a x: expected"),
            ("-m -i 1 --mllp-eod 0b", "--mllp-eod must not begin with sob"),
            ("-m -i 1 --mllp-release 3", "must be 1 or 2"),
            ("-m -i 1 --serial-data-bits 9", "--serial-data-bits must be 5 to 8"),
            ("-m -i 1 --facility mail", "no syslog facility"),
        ] {
            let error = format!("{:#}", config(line).unwrap_err());
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn a_serial_line_tells_how_long_a_byte_takes() {
        let on = |line: &str| config(line).unwrap().settings.x328.byte_time.as_micros();
        assert_eq!(on("-a -t /dev/x"), 1041);
        assert_eq!(on("-a -t /dev/x --x328-byte-time 0.5"), 500_000);
        assert_eq!(on("-a -i 1"), 0);
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
