"""The tables of a core as its gates use them: entries for a step of the program, moves of weights cell by cell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from spikeloom.program.lookups import Fields, Fold, Move, Walks
from spikeloom.program.program import FOLD, FOLD_GRID

from .phases import Step
from .spec import CoreSpec

Codes = tuple[int | None, int | None]  # of the moves along y and x; None: any


@dataclass(frozen=True, eq=False)
class WalkTables:
    """What the walker looks up, see `spikeloom.program.lookups.Walks`, and what its rotations mean to a cell."""

    spec: CoreSpec

    @cached_property
    def _walks(self) -> Walks:
        return Walks.of(self.spec.network, self.spec.plan)

    @property
    def rotations(self) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        """Moves along both axes of the grid that some event needs. Those of folded layers depend on each other, see
        `sources`.
        """
        return self._walks.moves

    def fields(self, name: str) -> Fields:
        """Contents of a table."""
        return self._walks.tables[name].joined

    def bases(self, step: Step) -> dict[str, int]:
        """First entry of a step with a train in every table."""
        assert step.train is not None
        return self._walks.bases[step.train, step.events.connection.name if step.events else None]

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

        def raised(move: Move, a: int, b: int) -> bool:
            if isinstance(move, Fold):
                number = a * gx + b
                return number < len(FOLD) and FOLD[number][axis] < move.by
            return bool(move[1][(a, b)[axis]])

        moves = self.rotations[axis]
        return [[tuple(n for n, move in enumerate(moves) if raised(move, a, b)) for b in range(gx)] for a in range(gy)]
