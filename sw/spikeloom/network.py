"""The integer line: `Network`, the frozen value that conversion produces and that hardware obeys.

    nn.Module -convert-> FloatNetwork -quantise-> NETWORK -place-> Program -generate-> Build

`golden.run(network, x)` is its definition. Left of it floats and torch, right of it integers only.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from .bounds import Interval, intervals
from .errors import NotBuilt, listed
from .geometry import Geometry, Shape, border_classes
from .neuron import Neuron, Silent, frozen, largest_code, sent_steps

Profile = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Input:
    """An input population: samples coded as growth-2 trains of `timesteps` bits, most significant first.

    A model-side value is `scale * code + zero`. uint8 pixels p give code p >> (8 - T), which is also what a float
    x = p/256 in [low, high) = [0, 1) gives: code = clip(floor((x - low) / (high - low) * 2^T), 0, 2^T - 1).

    Parameters
    ----------
    shape : (C, H, W).
    timesteps : T, 1..16.
    scale, zero : the affine meaning of a code in the model's input units (the half-step is in `zero`).
    low, high : range that float samples are mapped from.
    signed : codes have a sign, digits are -1, 0, +1: see `spikeloom.encoding.encode`; low is -high then.
    activity : mean events a sample, from calibration (0: unknown).
    code : "plain" bits, or "naf", their minimal-weight code of T + 1 digits.
    sequence : time steps of a synchronous network for which a sample has values of their own, one behind the other, all
        of them: samples are (N, sequence, ...) then. 0: a sample is injected in every time step.
    """

    name: str
    shape: Shape
    timesteps: int
    scale: float
    zero: float = 0.0
    low: float = 0.0
    high: float = 1.0
    signed: bool = False
    activity: float = 0.0
    code: str = "plain"
    sequence: int = 0

    @property
    def growth(self) -> float:
        """Growth of an input train: always 2, a binary number."""
        return 2.0

    @property
    def steps(self) -> int:
        """Length of the train that is sent, of a sequence in every step: T, and one more in minimal-weight code."""
        return sent_steps(self.timesteps, self.code)


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind, arranged (C, H, W); address of a neuron = (c*H + y)*W + x.

    `activity`: mean events a sample, from calibration (0: unknown).
    """

    name: str
    shape: Shape
    neuron: Neuron | Silent
    activity: float = 0.0


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses from `source` to `target`: V_target += (w << shift) for each spike, weighted by its time step.

    `weights` int8, shape given by `geometry.weight_shape`; each |w| < 2^(weight_bits - 1).
    `heard`: mean events a sample that reach the synapses (behind max pooling), in each row and in each column of what
    `geometry.heard` says, all time steps together, from calibration; both empty: unknown. See `spikeloom.profile`.
    """

    name: str
    source: str
    target: str
    geometry: Geometry
    weights: np.ndarray
    weight_bits: int
    shift: int = 0
    heard: Profile = ((), ())

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights))


@dataclass(frozen=True)
class Readout:
    """A population read as logits: logit = V * scale, one scale for all outputs; ties go to the lowest index."""

    population: str
    scale: float


@dataclass(frozen=True)
class Provenance:
    """Where a network comes from; it decides nothing.

    Parameters
    ----------
    model, method, notes, accuracy, versions : free text and figures.
    options : of the method, by name.
    units : what one unit of potential is in the model's units, of every channel, by population.
    worths : what a code of a train stands for there, or, in a synchronous network, a spike of the average time step.
    turned : largest activation r of every channel that a population sends 1 - r/largest of, by population.
    continued : populations that go on where a population's codes end, in order, by population: an activation is the
        sum of them all.
    """

    model: str = ""
    method: str = ""
    notes: tuple[str, ...] = ()
    accuracy: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    units: dict[str, tuple[float, ...]] = field(default_factory=dict)
    worths: dict[str, tuple[float, ...]] = field(default_factory=dict)
    turned: dict[str, tuple[float, ...]] = field(default_factory=dict)
    continued: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Network:
    """A quantised spiking network; populations in topological order. Its arrays are copies that nobody can write to.

    Two-phase schedule: a population accumulates the whole trains of its sources, then generates its own. Synchronous
    schedule: in every time step, in topological order, potentials leak, add drive and inputs, fire and are reset; what
    a source fires is heard in the same step, and the input, accumulated once, is injected in all of them, or that of
    the time step where it is a sequence. Connections from a population to itself, or to an earlier one, are recurrent:
    what their source fires is heard in the next step, and in the first one nothing.

    Raises
    ------
    InvalidNetwork
        Listing every violation of the contract at once.
    """

    name: str
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    readouts: tuple[Readout, ...]
    schedule: str = "two-phase"  # or "synchronous"
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        from .validate import validate

        validate(self)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Bounds of every population's potentials, computed once; see `spikeloom.bounds`."""
        return intervals(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything but the provenance, hexadecimal; equal digests mean equal behaviour."""
        from .storage import behaviour_bytes

        return hashlib.sha256(behaviour_bytes(self)).hexdigest()

    @cached_property
    def _sources(self) -> dict[str, Input | Population]:
        every: tuple[Input | Population, ...] = (*self.inputs, *self.populations)
        return {item.name: item for item in reversed(every)}  # of equal names the first counts

    def source(self, name: str) -> Input | Population:
        """The input or population of that name."""
        return self._sources[name]

    @property
    def timesteps(self) -> int:
        """T of a synchronous network: that of every population that fires."""
        return next(item.neuron.timesteps for item in self.populations if isinstance(item.neuron, Neuron))

    def incoming(self, name: str) -> tuple[Connection, ...]:
        """The connections that end in the population of that name."""
        return tuple(item for item in self.connections if item.target == name)

    def recurrent(self, connection: Connection) -> bool:
        """Whether a connection is heard one time step late: its source is no input and no earlier population."""
        order = [item.name for item in self.populations]
        return connection.source in order and order.index(connection.source) >= order.index(connection.target)

    def border_classes(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Row class int64 [H] and column class int64 [W] of the neurons of a population.

        Where `initial` has more than one row, that of the neuron at (y, x) is
        rows[y] * (number of column classes) + columns[x].
        """
        shape = self.source(name).shape
        edges = [item.geometry.edges(self.source(item.source).shape, shape) for item in self.incoming(name)]
        rows, columns = (border_classes([item[axis] for item in edges]) for axis in range(2))
        return rows, columns

    def train(self, name: str) -> tuple[float, int]:
        """Growth and time steps of the train that the input or population of that name sends, code included.

        In a synchronous network spikes weigh 1, whatever their neuron's growth is; graded ones are growth-2 trains of
        `step_bits` digits, one after the other.
        """
        sender = self.sender(name)
        if self.schedule == "synchronous" and isinstance(sender, Neuron):
            return 2.0 if sender.step_bits else 1.0, sender.steps
        return sender.growth, sender.steps

    def sender(self, name: str) -> Input | Neuron:
        """What decides the train of the input or population of that name: the input itself, or the neuron."""
        source = self.source(name)
        sender = source if isinstance(source, Input) else source.neuron
        assert isinstance(sender, Input | Neuron)  # a readout has no outgoing connection, see validate
        return sender

    def largest_code(self, name: str) -> int:
        """Largest value the train of that input or population carries at the integer line, whatever its code.

        In a synchronous network: of what a population sends in one time step.
        """
        sender = self.sender(name)
        if self.schedule == "synchronous" and isinstance(sender, Neuron):
            return (1 << max(sender.step_bits, 1)) - 1
        return largest_code(sender.growth, sender.timesteps)

    def least_code(self, name: str) -> int:
        """Least value of that train: 0, or what is as far below it as the largest is above where it is signed."""
        return -self.largest_code(name) if self.sender(name).signed else 0

    def require_built(self) -> None:
        """Raise `NotBuilt` listing every field this version can hold but not run."""
        found = []
        for population in self.populations:
            found += [f"population '{population.name}': {what}" for what in _unbuilt(population.neuron)]
        fired = {item.name for item in self.populations}
        for connection in self.connections if self.schedule == "synchronous" else ():
            if connection.geometry.max_windows is not None and connection.source in fired:
                found.append(f"connection '{connection.name}': max pooling of synchronous spikes")
            elif connection.geometry.max_windows is not None and self.inputs[0].sequence:
                found.append(f"connection '{connection.name}': max pooling of a sequence")
        if found:
            raise NotBuilt(f"Network '{self.name}': not built yet: {listed(found)}")

    def save(self, path: str | Path) -> None:
        """Write the network as a .loom file; the file appears whole or not at all."""
        from .storage import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Network":
        """Read a .loom file without running any code from it; InvalidNetwork where it is not one of ours."""
        from .storage import load

        return load(path)


def _unbuilt(neuron: Neuron | Silent) -> list[str]:
    if isinstance(neuron, Silent):
        return []
    thresholds = ("theta", "fire_pos", "fire_neg", "reset", "step_gamma")
    vectors = [(name, getattr(neuron, name)) for name in thresholds]
    return [f"border classes of {name}" for name, vector in vectors if vector is not None and len(vector) > 1]
