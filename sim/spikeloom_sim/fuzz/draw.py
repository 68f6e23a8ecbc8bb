"""Seeded random networks, and random cores that run them: small, valid, of every kind the gates take."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from spikeloom import Connection, Conv2d, Dense, Input, Network, Neuron, Population, Readout, Silent
from spikeloom.geometry import Diagonal, Geometry, Shape, border_classes
from spikeloom.neuron import largest_code
from spikeloom.placing.cores import plan_core
from spikeloom.placing.place import agreed, cuts
from spikeloom.program.program import CorePlan, Program

from .draw_neurons import Neurons

Pair = tuple[int, int]

DEEPEST = 6  # firing layers
LARGEST = 160  # neurons of a population
MOST_LANES = 24  # of a core
GRIDS = ((1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (3, 3), (2, 3))
SHARE = {"dense": 0.5, "conv": 3.0, "residual": 2.0, "branch": 0.8}  # how often a layer is of which kind
LONGEST = 6  # time steps of a train
# what a network may hold; without any of it, it is a chain of dense layers with growth 2
PLAIN = (
    "convolutions", "diagonals", "branches", "several sources", "pooling", "max pooling", "borders", "growth 1", "naf"
)  # fmt: skip
SWEPT = ("signed", "thresholds", "hard resets", "other growths", "graded")  # most need a sweep a time step
KINDS = (*PLAIN, "readouts", *SWEPT)
SCHEDULES = ("two-phase", "synchronous")


@dataclass
class Draft:
    """A network under construction: every layer hears the one before, some hear earlier ones as well.

    Parameters
    ----------
    seed : of everything; layer i draws from a generator of its own, so that a shallower network starts the same.
    kinds : those of `KINDS` that may occur.
    timesteps : of a train, at most.
    schedule : one of `SCHEDULES`.
    """

    seed: int
    kinds: frozenset[str]
    timesteps: int = LONGEST
    schedule: str = "two-phase"
    rng: np.random.Generator = field(init=False)
    source: Input = field(init=False)
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    beside: Population | None = None  # the first of two branches that have not met yet

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng((self.seed, 0))
        shape = self._choose([self._map(), self._map(), self._line(), (int(self.rng.integers(1, 60)), 1, 1)])
        steps = min(int(self.rng.integers(1, 6)), self.timesteps)
        code = "naf" if "naf" in self.kinds and self.rng.random() < 0.3 else "plain"
        signed = "signed" in self.kinds and code == "plain" and self._own(23).random() < 0.3
        low = -1.0 if signed else 0.0
        self.source = Input("input", shape, steps, scale=2.0**-steps, low=low, signed=signed, code=code)

    def layer(self, number: int) -> None:
        """Add firing population `number`, counted from 1."""
        self.rng = np.random.default_rng((self.seed, number))
        sources: list[Any] = [self.source, *self.populations]
        kind = str(self.rng.choice(list(SHARE), p=np.array(list(SHARE.values())) / sum(SHARE.values())))
        shape: Shape
        if (
            kind == "branch"
            and "branches" in self.kinds
            and number > 2
            and self.beside is None
            and all(map(self._lasts, sources[-2:]))
        ):  # beside the layer before instead of behind it
            shape = (int(self.rng.integers(1, 9)), *sources[-1].shape[1:])
            incoming = [(sources[-2], geometry) for geometry in self._into(sources[-2], shape)[:1]]
            if incoming:
                self.beside = sources[-1]
                self._add(f"l{number}", shape, incoming, fires=True)
                return
        dense = kind == "dense" or "convolutions" not in self.kinds
        geometry, shape = self._geometry("dense" if dense else "conv", sources[-1])
        incoming = [(sources[-1], geometry)]
        if self.beside is not None:  # both branches: a concatenation
            both = replace(geometry, groups=1) if isinstance(geometry, Conv2d) else geometry
            incoming, self.beside = [(sources[-1], both), (self.beside, both)], None
        elif kind == "residual" and "diagonals" in self.kinds and isinstance(geometry, Conv2d):
            shape, second = self._residual(shape)
            incoming = [(sources[-1], replace(geometry, groups=1)), *second]
        for other in sources[1:-1]:  # the input is not kept in gates
            several = "several sources" in self.kinds and self._lasts(other)
            if self.rng.random() < 0.35 and len(incoming) < 3 and several:
                incoming += [(other, second) for second in self._into(other, shape)[:1]]
        several = "several sources" in self.kinds and self._lasts(sources[-1])
        if number > 1 and self.rng.random() < 0.1 and several:  # the same source twice
            incoming += [(sources[-1], second) for second in self._into(sources[-1], shape)[:1]]
        self._add(f"l{number}", shape, incoming, fires=True)

    def _residual(self, shape: Shape) -> tuple[Shape, list[Any]]:
        """A diagonal connection from an earlier population into one of that extent, which may get more channels."""
        for source in [self.populations[int(n)] for n in self.rng.permutation(len(self.populations))]:
            if not self._lasts(source):
                continue
            channels, height, width = source.shape
            strides = (-(-height // shape[1]), -(-width // shape[2]))
            if (-(-height // strides[0]), -(-width // strides[1])) == shape[1:]:
                more = int(self._choose([0, 0, 1, channels]))
                return (channels + more, *shape[1:]), [
                    (source, Diagonal(strides, int(self._choose([0, more // 2, more]))))
                ]
        return shape, []

    def readout(self) -> Network:
        """Close the network."""
        self.rng = np.random.default_rng((self.seed, 1 << 16))
        source = self._last()
        geometry, shape = self._geometry("dense", source)
        incoming = [(item, geometry) for item in (source, self.beside) if item is not None]
        self._add("readout", shape, incoming, fires=False)
        readouts = Readout("readout", 1.0), *self._beside_the_readout()
        parts = (self.source,), tuple(self.populations), tuple(self.connections), readouts
        return Network(f"random_{self.seed}", *parts, self.schedule)

    def _lasts(self, source: Input | Population) -> bool:
        """Whether a source can be heard later, and more than once: not what fires step by step, in two phases."""
        neuron = getattr(source, "neuron", None)
        return self.schedule == "synchronous" or not isinstance(neuron, Neuron) or neuron.divides

    def _beside_the_readout(self) -> tuple[Readout, ...]:
        """Now and then another readout, anywhere behind the population that it hears."""
        own = np.random.default_rng((self.seed, 1 << 15))
        places = [n for n, item in enumerate(self.populations[:-1]) if self._lasts(item)]
        if "readouts" not in self.kinds or not places or own.random() < 0.7:
            return ()
        heard = places[int(own.integers(len(places)))]
        geometry = Dense(**self._pool(self.populations[heard]))
        self._add("aside", (int(own.integers(1, 9)), 1, 1), [(self.populations[heard], geometry)], fires=False)
        aside = self.populations.pop()
        behind = [n + 1 for n, item in enumerate(self.populations) if n >= heard and self._lasts(item)]
        self.populations.insert(behind[int(own.integers(len(behind)))], aside)
        return (Readout("aside", 0.5),)

    def _last(self) -> Input | Population:
        return self.populations[-1] if self.populations else self.source

    def _choose(self, options: list[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def _map(self) -> Shape:
        height, width = (int(size) for size in self.rng.integers(2, 11, 2))
        return min(int(self.rng.integers(1, 9)), max(1, LARGEST // (height * width))), height, width

    def _line(self) -> Shape:
        return int(self.rng.integers(1, 9)), 1, int(self.rng.integers(2, 17))

    def _own(self, what: int) -> np.random.Generator:
        """A generator of its own for what not all networks have; the next population's."""
        return np.random.default_rng((self.seed, len(self.populations), 1 << what))

    def _pool(self, source: Input | Population) -> dict[str, Any]:
        """Pooling on the way, of either kind."""
        pool = tuple(
            int(self.rng.integers(1, min(size, 3) + 1)) if self.rng.random() < 0.2 else 1 for size in source.shape[1:]
        )
        raced = source is not self.source and self.schedule == "two-phase" and "max pooling" in self.kinds
        raced = raced and self._lasts(source)
        most = raced and pool != (1, 1) and self.rng.random() < 0.5
        if not most and "pooling" not in self.kinds:
            pool = (1, 1)
        return {"pool": pool} | ({"pool_kind": "max", **self._overlap(pool)} if most else {})

    def _overlap(self, pool: tuple[int, ...]) -> dict[str, Any]:
        """Now and then windows that overlap, leave places out, or reach beyond the border."""
        own = self._own(23)
        if own.random() < 0.5:
            return {}
        stride, ahead, behind = (
            tuple(int(own.integers(low, size + more)) for size in pool) for low, more in ((1, 2), (0, 0), (0, 0))
        )
        return {"pool_stride": stride, "pool_ahead": ahead, "pool_behind": behind}

    def _geometry(self, kind: str, source: Input | Population) -> tuple[Geometry, Shape]:
        """A dense or convolutional connection from a source, and the shape of the population it leads to."""
        pool = self._pool(source)
        pooled = Dense(**pool).pooled(source.shape)
        if kind == "dense" or (pooled[1:] == (1, 1) and self.rng.random() < 0.5):
            return Dense(**pool), (int(self.rng.integers(1, 25)), 1, 1)
        kernel = tuple(min(int(self._choose([1, 2, 3, 3, 3, 4, 5, 7])), size + 2) for size in pooled[1:])
        padding = tuple(int(self._choose([0, size // 2, size // 2, size // 2, (size + 1) // 2])) for size in kernel)
        geometry = Conv2d(
            kernel=(kernel[0], kernel[1]),
            stride=(int(self._choose([1, 1, 1, 1, 2, 3])), int(self._choose([1, 1, 1, 1, 2, 3]))),
            padding=(padding[0], padding[1]),
            groups=int(self._choose([1, 1, 1, *(n for n in range(2, pooled[0] + 1) if pooled[0] % n == 0)])),
            **pool,
        )
        height, width = geometry.output_size(source.shape)
        if min(height, width) < 1:
            return Dense(**pool), (int(self.rng.integers(1, 25)), 1, 1)
        most = max(1, min(16, LARGEST // (height * width)) // geometry.groups)
        return geometry, (geometry.groups * int(self.rng.integers(1, most + 1)), height, width)

    def _into(self, source: Input | Population, target: Shape) -> list[Geometry]:
        """Further ways from a source into a population whose shape is given, in random order."""
        channels, height, width = source.shape
        found: list[Geometry] = []
        for vertical in range(1, 5):
            for horizontal in range(1, 5):
                if (-(-height // vertical), -(-width // horizontal)) == target[1:]:
                    if "diagonals" in self.kinds and channels <= target[0]:
                        offset = int(self.rng.integers(0, target[0] - channels + 1))
                        found += [Diagonal((vertical, horizontal), offset)] * 3
                    found.append(Conv2d((1, 1), (vertical, horizontal)))
        for kernel in (2, 3):
            geometry = Conv2d((kernel, kernel), padding=(kernel // 2, kernel // 2))
            if geometry.output_size(source.shape) == target[1:]:
                found.append(geometry)
        if target[1:] == (1, 1):
            found.append(Dense(**self._pool(source)))
        return [found[int(n)] for n in self.rng.permutation(len(found))]

    def _classes(self, shape: Shape, incoming: list[tuple[Any, Geometry]]) -> int:
        """Border classes of what a population starts with: all there are, or one."""
        edges = [geometry.edges(source.shape, shape) for source, geometry in incoming]
        rows, columns = (border_classes([item[axis] for item in edges]) for axis in range(2))
        drawn = "borders" in self.kinds and self._own(21).random() < 0.4
        return int((rows.max() + 1) * (columns.max() + 1)) if drawn else 1

    def _add(self, name: str, shape: Shape, incoming: list[tuple[Any, Geometry]], *, fires: bool) -> None:
        """Add a population with its connections; thresholds are of the size of its potentials."""
        rng, reach = self.rng, 1.0
        for n, (source, geometry) in enumerate(incoming):
            bits, shift = int(rng.integers(2, 9)), int(self._choose([0, 0, 0, 1, 3]))
            top = (1 << (bits - 1)) - 1
            weights = rng.integers(-top, top + 1, geometry.weight_shape(source.shape, shape), dtype=np.int8)
            self.connections.append(Connection(f"{name}_{n}", source.name, name, geometry, weights, bits, shift))
            fan = 1 if isinstance(geometry, Diagonal) else weights[0].size * int(np.prod(geometry.pool))
            reach += fan * (0.6 * top * self._largest(source) * 0.5 * (1 << shift)) ** 2
        reach = float(np.sqrt(reach))
        initial = rng.integers(-int(reach) // 2 - 1, int(reach) // 2 + 2, (self._classes(shape, incoming), shape[0]))
        together = self._together if self.schedule == "synchronous" else None
        neurons = Neurons(rng, self._own(22), self.kinds, self.timesteps, together)
        make = neurons.firing if fires else neurons.readout
        self.populations.append(Population(name, shape, make(reach, initial)))

    @property
    def _together(self) -> int:
        """Time steps of a synchronous network."""
        return min(int(np.random.default_rng((self.seed, 1 << 24)).integers(1, 9)), self.timesteps)

    def _largest(self, source: Input | Population) -> int:
        """Largest code of what a source sends: in a sample, or in a time step."""
        sender = source if isinstance(source, Input) else source.neuron
        assert not isinstance(sender, Silent)
        if self.schedule == "synchronous" and not isinstance(sender, Input):
            return (1 << max(sender.step_bits, 1)) - 1
        return largest_code(sender.growth, sender.timesteps)


def draw_network(
    seed: int,
    *,
    depth: int | None = None,
    kinds: frozenset[str] = frozenset(KINDS),
    timesteps: int = LONGEST,
    schedule: str = "two-phase",
) -> Network:
    """The random network of a seed.

    Parameters
    ----------
    seed : of everything.
    depth : firing layers; drawn where None. A network of fewer layers starts as one of more does.
    kinds : those of `KINDS` that may occur.
    timesteps : of a train, at most.
    schedule : one of `SCHEDULES`.
    """
    draft = Draft(seed, kinds, timesteps, schedule)
    layers = int(np.random.default_rng((seed, 1 << 20)).integers(1, DEEPEST + 1)) if depth is None else depth
    for number in range(1, layers + 1):
        draft.layer(number)
    return draft.readout()


def draw_program(seed: int, network: Network, *, cores: int | None = None, lanes: int = MOST_LANES) -> Program:
    """Random cores for a network: cuts, grids, widths, spreads, inboxes.

    Parameters
    ----------
    seed : of everything.
    network : Network
    cores : so many, or fewer where the network cannot be cut so often; None: one to three, as the seed says.
    lanes : of a core, at most.
    """
    rng = np.random.default_rng((seed, 1 << 18))
    possible = cuts(network)
    drawn = int(rng.integers(0, 3))
    count = min(drawn if cores is None else cores - 1, len(possible))
    grids = [grid for grid in GRIDS if grid[0] * grid[1] <= lanes]
    starts = [0, *sorted(int(start) for start in rng.choice(possible, count, replace=False))] if count else [0]
    plans = []
    for first, last in pairwise([*starts, len(network.populations)]):
        grid = grids[int(rng.integers(len(grids)))]
        cells = grid[0] * grid[1]
        width = min(int(rng.integers(1, max(2, MOST_LANES // cells) + 1)), lanes // cells)
        spreads = None  # the best ones
        if rng.random() < 0.7:
            spreads = [
                (int(rng.integers(1, grid[0] + 1)), int(rng.integers(1, grid[1] + 1))) for _ in range(first, last)
            ]
        plans.append(plan_core(network, first, last - first, grid=grid, width=width, spreads=spreads))
    plans = list(agreed(network, plans))
    for number, plan in enumerate(plans):
        if plan.generate_width:
            keepers = [plan] if plan.stored else []
            keepers += [one for one in plans[number + 1 : number + 2] if _keeps(one, one.source)]
            whole = [plan.width, *(keeper.store_width for keeper in keepers)]  # what a slot must be a part of
            slots = [slot for slot in (1, 2, 4) if not any(size % slot for size in whole)]
            plans[number] = replace(plan, generate_width=slots[int(rng.integers(len(slots)))])
    for number in range(1, len(plans)):
        if rng.random() < 0.5:
            plans[number] = replace(plans[number], inbox=int(rng.integers(2, 40)))
    own = np.random.default_rng((seed, 1 << 14))
    for number, plan in enumerate(plans):
        signed = any(network.sender(item.source).signed for item in plan.stored)  # those are not multiplied
        if plan.stored and not signed and own.random() < 0.3:
            plans[number] = replace(plan, multiply=True)
    return Program(network, tuple(plans))


def _keeps(plan: CorePlan, source: str) -> bool:
    """Whether a core keeps the codes of that train."""
    return any(item.source == source for item in plan.stored)


def draw_samples(seed: int, network: Network, count: int) -> np.ndarray:
    """Samples for a network, uint8 [count, C, H, W]: silent, full, sparse and dense ones; float where it is signed."""
    rng = np.random.default_rng((seed, 1 << 17))
    if network.inputs[0].signed:
        scale = rng.choice([0.0, 0.2, 1.0, 4.0], (count, 1, 1, 1), p=[0.1, 0.3, 0.4, 0.2])
        return (rng.uniform(-1, 1, (count, *network.inputs[0].shape)) * scale).clip(-1, 1)
    x = rng.integers(0, 256, (count, *network.inputs[0].shape), dtype=np.uint8)
    x *= rng.random(x.shape) < rng.choice([0.0, 0.2, 0.6, 1.0], (count, 1, 1, 1), p=[0.1, 0.4, 0.3, 0.2])
    x[rng.random(count) < 0.1] = 255
    return x
