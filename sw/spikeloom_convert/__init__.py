"""Trained PyTorch models in, spiking networks on the integer line out."""

from .convert import convert
from .float_network import FloatLayer, FloatNetwork
from .fold import fold
from .methods import METHODS
from .models import load_model
from .quantise import quantise
from .trace import trace
from .training import Training, train

__all__ = [
    "METHODS", "FloatLayer", "FloatNetwork", "Training", "convert", "fold", "load_model", "quantise", "trace", "train",
]  # fmt: skip
