"""Everything a core is built from, derived once from the network and its plan: layers, steps, sizes, memory images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from spikeloom import Connection, Network, Neuron
from spikeloom.geometry import Shape
from spikeloom.network import Population
from spikeloom.program import CorePlan, LayerPlan, Stored, steps

from .images import Events, Rows


@dataclass(frozen=True, eq=False)
class Step:
    """One word of a core's program: what the lanes do until the next word.

    Parameters
    ----------
    phase : position of the layer that is being filled.
    train : whose events are walked or stored; None where there are none.
    replayed : the events come from the store, not from the generator or the port.
    events : images of the connection they go through; None where they are only stored.
    stored : region of the store that keeps them; None where nothing does.
    rows : images of a diagonal connection that is added row by row meanwhile; None where there is none.
    last : the banks swap after it.
    """

    phase: int
    train: str | None
    replayed: bool
    events: Events | None
    stored: Stored | None
    rows: Rows | None
    last: bool


@dataclass(frozen=True, eq=False)
class CoreSpec:
    """A core's parameters and memory images.

    Parameters
    ----------
    network, plan : what to run and with which sizes.
    flat : neurons of the core's source arrive by address rather than by (c, y, x).
    announce : codes in a word of the receiver's store if it stores this core's train and has to hear of silent words;
        or 0.
    """

    network: Network
    plan: CorePlan
    flat: bool = False
    announce: int = 0

    @cached_property
    def populations(self) -> tuple[Population, ...]:
        """The populations this core runs."""
        found = tuple(self.network.source(layer.population) for layer in self.plan.layers)
        return tuple(item for item in found if isinstance(item, Population))

    @cached_property
    def firing(self) -> tuple[Population, ...]:
        """Those of them that fire."""
        return tuple(item for item in self.populations if isinstance(item.neuron, Neuron))

    @property
    def reads_out(self) -> bool:
        """Whether the last layer is a readout."""
        return len(self.firing) < len(self.populations)

    def shape(self, train: str) -> Shape:
        """(C, H, W) of a train as its events name neurons."""
        shape = self.network.source(train).shape
        return (int(np.prod(shape)), 1, 1) if self.flat and train == self.plan.source else shape

    @cached_property
    def source_shape(self) -> Shape:
        """Shape of the train that enters the core."""
        return self.shape(self.plan.source)

    def digits(self, train: str) -> int:
        """Time steps of a train."""
        return self.network.train(train)[1]

    def binary(self, train: str) -> bool:
        """Whether a train's spikes weigh 2^(T-t) (growth 2) rather than 1."""
        return self.network.train(train)[0] == 2.0

    @cached_property
    def trains(self) -> tuple[str, ...]:
        """Trains that enter the walker: the core's source and the populations that other layers of it listen to."""
        inner = [item.name for item in self.populations[:-1]]
        return (self.plan.source, *inner)

    @cached_property
    def walked_shape(self) -> Shape:
        """Smallest shape that holds every train that enters the walker."""
        return _around([self.shape(train) for train in self.trains])

    @cached_property
    def queued(self) -> tuple[tuple[str, Shape], ...]:
        """Trains that pass the queue, fired or replayed, with the shape in which their events name neurons."""
        replayed = [
            (step.train, self._heard(step.events.connection, replayed=True) if step.events else self.shape(step.train))
            for step in self.steps
            if step.replayed and step.train
        ]
        return (*((item.name, item.shape) for item in self.firing), *replayed)

    @cached_property
    def queued_shape(self) -> Shape:
        """Smallest shape that holds every train that passes the queue."""
        return _around([shape for _, shape in self.queued])

    @cached_property
    def sent_shape(self) -> Shape:
        """Shape that holds those and every place of every layer."""
        return _around([self.scanned_shape, self.queued_shape])

    @cached_property
    def layer_shape(self) -> Shape:
        """Smallest shape that holds every population of the core."""
        return _around([item.shape for item in self.populations])

    @cached_property
    def scanned_shape(self) -> Shape:
        """Shape that holds every place of every layer, the empty ones too: rows and blocks need not be full."""
        return _around(
            [
                (layer.groups * layer.channels, layer.blocks[0] * layer.spread[0], layer.blocks[1] * layer.spread[1])
                for layer in self.plan.layers
            ]
        )

    @cached_property
    def walked_digits(self) -> int:
        """Time steps of the longest train that enters the walker."""
        return max(self.digits(train) for train in self.trains)

    @cached_property
    def queued_digits(self) -> int:
        """Time steps of the longest train that passes the queue."""
        return max(self.digits(name) for name, _ in self.queued)

    @cached_property
    def fired_steps(self) -> int:
        """Time steps of the longest generate phase."""
        return max(item.neuron.timesteps for item in self.firing if isinstance(item.neuron, Neuron))

    @property
    def queues_signed(self) -> bool:
        """Whether some train that passes the queue has negative spikes."""
        return any(self.signed_train(name) for name, _ in self.queued)

    def announces(self, phase: int) -> bool:
        """Whether silent words of the train that the layer before `phase` fires are announced."""
        if phase == 0:
            return self.announce > 0
        return any(item.source == self.plan.layers[phase - 1].population for item in self.plan.stored)

    @property
    def announced_channels(self) -> int:
        """Channels of which one is announced if all are silent."""
        return min(filter(None, (self.announce, self.plan.store_width if self.plan.stored else 0)))

    @cached_property
    def announced(self) -> bool:
        """Whether this core stores its own source's train."""
        return any(item.source == self.plan.source for item in self.plan.stored)

    @property
    def announced_any(self) -> bool:
        """Whether some event that enters the walker may be an announcement."""
        return bool(self.plan.stored)

    @property
    def announces_any(self) -> bool:
        """Whether some event that leaves the queue may be an announcement."""
        return any(self.announces(phase) for phase in range(len(self.plan.layers)))

    @cached_property
    def signed(self) -> bool:
        """Whether some train that enters the walker has negative spikes."""
        return any(self.signed_train(train) for train in self.trains)

    def signed_train(self, train: str) -> bool:
        """Whether a train has negative spikes: minimal-weight code."""
        source = self.network.source(train)
        return getattr(source, "code", getattr(getattr(source, "neuron", None), "code", "plain")) == "naf"

    @property
    def inverts(self) -> bool:
        """Whether addends of negative spikes are inverted, and need one more; multipliers negate them instead."""
        return self.signed and not self.plan.multiply

    @property
    def in_registers(self) -> bool:
        """Whether the potentials are one row of one layer, which registers hold."""
        return self.plan.grid == (1, 1) and len(self.plan.layers) == 1 and self.plan.rows == 1

    @property
    def digit_range(self) -> range:
        """Digits of the weights that are added by rows."""
        return range(max((len(step.rows.shifts) for step in self.steps if step.rows), default=1))

    @property
    def reads(self) -> bool:
        """Whether some stored train is read event by event."""
        return any(step.replayed for step in self.steps)

    @property
    def adds_rows(self) -> bool:
        """Whether some connection is added row by row."""
        return any(step.rows for step in self.steps)

    @property
    def weight_latency(self) -> int:
        """Cycles from an operation to its addends: the weights are read, registered, shifted; where there are cells
        the address is spread before, and the weights are rotated in two steps.
        """
        return 3 if self.plan.grid == (1, 1) else 6

    @property
    def slot(self) -> int:
        """Neighbouring neurons that leave a bank at once."""
        return self.plan.generate_width or 1

    @cached_property
    def code_bits(self) -> int:
        """Bits of a code in the store."""
        return max((self.code_bits_of(item.source) for item in self.plan.stored), default=0)

    def code_bits_of(self, train: str) -> int:
        """Bits of the largest value a train carries."""
        return self.network.largest_code(train).bit_length()

    def region(self, train: str) -> Stored:
        """Where a train's codes are stored."""
        return next(item for item in self.plan.stored if item.source == train)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The program."""
        before, program = self.plan.source, []
        for phase, layer in enumerate(self.plan.layers):
            program += self._phase(phase, before, layer)
            before = layer.population
        return tuple(program)

    def _phase(self, phase: int, before: str, layer: LayerPlan) -> list[Step]:
        listed = steps(self.network, before, layer.population)
        stored = next((item for item in self.plan.stored if item.source == before), None)
        rows = [self._rows(step.connection, layer) for step in listed if step.kind == "rows"]
        # what is stored in this very phase can be added only afterwards
        rows.sort(key=lambda item: item.connection.source == before)
        events = [step for step in listed if step.kind != "rows"]
        found: list[Step] = []
        while rows or len(found) < len(events):
            position = len(found)
            free = position >= len(events) or (
                events[position].kind == "stream" and rows and rows[0].connection.source != before
            )
            now = rows.pop(0) if rows and free else None
            if position < len(events):
                connection = self._connection(events[position].connection)
                replayed = events[position].kind == "events"
                shape = connection and self._heard(connection, replayed=replayed)
                image = Events.of(connection, layer, shape) if connection and shape else None
                train = connection.source if connection and replayed else before
                found.append(Step(phase, train, replayed, image, None if replayed else stored, now, False))
            else:
                found.append(Step(phase, None, False, None, None, now, False))
        final = found[-1]
        found[-1] = Step(phase, final.train, final.replayed, final.events, final.stored, final.rows, True)
        return found

    def _heard(self, connection: Connection, *, replayed: bool) -> Shape:
        """Shape of the train that a connection's events are named in; max pooling happens in the replay."""
        shape = self.shape(connection.source)
        return connection.geometry.heard(shape) if replayed else shape

    def _connection(self, name: str | None) -> Connection | None:
        return next((item for item in self.network.connections if item.name == name), None)

    def _rows(self, name: str | None, layer: LayerPlan) -> Rows:
        connection = self._connection(name)
        assert connection is not None  # a step by rows has a connection
        return Rows.of(connection, layer, self.plan.weight_bits, multiply=self.plan.multiply)

    @cached_property
    def event_bases(self) -> tuple[int, ...]:
        """First weight row of each step's events."""
        return tuple(start for start, _ in self._weight_starts)

    @cached_property
    def row_bases(self) -> tuple[int, ...]:
        """First weight row of each step's diagonal rows."""
        return tuple(start for _, start in self._weight_starts)

    @cached_property
    def _weight_starts(self) -> tuple[tuple[int, int], ...]:
        found, place = [], 0
        for step in self.steps:
            starts = [place, place]
            for kind, image in enumerate((step.events, step.rows)):
                starts[kind] = place
                place += len(image.weights) if image else 0
            found.append((starts[0], starts[1]))
        return tuple(found)

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Image of the weight memory, int64 [rows, P]: one weight a lane, cells row-major."""
        images = [image.weights for step in self.steps for image in (step.events, step.rows) if image]
        return np.concatenate([image.reshape(len(image), -1) for image in images])

    @cached_property
    def shifts(self) -> int:
        """Number of different shifts of a weight: 1 + the largest."""
        largest = 0
        for step in self.steps:
            if step.events and step.train:
                largest = max(largest, step.events.connection.shift + self.top_shift(step.train))
            if step.rows and not self.plan.multiply:
                connection = step.rows.connection
                largest = max(largest, self.code_bits_of(connection.source) - 1 + step.rows.shifts[-1])
        return largest + 1

    @cached_property
    def factor_bits(self) -> int:
        """Signed bits of what a weight is multiplied with."""
        rows = [
            step.rows.shifts[-1] + self.code_bits_of(step.rows.connection.source) for step in self.steps if step.rows
        ]
        return 1 + max(self.shifts, *rows, 1)

    def top_shift(self, train: str) -> int:
        """Shift of a train's first spike."""
        return self.digits(train) - 1 if self.binary(train) else 0

    @cached_property
    def neuron_rows(self) -> dict[str, np.ndarray]:
        """Thresholds and initial potentials of all layers, a word for each slot of channels: `theta<n>`, `initial<n>`.

        Initial potentials are wrapped to `bits` bits. The words of layer p start at `neuron_bases[p]`; those of its
        next border class follow `neuron_words(p)` later.
        """
        width = self.slot
        fields: dict[str, list[np.ndarray]] = {}
        for population in self.populations:
            neuron = population.neuron
            initial = neuron.initial
            theta = neuron.theta if isinstance(neuron, Neuron) else np.ones_like(initial)
            theta = np.broadcast_to(theta, initial.shape)
            for kind, vector, fill in (("theta", theta, 1), ("initial", initial, 0)):
                padded = np.full((len(vector), -(-vector.shape[1] // width) * width), fill, np.int64)
                padded[:, : vector.shape[1]] = vector
                for n in range(width):
                    fields.setdefault(f"{kind}{n}", []).append(padded[:, n::width].reshape(-1))
        wrap = (1 << self.plan.bits) - 1
        return {name: np.concatenate(parts) & wrap for name, parts in fields.items()}

    def neuron_words(self, phase: int) -> int:
        """Words of `neuron_rows` that a border class of a layer takes."""
        return -(-self.populations[phase].shape[0] // self.slot)

    @cached_property
    def neuron_bases(self) -> tuple[int, ...]:
        """First word of each layer in `neuron_rows`."""
        sizes = [len(item.neuron.initial) * self.neuron_words(phase) for phase, item in enumerate(self.populations)]
        return tuple(int(start) for start in np.cumsum([0, *sizes[:-1]]))

    @cached_property
    def border_tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Words to skip in `neuron_rows` for every row and column of the layers with border classes, one behind the
        other.
        """
        tables: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for phase, population in enumerate(self.populations):
            if self.has_borders(phase):
                rows, columns = self.network.border_classes(population.name)
                tables[0].append(rows * (int(columns.max()) + 1) * self.neuron_words(phase))
                tables[1].append(columns * self.neuron_words(phase))
        none = np.zeros(1, np.int64)
        return np.concatenate(tables[0] or [none]), np.concatenate(tables[1] or [none])

    def has_borders(self, phase: int) -> bool:
        """Whether a layer's initial potentials depend on the position."""
        return len(self.populations[phase].neuron.initial) > 1

    def border_bases(self, phase: int) -> tuple[int, int]:
        """First entries of a layer in `border_tables`."""
        before = [self.populations[n].shape for n in range(phase) if self.has_borders(n)]
        return sum(shape[1] for shape in before), sum(shape[2] for shape in before)


def _around(shapes: list[Shape]) -> Shape:
    channels, height, width = (max(shape[axis] for shape in shapes) for axis in range(3))
    return channels, height, width
