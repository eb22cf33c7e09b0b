//! Any stream, cut anywhere: the same items, and all their bytes are the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, stream) = input;
    let mut whole = Vec::new();
    split(stream, MAX_MESSAGE, |item| whole.push((item.kind, item.raw.to_vec(), item.framed, item.complete)))
        .expect("within the limit");
    let mut splitter = Splitter::default();
    let mut batch = BatchCheck::default();
    let mut pieces = Vec::new();
    let mut chunks = stream.chunks(usize::from(size).max(1));
    loop {
        match chunks.next() {
            Some(chunk) => splitter.feed(chunk),
            None => splitter.finish(),
        }
        while let Some(item) = splitter.next_item().expect("within the limit") {
            batch.observe(&item);
            pieces.push((item.kind, item.raw.to_vec(), item.framed, item.complete));
        }
        if splitter.is_finished() {
            break;
        }
    }
    batch.finish(stream.len() as u64);
    assert_eq!(pieces, whole);
    assert_eq!(whole.into_iter().flat_map(|item| item.1).collect::<Vec<u8>>(), stream);
});
