"""Gates of recurrent networks: codes of the time step before, and an input that comes in every one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recurrent_networks import random_recurrent_network, random_sequences
from spikeloom import DoesNotFit, Network, NotBuilt
from spikeloom.place import cuts, place
from spikeloom_hw.build import generate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Design
from spikeloom_sim.scoreboard import judge
from spikeloom_sim.vectors import expected, vectors
