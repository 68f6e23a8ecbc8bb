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
STAGES = (("accumulates", "#fde68a"), ("generates", "#fdba74"))


def draw_waveform(path: Path, *, layers: Sequence[str] = (), neurons: int = 4) -> "Figure":
    """Picture of a waveform, a row for each layer.

    Parameters
    ----------
    path : as `spikeloom simulate --trace` wrote it.
    layers : which; empty: all that have potentials.
    neurons : of each layer, those whose potentials reach highest or lowest.

    Raises
    ------
    SpikeloomError
        The file is no waveform, or has no such layer.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wave = Waveform(path)
    cycles = wave.changes("layers.cycle")[1]
    shown = list(layers) or [name for name in wave.layers if _neurons(wave, name, "potential")]
    figure = Figure(figsize=(11, 1.7 * len(shown) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, shown, strict=True):
        _row(axes, wave, name, cycles, neurons)
    rows[-1].set_xlabel("cycle")
    rows[-1].set_xlim(int(cycles[0]), int(cycles[-1]) + 1)
    return figure


def _row(axes: "Axes", wave: Waveform, name: str, cycles: np.ndarray, neurons: int) -> None:
    """Stages as bands, potentials as steps, spikes as a rug below them."""
    for height, (stage, colour) in enumerate(STAGES):
        when, sample = wave.changes(f"layers.{name}.{stage}")
        for start, stop, number in zip(when, [*when[1:], cycles[-1] + 1], sample, strict=True):
            if number >= 0:
                low = 1.0 + 0.14 * height
                box = (float(start), float(stop - start))
                axes.broken_barh([box], (low, 0.13), color=colour, transform=axes.get_xaxis_transform(), clip_on=False)
                axes.text(
                    float(start + stop) / 2, low + 0.065, f"{stage} sample {number}", fontsize=7, color=INK,
                    ha="center", va="center", transform=axes.get_xaxis_transform(), clip_on=True,
                )  # fmt: skip
    paths = _neurons(wave, name, "potential")
    reach = [int(np.abs(wave.changes(path)[1]).max()) for path in paths]
    for path in [paths[place] for place in np.argsort(reach)[::-1][:neurons]]:
        when, values = wave.changes(path)
        axes.step(
            [*when, cycles[-1] + 1], [*values, values[-1]], where="post", linewidth=0.9, color=POTENTIAL, alpha=0.7
        )
    times = [when[values != 0] for when, values in map(wave.changes, _neurons(wave, name, "spike"))]
    if times:
        axes.vlines(np.concatenate(times), 0, 0.12, color=SPIKE, linewidth=0.7, transform=axes.get_xaxis_transform())
    axes.set_ylabel(f"{name}\npotential", color=INK, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _neurons(wave: Waveform, layer: str, kind: str) -> list[str]:
    """Names of the potentials, or of the spikes, of a layer."""
    return [name for name in wave.names if name.startswith(f"layers.{layer}.{kind}.")]
