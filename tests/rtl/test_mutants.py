"""Wrong designs are caught: what the benches let pass here, they would let pass in ours."""

import numpy as np
import pytest
import rtl_networks as networks
from named_mutants import MUTANTS
from random_networks import random_samples
from rtl_networks import MakeDesign
from spikeloom import SpikeloomError, golden
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.mutants import Mutant, compile_mutants, mutated, random_mutants
from spikeloom_sim.scoreboard import judge
from spikeloom_sim.vectors import Expected, expected, vectors


def found(design: Design, model: Model, x: np.ndarray, want: Expected) -> str | None:
    """The first divergence: in a run without stalls, in one with, in one with after a reset; None if all is well."""
    for seed, abort_cycles in ((None, None), (1, None), (2, 77)):
        order = None if seed is None else np.random.default_rng(seed)
        verdict = judge(design, want, model.run(vectors(design, x, order), seed=seed, abort_cycles=abort_cycles))
        if verdict.mismatches:
            return verdict.first
    return None


def samples_with_ties(rng: np.random.Generator, design: Design) -> np.ndarray:
    """A dozen samples, in three of which several outputs share the largest potential."""
    x = random_samples(rng, design.network, 2000)
    potentials = golden.evaluate(design.network, x)
    assert isinstance(potentials, np.ndarray)
    tied = (potentials == potentials.max(1, keepdims=True)).sum(1) > 1
    assert tied.sum() >= 3
    return np.concatenate([x[~tied][:9], x[tied][:3]])


def test_every_named_mutant_is_caught(woven: Design, rng: np.random.Generator) -> None:
    design = woven
    x = samples_with_ties(rng, design)
    want = expected(design, x)
    with Model(design, compile_mutants(design, MUTANTS)) as model:
        assert found(design, model, x, want) is None
        missed = []
        for number, mutant in enumerate(MUTANTS, 1):
            model.configure(number)
            if found(design, model, x, want) is None:
                missed.append(mutant.name)
    assert missed == []


@pytest.mark.slow
def test_nine_of_ten_random_faults_are_caught(make_design: MakeDesign, rng: np.random.Generator) -> None:
    design = make_design(networks.memories(), 5)
    x = random_samples(rng, design.network, 20)
    want = expected(design, x)
    passes = random_mutants(design, 300, seed=1)
    mutants = [line for line in passes if line.startswith("mutate")]
    with Model(design, compile_library(design, passes=passes, level="-O1")) as model:
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
