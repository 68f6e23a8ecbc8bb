"""One model converted at several lengths of its trains: accuracy, synaptic operations and energy against T."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spikeloom.energy import Energy, energy, macs
from spikeloom.errors import InvalidNetwork, shown
from spikeloom.measure import measure
from torch import nn

from ..convert import convert
from ..folding.prepare import prepare
from ..methods import METHODS
from ..samples import check


@dataclass(frozen=True)
class SweepPoint:
    """What the conversion with T `timesteps` does on the test samples: means, of one inference."""

    timesteps: int
    accuracy: float
    sops: float
    spikes_per_neuron: float
    energy: Energy
    digest: str


@dataclass(frozen=True)
class Sweep:
    """Conversions by ascending T, and the model they came from; `accuracy_ann` and all points on `samples` samples."""

    model: str
    method: str
    samples: int
    accuracy_ann: float
    points: tuple[SweepPoint, ...]


def sweep(
    model: nn.Module,
    calibration: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    timesteps: Sequence[int],
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Sweep:
    """Convert a model at every T and run the golden model on test samples.

    Parameters
    ----------
    model, calibration : as `convert` takes them.
    x, y : test samples and their labels [N].
    timesteps : all T, each once.
    settings : other keyword arguments of `convert`.
    progress : called with steps done, steps in all, and what is being done.

    Raises
    ------
    InvalidNetwork
        Time steps that the method does not take, before anything is converted.
    UnsupportedLayer, InvalidData, InvalidNetwork, NotBuilt
        As `convert` and `spikeloom.measure.measure`.
    """
    given = dict(settings or {})
    method = str(given.get("method", "spikeconverter"))
    _check_timesteps(timesteps, method)
    tested = check(x, y)
    assert tested.y is not None
    prepared = prepare(model, tested, given.get("mean"), given.get("std"))
    right = (prepared.outputs(tested)[0].argmax(1) == tested.y).mean()
    points = []
    for steps in sorted(timesteps):

        def told(done: int, total: int, what: str = "samples run", steps: int = steps) -> None:
            if progress is not None:
                progress(done, total, f"T={steps}, {what}")

        network = convert(model, calibration, timesteps=steps, progress=told, **given)
        result = measure(network, tested.x, tested.y, progress=told)
        assert result.accuracy is not None
        cost = energy(sum(macs(network).values()), result.sops_per_inference)
        points.append(
            SweepPoint(
                steps, result.accuracy, result.sops_per_inference, result.spikes_per_neuron, cost, network.digest
            )
        )
    return Sweep(prepared.traced.name, method, len(tested), float(right), tuple(points))


def _check_timesteps(timesteps: Sequence[int], method: str) -> None:
    most = METHODS[method]().most_timesteps if method in METHODS else 1
    fine = all(isinstance(item, int) and not isinstance(item, bool) and 1 <= item <= most for item in timesteps)
    if method in METHODS and (not timesteps or not fine or len(set(timesteps)) < len(timesteps)):
        raise InvalidNetwork(
            f"Sweep: timesteps must be different integers in 1..{most} for method {method}, not "
            f"{', '.join(map(shown, timesteps)) or 'none'}"
        )
