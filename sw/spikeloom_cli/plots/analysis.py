"""Pictures of an analysis: layers side by side, accuracy against time steps, conversion error against thresholds."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeloom.storage import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from spikeloom_convert.analysis.layers import Analysis
    from spikeloom_convert.analysis.sweep import Sweep

INK, SPIKE, SECOND = "#333333", "#c2410c", "#2563eb"
_LEAST = 1e-7  # of a relative error that a logarithmic axis shows


class Picture:
    """A row of panels that becomes a PNG file.

    Parameters
    ----------
    panels : how many.
    size : in inches, of the whole.
    """

    def __init__(self, panels: int, size: tuple[float, float]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(self._figure)
        self.panels: Sequence[Axes] = self._figure.subplots(1, panels, squeeze=False)[0]

    def content(self) -> bytes:
        """The PNG file's bytes, the same for the same picture."""
        buffer = io.BytesIO()
        self._figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()


def draw_layers(path: Path, analysis: "Analysis") -> None:
    """Errors, effects on the answers, and work of every layer, into a PNG file."""
    from matplotlib.ticker import NullFormatter

    layers = [item for item in analysis.layers if item.effects]
    names, rows = [item.name for item in layers], range(len(layers))
    picture = Picture(4, (16, max(3.2, 0.24 * len(layers) + 1.4)))
    errors, answers, logits, work = picture.panels
    for axes in picture.panels:
        axes.set_yticks(rows, names if axes is errors else [""] * len(names))
        axes.set_ylim(len(layers) - 0.5, -0.5)  # the same in all, whatever a logarithmic axis leaves out
        axes.grid(axis="x", alpha=0.3)
    errors.plot([_logarithmic(item.float_error) for item in layers], rows, "o-", color=SECOND, label="float SNN")
    errors.plot([_logarithmic(item.integer_error) for item in layers], rows, "x-", color=SPIKE, label="integers")
    errors.set(title="squared error against the model", xscale="log", xlabel="relative")
    errors.legend()

    for variant, colour, mark, label in (
        ("alone_rounded", INK, "s", "this layer alone"),
        ("up_to", SECOND, "o-", "float SNN up to here"),
        ("up_to_rounded", SPIKE, "x-", "integers up to here"),
    ):
        effects = [item.effects[variant] for item in layers]
        share = [
            effect.changed / analysis.samples if effect.accuracy is None else effect.accuracy for effect in effects
        ]
        answers.plot([100 * value for value in share], rows, mark, color=colour, label=label)
        logits.plot([_logarithmic(effect.logit_error) for effect in effects], rows, mark, color=colour, label=label)
    if analysis.accuracy_ann is None:
        answers.set(title="answers that change", xlabel="%")
    else:
        answers.axvline(100 * analysis.accuracy_ann, color=INK, linewidth=0.8, linestyle="--", label="model")
        answers.set(title="accuracy", xlabel="%")
    answers.legend()
    logits.set(title="squared error of the outputs", xscale="log", xlabel=f"relative; worst: {analysis.worst_layer}")
    for axes in (errors, logits):
        axes.xaxis.set_minor_formatter(NullFormatter())

    work.barh(rows, [item.sops for item in layers], color=INK, alpha=0.35)
    work.set(title="work", xlabel="SOPs a sample (bars)")
    shares = work.twiny()
    for values, colour, label in (
        ([item.rate for item in layers], SPIKE, "events a neuron and time step"),
        ([item.clipped for item in layers], SECOND, "at the largest code"),
    ):
        told = [(100 * value, row) for value, row in zip(values, rows, strict=True) if value is not None]
        shares.plot([value for value, _ in told], [row for _, row in told], "o", color=colour, label=label)
    shares.set(xlabel="% (marks)")
    shares.legend()
    write_whole(path, picture.content())


def _logarithmic(error: float | None) -> float:
    """An error, or not a number, which is left out, where it is too small for the axis."""
    return error if error is not None and error >= _LEAST else float("nan")


def sweep_picture(found: "Sweep") -> bytes:
    """Accuracy against T and against SOPs, as a PNG file's bytes."""
    picture = Picture(2, (10, 3.8))
    by_time, by_work = picture.panels
    accuracy = [100 * point.accuracy for point in found.points]
    timesteps = [point.timesteps for point in found.points]
    for axes, values, label in (
        (by_time, timesteps, "time steps"),
        (by_work, [point.sops for point in found.points], "SOPs an inference"),
    ):
        axes.plot(values, accuracy, "o-", color=SPIKE, label=found.method)
        axes.axhline(100 * found.accuracy_ann, color=INK, linestyle="--", linewidth=0.9, label="model")
        axes.set(xlabel=label, ylabel="accuracy, %", xscale="log")
        axes.grid(alpha=0.3)
        axes.legend()
    by_time.set_xticks(timesteps, [str(item) for item in timesteps])
    by_time.minorticks_off()
    for point, height in zip(found.points, accuracy, strict=True):
        by_work.annotate(f"T={point.timesteps}", (point.sops, height), textcoords="offset points", xytext=(4, -11))
    by_time.set(title=f"{found.model}, {found.samples} test samples")
    return picture.content()


def conversion_error_picture(result: dict[str, Any]) -> bytes:
    """Both panels of the paper's figure as a PNG file's bytes; Ref: SpikeConverter, Fig. 5."""
    picture = Picture(2, (10, 3.8))
    grid, curve = picture.panels
    rows = next(item for item in result["distributions"] if item["name"] == "uniform")["optima"]
    for steps in sorted({row["timesteps"] for row in rows}):
        own = [row for row in rows if row["timesteps"] == steps]
        grid.plot([row["growth"] for row in own], [row["error"] for row in own], ".-", label=f"T={steps}")
    grid.set(title="(a) least expected error", xlabel="k", ylabel="E|U_in - U_out| / U_max", yscale="log")
    grid.legend(fontsize=7)
    example = result["example"]
    curve.plot(example["ratios"], example["errors"], color=SPIKE)
    best = example["best_ratio"]
    curve.axvline(best, color=INK, linestyle="--", linewidth=0.9, label=f"least at {best:.3f}")
    curve.axvline(example["paper_ratio"], color=SECOND, linestyle=":", label=f"paper: {example['paper_ratio']}")
    curve.set(title=f"(b) T={example['timesteps']}, k={example['growth']}", xlabel="V_th / U_max")
    curve.legend()
    return picture.content()
