"""How a model comes in: by its name, by a factory from outside, with a file of weights, or from a file of its own."""

import importlib
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from spikeloom.errors import InvalidNetwork, listed
from torch import nn
from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]  # pickle itself is not for us

from .networks import digits_cnn, mlp, mnist_cnn, mnist_mlp
from .origin import Origin
from .trace import first_line

__all__ = ["digits_cnn", "load_model", "load_state", "load_trained", "mlp", "mnist_cnn", "mnist_mlp"]

# what importing and calling somebody's code may raise
_USER_ERRORS = (
    ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")


def load_model(name: str, weights: str | Path | None = None) -> nn.Module:
    """The model of a name, with trained weights, in evaluation mode.

    Parameters
    ----------
    name : of `networks.NETWORKS`, such as net1, or net1:strelu for another activation function than its own; a
        .safetensors file that `spikeloom train` wrote; or package.module:factory, found as Python would from the
        current folder; the factory takes no arguments.
    weights : a safetensors file, or a state dict saved by torch.save, by itself or under the key state_dict. Loading
        it runs no code. None leaves the weights the model has.

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
