"""The memories that placing counts against those of the hardware, one by one."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from deep_shapes import residual_network
from random_networks import RandomNetwork, random_network
from spikeloom import Conv2d, Network
from spikeloom.placing.place import place
from spikeloom.placing.resources import decoder, memories, program_words
from spikeloom.program.digits import digits
from spikeloom.program.weights import used_lanes, weight_rows
from spikeloom_hw.core.chain import Chain, core_specs
from spikeloom_hw.core.spec import CoreSpec
from spikeloom_hw.core.tables import WalkTables
from spikeloom_hw.export import verilog
from spikeloom_sim.fuzz.draw import draw_network


def assert_images_are_as_large_as_counted(network: Network, spec: CoreSpec) -> None:
    core = spec.plan
    assert len(spec.weight_rows) == sum(weight_rows(network, core).values())
    assert not (spec.weight_rows.any(0) & ~used_lanes(network, core).reshape(-1)).any()
    assert program_words(network, core) == len(spec.steps)
    walks = WalkTables(spec)
    for step, base in zip(spec.steps, spec.event_bases, strict=True):
        if step.train and step.events:  # the first channel's weights are where the image has them
            assert walks.fields("c")["weight"][walks.bases(step)["c"]] == base


@pytest.mark.parametrize("lanes", [None, 1, 7, 64])
@pytest.mark.parametrize("seed", range(10))
def test_weights_and_programs_of_random_networks_are_as_large_as_counted(seed: int, lanes: int | None) -> None:
    network = random_network(np.random.default_rng(seed))
    for cores in (None, 1):
        for spec in core_specs(place(network, lanes=lanes, cores=cores)):
            assert_images_are_as_large_as_counted(network, spec)


@pytest.mark.parametrize("cores", [None, 1])
@pytest.mark.parametrize("seed", [4, 19, 27, 32, 56])  # replays and diagonals in one phase, trains that are only kept
def test_weights_and_programs_of_branching_networks_are_as_large_as_counted(seed: int, cores: int | None) -> None:
    network = draw_network(seed)
    for spec in core_specs(place(network, lanes=24, cores=cores)):
        assert_images_are_as_large_as_counted(network, spec)


@pytest.mark.parametrize("cores", [1, 3, 11])
@pytest.mark.parametrize("bits", [6, 8])
def test_weights_and_programs_of_a_residual_network_are_as_large_as_counted(cores: int, bits: int) -> None:
    network = residual_network(np.random.default_rng(0), diagonal_bits=bits)
    for spec in core_specs(place(network, lanes=144, cores=cores)):
        assert_images_are_as_large_as_counted(network, spec)


@pytest.mark.parametrize("lanes", [5, 16, 18, 36])
@pytest.mark.parametrize("pool", [None, (3, 4)])
def test_lanes_without_a_weight_are_known(lanes: int, pool: tuple[int, int] | None) -> None:
    layers = RandomNetwork(np.random.default_rng(3), (2, 9, 12)).conv(4, Conv2d((3, 3), padding=(1, 1)))
    network = layers.dense(13, pool=pool or (1, 1)).readout(3)
    for cores in (None, 1):
        for spec in core_specs(place(network, lanes=lanes, cores=cores)):
            used = used_lanes(network, spec.plan)
            assert np.array_equal(spec.weight_rows.any(0), used.reshape(-1)), spec.plan.name


@pytest.mark.parametrize("multiply", [False, True])
@pytest.mark.parametrize("lane_bits", [3, 5, 6, 8])
def test_digits_of_wide_weights_fit_the_lanes_and_add_up(lane_bits: int, multiply: bool) -> None:
    network = residual_network(np.random.default_rng(1), channels=(16,), blocks=1, size=8, diagonal_bits=8)
    connection = dataclasses.replace(network.connections[-1], shift=3)
    weights = connection.weights.astype(np.int64)
    shifts, found = digits(connection, lane_bits, multiply=multiply)
    assert all(shift % lane_bits == 0 for shift in shifts) or not multiply
    assert -(1 << (lane_bits - 1)) <= found.min() <= found.max() < 1 << (lane_bits - 1)
    assert np.array_equal(sum(digit << shift for digit, shift in zip(found, shifts, strict=True)), weights << 3)


@pytest.mark.parametrize("multiply", [False, True])
def test_wide_rows_take_a_row_of_weights_for_every_digit(multiply: bool) -> None:
    network = residual_network(np.random.default_rng(1), channels=(16,), blocks=1, size=8, diagonal_bits=8)
    (core,) = place(network, lanes=36, cores=1).cores
    core = dataclasses.replace(core, multiply=multiply)
    assert len(CoreSpec(network, core).weight_rows) == sum(weight_rows(network, core).values())


def residual() -> Network:
    return residual_network(np.random.default_rng(2), channels=(4, 8), blocks=1, size=8, timesteps=4)


def convolutional() -> Network:
    layers = RandomNetwork(np.random.default_rng(3), (2, 9, 12)).conv(4, Conv2d((3, 3), padding=(1, 1)))
    return layers.dense(8, pool=(3, 4)).readout(3)


def dense() -> Network:
    return RandomNetwork(np.random.default_rng(4), (1, 9, 9)).dense(24).readout(10)


@pytest.mark.parametrize(("lanes", "cores"), [(18, 1), (18, 2), (None, None)])
@pytest.mark.parametrize("make", [residual, convolutional, dense])
def test_the_verilog_has_the_memories_that_were_counted(
    make: Callable[[], Network], lanes: int | None, cores: int | None
) -> None:
    network = make()
    program = place(network, lanes=lanes, cores=cores)
    waiting = [dataclasses.replace(core, inbox=64 * position) for position, core in enumerate(program.cores)]
    program = dataclasses.replace(program, cores=tuple(waiting))
    code, _ = verilog(Chain(program=program), "")
    declared = re.finditer(r"reg (?:\[(\d+):0\] )?\S+ +\[(\d+):0\];", code)
    found = Counter((int(item[2]) + 1, int(item[1] or 0) + 1) for item in declared)
    counted = [item for core in program.cores for item in memories(network, core)]
    counted += decoder(network, program.cores[0])
    assert found == Counter((depth, width) for _, depth, width, _ in counted)
