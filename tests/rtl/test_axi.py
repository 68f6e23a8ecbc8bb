"""The AXI wrapper around real cores, driven by cocotbext-axi under Verilator, against the golden model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from axi_bench import run
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network, ToolError
from spikeloom_hw.axi import wrapper
from spikeloom_hw.axi.packets import PIXELS, PixelPackets
from spikeloom_hw.build import generate
from spikeloom_sim.design import Design
from sweep_networks import synchronous

pytestmark = pytest.mark.xdist_group("axi")  # one worker compiles the designs of all of them

TESTS = (
    "answers_are_exact",
    "one_by_one",
    "valid_does_not_wait_for_ready",
    "bad_packets_do_not_leak",
    "resets_leave_nothing_behind",
    "registers_answer",
)


def images() -> Network:
    """Pixels, 25 of them: the last beat of a sample has one."""
    builder = RandomNetwork(np.random.default_rng(1), (1, 5, 5), timesteps=5, name="images")
    return builder.conv(3, Conv2d((3, 3), padding=(1, 1))).readout(4)


def coded() -> Network:
    """Pixels in minimal-weight code; a single output."""
    builder = RandomNetwork(np.random.default_rng(2), (3, 4, 4), timesteps=8, name="coded", code="naf")
    return builder.dense(5).readout(1)


def signed() -> Network:
    """A signed input: samples are events. Answers are long enough to be stopped within."""
    builder = RandomNetwork(np.random.default_rng(3), (3, 1, 2), timesteps=5, name="signed", signed=True)
    return builder.dense(7, timesteps=3).readout(6)


LANES = {images: 3, coded: 2, signed: 2, synchronous: 8}  # the last has two readouts


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Network]], Design]:
    """Builds with the wrapper, each made once."""
    folder, made = tmp_path_factory.mktemp("axi"), {}

    def make(network: Callable[[], Network]) -> Design:
        if network not in made:
            build = generate(network(), folder / network.__name__, lanes=LANES[network], wrapper="axi")
            made[network] = Design.load(build.folder)
        return made[network]

    return make


def samples(design: Design, count: int = 8) -> np.ndarray:
    """Random samples."""
    rng, shape = np.random.default_rng(7), (count, *design.network.inputs[0].shape)
    if design.network.inputs[0].signed:
        return rng.uniform(-1, 1, shape)
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("test", TESTS)
def test_wrapper_of_images(wrapped: Callable[..., Design], test: str) -> None:
    design = wrapped(images)
    run(design, samples(design), test)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize("test", TESTS)
def test_wrapper_of_images_with_other_pauses(wrapped: Callable[..., Design], test: str, seed: int) -> None:
    design = wrapped(images)
    run(design, samples(design), test, seed=seed)


@pytest.mark.parametrize(
    "test", ["answers_are_exact", "events_that_do_not_exist_are_dropped", "resets_leave_nothing_behind"]
)
def test_wrapper_of_events(wrapped: Callable[..., Design], test: str) -> None:
    design = wrapped(signed)
    run(design, samples(design), test)


@pytest.mark.slow
@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("network", [coded, synchronous])
def test_wrapper_of_other_networks(wrapped: Callable[..., Design], network: Callable[[], Network], test: str) -> None:
    design = wrapped(network)
    run(design, samples(design), test)


class Longer(PixelPackets):
    """Samples with a beat too many."""

    def __init__(self, *, neurons: int) -> None:
        super().__init__(neurons=neurons + PIXELS)


def without_reset(clear: object) -> Callable[[object], object]:
    """What a reset by software does not reach."""
    return lambda part: part


MUTANTS = {
    "encoder and counters survive a reset": ("resets_leave_nothing_behind", "ResetInserter", without_reset),
    "a sample has a beat too many": ("one_by_one", "PixelPackets", Longer),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_bench_catches(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, part, fault = MUTANTS[name]
    monkeypatch.setattr(wrapper, part, fault)
    design = Design.load(generate(images(), tmp_path / "build", lanes=3, wrapper="axi").folder)
    with pytest.raises(ToolError, match="the bench failed"):
        run(design, samples(design), test)
