//! Frames whole, byte by byte, split at every offset, back to back; and our answer to every row of the table of what
//! receivers do.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::llp::{NoteKind, SendError};

const M1: &[u8] = b"MSH|^~\\&|LAB|767543|ADT|767543|19900314130405||ADT^A01|XX3657|P|2.1\rPID|||123\r";
const M2: &[u8] = b"MSH|^~\\&|A|B|C|D|19900314130406||ORU^R01|XX3658|P|2.1\r";

/// What a decoder said, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Frame(Vec<u8>),
    /// A frame that lacked its last delimiter.
    Loose(Vec<u8>),
    Commit(bool),
    Dropped(NoteKind, u64, u64),
}
use Said::{Commit, Dropped, Frame as Whole, Loose};

fn said(item: Item<'_>) -> Said {
    match item {
        Item::Frame(f) if f.missing_trailer => Loose(f.message.to_vec()),
        Item::Frame(f) => Whole(f.message.to_vec()),
        Item::Commit(ack, _) => Commit(ack),
        Item::Dropped(d) => Dropped(d.kind, d.offset, d.count),
    }
}

struct Rig {
    decoder: Decoder,
    now: Instant,
    said: Vec<Said>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        settings.check().unwrap();
        Self { decoder: Decoder::new(settings), now: Instant::now(), said: Vec::new() }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(item) = self.decoder.decode(&mut bytes, self.now) {
            self.said.push(said(item));
        }
        assert!(bytes.is_empty(), "all input is taken");
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if let Some(item) = self.decoder.handle_timeout(self.now) {
            self.said.push(said(item));
        }
        self.feed(b"");
    }

    fn eof(mut self) -> Vec<Said> {
        if let Some(item) = self.decoder.handle_eof() {
            self.said.push(said(item));
        }
        self.said
    }
}

fn strict() -> Settings {
    Settings { strict: true, ..Settings::default() }
}

fn wordy() -> Settings {
    let text = |s: &str| s.as_bytes().to_vec();
    Settings {
        sob: text("START-BLOCK"),
        eod: text("END-DATA"),
        eob: text("END-BLOCK"),
        ..Settings::default()
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(message, &Settings::default(), &mut out).unwrap();
    out
}

/// Runs the stream whole, byte by byte, and split in two at every offset; all must say the same.
fn decode(settings: &Settings, stream: &[u8]) -> Vec<Said> {
    let run = |pieces: &[&[u8]]| {
        let mut rig = Rig::new(settings.clone());
        for piece in pieces {
            rig.feed(piece);
        }
        rig.eof()
    };
    let whole = run(&[stream]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(run(&bytes), whole, "byte by byte");
    for cut in 0..=stream.len() {
        assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "split at {cut}");
    }
    whole
}

fn tolerant(stream: &[u8]) -> Vec<Said> {
    decode(&Settings::default(), stream)
}

fn whole(message: &[u8]) -> Said {
    Whole(message.to_vec())
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn one_two_and_three_frames() {
    for settings in [Settings::default(), strict(), wordy()] {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for message in [M1, M2, M1] {
            encode(message, &settings, &mut stream).unwrap();
            expected.push(whole(message));
            assert_eq!(decode(&settings, &stream), expected);
        }
    }
}

#[test]
fn a_message_that_is_to_stay_as_it_is_gets_no_carriage_return() {
    for message in [b"A\rB".as_slice(), b"A\rB\r", b"\n", b"\xFC"] {
        let mut out = Vec::new();
        encode_unchanged(message, &Settings::default(), &mut out).unwrap();
        assert_eq!(out, cat(&[b"\x0b", message, b"\x1c\r"]));
        assert_eq!(tolerant(&out), [whole(message)]);
    }
    assert_eq!(encode_unchanged(b"", &Settings::default(), &mut Vec::new()), Err(SendError::Empty));
}

#[test]
fn the_encoder_emits_exactly_the_frame() {
    assert_eq!(frame(b"MSH|\r"), b"\x0bMSH|\r\x1c\r");
    assert_eq!(frame(b"MSH|"), b"\x0bMSH|\r\x1c\r", "the last CR is added only where it is missing");
    let mut out = b"kept".to_vec();
    for (message, why) in [
        (&b"a\x0bb"[..], SendError::Forbidden { offset: 1, byte: 0x0b }),
        (b"ab\x1c", SendError::Forbidden { offset: 2, byte: 0x1c }),
        (b"", SendError::Empty),
    ] {
        assert_eq!(encode(message, &Settings::default(), &mut out), Err(why));
    }
    let small = Settings { max_message: 3, ..Settings::default() };
    assert_eq!(encode(b"abcd", &small, &mut out), Err(SendError::TooLong(3)));
    assert_eq!(out, b"kept");
}

#[test]
fn a_delimiter_may_not_arise_where_message_and_delimiter_meet() {
    let settings = Settings { eod: b"\rA\rB".to_vec(), ..Settings::default() };
    let mut out = Vec::new();
    // "...\rA" + "\r" + "\rA\rB" is fine; "\rA\rB" inside the message is not.
    encode(b"x\rA", &settings, &mut out).unwrap();
    assert_eq!(decode(&settings, &out), [whole(b"x\rA\r")]);
    assert!(encode(b"x\rA\rB", &settings, &mut out).is_err());
}

// ---- the rows of the table of what receivers do ---------------------------------------------------------------

#[test]
fn row_junk_before_sb_is_skipped_and_reported_with_its_place() {
    let stream = cat(&[b"junk", &frame(M1), b"\r\nmore", &frame(M2)]);
    let second = 4 + frame(M1).len() as u64;
    let expected = [Dropped(NoteKind::Junk, 0, 4), whole(M1), Dropped(NoteKind::Junk, second, 6), whole(M2)];
    assert_eq!(tolerant(&stream), expected);
    assert_eq!(decode(&strict(), &stream), expected);
}

#[test]
fn row_cr_never_comes_ends_the_frame_after_a_grace() {
    let mut rig = Rig::new(Settings::default());
    rig.feed(&cat(&[b"\x0b", M1, b"\x1c"]));
    assert_eq!(rig.decoder.poll_timeout(), Some(rig.now + Duration::from_millis(500)));
    rig.wait(Duration::from_millis(499));
    assert_eq!(rig.said, []);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.said, [Loose(M1.to_vec())]);
    assert_eq!(rig.decoder.poll_timeout(), None);
    // The CR that comes late after all is nothing to speak of.
    rig.feed(&cat(&[b"\r", &frame(M2)]));
    assert_eq!(rig.eof(), [Loose(M1.to_vec()), whole(M2)]);
}

#[test]
fn row_cr_missing_and_next_frame_at_once_is_two_frames() {
    let stream = cat(&[b"\x0b", M1, b"\x1c", &frame(M2)]);
    assert_eq!(tolerant(&stream), [Loose(M1.to_vec()), whole(M2)]);
    let dropped = Dropped(NoteKind::BadByte, 0, M1.len() as u64);
    assert_eq!(decode(&strict(), &stream), [dropped, whole(M2)]);
}

#[test]
fn row_eb_inside_data_is_data() {
    let message = b"MSH|a\x1cb\x1c\x1cc\r";
    let stream = cat(&[b"\x0b", message, b"\x1c\r"]);
    assert_eq!(tolerant(&stream), [whole(message)]);
    assert!(decode(&strict(), &stream).iter().all(|s| matches!(s, Dropped(..))));
}

#[test]
fn row_sb_restart_drops_the_stub() {
    let stream = cat(&[b"\x0bMSH|half a mess", &frame(M1)]);
    assert_eq!(tolerant(&stream), [Dropped(NoteKind::Restarted, 0, 15), whole(M1)]);
    assert_eq!(decode(&strict(), &stream), [Dropped(NoteKind::Restarted, 0, 15), whole(M1)]);
    // An SB before anything but a message's beginning is data.
    let odd = cat(&[b"\x0bMSH|a\x0bb\x0bMSx\r\x1c\r"]);
    assert_eq!(tolerant(&odd), [whole(b"MSH|a\x0bb\x0bMSx\r")]);
    for beginning in [&b"FHS|1\r"[..], b"BHS|1\r"] {
        let stream = cat(&[b"\x0bMSH|half", &frame(beginning)]);
        assert_eq!(tolerant(&stream), [Dropped(NoteKind::Restarted, 0, 8), whole(beginning)]);
    }
}

#[test]
fn row_two_frames_in_one_write_are_two() {
    assert_eq!(tolerant(&cat(&[&frame(M1), &frame(M2)])), [whole(M1), whole(M2)]);
}

#[test]
fn row_lf_and_crlf_segment_ends_pass_unchanged() {
    let lf = b"MSH|1\nPID|2\n";
    assert_eq!(tolerant(&cat(&[b"\x0b", lf, b"\x1c\r"])), [whole(lf)]);
    let crlf = b"MSH|1\r\nPID|2\r\n";
    assert_eq!(tolerant(&cat(&[b"\x0b", crlf, b"\x1c\r"])), [whole(crlf)]);
    let dropped = [Dropped(NoteKind::BadByte, 0, lf.len() as u64)];
    assert_eq!(decode(&strict(), &cat(&[b"\x0b", lf, b"\x1c\r"])), dropped);
}

#[test]
fn row_no_cr_before_eb_is_fine() {
    assert_eq!(tolerant(b"\x0bMSA|AA|42\x1c\r"), [whole(b"MSA|AA|42")]);
    assert_eq!(decode(&strict(), b"\x0bMSA|AA|42\x1c\r"), [whole(b"MSA|AA|42")]);
}

#[test]
fn row_lf_between_frames_is_skipped_silently() {
    for between in [&b"\n"[..], b"\r\n", b"\r", b"\0\0"] {
        assert_eq!(tolerant(&cat(&[&frame(M1), between, &frame(M2), between])), [whole(M1), whole(M2)]);
    }
}

// ---- the rest of the recommended receiver ---------------------------------------------------------------------

#[test]
fn an_unfinished_frame_goes_stale() {
    let mut rig = Rig::new(Settings::default());
    rig.feed(b"\x0bMSH|");
    rig.wait(Duration::from_secs(59));
    rig.feed(b"more");
    rig.wait(Duration::from_secs(59));
    assert_eq!(rig.said, [], "every byte gives another minute");
    rig.wait(Duration::from_secs(1));
    rig.feed(&frame(M2));
    assert_eq!(rig.eof(), [Dropped(NoteKind::Stale, 0, 8), whole(M2)]);
}

#[test]
fn the_end_of_the_input_drops_a_half_frame_and_ends_a_whole_one() {
    assert_eq!(tolerant(b"\x0bMSH|x"), [Dropped(NoteKind::EndOfInput, 0, 5)]);
    assert_eq!(tolerant(b"\x0bMSH|x\r\x1c"), [Loose(b"MSH|x\r".to_vec())]);
    assert_eq!(decode(&strict(), b"\x0bMSH|x\r\x1c"), [Dropped(NoteKind::EndOfInput, 0, 7)]);
    assert_eq!(tolerant(b"tail"), [Dropped(NoteKind::Junk, 0, 4)]);
}

#[test]
fn a_frame_too_long_is_dropped_and_the_next_one_taken() {
    let settings = Settings { max_message: 20, ..Settings::default() };
    let long = cat(&[b"\x0b", &[b'x'; 21], b"\x1c\r", &frame(b"MSH|ok\r")]);
    for pieces in [vec![&long[..]], long.chunks(1).collect(), long.chunks(7).collect()] {
        let mut rig = Rig::new(settings.clone());
        for piece in pieces {
            rig.feed(piece);
        }
        let said = rig.eof();
        assert!(matches!(said.first(), Some(Dropped(NoteKind::TooLong, 0, _))), "{said:?}");
        assert_eq!(said.last(), Some(&whole(b"MSH|ok\r")));
    }
    assert_eq!(decode(&settings, &cat(&[b"\x0b", &[b'x'; 20], b"\x1c\r"])), [whole(&[b'x'; 20])]);
}

#[test]
fn empty_frames_byte_order_marks_and_doubled_delimiters() {
    assert_eq!(
        tolerant(&cat(&[b"\x0b\x1c\r", &frame(M1)])),
        [Dropped(NoteKind::EmptyFrame, 0, 0), whole(M1)]
    );
    assert_eq!(tolerant(&cat(&[b"\x0b\xef\xbb\xbf", M1, b"\x1c\r"])), [whole(M1)]);
    // The second EB CR is junk between frames.
    let doubled = cat(&[b"\x0b", &frame(M1), b"\x1c\r", &frame(M2)]);
    let said = tolerant(&doubled);
    assert_eq!(said[0], whole(M1));
    assert_eq!(said.last(), Some(&whole(M2)));
    assert_eq!(said.len(), 3);
}

#[test]
fn utf16_is_refused_at_once() {
    for start in [&b"\xfe\xff\0M"[..], b"\xff\xfeM\0", b"\0M\0S", b"M\0S\0"] {
        // How much of it is the frame's and how much junk depends on the splits, so this runs whole only.
        let mut rig = Rig::new(Settings::default());
        rig.feed(&cat(&[b"\x0b", start, b"\x1c\r", &frame(M1)]));
        let said = rig.eof();
        assert!(matches!(said.first(), Some(Dropped(NoteKind::Utf16, 0, _))), "{said:?}");
        assert_eq!(said.last(), Some(&whole(M1)));
    }
    let mut rig = Rig::new(Settings::default());
    rig.feed(b"\x0b\xff\xfeM\0");
    assert_eq!(rig.said.len(), 1, "it does not wait for an end that cannot be found");
}

#[test]
fn commit_blocks_are_told_apart() {
    let stream = cat(&[b"\x0b\x06\x1c\r", &frame(M1), b"\x0b\x15\x1c\r"]);
    assert_eq!(tolerant(&stream), [Commit(true), whole(M1), Commit(false)]);
    assert_eq!(decode(&strict(), &stream), [Commit(true), whole(M1), Commit(false)]);
}

#[test]
fn strict_takes_printable_bytes_and_cr_only() {
    let tab = b"\x0bMSH|a\tb\r\x1c\r";
    assert_eq!(decode(&strict(), tab), [Dropped(NoteKind::BadByte, 0, 8)]);
    assert_eq!(tolerant(tab), [whole(b"MSH|a\tb\r")]);
    let high = b"\x0bMSH|\x80\xff\r\x1c\r";
    assert_eq!(decode(&strict(), high), [whole(b"MSH|\x80\xff\r")]);
}

#[test]
fn words_for_delimiters() {
    let settings = wordy();
    let stream = b"STARTSTART-BLOCKMSH|END-DATEND-DATAEND-BLOXEND-DATAEND-BLOCK";
    assert_eq!(
        decode(&settings, stream),
        [Dropped(NoteKind::Junk, 0, 5), whole(b"MSH|END-DATEND-DATAEND-BLOX")]
    );
    let missing = b"START-BLOCKMSH|1END-DATASTART-BLOCKMSH|2END-DATAEND-BLOCK";
    assert_eq!(decode(&settings, missing), [Loose(b"MSH|1".to_vec()), whole(b"MSH|2")]);
    let no_trailer = Settings { eob: Vec::new(), ..Settings::default() };
    assert_eq!(decode(&no_trailer, b"\x0bMSH|1\x1c\x0bMSH|2\x1c"), [whole(b"MSH|1"), whole(b"MSH|2")]);
}

#[test]
fn junk_without_end_is_reported_in_runs() {
    let mut rig = Rig::new(Settings::default());
    for _ in 0..200 {
        rig.feed(&[b'x'; 1000]);
    }
    assert_eq!(rig.said.len(), 3);
    let total: u64 = rig.eof().iter().map(|s| if let Dropped(_, _, n) = s { *n } else { 0 }).sum();
    assert_eq!(total, 200_000);
}

#[test]
fn a_whole_frame_is_lent_from_the_input() {
    let stream = cat(&[&frame(M1), &frame(M2)]);
    let mut decoder = Decoder::new(Settings::default());
    let mut input = &stream[..];
    let mut frames = 0;
    while let Some(item) = decoder.decode(&mut input, Instant::now()) {
        let Item::Frame(frame) = item else { panic!("{item:?}") };
        assert!(stream.as_ptr_range().contains(&frame.message.as_ptr()));
        frames += 1;
    }
    assert_eq!(frames, 2);
}

#[test]
fn settings_are_checked() {
    let bad = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().unwrap_err().setting
    };
    assert_eq!(bad(|s| s.sob.clear()), "sob");
    assert_eq!(bad(|s| s.eod = vec![SB, EB]), "eod");
    assert_eq!(bad(|s| s.max_message = 0), "max_message");
    assert_eq!(bad(|s| s.eb_grace = Duration::ZERO), "eb_grace");
}

/// Cuts a stream in pieces of these lengths, over and over.
fn feed_split(rig: &mut Rig, stream: &[u8], lengths: &[usize]) {
    let mut rest = stream;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        rig.feed(piece);
        rest = after;
    }
}

proptest! {
    #[test]
    fn encoded_messages_come_back(
        messages in prop::collection::vec("MSH\\|[ -~\r]{0,300}\r", 1..5),
        lengths in prop::collection::vec(1usize..200, 1..20),
        is_wordy in any::<bool>(),
        is_strict in any::<bool>(),
    ) {
        let settings = if is_wordy { wordy() } else { Settings { strict: is_strict, ..Settings::default() } };
        let mut stream = Vec::new();
        for message in &messages {
            encode(message.as_bytes(), &settings, &mut stream).unwrap();
        }
        let mut rig = Rig::new(settings);
        feed_split(&mut rig, &stream, &lengths);
        let expected: Vec<_> = messages.iter().map(|m| whole(m.as_bytes())).collect();
        prop_assert_eq!(rig.eof(), expected);
    }

    /// Whatever the bytes and the splits, the same is said, and every byte is a frame's or accounted for.
    #[test]
    fn any_bytes_in_any_pieces_mean_the_same(
        stream in prop::collection::vec(prop::sample::select(b"\x0b\x0b\x1c\x1c\r\rMSHxx\0\x06\xef\xbb\xbf\xff\xfe".to_vec()), 0..120),
        lengths in prop::collection::vec(1usize..9, 1..9),
        is_strict in any::<bool>(),
    ) {
        let settings = Settings { strict: is_strict, ..Settings::default() };
        let mut whole = Rig::new(settings.clone());
        whole.feed(&stream);
        let mut split = Rig::new(settings);
        feed_split(&mut split, &stream, &lengths);
        // UTF-16 may be seen earlier in pieces, which moves bytes from the frame to the junk after it.
        let (whole, split) = (whole.eof(), split.eof());
        if !whole.iter().chain(&split).any(|s| matches!(s, Dropped(NoteKind::Utf16, ..))) {
            prop_assert_eq!(whole, split);
        }
    }
}
