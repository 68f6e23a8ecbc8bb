"""The cost of a core: cycles that walking every event would take, slots that the scan passes."""

import dataclasses

import numpy as np
import pytest
from deep_shapes import residual_network
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network
from spikeloom.measure import fan_out
from spikeloom.placing.cores import best_core, plan_core
from spikeloom.placing.cost import (
    CHAIN_CYCLES,
    EVENTS_OF_A_TRAIN,
    GATHER_CYCLES,
    PHASE_CYCLES,
    PORT_CYCLES,
    ROW_CYCLES,
    cycles,
    event_cycles,
    events,
    heard_events,
    phases,
    scanned_slots,
    silent_words,
    sops,
)
from spikeloom.placing.pace import INBOX_STEP, inbox_for, interval, sending
from spikeloom.placing.resources import SLOTS
from spikeloom.program.landing import landings
from spikeloom.program.program import QUEUE_DEPTH, LayerPlan

small = st.integers(1, 4)


def uniform(network: Network) -> Network:
    """The network with one event in every neuron."""
    sources = tuple(dataclasses.replace(item, activity=float(np.prod(item.shape))) for item in network.inputs)
    populations = tuple(
        dataclasses.replace(item, activity=float(np.prod(item.shape))) for item in network.populations[:-1]
    )
    return dataclasses.replace(network, inputs=sources, populations=(*populations, network.populations[-1]))


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("spread", [(1, 1), (1, 2), (2, 2), (3, 1), (3, 3)])
@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_an_event_takes_a_cycle_for_every_row_it_touches(groups: int, spread: tuple[int, int], width: int) -> None:
    geometry = Conv2d((3, 2), (1, 2), (1, 0), groups)
    network = RandomNetwork(np.random.default_rng(3), (8, 9, 9), 8).conv(8, geometry).readout(2)
    layer = LayerPlan("l1", network.populations[0].shape, (3, 3), width, spread)
    vertical, horizontal = landings(geometry, (8, 9, 9), layer.shape, spread)
    rows = max(
        (group * 8 // groups + 8 // groups - 1) // layer.channels - group * 8 // groups // layer.channels + 1
        for group in range(groups)
    )
    passes = np.outer(vertical.passes, horizontal.passes) * rows
    expected = np.maximum(passes, 1).mean()
    assert event_cycles(network, layer, network.connections[0]) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(small, small, small, small, st.integers(1, 20), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2]))
def test_the_scan_passes_every_slot_up_to_the_last_one_used_in_any_row(
    gy: int, gx: int, by: int, bx: int, channels: int, height: int, width: int, slot: int
) -> None:
    layer = LayerPlan("l", (channels, height, width), (gy, gx), 2 * slot, (min(by, gy), min(bx, gx)))
    used = (layer.neurons.reshape(layer.rows, -1, slot) >= 0).any(2)
    length = max(int(np.flatnonzero(row).max()) + 1 for row in used if row.any())
    row, last = scanned_slots(layer, slot)
    assert (row, last) == (length, int(np.flatnonzero(used[-1]).max()) + 1)
    assert (layer.rows - 1) * row + last >= len(layer.scan(slot))


def test_a_phase_takes_what_is_slowest_in_it() -> None:
    network = RandomNetwork(np.random.default_rng(4), (4, 8, 8)).conv(6, Conv2d((1, 1))).readout(3)
    core = plan_core(network, 0, 2, width=6)
    busy = phases(network, core)
    assert [phase.population for phase in busy] == ["l1", "readout"]
    first, second = busy
    assert (first.stream, first.front, first.drain) == (128, 128, 1)
    assert first.cycles == max(first.stream + first.drain, first.generator) + PORT_CYCLES
    assert (first.begin, second.begin) == (PORT_CYCLES, PHASE_CYCLES)
    assert phases(network, plan_core(network, 1, width=3))[0].begin == CHAIN_CYCLES
    assert (second.drain, second.generator) == (
        64,
        63 * ROW_CYCLES + 3,
    )  # three slots are passed before the next row comes
    slow = dataclasses.replace(second, generator=1000)
    assert slow.cycles == 1000 + PHASE_CYCLES
    assert cycles(network, core) == first.cycles + second.cycles


def test_diagonal_rows_run_beside_the_stream_but_fetching_them_may_take_longer() -> None:
    network = uniform(residual_network(np.random.default_rng(5), channels=(16,), blocks=1, size=9, timesteps=4))
    core = best_core(network, 0, 4, 144)
    assert (core.grid, core.width, core.store_width) == ((3, 3), 16, 16)
    phase = phases(network, core)[2]
    assert phase.rows == 9 * 4  # nine rows, four bit planes
    assert phase.fetch == phase.rows + 9 * (9 + GATHER_CYCLES)  # nine words a row
    wide = dataclasses.replace(
        network,
        connections=tuple(
            dataclasses.replace(item, weights=item.weights | 64, weight_bits=8) if "_to_" in item.name[2:] else item
            for item in network.connections
        ),
    )
    assert phases(wide, core)[2].rows == 2 * phase.rows  # a second digit of the weights


def test_a_train_that_is_kept_announces_silent_words() -> None:
    network = residual_network(np.random.default_rng(5), channels=(16,), blocks=1, size=8, activity=1.1)
    core = best_core(network, 0, 4, 144)
    assert core.store_width == 16
    silent = 64 * (1 - 1.1 / EVENTS_OF_A_TRAIN) ** 2
    assert silent_words(network, "l1", 16) == pytest.approx(silent, rel=1e-12)
    first, kept, plain, _ = phases(network, core)
    assert kept.front == pytest.approx(events(network, "l1") + silent, rel=1e-12)
    assert (first.front, plain.front) == (events(network, "input"), events(network, "l2"))
    assert silent_words(uniform(network), "l1", 4) > silent_words(network, "l1", 4)


def test_neighbouring_cores_spend_their_first_phase_together() -> None:
    network = (
        RandomNetwork(np.random.default_rng(8), (4, 20, 20)).conv(8, Conv2d((3, 3))).conv(8, Conv2d((3, 3))).readout(2)
    )
    quick, slow = plan_core(network, 0, 2, width=8), plan_core(network, 2, width=1)
    slow = dataclasses.replace(slow, layers=(dataclasses.replace(slow.layers[0], shape=(24, 1, 1)),))
    alone = [[phase.cycles for phase in phases(network, core)] for core in (quick, slow)]
    waiting = (QUEUE_DEPTH + SLOTS) * EVENTS_OF_A_TRAIN / phases(network, slow)[0].front  # what the queues hold
    expected = alone[0][1] + max(alone[0][0], alone[1][0] * (1 - waiting))
    assert interval(network, [quick, slow]) == pytest.approx(expected)
    assert interval(network, [quick, slow]) > max(map(sum, alone))


def test_a_core_whose_train_may_wait_goes_on_when_it_is_sent() -> None:
    network = (
        RandomNetwork(np.random.default_rng(8), (4, 8, 8)).conv(8, Conv2d((3, 3))).conv(24, Conv2d((3, 3))).readout(2)
    )
    quick, slow = plan_core(network, 0, 2, width=8), plan_core(network, 2, width=2)
    slow = dataclasses.replace(slow, layers=(dataclasses.replace(slow.layers[0], shape=(20, 1, 1)),))
    (first,), own = phases(network, slow), [phase.cycles for phase in phases(network, quick)]
    enough = inbox_for(first)
    assert enough % INBOX_STEP == 0
    assert sending(first, 0) == first.cycles > 9 * first.front
    assert sending(first, enough) == first.front + PORT_CYCLES
    assert sending(first, 20) == pytest.approx(first.cycles * (1 - 20 / first.front) + PORT_CYCLES)
    waiting = [quick, dataclasses.replace(slow, inbox=enough)]
    expected = max(own[1] + max(own[0], first.front + PORT_CYCLES), first.cycles)
    assert interval(network, waiting) == pytest.approx(expected)
    assert interval(network, waiting) < interval(network, [quick, slow])


@pytest.mark.parametrize("pool_kind", ["average", "max"])
def test_sops_are_events_times_the_mean_fan_out(pool_kind: str) -> None:
    geometry = Conv2d((3, 3), padding=(1, 1), pool=(2, 2), pool_kind=pool_kind)
    layers = RandomNetwork(np.random.default_rng(6), (2, 8, 8)).conv(4, Conv2d((3, 3), padding=(1, 1)))
    network = uniform(layers.conv(8, geometry).readout(3))
    connection = network.connections[1]
    count = events(network, "l1") / (2 if pool_kind == "max" else 1)
    assert sops(network, "l2") == pytest.approx(count * fan_out(network, connection).mean(), rel=1e-12)


def heard_at(network: Network, number: int, row: int, column: int, count: float) -> Network:
    """The network whose connection of that number hears so many events at one position."""
    connection = network.connections[number]
    extents = connection.geometry.heard(network.source(connection.source).shape)[1:]
    by_row, by_column = (
        tuple(count * (place == index) for index in range(extent))
        for extent, place in zip(extents, (row, column), strict=True)
    )
    connections = list(network.connections)
    connections[number] = dataclasses.replace(connection, heard=(by_row, by_column))
    return dataclasses.replace(network, connections=tuple(connections))


def test_an_event_in_the_corner_of_an_unpadded_convolution_is_cheaper_than_in_the_middle() -> None:
    network = RandomNetwork(np.random.default_rng(6), (1, 8, 8)).conv(4, Conv2d((3, 3))).readout(3)
    layer = LayerPlan("l1", network.populations[0].shape, (1, 1), 2, (1, 1))
    fan = fan_out(network, network.connections[0])[0]
    for row, column, passes in ((0, 0, 1), (0, 1, 2), (7, 3, 3), (1, 6, 4), (4, 4, 9)):
        seen = heard_at(network, 0, row, column, 10.0)
        assert event_cycles(seen, layer, seen.connections[0]) == 2 * passes  # two rows of two channels
        assert sops(seen, "l1") == 10 * fan[row, column]
    even = event_cycles(network, layer, network.connections[0])
    assert even == pytest.approx(2 * (3 * 6 / 8) ** 2, rel=1e-12)
    core = plan_core(network, 0, 2, width=2)
    corner, middle = (phases(heard_at(network, 0, at, at, 10.0), core)[0] for at in (0, 4))
    assert (corner.stream, middle.stream) == (20, 180)


def test_events_behind_max_pooling_are_those_that_calibration_counted() -> None:
    pooled = Conv2d((1, 1), pool=(2, 2), pool_kind="max")
    network = uniform(
        RandomNetwork(np.random.default_rng(6), (2, 8, 8)).conv(4, Conv2d((1, 1))).conv(2, pooled).readout(3)
    )
    connection = network.connections[1]
    assert heard_events(network, connection) == events(network, "l1") / 2
    seen = heard_at(network, 1, 3, 2, 7.0)
    assert heard_events(seen, seen.connections[1]) == 7
    assert sops(seen, "l2") == 14
    silent = heard_at(network, 1, 3, 2, 0.0)  # nothing heard: as good as unknown
    assert heard_events(silent, silent.connections[1]) == events(network, "l1") / 2
    assert sops(silent, "l2") == sops(network, "l2")


def test_where_calibration_is_silent_every_second_neuron_sends_an_event() -> None:
    network = RandomNetwork(np.random.default_rng(7), (2, 3, 3)).dense(4).readout(3)
    assert events(network, "input") == 9
    assert events(uniform(network), "input") == 18
