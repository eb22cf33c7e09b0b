//! Values that would be something else: nothing runs, nothing changes, the answer is 128 or the plain truth.

use super::Site;
use protogen_testkit::TestCommand;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// What idb or a command line cannot carry: refused before anybody is asked.
fn refused() -> Vec<Vec<u8>> {
    [
        &b"12345\" OR medRecNum != \"x"[..],
        b"x\"; CLEAR FROM AdmitObservation WHERE medRecNum != \"",
        b"1\nCLEAR FROM LabEventMap WHERE objectId != NULL;",
        b"1\r2",
        b"1\t601-1",
        b"back\\slash",
        b"\x1b[2J",
        b"\x7f",
        b"\x9b2J",
        b"\xff",
    ]
    .iter()
    .map(|value| value.to_vec())
    .chain([vec![b'9'; 10 << 10]])
    .collect()
}

/// What they can carry, quoted: looked up as it is.
fn carried() -> Vec<Vec<u8>> {
    [
        &b"$(touch run)"[..],
        b"`touch run`",
        b"'; touch run; '",
        b"' '$(touch run)' '",
        b"; touch run",
        b"| touch run &",
        b"a && touch run",
        b"-c",
        b"--help",
        b"-rf *",
        b"*",
        b"~/!!",
        b"$HOME ${IFS} %s %n",
        b"# no comment",
        b"< run > run",
        b" ",
        b"NULL",
        b"M\xcf\xe8ller",
        b"--",
        b"-",
        b"=1",
        b"-r=1",
        "Müller".as_bytes().get(2..).unwrap_or_default(),
    ]
    .iter()
    .map(|value| value.to_vec())
    .collect()
}

pub(super) fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

impl Site {
    /// With this record number and bed, in a directory of its own where a command would leave its trace.
    pub(super) fn ask_with(&self, options: &str, recno: &[u8], bed: &[u8]) -> TestCommand {
        let work = self.dir.make("work");
        self.ask(options).arg("-r").arg(os(recno)).arg("-l").arg(os(bed)).in_dir(work)
    }

    #[track_caller]
    pub(super) fn nothing_ran(&self) {
        assert_eq!(self.dir.list("work"), [""; 0]);
        assert!(!self.dir.list(".").contains(&"run".to_owned()));
    }
}

#[test]
fn what_cannot_be_carried_is_128_and_nobody_is_asked() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let before = site.everything();
    // Whoever asked the host would be told 192.
    site.sim("misbehave no-rsh").run().success();
    let told = site.everything();
    assert_ne!(before, told);
    for value in refused() {
        for (options, recno, bed) in [
            ("-e 1", &value[..], &b"601-1"[..]),
            ("-e 1 -c -H 182", &value, b"601-1"),
            ("-e 8 -c", b"12345", &value),
            ("-e 3", b"12345", &value),
        ] {
            let output = site.ask_with(options, recno, bed).run();
            output.code(128).stdout_is("").stderr_contains("idb_direct: -");
            // The value is not repeated.
            assert!(output.stderr.len() < 100, "{output}");
        }
        let second =
            site.ask_with("-e 17", b"12345", b"601-1").arg("-s").arg(os(&value)).args(["-m", "604-7"]).run();
        second.code(128);
        let new_bed = site.ask_with("-e 2", b"12345", b"601-1").arg("-n").arg(os(&value)).run();
        new_bed.code(128);
    }
    assert_eq!(site.everything(), told);
    site.nothing_ran();
    // The administrator is told of each kind of fault once, and not of what the value says.
    let mails: Vec<_> = std::iter::from_fn(|| site.mail.try_mail()).collect();
    assert!((10..=50).contains(&mails.len()), "{}", mails.len());
    assert!(mails.iter().all(|mail| mail.data.contains("(the command line): -") && mail.data.is_ascii()));
    assert!(mails.iter().any(|mail| mail.data.contains("10240 bytes, 64 are the most")));
    assert!(!mails.iter().any(|mail| mail.data.contains("CLEAR")));
}

#[test]
fn what_can_be_carried_gets_the_plain_truth() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let before = site.everything();
    for value in carried() {
        let unknown = site.ask_with("-e 1", &value, b"601-1").run();
        unknown.code(1).stderr_is("");
        let free = site.ask_with("-e 8 -c -H 182", &value, b"604-7").run();
        free.code(0).stderr_is("");
        let bed = site.ask_with("-e 3", b"12345", &value).run();
        bed.code(128).stderr_contains("CareVue has no bed");
        let second =
            site.ask_with("-e 17", b"12345", b"601-1").arg("-s").arg(os(&value)).args(["-m", ""]).run();
        second.code(7);
    }
    assert_eq!(site.everything(), before);
    site.nothing_ran();
}

/// Such a patient exists: the record number goes through the remote shell into a script, a file and a system message.
#[test]
fn a_patient_of_such_a_record_number_is_served() {
    for value in carried() {
        let Ok(recno) = String::from_utf8(value) else { continue };
        let site = Site::new();
        site.admit("777", "601-1");
        site.sim("admit").arg("--").arg(&recno).run().success();
        let output = site.ask_with("-e 1 -c -H 182 -W 75 -S 2.7", recno.as_bytes(), b"601-1").run();
        output.code(3).stderr_is("");
        assert_eq!(site.observations(), format!("{recno}\t182\t75\t2.7\n"));
        assert_eq!(
            site.messages(),
            format!("HL7: patient {recno} is on the waiting list: bed 601-1 is occupied\n")
        );
        site.nothing_ran();
    }
}

/// A NUL ends an argument before the program sees it; the system refuses to start one with it.
#[test]
fn nul_does_not_reach_a_command_line() {
    let error = std::process::Command::new(env!("CARGO_BIN_EXE_idb_direct")).args(["-r", "1\x002"]).status();
    assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

/// Observations are numbers or nothing.
#[test]
fn observations_that_are_no_numbers_are_128() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let before = site.everything();
    for value in ["75\", BSA = \"9", "$(id)", "7 5", "", "NULL", "1e400", "OID", "\u{0664}", "75;"] {
        for letter in ["-H", "-W", "-S"] {
            let ask = site.ask("-e 8 -c -r 12345 -l 601-1").arg(letter).arg(value).run();
            ask.code(128).stderr_contains("must be a number above 0");
        }
    }
    assert_eq!(site.everything(), before);
}
