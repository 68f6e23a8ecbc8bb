"""From floats to the integer line: every layer in order, on the codes that the quantised layers before it give."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from spikeloom.geometry import Diagonal
from spikeloom.network import Connection, Input, Network, Population, Provenance, Readout
from spikeloom.neuron import largest_code

from ..float_network import LONGEST, FloatLayer, FloatNetwork, spare
from .quantise_layer import Settings, quantise_layer
from .several import populations_of, wired_to_all
from .synapses import Rounded, Train


def quantise(
    network: FloatNetwork,
    source: Input,
    codes: np.ndarray,
    samples: torch.Tensor,
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
    samples : the same samples as the float network takes them, float [N, C, H, W].
    settings : Settings
    name : of the network.
    advance : called after every layer.

    Raises
    ------
    InvalidNetwork
        Where no integers of the asked widths stand for the network.
    """
    steps = torch.full((source.shape[0],), source.scale, dtype=torch.float64)
    top = largest_code(source.growth, source.timesteps)
    trains = {source.name: Train(torch.from_numpy(codes), steps, top, source.zero)}
    populations: list[Population] = []
    connections: list[Connection] = []
    notes, scales, widest = list(network.notes), {}, 0.0
    units: dict[str, tuple[float, ...]] = {}
    worths: dict[str, tuple[float, ...]] = {}
    continued: dict[str, tuple[str, ...]] = {}
    names = {source.name} | {item.name for item in network.layers}
    with torch.no_grad():
        for number, (layer, drive) in enumerate(network.walk(samples)):
            shapes = {item.source: network.shape(item.source) for item in layer.incoming}
            result = quantise_layer(layer, shapes, trains, drive, settings.of(layer.name), widest or np.inf)
            taken = names | {item.name for item in populations} | {item.name for item in connections}
            made = populations_of(layer, result, settings.of(layer.name), taken)
            given = wired(network, layer, result.connections, connections)
            targets = [item.name for item in made]
            connections += wired_to_all(given, targets, continued, taken | set(targets))
            if len(made) > 1:
                continued[layer.name] = tuple(item.name for item in made[1:])
            populations += made
            notes += result.notes
            units[layer.name] = figures(result.units)
            trains = {name: train for name, train in trains.items() if network.last_use.get(name, -1) > number}
            if result.train is not None:
                widest = max(widest, 2.0 ** np.ceil(np.log2(result.largest)))
                trains[layer.name] = result.train
                worths[layer.name] = figures(result.train.steps)
            else:
                scales[layer.name] = result.scale
            advance()
    turned = {name: tuple(values) for name, values in network.turned.items()}
    provenance = Provenance(
        model=network.name, notes=tuple(notes), units=units, worths=worths, turned=turned, continued=continued
    )
    readouts = tuple(Readout(readout, scales[readout]) for readout in network.readouts)
    return Network(name, (source,), tuple(populations), tuple(connections), readouts, provenance=provenance)


def wired(
    network: FloatNetwork, layer: FloatLayer, items: Sequence[Rounded], others: Sequence[Connection]
) -> list[Connection]:
    """The connections of a layer, named unlike the layers and the `others`."""
    taken = {item.name for item in network.layers} | {item.name for item in others}
    found = []
    for item, name in zip(items, connection_names(layer, taken - {layer.name}), strict=True):
        given = item.part.connection
        weights = item.weights.numpy().astype(np.int8).reshape(given.weights.shape)
        found.append(Connection(name, given.source, layer.name, given.geometry, weights, item.bits, item.shift))
    return found


def figures(values: torch.Tensor) -> tuple[float, ...]:
    """Numbers as a provenance holds them: eight digits each."""
    return tuple(float(f"{value:.8g}") for value in values.tolist())


def connection_names(layer: FloatLayer, taken: set[str]) -> list[str]:
    """Names of a layer's connections: its own for the first full one, those of their sources behind it for others."""
    first = min(range(len(layer.incoming)), key=lambda i: isinstance(layer.incoming[i].geometry, Diagonal))
    names: list[str] = []
    for number, item in enumerate(layer.incoming):
        wanted = layer.name if number == first else f"{layer.name}_{item.source}"[:LONGEST]
        names.append(spare(wanted, taken | set(names)))
    return names
