//! Any bytes: a message or an error, every part readable, every answer readable in turn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::parse(data) else {
        if let Some(answer) = reject_unreadable(data, b"2026", b"1", b"text") {
            assert!(Message::parse(&answer).is_ok());
        }
        return;
    };
    let set = CharacterSet::of(&message).unwrap_or(CharacterSet::Ascii);
    let mut last = 0;
    for segment in message.segments() {
        assert!(segment.offset() >= last && segment.span().end <= data.len());
        last = segment.span().end;
        for (n, field) in segment.fields().enumerate() {
            let span = segment.field_span(n + 1).expect("a field that was counted");
            assert_eq!(&data[span], field.raw());
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    for leaf in component.subcomponents() {
                        set.decode(&leaf.text());
                        display(leaf.raw(), leaf.delimiters());
                    }
                }
            }
        }
    }
    let ack = Acknowledgment { time: b"2026", control_id: b"1", text: data, ..Acknowledgment::new(AckCode::AE) };
    let answer = ack.answer(&message);
    let answer = Message::parse(&answer).expect("an answer is a message");
    assert_eq!(AckCode::of(&answer), Some(AckCode::AE));
    // A broken character of a multi-byte set may take a delimiter along, and stand elsewhere in the answer.
    if message.delimiters().width == Width::Single && !message.control_id().contains(&LF) {
        assert_eq!(answer.field(*b"MSA", 2).raw(), message.control_id());
    }
    answer_network_management(&message, None, &ack);
    join_added(&message);
    continued(&message);
    Mode::of(&message);
});
