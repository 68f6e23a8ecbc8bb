"""Sizes of a core's look-up tables: where events land, what neurons start with and fire at."""

from collections.abc import Iterable, Mapping

import numpy as np

from .cost import by_name, channel_starts, reach
from .landing import Landing, landings
from .network import Connection, Network, Population
from .neuron import Neuron
from .program import CorePlan, LayerPlan, steps
from .weights import packed, weight_rows

Fields = dict[str, np.ndarray]
Size = tuple[int, int]  # words, bits of a word

LOGIC_ENTRIES = 16  # a table of so few entries is smaller as logic


def table_sizes(network: Network, core: CorePlan) -> dict[str, Size]:
    """Tables that are memories, by name; what is constant or proportional to the address needs none."""
    found = {"thetas": _neurons(network, core), **_walks(network, core)}
    sizes = {name: _size(fields) for name, fields in found.items()}
    return {name: size for name, size in sizes.items() if size[0] > LOGIC_ENTRIES and size[1]}


def _size(fields: Mapping[str, np.ndarray]) -> Size:
    width = 0
    for values in fields.values():
        constant = (values == values[0]).all()
        if not constant and not (values == values[1] * np.arange(len(values))).all():
            width += int(values.max()).bit_length()
    return len(next(iter(fields.values()))), width


def _neurons(network: Network, core: CorePlan) -> Fields:
    """Thresholds and initial potentials of all layers, a word for each slot of channels."""
    slot, wrap = core.generate_width or 1, (1 << core.bits) - 1
    parts: dict[str, list[np.ndarray]] = {}
    for layer in core.layers:
        population = network.source(layer.population)
        assert isinstance(population, Population)
        neuron, channels = population.neuron, layer.shape[0]
        theta = neuron.theta[0] if isinstance(neuron, Neuron) else np.ones(channels, np.int64)
        for kind, vector, fill in (("theta", theta, 1), ("initial", neuron.initial[0], 0)):
            padded = np.full(-(-channels // slot) * slot, fill, np.int64)
            padded[:channels] = vector
            for n in range(slot):
                parts.setdefault(f"{kind}{n}", []).append(padded[n::slot] & wrap)
    return {name: np.concatenate(part) for name, part in parts.items()}


def _walks(network: Network, core: CorePlan) -> dict[str, Fields]:
    """Tables of the walker: for every step with a train, entries a channel, a row and a column of its source."""
    sizes = weight_rows(network, core)
    kept = {item.source for item in core.stored}
    parts: dict[str, list[Fields]] = {"table_c": [], "table_y": [], "table_x": []}
    base, source = 0, core.source
    for layer in core.layers:
        for step in steps(network, source, layer.population):
            connection = None if step.connection is None else by_name(network, step.connection)
            if step.kind != "rows":
                train = source if connection is None else connection.source
                stored = step.kind == "stream" and train in kept
                entries = _entries(network, core, layer, train, connection, base, stored)
                for name, fields in zip(parts, entries, strict=True):
                    if not any(_equal(fields, other) for other in parts[name]):
                        parts[name].append(fields)
            base += sizes[connection.name] if connection else 0
        source = layer.population
    return {name: _joined(entries) for name, entries in parts.items()}


def _entries(
    network: Network,
    core: CorePlan,
    layer: LayerPlan,
    train: str,
    connection: Connection | None,
    base: int,
    stored: bool,
) -> tuple[Fields, Fields, Fields]:
    shape = network.source(train).shape
    words = -(-shape[0] // core.store_width)
    zeros = [np.zeros(size, np.int64) for size in shape]
    places = [np.arange(shape[1]) * (shape[2] * words), np.arange(shape[2]) * words]
    if connection is None:
        axes = [{"place": place if stored else zero} for place, zero in zip(places, zeros[1:], strict=True)]
        return {"weight": zeros[0]}, axes[0], axes[1]
    both = packed(network, layer)
    landing = landings(connection.geometry, shape, layer.shape, (1, 1) if both else layer.spread)
    rows = reach(connection.geometry, shape, layer)
    lines, passes = (len(axis.kernel) for axis in landing)
    strides = (lines * passes * rows, passes * rows, rows)
    cells = core.grid[0] * core.grid[1] if both else 1
    number = np.arange(shape[0])
    starts = channel_starts(connection.geometry, shape, layer.shape)
    channel = {
        "weight": base + number // cells * strides[0],
        "row": np.minimum(starts // layer.channels, layer.groups - rows),
    }
    if both:
        line, column = np.divmod(number % cells, core.grid[1])
        channel |= {"rotation_y": -line % core.grid[0], "rotation_x": -column % core.grid[1]}
    wrap = (1 << (core.rows - 1).bit_length()) - 1
    axes = []
    for axis, found in enumerate(landing):
        entry = {
            "lands": (found.passes > 0).astype(np.int64),
            "last": np.maximum(found.passes - 1, 0),
            "row": found.block * (0 if both else layer.strides[axis]) & wrap,
            "rotation": found.rotation,
            "weight": found.weight * strides[1 + axis],
            "masks": _masks(found, core.grid[axis], packed=both),
            "place": places[axis] if stored else zeros[1 + axis],
        }
        axes.append(entry)
    return channel, axes[0], axes[1]


def _masks(landing: Landing, cells: int, *, packed: bool) -> np.ndarray:
    """Cells of every pass as bits, first pass lowest, int64 [S]."""
    masks = landing.masks
    if landing.banks == 1 and not packed:
        masks = np.repeat(masks, cells, 2)
    bits = np.zeros((*masks.shape[:2], cells), np.int64)
    bits[..., : masks.shape[2]] = masks
    return (bits.reshape(len(bits), -1) << np.arange(masks.shape[1] * cells)).sum(1)


def _equal(one: Fields, other: Fields) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def _joined(parts: Iterable[Fields]) -> Fields:
    """Entries of several steps behind each other; fields that a step lacks are zero."""
    parts = list(parts)
    keys = dict.fromkeys(key for part in parts for key in part)
    sizes = [len(next(iter(part.values()))) for part in parts]
    blank = [np.zeros(size, np.int64) for size in sizes]
    return {key: np.concatenate([part.get(key, zero) for part, zero in zip(parts, blank, strict=True)]) for key in keys}
