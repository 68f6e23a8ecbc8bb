"""The cocotb bench on Verilator and, where it is installed, on Icarus."""

import numpy as np
import pytest
import rtl_networks as networks
from named_mutants import MUTANTS
from random_networks import random_samples
from rtl_networks import MakeDesign
from spikeloom_hw import toolchain
from spikeloom_sim.cocotb_run import run, simulator_of
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.mutants import Mutant, mutated
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors
from test_mutants import samples_with_ties

needs_icarus = pytest.mark.skipif(
    toolchain.find("iverilog") is None, reason="Icarus Verilog is not installed (Debian: apt-get install iverilog)"
)
# tests on one worker find what the first of them compiled
verilator = pytest.param("verilator", marks=pytest.mark.xdist_group("verilator"))
SIMULATORS = [verilator, pytest.param("icarus", marks=needs_icarus)]
QUICK = {"the end mark goes out as an event", "an event does not wait for what is behind"}  # a hang, a broken rule


@pytest.fixture
def design(make_design: MakeDesign) -> Design:
    return make_design(networks.memories(), 5)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_gates_equal_the_golden_model_under_cocotb(simulator: str, design: Design, rng: np.random.Generator) -> None:
    x = random_samples(rng, design.network, 8)
    want, build = expected(design, x), simulator_of(design, simulator)
    ordered, shuffled = vectors(design, x), vectors(design, x, rng)
    told: list[int] = []
    assert judge(design, want, run(design, simulator, build, ordered, alone=3, on_samples=told.append)) == Verdict(
        0, None
    )
    assert told == list(range(1, 9))
    assert judge(design, want, run(design, simulator, build, shuffled, seed=1)) == Verdict(0, None)
    assert judge(design, want, run(design, simulator, build, shuffled, seed=2, abort_cycles=333)) == Verdict(0, None)


@needs_icarus
@pytest.mark.parametrize("network", [networks.registers, networks.strides, networks.single])
def test_a_simulator_with_unknown_values_meets_none(network, make_design: MakeDesign, rng: np.random.Generator) -> None:
    design = make_design(network(), networks.LANES[network])
    x = random_samples(rng, design.network, 5)
    build = simulator_of(design, "icarus")
    capture = run(design, "icarus", build, vectors(design, x, rng), seed=1, abort_cycles=90)
    assert judge(design, expected(design, x), capture) == Verdict(0, None)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_compiled_design_and_the_bench_count_the_same_cycles(
    simulator: str, design: Design, rng: np.random.Generator
) -> None:
    stimulus = vectors(design, random_samples(rng, design.network, 5))
    with Model(design, compile_library(design, level="-O0")) as model:
        compiled = model.run(stimulus, alone=2)
    bench = run(design, simulator, simulator_of(design, simulator), stimulus, alone=2)
    for name, beats in compiled.beats.items():
        np.testing.assert_array_equal(beats.words, bench.beats[name].words)
        np.testing.assert_array_equal(np.diff(beats.cycles), np.diff(bench.beats[name].cycles))


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_core_of_many_layers_shows_the_same_to_all(simulator: str, woven: Design, rng: np.random.Generator) -> None:
    x = random_samples(rng, woven.network, 4)
    want, stimulus = expected(woven, x), vectors(woven, x)
    with Model(woven, compile_library(woven, level="-O0")) as model:
        compiled = model.run(stimulus)
    bench = run(woven, simulator, simulator_of(woven, simulator), stimulus)
    assert [judge(woven, want, capture) for capture in (compiled, bench)] == [Verdict(0, None)] * 2
    name = woven.cores[0].name
    for layer in range(5):  # rows beyond those of a layer are not looked at by the bench
        rows = woven.layers[layer].rows
        seen = [capture.swaps[name].words[layer::5, :, :rows] for capture in (compiled, bench)]
        np.testing.assert_array_equal(*seen)
    np.testing.assert_array_equal(*(np.diff(capture.swaps[name].cycles) for capture in (compiled, bench)))
    np.testing.assert_array_equal(*(np.diff(capture.states[name], axis=0) for capture in (compiled, bench)))


@needs_icarus
@pytest.mark.parametrize(
    "mutant",
    [pytest.param(it, marks=[] if it.name in QUICK else pytest.mark.slow, id=it.name) for it in MUTANTS],
)
def test_the_bench_catches_every_named_mutant_and_ends(mutant: Mutant, woven: Design, rng: np.random.Generator) -> None:
    design = woven
    x = samples_with_ties(rng, design)
    build = simulator_of(design, "icarus", edit=lambda verilog: mutated(verilog, mutant))
    capture = run(design, "icarus", build, vectors(design, x, rng), seed=1, abort_cycles=150)
    assert judge(design, expected(design, x), capture).mismatches
