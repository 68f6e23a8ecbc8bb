"""How a model comes in: by its name, by a factory from outside, with a file of weights, or from a file of its own."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from spikeloom.errors import InvalidNetwork
from torch import nn
from torch.nn.parameter import is_lazy

from ..reading.private import plain_model
from ..reading.trace import first_line
from .origin import Origin
from .state import fitting, load_state

# what importing and calling somebody's code may raise
_USER_ERRORS = (
    ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


def load_model(name: str, weights: str | Path | None = None) -> nn.Module:
    """The model of a name, with trained weights, in evaluation mode.

    Parameters
    ----------
    name : of `networks.NETWORKS`, such as net1, or net1:strelu for another activation function than its own; a
        .safetensors file that `spikeloom train` wrote; or package.module:factory, found as Python would from the
        current folder; the factory takes no arguments.
    weights : a safetensors file, or a state dict saved by torch.save, by itself or in a checkpoint; names may stand
        behind a prefix, as wrappers give them. Loading it runs no code. None leaves the weights the model has.

    Raises
    ------
    InvalidNetwork
        No such network or factory, or it makes no module; a file that is none, or does not go with the model.
    """
    if Path(name).suffix == ".safetensors":
        model = load_trained(name)
    else:
        origin = Origin.named(name)
        model = _make(name) if origin is None else origin.make()
    return model.eval() if weights is None else _with_weights(model, name, weights)


def is_untrained(name: str, model: nn.Module) -> bool:
    """Whether `load_model` gave the model of a name weights by chance: a factory's, where it gives others next time."""
    if Path(name).suffix == ".safetensors":
        return False
    if Origin.named(name) is not None:
        return True
    try:
        other = dict(_make(name).named_parameters())
    except InvalidNetwork:  # one that works once
        return False
    return any(
        not (value.is_meta or is_lazy(value))
        and not (key in other and torch.equal(value.detach().nan_to_num(), other[key].detach().nan_to_num()))
        for key, value in model.named_parameters()
    )


def load_trained(path: str | Path) -> nn.Module:
    """The model of a file that `spikeloom train` or `TrainedNetwork.save` wrote, in evaluation mode; runs no code.

    Raises
    ------
    InvalidNetwork
        No such file, or not of a network in `networks.NETWORKS`, or not whole.
    """
    origin = Origin.read(path)
    if origin.network is None:
        raise InvalidNetwork(
            f"Weights '{path}': must be of a network that `spikeloom networks` lists, not of {origin.model}, which a "
            f"file may not run; use package.module:factory and --weights"
        )
    return _with_weights(origin.make(), origin.model, path)


def _with_weights(model: nn.Module, name: str, weights: str | Path) -> nn.Module:
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
