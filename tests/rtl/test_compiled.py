"""Generated designs, compiled by CXXRTL, against the golden model: every spike, potential and readout."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import rtl_networks as networks
from random_networks import random_network, random_samples
from rtl_networks import MakeDesign
from spikeloom import Network, ToolError
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model, read_memory
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import expected, vectors


def verdicts(design: Design, model: Model, x: np.ndarray, seed: int) -> list[Verdict]:
    """In order without stalls, some alone; shuffled with stalls; shuffled with stalls after a reset on the way."""
    want, rng = expected(design, x), np.random.default_rng(seed)
    return [
        judge(design, want, model.run(vectors(design, x), alone=2)),
        judge(design, want, model.run(vectors(design, x, rng), seed=seed)),
        judge(design, want, model.run(vectors(design, x, rng), seed=seed + 1, abort_cycles=int(rng.integers(20, 500)))),
    ]


@pytest.mark.parametrize("network", networks.LANES)
def test_gates_equal_the_golden_model(
    network: Callable[[], Network], make_design: MakeDesign, rng: np.random.Generator
) -> None:
    design = make_design(network(), networks.LANES[network])
    with Model(design, compile_library(design, level="-O0")) as model:
        assert verdicts(design, model, random_samples(rng, design.network, 20), 1) == [Verdict(0, None)] * 3


def test_gates_of_one_core_for_all_layers_equal_the_golden_model(woven: Design, rng: np.random.Generator) -> None:
    with Model(woven, compile_library(woven, level="-O0")) as model:
        assert verdicts(woven, model, random_samples(rng, woven.network, 20), 1) == [Verdict(0, None)] * 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_gates_of_random_networks_equal_the_golden_model(seed: int, make_design: MakeDesign) -> None:
    rng = np.random.default_rng(seed)
    design = make_design(random_network(rng), int(rng.integers(1, 12)))
    with Model(design, compile_library(design, level="-O0")) as model:
        assert verdicts(design, model, random_samples(rng, design.network, 30), seed) == [Verdict(0, None)] * 3


def test_a_reset_at_any_cycle_leaves_the_next_inference_exact(
    make_design: MakeDesign, rng: np.random.Generator
) -> None:
    design = make_design(networks.memories(), 5)
    x = random_samples(rng, design.network, 4)
    x[0] = 255  # every neuron of the first layer has something to forget
    want, stimulus = expected(design, x), vectors(design, x)
    with Model(design, compile_library(design)) as model:
        length = model.run(stimulus).cycles
        assert length > 300
        wrong = {
            cycle: verdict.first
            for cycle in range(length)
            if (verdict := judge(design, want, model.run(stimulus, abort_cycles=cycle))).mismatches
        }
    assert wrong == {}


def test_a_design_needs_no_reset_after_configuration(make_design: MakeDesign, rng: np.random.Generator) -> None:
    design = make_design(networks.memories(), 5)
    x = random_samples(rng, design.network, 4)
    stimulus = vectors(design, x)
    with Model(design, compile_library(design)) as model:
        assert model.send(stimulus.beats, classes=4)
        assert judge(design, expected(design, x), model.capture()) == Verdict(0, None)


def test_a_design_that_waits_for_ever_is_said_to_hang(make_design: MakeDesign) -> None:
    design = make_design(networks.memories(), 5)
    with Model(design, compile_library(design)) as model:
        model.reset()
        assert not model.send(np.zeros(0, np.uint64), classes=1)
        fault = model.capture().fault
    assert fault is not None
    assert fault.startswith(f"nothing moved for {design.patience_cycles} cycles up to cycle ")


def test_a_memory_file_of_another_size_is_refused(tmp_path) -> None:
    path = tmp_path / "weights.mem"
    path.write_text("010\n111\n")
    np.testing.assert_array_equal(read_memory(path, 2, 3), [[2], [7]])
    with pytest.raises(ToolError) as error:
        read_memory(path, 3, 3)
    assert str(error.value) == f"Memory '{path}': must hold 3 words of 3 bits; generate the build again"


def test_a_memory_of_one_word_may_become_a_register(make_design: MakeDesign) -> None:
    design = make_design(networks.memories(), 5)
    library = compile_library(design, level="-O0")
    files = [*design.manifest["memories"], "one.mem"]
    one = replace(design, manifest=design.manifest | {"memories": files})
    (design.folder / "one.mem").write_text("000\n")
    with Model(one, library):
        pass
    for contents in ("010\n", "000\n000\n"):
        (design.folder / "one.mem").write_text(contents)
        with pytest.raises(ToolError) as error:
            Model(one, library)
        assert str(error.value) == (
            f"Build '{design.folder}': each memory file must belong to a memory, not ['one.mem']; generate it again"
        )
