"""Trained PyTorch models and NIR graphs in, spiking networks on the integer line out."""

from .analysis import analyse
from .convert import convert
from .float_network import FloatLayer, FloatNetwork
from .fold import fold
from .inspection import ModelReport, NodeReport, inspect_model
from .methods import METHODS
from .models import load_model, load_trained
from .networks import NETWORKS
from .nir_convert import convert_nir
from .nir_export import conditions, export_nir
from .quantise import quantise
from .sweep import sweep
from .trace import trace
from .train_network import train_network
from .trainer import TrainedNetwork
from .training import Training, train

__all__ = [
    "METHODS", "NETWORKS", "FloatLayer", "FloatNetwork", "ModelReport", "NodeReport", "TrainedNetwork", "Training",
    "analyse", "conditions", "convert", "convert_nir", "export_nir", "fold", "inspect_model", "load_model",
    "load_trained", "quantise", "sweep", "trace", "train", "train_network",
]  # fmt: skip
