"""A private copy of somebody's model: unwrapped, in evaluation mode, on the CPU, with weights that are numbers."""

import copy
from typing import Any

import torch
from spikeloom.errors import InvalidNetwork
from torch import nn

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def plain_model(model: nn.Module) -> nn.Module:
    """The model within what wraps it for several devices or for torch.compile."""
    while True:
        inner = model.module if isinstance(model, _WRAPPERS) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def private_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, float32 at least, without gradients; the caller's model stays as it is.

    Raises
    ------
    InvalidNetwork
        Not a module, not copyable, or weights that are NaN, infinite or not initialised.
    """
    if not isinstance(model, nn.Module):
        raise InvalidNetwork(f"Model: must be a torch.nn.Module, not {type(model).__name__}")
    who = f"Model '{type(model).__name__}'"
    found = [
        f"{f'{path!r} ' if path else ''}must be a plain module, not TorchScript; convert the model it was made from"
        for path, module in model.named_modules()
        if isinstance(module, torch.jit.ScriptModule)
    ][:1]
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if torch.nn.parameter.is_lazy(value):
            found.append(f"'{name}' must be initialised; run one batch through the model first")
        elif value.is_meta:
            found.append(f"'{name}' must hold values, it is on the meta device")
        elif value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            found.append(f"'{name}' must be finite, not NaN or infinite ({bad} of {value.numel()} values)")
    if found:
        raise InvalidNetwork(f"{who}: {'; '.join(found)}")
    try:
        twin = copy.deepcopy(model, _derived(model))
    except (RuntimeError, TypeError) as error:
        raise InvalidNetwork(
            f"{who}: must be copyable, but copy.deepcopy fails ({type(error).__name__}); "
            f"remove what holds files, locks or graphs of gradients from it"
        ) from error
    for parent in [*twin.modules()]:
        for name, child in parent.named_children():
            setattr(parent, name, plain_model(child))
    twin = twin.eval().cpu().requires_grad_(False)
    values = [value for value in (*twin.parameters(), *twin.buffers()) if value.is_floating_point()]
    return twin.double() if any(value.dtype == torch.float64 for value in values) else twin.float()


def _derived(model: nn.Module) -> dict[int, Any]:
    """Copies, for `copy.deepcopy`, of tensors made from parameters, as pruning and weight norms keep in modules."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return memo


def take_samples_alone(model: nn.Module) -> None:
    """Let the forward pass of a private copy be one of a single argument: all others keep their defaults."""
    kind, forward = type(model), model.forward

    def alone(self: nn.Module, x: torch.Tensor) -> Any:
        return forward(x)

    vars(model).pop("forward", None)  # one that was put there for this model only, and is kept by the line above
    model.__class__ = type(kind.__name__, (kind,), {"forward": alone, "__module__": kind.__module__})
