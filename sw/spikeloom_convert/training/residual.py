"""What a model in training does as a spiking network: its accuracy, and how far its activations are off."""

import copy
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from spikeloom.errors import InvalidNetwork
from torch import nn

from ..convert import spiking_network
from ..float_network import FloatNetwork
from ..folding.prepare import PreparedModel, prepare
from ..methods import Synchronous
from ..reading.operations import Rectify
from ..samples import Samples
from ..spiking import averages

_CHUNK = 200  # samples that are propagated at a time
_FITTED = 256  # samples that thresholds are taken from where the model has none


@dataclass(frozen=True)
class Residual:
    """Of a spiking network in floats, on samples.

    Members
    -------
    accuracy : share of samples whose class its largest output names.
    deviations : by path of the activation function, the standard deviation of the residual error: over all values, of
        the average postsynaptic potential less the model's own activation.
    """

    accuracy: float
    deviations: dict[str, float]


def residual(model: nn.Module, x: np.ndarray, y: np.ndarray, method: Synchronous, timesteps: int) -> Residual:
    """Convert a model with exact weights and see what it does. Ref: residual error as noise, Eq. 5 and section 5.2.

    Parameters
    ----------
    model : as it is in evaluation, without noise; left as it is.
    x, y : samples and classes that the weights were not trained on.
    method : that converts.
    timesteps : tau; of a recurrent model those of its samples.

    Raises
    ------
    UnsupportedLayer, InvalidNetwork, InvalidData
        What conversion says of the model; several outputs.
    """
    # in double precision, else a value at the edge of a quantisation step falls to this side here and to that there
    prepared = prepare(copy.deepcopy(model).double(), Samples(x, y), None, None)
    network = prepared.network
    method.require_accepted(network)
    if len(network.readouts) != 1:
        raise InvalidNetwork(f"Model '{network.name}': must have one output to be trained, not {len(network.readouts)}")
    if network.sequence not in (0, timesteps):
        expected = f"{network.sequence} or left out, the time steps of a sample of this recurrent model"
        raise InvalidNetwork(f"Model '{network.name}': tau must be {expected}, not {timesteps}")
    paths = _paths(prepared)
    spiking = spiking_network(network, _seen(network, x[:_FITTED]), method, timesteps)
    right, sums = 0, {path: np.zeros(3) for path in paths.values()}  # number, sum and sum of squares
    with torch.no_grad():
        for start in range(0, len(x), _CHUNK):
            seen = _seen(network, x[start : start + _CHUNK])
            found = averages(spiking, seen)
            outputs = found[network.readouts[0]].flatten(1)
            right += int((outputs.argmax(1).numpy() == y[start : start + _CHUNK]).sum())
            for layer, drive in network.walk(seen):
                if layer.name in paths:
                    worth = torch.from_numpy(spiking.neurons[layer.name].worth).float().reshape(-1, 1, 1)
                    off = (found[layer.name] * worth - layer.activate(drive)).double()
                    sums[paths[layer.name]] += (off.numel(), float(off.sum()), float((off * off).sum()))
    deviations = {
        path: sqrt(max(0.0, squares / count - (total / count) ** 2)) for path, (count, total, squares) in sums.items()
    }
    return Residual(right / len(x), deviations)


def _paths(prepared: PreparedModel) -> dict[str, str]:
    """Path of the activation function of every population, by name."""
    # fold hands on the very response that it read from the module
    of = {id(item.response): item.path for item in prepared.traced.operations if isinstance(item, Rectify)}
    return {
        layer.name: of[id(layer.response)]
        for layer in prepared.network.layers
        if layer.fires and id(layer.response) in of
    }


def _seen(network: FloatNetwork, x: np.ndarray) -> torch.Tensor:
    """Samples as the network takes them, float32 [N, C, H, W], of a sequence [N, T, C, H, W]."""
    return torch.from_numpy(Samples(x, None).seen.astype(np.float32).reshape(-1, *network.sample_shape))
