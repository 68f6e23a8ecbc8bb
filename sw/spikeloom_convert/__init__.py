"""Trained PyTorch models and NIR graphs in, spiking networks on the integer line out."""

from .convert import convert
from .float_network import FloatLayer, FloatNetwork
from .fold import fold
from .methods import METHODS
from .models import load_model
from .nir_convert import convert_nir
from .nir_export import conditions, export_nir
from .quantise import quantise
from .trace import trace
from .training import Training, train

__all__ = [
    "METHODS", "FloatLayer", "FloatNetwork", "Training", "conditions", "convert", "convert_nir", "export_nir", "fold",
    "load_model", "quantise", "trace", "train",
]  # fmt: skip
