//! The table of `tests/data/hl7/filters.tsv`, and what holds for any text.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Filter, FilterError, MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_TESTS};
use crate::hl7::Message;

const TABLE: &str = include_str!("../../../../../tests/data/hl7/filters.tsv");

#[test]
fn the_table() {
    let mut messages = HashMap::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for (number, line) in TABLE.lines().enumerate() {
        let number = number + 1;
        let columns: Vec<&str> = line.split('\t').collect();
        match columns[..] {
            [""] => {}
            [comment] if comment.starts_with('#') => {}
            ["message", name, text] => {
                messages.insert(name, text.replace("<CR>", "\r"));
            }
            [answer @ ("yes" | "no"), name, text] => {
                let filter: Filter = text.parse().unwrap_or_else(|error| panic!("line {number}: {error}"));
                let bytes = messages[name].as_bytes();
                let message = Message::parse(bytes).unwrap();
                assert_eq!(filter.matches(&message), answer == "yes", "line {number}: {text}");
                let again: Filter = filter.to_string().parse().unwrap();
                assert_eq!(again, filter, "line {number}: {filter}");
                count += 1;
            }
            ["error", column, what, text] => {
                let error = text.parse::<Filter>().expect_err(text);
                let is_there = (error.line, error.column.to_string().as_str()) == (1, column);
                if !is_there || !error.what.contains(what) {
                    wrong.push(format!("line {number}: {text}: {error}"));
                }
                count += 1;
            }
            _ => panic!("line {number}: {line:?}"),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 90, "{count} rows");
}

#[test]
fn latin_1_is_compared_as_text() {
    let filter: Filter = "PID-5.1 == M\u{fc}ller".parse().unwrap();
    for (set, name) in
        [("8859/1", b"M\xfcller".as_slice()), ("", b"M\xfcller"), ("UNICODE UTF-8", b"M\xc3\xbcller")]
    {
        let bytes =
            [b"MSH|^~\\&|||||||ADT|1|P|2.3||||||", set.as_bytes(), b"\rPID|1||||", name, b"\r"].concat();
        assert!(filter.matches(&Message::parse(&bytes).unwrap()), "{set}");
    }
}

#[test]
fn the_place_of_a_fault_in_a_later_line() {
    let FilterError { line, column, .. } = "MSH-9.1 == ADT\nand PV1-2 = O".parse::<Filter>().unwrap_err();
    assert_eq!((line, column), (2, 11));
    let error = "\u{fc} == 1".parse::<Filter>().unwrap_err();
    assert_eq!(error.column, 1);
    let error = "PID-5 == \"\u{fc}\u{fc}\" x".parse::<Filter>().unwrap_err();
    assert_eq!(error.column, 15, "in characters");
}

#[test]
fn bounds() {
    let nested = |depth: usize| format!("{}PID{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(MAX_FILTER_DEPTH).parse::<Filter>().is_ok());
    assert!(nested(MAX_FILTER_DEPTH + 1).parse::<Filter>().unwrap_err().what.contains("deep"));
    assert!("not ".repeat(1000).parse::<Filter>().unwrap_err().what.contains("deep"));
    let tests = |count: usize| vec!["PID"; count].join(" or ");
    assert!(tests(MAX_FILTER_TESTS).parse::<Filter>().is_ok());
    assert!(tests(MAX_FILTER_TESTS + 1).parse::<Filter>().unwrap_err().what.contains("256"));
    let long = format!("PID-5 == {}", "x".repeat(MAX_FILTER));
    assert!(long.parse::<Filter>().unwrap_err().what.contains("8192"));
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_a_fault_within_it(text in "[ A-Z0-9\\-\\[\\].()\"',=!~^]{0,60}|\\PC{0,40}") {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter),
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
        }
    }
}
