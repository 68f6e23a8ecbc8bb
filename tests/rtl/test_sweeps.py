"""Cores that keep potentials between visits: synchronous networks, and neurons that fire step by step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_samples
from spikeloom import Dense, Network, Neuron, Silent
from spikeloom.placing.cores import plan_core
from spikeloom.placing.place import agreed, place
from spikeloom.placing.resources import Capacity
from spikeloom.program.program import Program
from spikeloom_hw.build import generate
from spikeloom_sim.cocotb_run import run, simulator_of
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.mutants import Mutant, compile_mutants
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors
from sweep_networks import Draft, stepwise, synchronous

ASSIGN = r"^(  assign \S+ +=) "
MUTANTS = [
    Mutant("what was kept is forgotten", "_integrate$", r"if \(!(visit\[\d+\])\) (value_2_1)", r"if (!\1 | @) \2"),
    Mutant(
        "a potential equal to the negative threshold does not fire",
        "_integrate$",
        ASSIGN + r"(\$signed\(value_4_0_\d\)) <= (\$signed\(slot_4\[\d+:\d+\]\));",
        r"\1 @ ? \2 < \3 : \2 <= \3;",
    ),
    Mutant(
        "the input is not added again",
        "_integrate$",
        ASSIGN + r"(visit\[\d+\]) \? (\S+data\S+ +\[\d+:\d+\]) : (\d+'h0+);",
        r"\1 (\2 & ~@) ? \3 : \4;",
    ),
    Mutant("the loop runs once less", "_sequencer$", r"turns <= 3'h5;", "turns <= 3'h5 - @;"),
    Mutant(
        "the sign bit of a replayed code counts like the others",
        "_replay$",
        ASSIGN + r"(step\[\d+\]) & (_\d+_);",
        r"\1 \2 & \3 & ~@;",
    ),
]


@pytest.fixture
def design(tmp_path: Path) -> Callable[[Network, list[int]], Design]:
    """Generates a network on cores that begin at some populations."""

    def make(network: Network, starts: list[int]) -> Design:
        ends = [*starts[1:], len(network.populations)]
        cores = [plan_core(network, a, b - a, grid=(2, 2), width=2) for a, b in zip(starts, ends, strict=True)]
        program = Program(network, agreed(network, tuple(cores)))
        return Design.load(generate(network, tmp_path / network.name, program=program).folder)

    return make


Make = Callable[[Network, list[int]], Design]


@pytest.mark.parametrize(
    ("network", "starts"),
    [
        (synchronous, [0]),
        (stepwise, [0]),
        pytest.param(stepwise, [0, 1, 3], marks=pytest.mark.slow),
        (stepwise, [0, 2, 4, 5]),
    ],
)
def test_gates_that_sweep_equal_the_golden_model(
    network: Callable[[], Network], starts: list[int], design: Make, rng: np.random.Generator
) -> None:
    made = design(network(), starts)
    x = random_samples(rng, made.network, 6)
    want = expected(made, x)
    with Model(made, compile_library(made)) as model:
        runs = [
            model.run(vectors(made, x), alone=2),
            model.run(vectors(made, x, rng), seed=1),
            *(model.run(vectors(made, x, rng), seed=2, abort_cycles=int(stop)) for stop in rng.integers(100, 9000, 8)),
        ]
    assert [judge(made, want, capture) for capture in runs] == [Verdict(0, None)] * len(runs)


def test_signed_codes_are_not_multiplied(tmp_path: Path, rng: np.random.Generator) -> None:
    network = synchronous()
    large = Capacity("large", 100000, 1000, "ecp5", multipliers=1000)
    program = place(network, lanes=4, cores=2, capacity=large)
    assert [(bool(core.stored), core.multiply) for core in program.cores] == [(False, False), (True, False)]
    made = Design.load(generate(network, tmp_path / "chain", program=program).folder)
    x = random_samples(rng, network, 3)
    with Model(made, compile_library(made)) as model:
        assert judge(made, expected(made, x), model.run(vectors(made, x, rng), seed=4)) == Verdict(0, None)


@pytest.mark.xdist_group("verilator")
def test_the_bench_sees_what_the_compiled_design_shows(design: Make, rng: np.random.Generator) -> None:
    made = design(synchronous(), [0])
    x = random_samples(rng, made.network, 2)
    want, stimulus = expected(made, x), vectors(made, x, rng)
    capture = run(made, "verilator", simulator_of(made, "verilator"), stimulus, seed=3)
    assert judge(made, want, capture) == Verdict(0, None)
    name = made.cores[0].name
    words = capture.visits[name].words
    assert len(words) == 2 * sum(
        len(made.layers[visit.layer].scan(made.cores[0].slot)) for visit in made.cores[0].visits
    )
    wrong = words.copy()
    place = made.cores[0].slot * made.cores[0].bits  # behind what is left come the potentials
    wrong[17, place // 32] ^= np.uint32(1 << place % 32)
    capture.visits[name].words[:] = wrong
    assert judge(made, want, capture).mismatches == 1


def test_every_mutant_of_a_sweep_is_caught(design: Make, rng: np.random.Generator) -> None:
    made = design(synchronous(), [0])
    x = random_samples(rng, made.network, 6)
    want = expected(made, x)
    with Model(made, compile_mutants(made, MUTANTS)) as model:
        missed = []
        for number, mutant in enumerate([None, *MUTANTS]):
            model.configure(number)
            verdict = judge(made, want, model.run(vectors(made, x)))
            if (mutant is None) != (verdict == Verdict(0, None)):
                missed.append(mutant)
    assert missed == []


@pytest.mark.parametrize(("theta", "fires"), [(100, None), (5000, 50)])
def test_a_threshold_wider_than_the_potentials_makes_no_difference(
    theta: int, fires: int | None, tmp_path: Path
) -> None:
    neuron = Neuron(3, 1.0, np.full((1, 2), theta), np.zeros((1, 2), np.int64))
    if fires:
        neuron = replace(neuron, fire_pos=np.full((1, 2), fires), reset=np.full((1, 2), 40))
    draft = Draft("edge", "synchronous")
    draft.add("l1", (2, 1, 1), {"input": Dense()}, neuron)
    network = draft.add("readout", (2, 1, 1), {"l1": Dense()}, Silent(np.zeros((1, 2), np.int64))).network()
    program = Program(network, (plan_core(network, 0, 2, width=2),))
    made = Design.load(generate(network, tmp_path / "edge", program=program).folder)
    x = random_samples(np.random.default_rng(1), network, 6)
    with Model(made, compile_library(made)) as model:
        assert judge(made, expected(made, x), model.run(vectors(made, x))) == Verdict(0, None)
