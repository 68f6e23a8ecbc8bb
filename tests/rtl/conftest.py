"""Designs that several tests share; compiled simulators are found again in the cache, in later runs too."""

from pathlib import Path

import numpy as np
import pytest
from rtl_networks import MakeDesign, woven_program
from spikeloom import Network
from spikeloom_hw.build import generate
from spikeloom_sim.design import Design


@pytest.fixture
def make_design(tmp_path: Path) -> MakeDesign:
    """Generates a network with about so many lanes a core."""

    def make(network: Network, lanes: int) -> Design:
        return Design.load(generate(network, tmp_path / network.name, lanes=lanes).folder)

    return make


@pytest.fixture
def woven(tmp_path: Path) -> Design:
    """A core that runs all layers of a network, with everything in it that cores can have."""
    program = woven_program()
    return Design.load(generate(program.network, tmp_path / "woven", program=program).folder)


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness that is the same in every run."""
    return np.random.default_rng(20261122)
