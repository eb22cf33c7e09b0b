//! Our MLLP decoder beside two others, on streams that those get right.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use bytes::BytesMut;
use protogen_core::llp::mllp;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// Small deterministic random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn message(&mut self) -> Vec<u8> {
        let mut message = b"MSH|^~\\&|A|B\r".to_vec();
        for _ in 0..self.below(400) {
            message.push(b"PID|ABC 123^~&\xe4\r"[self.below(16)]);
        }
        message.push(b'\r');
        message
    }
}

fn ours(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut decoder = mllp::Decoder::new(mllp::Settings::default());
    let mut frames = Vec::new();
    for mut piece in stream.chunks(piece) {
        while let Some(item) = decoder.decode(&mut piece, Instant::now()) {
            let mllp::Item::Frame(frame) = item else { continue };
            frames.push(frame.message.to_vec());
        }
    }
    frames
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    mllp::encode(message, &mllp::Settings::default(), &mut out).unwrap();
    out
}

/// It takes two frames in its buffer for one, so it gets one at a time; junk before a frame it skips, as we do.
#[test]
fn the_same_as_hl7_mllp_codec() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut codec = hl7_mllp_codec::MllpCodec::new();
    for _ in 0..500 {
        let message = random.message();
        let mut theirs = BytesMut::new();
        codec.encode(BytesMut::from(&message[..]), &mut theirs).unwrap();
        assert_eq!(frame(&message), theirs, "encoders");
        let stream = [&b"junk"[..random.below(5)], &theirs].concat();
        let piece = 1 + random.below(stream.len());
        let mut buffer = BytesMut::new();
        let mut decoded = Vec::new();
        for part in stream.chunks(piece) {
            buffer.extend_from_slice(part);
            if let Ok(Some(frame)) = codec.decode(&mut buffer) {
                decoded.push(frame.to_vec());
            }
        }
        assert_eq!(ours(&stream, piece), decoded);
        assert_eq!(decoded, [message]);
    }
}

/// It wants frames back to back and nothing in between.
#[test]
fn the_same_as_hl7_2_mllp() {
    let mut random = Random(0xfeed_beef_0bad_cafe);
    for _ in 0..500 {
        let messages: Vec<_> = (0..1 + random.below(4)).map(|_| random.message()).collect();
        let stream: Vec<u8> = messages.iter().flat_map(|m| hl7_2_mllp::encode(m)).collect();
        assert_eq!(messages.iter().flat_map(|m| frame(m)).collect::<Vec<_>>(), stream, "encoders");
        let piece = 1 + random.below(stream.len());
        let mut framer = hl7_2_mllp::Framer::new();
        let mut decoded = Vec::new();
        for part in stream.chunks(piece) {
            framer.push(part);
            while let Ok(Some(frame)) = framer.next_frame() {
                decoded.push(frame);
            }
        }
        assert_eq!(ours(&stream, piece), decoded);
        assert_eq!(decoded, messages);
    }
}

/// Where the table of what receivers do shows them wrong, we differ on purpose: two frames that come together, and
/// junk before a frame.
#[test]
fn different_where_they_are_wrong() {
    let two = [frame(b"MSH|1\r"), frame(b"MSH|2\r")].concat();
    let mut buffer = BytesMut::from(&two[..]);
    let merged = hl7_mllp_codec::MllpCodec::new().decode(&mut buffer).unwrap().unwrap();
    assert!(merged.len() > 6);
    assert_eq!(ours(&two, 1_000), [b"MSH|1\r", b"MSH|2\r"]);
    let mut framer = hl7_2_mllp::Framer::new();
    let junk = [b"junk".to_vec(), frame(b"MSH|1\r")].concat();
    framer.push(&junk);
    assert!(framer.next_frame().is_err());
    assert_eq!(ours(&junk, 1_000), [b"MSH|1\r"]);
}
