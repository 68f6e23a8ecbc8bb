"""What a device says it is: the build it holds, and the sizes of everything that goes over its link."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import InvalidData, NotBuilt
from .messages import Kind, require

MAGIC = b"SPKL"
BYTE_BITS = 8


def bytes_for(bits: int) -> int:
    """Bytes that hold a word of so many bits; at least one."""
    return max(1, -(-bits // BYTE_BITS))


@dataclass(frozen=True)
class Identity:
    """A device and its build; the reply to `Identify`.

    Members
    -------
    build : 64 bits that name the whole build: Verilog, memories and network, see the manifest's `link`.
    frame_bytes : payload of a frame, at most.
    credits : frames that may be unanswered at a time, at least 2.
    neurons : codes of a sample, C*H*W of the input population.
    code_bits, code_signed : width of a code, with the sign where it has one.
    potential_bits, class_bits : widths of what comes back.
    outputs : potentials of each readout, in the order of the manifest's `readout`.
    memories : memories that can be loaded; 0: none.
    clock_hz : clock of the core.
    watchdog_cycles : cycles that a core may go without moving on, after which it is reset.
    """

    kind: ClassVar[Kind] = Kind.IDENTITY
    FORMAT: ClassVar[struct.Struct] = struct.Struct("<4sQHBIBBBBBIIB")
    build: int
    frame_bytes: int
    credits: int
    neurons: int
    code_bits: int
    code_signed: bool
    potential_bits: int
    class_bits: int
    outputs: tuple[int, ...]
    memories: int
    clock_hz: int
    watchdog_cycles: int

    @classmethod
    def of(cls, manifest: Mapping[str, Any], *, clock_hz: int = 0) -> Self:
        """Identity of a build on a board with a clock, from the build's manifest.

        Raises
        ------
        NotBuilt
            Samples are sequences, of which the link has no notion.
        """
        link, readout = manifest["link"], manifest["readout"]
        if link["sequence"]:
            raise NotBuilt(
                f"Link: samples must be one value a neuron, not sequences of {link['sequence']} time steps; "
                f"simulate the build instead"
            )
        return cls(
            build=int(link["build"], 16),
            frame_bytes=link["frame_bytes"],
            credits=link["credits"],
            neurons=link["neurons"],
            code_bits=link["code_bits"],
            code_signed=link["code_signed"],
            potential_bits=readout["potential_bits"],
            class_bits=readout["class_bits"],
            outputs=tuple(readout["outputs"]),
            memories=link["memories"],
            clock_hz=clock_hz,
            watchdog_cycles=link["watchdog_cycles"],
        )

    def payload(self) -> bytes:
        """Bytes behind the header."""
        fixed = self.FORMAT.pack(
            MAGIC, self.build, self.frame_bytes, self.credits, self.neurons, self.code_bits, self.code_signed,
            self.potential_bits, self.class_bits, self.memories, self.clock_hz, self.watchdog_cycles, len(self.outputs),
        )  # fmt: skip
        return fixed + struct.pack(f"<{len(self.outputs)}H", *self.outputs)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message of a payload."""
        size = cls.FORMAT.size
        require(len(payload) >= size, cls.kind, f"{size} bytes or more", f"{len(payload)}")
        magic, *numbers, readouts = cls.FORMAT.unpack(payload[:size])
        require(magic == MAGIC, cls.kind, f"{MAGIC!r} first", f"{magic!r}")
        require(len(payload) == size + 2 * readouts, cls.kind, f"{size + 2 * readouts} bytes", f"{len(payload)}")
        build, frame_bytes, credits, neurons, bits, signed, potential, classes, memories, clock, watchdog = numbers
        sizes = {"frame_bytes": frame_bytes, "credits": credits, "neurons": neurons, "code_bits": bits}
        sizes |= {"potential_bits": potential, "class_bits": classes, "readouts": readouts}
        outputs = struct.unpack(f"<{readouts}H", payload[size:])
        nought = [name for name, value in (sizes | {"outputs": min(outputs, default=1)}).items() if value == 0]
        require(not nought, cls.kind, "without zeros where something is counted", f"0 in {', '.join(nought)}")
        require(signed < 2, cls.kind, "0 or 1 as code_signed", f"{signed}")
        return cls(
            build,
            frame_bytes,
            credits,
            neurons,
            bits,
            bool(signed),
            potential,
            classes,
            outputs,
            memories,
            clock,
            watchdog,
        )

    @property
    def code_bytes(self) -> int:
        """Bytes of a code of the input."""
        return bytes_for(self.code_bits)

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return self.neurons * self.code_bytes

    @property
    def potential_bytes(self) -> int:
        """Bytes of a potential."""
        return bytes_for(self.potential_bits)

    @property
    def class_bytes(self) -> int:
        """Bytes of a class."""
        return bytes_for(self.class_bits)

    @cached_property
    def result_bytes(self) -> int:
        """Bytes of the result of a sample."""
        return sum(self.outputs) * self.potential_bytes + len(self.outputs) * self.class_bytes

    def pack_codes(self, codes: np.ndarray) -> bytes:
        """Bytes of a sample, codes [neurons] in order of address, each little endian and two's complement.

        Raises
        ------
        InvalidData
            Another number of codes, or some that are out of range.
        """
        flat = np.asarray(codes).reshape(-1).astype(np.int64)
        limit = 1 << self.code_bits - self.code_signed
        least = -limit if self.code_signed else 0
        if len(flat) != self.neurons:
            raise InvalidData(f"Sample: must have {self.neurons} codes, not {len(flat)}")
        if bad := int(((flat < least) | (flat >= limit)).sum()):
            raise InvalidData(f"Sample: codes must be in {least}..{limit - 1}, not so {bad} of {len(flat)}")
        return flat.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : self.code_bytes].tobytes()

    def unpack_codes(self, data: bytes) -> np.ndarray:
        """Codes int64 [neurons] of a sample; bits of a byte that are beyond a code do not count."""
        raw = np.frombuffer(data, np.uint8).reshape(self.neurons, self.code_bytes).astype(np.int64)
        codes = (raw << np.arange(0, BYTE_BITS * self.code_bytes, BYTE_BITS)).sum(1) & (1 << self.code_bits) - 1
        return (
            np.where(codes >> self.code_bits - 1 & 1, codes - (1 << self.code_bits), codes)
            if self.code_signed
            else codes
        )

    def pack_result(self, potentials: Sequence[int], classes: Sequence[int]) -> bytes:
        """Bytes of a result: of each readout its potentials in order of address, then its class.

        Potentials are two's complement and sign-extended to whole bytes, classes unsigned, both little endian.
        """
        place, data = 0, bytearray()
        for outputs, index in zip(self.outputs, classes, strict=True):
            for potential in potentials[place : place + outputs]:
                data += int(potential).to_bytes(self.potential_bytes, "little", signed=True)
            data += int(index).to_bytes(self.class_bytes, "little")
            place += outputs
        return bytes(data)

    def unpack_result(self, data: bytes) -> tuple[list[int], list[int]]:
        """Potentials, and the class of each readout; MalformedMessage where the length is another."""
        require(len(data) == self.result_bytes, Kind.RESULT, f"{self.result_bytes} bytes", f"{len(data)}")
        size, place = self.potential_bytes, 0
        potentials, classes = [], []
        for outputs in self.outputs:
            for _ in range(outputs):
                potentials.append(int.from_bytes(data[place : place + size], "little", signed=True))
                place += size
            classes.append(int.from_bytes(data[place : place + self.class_bytes], "little"))
            place += self.class_bytes
        return potentials, classes
