"""A device in software: bytes in, bytes out, as the gates answer them; what they are compared with, and a board to try.

It takes no time: a frame is answered before the next one begins, so that its queue is never full.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..encoding import event_counts
from ..network import Network
from .bodies import SEQUENCES, VERSION, Reply, Request, header, pack, unpack
from .frames import HEADER_BYTES, TIMEOUT_S, Framer, Loss, Losses, frame
from .identity import Identity
from .messages import (
    FIRST_REPLY,
    Ack,
    Checksum,
    Failure,
    FailureCode,
    GetChecksum,
    GetStatistics,
    Kind,
    Load,
    MalformedMessage,
    Read,
    Reset,
    Result,
    Sample,
    Statistics,
)


@dataclass(frozen=True)
class Inference:
    """What a core makes of a sample: `potentials` of all readouts, the `classes`, its `events` and `cycles`."""

    potentials: tuple[int, ...]
    classes: tuple[int, ...]
    events: int = 0
    cycles: int = 0


class Memories(Protocol):
    """Memories that can be loaded."""

    def load(self, memory: int, address: int, data: bytes) -> bool:
        """Write; whether there is such a memory and address."""

    def checksum(self, memory: int) -> int | None:
        """CRC-32 of a memory's bytes; None: there is none."""


class Device:
    """The other end of the link.

    Parameters
    ----------
    identity : Identity
    infer : what the core makes of the codes int64 [neurons] of a sample; None: it hangs, and the watchdog bites.
    memories : Memories; None: this build has none that can be loaded.
    timeout_s : silence that ends a frame, in seconds.

    Members
    -------
    statistics : Statistics, as the device would tell them.
    expected : sequence number of the next request; None: no session is open.
    """

    def __init__(
        self,
        identity: Identity,
        infer: Callable[[np.ndarray], Inference | None],
        *,
        memories: Memories | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.identity, self.infer, self.memories = identity, infer, memories
        self._framer = Framer(identity.frame_bytes, timeout_s)
        self._counts = Statistics()
        self.expected: int | None = None
        self._sample = bytearray()
        self._result: bytes | None = None

    @property
    def statistics(self) -> Statistics:
        """As the device would tell them."""
        losses = self._framer.losses
        return replace(self._counts, damaged=losses.damaged, cut=losses.cut, crowded=losses.crowded)

    def receive(self, data: bytes) -> bytes:
        """Bytes from the host; returns those that go back."""
        return b"".join(self._answer(body) for body in self._framer.feed(data))

    def line_error(self) -> None:
        """A framing error, or a break, on the line from the host."""
        self._framer.line_error()

    def wait(self, seconds: float) -> None:
        """Silence on the line from the host."""
        self._framer.wait(seconds)

    def _answer(self, body: bytes) -> bytes:
        version, kind, sequence = header(body)
        if kind >= FIRST_REPLY:  # an echo of our own, or another device: replies are not answered
            self._framer.count(Loss.DAMAGED)
            return b""
        reply = self._reply(version, kind, sequence, body)
        if isinstance(reply, FailureCode):
            expected = sequence if self.expected is None else self.expected
            reply = Failure(reply, expected)
        return frame(pack(reply, sequence))

    def _reply(self, version: int, kind: int, sequence: int, body: bytes) -> Reply | FailureCode:
        if version != VERSION:
            return FailureCode.VERSION
        if kind == Kind.IDENTIFY and len(body) == HEADER_BYTES:
            self.expected = (sequence + 1) % SEQUENCES
            self._clear()
            return self.identity
        if self.expected is None:
            return FailureCode.CLOSED
        if sequence != self.expected:
            return FailureCode.SEQUENCE
        self.expected = (sequence + 1) % SEQUENCES
        if kind not in Kind.__members__.values():
            return FailureCode.KIND
        if kind in (Kind.LOAD, Kind.CHECKSUM) and self.memories is None:
            return FailureCode.UNSUPPORTED
        try:
            request, _ = unpack(body)
        except MalformedMessage:
            return FailureCode.LENGTH
        return self._obey(request)

    def _obey(self, request: Request | Reply) -> Reply | FailureCode:
        match request:
            case Sample(data):
                return self._take(data)
            case Read(offset):
                return self._read(offset) if offset < self.identity.result_bytes else FailureCode.LENGTH
            case GetStatistics():
                return self.statistics
            case Reset():
                self._clear()
                self._counts, self._framer.losses = Statistics(), Losses()
                return Ack()
            case Load() | GetChecksum() if self._sample:
                return FailureCode.BUSY
            case Load(memory, address, data) if self.memories:
                return Ack() if self.memories.load(memory, address, data) else FailureCode.UNSUPPORTED
            case GetChecksum(memory) if self.memories:
                crc = self.memories.checksum(memory)
                return FailureCode.UNSUPPORTED if crc is None else Checksum(crc)
        return FailureCode.LENGTH

    def _take(self, data: bytes) -> Reply | FailureCode:
        if not data or len(self._sample) + len(data) > self.identity.sample_bytes:
            return FailureCode.LENGTH
        self._sample += data
        if len(self._sample) < self.identity.sample_bytes:
            return Ack()
        codes = self.identity.unpack_codes(bytes(self._sample))
        self._clear()
        inference = self.infer(codes)
        if inference is None:
            return FailureCode.WATCHDOG
        counts = self._counts
        self._counts = replace(
            counts, cycles=inference.cycles, events=inference.events, samples=(counts.samples + 1) & 0xFFFFFFFF
        )
        self._result = self.identity.pack_result(inference.potentials, inference.classes)
        return self._read(0)

    def _read(self, offset: int) -> Reply | FailureCode:
        if self._result is None:
            return FailureCode.NO_RESULT
        return Result(self._result[offset : offset + self.identity.frame_bytes])

    def _clear(self) -> None:
        """As the core after a reset: no sample, no result."""
        self._sample.clear()
        self._result = None


def golden_inference(network: Network, readouts: Sequence[str] = ()) -> Callable[[np.ndarray], Inference]:
    """The golden model as a core: what a network makes of the codes of its input, int64 [neurons].

    Parameters
    ----------
    network : Network
    readouts : names of the readout populations as the gates send them, `readout.populations` of a build's manifest;
        none: as the network has them.
    """
    from .. import golden  # on first use: it brings PyTorch

    source, sides = network.inputs[0], readouts or [item.population for item in network.readouts]

    def infer(codes: np.ndarray) -> Inference:
        levels = 1 << source.timesteps
        values = codes.reshape(1, *source.shape) / levels
        # the middle of a level, so that encoding comes back to the code
        x = values * source.high if source.signed else source.low + (values + 0.5 / levels) * (source.high - source.low)
        answers = golden.evaluate(network, x)
        parts = [answers[name][0] for name in sides] if isinstance(answers, dict) else [answers[0]]
        return Inference(
            tuple(int(value) for part in parts for value in part),
            tuple(int(part.argmax()) for part in parts),
            events=int(event_counts(codes, source.code).sum()),
        )

    return infer
