//! Every row of the case table through the program: with a scripted idb_direct, which tells what is asked, and with the
//! real one over a simulated CareVue, whose census tells what came of it.

use super::support::{Site, told};
use super::ward::Ward;

/// A row of the table; its head tells what the columns hold.
struct Row {
    name: &'static str,
    before: &'static str,
    event: &'static str,
    patients: &'static str,
    asked: &'static str,
    forwarded: &'static str,
    after: &'static str,
    answer: &'static str,
    told: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("../data/cvgateway/cases.tab").lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Row> = lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, before, event, patients, asked, forwarded, after, answer, told, _] = columns[..]
            else {
                panic!("{line}: {} columns", columns.len())
            };
            Row { name, before, event, patients, asked, forwarded, after, answer, told }
        })
        .collect();
    assert!(rows.len() > 60);
    rows
}

impl Row {
    /// EVENT:STATUS of each look into the census.
    fn looks(&self) -> Vec<&str> {
        self.asked.split(' ').filter(|look| *look != "-").collect()
    }

    fn sent(&self) -> Vec<&str> {
        if self.forwarded == "-" { vec![] } else { vec![self.forwarded] }
    }

    /// The bed that the patient who comes to the waiting list was to have.
    fn taken_bed(&self) -> Option<&str> {
        let bed = self.patients.rsplit(['@', '>']).next()?;
        (self.forwarded == "A01 -" && bed.contains('-')).then_some(bed)
    }
}

/// `601-1` as a location of HL7; what names no bed stays as it is.
fn location(bed: &str) -> String {
    bed.split_once('-').map_or(bed.to_owned(), |(room, bed)| format!("IOP^{room}^{bed}"))
}

/// The message of a row, its prior locations as the table's head says.
fn message(event: &str, patients: &str, id: usize) -> String {
    let all: Vec<(&str, &str)> = patients.split(' ').map(|one| one.split_once('@').unwrap()).collect();
    let mut text = format!(
        "MSH|^~\\&|ADM|HOSP|CVGATEWAY|060_IOP|20261124||ADT^{event}|{id}|P|2.3\rEVN|{event}|20261124\r"
    );
    for (n, (record, beds)) in all.iter().enumerate() {
        let (prior, bed) = match (event, all.len()) {
            ("A17", 2) => (all[1 - n].1, *beds),
            _ => beds.split_once('>').unwrap_or(("", beds)),
        };
        text += &format!(
            "PID|1||A{record}||Muster^Max\rPV1|1|I|{}|||{}|||||||||||||{record}\r",
            location(bed),
            location(prior)
        );
    }
    text
}

/// The event and the beds of what CareVue got.
fn got(message: &str) -> String {
    let event = message.split('|').nth(8).unwrap().strip_prefix("ADT^").unwrap();
    assert!(message.contains(&format!("\rEVN|{event}|")), "{message:?}");
    assert!(message.split('\r').rfind(|segment| !segment.is_empty()).unwrap().starts_with("ZDM|"));
    let beds: Vec<String> = message
        .split('\r')
        .filter(|segment| segment.starts_with("PV1"))
        .map(|segment| segment.split('|').nth(3).unwrap_or_default())
        .map(|bed| bed.split('^').skip(1).collect::<Vec<_>>().join("-"))
        .collect();
    let beds = beds.join(",");
    format!("{event} {}", if beds.is_empty() { "-" } else { &beds })
}

/// idb_direct's status of `FIRST.SECOND` or `FIRST`.
fn status(look: &str) -> u8 {
    let (first, second) = look.split_once('.').unwrap_or((look, "0"));
    first.parse::<u8>().unwrap() + 8 * second.parse::<u8>().unwrap()
}

#[test]
fn every_row_of_the_case_table() {
    let site = Site::new().start();
    for (id, row) in rows().iter().enumerate() {
        let name = row.name;
        let looks: Vec<(&str, &str)> =
            row.looks().into_iter().map(|look| look.split_once(':').unwrap()).collect();
        // After the looks comes the commit of an admission, which finds the patient in the bed or on the waiting list.
        let found = if row.forwarded == "A01 -" { 2 } else { 7 };
        let statuses: Vec<u8> = looks.iter().map(|(_, look)| status(look)).chain([found]).collect();
        site.census(&statuses);
        let (code, text) = told(&site.send(message(row.event, row.patients, id).as_bytes()));
        assert_eq!(code, row.answer, "{name}: {text}");
        assert!(text.contains(row.told) && !text.contains("; but"), "{name}: {text}");
        let sent: Vec<String> = site.fsi.take().iter().map(|message| got(message)).collect();
        // The location is sent as it was received, also one of another unit.
        assert_eq!(sent, row.sent(), "{name}");
        let calls = site.asked();
        let events: Vec<&str> = calls.iter().map(|call| call.split(' ').nth(1).unwrap()).collect();
        let mut wanted: Vec<&str> = looks.iter().map(|(event, _)| *event).collect();
        let admits = row.forwarded.starts_with("A01");
        wanted.extend(admits.then_some("1"));
        assert_eq!(events, wanted, "{name}: {calls:?}");
        assert_eq!(calls.iter().filter(|call| call.contains(" -c")).count(), usize::from(admits), "{name}");
    }
}

/// The looks into the census that a dry run prints, as the table has them.
fn looks(printed: &str) -> Vec<String> {
    let look = |line: &str| {
        let (event, rest) = line.strip_prefix('A')?.split_once(": census ")?;
        let (status, _) = rest.split_once(':')?;
        Some(format!("{}:{status}", event.trim_start_matches('0')))
    };
    printed.lines().filter_map(look).collect()
}

/// The census of a table without those who were discharged.
fn who_is_here(census: &str) -> String {
    let here: Vec<&str> = census.split(' ').filter(|one| !one.ends_with('!')).collect();
    if here.is_empty() { "-".to_owned() } else { here.join(" ") }
}

/// First a dry run, which shows what the real idb_direct finds and changes nothing, then the message itself.
#[test]
fn every_row_of_the_case_table_with_the_real_census() {
    let ward = Ward::new();
    let mut forwarded = 0;
    for (id, row) in rows().iter().enumerate() {
        let name = row.name;
        ward.set_census(row.before);
        let (before, received) = (ward.census(), ward.journal("REQ").len());
        assert_eq!(before, who_is_here(row.before), "{name}");
        let message = message(row.event, row.patients, id);
        let file = ward.dir.write("message.hl7", &message);
        let dry = ward.program().arg("--dry-run").arg(file).args(ward.arguments()).run();
        let status = if row.answer == "AA" { 0 } else { 1 };
        dry.code(status).stdout_contains(&format!("answer: {} ", row.answer)).stdout_contains(row.told);
        assert_eq!(looks(&dry.stdout()), row.looks(), "{name}");
        assert_eq!((ward.census(), ward.journal("REQ").len()), (before, received), "{name}");

        let (code, text) = told(&ward.send(message.as_bytes()));
        assert_eq!(code, row.answer, "{name}: {text}");
        assert!(text.contains(row.told) && !text.contains("idb_direct"), "{name}: {text}");
        let journal = ward.journal("FWD");
        let sent: Vec<String> = journal[forwarded..].iter().map(|(_, message)| got(message)).collect();
        forwarded = journal.len();
        assert_eq!(sent, row.sent(), "{name}");
        assert_eq!(ward.census(), row.after, "{name}");
        let shown: Vec<String> = row
            .taken_bed()
            .map(|bed| format!("HL7: patient 1001 is on the waiting list: bed {bed} is occupied"))
            .into_iter()
            .collect();
        assert_eq!(ward.messages(), shown, "{name}");
    }
    assert_eq!(ward.journal("ACK").len(), rows().len());
    assert!(!ward.dir.join("mails").exists(), "{}", ward.dir.text("mails"));
}

/// Several patients for one free bed at once: one gets it, and the others are on the waiting list.
#[test]
fn one_of_many_admissions_to_a_bed_gets_it() {
    const MANY: usize = 6;
    let ward = Ward::new();
    let messages: Vec<String> =
        (0..MANY).map(|n| message("A01", &format!("{}@601-1", 1001 + n), 900 + n)).collect();
    let address = ward.address();
    let answers: Vec<String> = std::thread::scope(|scope| {
        let send = |message: &String| super::support::transact(address, message.as_bytes()).unwrap();
        let senders: Vec<_> = messages.iter().map(|message| scope.spawn(move || send(message))).collect();
        senders.into_iter().map(|sender| String::from_utf8(sender.join().unwrap()).unwrap()).collect()
    });
    let texts: Vec<(String, String)> = answers.iter().map(|answer| told(answer)).collect();
    assert!(texts.iter().all(|(code, _)| code == "AA"), "{texts:?}");
    assert_eq!(texts.iter().filter(|(_, text)| text == "admitted to 601-1").count(), 1, "{texts:?}");
    let census = ward.census();
    let in_bed = census.split(' ').filter(|one| one.ends_with("=601-1")).count();
    let waiting = census.split(' ').filter(|one| one.ends_with('=')).count();
    assert_eq!((in_bed, waiting), (1, MANY - 1), "{census}");
    assert_eq!(ward.journal("FWD").len(), MANY);
}

/// The beds that are asked about, in the places where idb_direct has them.
#[test]
fn the_census_is_asked_about_the_beds_of_the_message() {
    let site = Site::new().start();
    let mut id = 1000;
    for (event, patients, statuses, calls) in [
        ("A01", "1@601-1", &[0, 7][..], &["-e 1 -r 1 -l 601-1", "-e 1 -r 1 -l 601-1 -c"][..]),
        ("A01", "1@305-2", &[0], &["-e 1 -r 1 -l ''"]),
        ("A02", "1@601-1>601-2", &[0o27], &["-e 2 -r 1 -l 601-1 -n 601-2"]),
        ("A02", "1@305-1>601-2", &[0o22], &["-e 2 -r 1 -l '' -n 601-2"]),
        ("A03", "1@601-1", &[7], &["-e 3 -r 1 -l 601-1"]),
        ("A08", "1@601-1", &[7], &["-e 8 -r 1 -l 601-1"]),
        ("A11", "1@601-1", &[7], &[]),
        ("A17", "1@601-1 2@601-2", &[0o33], &["-e 17 -r 1 -l 601-1 -s 2 -m 601-2"]),
        (
            "A17",
            "1@601-1 2@601-2",
            &[0o21, 0o72],
            &["-e 17 -r 1 -l 601-1 -s 2 -m 601-2", "-e 2 -r 2 -l 601-1 -n 601-2"],
        ),
    ] {
        id += 1;
        site.census(statuses);
        site.send(message(event, patients, id).as_bytes());
        assert_eq!(site.asked(), calls, "{event} {patients}");
    }
}
