"""Parameters loaded into a design that runs: what the next sample meets is what the golden model says of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rtl_networks as networks
from random_networks import exchanged, random_samples
from spikeloom import Network
from spikeloom.placing.place import place
from spikeloom.program.parameters import ADDRESS_WORD_BITS, WORD_BYTES, cores_of, parameter_rows
from spikeloom.program.program import Program
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors


def loadable(program: Program, folder: Path) -> Design:
    cores = tuple(replace(core, contents="loadable") for core in program.cores)
    return Design.load(generate(program.network, folder, program=Program(program.network, cores)).folder)


def contents(design: Design, network: Network) -> list[bytes]:
    """What the memories of a design have to hold for a network, as it travels."""
    rows = parameter_rows(network, cores_of(design.manifest, network))
    return [memory.words_of(part) for memory, part in zip(design.parameters, rows, strict=True)]


def load(model: Model, design: Design, network: Network) -> None:
    for memory, data in zip(design.parameters, contents(design, network), strict=True):
        assert model.load(memory.number, 0, data)


def verdict(model: Model, design: Design, network: Network, x: np.ndarray, seed: int) -> Verdict:
    """Of samples in random order with stalls on all ports, against the golden model of a network."""
    seen = Design.of(design.folder, network, design.manifest)
    capture = model.run(vectors(seen, x, np.random.default_rng(seed)), seed=seed, alone=1)
    return judge(seen, expected(seen, x), capture)


@pytest.fixture(params=["registers", "memories", "woven"])
def design(request: pytest.FixtureRequest, tmp_path: Path) -> Design:
    """Cores with potentials in registers and in memories, and a grid of cells that does everything."""
    if request.param == "woven":
        return loadable(networks.woven_program(), tmp_path / "woven")
    made = getattr(networks, request.param)
    return loadable(place(made(), lanes=networks.LANES[made]), tmp_path / "build")


def test_parameters_that_are_loaded_are_those_of_the_next_samples(design: Design, rng: np.random.Generator) -> None:
    others = [exchanged(design.network, rng), exchanged(design.network, rng)]
    x = random_samples(rng, design.network, 6)
    with Model(design, compile_library(design, level="-O0")) as model:
        assert verdict(model, design, design.network, x, 1) == Verdict(0, None)
        for seed, network in enumerate([*others, design.network, others[0]]):
            load(model, design, network)
            assert verdict(model, design, network, x, seed + 2) == Verdict(0, None)
        assert verdict(model, design, others[1], x, 9) != Verdict(0, None)  # of the network that is not loaded


def test_memories_are_read_back_whole_and_after_a_reset(design: Design, rng: np.random.Generator) -> None:
    network = exchanged(design.network, rng)
    with Model(design, compile_library(design, level="-O0")) as model:
        for wanted in (design.network, network):
            load(model, design, wanted)
            model.reset()
            found = [model.read_back(memory.number) for memory in design.parameters]
            assert found == contents(design, wanted)


def test_a_word_is_loaded_at_its_address_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    design = loadable(place(networks.memories(), lanes=5), tmp_path / "build")
    with Model(design, compile_library(design, level="-O0")) as model:
        memory = max(design.parameters, key=lambda item: item.words)
        before = model.read_back(memory.number)
        assert before is not None
        assert memory.words > 1
        row, word, new = memory.depth - 1, memory.words - 1, bytes([1, 2, 3, 4, 5])
        last = row << ADDRESS_WORD_BITS | word
        assert model.load(memory.number, last, new)
        assert model.read_back(memory.number) == before[:-WORD_BYTES] + new
        refused = [
            model.load(len(design.parameters), 0, new),
            model.load(255, 0, new),
            model.load(memory.number, memory.words, new),
            model.load(memory.number, memory.depth << ADDRESS_WORD_BITS, new),
            model.load(memory.number, last, new + new),  # the second word lies behind the memory
            model.load(memory.number, last, new[:-1]),
            model.load(memory.number, 0xFFFFFFFF, new),
        ]
        assert refused == [False] * 7
        assert model.read_back(255) is None
        assert model.read_back(memory.number) == before[:-WORD_BYTES] + new
        assert model.load(memory.number, last, before[-WORD_BYTES:])
        assert model.read_back(memory.number) == before
