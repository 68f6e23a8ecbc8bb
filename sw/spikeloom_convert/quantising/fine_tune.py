"""A short fine-tune: weights, biases and steps follow the trained model's own logits, without labels.

Where trains are short, codes have few levels, and weights that were trained without these can do better. Activations
are rounded to the levels on the way forward; gradients pass the rounding (straight through), and reach the steps too.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from spikeloom.geometry import Diagonal
from torch import nn

from ..float_network import INPUT, FloatLayer, FloatNetwork, connect
from ..response import Levels
from .calibrate import least_squares

BATCH = 100
_LEARNING_RATE = 5e-4
_STEP_RATE = 3.0  # of steps, which are learned as logarithms, times that of the weights
_SPREAD = 1.0  # of squared errors over the variance of the logits, beside the divergence of the answers
_SEARCHED = 500  # samples that the first steps are found on
_RATIOS = torch.logspace(-1.0, 0.01, 40)
Samples = Callable[[torch.Tensor], torch.Tensor]  # from numbers of samples to samples [N, C, H, W]


def fine_tuned(
    network: FloatNetwork,
    tops: dict[str, int],
    samples: Samples,
    count: int,
    *,
    epochs: int,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> FloatNetwork:
    """A float network whose activations have levels, and whose weights go with them.

    Parameters
    ----------
    network : FloatNetwork
    tops : largest code of every layer that fires, by name.
    samples : gives the samples of some numbers, as the network's input codes stand for them.
    count : of samples there are.
    epochs : passes over them.
    seed : of their order.
    advance : called after every batch of `BATCH` samples.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tuned = _Tuned(network, tops, samples(torch.arange(min(count, _SEARCHED))))
        optimiser = torch.optim.Adam([{"params": [*tuned.weights, *tuned.biases]}, {"params": list(tuned.steps)}])
        generator = torch.Generator().manual_seed(seed)
        total, done = epochs * -(-count // BATCH), 0
        for _ in range(epochs):
            for numbers in torch.randperm(count, generator=generator).split(BATCH):
                x = samples(numbers)
                with torch.no_grad():
                    wanted = network.forward(x)
                rate = 0.5 * _LEARNING_RATE * (1 + np.cos(np.pi * done / total))
                for group, factor in zip(optimiser.param_groups, (1.0, _STEP_RATE), strict=True):
                    group["lr"] = rate * factor
                optimiser.zero_grad(set_to_none=True)
                torch.stack([_distance(*pair) for pair in zip(tuned(x), wanted, strict=True)]).sum().backward()
                optimiser.step()
                done += 1
                advance()
    return tuned.network()


def _distance(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    answers = nn.functional.kl_div(given.log_softmax(1), wanted.log_softmax(1), reduction="batchmean", log_target=True)
    return answers + _SPREAD * (given - wanted).square().mean() / wanted.var().clamp(min=1e-12)


class _Tuned(nn.Module):
    """A float network with levels, its weights, biases and steps as parameters."""

    def __init__(self, network: FloatNetwork, tops: dict[str, int], x: torch.Tensor) -> None:
        super().__init__()
        self.given, self.tops = network, tops
        self.connections = [
            [torch.from_numpy(item.weights / item.geometry.summed).float() for item in layer.incoming]
            for layer in network.layers
        ]
        for layer, own in zip(network.layers, self.connections, strict=True):
            for number, item in enumerate(layer.incoming):
                if not isinstance(item.geometry, Diagonal):  # a residual addition stays one
                    own[number] = nn.Parameter(own[number])
        self.weights = nn.ParameterList(
            item for own in self.connections for item in own if isinstance(item, nn.Parameter)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(layer.shape[0], 1, 1)) for layer in network.layers)
        steps = {
            layer.name: _step(layer, layer.activate(drive), tops[layer.name])
            for layer, drive in network.walk(x)
            if layer.fires
        }
        self.steps = nn.ParameterList(nn.Parameter(torch.stack(pair).log()) for pair in steps.values())
        self.by_name = dict(zip(steps, self.steps, strict=True))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Outputs [N, outputs] in the model's order."""
        values, outputs = {INPUT: x}, {}
        for layer, own, more in zip(self.given.layers, self.connections, self.biases, strict=True):
            u = torch.from_numpy(layer.bias).float() + more
            for item, weights in zip(layer.incoming, own, strict=True):
                u = u + connect(item.geometry, weights, values[item.source], layer.shape[0])
            if not layer.fires:
                outputs[layer.name] = u.flatten(1)
                continue
            step, worth = self.by_name[layer.name].exp().reshape(2, -1, 1, 1)
            codes = (u / step).clamp(0.0, self.tops[layer.name])
            values[layer.name] = (codes + (codes.round() - codes).detach()) * worth
        return [outputs[name] for name in self.given.readouts]

    def network(self) -> FloatNetwork:
        """The float network as it is now."""
        layers = []
        for layer, own, more in zip(self.given.layers, self.connections, self.biases, strict=True):
            incoming = tuple(
                replace(item, weights=weights.detach().double().numpy() * item.geometry.summed)
                if isinstance(weights, nn.Parameter)
                else item
                for item, weights in zip(layer.incoming, own, strict=True)
            )
            response = layer.response
            if layer.fires:
                step, worth = self.by_name[layer.name].detach().double().exp().tolist()
                response = Levels(tuple(step), tuple(worth), self.tops[layer.name])
            bias = layer.bias + more.detach().double().numpy()
            layers.append(replace(layer, incoming=incoming, bias=bias, response=response))
        return replace(self.given, layers=tuple(layers))


def _step(layer: FloatLayer, activations: torch.Tensor, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Step and worth of every channel, [C], of least squared error of the activations [N, C, H, W]."""
    values = activations.transpose(0, 1).flatten(1)
    reach = values.amax(1)
    reach = torch.where(reach > 0, reach, float(reach.max()) or 1.0)
    best, least = reach / top, torch.full_like(reach, torch.inf)
    for ratio in _RATIOS.tolist():
        step = (reach * ratio / top)[:, None]
        error = (values - step * (values / step).round().clamp(0, top)).square().mean(1)
        best = torch.where(error < least, step[:, 0], best)
        least = torch.minimum(error, least)
    sent = (values / best[:, None]).round().clamp(0, top)
    return best, least_squares(sent.double(), values.double(), best.double()).float()
