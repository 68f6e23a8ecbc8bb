"""What the link of a build is: its identity, its sizes and its patience, from the plan and from the manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from amaranth.utils import ceil_log2
from spikeloom.errors import DoesNotFit
from spikeloom.link import Identity
from spikeloom.link.frames import TIMEOUT_S
from spikeloom.program.extents import core_registers
from spikeloom.program.limits import busy_cycles, silent_cycles
from spikeloom.program.parameters import ParameterMemory, placeholder
from spikeloom.program.program import LEAST_DEPTH, CorePlan, Program

FRAME_BYTES = 256  # payload of a frame: what two frames need is a block RAM of an iCE40
CREDITS = 2
BYTE_BITS = 8
LONGEST_WATCHDOG = 1 << 31
IDENTITY_NUMBER = 255  # above all memories of a core
LONGEST_RESULT = 1 << 16  # that READ reaches


@dataclass(frozen=True)
class LinkSpec:
    """Everything the gates of a link depend on.

    Members
    -------
    identity : Identity, which they tell the host, and whose sizes are theirs.
    code : of the input's train, "plain" or "naf".
    timeout_cycles : silence that ends a frame, a power of two.
    told : contents of the block RAM that the identity is told from, see `to_be_told`; None: the identity is part of the
        gates.

    Raises
    ------
    ValueError
        Sizes and times that are no powers of two.
    DoesNotFit
        More outputs or readouts than the link can tell of.
    """

    identity: Identity
    code: str
    timeout_cycles: int
    told: bytes | None = None

    def __post_init__(self) -> None:
        sizes = {name: getattr(self.identity, name) for name in ("frame_bytes", "credits", "watchdog_cycles")}
        for name, value in (sizes | {"timeout_cycles": self.timeout_cycles}).items():
            if value < 2 or value & (value - 1):
                raise ValueError(f"Link: {name} must be a power of two of at least 2, not {value!r}")
        results, readouts = self.identity.result_bytes, len(self.identity.outputs)
        if results > LONGEST_RESULT:
            raise DoesNotFit(
                f"Link: results must have at most {LONGEST_RESULT} bytes, not {results}; use fewer outputs"
            )
        if (needed := len(self.identity.payload())) > self.identity.frame_bytes:
            room = self.identity.frame_bytes
            raise DoesNotFit(
                f"Link: the identity must fit {room} bytes, not need {needed}; use fewer than {readouts} readouts"
            )

    @classmethod
    def of(cls, manifest: Mapping[str, Any], clock_hz: float) -> "LinkSpec":
        """Link of a build on a board with a clock."""
        clock = round(clock_hz)
        timeout_cycles = 1 << max(int(clock * TIMEOUT_S).bit_length() - 1, 1)
        return cls(Identity.of(manifest, clock_hz=clock), manifest["link"]["code"], timeout_cycles)

    @classmethod
    def to_be_told(cls, manifest: Mapping[str, Any], clock_hz: float, *, later: bool) -> "LinkSpec":
        """The same as a design is placed with: where parameters may change, the identity is told from a block RAM.

        `later`: it is put there when the design was placed, and bits that hold its place are there before.
        """
        spec = cls.of(manifest, clock_hz)
        if manifest["contents"] == "fixed":
            return spec
        rows = placeholder(identity_memory(spec.identity)) if later else identity_rows(spec.identity)
        return replace(spec, told=np.packbits(rows, axis=1, bitorder="little").tobytes())

    @property
    def timesteps(self) -> int:
        """T of the input's train."""
        return self.identity.code_bits - self.identity.code_signed

    @property
    def digits(self) -> int:
        """Digits of the input's train, and the most events of a code."""
        return self.timesteps + (self.code == "naf")

    @property
    def position_bits(self) -> int:
        """Width of a position in the payload of a frame."""
        return ceil_log2(self.identity.frame_bytes)

    @property
    def length_bits(self) -> int:
        """Width of the length of a payload."""
        return self.identity.frame_bytes.bit_length()


def identity_memory(identity: Identity) -> ParameterMemory:
    """The block RAM that the identity is told from, a byte a row; it is none of the core's, and cannot be loaded."""
    depth = max(len(identity.payload()), LEAST_DEPTH)
    return ParameterMemory(IDENTITY_NUMBER, "identity", depth, BYTE_BITS, (1 << BYTE_BITS) - 1)


def identity_rows(identity: Identity) -> np.ndarray:
    """What it holds, bool [depth, 8]."""
    told = np.frombuffer(identity.payload(), np.uint8)
    rows = np.unpackbits(told[:, None], axis=1, bitorder="little").astype(bool)
    return np.pad(rows, ((0, identity_memory(identity).depth - len(rows)), (0, 0)))


def describe_link(program: Program, *, memories: int = 0) -> dict[str, Any]:
    """The manifest's `link`: what host and device must agree on, see `spikeloom.link.Identity`; `build` comes later.

    `memories` : of the core that can be loaded.
    """
    source = program.network.inputs[0]
    return {
        "frame_bytes": FRAME_BYTES,
        "credits": CREDITS,
        "neurons": prod(source.shape),
        "sequence": source.sequence,
        "code": source.code,
        "code_bits": source.timesteps + source.signed,
        "code_signed": source.signed,
        "memories": memories,
        "watchdog_cycles": watchdog_cycles(program),
    }


def watchdog_cycles(program: Program) -> int:
    """Cycles a design may go without moving on at its ports: more than all events that a sample can have take."""
    network, cores = program.network, program.cores
    busy = sum(busy_cycles(network, core.source, core.layers) for core in cores)
    silent = sum(silent_cycles(network, core.source, core.layers) + reset_cycles(core) for core in cores)
    return min(1 << (2000 + 4 * silent + busy).bit_length(), LONGEST_WATCHDOG)


def reset_cycles(plan: CorePlan) -> int:
    """Cycles in which a core clears its banks after a reset."""
    return 1 if core_registers(plan) else 2 * plan.rows + 4
