"""Seeded random networks and samples: small, valid, of every kind the gates take, for tests of all rooms."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from spikeloom import Connection, Conv2d, Dense, Input, Network, Neuron, Population, Readout, Silent
from spikeloom.geometry import Geometry, Shape
from spikeloom.neuron import OPTIONAL_VECTORS, largest_code

Pair = tuple[int, int]
VECTORS = ("theta", "initial", *OPTIONAL_VECTORS)


@dataclass
class RandomNetwork:
    """Builds a network layer by layer with random weights, thresholds and offsets; every method returns self.

    Parameters
    ----------
    rng : source of all randomness.
    shape : (C, H, W) of the input.
    timesteps : T of the input.
    name : name of the network.
    code, signed : of the input's trains.
    schedule : of the network; in a synchronous one all layers must have the same `timesteps`.
    """

    rng: np.random.Generator
    shape: Shape
    timesteps: int = 4
    name: str = "random"
    code: str = "plain"
    signed: bool = False
    schedule: str = "two-phase"
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def dense(self, outputs: int, *, pool: Pair = (1, 1), **options: Any) -> "RandomNetwork":
        """Add a firing population of `outputs` neurons behind a dense connection; options as for `layer`."""
        return self.layer(Dense(pool), (outputs, 1, 1), **options)

    def conv(self, channels: int, geometry: Conv2d, **options: Any) -> "RandomNetwork":
        """Add a firing population of `channels` maps behind a convolution; options as for `layer`."""
        return self.layer(geometry, (channels, *geometry.output_size(self._source()[1])), **options)

    def layer(
        self,
        geometry: Geometry,
        shape: Shape,
        *,
        timesteps: int | None = None,
        growth: float = 2.0,
        weight_bits: int = 6,
        shift: int = 0,
        fires: bool = True,
        drive: bool = False,
        **features: Any,
    ) -> "RandomNetwork":
        """Add a population of `shape` behind one connection, its thresholds of the size of its potentials.

        `features`: `code`, `signed`, `reset_kind` as of `Neuron`, and `thresholds`, True for any that are not theta.
        `drive`: what is added every step of a synchronous network; `step_bits`: of graded spikes.
        """
        rng, (source, source_shape, largest) = self.rng, self._source()
        top = (1 << (weight_bits - 1)) - 1
        weights = rng.integers(-top, top + 1, geometry.weight_shape(source_shape, shape), dtype=np.int8)
        pool = getattr(geometry, "pool", (1, 1))
        reach = np.sqrt(weights[0].size * pool[0] * pool[1]) * (top / 2 + 0.5) * (largest / 2 + 0.5) * (1 << shift)
        initial = rng.integers(-int(reach) // 2 - 1, int(reach) // 2 + 2, (1, shape[0]))
        number = len(self.populations) + 1
        name = f"l{number}" if fires else "readout"
        steps = self.timesteps if timesteps is None else timesteps
        scale = reach / (1 if growth > 1 else steps)
        theta = np.maximum(1, (rng.uniform(0.1, 1.5, (1, shape[0])) * scale).astype(np.int64))
        sizes = int(reach) // 4 + 1
        own = {"drive": rng.integers(-sizes, sizes + 1, (1, shape[0]))} if drive else {}
        if fires:
            own |= self._vectors(theta, **features)
        neuron = Neuron(steps, growth, theta, initial, **own) if fires else Silent(initial, growth=growth, **own)
        self.populations.append(Population(name, shape, neuron))
        self.connections.append(Connection(f"to_{name}", source, name, geometry, weights, weight_bits, shift))
        return self

    def readout(self, outputs: int, *, pool: Pair = (1, 1), growth: float = 1.0, **options: Any) -> Network:
        """Close the network with a dense readout of `outputs` potentials; options as for `layer`."""
        self.layer(Dense(pool), (outputs, 1, 1), growth=growth, fires=False, **options)
        source = Input("input", self.shape, self.timesteps, scale=2.0**-self.timesteps, code=self.code)
        if self.signed:
            source = replace(source, signed=True, low=-1.0)
        parts = (source,), tuple(self.populations), tuple(self.connections), (Readout("readout", 1.0),)
        return Network(self.name, *parts, self.schedule)

    def _vectors(self, theta: np.ndarray, *, thresholds: bool = False, **features: Any) -> dict[str, Any]:
        """Fields of a neuron: `features`, and vectors of the size of theta where its thresholds are its own."""
        found = dict(features)
        if features.get("step_bits"):
            found |= {"reset_kind": "hard", "step_gamma": self.rng.integers(0, int(theta.max()) + 1, theta.shape)}
        if thresholds:
            names = ["fire_pos", *(["fire_neg"] if features.get("signed") else [])]
            names += ["reset"] if features.get("reset_kind", "soft") == "soft" else []
            for name in names:
                drawn = np.maximum(1, (self.rng.uniform(0.3, 2.0, theta.shape) * theta).astype(np.int64))
                found[name] = -drawn if name == "fire_neg" else drawn
        return found

    def _source(self) -> tuple[str, Shape, int]:
        """Name, shape and largest code of what the next layer hears."""
        if not self.populations:
            return "input", self.shape, (1 << self.timesteps) - 1
        last = self.populations[-1]
        assert isinstance(last.neuron, Neuron)
        if self.schedule == "synchronous":
            return last.name, last.shape, (1 << max(last.neuron.step_bits, 1)) - 1
        return last.name, last.shape, largest_code(last.neuron.growth, last.neuron.timesteps)


def exchanged(network: Network, rng: np.random.Generator) -> Network:
    """Another network of the same structure and the same widths: neurons change places, and so do their synapses."""
    orders = {
        item.name: rng.permutation(item.shape[0]) if len(network.incoming(item.name)) == 1 else np.arange(item.shape[0])
        for item in network.populations
    }

    def moved(vector: np.ndarray | None, name: str) -> np.ndarray | None:
        return None if vector is None else vector[:, orders[name]]

    populations = []
    for item in network.populations:
        names = [name for name in VECTORS if getattr(item.neuron, name, None) is not None]
        own = {name: moved(getattr(item.neuron, name), item.name) for name in names}
        populations.append(replace(item, neuron=replace(item.neuron, **own)))
    connections = []
    for connection in network.connections:
        weights = connection.weights
        if len(weights) == len(orders[connection.target]):
            weights = weights[orders[connection.target]]
        rows = rng.permuted(weights.reshape(len(weights), -1), axis=1)
        connections.append(replace(connection, weights=rows.reshape(weights.shape)))
    return replace(network, name="other", populations=tuple(populations), connections=tuple(connections))


def random_network(
    rng: np.random.Generator,
    *,
    layers: int | None = None,
    growths: tuple[float, ...] = (1.0, 2.0),
    codes: tuple[str, ...] = ("plain",),
    features: tuple[str, ...] = (),
    name: str = "random",
) -> Network:
    """A random tiny network: dense and convolutional layers, stride, padding, groups, pooling, odd channel counts.

    Parameters
    ----------
    rng : source of all randomness; a failing test prints the seed it came from.
    layers : number of firing populations (default: 0 to 3).
    growths : growths the populations draw from.
    codes : codes that the input and the populations of growth 2 draw from.
    features : what else they may draw: "signed", "thresholds" that are not theta, "hard" resets.
    """
    hidden = int(rng.integers(0, 4)) if layers is None else layers
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    network = RandomNetwork(rng, shape, int(rng.integers(1, 7)), name, _drawn(rng, codes))
    network.signed = _likely(rng, "signed", features) and network.code == "plain"
    for _ in range(hidden):
        shape = network.populations[-1].shape if network.populations else shape
        options: dict[str, Any] = {
            "timesteps": int(rng.integers(1, 7)),
            "growth": float(rng.choice(growths)),
            "weight_bits": int(rng.integers(2, 9)),
            "shift": int(rng.choice([0, 0, 0, 1, 3])),
        }
        options["code"] = _drawn(rng, codes) if options["growth"] == 2.0 else "plain"
        options["signed"] = _likely(rng, "signed", features) and options["code"] == "plain"
        options["thresholds"] = _likely(rng, "thresholds", features)
        options["reset_kind"] = "hard" if _likely(rng, "hard", features) else "soft"
        geometry, channels = _random_convolution(rng, shape)
        if geometry is not None and rng.random() < 0.7:
            network.conv(channels, geometry, **options)
        else:
            network.dense(int(rng.integers(1, 12)), pool=_random_pool(rng, shape), **options)
    shape = network.populations[-1].shape if network.populations else shape
    return network.readout(int(rng.integers(1, 12)), pool=_random_pool(rng, shape), weight_bits=int(rng.integers(2, 9)))


def random_synchronous_network(rng: np.random.Generator, *, growths: tuple[float, ...] = (1.0,)) -> Network:
    """A random tiny synchronous network of one to three layers: IF or graded, signed, own thresholds, soft or hard.

    Parameters
    ----------
    rng : source of all randomness.
    growths : growths the populations and the readout draw from.
    """
    shape = (int(rng.integers(1, 3)), int(rng.integers(1, 6)), int(rng.integers(1, 6)))
    network = RandomNetwork(rng, shape, int(rng.integers(1, 9)), "random", schedule="synchronous")
    network.code, network.signed = [("plain", False), ("naf", False), ("plain", True)][int(rng.integers(3))]
    steps = int(rng.integers(1, 8))
    for _ in range(int(rng.integers(1, 4))):
        shape = network.populations[-1].shape if network.populations else shape
        options: dict[str, Any] = {"timesteps": steps, "growth": float(rng.choice(growths))}
        options |= {"drive": bool(rng.integers(2)), "weight_bits": int(rng.integers(2, 9))}
        if rng.random() < 0.25:
            options["step_bits"] = int(rng.integers(1, 9))
        else:
            options |= {"signed": bool(rng.integers(2)), "thresholds": bool(rng.integers(2))}
            options["reset_kind"] = str(rng.choice(["soft", "hard"]))
        geometry, channels = _random_convolution(rng, shape)
        if geometry is not None and rng.random() < 0.7:
            network.conv(channels, geometry, **options)
        else:
            network.dense(int(rng.integers(1, 9)), pool=_random_pool(rng, shape), **options)
    shape = network.populations[-1].shape
    growth, drive = float(rng.choice(growths)), bool(rng.integers(2))
    return network.readout(int(rng.integers(1, 9)), pool=_random_pool(rng, shape), growth=growth, drive=drive)


def random_samples(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """Samples for a network, uint8 [count, C, H, W] (float where it is signed): silent, full, sparse and dense ones."""
    source = network.inputs[0]
    if source.signed:
        return rng.uniform(-1.1, 1.1, (count, *source.shape)) * rng.choice([0.0, 0.2, 1.0], (count, 1, 1, 1))
    x = rng.integers(0, 256, (count, *source.shape), dtype=np.uint8)
    x *= rng.random(x.shape) < rng.choice([0.0, 0.2, 0.6, 1.0], (count, 1, 1, 1), p=[0.1, 0.3, 0.3, 0.3])
    x[rng.random(count) < 0.1] = 255
    return x


def _likely(rng: np.random.Generator, name: str, features: tuple[str, ...]) -> bool:
    """Whether one of the features that may be drawn is; where it may not, nothing is drawn, as in `_drawn`."""
    return name in features and bool(rng.random() < 0.4)


def _drawn(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """One of the choices; where there is but one, nothing is drawn: networks of older seeds stay as they are."""
    return str(rng.choice(choices)) if len(choices) > 1 else choices[0]


def _random_pool(rng: np.random.Generator, shape: Shape) -> Pair:
    vertical, horizontal = (int(rng.integers(1, min(size, 3) + 1)) if rng.random() < 0.4 else 1 for size in shape[1:])
    return vertical, horizontal


def _random_convolution(rng: np.random.Generator, shape: Shape) -> tuple[Conv2d | None, int]:
    """A convolution over `shape` (None where the map is too small for the kernel drawn) and its output channels."""
    pool = _random_pool(rng, shape)
    groups = int(rng.choice([size for size in range(1, shape[0] + 1) if shape[0] % size == 0]))
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    geometry = Conv2d(
        kernel=kernel,
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        padding=(int(rng.integers(0, kernel[0])), int(rng.integers(0, kernel[1]))),
        groups=groups,
        pool=pool,
    )
    channels = groups * int(rng.integers(1, max(8 // groups, 1) + 1))
    return (geometry if min(geometry.output_size(shape)) >= 1 else None), channels
