"""Neurons of every kind in networks with branches, max pooling and border classes: both golden forms agree."""

from typing import Any

import numpy as np
import pytest
from random_graphs import RandomGraph
from spikeloom import Conv2d, Dense, Diagonal, Divergence, Network, golden
from spikeloom.bounds import potential_bits, potential_bounds
from spikeloom.measure import measure, sops
from spikeloom.trace import require_equal


def any_neuron(rng: np.random.Generator, channels: int, reach: int) -> dict[str, Any]:
    """Options of a neuron: growth, signs, minimal weight, thresholds and resets of its own."""
    options: dict[str, Any] = {"timesteps": int(rng.integers(1, 7))}
    options["growth"] = float(rng.choice([1.0, 2.0, 2.0, 1.5, 0.75, 0.5]))
    options["signed"] = bool(rng.integers(2))
    if options["growth"] == 2.0 and not options["signed"]:
        options["code"] = str(rng.choice(["plain", "naf"]))
    options["reset_kind"] = str(rng.choice(["soft", "soft", "hard"]))
    own = ["fire_pos", *(["fire_neg"] if options["signed"] else [])]
    own += ["reset"] if options["reset_kind"] == "soft" else []
    for name in (name for name in own if rng.random() < 0.3):
        drawn = rng.integers(1, reach, (1, channels))
        options[name] = -drawn if name == "fire_neg" else drawn
    return options


def any_graph(rng: np.random.Generator) -> Network:
    """A padded convolution with border classes, a residual block behind max pooling, and a readout of maxima."""
    graph = RandomGraph(rng, (2, 8, 7), int(rng.integers(1, 7)))
    same = Conv2d((3, 3), padding=(1, 1))
    graph.add("stem", (3, 8, 7), ("input", same), classes=9, **any_neuron(rng, 3, 2000))
    pool = Conv2d((3, 3), padding=(1, 1), pool=(2, 2), pool_kind="max")
    graph.add("a", (4, 4, 3), ("stem", pool), **any_neuron(rng, 4, 5000))
    graph.add("b", (5, 4, 3), ("a", Conv2d((1, 1))), ("a", Diagonal((1, 1), 1)), **any_neuron(rng, 5, 5000))
    graph.add("readout", (3, 1, 1), ("b", Dense((2, 3), "max")), ("stem", Dense((4, 7))), fires=False)
    return graph.network()


@pytest.mark.parametrize("block", range(4))
def test_both_forms_agree_on_neurons_of_every_kind_behind_branches_and_maxima(block: int) -> None:
    for seed in range(block * 12, block * 12 + 12):
        rng = np.random.default_rng([1, seed])
        network = any_graph(rng)
        x = rng.integers(0, 256, (4, 2, 8, 7), dtype=np.uint8)
        trace = golden.run(network, x)
        try:
            require_equal(trace, golden.run_values(network, x))
        except Divergence as error:
            raise AssertionError(f"seed {seed}") from error
        work = {name: float(count.sum()) / 4 for name, count in sops(network, trace).items()}
        assert measure(network, x).sops == work
        for name, (low, high) in potential_bounds(network).items():
            axes, half = (0, 2, 3), 1 << (potential_bits(network)[name] - 1)
            assert (low <= trace.accumulated[name].min(axes)).all()
            assert (trace.accumulated[name].max(axes) <= high).all()
            left = trace.remainder.get(name, trace.accumulated[name])
            assert -half <= left.min()
            assert left.max() < half
