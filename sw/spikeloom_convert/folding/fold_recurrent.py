"""Fold the operations of a recurrent model into populations: a chain of recurrent layers, their mean, and a readout."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Dense

from ..float_network import INPUT, FloatConnection, FloatLayer, FloatNetwork, population_name
from ..reading.operations import Affine, AverageSteps, Ending, Linear, Operation, Recur, linked

_CHAIN = "which is layers of ThresholdRNN, then MeanOverTime and one Linear"


def is_recurrent(operations: Sequence[Operation]) -> bool:
    """Whether a model has recurrent layers."""
    return any(isinstance(item, Recur) for item in operations)


def fold_recurrent(name: str, operations: Sequence[Operation], outputs: Mapping[str, int]) -> FloatNetwork:
    """Weighted populations of a traced recurrent model; a sample is (T, F), each time step (F, 1, 1).

    The readout hears every time step, and its potential is the sum over all of them: its logits are those of the mean.

    Raises
    ------
    UnsupportedLayer
        Naming the first operation that does not belong to such a chain.
    """
    operations = linked(operations)
    scale, shift = 1.0, 0.0
    layers: list[FloatLayer] = []
    notes: list[str] = []
    steps, values, mean, read = 0, 0, False, False
    for number, item in enumerate(operations):
        expected = f"{item.where}: must not stand here in a recurrent model, {_CHAIN}"
        if item.inputs != (number - 1,):
            raise UnsupportedLayer(f"{item.where}: must hear the layer before it alone in a recurrent model, {_CHAIN}")
        if isinstance(item, Affine) and not layers:
            if (item.scale != item.scale[0]).any() or (item.shift != item.shift[0]).any():
                raise UnsupportedLayer(f"{item.where}: must treat all values alike ahead of a recurrent layer")
            scale, shift = scale * float(item.scale[0]), shift * float(item.scale[0]) + float(item.shift[0])
        elif isinstance(item, Recur) and not mean:
            if not layers:
                steps, values = item.before[-2:]
            layers.append(_layer(item, layers, scale, shift))
            scale, shift = 1.0, 0.0
        elif isinstance(item, AverageSteps) and layers and not mean:
            mean = True
        elif isinstance(item, Linear) and mean and not read:
            read = True
            hears = FloatConnection(layers[-1].name, Dense(), item.weights)
            layers.append(_population(item, layers, hears, item.bias))
        elif isinstance(item, Ending) and read:
            notes.append(f"{item.where} dropped: it keeps the order of the outputs")
        else:
            raise UnsupportedLayer(expected)
    if not read or list(outputs.values()) != [len(operations) - 1]:
        raise UnsupportedLayer(f"Model '{name}': must end with one Linear in a recurrent model, {_CHAIN}")
    return FloatNetwork(name, (values, 1, 1), tuple(layers), (layers[-1].name,), tuple(notes), steps)


def _layer(item: Recur, layers: Sequence[FloatLayer], scale: float, shift: float) -> FloatLayer:
    """A recurrent layer that hears scale * x + shift of the samples, or the layer before it."""
    source = layers[-1].name if layers else INPUT
    bias = item.bias + item.weights.sum(1) * shift
    made = _population(item, layers, FloatConnection(source, Dense(), item.weights * scale), bias)
    lateral = None if item.lateral is None else FloatConnection(made.name, Dense(), item.lateral)
    return replace(made, response=item.response, lateral=lateral)


def _population(item: Operation, layers: Sequence[FloatLayer], hears: FloatConnection, bias: np.ndarray) -> FloatLayer:
    name = population_name(item.path, "recur" if isinstance(item, Recur) else "linear", [each.name for each in layers])
    return FloatLayer(name, item.where, (len(bias), 1, 1), (hears,), bias[:, None, None], None)
