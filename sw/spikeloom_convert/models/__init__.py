"""Models: by name, by a factory from outside, from files of weights; and the networks that have names."""

from .load import is_untrained, load_model, load_trained
from .networks import NETWORKS, digits_cnn, mlp, mnist_cnn, mnist_mlp
from .state import load_state

__all__ = [
    "NETWORKS", "digits_cnn", "is_untrained", "load_model", "load_state", "load_trained", "mlp", "mnist_cnn",
    "mnist_mlp",
]  # fmt: skip
