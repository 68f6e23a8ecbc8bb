"""Who takes what an operation gives."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..reading.operations import (
    Add,
    Affine,
    Convolution,
    Flatten,
    Larger,
    Leak,
    Linear,
    MaxPool,
    Operation,
    PadSides,
    Rectify,
)


class Uses:
    """The operations that some output depends on, and who takes what each of them gives.

    Parameters
    ----------
    operations : all of them, with their inputs; number -1 stands for the samples.
    outputs : number of the operation that gives each output.
    """

    def __init__(self, operations: Sequence[Operation], outputs: Mapping[str, int]) -> None:
        self.operations = operations
        self.needed: set[int] = set()
        open_ = [number for number in outputs.values() if number >= 0]
        while open_:
            number = open_.pop()
            if number not in self.needed:
                self.needed.add(number)
                open_ += [source for source in operations[number].inputs or () if source >= 0]
        self._users: dict[int, list[int]] = {}
        for number in sorted(self.needed):
            for source in operations[number].inputs or ():
                self._users.setdefault(source, []).append(number)
        self._given = list(outputs.values())

    def users(self, number: int) -> list[int]:
        """Operations that take what another one gives, in order, one that takes it twice twice."""
        return self._users.get(number, [])

    def count(self, number: int) -> int:
        """How often a value is taken, by operations and as an output."""
        return len(self.users(number)) + self._given.count(number)

    def behind(self, number: int) -> Operation | None:
        """The next operation that is more than a Flatten."""
        for user in self.users(number):
            operation = self.operations[user]
            found = self.behind(user) if isinstance(operation, Flatten) else operation
            if found is not None:
                return found
        return None

    def part(self, operation: Operation) -> np.ndarray | None:
        """Factors 0..1 that the first input is multiplied by to give the second, as in max(x, 0.1 x); None: by none."""
        first, second = operation.inputs or (-1, -1)
        other = self.operations[second] if second >= 0 else None
        if not isinstance(other, Affine) or other.inputs != (first,) or other.shift.any():
            return None
        return other.scale if ((other.scale >= 0) & (other.scale <= 1)).all() else None

    def bordered(self, number: int) -> bool:
        """Whether zeros are put around a value, or maxima taken of it, ahead of the next layer."""
        for user in self.users(number):
            operation = self.operations[user]
            if isinstance(operation, PadSides | MaxPool) or (
                isinstance(operation, Convolution) and any(operation.padding)
            ):
                return True
            if not isinstance(operation, Convolution | Linear | Add | Larger | Rectify | Leak) and self.bordered(user):
                return True
        return False
