"""Conversion methods by name."""

from .method import Method, Synchronous
from .optimal_conversion import OptimalConversion
from .qcfs import NoisyQuantizedMethod, QCFSMethod
from .spikeconverter import SpikeConverter
from .steprelu import StepReLUMethod
from .strelu import STReLU

METHODS: dict[str, type[Method]] = {
    method.NAME: method
    for method in (SpikeConverter, OptimalConversion, STReLU, StepReLUMethod, QCFSMethod, NoisyQuantizedMethod)
}

__all__ = ["METHODS", "Method", "Synchronous"]
