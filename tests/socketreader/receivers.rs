//! Each way in which a receiver can answer, or not: the table of `tests/data/socketreader/receivers.tsv`.

use super::support::{Link, Peer, Router, acknowledgment, adt, control_id};

struct Row<'a> {
    name: &'a str,
    options: &'a str,
    messages: usize,
    does: Vec<&'a str>,
    heard: &'a str,
    dead: &'a str,
    state: &'a str,
    told: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<&str> =
                line.split('\t').map(|text| if text == "-" { "" } else { text }).collect();
            let [name, options, messages, does, heard, dead, state, told] = columns[..] else {
                panic!("8 columns: {line}");
            };
            let messages = messages.parse().unwrap();
            Row { name, options, messages, does: does.split(' ').collect(), heard, dead, state, told }
        })
        .collect()
}

/// Reads the current message of a connection, or that of the next one if it is closed.
fn next(receiver: &Peer, link: &mut Option<Link>) -> Vec<u8> {
    loop {
        let open = link.get_or_insert_with(|| receiver.accept());
        match open.try_frame() {
            Ok(message) => return message,
            Err(_) => *link = None,
        }
    }
}

/// Does what the row says; gives what it has read.
fn play(receiver: &Peer, does: &[&str]) -> (String, Option<Link>) {
    let (mut link, mut heard): (Option<Link>, Vec<String>) = (None, Vec::new());
    let mut current: Option<Vec<u8>> = None;
    for what in does {
        if *what == "shut" {
            drop(receiver.accept());
            continue;
        }
        let message = current.take().unwrap_or_else(|| {
            let message = next(receiver, &mut link);
            heard.push(control_id(&message));
            message
        });
        let open = link.as_mut().unwrap();
        match *what {
            "silent" => open.closed(),
            "close" => link = None,
            "wrong" => {
                open.send(&acknowledgment(&adt("OTHER"), "AA"));
                current = Some(message);
            }
            "other" => open.send(&acknowledgment(&adt("OTHER"), "AA")),
            "empty" => open.send(b"MSH|^~\\&|ADT\rMSA|AA\r"),
            "late" => {
                let before = heard[heard.len() - 2].clone();
                open.send(&acknowledgment(&adt(&before), "AA"));
                open.send(&acknowledgment(&message, "AA"));
            }
            "NAK" => open.raw(b"\x0b\x15\x1c\r"),
            code => open.send(&acknowledgment(&message, code)),
        }
    }
    (heard.join(" "), link)
}

fn check(row: &Row<'_>) {
    let Row { name, .. } = row;
    println!("row {name}");
    let receiver = Peer::listen();
    let options = format!(
        "usehl7 = True\nretries = 2\nmaxpause = 0.01\ndowntime = 0\nmaxage = 0\ntimeout = {}\n{}",
        // The one that is waited for is short, the others are never met.
        if row.does.contains(&"silent") { "0.5" } else { "60" },
        row.options.replace("; ", "\n")
    );
    let mut router: Router = super::alerts::calling("mailinterval = 1", |setup| {
        for number in 0..row.messages {
            setup.dir.write(format!("in/{number}"), adt(&format!("A{number}")));
        }
        setup.client_out("out", receiver.port(), &options)
    });
    let (heard, link) = play(&receiver, &row.does);
    assert_eq!(heard, row.heard, "{name}");
    let dead: Vec<&str> = row.dead.split(' ').filter(|number| !number.is_empty()).collect();
    let settled = row.state == "running";
    let delivered = row.messages - dead.len();
    router.wait(&format!("{name}: all counted"), || {
        let out = router.out();
        let is_delivered = !settled || (out["delivered"] == delivered && out["pending"] == 0);
        is_delivered && out["dead"] == dead.len() && out["state"] == row.state
    });
    let out = router.out();
    let count = |name: &str| out[name].as_u64().unwrap();
    assert_eq!(
        count("accepted"),
        count("delivered") + count("dead") + count("dropped") + count("pending"),
        "{name}: {out}"
    );
    let shown = router.json(&["--show", "out", "dead", "--json"]);
    let numbers: Vec<String> =
        shown.as_array().unwrap().iter().map(|row| row["message"].to_string()).collect();
    assert_eq!(numbers, dead, "{name}");
    if !row.told.is_empty() {
        super::alerts::call(&router, row.told);
    }
    for call in super::alerts::calls(&router) {
        let subject = call.lines().next().unwrap();
        let is_expected = |word: &str| !word.is_empty() && subject.contains(word);
        // Dead letters are told wherever there are some.
        let about_dead_letters = !dead.is_empty() && subject.contains("dead letter");
        let over = subject.contains("recovered: ") && is_expected(row.told);
        assert!(is_expected(row.told) || about_dead_letters || over, "{name}: {subject}");
    }
    drop(link);
    router.end();
}

#[test]
fn each_answer_has_its_consequence() {
    let table =
        std::fs::read_to_string(crate::support::top().join("tests/data/socketreader/receivers.tsv")).unwrap();
    let rows = rows(&table);
    assert!(rows.len() >= 20);
    // Each has a site of its own: several at a time.
    std::thread::scope(|scope| {
        for part in rows.chunks(rows.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(check));
        }
    });
}
