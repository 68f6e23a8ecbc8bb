"""Calls of functions that take their weights as arguments, read as the modules they equal."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .layers import Site, read_module
from .operations import Operation


def _linear(weight: torch.Tensor, bias: torch.Tensor | None = None, *, site: Site) -> list[Operation]:
    if weight.ndim != 2:
        raise site.refuse(f"weights must have shape (O, F), not {tuple(weight.shape)}")
    outputs, features = weight.shape
    return read_module(_holding(nn.Linear(features, outputs, bias=bias is not None, device="meta"), weight, bias), site)


def _matmul(weight: torch.Tensor, *, site: Site) -> list[Operation]:
    return _linear(weight.t() if weight.ndim == 2 else weight, site=site)


def _addmm(bias: Any, weight: torch.Tensor, *, site: Site, beta: float = 1, alpha: float = 1) -> list[Operation]:
    return _linear(weight.t() * alpha, (bias * beta).expand(weight.shape[1]), site=site)


def _convolution(
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    site: Site,
) -> list[Operation]:
    kind = nn.Conv1d if weight.ndim == 3 else nn.Conv2d
    outputs, per_group, *kernel = weight.shape
    module = kind(
        per_group * groups,
        outputs,
        tuple(kernel),  # type: ignore[arg-type]  # of one or two sides, as the kind wants
        stride,
        padding,
        dilation,
        groups,
        bias=bias is not None,
        device="meta",
    )
    return read_module(_holding(module, weight, bias), site)


def _batch_norm(
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    site: Site,
) -> list[Operation]:
    if training or running_mean is None or running_var is None:
        raise site.refuse("must use running statistics, not those of the batch; pass training=self.training")
    module = nn.BatchNorm2d(len(running_mean), eps, affine=weight is not None or bias is not None)
    module.running_mean, module.running_var = running_mean, running_var
    if module.affine:
        one, zero = torch.ones_like(running_mean), torch.zeros_like(running_mean)
        _holding(module, one if weight is None else weight, zero if bias is None else bias)
    return read_module(module, site)


def _holding(module: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    module.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter(bias.detach(), requires_grad=False)
    assert isinstance(module, nn.Module)
    return module


def _read_at(expected: int, reader: Callable[..., list[Operation]]) -> Callable[..., list[Operation]]:
    """A reader of calls that take the activation at one position; a tensor must not be another kind of value."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, site: Site) -> list[Operation]:
        if position != expected:
            raise site.refuse("must take what the layer before it gives first, and weights as the second argument")
        return reader(*args[:position], *args[position + 1 :], site=site, **kwargs)

    return read


WEIGHTED: dict[str, Callable[[tuple[Any, ...], dict[str, Any], int, Site], list[Operation]]] = {
    "linear": _read_at(0, _linear),
    "matmul": _read_at(0, _matmul),
    "mm": _read_at(0, _matmul),
    "addmm": _read_at(1, _addmm),
    "conv1d": _read_at(0, _convolution),
    "conv2d": _read_at(0, _convolution),
    "batch_norm": _read_at(0, _batch_norm),
}
