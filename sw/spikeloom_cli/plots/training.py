"""The curves of a training: loss and accuracy by epoch, and the epoch that was kept, as a PNG file."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spikeloom.storage import write_whole

from .inference import INK, SPIKE

if TYPE_CHECKING:
    from spikeloom_convert.training.history import Epoch


def draw(path: Path, history: Sequence["Epoch"], kept: int) -> None:
    """Draw the epochs of a training, `kept` (from 1) marked; SpikeloomError where the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    losses.plot(epochs, [epoch.loss for epoch in history], color=INK, label="training", marker=".")
    losses.plot(epochs, [epoch.validation_loss for epoch in history], color=SPIKE, label="validation", marker=".")
    losses.set(title="cross entropy", xlabel="epoch")
    accuracies.plot(epochs, [100 * epoch.accuracy for epoch in history], color=INK, label="model", marker=".")
    measured = [(number, epoch.snn_accuracy) for number, epoch in enumerate(history, 1)]
    spiking = [(number, 100 * value) for number, value in measured if value is not None]
    if spiking:
        accuracies.plot(*zip(*spiking, strict=True), color=SPIKE, label="spiking network", marker=".")
    accuracies.set(title="validation accuracy, %", xlabel="epoch")
    plain = sum(epoch.plain for epoch in history)
    for axes in (losses, accuracies):
        axes.axvline(kept, color=INK, linewidth=0.7, linestyle=":", label=f"kept: epoch {kept}")
        if plain:
            axes.axvspan(0.5, plain + 0.5, color=INK, alpha=0.08, label="plain ReLU")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_whole(path, buffer.getvalue())
