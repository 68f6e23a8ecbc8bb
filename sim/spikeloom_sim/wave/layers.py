"""Layer by layer what the gates' signals mean: potentials, spikes and stages, as lines of a waveform.

A core runs its layers in turn on the same lanes: no wire of it is the potential of one neuron. `tell` makes these lines
of what a run captured, with its real cycles.
"""

from dataclasses import dataclass, field

import numpy as np
from spikeloom.trace import Place

from .line import Line, line, unsigned

SCOPE = "layers"
NUMBER_BITS = 32  # of numbers that are none of the hardware
IDLE = -1  # instead of a sample: none
Changes = list[tuple[int, int]]


@dataclass(eq=False)
class Layer:
    """What a population, or the input, did: (cycle, value) of each of its lines.

    `stages` by name; `potentials` and `spikes` of the `chosen` neurons by address; `numbers` of the samples that were
    sent, in order. `width` bits of a potential, 0: it has none; `spike_bits` 1, or 2 where spikes have a sign, 0: it
    sends none.
    """

    name: str
    shape: tuple[int, int, int]
    chosen: tuple[int, ...]
    numbers: tuple[int, ...]
    width: int = 0
    spike_bits: int = 0
    stages: dict[str, Changes] = field(default_factory=dict)
    potentials: dict[int, Changes] = field(default_factory=dict)
    spikes: dict[int, Changes] = field(default_factory=dict)

    def stage(self, name: str, cycle: int, value: int) -> None:
        """A change of a stage."""
        self.stages.setdefault(name, []).append((cycle, value))

    def at(self, name: str, cycle: int, position: int) -> None:
        """A stage takes up the sample that was sent at this position."""
        self.stage(name, cycle, self.numbers[position] if position < len(self.numbers) else position)

    def potential(self, cycle: int, values: np.ndarray, mask: np.ndarray) -> None:
        """Potentials [C, H, W] from this cycle on, where the mask says."""
        flat, real = values.reshape(-1), mask.reshape(-1)
        for address in self.chosen:
            if real[address]:
                self.potentials.setdefault(address, []).append((cycle, int(flat[address])))

    def lines(self, first: int, stop: int) -> list[Line]:
        """The lines of cycles first..stop-1."""
        scope = (SCOPE, self.name)

        def made(path: tuple[str, ...], width: int, changes: Changes, start: int = 0) -> Line:
            return line((*scope, *path), width, changes, first, stop, start)

        idle = ("accumulates", "generates", "sends", "class")
        found = [
            made((name,), NUMBER_BITS, changes, IDLE if name in idle else 0) for name, changes in self.stages.items()
        ]
        for address in self.chosen if self.width else ():
            found.append(made(("potential", self.neuron(address)), self.width, self.potentials.get(address, [])))
        for address in self.chosen if self.spike_bits else ():
            spike = made(("spike", self.neuron(address)), self.spike_bits, self.spikes.get(address, []))
            found.append(spike if self.spike_bits > 1 else unsigned(spike))
        return found

    def neuron(self, address: int) -> str:
        """A neuron by its place."""
        return "c{}_y{}_x{}".format(*np.unravel_index(address, self.shape))


@dataclass(eq=False)
class Story:
    """A run told layer by layer.

    Members
    -------
    layers : the input, then every population along the chain.
    differs : cycle in which an integer that is not golden's shows, by (population, field, sample, step, address).
    """

    layers: list[Layer] = field(default_factory=list)
    differs: dict[tuple[str, str, int, int | None, int], int] = field(default_factory=dict)

    def cycle_of(self, place: Place) -> int | None:
        """Cycle in which a divergence shows."""
        shape = next(layer.shape for layer in self.layers if layer.name == place.population)
        address = int(np.ravel_multi_index(place.neuron, shape))
        return self.differs.get((place.population, place.field, place.sample, place.step, address))


@dataclass(frozen=True, eq=False)
class Train:
    """The train of a layer in a sample, or those of its time steps from `before` on."""

    layer: Layer
    sample: int
    before: int
    digits: int
    ends: bool

    def tell(
        self, cycles: np.ndarray, ends: np.ndarray, steps: np.ndarray, values: np.ndarray, addresses: np.ndarray
    ) -> dict[tuple[int, int], tuple[int, int]]:
        """Tell its events; (value, cycle) by (step, address)."""
        layer = self.layer
        got: dict[tuple[int, int], tuple[int, int]] = {}
        count = layer.stages["spikes"][-1][1] if self.before else 0
        layer.at("sends", int(cycles[0]), self.sample)
        if self.before == 0:
            layer.stage("spikes", int(cycles[0]), 0)
        for cycle, end, step, value, address in zip(
            cycles.tolist(), ends.tolist(), steps.tolist(), values.tolist(), addresses.tolist(), strict=True
        ):
            if end:
                continue
            count += 1
            got.setdefault((step, address), (value, cycle))
            layer.stage("step", cycle, self.before + step + 1)
            layer.stage("step", cycle + 1, 0)
            layer.stage("spikes", cycle, count)
            if address in layer.chosen:
                changes = layer.spikes.setdefault(address, [])
                changes += [(cycle, value), (cycle + 1, 0)]
        if self.ends:
            layer.stage("sends", int(cycles[-1]) + 1, IDLE)
        return got
