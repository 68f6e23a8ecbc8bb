"""Calls of functions and tensor methods read as the module they equal, or as an affine step with constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from spikeloom.windows import Windows
from torch import nn

from ..response import Rectified
from .functional import WEIGHTED
from .layers import Site, leak, read_module
from .operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Flatten,
    Larger,
    MaxPool,
    Operation,
    PadChannels,
    Pair,
    Rectify,
)
from .slices import index_select, narrow, pad, read_slices, select

_LARGER, _SMALLER = ("max", "maximum", "fmax"), ("min", "minimum", "fmin")  # of two activations


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
    if name == "getattr":  # x.data, x.T
        name, args = args[1], args[:1]
    try:
        return _read(name, args, kwargs, position, site)
    except TypeError as error:  # of a signature that is not this function's
        raise site.refuse(f"must be called as PyTorch documents it, without further arguments ({error})") from error


def _read(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], position: int, site: Site) -> list[Operation]:
    if name in ARITHMETIC:
        return [_affine(name, args, kwargs, position, site)]
    if name in WEIGHTED:
        return WEIGHTED[name](args, kwargs, position, site)
    if name in ("maximum", "max") and len(args) == 2 and not kwargs and _is_zero(args[1 - position]):
        return read_module(nn.ReLU(), site)
    if position != 0:
        raise site.unsupported(name)
    rest = args[1:]
    if name in MODULES:
        return read_module(MODULES[name](*rest, **kwargs), site)
    if name in CALLS:
        return CALLS[name](*rest, site=site, **kwargs)
    raise site.unsupported(name)


def _is_zero(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not bool(value.any())


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
        factor = float(kwargs.get("alpha", 1))
        return [Add(*at, -factor if ARITHMETIC[name] == "sub" else factor)]
    if ARITHMETIC.get(name) in ("mul", "div"):
        raise site.refuse("must take a constant, not another activation; use additions or torch.cat")
    if name in ("cat", "concat", "concatenate"):
        dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        if dim not in (1, -len(site.before)):
            raise site.refuse(f"dim must be 1, the channels, not {dim}")
        parts = args[0] if args else kwargs["tensors"]
        if len(parts) == count:
            return [Concatenate(*at)]
        return [_padded(parts, site, count)]
    if count == 2 and name in (*_LARGER, *_SMALLER):
        return [Larger(*at, name in _SMALLER)]
    raise site.unsupported(name)


def _padded(parts: Any, site: Site, count: int) -> Operation:
    """One activation between constants that are all zeros: the only ones of its shape without being it."""
    zeros = [_is_zero(part) for part in parts]
    if count != 1 or zeros.count(False) != 1:
        raise site.refuse("must join results of layers only, not constants; pad with zeros by F.pad")
    own = zeros.index(False)
    ahead, behind = (sum(int(part.shape[1]) for part in side) for side in (parts[:own], parts[own + 1 :]))
    return PadChannels(site.where, site.path, site.before, site.after, ahead, behind)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    return nn.Dropout(p).train(training)


def _softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.Softmax(dim)


def _log_softmax(dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> nn.Module:
    return nn.LogSoftmax(dim)


def _reshape(*shape: object, **kwargs: object) -> nn.Module:
    return nn.Flatten()  # read from the shapes before and after


def _adaptive_max_pool(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    return lambda output_size, return_indices=False: kind(output_size, return_indices)


def _max_pool(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    def made(
        kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, **rest: Any
    ) -> nn.Module:
        return kind(kernel_size, stride or None, padding, dilation, ceil_mode=ceil_mode, **rest)

    return made


def _rrelu(lower: float = 0.125, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> nn.Module:
    return nn.RReLU(lower, upper).train(training)


def _threshold(threshold: float, value: float, inplace: bool = False) -> nn.Module:
    return nn.Threshold(threshold, value)


def _same(*args: object, **kwargs: object) -> nn.Module:
    return nn.Identity()


_SHAPES = ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten")
_SAME = (
    "contiguous", "clone", "detach", "float", "double", "half", "bfloat16", "to", "type", "type_as", "cpu",
    "requires_grad", "data", "positive",
)  # fmt: skip
SHAPING = (*_SHAPES, "getitem", "Flatten")  # may leave one value a sample without an axis
TURNS = ("transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis")  # put axes in another order
ARRANGING = (*TURNS, *_SHAPES, "Flatten", "Unflatten")  # move values only
SAME = (*_SAME, "Identity", "Dropout", "dropout")  # leave them where they are, too
EACH = (*SAME, "sigmoid", "Sigmoid", "logsigmoid", "log_sigmoid", "LogSigmoid")  # take one value a sample, too
# the names PyTorch gives one thing as function, method and in-place method differ by a trailing underscore
MODULES: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "leaky_relu": nn.LeakyReLU,
    "rrelu": _rrelu,
    "avg_pool1d": nn.AvgPool1d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "max_pool1d": _max_pool(nn.MaxPool1d),
    "max_pool2d": _max_pool(nn.MaxPool2d),
    "adaptive_max_pool1d": _adaptive_max_pool(nn.AdaptiveMaxPool1d),
    "adaptive_max_pool2d": _adaptive_max_pool(nn.AdaptiveMaxPool2d),
    **dict.fromkeys(("threshold", "_threshold"), _threshold),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"), _dropout),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), nn.ChannelShuffle),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": nn.Sigmoid,
    **dict.fromkeys(("logsigmoid", "log_sigmoid"), nn.LogSigmoid),
    **dict.fromkeys(_SHAPES, _reshape),
    **dict.fromkeys(_SAME, _same),
}  # fmt: skip
# give values that do not depend on those of an activation, only on its shape and type
CONSTANT = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
SHAPED = ("expand_as", "type_as", "view_as", "reshape_as", "to")  # likewise where the activation is the other argument
ARITHMETIC = {"add": "add", "iadd": "add", "sub": "sub", "isub": "sub", "subtract": "sub",
              "mul": "mul", "imul": "mul", "multiply": "mul",
              "truediv": "div", "itruediv": "div", "div": "div", "divide": "div", "true_divide": "div",
              "neg": "neg"}  # fmt: skip


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


def _prelu(weight: torch.Tensor, *, site: Site) -> list[Operation]:
    return [leak(weight, site)]


def _mean(dim: Any = None, keepdim: bool = False, *, site: Site, dtype: object = None) -> list[Operation]:
    window, between = _over(dim, site, "average", "AdaptiveAvgPool2d(1)")
    return _dropped(AveragePool(site.where, site.path, site.before, between, window, 1.0), site)


def _sum(dim: Any = None, keepdim: bool = False, *, site: Site, dtype: object = None) -> list[Operation]:
    window, between = _over(dim, site, "sum", "AdaptiveAvgPool2d(1)")
    area = float(window[0] * window[1])
    return _dropped(AveragePool(site.where, site.path, site.before, between, window, area), site)


def _amax(dim: Any = (), keepdim: bool = False, *, site: Site) -> list[Operation]:
    window, between = _over(dim, site, "take maxima", "AdaptiveMaxPool2d(1)")
    return _dropped(MaxPool(site.where, site.path, site.before, between, Windows.tiles(window)), site)


def _over(dim: Any, site: Site, what: str, use: str) -> tuple[Pair, tuple[int, ...]]:
    """The window of a reduction over height, width or both, and the shape with sides of 1 in their place."""
    axes = len(site.before)
    dims = {int(d) % (axes + 1) for d in ((dim,) if isinstance(dim, int) else dim or ())}
    if axes not in (2, 3) or not dims or not dims <= set(range(2, axes + 1)):
        raise site.refuse(f"must {what} over height and width, dim=(2, 3); use {use}")
    sides = [size if axis in dims else 1 for axis, size in enumerate(site.before, 1)]
    between = tuple(1 if axis in dims else size for axis, size in enumerate(site.before, 1))
    return (1, sides[1]) if axes == 2 else (sides[1], sides[2]), between


def _dropped(pooling: Operation, site: Site) -> list[Operation]:
    """A pooling, flattened where the reduction leaves channels only."""
    if len(site.after) != 1:
        return [pooling]
    return [pooling, Flatten(site.where, site.path, pooling.after, site.after)]


def _flip(*dims: Any, site: Site) -> list[Operation]:
    axes = [dims[0]] if len(dims) == 1 and isinstance(dims[0], int) else list(dims[0] if len(dims) == 1 else dims)
    if axes not in ([1], [-len(site.before)]):
        raise site.unsupported("flip")
    return index_select(1, torch.arange(site.before[0]).flip(0), site=site)


def _repeat(*sizes: Any, site: Site) -> list[Operation]:
    """Repeated or expanded: only channels may be, whose number then says how often."""
    if site.before[1:] != site.after[1:] or len(site.before) != len(site.after):
        raise site.refuse(f"must repeat channels only, not turn {site.before} into {site.after}")
    return index_select(1, torch.arange(site.before[0]).repeat(site.after[0] // site.before[0]), site=site)


CALLS: dict[str, Callable[..., list[Operation]]] = {
    **dict.fromkeys(("clamp", "clamp_min", "clip"), _clamp),
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    "mean": _mean,
    "sum": _sum,
    "amax": _amax,
    "getitem": read_slices,
    "narrow": narrow,
    "select": select,
    "pad": pad,
    "index_select": index_select,
    "flip": _flip,
    **dict.fromkeys(("repeat", "expand", "expand_as", "tile"), _repeat),
}
