"""What the operations of a folded model have become, in words."""

from collections.abc import Iterable, Sequence

import numpy as np
from spikeloom.geometry import Shape

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
    image,
)
from .fold import Folder
from .values import Mixture, Sum

Outcome = tuple[str, str]  # status, what it became
# what a step without weights is on the connections that hear it, and in a sum that is not activated yet
_ON_CONNECTIONS: dict[type[Operation], str] = {
    AveragePool: "average pooling",
    MaxPool: "max pooling",
    Crop: "rows and columns",
    Select: "channels",
    Gather: "channels",
    PadChannels: "channels of zeros",
    PadSides: "padding",
    Concatenate: "channels side by side",
}


class Outcomes:
    """Looks up what became of operations.

    Parameters
    ----------
    folder : that has folded them, finished where it could be.
    operations : all of them, with their inputs.
    """

    def __init__(self, folder: Folder, operations: Sequence[Operation]) -> None:
        self.folder = folder
        self.operations = operations
        self.layers = {layer.name: layer for layer in folder.layers}
        self.closing: dict[int, list[str]] = {}

    def of(self, numbers: Sequence[int]) -> Outcome:
        """Status and words for the operations of one node; the first that is more than nothing speaks for all."""
        found = [self._of(number) for number in numbers]
        if not found:
            return "dropped", "nothing to do in evaluation"
        return next((outcome for outcome in found if outcome[0] != "dropped"), found[-1])

    def _of(self, number: int) -> Outcome:
        operation, value = self.operations[number], self.folder.values.get(number)
        if number not in self.folder.uses.needed or value is None:
            return "dropped", "no output depends on it"
        if isinstance(operation, Flatten):
            if operation.order is not None:
                return "folded", f"folded into the weights of {named(self._hearing(number))}"
            return "dropped", "addresses are in its order already"
        if isinstance(operation, Ending):
            return "dropped", "keeps the order of the outputs"
        if isinstance(operation, Linear | Convolution):
            return self._weighted(number)
        if isinstance(operation, Rectify):
            return self._rectified(number)
        if isinstance(operation, Leak | Larger) and isinstance(value, Mixture):
            return "ok", f"thresholds of populations {named(self._sources(value))}"
        if any(self.layers[name].where == operation.where for name in [self.folder.closed.get(number)] if name):
            return self._population(number)
        same = value is self.folder.values.get((operation.inputs or (-1,))[0])
        if same:
            return "dropped", "changes nothing"
        if isinstance(value, Sum):
            if isinstance(operation, MaxPool):
                return "ok", f"max pooling on the connections from {named(self._closing(number))}"
            if isinstance(operation, Add) and any(
                self.layers[name].where == operation.where for name in self._closing(number)
            ):
                return self._population(number)
            return "folded", f"folded into {named(self._closing(number))}"
        if isinstance(operation, Affine):
            return "folded", f"folded into the weights of {named(self._hearing(number))}"
        return "ok", f"{_ON_CONNECTIONS[type(operation)]} on the connection to {named(self._hearing(number))}"

    def _weighted(self, number: int) -> Outcome:
        names = self._closing(number)
        where = self.operations[number].where
        if names and not any(self.layers[name].where == where for name in names):
            return "folded", f"connections into {named(names)}"
        return self._population(number)

    def _population(self, number: int) -> Outcome:
        names = self._closing(number)
        if not names:
            return "ok", f"a population of {neurons(image(self.operations[number].after))}"
        parts = (f"{self._kind(name)} '{name}' of {neurons(self.layers[name].shape)}" for name in names)
        return "ok", ", ".join(parts)

    def _kind(self, name: str) -> str:
        return "population" if self.layers[name].fires else "readout"

    def _rectified(self, number: int) -> Outcome:
        name = self.folder.closed.get(number)
        if name is None:
            return "dropped", "the values are in its range, or clipped by their population"
        if self.layers[name].where == self.operations[number].where:
            return self._population(number)
        return "ok", f"thresholds of population '{name}'"

    def _closing(self, number: int) -> list[str]:
        """Populations that a sum goes into."""
        if (both := self.folder.sided.get(number)) is not None:
            return self._sources(both)
        if number not in self.closing:
            closed = self.folder.closed
            found = [closed[number]] if number in closed else []
            for user in self.folder.uses.users(number):
                if isinstance(self.folder.values.get(user), Sum):
                    found += self._closing(user)
                elif user in closed:
                    found.append(closed[user])
            self.closing[number] = list(dict.fromkeys(found))
        return self.closing[number]

    def _hearing(self, number: int) -> list[str]:
        """Populations that hear a signal."""
        closed, found = self.folder.closed, []
        for user in self.folder.uses.users(number):
            if isinstance(self.folder.values.get(user), Sum):
                found += self._closing(user)
            elif user in closed:
                found.append(closed[user])
            else:
                found += self._hearing(user)
        return list(dict.fromkeys(found))

    def _sources(self, both: Mixture) -> list[str]:
        """The populations of both sides."""
        sources = (signal.blocks[0].source for signal in both.signals)
        return [self.folder.turner.standing(source) for source in sources if source is not None]


def named(names: Iterable[str]) -> str:
    """Populations in a sentence."""
    return ", ".join(f"'{name}'" for name in names) or "what follows"


def neurons(shape: Shape) -> str:
    """A shape and its neurons: 16x6x6 = 576 neurons."""
    return f"{'x'.join(map(str, shape))} = {int(np.prod(shape))} neurons"
