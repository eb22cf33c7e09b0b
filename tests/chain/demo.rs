//! scripts/demo: what becomes of each message of its day, and what is left of it when it ends, one way or another.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protogen_testkit::{Daemon, Dir, TestCommand};
use serde_json::Value;

use crate::support::{carevue_sim, hl7, top, wait_until};

/// Nothing here takes nearly as long; it only ends what hangs.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

/// The demo, with the programs that the tests run.
fn demo(dir: &Dir) -> TestCommand {
    let programs = Path::new(env!("CARGO_BIN_EXE_hl7")).parent().unwrap();
    TestCommand::new(top().join("scripts/demo"))
        .arg("--programs")
        .arg(programs)
        .in_dir(dir.path())
        .env("TMPDIR", dir.path())
        .env("TZ", "UTC")
        .timeout(LIMIT)
}

/// Where each message of the day is at its end: what the trace says of it, without the names of its file and its number.
const DAY: [(&str, &str); 26] = [
    ("D01", "AA admitted to 601-1"),
    ("D02", "AA admitted to 601-2"),
    ("D03", "AA admitted to 601-3"),
    ("D04", "AA admitted to 601-4"),
    ("D05", "AA 5 results forwarded; left out: 2744-1: it has no row in LabEventInfo"),
    ("D06", "AA 4 results forwarded"),
    ("D07", "AA updated"),
    ("D08", "AA admitted to the waiting list: bed 601-3 is taken"),
    ("D09", "AA transferred to 602-1"),
    ("D10", "AA forwarded; the effect is not controlled"),
    ("D11", "AA transferred to 602-1"),
    ("D12", "AA forwarded; the effect is not controlled"),
    ("D13", "AA part 1: 1 result forwarded; part 2: 2 results forwarded"),
    ("D14", "AA 2 admit observations written"),
    ("D15", "AA admitted to 602-2"),
    ("D16", "AA forwarded; the effect is not controlled"),
    ("D17", "AA discharged"),
    ("D18", "AA forwarded; the effect is not controlled"),
    ("D19", "AA discharged"),
    ("D20", "AE the census refuses: idb_direct: CareVue has no bed \"609-9\""),
    ("D21", "AE not admitted: the location is not of this care unit"),
    ("D22", "AE not discharged: the patient is unknown"),
    ("D23", "AE not transferred: another patient is in 601-3"),
    ("D24", "AE 6298-4 is withdrawn by its sender, which CareVue cannot do; tell the ward"),
    ("D25", "AE no result is left; left out: 6298-4: its value is outside of 0 to 8 mmol/l"),
    ("D26", "AA 1 result forwarded"),
];

/// What CareVue was sent, each once and answered AA: type and event, and control id.
const SENT: [&str; 20] = [
    "ADT^A01 D01",
    "ADT^A01 D02",
    "ADT^A01 D03",
    "ADT^A01 D04",
    "ORU^R01 D05",
    "ORU^R01 D06",
    "ADT^A08 D07",
    "ADT^A01 D08",
    "ADT^A02 D09",
    "ADT^A12 D10",
    "ADT^A02 D11",
    "ADT^A17 D12",
    "ORU^R01 D13.1",
    "ORU^R01 D13.2",
    "ADT^A01 D15",
    "ADT^A11 D16",
    "ADT^A03 D17",
    "ADT^A13 D18",
    "ADT^A03 D19",
    "ORU^R01 D26",
];

const CENSUS: &str = "\
880101\t601-2\tAhrens-Meier, Berta
880103\t601-3\tCastrop, Curt
880105\t602-1\tEmmert, Emil
880104\t601-4\tDahl, Dora
";

const RESULTS: &str = "\
880101\t2703-7\t11.7\tkPal\t
880101\t9948-1\t12.9\tg/dl\t
880101\t2714-4\t97.3\t%\t
880101\tBGATEMPA\t37.0\tcel\t
880101\t6298-4\t3.9\tmmol/l\t
880101\tBGATYPA\tunbek.\t\t
880102\t2705-2\t5.07\tkPal\t
880102\t9947-3\t11.8\tg/dl\tL
880102\t2339-0\t10.2\tmmol/l\t
880102\tBGATEMPV\t38.1\tcel\t
880102\tBGATYPV\tunbek.\t\t
880103\t2703-7\t9.5\tkPal\t
880103\tBGATYPA\tunbek.\t\t
880103\t6298-4\t5.9\tmmol/l\t
880103\t2339-0\t5.3\tmmol/l\t
880103\tBGATYPV\tunbek.\t\t
880105\t2703-7\t12.3\tkPal\t
880105\tBGATYPA\tunbek.\t\t
";

fn trace(home: &Path, id: &str) -> Value {
    let output = hl7().args(["trace", "--json", id]).env("PG_HOME", home).run();
    serde_json::from_str(&output.success().stdout()).unwrap()
}

/// What happened to a message, by its kind in the trace; logs left out.
fn events(told: &Value) -> BTreeMap<String, Vec<String>> {
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in told["events"].as_array().unwrap() {
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        if text("event") != "log" {
            events.entry(text("event")).or_default().push(text("text"));
        }
    }
    events
}

#[test]
fn each_message_of_the_day_ends_where_it_should() {
    let dir = Dir::new();
    let home = dir.join("home");
    let output = demo(&dir).arg("--home").arg(&home).run();
    output.success().stderr_is(&output.stderr());
    let shown = output.stdout();
    // In CareVue.
    let state = home.join("carevue");
    carevue_sim(&state).arg("census").run().success().stdout_is(CENSUS);
    carevue_sim(&state).arg("results").run().success().stdout_is(RESULTS);
    assert!(shown.contains(CENSUS) && shown.contains(RESULTS), "{shown}");
    assert!(shown.contains("\n880101\t164.0\t72.00\n880103\t171.0\t59.00\n"), "{shown}");
    let log = std::fs::read_to_string(home.join("var/log/carevue.log")).unwrap();
    let sent: Vec<String> = log.lines().filter_map(judged).collect();
    assert_eq!(sent, SENT.map(|sent| format!("{sent} AA")));
    // On each hop.
    let spooled = dir.list("home/var/spool/ANAE_IOP");
    for (id, answer) in DAY {
        let told = trace(&home, id);
        let events = events(&told);
        let messages = told["messages"].as_array().unwrap();
        assert!(messages.len() == 1 && messages[0]["accounted"] == true, "{told:#}");
        let now = messages[0]["now"].as_str().unwrap();
        let came = if id == "D05" { 2 } else { 1 };
        assert_eq!(events["stored"].len(), came, "{told:#}");
        assert_eq!(events["delivered"].len(), came, "{told:#}");
        let answered = &events["answered"];
        assert!(answered.contains(&format!("answered by the gateway: {answer}")), "{told:#}");
        if answer.starts_with("AE") {
            // Refused: still in the queue, and CareVue has nothing of it.
            assert_eq!(events["refused"], [format!("refused, waits here for an operator: {answer}")]);
            assert!(now.contains(&format!("refused ({answer}), waiting as ")), "{now}");
            assert!(!events.contains_key("forwarded") && !events.contains_key("sent"), "{told:#}");
        } else {
            assert!(events["sent"].contains(&format!("sent from the spool directory: {answer}")), "{told:#}");
            assert!(now.contains(&format!("sent ({answer})")), "{now}");
            assert!(!events.contains_key("refused") && !events.contains_key("spooled"), "{told:#}");
        }
        match id {
            "D05" => assert!(answered[1].contains("a repeat: it was answered AA before"), "{told:#}"),
            // Tried three times while CareVue was down.
            "D26" => {
                let later = "answered by the gateway: AR CareVue rejects: the destination cannot be reached";
                assert_eq!(answered[..3], [later; 3], "{told:#}");
                assert_eq!(answered.len(), 4, "{told:#}");
            }
            _ => assert_eq!(answered.len(), 1, "{told:#}"),
        }
    }
    assert_eq!(spooled.iter().filter(|name| name.ends_with(".neg")).count(), 6, "{spooled:?}");
    assert_eq!(spooled.iter().filter(|name| !name.starts_with('.')).count(), 6, "{spooled:?}");
    // What people were told: no name, no value.
    let told = carevue_sim(&state).arg("messages").run().success().stdout();
    assert_eq!(
        told,
        "HL7: patient 880105 is on the waiting list: bed 601-3 is occupied\n\
         HL7: 6298-4 of message D25 was not taken\nHL7 system is down\n"
    );
    let mails = dir.text("home/var/log/mails");
    assert!(mails.contains("Subject: cvgateway: a value of message D25 was left out"), "{mails}");
    assert!(!mails.contains("Castrop") && !mails.contains("Gerber"), "{mails}");
    // It is all shown: what each of etc/demo is about, in their order, and every hop of the first.
    let days = std::fs::read_to_string(top().join("etc/demo/README")).unwrap();
    let headings: Vec<String> = days
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .map(|line| line.replacen("  ", " ", 1))
        .collect();
    assert_eq!(headings.len(), 27);
    let shown_headings: Vec<&str> =
        shown.lines().filter(|line| headings.iter().any(|heading| heading == line)).collect();
    assert_eq!(shown_headings, headings);
    for hop in [
        "answered      MSA|AA|D01",
        "socketreader  message 1 written as ",
        "cvgateway     ADT^A01 D01 ",
        "llpdrv        line: distal request ADT^A01 \"D01\"",
        "carevue       ADT^A01 \"D01\", 395 bytes: AA",
        "hl7tocv       ANAE_IOP: D01 ADT^A01 (444 bytes) delivered",
        "> <ENQ><CR>",
        "< <DLE>1<CR>",
    ] {
        assert!(shown.contains(hop), "{hop}: {shown}");
    }
    assert_eq!(processes(&home), Vec::<String>::new());
}

/// `carevue-sim: 127.0.0.1:1: ADT^A01 "D01", 166 bytes: AA` as `ADT^A01 D01 AA`.
fn judged(line: &str) -> Option<String> {
    let (before, rest) = line.split_once(" \"")?;
    let (id, rest) = rest.split_once("\", ")?;
    Some(format!("{} {id} {}", before.rsplit(' ').next()?, rest.split_once("bytes: ")?.1))
}

/// The processes of an installation: those that have it as PG_HOME.
fn processes(home: &Path) -> Vec<String> {
    let wanted = format!("PG_HOME={}", home.display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let of_it = entries.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
    });
    of_it
        .map(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).replace('\0', " ")
        })
        .collect()
}

/// What a terminal does at ^C: everybody in the foreground gets it.
fn press_control_c(demo: &Daemon) {
    kill(Pid::from_raw(-demo.pid()), Signal::SIGINT).unwrap();
}

#[test]
fn control_c_leaves_nothing_behind() {
    for moment in
        ["The gateway, cvgateway", "The router, socketreader", "\n07 Ahrens", "The state of the queue"]
    {
        let dir = Dir::new();
        let mut demo = Daemon::launch(&demo(&dir));
        demo.wait_for_stdout(moment);
        press_control_c(&demo);
        assert_eq!(demo.wait_for_exit().code(), Some(130), "{moment}\n{demo}");
        // The installation was there, and so were its processes.
        assert_eq!(processes(dir.path()), Vec::<String>::new(), "{moment}\n{demo}");
        assert_eq!(dir.list("."), Vec::<String>::new(), "{moment}");
    }
}

#[test]
fn kept_it_takes_messages_until_it_is_ended() {
    let dir = Dir::new();
    let home = dir.join("home");
    let mut demo = Daemon::launch(&demo(&dir).arg("--keep").arg("--home").arg(&home));
    wait_until(|| demo.stdout().contains("The logs are in ") || demo.stdout().contains("unaccounted"));
    let shown = demo.stdout();
    // The lines that it tells the reader to type.
    let lines: Vec<&str> =
        shown.split("In another terminal:\n").nth(1).unwrap().lines().take(3).map(str::trim).collect();
    assert!(lines[2].contains("hl7 send"), "{shown}");
    let script = dir.script("typed", &lines.join("\n"));
    TestCommand::new(script).run().success().stdout_contains("MSA|AA|X1");
    wait_until(|| {
        let told = hl7().args(["trace", "X1"]).env("PG_HOME", &home).run().stdout();
        told.contains("X1: ") && told.contains("; sent (AA 5 results forwarded")
    });
    assert!(processes(&home).len() >= 5, "{:?}", processes(&home));
    press_control_c(&demo);
    assert_eq!(demo.wait_for_exit().code(), Some(130), "{demo}");
    assert_eq!(processes(&home), Vec::<String>::new(), "{demo}");
    // A directory that was named stays.
    assert!(home.join("var/socketreader/journal").is_dir());
}

#[test]
fn a_program_that_dies_ends_it_with_an_error() {
    let dir = Dir::new();
    let home = dir.join("home");
    let mut demo = Daemon::launch(&demo(&dir).arg("--home").arg(&home));
    demo.wait_for_stdout("\n03 Curt");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if command.starts_with("socketreader\0") && command.contains(home.to_str().unwrap()) {
            let pid = entry.file_name().to_str().unwrap().parse().unwrap();
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
    }
    assert_eq!(demo.wait_for_exit().code(), Some(1), "{demo}");
    assert_eq!(processes(&home), Vec::<String>::new(), "{demo}");
}

#[test]
fn its_command_line_is_checked() {
    let dir = Dir::new();
    demo(&dir).arg("--frobnicate").run().code(2).stderr_contains("--frobnicate is no option");
    demo(&dir).arg("--home").run().code(2).stderr_contains("usage: ");
    demo(&dir).arg("--home").arg(dir.path()).run().code(1).stderr_contains("is there already");
    demo(&dir).arg("--help").run().success().stdout_contains("--keep");
}
