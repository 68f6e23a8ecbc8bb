"""A core's look-up tables, their contents and sizes: where events land, what neurons start with and fire at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..network import Connection, Network
from .extents import by_name, channel_starts, kept_landings, listed_steps, reach, walked
from .landing import Landing
from .levels import border_words, level_widths, neuron_words
from .program import CorePlan, LayerPlan
from .weights import pack, used_cells, weight_rows

Fields = dict[str, np.ndarray]
Size = tuple[int, int]  # words, bits of a word
Rotation = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]

CHANNEL_FIELDS = ("weight", "row", "rotation_y", "rotation_x")
AXIS_FIELDS = ("lands", "last", "row", "rotation", "weight", "masks", "place")
LOGIC_ENTRIES = 16  # a table of so few entries is smaller as logic


class Fold(NamedTuple):
    """Rotation of a folded layer by so many of its two banks along an axis."""

    by: int


Move = Rotation | Fold


def table_sizes(network: Network, core: CorePlan, *, mapped: bool = False) -> dict[str, Size]:
    """Tables that are memories, by name; what is constant or proportional to the address needs none.

    `mapped`: without the bits that are the same in all words, which Yosys drops.
    """
    found = tables(network, core)
    sizes = {name: _size(fields, mapped=mapped) for name, fields in found.items()}
    sizes = {name: size for name, size in sizes.items() if size[0] > LOGIC_ENTRIES and size[1]}
    if core.contents != "fixed":
        entries = len(found["neurons"]["theta0"])
        sizes["neurons"] = core.parameter_depth(entries), sum(level_widths(network, core).values())
    return sizes


def tables(network: Network, core: CorePlan) -> dict[str, Fields]:
    """Contents of all tables: thresholds and initial potentials, border classes, and where events land."""
    walked = {f"table_{name}": table.joined for name, table in Walks.of(network, core).tables.items()}
    return {"neurons": neuron_words(network, core)[0], **_borders(network, core), **walked}


def _size(fields: Mapping[str, np.ndarray], *, mapped: bool) -> Size:
    width = 0
    for values in fields.values():
        constant = (values == values[0]).all()
        if not constant and not proportional(values):
            varying = int(np.bitwise_or.reduce(values) ^ np.bitwise_and.reduce(values))
            width += varying.bit_count() if mapped else int(values.max()).bit_length()
    return len(next(iter(fields.values()))), width


def proportional(values: np.ndarray) -> bool:
    """Whether entry n is n times entry 1, of a table of two entries or more, whatever size its integers have."""
    step = int(values[1])
    return all(int(value) == number * step for number, value in enumerate(values))


def _borders(network: Network, core: CorePlan) -> dict[str, Fields]:
    """Words to skip among the neurons for every row and column of the layers with border classes."""
    names = ("border_y", "border_x")
    skips = zip(names, border_words(network, core), strict=True)
    return {name: {"skip": np.concatenate(part)} for name, part in skips if part}


class _Moves:
    """Moves of weights along one axis of a core's grid, numbered in the order in which they are asked for."""

    def __init__(self, grid: tuple[int, int], axis: int) -> None:
        self.grid, self.axis = grid, axis
        self.known: dict[Move, int] = {}
        self._rotations: dict[tuple[int, int], int] = {}
        self.rotation(1, 0)

    def rotation(self, banks: int, rotation: int) -> int:
        """Rotation along an axis whose first `banks` rows or columns are its banks."""
        if (banks, rotation) in self._rotations:
            return self._rotations[banks, rotation]
        gy, gx = self.grid
        slots = [(at - rotation) % banks if at < banks > 1 else at for at in range(self.grid[self.axis])]
        moved = tuple(tuple(slots[(a, b)[self.axis]] for b in range(gx)) for a in range(gy))
        number = self._number((moved, tuple(int(at < rotation) for at in range(len(slots)))))
        return self._rotations.setdefault((banks, rotation), number)

    def turned(self, layer: LayerPlan, banks: int, rotation: int) -> int:
        """Rotation of a layer's weights along an axis with so many banks."""
        return self._number(Fold(rotation)) if layer.folded else self.rotation(banks, rotation)

    def packed(self, layer: LayerPlan, place: int) -> int:
        """Move to the first cells from those where the `place`-th channel of a row begins."""
        gy, gx = self.grid
        line, column = np.divmod(np.arange(gx) + place * used_cells(layer), gx)
        lines, columns = np.minimum(np.arange(gy)[:, None] + line, gy - 1), np.broadcast_to(column, (gy, gx))
        moved = tuple(tuple(map(int, row)) for row in (lines, columns)[self.axis])
        return self._number((moved, (0,) * self.grid[self.axis]))

    def _number(self, move: Move) -> int:
        return self.known.setdefault(move, len(self.known))


@dataclass(eq=False)
class Table:
    """Entries of several steps behind each other; equal ones are shared."""

    parts: list[Fields] = field(default_factory=list)
    _bases: dict[tuple[tuple[str, tuple[int, ...]], ...], int] = field(default_factory=dict)
    _entries: int = 0

    def add(self, part: Fields) -> int:
        """Append the entries of a step, or find them; the first one."""
        content = tuple((name, tuple(values.tolist())) for name, values in sorted(part.items()))
        if content not in self._bases:
            self._bases[content] = self._entries
            self._entries += len(next(iter(part.values())))
            self.parts.append(part)
        return self._bases[content]

    @property
    def joined(self) -> Fields:
        """All entries by field."""
        return {key: np.concatenate([part[key] for part in self.parts]) for key in self.parts[0]}


@dataclass(frozen=True, eq=False)
class Walks:
    """What a walker looks up for an event's channel, row and column.

    Members
    -------
    tables : "c" with `weight` (first weight row of that source channel), `row` (first row of channels), `rotation_y`,
        `rotation_x` (of a packed row); "y" and "x" with `lands`, `last` (passes - 1), `row`, `rotation`, `weight`,
        `masks` (cells of the grid's axis for each pass, first pass lowest), `place` (in the store). Rows wrap at the
        bank's size.
    bases : first entries in c, y and x for events of a train that go through a connection, by both names; None:
        through none, they are only stored.
    moves : of weights along y and x that `rotation` numbers: for every cell (a, b) the row, or column, of the grid that
        its weights come from, and for every row, or column, whether its blocks lie one higher; or how far folded
        layers turn.
    """

    tables: dict[str, Table]
    bases: dict[tuple[str, str | None], dict[str, int]]
    moves: tuple[tuple[Move, ...], tuple[Move, ...]]

    @classmethod
    def of(cls, network: Network, core: CorePlan) -> "Walks":
        """Entries for every step of a core that has a train."""
        sizes = weight_rows(network, core)
        kept = {item.source for item in core.stored}
        moves = _Moves(core.grid, 0), _Moves(core.grid, 1)
        tables = {"c": Table(), "y": Table(), "x": Table()}
        bases: dict[tuple[str, str | None], dict[str, int]] = {}
        base, source = 0, core.source
        for layer in core.layers:
            for step in listed_steps(network, source, layer.population):
                connection = None if step.connection is None else by_name(network, step.connection)
                if step.kind != "rows":
                    train = source if connection is None else connection.source
                    stored = step.kind == "stream" and train in kept
                    entries = _entries(network, core, layer, train, connection, base, stored, moves)
                    pairs = zip(tables.items(), entries, strict=True)
                    bases[train, step.connection] = {name: table.add(fields) for (name, table), fields in pairs}
                base += sizes[connection.name] if connection else 0
            source = layer.population
        return cls(tables, bases, (tuple(moves[0].known), tuple(moves[1].known)))


def _entries(
    network: Network,
    core: CorePlan,
    layer: LayerPlan,
    train: str,
    connection: Connection | None,
    base: int,
    stored: bool,
    moves: tuple[_Moves, _Moves],
) -> tuple[Fields, Fields, Fields]:
    shape = network.source(train).shape if connection is None else walked(network, core, connection)
    words = -(-shape[0] // core.store_width)
    zeros = [np.zeros(size, np.int64) for size in shape]
    places = [np.arange(shape[1]) * (shape[2] * words), np.arange(shape[2]) * words]
    if connection is None:
        axes = [
            dict.fromkeys(AXIS_FIELDS, zero) | {"place": place if stored else zero}
            for place, zero in zip(places, zeros[1:], strict=True)
        ]
        return dict.fromkeys(CHANNEL_FIELDS, zeros[0]), axes[0], axes[1]
    landing = kept_landings(connection.geometry, shape, layer.shape, layer.spread)
    rows, together = reach(connection.geometry, shape, layer), pack(layer)
    lines, passes = (len(axis.kernel) for axis in landing)
    strides = (lines * passes * rows, passes * rows, rows)
    number = np.arange(shape[0])
    starts = channel_starts(connection.geometry, shape, layer.shape)
    channel = {
        "weight": base + number // together * strides[0],
        "row": np.minimum(starts // layer.channels, layer.groups - rows),
    }
    turns = []
    for axis, found in enumerate(landing):
        rotations, places_of = np.unique(found.rotation, return_inverse=True)
        numbers = np.array([moves[axis].turned(layer, found.banks, int(at)) for at in rotations])
        turns.append(numbers[places_of])
        codes = np.array([moves[axis].packed(layer, n) for n in range(together)])
        channel["rotation_y" if axis == 0 else "rotation_x"] = codes[number % together]
    wrap = (1 << (core.rows - 1).bit_length()) - 1
    axes = []
    for axis, found in enumerate(landing):
        entry = {
            "lands": (found.passes > 0).astype(np.int64),
            "last": np.maximum(found.passes - 1, 0),
            "row": found.block * layer.strides[axis] & wrap,
            "rotation": turns[axis],
            "weight": found.weight * strides[1 + axis],
            "masks": _masks(found, core.grid[axis]),
            "place": places[axis] if stored else zeros[1 + axis],
        }
        axes.append(entry)
    return channel, axes[0], axes[1]


def _masks(landing: Landing, cells: int) -> np.ndarray:
    """Cells of every pass as bits, first pass lowest, [S]; an axis without banks has all its cells in one.

    Where an event takes so many passes that 63 bits do not hold them, they are Python's integers.
    """
    masks = landing.masks
    if landing.banks == 1:
        masks = np.repeat(masks, cells, 2)
    bits = np.zeros((*masks.shape[:2], cells), np.int64)
    bits[..., : masks.shape[2]] = masks
    bits = bits.reshape(len(bits), -1)
    weigh = np.array([1 << n for n in range(bits.shape[1])], np.int64 if bits.shape[1] < 64 else object)
    return np.asarray((bits * weigh).sum(1))
