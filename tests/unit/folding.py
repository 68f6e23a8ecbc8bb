"""Fold a model and hold the float network to the model's own outputs."""

import numpy as np
import torch
from convert_models import seeded
from spikeloom import golden
from spikeloom_convert import convert
from spikeloom_convert.float_network import FloatNetwork
from spikeloom_convert.folding.fold import fold
from spikeloom_convert.reading.reader import by_name
from spikeloom_convert.reading.trace import trace
from torch import nn


def folded(model: nn.Module, x: np.ndarray) -> FloatNetwork:
    traced = trace(model, x)
    shape = traced.input_shape or (*x.shape[1:], 1, 1)[:3]
    if traced.input_shape is None and x.ndim == 3:
        shape = (x.shape[1], 1, x.shape[2])
    return fold(traced.name, shape, traced.operations, traced.outputs, samples=x.reshape(-1, *shape))


def same(make, *shape: int, seed: int = 0) -> FloatNetwork:
    """Fold the model, check that both give the same, and return the float network."""
    model = seeded(make, seed) if not isinstance(make, nn.Module) else make
    x = np.random.default_rng(seed).random((6, *shape))
    network = folded(model, x)
    with torch.no_grad():
        outputs = list(by_name(model(torch.from_numpy(x))).values())
    found = network.forward(torch.from_numpy(x.reshape(6, *network.input_shape)))
    for expected, got in zip(outputs, found, strict=True):
        expected = expected.reshape(len(expected), -1)
        assert got.shape == expected.shape
        assert float((got - expected).abs().max()) < 1e-10
    return network


def names(network: FloatNetwork) -> list[str]:
    return [layer.name for layer in network.layers]


def error(model: nn.Module, x: np.ndarray, timesteps: int, method: str = "spikeconverter") -> float:
    """Squared distance of the outputs of 8-bit integers from the model's own, over their variance."""
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    network = convert(model, x, method=method, timesteps=timesteps, weight_bits=8)
    potentials = golden.evaluate(network, x) * network.readouts[0].scale
    return float(((potentials - expected) ** 2).mean() / expected.var())
