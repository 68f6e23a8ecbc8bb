"""Converted models whose input is heard late or pooled, in gates: the relay is a population like any other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from spikeloom import Network
from spikeloom_convert import convert
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors
from torch import nn

Body = Callable[["Net", torch.Tensor], torch.Tensor]


class Net(nn.Module):
    """Two convolutions over two channels in the order of a function, and a linear layer."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.a, self.b, self.body = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), body
        self.head = nn.Linear(body(self, torch.zeros(1, 2, 6, 6)).numel(), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 3) of images (N, 2, 6, 6)."""
        return self.head(self.body(self, x).flatten(1))


def added(net: Net, x: torch.Tensor) -> torch.Tensor:
    return (net.b(net.a(x).relu()) + x).relu()


def concatenated(net: Net, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([net.a(x).relu(), x], 1)


def pooled(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.b(net.a(F.max_pool2d(x, 2)).relu()).relu()


def branched(net: Net, x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d((net.b(a := net.a(x).relu()) + a).relu(), 2)


OTHER_WAY_ROUND = [(added, 1, None), (concatenated, 1, 1), (pooled, 1, 1), (branched, 2, None)]


def converted(body: Body, code: str, neurons: int = 1) -> tuple[Network, np.ndarray]:
    """The network of a model whose normalisation makes the border differ, and samples."""
    x = np.random.default_rng(5).integers(0, 256, (40, 2, 6, 6), dtype=np.uint8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = Net(body).eval()
    settings = {"timesteps": 4, "input_timesteps": 5, "layer_neurons": {"*": neurons}, "code": code, "mean": 0.4}
    return convert(model, x, **settings, std=0.3, name="relayed"), x


@pytest.mark.parametrize(
    ("body", "neurons", "cores"),
    [(added, 1, 1), (concatenated, 1, None), (pooled, 1, None), (branched, 2, 1)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in OTHER_WAY_ROUND],
)
def test_gates_run_models_that_hear_their_input_late_twice_or_pooled(
    body: Body, neurons: int, cores: int | None, tmp_path: Path
) -> None:
    network, x = converted(body, "plain" if cores else "naf", neurons)
    assert network.populations[0].name == "relay"
    design = Design.load(generate(network, tmp_path / "build", lanes=6, cores=cores).folder)
    want, rng = expected(design, x), np.random.default_rng(6)
    with Model(design, compile_library(design, level="-O0")) as model:
        assert judge(design, want, model.run(vectors(design, x), alone=1)) == Verdict(0, None)
        assert judge(design, want, model.run(vectors(design, x, rng), seed=1)) == Verdict(0, None)
