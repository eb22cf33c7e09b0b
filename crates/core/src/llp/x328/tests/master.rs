//! The station that sends.

use super::*;

#[test]
fn a_message_in_two_blocks() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
    assert_eq!(rig.events(), [Event::Delivered(id)]);
    // Quiet for the turnaround, then the next bid.
    rig.send(PID);
    assert_eq!(rig.wait(999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
}

#[test]
fn block_size_and_numbers_modulo_eight() {
    let settings = Settings { block_size: 5, ..Settings::default() };
    let mut rig = Rig::new(settings);
    rig.send(&both());
    rig.bytes();
    let mut sent = Vec::new();
    let mut answer = rig.hear(&ack(0));
    for number in (1..8).chain(0..8) {
        if answer == EOT_CR {
            break;
        }
        assert_eq!(answer[1], b'0' + number);
        sent.extend_from_slice(&answer[7..answer.len() - 4]);
        answer = rig.hear(&ack(number));
    }
    assert_eq!(sent, both());
}

#[test]
fn nak_sends_the_block_again_five_times() {
    let (mut rig, id) = master(segments());
    for _ in 0..5 {
        assert_eq!(rig.hear(NAK_CR), block(1, MSH, false));
    }
    assert_eq!(rig.hear(NAK_CR), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Refused(None))]);
    assert_eq!(rig.station.counters().naks_in, 6);
}

#[test]
fn a_lost_reply_is_asked_for_three_times() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.wait(5_999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true), "the block had arrived");
    for _ in 0..3 {
        assert_eq!(rig.wait(6_000), ENQ_CR);
    }
    assert_eq!(rig.wait(6_000), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::NoAnswer(1))]);
}

#[test]
fn the_reply_before_as_an_answer_to_enq_means_the_block_is_missing() {
    for reply in [ack(0), NAK_CR.to_vec()] {
        let (mut rig, _) = master(segments());
        assert_eq!(rig.hear(&ack(0)), b"", "unasked, it is a late one");
        rig.wait(6_000);
        assert_eq!(rig.hear(&reply), block(1, MSH, false));
    }
}

#[test]
fn ack_0_as_an_answer_to_enq_is_not_believed_for_block_8() {
    let mut rig = Rig::new(Settings { block_size: 5, ..Settings::default() });
    rig.send(&both());
    rig.bytes();
    for number in 0..8 {
        rig.hear(&ack(number));
    }
    rig.wait(6_000);
    let again = rig.hear(&ack(0));
    assert_eq!(&again[..2], b"\x020");
    assert_eq!(&rig.hear(&ack(0))[..2], b"\x021", "as an answer to the block itself it is");
}

#[test]
fn timeout_action_resend() {
    let (mut rig, _) = master(Settings { timeout_action: TimeoutAction::Resend, ..segments() });
    assert_eq!(rig.wait(6_000), block(1, MSH, false));
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true));
}

#[test]
fn a_bid_is_made_five_times() {
    for (reply, why) in [(&b""[..], Failure::NoAnswer(5)), (NAK_CR, Failure::Refused(None))] {
        let mut rig = Rig::new(Settings::default());
        let id = rig.send(PID);
        for _ in 0..5 {
            assert_eq!(rig.bytes(), ENQ_CR);
            assert_eq!(rig.hear(reply), b"", "a refusal too waits for timer A");
            rig.now += Duration::from_secs(6);
            rig.station.handle_timeout(rig.now);
        }
        assert_eq!(rig.bytes(), EOT_CR);
        assert_eq!(rig.events(), [Event::Failed(id, why)]);
        rig.send(PID);
        assert_eq!(rig.wait(9_999), b"");
        assert_eq!(rig.wait(1), ENQ_CR, "after a pause");
    }
}

#[test]
fn termination_interrupt_tries_the_whole_message_later() {
    let (mut rig, id) = master(segments());
    rig.hear(&ack(1));
    for _ in 0..2 {
        assert_eq!(rig.hear(EOT_CR), b"");
        assert_eq!(rig.wait(10_000), ENQ_CR);
        assert_eq!(rig.hear(&ack(0)), block(1, MSH, false));
        assert_eq!(rig.events(), []);
    }
    rig.hear(EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Interrupted)]);
}

#[test]
fn reverse_interrupt_counts_as_an_acknowledgment() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true));
    // A second one, asked for, is the first one repeated: the block is missing.
    rig.wait(6_000);
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true));
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
    assert_eq!(rig.events(), [Event::Delivered(id)]);
    rig.send(PID);
    assert_eq!(rig.wait(5_999), b"", "the slave wants to bid");

    let (mut rig, _) = master(segments());
    rig.wait(6_000);
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true), "asked for after ACK 0, it is for this block");
    let (mut rig, _) = master(Settings { rint: false, ..segments() });
    assert_eq!(rig.hear(RINT_CR), b"");
}

#[test]
fn a_session_may_carry_several_messages() {
    let mut rig = Rig::new(Settings { session_messages: 2, ..Settings::default() });
    for _ in 0..3 {
        rig.send(PID);
    }
    rig.bytes();
    assert_eq!(rig.hear(&ack(0)), block(1, PID, true));
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true), "numbers run on");
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
}

#[test]
fn cancelling_a_running_message_aborts_the_session() {
    let (mut rig, id) = master(segments());
    assert!(rig.station.cancel(id, rig.now));
    assert_eq!(rig.bytes(), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Cancelled)]);
    assert!(!rig.station.cancel(id, rig.now));
}

#[test]
fn a_session_left_over_from_before_is_ended() {
    let mut rig = Rig::new(Settings::default());
    rig.send(PID);
    rig.bytes();
    assert_eq!(rig.hear(&ack(3)), EOT_CR);
    assert_eq!(rig.wait(6_000), ENQ_CR);
    assert_eq!(rig.hear(&ack(0)), block(1, PID, true));
}

// ---- slave ----------------------------------------------------------------------------------------------------
