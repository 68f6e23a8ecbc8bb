"""Parameter memories: what they hold, how it travels, and what of a network they do not hold."""

import zlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import RandomNetwork, exchanged, random_network
from spikeloom import DoesNotFit, Network
from spikeloom.placing.cores import plan_core
from spikeloom.placing.place import place
from spikeloom.program.images import weight_image
from spikeloom.program.parameters import (
    ParameterMemory,
    digits_text,
    parameter_memories,
    parameter_rows,
    placeholder,
    rows_of_text,
)
from spikeloom.program.program import CONTENTS, LEAST_DEPTH, PART_DEPTH
from spikeloom.program.structure import differences, require_structure
from tiny_networks import changed, tiny, with_neuron


def memory(depth: int = 64, width: int = 40) -> ParameterMemory:
    return ParameterMemory(3, "some.mem", depth, width, (1 << width) - 1)


def test_words_travel_lowest_bit_first_in_five_bytes_each() -> None:
    rows = np.zeros((1, 40), bool)
    rows[0, [0, 9, 35, 36]] = True
    assert memory().words_of(rows) == bytes([1, 2, 0, 0, 8, 1, 0, 0, 0, 0])


def test_checksum_is_that_of_all_words_row_by_row() -> None:
    rows = placeholder(memory())
    assert memory().checksum(rows) == zlib.crc32(b"".join(memory().words_of(row[None]) for row in rows))


@given(st.integers(1, 90), st.integers(1, 80))
@settings(max_examples=30)
def test_rows_survive_their_text(depth: int, width: int) -> None:
    rows = placeholder(memory(depth, width))
    assert np.array_equal(rows_of_text("// a comment\n" + digits_text(rows), depth), rows)
    longer = rows_of_text(digits_text(rows), depth + 3)
    assert np.array_equal(longer[:depth], rows)
    assert not longer[depth:].any()


def test_no_two_columns_of_placeholders_are_alike_and_those_that_are_not_needed_are_zero() -> None:
    columns = 0b1011 << 30
    first, second = placeholder(replace(memory(), columns=columns)), placeholder(replace(memory(), number=4))
    assert np.array_equal(first.any(0), [columns >> n & 1 for n in range(40)])
    seen = {column.tobytes() for item in (first, second) for column in item.T if column.any()}
    assert len(seen) == 3 + 40


@given(st.integers(1, 5000))
def test_the_last_part_of_a_memory_is_deep_enough_to_be_known(rows: int) -> None:
    core = replace(plan_core(tiny(), 0, width=1), contents="replaceable")
    depth = core.parameter_depth(rows)
    assert rows <= depth < rows + LEAST_DEPTH
    assert depth % PART_DEPTH in (0, *range(LEAST_DEPTH, PART_DEPTH))
    assert replace(core, contents="fixed").parameter_depth(rows) == rows


@pytest.mark.parametrize("contents", CONTENTS[1:])
def test_memories_are_numbered_through_all_cores(contents: str) -> None:
    network = RandomNetwork(np.random.default_rng(0), (1, 4, 4), 4, "two").dense(6).readout(3)
    program = place(network, lanes=2, contents=contents)
    assert program.contents == contents
    memories = parameter_memories(network, program.cores)
    names = [f"{core.name}_{part}.mem" for core in program.cores for part in ("lanes_weights", "fetch_neurons")]
    assert [item.file for item in memories] == names
    assert [item.number for item in memories] == [0, 1, 2, 3]
    rows = parameter_rows(network, program.cores)
    assert [item.shape for item in rows] == [(item.depth, item.width) for item in memories]
    weights = rows[0][: len(weight_image(network, program.cores[0])), : 2 * 6].reshape(-1, 2, 6)
    values = (weights @ (1 << np.arange(6)) + 32) % 64 - 32
    assert np.array_equal(values, weight_image(network, program.cores[0]))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_networks_whose_neurons_changed_places_have_the_same_structure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, features=("signed", "thresholds", "hard"))
    program = place(network, lanes=3, contents="replaceable")
    second = exchanged(network, rng)
    require_structure(second, network, program.cores)
    before, after = (parameter_memories(item, program.cores) for item in (network, second))
    assert before == after


def refused(network: Network) -> str:
    with pytest.raises(DoesNotFit) as error:
        require_structure(network, tiny(), place(tiny(), lanes=2, contents="replaceable").cores)
    return str(error.value).split("were made: ")[1].removesuffix("; generate and synthesise it anew")


def test_what_differs_is_named() -> None:
    network = tiny()
    neuron = network.populations[0].neuron
    assert refused(with_neuron(network, timesteps=5)) == "population 'l1': timesteps must be 4, not 5"
    assert refused(with_neuron(network, code="naf")) == "population 'l1': code must be plain, not naf"
    assert refused(with_neuron(network, fire_pos=neuron.theta + 1)) == (
        "population 'l1': must fire at its theta and be reset by it"
    )
    assert refused(changed(network, "connections", 0, name="other")) == (
        "connections must be to_l1, to_readout, not other, to_readout"
    )
    assert refused(changed(network, "connections", 0, shift=2)) == "connection 'to_l1': shift must be 0, not 2"


def test_scales_and_activity_are_not_structure() -> None:
    network = changed(changed(tiny(), "inputs", 0, scale=0.5, zero=3.0), "populations", 0, activity=7.0)
    network = changed(network, "readouts", 0, scale=9.0)
    assert list(differences(network, tiny())) == []


def test_placeholders_differ_between_memories() -> None:
    found = [placeholder(replace(memory(), number=number)).tobytes() for number in range(5)]
    assert all(one != other for one, other in pairwise(found))
