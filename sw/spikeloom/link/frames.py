"""Frames of the link: a body with its CRC, coded by COBS so that a zero byte ends a frame and stands nowhere else.

On the line: COBS(body + CRC-32) 00. Zeros alone are no frames, so that a host may send one in front of a frame.
COBS: Cheshire and Baker, Consistent Overhead Byte Stuffing, SIGCOMM 1997.
"""

import zlib
from dataclasses import dataclass
from enum import Enum

HEADER_BYTES = 2
CRC_BYTES = 4
GROUP_BYTES = 254  # data bytes of a COBS group, at most
LARGEST_PAYLOAD = 65535
TIMEOUT_S = 0.05  # in which a device notices silence; it may in half of that
LARGEST_COUNT = 255  # of frames that were dropped


def cobs_encode(data: bytes) -> bytes:
    """Bytes without a zero: groups of a count n and n-1 bytes that are not zero; behind each but the last, and but
    those of 254 bytes, a zero is left out.
    """
    coded = bytearray()
    for run in (pieces := data.split(b"\0")):
        while len(run) >= GROUP_BYTES:
            coded += bytes((GROUP_BYTES + 1,)) + run[:GROUP_BYTES]
            run = run[GROUP_BYTES:]
        coded += bytes((len(run) + 1,)) + run
    # the last group needs no count of its own where a full one ends the data
    return bytes(coded[:-1] if len(pieces[-1]) and len(pieces[-1]) % GROUP_BYTES == 0 else coded)


def cobs_decode(coded: bytes) -> bytes:
    """What `cobs_encode` was given; ValueError where a zero or the end is within a group."""
    data = bytearray()
    place, zero = 0, False
    while place < len(coded):
        size = coded[place]
        group = coded[place + 1 : place + size]
        if size == 0 or len(group) != size - 1 or 0 in group:
            raise ValueError(f"COBS: groups must be whole and without zeros, not so from byte {place} of {len(coded)}")
        data += (b"\0" if zero else b"") + group
        place, zero = place + size, size <= GROUP_BYTES
    return bytes(data)


def crc(data: bytes) -> int:
    """CRC-32 as of zlib, Ethernet and ZIP."""
    return zlib.crc32(data)


def frame(body: bytes) -> bytes:
    """A body (header and payload) as it goes over the line."""
    return cobs_encode(body + crc(body).to_bytes(CRC_BYTES, "little")) + b"\0"


class Loss(Enum):
    """Why a frame was dropped: wrong CRC, COBS or length; cut by silence or an error of the line; no room for it."""

    DAMAGED = "damaged"
    CUT = "cut"
    CROWDED = "crowded"


@dataclass(frozen=True)
class Losses:
    """Frames that were dropped, by reason (see `Loss`); the counts end at `LARGEST_COUNT`."""

    damaged: int = 0
    cut: int = 0
    crowded: int = 0

    def add(self, loss: Loss) -> "Losses":
        """One more."""
        counts = {item.value: getattr(self, item.value) + (item is loss) for item in Loss}
        return Losses(**{name: min(count, LARGEST_COUNT) for name, count in counts.items()})


class Framer:
    """Takes bytes of a line in any portions and gives the bodies of good frames; the others are counted.

    Parameters
    ----------
    payload_bytes : of a frame, at most; a longer one is dropped as damaged, at once.
    timeout_s : silence that ends a frame, in seconds.

    Members
    -------
    losses : Losses, since the start or since they were set.
    """

    def __init__(self, payload_bytes: int = LARGEST_PAYLOAD, timeout_s: float = TIMEOUT_S) -> None:
        self.payload_bytes, self.timeout_s = payload_bytes, timeout_s
        self.losses = Losses()
        self._coded = bytearray()  # of the frame that has begun
        self._skipping = False  # up to the next zero or silence
        self._silent_s = 0.0

    def feed(self, data: bytes) -> list[bytes]:
        """Bodies, without CRC, of the good frames that end in these bytes."""
        bodies = []
        for byte in data:
            self._silent_s = 0.0
            if byte == 0:
                if self._coded and (body := self._body()) is not None:
                    bodies.append(body)
                self._coded.clear()
                self._skipping = False
            elif not self._skipping:
                self._coded.append(byte)
                if self._too_long():
                    self._drop(Loss.DAMAGED)
        return bodies

    def line_error(self) -> None:
        """The line had a framing error or a break, or lost a byte: what has begun is cut, and the rest skipped."""
        self._silent_s = 0.0
        if not self._skipping:
            self._drop(Loss.CUT)

    def wait(self, seconds: float) -> None:
        """Silence; when it is long enough, the next byte begins a frame."""
        self._silent_s += seconds
        if self._silent_s >= self.timeout_s:
            if self._coded:
                self._drop(Loss.CUT)
            self._skipping = False

    def count(self, loss: Loss) -> None:
        """Count a frame that was dropped elsewhere."""
        self.losses = self.losses.add(loss)

    def _drop(self, loss: Loss) -> None:
        self.count(loss)
        self._coded.clear()
        self._skipping = True

    def _too_long(self) -> bool:
        """Whether the bytes so far are more than a frame may have, decoded: known before the frame ends."""
        most = HEADER_BYTES + self.payload_bytes + CRC_BYTES
        return len(self._coded) > most and _decoded_bytes(self._coded) > most

    def _body(self) -> bytes | None:
        try:
            whole = cobs_decode(bytes(self._coded))
        except ValueError:
            whole = b""
        body, check = whole[:-CRC_BYTES], whole[-CRC_BYTES:]
        if len(body) < HEADER_BYTES or crc(body) != int.from_bytes(check, "little"):
            self.count(Loss.DAMAGED)
            return None
        return body


def _decoded_bytes(coded: bytes | bytearray) -> int:
    """Bytes that a part of a coded frame holds so far."""
    total, place, zero = 0, 0, 0
    while place < len(coded):
        total += zero + min(coded[place], len(coded) - place) - 1
        zero = int(coded[place] <= GROUP_BYTES)
        place += coded[place]
    return total
