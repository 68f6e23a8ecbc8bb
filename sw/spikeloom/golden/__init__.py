"""The golden model: what a `Network` means, in PyTorch, in two forms that give the same integers."""

from .stepped import run
from .values import evaluate, forward, run_values

__all__ = ["evaluate", "forward", "run", "run_values"]
