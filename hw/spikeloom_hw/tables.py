"""The tables of a core: where an event of each source coordinate lands, step by step of the program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from amaranth.utils import ceil_log2
from spikeloom.geometry import Shape
from spikeloom.landing import Landing
from spikeloom.program import FOLD, FOLD_GRID, LayerPlan
from spikeloom.weights import used_cells

from .images import Events
from .phases import Step
from .spec import CoreSpec

Fields = dict[str, np.ndarray]
Rotation = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]
Codes = tuple[int | None, int | None]  # of the moves along y and x; None: any


class Fold(NamedTuple):
    """Rotation of a folded layer by so many of its two banks along an axis."""

    by: int


@dataclass(eq=False)
class _Table:
    """Tables of several steps behind each other; equal ones share their entries."""

    parts: list[Fields] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)

    def add(self, part: Fields) -> None:
        """Append the table of a step, or find it."""
        base = 0
        for other in self.parts:
            size = len(next(iter(other.values())))
            if size == len(next(iter(part.values()))) and all((other[key] == part[key]).all() for key in part):
                self.bases.append(base)
                return
            base += size
        self.parts.append(part)
        self.bases.append(base)

    def joined(self) -> Fields:
        """All entries by field."""
        return {key: np.concatenate([part[key] for part in self.parts]) for key in self.parts[0]}


@dataclass(frozen=True, eq=False)
class WalkTables:
    """What the walker looks up for an event's channel, row and column.

    Fields of table c: `weight` (first weight row of that source channel), `row` (first row of channels), `rotation_y`,
    `rotation_x` (of a packed row). Of tables y and x: `lands`, `last` (passes - 1), `row`, `rotation`, `weight`,
    `masks` (cells of the grid's axis for each pass, first pass lowest), `place` (in the store). Rows wrap at the
    bank's size.
    """

    spec: CoreSpec

    @cached_property
    def walks(self) -> tuple[Step, ...]:
        """Steps with a train."""
        return tuple(step for step in self.spec.steps if step.train)

    @cached_property
    def rotations(self) -> tuple[tuple[Rotation | Fold, ...], tuple[Rotation | Fold, ...]]:
        """Moves along both axes of the grid that some event needs: for every cell (a, b) the row, or column, of the
        grid that its weights come from; and for every row, or column, whether its blocks lie one higher. Those of
        folded layers depend on each other, see `sources`.
        """
        first: list[Rotation | Fold] = [self._rotation(axis, 1, 0) for axis in range(2)]
        known = tuple({move: None} for move in first)
        for step in self.walks:
            if step.events is None:
                continue
            for axis, landing in enumerate(step.events.landing):
                for rotation in np.unique(landing.rotation):
                    known[axis][self._turned(axis, step.events.layer, landing.banks, int(rotation))] = None
                for place in range(step.events.pack):
                    known[axis][self._packed(axis, step.events, place)] = None
        return tuple(known[0]), tuple(known[1])

    def _rotation(self, axis: int, banks: int, rotation: int) -> Rotation:
        """Rotation along an axis whose first `banks` rows or columns are its banks."""
        grid = self.spec.plan.grid
        slots = [(at - rotation) % banks if at < banks > 1 else at for at in range(grid[axis])]
        moved = tuple(tuple(slots[(a, b)[axis]] for b in range(grid[1])) for a in range(grid[0]))
        return moved, tuple(int(at < rotation) for at in range(grid[axis]))

    def _turned(self, axis: int, layer: LayerPlan, banks: int, rotation: int) -> Rotation | Fold:
        """Rotation of a layer's weights along an axis with so many banks."""
        return Fold(rotation) if layer.folded else self._rotation(axis, banks, rotation)

    def folds(self, axis: int) -> dict[int, int]:
        """Codes of the rotations of folded layers, with how far they turn."""
        return {code: move.by for code, move in enumerate(self.rotations[axis]) if isinstance(move, Fold)}

    def sources(self, axis: int) -> list[list[dict[int, tuple[Codes, ...]]]]:
        """How weights move along an axis, in two steps: first every cell takes those of a cell in its row, then those
        that another cell in its column has taken. For every cell (a, b) the columns (axis 1: the first step) or rows
        it may take them from, and at which codes.
        """
        gy, gx = self.spec.plan.grid
        found: list[list[dict[int, tuple[Codes, ...]]]] = [[{} for _ in range(gx)] for _ in range(gy)]

        def add(a: int, b: int, source: int, codes: Codes) -> None:
            found[a][b][source] = (*found[a][b].get(source, ()), codes)

        for code, move in enumerate(self.rotations[axis]):
            if not isinstance(move, Fold):
                for a, b in np.ndindex(gy, gx):
                    add(a, b, move[0][a][b], (None, code) if axis else (code, None))
        cells = [divmod(number, FOLD_GRID[1]) for number in range(len(FOLD))]
        for code_y, by in self.folds(0).items():
            for code_x, bx in self.folds(1).items():
                for (a, b), (y, x, share) in zip(cells, FOLD, strict=True):
                    row, column = cells[FOLD.index((y ^ by, x ^ bx, share))]
                    if axis:
                        add(row, b, column, (code_y, code_x))
                    else:
                        add(a, b, row, (code_y, code_x))
        return found

    def higher(self, axis: int) -> list[list[tuple[int, ...]]]:
        """For every cell (a, b) the codes at which its block lies one higher along an axis."""
        gy, gx = self.spec.plan.grid

        def raised(move: Rotation | Fold, a: int, b: int) -> bool:
            if isinstance(move, Fold):
                number = a * gx + b
                return number < len(FOLD) and FOLD[number][axis] < move.by
            return bool(move[1][(a, b)[axis]])

        moves = self.rotations[axis]
        return [[tuple(n for n, move in enumerate(moves) if raised(move, a, b)) for b in range(gx)] for a in range(gy)]

    def _packed(self, axis: int, events: Events, place: int) -> Rotation:
        """Move to the first cells from those where the `place`-th channel of a row begins."""
        gy, gx = grid = self.spec.plan.grid
        skipped = place * used_cells(events.layer)
        moved = tuple(
            tuple(((b + skipped) % gx, min(a + (b + skipped) // gx, gy - 1))[1 - axis] for b in range(gx))
            for a in range(gy)
        )
        return moved, (0,) * grid[axis]

    @cached_property
    def passes(self) -> tuple[int, int]:
        """Most passes along each axis."""
        images = [step.events for step in self.walks if step.events]
        found = [max((image.landing[axis].masks.shape[1] for image in images), default=1) for axis in range(2)]
        return found[0], found[1]

    @cached_property
    def _tables(self) -> dict[str, _Table]:
        tables = {"c": _Table(), "y": _Table(), "x": _Table()}
        for step, base in zip(self.spec.steps, self.spec.event_bases, strict=True):
            if step.train:
                tables["c"].add(self._channel(step, base))
                tables["y"].add(self._axis(step, 0))
                tables["x"].add(self._axis(step, 1))
        return tables

    def fields(self, name: str) -> Fields:
        """Contents of a table."""
        return self._tables[name].joined()

    def bases(self, name: str) -> Sequence[int]:
        """First entry of each step with a train."""
        return self._tables[name].bases

    def _channel(self, step: Step, base: int) -> Fields:
        assert step.train is not None
        channels = self._shape(step)[0]
        number, zero = np.arange(channels), np.zeros(channels, np.int64)
        if step.events is None:
            return {"weight": zero, "row": zero, "rotation_y": zero, "rotation_x": zero}
        events = step.events
        codes = [
            np.array([self.rotations[axis].index(self._packed(axis, events, n)) for n in range(events.pack)])
            for axis in range(2)
        ]
        return {
            "weight": base + number // events.pack * events.weight_strides[0],
            "row": events.first_group,
            "rotation_y": codes[0][number % events.pack],
            "rotation_x": codes[1][number % events.pack],
        }

    def _shape(self, step: Step) -> Shape:
        """Shape that the events of a step name neurons in."""
        assert step.train is not None
        shape = self.spec.shape(step.train)
        return step.events.connection.geometry.heard(shape) if step.replayed and step.events else shape

    def _axis(self, step: Step, axis: int) -> Fields:
        assert step.train is not None
        spec, shape = self.spec, self._shape(step)
        size, cells = shape[1 + axis], spec.plan.grid[axis]
        zero = np.zeros(size, np.int64)
        words = -(-shape[0] // spec.plan.store_width)
        place = np.arange(size) * (shape[2] * words if axis == 0 else words) if step.stored else zero
        if step.events is None:
            return dict.fromkeys(("lands", "last", "row", "rotation", "weight", "masks"), zero) | {"place": place}
        events, landing = step.events, step.events.landing[axis]
        known = self.rotations[axis]
        turns = [self._turned(axis, events.layer, landing.banks, int(at)) for at in landing.rotation]
        codes = np.array([known.index(turn) for turn in turns])
        wrap = (1 << ceil_log2(spec.plan.rows)) - 1
        return {
            "lands": (landing.passes > 0).astype(np.int64),
            "last": np.maximum(landing.passes - 1, 0),
            "row": landing.block * events.bank_strides[axis] & wrap,
            "rotation": codes,
            "weight": landing.weight * events.weight_strides[1 + axis],
            "masks": _masks(landing, cells),
            "place": place,
        }


def _masks(landing: Landing, cells: int) -> np.ndarray:
    """Cells of every pass as bits, first pass lowest, int64 [S]; an axis without banks has all its cells in one."""
    masks = landing.masks
    if landing.banks == 1:
        masks = np.repeat(masks, cells, 2)
    bits = np.zeros((*masks.shape[:2], cells), np.int64)
    bits[..., : masks.shape[2]] = masks
    return (bits.reshape(len(bits), -1) << np.arange(masks.shape[1] * cells)).sum(1)
