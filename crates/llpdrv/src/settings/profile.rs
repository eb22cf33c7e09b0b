//! The profile: settings from a TOML file. See llpdrv-profile(5).

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use protogen_sys::files::read_bounded;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ROWS, Settings};

/// The longest profile, in bytes.
const MAX_PROFILE: usize = 1 << 20;

/// Reads a profile into the settings.
pub(crate) fn read(path: &Path, settings: &mut Settings) -> Result<()> {
    let shown = path.display();
    let bytes = read_bounded(path, MAX_PROFILE).with_context(|| format!("{shown}"))?;
    let text = str::from_utf8(&bytes).with_context(|| format!("{shown}: is not UTF-8"))?;
    apply(text, settings).map_err(|(line, cause)| anyhow::anyhow!("{shown}:{line}: {cause}"))
}

/// Takes all of it, or says in which line is what.
fn apply(text: &str, settings: &mut Settings) -> Result<(), (usize, String)> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text)
        .map_err(|error| (line(error.span().map_or(0, |span| span.start)), error.message().to_owned()))?;
    for (key, value) in table.get_ref() {
        let name = key.get_ref();
        let entries: Vec<(String, &Spanned<DeValue>)> = match value.get_ref() {
            DeValue::Table(table) => {
                table.iter().map(|(key, value)| (format!("{name}-{}", key.get_ref()), value)).collect()
            }
            _ => vec![(name.to_string(), value)],
        };
        for (name, value) in entries {
            set(&name, value.get_ref(), settings)
                .map_err(|error| (line(value.span().start), error.to_string()))?;
        }
    }
    Ok(())
}

fn set(name: &str, value: &DeValue, settings: &mut Settings) -> Result<()> {
    let Some(row) = ROWS.iter().find(|row| row.name == name) else {
        bail!("{name}: is no setting; llpdrv-profile(5) has them all");
    };
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(switch) => switch.to_string(),
        _ => bail!("{name}: expected a text, a number, true or false"),
    };
    (row.field)(settings).set(&text).map_err(|expected| anyhow::anyhow!("{name}: {text:?}: {expected}"))
}

/// The settings as a profile.
pub(crate) fn write(settings: &Settings) -> String {
    let mut settings = settings.clone();
    let (mut text, mut table) = (String::new(), "");
    for row in ROWS {
        let (its_table, key) = row.place();
        if its_table != table {
            table = its_table;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n[{table}]");
        }
        let value = (row.field)(&mut settings).show();
        let _ = writeln!(text, "{:<32} # {}: {}", format!("{key} = {value}"), row.value, row.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_written_is_read() {
        let mut settings = Settings::default();
        settings.x328.timer_c = Some(Duration::from_millis(1500));
        settings.cid = b"lab\\1".to_vec();
        settings.mllp.framing.eob = vec![];
        let text = write(&settings);
        let mut read = Settings::default();
        apply(&text, &mut read).unwrap();
        assert_eq!(write(&read), text);
        assert_eq!((read.x328.timer_c, read.cid), (settings.x328.timer_c, settings.cid));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line, told) in [
            ("\n[x328]\ntimer-a = 0\n", 3, "x328-timer-a: \"0\": expected 0.001 to 86400 seconds"),
            ("[x328]\ntimer-z = 1\n", 2, "x328-timer-z: is no setting"),
            ("priority = \"middle\"", 1, "priority: \"middle\": expected high or low"),
            ("\n\nname = [1]", 3, "name: expected a text"),
            ("name = \"A\"\nname = \"B\"", 2, "duplicate key"),
            ("\nname = ", 2, ""),
        ] {
            let (at, error) = apply(text, &mut Settings::default()).unwrap_err();
            assert_eq!(at, line, "{text}: {error}");
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn every_name_is_there_once_and_starts_with_its_table() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(!ROWS[..i].iter().any(|other| other.name == row.name), "{}", row.name);
        }
        assert_eq!(ROWS.iter().find(|row| row.name == "x328-timer-a").unwrap().place(), ("x328", "timer-a"));
        assert_eq!(ROWS[0].place(), ("", "name"));
    }
}
