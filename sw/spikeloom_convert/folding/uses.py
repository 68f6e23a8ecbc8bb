"""Who takes what an operation gives."""

from collections.abc import Mapping, Sequence

import numpy as np
from spikeloom.windows import SINGLE

from ..reading.operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Convolution,
    Crop,
    Ending,
    Flatten,
    Gather,
    Larger,
    Leak,
    Linear,
    MaxPool,
    Operation,
    PadChannels,
    PadSides,
    Rectify,
    Select,
    keeps_maxima,
)
from ..response import Rectified
from .values import Sum

# of a sum, channels of it or a maximum they give the like, which needs an activation function as before
_OPEN = Affine | AveragePool | MaxPool | Crop | Select | Gather | PadChannels | Concatenate | Flatten | Ending


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

    def part(self, operation: Larger) -> tuple[int, np.ndarray] | None:
        """Which input the other one is a part of, and its factors 0..1, as in max(x, 0.1 x); None: neither is."""
        inputs = operation.inputs or ()
        for own, number in enumerate(inputs):
            other = self.operations[number] if number >= 0 else None
            if not isinstance(other, Affine) or other.inputs != (inputs[1 - own],) or other.shift.any():
                continue
            if ((other.scale >= 0) & (other.scale <= 1)).all():
                return 1 - own, other.scale
        return None

    def alone(self, number: int, closed: Mapping[int, str]) -> bool:
        """Whether nothing else hears the population that an operation's values come from, one way only."""
        while number >= 0 and self.count(number) == 1 and number not in closed:
            number = (self.operations[number].inputs or (-1,))[0]
        return number >= 0 and self.count(number) == 1

    def last(self, where: str) -> int:
        """The last operation of this name; -1: there is none."""
        return max((number for number in self.needed if self.operations[number].where == where), default=-1)

    def _taken(self, number: int) -> list[int]:
        """Channels that slices, splits and shuffles take of a value, those taken twice twice."""
        operations = [self.operations[user] for user in self.users(number)]
        taken = [range(item.first, item.stop) for item in operations if isinstance(item, Select)]
        return [channel for part in taken for channel in part] + [
            channel for item in operations if isinstance(item, Gather) for channel in item.channels
        ]

    def alike(self, number: int, value: Sum) -> Rectified | None:
        """The one activation function behind all slices, splits and shuffles of a sum, which leave no channel out."""
        users = self.users(number)
        if number in self._given or not set(users).isdisjoint(self._given):
            return None
        if value.largest != SINGLE and self._pooled(number):
            return None
        if not all(isinstance(self.operations[user], Select | Gather) for user in users):
            return None
        after = [self.operations[item] for user in users for item in self.users(user)]
        found = {item.response if isinstance(item, Rectify) else None for item in after}
        response = found.pop() if len(found) == 1 and len(set(self._taken(number))) == value.shape[0] else None
        return response if isinstance(response, Rectified) else None

    def picks(self, user: int, number: int, value: Sum) -> bool:
        """Whether an operation takes channels of the weights of a sum, and not of populations the sum has anyway."""
        if value.largest == SINGLE:
            return self._activated(user, False)
        # of a sum whose maxima are taken, each slice would have a population of the size ahead of them
        few = len(self._taken(number)) <= value.shape[0]
        return few and not self._pooled(number) and self._activated(number, True)

    def _pooled(self, number: int) -> bool:
        """Whether maxima are taken of a value, or of activations of it, ahead of the next layer."""
        for user in self.users(number):
            operation = self.operations[user]
            if isinstance(operation, MaxPool):
                return True
            if not isinstance(operation, Convolution | Linear | Add | Larger) and self._pooled(user):
                return True
        return False

    def _activated(self, number: int, largest: bool) -> bool:
        """Whether a sum that an operation gives, or the largest values of one, are heard behind activations only.

        Additions and compositions count as such: what they give is a sum of its own.
        """
        if largest and number in self._given:
            return False
        for user in self.users(number):
            operation = self.operations[user]
            if largest and not keeps_maxima(operation):
                return False
            if isinstance(operation, Rectify | Leak | Add | Larger | Linear):
                continue
            if isinstance(operation, Convolution) and operation.pointwise:
                continue
            spread = isinstance(operation, Flatten) and int(np.prod(operation.before[1:])) > 1
            if spread and not all(isinstance(self.operations[after], Rectify | Leak) for after in self.users(user)):
                return False
            if not isinstance(operation, _OPEN) or (isinstance(operation, MaxPool) and self._pooled(user)):
                return False
            if not spread and not self._activated(user, largest or isinstance(operation, MaxPool)):
                return False
        return True

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
