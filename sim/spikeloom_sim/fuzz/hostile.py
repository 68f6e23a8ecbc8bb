"""Hostile frames: what noise, a killed host or a wrong program may send, drawn at random, among good frames."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from spikeloom.link import (
    GetChecksum,
    GetStatistics,
    Identify,
    Identity,
    Kind,
    Load,
    Message,
    Read,
    Reset,
    Sample,
    frame,
    pack,
)
from spikeloom.link.bodies import SEQUENCES, VERSION
from spikeloom.link.frames import CRC_BYTES, cobs_encode, crc

BREAK_BITS = 10  # the line is low for longer than a byte
LONGEST_BREAK = 40


@dataclass(frozen=True)
class Break:
    """The line is low for some bits: a break."""

    bits: int


@dataclass(frozen=True)
class BadStop:
    """A byte whose stop bit is low."""

    byte: int


@dataclass(frozen=True)
class Silence:
    """Nothing, for so many times the device's inactivity timeout."""

    timeouts: float


Act = bytes | Break | BadStop | Silence


@dataclass(frozen=True)
class Case:
    """Something that comes over the line.

    Members
    -------
    name : its kind, see `HOSTILE`, or "good".
    acts : in their order.
    interrupts : an IDENTIFY comes while others may be unanswered: these need not be answered any more.
    """

    name: str
    acts: tuple[Act, ...]
    interrupts: bool = False


@dataclass
class Attacker:
    """Draws cases.

    Parameters
    ----------
    rng : decides everything.
    identity : of the device.
    samples : bytes of samples to ask about.
    """

    rng: random.Random
    identity: Identity
    samples: list[bytes]
    _rest: bytes = field(default=b"", init=False)  # of the sample that has begun

    @property
    def begun(self) -> bool:
        """Whether a sample has begun, of which more is to come."""
        return bool(self._rest)

    def good(self, expected: int | None) -> Case:
        """A request that a device obeys which expects this sequence number; a zero before it, as hosts do.

        Without a session (None) it is an IDENTIFY now and then, and something that is refused else.
        """
        message = Identify() if expected is None and self.rng.random() < 0.1 else self.request(expected is not None)
        return Case("good", (b"\0" + frame(pack(message, expected or 0)),))

    def request(self, session: bool) -> Message:
        """The next request of an honest host; without a session, one of those that change nothing."""
        choice = self.rng.random()
        if session and (self._rest or choice < 0.7):
            data = self._rest or self.rng.choice(self.samples)
            most = min(len(data), self.identity.frame_bytes)
            size = self.rng.randint(1, most) if self.rng.random() < 0.2 else most
            self._rest = data[size:]
            return Sample(data[:size])
        if choice < 0.8:
            return GetStatistics()
        if choice < 0.9:
            return Read(self.rng.randrange(self.identity.result_bytes))
        return Reset() if choice < 0.95 or not session else Identify()

    def forget(self) -> None:
        """The device has no sample that has begun any more."""
        self._rest = b""

    def hostile(self, expected: int | None) -> Case:
        """Something that a device must bear which expects this sequence number."""
        name, sequence = self.rng.choice(sorted(HOSTILE)), expected or 0
        found = HOSTILE[name](self, sequence)
        if isinstance(found, Case):
            return found
        # whatever begins behind a good frame may hang on to the one before, so that half of them do
        lead: list[Act] = [b"\0"] if self.rng.random() < 0.5 else []
        return Case(name, (*lead, *found))

    def body(self, sequence: int) -> bytes:
        """A body that a device would obey, but for a sample, whose rest is left to honest frames."""
        requests: list[Message] = [GetStatistics(), Read(0), Identify(), GetChecksum(0), Load(0, 0, b"\1")]
        return pack(self.rng.choice(requests), sequence)

    def number(self, sequence: int) -> int:
        """A sequence number that is not expected."""
        return (sequence + self.rng.choice([1, 2, SEQUENCES - 1, self.rng.randrange(1, SEQUENCES)])) % SEQUENCES


def _bad_crc(draw: Attacker, sequence: int) -> list[Act]:
    body = draw.body(sequence)
    check = crc(body) ^ (1 << draw.rng.randrange(8 * CRC_BYTES))
    return [cobs_encode(body + check.to_bytes(CRC_BYTES, "little")) + b"\0"]


def _bad_bit(draw: Attacker, sequence: int) -> list[Act]:
    line = bytearray(frame(draw.body(sequence)))
    line[draw.rng.randrange(len(line) - 1)] ^= 1 << draw.rng.randrange(8)
    return [bytes(line)]


def _truncated(draw: Attacker, sequence: int) -> list[Act]:
    line = frame(draw.body(sequence))
    return [line[: draw.rng.randrange(1, len(line) - 1)] + b"\0"]


def _cut_by_silence(draw: Attacker, sequence: int) -> list[Act]:
    line = frame(draw.body(sequence))
    return [line[: draw.rng.randrange(1, len(line))].rstrip(b"\0"), Silence(1.5)]


def _oversized(draw: Attacker, sequence: int) -> list[Act]:
    size = draw.identity.frame_bytes + draw.rng.choice([1, 2, draw.rng.randrange(1, 300)])
    data = bytes(size) if draw.rng.random() < 0.3 else draw.rng.randbytes(size)
    return [frame(pack(Sample(data), sequence))]


def _wrong_version(draw: Attacker, sequence: int) -> list[Act]:
    body = bytearray(draw.body(sequence))
    body[0] = (VERSION + draw.rng.randrange(1, 16)) % 16 << 4 | body[0] & 15
    return [frame(bytes(body))]


def _wrong_kind(draw: Attacker, sequence: int) -> list[Act]:
    kind = draw.rng.choice([0, *range(Kind.ACK, 16)])
    return [frame(bytes((VERSION << 4 | kind, sequence)) + draw.rng.randbytes(draw.rng.randrange(4)))]


def _wrong_length(draw: Attacker, sequence: int) -> list[Act]:
    kind = draw.rng.choice([Kind.IDENTIFY, Kind.RESET, Kind.READ, Kind.STATISTICS, Kind.CHECKSUM])
    size = draw.rng.choice([1, 3, draw.rng.randrange(4, draw.identity.frame_bytes + 1)])
    return [frame(bytes((VERSION << 4 | kind, sequence)) + draw.rng.randbytes(size if kind != Kind.CHECKSUM else 2))]


def _empty_sample(draw: Attacker, sequence: int) -> list[Act]:
    return [frame(pack(Sample(b""), sequence))]


def _read_beyond(draw: Attacker, sequence: int) -> list[Act]:
    return [frame(pack(Read(draw.rng.randrange(draw.identity.result_bytes, 1 << 16)), sequence))]


def _short(draw: Attacker, sequence: int) -> list[Act]:
    body = draw.rng.randbytes(draw.rng.randrange(2))
    return [cobs_encode(body + crc(body).to_bytes(CRC_BYTES, "little")) + b"\0"]


def _garbage(draw: Attacker, sequence: int) -> list[Act]:
    return [draw.rng.randbytes(draw.rng.randrange(1, 100)) + b"\0" * draw.rng.randrange(2)]


def _zeros(draw: Attacker, sequence: int) -> list[Act]:
    return [bytes(draw.rng.randrange(1, 20))]


def _break(draw: Attacker, sequence: int) -> list[Act]:
    line = frame(draw.body(sequence))
    where = draw.rng.randrange(len(line))
    return [line[:where], Break(draw.rng.randrange(BREAK_BITS, LONGEST_BREAK)), line[where:]]


def _bad_stop(draw: Attacker, sequence: int) -> list[Act]:
    line = frame(draw.body(sequence))
    where = draw.rng.randrange(len(line))
    return [line[:where], BadStop(line[where]), line[where + 1 :]]


def _duplicate(draw: Attacker, sequence: int) -> list[Act]:
    requests: list[Message] = [GetStatistics(), Read(0)]
    line = frame(pack(draw.rng.choice(requests), sequence))
    return [line + line]


def _reordered(draw: Attacker, sequence: int) -> list[Act]:
    return [frame(pack(GetStatistics(), (sequence + 1) % SEQUENCES)) + frame(pack(Read(0), sequence))]


def _wrong_sequence(draw: Attacker, sequence: int) -> list[Act]:
    data = draw.rng.choice(draw.samples)[: draw.identity.frame_bytes]
    requests: list[Message] = [Sample(data), Reset(), GetStatistics(), Read(0)]
    return [frame(pack(draw.rng.choice(requests), draw.number(sequence)))]


def _interrupted(draw: Attacker, sequence: int) -> Case:
    """A sample, and an IDENTIFY before it can be answered; the statistics go with it."""
    draw.forget()
    data = draw.rng.choice(draw.samples)[: draw.identity.frame_bytes]
    asks = [pack(GetStatistics(), sequence), pack(Sample(data), (sequence + 1) % SEQUENCES)]
    number = draw.rng.randrange(SEQUENCES)
    line = b"".join(map(frame, [*asks, pack(Identify(), number), pack(Reset(), (number + 1) % SEQUENCES)]))
    return Case("interrupted", (b"\0" + line,), interrupts=True)


HOSTILE: dict[str, Callable[[Attacker, int], list[Act] | Case]] = {
    "bad CRC": _bad_crc,
    "bad bit": _bad_bit,
    "truncated": _truncated,
    "cut by silence": _cut_by_silence,
    "oversized": _oversized,
    "wrong version": _wrong_version,
    "wrong kind": _wrong_kind,
    "wrong length": _wrong_length,
    "empty sample": _empty_sample,
    "read beyond": _read_beyond,
    "short": _short,
    "garbage": _garbage,
    "zeros": _zeros,
    "break": _break,
    "bad stop": _bad_stop,
    "duplicate": _duplicate,
    "reordered": _reordered,
    "wrong sequence": _wrong_sequence,
    "interrupted": _interrupted,
}
