"""Training: a small classifier in one call; and, by `train_network`, networks that a killed training goes on with."""

from .classifier import Training, evaluate, train

__all__ = ["Training", "evaluate", "train"]
