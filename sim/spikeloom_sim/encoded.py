"""A design with the pixel encoder in front, simulated: what pace whole images keep, four pixels a cycle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from spikeloom import NotBuilt, SpikeloomError
from spikeloom.program.program import Program
from spikeloom_hw.build import MANIFEST, NETWORK, VERILOG, describe
from spikeloom_hw.core.chain import Chain
from spikeloom_hw.core.encoder import PIXEL_BITS, PixelEncoder
from spikeloom_hw.core.layouts import pixel_layout
from spikeloom_hw.export import verilog
from spikeloom_hw.manifest import text_of

from .compiled import compile_library
from .cxxrtl import Model
from .design import Design
from .scoreboard import judge
from .timing import Timing, round_trip, timing
from .vectors import Vectors, expected

PIXELS = 4  # in a word
CHAIN = "chain"


class EncodedChain(wiring.Component):
    """The encoder and a chain of cores behind it.

    Parameters
    ----------
    program : Program

    Members
    -------
    i : In(stream), words of pixels, see `PixelEncoder`.
    o, o_class : Out(stream), as of `Chain`.
    """

    def __init__(self, *, program: Program) -> None:
        source = program.network.inputs[0]
        self.program = program
        self.chain = Chain(program=program)
        self.encoder = PixelEncoder(
            neurons=int(np.prod(source.shape)), timesteps=source.timesteps, code=source.code, pixels=PIXELS
        )
        super().__init__(
            {
                "i": In(stream.Signature(pixel_layout(PIXEL_BITS, PIXELS))),
                "o": Out(stream.Signature(self.chain.o.payload.shape())),
                "o_class": Out(stream.Signature(self.chain.o_class.payload.shape())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder, m.submodules.chain = self.encoder, self.chain
        connect(m, flipped(self.i), self.encoder.i)
        connect(m, self.encoder.o, self.chain.i)
        connect(m, self.chain.o, flipped(self.o))
        connect(m, self.chain.o_class, flipped(self.o_class))
        return m


def generate_encoded(program: Program, folder: Path) -> Design:
    """Write the design of a program with the encoder in front into a new folder, and open it as benches do.

    Raises
    ------
    NotBuilt
        An input of sequences: the encoder sends every pixel's train once, for the whole sample.
    """
    if program.network.inputs[0].sequence:
        raise NotBuilt(
            f"Network '{program.network.name}': must take a value a pixel with an encoder in front, not "
            f"{program.network.inputs[0].sequence} time steps of them; simulate it from its events, by `simulate`"
        )
    top = EncodedChain(program=program)
    code, memories = verilog(top, f"network '{program.network.name}' with a pixel encoder in front, for simulation")
    manifest = describe(top.chain, "none", sorted(memories))
    fields = {"pixels": [0, PIXELS * PIXEL_BITS], "end": [PIXELS * PIXEL_BITS, 1]}
    manifest["input"] |= {"width": PIXELS * PIXEL_BITS + 1, "fields": fields}
    for core in manifest["cores"]:
        core["probes"] = _inside(core["probes"], f"{core['name']}.")
    folder.mkdir(parents=True)
    for name, content in {VERILOG: code, **memories, MANIFEST: text_of(manifest)}.items():
        (folder / name).write_text(content)
    program.network.save(folder / NETWORK)
    return Design.load(folder)


def _inside(probes: Any, start: str) -> Any:
    """Paths of a core's probes, as seen from outside of the chain."""
    if isinstance(probes, dict):
        return {name: _inside(value, start) for name, value in probes.items()}
    if isinstance(probes, list):
        return [_inside(value, start) for value in probes]
    return f"{CHAIN}.{probes}" if isinstance(probes, str) and probes.startswith(start) else probes


def pixel_vectors(x: np.ndarray) -> Vectors:
    """Beats of samples uint8 [N, ...]: their pixels by address, `PIXELS` a word, the last word of each marked."""
    words = -(-x[0].size // PIXELS)
    padded = np.zeros((len(x), words * PIXELS), np.uint64)
    padded[:, : x[0].size] = x.reshape(len(x), -1)
    places = np.arange(PIXELS, dtype=np.uint64) * np.uint64(PIXEL_BITS)
    beats = (padded.reshape(len(x), words, PIXELS) << places).sum(2, dtype=np.uint64)
    beats[:, -1] |= np.uint64(1) << np.uint64(PIXELS * PIXEL_BITS)
    return Vectors(beats.reshape(-1), (np.arange(len(x), dtype=np.int64) + 1) * words)


@dataclass(frozen=True)
class EncodedResult:
    """`samples` that went through; `mismatches` integers that differ, and the `first`; the `timing` of all."""

    samples: int
    mismatches: int
    first: str | None
    timing: Timing | None


def simulate_encoded(
    design: Design, x: np.ndarray, *, chunk: int = 500, alone: int = 4, progress: Callable[[int], None] = lambda n: None
) -> EncodedResult:
    """Send images back to back through a design of `generate_encoded`, compiled, and compare every integer.

    Parameters
    ----------
    design : Design
    x : uint8 [N, C, H, W].
    chunk : samples at once.
    alone : samples of the first chunk that are sent one by one, for the latency.
    progress : told about samples done.

    Raises
    ------
    SpikeloomError
        Samples that are no pixels.
    """
    if x.dtype != np.uint8:
        raise SpikeloomError(f"Data: must be uint8, pixels, with an encoder in front, not {x.dtype}")
    mismatches, first, total = 0, None, None
    with Model(design, compile_library(design)) as model:
        for start in range(0, len(x), chunk):
            size = min(chunk, len(x) - start)
            some = 0 if start else min(alone, size)
            samples = x[start + round_trip(design, size, some)]
            stimulus, want = pixel_vectors(samples), expected(design, samples)
            capture = model.run(stimulus, alone=some)
            verdict = judge(design, want, capture)
            mismatches, first = mismatches + verdict.mismatches, first or verdict.first
            if capture.fault is None and verdict.mismatches == 0:
                found = timing(design, stimulus, capture, want.trace, some)
                total = found if total is None else total + found
            progress(start + size)
    return EncodedResult(len(x), mismatches, first, total)
