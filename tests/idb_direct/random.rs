//! Random values, made of what means something to shells, to idb and to tables of tabs.

use super::Site;
use super::hostile::os;
use protogen_idb_direct::value;
use protogen_testkit::random::Random;

fn rounds(few: usize) -> usize {
    if std::env::var_os("PG_SOAK").is_some() { 5000 } else { few }
}

/// What the remote shell is given is recorded: one word for its command, and on standard input a statement in which the
/// value stands whole between quotes.
#[test]
fn random_values_change_nothing_and_arrive_whole() {
    let site = Site::new();
    site.admit("777", "601-1");
    let before = site.everything();
    let recorder = "printf '%s\\0' \"$#\" \"$@\" >\"$RECORD\"\ntee \"$RECORD.idb\" | $sim \"$@\"";
    let rsh = site.rsh("recorder", recorder);
    let mut random = Random::seeded(9);
    let mut seen = [0; 3];
    for round in 0..rounds(60) {
        let recno = hostile(&mut random);
        let bed = if round % 2 == 0 { b"601-1".to_vec() } else { hostile(&mut random) };
        let place = format!("seed 9, round {round}: {} {}", recno.escape_ascii(), bed.escape_ascii());
        let record = site.dir.join("record");
        let _ = std::fs::remove_file(&record);
        let ask = site.ask_with("-e 8 -c -H 182", &recno, &bed).env("PG_RSH", &rsh).env("RECORD", &record);
        let output = ask.run();
        let sound = !recno.is_empty() && [&recno, &bed].iter().all(|value| value::check(value).is_ok());
        let (kind, status) = match bed.as_slice() {
            _ if !sound => (0, 128),
            b"601-1" => (1, 1),
            b"" => (2, 0),
            _ => (2, 128),
        };
        output.code(status);
        seen[kind] += 1;
        assert_eq!(record.exists(), sound, "{place}");
        if sound {
            assert_eq!(site.dir.read("record"), b"2\0cv@carevue\0idb\0", "{place}");
            let script = site.dir.read("record.idb");
            let wanted = [b"WHERE medRecNum = \"", &recno[..], b"\";\n"].concat();
            assert!(script.windows(wanted.len()).any(|window| window == wanted), "{place}");
            let statements = script.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(statements, if bed.is_empty() { 3 } else { 5 }, "{place}");
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    assert_eq!(site.everything(), before);
    site.nothing_ran();
}

/// Of a patient whom CareVue knows, the record number is an argument of commands, too: behind the remote host's shell
/// it is one word, as it was.
#[test]
fn random_record_numbers_are_one_word_behind_the_remote_shell() {
    let site = Site::new();
    for name in ["new_wt_ht_bsa", "sysMsg"] {
        site.dir.script(format!("bin/{name}"), "printf '%s\\0' \"$#\" \"$@\" >\"$RECORD.${0##*/}\"\n");
    }
    // A host where everybody waits for bed 601-1 and gets entities from the script; nothing can be written.
    let body = format!(
        "PATH={}:$PATH\ncase $2 in\n\
         idb) if grep -q AdmitObservation; then\n\
           printf 'medRecNum\\n'; test -f \"$RECORD.new_wt_ht_bsa\" && printf '%s\\n' \"$RECNO\"\n\
         else\n\
           printf 'name\\tcareUnit\\n601-1\\t1\\nbed\\tmedRecNum\\n601-1\\t777\\nmedRecNum\\tbed\\n%s\\t\\n' \"$RECNO\"\n\
         fi\nprintf 'objectId\\tname\\n' ;;\n\
         'ptMgrSup -c') printf '%s\\t\\n' \"$RECNO\" ;;\n\
         *) exec sh -c \"$2\" ;;\nesac",
        site.dir.join("bin").display()
    );
    let rsh = site.rsh("login", &body);
    let record = site.dir.join("record");
    let mut random = Random::seeded(99);
    let mut values = std::iter::repeat_with(|| hostile(&mut random));
    for round in 0..rounds(40) {
        let recno = values.find(|value| !value.is_empty() && value::check(value).is_ok()).unwrap();
        let place = format!("seed 99, round {round}: {}", recno.escape_ascii());
        for left in ["record.new_wt_ht_bsa", "record.sysMsg", "home/var/spool/.idb_direct.shown"] {
            let _ = std::fs::remove_file(site.dir.join(left));
        }
        let ask = site.ask_with("-e 1 -c -H 182", &recno, b"601-1").env("PG_RSH", &rsh);
        ask.env("RECORD", &record).env("RECNO", os(&recno)).run().code(192).stderr_contains("idb: ");
        let inserted = site.dir.read("record.new_wt_ht_bsa");
        assert_eq!(inserted, [b"1\0", &recno[..], b"\0"].concat(), "{place}");
        let text = [b"1\0HL7: patient ", &recno[..], b" is on the waiting list: bed 601-1 is occupied\0"];
        assert_eq!(site.dir.read("record.sysMsg"), text.concat(), "{place}");
    }
    site.nothing_ran();
}

/// Up to 20 pieces: words of a shell or idb, and any byte but NUL, which no argument can have.
fn hostile(random: &mut Random) -> Vec<u8> {
    let pieces: &[&[u8]] = &[
        b"\"",
        b"'",
        b"`",
        b"$(touch run)",
        b"$",
        b";",
        b"\n",
        b"\r",
        b"\t",
        b"\\",
        b"|",
        b"&",
        b">run",
        b"<",
        b"*",
        b"!",
        b"#",
        b"--",
        b" ",
        b"; touch run;",
        b"NULL",
        b"CLEAR FROM Patient;",
        b"12345",
        b"\xcf",
    ];
    let mut value = Vec::new();
    for _ in 0..random.below(20) {
        match pieces.get(random.below(30) as usize) {
            Some(piece) => value.extend_from_slice(piece),
            None => value.push(random.below(255) as u8 + 1),
        }
    }
    // Two of three without what idb cannot hold: CareVue is asked for them.
    if random.below(3) > 0 {
        value.retain(|byte| value::check(&[*byte]).is_ok());
        value.truncate(value::MAX_VALUE);
    }
    value
}
