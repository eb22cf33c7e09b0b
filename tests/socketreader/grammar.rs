//! The grammar against Python 2.7's own: files and file name patterns, and what that Python made of them.
//!
//! `tests/peers/config_oracle.py` made `grammar.json`. Where a Python 2.7 is installed, it makes some more.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use protogen_socketreader::config::Mask;
use protogen_socketreader::config::ini::{FaultKind, Ini, Section, Unresolved};
use protogen_testkit::TestCommand;
use serde_json::Value;

use crate::support::{data, peer};

fn recorded() -> Value {
    serde_json::from_slice(&std::fs::read(data("socketreader/grammar.json")).unwrap()).unwrap()
}

/// Python's text, in which a character is a byte.
fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// The lines that Python refuses.
fn faults(ini: &Ini) -> Vec<u64> {
    let errors = ini.faults.iter().filter(|fault| !fault.kind.is_warning());
    errors.map(|fault| fault.line as u64).collect()
}

/// Compares one file; gives the number of values that were compared.
fn compare(file: &Value) -> usize {
    let text = bytes(&file["text"]);
    let told = format!("{}\nPython: {}", text.escape_ascii(), file["python"]);
    let ini = Ini::parse(&text);
    if let Some(line) = file["python"].get("headless") {
        // Python reads no further.
        let first = ini.faults.iter().find(|fault| fault.kind == FaultKind::BeforeSections);
        assert_eq!(first.map(|fault| fault.line as u64), line.as_u64(), "{told}");
        return 0;
    }
    if let Some(lines) = file["python"].get("faults") {
        let lines: Vec<u64> = lines.as_array().unwrap().iter().map(|line| line.as_u64().unwrap()).collect();
        assert_eq!(faults(&ini), lines, "{told}");
        return 0;
    }
    assert!(faults(&ini).is_empty(), "{:?}\n{told}", ini.faults);
    let sections = file["python"]["sections"].as_object().unwrap();
    assert_eq!(ini.sections.len(), sections.len(), "{told}");
    sections.iter().map(|(name, options)| compare_section(&ini, name, options, &told)).sum()
}

fn compare_section(ini: &Ini, name: &str, options: &Value, told: &str) -> usize {
    let section = ini.section(name).unwrap_or_else(|| panic!("no section {name}\n{told}"));
    let options = options.as_object().unwrap();
    for (option, value) in options {
        match (ini.value(section, option), value) {
            (Ok(Some(ours)), Value::String(_)) => {
                let theirs = bytes(value);
                assert_eq!(
                    ours.escape_ascii().to_string(),
                    theirs.escape_ascii().to_string(),
                    "{option}\n{told}"
                );
            }
            (Err(_), Value::Null) => {}
            // Python's % has more forms than %(NAME)s, of no use in a configuration.
            (Err(Unresolved::LonePercent), _) => {}
            (ours, _) => panic!("{option}: {ours:?}\n{told}"),
        }
    }
    let names =
        |section: &Section| section.entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
    let mut ours = names(section);
    ours.extend(names(&ini.defaults));
    ours.retain(|name| name != "__name__");
    ours.sort();
    ours.dedup();
    let mut theirs: Vec<&String> = options.keys().collect();
    theirs.sort();
    assert_eq!(ours.iter().collect::<Vec<_>>(), theirs, "{told}");
    options.len()
}

fn compare_mask(case: &Value) {
    let mask = Mask::new(&bytes(&case["mask"]));
    let matched: Vec<&Value> = case["match"].as_array().unwrap().iter().collect();
    for name in case["names"].as_array().unwrap() {
        let ours = mask.matches(OsStr::from_bytes(&bytes(name)));
        assert_eq!(ours, matched.contains(&name), "{name} by the mask {}", case["mask"]);
    }
}

#[test]
fn files_are_read_as_by_python() {
    let recorded = recorded();
    let files = recorded["files"].as_array().unwrap();
    let values: usize = files.iter().map(compare).sum();
    assert!(files.len() >= 800 && values >= 800, "{} files, {values} values", files.len());
}

#[test]
fn masks_match_as_in_python() {
    let recorded = recorded();
    let masks = recorded["masks"].as_array().unwrap();
    assert!(masks.len() >= 700);
    masks.iter().for_each(compare_mask);
}

#[test]
fn more_of_the_same() {
    // Python 2.7 is no longer packaged: whoever has one names it.
    let Ok(python) = std::env::var("PYTHON27") else { return };
    let seed = std::process::id().to_string();
    let output = TestCommand::new(&python).arg(peer("config_oracle.py")).args([&seed, "5000"]).run();
    let made: Value = serde_json::from_slice(&output.success().stdout).unwrap();
    eprintln!("seed {seed}");
    let values: usize = made["files"].as_array().unwrap().iter().map(compare).sum();
    assert!(values >= 4000);
    made["masks"].as_array().unwrap().iter().for_each(compare_mask);
}
