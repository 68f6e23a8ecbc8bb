"""Trained weights from files: tensors by name, and those among them that are a model's."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from spikeloom.errors import InvalidNetwork, listed
from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]  # pickle itself is not for us

State = Mapping[str, torch.Tensor]
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
_OLD = b"\x80\x02"  # how files of torch.save begin that are no archives, before PyTorch 1.6
# endings of two tensors, and the ending of the weight they make: pruned, or normalised by its length in two ways
_PAIRS = (
    ("_orig", "_mask", ""),
    ("_g", "_v", ""),
    ("parametrizations.weight.original0", "parametrizations.weight.original1", "weight"),
)


def load_state(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name from a safetensors file or a saved state dict; InvalidNetwork where it is neither."""
    who = f"Weights '{path}'"
    try:
        if zipfile.is_zipfile(path):
            _refuse_script(path, who)
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            content = Path(path).read_bytes()
            if content.startswith(_OLD):
                state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            else:
                state = safetensors.torch.load(content)
    except UnpicklingError as error:
        raise InvalidNetwork(f"{who}: must hold tensors only, not objects; save model.state_dict()") from error
    except OSError as error:
        raise InvalidNetwork(f"{who}: cannot be read: {error.strerror}") from error
    except (SafetensorError, RuntimeError, LookupError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidNetwork(
            f"{who}: must be a whole safetensors file or a state dict saved by torch.save, not damaged or of another "
            f"kind; copy it anew, or save model.state_dict()"
        ) from error
    for key in _CHECKPOINT_KEYS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InvalidNetwork(f"{who}: must map names to tensors; save model.state_dict()")
    return dict(state)


def _refuse_script(path: str | Path, who: str) -> None:
    """InvalidNetwork where an archive is TorchScript, which holds code: never opened by torch."""
    with zipfile.ZipFile(path) as archive:
        if any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist()):
            raise InvalidNetwork(f"{who}: must be a state dict, not TorchScript; save model.state_dict() instead")


def fitting(wanted: State, given: State, who: str, model: str) -> dict[str, torch.Tensor]:
    """The tensors of a model among those of a file.

    All names may stand behind a prefix, as wrappers of a model give them, beside tensors of something else; weights
    that were pruned or normalised are multiplied out where the model has them plain.

    Parameters
    ----------
    wanted, given : state dicts of the model and of the file.
    who, model : what the file and the model are called in an error.

    Raises
    ------
    InvalidNetwork
        Names or shapes that are not the model's, or that stand behind several prefixes.
    """
    for state in (given, _multiplied(given)):
        found = {prefix: _behind(prefix, state) for prefix in _prefixes(wanted, state)}
        found = {prefix: own for prefix, own in found.items() if not _missing(wanted, own)}
        if len(found) > 1 and "" not in found:
            names = " and ".join(f"'{prefix}'" for prefix in found)
            raise InvalidNetwork(f"{who}: must hold model '{model}' once, not behind {names}; leave one in the file")
        if found:
            own = found.get("") or next(iter(found.values()))
            break
    else:
        own = _behind("", given)
    if violations := _mismatches(wanted, own):
        raise InvalidNetwork(f"{who}: must go with model '{model}': {listed(violations)}")
    return own


def _prefixes(wanted: State, given: State) -> list[str]:
    """What stands ahead of the model's first name wherever the file has it."""
    first = next(iter(wanted), "")
    return [name.removesuffix(first) for name in given if name == first or name.endswith(f".{first}")]


def _behind(prefix: str, state: State) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _multiplied(state: State) -> dict[str, torch.Tensor]:
    """A state with one weight for every pair of tensors that make one."""
    found = dict(state)
    for first, second, ending in _PAIRS:
        for name in [name for name in state if name.endswith(first)]:
            stem = name.removesuffix(first)
            if stem + second not in state:
                continue
            one, other = found.pop(name), found.pop(stem + second)
            if second != "_mask":  # g * v / |v|, g with sides of 1 where the length is taken over
                over = [axis for axis, size in enumerate(one.shape) if size == 1]
                other = other / other.square().sum(over, keepdim=True).sqrt()
            found[stem + ending] = one * other
    return found


def _missing(wanted: State, given: State) -> list[str]:
    # PyTorch itself does without the counters, which evaluation does not use
    return [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]


def _mismatches(wanted: State, given: State) -> list[str]:
    missing = _missing(wanted, given)
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
