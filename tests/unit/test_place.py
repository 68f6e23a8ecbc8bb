"""Placing: lanes by the rules, the pace kept, and every reason why something does not fit."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from random_graphs import RandomGraph
from random_networks import RandomNetwork, random_network, random_samples
from spikeloom import (
    Connection,
    Conv2d,
    Dense,
    Diagonal,
    DoesNotFit,
    Network,
    NotBuilt,
    Population,
    Readout,
    Silent,
    golden,
)
from spikeloom.bounds import potential_bits
from spikeloom.place import MAX_LANES, SPARE, Capacity, core_blocks, cycles, place, ram_blocks, require_chain
from spikeloom.program import plan_core

BOARD = Capacity("board", lut=83_640, ram_blocks=208, ram_block_bits=18_432, ram_width=36)


def mlp() -> Network:
    return RandomNetwork(np.random.default_rng(0), (1, 28, 28), name="mlp").dense(128).readout(10)


def cnn() -> Network:
    same = Conv2d((3, 3), padding=(1, 1))
    layers = RandomNetwork(np.random.default_rng(1), (1, 28, 28), name="cnn").conv(16, same)
    return layers.conv(32, dataclasses.replace(same, pool=(2, 2))).readout(10, pool=(2, 2))


def with_activity(network: Network, **events: float) -> Network:
    """The network with the mean events of its input and populations."""
    sources = tuple(dataclasses.replace(item, activity=events.get(item.name, 0.0)) for item in network.inputs)
    populations = tuple(dataclasses.replace(item, activity=events.get(item.name, 0.0)) for item in network.populations)
    return dataclasses.replace(network, inputs=sources, populations=populations)


@pytest.mark.parametrize(
    ("channels", "lanes", "expected"),
    [
        (10, 1, (1, 10)),
        (10, 4, (4, 3)),
        (10, 9, (5, 2)),
        (10, 10, (10, 1)),
        (10, 99, (10, 1)),
        (1, 8, (1, 1)),
        (128, 100, (64, 2)),
    ],
)
def test_lanes_are_cut_to_what_full_groups_need(channels: int, lanes: int, expected: tuple[int, int]) -> None:
    network = RandomNetwork(np.random.default_rng(2), (1, 2, 2)).dense(channels).readout(2)
    plan = plan_core(network, 0, lanes)
    assert (plan.lanes, plan.groups) == expected
    assert plan.rows == plan.groups


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("lanes", [None, 1, 2, 7, 64])
def test_every_core_has_room_for_its_channels_and_no_idle_group(seed: int, lanes: int | None) -> None:
    network = random_network(np.random.default_rng(seed))
    program = place(network, lanes=lanes)
    assert program.network is network
    assert program.lanes == sum(core.lanes for core in program.cores)
    before = "input"
    for number, (core, population) in enumerate(zip(program.cores, network.populations, strict=True)):
        channels, height, width = population.shape
        assert core.name == f"l{number + 1}_{population.name}"
        assert (core.source, core.population, core.connection) == (before, population.name, f"to_{population.name}")
        assert (core.groups - 1) * core.lanes < channels <= core.groups * core.lanes
        assert core.rows == height * width * core.groups
        assert core.lanes <= (lanes or MAX_LANES)
        assert core.bits == potential_bits(network)[population.name]
        fires = population.name != "readout"
        assert (core.generate_width > 0) == (core.queue_depth > 0) == fires
        assert not fires or core.lanes % core.generate_width == 0
        before = population.name


def test_the_busiest_layer_gets_all_lanes_and_the_others_keep_up_with_few() -> None:
    network = mlp()
    program = place(network)
    assert program.cores[0].lanes == 128
    first, second = (cycles(network, core) for core in program.cores)
    assert first == 784 / 2
    assert second <= SPARE * first
    fewer = plan_core(network, 1, program.cores[1].lanes - 1)
    assert cycles(network, fewer) > SPARE * first


def test_lanes_follow_the_events_that_calibration_found() -> None:
    quiet, busy = with_activity(mlp(), input=100.0, l1=5.0), with_activity(mlp(), input=100.0, l1=500.0)
    assert [core.lanes for core in place(quiet).cores] == [128, 1]
    assert place(busy).cores[1].lanes == 10  # the readout is the busiest, all its channels at once


def test_the_pace_of_a_convolution_is_set_by_its_busiest_layer() -> None:
    network = cnn()
    program = place(network)
    paces = [cycles(network, core) for core in program.cores]
    assert program.cores[1].lanes == 32
    assert max(paces) == paces[1]
    assert all(pace <= SPARE * paces[1] for pace in (paces[0], paces[2]))


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_cycles_count_the_rows_that_events_touch_in_grouped_layers_too(lanes: int, groups: int) -> None:
    rng = np.random.default_rng(3)
    geometry = Conv2d((3, 2), (1, 2), (1, 0), groups)
    network = RandomNetwork(rng, (8, 9, 9), 8).conv(8, geometry).readout(2)
    trace = golden.run(network, random_samples(rng, network, 1) | 255)
    events = float(trace.spikes["input"].sum())
    network = with_activity(network, input=events)
    plan = plan_core(network, 0, lanes)
    vertical, horizontal = geometry.axes((8, 9, 9), network.populations[0].shape)
    outputs, rows = 8 // groups, 0
    for channel in range(8):  # all pixels are full: 8 events each
        first = channel // (8 // groups) * outputs
        touched = {output // plan.lanes for output in range(first, first + outputs)}
        rows += len(touched) * int(np.outer(vertical.count, horizontal.count).sum()) * 8
    generate = plan.rows * plan.lanes / plan.generate_width
    assert cycles(network, plan) >= max(rows, generate) * (1 - 1e-12)
    if lanes in (1, 2, 8, 100):  # groups of lanes and of channels meet: every event touches as many rows
        assert cycles(network, plan) == pytest.approx(max(rows, generate), rel=1e-12)


@pytest.mark.parametrize(("groups", "lanes", "rows"), [(1, 1, 16 * 9 * 16), (16, 1, 16 * 9), (4, 8, 16 * 9)])
def test_weight_memory_has_a_row_for_every_row_an_event_may_touch(groups: int, lanes: int, rows: int) -> None:
    rng = np.random.default_rng(4)
    network = RandomNetwork(rng, (16, 8, 8)).conv(16, Conv2d((3, 3), groups=groups)).readout(2)
    plan = dataclasses.replace(plan_core(network, 0, lanes), rows=1, queue_depth=0)  # neither banks nor queue
    assert core_blocks(network, plan, BOARD) == ram_blocks(rows, plan.lanes * 6, BOARD)


@pytest.mark.parametrize(
    ("depth", "width", "blocks"),
    [(32, 1000, 0), (33, 36, 1), (512, 36, 1), (513, 36, 2), (512, 37, 2), (16_384, 1, 1), (2048, 9, 1), (1024, 19, 2)],
)
def test_ram_blocks_take_the_best_aspect_ratio(depth: int, width: int, blocks: int) -> None:
    assert ram_blocks(depth, width, BOARD) == blocks


def test_lanes_shrink_until_the_network_fits() -> None:
    roomy, network = place(cnn()), cnn()
    small = place(network, capacity=dataclasses.replace(BOARD, lut=12_000, ram_blocks=60))
    assert 0 < small.lanes < roomy.lanes
    assert place(network, capacity=BOARD).cores == roomy.cores


def test_all_reasons_why_a_network_does_not_fit_are_listed_at_once() -> None:
    nothing = Capacity("postage stamp", lut=100, ram_blocks=1, ram_block_bits=4096, ram_width=16)
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), capacity=nothing)
    message = str(error.value)
    luts, blocks = (int(part.split()[0]) for part in message.split("needs about ")[1:])
    assert message == (
        f"Network 'mlp' on 'postage stamp': needs about {luts} of 100 LUTs; needs about {blocks} of 1 RAM blocks, "
        "even with one lane a core; choose a larger board, a smaller network or fewer weight bits"
    )
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), lanes=8, capacity=nothing)
    message = str(error.value)
    luts, blocks = (int(part.split()[0]) for part in message.split("needs about ")[1:])
    assert message == (
        f"Network 'mlp' on 'postage stamp': needs about {luts} of 100 LUTs; needs about {blocks} of 1 RAM blocks, "
        "with 8 lanes a core; choose fewer lanes or a larger board"
    )


@pytest.mark.parametrize("lanes", [0, -4])
def test_less_than_one_lane_is_refused(lanes: int) -> None:
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), lanes=lanes)
    assert str(error.value) == f"Lanes: must be at least 1, not {lanes}"


def fractional() -> Network:
    return RandomNetwork(np.random.default_rng(5), (1, 4, 4), name="odd").dense(4, growth=1.5).readout(2)


def minimal_weight() -> Network:
    layers = RandomNetwork(np.random.default_rng(7), (1, 2, 2), name="odd", code="naf").dense(4, code="naf")
    return layers.dense(3).readout(2)


def apart() -> Network:
    """Signed everywhere, thresholds that are not theta, and a leak."""
    layers = RandomNetwork(np.random.default_rng(7), (1, 2, 2), name="odd", signed=True)
    return layers.dense(4, signed=True).dense(3, thresholds=True, reset_kind="hard").dense(3, growth=0.75).readout(2)


def synchronous() -> Network:
    layers = RandomNetwork(np.random.default_rng(7), (1, 2, 2), name="odd", schedule="synchronous")
    return layers.dense(4, step_bits=3).readout(2, growth=0.5)


def skipping() -> Network:
    network = RandomNetwork(np.random.default_rng(6), (1, 2, 2), name="odd").dense(4).dense(3).readout(2)
    skip = Connection("skip", "input", "l2", Dense(), np.ones((3, 4), np.int8), 2)
    return dataclasses.replace(network, connections=(*network.connections, skip))


def branches() -> Network:
    graph = RandomGraph(np.random.default_rng(9), (2, 4, 4), name="odd")
    graph.add("l1", (2, 4, 4), ("input", Diagonal()))
    graph.add("l2", (2, 2, 2), ("l1", Conv2d((3, 3), padding=(1, 1), pool=(2, 2), pool_kind="max")), classes=4)
    return graph.add("readout", (3, 1, 1), ("l2", Dense()), fires=False).network()


def two_readouts() -> Network:
    network = RandomNetwork(np.random.default_rng(7), (1, 4, 4), name="odd").dense(4).readout(2)
    map_of_potentials = Population("more", (1, 2, 2), Silent(np.zeros((1, 1), np.int64)))
    link = Connection("to_more", "input", "more", Conv2d((3, 3)), np.ones((1, 1, 3, 3), np.int8), 2)
    return dataclasses.replace(
        network,
        populations=(*network.populations, map_of_potentials),
        connections=(*network.connections, link),
        readouts=(*network.readouts, Readout("more", 1.0)),
    )


def last_fires() -> Network:
    network = RandomNetwork(np.random.default_rng(8), (1, 2, 2), name="odd").dense(4).readout(2)
    hidden, readout = network.populations
    to_hidden, to_readout = network.connections
    aside = dataclasses.replace(to_readout, source="input")
    return dataclasses.replace(network, populations=(readout, hidden), connections=(to_hidden, aside))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (fractional, "population 'l1': growth 1.5 needs a sweep a time step"),
        (minimal_weight, "input 'input': code 'naf'; population 'l1': code 'naf'"),
        (
            apart,
            "input 'input': signed; population 'l1': signed; "
            "population 'l2': a reset or thresholds other than theta; "
            "population 'l3': growth 0.75 needs a sweep a time step",
        ),
        (
            branches,
            "connection 'l1_in0': diagonal geometry; connection 'l2_in0': max pooling; population 'l2': border classes",
        ),
        (synchronous, "schedule 'synchronous'"),
        (skipping, "population 'l2' must have one connection, from 'l1'"),
        (
            two_readouts,
            "population 'more' must have one connection, from 'readout'; "
            "readout 'more': shape must be (O, 1, 1) in gates",
        ),
        (
            last_fires,
            "population 'l1' must have one connection, from 'readout'; "
            "population 'l1': the last one must be the readout",
        ),
    ],
)
def test_what_a_chain_of_cores_cannot_carry_is_refused_although_the_golden_model_can(
    make: Callable[[], Network], expected: str
) -> None:
    network = make()
    golden.run(network, np.zeros((1, *network.inputs[0].shape)))
    for refuse in (require_chain, place):
        with pytest.raises(NotBuilt) as error:
            refuse(network)
        assert str(error.value) == f"Network 'odd': not built in gates yet: {expected}"
