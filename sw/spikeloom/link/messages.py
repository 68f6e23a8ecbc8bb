"""Messages of the link: what a body says, as typed values; malformed ones are refused.

Body = version << 4 | kind, sequence, payload. Kinds below 8 are requests, the others replies. Numbers are little
endian. What each message does is in docs/reference/link.md.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from ..errors import SpikeloomError

LOAD_BYTES = 5  # of a LOAD's payload before its data
READ_BYTES = 2


class MalformedMessage(SpikeloomError):
    """Bytes that are no message, or no message of this version."""


class Kind(IntEnum):
    """Lower half of a body's first byte."""

    IDENTIFY = 1
    RESET = 2
    SAMPLE = 3
    READ = 4
    STATISTICS = 5
    LOAD = 6
    CHECKSUM = 7
    ACK = 8
    IDENTITY = 9
    RESULT = 10
    COUNTS = 11
    CRC = 12
    ERROR = 15


FIRST_REPLY = Kind.ACK


class FailureCode(IntEnum):
    """Why a request was not obeyed."""

    VERSION = 1  # the frame is of another version
    CLOSED = 2  # no session: IDENTIFY comes first
    SEQUENCE = 3  # not the sequence number that is expected: a frame was lost, repeated or reordered
    KIND = 4  # there is no such request
    LENGTH = 5  # the payload has a wrong length, or a sample more bytes than it may have
    UNSUPPORTED = 6  # the build has no memories that can be written, or not this one
    NO_RESULT = 7  # nothing to read: no sample was answered yet
    WATCHDOG = 8  # the core did not move on; it was reset, the sample is lost
    BUSY = 9  # memories are left alone while a sample is under way


def require(fine: bool, kind: Kind, wanted: str, got: str) -> None:
    """Raise `MalformedMessage` where a payload is not as it must be."""
    if not fine:
        raise MalformedMessage(f"Message {kind.name}: payload must be {wanted}, not {got}")


@dataclass(frozen=True)
class _Empty:
    """A message without payload."""

    kind: ClassVar[Kind]

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return b""

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(not payload, cls.kind, "no payload", f"{len(payload)} bytes")
        return cls()


class Identify(_Empty):
    """Opens a session: any sequence number is taken. Ends whatever the device was doing."""

    kind = Kind.IDENTIFY


class Reset(_Empty):
    """Resets the core, drops a sample that has begun, and clears the statistics."""

    kind = Kind.RESET


class GetStatistics(_Empty):
    """Asks for `Statistics`."""

    kind = Kind.STATISTICS


class Ack(_Empty):
    """Done."""

    kind = Kind.ACK


@dataclass(frozen=True)
class _Data:
    """A message that is bytes."""

    kind: ClassVar[Kind]
    data: bytes

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return self.data

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        return cls(payload)


class Sample(_Data):
    """The next bytes of a sample, see `Identity.pack_codes`; answered by `Ack`, the last of a sample by `Result`."""

    kind = Kind.SAMPLE


class Result(_Data):
    """Bytes of the last sample's result, see `Identity.unpack_result`: as many as go into a frame."""

    kind = Kind.RESULT


@dataclass(frozen=True)
class Read:
    """Asks for the last sample's result from byte `offset` on."""

    kind: ClassVar[Kind] = Kind.READ
    offset: int

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return self.offset.to_bytes(READ_BYTES, "little")

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(len(payload) == READ_BYTES, cls.kind, f"{READ_BYTES} bytes", f"{len(payload)}")
        return cls(int.from_bytes(payload, "little"))


@dataclass(frozen=True)
class Load:
    """Writes data into a memory from an address on; what an address counts is the memory's business."""

    kind: ClassVar[Kind] = Kind.LOAD
    memory: int
    address: int
    data: bytes

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return struct.pack("<BI", self.memory, self.address) + self.data

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(len(payload) > LOAD_BYTES, cls.kind, f"more than {LOAD_BYTES} bytes", f"{len(payload)}")
        memory, address = struct.unpack("<BI", payload[:LOAD_BYTES])
        return cls(memory, address, payload[LOAD_BYTES:])


@dataclass(frozen=True)
class GetChecksum:
    """Asks for the `Checksum` of a memory."""

    kind: ClassVar[Kind] = Kind.CHECKSUM
    memory: int

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return bytes((self.memory,))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(len(payload) == 1, cls.kind, "1 byte", f"{len(payload)}")
        return cls(payload[0])


@dataclass(frozen=True)
class Checksum:
    """CRC-32 of all bytes of a memory, read back."""

    kind: ClassVar[Kind] = Kind.CRC
    crc: int

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return self.crc.to_bytes(4, "little")

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(len(payload) == 4, cls.kind, "4 bytes", f"{len(payload)}")
        return cls(int.from_bytes(payload, "little"))


@dataclass(frozen=True)
class Failure:
    """A request was not obeyed: nothing has changed, but for the core that a watchdog reset.

    Members
    -------
    code : FailureCode
    expected : sequence number that the device expects next.
    """

    kind: ClassVar[Kind] = Kind.ERROR
    code: FailureCode
    expected: int

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return bytes((self.code, self.expected))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        known = len(payload) == 2 and payload[0] in FailureCode.__members__.values()
        require(known, cls.kind, "2 bytes, the first a known code", payload[:8].hex() or "nothing")
        return cls(FailureCode(payload[0]), payload[1])


@dataclass(frozen=True)
class Statistics:
    """What happened on the device.

    Members
    -------
    cycles : clock cycles of the last sample, from its first frame's turn to its result's last byte; of a sample of
        several frames the waiting for them counts.
    events : events of the last sample at the core's input, its end mark not counted. While a sample is under way, both
        are those of what there is of it.
    samples : answered since the last reset.
    damaged, cut, crowded : frames dropped since the last reset, see `frames.Losses`.
    """

    kind: ClassVar[Kind] = Kind.COUNTS
    FORMAT: ClassVar[struct.Struct] = struct.Struct("<IIIHHH")
    cycles: int = 0
    events: int = 0
    samples: int = 0
    damaged: int = 0
    cut: int = 0
    crowded: int = 0

    def payload(self) -> bytes:
        """Bytes behind the header."""
        return self.FORMAT.pack(self.cycles, self.events, self.samples, self.damaged, self.cut, self.crowded)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        require(len(payload) == cls.FORMAT.size, cls.kind, f"{cls.FORMAT.size} bytes", f"{len(payload)}")
        return cls(*cls.FORMAT.unpack(payload))
