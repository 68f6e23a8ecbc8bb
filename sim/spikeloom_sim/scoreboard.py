"""Compares what the gates said with the golden model, integer by integer, and names the first that differs."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from spikeloom import Trace
from spikeloom.trace import first_divergence, mismatches

from .capture import Capture
from .collect import Fault, Observation, collect
from .design import Design
from .vectors import Expected


@dataclass(frozen=True)
class Verdict:
    """`mismatches` integers that differ, faults included; `first` a sentence that names the first, or None."""

    mismatches: int
    first: str | None


def judge(design: Design, expected: Expected, capture: Capture) -> Verdict:
    """Compare a capture with the golden model; a run that was cut off counts as one mismatch more."""
    samples = len(expected.classes)
    if capture.fault is None:
        return compare(design, expected, collect(design, capture, samples))
    complete = min(samples, len(capture.beats["o_class"].words) // len(design.readouts))
    verdict = compare(design, _head(expected, complete), collect(design, capture, complete, cut=True))
    hang = f"sample {complete}: {capture.fault} ({_progress(design, capture, samples)})"
    return Verdict(verdict.mismatches + 1, verdict.first or hang)


def compare(design: Design, expected: Expected, got: Observation) -> Verdict:
    """Compare traces, potentials at the port and classes."""
    wrong = got.potentials != expected.potentials
    wrong_class = got.classes != expected.classes
    count = mismatches(expected.trace, got.trace) + int(wrong.sum()) + int(wrong_class.sum()) + len(got.faults)
    if count == 0:
        return Verdict(0, None)
    faults, rank = list(got.faults), len(design.layers)
    for n, output in np.argwhere(wrong)[:1]:
        have, want = got.potentials[n, output], expected.potentials[n, output]
        faults.append(Fault(int(n), rank, f"sample {n}, port 'o', output {output}: expected {want}, got {have}"))
    for n, readout in np.argwhere(wrong_class)[:1]:
        have, want = got.classes[n, readout], expected.classes[n, readout]
        faults.append(Fault(int(n), rank + 1, f"sample {n}, port 'o_class': expected {want}, got {have}"))
    return Verdict(count, _first(design, expected.trace, got.trace, sorted(faults)))


def _first(design: Design, expected: Trace, got: Trace, faults: list[Fault]) -> str | None:
    """The earliest of a trace's divergence and the faults: by sample, then along the chain."""
    if not faults:
        return first_divergence(expected, got)
    fault = faults[0]
    names = [layer.population for layer in design.layers]
    upstream = names[: fault.rank]
    for samples, kept in ((fault.sample, names), (fault.sample + 1, upstream)):
        found = first_divergence(cut(expected, samples), cut(got, samples, kept)) if kept else None
        if found:
            return found
    return fault.text


def cut(trace: Trace, samples: int, names: Collection[str] | None = None) -> Trace:
    """The first samples of a trace, of some populations or all."""
    return Trace(
        *(
            {name: array[:samples] for name, array in getattr(trace, kind).items() if names is None or name in names}
            for kind in ("spikes", "accumulated", "remainder")
        )
    )


def _head(expected: Expected, samples: int) -> Expected:
    return Expected(cut(expected.trace, samples), expected.potentials[:samples], expected.classes[:samples])


def _progress(design: Design, capture: Capture, samples: int) -> str:
    """How far the samples came, core by core."""
    sent = design.ports["i"].field(capture.beats["i"].words, "end")
    trains = max(design.network.inputs[0].sequence, 1)
    parts = [f"of {samples} samples the input took {int((sent != 0).sum()) // trains}"]
    for core in design.cores:
        swaps = len(capture.swaps[core.name].cycles)
        text = f"'{core.title}' accumulated {_turns(swaps, len(core.visits))}"
        if core.spike:
            closed = int((core.spike.field(capture.beats[core.name].words, "end") != 0).sum())
            text += f" and closed {_turns(closed, len(core.sends))}"
        parts.append(text)
    return "; ".join(parts)


def _turns(count: int, layers: int) -> str:
    """A number of samples, and of layers of the next one."""
    samples, more = divmod(count, layers)
    return f"{samples} and {more} of {layers} layers" if more else f"{samples}"
