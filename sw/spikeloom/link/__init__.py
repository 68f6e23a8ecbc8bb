"""The link between a host and a device, in software: frames, messages, and a device that answers as the gates do."""

from .bodies import Message, Reply, Request, pack, unpack
from .device import Device, Inference, golden_inference
from .frames import Framer, Losses, cobs_decode, cobs_encode, frame
from .identity import Identity
from .loads import MemoryLoad, memory_loads
from .messages import (
    Ack,
    Checksum,
    Failure,
    FailureCode,
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

__all__ = [
    "Ack", "Checksum", "Device", "Failure", "FailureCode", "Framer", "GetChecksum", "GetStatistics", "Identify",
    "Identity", "Inference", "Kind", "Load", "Losses", "MalformedMessage", "MemoryLoad", "Message", "Read", "Reply",
    "Request", "Reset", "Result", "Sample", "Statistics", "cobs_decode", "cobs_encode", "frame", "golden_inference",
    "memory_loads", "pack", "unpack",
]  # fmt: skip
