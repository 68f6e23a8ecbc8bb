"""Spikeloom's contract: networks on the integer line, the golden model, traces, bounds and programs."""

from . import golden
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

__version__ = "0.1.0"

__all__ = [
    "Connection", "Conv2d", "Dense", "Diagonal", "Divergence", "DoesNotFit", "Input", "InvalidData",
    "InvalidNetwork", "Network", "Neuron", "NotBuilt", "Population", "Provenance", "Readout", "Silent",
    "SpikeloomError", "ToolError", "Trace", "UnsupportedLayer", "golden",
]  # fmt: skip
