"""Draws a waveform that was traced: stages, spikes and potentials of each layer over the cycles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .read import Waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SPIKE, POTENTIAL = "#333333", "#c2410c", "#1d4ed8"
STAGES = {"accumulates": "#fde68a", "generates": "#fdba74", "sends": "#fecaca"}
LEAST_PART = 0.12  # of the width, for a text to have room in a band


def draw_waveform(path: str | Path, *, layers: Sequence[str] = (), neurons: int = 4) -> "Figure":
    """Picture of a waveform: for each layer a strip of its stages, and its potentials above its spikes.

    Parameters
    ----------
    path : as `spikeloom simulate --trace` wrote it.
    layers : which; empty: all that have potentials.
    neurons : of each layer, those whose potentials reach furthest from zero.

    Raises
    ------
    SpikeloomError
        The file is no waveform, or has no such layer.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wave = Waveform(path)
    cycles = wave.changes("layers.cycle")[1]
    first, stop = int(cycles[0]), int(cycles[-1]) + 1
    shown = list(layers) or [name for name in wave.layers if wave.neurons(name, "potential")]
    figure = Figure(figsize=(11, 2.1 * len(shown) + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2 * len(shown), 1, sharex=True, squeeze=False, height_ratios=(1, 2.4) * len(shown))[:, 0]
    for place, name in enumerate(shown):
        _stages(rows[2 * place], wave, name, first, stop)
        _potentials(rows[2 * place + 1], wave, name, stop, neurons)
    rows[-1].set_xlabel("cycle")
    rows[-1].set_xlim(first, stop)
    return figure


def _stages(axes: "Axes", wave: Waveform, name: str, first: int, stop: int) -> None:
    """A band for each time that a stage is at a sample."""
    names = [stage for stage in STAGES if f"layers.{name}.{stage}" in wave.names]
    for row, stage in enumerate(names):
        when, samples = wave.changes(f"layers.{name}.{stage}")
        for begin, end, sample in zip(when, [*when[1:], stop], samples, strict=True):
            if sample < 0:
                continue
            axes.broken_barh([(float(begin), float(end - begin))], (row - 0.45, 0.9), color=STAGES[stage])
            if end - begin > LEAST_PART * (stop - first):
                axes.text((begin + end) / 2, row, f"sample {sample}", fontsize=7, color=INK, ha="center", va="center")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(name, loc="left", fontsize=9, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _potentials(axes: "Axes", wave: Waveform, name: str, stop: int, neurons: int) -> None:
    """Potentials as steps, and below them a mark for every spike."""
    found = [wave.changes(path) for path in wave.neurons(name, "potential")]
    furthest = sorted(found, key=lambda change: -int(np.abs(change[1]).max()))[:neurons]
    for when, values in furthest:
        axes.step([*when, stop], [*values, values[-1]], where="post", linewidth=0.9, color=POTENTIAL, alpha=0.7)
    spikes = [when[values != 0] for when, values in map(wave.changes, wave.neurons(name, "spike"))]
    if spikes:
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.25 * (high - low), high)
        times = np.concatenate(spikes)
        axes.vlines(times, 0.02, 0.14, color=SPIKE, linewidth=0.7, transform=axes.get_xaxis_transform())
    axes.set_ylabel("potential", color=POTENTIAL, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
