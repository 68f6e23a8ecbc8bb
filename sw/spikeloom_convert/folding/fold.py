"""Fold operations into weighted populations: batch norms, poolings, additions and compositions disappear exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Pair, Shape
from spikeloom.windows import SINGLE

from ..float_network import INPUT, FloatLayer, FloatNetwork, population_name
from ..reading.hints import ACTIVATION
from ..reading.operations import (
    LINEAR,
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
    linked,
)
from ..response import RELU, Rectified, Response
from .crops import cropped, without
from .shaping import (
    affine,
    as_given,
    averaged,
    composes,
    constantless,
    flattened,
    gathered,
    joined,
    mapped,
    merged,
    selected,
    surrounded,
)
from .signals import added, as_sum, convolution, dense, mixed, pointwise, reach, scaled, source_signal
from .turning import Turner
from .uses import Uses
from .values import Mixture, Signal, Sum, Value, Whole


def fold(
    name: str,
    input_shape: Shape,
    operations: Sequence[Operation],
    outputs: Mapping[str, int] | None = None,
    *,
    low: float = 0.0,
    high: float = 1.0,
    samples: np.ndarray | None = None,
    turned: Mapping[str, tuple[float, ...]] | None = None,
) -> FloatNetwork:
    """Weighted populations of a traced model.

    Parameters
    ----------
    name : class of the model, for errors and provenance.
    input_shape : (C, H, W) of the samples.
    operations : in order.
    outputs : number of the operation that gives each output; default: the last one gives the only one.
    low, high : range of the samples, which decides whether a ReLU on them does nothing.
    samples : float64 [N, C, H, W] as the network takes them, for how large activations get where that matters, see
        `turning`.
    turned : how large they are taken to be instead, as `FloatNetwork.turned` of an earlier fold tells.

    Raises
    ------
    UnsupportedLayer
        Where the model is no network of weighted layers with ReLUs between them, or a fold would not be exact.
    """
    operations = linked(operations)
    outputs = {"": len(operations) - 1} if outputs is None else outputs
    folder = Folder(input_shape, operations, outputs, low, high, samples, turned)
    for number in range(len(operations)):
        folder.add(number)
    return folder.finish(name, input_shape, outputs)


class Folder:
    """The model so far: finished populations, and the value that every operation gave."""

    def __init__(
        self,
        shape: Shape,
        operations: Sequence[Operation],
        outputs: Mapping[str, int],
        low: float,
        high: float,
        samples: np.ndarray | None = None,
        turned: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        self.operations = operations
        self.layers: list[FloatLayer] = []
        self.notes: list[str] = []
        self.closed: dict[int, str] = {}  # population that an operation closes, or that gives its value as an output
        self.sided: dict[int, Mixture] = {}  # a sum that is heard without an activation function
        self.values: dict[int, Value] = {-1: source_signal(INPUT, shape)}
        self.ranges: dict[str, tuple[float, float]] = {INPUT: (low, high)}
        self.turner = Turner(shape, self.layers, self.ranges, samples, turned)
        self.uses = Uses(operations, outputs)

    def add(self, number: int) -> None:
        """Take the next operation."""
        if number not in self.uses.needed:
            return
        operation = self.operations[number]
        inputs = [self.values[source] for source in operation.inputs or ()]
        for value in inputs:
            if not isinstance(value, Sum) and any(value.pad) and not isinstance(operation, Convolution | PadSides):
                raise UnsupportedLayer(f"{operation.where}: must not follow zeros around images; pad for a Conv2d only")
        inputs = [self._heard(number, value, at) for value, at in zip(inputs, operation.inputs or (), strict=True)]
        if isinstance(inputs[0], Mixture) and isinstance(operation, LINEAR):
            once = [operation, *[constantless(operation)] * (len(inputs[0].signals) - 1)]
            parts = [self._given(number, own, [item]) for own, item in zip(once, inputs[0].signals, strict=True)]
            self.values[number] = mixed(inputs[0].where, parts)
        elif isinstance(inputs[0], Mixture) and isinstance(operation, MaxPool):
            pool = as_given(operation, inputs[0])
            assert isinstance(pool, MaxPool)
            self.values[number] = self.turner.maximum(pool, inputs[0])
        elif isinstance(operation, Concatenate):
            self.values[number] = joined(operation, inputs, 0, 0)
        else:
            whole = [as_sum(operation, value) if isinstance(value, Mixture) else value for value in inputs]
            self.values[number] = self._given(number, operation, whole)

    def _given(self, number: int, operation: Operation, inputs: list[Whole]) -> Value:
        """What an operation gives."""
        if isinstance(operation, Convolution | AveragePool | MaxPool | Crop | PadSides):
            operation = as_given(operation, inputs[0])
        match operation:
            case Linear():
                return self._linear(operation, inputs[0])
            case Convolution():
                return self._convolution(operation, inputs[0])
            case Affine():
                return affine(operation, inputs[0])
            case Rectify():
                return self._rectify(number, operation, inputs[0])
            case Leak():
                return self._leaky(number, operation, inputs[0])
            case AveragePool():
                return self._average(operation, inputs[0])
            case MaxPool():
                return self.turner.maximum(operation, inputs[0])
            case Crop():
                return self._crop(number, operation, inputs[0])
            case Select():
                return selected(operation, inputs[0])
            case Gather():
                return gathered(operation, inputs[0])
            case PadSides():
                return surrounded(operation, inputs[0])
            case PadChannels():
                return joined(operation, [inputs[0]], operation.ahead, operation.behind)
            case Add():
                return self._add(operation, inputs)
            case Larger():
                return self._larger(number, operation, inputs)
            case Flatten():
                return flattened(operation, inputs[0])
            case Ending():
                return self._ended(number, operation, inputs[0])
            case _:
                raise UnsupportedLayer(f"{operation.where}: is not known")

    def finish(self, name: str, input_shape: Shape, outputs: Mapping[str, int]) -> FloatNetwork:
        """The whole network, what gives the outputs being its readouts."""
        readouts = []
        for key, number in outputs.items():
            value = self.values[number]
            if isinstance(value, Sum) and value.largest != SINGLE:
                value = self._apart(number, value, "the output is a maximum,")
            if not isinstance(value, Sum):
                weighted = (Linear, Convolution)
                if number < 0 or not any(isinstance(self.operations[needed], weighted) for needed in self.uses.needed):
                    raise UnsupportedLayer(f"Model '{name}': must hold at least one Linear or Conv2d layer")
                value = self._read(self.operations[number], value)
            if not isinstance(value, Sum):
                raise UnsupportedLayer(
                    f"{self.operations[number].where}: must not end the network, the outputs are a weighted layer's "
                    f"potentials; remove what follows the last Linear or Conv2d, or add one"
                )
            named = replace(value, path=key) if key and not key.isdigit() else value
            readouts.append(self._population(named, None))
            self.closed[number] = readouts[-1]
        self.turner.drop_silenced(readouts)
        self.layers.sort(key=lambda layer: not layer.fires)  # of a maximum that is an output, populations come late
        self.closed = {number: self.turner.standing(name) for number, name in self.closed.items()}
        layers, notes, turned = tuple(self.layers), tuple(self.notes), self.turner.largest
        return FloatNetwork(name, input_shape, layers, tuple(readouts), notes, turned=turned)

    def _read(self, operation: Operation, value: Value) -> Value:
        """Activations, or means of them, that are an output: a readout hears them, each by a synapse of its own."""
        signals = value.signals if isinstance(value, Mixture) else (value,) if isinstance(value, Signal) else ()
        if not signals or (signals[0].flat and signals[0].size != (1, 1)):
            return value
        known = {*self.closed.values(), *self.turner.falls}
        if not all(block.source in known for block in signals[0].blocks):
            return value
        self.notes.append(f"{operation.where} has a readout of its own: the outputs are activations")
        return as_sum(operation, value)

    def _population(self, value: Sum, response: Response | None) -> str:
        """Close a sum; its name."""
        if not value.terms:
            raise UnsupportedLayer(f"{value.where}: must take something of the samples, not zeros alone; remove it")
        plain = population_name(value.path, value.kind, [layer.name for layer in self.layers])
        alike = (value.bias == value.bias[:, :1, :1]).all()
        bias = value.bias[:, :1, :1] if alike else value.bias
        self.layers.append(FloatLayer(plain, value.where, value.shape, value.terms, bias, response))
        if response is not None:
            self.ranges[plain] = response.range
        return plain

    def _heard(self, user: int, value: Value, number: int) -> Value:
        """A sum as a population of its own, or two, where what follows needs that and is no activation function."""
        if not isinstance(value, Sum):
            return value
        operation = self.operations[user]
        ordered = isinstance(operation, Flatten) and operation.order is not None
        needs = ordered or isinstance(operation, Linear | Convolution | PadSides)
        if value.largest != SINGLE:
            needs = ordered or not keeps_maxima(operation)
        elif isinstance(operation, Linear | Convolution) and composes(operation, value):
            needs = False
        if isinstance(operation, Select | Gather):
            if (response := self.uses.alike(number, value)) is not None:
                return self._closed(number, value, response)
            needs = needs or not self.uses.picks(user, number, value)
        return self._apart(number, value, f"{operation.where} follows") if needs else value

    def _apart(self, number: int, value: Sum, why: str) -> Value:
        """What an operation gave, a sum, as a population of its own, or two."""
        if number in self.sided:
            return self.sided[number]
        positive = all(self.ranges[term.source][0] >= 0 and (term.weights >= 0).all() for term in value.terms)
        if positive and not (value.bias < 0).any():
            self.notes.append(f"{value.where} has a population of its own: {why} without a ReLU")
            made: Signal | Mixture = source_signal(self._population(value, RELU), value.shape)
            self.closed[number] = self.layers[-1].name
        else:
            self.notes.append(f"{value.where} has two populations of its own: {why} without a ReLU")
            made = self._sided(number, value, np.full(value.shape[0], 1.0), value.where)
        behind = self.turner.behind(self.operations[number], made, value)
        if isinstance(behind, Mixture):
            self.sided[number] = behind
        else:
            self.values[number] = behind
        return behind

    def _linear(self, operation: Linear, value: Whole) -> Sum:
        if isinstance(value, Sum):
            return self._composed(operation, value, operation.weights, (1, 1))
        return dense(operation, value, operation.weights, operation.bias)

    def _composed(self, operation: Linear | Convolution, value: Sum, weights: np.ndarray, stride: Pair) -> Sum:
        """W2 (W1 x + b1) + b2 as one layer."""
        self.notes.append(f"{operation.where} composed with {value.where}: no activation between them")
        return pointwise(operation, value, weights, stride)

    def _convolution(self, operation: Convolution, value: Whole) -> Sum:
        if isinstance(value, Sum):
            return self._composed(operation, value, operation.weights[:, :, 0, 0], operation.stride)
        if value.flat and value.size != (1, 1):
            raise UnsupportedLayer(f"{operation.where}: must be before Flatten")
        return convolution(operation, value)

    def _rectify(self, number: int, operation: Rectify, value: Whole) -> Value:
        response = operation.response
        if isinstance(value, Signal):
            lowest, highest = reach(value, self.ranges)
            plain = isinstance(response, Rectified) and response.range[1] >= highest
            if plain and lowest >= 0:
                return value  # the values are there already
            if self._merged(operation, value):
                return value
            value = as_sum(operation, value)
            self.notes.append(f"{operation.where} has a population of its own: no weighted layer before it")
        return self._closed(number, value, response)

    def _closed(self, number: int, value: Sum, response: Response) -> Value:
        """The activations of a sum, which are what an operation gives."""
        name = self.closed[number] = self._population(value, response)
        self.values[number] = self.turner.behind(self.operations[number], source_signal(name, value.shape), value)
        return self.values[number]

    def _leaky(self, number: int, operation: Leak, value: Whole) -> Value:
        """relu(u) - factor * relu(-u): two populations, and what hears the one hears the other."""
        if isinstance(value, Signal) and reach(value, self.ranges)[0] >= 0:
            return value
        value = as_sum(operation, value)
        factors, channels = operation.factors, value.shape[0]
        if len(factors) != channels and (factors == factors[0]).all():
            factors = np.full(channels, factors[0])  # reshaped in between
        if len(factors) != channels:
            raise UnsupportedLayer(
                f"{operation.where}: must take the {channels} channels before it, not {len(factors)}"
            )
        return self.turner.behind(operation, self._sided(number, value, factors, operation.where), value)

    def _sided(self, number: int, value: Sum, factors: np.ndarray, where: str) -> Mixture:
        """relu(u) - factor * relu(-u) of a sum u; factors of 1 make it u itself."""
        parts, nothing = [], np.zeros(value.shape[0])
        for sign, path in ((1.0, value.path), (-1.0, f"{value.path}.negative")):
            part = scaled(value, np.full(value.shape[0], sign), nothing)
            parts.append(source_signal(self._population(replace(part, path=path), RELU), value.shape))
        self.closed[number] = self.layers[-2].name
        return Mixture((parts[0], mapped(parts[1], -factors, nothing)), where)

    def _merged(self, operation: Rectify, signal: Signal) -> bool:
        """Whether a clip went into the only population it is for."""
        block, number = signal.blocks[0], (operation.inputs or (-1,))[0]
        if not self.layers or len(signal.blocks) > 1 or not block.plain or self.layers[-1].name != block.source:
            return False
        if not isinstance(operation.response, Rectified) or not isinstance(self.layers[-1].response, Rectified):
            return False
        if not self.uses.alone(number, self.closed):  # who else has heard the unclipped values?
            return False
        self.layers[-1] = replace(self.layers[-1], response=operation.response)
        self.ranges[self.layers[-1].name] = operation.response.range
        return True

    def _crop(self, number: int, operation: Crop, value: Whole) -> Whole:
        """Some places of a value; a population is without the others where zeros or windows follow at their border."""
        block = value.blocks[0] if isinstance(value, Signal) else None
        if block is None or not block.whole or not block.direct or len(block.scale) != block.shape[0]:
            return cropped(operation, value)
        at = next((at for at, layer in enumerate(self.layers) if layer.name == block.source), None)
        if (
            at is None
            or not self.uses.alone((operation.inputs or (-1,))[0], self.closed)
            or not self.uses.bordered(number)
        ):
            return cropped(operation, value)
        self.layers[at] = layer = without(operation, self.layers[at])
        signal = source_signal(layer.name, layer.shape)
        return replace(signal, blocks=(replace(signal.blocks[0], scale=block.scale, shift=block.shift),))

    def _average(self, operation: AveragePool, value: Whole) -> Whole:
        window, factor = operation.window, operation.factor
        if window == (1, 1) and factor == 1.0:
            return value
        if isinstance(value, Signal):
            return replace(value, blocks=tuple(averaged(operation, block, factor) for block in value.blocks))
        if value.shape[1:] != (1, 1):
            self.notes.append(f"{operation.where} merged into {value.where}: no activation between them")
        return merged(operation, value)

    def _add(self, operation: Add, values: Sequence[Whole]) -> Sum:
        return reduce(
            lambda one, more: self._pair(operation, one, more), (as_sum(operation, value) for value in values)
        )

    def _pair(self, operation: Add, first: Sum, second: Sum) -> Sum:
        if operation.factor != 1:
            second = scaled(second, np.full(second.shape[0], operation.factor), np.zeros(second.shape[0]))
        if first.shape != second.shape:
            raise UnsupportedLayer(f"{operation.where}: must add equal shapes, not {first.shape} and {second.shape}")
        # the weighted layer that ran last gives the name
        if second.kind == "add" or (first.kind != "add" and self.uses.last(first.where) > self.uses.last(second.where)):
            return added(first, second)
        return added(second, first)

    def _larger(self, number: int, operation: Larger, values: Sequence[Whole]) -> Value:
        """max(a, b) = a + relu(b - a), min(a, b) = b - relu(b - a), with a population for the ReLU."""
        at = operation.where, operation.path, operation.before, operation.after
        if not operation.smaller and (part := self.uses.part(operation)) is not None:
            return self._leaky(number, Leak(*at, part[1]), values[part[0]])
        minus, plus = Add(*at, -1.0), Add(*at, -1.0 if operation.smaller else 1.0)
        gap = replace(self._add(minus, values[::-1]), where=at[0], path=at[1], kind="larger")
        own = self._closed(number, gap, RELU)
        assert isinstance(own, Signal)  # no maximum is taken of what is added
        return self._add(plus, (values[operation.smaller], own))

    def _ended(self, number: int, operation: Ending, value: Whole) -> Whole:
        if (after := self.uses.behind(number)) is not None:
            raise UnsupportedLayer(
                f"{operation.where}: must be the last layer, not ahead of {after.where}; use {ACTIVATION}"
            )
        if operation.joint and max(operation.before) < np.prod(operation.before):
            raise UnsupportedLayer(f"{operation.where}: must take outputs (N, F), not {operation.before}; flatten them")
        self.notes.append(f"{operation.where} dropped: it keeps the order of the outputs")
        return value
