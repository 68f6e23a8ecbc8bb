"""What the golden model reaches on a data set: accuracy, confusion, and accuracy when the readout is read early."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from spikeloom import golden
from spikeloom.datasets import Data
from spikeloom.encoding import samples_of
from spikeloom.measure import Measurement, measure
from spikeloom.network import Network

from .course import accumulation
from .facts import Accuracy, Point

Progress = Callable[[int, int, str], None]
_CHUNK_BYTES = 1 << 26  # of the recordings that are held at once
_WILSON = 1.959964  # standard deviations of 95 %


@dataclass(frozen=True, eq=False)
class Measured:
    """`accuracy` for the page, `measurement` by population and connection, `answers` int64 [N] of the first readout."""

    accuracy: Accuracy
    measurement: Measurement
    answers: np.ndarray


def measured(network: Network, data: Data, progress: Progress) -> Measured:
    """Run all samples of a data set; errors as of `spikeloom.measure.measure`."""
    total = len(data)
    result = measure(network, data.x, data.y, progress=lambda done, _: progress(done, total, "measuring"))
    early = _early_answers(network, data.x, lambda done: progress(done, total, "reading out after each time step"))
    answers, labels = early[-1], data.y
    accuracy = Accuracy(
        data=data.name,
        samples=len(data),
        accuracy=result.accuracy,
        interval=None if result.accuracy is None else wilson(result.accuracy, len(data)),
        confusion=None if labels is None else confusion(labels, answers, outputs_of(network)),
        prefix=()
        if labels is None
        else tuple(Point(step + 1, float((given == labels).mean())) for step, given in enumerate(early)),
        spikes_per_neuron=result.spikes_per_neuron,
        sops=result.sops_per_inference,
        images_per_second=result.images_per_second,
    )
    return Measured(accuracy, result, answers)


def outputs_of(network: Network) -> int:
    """Outputs of the first readout."""
    channels, height, width = network.source(network.readouts[0].population).shape
    return channels * height * width


def _early_answers(network: Network, x: np.ndarray, done: Callable[[int], None]) -> np.ndarray:
    """Classes read out after each time step, int64 [T, N]: the first readout's potential as it stands then."""
    x = samples_of(network.inputs[0], x)
    name = network.readouts[0].population
    names = [item.name for item in network.inputs] + [item.name for item in network.populations]
    neurons = sum(int(np.prod(network.source(item).shape)) for item in names)
    silent = {item.population for item in network.readouts}
    steps = max(network.train(item)[1] for item in names if item not in silent)
    chunk = max(1, _CHUNK_BYTES // (neurons * (steps + 16)))  # spikes, and two potentials
    found = []
    for start in range(0, len(x), chunk):
        trace = golden.run_values(network, x[start : start + chunk])
        potentials = accumulation(network, trace, name)
        found.append(potentials.reshape(*potentials.shape[:2], -1).argmax(2).T)
        done(min(start + chunk, len(x)))
    return np.concatenate(found, 1)


def confusion(labels: np.ndarray, answers: np.ndarray, outputs: int) -> np.ndarray:
    """How often which class was read out for which: int64 [classes, classes], true class first."""
    classes = max(outputs, int(labels.max()) + 1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    return counts


def wilson(share: float, samples: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many samples. Ref: E. B. Wilson, 1927."""
    square = _WILSON**2 / samples
    middle = (share + square / 2) / (1 + square)
    half = _WILSON / (1 + square) * float(np.sqrt(share * (1 - share) / samples + square / (4 * samples)))
    return max(0.0, middle - half), min(1.0, middle + half)
