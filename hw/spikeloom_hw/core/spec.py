"""Everything a core is built from, derived once from the network and its plan: layers, steps, sizes, memory images."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from spikeloom import Connection, Network, Neuron
from spikeloom.geometry import Shape
from spikeloom.network import Population
from spikeloom.program.levels import (
    border_count,
    border_words,
    core_visits,
    integrates,
    kept_words,
    level_widths,
    neuron_words,
)
from spikeloom.program.program import CorePlan, Stored
from spikeloom.program.visits import Visit, sent_binary, sent_digits, stepwise, stored_bits, unrolled
from spikeloom.program.weights import weight_rows as rows_by_connection

from .phases import Step, phases

if TYPE_CHECKING:
    from .loading import LoadBus


@dataclass(frozen=True, eq=False)
class CoreSpec:
    """A core's parameters and memory images.

    Parameters
    ----------
    network, plan : what to run and with which sizes.
    flat : neurons of the core's source arrive by address rather than by (c, y, x).
    announce : codes in a word of the receiver's store if it stores this core's train and has to hear of silent words;
        or 0.
    bus, memory : by which its parameters are loaded, and the number of the first memory of them; None: they are not.
    """

    network: Network
    plan: CorePlan
    flat: bool = False
    announce: int = 0
    bus: "LoadBus | None" = None
    memory: int = 0

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
        """Whether it holds the readouts."""
        return bool(self.outputs)

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Outputs of each readout."""
        return tuple(item.shape[0] for item in self.populations if item not in self.firing)

    def shape(self, train: str) -> Shape:
        """(C, H, W) of a train as its events name neurons."""
        shape = self.network.source(train).shape
        return (int(np.prod(shape)), 1, 1) if self.flat and train == self.plan.source else shape

    @cached_property
    def source_shape(self) -> Shape:
        """Shape of the train that enters the core."""
        return self.shape(self.plan.source)

    def digits(self, train: str) -> int:
        """Time steps of a train up to its end mark."""
        return sent_digits(self.network, train)

    def binary(self, train: str) -> bool:
        """Whether a train's spikes weigh 2^(T-t) (growth 2) rather than 1."""
        return sent_binary(self.network, train)

    @cached_property
    def trains(self) -> tuple[str, ...]:
        """Trains that enter the walker: the core's source and the populations that other layers of it listen to."""
        inner = [item.name for item in self.populations[:-1] if item in self.firing]
        return (self.plan.source, *inner)

    @cached_property
    def walked_shape(self) -> Shape:
        """Smallest shape that holds every train that enters the walker."""
        return _around([self.shape(train) for train in self.trains])

    @cached_property
    def queued(self) -> tuple[tuple[str, Shape], ...]:
        """Trains that pass the queue, fired or replayed, with the shape in which their events name neurons."""
        replayed = [
            (step.train, self.heard(step.events.connection, replayed=True) if step.events else self.shape(step.train))
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

    def generated(self, population: Population) -> tuple[int, bool]:
        """Time steps that the generator makes of a population in a visit, and whether potentials double in between."""
        neuron = population.neuron
        assert isinstance(neuron, Neuron)  # a readout generates nothing
        if neuron.step_bits:
            return neuron.step_bits, True
        if stepwise(self.network, population.name):
            return 1, True
        return neuron.timesteps, neuron.growth == 2.0

    @cached_property
    def fired_steps(self) -> int:
        """Time steps of the longest generate phase."""
        return max(self.generated(item)[0] for item in self.firing)

    @property
    def queues_signed(self) -> bool:
        """Whether some train that passes the queue has negative spikes."""
        return any(self.signed_train(name) for name, _ in self.queued)

    def announces(self, layer: int) -> bool:
        """Whether silent words of the train that a layer fires are announced."""
        if layer == len(self.plan.layers) - 1:
            return self.announce > 0
        return any(item.source == self.plan.layers[layer].population for item in self.plan.stored)

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
        return any(self.announces(layer) for layer in range(len(self.plan.layers)))

    @cached_property
    def signed(self) -> bool:
        """Whether some train that enters the walker has negative spikes."""
        return any(self.signed_train(train) for train in self.trains)

    def signed_train(self, train: str) -> bool:
        """Whether a train has negative spikes: of signed neurons, or in minimal-weight code."""
        sender = self.network.sender(train)
        return sender.signed or sender.code == "naf"

    @cached_property
    def integrates(self) -> bool:
        """Whether potentials are kept between visits, or taken apart into sign and size."""
        return integrates(self.network, self.plan)

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
    def reads_beyond(self) -> bool:
        """Whether some of these are pooled by windows that reach beyond the border of their source."""
        pooled = (step.events.connection.geometry.max_windows for step in self.steps if step.replayed and step.events)
        return any(windows is not None and windows.padded for windows in pooled)

    @property
    def adds_rows(self) -> bool:
        """Whether some connection is added row by row."""
        return any(step.rows for step in self.steps)

    @property
    def adds_signed_rows(self) -> bool:
        """Whether some of their codes have a sign."""
        return any(self.network.sender(step.rows.connection.source).signed for step in self.steps if step.rows)

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
        """Bits of a value that a train carries, with its sign."""
        return stored_bits(self.network, train)

    def region(self, train: str) -> Stored:
        """Where a train's codes are stored."""
        return next(item for item in self.plan.stored if item.source == train)

    @cached_property
    def visits(self) -> tuple[Visit, ...]:
        """What the generator does in a sample, one visit after the other."""
        return core_visits(self.network, self.plan)

    @cached_property
    def _phases(self) -> tuple[tuple[Step, ...], ...]:
        return phases(self, unrolled(self.network, self.visits)[0])

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The program."""
        return tuple(step for phase in self._phases for step in phase)

    @cached_property
    def loop(self) -> tuple[int, int, int]:
        """First and last word of the program that are repeated, and how often they run; once where nothing is."""
        _, (first, count, times) = unrolled(self.network, self.visits)
        ends = np.cumsum([0, *(len(phase) for phase in self._phases)])
        return int(ends[first]), int(ends[first + count]) - 1, times

    def heard(self, connection: Connection, *, replayed: bool) -> Shape:
        """Shape of the train that a connection's events are named in; max pooling happens in the replay."""
        shape = self.shape(connection.source)
        return connection.geometry.heard(shape) if replayed else shape

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
        sizes = rows_by_connection(self.network, self.plan)
        starts = dict(zip(sizes, accumulate((0, *sizes.values())), strict=False))
        images = ((step.events, step.rows) for step in self.steps)
        found = [tuple(starts[item.connection.name] if item else 0 for item in pair) for pair in images]
        return tuple((events, rows) for events, rows in found)

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Image of the weight memory, int64 [rows, P]: one weight a lane, cells row-major."""
        images = {
            image.connection.name: image.weights for step in self.steps for image in (step.events, step.rows) if image
        }
        order = rows_by_connection(self.network, self.plan)  # not that of the steps: in the first some are left out
        return np.concatenate([images[name].reshape(len(images[name]), -1) for name in order])

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
    def growths(self) -> tuple[float, ...]:
        """What potentials that are recalled are multiplied by."""
        return tuple(sorted({visit.growth for visit in self.visits if visit.recalls}))

    def state_base(self, layer: int) -> int:
        """First word of what is kept of a layer's potentials."""
        return kept_words(self.network, self.plan)[0][layer]

    def input_base(self, layer: int) -> int:
        """First word of what is kept of a layer's input."""
        return kept_words(self.network, self.plan)[1][layer]

    @property
    def kept_words(self) -> tuple[int, int]:
        """Words of all that is kept: potentials, inputs."""
        states, inputs = kept_words(self.network, self.plan)
        return states[-1], inputs[-1]

    @property
    def neuron_rows(self) -> dict[str, np.ndarray]:
        """Levels and constants of all layers, a word for each slot of channels; see `spikeloom.program.levels`."""
        return neuron_words(self.network, self.plan)[0]

    @property
    def level_widths(self) -> dict[str, int] | None:
        """Bits of the fields of `neuron_rows` where these may change; None: they are as wide as their contents."""
        return None if self.plan.contents == "fixed" else level_widths(self.network, self.plan)

    def neuron_base(self, visit: Visit) -> int:
        """First word of a visit's layer in `neuron_rows`."""
        return neuron_words(self.network, self.plan)[1][visit.layer, visit.constant]

    @cached_property
    def border_tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Words to skip in `neuron_rows` for every row and column of the layers with border classes, one behind the
        other.
        """
        tables = border_words(self.network, self.plan)
        none = np.zeros(1, np.int64)
        return np.concatenate(tables[0] or [none]), np.concatenate(tables[1] or [none])

    def has_borders(self, phase: int) -> bool:
        """Whether what a layer starts with depends on the position."""
        return border_count(self.populations[phase]) > 1

    def border_bases(self, phase: int) -> tuple[int, int]:
        """First entries of a layer in `border_tables`."""
        before = [self.populations[n].shape for n in range(phase) if self.has_borders(n)]
        return sum(shape[1] for shape in before), sum(shape[2] for shape in before)


def _around(shapes: list[Shape]) -> Shape:
    channels, height, width = (max(shape[axis] for shape in shapes) for axis in range(3))
    return channels, height, width
