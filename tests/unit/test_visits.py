"""Visits: the order in which a generator passes over the layers of a core, and what it does to them."""

import dataclasses

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Network, Neuron, Population, Silent
from spikeloom.placing.place import place
from spikeloom.program.levels import integrates, kept_words, neuron_words
from spikeloom.program.visits import sent_binary, sent_digits, swept, unrolled, visits

NAMES = ("l1", "l2", "readout")


def plain(growth: float = 2.0) -> Network:
    made = RandomNetwork(np.random.default_rng(1), (6, 1, 1), 3)
    return made.dense(5, timesteps=4, growth=growth).dense(4, timesteps=2).readout(3)


def synchronous(timesteps: int) -> Network:
    network = plain()
    populations = [
        dataclasses.replace(item, neuron=dataclasses.replace(item.neuron, timesteps=timesteps, growth=1.0))
        if isinstance(item.neuron, Neuron)
        else item
        for item in network.populations
    ]
    return dataclasses.replace(network, populations=tuple(populations), schedule="synchronous")


def test_layers_that_divide_are_visited_once() -> None:
    found = visits(plain(), "input", NAMES)
    assert [(visit.layer, visit.action) for visit in found] == [(0, "generate"), (1, "generate"), (2, "read")]
    assert all(visit.plain for visit in found)
    assert unrolled(plain(), found) == (found, (0, 0, 1))


def test_a_layer_that_fires_step_by_step_takes_turns_with_the_one_that_hears_it() -> None:
    network = plain(growth=1.5)
    assert [swept(network, name) for name in ("input", *NAMES[:2])] == [False, True, False]
    assert (sent_digits(network, "l1"), sent_binary(network, "l1")) == (1, False)
    found = visits(network, "input", NAMES)
    assert [(visit.layer, visit.time, visit.action, visit.recalls) for visit in found] == [
        (0, 0, "fire", False), (1, 0, "keep", False), (0, 1, "fire", True), (1, 1, "keep", True),
        (0, 2, "fire", True), (1, 2, "keep", True), (0, 3, "fire", True), (1, 0, "generate", True),
        (2, 0, "read", False),
    ]  # fmt: skip
    assert [visit.layer for visit in found if visit.clamps] == [0]
    assert [visit.layer for visit in found if visit.complete] == [0, 1, 2]
    assert {visit.growth for visit in found if visit.recalls} == {1.5}


def test_neighbouring_cores_share_the_time_steps_of_a_sweep() -> None:
    network = plain(growth=1.5)
    assert [visit.action for visit in visits(network, "input", NAMES[:1])] == ["fire"] * 4
    assert [visit.action for visit in visits(network, "l1", NAMES[1:])] == ["keep"] * 3 + ["generate", "read"]


@pytest.mark.parametrize("timesteps", [1, 2, 4, 5, 9, 256])
def test_the_loop_of_a_synchronous_program_gives_all_visits(timesteps: int) -> None:
    network = synchronous(timesteps)
    found = visits(network, "input", NAMES)
    assert [visit.layer for visit in found] == [0, 1, 2] * timesteps
    assert [visit.action for visit in found[2::3]] == ["keep"] * (timesteps - 1) + ["read"]
    assert [visit.keeps_input for visit in found[::3]] == [True] + [False] * (timesteps - 1)
    listed, (first, count, times) = unrolled(network, found)
    assert len(listed) <= 12
    played = [*listed[:first], *listed[first : first + count] * times, *listed[first + count :]]
    still = [dataclasses.replace(visit, time=0) for visit in played]
    assert still == [dataclasses.replace(visit, time=0) for visit in found]
    if times > 1:  # the phase before the loop's first visit drains what its last one leaves
        before, last = listed[first - 1], listed[first + count - 1]
        assert dataclasses.replace(before, time=0, steps=()) == dataclasses.replace(last, time=0, steps=())


def test_what_is_kept_has_a_word_a_slot_of_the_layers_that_are_recalled() -> None:
    (core,) = place(synchronous(3), cores=1).cores
    assert integrates(synchronous(3), core)
    sizes = [len(layer.scan(core.generate_width)) for layer in core.layers]
    states, inputs = kept_words(synchronous(3), core)
    assert states == (0, *np.cumsum(sizes))
    assert inputs == (0, sizes[0], sizes[0], sizes[0])
    (core,) = place(plain(), cores=1).cores
    assert not integrates(plain(), core)
    assert kept_words(plain(), core) == ((0, 0, 0, 0), (0, 0, 0, 0))


def test_constants_of_a_leaky_layer_lose_its_initial_potential_after_the_first_step() -> None:
    network = synchronous(3)
    first = network.populations[0]
    assert isinstance(first.neuron, Neuron)
    vectors = {"initial": np.full((1, 5), -9), "drive": np.arange(5)[None]}
    leaky = dataclasses.replace(first.neuron, growth=0.75, **vectors)
    network = dataclasses.replace(network, populations=(Population("l1", first.shape, leaky), *network.populations[1:]))
    (core,) = place(network, lanes=1, cores=1).cores
    words, bases = neuron_words(network, core)
    wrap = (1 << core.bits) - 1
    assert [kind for layer, kind in bases if layer == 0] == ["first", "later"]
    grown = -9 - (-9 >> 2)
    assert words["initial0"][bases[0, "first"] :][:5].tolist() == [(grown + n) & wrap for n in range(5)]
    assert words["initial0"][bases[0, "later"] :][:5].tolist() == [-grown & wrap] * 5
    assert isinstance(network.populations[-1].neuron, Silent)
