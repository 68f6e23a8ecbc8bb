"""Maxima of values that fall where their population rises, as behind a leaky ReLU: the population is turned around.

The least of r over a window is C - max(C - r), with C the largest r there is; and C - relu(y) = min(relu(C - y), C) is
a population like any other, whose weights are those of y with the other sign.

A PReLU of a negative factor falls and rises: a relu(u) + b relu(-u), of which one is 0, is the larger of both. So its
maximum is the larger of two maxima, p + relu(q - p), which is one population more.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Shape
from spikeloom.windows import SINGLE

from ..float_network import INPUT, FloatLayer, FloatNetwork, population_name
from ..reading.operations import MaxPool, Operation, Select
from ..response import RELU, Rectified
from .shaping import mapped, maximum, selected
from .signals import added, as_sum, mixed, scaled
from .values import Block, Mixture, Signal, Sum, Value


class Turner:
    """Turns populations around.

    Parameters
    ----------
    shape : (C, H, W) of the samples.
    layers, ranges : populations so far, and what they range over; both grow by those that are turned.
    samples : float64 [N, C, H, W] as the network takes them, which tell the largest activation of every channel; None:
        nothing can be turned.
    given : largest activations by the name of who is turned, in place of what the samples tell.
    """

    def __init__(
        self,
        shape: Shape,
        layers: list[FloatLayer],
        ranges: dict[str, tuple[float, float]],
        samples: np.ndarray | None,
        given: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        self.shape = shape
        self.layers = layers
        self.ranges = ranges
        self.samples = None if samples is None else torch.from_numpy(samples)
        self.given = given or {}
        self.largest: dict[str, tuple[float, ...]] = {}  # activation of each channel that they stand for
        self.turned: dict[str, str] = {}  # who stands for a population
        self.falls: dict[str, np.ndarray] = {}  # channels of them that fall where it rises
        self.more: set[str] = set()  # populations of what one maximum has more than another
        self._made: dict[tuple[str, bytes], str] = {}  # their names, by signs

    def maximum(self, operation: MaxPool, value: Value) -> Value:
        """The maximum over windows of a value.

        Raises
        ------
        UnsupportedLayer
            Where both sides of a mixture fall, or rise and are pooled already, something is to be turned and there are
            no samples, or as `shaping.maximum`.
        """
        if operation.windows == SINGLE:
            return value
        if isinstance(value, Sum):
            if value.falls is not None and value.falls.any():
                raise _negative(operation)
            return maximum(operation, value)
        if isinstance(value, Signal):
            return self._pooled(operation, value)
        first, second = value.signals  # the second one falls where the first one rises, but behind negative factors
        both = self._rises(first) * self._rises(second) > 0
        if both.any() and not self._larger_of_two(value, both):
            raise UnsupportedLayer(
                f"{value.where}: must have no negative factors next to max pooling but where it is the first to "
                "follow; use ReLU, or average pooling"
            )
        first, second = (self._pooled(operation, signal) for signal in (first, second))
        if both.any():
            second = self._beyond_the_first(operation, first, second, both)
        return mixed(value.where, (first, second))

    def _pooled(self, operation: MaxPool, signal: Signal) -> Signal:
        pooled = maximum(operation, self._rising(operation, signal))
        assert isinstance(pooled, Signal)
        return pooled

    def _larger_of_two(self, value: Mixture, channels: np.ndarray) -> bool:
        """Whether these channels are the larger one of both sides: only one of them is not 0, and neither below."""
        for signal in value.signals:
            direct = np.concatenate([np.full(block.channels, block.direct) for block in signal.blocks])
            if len(direct) != len(channels) or not (direct & (self._rises(signal) > 0))[channels].all():
                return False
        return True

    def _beyond_the_first(self, operation: MaxPool, first: Signal, second: Signal, channels: np.ndarray) -> Signal:
        """What the larger of two signals, of these channels, has more than the first; of the others the second."""
        size, nothing = len(channels), np.zeros(len(channels))
        mask = channels.astype(float)
        gap = added(scaled(as_sum(operation, second), mask, nothing), scaled(as_sum(operation, first), -mask, nothing))
        source = next(block.source for block in first.blocks if block.source is not None)
        name = population_name(f"{source}.larger", "", [layer.name for layer in self.layers])
        bias = np.zeros((size, 1, 1))  # what both are shifted by together stays with them
        self.layers.append(FloatLayer(name, gap.where, gap.shape, gap.terms, bias, RELU))
        self.ranges[name] = RELU.range
        self.more.add(name)
        blocks: list[Block] = []
        ends = [0, *(np.flatnonzero(np.diff(channels)) + 1).tolist(), size]
        for start, stop in pairwise(ends):
            if channels[start]:
                one = np.ones(stop - start)
                blocks.append(Block(name, gap.shape, start, stop, one, second.shift[start:stop]))
            else:
                shape = (size, *second.size)
                part = selected(Select(operation.where, operation.path, shape, shape, start, stop), second)
                assert isinstance(part, Signal)
                blocks += part.blocks
        return replace(second, blocks=tuple(blocks))

    def behind(self, operation: Operation, value: Signal | Mixture, before: Sum) -> Value:
        """Maxima of a sum, in some channels minima, taken behind its activation function."""
        if before.largest == SINGLE:
            return value
        signs, nothing = np.ones(before.shape[0]), np.zeros(before.shape[0])
        if before.falls is not None:
            signs[before.falls] = -1.0

        def signed(item: Value) -> Value:
            if isinstance(item, Mixture):
                return replace(item, signals=tuple(mapped(side, signs, nothing) for side in item.signals))
            assert isinstance(item, Signal)
            return mapped(item, signs, nothing)

        pool = MaxPool(operation.where, operation.path, before.shape, before.image, before.largest)
        return signed(self.maximum(pool, signed(value)))

    def _rises(self, signal: Signal) -> np.ndarray:
        """Sign of what every channel does where the population rises that its own was turned from, float64 [C]."""
        signs = []
        for block in signal.blocks:
            falls = self.falls.get(block.source or "", np.zeros(block.stop, bool))[block.first : block.stop]
            own = np.zeros_like(block.scale) if block.source is None else np.sign(block.scale)
            signs.append(own * np.where(falls, -1.0, 1.0))
        return np.concatenate(signs)

    def _rising(self, operation: MaxPool, signal: Signal) -> Signal:
        """The same values, none of which falls where its population rises."""
        blocks = signal.blocks
        falling = (block.source for block in blocks if block.source is not None and (block.scale < 0).any())
        for source in dict.fromkeys(falling):
            number = next((at for at, layer in enumerate(self.layers) if layer.name == source), None)
            layer = None if number is None else self.layers[number]
            own = [block for block in blocks if block.source == source]
            plain = all(block.direct and len(block.scale) == block.channels for block in own)
            if number is None or layer is None or not isinstance(layer.response, Rectified) or not plain:
                raise _negative(operation)
            signs = _signs(operation, layer, own)
            if (key := (layer.name, signs.tobytes())) not in self._made:
                self._made[key] = self._turn(number, signs)
            name = self._made[key]
            tops = np.array(self.largest[name])
            blocks = tuple(_heard(block, name, tops) if block.source == source else block for block in blocks)
        return replace(signal, blocks=blocks)

    def _tops(self, number: int) -> np.ndarray:
        """Largest activation of every channel of a layer, float64 [O]; 1 where there is none, or none is known."""
        layer = self.layers[number]
        ahead, heard = [layer], {item.source for item in layer.incoming}
        for other in reversed(self.layers[:number]):
            if other.name in heard:
                ahead.insert(0, other)
                heard |= {item.source for item in other.incoming}
        unknown = heard - {INPUT, *(item.name for item in ahead)}  # where not all of a model is supported
        if unknown:
            return np.ones(layer.shape[0])
        if self.samples is None or not len(self.samples):
            raise UnsupportedLayer(
                f"{layer.where}: must be folded with samples, which tell how large its activations get; give some"
            )
        with torch.no_grad():
            walk = FloatNetwork("", self.shape, tuple(ahead), ()).walk(self.samples)
            ((_, drive),) = deque(walk, maxlen=1)  # of large images all of them would be too much to keep
            tops = layer.activate(drive).amax((0, 2, 3)).numpy()
        return np.where(tops > 0, tops, 1.0)

    def _turn(self, number: int, signs: np.ndarray) -> str:
        """A population of 1 - r/C where the sign is negative, r/C where it is positive, else silent; its name."""
        layer, falls = self.layers[number], signs < 0
        name = population_name(f"{layer.name}.turned", "", [item.name for item in self.layers])
        given = self.given.get(name, ())
        usable = len(given) == len(signs) and min(given) > 0  # they may be those of another model
        tops = np.array(given) if usable else self._tops(number)
        value = Sum(layer.incoming, layer.bias, layer.shape, layer.where, layer.name, "")
        value = scaled(value, signs / tops, falls.astype(float))
        self.layers.append(replace(layer, name=name, incoming=value.terms, bias=value.bias, response=Rectified(1.0)))
        self.turned[layer.name], self.falls[name], self.largest[name] = name, falls, tuple(tops.tolist())
        self.ranges[name] = (0.0, 1.0)
        return name

    def drop_silenced(self, readouts: Sequence[str]) -> None:
        """Without the populations that nobody hears any more."""
        for at in range(len(self.layers) - 1, -1, -1):
            name = self.layers[at].name
            heard = name in readouts or any(item.source == name for layer in self.layers for item in layer.incoming)
            if name in {*self.turned, *self.more} and not heard:
                del self.layers[at]

    def standing(self, name: str) -> str:
        """A population, or who stands for it where it was dropped."""
        return name if any(layer.name == name for layer in self.layers) else self.turned.get(name, name)


def _negative(operation: Operation) -> UnsupportedLayer:
    """The error for values that fall where what they are made of rises, and that cannot be turned around."""
    return UnsupportedLayer(
        f"{operation.where}: must take values whose batch norm has no negative factors; pool ahead of the batch norm"
    )


def _signs(operation: MaxPool, layer: FloatLayer, blocks: Sequence[Block]) -> np.ndarray:
    """Sign of the factor of every channel of a layer, float64 [O]; 0 where no block takes it."""
    least, most = np.zeros(layer.shape[0]), np.zeros(layer.shape[0])
    for block in blocks:
        part = slice(block.first, block.stop)
        least[part] = np.minimum(least[part], np.sign(block.scale))
        most[part] = np.maximum(most[part], np.sign(block.scale))
    if (least * most).any():
        raise UnsupportedLayer(
            f"{operation.where}: must not take the largest and the least values of {layer.where} at once; "
            "pool them apart"
        )
    return least + most


def _heard(block: Block, name: str, tops: np.ndarray) -> Block:
    """A block of a layer as one of the population that it was turned into."""
    scale = block.scale * tops[block.first : block.stop]
    return replace(block, source=name, scale=np.abs(scale), shift=block.shift + np.minimum(scale, 0.0))
