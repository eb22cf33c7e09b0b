"""What both stations need: the byte line, the event log, HL7 replies, the list of work.

A station owns one `Line` (two file descriptors), one `EventLog` (JSON lines)
and one `Workload` (messages to send, messages awaited, replies owed).
"""

import argparse
import json
import os
import select
import time
from collections import deque
from dataclasses import dataclass

READ_SIZE = 4096
WRITE_SIZE = 512


class LineClosed(Exception):
    """The other end has closed the line and everything it sent was read."""


class DeadlineReached(Exception):
    """The hard stop given by --deadline has come."""


class EventLog:
    """Writes one JSON object per event and flushes it; silent without a path."""

    def __init__(self, path=None):
        self.start = time.monotonic()
        self.file = open(path, "w", encoding="ascii") if path else None

    def write(self, event, **fields):
        if self.file:
            record = {"event": event, **fields, "t": round(time.monotonic() - self.start, 3)}
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()

    def close(self):
        if self.file:
            self.file.close()


class Line:
    """Unbuffered two-way byte line; it keeps reading while it writes."""

    def __init__(self, log, in_fd=0, out_fd=1, deadline=None):
        self.log, self.in_fd, self.out_fd = log, in_fd, out_fd
        self.stop_at = None if deadline is None else time.monotonic() + deadline
        self.inbox = bytearray()
        self.at_end = False
        self.last_rx = self.last_activity = time.monotonic()

    def read(self, until=None):
        """Bytes as soon as there are any; b"" when the time `until` has come."""
        while not self.inbox:
            if self.at_end:
                raise LineClosed
            if not self._select(until, [])[0] and until is not None and time.monotonic() >= until:
                return b""
        data = bytes(self.inbox)
        self.inbox.clear()
        return data

    def write(self, data):
        """Write all bytes; what arrives meanwhile waits in the inbox."""
        self.log.write("tx", hex=data.hex())
        rest = memoryview(data)
        while rest:
            if self._select(None, [self.out_fd])[1]:
                try:
                    rest = rest[os.write(self.out_fd, rest[:WRITE_SIZE]):]
                except OSError as error:
                    raise LineClosed from error
        self.last_activity = time.monotonic()

    def _select(self, until, writers):
        """One select(); stores what can be read. Returns (was readable, was writable)."""
        now = time.monotonic()
        if self.stop_at is not None and now >= self.stop_at:
            raise DeadlineReached
        limits = [limit for limit in (until, self.stop_at) if limit is not None]
        timeout = max(0.0, min(limits) - now) if limits else None
        readers = [] if self.at_end else [self.in_fd]
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if readable:
            data = self._read_some()
            if data:
                self.log.write("rx", hex=data.hex())
                self.inbox += data
                self.last_rx = self.last_activity = time.monotonic()
            else:
                self.at_end = True
        return bool(readable), bool(writable)

    def _read_some(self):
        """What is there to read; b"" at the end of the line."""
        for _ in range(2):
            try:
                return os.read(self.in_fd, READ_SIZE)
            except ConnectionResetError:
                continue        # said once; bytes may still wait behind it
            except OSError:
                break
        return b""


# ---- HL7 messages, as far as replies need them -------------------------------------------

def segment_fields(message, name):
    """Fields of the first segment called `name` (field 0 is the name), or None.

    For MSH the list is shifted so that index n is MSH-n.
    """
    separator = message[3:4]
    for segment in message.split(b"\r"):
        if separator and segment.split(separator)[0] == name:
            fields = segment.split(separator)
            return fields[:1] + [separator] + fields[1:] if name == b"MSH" else fields
    return None


def field(fields, index):
    """Field `index`, empty when absent."""
    return fields[index] if fields and index < len(fields) else b""


def control_id(message):
    """MSH-10."""
    return field(segment_fields(message, b"MSH"), 10)


def answered_id(message):
    """MSA-2 of a reply; None when the message has no MSA, so is no reply."""
    msa = segment_fields(message, b"MSA") if message.startswith(b"MSH") else None
    return None if msa is None else field(msa, 2)


def build_hl7_ack(message, new_id, when=None, code=b"AA"):
    """HL7 acknowledgment for `message`; None if it is a reply itself or has no MSH."""
    if not message.startswith(b"MSH") or answered_id(message) is not None:
        return None
    msh = segment_fields(message, b"MSH")
    separator, component = msh[1], field(msh, 2)[:1] or b"^"
    version = field(msh, 12).split(component)[0]
    event = field(field(msh, 9).split(component), 1)
    kind = b"ACK"
    if event and version > b"2.2":
        kind += component + event + (component + b"ACK" if version > b"2.3" else b"")
    reply = [b"MSH", field(msh, 2), field(msh, 5), field(msh, 6), field(msh, 3), field(msh, 4),
             when or time.strftime("%Y%m%d%H%M%S").encode(), b"", kind, new_id,
             field(msh, 11), field(msh, 12)]
    return separator.join(reply) + b"\r" + separator.join([b"MSA", code, field(msh, 10)]) + b"\r"


# ---- the work of a station ---------------------------------------------------------------

@dataclass(eq=False)
class Job:
    """One message to hand over: the index counts --send files, or replies."""
    index: int
    data: bytes
    is_reply: bool = False
    setbacks: int = 0


class Workload:
    """What is left to do, and the events that say what was done."""

    def __init__(self, options, log):
        self.log, self.options = log, options
        self.messages = deque()
        for index, path in enumerate(options.send):
            with open(path, "rb") as source:
                self.messages.append(Job(index, source.read()))
        self.replies = deque()
        self.received = self.reply_count = self.failures = 0
        self.open_ended = not (options.send or options.expect or options.idle_exit is not None)

    def next_job(self):
        """The reply or message whose turn it is, or None. Replies go first."""
        return self.replies[0] if self.replies else self.messages[0] if self.messages else None

    def deliver(self, message):
        """A whole message has come in: log it, and note the reply owed with --reply."""
        self.received += 1
        self.log.write("delivered", hex=message.hex())
        if self.options.reply:
            ack = build_hl7_ack(message, b"R%05d" % (self.reply_count + 1))
            if ack is not None:
                self.replies.append(Job(self.reply_count, ack, is_reply=True))
                self.reply_count += 1

    def conclude(self, job, failure=None, **fields):
        """The job is over, well or not."""
        (self.replies if job.is_reply else self.messages).remove(job)
        event = ("reply-" if job.is_reply else "") + ("failed" if failure else "sent")
        if failure:
            self.failures += 1
            self.log.write(event, index=job.index, reason=failure, **fields)
        else:
            self.log.write(event, index=job.index, ok=True, **fields)

    def finished(self, last_activity):
        """True when nothing is left and, with --idle-exit, the line was idle long enough."""
        if self.open_ended or self.next_job() or self.received < (self.options.expect or 0):
            return False
        idle = self.options.idle_exit
        return idle is None or time.monotonic() >= last_activity + idle

    def idle_limit(self, last_activity):
        """When to look at `finished` again, or None."""
        idle = self.options.idle_exit
        due = None if idle is None else last_activity + idle
        return due if due is not None and due > time.monotonic() else None

    def abandon(self, reason):
        """The line is gone: whatever is left has failed."""
        while job := self.next_job():
            self.conclude(job, reason)
        if self.received < (self.options.expect or 0):
            self.failures += 1
            self.log.write("missing", count=self.options.expect - self.received, reason=reason)


def add_common_arguments(parser):
    parser.add_argument("--send", action="append", default=[], metavar="FILE",
                        help="message to send; repeat for more, sent in this order")
    parser.add_argument("--expect", type=int, metavar="N", help="messages to receive before ending")
    parser.add_argument("--reply", action="store_true", help="answer messages with an HL7 ACK")
    parser.add_argument("--idle-exit", type=float, metavar="SECONDS",
                        help="after the work, stay until the line was idle this long")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="hard stop, exit code 2")
    parser.add_argument("--log", metavar="FILE", help="JSON lines of everything that happens")


def positive(text):
    """argparse type of the counts that start at 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("counts start at 1")
    return value


def run_station(station_class, options, in_fd, out_fd):
    """Run a station to its end. Exit code: 0 all done, 1 something failed, 2 deadline."""
    log = EventLog(options.log)
    line = Line(log, in_fd, out_fd, options.deadline)
    work = Workload(options, log)
    try:
        station_class(options, line, work, log).run()
    except LineClosed:
        work.abandon("line closed")
    except DeadlineReached:
        log.write("deadline")
        return 2
    finally:
        log.close()
    return 1 if work.failures else 0
