"""Small networks to start with, and how a model from outside comes in: a factory and a file of weights."""

import importlib
import os
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from spikeloom.errors import InvalidNetwork, listed
from torch import nn
from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]  # pickle itself is not for us

from .trace import first_line

# what importing and calling somebody's code may raise
_USER_ERRORS = (
    ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")


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
    weights : a safetensors file, or a state dict saved by torch.save, by itself or under the key state_dict. Loading
        it runs no code. None leaves the weights the factory gave.

    Raises
    ------
    InvalidNetwork
        No such factory, or it makes no module; a file that is none, or does not go with the model.
    """
    model = _make(name)
    if weights is not None:
        state = load_state(weights)
        found = _mismatches(model.state_dict(), state)
        if found:
            raise InvalidNetwork(f"Weights '{weights}': must go with model '{name}': {listed(found)}")
        model.load_state_dict(state, strict=False)  # all but counters is there, as _mismatches saw
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
    return model


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


def load_state(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name from a safetensors file or a saved state dict; InvalidNetwork where it is neither."""
    who = f"Weights '{path}'"
    try:
        if zipfile.is_zipfile(path):
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            state = safetensors.torch.load(Path(path).read_bytes())
    except UnpicklingError as error:
        raise InvalidNetwork(f"{who}: must hold tensors only, not objects; save model.state_dict()") from error
    except OSError as error:
        raise InvalidNetwork(f"{who}: cannot be read: {error.strerror}") from error
    except (SafetensorError, RuntimeError, LookupError, ValueError, EOFError) as error:
        raise InvalidNetwork(
            f"{who}: must be a whole safetensors file or a state dict saved by torch.save ({first_line(error)})"
        ) from error
    for key in _CHECKPOINT_KEYS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InvalidNetwork(f"{who}: must map names to tensors; save model.state_dict()")
    # a model wrapped for several devices saves every name behind 'module.'
    wrapped = bool(state) and all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if wrapped else name: value for name, value in state.items()}


def _mismatches(wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> list[str]:
    # PyTorch itself does without the counters, which evaluation does not use
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"'{name}' must have shape {tuple(wanted[name].shape)}, not {tuple(value.shape)}"
        for name, value in given.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    found = [f"{_some(missing)} missing"] if missing else []
    found += [f"{_some(unexpected)} not in the model"] if unexpected else []
    return found + shapes[:3] + ([f"{len(shapes) - 3} other shapes differ"] if len(shapes) > 3 else [])


def _some(names: list[str]) -> str:
    first = ", ".join(f"'{name}'" for name in names[:3])
    return first + (f" and {len(names) - 3} others" if len(names) > 3 else "")
