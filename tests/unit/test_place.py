"""Placing: partitions by the rules, the pace kept, and every reason why something does not fit."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from deep_shapes import residual_network
from random_networks import RandomNetwork, random_network
from spikeloom import Connection, Conv2d, Dense, DoesNotFit, Network, NotBuilt, Population, Readout, Silent
from spikeloom.bounds import potential_bits
from spikeloom.placing.cores import best_core
from spikeloom.placing.cost import cycles
from spikeloom.placing.pace import interval
from spikeloom.placing.place import MAX_LANES, SPARE, cuts, place
from spikeloom.placing.resources import Capacity, core_blocks, core_luts, shortages
from spikeloom.program.gates import require_gates
from spikeloom.program.program import Program

BOARD = Capacity("board", lut=83_640, ram_blocks=208, family="ecp5")
SAME = Conv2d((3, 3), padding=(1, 1))


def mlp() -> Network:
    return RandomNetwork(np.random.default_rng(0), (1, 28, 28), name="mlp").dense(128).readout(10)


def cnn() -> Network:
    layers = RandomNetwork(np.random.default_rng(1), (1, 28, 28), name="cnn").conv(16, SAME)
    return layers.conv(32, dataclasses.replace(SAME, pool=(2, 2))).readout(10, pool=(2, 2))


def small_residual() -> Network:
    return residual_network(np.random.default_rng(2), channels=(8, 16), blocks=2, size=16, timesteps=4)


def with_activity(network: Network, **events: float) -> Network:
    """The network with the mean events of its input and populations."""
    sources = tuple(dataclasses.replace(item, activity=events.get(item.name, 0.0)) for item in network.inputs)
    populations = tuple(dataclasses.replace(item, activity=events.get(item.name, 0.0)) for item in network.populations)
    return dataclasses.replace(network, inputs=sources, populations=populations)


def layers_of(program: Program) -> list[list[str]]:
    return [[layer.population for layer in core.layers] for core in program.cores]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("lanes", [None, 1, 7, 64])
@pytest.mark.parametrize("cores", [None, 1])
def test_every_population_is_run_once_by_cores_in_order(seed: int, lanes: int | None, cores: int | None) -> None:
    network = random_network(np.random.default_rng(seed))
    program = place(network, lanes=lanes, cores=cores)
    assert program.network is network
    names = [item.name for item in network.populations]
    assert [name for part in layers_of(program) for name in part] == names
    assert len(program.cores) == (cores or len(names))
    bits, before = potential_bits(network), network.inputs[0].name
    for core in program.cores:
        populations = [layer.population for layer in core.layers]
        assert core.source == before
        assert core.lanes <= (lanes or 144)
        assert core.bits == max(bits[name] for name in populations)
        fires = populations != ["readout"]
        assert (core.generate_width > 0) == (core.queue_depth > 0) == fires
        assert not fires or core.width % core.generate_width == 0
        assert {(layer.grid, layer.width) for layer in core.layers} == {(core.grid, core.width)}
        before = populations[-1]
    assert len({core.name for core in program.cores}) == len(program.cores)


def test_the_busiest_layer_gets_all_lanes_and_the_others_keep_up_with_few() -> None:
    program = place(mlp())
    assert [core.grid for core in program.cores] == [(1, 1), (1, 1)]
    assert program.cores[0].lanes == MAX_LANES
    first, second = (cycles(program.network, core) for core in program.cores)
    assert 784 / 2 <= first <= 784 / 2 + 50
    assert second <= SPARE * first
    fewer = best_core(program.network, 1, 1, program.cores[1].lanes - 1)
    assert cycles(program.network, fewer) > SPARE * first


def test_lanes_follow_the_events_that_calibration_found() -> None:
    quiet, busy = with_activity(mlp(), input=700.0, l1=5.0), with_activity(mlp(), input=100.0, l1=500.0)
    assert [core.lanes for core in place(quiet).cores] == [128, 1]
    assert place(busy).cores[1].lanes == 10  # the readout is the busiest, all its channels at once


def test_the_pace_of_a_convolution_is_set_by_its_busiest_layer() -> None:
    program = place(cnn())
    paces = [cycles(program.network, core) for core in program.cores]
    assert (program.cores[1].lanes, program.cores[1].grid) == (32, (1, 1))
    assert max(paces) == paces[1]
    assert all(pace <= SPARE * paces[1] for pace in (paces[0], paces[2]))


def test_a_core_begins_only_where_one_train_crosses() -> None:
    network = small_residual()
    assert [item.name for item in network.populations] == [*(f"l{n}" for n in range(1, 10)), "readout"]
    assert cuts(network) == [1, 3, 5, 7, 9]
    assert layers_of(place(network)) == [["l1"], ["l2", "l3"], ["l4", "l5"], ["l6", "l7"], ["l8", "l9"], ["readout"]]
    for core in place(network).cores:
        assert len(core.stored) == (
            1 if len(core.layers) == 2 else 0
        )  # the entering train is kept where it is heard again


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 5, 6])
def test_so_many_cores_as_asked_for_share_the_work_evenly(cores: int) -> None:
    network = small_residual()
    program = place(network, lanes=72, cores=cores)
    assert len(program.cores) == cores
    parts = [cycles(network, core) for core in program.cores]
    whole = cycles(network, place(network, lanes=72, cores=1).cores[0])
    finest = interval(network, place(network, lanes=72).cores)
    assert max(parts) <= whole / cores + finest  # no cut elsewhere could save more than one segment


def test_resnet_20_on_one_core_of_144_lanes_is_nine_cells_of_sixteen() -> None:
    network = residual_network(np.random.default_rng(3))
    (core,) = place(network, lanes=144, cores=1).cores
    assert (core.grid, core.width, core.store_width) == ((3, 3), 16, 8)
    spreads = {layer.population: layer.spread for layer in core.layers}
    assert {spreads.pop(name) for name in ("l8",)} == {(2, 2)}  # stride 2, 32 channels: two cells a position
    assert {spreads.pop(name) for name in ("l14",)} <= {(1, 2), (2, 1)}  # 64 channels: four
    assert spreads.pop("readout") == (1, 1)
    assert set(spreads.values()) == {(3, 3)}


def test_one_lane_a_core_is_never_a_grid() -> None:
    for core in place(small_residual(), lanes=1).cores:
        assert (core.grid, core.width) == ((1, 1), 1)


def test_lanes_shrink_until_the_network_fits() -> None:
    network = cnn()
    roomy, small = place(network), place(network, capacity=dataclasses.replace(BOARD, lut=4_500, ram_blocks=60))
    assert 0 < small.lanes < roomy.lanes
    assert place(network, capacity=BOARD).cores == roomy.cores


def test_layers_share_cores_where_the_board_is_too_small_for_one_each() -> None:
    network = small_residual()
    roomy, small = (Capacity("board", lut, blocks, "ecp5") for lut, blocks in ((80_000, 200), (9_000, 30)))
    many, few = place(network, capacity=roomy), place(network, capacity=small)
    assert len(few.cores) < len(many.cores)
    assert shortages(few, small) == shortages(many, roomy) == []
    assert interval(network, many.cores) < interval(network, few.cores)
    (alone,) = place(network, cores=1, capacity=small).cores
    assert cycles(network, alone) >= interval(network, few.cores)


def test_multipliers_shift_where_the_device_has_enough_and_they_fit() -> None:
    network = residual_network(np.random.default_rng(6), channels=(8,), blocks=1, size=16, diagonal_bits=8)
    (plain,) = place(network, lanes=36, cores=1, capacity=BOARD).cores
    (quick,) = place(network, lanes=36, cores=1, capacity=dataclasses.replace(BOARD, multipliers=38)).cores
    (short,) = place(network, lanes=36, cores=1, capacity=dataclasses.replace(BOARD, multipliers=37)).cores
    assert (plain.multiply, quick.multiply, short.multiply) == (False, True, False)
    assert core_luts(network, quick, "ecp5") < core_luts(network, plain, "ecp5")
    tight = Capacity("board", core_luts(network, plain, "ecp5"), core_blocks(network, plain, "ecp5"), "ecp5", 38)
    assert not shortages(place(network, lanes=36, cores=1, capacity=tight), tight)


def test_all_reasons_why_a_network_does_not_fit_are_listed_at_once() -> None:
    nothing = Capacity("postage stamp", lut=100, ram_blocks=1, family="ice40")
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), capacity=nothing)
    message = str(error.value)
    luts, blocks = (int(part.split()[0]) for part in message.split("needs about ")[1:])
    assert message == (
        f"Network 'mlp' on 'postage stamp': needs about {luts} of 100 LUTs; needs about {blocks} of 1 RAM blocks, "
        "even with one lane a core; choose a larger board, a smaller network or fewer weight bits"
    )
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), lanes=8, cores=2, capacity=nothing)
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


@pytest.mark.parametrize("cores", [0, 3])
def test_more_cores_than_places_to_cut_are_refused(cores: int) -> None:
    with pytest.raises(DoesNotFit) as error:
        place(mlp(), cores=cores)
    assert str(error.value) == (
        f"Cores: must be 1 to 2 for network 'mlp', not {cores}; a core begins where a single train crosses"
    )


def fractional_twice() -> Network:
    network = RandomNetwork(np.random.default_rng(5), (1, 4, 4), name="odd").dense(4, growth=1.5).dense(3).readout(2)
    again = Connection("again", "l1", "readout", Dense(), np.ones((2, 4), np.int8), 2)
    return dataclasses.replace(network, connections=(*network.connections, again))


def skipping() -> Network:
    network = RandomNetwork(np.random.default_rng(6), (1, 2, 2), name="odd").dense(4).dense(3).readout(2)
    skip = Connection("skip", "input", "l2", Dense(), np.ones((3, 4), np.int8), 2)
    return dataclasses.replace(network, connections=(*network.connections, skip))


def two_readouts() -> Network:
    network = RandomNetwork(np.random.default_rng(7), (1, 4, 4), name="odd").dense(4).readout(2)
    map_of_potentials = Population("more", (1, 2, 2), Silent(np.zeros((1, 1), np.int64)))
    link = Connection(
        "to_more", "l1", "more", Conv2d((1, 1), padding=(1, 1), stride=(2, 2)), np.ones((1, 4, 1, 1), np.int8), 2
    )
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


def max_pooled_input() -> Network:
    return (
        RandomNetwork(np.random.default_rng(9), (1, 4, 4), name="odd")
        .layer(Dense((2, 2), pool_kind="max"), (4, 1, 1))
        .readout(2)
    )


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            fractional_twice,
            "population 'l1': fires step by step, and more than the next one hears it, once",
        ),
        (skipping, "connection 'skip': the train of the network's input cannot be kept"),
        (
            two_readouts,
            "readout 'more': shape must be (O, 1, 1) in gates",
        ),
        (
            last_fires,
            "population 'l1': nobody hears it; connection 'to_l1': the train of the network's input cannot be kept",
        ),
        (max_pooled_input, "connection 'to_l1': max pooling of the network's input"),
    ],
)
def test_what_the_gates_cannot_do_is_refused_by_name(make: Callable[[], Network], expected: str) -> None:
    network = make()
    for refuse in (require_gates, place):
        with pytest.raises(NotBuilt) as error:
            refuse(network)
        assert str(error.value) == f"Network 'odd': not built in gates yet: {expected}"
