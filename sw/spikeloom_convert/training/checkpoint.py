"""A training on disk, as it stands behind an epoch: one safetensors file, whole or not there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from spikeloom.errors import InvalidNetwork, shown
from spikeloom.storage import write_whole

from .history import Epoch

_KEY = "spikeloom.checkpoint"
_FORMAT = 1
ANEW = "give --no-resume (resume=False) to start anew"
# of every parameter, by the optimisers there are
_REMEMBERED: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}
_BEFORE = {"gain": 1.0, "smoothing": 0.0}  # what checkpoints were of that do not tell
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class State:
    """All that a training needs to go on.

    Parameters
    ----------
    model : its state dict.
    kept : that of the epoch that did best so far; empty before there is one.
    optimiser : what it remembers, as "number of the parameter.name".
    random : state of PyTorch's generator, uint8.
    history : of the epochs so far.
    """

    model: Tensors
    kept: Tensors
    optimiser: Tensors
    random: torch.Tensor
    history: tuple[Epoch, ...]


def path_of(output: Path) -> Path:
    """Where the checkpoint of a training lies that ends in `output`."""
    return output.with_name(f"{output.stem}.checkpoint.safetensors")


def write(path: Path, state: State, configuration: Mapping[str, Any]) -> None:
    """Write a checkpoint; SpikeloomError where it cannot be written.

    Parameters
    ----------
    path : of the file.
    state : as it stands.
    configuration : by name, what the training depends on.
    """
    groups = {"model": state.model, "kept": state.kept, "optimiser": state.optimiser, "random": {"": state.random}}
    tensors = {f"{group}:{name}": value for group, values in groups.items() for name, value in values.items()}
    document = {
        "format": _FORMAT,
        "configuration": dict(configuration),
        "history": [asdict(epoch) for epoch in state.history],
    }
    content = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    write_whole(path, to_safetensors(content, metadata={_KEY: json.dumps(document, allow_nan=False)}))


def read(path: Path, configuration: Mapping[str, Any]) -> State:
    """Read a checkpoint.

    Raises
    ------
    InvalidNetwork
        It cannot be read, or is of a training with another configuration, whose differences are named.
    """
    who = f"Checkpoint '{path}'"
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {})[_KEY])
            if document["format"] != _FORMAT:
                raise InvalidNetwork(f"{who}: must be of format {_FORMAT}, not {shown(document['format'])}; {ANEW}")
            there = {**_BEFORE, **document["configuration"]}
            different = [
                f"{name} {shown(there.get(name))} (here {shown(value)})"
                for name, value in configuration.items()
                if there.get(name) != value
            ]
            if different:
                text = ", ".join(different)
                raise InvalidNetwork(
                    f"{who}: must be of this training, not of one with {text}; {ANEW}, or another output"
                )
            history = tuple(Epoch(**item) for item in document["history"])
            groups: dict[str, Tensors] = {"model": {}, "kept": {}, "optimiser": {}, "random": {}}
            for key in file.keys():  # noqa: SIM118  # not a mapping
                group, _, name = key.partition(":")
                groups[group][name] = file.get_tensor(key).clone()
            return State(groups["model"], groups["kept"], groups["optimiser"], groups["random"][""], history)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise InvalidNetwork(f"{who}: must be whole and as it was written; {ANEW}") from None


def remembered(optimiser: torch.optim.Optimizer) -> Tensors:
    """What an optimiser remembers of its parameters."""
    return {
        f"{number}.{name}": value
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def remind(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Give back what an optimiser remembered; ValueError where it is not about its parameters."""
    document = optimiser.state_dict()
    shapes = [value.shape for group in optimiser.param_groups for value in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        if not 0 <= int(number) < len(shapes) or value.shape not in (shapes[int(number)], torch.Size([])):
            raise ValueError(key)
        state.setdefault(int(number), {})[name] = value
    if any(set(values) != _REMEMBERED[type(optimiser)] for values in state.values()):
        raise ValueError("of another optimiser")
    optimiser.load_state_dict({**document, "state": state})
