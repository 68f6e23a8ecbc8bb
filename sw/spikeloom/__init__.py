"""Spikeloom's contract: networks on the integer line, the golden model, traces, bounds and programs."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from .errors import (
    Divergence,
    DoesNotFit,
    InvalidData,
    InvalidNetwork,
    NotBuilt,
    SpikeloomError,
    ToolError,
    UnsupportedLayer,
)
from .geometry import Conv2d, Dense, Diagonal
from .network import Connection, Input, Network, Population, Provenance, Readout
from .neuron import Neuron, Silent
from .trace import Trace

if TYPE_CHECKING:
    from . import golden

__version__ = "0.1.0"

__all__ = [
    "Connection", "Conv2d", "Dense", "Diagonal", "Divergence", "DoesNotFit", "Input", "InvalidData",
    "InvalidNetwork", "Network", "Neuron", "NotBuilt", "Population", "Provenance", "Readout", "Silent",
    "SpikeloomError", "ToolError", "Trace", "UnsupportedLayer", "golden",
]  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    """`spikeloom.golden` on first use: it brings PyTorch, which takes a second that most commands do without."""
    if name == "golden":
        return importlib.import_module(".golden", __name__)
    raise AttributeError(f"module 'spikeloom' has no attribute '{name}'")
