//! Any message, any place, any value: what is set is read back, and nothing else moves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

const SAMPLES: [&[u8]; 4] = [
    include_bytes!("../../../tests/data/hl7/adt-crlf.hl7"),
    include_bytes!("../../../tests/data/hl7/delimiters.hl7"),
    include_bytes!("../../../tests/data/hl7/big5.hl7"),
    b"MSH|^~|A\r",
];

fuzz_target!(|input: (u8, u8, u8, u8, u8, u8, &[u8], &[u8])| {
    let (choice, segment, field, repetition, component, subcomponent, value, bytes) = input;
    // A sample, a sample with something behind it, or whatever has a header.
    let sample = SAMPLES[usize::from(choice % 4)];
    let bytes = match choice / 4 % 3 {
        0 => sample.to_vec(),
        1 => [sample, bytes].concat(),
        _ => [b"MSH|^~\\&", bytes].concat(),
    };
    let Ok(mut editor) = Editor::new(bytes) else { return };
    let Ok(message) = editor.message() else { return };
    let at = usize::from(segment) % message.len();
    let name = message.at(at).expect("within").name();
    let Ok(name) = <[u8; 3]>::try_from(name) else { return };
    let mut path = Path::segment(name).field(u32::from(field).max(1)).component(u32::from(component % 9).max(1));
    path.repetition = Some(u32::from(repetition % 9).max(1));
    path.subcomponent = Some(u32::from(subcomponent % 9).max(1));
    // A name that no path can have on a command line names nothing that is edited.
    if path.to_string().parse::<Path>().is_err() {
        return;
    }
    let count = message.len();
    let width = message.delimiters().width;
    let before = editor.bytes().to_vec();
    if editor.set_text(&path, value).is_err() {
        assert_eq!(editor.bytes(), before);
        return;
    }
    let message = editor.message().expect("an edited message is a message");
    // A value written to MSH-18 may change how the bytes are read; a broken character takes its neighbour along.
    let reads_alike = message.delimiters().width == Width::Single && width == Width::Single;
    if reads_alike {
        assert_eq!(message.len(), count);
        assert_eq!(message.get(&path).text(), value);
    }
    drop(editor.insert_segment(at, value));
    drop(editor.remove_segment(at));
    assert!(editor.message().is_ok());
});
