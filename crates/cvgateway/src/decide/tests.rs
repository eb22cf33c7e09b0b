//! The case table by itself: every row of the file that the whole program is tested by, and what no row may do.

use super::*;

/// The table that the real program is tested by, too.
const CASES: &str = include_str!("../../../../tests/data/cvgateway/cases.tab");

fn place_of(bed: &str) -> Where {
    match bed {
        "" => Where::NoBed,
        // The ward alone, or with what is not of a bed's name.
        ward if ward.starts_with("IOP") => Where::Ward,
        "^^^KLINIK" => Where::NoBed,
        bed if bed.starts_with("60") => Where::Bed,
        _ => Where::Outside,
    }
}

/// Walks through a row: its looks into the census one after the other give what it says is forwarded and answered.
fn walk(row: &str) {
    let columns: Vec<&str> = row.split('\t').collect();
    let [_, _, event, patients, asked, forwarded, _, answer, told, _] = columns[..] else {
        panic!("{row}: {} columns", columns.len());
    };
    let mut event = Event::of_name(event.as_bytes()).unwrap();
    let target = |patient: &str| place_of(patient.split('@').nth(1).unwrap().rsplit('>').next().unwrap());
    let mut places: Vec<Where> = patients.split(' ').map(target).collect();
    places.resize(2, Where::NoBed);
    let parts = |n: usize| patients.split(' ').nth(n).and_then(|one| one.split_once('@')).unwrap_or_default();
    if event == Event::A17
        && let Some(why) =
            swap_fault([parts(0).0.as_bytes(), parts(1).0.as_bytes()], [parts(0).1, parts(1).1])
    {
        assert_eq!((asked, forwarded, answer, why.contains(told)), ("-", "-", "AE", true), "{row}: {why}");
        return;
    }
    let mut texts = Vec::new();
    let mut looks = asked.split(' ').filter(|look| *look != "-");
    loop {
        let (mut first, mut second) = (Status::default(), Status::default());
        if let Some(number) = event.number() {
            let (asked, status) = looks.next().expect(row).split_once(':').unwrap();
            assert_eq!(asked, number.to_string(), "{row}");
            let bits = |text: &str| Status::of_bits(text.parse().unwrap()).unwrap();
            let (one, two) = status.split_once('.').unwrap_or((status, "0"));
            (first, second) = (bits(one), bits(two));
        }
        let case = decide(event, first, second, [places[0], places[1]]);
        texts.push(case.text);
        match case.action {
            Action::Become(next) => event = next,
            Action::TransferOne(n) => (event, places) = (Event::A02, vec![places[n], Where::NoBed]),
            action => {
                assert_eq!(looks.next(), None, "{row}");
                let code = if matches!(action, Action::Refuse) { "AE" } else { "AA" };
                assert_eq!(code, answer, "{row}");
                match action {
                    Action::Forward { located } => {
                        let (sent, location) = forwarded.split_once(' ').expect(row);
                        assert_eq!(sent, event.name(), "{row}");
                        // What the message does not have cannot be left out.
                        let named = !patients.ends_with('@');
                        assert_eq!(location != "-", located && named, "{row}");
                    }
                    _ => assert_eq!(forwarded, "-", "{row}"),
                }
                break;
            }
        }
    }
    let told = told.split(" to ").next().unwrap();
    assert!(texts.iter().any(|text| text.contains(told)), "{row}: {texts:?}");
}

#[test]
fn every_row_of_the_case_table() {
    let rows: Vec<&str> = CASES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() > 60);
    rows.into_iter().for_each(walk);
}

/// The rows of an event and their first looks.
fn first_looks(event: &str) -> Vec<(String, String)> {
    let columns = CASES.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect());
    let of_event = columns.filter(|columns: &Vec<&str>| columns[2] == event);
    let look = |columns: Vec<&str>| {
        let look = columns[4].split(' ').next().unwrap();
        (columns[3].to_owned(), look.split(':').next_back().unwrap().to_owned())
    };
    of_event.map(look).collect()
}

#[test]
fn the_table_has_every_case_of_the_census() {
    let has = |event: &str, status: &str, place: Where| {
        let place_of_row = |patients: &str| place_of(patients.rsplit(['@', '>']).next().unwrap());
        first_looks(event).iter().any(|(patients, look)| look == status && place_of_row(patients) == place)
    };
    for event in ["A01", "A03", "A08"] {
        for status in ["0", "1", "2", "3", "7"] {
            assert!(has(event, status, Where::Bed), "{event} {status}");
        }
        for status in ["0", "2"] {
            assert!(has(event, status, Where::NoBed), "{event} {status}, no bed");
            assert!(event == "A03" || has(event, status, Where::Ward), "{event} {status}, the ward");
            assert!(has(event, status, Where::Outside), "{event} {status}, outside");
        }
    }
    // Both triples of a transfer are about one patient, who is known in both or in none.
    for known in [&["0", "1"][..], &["2", "3", "7"]] {
        for (old, new) in known.iter().flat_map(|old| known.iter().map(move |new| (old, new))) {
            assert!(has("A02", &format!("{old}.{new}"), Where::Bed), "A02 {old}.{new}");
        }
    }
    for status in ["0.0", "7.2", "2.2"] {
        assert!(has("A02", status, Where::Outside), "A02 {status}, outside");
        assert!(has("A02", status, Where::Ward), "A02 {status}, the ward");
    }
    for event in ["A11", "A12", "A13"] {
        for place in [Where::Bed, Where::NoBed, Where::Outside] {
            assert!(has(event, "-", place), "{event} {place:?}");
        }
    }
    // The nine pairs of a swap: each patient is unknown, elsewhere, or where the message puts him.
    let kind = |triple: &str| match triple {
        "0" | "1" => "unknown",
        "2" | "3" => "elsewhere",
        _ => "there",
    };
    let mut pairs: Vec<_> = first_looks("A17")
        .iter()
        .filter_map(|(_, look)| look.split_once('.').map(|(first, second)| (kind(first), kind(second))))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!(pairs.len(), 9, "{pairs:?}");
}

/// No event, status and place panics, none admits or transfers to a place outside, and a change of type comes to an
/// end whatever the census says next.
#[test]
fn nothing_moves_a_patient_out_of_the_unit() {
    let statuses = [0, 1, 2, 3, 7].map(|bits| Status::of_bits(bits).unwrap());
    for event in Event::ALL {
        for first in statuses {
            for second in statuses {
                for place in [Where::Bed, Where::Ward, Where::NoBed, Where::Outside] {
                    for other in [Where::Bed, Where::Ward, Where::NoBed, Where::Outside] {
                        let case = decide(event, first, second, [place, other]);
                        let moves = matches!(event, Event::A01 | Event::A02 | Event::A08)
                            && place == Where::Outside
                            || event == Event::A17 && [place, other].contains(&Where::Outside);
                        assert!(!(moves && case.action == KEEP), "{event} {first:?} {second:?} {place:?}");
                        if event == Event::A08 && case.action == KEEP {
                            assert_eq!(first, Status::There);
                        }
                    }
                }
            }
        }
    }
    for bits in [4, 5, 6, 8, 255] {
        assert_eq!(Status::of_bits(bits), None);
    }
}

#[test]
fn a_census_that_contradicts_itself_is_not_believed() {
    let status = |bits| Status::of_bits(bits).unwrap();
    for (event, first, second, place) in [
        (Event::A01, 1, 0, Where::NoBed),
        (Event::A01, 7, 0, Where::Outside),
        (Event::A08, 3, 0, Where::NoBed),
        (Event::A02, 2, 0, Where::Bed),
        (Event::A02, 0, 2, Where::Bed),
        (Event::A02, 2, 7, Where::Outside),
        (Event::A17, 1, 2, Where::Outside),
    ] {
        let case = decide(event, status(first), status(second), [place, Where::Bed]);
        assert_eq!(case, CONTRADICTION, "{event} {first} {second} {place:?}");
    }
}
