"""What the planner says of cycles, next to what the compiled simulation counts, where no benchmark looks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Connection, Conv2d, Dense, Network
from spikeloom.placing.pace import interval
from spikeloom.placing.place import place
from spikeloom.profile import profiled
from spikeloom_hw.build import generate
from spikeloom_sim import simulate


def network_of(schedule: str) -> Network:
    made = RandomNetwork(np.random.default_rng(3), (1, 12, 12), 4, "paced", schedule=schedule)
    drive = {"drive": True, "growth": 1.0} if schedule == "synchronous" else {}
    made.conv(8, Conv2d((3, 3), padding=(1, 1)), **drive)
    made.conv(8, Conv2d((3, 3), (2, 2), (1, 1)), **drive)
    return made.dense(24, **drive).readout(10, **({"drive": True} if drive else {}))


@pytest.mark.parametrize(("schedule", "cores"), [("two-phase", 2), ("synchronous", 1), ("synchronous", 3)])
def test_cycles_are_what_the_plan_says(schedule: str, cores: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (12, 1, 12, 12), dtype=np.uint8) * (rng.random((12, 1, 12, 12)) < 0.5)
    network = profiled(network_of(schedule), x)
    program = place(network, lanes=16, cores=cores)
    build = generate(network, tmp_path / "build", program=program)
    result = simulate(build.folder, x, simulator="cxxrtl", stalls=False)
    assert result.mismatches == 0
    assert interval(network, program.cores) == pytest.approx(result.initiation_interval_cycles, rel=0.05)


def test_cycles_of_a_recurrent_network_are_what_the_plan_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = RandomNetwork(rng, (28, 1, 1), 8, "paced", schedule="synchronous")
    network = made.dense(64, timesteps=8, growth=1.0, drive=True).readout(10, drive=True)
    layer = network.populations[0].name
    weights = rng.integers(-7, 8, (64, 64), dtype=np.int8)
    back = Connection("back", layer, layer, Dense(), weights, 4, 0)
    inputs = (replace(network.inputs[0], sequence=8),)
    network = replace(network, inputs=inputs, connections=(*network.connections, back))
    x = rng.integers(0, 256, (12, 8, 28), dtype=np.uint8)
    network = profiled(network, x)
    program = place(network, cores=1)
    build = generate(network, tmp_path / "build", program=program)
    result = simulate(build.folder, x, simulator="cxxrtl", stalls=False)
    assert result.mismatches == 0
    assert interval(network, program.cores) == pytest.approx(result.initiation_interval_cycles, rel=0.05)
