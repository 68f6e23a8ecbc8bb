"""Small networks to start with, and how a model from outside comes in: a factory and a file of weights."""

import importlib
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from spikeloom.errors import InvalidNetwork
from torch import nn

from .private import plain_model
from .state import fitting, load_state
from .trace import first_line

# what importing and calling somebody's code may raise
_USER_ERRORS = (
    ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


def digits_cnn(seed: int = 0) -> nn.Module:
    """8c3-p2-16c3-10 on 1x8x8, padding 1; the network of the demo."""
    with _seeded(seed):
        return _chain(
            conv1=nn.Conv2d(1, 8, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc=nn.Linear(256, 10),
        )


def mnist_mlp(seed: int = 0) -> nn.Module:
    """784-128-10 on 1x28x28."""
    return mlp(784, 128, 10, seed=seed)


def mnist_cnn(seed: int = 0) -> nn.Module:
    """16c3-p2-32c3-p2-10 on 1x28x28, no padding."""
    with _seeded(seed):
        return _chain(
            conv1=nn.Conv2d(1, 16, 3),
            relu1=nn.ReLU(),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(16, 32, 3),
            relu2=nn.ReLU(),
            pool2=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(800, 10),
        )


def mlp(*sizes: int, batch_norm: bool = False, seed: int = 0) -> nn.Module:
    """Fully connected layers of these sizes, the first being the values of a sample, with ReLU between them."""
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    with _seeded(seed):
        for number in range(1, len(sizes)):
            layers[f"fc{number}"] = nn.Linear(sizes[number - 1], sizes[number])
            if number < len(sizes) - 1:
                if batch_norm:
                    layers[f"bn{number}"] = nn.BatchNorm1d(sizes[number])
                layers[f"relu{number}"] = nn.ReLU()
    return _chain(**layers)


def _chain(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Initial weights from a seed; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def load_model(name: str, weights: str | Path | None = None) -> nn.Module:
    """The model that a factory makes, with trained weights, in evaluation mode.

    Parameters
    ----------
    name : package.module:factory, found as Python would from the current folder; the factory takes no arguments.
    weights : a safetensors file, or a state dict saved by torch.save, by itself or in a checkpoint; names may stand
        behind a prefix, as wrappers give them. Loading it runs no code. None leaves the weights the factory gave.

    Raises
    ------
    InvalidNetwork
        No such factory, or it makes no module; a file that is none, or does not go with the model.
    """
    model = _make(name)
    if weights is not None:
        state = fitting(model.state_dict(), load_state(weights), f"Weights '{weights}'", name)
        model.load_state_dict(state, strict=False)  # all but counters is there
    return model.eval()


def _make(name: str) -> nn.Module:
    who = f"Model '{name}'"
    module_name, _, factory_name = name.partition(":")
    if not module_name or not factory_name.isidentifier():
        raise InvalidNetwork(f"{who}: must be package.module:factory, such as spikeloom_convert.models:mnist_mlp")
    try:
        with _current_folder():
            module = importlib.import_module(module_name)
    except _USER_ERRORS as error:
        raise InvalidNetwork(
            f"{who}: module '{module_name}' must be importable from here ({type(error).__name__}: {first_line(error)})"
        ) from error
    factory = getattr(module, factory_name, None)
    if factory is None:
        raise InvalidNetwork(f"{who}: module '{module_name}' must have a function or class '{factory_name}'")
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = type(factory).__name__
        raise InvalidNetwork(f"{who}: '{factory_name}' must be a function or class that makes the model, not {kind}")
    try:
        model = factory()
    except _USER_ERRORS as error:
        raise InvalidNetwork(
            f"{who}: '{factory_name}' must work without arguments ({type(error).__name__}: {first_line(error)})"
        ) from error
    if not isinstance(model, nn.Module):
        raise InvalidNetwork(f"{who}: '{factory_name}' must make a torch.nn.Module, not {type(model).__name__}")
    return plain_model(model)


@contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules of the current folder be imported, as `python` itself would."""
    here = os.getcwd()
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
