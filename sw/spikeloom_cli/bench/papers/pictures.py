"""Pictures of what the conversion methods reach, as PNG files."""

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

Result = dict[str, Any]
_MARKS = "osD^vP"


def curves(result: Result) -> bytes:
    """Accuracy of every method against T and against synaptic operations."""
    figure = _figure(11, 4.2)
    by_steps, by_work = figure.subplots(1, 2, sharey=True)
    for mark, row in zip(_MARKS, result["rows"], strict=False):
        accuracy = [item["accuracy"] for item in row["curve"]]
        for axes, key, scale in ((by_steps, "timesteps", 1), (by_work, "sops", 1e-6)):
            axes.plot([scale * item[key] for item in row["curve"]], accuracy, marker=mark, label=row["method"])
    least = min(row["accuracy_ann"] for row in result["rows"])
    by_steps.set(
        xlabel="time steps", ylabel="accuracy", xscale="log", ylim=(least - 0.05, 1.0), title=result["network"]
    )
    by_work.set(xlabel="million synaptic operations an image", xscale="log")
    for axes in (by_steps, by_work):
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.grid(alpha=0.3)
    by_steps.yaxis.set_major_formatter(PercentFormatter(1.0))
    by_work.legend()
    return _png(figure)


def shifts(result: Result) -> bytes:
    """Points lost by optimal conversion against T."""
    figure = _figure(6, 4)
    axes = figure.subplots()
    for mark, row in zip(_MARKS, result["rows"], strict=False):
        steps = [item["timesteps"] for item in row["curve"]]
        axes.plot(steps, [item["loss_points"] for item in row["curve"]], marker=mark, label=row["label"])
    axes.set(xlabel="time steps", ylabel="points lost", xscale="log", title=result["network"])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.grid(alpha=0.3)
    axes.legend()
    return _png(figure)


def noise(result: Result) -> bytes:
    """Accuracy against salt-and-pepper noise, in one time step and over repeats."""
    figure = _figure(11, 4.2)
    once, repeated = figure.subplots(1, 2, sharey=True)
    first = result["rows"][0]["noise"]
    once.plot([row["share"] for row in first], [row["relu"] for row in first], marker="x", label="ReLU")
    for mark, row in zip(_MARKS, result["rows"], strict=False):
        shares = [item["share"] for item in row["noise"]]
        once.plot(shares, [item["snn"] for item in row["noise"]], marker=mark, label=f"SNN, gamma {row['gamma']:g}")
    rows = result["repeats"]["rows"]
    labels = {"relu": "ReLU, all noisy", "kept": "SNN, readout keeps all", "leaky": "SNN, readout leaks"}
    for mark, (key, label) in zip(_MARKS, labels.items(), strict=False):
        repeated.plot([row["share"] for row in rows], [row[key] for row in rows], marker=mark, label=label)
    once.set(xlabel="pixels black or white", ylabel="accuracy", title="one time step")
    repeated.set(
        xlabel="pixels black or white", title=f"{result['repeats']['timesteps']} time steps, one of them noisy"
    )
    for axes in (once, repeated):
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.3)
        axes.legend()
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
