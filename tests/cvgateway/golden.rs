//! Two days of a ward, message by message: each file of `golden` is sent, and all that CareVue gets, all that the sender
//! gets and the census that is left are compared with the file beside it. `PG_GOLDEN=write` writes those anew.

use super::ward::Ward;
use std::fmt::Write;

/// The message with what differs each time taken out of its MSH: the time, and the id of an answer.
fn plain(message: &str, is_answer: bool) -> String {
    let (header, rest) = message.split_once('\r').unwrap();
    let separator = message.chars().nth(3).unwrap().to_string();
    let mut fields: Vec<&str> = header.split(&separator).collect();
    assert_eq!(fields[6].len(), 14, "{header}");
    fields[6] = "TIME";
    if is_answer {
        assert!(fields[9].starts_with("CVG") && fields[9].len() == 20, "{header}");
        fields[9] = "ID";
    }
    format!("{}\n{}", fields.join(&separator), rest.replace('\r', "\n"))
}

#[test]
fn what_carevue_and_the_sender_get_of_realistic_messages() {
    let ward = Ward::new();
    let files = crate::support::samples(&crate::support::data("cvgateway/golden"));
    assert!(files.len() >= 20);
    let mut forwarded = 0;
    for file in files {
        let name = file.file_name().unwrap().display().to_string();
        let sent: Vec<u8> = std::fs::read(&file)
            .unwrap()
            .into_iter()
            .map(|byte| if byte == b'\n' { b'\r' } else { byte })
            .collect();
        let answer = ward.send(&sent);
        let journal = ward.journal("FWD");
        let mut whole = String::new();
        for (_, message) in &journal[forwarded..] {
            write!(whole, "to CareVue:\n{}\n", plain(message, false)).unwrap();
        }
        forwarded = journal.len();
        let census = ward.census().replace(' ', "\n");
        write!(whole, "answer:\n{}\ncensus:\n{census}\n", plain(&answer, true)).unwrap();
        // CareVue's characters are single bytes.
        let whole: Vec<u8> = whole.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let expected = file.with_extension("out");
        if std::env::var_os("PG_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&expected, &whole).unwrap();
        }
        let expected = std::fs::read(&expected).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            whole == expected,
            "{name}: got\n{}\nexpected\n{}",
            String::from_utf8_lossy(&whole),
            String::from_utf8_lossy(&expected)
        );
    }
    let shown = [
        "HL7: patient 880103 is on the waiting list: bed 601-1 is occupied",
        "HL7: 6298-4 of message ST10 was not taken",
    ];
    crate::support::wait_until(|| ward.messages().len() >= shown.len());
    assert_eq!(ward.messages(), shown);
    crate::support::wait_until(|| ward.dir.join("mails").exists() && !ward.dir.text("mails").is_empty());
    let mails = ward.dir.text("mails");
    assert!(mails.contains("a value of message ST10 was left out"), "{mails}");
    assert!(mails.contains("6298-4: its value is outside of 0 to 8 mmol/l"), "{mails}");
    assert!(!mails.contains("Dahl") && !mails.contains("880104"), "{mails}");
    let results = ward.simulator("results").run().success().stdout();
    assert!(results.contains("880101\t9948-1\t12.9\tg/dl\t\n"), "{results}");
}
