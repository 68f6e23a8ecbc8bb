"""Calls of functions and tensor methods read as the module they equal, or as an affine step with constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import Site, read_module
from .operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Flatten,
    Operation,
    PadChannels,
    Rectify,
    Select,
    Subsample,
)
from .response import Rectified


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
    if name == "getitem":
        return _slices(*rest, site=site)
    if name == "pad":
        return _pad(*rest, site=site, **kwargs)
    raise site.unsupported(name)


def read_join(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], site: Site, count: int) -> list[Operation]:
    """Operations of a call that takes `count` activations, which its operations get as inputs in that order.

    Raises
    ------
    UnsupportedLayer
        Naming the function and the module that calls it.
    """
    name = name_of(target).rstrip("_")
    at = site.where, site.path, site.before, site.after
    if ARITHMETIC.get(name) in ("add", "sub") and count == 2:
        if kwargs.get("alpha", 1) != 1:
            raise site.refuse("alpha must be 1; multiply by it before")
        return [Add(*at, ARITHMETIC[name] == "sub")]
    if name in ("cat", "concat", "concatenate"):
        dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        if dim not in (1, -len(site.before)):
            raise site.refuse(f"dim must be 1, the channels, not {dim}")
        if len(args[0] if args else kwargs["tensors"]) != count:
            raise site.refuse("must join results of layers only, not constants; pad with zeros by F.pad")
        return [Concatenate(*at)]
    raise site.unsupported(name)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    return nn.Dropout(p).train(training)


def _softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.Softmax(dim)


def _log_softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.LogSoftmax(dim)


def _reshape(*shape: object, **kwargs: object) -> nn.Module:
    return nn.Flatten()  # read from the shapes before and after


def _adaptive_max_pool1d(output_size: Any, return_indices: bool = False) -> nn.Module:
    return nn.AdaptiveMaxPool1d(output_size, return_indices)


def _adaptive_max_pool2d(output_size: Any, return_indices: bool = False) -> nn.Module:
    return nn.AdaptiveMaxPool2d(output_size, return_indices)


def _max_pool1d(
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, **rest: Any
) -> nn.Module:
    return nn.MaxPool1d(kernel_size, stride or None, padding, dilation, ceil_mode=ceil_mode, **rest)


def _max_pool2d(
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, **rest: Any
) -> nn.Module:
    return nn.MaxPool2d(kernel_size, stride or None, padding, dilation, ceil_mode=ceil_mode, **rest)


def _same(*args: object, **kwargs: object) -> nn.Module:
    return nn.Identity()


# the names PyTorch gives one thing as function, method and in-place method differ by a trailing underscore
MODULES: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "avg_pool1d": nn.AvgPool1d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "max_pool1d": _max_pool1d,
    "max_pool2d": _max_pool2d,
    "adaptive_max_pool1d": _adaptive_max_pool1d,
    "adaptive_max_pool2d": _adaptive_max_pool2d,
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
    clip = Rectified(None if max is None else float(max))
    return [Rectify(site.where, site.path, site.before, site.after, clip)]


def _mean(dim: Any = None, keepdim: bool = False, *, site: Site) -> list[Operation]:
    dims = {int(d) % (len(site.before) + 1) for d in ((dim,) if isinstance(dim, int) else dim or ())}
    if len(site.before) not in (2, 3) or dims != set(range(2, len(site.before) + 1)):
        raise site.refuse("must average over height and width, dim=(2, 3); use AdaptiveAvgPool2d(1)")
    pooled = (site.before[0], *[1] * (len(site.before) - 1))
    window = (1, site.before[1]) if len(site.before) == 2 else (site.before[1], site.before[2])
    result: list[Operation] = [AveragePool(site.where, site.path, site.before, pooled, window, 1.0)]
    return result if keepdim else [*result, Flatten(site.where, site.path, pooled, site.after)]


def _slices(index: Any, *, site: Site) -> list[Operation]:
    """x[:, first:stop, ::sy, ::sx]"""
    parts = list(index) if isinstance(index, tuple) else [index]
    axes = len(site.before) + 1
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (axes - len(parts) + 1)
    parts += [slice(None)] * (axes - len(parts))
    hint = "must be slices of channels and steps over rows and columns from the first, x[:, a:b, ::s, ::s]"
    if len(parts) != axes or not all(isinstance(part, slice) for part in parts):
        raise site.refuse(hint)
    ranges = [range(*part.indices(size)) for part, size in zip(parts, (2, *site.before), strict=True)]
    if ranges[0] != range(2) or ranges[1].step != 1 or not all(ranges):
        raise site.refuse(hint)
    if any(found.start or len(found) != -(-size // found.step) for found, size in zip(ranges[2:], site.before[1:])):  # noqa: B905
        raise site.refuse(hint)
    found: list[Operation] = []
    between = (len(ranges[1]), *site.before[1:])
    if between != site.before:
        found.append(Select(site.where, site.path, site.before, between, ranges[1].start, ranges[1].stop))
    if between != site.after:
        steps = [1, *(part.step for part in ranges[2:])][-2:]
        found.append(Subsample(site.where, site.path, between, site.after, (steps[0], steps[1])))
    return found


def _pad(pad: Any, mode: str = "constant", value: float | None = None, *, site: Site) -> list[Operation]:
    sides = [int(side) for side in pad]
    axes = len(site.before)
    sides += [0] * (2 * axes - len(sides))
    if len(sides) > 2 * axes or any(sides[: 2 * axes - 2]) or min(sides) < 0 or mode != "constant" or value:
        raise site.refuse(f"must add channels of zeros only, not {tuple(pad)}; use padding of the next layer")
    return [PadChannels(site.where, site.path, site.before, site.after, sides[-2], sides[-1])] if any(sides) else []
