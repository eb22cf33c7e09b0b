"""Tests of the two stations: sequences to the byte, scripted dialogues, station to station."""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import hllp_station as hllp
import station_line as base
import x328_station as x328
from hllp_station import BlockReader, build_block, build_nak
from x328_station import TokenReader, Variant

HERE = Path(__file__).resolve().parent
MSH_ADT = b"MSH|^~\\&|ADT|A|LAB|B|199003141304||ADT^A01|XX3657|P|2.1\r"
ADT = MSH_ADT + b"PID|||12345\r"
ORU = (b"MSH|^~\\&|MON|C|LAB|B|199003141305||ORU|ZZ0001|P|2.1\r"
       + b"".join(b"OBX|%d|NM|HR||7%d\r" % (n, n) for n in range(1, 10)))
X_FAST = ["--timer-a", "0.15", "--timer-b", "0.1", "--timer-d", "1.5", "--turnaround", "0.1"]
H_FAST = ["--receive-timeout", "0.3", "--byte-timeout", "0.2", "--eb-grace", "0.05"]
GUARD = ["--deadline", "8"]


class StationCase(unittest.TestCase):
    """Runs stations in threads over pipes."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def sends(self, *messages):
        """--send options for these messages."""
        options = []
        for message in messages:
            path = self.folder / f"m{len(list(self.folder.iterdir()))}.hl7"
            path.write_bytes(message)
            options += ["--send", str(path)]
        return options

    def start(self, main, options, in_fd, out_fd):
        """A station in a thread; its fds are closed at its end. Returns a way to its results."""
        log = self.folder / f"log{len(list(self.folder.iterdir()))}"
        log.touch()
        codes = []

        def body():
            codes.append(main(options + GUARD + ["--log", str(log)], in_fd, out_fd))
            os.close(in_fd)
            os.close(out_fd)
        thread = threading.Thread(target=body)
        thread.start()

        def results():
            thread.join(12)
            return codes[0], [json.loads(line) for line in log.read_text().splitlines()]
        return results

    def pair(self, main, options_a, options_b, latency=0.0):
        """Two stations on one line, perhaps a slow one: (code, events) of each."""
        a_in, b_out = self.slow_pipe(latency)
        b_in, a_out = self.slow_pipe(latency)
        a = self.start(main, options_a, a_in, a_out)
        b = self.start(main, options_b, b_in, b_out)
        return a(), b()

    def slow_pipe(self, latency):
        """A pipe whose bytes come out `latency` seconds after they were put in."""
        exit_out, entry_in = os.pipe()
        if not latency:
            return exit_out, entry_in
        relay_out, relay_in = os.pipe()

        def relay():
            while data := os.read(relay_out, 4096):
                time.sleep(latency)
                try:
                    os.write(entry_in, data)
                except BrokenPipeError:
                    break
            os.close(entry_in)
            os.close(relay_out)
        threading.Thread(target=relay).start()
        return exit_out, relay_in

    def script(self, main, options, steps, hold=0.0):
        """One station against fixed bytes: steps are (">", sent to it) or ("<", wanted).

        The line is held open `hold` seconds after the last step.
        """
        s_in, t_out = os.pipe()
        t_in, s_out = os.pipe()
        results = self.start(main, options, s_in, s_out)
        try:
            for direction, data in steps:
                if direction == ">":
                    os.write(t_out, data)
                    continue
                got = b""
                while len(got) < len(data) and select.select([t_in], [], [], 3)[0]:
                    chunk = os.read(t_in, len(data) - len(got))
                    if not chunk:
                        break
                    got += chunk
                self.assertEqual(got, data)
            time.sleep(hold)
        finally:
            os.close(t_out)
            outcome = results()
            rest = os.read(t_in, 4096)
            os.close(t_in)
        self.assertEqual(rest, b"")
        return outcome

    def delivered(self, events):
        return [bytes.fromhex(e["hex"]) for e in events if e["event"] == "delivered"]

    def named(self, events, name):
        return [e for e in events if e["event"] == name]


class Hl7Replies(unittest.TestCase):
    def test_ack_is_addressed_back(self):
        ack = base.build_hl7_ack(ADT, b"R1", b"19900314130405")
        self.assertEqual(ack, b"MSH|^~\\&|LAB|B|ADT|A|19900314130405||ACK|R1|P|2.1\r"
                              b"MSA|AA|XX3657\r")

    def test_message_type_follows_version(self):
        for version, kind in ((b"2.2", b"ACK"), (b"2.3", b"ACK^A01"), (b"2.5", b"ACK^A01^ACK")):
            ack = base.build_hl7_ack(ADT.replace(b"2.1", version), b"R1")
            self.assertEqual(ack.split(b"|")[8], kind)

    def test_replies_and_garbage_are_not_answered(self):
        self.assertIsNone(base.build_hl7_ack(base.build_hl7_ack(ADT, b"R1"), b"R2"))
        self.assertIsNone(base.build_hl7_ack(b"hello", b"R2"))


class HllpBlocks(unittest.TestCase):
    MESSAGE = (b"MSH|^~\\&|LAB|767543|ADT|767543|19900314130405||ACK^|XX3657|P|2.1\r"
               b"MSA|AA|ZZ9380\r")

    def test_vectors(self):
        self.assertEqual(build_block(b"D", self.MESSAGE),
                         b"\x0bD21\r" + self.MESSAGE + b"00084027\x1c\r")
        for reason, trailer in (("X", b"019"), ("C", b"008"), ("B", b"009"), ("G", b"012")):
            self.assertEqual(build_nak(reason),
                             b"\x0bN21\r" + reason.encode() + b"00006" + trailer + b"\x1c\r")
        self.assertEqual(build_nak("X", b"22"), b"\x0bN22\rX00006016\x1c\r")
        self.assertEqual(build_nak("X", b"23"), b"\x0bN23\rX00006017\x1c\r")
        self.assertEqual(build_block(b"D", b""), b"\x0bD21\r00005065\x1c\r")
        self.assertEqual(build_block(b"D", b"", checksum=False), b"\x0bD21\r00005999\x1c\r")

    def test_checks(self):
        def verdict(trailer, either=False):
            return hllp.parse_block(b"\x0bN21\rX" + trailer + b"\x1c\r", either).error
        self.assertEqual(verdict(b"00006019"), "")
        self.assertEqual(verdict(b"00006037"), "X")         # XOR including the count digits
        self.assertEqual(verdict(b"00006037", True), "")
        total = sum(b"\x0bN21\rX") % 256
        self.assertEqual(verdict(b"00006%03d" % total), "X")
        self.assertEqual(verdict(b"00006%03d" % total, True), "")
        self.assertEqual(verdict(b"00007018"), "C")         # the count error comes first
        self.assertEqual(verdict(b"00006999"), "")
        self.assertEqual(verdict(b"00007999"), "C")
        self.assertEqual(verdict(b"00007999", True), "")
        self.assertEqual(verdict(b"99999019"), "C")

    def test_size_limits(self):
        self.assertTrue(build_block(b"D", b"x" * 99_994).find(b"99999") > 0)
        self.assertRaises(ValueError, build_block, b"D", b"x" * 99_995)
        raw = build_block(b"D", b"x" * 11)
        self.assertEqual(hllp.parse_block(raw, max_data=10).error, "B")
        self.assertEqual(hllp.parse_block(raw, max_data=11).error, "")

    def test_reader(self):
        good = build_block(b"D", ADT)
        reader = BlockReader()
        blocks = reader.feed(b"junk\x0bAB\x0b" + good + b"\n" + build_nak("G") + good[:9], 0.0)
        self.assertEqual([(b.kind, b.data, b.error) for b in blocks],
                         [(b"D", ADT, ""), (b"N", b"G", "")])
        self.assertEqual(reader.expire(9.9), [])
        self.assertEqual(reader.expire(10.0)[0].error, "G")

    def test_end_mark_inside_data(self):
        data = b"A\x1c\rB12345678\x1c\rC\r"
        raw = build_block(b"D", data)
        reader = BlockReader()
        blocks = [block for byte in raw for block in reader.feed(bytes([byte]), 0.0)]
        self.assertEqual([(b.data, b.error) for b in blocks], [(data, "")])

    def test_count_too_high_ends_after_grace_or_at_next_block(self):
        bad = build_block(b"D", ADT, spoil="count")
        reader = BlockReader()
        self.assertEqual(reader.feed(bad, 0.0), [])
        self.assertEqual(reader.expire(0.4), [])
        self.assertEqual(reader.expire(0.5)[0].error, "C")
        blocks = reader.feed(bad + build_block(b"D", ORU), 1.0)
        self.assertEqual([b.error for b in blocks], ["C", ""])


class HllpDialogues(StationCase):
    def hllp(self, options_a, options_b):
        return self.pair(hllp.main, H_FAST + options_a, H_FAST + options_b)

    def test_request_and_reply(self):
        a, b = self.hllp(self.sends(ADT, ORU), ["--expect", "2", "--reply"])
        self.assertEqual((a[0], b[0]), (0, 0))
        self.assertEqual(self.delivered(b[1]), [ADT, ORU])
        self.assertEqual([(e["index"], e["ok"]) for e in self.named(a[1], "sent")],
                         [(0, True), (1, True)])
        self.assertIn(b"MSA|AA|ZZ0001\r", bytes.fromhex(self.named(a[1], "sent")[1]["reply"]))
        self.assertEqual(self.delivered(a[1]), [])

    def test_both_initiate(self):
        big = MSH_ADT + b"OBX|1|TX|||" + b"x" * 90_000 + b"\r"
        options = ["--expect", "2", "--reply", "--idle-exit", "0.1", "--receive-timeout", "4"]
        a, b = self.hllp(options + self.sends(big, ORU), options + self.sends(ORU, big))
        self.assertEqual((a[0], b[0]), (0, 0))
        self.assertEqual(self.delivered(a[1]), [ORU, big])
        self.assertEqual(self.delivered(b[1]), [big, ORU])

    def test_damaged_request_is_sent_again(self):
        for fault, reason in (("--corrupt-count", "C"), ("--corrupt-checksum", "X")):
            a, b = self.hllp([fault, "1"] + self.sends(ADT), ["--expect", "1", "--reply"])
            self.assertEqual((a[0], b[0]), (0, 0))
            self.assertEqual(self.named(b[1], "nak-sent")[0]["reason"], reason)
            self.assertEqual(self.delivered(b[1]), [ADT])

    def test_damaged_reply(self):
        for mode, copies in (("resend", 2), ("nak", 1)):
            a, b = self.hllp(["--bad-response", mode] + self.sends(ADT),
                             ["--expect", "1", "--reply", "--corrupt-checksum", "1",
                              "--idle-exit", "0.4"])
            self.assertEqual((a[0], b[0]), (0, 0))
            self.assertEqual(self.delivered(b[1]), [ADT] * copies)

    def test_forced_nak_and_options(self):
        a, b = self.hllp(["--no-checksum", "--version", "23"] + self.sends(ADT),
                         ["--expect", "1", "--reply", "--nak", "1:B", "--nak", "2:G", "--strict"])
        self.assertEqual((a[0], b[0]), (0, 0))
        self.assertEqual([e["reason"] for e in self.named(a[1], "nak-received")],
                         ["NAK B", "NAK G"])
        self.assertEqual(self.delivered(b[1]), [ADT])

    def test_retries_run_out(self):
        a, b = self.hllp(["--retries", "1", "--receive-timeout", "0.1"] + self.sends(ADT),
                         ["--expect", "1", "--idle-exit", "0.3"])
        self.assertEqual((a[0], b[0]), (1, 0))
        self.assertEqual(len(self.named(a[1], "failed")), 1)
        self.assertEqual(len(self.named(a[1], "tx")), 2)

    def test_a_nak_is_never_answered(self):
        damaged = build_nak("X").replace(b"019", b"018")
        half = b"\x0bN21\rX0000"
        block = build_block(b"D", ADT)
        code, _ = self.script(hllp.main, H_FAST + self.sends(ADT) + ["--byte-timeout", "0.05"], [
            ("<", block), (">", damaged), ("<", block), (">", half), ("<", block),
            (">", build_block(b"D", base.build_hl7_ack(ADT, b"1")))])
        self.assertEqual(code, 0)
        code, _ = self.script(hllp.main, H_FAST + ["--expect", "1", "--idle-exit", "0.1"], [
            (">", damaged + build_nak("C") + block)])
        self.assertEqual(code, 0)

    def test_responses_are_matched(self):
        block = build_block(b"D", ADT)
        other = build_block(b"D", base.build_hl7_ack(ORU, b"1"))
        answer = build_block(b"D", base.build_hl7_ack(ADT, b"2"))
        code, events = self.script(hllp.main, H_FAST + self.sends(ADT) + ["--expect", "1"], [
            ("<", block), (">", other + build_block(b"D", ORU) + answer)])
        self.assertEqual(code, 0)
        self.assertEqual(self.delivered(events), [ORU])
        self.assertEqual(len(self.named(events, "ignored")), 1)

    def test_broken_off_block(self):
        code, _ = self.script(hllp.main, H_FAST + ["--expect", "1"], [
            (">", build_block(b"D", ADT)[:30]), ("<", build_nak("G")),
            (">", build_block(b"D", ADT))])
        self.assertEqual(code, 0)


class X328Blocks(unittest.TestCase):
    V = Variant()

    def test_vectors(self):
        pid = b"PID|||12345\r"
        self.assertEqual(x328.build_block(1, MSH_ADT, False, self.V),
                         b"\x02100056" + MSH_ADT + b"\x1741\r")
        self.assertEqual(x328.build_block(2, pid, True, self.V), b"\x02200012" + pid + b"\x031F\r")
        self.assertEqual(x328.build_block(1, ADT, True, self.V), b"\x02100068" + ADT + b"\x0345\r")
        self.assertEqual(x328.build_control(x328.ENQ, self.V), b"\x05\r")
        self.assertEqual(x328.build_control(x328.EOT, self.V), b"\x04\r")
        self.assertEqual(x328.build_control(x328.NAK, self.V), b"\x15\r")
        self.assertEqual([x328.build_ack(n, self.V) for n in range(8)],
                         [b"\x10%d\r" % n for n in range(8)])
        self.assertEqual(x328.build_rint(self.V), b"\x10<\r")

    def test_variants(self):
        plain = Variant("none", "plain", "raw-lrc", "crlf")
        block = x328.build_block(5, b"AB\r", True, plain)
        self.assertEqual(block, b"\x02AB\r\x03" + bytes([0x41 ^ 0x42 ^ 0x0D ^ 0x03]) + b"\r\n")
        self.assertEqual(x328.build_ack(3, plain), b"\x06\r\n")
        alternating = Variant(ack="alternating", term="none", bcc="none")
        self.assertEqual([x328.build_ack(n, alternating) for n in (0, 1, 2, 7)],
                         [b"\x100", b"\x101", b"\x100", b"\x101"])
        self.assertEqual(x328.build_block(1, b"A", False, alternating), b"\x02100001A\x17")
        high = b"\xc4\r"
        seven = x328.build_block(1, high, True, Variant(bits=7))
        eight = x328.build_block(1, high, True, Variant(bits=8))
        self.assertEqual(int(eight[-3:-1], 16) & 0x7F, int(seven[-3:-1], 16))
        self.assertNotEqual(seven, eight)

    def test_cuts(self):
        self.assertEqual(x328.split_text(b"A|1\rB|2\rC", 0), [b"A|1\r", b"B|2\r", b"C"])
        self.assertEqual(x328.split_text(b"A|1\rB|2\rC", 4), [b"A|1\r", b"B|2\r", b"C"])
        self.assertEqual(b"".join(x328.split_text(ORU, 7)), ORU)

    def tokens(self, data, variant=V):
        reader = TokenReader(variant)
        reader.feed(data)
        return [(t.kind, t.number) for t in reader.tokens]

    def test_reader(self):
        good = x328.build_block(1, ADT, True, self.V)
        self.assertEqual(self.tokens(b"xy\x05\r\x101\r\x10<\r\x15\r" + good + b"\x04\r"),
                         [("ENQ", None), ("ACK", 1), ("RINT", None), ("NAK", None),
                          ("BLOCK", 1), ("EOT", None)])
        self.assertEqual(self.tokens(good[:20] + b"\x05\r"), [("ABORTED", None)])
        self.assertEqual(self.tokens(good[:20] + b"\x04\r"), [("EOT", None)])
        self.assertEqual(self.tokens(good[:20] + good), [("BLOCK", 1)])
        self.assertEqual(self.tokens(good[:-1] + b"\x05\r"), [("BAD", None), ("ENQ", None)])
        self.assertEqual(self.tokens(b"\x05\x05\r"), [("BROKEN", None), ("ENQ", None)])
        self.assertEqual(self.tokens(b"\x109\r\x06\r"), [])
        for bad in (good.replace(b"00068", b"00067"), good.replace(b"PID", b"PIE"),
                    x328.build_block(8, ADT, True, self.V),
                    x328.build_block(1, b"A\tB", True, self.V)):
            self.assertEqual(self.tokens(bad), [("BAD", None)])

    def test_heading(self):
        covered = b"head\x02" + b"100003AB\r\x03"
        raw = b"\x01" + covered + x328.block_check(covered, self.V)
        self.assertEqual(self.tokens(raw + b"\r"), [("BLOCK", 1)])
        self.assertEqual(x328.parse_block(raw, self.V).text, b"AB\r")


class X328Scripts(StationCase):
    """One station against fixed bytes."""
    ENQ, EOT, NAK, ACK0, ACK1, ACK2, RINT = (
        b"\x05\r", b"\x04\r", b"\x15\r", b"\x100\r", b"\x101\r", b"\x102\r", b"\x10<\r")
    B1 = x328.build_block(1, MSH_ADT, False, Variant())
    B2 = x328.build_block(2, b"PID|||12345\r", True, Variant())

    def master(self, *steps, options=(), code=0):
        options = X_FAST + self.sends(ADT) + list(options)
        got, events = self.script(x328.main, options, steps)
        self.assertEqual(got, code)
        return events

    def slave(self, *steps, options=(), messages=(ADT,), hold=0.0):
        options = X_FAST + ["--expect", str(len(messages))] + list(options)
        code, events = self.script(x328.main, options, steps, hold)
        self.assertEqual((code, self.delivered(events)), (0, list(messages)))
        return events

    def test_master(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.ACK1),
                    ("<", self.B2), (">", self.ACK2), ("<", self.EOT))

    def test_master_nak_stale_ack_and_reply_request(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.NAK),
                    ("<", self.B1), (">", self.ACK0), ("<", self.ENQ), (">", self.ACK0),
                    ("<", self.B1), (">", self.ACK1), ("<", self.B2),
                    ("<", self.ENQ), (">", self.ACK2), ("<", self.EOT))

    def test_master_resends_on_timeout(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), ("<", self.B1),
                    (">", self.ACK1), ("<", self.B2), (">", self.ACK2), ("<", self.EOT),
                    options=["--timeout-action", "resend"])

    def test_master_repeated_rint_after_reply_request(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.RINT),
                    ("<", self.B2), ("<", self.ENQ), (">", self.RINT), ("<", self.B2),
                    (">", self.ACK2), ("<", self.EOT))

    def test_master_new_rint_after_reply_request(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.ACK1),
                    ("<", self.B2), ("<", self.ENQ), (">", self.RINT), ("<", self.EOT))

    def test_master_is_interrupted_and_starts_over(self):
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.EOT),
                    ("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.ACK1),
                    ("<", self.B2), (">", self.ACK2), ("<", self.EOT))

    def test_master_gives_up(self):
        self.master(*[("<", self.ENQ)] * 2, ("<", self.EOT), options=["--n-bid", "2"], code=1)
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), *[("<", self.ENQ)] * 2,
                    ("<", self.EOT), options=["--n-enq", "2"], code=1)
        self.master(("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.NAK),
                    ("<", self.B1), (">", self.NAK), ("<", self.EOT),
                    options=["--n-retry", "1"], code=1)

    def test_low_priority_yields(self):
        self.master(("<", self.ENQ), (">", self.ENQ), ("<", self.ACK0), (">", self.EOT),
                    ("<", self.ENQ), (">", self.ACK0), ("<", self.B1), (">", self.ACK1),
                    ("<", self.B2), (">", self.ACK2), ("<", self.EOT))

    def test_high_priority_insists(self):
        self.master(("<", self.ENQ), (">", self.ENQ + self.ACK0), ("<", self.B1),
                    (">", self.ACK1), ("<", self.B2), (">", self.ACK2), ("<", self.EOT),
                    options=["--priority", "high"])

    def test_slave(self):
        third = x328.build_block(3, ORU, True, Variant())
        self.slave((">", self.ENQ), ("<", self.ACK0), (">", self.B1), ("<", self.ACK1),
                   (">", self.ENQ), ("<", self.ACK1), (">", self.B1), ("<", self.ACK1),
                   (">", self.B2), ("<", self.ACK2), (">", third), ("<", b"\x103\r"),
                   (">", self.EOT), messages=(ADT, ORU))

    def test_slave_refuses(self):
        self.slave((">", self.ENQ), ("<", self.ACK0), (">", self.B2), ("<", self.NAK),
                   (">", self.B1[:-3] + b"00\r"), ("<", self.NAK),
                   (">", self.B1[:20] + self.ENQ), ("<", self.NAK),
                   (">", self.B1), ("<", self.ACK1), (">", self.B2), ("<", self.ACK2),
                   (">", self.EOT))

    def test_slave_drops_unfinished_message(self):
        events = self.slave(
            (">", self.ENQ), ("<", self.ACK0), (">", self.B1), ("<", self.ACK1), (">", self.EOT),
            (">", self.ENQ), ("<", self.ACK0), (">", self.B1), ("<", self.ACK1),
            (">", self.B2), ("<", self.ACK2), (">", self.EOT))
        self.assertEqual(len(self.named(events, "discarded")), 1)

    def test_slave_timers(self):
        events = self.slave(
            (">", self.ENQ), ("<", self.ACK0), (">", self.B1[:9]),
            options=["--timer-d", "0.15", "--idle-exit", "0.5"], messages=(),
            hold=0.7)
        self.assertEqual([e["name"] for e in self.named(events, "timer")], ["B", "D"])

    def test_seven_numbers_wrap(self):
        texts = x328.split_text(ORU, 0)
        steps = [(">", self.ENQ), ("<", self.ACK0)]
        for count, text in enumerate(texts, 1):
            steps += [(">", x328.build_block(count % 8, text, count == len(texts), Variant())),
                      ("<", b"\x10%d\r" % (count % 8))]
        self.slave(*steps, (">", self.EOT), messages=(ORU,))


class X328Pairs(StationCase):
    """Station to station."""

    def transfer(self, both=(), master=(), slave=(), message=ORU):
        a, b = self.pair(x328.main, X_FAST + self.sends(message) + [*both, *master],
                         X_FAST + ["--expect", "1"] + [*both, *slave])
        self.assertEqual((a[0], b[0]), (0, 0))
        self.assertEqual(self.delivered(b[1]), [message])
        self.assertEqual(len(self.named(a[1], "sent")), 1)
        return a[1], b[1]

    def test_variants(self):
        for both in ([], ["--block-size", "7"], ["--block-size", "240"],
                     ["--numbering", "none", "--ack", "alternating", "--bcc", "raw-lrc"],
                     ["--ack", "plain", "--bcc", "none", "--term", "none", "--bits", "7"],
                     ["--numbering", "none", "--term", "crlf", "--timeout-action", "resend"]):
            with self.subTest(both=both):
                self.transfer(both)
        self.transfer(["--bits", "7"], message=ADT + "NTE|1||Größe\r".encode("latin-1"))

    def test_faults(self):
        nak, eot, rint = "150d", "040d", "103c0d"
        resend = ["--timeout-action", "resend"]
        for master, slave, sign in (
                ([], ["--nak-block", "2"], nak), ([], ["--eot-after", "3"], eot),
                ([], ["--rint-after", "2"], rint), ([], ["--rint-after", "10"], rint),
                (["--abort-block", "2"], [], nak),
                ([], ["--drop-reply", "1"], None), ([], ["--drop-reply", "3"], None),
                (resend, ["--drop-reply", "11"], None)):
            with self.subTest(master=master, slave=slave):
                _, events = self.transfer([], master, slave)
                if sign:
                    self.assertEqual([e["hex"] for e in self.named(events, "tx")].count(sign), 1)
                else:
                    self.assertEqual(len(self.named(events, "reply-swallowed")), 1)
        _, events = self.transfer([], ["--abort-station", "3"], [])
        self.assertEqual(len(self.named(events, "discarded")), 1)

    def test_two_messages_and_replies(self):
        a, b = self.pair(x328.main, X_FAST + self.sends(ADT, ORU) + ["--expect", "2"],
                         X_FAST + ["--expect", "2", "--reply"])
        self.assertEqual((a[0], b[0]), (0, 0))
        self.assertEqual(self.delivered(b[1]), [ADT, ORU])
        self.assertEqual([m.split(b"MSA|")[1] for m in self.delivered(a[1])],
                         [b"AA|XX3657\r", b"AA|ZZ0001\r"])

    def test_contention(self):
        spread, x328.CONTENTION_SPREAD = x328.CONTENTION_SPREAD, 0.4
        self.addCleanup(setattr, x328, "CONTENTION_SPREAD", spread)
        # on a line this slow for its spread, equals may collide several times running
        options = X_FAST + ["--timer-a", "0.25", "--n-bid", "20", "--block-size", "240",
                            "--expect", "1"]
        for first, second in (("high", "low"), ("low", "high"), ("low", "low"), ("high", "high")):
            with self.subTest(first=first, second=second):
                a, b = self.pair(x328.main, options + self.sends(ADT) + ["--priority", first],
                                 options + self.sends(ORU) + ["--priority", second], latency=0.06)
                self.assertEqual((a[0], b[0]), (0, 0))
                self.assertEqual((self.delivered(a[1]), self.delivered(b[1])), ([ORU], [ADT]))
                for events, priority in ((a[1], first), (b[1], second)):
                    self.assertEqual(self.named(events, "contention")[0]["priority"], priority)

    def test_unsendable_text(self):
        a, _ = self.pair(x328.main, X_FAST + self.sends(b"MSH|\x1b\r", b""), ["--idle-exit", "0"])
        self.assertEqual(a[0], 1)
        self.assertEqual([e["index"] for e in self.named(a[1], "failed")], [0, 1])


class Processes(StationCase):
    """The stations as programs on their standard descriptors."""

    def test_programs(self):
        for program in ("x328_station.py", "hllp_station.py"):
            left, right = socket.socketpair()
            commands = (["--deadline", "8"] + self.sends(ADT),
                        ["--deadline", "8", "--expect", "1", "--reply"])
            if program.startswith("x328"):
                commands[0].extend(["--expect", "1"])
            running = [subprocess.Popen([sys.executable, str(HERE / program), *options],
                                        stdin=end, stdout=end)
                       for end, options in zip((left, right), commands)]
            left.close()
            right.close()
            self.assertEqual([process.wait(10) for process in running], [0, 0])

    def test_deadline(self):
        with subprocess.Popen([sys.executable, str(HERE / "x328_station.py"), "--deadline", "0.1"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self.assertEqual(process.wait(5), 2)


if __name__ == "__main__":
    unittest.main()
