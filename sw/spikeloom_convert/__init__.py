"""Trained PyTorch models in, spiking networks on the integer line out."""

from .convert import METHODS, convert
from .float_network import FloatLayer, FloatNetwork
from .fold import fold
from .inspection import ModelReport, NodeReport, inspect_model
from .models import load_model
from .quantise import quantise
from .trace import trace
from .training import Training, train

__all__ = [
    "METHODS", "FloatLayer", "FloatNetwork", "ModelReport", "NodeReport", "Training", "convert", "fold",
    "inspect_model", "load_model", "quantise", "trace", "train",
]  # fmt: skip
