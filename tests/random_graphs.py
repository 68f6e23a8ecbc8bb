"""Random networks with branches: residual connections, max pooling and border classes, for tests of all rooms."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from spikeloom import Connection, Conv2d, Dense, Diagonal, Input, Network, Neuron, Population, Readout, Silent
from spikeloom.geometry import Geometry, Shape
from spikeloom.neuron import largest_code


@dataclass
class RandomGraph:
    """Builds a network population by population, each behind any number of connections from earlier ones.

    Parameters
    ----------
    rng : source of all randomness.
    shape : (C, H, W) of the input.
    timesteps : T of the input.
    name : name of the network.
    """

    rng: np.random.Generator
    shape: Shape
    timesteps: int = 4
    name: str = "graph"
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def add(
        self,
        name: str,
        shape: Shape,
        *incoming: tuple[str, Geometry],
        timesteps: int = 4,
        growth: float = 2.0,
        classes: int = 1,
        fires: bool = True,
        **options: Any,
    ) -> "RandomGraph":
        """Add a population of `shape` behind connections (source, geometry); its thresholds fit its potentials.

        `classes`: border classes of `initial`; `fires` False makes a readout; other options go to the neuron.
        """
        rng, reach = self.rng, 1.0
        for source, geometry in incoming:
            source_shape, code = self._source(source)
            bits = 8 if isinstance(geometry, Diagonal) else int(rng.integers(2, 7))
            top, shift = (1 << (bits - 1)) - 1, int(rng.choice([0, 0, 1, 3]))
            weights = rng.integers(-top, top + 1, geometry.weight_shape(source_shape, shape), dtype=np.int8)
            number = sum(item.target == name for item in self.connections)
            self.connections.append(Connection(f"{name}_in{number}", source, name, geometry, weights, bits, shift))
            terms = 1 if isinstance(geometry, Diagonal) else weights[0].size * geometry.summed
            reach += np.sqrt(terms) * (top / 2 + 0.5) * (code / 2 + 0.5) * (1 << shift)
        initial = rng.integers(-int(reach) // 2, int(reach) // 2 + 1, (classes, shape[0]))
        if fires:
            scale = reach if growth > 1 else reach / timesteps
            theta = np.maximum(1, (rng.uniform(0.1, 1.0, (1, shape[0])) * scale).astype(np.int64))
            neuron: Neuron | Silent = Neuron(timesteps, growth, theta, initial, **options)
        else:
            neuron = Silent(initial)
        self.populations.append(Population(name, shape, neuron))
        return self

    def network(self) -> Network:
        """The network; its readouts are the populations that do not fire."""
        silent = [item.name for item in self.populations if isinstance(item.neuron, Silent)]
        source = Input("input", self.shape, self.timesteps, scale=2.0**-self.timesteps)
        readouts = tuple(Readout(name, 1.0) for name in silent)
        return Network(self.name, (source,), tuple(self.populations), tuple(self.connections), readouts)

    def _source(self, name: str) -> tuple[Shape, int]:
        if name == "input":
            return self.shape, (1 << self.timesteps) - 1
        item = next(item for item in self.populations if item.name == name)
        assert isinstance(item.neuron, Neuron)
        return item.shape, largest_code(item.neuron.growth, item.neuron.timesteps)


def random_graph(
    rng: np.random.Generator, *, growths: tuple[float, ...] = (1.0, 2.0), code: str = "plain", name: str = "graph"
) -> Network:
    """A random residual network: a padded convolution with border classes, a block with a diagonal shortcut that
    subsamples and adds channels, one with a 1x1 convolution and max pooling by windows that may overlap, a readout of
    maxima and one of averages.
    """

    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    def kind() -> dict[str, Any]:
        growth = float(rng.choice(growths))
        return {"timesteps": some(1, 6), "growth": growth, "code": code if growth == 2 else "plain"}

    inputs, channels, height, width = some(1, 4), some(1, 5), some(4, 9), some(4, 9)
    graph = RandomGraph(rng, (inputs, height, width), some(1, 7), name)
    stem = Conv2d((3, 3), padding=(1, 1), pool_kind=str(rng.choice(["average", "max"])))
    graph.add("stem", (channels, height, width), ("input", stem), classes=9, **kind())
    wide, half = channels + some(0, 4), (-(-height // 2), -(-width // 2))
    down = Conv2d((3, 3), (2, 2), (1, 1))
    offset = some(0, wide - channels + 1)
    graph.add("a", (wide, *half), ("stem", down), **kind())
    graph.add("b", (wide, *half), ("a", Conv2d((1, 1))), ("stem", Diagonal((2, 2), offset)), **kind())
    pool = (some(1, min(half[0], 3) + 1), some(1, min(half[1], 3) + 1))
    pooled = (half[0] // pool[0], half[1] // pool[1])
    largest = {"pool": pool, "pool_kind": "max"}
    if rng.random() < 0.5 and all(side < size for side, size in zip(pool, half, strict=True)):
        # as many windows, which overlap by one and begin one place ahead of the border
        largest |= {"pool": (pool[0] + 1, pool[1] + 1), "pool_stride": pool, "pool_ahead": (1, 1)}
    graph.add(
        "c",
        (wide, *pooled),
        ("b", Conv2d((3, 3), padding=(1, 1), groups=wide, **largest)),
        ("b", Conv2d((1, 1), pool=pool)),
        **kind(),
    )
    graph.add("d", (wide, *pooled), ("c", Diagonal()), **kind())
    graph.add("largest", (some(1, 5), 1, 1), ("d", Dense(pooled, "max")), fires=False)
    graph.add("mean", (some(1, 5), 1, 1), ("d", Dense(pooled)), ("input", Dense((2, 2), "max")), fires=False)
    return graph.network()
