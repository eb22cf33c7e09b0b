"""A station speaking the HL7 flavour of ANSI X3.28 on file descriptors 0 and 1.

Either side may bid with ENQ; the one that gets ACK0 is master, sends one message as blocks
up to ETX, and ends the session with EOT. An HL7 reply is a message like any other: the
other side bids for it afterwards. The sequences themselves are in `x328_blocks`.
"""

import argparse
import random
import sys
import time

from station_line import add_common_arguments, positive, run_station
from x328_blocks import (ENQ, EOT, MAX_TEXT, NAK, Token, TokenReader, Variant,
                         build_aborted_block, build_ack, build_block, build_control,
                         build_rint, next_number, split_text, text_problem)
from x328_blocks import BlockError, block_check, parse_block  # noqa: F401  for importers

CONTENTION_SPREAD = 2.0     # seconds of random delay after a collision of equals


class X328Station:
    """Neutral between sessions; master for its own messages, slave for the peer's."""

    def __init__(self, options, line, work, log):
        self.options, self.line, self.work, self.log = options, line, work, log
        self.variant = Variant(options.numbering, options.ack, options.bcc, options.term,
                               options.bits)
        self.reader = TokenReader(self.variant)
        self.quiet_until = 0.0      # no bid of our own before this time
        # what the fault options count, over all sessions
        self.counts = {"started": 0, "received": 0, "accepted": 0, "replies": 0}
        self.abort_station_at = options.abort_station

    def run(self):
        """The neutral state: answer bids, bid for own messages, end when all is done."""
        while True:
            token = self.next_token(self.neutral_until())
            job = self.work.next_job()
            if token and token.kind == "ENQ":
                self.serve()
            elif token:
                self.log.write("ignored", state="neutral", token=token.kind)
            elif job and time.monotonic() >= self.quiet_until:
                self.attempt(job)
            elif self.work.finished(self.line.last_activity):
                return

    def neutral_until(self):
        """How long to listen before looking at the work again; None = until bytes come."""
        if self.work.next_job():
            return self.quiet_until
        if self.work.finished(self.line.last_activity):
            return 0.0
        return self.work.idle_limit(self.line.last_activity)

    # ---- input and output ----

    def next_token(self, until, slave=False):
        """Next sequence, or None when the time `until` has come.

        Timer B watches a block that has begun; for a slave it alone counts until the block
        is over, and its expiry shows as a BROKEN token.
        """
        while not self.reader.tokens:
            limit = until
            receiving = self.reader.in_block
            if receiving:
                b_limit = self.line.last_rx + self.options.timer_b
                limit = b_limit if slave or until is None else min(until, b_limit)
            data = self.line.read(limit)
            if data:
                self.reader.feed(data)
                if self.reader.noise:
                    self.log.write("noise", hex=self.reader.noise.hex())
                    self.reader.noise.clear()
            elif receiving and time.monotonic() >= b_limit:
                self.reader.reset()
                self.log.write("timer", name="B")
                if slave:
                    return Token("BROKEN", reason="timer B")
            elif not (receiving and slave):
                return None
        token = self.reader.tokens.popleft()
        if token.reason:
            self.log.write("bad-sequence", kind=token.kind, reason=token.reason)
        return token

    def put_control(self, code):
        self.line.write(build_control(code, self.variant))

    def timer(self, seconds):
        return time.monotonic() + seconds

    def stay_quiet(self, seconds):
        self.quiet_until = max(self.quiet_until, self.timer(seconds))

    def strikes(self, fault, counter):
        """True if this is the occurrence the fault option names."""
        return getattr(self.options, fault) == self.counts[counter]

    # ---- master ----

    def attempt(self, job):
        """Bid for the line and send one message; the job may remain for another time."""
        problem = self.message_problem(job.data)
        if problem:
            self.work.conclude(job, problem)
            return
        outcome = self.bid()
        if outcome == "master":
            outcome = self.send_message(job)
        if outcome in ("sent", "rint"):
            self.put_control(EOT)
            self.work.conclude(job)
            # after a reverse interrupt the peer's bid is to be expected
            self.stay_quiet(self.options.timer_a if outcome == "rint" else 0.0)
        elif outcome in ("interrupted", "station abort"):
            self.log.write("retry", index=job.index, reply=job.is_reply, reason=outcome)
            job.setbacks += 1
            if job.setbacks > self.options.n_retry:
                self.work.conclude(job, f"{outcome} too often")
        elif outcome != "yielded":
            self.put_control(EOT)
            self.work.conclude(job, outcome)
        if outcome != "yielded":
            self.stay_quiet(self.options.turnaround)

    def message_problem(self, message):
        return text_problem(message) if message else "empty message"

    def bid(self):
        """Returns "master", "yielded" (was slave meanwhile) or the reason of failure."""
        for _ in range(self.options.n_bid):
            self.put_control(ENQ)
            until, collision, refused = self.timer(self.options.timer_a), False, False
            while not refused and (token := self.next_token(until)):
                if token.kind == "ACK" and token.number == self.variant.ack_number(0):
                    return "master"
                refused = token.kind in ("NAK", "EOT")
                if token.kind == "ENQ":
                    collision = True
                    self.log.write("contention", priority=self.options.priority)
                    if self.options.priority == "low":
                        self.serve(after_collision=True)
                        return "yielded"
            pause = self.options.turnaround if refused else 0.0
            if collision and not refused:       # the peer did not yield either
                pause = random.uniform(0.0, CONTENTION_SPREAD)
            if self.heard_bid(self.timer(pause)):
                self.serve()
                return "yielded"
        return "bid not accepted"

    def heard_bid(self, until):
        """Wait between two bids; True if the peer bids meanwhile."""
        while token := self.next_token(until):
            if token.kind == "ENQ":
                return True
        return False

    def send_message(self, job):
        """All blocks of one message. Returns "sent", "rint" or why it came to an end."""
        number, previous, interrupt = 1, "acked", False
        texts = split_text(job.data, self.options.block_size)
        for count, text in enumerate(texts, 1):
            self.counts["started"] += 1
            if self.strikes("abort_block", "started") and self.abort_block(number, text):
                return "interrupted"
            outcome = self.send_block(number, text, count == len(texts), previous)
            if outcome not in ("acked", "rint"):
                return outcome
            if count == self.abort_station_at and count < len(texts):
                self.abort_station_at = None
                self.put_control(EOT)
                return "station abort"
            number, previous = next_number(number), outcome
            interrupt = interrupt or outcome == "rint"
        return "rint" if interrupt else "sent"

    def abort_block(self, number, text):
        """Break the block off with ENQ and await NAK; True if the slave ends the session."""
        self.line.write(build_aborted_block(number, text, self.variant))
        until = self.timer(self.options.timer_a)
        while (token := self.next_token(until)) and token.kind not in ("NAK", "EOT"):
            pass
        return token is not None and token.kind == "EOT"

    def send_block(self, number, text, last, previous):
        """One block until it is acknowledged: "acked", "rint", "interrupted", or a reason.

        `previous` is the slave's last valid reply; a reply request that brings the same
        again means that this block has not arrived. Plain acknowledgments cannot tell one
        block from another, so there a timeout always sends the block again.
        """
        may_ask = self.options.timeout_action == "enq" and self.variant.ack != "plain"
        block = build_block(number, text, last, self.variant)
        before = self.variant.ack_number((number - 1) % 8)
        resends = requests = 0
        asked = False
        self.line.write(block)
        until = self.timer(self.options.timer_a)
        while True:
            token = self.next_token(until)
            if token is None and may_ask:
                if requests == self.options.n_enq:
                    return "no reply"
                requests += 1
                asked = True
                self.put_control(ENQ)
                until = self.timer(self.options.timer_a)
                continue
            kind = token.kind if token else "NAK"
            if kind == "ACK" and token.number == self.variant.ack_number(number):
                return "acked"
            if kind == "RINT" and not (asked and previous == "rint"):
                return "rint"
            if kind == "EOT":
                return "interrupted"
            if kind in ("NAK", "RINT") or (kind == "ACK" and asked and token.number == before):
                if resends == self.options.n_retry:
                    return "block not accepted" if token else "no reply"
                resends += 1
                asked = False
                self.line.write(block)
                until = self.timer(self.options.timer_a)
            else:
                self.log.write("ignored", state="master", token=kind)

    # ---- slave ----

    def serve(self, after_collision=False):
        """A session as slave; the peer's ENQ has just been read."""
        expected, last_accepted = 1, None
        partial = bytearray()
        last_reply = self.reply(build_ack(0, self.variant))
        until = self.timer(self.options.timer_d)
        while True:
            token = self.next_token(until, slave=True)
            kind = token.kind if token else "EOT"
            if kind == "EOT":
                if not token:
                    self.log.write("timer", name="D")
                break
            if kind == "ENQ":
                self.reply(last_reply)
            elif kind == "ABORTED":
                last_reply = self.reply(build_control(NAK, self.variant))
            elif kind in ("BLOCK", "BAD"):
                self.counts["received"] += 1
                if self.strikes("eot_after", "received"):
                    self.reply(build_control(EOT, self.variant))
                    break
                if self.refuses(token, expected, last_accepted, len(partial)):
                    last_reply = self.reply(build_control(NAK, self.variant))
                elif token.number is not None and token.number == last_accepted:
                    self.log.write("duplicate", number=token.number)
                    last_reply = self.reply(build_ack(last_accepted, self.variant))
                else:
                    partial += token.text
                    if token.last:      # safe before it is acknowledged
                        self.work.deliver(bytes(partial))
                        partial.clear()
                    self.counts["accepted"] += 1
                    rint = self.strikes("rint_after", "accepted")
                    last_reply = self.reply(build_rint(self.variant) if rint else
                                            build_ack(expected, self.variant))
                    last_accepted, expected = expected, next_number(expected)
            elif kind == "ACK" and after_collision and last_accepted is None:
                self.log.write("contention", reason="both sides yielded")
                self.stay_quiet(random.uniform(0.0, CONTENTION_SPREAD))
                break
            elif kind != "BROKEN":
                self.log.write("ignored", state="slave", token=kind)
                continue
            until = self.timer(self.options.timer_d)
        if partial:
            self.log.write("discarded", hex=partial.hex())

    def refuses(self, token, expected, last_accepted, held):
        """True if the block gets a NAK."""
        if token.kind == "BAD" or self.strikes("nak_block", "received"):
            return True
        if token.number not in (None, expected, last_accepted):
            return True
        return token.number != last_accepted and held + len(token.text) > MAX_TEXT

    def reply(self, sequence):
        """Send a slave's reply, unless it is the one to be swallowed; returns it."""
        self.counts["replies"] += 1
        if self.strikes("drop_reply", "replies"):
            self.log.write("reply-swallowed", hex=sequence.hex())
        else:
            time.sleep(self.options.reply_delay)
            self.line.write(sequence)
        return sequence


# ---- command line ------------------------------------------------------------------------

def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="X3.28 station on stdin/stdout")
    add_common_arguments(parser)
    option = parser.add_argument
    option("--priority", choices=("high", "low"), default="low", help="when both sides bid")
    option("--timer-a", type=float, default=6.0, help="master: wait for a reply")
    option("--timer-b", type=float, default=3.0, help="silence inside a block")
    option("--timer-d", type=float, default=30.0, help="slave: wait for the next sequence")
    option("--turnaround", type=float, default=1.0, help="quiet time after an own EOT")
    option("--reply-delay", type=float, default=0.0, help="pause before each reply as slave")
    option("--n-bid", type=positive, default=5, help="bids for one message")
    option("--n-retry", type=int, default=5, help="resends of a block; restarts of a message")
    option("--n-enq", type=int, default=3, help="reply requests for one block")
    option("--block-size", type=int, default=0, help="bytes of text; 0 = a segment a block")
    option("--timeout-action", choices=("enq", "resend"), default="enq")
    option("--numbering", choices=("hl7", "none"), default="hl7")
    option("--ack", choices=("numbered", "alternating", "plain"), default="numbered")
    option("--bcc", choices=("hex2-xor", "raw-lrc", "none"), default="hex2-xor")
    option("--term", choices=("cr", "crlf", "none"), default="cr")
    option("--bits", type=int, choices=(7, 8), default=8)
    # faults, each happening once; blocks and replies are counted over all sessions
    fault_help = {
        "--rint-after": "slave: RINT in place of the ACK of the K-th accepted block",
        "--nak-block": "slave: NAK for the K-th received block",
        "--drop-reply": "slave: swallow the K-th reply (the ACK0 of a bid is a reply too)",
        "--eot-after": "slave: EOT in place of the reply to the K-th received block",
        "--abort-block": "master: first break the K-th block off with ENQ",
        "--abort-station": "master: EOT after block K of the first message, again later",
    }
    for name, text in fault_help.items():
        option(name, type=positive, metavar="K", help=text)
    return parser.parse_args(argv)


def main(argv=None, in_fd=0, out_fd=1):
    return run_station(X328Station, parse_arguments(argv), in_fd, out_fd)


if __name__ == "__main__":
    sys.exit(main())
