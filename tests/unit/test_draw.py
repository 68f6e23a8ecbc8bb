"""Random networks of campaigns: their commands repeat them, and both golden forms run all that can be drawn."""

import argparse
import shlex

import numpy as np
import pytest
from hypothesis import given, settings
from recipes import recipes
from spikeloom import Neuron, Silent, golden
from spikeloom.program.gates import require_gates
from spikeloom.trace import require_equal
from spikeloom_sim.fuzz.draw import KINDS, PLAIN, SCHEDULES, draw_network, draw_program, draw_samples
from spikeloom_sim.fuzz.recipe import Recipe, add_options, chosen

ALL = frozenset(KINDS)


@given(recipes(kinds=ALL, schedules=SCHEDULES))
@settings(max_examples=100, deadline=None)
def test_the_command_of_a_recipe_repeats_it(recipe: Recipe) -> None:
    words = shlex.split(recipe.command)
    assert words[:5] == ["python", "-m", "spikeloom_sim.fuzz.campaign", "--count", "1"]
    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args(words[5:])
    assert chosen(options, options.seed) == recipe


def test_the_command_of_a_seed_is_short() -> None:
    assert Recipe(7).command == "python -m spikeloom_sim.fuzz.campaign --count 1 --seed 7"
    assert Recipe(7, depth=2, kinds=frozenset({"naf"}), stalls=False).command == (
        "python -m spikeloom_sim.fuzz.campaign --count 1 --seed 7 --depth 2 --kinds 'naf' --no-stalls"
    )


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_networks_that_are_drawn_for_the_gates_are_built_in_gates(recipe: Recipe) -> None:
    network = recipe.network
    require_gates(network)
    assert len(network.populations) == (recipe.depth or 0) + len(network.readouts)
    program = recipe.program(network)
    assert 1 <= len(program.cores) <= (recipe.cores or 0)
    assert all(core.lanes <= recipe.lanes for core in program.cores)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("block", range(3))
def test_both_golden_forms_agree_on_every_kind_of_network(schedule: str, block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        network = draw_network(seed, kinds=ALL, schedule=schedule)
        x = draw_samples(seed, network, 2)
        require_equal(golden.run(network, x), golden.run_values(network, x))


def test_every_kind_is_drawn() -> None:
    drawn = [draw_network(seed, kinds=ALL, schedule=schedule) for seed in range(60) for schedule in SCHEDULES]
    every = [item.neuron for network in drawn for item in network.populations]
    neurons = [neuron for neuron in every if isinstance(neuron, Neuron)]
    assert {neuron.growth for neuron in neurons} == {1.0, 2.0, 1.5, 1.25, 0.5, 0.75, 1 - 2.0**-5}
    for name in ("signed", "fire_pos", "fire_neg", "reset", "drive", "step_gamma"):
        assert any(getattr(neuron, name) is not None and getattr(neuron, name) is not False for neuron in neurons), name
    assert any(neuron.reset_kind == "hard" and not neuron.step_bits for neuron in neurons)
    assert {network.inputs[0].signed for network in drawn} == {False, True}
    assert {neuron.growth for neuron in every if isinstance(neuron, Silent)} == {1.0, 0.5, 0.75, 1 - 2.0**-5}
    assert {len(network.readouts) for network in drawn} == {1, 2}


def test_less_that_may_occur_makes_networks_simpler() -> None:
    for seed in range(30):
        chain = draw_network(seed, kinds=frozenset(), timesteps=2)
        assert {item.geometry.kind for item in chain.connections} == {"dense"}
        assert [len(chain.incoming(item.name)) for item in chain.populations] == [1] * len(chain.populations)
        assert {chain.train(item.name)[0] for item in chain.populations[:-1]} == {2.0}
        assert all(chain.train(item.name)[1] <= 2 for item in (*chain.inputs, *chain.populations[:-1]))
        shallow, deep = (draw_network(seed, depth=depth, kinds=frozenset(PLAIN)) for depth in (2, 5))
        for first, second in zip(shallow.populations[:2], deep.populations[:2], strict=True):
            np.testing.assert_array_equal(first.neuron.initial, second.neuron.initial)


def test_one_core_and_one_lane_are_enough_for_any_network() -> None:
    for seed in range(10):
        network = draw_network(seed)
        assert [core.lanes for core in draw_program(seed, network, cores=1, lanes=1).cores] == [1]
