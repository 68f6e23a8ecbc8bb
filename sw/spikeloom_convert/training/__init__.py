"""Training: a small classifier in one call, or a network of the papers that a killed training goes on from."""

from .classifier import Training, evaluate, train

__all__ = ["Training", "evaluate", "train"]
