"""What is drawn of chosen samples: which samples, which populations, which neurons, and what that leaves out."""

from collections.abc import Sequence

import numpy as np
from spikeloom import golden
from spikeloom.datasets import Data
from spikeloom.encoding import samples_of
from spikeloom.network import Network, Population
from spikeloom.neuron import Neuron
from spikeloom.trace import Trace

from .course import accumulation, generation
from .facts import Course, Raster, Sample

MOST_ROWS, MOST_POPULATIONS, MOST_COURSES, MOST_OUTPUTS = 96, 8, 3, 4
MOST_STEPS = 64  # of a train that is drawn


def chosen(answers: np.ndarray, labels: np.ndarray | None) -> list[tuple[int, str]]:
    """Samples to show and why: the first that is right and the first that is wrong; without labels the first."""
    if labels is None:
        return [(0, "the first sample")]
    found = []
    for right, why in ((True, "the first sample that is read out right"), (False, "the first that is read out wrong")):
        which = np.flatnonzero((answers == labels) == right)
        if len(which):
            found.append((int(which[0]), why))
    return found


def recorded(network: Network, data: Data, index: int, why: str) -> Sample:
    """One sample, by the time-stepped golden model."""
    x = samples_of(network.inputs[0], data.x[index : index + 1])
    trace = golden.run(network, x)
    names = list(trace.spikes)
    shown = spread(names, MOST_POPULATIONS)
    rasters = tuple(_raster(name, trace.spikes[name][0]) for name in shown)
    label = None if data.y is None else int(data.y[index])
    courses = [_course(network, trace, name, label) for name in _worth_following(network)]
    last = trace.accumulated[network.readouts[0].population][0]
    answer = int((last[-1] if network.schedule == "synchronous" else last).reshape(-1).argmax())
    left_out = [f"population {name}" for name in names if name not in shown]
    left_out += [
        f"{item.total - len(item.addresses):,} of the {item.total:,} neurons of {item.population}"
        for item in rasters
        if item.total > len(item.addresses)
    ]
    left_out += [
        f"time steps from {MOST_STEPS + 1} on of {name}" for name in shown if trace.spikes[name].shape[1] > MOST_STEPS
    ]
    return Sample(
        index=index,
        why=why,
        label=label,
        answer=answer,
        image=_image(x[0]),
        rasters=rasters,
        courses=tuple(item for item in courses if item is not None),
        left_out=tuple(left_out),
    )


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most so many of these, the first and the last among them, the others evenly between."""
    picks = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int))
    return [names[pick] for pick in picks]


def _raster(name: str, train: np.ndarray) -> Raster:
    """Of int8 [T, C, H, W]: neurons evenly spread over the addresses where there are too many for all."""
    flat = train.reshape(len(train), -1)
    total = flat.shape[1]
    rows = np.unique(np.linspace(0, total - 1, min(MOST_ROWS, total)).round().astype(int))
    return Raster(name, total, rows, flat[:MOST_STEPS, rows].T, int(np.count_nonzero(flat)), int((flat < 0).sum()))


def _worth_following(network: Network) -> list[str]:
    """Populations whose potentials are drawn: the first that fires, the last that does, and the readout."""
    firing = [item.name for item in network.populations if isinstance(item.neuron, Neuron)]
    return list(dict.fromkeys([*firing[:1], *firing[-1:], network.readouts[0].population]))[-MOST_COURSES:]


def _course(network: Network, trace: Trace, name: str, label: int | None) -> Course | None:
    """Potentials of a few neurons of a population, see `_followed`; None where they take too many steps to be drawn."""
    population = network.source(name)
    assert isinstance(population, Population)
    potentials = accumulation(network, trace, name)[0]
    steps = len(potentials)
    if steps > 4 * MOST_STEPS:
        return None
    flat = potentials.reshape(steps, -1)
    neuron = population.neuron
    picks = _followed(flat[-1]) if isinstance(neuron, Neuron) else _leading(flat[-1], label)
    addresses = np.array(list(picks))
    seen, theta = flat[:, addresses].T, None
    fires: tuple[float, ...] = ()
    if isinstance(neuron, Neuron):
        channels = addresses // (population.shape[1] * population.shape[2])
        theta = neuron.theta[0, channels]
        fires = _firing_heights(neuron, channels)
        if network.schedule != "synchronous":
            seen = np.concatenate([seen, generation(neuron, seen[:, -1], channels)[0]], 1)
    return Course(name, addresses, seen, steps, theta, fires, tuple(picks.values()))


def _firing_heights(neuron: Neuron, channels: np.ndarray) -> tuple[float, ...]:
    """Where neurons of some channels fire, in units of theta, ascending."""
    positive, negative, _ = neuron.thresholds
    both = [positive] if negative is None else [positive, negative]
    return tuple(sorted({float(height) for part in both for height in (part[0] / neuron.theta[0])[channels].round(6)}))


def _followed(ends: np.ndarray) -> dict[int, str]:
    """Neurons from the smallest to the largest potential at the end, and which of these each is."""
    order = np.argsort(ends, kind="stable")
    ranks = {
        0: "smallest",
        len(order) // 2: "middle",
        (3 * len(order)) // 4: "upper quarter",
        len(order) - 1: "largest",
    }
    return {int(order[rank]): name for rank, name in ranks.items()}


def _leading(ends: np.ndarray, label: int | None) -> dict[int, str]:
    """The outputs with the largest potentials at the end, and that of the true class."""
    order = [int(item) for item in np.argsort(-ends, kind="stable")[:MOST_OUTPUTS]]
    if label is not None and label < len(ends) and label not in order:
        order[-1] = label
    names = {order[0]: "read out"} | dict.fromkeys(order[1:], "")
    if label in names:
        names[label] = "read out, right" if label == order[0] else "true class"
    return names


def _image(x: np.ndarray) -> np.ndarray | None:
    """A sample [C, H, W] as a picture, dark to light; None where it has other channels or is a line."""
    if x.ndim != 3 or x.shape[0] not in (1, 3) or min(x.shape[1:]) < 2:
        return None
    values = x.astype(np.float64)
    if x.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        values = (values - low) * (255 / (high - low) if high > low else 0)
    picture = values.round().astype(np.uint8)
    return picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))
