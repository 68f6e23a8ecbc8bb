"""Half a step of rounding: not added, a part of it in every time step, or all of it at the start; layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from spikeloom.datasets import Data
from spikeloom.threads import single_threaded
from spikeloom_convert.convert import spiking_network
from spikeloom_convert.float_network import FloatNetwork
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.methods.optimal_conversion import OptimalConversion
from spikeloom_convert.response import Staircase
from spikeloom_convert.samples import Samples
from spikeloom_convert.spiking import FloatNeuron, SpikingNetwork, averages

from ...output import working
from ..deep import resnet20
from ..nets import Bench
from . import optimal
from .common import at_timesteps, data, trained

TIMESTEPS = (8, 16, 32, 64)
LAYERS_AT = 32  # time steps at which errors are told layer by layer
INTEGERS = (8, 16)  # time steps that are run in integers too
IMAGES = 200  # of the test split: floats step by step
FITTED = 500  # training images that thresholds are taken from; the bound of a threshold ReLU is known
CONVERTED = 64  # training images that the integer networks are converted with
_FRAMES = 64  # images times time steps that are propagated at a time
ADDED = ("nothing", "in every step", "at the start")


@dataclass(frozen=True, eq=False)
class Case:
    """A float network, training and test images as it sees them, and classes."""

    network: FloatNetwork
    fitted: torch.Tensor
    x: torch.Tensor
    labels: np.ndarray

    def spiking(self, added: str, timesteps: int) -> SpikingNetwork:
        """IF neurons with theta/2 `added` somewhere; at the start is what method qcfs does."""
        method = OptimalConversion(shift=added == "in every step")
        made = spiking_network(self.network, self.fitted, method, timesteps)
        if added != "at the start":
            return made
        started = {name: replace(neuron, initial=neuron.theta / 2) for name, neuron in made.neurons.items()}
        return replace(made, neurons=started)

    def right(self, outputs: torch.Tensor) -> float:
        """Part of the images whose class the largest output names."""
        return float((outputs.flatten(1).argmax(1).numpy() == self.labels).mean())


def half_step(bench: Bench) -> dict[str, Any]:
    """Accuracy by where the half step is added, and where the error grows: step by step, in floats."""
    train, test = data(bench, "cifar10")
    test = test.head(min(IMAGES, len(test)))
    # the same as of the benchmark `optimal`
    ours = trained(bench, f"{optimal.NETWORK}:trelu", train, epochs=optimal.EPOCHS, plain_epochs=optimal.PLAIN)
    models = {
        "half-width ResNet-20, threshold ReLU, trained here": ours,
        "ResNet-20, ReLU, somebody else's training": resnet20(bench),
    }
    rows = []
    for label, model in models.items():
        network = prepare(model, Samples(train.x[:32], None), None, None).network
        case = Case(network, seen(network, train.head(FITTED)), seen(network, test), test.labels)
        with single_threaded(), torch.inference_mode():
            rows.append({"label": label, **measured(case, label)})
    integers = at_timesteps(bench, ours, train.head(CONVERTED), test, "qcfs", INTEGERS)
    return {
        "data": f"CIFAR-10, the first {len(test)} test images",
        "seed": bench.seed,
        "epochs": optimal.EPOCHS,
        "layers_at": LAYERS_AT,
        "rows": rows,
        "integers": integers,
    }


def seen(network: FloatNetwork, samples: Data) -> torch.Tensor:
    """Images as the network takes them, float32 [N, C, H, W]."""
    x = Samples(samples.x, None).seen.astype(np.float32)
    return torch.from_numpy(x.reshape(-1, *network.input_shape))


def measured(case: Case, label: str) -> dict[str, Any]:
    """Accuracies by time steps, and the error of every layer at `LAYERS_AT`."""
    curve, layers = [], {}
    (readout,) = case.network.readouts
    for steps in TIMESTEPS:
        row: dict[str, Any] = {"timesteps": steps}
        for added in ADDED:
            with working(f"{label}: half a step {added}, T={steps}"):
                spiking = case.spiking(added, steps)
                found = mean_spikes(spiking, case.x)
            row[added] = case.right(found[readout])
            if steps == LAYERS_AT:
                layers[added] = dict(errors(spiking, found, case.x))
        row["layer by layer"] = case.right(layer_by_layer(spiking).forward(case.x)[0])
        curve.append(row)
    return {"accuracy_ann": case.right(case.network.forward(case.x)[0]), "curve": curve, "errors": layers}


def mean_spikes(spiking: SpikingNetwork, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`averages`, of so few images at a time that a layer's trains stay in the processor's cache."""
    parts = [averages(spiking, part) for part in x.split(max(1, _FRAMES // spiking.timesteps))]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def layer_by_layer(spiking: SpikingNetwork) -> FloatNetwork:
    """The network whose every layer hears averages over all time steps: theta/T clip(floor(T u/theta + 1/2), 0, T).

    Ref: Deng & Gu, Eq. 7, with the shift of Eq. 15.
    """

    def response(neuron: FloatNeuron) -> Staircase:
        return Staircase(float(neuron.theta[0]), spiking.timesteps)

    neurons = spiking.neurons
    layers = (
        replace(item, response=response(neurons[item.name])) if item.fires else item for item in spiking.network.layers
    )
    return replace(spiking.network, layers=tuple(layers))


def errors(spiking: SpikingNetwork, found: dict[str, torch.Tensor], x: torch.Tensor) -> Iterator[tuple[str, float]]:
    """Name of every layer that fires, and how far its spikes are off: root mean square over the activations'."""
    for layer, drive in spiking.network.walk(x):
        if layer.fires:
            exact = layer.activate(drive)
            off = found[layer.name] * float(spiking.neurons[layer.name].worth[0]) - exact
            yield layer.name, float((off.square().sum() / exact.square().sum()).sqrt())
