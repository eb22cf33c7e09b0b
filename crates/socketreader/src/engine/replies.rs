//! HL7 acknowledgments in MLLP release 2: content blocks of their own, which the peer commits one by one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use protogen_core::llp::mllp;

/// How often a reply is sent again after a negative commit block, and the pause before.
const RETRIES: u32 = 2;
const PAUSE: Duration = Duration::from_secs(1);

/// How much may wait for a peer's commit blocks, in bytes.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// The replies to one peer, in order. One is on its way at a time: the next leaves when it is committed (MLLP release 2:
/// a source waits for the commit block).
#[derive(Debug)]
pub(super) struct Replies {
    /// The first may be on its way.
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    state: State,
    /// How often the first was sent.
    tries: u32,
    /// How long the peer may owe a commit block.
    timeout: Duration,
    /// How long our own commit blocks are.
    commit: usize,
    /// The peer commits nothing any more.
    let_go: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The first was sent: until when its commit block may come.
    Sent(Instant),
    /// The first was refused: when it is sent again.
    Pause(Instant),
}

/// What a commit block does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// The peer has the reply.
    Taken,
    /// It is sent again.
    Again,
    /// It was refused too often: the peer goes without.
    GivenUp,
    /// No reply is on its way.
    Stray,
}

impl Replies {
    pub(super) fn new(framing: &mllp::Settings, timeout: Duration) -> Replies {
        Replies {
            waiting: VecDeque::new(),
            bytes: 0,
            state: State::Free,
            tries: 0,
            timeout,
            commit: framing.sob.len() + 1 + framing.eod.len() + framing.eob.len(),
            let_go: false,
        }
    }

    /// Takes an answer: the commit block that it begins with goes `out`, the reply behind it waits for its turn.
    pub(super) fn push(&mut self, answer: &mut Vec<u8>, out: &mut Vec<u8>) {
        let reply = answer.split_off(self.commit.min(answer.len()));
        out.append(answer);
        if !reply.is_empty() {
            self.bytes += reply.len();
            self.waiting.push_back(reply);
        }
    }

    /// Moves the replies whose turn has come.
    pub(super) fn take_ready(&mut self, out: &mut Vec<u8>, now: Instant) {
        if self.let_go {
            // The first was sent already, and the peer will not say whether it has it.
            let sent = usize::from(matches!(self.state, State::Sent(_)));
            self.waiting.drain(..).skip(sent).for_each(|mut reply| out.append(&mut reply));
            (self.state, self.bytes) = (State::Free, 0);
            return;
        }
        let is_due = match self.state {
            State::Free => true,
            State::Sent(_) => false,
            State::Pause(due) => due <= now,
        };
        if let Some(reply) = self.waiting.front().filter(|_| is_due) {
            out.extend_from_slice(reply);
            self.tries += 1;
            self.state = State::Sent(now + self.timeout);
        }
    }

    /// The peer has sent a commit block.
    pub(super) fn committed(&mut self, positive: bool, now: Instant) -> Committed {
        if !matches!(self.state, State::Sent(_)) {
            return Committed::Stray;
        }
        if !positive && self.tries <= RETRIES {
            self.state = State::Pause(now + PAUSE);
            return Committed::Again;
        }
        self.bytes -= self.waiting.pop_front().map_or(0, |reply| reply.len());
        (self.state, self.tries) = (State::Free, 0);
        if positive { Committed::Taken } else { Committed::GivenUp }
    }

    /// Whether the peer owes a commit block for too long.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        matches!(self.state, State::Sent(due) if due <= now)
    }

    /// The peer was not read: its time begins anew.
    pub(super) fn renew(&mut self, now: Instant) {
        if let State::Sent(due) = &mut self.state {
            *due = now + self.timeout;
        }
    }

    /// The peer will commit nothing more, or we do not wait for it: what it is owed leaves at once.
    pub(super) fn let_go(&mut self) {
        self.let_go = true;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Free => None,
            State::Sent(due) | State::Pause(due) => Some(due),
        }
    }

    /// Whether more wait than a peer may leave uncommitted. It must be read all the same, for its commit blocks.
    pub(super) fn are_too_many(&self) -> bool {
        self.bytes > MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// Replies `a`, `b` and `c` behind their commit blocks, which have gone out; and the time.
    fn replies() -> (Replies, Instant) {
        let mut replies = Replies::new(&mllp::Settings::default(), LIMIT);
        let mut out = Vec::new();
        for answer in
            [&b"\x0b\x06\x1c\ra"[..], b"\x0b\x15\x1c\r", b"\x0b\x06\x1c\rb", b"", b"\x0b\x06\x1c\rc"]
        {
            replies.push(&mut answer.to_vec(), &mut out);
        }
        assert_eq!(out, b"\x0b\x06\x1c\r\x0b\x15\x1c\r\x0b\x06\x1c\r\x0b\x06\x1c\r");
        assert_eq!((replies.waiting.len(), replies.bytes), (3, 3));
        (replies, Instant::now())
    }

    fn ready(replies: &mut Replies, now: Instant) -> String {
        let mut out = Vec::new();
        replies.take_ready(&mut out, now);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_at_a_time() {
        let (mut replies, now) = replies();
        assert_eq!(replies.committed(true, now), Committed::Stray);
        for expected in ["a", "b", "c"] {
            assert_eq!(ready(&mut replies, now), expected);
            assert_eq!(ready(&mut replies, now), "");
            assert_eq!(replies.committed(true, now), Committed::Taken);
        }
        assert_eq!(
            (ready(&mut replies, now).as_str(), replies.waiting.is_empty(), replies.bytes),
            ("", true, 0)
        );
        assert_eq!(replies.poll_timeout(), None);
        assert_eq!(replies.committed(true, now), Committed::Stray);
    }

    #[test]
    fn a_refused_one_is_sent_again_after_a_pause_and_given_up_at_last() {
        let (mut replies, mut now) = replies();
        for _ in 0..RETRIES {
            assert_eq!(ready(&mut replies, now), "a");
            assert_eq!(replies.committed(false, now), Committed::Again);
            assert_eq!(ready(&mut replies, now), "");
            assert!(!replies.is_late(now + LIMIT));
            now = replies.poll_timeout().unwrap();
        }
        assert_eq!(ready(&mut replies, now), "a");
        assert_eq!(replies.committed(false, now), Committed::GivenUp);
        assert_eq!(ready(&mut replies, now), "b");
        assert_eq!(replies.committed(false, now), Committed::Again, "counted anew");
    }

    #[test]
    fn a_commit_block_may_be_owed_so_long() {
        let (mut replies, now) = replies();
        assert!(!replies.is_late(now + LIMIT));
        ready(&mut replies, now);
        assert_eq!(replies.poll_timeout(), Some(now + LIMIT));
        assert!(replies.is_late(now + LIMIT) && !replies.is_late(now + LIMIT / 2));
        replies.renew(now + LIMIT);
        assert!(!replies.is_late(now + LIMIT) && replies.is_late(now + LIMIT * 2));
    }

    #[test]
    fn whoever_commits_nothing_more_gets_the_rest_at_once() {
        let (mut first, now) = replies();
        first.let_go();
        assert_eq!(ready(&mut first, now), "abc");
        let (mut second, _) = replies();
        assert_eq!(ready(&mut second, now), "a");
        second.let_go();
        assert_eq!(ready(&mut second, now), "bc");
        // One that was refused is sent again.
        let (mut third, _) = replies();
        ready(&mut third, now);
        third.committed(false, now);
        third.let_go();
        assert_eq!(ready(&mut third, now), "abc");
        assert_eq!((third.waiting.is_empty(), third.bytes, third.poll_timeout()), (true, 0, None));
    }
}
