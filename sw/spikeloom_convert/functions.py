"""Calls of functions and tensor methods read as the module they equal, or as an affine step with constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import Site, read_module
from .operations import Affine, AveragePool, Flatten, Operation, Rectify


def name_of(target: Any) -> str:
    """Name of a function or method as its user knows it."""
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def read_call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], position: int, site: Site) -> list[Operation]:
    """Operations of a call whose `args[position]` is the activation; the other arguments are values, not nodes.

    Raises
    ------
    UnsupportedLayer
        Naming the function and the module that calls it.
    """
    name = name_of(target).rstrip("_")
    if name in ARITHMETIC:
        return [_affine(name, args, kwargs, position, site)]
    if position != 0:
        raise site.unsupported(name)
    rest = args[1:]
    if name in MODULES:
        return read_module(MODULES[name](*rest, **kwargs), site)
    if name in ("clamp", "clamp_min", "clip"):
        return _clamp(*rest, site=site, **kwargs)
    if name == "mean":
        return _mean(*rest, site=site, **kwargs)
    raise site.unsupported(name)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    return nn.Dropout(p).train(training)


def _softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.Softmax(dim)


def _log_softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.LogSoftmax(dim)


def _reshape(*shape: object, **kwargs: object) -> nn.Module:
    return nn.Flatten()  # read from the shapes before and after


def _same(*args: object, **kwargs: object) -> nn.Module:
    return nn.Identity()


# the names PyTorch gives one thing as function, method and in-place method differ by a trailing underscore
MODULES: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "dropout": _dropout,
    "dropout2d": _dropout,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten"), _reshape),
    **dict.fromkeys(("contiguous", "clone", "detach", "float", "double", "to", "cpu"), _same),
}
ARITHMETIC = {"add": "add", "iadd": "add", "sub": "sub", "isub": "sub", "mul": "mul", "imul": "mul", "multiply": "mul",
              "truediv": "div", "itruediv": "div", "div": "div", "divide": "div", "neg": "neg"}  # fmt: skip


def _affine(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], position: int, site: Site) -> Affine:
    """x + a, x - a, a - x, x * a, x / a, -x with constants that do not depend on the place in the image."""
    kind = ARITHMETIC[name]
    channels = site.before[0]
    one, zero = np.ones(channels), np.zeros(channels)
    if kind == "neg":
        return Affine(site.where, site.path, site.before, site.after, -one, zero)
    others = [value for index, value in enumerate(args) if index != position]
    if len(others) != 1 or kwargs or (kind == "div" and position == 1) or site.before != site.after:
        raise site.refuse("must have one constant that keeps the shape; use a BatchNorm or fold it into a layer")
    constant = _per_channel(others[0], site)
    if kind == "add":
        scale, shift = one, constant
    elif kind == "sub":
        scale, shift = (one, -constant) if position == 0 else (-one, constant)
    else:
        if kind == "div" and (constant == 0).any():
            raise site.refuse("must not divide by zero")
        scale, shift = constant if kind == "mul" else 1.0 / constant, zero
    return Affine(site.where, site.path, site.before, site.after, scale, shift)


def _per_channel(value: Any, site: Site) -> np.ndarray:
    """A scalar or tensor constant as float64 [C]."""
    array = np.asarray(value.detach().cpu().to(torch.float64) if isinstance(value, torch.Tensor) else value, np.float64)
    if array.ndim == len(site.before) + 1:  # the first axis is that of the samples
        array = array[0] if (array == array[:1]).all() else array
    try:
        places = np.broadcast_to(array, site.before).reshape(site.before[0], -1)
    except ValueError:
        places = np.empty((0, 0))
    if not places.size or (places != places[:, :1]).any():
        raise site.refuse("a constant must be the same at every place of a channel; give it the shape (1, C, 1, 1)")
    return places[:, 0].copy()


def _clamp(min: float | None = None, max: float | None = None, *, site: Site) -> list[Operation]:
    if isinstance(min, torch.Tensor) or isinstance(max, torch.Tensor) or min != 0 or (max is not None and max <= 0):
        raise site.refuse(f"must clip to 0..a, not {min}..{max}; use Hardtanh(0, a) or ReLU")
    return [Rectify(site.where, site.path, site.before, site.after, None if max is None else float(max))]


def _mean(dim: Any = None, keepdim: bool = False, *, site: Site) -> list[Operation]:
    dims = {int(d) % (len(site.before) + 1) for d in ((dim,) if isinstance(dim, int) else dim or ())}
    if len(site.before) != 3 or dims != {2, 3}:
        raise site.refuse("must average over height and width, dim=(2, 3); use AdaptiveAvgPool2d(1)")
    pooled = (site.before[0], 1, 1)
    result: list[Operation] = [AveragePool(site.where, site.path, site.before, pooled, site.before[1:], 1.0)]
    return result if keepdim else [*result, Flatten(site.where, site.path, pooled, site.after)]
