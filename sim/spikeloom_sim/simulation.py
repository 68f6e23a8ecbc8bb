"""Simulate a build on samples and compare every spike, potential and readout with the golden model."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from spikeloom import SpikeloomError
from spikeloom.datasets import require_classes
from spikeloom.encoding import samples_of

from . import cocotb_run
from .capture import Capture, pieces_of
from .compiled import compile_library
from .cxxrtl import Model
from .design import Design
from .scoreboard import judge
from .timing import Timing, round_trip, timing
from .vectors import Vectors, expected, vectors
from .wave import Traced, TraceRequest
from .wave.trace import Run, trace

TRACER = "cxxrtl"
SIMULATORS = (*cocotb_run.SIMULATORS, TRACER)
CHUNK_SAMPLES, CHUNK_BYTES = 500, 1 << 26  # compared at once, at most; bytes of potentials as they are captured
TIMED_SAMPLES = 16  # of the pass without stalls under cocotb
ALONE_SAMPLES = 4  # of a pass without stalls, for the latency
STALLED_SAMPLES = 1000  # at most, of the pass with stalls on the compiled design


class Progress(Protocol):
    """Told how far a simulation is: `done` of `total` samples, and what is going on."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


class Runner(Protocol):
    """Sends samples through a design that was reset; `seed` None: no stalls; see `cocotb_run.run`."""

    def __call__(
        self, stimulus: Vectors, *, seed: int | None, alone: int, on_samples: Callable[[int], None]
    ) -> Capture: ...


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation found; plain values, ready for JSON.

    `mismatches` integers that differ, in all passes, and `first_divergence`, a sentence. `accuracy` of the first
    readout, None without labels. `latency_cycles` of a sample that meets an idle design; `initiation_interval_cycles`
    between samples back to back; `lower_bound_cycles` the mean SOPs over physical lanes of the core with the largest,
    `busiest`; `utilisation` that over the interval; `cycles_by_layer` the mean cycles from swap to swap of each
    population (of all its swaps together); `breakdown` how many cycles a sample each core spends in what (see
    `capture.STATES`), where a design shows it; all None where a pass without stalls has mismatches. `cycles` in all
    passes. `trace` the waveform that was asked for.
    """

    samples: int
    mismatches: int
    accuracy: float | None
    latency_cycles: float | None
    initiation_interval_cycles: float | None
    lower_bound_cycles: float | None
    utilisation: float | None
    simulator: str
    seconds: float
    first_divergence: str | None = None
    busiest: str | None = None
    cycles: int = 0
    cycles_by_layer: dict[str, float] | None = None
    breakdown: dict[str, dict[str, float]] | None = None
    trace: Traced | None = None


def simulate(
    folder: str | Path,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    stalls: bool = True,
    waveform: TraceRequest | None = None,
    progress: Progress | None = None,
) -> SimulationResult:
    """Send samples through a build, back to back, and compare with the golden model bit by bit.

    Under cocotb (verilator, icarus) the first sixteen samples go through without stalls, for the cycles, then all with
    random stalls on all ports and the events of a sample in random order. Compiled (cxxrtl) all go through without
    stalls, then the first thousand with them.

    Parameters
    ----------
    folder : a build.
    x : samples as `spikeloom.encoding.encode` takes them.
    y : labels [N], or None.
    simulator : one of `SIMULATORS`.
    seed : of stalls and orders.
    stalls : False leaves out the second pass; then the first has all samples.
    waveform : to write afterwards: of the first samples without stalls, or where something differs, of the pass in
        which it does first, from that sample on.
    progress : told about samples done.

    Raises
    ------
    SpikeloomError
        No build, not its network, no samples, wrong labels, an unknown simulator, or one that cannot trace.
    ToolError
        A tool is missing or failed; the message names its log.
    """
    started = time.monotonic()
    if simulator not in SIMULATORS:
        raise SpikeloomError(f"Simulator '{simulator}': must be one of {', '.join(SIMULATORS)}")
    if waveform is not None and simulator != TRACER:
        raise SpikeloomError(
            f"Simulator '{simulator}': must be {TRACER} for a trace, since no other records one; choose it, or no trace"
        )
    design = Design.load(folder)
    x = samples_of(design.network.inputs[0], x)
    if len(x) == 0:
        raise SpikeloomError("Data: must have at least one sample, not none")
    if y is not None and len(y) != len(x):
        raise SpikeloomError(f"Data: must have one label a sample, not {len(y)} for {len(x)}")
    if y is not None:
        require_classes(y, design.network.source(design.network.readouts[0].population).shape)
    compiled = simulator == "cxxrtl"
    timed = len(x) if compiled or not stalls else min(len(x), TIMED_SAMPLES)
    stalled = 0 if not stalls else min(len(x), STALLED_SAMPLES) if compiled else len(x)
    session = _Session(design, x, y, seed, timed + stalled, progress)
    with _runner(design, simulator, session.compiling) as runner:
        session.run_pass(runner, timed, stalls=False)
        session.run_pass(runner, stalled, stalls=True)
    traced = (
        None
        if waveform is None
        else trace(design, waveform, session.to_trace(waveform), lambda what: session.tell(0, what))
    )
    return replace(session.result(simulator, time.monotonic() - started), trace=traced)


def chunk_samples(design: Design) -> int:
    """Samples that are captured and compared at once: few where a sample fills large banks many times."""
    sizes = (4 * pieces_of(core.row_bits) * core.memories * core.rows * len(core.visits) for core in design.cores)
    return max(2 * ALONE_SAMPLES, min(CHUNK_SAMPLES, CHUNK_BYTES // sum(sizes)))


@contextmanager
def _runner(design: Design, simulator: str, on_wait: Callable[[float], None]) -> Iterator[Runner]:
    """Compile for a simulator and hand out what runs samples on it."""
    if simulator != "cxxrtl":
        build = cocotb_run.simulator_of(design, simulator, on_wait=on_wait)
        yield partial(cocotb_run.run, design, simulator, build)
        return
    with Model(design, compile_library(design, on_wait=on_wait)) as model:
        yield model.run


def _placed(sentence: str, order: np.ndarray) -> str:
    """A divergence of a chunk that sent samples `order`, with the sample counted from the first of all."""
    numbers = [*order.tolist(), int(order[-1]) + 1]  # something may come after the last one
    return re.sub(r"^sample (\d+)", lambda found: f"sample {numbers[int(found[1])]}", sentence)


def _sample(sentence: str) -> int:
    """The sample that a divergence names, as its chunk counts; 0 where it names none."""
    found = re.match(r"sample (\d+)", sentence)
    return int(found[1]) if found else 0


@dataclass(eq=False)
class _Session:
    """Runs the passes of one simulation and gathers what they find."""

    design: Design
    x: np.ndarray
    y: np.ndarray | None
    seed: int
    total: int
    progress: Progress | None
    done: int = 0
    mismatches: int = 0
    first: str | None = None
    cycles: int = 0
    hangs: bool = False
    timing: Timing | None = None
    classes: np.ndarray | None = None
    failed: Run | None = None

    def compiling(self, seconds: float) -> None:
        """Tell that a compiler is at work."""
        self.tell(0, f"compiling, {seconds:.0f} s")

    def to_trace(self, waveform: TraceRequest) -> Run:
        """What to record: the first run in which something differs, else the first samples without stalls."""
        if self.failed is not None:
            return self.failed
        numbers = np.arange(min(waveform.samples, len(self.x)))
        return Run(self.x[numbers], numbers, None, 0, None, "without stalls")

    def tell(self, samples: int, what: str = "") -> None:
        """Tell how many samples of this chunk are out."""
        if self.progress:
            self.progress(self.done + samples, self.total, what)

    def run_pass(self, runner: Runner, samples: int, *, stalls: bool) -> None:
        """Send the first samples through, chunk by chunk, and compare; a pass after a hang does nothing."""
        classes: list[np.ndarray] = []
        what = "with stalls" if stalls else "without stalls"
        most = chunk_samples(self.design)
        for start in range(0, samples, most):
            if self.hangs:
                return
            size = min(most, samples - start)
            seed = self.seed + start + 1 if stalls else None
            alone = 0 if stalls or start else min(ALONE_SAMPLES, size)
            order = start + (np.arange(size) if stalls else round_trip(self.design, size, alone))
            x = self.x[order]
            stimulus = vectors(self.design, x, np.random.default_rng(seed) if stalls else None)
            want = expected(self.design, x)

            def out(seen: int, alone: int = alone, size: int = size) -> None:
                self.tell(min(max(seen - alone, 0), size), what)

            capture = runner(stimulus, seed=seed, alone=alone, on_samples=out)
            verdict = judge(self.design, want, capture)
            self.mismatches += verdict.mismatches
            self.cycles += capture.cycles
            if verdict.first and not self.first:
                self.first = f"{_placed(verdict.first, order)} ({what}, seed {self.seed})"
                sample = min(_sample(verdict.first), size - 1)
                self.failed = Run(x, order, seed, alone, sample, f"{what}, seed {self.seed}")
            self.hangs = capture.fault is not None
            if not stalls and not self.hangs and verdict.mismatches == 0:
                found = timing(self.design, stimulus, capture, want.trace, alone)
                self.timing = found if self.timing is None else self.timing + found
            first = capture.beats["o_class"].words[:: len(self.design.readouts)]  # readout
            classes.append(first[alone : alone + size].astype(np.int64))
            self.done += size
            self.tell(0, what)
        seen = np.concatenate([*classes, np.zeros(0, np.int64)])
        if len(seen) == len(self.x):
            self.classes = seen

    def result(self, simulator: str, seconds: float) -> SimulationResult:
        """Everything in one value."""
        accuracy = latency = interval = bound = busiest = None
        if self.y is not None and self.classes is not None:
            accuracy = float((self.classes == np.asarray(self.y)).mean())
        if self.timing:
            latency, interval = self.timing.latency_cycles, self.timing.initiation_interval_cycles
            bounds = self.timing.lower_bound_cycles
            if bounds is not None:
                bound, busiest = float(bounds.max()), self.design.cores[int(bounds.argmax())].title
        return SimulationResult(
            samples=len(self.x),
            mismatches=self.mismatches,
            accuracy=accuracy,
            latency_cycles=latency,
            initiation_interval_cycles=interval,
            lower_bound_cycles=bound,
            utilisation=bound / interval if bound is not None and interval else None,
            simulator=simulator,
            seconds=seconds,
            first_divergence=self.first,
            busiest=busiest,
            cycles=self.cycles,
            cycles_by_layer=self.timing.cycles_by_layer(self.design) if self.timing else None,
            breakdown=self.timing.breakdown(self.design) if self.timing else None,
        )
