//! A sound configuration that tests change a little, in a directory of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use protogen_testkit::{Dir, Output, TestCommand};

use crate::support::socketreader;

/// The sound one: its sections and their lines.
const SOUND: [(&str, &str); 5] = [
    ("general", "useconnections = in, files, out, peer"),
    ("in", "transtech = socket\ntransdir = in\nqueuename = adt\nport = 22222"),
    ("files", "transtech = file\ntransdir = in\nqueuename = adt\nmessagedir = in"),
    ("out", "transtech = file\ntransdir = out\nqueuename = adt\nmessagedir = out"),
    (
        "peer",
        "transtech = socket\ntransdir = out\nqueuename = adt\ncreateserversocket = False\nipaddr = 127.0.0.1\nport = 22223",
    ),
];

/// A directory with `in`, `out` and a configuration `c.cfg`.
pub struct Site {
    pub dir: Dir,
    text: String,
}

impl Site {
    /// The sound configuration with changes, one a line: `SECTION: OPTION = VALUE` replaces the option or adds it,
    /// `SECTION: -OPTION` takes it out, `end: TEXT` and `top: TEXT` add a line to the file.
    pub fn new(changes: &str) -> Site {
        let mut sections: Vec<(&str, Vec<String>)> =
            SOUND.iter().map(|(name, lines)| (*name, lines.lines().map(str::to_owned).collect())).collect();
        let (mut top, mut end) = (Vec::new(), Vec::new());
        for change in changes.lines() {
            let (section, text) = change.split_once(": ").unwrap();
            match sections.iter_mut().find(|(name, _)| *name == section) {
                Some((_, lines)) => edit(lines, text),
                None if section == "top" => top.push(text.to_owned()),
                None => end.push(text.to_owned()),
            }
        }
        let mut all = top;
        for (name, lines) in sections {
            all.push(format!("[{name}]"));
            all.extend(lines);
        }
        all.extend(end);
        let dir = Dir::new();
        for name in ["in", "out"] {
            std::fs::set_permissions(dir.make(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let text = all.join("\n") + "\n";
        dir.write("c.cfg", &text);
        Site { dir, text }
    }

    /// The line of this text in a section, at the end of the file (`end`), or its first line anywhere.
    pub fn line(&self, section: &str, text: &str) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let heading = format!("[{section}]");
        let place = match section {
            "end" => lines.iter().rposition(|line| *line == text),
            _ => {
                let start = lines.iter().position(|line| *line == heading).unwrap_or_default();
                lines[start..].iter().position(|line| *line == text).map(|place| place + start)
            }
        };
        place.unwrap_or_else(|| panic!("no line {text:?} in\n{}", self.text)) + 1
    }

    /// Runs `--check` on it.
    pub fn check(&self) -> Output {
        self.command(&socketreader()).run()
    }

    /// `--check` by a program that stands before it.
    pub fn command(&self, program: &TestCommand) -> TestCommand {
        program.clone().args(["--check", "-c", "c.cfg"]).in_dir(self.path())
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn edit(lines: &mut Vec<String>, text: &str) {
    let key = |line: &str| line.split(['=', ':']).next().unwrap().trim().to_owned();
    let place = |lines: &[String], wanted: &str| lines.iter().position(|line| key(line) == wanted);
    if let Some(removed) = text.strip_prefix('-') {
        lines.remove(place(lines, removed).unwrap());
    } else if let Some(place) = place(lines, &key(text)) {
        lines[place] = text.to_owned();
    } else {
        lines.push(text.to_owned());
    }
}
