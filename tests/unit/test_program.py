"""Programs: where potentials lie, in which order they are tested, what is replayed and what is stored."""

import dataclasses
import itertools

import numpy as np
import pytest
from deep_shapes import residual_network
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import RandomNetwork
from spikeloom import Connection, Conv2d, Dense, Network
from spikeloom.program.program import FOLD, CorePlan, LayerPlan, Step, Stored, fires, steps, store_plan

quick = settings(max_examples=200, deadline=None, derandomize=True)
small = st.integers(1, 4)


@st.composite
def layers(draw: st.DrawFn) -> LayerPlan:
    grid = draw(small), draw(small)
    spread = draw(st.integers(1, grid[0])), draw(st.integers(1, grid[1]))
    shape = draw(st.integers(1, 20)), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    return LayerPlan("layer", shape, grid, draw(small), spread)


@quick
@given(layers())
def test_every_neuron_has_one_place(layer: LayerPlan) -> None:
    places = layer.neurons
    assert places.shape == (layer.rows, *layer.grid, layer.width)
    assert sorted(places[places >= 0]) == list(range(int(np.prod(layer.shape))))


@quick
@given(layers())
def test_a_neuron_lies_where_block_cell_and_lane_say(layer: LayerPlan) -> None:
    (channels, height, width), (by, bx), (gy, gx) = layer.shape, layer.spread, layer.grid
    if layer.folded:
        return
    for address in range(channels * height * width):
        c, y, x = address // (height * width), address // width % height, address % width
        group, share = divmod(c // layer.width, layer.channel_cells)
        row = y // by * layer.strides[0] + x // bx * layer.strides[1] + group
        down, across = divmod(share, gx if bx == 1 else 1)
        cell = (y % by if by > 1 else down), (x % bx if bx > 1 else across)
        assert cell[0] < gy
        assert cell[1] < gx
        assert layer.neurons[row, cell[0], cell[1], c % layer.width] == address


@pytest.mark.parametrize("spread", [(2, 2), (1, 2), (2, 1)])
def test_a_folded_layer_takes_eight_of_nine_cells(spread: tuple[int, int]) -> None:
    (by, bx), count = spread, 8 // (spread[0] * spread[1])
    layer = LayerPlan("layer", (2 * count, 4, 5), (3, 3), 1, spread)
    assert (layer.folded, layer.channel_cells, layer.groups) == (True, count, 2)
    assert (layer.neurons[:, 2, 2] < 0).all()
    for y, x in np.ndindex(4, 5):
        row = y // by * layer.strides[0] + x // bx * layer.strides[1]
        places = layer.neurons[row : row + 2].reshape(-1)
        here = places[(places >= 0) & (places // 5 % 4 == y) & (places % 5 == x)].tolist()
        channels = [(c * 4 + y) * 5 + x for c in range(2 * count)]
        assert sorted(here) == channels
        assert here == channels or (y % by, x % bx) != (0, 0)  # a readout, one position, goes out in order


def test_the_cells_of_a_column_take_their_weights_from_different_rows() -> None:
    places = [divmod(number, 3) for number in range(len(FOLD))]
    assert sorted(FOLD) == [(y, x, share) for y in range(2) for x in range(2) for share in range(2)]
    for by, bx in itertools.product(range(2), range(2)):
        for column in range(3):
            moved = [
                (y ^ by, x ^ bx, share) for (y, x, share), (_, b) in zip(FOLD, places, strict=False) if b == column
            ]
            rows = [places[FOLD.index(item)][0] for item in moved]
            assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(("grid", "spread"), [((3, 3), (1, 3)), ((3, 3), (2, 3)), ((2, 3), (2, 2)), ((3, 3), (1, 1))])
def test_other_layers_are_not_folded(grid: tuple[int, int], spread: tuple[int, int]) -> None:
    assert not LayerPlan("layer", (16, 4, 4), grid, 2, spread).folded


@quick
@given(layers(), small)
def test_the_scan_tests_every_neuron_once_row_by_row(layer: LayerPlan, slot: int) -> None:
    layer = dataclasses.replace(layer, width=layer.width * slot)
    scan = layer.scan(slot)
    assert scan.shape[1] == slot
    assert (scan >= 0).any(1).all()
    order = layer.neurons.reshape(-1)
    assert scan[scan >= 0].tolist() == order[order >= 0].tolist()


def test_an_axis_that_is_not_spread_holds_channels() -> None:
    layer = LayerPlan("layer", (32, 8, 8), (3, 3), 16, (1, 3))
    assert (layer.channel_cells, layer.channels, layer.groups) == (3, 48, 1)
    assert (layer.blocks, layer.rows, layer.strides) == ((8, 3), 24, (3, 1))


def core(*plans: LayerPlan, stored: tuple[Stored, ...] = ()) -> CorePlan:
    return CorePlan("core", "input", plans, plans[0].grid, plans[0].width, 12, 6, 2, 32, stored)


def test_a_core_has_the_rows_of_the_layer_that_needs_most() -> None:
    first = LayerPlan("a", (16, 9, 9), (3, 3), 16, (3, 3))
    second = LayerPlan("b", (64, 3, 3), (3, 3), 16, (3, 3))
    plan = core(first, second, stored=(Stored("a", 0, 1, 0, 81), Stored("b", 1, 2, 81, 9)))
    assert (plan.rows, plan.lanes, plan.store_words) == (9, 144, 90)
    assert core(first).store_words == 0


def test_a_layer_hears_the_stream_first_and_its_shortcut_row_by_row() -> None:
    network = residual_network(np.random.default_rng(0), channels=(4, 8), blocks=1, size=8)
    assert [item.name for item in network.populations] == ["l1", "l2", "l3", "l4", "l5", "readout"]
    assert steps(network, "input", "l1") == (Step("stream", "to_l1"),)
    assert steps(network, "l2", "l3") == (Step("stream", "to_l3"), Step("rows", "l1_to_l3"))
    assert [fires(network, name) for name in ("input", "l1", "readout")] == [False, True, False]


def concatenated(*, pool_kind: str = "average") -> Network:
    """A readout that hears the first layer and the second one."""
    layers = RandomNetwork(np.random.default_rng(1), (2, 4, 4)).conv(4, Conv2d((3, 3), padding=(1, 1)))
    network = layers.conv(4, Conv2d((3, 3), padding=(1, 1))).readout(3)
    again = Dense((2, 2), pool_kind=pool_kind)
    skip = Connection("skip", "l1", "readout", again, np.ones((3, 16), np.int8), 4)
    return dataclasses.replace(network, connections=(*network.connections, skip))


def test_other_connections_are_replayed_as_events() -> None:
    expected = (Step("stream", "to_readout"), Step("events", "skip"))
    assert steps(concatenated(), "l2", "readout") == expected


def test_a_train_on_its_way_through_max_pooling_is_stored_first() -> None:
    network = concatenated(pool_kind="max")
    pooled = dataclasses.replace(network, connections=(*network.connections[:1], *network.connections[1:]))
    assert steps(pooled, "l1", "readout")[0] == Step("stream", None)
    assert Step("events", "skip") in steps(pooled, "l1", "readout")


def test_codes_are_kept_from_the_phase_that_generates_them_to_the_last_that_reads_them() -> None:
    network = residual_network(np.random.default_rng(2), channels=(4, 8), blocks=2, size=8)
    names = tuple(item.name for item in network.populations)
    plan = store_plan(network, "input", names, 4)
    assert [(item.source, item.first, item.last) for item in plan] == [
        ("l1", 1, 2),
        ("l3", 3, 4),
        ("l5", 5, 6),
        ("l7", 7, 8),
    ]
    assert [item.words for item in plan] == [64, 64, 64, 32]
    assert {item.base for item in plan} == {0}  # no two of them live at the same time


@pytest.mark.parametrize("width", [1, 2, 4])
def test_regions_that_live_at_the_same_time_do_not_overlap(width: int) -> None:
    network = concatenated()
    again = Connection("more", "l2", "readout", Dense((4, 4)), np.ones((3, 4), np.int8), 4)
    network = dataclasses.replace(network, connections=(*network.connections, again))
    first, second = store_plan(network, "input", ("l1", "l2", "readout"), width)
    assert (first.source, second.source) == ("l1", "l2")
    words = 16 * (4 // width)
    assert (first.words, second.words, second.base) == (words, words, words)
