"""Sequences of the HL7 flavour of ANSI X3.28: building them, and reading them from bytes.

Every sequence ends with a terminator (CR unless told otherwise):
  ENQ, EOT, NAK      one control character
  ACKn, RINT         DLE '0'..'7', DLE '<'
  block              STX b lllll text ETB|ETX hh
b counts 1..7,0,1.. within a session, lllll is the text length, hh the XOR from b through
ETB/ETX. A heading (SOH heading STX) before the text is accepted and not used.
"""

import re
from collections import deque
from dataclasses import dataclass
from functools import reduce
from operator import xor

SOH, STX, ETX, EOT, ENQ, ACK, CR, DLE, NAK, ETB = (
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0D, 0x10, 0x15, 0x17)
RINT_MARK = 0x3C
MAX_TEXT = 99_999


@dataclass(frozen=True)
class Variant:
    """How sequences look on this line."""
    numbering: str = "hl7"      # hl7 | none
    ack: str = "numbered"       # numbered | alternating | plain
    bcc: str = "hex2-xor"       # hex2-xor | raw-lrc | none
    term: str = "cr"            # cr | crlf | none
    bits: int = 8               # 7 | 8, mask of the hex2-xor check

    @property
    def terminator(self):
        return {"cr": b"\r", "crlf": b"\r\n", "none": b""}[self.term]

    @property
    def bcc_size(self):
        return {"hex2-xor": 2, "raw-lrc": 1, "none": 0}[self.bcc]

    def ack_number(self, number):
        """What the acknowledgment of block `number` (0 = of a bid) carries; None if plain."""
        return {"numbered": number, "alternating": number % 2, "plain": None}[self.ack]


@dataclass
class Token:
    """One received sequence.

    Kinds: ENQ EOT NAK ACK RINT; BLOCK (sound), BAD (block to be answered with NAK),
    ABORTED (block broken off by ENQ), BROKEN (remains of a sequence, not to be answered).
    """
    kind: str
    number: int | None = None   # of ACK or BLOCK
    text: bytes = b""
    last: bool = False          # block ended with ETX
    reason: str = ""            # what is wrong with BAD or BROKEN


class BlockError(ValueError):
    """A block that must be answered with NAK."""


# ---- building ----------------------------------------------------------------------------

def block_check(covered, variant):
    """Check characters over the covered bytes (first after STX or SOH, through ETB/ETX)."""
    value = reduce(xor, covered, 0)
    if variant.bcc == "hex2-xor":
        return b"%02X" % (value & (0x7F if variant.bits == 7 else 0xFF))
    return bytes([value & 0x7F]) if variant.bcc == "raw-lrc" else b""


def build_control(code, variant):
    """ENQ, EOT or NAK with its terminator."""
    return bytes([code]) + variant.terminator


def build_ack(number, variant):
    """Acknowledgment of block `number`, or of a bid (0)."""
    shown = variant.ack_number(number)
    return (bytes([ACK]) if shown is None else bytes([DLE, 0x30 + shown])) + variant.terminator


def build_rint(variant):
    return bytes([DLE, RINT_MARK]) + variant.terminator


def block_head(number, text, variant):
    """What stands before the text."""
    return bytes([STX]) + (b"%d%05d" % (number, len(text)) if variant.numbering == "hl7" else b"")


def build_block(number, text, last, variant):
    body = block_head(number, text, variant) + text + bytes([ETX if last else ETB])
    return body + block_check(body[1:], variant) + variant.terminator


def build_aborted_block(number, text, variant):
    """A block broken off in the middle of its text by ENQ."""
    return (block_head(number, text, variant) + text[:len(text) // 2]
            + build_control(ENQ, variant))


def next_number(number):
    return (number + 1) % 8


def split_text(message, block_size):
    """Texts of the blocks: pieces of `block_size` bytes, or one segment each when 0."""
    if block_size:
        return [message[at:at + block_size] for at in range(0, len(message), block_size)]
    return re.findall(rb"[^\r]*\r|[^\r]+", message)


def text_problem(text):
    """Why this cannot be block text, or ""."""
    if len(text) > MAX_TEXT:
        return f"longer than {MAX_TEXT} bytes"
    return "control character in text" if any(b < 0x20 and b != CR for b in text) else ""


# ---- parsing -----------------------------------------------------------------------------

def parse_block(raw, variant):
    """BLOCK token from the bytes STX (or SOH heading STX) .. check, without terminator."""
    end = len(raw) - variant.bcc_size
    covered, check = raw[1:end], raw[end:]
    if check != block_check(covered, variant):
        raise BlockError("block check")
    if raw[0] == SOH:
        _, stx, content = covered[:-1].partition(bytes([STX]))
        if not stx:
            raise BlockError("heading without text")
    else:
        content = covered[:-1]
    number, text = None, content
    if variant.numbering == "hl7":
        head, text = content[:6], content[6:]
        if not (len(head) == 6 and head.isdigit() and head[:1] <= b"7"):
            raise BlockError("block number or length field")
        number = int(head[:1])
        if int(head[1:]) != len(text):
            raise BlockError("text length")
    if problem := text_problem(text):
        raise BlockError(problem)
    return Token("BLOCK", number, bytes(text), covered[-1] == ETX)


class TokenReader:
    """Turns bytes into tokens; what fits no sequence is collected in `noise`."""

    PLAIN = {ENQ: "ENQ", EOT: "EOT", NAK: "NAK"}

    def __init__(self, variant):
        self.variant = variant
        self.tokens = deque()
        self.noise = bytearray()
        self.reset()

    def reset(self):
        """Forget the sequence begun."""
        self.state = "idle"         # idle | dle | block | check | term
        self.raw = bytearray()      # block so far
        self.token = None           # complete but for its terminator
        self.to_come = 0            # check or terminator bytes outstanding

    @property
    def in_block(self):
        return bool(self.raw)

    def feed(self, data):
        for byte in data:
            getattr(self, "_" + self.state)(byte)

    def _idle(self, byte):
        if byte in (STX, SOH):
            self.state, self.raw = "block", bytearray([byte])
        elif byte in self.PLAIN:
            self._finish(Token(self.PLAIN[byte]))
        elif byte == ACK and self.variant.ack == "plain":
            self._finish(Token("ACK"))
        elif byte == DLE:
            self.state = "dle"
        else:
            self.noise.append(byte)

    def _dle(self, byte):
        self.reset()
        if byte == RINT_MARK:
            self._finish(Token("RINT"))
        elif 0x30 <= byte <= 0x37 and self.variant.ack != "plain":
            self._finish(Token("ACK", byte - 0x30))
        else:
            self.noise.append(DLE)
            self._idle(byte)

    def _block(self, byte):
        if byte == ENQ:
            self._finish(Token("ABORTED"))
        elif byte == EOT:
            self._finish(Token("EOT"))
        elif byte == SOH or (byte == STX and (self.raw[0] == STX or STX in self.raw)):
            self.raw = bytearray([byte])
        else:
            self.raw.append(byte)
            if byte in (ETB, ETX):
                self.state, self.to_come = "check", self.variant.bcc_size
                if not self.to_come:
                    self._finish_block()
            elif len(self.raw) > 2 * MAX_TEXT:
                self.reset()
                self.tokens.append(Token("BAD", reason="endless block"))

    def _check(self, byte):
        self.raw.append(byte)
        self.to_come -= 1
        if not self.to_come:
            self._finish_block()

    def _finish_block(self):
        try:
            self._finish(parse_block(self.raw, self.variant))
        except BlockError as error:
            self._finish(Token("BAD", reason=str(error)))

    def _finish(self, token):
        """All of the token is there except its terminator."""
        self.state, self.token, self.to_come = "term", token, len(self.variant.terminator)
        if not self.to_come:
            self.reset()
            self.tokens.append(token)

    def _term(self, byte):
        token, wanted = self.token, self.variant.terminator
        if byte == wanted[-self.to_come]:
            self.to_come -= 1
            if not self.to_come:
                self.reset()
                self.tokens.append(token)
            return
        self.reset()
        kind = "BAD" if token.kind in ("BLOCK", "BAD") else "BROKEN"
        self.tokens.append(Token(kind, reason=f"terminator missing after {token.kind}"))
        self._idle(byte)
