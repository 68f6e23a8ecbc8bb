"""Wrong designs are caught: what the benches let pass here, they would let pass in ours."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rtl_networks as networks
from named_mutants import MUTANTS, RECURRENT_MUTANTS
from random_networks import random_samples
from recurrent_networks import random_sequences
from rtl_networks import MakeDesign
from spikeloom import Network, SpikeloomError, golden
from spikeloom.placing.place import place
from spikeloom.program import visits
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.mutants import Mutant, compile_mutants, mutated, random_mutants
from spikeloom_sim.scoreboard import judge
from spikeloom_sim.vectors import Expected, expected, vectors


def found(design: Design, model: Model, x: np.ndarray, want: Expected, aborts: Sequence[int] = (77,)) -> str | None:
    """The first divergence: without stalls, with some, and after resets in so many cycles; None if all is well."""
    for seed, abort_cycles in enumerate((None, None, *aborts)):
        order = np.random.default_rng(seed) if seed else None
        run = model.run(vectors(design, x, order), seed=seed or None, abort_cycles=abort_cycles)
        verdict = judge(design, want, run)
        if verdict.mismatches:
            return verdict.first
    return None


def missed(design: Design, mutants: Sequence[Mutant], x: np.ndarray, aborts: Sequence[int] = (77,)) -> list[str]:
    """Names of the mutants that no run tells from the golden model, with which the design without any agrees."""
    want, names = expected(design, x), []
    with Model(design, compile_mutants(design, mutants)) as model:
        assert found(design, model, x, want, aborts) is None
        for number, mutant in enumerate(mutants, 1):
            model.configure(number)
            if found(design, model, x, want, aborts) is None:
                names.append(mutant.name)
    return names


def recurrent(folder: Path) -> Design:
    """Gates of a recurrent network, in two cores."""
    network = networks.recurrent()
    return Design.load(generate(network, folder, program=place(network, lanes=2)).folder)


def samples_with_ties(rng: np.random.Generator, design: Design) -> np.ndarray:
    """A dozen samples, in three of which several outputs share the largest potential."""
    x = random_samples(rng, design.network, 2000)
    potentials = golden.evaluate(design.network, x)
    assert isinstance(potentials, np.ndarray)
    tied = (potentials == potentials.max(1, keepdims=True)).sum(1) > 1
    assert tied.sum() >= 3
    return np.concatenate([x[~tied][:9], x[tied][:3]])


def test_every_named_mutant_is_caught(woven: Design, rng: np.random.Generator) -> None:
    assert missed(woven, MUTANTS, samples_with_ties(rng, woven)) == []


def test_every_named_mutant_of_a_recurrent_network_is_caught(tmp_path: Path, rng: np.random.Generator) -> None:
    design = recurrent(tmp_path / "recurrent")
    x = random_sequences(rng, design.network, 6)
    assert missed(design, RECURRENT_MUTANTS, x, aborts=range(100, 1500, 200)) == []  # a sample takes some 1,200 cycles


def test_a_first_time_step_that_hears_the_sample_before_is_caught(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later_steps(network: Network, source: str, populations: tuple[str, ...], time: int) -> list[visits.Visit]:
        pairs = zip(right(network, source, populations, time), right(network, source, populations, 1), strict=True)
        return [replace(visit, steps=later.steps) for visit, later in pairs]

    right = visits._synchronous
    monkeypatch.setattr(visits, "_synchronous", later_steps)
    design = recurrent(tmp_path / "wrong")
    x = random_sequences(rng, design.network, 2)
    with Model(design, compile_library(design, level="-O0")) as model:
        verdict = judge(design, expected(design, x), model.run(vectors(design, x)))
    assert verdict.first is not None
    assert verdict.first.startswith("sample 1, time step 1, population 'l1', ")  # nothing was stored before sample 0


@pytest.mark.slow
def test_nine_of_ten_random_faults_are_caught(make_design: MakeDesign, rng: np.random.Generator) -> None:
    design = make_design(networks.memories(), 5)
    x = random_samples(rng, design.network, 20)
    want = expected(design, x)
    passes = random_mutants(design, 300, seed=1)
    mutants = [line for line in passes if line.startswith("mutate")]
    with Model(design, compile_library(design, passes=passes)) as model:
        survivors = []
        for number, mutant in enumerate(mutants, 1):
            model.configure(number)
            if found(design, model, x, want) is None:
                survivors.append(mutant)
    assert len(survivors) <= len(mutants) // 10, "\n".join(survivors)


def test_a_mutant_that_changes_nothing_is_refused() -> None:
    mutant = Mutant("the moon is full", "_generator$", "moon", "sun")
    with pytest.raises(SpikeloomError) as error:
        mutated("module spikeloom_l1_generator(clk);\n  input clk;\nendmodule\n", mutant)
    assert str(error.value) == (
        "Mutant 'the moon is full': pattern 'moon' must be found in a module like '_generator$'; "
        "adapt it to the Verilog of today"
    )
