"""Waveforms of a simulation: the gates' signals, and beside them what they mean, layer by layer."""

from .request import Traced, TraceRequest

__all__ = ["TraceRequest", "Traced"]
