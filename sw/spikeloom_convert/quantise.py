"""From floats to the integer line: every layer in order, on the codes that the quantised layers before it give."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from spikeloom.network import Connection, Input, Network, Population, Provenance, Readout
from spikeloom.neuron import largest_code

from .float_network import FloatNetwork
from .quantise_layer import Settings, Train, quantise_layer


def quantise(
    network: FloatNetwork,
    source: Input,
    codes: np.ndarray,
    drives: Sequence[torch.Tensor],
    settings: Settings,
    *,
    name: str = "net",
    advance: Callable[[], None] = lambda: None,
) -> Network:
    """The spiking network of a float network; the one place where anything is rounded.

    Parameters
    ----------
    network : FloatNetwork
    source : the input population.
    codes : [N, C, H, W], codes of the calibration samples.
    drives : u of every layer of the float network on the same samples, see `FloatNetwork.drives`.
    settings : Settings
    name : of the network.
    advance : called after every layer.

    Raises
    ------
    InvalidNetwork
        Where no integers of the asked widths stand for the network.
    """
    steps = torch.full((source.shape[0],), source.scale, dtype=torch.float64)
    train = Train(torch.from_numpy(codes), steps, largest_code(source.growth, source.timesteps))
    populations, connections = [], []
    notes = list(network.notes)
    before, scale = source.name, 1.0
    for layer, drive in zip(network.layers, drives, strict=True):
        with torch.no_grad():
            result = quantise_layer(layer, train, drive, settings)
        populations.append(Population(layer.name, layer.shape, result.neuron, result.activity))
        weights = result.weights.numpy().astype(np.int8).reshape(layer.weights.shape)
        connections.append(Connection(layer.name, before, layer.name, layer.geometry, weights, settings.weight_bits))
        notes += result.notes
        before, train, scale = layer.name, result.train, result.scale
        advance()
    provenance = Provenance(model=network.name, notes=tuple(notes))
    readout = Readout(before, scale)
    return Network(name, (source,), tuple(populations), tuple(connections), (readout,), provenance=provenance)
