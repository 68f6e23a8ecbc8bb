"""The AXI wrapper around real cores, driven by cocotbext-axi under Verilator, against the golden model."""

import numpy as np
import pytest
from axi_bench import run
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network
from spikeloom_hw.build import generate
from spikeloom_sim.design import Design


def images() -> Network:
    """Pixels, 25 of them: the last beat of a sample has one."""
    builder = RandomNetwork(np.random.default_rng(1), (1, 5, 5), timesteps=5, name="images")
    return builder.conv(3, Conv2d((3, 3), padding=(1, 1))).readout(4)


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Design:
    """A build with the wrapper."""
    folder = tmp_path_factory.mktemp("axi") / "images"
    return Design.load(generate(images(), folder, lanes=3, wrapper="axi").folder)


def pixels(design: Design, count: int) -> np.ndarray:
    """Samples of random pixels."""
    return np.random.default_rng(7).integers(0, 256, (count, *design.network.inputs[0].shape), dtype=np.uint8)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "test",
    [
        "answers_are_exact",
        "one_by_one",
        "valid_does_not_wait_for_ready",
        "bad_packets_do_not_leak",
        "resets_leave_nothing_behind",
        "registers_answer",
    ],
)
def test_wrapper(wrapped: Design, test: str, seed: int) -> None:
    run(wrapped, pixels(wrapped, 8), test, seed=seed)
