//! The shell completions, in the shells that they are for.

use std::path::PathBuf;

use protogen_testkit::{Dir, TestCommand, not_tested};

/// What is typed behind the program's name up to the tabulator key, and what it completes to: a command, an option of a
/// command, and an option of a program that has none.
const TYPED: [(&str, &str, &str); 4] = [
    ("hl7", "tra", "trace"),
    ("hl7", "trace --js", "trace --json"),
    ("socketreader", "--queue", "--queues"),
    ("socketReader", "--queue", "--queues"),
];

fn completions(dir: &Dir) -> PathBuf {
    let directory = dir.make("completions");
    protogen_completions::write(&directory).unwrap();
    directory
}

/// Whether a shell is there; says so where it is not.
fn is_there(shell: &str) -> bool {
    let found = TestCommand::new("sh").args(["-c", "command -v \"$1\"", "sh", shell]).run();
    if !found.status.success() {
        not_tested(format_args!("{shell} is missing: scripts/test installs it"));
    }
    found.status.success()
}

#[test]
fn in_bash() {
    let dir = Dir::new();
    // What readline does at the tabulator key.
    let press = r#"
        source "$1" || exit
        function=$(complete -p "$2" | sed 's/.* -F \([^ ]*\) .*/\1/')
        COMP_LINE="$2 $3" COMP_WORDS=($2 $3)
        COMP_POINT=${#COMP_LINE} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "$function" "$2" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    for (program, typed, completed) in TYPED {
        let file = completions(&dir).join(format!("bash/{program}.bash"));
        let bash =
            TestCommand::new("bash").args(["--norc", "-c", press, "bash"]).arg(file).args([program, typed]);
        let last = completed.rsplit(' ').next().unwrap();
        bash.run().success().stderr_is("").stdout_is(format!("{last}\n"));
    }
}

#[test]
fn in_zsh() {
    if !is_there("zsh") {
        return;
    }
    let dir = Dir::new();
    // A shell on a terminal, whose keys are pressed; the program shows what it would be started with.
    let press = r#"
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; $2() { print -r -- \"<\$*>\" }; echo RE''ADY"
        zpty -r -m shell shown '*READY*'
        zpty -w shell "$2 $3"$'\t'
        zpty -r -m shell shown '*<*>*'
        print -r -- "${${shown##*<}%%>*}"
    "#;
    for (program, typed, completed) in TYPED {
        let directory = completions(&dir).join("zsh");
        let zsh =
            TestCommand::new("zsh").args(["-f", "-c", press, "zsh"]).arg(directory).args([program, typed]);
        zsh.env("TERM", "dumb").run().success().stdout_is(format!("{completed}\n"));
    }
}

#[test]
fn in_fish() {
    if !is_there("fish") {
        return;
    }
    let dir = Dir::new();
    for (program, typed, completed) in TYPED {
        let file = completions(&dir).join(format!("fish/{program}.fish"));
        let press = "source $argv[1]; complete --do-complete \"$argv[2] $argv[3]\"";
        let fish =
            TestCommand::new("fish").args(["--no-config", "-c", press]).arg(file).args([program, typed]);
        // Behind the word stands what it is for.
        let told = fish.env("HOME", dir.path()).run().success().stdout();
        let words: Vec<&str> = told.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, [completed.rsplit(' ').next().unwrap()], "{told}");
    }
}

/// Every program that is installed has completions in every shell, its other names too.
#[test]
fn of_every_program() {
    let dir = Dir::new();
    let directory = completions(&dir);
    // The list has all programs and links in bin; the scripts among them have no completions.
    let programs = super::assets().into_iter().filter(|[source, place, _]| {
        let is_script = source.starts_with("scripts/") && !source.starts_with("scripts/lib/links/");
        ["usr/hl7/bin/", "usr/hl7/etc/"].contains(&place.as_str())
            && !source.starts_with("etc/")
            && !is_script
    });
    let programs: Vec<String> =
        programs.map(|[source, ..]| source.rsplit('/').next().unwrap().to_owned()).collect();
    assert!(
        programs.contains(&"hl7".to_owned()) && programs.contains(&"idb_direct".to_owned()),
        "{programs:?}"
    );
    for program in programs.iter().filter(|program| *program != "socketReaderService") {
        for file in
            [format!("bash/{program}.bash"), format!("zsh/_{program}"), format!("fish/{program}.fish")]
        {
            assert!(directory.join(&file).exists(), "{file}");
        }
    }
}
