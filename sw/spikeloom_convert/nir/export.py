"""A synchronous network as a NIR graph: weights that are integers in floats, thresholds in the same units.

The graph works on input codes and integer potentials, so that the spikes are those of `golden.run`, if it is run as its
metadata say (`conditions`). NIR has no place for them, nor for initial potentials (`v_initial` of a node): they are
metadata, as is all that makes it our network again, see `restore`.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np
from spikeloom.errors import NotBuilt, listed
from spikeloom.geometry import Conv2d, Dense, Diagonal, Shape
from spikeloom.network import Connection, Network, Population
from spikeloom.neuron import Neuron, Silent, growth_shift
from spikeloom.storage import text_and_arrays, write_whole

from ..folding.kernels import diagonal_as_convolution, ungrouped
from .importing import DEFAULT_DT

NETWORK = "spikeloom"  # the metadata that hold what NIR cannot


def export_nir(network: Network, path: str | Path) -> nir.NIRGraph:
    """Write a network as a .nir file; the file appears whole or not at all. Returns what was written.

    Parameters
    ----------
    network : synchronous, of IF and leaky neurons with spikes 0 or 1.
    path : of the file.

    Raises
    ------
    NotBuilt
        Listing everything that NIR has no words for.
    SpikeloomError
        The file cannot be written.
    """
    graph, content = graph_of(network), io.BytesIO()
    nir.write(content, graph)
    write_whole(Path(path), content.getvalue())
    return graph


def conditions(network: Network) -> dict[str, str | int | float]:
    """How a reader has to run the graph to get the very spikes, by name: metadata of the graph."""
    source = network.inputs[0]
    kinds = {item.neuron.reset_kind for item in network.populations if isinstance(item.neuron, Neuron)}
    pixels = f"p >> {8 - source.timesteps}" if source.timesteps <= 8 else f"p << {source.timesteps - 8}"
    whole = f"floor((x - {source.low:g}) / ({source.high:g} - {source.low:g}) * 2^{source.timesteps})"
    if source.signed:
        whole = f"x / {source.high:g} * 2^{source.timesteps}, rounded, halves away from 0"
    return {
        "dt": DEFAULT_DT,
        "timesteps": network.timesteps,
        "reset": kinds.pop() if len(kinds) == 1 else "as reset_kind of each node",
        "v_min": "none",
        "fires": "v >= v_threshold",
        "starts": "v = v_initial, metadata of each neuron",
        "leaks": "v <- v - floor(v * dt / tau), then the inputs of the same time step are added",
        "input": f"codes, the same in every step: {whole}, at most 2^{source.timesteps} - 1; of pixels {pixels}",
    }


def graph_of(network: Network) -> nir.NIRGraph:
    """The graph of a network, metadata included; NotBuilt as for `export_nir`."""
    if found := _violations(network):
        raise NotBuilt(f"Network '{network.name}': cannot be NIR: {listed(found)}")
    text, arrays = text_and_arrays(network)
    source = network.inputs[0]
    parts = _Parts()
    parts.nodes[source.name] = nir.Input(np.array(_axes(source.shape)))
    for population in network.populations:
        carrier = _carrier(network, population)
        for connection in network.incoming(population.name):
            drive = _drive(population) if connection is carrier else None
            parts.connect(connection, network.source(connection.source).shape, population.shape, drive)
        node = _neuron(network, population)
        fields = {"theta", "initial", "drive", "fire_pos", "reset"}
        own = {name: arrays[key] for name in fields if (key := f"population.{population.name}.{name}") in arrays}
        node.metadata = {"population": population.name, "v_initial": _initial(network, population), **own}
        if isinstance(population.neuron, Neuron):
            node.metadata["reset_kind"] = population.neuron.reset_kind
        parts.nodes[population.name] = node
    for number, readout in enumerate(network.readouts):
        name = "Output" if not number else f"Output_{number + 1}"
        parts.nodes[name] = nir.Output(np.array(_axes(network.source(readout.population).shape)))
        parts.edges.append((readout.population, name))
    metadata = {NETWORK: text, **conditions(network)}
    return nir.NIRGraph(parts.nodes, parts.edges, metadata, type_check=False)  # its sizes of oblong kernels are wrong


def _violations(network: Network) -> list[str]:
    """Everything that NIR has no words for."""
    found = []
    if network.schedule != "synchronous":
        found.append(
            "schedule must be synchronous, not two-phase, for neurons of NIR listen and fire in the same time steps "
            "(convert with method optimal-conversion or qcfs)"
        )
    if network.inputs[0].sequence:
        found.append("input must stay the same in all time steps, not be a sequence")
    for item in network.populations:
        neuron = item.neuron
        wrong = [f"growth must be at most 1, not {neuron.growth:g}"] if neuron.growth > 1 else []
        if neuron.drive is not None and (neuron.drive != neuron.drive[:1]).any():
            wrong.append("drive must be the same at the border as inside; convert it without mean and std")
        if isinstance(neuron, Neuron):
            wrong += _unlike_nir(neuron)
        found += [f"population '{item.name}': {what}" for what in wrong]
    for link in network.connections:
        who, geometry = f"connection '{link.name}'", link.geometry
        if network.recurrent(link):
            found.append(f"{who}: must not be recurrent")
        if geometry.max_windows is not None:
            found.append(f"{who}: pooling must be average, not max")
        features = network.source(link.source).shape[1:] == (1, 1)
        if isinstance(geometry, Conv2d) and features and (geometry.kernel, geometry.padding) != ((1, 1), (0, 0)):
            found.append(f"{who}: a convolution must have more than one place to go over")
    return found


def _unlike_nir(neuron: Neuron) -> list[str]:
    wrong = []
    if neuron.step_gamma is not None:
        wrong.append("spikes must be 0 or 1, not graded")
    if neuron.signed:
        wrong.append("spikes must be 0 or 1, not signed")
    above, _, amount = neuron.thresholds
    if neuron.reset_kind == "soft" and neuron.growth < 1 and not np.array_equal(above, amount):
        wrong.append("a leaky neuron must fire at what its soft reset takes off")
    if max(len(above), len(amount), len(neuron.theta)) > 1:
        wrong.append("thresholds must be the same at the border as inside")
    return wrong


def _axes(shape: Shape) -> tuple[int, ...]:
    """Shape of a population as NIR has it: (F,) or (C, H, W)."""
    return shape[:1] if shape[1:] == (1, 1) else shape


def _drive(population: Population) -> np.ndarray | None:
    """What is added every time step, float64 [C]; None where that is nothing."""
    drive = population.neuron.drive
    return None if drive is None or not drive.any() else drive[0].astype(np.float64)


def _carrier(network: Network, population: Population) -> Connection:
    """The connection whose node has the drive as its bias: a full one if there is any."""
    every = network.incoming(population.name)
    return next((item for item in every if not isinstance(item.geometry, Diagonal)), every[0])


def _per_neuron(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Values [C] as float64 of a population's axes."""
    return np.broadcast_to(values.astype(np.float64)[:, None, None], shape).reshape(_axes(shape)).copy()


def _initial(network: Network, population: Population) -> np.ndarray:
    """First potentials, float64 of the population's axes.

    Moved where a soft reset takes off another amount than the neuron fires at: V' = V + amount - fire_pos fires at
    `amount` when V fires at fire_pos, and nothing else looks at V, for it does not leak.
    """
    neuron, (channels, height, width) = population.neuron, population.shape
    rows = neuron.initial.astype(np.float64)
    if isinstance(neuron, Neuron) and neuron.reset_kind == "soft":
        above, _, amount = neuron.thresholds
        rows = rows + (amount - above)
    if len(rows) == 1:
        return _per_neuron(rows[0], population.shape)
    down, across = network.border_classes(population.name)
    places = down[:, None] * (int(across.max()) + 1) + across
    return rows[places.reshape(height * width)].T.reshape(channels, height, width).copy()


def _neuron(network: Network, population: Population) -> nir.NIRNode:
    neuron, shape = population.neuron, population.shape
    one = np.ones(_axes(shape))
    shift = growth_shift(neuron.growth)
    leak = {} if shift is None else {"tau": one * DEFAULT_DT * 2.0**shift, "v_leak": 0 * one}
    r = one / DEFAULT_DT if shift is None else one * 2.0**shift
    if isinstance(neuron, Silent):
        return nir.LI(r=r, **leak) if leak else nir.I(r=r)
    above, _, amount = neuron.thresholds
    threshold = _per_neuron((amount if neuron.reset_kind == "soft" else above)[0], shape)
    kind = nir.LIF if leak else nir.IF
    return kind(r=r, v_threshold=threshold, v_reset=0 * one, **leak)


@dataclass
class _Parts:
    """Nodes and edges so far; names of nodes that are neither populations nor inputs have a capital letter."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def connect(self, connection: Connection, source: Shape, target: Shape, drive: np.ndarray | None) -> None:
        """The nodes between two populations."""
        geometry, name = connection.geometry, connection.name
        chain: list[tuple[str, Any]] = []
        pool = getattr(geometry, "pool", (1, 1))
        if pool != (1, 1):
            chain.append(("SumPool2d", nir.SumPool2d(np.array(pool), np.array(pool), np.array((0, 0)))))
            source = (source[0], source[1] // pool[0], source[2] // pool[1])
        if isinstance(geometry, Dense) and (pool != (1, 1) or source[1:] != (1, 1)):
            chain.append(("Flatten", nir.Flatten({"input": np.array(source)}, 0, -1)))
        node = _weights(connection, source, target, drive)
        chain.append((type(node).__name__, node))
        if isinstance(node, nir.Conv2d) and target[1:] == (1, 1):
            chain.append(("Features", nir.Flatten({"input": np.array(target)}, 0, -1)))
        before = connection.source
        for kind, item in chain:
            self.nodes[f"{name}_{kind}"] = item
            self.edges.append((before, f"{name}_{kind}"))
            before = f"{name}_{kind}"
        self.edges.append((before, connection.target))


def _weights(connection: Connection, source: Shape, target: Shape, drive: np.ndarray | None) -> Any:
    """The node of a connection's weights, on a source that is pooled already, with the drive as its bias."""
    geometry, integers = connection.geometry, connection.weights
    weights = integers.astype(np.float64) * 2.0**connection.shift
    known: Mapping[str, Any] = {"connection": connection.name, "shift": connection.shift}
    if isinstance(geometry, Dense):
        return _matrix(weights, drive, known)
    told = {**known, "weights": integers}  # which the node does not hold as they are
    if isinstance(geometry, Diagonal):
        if drive is None and source == target:
            return nir.Scale(_per_neuron(weights, source), metadata=told)
        geometry, weights = diagonal_as_convolution(geometry, weights, target[0])
        known = told
    if source[1:] == (1, 1) and target[1:] == (1, 1) and geometry.kernel == (1, 1) and geometry.pool == (1, 1):
        return _matrix(ungrouped(weights, geometry.groups)[:, :, 0, 0], drive, told)
    return nir.Conv2d(
        input_shape=source[1:],
        weight=weights,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=(1, 1),
        groups=geometry.groups,
        bias=np.zeros(target[0]) if drive is None else drive,
        metadata=dict(known),
    )


def _matrix(weights: np.ndarray, drive: np.ndarray | None, known: Mapping[str, Any]) -> Any:
    if drive is None:
        return nir.Linear(weights, metadata=dict(known))
    return nir.Affine(weights, drive, metadata=dict(known))
