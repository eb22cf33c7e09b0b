"""A station speaking HLLP (hybrid lower layer protocol) on file descriptors 0 and 1.

Block on the line:  SB t vv CR data ccccc xxx EB CR
  t      D = data (requests and HL7 replies), N = negative acknowledgment
  vv     protocol id, 21 22 or 23
  ccccc  number of bytes from SB through the last data byte
  xxx    XOR of the same bytes; 999 = not computed
There is no positive acknowledgment: the answer to a D block is an HL7 reply in a D block.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from functools import reduce
from operator import xor

from station_line import add_common_arguments, answered_id, control_id, positive, run_station

SB, EB, CR = 0x0B, 0x1C, 0x0D
HEADER = 5          # SB t vv CR
TRAILER = 8         # ccccc xxx
END = bytes([EB, CR])
MAX_DATA = 99_999 - HEADER
NOT_COMPUTED = b"999"
REASONS = ("C", "X", "B", "G")      # count, checksum, too big for the buffer, other


# ---- blocks ------------------------------------------------------------------------------

def xor_checksum(data):
    """XOR of all bytes, 0..255."""
    return reduce(xor, data, 0)


def build_block(kind, data, version=b"21", checksum=True, spoil=None):
    """Bytes of one block. `spoil` = "count" or "checksum" damages that field."""
    if len(data) > MAX_DATA:
        raise ValueError(f"data longer than {MAX_DATA} bytes")
    body = bytes([SB]) + kind + version + bytes([CR]) + data
    count, check = len(body), xor_checksum(body)
    if spoil == "count":
        count = (count + 1) % 100_000
    check_text = b"%03d" % check if checksum else NOT_COMPUTED
    if spoil == "checksum":
        check_text = b"%03d" % (check ^ 1)
    return body + b"%05d" % count + check_text + END


def build_nak(reason, version=b"21", checksum=True):
    """N block with its reason letter."""
    return build_block(b"N", reason.encode("ascii"), version, checksum)


@dataclass
class Block:
    """A block as received; `error` is the NAK reason it deserves, or empty."""
    kind: bytes
    version: bytes = b""
    data: bytes = b""
    error: str = ""


def accepted_checksums(body, count_text, either):
    """Checksum values taken as right: the guide's, or those of deviating products too."""
    values = {xor_checksum(body)}
    if either:
        values |= {xor_checksum(body + count_text), sum(body) % 256}
    return values


def block_error(body, count_text, check_text, either=False):
    """NAK reason for a body with these trailer fields, or "" when it is sound.

    Strict: the count must fit even if the checksum was not computed.
    Either: without a checksum the count is not looked at, other coverages are accepted.
    """
    if check_text == NOT_COMPUTED and either:
        return ""
    if not (count_text.isdigit() and int(count_text) == len(body)):
        return "C"
    if check_text == NOT_COMPUTED:
        return ""
    allowed = accepted_checksums(body, count_text, either)
    return "" if check_text.isdigit() and int(check_text) in allowed else "X"


def parse_block(raw, either=False, max_data=MAX_DATA):
    """Parse a whole block, SB to the final CR."""
    inner = bytes(raw[:-len(END)])
    kind, version = inner[1:2], inner[2:4]
    if len(inner) < HEADER + TRAILER:
        return Block(kind, version, inner[HEADER:], "C")
    body, count_text, check_text = inner[:-8], inner[-8:-3], inner[-3:]
    error = block_error(body, count_text, check_text, either)
    data = body[HEADER:]
    if not error and len(data) > max_data:
        error = "B"
    if not error and kind not in (b"D", b"N"):
        error = "G"
    return Block(kind, version, data, error)


class BlockReader:
    """Cuts the byte stream into blocks. Time comes in as an argument.

    EB CR ends a block only if the count agrees that all bytes are there; if it asks for
    more, or cannot be read, the block ends when nothing follows within `eb_grace`.
    """

    def __init__(self, either=False, max_data=MAX_DATA, eb_grace=0.5, byte_timeout=10.0):
        self.either, self.max_data = either, max_data
        self.eb_grace, self.byte_timeout = eb_grace, byte_timeout
        self.buffer = bytearray()       # empty: waiting for SB
        self.doubtful_end = False       # EB CR seen, count not satisfied
        self.last_byte = 0.0

    def feed(self, data, now):
        """Take bytes, return the blocks they complete."""
        found = []
        for byte in data:
            self._take_byte(byte, found)
        if data:
            self.last_byte = now
        return found

    def due(self):
        """When `expire` should be called, or None."""
        if not self.buffer:
            return None
        return self.last_byte + (self.eb_grace if self.doubtful_end else self.byte_timeout)

    def expire(self, now):
        """Blocks that end because no byte came any more."""
        due = self.due()
        if due is None or now < due:
            return []
        if self.doubtful_end:
            return [self._complete()]
        kind = bytes(self.buffer[1:2])
        self.buffer.clear()
        return [Block(kind, error="G")]

    def _take_byte(self, byte, found):
        if self.doubtful_end and byte == SB:
            found.append(self._complete())
        self.doubtful_end = False
        size = len(self.buffer)
        header_broken = 0 < size < HEADER and (
            byte == SB or (byte == CR) != (size == HEADER - 1))
        if header_broken:
            self.buffer.clear()
        if not self.buffer:
            if byte == SB:
                self.buffer.append(byte)
            return
        self.buffer.append(byte)
        if self.buffer.endswith(END) and len(self.buffer) >= HEADER + len(END):
            count_text = self.buffer[-10:-5]
            have = len(self.buffer) - len(END) - TRAILER
            if have >= HEADER and count_text.isdigit() and int(count_text) <= have:
                found.append(self._complete())
            else:
                self.doubtful_end = True
        elif len(self.buffer) > HEADER + MAX_DATA + TRAILER + len(END):
            found.append(Block(bytes(self.buffer[1:2]), error="B"))
            self.buffer.clear()

    def _complete(self):
        block = parse_block(self.buffer, self.either, self.max_data)
        self.buffer.clear()
        self.doubtful_end = False
        return block


# ---- the station -------------------------------------------------------------------------

class HllpStation:
    """Initiator for its own messages and responder for the peer's, on one line."""

    def __init__(self, options, line, work, log):
        self.options, self.line, self.work, self.log = options, line, work, log
        self.version = options.version.encode("ascii")
        self.reader = BlockReader(options.checks == "either", options.max_data,
                                  options.eb_grace, options.byte_timeout)
        self.pending = None             # job whose response is awaited
        self.response_due = None
        self.last_job = None            # what a NAK refers to
        self.asked_ids = set()          # control ids of requests sent so far
        self.blocks_sent = self.blocks_received = 0
        self.naks_to_give = dict(options.nak)

    def run(self):
        while True:
            self._start_work()
            if not self.reader.buffer and self.work.finished(self.line.last_activity):
                return
            limits = (None if self.reader.buffer else self.response_due, self.reader.due(),
                      self.work.idle_limit(self.line.last_activity))
            data = self.line.read(min((due for due in limits if due is not None), default=None))
            now = time.monotonic()
            for block in self.reader.feed(data, now) + self.reader.expire(now):
                self._take_block(block)
            if self.pending and not self.reader.buffer and time.monotonic() >= self.response_due:
                self._retry(self.pending, "no response in time", self.options.on_timeout == "fail")

    def _start_work(self):
        """Send replies at once; send the next message when none is pending."""
        while self.work.replies:
            job = self.work.replies[0]
            if self._send_data(job):
                self.work.conclude(job)
        while self.work.messages and self.pending is None:
            job = self.work.messages[0]
            if self._send_data(job):
                self.pending = job
                self.asked_ids.add(control_id(job.data))

    def _send_data(self, job):
        """One D block on the line; False if the message does not fit into a block."""
        self.blocks_sent += 1
        spoil = ("count" if self.blocks_sent in self.options.corrupt_count else
                 "checksum" if self.blocks_sent in self.options.corrupt_checksum else None)
        try:
            block = build_block(b"D", job.data, self.version, self.options.checksum, spoil)
        except ValueError as error:
            self.work.conclude(job, str(error))
            return False
        self.line.write(block)
        self.last_job = job
        if not job.is_reply:
            self.response_due = time.monotonic() + self.options.receive_timeout
        return True

    def _send_nak(self, reason):
        self.log.write("nak-sent", reason=reason)
        self.line.write(build_nak(reason, self.version, self.options.checksum))

    def _retry(self, job, reason, give_up=False):
        """Send the job's block again, as long as the retry count allows."""
        if not give_up and job.setbacks < self.options.retries:
            job.setbacks += 1
            self.log.write("retry", index=job.index, reply=job.is_reply, reason=reason)
            self._send_data(job)
        elif job is self.pending:
            self.pending = self.response_due = None
            self.work.conclude(job, f"{reason}, retries used: {job.setbacks}")
        else:
            self.log.write("reply-dropped", index=job.index, reason=reason)

    def _take_block(self, block):
        """A block has come in, sound or not."""
        if block.kind == b"N":
            self._take_nak(block)
            return
        if block.kind == b"D":
            self.blocks_received += 1
            forced = self.naks_to_give.pop(self.blocks_received, None)
            if forced:
                self._send_nak(forced)
                if self.pending:
                    self.response_due = time.monotonic() + self.options.receive_timeout
                return
        if block.error:
            self.log.write("bad-block", reason=block.error, hex=block.data.hex())
            if self.pending and self.options.bad_response == "resend":
                self._retry(self.pending, f"bad response ({block.error})")
            else:
                self._send_nak(block.error)
        else:
            self._take_message(block.data)

    def _take_nak(self, block):
        """A NAK asks for the last D block again; a damaged one counts just the same."""
        reason = (f"damaged NAK ({block.error})" if block.error else
                  f"NAK {block.data.decode('latin-1')}")
        self.log.write("nak-received", reason=reason)
        job = self.pending if block.error else self.last_job
        if job is not None and (job.is_reply or job is self.pending):
            self._retry(job, reason)

    def _take_message(self, message):
        """A sound D block: the awaited response, a late one, or a new request."""
        answered = answered_id(message)
        wanted = control_id(self.pending.data) if self.pending else None
        if answered is not None and self.pending and (answered == wanted or not wanted):
            job, self.pending, self.response_due = self.pending, None, None
            self.work.conclude(job, reply=message.hex())
        elif answered is not None and (self.pending or answered in self.asked_ids):
            self.log.write("ignored", reason="answers another message", hex=message.hex())
        else:
            self.work.deliver(message)


# ---- command line ------------------------------------------------------------------------

def nak_rule(text):
    """K:REASON"""
    number, _, reason = text.partition(":")
    if reason not in REASONS:
        raise argparse.ArgumentTypeError("reason must be one of " + " ".join(REASONS))
    return positive(number), reason


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="HLLP station on stdin/stdout")
    add_common_arguments(parser)
    option = parser.add_argument
    option("--version", choices=("21", "22", "23"), default="21", help="protocol id sent")
    option("--no-checksum", dest="checksum", action="store_false", help="send 999")
    option("--receive-timeout", type=float, default=30.0, help="wait for the response")
    option("--byte-timeout", type=float, default=10.0, help="silence that breaks off a block")
    option("--eb-grace", type=float, default=0.5, help="wait after an EB CR the count denies")
    option("--retries", type=int, default=5, help="resends after the first transmission")
    option("--on-timeout", choices=("resend", "fail"), default="resend")
    option("--bad-response", choices=("resend", "nak"), default="resend",
           help="damaged block while a response is awaited: send the request again, or NAK it")
    option("--max-data", type=int, default=MAX_DATA, help="longer data is answered with N B")
    option("--corrupt-count", type=positive, action="append", default=[], metavar="K",
           help="damage the count of the K-th D block sent (replies and resends count)")
    option("--corrupt-checksum", type=positive, action="append", default=[], metavar="K")
    option("--nak", type=nak_rule, action="append", default=[], metavar="K:REASON",
           help="answer the K-th D block received with N and this reason (C X B G)")
    checks = parser.add_mutually_exclusive_group()
    checks.add_argument("--strict", dest="checks", action="store_const", const="strict",
                        help="only the guide's count and checksum (default)")
    checks.add_argument("--either", dest="checks", action="store_const", const="either",
                        help="also XOR including the count digits, and sum modulo 256")
    parser.set_defaults(checks="strict")
    return parser.parse_args(argv)


def main(argv=None, in_fd=0, out_fd=1):
    return run_station(HllpStation, parse_arguments(argv), in_fd, out_fd)


if __name__ == "__main__":
    sys.exit(main())
