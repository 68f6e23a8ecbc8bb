"""Bodies of frames: header and payload, from and to the messages they say."""

from .frames import HEADER_BYTES
from .identity import Identity
from .messages import (
    Ack,
    Checksum,
    Failure,
    GetChecksum,
    GetStatistics,
    Identify,
    Kind,
    Load,
    MalformedMessage,
    Read,
    Reset,
    Result,
    Sample,
    Statistics,
)

VERSION = 1
SEQUENCES = 256

Request = Identify | Reset | Sample | Read | GetStatistics | Load | GetChecksum
Reply = Ack | Identity | Result | Statistics | Checksum | Failure
Message = Request | Reply

_MESSAGES: dict[int, type[Message]] = {
    kind.kind: kind
    for kind in (
        Identify, Reset, Sample, Read, GetStatistics, Load, GetChecksum,
        Ack, Identity, Result, Statistics, Checksum, Failure,
    )
}  # fmt: skip


def pack(message: Message, sequence: int) -> bytes:
    """Body of a message with a sequence number, 0..255; `frames.frame` makes a frame of it."""
    return bytes((VERSION << 4 | message.kind, sequence)) + message.payload()


def unpack(body: bytes) -> tuple[Message, int]:
    """Message and sequence number of a body; MalformedMessage where it says nothing in this version."""
    version, kind, sequence = header(body)
    if version != VERSION:
        raise MalformedMessage(
            f"Message: version must be {VERSION}, not {version}; host and device are of two releases"
        )
    if kind not in _MESSAGES:
        raise MalformedMessage(f"Message: kind must be one of {', '.join(item.name for item in Kind)}, not {kind}")
    return _MESSAGES[kind].parse(body[HEADER_BYTES:]), sequence


def header(body: bytes) -> tuple[int, int, int]:
    """Version, kind and sequence number of a body, of any version; MalformedMessage where it is too short."""
    if len(body) < HEADER_BYTES:
        raise MalformedMessage(f"Message: must have {HEADER_BYTES} bytes or more, not {len(body)}")
    return body[0] >> 4, body[0] & 15, body[1]
