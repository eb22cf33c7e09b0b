//! How fast each lower layer protocol takes messages out of a stream that comes in pieces of one TCP segment.
//!
//! Groups are `llp/<codec>/<size>`; compare with `llp/hl7-mllp-codec/<size>`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protogen_core::llp::{Event, Kind, Link, hllp, illp, mllp, mllp2, x328};
use tokio_util::codec::Decoder as _;

/// The payload of a TCP segment on Ethernet.
const PIECE: usize = 1_460;
/// How much one run moves at least.
const VOLUME: usize = 1 << 20;

fn message(length: usize) -> Vec<u8> {
    let mut message = b"MSH|^~\\&|LAB|767543|ADT|767543|19900314130405||ORU^R01|XX3657|P|2.1\r".to_vec();
    while message.len() < length {
        message.extend_from_slice(b"OBX|1|NM|3141-9^BODY WEIGHT^LN||71.5|kg|||||F\r");
    }
    message.truncate(length - 1);
    message.push(b'\r');
    message
}

/// Enough frames, one after the other.
fn stream(frame: &[u8]) -> (Vec<u8>, usize) {
    let count = (VOLUME / frame.len()).max(1);
    (frame.repeat(count), count)
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    mllp::encode(message, &mllp::Settings::default(), &mut frame).unwrap();
    frame
}

fn bench(
    c: &mut Criterion,
    codec: &str,
    size: &str,
    bytes: usize,
    mut run: impl FnMut() -> usize,
    expected: usize,
) {
    assert_eq!(run(), expected, "{codec} finds every message");
    let mut group = c.benchmark_group(format!("llp/{codec}"));
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
    group.bench_function(size, |b| b.iter(&mut run));
    group.finish();
}

/// Feeds a machine and takes, and accepts, what it gives.
fn feed(link: &mut dyn Link, stream: &[u8], out: &mut Vec<u8>) -> usize {
    let now = Instant::now();
    let mut messages = 0;
    for piece in stream.chunks(PIECE) {
        link.handle_input(piece, now);
        while let Some(event) = link.poll_event() {
            if let Event::Message { message, .. } = event {
                black_box(&message);
                messages += 1;
                link.accept(now);
            }
        }
        out.clear();
        link.poll_transmit(out);
    }
    messages
}

fn mllp_codecs(c: &mut Criterion) {
    for (size, length) in [("1.6K", 1_600), ("5M", 5_000_000)] {
        let (stream, count) = stream(&frame(&message(length)));
        let now = Instant::now();
        let mut decoder = mllp::Decoder::new(mllp::Settings::default());
        let ours = |decoder: &mut mllp::Decoder, piece: usize| {
            let mut frames = 0;
            for mut piece in stream.chunks(piece) {
                while let Some(item) = decoder.decode(&mut piece, now) {
                    frames += usize::from(matches!(black_box(item), mllp::Item::Frame(_)));
                }
            }
            frames
        };
        bench(c, "mllp", size, stream.len(), || ours(&mut decoder, PIECE), count);
        bench(c, "mllp-64K-reads", size, stream.len(), || ours(&mut decoder, 65_536), count);
        let settings = mllp::Settings { strict: true, ..mllp::Settings::default() };
        let mut strict = mllp::Decoder::new(settings);
        bench(c, "mllp-strict", size, stream.len(), || ours(&mut strict, PIECE), count);

        let mut out = Vec::new();
        let mut station = mllp::Station::new(mllp::Settings::default());
        bench(c, "mllp-station", size, stream.len(), || feed(&mut station, &stream, &mut out), count);
        let mut station = mllp2::Station::new(mllp2::Settings::default());
        bench(c, "mllp2-station", size, stream.len(), || feed(&mut station, &stream, &mut out), count);

        let peer = || {
            let mut codec = hl7_mllp_codec::MllpCodec::new();
            let mut buffer = BytesMut::new();
            let mut frames = 0;
            for piece in stream.chunks(PIECE) {
                buffer.extend_from_slice(piece);
                while let Ok(Some(frame)) = codec.decode(&mut buffer) {
                    black_box(frame);
                    frames += 1;
                }
            }
            frames
        };
        // Its decoder takes two frames that come together for one, so only single frames can be counted.
        let expected = peer();
        bench(c, "hl7-mllp-codec", size, stream.len(), peer, expected);
        let peer = || {
            let mut framer = hl7_2_mllp::Framer::new();
            let mut frames = 0;
            for piece in stream.chunks(PIECE) {
                framer.push(piece);
                while let Ok(Some(frame)) = framer.next_frame() {
                    black_box(frame);
                    frames += 1;
                }
            }
            frames
        };
        let expected = peer();
        bench(c, "hl7-2-mllp", size, stream.len(), peer, expected);
    }
}

fn encoders(c: &mut Criterion) {
    for (size, length) in [("1.6K", 1_600), ("5M", 5_000_000)] {
        let message = message(length);
        let settings = mllp::Settings::default();
        let mut out = Vec::new();
        let encode = || {
            out.clear();
            usize::from(mllp::encode(black_box(&message), &settings, &mut out).is_ok())
        };
        bench(c, "mllp-encode", size, length, encode, 1);
    }
}

fn hllp_codec(c: &mut Criterion) {
    // Five digits of length are all there is, so the large one is as large as they allow.
    for (size, length) in [("1.6K", 1_600), ("99K", 99_000)] {
        let mut sender = hllp::Station::new(hllp::Settings::default());
        sender.send(&message(length), Kind::Request, Instant::now()).unwrap();
        let mut block = Vec::new();
        sender.poll_transmit(&mut block);
        let (stream, count) = stream(&block);
        let mut out = Vec::new();
        let mut station = hllp::Station::new(hllp::Settings::default());
        bench(c, "hllp-station", size, stream.len(), || feed(&mut station, &stream, &mut out), count);
    }
}

fn x328_line(c: &mut Criterion) {
    for (size, length, block_size) in
        [("1.6K", 1_600, 240), ("99K", 99_000, 240), ("99K-large-blocks", 99_000, 9_000)]
    {
        let message = message(length);
        let now = Instant::now();
        let settings = x328::Settings {
            block_size,
            turnaround: std::time::Duration::ZERO,
            timer_e: None,
            ..x328::Settings::default()
        };
        let mut ends = [x328::Station::new(settings.clone(), now), x328::Station::new(settings, now)];
        let mut line = Vec::new();
        // A whole session, both sides of it.
        let session = || {
            ends[0].send(&message, Kind::Request, now).unwrap();
            let mut messages = 0;
            for side in (0..2).cycle() {
                line.clear();
                if !ends[side].poll_transmit(&mut line) {
                    break;
                }
                ends[1 - side].handle_input(&line, now);
                while let Some(event) = ends[1 - side].poll_event() {
                    if let Event::Message { .. } = event {
                        messages += 1;
                        ends[1 - side].accept(now);
                    }
                }
            }
            messages
        };
        bench(c, "x328-session", size, length, session, 1);
    }
}

fn illp_server(c: &mut Criterion) {
    for (size, length) in [("1.6K", 1_600), ("5M", 5_000_000)] {
        let message = message(length);
        let serve = || {
            let now = Instant::now();
            let mut server = illp::Server::new(illp::Settings::default(), now);
            for piece in message.chunks(PIECE) {
                server.handle_input(piece, now);
            }
            server.handle_eof(now);
            usize::from(matches!(black_box(server.poll_event()), Some(Event::Message { .. })))
        };
        bench(c, "illp-server", size, length, serve, 1);
    }
}

criterion_group!(benches, mllp_codecs, encoders, hllp_codec, x328_line, illp_server);
criterion_main!(benches);
