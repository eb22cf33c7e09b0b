//! The table of options, the manual page and the example configuration say the same.

use protogen_socketreader::config::options::{Fallback, OPTIONS, OptionRow};
use protogen_socketreader::config::{DEBUG_KEYS, Scope, parse};
use protogen_testkit::{Dir, Output};

use super::certificates::Authority;
use crate::support::{socketreader, top};

fn read(name: &str) -> String {
    std::fs::read_to_string(top().join(name)).unwrap()
}

/// What the page says of an option, without its macros.
fn item<'a>(page: &'a str, row: &OptionRow) -> &'a str {
    let heading = format!("\n.It Ic {} Li = ", row.name);
    let start = page.find(&heading).unwrap_or_else(|| panic!("{} is not in the page", row.name)) + 1;
    let rest = &page[start..];
    let end = ["\n.It Ic", "\n.El"].iter().filter_map(|end| rest.find(end)).min().unwrap();
    &rest[..end]
}

#[test]
fn the_page_has_every_option_with_its_value_and_default() {
    let page = read("man/man5/socketReader.cfg.5");
    for row in OPTIONS {
        let item = item(&page, row).replace("\\(dq", "\"");
        let value =
            item.lines().next().unwrap().split_once("= ").unwrap().1.replace("Ar ", "").replace(" , ", ", ");
        assert_eq!(value, row.value, "{}", row.name);
        match row.fallback {
            Fallback::Required => assert!(item.contains("\nRequired"), "{item}"),
            Fallback::Words(_) => assert!(item.contains("\nDefault: "), "{item}"),
            Fallback::Value(default) => {
                let plain = format!("\nDefault: {default}");
                let macros = format!("\nDefault:\n.Li {default} ");
                assert!(item.contains(&plain) || item.contains(&macros), "{default}: {item}");
            }
        }
    }
    let items = page.lines().filter(|line| line.starts_with(".It Ic "));
    for line in items {
        let name = line.split(' ').nth(2).unwrap();
        assert!(OPTIONS.iter().any(|row| row.name == name), "the page has {name}, the program has not");
    }
    let debug = item(&page, OPTIONS.iter().find(|row| row.name == "debug").unwrap());
    for key in DEBUG_KEYS {
        assert!(debug.contains(&format!("\n.Li {key}\n")), "{key}: {debug}");
    }
}

#[test]
fn the_examples_of_the_page_are_sound() {
    let page = read("man/man5/socketReader.cfg.5");
    let examples: Vec<&str> =
        page.split(".Bd -literal -offset indent\n").skip(1).filter(|text| text.starts_with('[')).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let text = example.split(".Ed").next().unwrap();
        let general =
            if text.contains("[general]") { "" } else { "[general]\nuseconnections = adt-in, out\n" };
        let out = "\n[out]\ntranstech = socket\ntransdir = out\nqueuename = adt\n";
        let text = format!("{general}{text}{}", if general.is_empty() { "" } else { out });
        let report = parse("page".as_ref(), text.as_bytes(), None, Scope::Check);
        assert!(report.problems.is_empty() && report.config.is_some(), "{:?}", report.problems);
    }
}

/// Checks the example with its directories under a directory of the test.
fn check(text: &str, dir: &Dir) -> Output {
    let places = ["var/log", "var/spool/results/in", "var/spool/results/error", "var/spool/results/archive"];
    places.iter().for_each(|place| drop(dir.make(place)));
    let made = Authority::new(dir).issue("socketreader", &["ward.example.org"]);
    let etc = dir.make("etc");
    std::fs::copy(dir.join("ca.pem"), etc.join("ca.pem")).unwrap();
    std::fs::rename(made.cert, etc.join("socketreader.pem")).unwrap();
    std::fs::rename(made.key, etc.join("socketreader.key")).unwrap();
    dir.write("c.cfg", text.replace("/usr/hl7", dir.path().to_str().unwrap()));
    socketreader().args(["--check", "-c", "c.cfg"]).in_dir(dir.path()).run()
}

#[test]
fn the_example_configuration_is_ready_to_start() {
    let dir = Dir::new();
    let text = read("etc/socketReader.cfg");
    let told = "queue results: lab-in, files-in -> archive, ward-out\n";
    check(&text, &dir).success().stderr_is("").stdout_contains(told);
}

#[test]
fn the_example_shows_and_explains_every_option() {
    let text = read("etc/socketReader.cfg");
    for row in OPTIONS {
        let shown = |line: &&str| line.trim_start_matches('#').starts_with(&format!("{} = ", row.name));
        let line = text.lines().find(shown).unwrap_or_else(|| panic!("{} is not shown", row.name));
        if let (Fallback::Value(default), true) = (row.fallback, line.starts_with('#')) {
            assert_eq!(line, format!("#{} = {default}", row.name), "the default");
        }
        if let Fallback::Value(default) = row.fallback
            && !line.starts_with('#')
        {
            assert!(
                text.contains(&format!("Default: {default}")),
                "{} is set, and its default not told",
                row.name
            );
        }
        if ["sob", "eod", "eob"].contains(&row.name) {
            assert!(text.contains("# sob, eod, eob = BYTES: ") && text.contains(row.doc), "{}", row.name);
        } else {
            let doc = row.doc.split(';').next().unwrap();
            let told = format!("# {} = {}: {doc}", row.name, row.value);
            assert!(text.contains(&told), "not in the example: {told}");
        }
    }
}

#[test]
fn every_line_of_the_example_can_be_uncommented() {
    let is_option = |line: &str| OPTIONS.iter().any(|row| line.starts_with(&format!("#{} = ", row.name)));
    let example = read("etc/socketReader.cfg");
    let all: Vec<&str> =
        example.lines().map(|line| if is_option(line) { &line[1..] } else { line }).collect();
    assert!(all.len() > 100 && all.iter().filter(|line| line.starts_with('#')).count() < all.len() / 2);
    check(&all.join("\n"), &Dir::new()).success().stderr_is("");
}
