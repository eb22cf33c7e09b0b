//! The exit status: every row of the table, and the manual's own lines.

use super::Site;
use crate::support::data;
use protogen_testkit::TestCommand;

#[test]
fn every_row_of_the_table() {
    let table = std::fs::read_to_string(data("idb_direct/status.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut seen = Vec::new();
    for row in rows {
        let [census, arguments, status, why] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns expected: {row}");
        };
        let site = Site::new();
        for patient in census.split(' ').filter(|patient| *patient != "-") {
            let (recno, bed) = patient.split_once('@').unwrap();
            site.admit(recno, bed);
        }
        let before = site.everything();
        let status = status.parse().unwrap();
        let output = site.ask(arguments).run();
        assert!(output.status.code() == Some(status), "{why}: expected {status}\n{output}");
        output.stdout_is("");
        assert_eq!(output.stderr.is_empty(), status < 128, "{why}\n{output}");
        assert!(output.stderr.is_empty() || output.stderr.ends_with(b"\n"), "{output}");
        assert_eq!(site.everything(), before, "{why}: without -c nothing changes");
        seen.push(status);
    }
    // Every triple alone and every pair of them is among the rows.
    for first in [0, 1, 2, 3, 7] {
        for second in [0, 1, 2, 3, 7] {
            assert!(seen.contains(&(first + 8 * second)), "{first} and {second}");
        }
    }
}

/// The four lines of the manual's examples, as they stand there but for the path.
#[test]
fn the_manuals_examples() {
    let site = Site::new();
    let ask = |line: &str| site.ask(line).run().status.code().unwrap();
    let [admission, transfer, update, swap] = [
        "-e 1 -r 12345 -l 601-1",
        "-e 2 -r 12345 -l 601-1 -n 604-7",
        "-e 8 -r 12345 -l 601-1 -c -H 182 -W 75 -S 2.7",
        "-e 17 -r 12345 -l 601-1 -s 54321 -m 604-7",
    ];
    // Nobody is there: nothing is written for a patient who is not in the census.
    assert_eq!([admission, transfer, update, swap].map(ask), [0, 0, 0, 0]);
    assert_eq!(site.observations(), "");
    site.admit("12345", "601-1");
    site.admit("54321", "604-7");
    assert_eq!([admission, transfer, update, swap].map(ask), [7, 7 + 8 * 3, 7, 7 + 8 * 7]);
    assert_eq!(site.observations(), "12345\t182\t75\t2.7\n");
}

#[test]
fn the_manuals_place_is_a_place_for_it() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let etc = site.dir.join("home/etc/idb_direct");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_idb_direct"), &etc).unwrap();
    let mut command = TestCommand::new(etc).args(["-e", "1", "-r", "12345", "-l", "601-1"]);
    for (name, value) in [
        ("PG_HOME", site.dir.join("home").display().to_string()),
        ("CAREVUE_SIM_STATE", site.state.display().to_string()),
        ("PG_RSH", concat!(env!("CARGO_BIN_EXE_carevue-sim"), " rsh").to_owned()),
    ] {
        command = command.env(name, value);
    }
    command.run().code(7);
}

#[test]
fn help_is_the_only_other_text_and_fits_a_screen() {
    let site = Site::new();
    let help = site.ask("--help").run();
    assert!(help.success().stdout().lines().count() <= 24, "{help}");
    site.ask("--version").run().code(128).stdout_is("");
    site.ask("").run().code(128).stdout_is("").stderr_contains("-e");
}

/// CAREVUE wins over the file, as everywhere.
#[test]
fn the_account_is_told_to_the_remote_shell() {
    let site = Site::new();
    let told = site.dir.join("told");
    let rsh = site.rsh("rsh", &format!("echo \"$1|$2\" >>'{}'\nexec $sim \"$@\"", told.display()));
    let ask = || site.ask("-e 1 -r 1 -l 601-1").env("PG_RSH", format!("{rsh} -n"));
    let with_options =
        site.rsh("rsh", &format!("echo \"$1|$2|$3\" >>'{}'\nshift\nexec $sim \"$@\"", told.display()));
    assert_eq!(rsh, with_options);
    ask().run().code(0);
    ask().env("CAREVUE", "hl7@10.0.0.1").run().code(0);
    assert_eq!(site.dir.text("told"), "-n|cv@carevue|idb\n-n|hl7@10.0.0.1|idb\n");
}

/// Between two questions of one script the patient may go to the bed, or leave it: either way it was so.
#[test]
fn a_patient_who_moves_meanwhile_is_in_the_bed() {
    let site = Site::new();
    let ask = |by_bed: &str, by_recno: &str| {
        let rsh = site.rsh(
            "rsh",
            &format!(
                "printf 'name\\tcareUnit\\n601-1\\t1\\nbed\\tmedRecNum\\n{by_bed}medRecNum\\tbed\\n{by_recno}objectId\\tname\\n'"
            ),
        );
        site.ask("-e 1 -r 12345 -l 601-1").env("PG_RSH", rsh).run().status.code().unwrap()
    };
    assert_eq!(ask("601-1\\t12345\\n", ""), 7);
    assert_eq!(ask("", "12345\\t601-1\\n"), 7);
    assert_eq!(ask("601-1\\t1234\\n", "12345\\t601\\n"), 3);
    assert_eq!(ask("", ""), 0);
}
