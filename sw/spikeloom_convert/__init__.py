"""Trained PyTorch models and NIR graphs in, spiking networks on the integer line out."""

from .analysis.layers import analyse
from .analysis.sweep import sweep
from .convert import convert
from .float_network import FloatLayer, FloatNetwork
from .folding.fold import fold
from .folding.inspection import ModelReport, NodeReport, inspect_model
from .methods import METHODS
from .models.load import load_model, load_trained
from .models.networks import NETWORKS
from .nir.convert import convert_nir
from .nir.export import conditions, export_nir
from .quantising.quantise import quantise
from .reading.trace import trace
from .training.classifier import Training, train
from .training.train_network import train_network
from .training.trainer import TrainedNetwork

__all__ = [
    "METHODS", "NETWORKS", "FloatLayer", "FloatNetwork", "ModelReport", "NodeReport", "TrainedNetwork", "Training",
    "analyse", "conditions", "convert", "convert_nir", "export_nir", "fold", "inspect_model", "load_model",
    "load_trained", "quantise", "sweep", "trace", "train", "train_network",
]  # fmt: skip
