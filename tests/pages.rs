//! Manual pages and programs agree: each option of a program has its place in its page, and the other way round.

use crate::support::top;

/// The options that a page documents: what stands behind `.It Fl` and `Fl` in it.
fn documented(page: &str) -> Vec<String> {
    page.lines()
        .filter(|line| line.starts_with(".It Fl"))
        .flat_map(|line| {
            line.trim_start_matches(".It Fl ")
                .replace(" Fl ", " ")
                .split(" Ar")
                .next()
                .unwrap()
                .split(" Cm")
                .next()
                .unwrap()
                .split([' ', ','])
                .map(str::to_string)
                .collect::<Vec<_>>()
        })
        .filter(|option| !option.is_empty())
        .collect()
}

fn agree(command: &clap::Command, page: &str) {
    let documented = documented(page);
    let program = command.get_name().to_owned();
    let mut known = Vec::new();
    let commands = std::iter::once(command).chain(command.get_subcommands());
    for command in commands {
        for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
            let names = argument.get_short().map(String::from).into_iter();
            let names = names.chain(argument.get_long().map(|long| format!("-{long}")));
            for name in names {
                let place = format!("{} -{name}", command.get_name());
                assert!(documented.contains(&name), "{place} is not in the manual page: {documented:?}");
                known.push(name);
            }
        }
        let section = format!(".Ss Nm Cm {}\n", command.get_name());
        assert!(command.get_name() == program || page.contains(&section), "no section {section:?}");
    }
    for option in documented {
        let own = ["h", "-help", "V", "-version"].contains(&option.as_str());
        assert!(own || known.contains(&option), "-{option} is in the manual page only");
    }
}

#[test]
fn hl7() {
    let page = std::fs::read_to_string(top().join("man/man1/hl7.1")).unwrap();
    agree(&protogen_hl7::command(), &page);
}

#[test]
fn socketreader() {
    let page = std::fs::read_to_string(top().join("man/man8/socketreader.8")).unwrap();
    agree(&protogen_socketreader::command(), &page);
}

#[test]
fn llpdrv() {
    let page = std::fs::read_to_string(top().join("man/man8/llpdrv.8")).unwrap();
    // -h is HLLP there, which must not pass for help.
    assert!(documented(&page).contains(&"h".to_string()));
    agree(&protogen_llpdrv::command(), &page);
}

/// Every option of a setting is a key of its table in the profile's page, and the other way round.
#[test]
fn llpdrv_profile() {
    let page = std::fs::read_to_string(top().join("man/man5/llpdrv-profile.5")).unwrap();
    let mut keys = Vec::new();
    let mut table = String::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix(".Ss ") {
            table = name.strip_prefix('[').map(|name| name.replace(']', "-")).unwrap_or_default();
        }
        if let Some(names) = line.strip_prefix(".It Ic ") {
            keys.extend(names.split(" , ").map(|name| format!("{table}{name}")));
        }
    }
    let output = crate::support::llpdrv().arg("--settings").run();
    let mut known = Vec::new();
    table.clear();
    for line in output.success().stdout().lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.replace(']', "-");
        } else if let Some((key, _)) = line.split_once(" = ") {
            known.push(format!("{table}{key}"));
        }
    }
    keys.sort();
    known.sort();
    assert_eq!(keys, known);
}

#[test]
fn idb_direct() {
    let page = std::fs::read_to_string(top().join("man/man8/idb_direct.8")).unwrap();
    agree(&protogen_idb_direct::command(), &page);
}

#[test]
fn carevue_sim() {
    let page = std::fs::read_to_string(top().join("man/man1/carevue-sim.1")).unwrap();
    agree(&protogen_carevue_sim::command(), &page);
    // Each manner that the program's own error names has its place.
    let directory = protogen_testkit::Dir::new();
    let state = crate::support::carevue(&directory);
    let told = crate::support::carevue_sim(&state).args(["misbehave", "badly"]).run().code(2).stderr();
    let (_, manners) = told.trim_end().split_once("must be ").unwrap();
    let manners: Vec<&str> = manners.split(", ").flat_map(|part| part.split(" or ")).collect();
    assert_eq!(manners.len(), 10);
    for manner in manners {
        let is_item = |line: &str| {
            line.strip_prefix(".It Cm ")
                .is_some_and(|names| names.split([' ', ',']).any(|name| name == manner))
        };
        assert!(page.lines().any(is_item), "{manner} is not in the page");
    }
}

#[test]
fn managers_of_code_tables() {
    for command in
        [protogen_loincmgr::command(), protogen_labeventinfomgr::command(), protogen_unitmgr::command()]
    {
        let page = top().join(format!("man/man8/{}.8", command.get_name()));
        agree(&command, &std::fs::read_to_string(page).unwrap());
    }
}

#[test]
fn cvgateway() {
    let page = std::fs::read_to_string(top().join("man/man8/cvgateway.8")).unwrap();
    agree(&protogen_cvgateway::command(), &page);
}

/// Every key of the shipped profile is in its page, and the other way round. Fields of ZDM and events have no item.
#[test]
fn cvgateway_toml() {
    let page = std::fs::read_to_string(top().join("man/man5/cvgateway.toml.5")).unwrap();
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Ic "));
    let mut documented: Vec<&str> = items.flat_map(|names| names.split(" , ")).collect();
    let profile = std::fs::read_to_string(top().join("etc/cvgateway.toml")).unwrap();
    let mut known = Vec::new();
    let mut table = "";
    for line in profile
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| l.starts_with("idb-direct")).unwrap_or(line))
    {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name;
            known.extend((!["time", "limit"].contains(&name)).then_some(name));
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            // The last key is one of no table, commented out.
            let inner = ["keep", "zdm", "blood-specimen"].contains(&table);
            known.extend((!inner).then_some(key));
        }
    }
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

#[test]
fn hl7tocv() {
    let page = std::fs::read_to_string(top().join("man/man8/hl7tocv.8")).unwrap();
    agree(&protogen_hl7tocv::command(), &page);
}

/// Every key of the shipped file is in its page, and the other way round.
#[test]
fn queues() {
    let page = std::fs::read_to_string(top().join("man/man5/queues.5")).unwrap();
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Ic "));
    let mut documented: Vec<&str> = items.flat_map(|names| names.split(" , ")).collect();
    let file = std::fs::read_to_string(top().join("etc/queues")).unwrap();
    let keys = file.lines().filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    let mut known: Vec<&str> = keys.map(|(key, _)| key).filter(|key| !key.contains(' ')).collect();
    documented.sort();
    known.sort();
    known.dedup();
    assert_eq!(documented, known);
}
