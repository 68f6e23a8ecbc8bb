"""What the planner says of cycles, next to what the compiled simulation counts, where no benchmark looks."""

from collections.abc import Callable
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


@pytest.mark.parametrize(
    ("schedule", "cores"),
    [("two-phase", 2), ("synchronous", 1), pytest.param("synchronous", 3, marks=pytest.mark.slow)],
)
def test_cycles_are_what_the_plan_says(schedule: str, cores: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (12, 1, 12, 12), dtype=np.uint8) * (rng.random((12, 1, 12, 12)) < 0.5)
    network = profiled(network_of(schedule), x)
    program = place(network, lanes=16, cores=cores)
    build = generate(network, tmp_path / "build", program=program)
    result = simulate(build.folder, x, simulator="cxxrtl", stalls=False)
    assert result.mismatches == 0
    assert interval(network, program.cores) == pytest.approx(result.initiation_interval_cycles, rel=0.05)


def centred(rng: np.random.Generator) -> tuple[Network, np.ndarray]:
    """Pictures with a wide empty border: there the lanes wait for the generator, which else waits for them."""
    x = np.zeros((12, 1, 24, 24), np.uint8)
    x[:, :, 8:16, 8:16] = rng.integers(128, 256, (12, 1, 8, 8))
    made = RandomNetwork(rng, (1, 24, 24), 4, "paced").conv(12, Conv2d((3, 3), padding=(1, 1)))
    network = made.conv(12, Conv2d((3, 3), padding=(1, 1))).readout(4)
    first, *others = network.populations
    quiet = replace(first.neuron, initial=-abs(first.neuron.initial))
    return replace(network, populations=(replace(first, neuron=quiet), *others)), x


def pooled(rng: np.random.Generator) -> tuple[Network, np.ndarray]:
    """What is read back for the pooling waits behind the train that the core sends to a slow one."""
    x = rng.integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    made = RandomNetwork(rng, (1, 8, 8), 4, "paced").conv(16, Conv2d((3, 3), padding=(1, 1)))
    windows = {"pool": (3, 3), "pool_stride": (2, 2), "pool_ahead": (1, 1), "pool_kind": "max"}
    made = made.conv(24, Conv2d((3, 3), padding=(1, 1), groups=4, **windows))
    return made.conv(16, Conv2d((3, 3), padding=(1, 1), groups=2)).readout(10), x


@pytest.mark.parametrize(
    ("draw", "lanes", "cores"),
    [
        (centred, 36, 1),
        pytest.param(centred, 72, 2, marks=pytest.mark.slow),  # the third one is of neighbours, too
        (pooled, 16, 3),
    ],
)
def test_cycles_of_neighbours_that_wait_for_each_other_are_what_the_plan_says(
    draw: Callable[[np.random.Generator], tuple[Network, np.ndarray]], lanes: int, cores: int, tmp_path: Path
) -> None:
    network, x = draw(np.random.default_rng(0))
    network = profiled(network, x)
    program = place(network, lanes=lanes, cores=cores)
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
