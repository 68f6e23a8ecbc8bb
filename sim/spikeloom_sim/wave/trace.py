"""Runs some samples once more on a design compiled to record, and writes their waveform and its layouts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from spikeloom.trace import Place, first_place

from ..capture import Capture
from ..collect import collect
from ..compiled import compile_library
from ..design import Design
from ..scoreboard import cut
from ..vectors import Expected, Vectors, expected, vectors
from .files import write
from .layers import SCOPE
from .layout import groups_of, write_gtkw, write_surfer
from .line import CYCLE_NS, Line, line
from .record import Recorder
from .request import Traced, TraceRequest
from .tell import tell

CYCLE_BITS = 64
MARGIN_CYCLES = 4  # before the first sample that is recorded and behind the last


@dataclass(frozen=True, eq=False)
class Run:
    """Samples that went through a design together, and how.

    Parameters
    ----------
    x : in the order in which they were sent.
    numbers : int64 [N], which samples they are.
    seed : of stalls and orders; None: there are none.
    alone : so many were sent one by one.
    sample : position of the first that differs from the golden model; None: none does.
    what : the pass in words.
    """

    x: np.ndarray
    numbers: np.ndarray
    seed: int | None
    alone: int
    sample: int | None
    what: str


def trace(design: Design, request: TraceRequest, run: Run, tell_what: Callable[[str], None]) -> Traced:
    """Record samples of a run, and write the waveform; `tell_what` is called with what is going on.

    Raises
    ------
    SpikeloomError
        A file cannot be written, or there is too much to record.
    ToolError
        Compilation failed.
    """
    first = run.sample or 0
    count = min(request.samples, len(run.x) - first)
    library = compile_library(
        design,
        records=True,
        on_wait=lambda seconds: tell_what(f"compiling for the trace, {seconds:.0f} s"),
    )
    tell_what("recording")
    stimulus = vectors(design, run.x, None if run.seed is None else np.random.default_rng(run.seed))
    want = expected(design, run.x)
    with Recorder(design, library) as model:
        capture = model.run(stimulus, seed=run.seed, alone=run.alone)
        window = _window(design, stimulus, capture, first, count, model.cycle)
    with Recorder(design, library) as model:
        model.record(*window)
        capture = model.run(stimulus, seed=run.seed, alone=run.alone)
        gates = model.lines()
    place = None if run.sample is None else _place(design, want, capture)
    story = tell(design, capture, want, request.neurons, run.numbers.tolist(), place)
    marker = None if place is None else story.cycle_of(place)
    if run.sample is not None and capture.fault is not None and marker is None:
        marker = window[1] - 1  # where it hangs
    lines = [*gates, _cycles(*window), *(found for layer in story.layers for found in layer.lines(*window))]
    number = int(run.numbers[first])
    comment = f"spikeloom simulate --trace; network {design.network.name}, digest {design.manifest['digest']}"
    tell_what(f"writing {request.path}")
    write(request.path, lines, window[1] * CYCLE_NS, comment)
    groups = groups_of(lines, design.manifest["top"], _probes(design))
    write_gtkw(request.gtkw, request.path, groups, window, marker)
    write_surfer(request.surfer, groups, marker)
    return Traced(
        str(request.path), str(request.gtkw), str(request.surfer), run.what, number, count,
        window[0], window[1] - 1, len(lines), marker,
    )  # fmt: skip


def _window(
    design: Design, stimulus: Vectors, capture: Capture, first: int, count: int, stopped: int
) -> tuple[int, int]:
    """Cycles in which the samples are under way; up to where the run stopped if it was cut off."""
    taken, answers = capture.beats["i"].cycles, capture.beats["o_class"].cycles
    start = int(stimulus.stops[first - 1]) if first else 0
    last = (first + count) * len(design.readouts) - 1
    begin = 0 if first == 0 or start >= len(taken) else max(int(taken[start]) - MARGIN_CYCLES, 0)
    end = int(answers[last]) + MARGIN_CYCLES if last < len(answers) else stopped
    return begin, max(end, begin + 1)


def _place(design: Design, want: Expected, capture: Capture) -> Place | None:
    """Where the integers of the gates differ first from the golden model's."""
    samples = len(want.classes)
    if capture.fault is not None:
        samples = min(samples, len(capture.beats["o_class"].words) // len(design.readouts))
    if samples == 0:
        return None
    got = collect(design, capture, samples, cut=capture.fault is not None).trace
    return first_place(cut(want.trace, samples), got)


def _cycles(first: int, stop: int) -> Line:
    return line((SCOPE, "cycle"), CYCLE_BITS, [(cycle, cycle) for cycle in range(first, stop)], first, stop)


def _probes(design: Design) -> dict[str, list[str]]:
    """Full names of the signals that layers come from, by core."""
    top = design.manifest["top"]
    found = {
        "ports": [path for port in design.ports.values() for path in (port.valid, port.ready, port.payload)],
    }
    for core in design.cores:
        spike = (core.spike.valid, core.spike.ready, core.spike.payload) if core.spike else ()
        paths = (core.swap, core.filled, *core.states, core.retire_valid, core.retire_remainder, *spike)
        found[core.name] = [path for path in (*paths, core.visit_valid, core.visited) if path]
    return {name: [f"{top}.{path}" for path in paths] for name, paths in found.items()}
