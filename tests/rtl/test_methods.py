"""Networks of every conversion method in gates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from spikeloom.datasets import load
from spikeloom_convert import METHODS, convert
from spikeloom_convert.activations import (
    QCFS,
    AsymmetricThresholdLeakyReLU,
    NoisyQuantized,
    StepReLU,
    SymmetricThresholdReLU,
    ThresholdReLU,
)
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors
from torch import nn

CASES: dict[str, tuple[Callable[[], nn.Module], int, dict[str, object]]] = {
    "spikeconverter": (nn.ReLU, 4, {}),
    "optimal-conversion": (ThresholdReLU, 6, {}),
    "strelu": (SymmetricThresholdReLU, 3, {}),
    "strelu of leaky ones": (lambda: AsymmetricThresholdLeakyReLU(0.3), 5, {}),
    "steprelu": (StepReLU, 2, {"spike_bits": 5, "leak": 1}),
    "qcfs": (lambda: QCFS(4, 1.0), 4, {}),
    "noisy-quantized": (lambda: NoisyQuantized(2, 1.0), 2, {}),
}


def test_there_is_a_case_for_every_method() -> None:
    assert {name.split()[0] for name in CASES} == METHODS.keys()


@pytest.mark.parametrize("cores", [1, pytest.param(None, marks=pytest.mark.slow)])  # None: a core for each layer
@pytest.mark.parametrize("name", CASES)
def test_gates_of_a_method_equal_its_golden_model(
    name: str, cores: int | None, tmp_path: Path, rng: np.random.Generator
) -> None:
    activation, steps, options = CASES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), activation(), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3), activation(),
            nn.Flatten(), nn.Linear(16, 10),
        )  # fmt: skip
    digits = load("digits", "train").x
    network = convert(model, digits[:100], method=name.split()[0], timesteps=steps, weight_bits=4, options=options)
    made = Design.load(generate(network, tmp_path / "build", lanes=4, cores=cores).folder)
    x = digits[100:104]
    want = expected(made, x)
    with Model(made, compile_library(made, level="-O0")) as gates:
        runs = [
            gates.run(vectors(made, x)),
            gates.run(vectors(made, x, rng), seed=1),
            gates.run(vectors(made, x, rng), seed=2, abort_cycles=int(rng.integers(100, 3000))),
        ]
    assert [judge(made, want, capture) for capture in runs] == [Verdict(0, None)] * 3
