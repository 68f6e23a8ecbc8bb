"""Cores: lanes cut to what is used, grids where they pay, words of the store that suit the offsets."""

import dataclasses

import numpy as np
import pytest
from deep_shapes import residual_network
from random_networks import RandomNetwork
from spikeloom import Conv2d
from spikeloom.placing.cores import best_core, plan_core
from spikeloom.placing.cost import cycles
from spikeloom.program.weights import pack, weight_rows


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
    plan = best_core(network, 0, 1, lanes)
    assert (plan.lanes, plan.layers[0].groups) == expected
    assert plan.rows == plan.layers[0].groups


def test_a_grouped_convolution_gets_no_lanes_beyond_the_channels_of_a_group() -> None:
    network = RandomNetwork(np.random.default_rng(2), (8, 4, 4)).conv(8, Conv2d((1, 1), groups=4)).readout(2)
    assert best_core(network, 0, 1, 64, banked=False).lanes == 2


@pytest.mark.parametrize(
    ("kernel", "channels", "lanes", "grid"),
    [
        ((3, 3), 16, 144, (3, 3)),
        ((1, 3), 16, 48, (1, 3)),
        ((3, 3), 64, 16, (1, 1)),
        ((1, 1), 32, 144, (1, 1)),
        ((5, 5), 4, 100, (5, 5)),
    ],
)
def test_cells_are_taken_where_they_pay(
    kernel: tuple[int, int], channels: int, lanes: int, grid: tuple[int, int]
) -> None:
    padding = kernel[0] // 2, kernel[1] // 2
    network = RandomNetwork(np.random.default_rng(3), (8, 15, 15)).conv(channels, Conv2d(kernel, padding=padding))
    made = network.readout(2, pool=(15, 15))
    assert best_core(made, 0, 1, lanes).grid == grid
    assert best_core(made, 0, 1, lanes, banked=False).grid == (1, 1)


def test_more_lanes_are_never_slower() -> None:
    network = residual_network(np.random.default_rng(4), channels=(8, 16), blocks=1, size=16)
    paces = [cycles(network, best_core(network, 0, 6, lanes)) for lanes in (1, 2, 4, 9, 18, 36, 72, 144)]
    assert paces == sorted(paces, reverse=True)


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [((16,), 16, 16), ((16, 32), 16, 8), ((4, 8), 16, 2), ((16,), 12, 4), ((16,), 7, 1)],
)
def test_words_of_the_store_divide_the_width_and_every_offset(
    channels: tuple[int, ...], width: int, expected: int
) -> None:
    network = residual_network(np.random.default_rng(5), channels=channels, blocks=1, size=8)
    plan = plan_core(network, 0, len(network.populations), grid=(3, 3), width=width)
    assert plan.store_width == expected


def test_words_of_the_store_have_96_bits_at_most() -> None:
    network = residual_network(np.random.default_rng(6), channels=(16,), blocks=1, size=8, timesteps=8)
    assert plan_core(network, 0, 4, width=16).store_width == 8


def test_nothing_is_stored_where_no_train_skips_a_layer() -> None:
    network = RandomNetwork(np.random.default_rng(7), (1, 4, 4)).dense(8).dense(8).readout(2)
    plan = plan_core(network, 0, 3, width=8)
    assert (plan.stored, plan.store_width, plan.store_words) == ((), 1, 0)


@pytest.mark.parametrize(("width", "expected"), [(1, 1), (2, 2), (7, 1), (16, 2)])
def test_the_generator_tests_two_neurons_a_cycle_where_the_width_is_even(width: int, expected: int) -> None:
    network = RandomNetwork(np.random.default_rng(8), (1, 4, 4)).dense(16).readout(16)
    assert plan_core(network, 0, width=width).generate_width == expected
    assert plan_core(network, 1, width=width).generate_width == 0


def test_names_of_cores_say_which_layers_they_run() -> None:
    network = RandomNetwork(np.random.default_rng(9), (1, 4, 4)).dense(16).dense(4).readout(2)
    assert [plan_core(network, *part, width=2).name for part in ((0, 1), (1, 2), (0, 3))] == [
        "l1_l1",
        "l2to3_readout",
        "l1to3_readout",
    ]


def test_spreads_that_are_asked_for_are_taken() -> None:
    network = RandomNetwork(np.random.default_rng(10), (4, 8, 8)).conv(16, Conv2d((3, 3))).readout(2)
    plan = plan_core(network, 0, 2, grid=(3, 3), width=16, spreads=[(2, 3), (1, 1)])
    assert [layer.spread for layer in plan.layers] == [(2, 3), (1, 1)]
    assert plan.layers[0].blocks == (3, 2)


def test_source_channels_share_a_row_of_weights_where_there_is_room() -> None:
    network = residual_network(np.random.default_rng(11))
    best = best_core(network, 0, len(network.populations), 144)
    spreads = {layer.population: layer.spread for layer in best.layers} | {"l8": (1, 3), "l14": (1, 1)}
    core = plan_core(network, 0, len(best.layers), grid=(3, 3), width=16, spreads=[*spreads.values()])
    rows = weight_rows(network, core)
    packs = {layer.population: pack(layer) for layer in core.layers}
    assert (packs["l2"], packs["l14"], packs["readout"]) == (1, 2, 9)  # 64 channels take four of nine cells, ten one
    assert (rows["to_l1"], rows["to_l2"], rows["to_l8"], rows["to_l9"]) == (3, 16, 96, 64)
    assert (rows["to_l14"], rows["to_l15"], rows["to_readout"], rows["l13_to_l15"]) == (32 // 2 * 9, 256, 8, 4)


@pytest.mark.parametrize(("bits", "digits"), [(6, 1), (7, 2), (8, 2)])
def test_a_wide_diagonal_weight_takes_a_row_for_every_digit(bits: int, digits: int) -> None:
    network = residual_network(np.random.default_rng(12), channels=(16,), blocks=1, size=8)
    top = (1 << bits - 1) - 1
    wide = dataclasses.replace(network.connections[-1], weights=np.full(16, top, np.int8), weight_bits=bits)
    network = dataclasses.replace(network, connections=(*network.connections[:-1], wide))
    core = plan_core(network, 0, 4, grid=(3, 3), width=16)
    assert core.weight_bits == 6
    assert weight_rows(network, core)[wide.name] == digits
