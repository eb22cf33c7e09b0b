//! Every row of the case table through the program: what is asked, what CareVue gets, what the sender is told.

use super::support::{Site, told};

const CASES: &str = include_str!("../data/cvgateway/cases.tab");

/// `601-1` as a location of HL7.
fn location(bed: &str) -> String {
    bed.split_once('-').map(|(room, bed)| format!("IOP^{room}^{bed}")).unwrap_or_default()
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
    let rows: Vec<&str> = CASES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() > 60);
    for (id, row) in rows.iter().enumerate() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [_, _, event, patients, asked, forwarded, _, answer, said, _] = columns[..] else {
            panic!("{row}")
        };
        let looks: Vec<(&str, &str)> =
            asked.split(' ').filter(|look| *look != "-").map(|look| look.split_once(':').unwrap()).collect();
        // After the looks comes the commit of an admission, which finds the patient.
        let statuses: Vec<u8> = looks.iter().map(|(_, look)| status(look)).chain([2]).collect();
        site.census(&statuses);
        let (code, text) = told(&site.send(message(event, patients, id).as_bytes()));
        assert_eq!(code, answer, "{row}: {text}");
        assert!(text.contains(said), "{row}: {text}");
        let sent: Vec<String> = site.fsi.take().iter().map(|message| got(message)).collect();
        // The location is sent as it was received, also one of another unit.
        let expected: Vec<&str> = if forwarded == "-" { vec![] } else { vec![forwarded] };
        assert_eq!(sent, expected, "{row}");
        let calls = site.asked();
        let events: Vec<&str> = calls.iter().map(|call| call.split(' ').nth(1).unwrap()).collect();
        let mut wanted: Vec<&str> = looks.iter().map(|(event, _)| *event).collect();
        let admits = forwarded.starts_with("A01");
        wanted.extend(admits.then_some("1"));
        assert_eq!(events, wanted, "{row}: {calls:?}");
        assert_eq!(calls.iter().filter(|call| call.contains(" -c")).count(), usize::from(admits), "{row}");
    }
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
