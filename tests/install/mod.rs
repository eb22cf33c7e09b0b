//! scripts/install in a root of its own, and what the Debian package is made from.

mod account;
mod completions;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use protogen_testkit::{Dir, Output, TestCommand};

use crate::support::top;

fn install(root: &Dir, arguments: &[&str]) -> Output {
    TestCommand::new(top().join("scripts/install"))
        .arg("--destdir")
        .arg(root.join("root"))
        .args(arguments)
        .in_dir(root.path())
        .run()
}

/// With the programs that the tests run.
fn installed(root: &Dir, arguments: &[&str]) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_hl7")).parent().unwrap().to_str().unwrap();
    install(root, &[&["--programs", programs], arguments].concat())
}

fn mode(root: &Dir, file: &str) -> u32 {
    root.join(file).metadata().unwrap_or_else(|error| panic!("{file}: {error}")).permissions().mode() & 0o777
}

/// The rows of the list in Cargo.toml.
fn assets() -> Vec<[String; 3]> {
    let manifest = std::fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let rows = manifest.lines().filter_map(|line| line.trim().strip_prefix("[\"")?.strip_suffix("\"],"));
    rows.map(|row| row.split("\", \"").map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()).collect()
}

#[test]
fn everything_is_put_in_place_and_runs() {
    let root = Dir::new();
    let told = installed(&root, &["--prefix", "/opt/hl7"]);
    told.success().stdout_contains("installed in /opt/hl7").stdout_contains("set PG_HOME=/opt/hl7");
    told.stdout_contains("new_wt_ht_bsa").stdout_contains("services(5)");
    for [source, place, _] in assets() {
        let name = source.rsplit('/').next().unwrap();
        let place = format!("root/opt/hl7/{}{name}", place.strip_prefix("usr/hl7/").unwrap());
        assert!(source.ends_with('*') || root.join(&place).exists(), "{place}");
    }
    let bin = root.join("root/opt/hl7/bin");
    for program in bin.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let version = TestCommand::new(&program).arg("--version").run();
        version.success();
        assert_eq!(program.metadata().unwrap().permissions().mode() & 0o777, 0o755, "{}", program.display());
    }
    for (directory, expected) in
        [("var/spool/ANAE_IOP", 0o700), ("var/log/ABL/060_IOP", 0o700), ("etc", 0o755)]
    {
        assert_eq!(mode(&root, &format!("root/opt/hl7/{directory}")), expected, "{directory}");
    }
    assert_eq!(mode(&root, "root/opt/hl7/etc/units.tab"), 0o644);
    assert!(root.join("root/opt/hl7/share/man/man8/socketreader.8").exists());
}

#[test]
fn what_the_site_changed_stays_and_the_rest_is_renewed() {
    let root = Dir::new();
    installed(&root, &[]).success();
    let (units, table) = ("root/usr/hl7/etc/units.tab", "root/usr/hl7/etc/LabEventInfo.tab");
    let shipped = root.read(table);
    root.write(units, "# ours\n");
    root.write("root/usr/hl7/etc/admin", "hl7@example.org\n");
    root.write("root/usr/hl7/bin/hl7", "an older one");
    // As if an earlier version had brought other contents for a table that the site has not touched.
    root.write(table, "of an earlier version\n");
    let list = root.text("root/usr/hl7/lib/installed");
    let sum = |text: &str| {
        let output = TestCommand::new("sha256sum").stdin(text).run().stdout();
        output.split(' ').next().unwrap().to_owned()
    };
    let earlier = list.lines().map(|line| match line.split_once(' ') {
        Some((_, "etc/LabEventInfo.tab")) => {
            format!("{} etc/LabEventInfo.tab\n", sum("of an earlier version\n"))
        }
        Some((_, "etc/units.tab")) => format!("{} etc/units.tab\n", sum("of an earlier version\n")),
        _ => format!("{line}\n"),
    });
    let earlier = earlier.collect::<String>() + "- bin/gone\n";
    root.write("root/usr/hl7/lib/installed", earlier);
    root.write("root/usr/hl7/bin/gone", "of an earlier version");

    let told = installed(&root, &[]);
    told.success().stdout_contains("/usr/hl7/etc/units.tab; ours is beside it, units.tab.new\n");
    assert_eq!(root.text(units), "# ours\n");
    assert!(root.text("root/usr/hl7/etc/units.tab.new").contains("g/dl"));
    assert_eq!(root.read(table), shipped);
    assert!(root.read("root/usr/hl7/bin/hl7").starts_with(b"\x7fELF"));
    assert!(!root.join("root/usr/hl7/bin/gone").exists());
    // Said once.
    assert!(!installed(&root, &[]).success().stdout().contains("units.tab"));
}

#[test]
fn uninstalling_leaves_what_is_the_sites() {
    let root = Dir::new();
    install(&root, &["--uninstall"]).code(1).stderr_contains("nothing is installed in ");
    installed(&root, &[]).success();
    install(&root, &["--uninstall"]).success();
    assert!(!root.join("root/usr/hl7").exists());

    installed(&root, &[]).success();
    root.write("root/usr/hl7/etc/units.tab", "# ours\n");
    root.write("root/usr/hl7/var/spool/ANAE_IOP/1", "MSH|");
    install(&root, &["--uninstall"])
        .success()
        .stdout_contains("kept, as the site has changed it: /usr/hl7/etc/units.tab\n");
    let left = TestCommand::new("find").args([".", "-type", "f"]).in_dir(root.join("root")).run().stdout();
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["./usr/hl7/etc/units.tab", "./usr/hl7/var/spool/ANAE_IOP/1"]);
}

/// A prefix that others use too, with a directory of the installation that is there and empty.
#[test]
fn directories_of_others_stay() {
    let root = Dir::new();
    let prefix = &["--prefix", "/usr/local"];
    root.make("root/usr/local/share/man/man8");
    root.make("root/usr/local/games");
    installed(&root, prefix).success();
    root.make("root/usr/local/var/spool/OURS");
    installed(&root, prefix).success();
    install(&root, &["--uninstall", "--prefix", "/usr/local"]).success();
    let left = TestCommand::new("find").args(["usr/local"]).in_dir(root.join("root")).run().stdout();
    let mut left: Vec<&str> = left.lines().map(|line| line.trim_start_matches("usr/local")).collect();
    left.sort_unstable();
    let expected =
        ["", "/games", "/share", "/share/man", "/share/man/man8", "/var", "/var/spool", "/var/spool/OURS"];
    assert_eq!(left, expected);
}

#[test]
fn units_and_examples_name_the_prefix() {
    let root = Dir::new();
    installed(&root, &["--prefix", "/opt/hl7"]).success();
    for directory in ["share/systemd", "share/examples", "etc"] {
        for entry in root.join(format!("root/opt/hl7/{directory}")).read_dir().unwrap() {
            let entry = entry.unwrap().path();
            // A program is told by PG_HOME.
            if entry.is_file() && !entry.ends_with("idb_direct") {
                let text = String::from_utf8_lossy(&std::fs::read(&entry).unwrap()).into_owned();
                assert!(!text.contains("/usr/hl7"), "{}", entry.display());
            }
        }
    }
    for (file, line) in [
        (
            "systemd/cvgateway.service",
            "ExecStart=/opt/hl7/bin/cvgateway $ARGUMENTS\nEnvironment=PG_HOME=/opt/hl7 ",
        ),
        ("systemd/cvgateway.service", "EnvironmentFile=/opt/hl7/etc/cvgateway.args\n"),
        ("systemd/llpdrv@.service", "\nEnvironment=PG_HOME=/opt/hl7 "),
        ("systemd/socketreader.service", "\nExecStart=/opt/hl7/bin/socketreader "),
        ("systemd/socketreader.service", "\nReadWritePaths=-/opt/hl7/var\n"),
        ("examples/crontab.example", "PG_HOME=/opt/hl7\n* * * * * /opt/hl7/bin/hl7tocv --all batch\n"),
    ] {
        let text = root.text(format!("root/opt/hl7/share/{file}"));
        // Comments may stand between.
        let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
        assert!(text.contains(line), "{file}: {line}: {text}");
    }
    installed(&root, &["--prefix", "/opt/a|b"]).code(1).stderr_contains("only letters, digits and");
}

#[test]
fn a_wrong_command_line_changes_nothing() {
    let root = Dir::new();
    install(&root, &["--frobnicate"]).code(2).stderr_contains("--frobnicate is no option");
    install(&root, &["--prefix"]).code(2).stderr_contains("usage: ");
    install(&root, &["--prefix", "here"]).code(1).stderr_contains("must begin with /");
    install(&root, &["--programs", "/nowhere"]).code(1).stderr_contains("/nowhere/cvgateway is missing");
}

#[test]
fn every_program_page_and_site_file_is_on_the_list() {
    let assets = assets();
    let places: Vec<String> = assets
        .iter()
        .map(|[source, place, _]| format!("/{place}{}", source.rsplit('/').next().unwrap()))
        .collect();
    let manifest = std::fs::read_to_string(top().join("Cargo.toml")).unwrap();
    for name in manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) {
        if !["protogen", "integration", "protogen-hl7"].contains(&name) {
            let is_there = places.iter().any(|place| {
                [format!("/usr/hl7/bin/{name}"), format!("/usr/hl7/etc/{name}")].contains(place)
            });
            assert!(is_there, "{name} is not installed");
        }
    }
    // A package manager keeps the site's changes only where it is told.
    for place in places.iter().filter(|place| place.starts_with("/usr/hl7/etc/")) {
        assert!(manifest.contains(&format!("    \"{place}\",\n")), "{place} is missing in conf-files");
    }
    for directory in ["etc", "man/man1", "man/man5", "man/man7", "man/man8"] {
        for entry in top().join(directory).read_dir().unwrap().map(|entry| entry.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            let source = format!("{directory}/{name}");
            let is_there = assets.iter().any(|[row, _, _]| {
                *row == source || *row == format!("{directory}/*") || *row == format!("{source}/*")
            });
            assert!(is_there, "{source} is not installed");
        }
    }
}
