"""What a network costs and how well it does: accuracy, synaptic operations, spikes, images per second."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from .datasets import require_classes
from .encoding import samples_of
from .errors import InvalidData
from .golden import forward
from .golden.synapses import race
from .golden.values import Activity
from .network import Connection, Network
from .neuron import Neuron
from .trace import Trace


@dataclass(frozen=True)
class Measurement:
    """Means over `samples` samples; `accuracy` None without labels; `images_per_second` wall clock of all of it.

    `spikes` events a sample by input or population, `sops` synaptic operations a sample by connection.
    """

    samples: int
    accuracy: float | None
    sops_per_inference: float
    spikes_per_neuron: float
    images_per_second: float
    spikes: dict[str, float]
    sops: dict[str, float]


def fan_out(network: Network, connection: Connection) -> np.ndarray:
    """SOPs that one event costs, int64 of the shape that `geometry.heard` says: positions that land only."""
    source, target = network.source(connection.source), network.source(connection.target)
    return connection.geometry.fan_out(source.shape, target.shape)


def sops(network: Network, trace: Trace) -> dict[str, np.ndarray]:
    """Synaptic operations of every connection for each sample of a trace: name -> int64 [N]."""
    network.require_built()
    counts = {name: np.count_nonzero(train, 1) for name, train in trace.spikes.items()}
    result = {}
    for item in network.connections:
        count = counts[item.source]
        if (windows := item.geometry.max_windows) is not None:
            count = np.count_nonzero(race(torch.from_numpy(trace.spikes[item.source]), windows).numpy(), 1)
        result[item.name] = (count * fan_out(network, item)).sum((1, 2, 3))
    return result


def measure(
    network: Network,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Run samples through the value-domain golden model and measure.

    Parameters
    ----------
    network : Network
    x : samples as `spikeloom.encoding.encode` takes them.
    y : labels [N], or None.
    progress : called with samples done and samples in all.

    Raises
    ------
    InvalidData
        No samples, or labels that do not match them or the outputs.
    NotBuilt
        As `spikeloom.golden.run`.
    """
    network.require_built()
    source = network.inputs[0]
    x, labels = samples_of(source, x), None if y is None else np.asarray(y)
    if len(x) == 0:
        raise InvalidData("Data: must have at least one sample, not none")
    if labels is not None and (labels.shape != (len(x),) or labels.dtype.kind not in "iu"):
        raise InvalidData(f"Labels: must be {len(x)} integers, one a sample, not {labels.dtype} {labels.shape}")
    if labels is not None:
        require_classes(labels, network.source(network.readouts[0].population).shape)
    firing = [item for item in network.populations if isinstance(item.neuron, Neuron)]
    trains = {name: network.train(name)[0] for name in (source.name, *(item.name for item in firing))}
    spikes = dict.fromkeys(trains, 0.0)
    work = {connection.name: 0.0 for connection in network.connections}
    fans = {item.name: torch.from_numpy(fan_out(network, item).astype(np.float64)) for item in network.connections}
    count = partial(_counted, network, trains, fans)
    right, started = 0, time.perf_counter()
    for part, sent, done, answers in forward(network, x, count):
        for name in spikes:
            spikes[name] += sent[name]
        for name in work:
            work[name] += done[name]
        if labels is not None:
            right += int((answers == labels[part]).sum())
        if progress:
            progress(part.stop, len(x))
    busy = time.perf_counter() - started
    neurons = sum(int(np.prod(item.shape)) for item in firing)
    return Measurement(
        samples=len(x),
        accuracy=None if labels is None else right / len(x),
        sops_per_inference=sum(work.values()) / len(x),
        spikes_per_neuron=sum(spikes[item.name] for item in firing) / max(neurons, 1) / len(x),
        images_per_second=len(x) / busy,
        spikes={name: count / len(x) for name, count in spikes.items()},
        sops={name: count / len(x) for name, count in work.items()},
    )


def _counted(
    network: Network,
    trains: Mapping[str, float],
    fans: Mapping[str, torch.Tensor],
    part: slice,
    activities: dict[str, Activity],
) -> tuple[slice, dict[str, float], dict[str, float], np.ndarray]:
    """Of a chunk: its samples, spikes by train, SOPs by connection, and classes."""
    totals = {
        name: activities[name].spike_counts(growth).sum(0, dtype=torch.float64) for name, growth in trains.items()
    }
    work = {}
    for connection in network.connections:
        heard = totals[connection.source]
        if (windows := connection.geometry.max_windows) is not None:
            winners = activities[connection.source].pooled(windows)
            heard = winners.spike_counts(trains[connection.source]).sum(0, dtype=torch.float64)
        work[connection.name] = float((heard * fans[connection.name]).sum())
    potential = activities[network.readouts[0].population].potential
    assert potential is not None
    return (
        part,
        {name: float(total.sum()) for name, total in totals.items()},
        work,
        potential.flatten(1).argmax(1).numpy(),
    )
