"""The value-domain form: one integer-exact forward pass a layer, batched; the same integers as the definition.

For growth 1 and 2 a train is its value, a layer is one matrix product, and generation is one division (design
facts 1 to 3). Other growths are not linear and run step by step here too, and so do neurons whose thresholds or reset
are not theta.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from ..bounds import potential_bounds
from ..encoding import encode, event_counts, samples_of, spikes_of
from ..network import Connection, Input, Network, Population
from ..neuron import Neuron, largest_code
from ..threads import at_a_time, side_by_side
from ..trace import Trace
from ..windows import Windows
from .stepped import Synapses, accumulate, generate
from .synapses import initial_potentials, maxima, per_channel, propagate, race, weight_tensor
from .synchronous import Course, Layer, by_layers

EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53
R = TypeVar("R")
_CHUNK_NEURONS = 1 << 20  # samples of a chunk times the neurons of the largest population: keeps a layer in cache


@dataclass(frozen=True, eq=False)
class Activity:
    """What one population did with a chunk of samples.

    `codes` [N, C, H, W] value of each train, None for readouts and where there is a `train` int8 [N, T, C, H, W]: of
    neurons that do not divide (`Neuron.divides`); `potential` [N, C, H, W] accumulated, floating point but integer, or
    None if not kept; `code` "plain" or "naf".
    """

    codes: torch.Tensor | None
    train: torch.Tensor | None = None
    potential: torch.Tensor | None = None
    code: str = "plain"

    def spike_counts(self, growth: float) -> torch.Tensor:
        """Spikes of each neuron, [N, C, H, W]."""
        if self.train is not None:
            return self.train.count_nonzero(1)
        assert self.codes is not None
        size = self.codes.to(torch.int32).abs()
        # a selection of rows is six times as fast as an index of the same
        return _EVENTS[self.code].index_select(0, size.flatten()).reshape(size.shape) if growth == 2.0 else size

    def pooled(self, windows: Windows) -> "Activity":
        """What max pooling leaves of it, without potentials."""
        if self.train is not None:
            return Activity(None, race(self.train, windows), None, self.code)
        assert self.codes is not None
        return Activity(maxima(self.codes, windows), None, None, self.code)


_EVENTS = {code: torch.from_numpy(event_counts(np.arange(1 << 16), code)) for code in ("plain", "naf")}


def _exact_dtype(largest: int) -> torch.dtype:
    """The fastest dtype in which the quotient of integers up to `largest` has the right floor."""
    return torch.float32 if largest < EXACT_FLOAT32 else torch.float64 if largest < EXACT_FLOAT64 else torch.int64


class _Layer:
    """A population with its incoming synapses, prepared once: tensors, and the narrowest dtypes that stay exact."""

    def __init__(self, network: Network, population: Population) -> None:
        low, high = potential_bounds(network)[population.name]
        largest = max(-int(low.min()), int(high.max()))
        self.name, self.neuron = population.name, population.neuron
        self.dtype = torch.float32 if largest < EXACT_FLOAT32 else torch.float64
        self.initial = initial_potentials(network, population, self.dtype)
        self.channels = population.shape[0]
        self.incoming: list[tuple[Connection, torch.Tensor, float]] = []
        for connection in network.incoming(population.name):
            growth, _ = network.train(connection.source)
            self.incoming.append((connection, weight_tensor(connection, self.dtype), growth))
        if isinstance(self.neuron, Neuron):
            theta, steps = self.neuron.theta, self.neuron.timesteps
            self.factor = 1 << (steps - 1) if self.neuron.growth == 2.0 else 1
            self.division = _exact_dtype(largest * self.factor)  # a theta beyond it gives 0, rounded or not
            self.theta = per_channel(theta, self.division)
            if self.division.is_floating_point:
                self.theta /= self.factor  # exact, a power of two: V / (theta / 2^(T-1)) saves a pass over V
            self.top = largest_code(self.neuron.growth, steps)

    def accumulate(self, sources: dict[str, Activity]) -> torch.Tensor:
        total: torch.Tensor | None = None
        for connection, weights, growth in self.incoming:
            source = sources[connection.source]
            if source.train is not None:
                part = accumulate(source.train, growth, Synapses(connection, self.channels)).to(self.dtype)
            else:
                assert source.codes is not None
                part = propagate(connection, weights, source.codes.to(self.dtype), self.channels)
            total = part if total is None else total.add_(part)
        assert total is not None
        return total.add_(self.initial)

    def fire(self, potential: torch.Tensor, *, keep: bool) -> Activity:
        neuron = self.neuron
        if not isinstance(neuron, Neuron):
            return Activity(None, None, potential)
        kept = potential.clone() if keep else None
        if not neuron.divides:
            train, _ = generate(potential.to(torch.int64), neuron)
            return Activity(None, train, kept)
        # V * 2^(T-1) / theta, cut towards 0: a true division, exact below 2^24; a reciprocal would not be
        quotient = potential.to(self.division)
        if self.division.is_floating_point:
            quotient = quotient.div_(self.theta).trunc_()
        else:
            quotient = quotient.mul_(self.factor).div_(self.theta, rounding_mode="trunc")
        quotient.clamp_(-self.top if neuron.signed else 0, self.top)
        return Activity(quotient.to(torch.float32), None, kept, neuron.code)


def forward(
    network: Network, x: np.ndarray, take: Callable[[slice, dict[str, Activity]], R], *, keep: bool = False
) -> Iterator[R]:
    """Run samples chunk by chunk, several chunks at a time; yields what is taken of each, in order.

    Parameters
    ----------
    network : Network
    x : samples as `spikeloom.encoding.encode` takes them.
    take : called with the samples' slice and every population's activity by name, in the thread of the chunk.
    keep : keep the accumulated potentials of firing populations too.
    """
    network.require_built()
    source = network.inputs[0]
    if network.schedule == "synchronous":

        def courses_taken(part: slice, codes: torch.Tensor, courses: dict[str, Course]) -> R:
            activities = {source.name: _of_input(source, codes)}
            for name, course in courses.items():
                activities[name] = Activity(None, course.spikes, course.left if course.spikes is None else None)
            return take(part, activities)

        return _synchronous(network, x, courses_taken, keep=False)
    layers = [_Layer(network, population) for population in network.populations]

    def values_taken(part: slice, codes: torch.Tensor) -> R:
        activities = {source.name: Activity(codes, code=source.code)}
        for layer in layers:
            activities[layer.name] = layer.fire(layer.accumulate(activities), keep=keep)
        return take(part, activities)

    return _chunks(network, x, 1, values_taken)


def _chunks(network: Network, x: np.ndarray, timesteps: int, run: Callable[[slice, torch.Tensor], R]) -> Iterator[R]:
    """What is made of slices of the samples with their input codes, float32 [N, C, H, W].

    Parameters
    ----------
    timesteps : of every neuron that are kept at once; slices are the smaller.
    run : called with a slice and its codes, in a thread of their own.
    """
    source = network.inputs[0]
    x = samples_of(source, x)
    largest = max(int(np.prod(shape)) for shape in (source.shape, *(item.shape for item in network.populations)))
    share = -(-len(x) // at_a_time())  # a thread's
    chunk = max(1, min(1024, share, _CHUNK_NEURONS // (largest * timesteps)))

    def one(start: int) -> R:
        part = slice(start, min(start + chunk, len(x)))
        with torch.inference_mode():
            return run(part, torch.from_numpy(encode(source, x[part])).to(torch.float32))

    return side_by_side(one, range(0, max(len(x), 1), chunk))


def _synchronous(
    network: Network, x: np.ndarray, take: Callable[[slice, torch.Tensor, dict[str, Course]], R], *, keep: bool
) -> Iterator[R]:
    """What is taken of slices of the samples, their input codes, and what synchronous populations do."""
    layers = [Layer(network, population) for population in network.populations]

    def courses(part: slice, codes: torch.Tensor) -> R:
        return take(part, codes, by_layers(layers, codes, keep=keep))

    return _chunks(network, x, network.timesteps, courses)


def evaluate(network: Network, x: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
    """Readout potentials of samples, int64 [N, outputs]; a dict by population name where there are several readouts.

    Parameters
    ----------
    network : Network
    x : samples as `spikeloom.encoding.encode` takes them.
    """
    names = [readout.population for readout in network.readouts]

    def take(_: slice, activities: dict[str, Activity]) -> list[np.ndarray]:
        found = []
        for name in names:
            potential = activities[name].potential
            assert potential is not None
            found.append(potential.flatten(1).to(torch.int64).numpy())
        return found

    chunks = zip(*forward(network, x, take), strict=True)
    outputs = dict(zip(names, (np.concatenate(parts) for parts in chunks), strict=True))
    return outputs[names[0]] if len(names) == 1 else outputs


def run_values(network: Network, x: np.ndarray) -> Trace:
    """The same `Trace` as `golden.run`, from values: many times faster."""
    network.require_built()
    if network.schedule == "synchronous":
        chunks = list(
            _synchronous(network, x, lambda _, codes, courses: _synchronous_trace(network, codes, courses), keep=True)
        )
    else:
        chunks = list(forward(network, x, lambda _, activities: _trace(network, activities), keep=True))

    def joined(parts: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return Trace(
        joined([chunk.spikes for chunk in chunks]),
        joined([chunk.accumulated for chunk in chunks]),
        joined([chunk.remainder for chunk in chunks]),
    )


def _synchronous_trace(network: Network, codes: torch.Tensor, courses: dict[str, Course]) -> Trace:
    source = network.inputs[0]
    spikes = {source.name: _train(source, codes)}
    fired = {name: course for name, course in courses.items() if course.spikes is not None}
    return Trace(
        spikes | {name: course.spikes.numpy() for name, course in fired.items() if course.spikes is not None},
        {name: _whole(course.integrated) for name, course in courses.items()},
        {name: _whole(course.left) for name, course in fired.items()},
    )


def _of_input(source: Input, codes: torch.Tensor) -> Activity:
    """The activity of a synchronous network's input: its codes, or the trains of a sequence's time steps in a row."""
    if not source.sequence:
        return Activity(codes, code=source.code)
    return Activity(None, torch.from_numpy(_train(source, codes)), code=source.code)


def _train(source: Input, codes: torch.Tensor) -> np.ndarray:
    """Trains int8 [N, steps, C, H, W] of codes; those of a sequence's time steps one behind the other."""
    whole = codes.to(torch.int64).numpy()
    trains = spikes_of(whole.reshape(-1, *source.shape), source.timesteps, source.code)
    return trains.reshape(len(whole), -1, *source.shape) if len(whole) else trains


def _whole(potential: torch.Tensor | None) -> np.ndarray:
    assert potential is not None
    return potential.to(torch.int64).numpy()


def _trace(network: Network, activities: dict[str, Activity]) -> Trace:
    source = network.inputs[0]
    codes = activities[source.name].codes
    assert codes is not None
    spikes = {source.name: spikes_of(codes.to(torch.int64).numpy(), source.timesteps, source.code)}
    accumulated, remainder = {}, {}
    for population in network.populations:
        activity, neuron = activities[population.name], population.neuron
        assert activity.potential is not None
        potential = activity.potential.to(torch.int64)
        accumulated[population.name] = potential.numpy()
        if not isinstance(neuron, Neuron):
            continue
        if activity.train is not None:
            train, left = generate(potential, neuron)
            spikes[population.name], remainder[population.name] = train.numpy(), left.numpy()
            continue
        assert activity.codes is not None
        value = activity.codes.to(torch.int64).numpy()
        theta = neuron.theta[0].reshape(1, -1, 1, 1)
        most = neuron.ceiling * theta
        clamped = np.clip(potential.numpy(), -most if neuron.signed else 0, most)
        if neuron.growth == 2.0:
            spikes[population.name] = spikes_of(value, neuron.timesteps, neuron.code)
            remainder[population.name] = (clamped << (neuron.timesteps - 1)) - value * theta
        else:  # growth 1 fires in its first time steps, as long as the potential lasts
            steps = np.arange(neuron.timesteps).reshape(1, -1, 1, 1, 1)
            spikes[population.name] = np.sign(value[:, None]).astype(np.int8) * (np.abs(value[:, None]) > steps)
            remainder[population.name] = clamped - value * theta
    return Trace(spikes, accumulated, remainder)
