"""Small networks whose layers are visited again and again: synchronous ones, and neurons that fire step by step."""

from typing import Any

import numpy as np
from spikeloom import Connection, Conv2d, Dense, Diagonal, Input, Network, Neuron, Population, Readout, Silent
from spikeloom.geometry import Geometry, Shape


class Draft:
    """A network under construction, of random weights."""

    def __init__(self, name: str, schedule: str) -> None:
        self.name, self.schedule, self.rng = name, schedule, np.random.default_rng(len(name))
        self.source = Input("input", (2, 4, 4), 4, 1 / 16)
        self.populations: list[Population] = []
        self.connections: list[Connection] = []

    def add(self, name: str, shape: Shape, hears: dict[str, Geometry], neuron: Neuron | Silent) -> "Draft":
        """Add a population and what it hears."""
        shapes = {item.name: item.shape for item in (self.source, *self.populations)}
        for source, geometry in hears.items():
            weights = self.rng.integers(-7, 8, geometry.weight_shape(shapes[source], shape), dtype=np.int8)
            self.connections.append(Connection(f"{source}_to_{name}", source, name, geometry, weights, 4))
        self.populations.append(Population(name, shape, neuron))
        return self

    def neuron(self, channels: int, steps: int, growth: float, **more: Any) -> Neuron:
        """Random thresholds and potentials; names that end in a given vector's are drawn if they are True."""
        if self.schedule == "synchronous":
            more["drive"] = self.rng.integers(-10, 20, (1, channels))
        if more.pop("thresholds", False):
            more |= {"signed": True, "fire_pos": self.rng.integers(3, 30, (1, channels))}
            more["fire_neg"] = -self.rng.integers(3, 30, (1, channels))
        vectors = self.rng.integers(10, 60, (1, channels)), self.rng.integers(-20, 20, (1, channels))
        return Neuron(steps, growth, *vectors, **more)

    def network(self) -> Network:
        """The network, with all that is silent as readouts."""
        silent = tuple(item.name for item in self.populations if isinstance(item.neuron, Silent))
        readouts = tuple(Readout(name, 1.0) for name in silent)
        return Network(
            self.name, (self.source,), tuple(self.populations), tuple(self.connections), readouts, self.schedule
        )


def synchronous() -> Network:
    """Nine time steps, the middle ones a loop: signed, graded and hard neurons, a residual branch, a leak."""
    draft, pooled = Draft("synchronous", "synchronous"), Conv2d((3, 3), padding=(1, 1))
    rng = draft.rng
    draft.add("signed", (4, 4, 4), {"input": pooled}, draft.neuron(4, 9, 0.75, thresholds=True))
    graded = draft.neuron(4, 9, 1.0, reset_kind="hard", step_gamma=rng.integers(0, 20, (1, 4)), step_bits=3)
    draft.add("graded", (4, 4, 4), {"signed": pooled}, graded)
    hears: dict[str, Geometry] = {"graded": pooled, "signed": Diagonal()}
    draft.add("sum", (4, 4, 4), hears, draft.neuron(4, 9, 1.0, reset_kind="hard"))
    aside = Silent(rng.integers(-9, 9, (1, 3)))
    draft.add("aside", (3, 1, 1), {"graded": Dense((2, 2))}, aside)
    leaky = Silent(rng.integers(-9, 9, (1, 5)), drive=rng.integers(-5, 5, (1, 5)), growth=0.75)
    return draft.add("readout", (5, 1, 1), {"sum": Dense()}, leaky).network()


def stepwise() -> Network:
    """Two phases, in which every layer fires step by step for a reason of its own, but the last."""
    draft = Draft("stepwise", "two-phase")
    draft.add("growing", (4, 4, 4), {"input": Conv2d((3, 3), padding=(1, 1))}, draft.neuron(4, 4, 1.5))
    draft.add("leaking", (3, 3, 3), {"growing": Conv2d((2, 2))}, draft.neuron(3, 3, 0.875))
    draft.add("own", (9, 1, 1), {"leaking": Dense()}, draft.neuron(9, 3, 2.0, thresholds=True))
    draft.add("hard", (6, 1, 1), {"own": Dense()}, draft.neuron(6, 2, 1.0, reset_kind="hard"))
    draft.add("divides", (5, 1, 1), {"hard": Dense()}, draft.neuron(5, 4, 2.0, signed=True))
    return draft.add("readout", (3, 1, 1), {"divides": Dense()}, Silent(np.zeros((1, 3), np.int64))).network()
