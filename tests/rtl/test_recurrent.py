"""Gates of recurrent networks: codes of the time step before, and an input that comes in every one."""

from pathlib import Path

import numpy as np
import pytest
from recurrent_networks import random_recurrent_network, random_sequences
from rtl_networks import wired
from spikeloom import Connection, Dense, Network, NotBuilt
from spikeloom.placing.place import cuts, place
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import judge
from spikeloom_sim.vectors import expected, vectors


def simulated(network: Network, folder: Path, rng: np.random.Generator, *, lanes: int) -> None:
    """Gates and golden model on six samples, whatever comes when, and after a reset in the middle."""
    design = Design.load(generate(network, folder / "build", program=place(network, lanes=lanes)).folder)
    x = random_sequences(rng, network, 6)
    want = expected(design, x)
    with Model(design, compile_library(design, level="-O0")) as model:
        runs = [
            model.run(vectors(design, x), alone=2),
            model.run(vectors(design, x, rng), seed=1),
            model.run(vectors(design, x, rng), seed=2, abort_cycles=int(rng.integers(50, 900))),
        ]
    for run in runs:
        verdict = judge(design, want, run)
        assert (verdict.mismatches, verdict.first) == (0, None)


LINKS = {
    "to itself": [("l1", "l1")],
    "to an earlier one, and both to themselves": [("l2", "l1"), ("l1", "l1"), ("l2", "l2")],
}


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("sequence", [6, 0])
def test_gates_hear_the_time_step_before(links: str, sequence: int, tmp_path: Path, rng: np.random.Generator) -> None:
    simulated(wired(*LINKS[links], sequence=sequence), tmp_path, rng, lanes=2)


def test_a_sequence_comes_into_a_chain_of_cores_step_by_step(tmp_path: Path, rng: np.random.Generator) -> None:
    network = wired()
    assert len(place(network, lanes=2).cores) == 3
    simulated(network, tmp_path, rng, lanes=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_random_recurrent_networks_in_gates(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([7, seed])
    simulated(random_recurrent_network(rng), tmp_path, rng, lanes=int(rng.integers(1, 5)))


def test_a_recurrent_connection_stays_in_its_core_with_the_layer_behind_its_source() -> None:
    assert cuts(wired(layers=4)) == [1, 2, 3, 4]
    assert cuts(wired(("l2", "l2"), layers=4)) == [1, 3, 4]
    assert cuts(wired(("l3", "l2"), layers=4)) == [1, 4]
    assert cuts(wired(("l4", "l1"), layers=4)) == []


def test_spikes_of_the_last_population_are_refused_in_gates() -> None:
    network = wired(("l2", "l1"))
    first, second, readout = network.populations
    links = [item for item in network.connections if item.target != "readout"]
    read = Connection("read", "l1", "readout", Dense(), np.ones((5, 5), np.int8), 2)
    turned = Network(
        "turned", network.inputs, (first, readout, second), (*links, read), network.readouts, "synchronous"
    )
    with pytest.raises(NotBuilt) as error:
        place(turned)
    back = next(item.name for item in links if item.source == "l2")
    assert str(error.value) == (
        f"Network 'turned': not built in gates yet: connection '{back}': the last population's spikes cannot be kept"
    )


@pytest.mark.parametrize("where", [{"board": "ulx3s-85f"}, {"wrapper": "axi"}])
def test_a_sequence_is_refused_for_boards_and_wrappers(where: dict[str, str], tmp_path: Path) -> None:
    expected = (
        r"^Input 'input': must be one value a neuron for a board or a wrapper, not a sequence of 6 time steps; use "
        r"--board none and the core's own streams$"
    )
    with pytest.raises(NotBuilt, match=expected):
        generate(wired(), tmp_path / "build", **where)
    assert not (tmp_path / "build").exists()
