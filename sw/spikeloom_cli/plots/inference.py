"""One picture of a network at work: a sample, the spikes it causes, what is read out, and what is confused."""

import io
from pathlib import Path

import numpy as np
from spikeloom import golden
from spikeloom.network import Network
from spikeloom.storage import write_whole

INK, SPIKE = "#333333", "#c2410c"


def draw(path: Path, network: Network, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the journey of the first sample, and how often which class is taken for which, into a PNG file.

    Parameters
    ----------
    path : of the file; SpikeloomError where it cannot be written.
    network : Network
    x, y : samples [N, C, H, W] and their classes [N].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trace = golden.run(network, x[:1])
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    image, raster, votes, confusion = figure.subplots(1, 4, width_ratios=(1, 2.2, 1.1, 1.4))

    image.imshow(x[0, 0], cmap="gray_r", vmin=0, vmax=255)
    image.set(title=f"a sample of class {y[0]}", xticks=[], yticks=[])

    rows: list[np.ndarray] = []
    for name, spikes in trace.spikes.items():
        flat = spikes[0].reshape(spikes.shape[1], -1).T
        raster.axhline(len(rows) - 0.5, color=INK, linewidth=0.5)
        raster.text(flat.shape[1] - 0.45, len(rows) + len(flat) / 2, name, va="center", color=INK)
        rows += list(flat)
    when = [np.flatnonzero(row) for row in rows]
    raster.eventplot(when, colors=SPIKE, linelengths=1.0, linewidths=6)
    steps = max(len(row) for row in rows)
    raster.set(
        title="spikes (most significant step first)", xlabel="time step", ylabel="neuron", xlim=(-0.5, steps - 0.5)
    )
    raster.set_xticks(range(steps), [str(step + 1) for step in range(steps)])
    raster.set_ylim(len(rows) - 0.5, -0.5)

    readout = network.readouts[0]
    logits = trace.accumulated[readout.population].reshape(-1) * readout.scale
    colours = [SPIKE if index == logits.argmax() else INK for index in range(len(logits))]
    votes.barh(range(len(logits)), logits, color=colours)
    votes.set(title="readout", xlabel="potential x scale", yticks=range(len(logits)))
    votes.invert_yaxis()

    potentials = golden.evaluate(network, x)
    assert isinstance(potentials, np.ndarray)  # one readout
    guesses = potentials.argmax(1)
    counts = np.zeros((len(logits), len(logits)), np.int64)
    np.add.at(counts, (y, guesses), 1)
    confusion.imshow(counts, cmap="Oranges")
    for (truth, guess), count in np.ndenumerate(counts):
        if count:
            shade = "white" if count > counts.max() / 2 else INK
            confusion.text(guess, truth, str(count), ha="center", va="center", fontsize=7, color=shade)
    confusion.set(title=f"{len(x)} test samples", xlabel="read out", ylabel="class")
    confusion.set(xticks=range(len(logits)), yticks=range(len(logits)))

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_whole(path, buffer.getvalue())
