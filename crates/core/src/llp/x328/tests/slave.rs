//! The station that receives, and what both do.

use super::*;

#[test]
fn a_message_is_acknowledged_when_it_is_stored() {
    let mut rig = slave(Settings::default());
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.hear(&block(2, PID, true)), b"");
    assert_eq!(rig.events(), [message(&both())]);
    // The master's impatience gets no answer of its own.
    assert_eq!(rig.hear(ENQ_CR), b"");
    assert_eq!(rig.hear(&block(2, PID, true)), b"");
    assert_eq!(rig.accept(), ack(2));
    assert_eq!(rig.hear(ENQ_CR), ack(2));
    assert_eq!(rig.hear(EOT_CR), b"");
    assert!(rig.station.is_idle());
    assert_eq!(rig.events(), []);
}

#[test]
fn a_refusal_breaks_the_session_off() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, PID, true));
    rig.station.refuse(rig.now);
    assert_eq!(rig.bytes(), EOT_CR);
    assert!(rig.station.is_idle());
    // Nobody answers: the same after timer D, and the answer is too late.
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, PID, true));
    assert_eq!(rig.wait(30_000), EOT_CR);
    rig.all_events();
    assert_eq!(rig.accept(), b"");
    assert_eq!(rig.notes(), [NoteKind::LateAnswer]);
}

#[test]
fn duplicates_are_discarded_and_acknowledged_again() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.hear(&block(3, PID, true)), NAK_CR, "out of sequence");
    assert_eq!(rig.hear(ENQ_CR), NAK_CR, "the last reply");
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    rig.hear(&block(2, PID, true));
    rig.accept();
    assert_eq!(rig.hear(&block(2, PID, true)), ack(2));
    assert_eq!(rig.events(), [message(&both())]);
}

#[test]
fn damage_is_refused_and_silence_is_kept() {
    let mut rig = slave(Settings::default());
    let mut bad = block(1, PID, true);
    bad[9] ^= 1;
    assert_eq!(rig.hear(&bad), NAK_CR);
    assert_eq!(rig.hear(&[&bad[..9], ENQ_CR].concat()), NAK_CR, "block abort");
    assert_eq!(rig.hear(&bad[..9]), b"");
    assert_eq!(rig.wait(3_000), b"", "timer B drops it silently");
    assert_eq!(rig.hear(&block(1, PID, true)), b"");
    assert_eq!(rig.accept(), ack(1));
    let counters = rig.station.counters();
    assert_eq!((counters.checksum_errors, counters.naks_out, counters.receive_timeouts), (1, 2, 1));
}

#[test]
fn an_unfinished_message_is_dropped_with_its_session() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    rig.hear(EOT_CR);
    assert_eq!(rig.notes(), [NoteKind::MessageAborted]);
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    assert_eq!(rig.wait(29_999), b"");
    assert!(!rig.station.is_idle());
    rig.wait(1);
    assert!(rig.station.is_idle(), "timer D");
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig.hear(&block(1, PID, true));
    assert_eq!(rig.events(), [message(PID)]);
}

#[test]
fn not_ready() {
    let mut rig = Rig::new(Settings::default());
    rig.station.set_ready(false);
    assert_eq!(rig.hear(ENQ_CR), NAK_CR);
    rig.station.set_ready(true);
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    // Too many unanswered messages are the same.
    let mut rig = Rig::new(Settings { queue: 1, ..Settings::default() });
    rig.hear(ENQ_CR);
    rig.hear(&block(1, PID, true));
    rig.hear(EOT_CR);
    assert_eq!(rig.hear(ENQ_CR), NAK_CR);
    rig.accept();
    assert_eq!(rig.hear(ENQ_CR), ack(0));
}

#[test]
fn too_long_a_message_breaks_off() {
    let mut rig = slave(Settings { max_message: 60, ..Settings::default() });
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.hear(&block(2, PID, true)), EOT_CR);
    assert_eq!(rig.events(), []);
}

#[test]
fn reverse_interrupt_when_something_urgent_waits_and_never_twice() {
    let mut rig = slave(Settings::default());
    rig.station.send(PID, Kind::Urgent, rig.now).unwrap();
    assert_eq!(rig.hear(&block(1, MSH, false)), RINT_CR);
    assert_eq!(rig.hear(&block(1, MSH, false)), RINT_CR, "the reply to a repeated block is repeated");
    assert_eq!(rig.hear(&block(2, MSH, false)), ack(2));
    assert_eq!(rig.hear(EOT_CR), ENQ_CR, "and then the bid");
}

#[test]
fn a_lost_eot_does_not_glue_two_messages() {
    // Seven blocks, then the eighth with number 0: the last reply is ACK 0.
    let mut rig = slave(Settings::default());
    for number in (1..8).chain([0]) {
        rig.hear(&block(number, MSH, false));
    }
    // The master gave up, its EOT was lost, and it bids anew.
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig.hear(&block(1, &both(), true));
    assert_eq!(rig.events(), [message(&both())]);
}

// ---- both -----------------------------------------------------------------------------------------------------

#[test]
fn contention() {
    let mut high = Rig::new(Settings { priority: Priority::High, ..Settings::default() });
    high.send(PID);
    high.bytes();
    assert_eq!(high.hear(ENQ_CR), b"");
    assert_eq!(high.hear(&ack(0)), block(1, PID, true));
    let mut low = Rig::new(Settings::default());
    let id = low.send(PID);
    low.bytes();
    assert_eq!(low.hear(ENQ_CR), ack(0));
    low.hear(&block(1, MSH, true));
    low.accept();
    assert_eq!(low.hear(EOT_CR), ENQ_CR, "its own bid comes after the peer's session");
    low.hear(&ack(0));
    low.hear(&ack(1));
    assert_eq!(low.events(), [message(MSH), Event::Delivered(id)]);
}

#[test]
fn two_low_ones_start_again() {
    let mut low = Rig::new(Settings::default());
    low.send(PID);
    low.hear(ENQ_CR);
    low.hear(&ack(0));
    assert_eq!(low.wait(2_000), ENQ_CR);
}

#[test]
fn the_line_check() {
    let mut rig = Rig::new(Settings::default());
    assert_eq!(rig.wait(179_999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
    assert_eq!(rig.hear(&ack(0)), EOT_CR);
    assert_eq!(rig.notes(), []);
    rig.wait(180_000);
    for _ in 0..4 {
        assert_eq!(rig.wait(6_000), ENQ_CR);
    }
    assert_eq!(rig.wait(6_000), EOT_CR);
    assert!(rig.notes().contains(&NoteKind::LineDown));
    let mut off = Rig::new(Settings { timer_e: None, ..Settings::default() });
    assert_eq!(off.wait(10_000_000), b"");
    assert_eq!(off.station.poll_timeout(), None, "no wake-ups at rest");
}

#[test]
fn the_gross_timer() {
    let settings = Settings { timer_c: Some(Duration::from_secs(20)), ..segments() };
    let (mut rig, id) = master(settings.clone());
    for _ in 0..3 {
        rig.wait(5_000);
        rig.hear(NAK_CR);
    }
    assert_eq!(rig.wait(5_000), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::SessionTooLong)]);
    let mut rig = slave(settings);
    assert_eq!(rig.wait(20_000), EOT_CR);
    assert!(rig.station.is_idle());
}

#[test]
fn reply_delay_and_byte_time() {
    let settings = Settings {
        reply_delay: Duration::from_millis(50),
        byte_time: Duration::from_millis(1),
        ..Settings::default()
    };
    let mut rig = Rig::new(settings.clone());
    assert_eq!(rig.hear(ENQ_CR), b"");
    assert_eq!(rig.wait(49), b"");
    assert_eq!(rig.wait(1), ack(0));
    let mut rig = Rig::new(settings);
    rig.send(PID);
    rig.bytes();
    let sent = u64::try_from(rig.hear(&ack(0)).len()).unwrap();
    assert_eq!(rig.wait(5_999 + sent), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
}

#[test]
fn what_cannot_be_sent() {
    let now = Instant::now();
    let send =
        |message: &[u8], settings: Settings| Station::new(settings, now).send(message, Kind::Request, now);
    let forbidden = |offset, byte| Err(SendError::Forbidden { offset, byte });
    assert_eq!(send(b"MSH|\t", Settings::default()), forbidden(4, 9));
    assert!(send(b"MSH|\xe4\r", Settings::default()).is_ok());
    assert_eq!(send(b"MSH|\xe4", Settings { seven_bit: true, ..Settings::default() }), forbidden(4, 0xe4));
    assert!(send(b"MSH|\x03", Settings { dle_transparency: true, ..Settings::default() }).is_ok());
    assert_eq!(send(b"", Settings::default()), Err(SendError::Empty));
    let small = Settings { max_message: 4, ..Settings::default() };
    assert_eq!(send(b"MSH|", small), Err(SendError::TooLong(4)));
}

#[test]
fn the_end_of_the_line() {
    let (mut rig, id) = master(segments());
    let two = rig.send(PID);
    rig.station.handle_eof(rig.now);
    let failed = |id| Event::Failed(id, Failure::Disconnected);
    assert_eq!(rig.events(), [failed(id), failed(two), Event::Closed]);
    assert_eq!(rig.station.poll_timeout(), None);
    assert_eq!(rig.station.send(PID, Kind::Request, rig.now), Err(SendError::Closed));
}

#[test]
fn settings_are_checked() {
    for settings in variants() {
        settings.check().unwrap();
    }
    let bad = Settings { block_size: 0, ..Settings::default() };
    assert_eq!(bad.check().unwrap_err().setting, "block_size");
    let bad = Settings { timer_d: Duration::from_secs(6), ..Settings::default() };
    assert_eq!(bad.check().unwrap_err().to_string(), "timer_d must be longer than timer_a");
}

proptest! {
    #[test]
    fn blocks_come_back_in_any_pieces(
        texts in prop::collection::vec("[ -~\r]{1,300}", 1..5),
        piece in 1usize..40,
        variant in 0usize..108,
    ) {
        let settings = variants().swap_remove(variant);
        let mut reader = Reader::new(settings.clone());
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (number, text) in (1u8..).zip(&texts) {
            stream.extend(block_as(number, text.as_bytes(), false, &settings));
            let number = (settings.numbering == Numbering::BlockAndLength).then_some(number % 8);
            expected.push(Token::Block(Block { number, text: text.clone().into_bytes(), last: false }));
        }
        let mut tokens = Vec::new();
        let now = Instant::now();
        for mut input in stream.chunks(piece) {
            while let Some(token) = reader.decode(&mut input, now) {
                tokens.push(token);
            }
        }
        tokens.extend(reader.handle_timeout(now + settings.timer_b));
        prop_assert_eq!(tokens, expected);
    }
}
