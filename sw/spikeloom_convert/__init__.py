"""Trained PyTorch models in, spiking networks on the integer line out."""

from .convert import convert
from .float_network import FloatLayer, FloatNetwork
from .fold import fold
from .methods import METHODS
from .models import load_model, load_trained
from .networks import NETWORKS
from .quantise import quantise
from .trace import trace
from .train_network import train_network
from .trainer import TrainedNetwork
from .training import Training, train

__all__ = [
    "METHODS", "NETWORKS", "FloatLayer", "FloatNetwork", "TrainedNetwork", "Training", "convert", "fold", "load_model",
    "load_trained", "quantise", "trace", "train", "train_network",
]  # fmt: skip
