"""From one PyTorch module to operations; refuses by name what has no spiking counterpart."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.encoding import sides
from spikeloom.errors import UnsupportedLayer
from spikeloom.windows import Windows
from torch import nn

from ..activations import Trainable
from ..recurrent import MeanOverTime, ThresholdRNN
from ..response import Rectified
from .hints import instead_of
from .operations import (
    Affine,
    AveragePool,
    AverageSteps,
    Convolution,
    Crop,
    Ending,
    Flatten,
    Gather,
    Leak,
    Linear,
    MaxPool,
    Operation,
    PadSides,
    Pair,
    Rectify,
    Recur,
    dilated,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """Where an operation stands: who it is in an error, its module path, and its shapes without N."""

    where: str
    path: str
    before: Shape
    after: Shape

    def refuse(self, what: str) -> UnsupportedLayer:
        """The error that names this place."""
        return UnsupportedLayer(f"{self.where}: {what}")

    def unsupported(self, name: str) -> UnsupportedLayer:
        """The error for a layer or function that is not known at all."""
        return self.refuse(f"is not supported; use {instead_of(name)}")


def read_module(module: nn.Module, site: Site) -> list[Operation]:
    """Operations of a leaf module, none where it does nothing in evaluation; UnsupportedLayer where it is no such."""
    for kind, reader in READERS.items():
        if isinstance(module, kind):
            return reader(module, site)
    raise site.unsupported(type(module).__name__)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().to(torch.float64).numpy().copy()


def _at(site: Site) -> tuple[str, str, Shape, Shape]:
    return site.where, site.path, site.before, site.after


def _nothing(module: nn.Module, site: Site) -> list[Operation]:
    return []


def _dropout(module: Any, site: Site) -> list[Operation]:
    if module.training:
        raise site.refuse("is active in evaluation too; pass training=self.training, or use nn.Dropout")
    return []


def _linear(module: nn.Linear, site: Site) -> list[Operation]:
    if any(size != 1 for size in site.before[:-1]):  # (1, F) are features, too
        raise site.refuse(f"must get samples of shape (F,), not {site.before}; put nn.Flatten() before it")
    bias = np.zeros(module.out_features) if module.bias is None else _array(module.bias)
    return [Linear(*_at(site), _array(module.weight), bias)]


def _convolution(module: nn.Conv1d | nn.Conv2d, site: Site) -> list[Operation]:
    flat = isinstance(module, nn.Conv1d)
    if len(site.before) != (2 if flat else 3):
        raise site.refuse(f"must get samples of shape {'(C, L)' if flat else '(C, H, W)'}, not {site.before}")
    weights = _array(module.weight)
    weights = dilated(weights[:, :, None] if flat else weights, _window(module.dilation, site))
    kernel, stride = weights.shape[2:], _window(module.stride, site)
    ahead: list[Operation] = []
    if module.padding == "same":
        padding: Pair = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
        more = (1 - kernel[0] % 2, 1 - kernel[1] % 2)
        if any(more):  # PyTorch pads an even kernel by one more below and on the right
            ahead += pad_sides(site, 0, more[0], 0, more[1])
    else:
        padding = (0, 0) if isinstance(module.padding, str) else _window(module.padding, site, 0)
    if module.padding_mode != "zeros" and (padding != (0, 0) or ahead):
        raise site.refuse(f"padding_mode must be 'zeros', not '{module.padding_mode}'")
    bias = np.zeros(module.out_channels) if module.bias is None else _array(module.bias)
    before = ahead[-1].after if ahead else site.before
    return [
        *ahead,
        Convolution(site.where, site.path, before, site.after, weights, bias, stride, padding, module.groups),
    ]


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d, site: Site) -> list[Operation]:
    if module.running_mean is None or module.running_var is None:
        raise site.refuse("must have running statistics; make it with track_running_stats=True and train it")
    scale = 1.0 / np.sqrt(_array(module.running_var) + module.eps)
    shift = -_array(module.running_mean) * scale
    if module.affine:
        gain = _array(module.weight)
        scale, shift = gain * scale, gain * shift + _array(module.bias)
    return [Affine(*_at(site), scale, shift)]


def _relu(module: nn.Module, site: Site) -> list[Operation]:
    return [Rectify(*_at(site), Rectified())]


def _threshold(module: nn.Threshold, site: Site) -> list[Operation]:
    if module.threshold != 0 or module.value != 0:
        raise site.refuse(f"must be Threshold(0, 0), not ({module.threshold}, {module.value}); use ReLU")
    return [Rectify(*_at(site), Rectified())]


def _hardtanh(module: nn.Hardtanh, site: Site) -> list[Operation]:  # ReLU6 is one
    if module.min_val != 0 or module.max_val <= 0:
        raise site.refuse(f"must clip to 0..a, not {module.min_val}..{module.max_val}; use Hardtanh(0, a) or ReLU")
    return [Rectify(*_at(site), Rectified(float(module.max_val)))]


def _leaky(module: nn.LeakyReLU, site: Site) -> list[Operation]:
    return [Leak(*_at(site), np.full(site.before[0], module.negative_slope))]


def _random_leaky(module: nn.RReLU, site: Site) -> list[Operation]:
    if module.training:
        raise site.refuse("is random in evaluation too; pass training=self.training, or use nn.RReLU")
    return [Leak(*_at(site), np.full(site.before[0], (module.lower + module.upper) / 2))]


def _parametric(module: nn.PReLU, site: Site) -> list[Operation]:
    return [leak(module.weight, site)]


def leak(weight: torch.Tensor, site: Site) -> Leak:
    """The leaky ReLU of one factor for all channels, or one a channel."""
    return Leak(*_at(site), np.broadcast_to(_array(weight).ravel(), site.before[:1]).copy())


def _trainable(module: Trainable, site: Site) -> list[Operation]:
    response = module.response()
    if not response.range[1] > 0 or response.range[0] == -math.inf:
        raise site.refuse(f"must have a bound above 0, not {response.range[1]:g}; train it on from a larger one")
    return [Rectify(*_at(site), response)]


def _recurrent(module: ThresholdRNN, site: Site) -> list[Operation]:
    response = module.response()
    if response.clip is not None and not response.clip > 0:
        raise site.refuse(f"must have a bound above 0, not {response.clip:g}")
    lateral = None if module.lateral_weights is None else _array(module.lateral_weights.weight)
    weights = module.forward_weights
    return [Recur(*_at(site), _array(weights.weight), _array(weights.bias), lateral, response)]


def _average_steps(module: MeanOverTime, site: Site) -> list[Operation]:
    if len(site.before) != 2:
        raise site.refuse(f"must get sequences of shape (T, F), not {site.before}; put it behind a ThresholdRNN")
    return [AverageSteps(*_at(site))]


def _average_pool(module: nn.AvgPool1d | nn.AvgPool2d, site: Site) -> list[Operation]:
    if (steps := _single(module, site)) is not None:
        return steps
    windows = _pooling_windows(module, site)
    size = windows.size
    divisor = getattr(module, "divisor_override", None) or windows.area
    if windows.tiled:
        return [AveragePool(*_at(site), size, windows.area / divisor)]
    if windows.ahead != windows.behind:
        raise site.refuse("ceil_mode must be off where the windows do not fit the image; use ceil_mode=False")
    if windows.padded and not module.count_include_pad:
        raise site.refuse("count_include_pad must be on where there is padding; use count_include_pad=True")
    # windows that overlap are a convolution of every channel with itself
    channels = site.before[0]
    weights = np.full((channels, 1, *size), 1.0 / divisor)
    return [Convolution(*_at(site), weights, np.zeros(channels), windows.stride, windows.ahead, channels)]


def _max_pool(module: nn.MaxPool1d | nn.MaxPool2d, site: Site) -> list[Operation]:
    if (steps := _single(module, site)) is not None:
        return steps
    windows = _pooling_windows(module, site)
    if any(extent != 1 for extent in _window(module.dilation, site)):
        raise site.refuse(f"dilation must be 1, not {_pair(module.dilation)}")
    if module.return_indices:
        raise site.refuse("return_indices must be off")
    return [MaxPool(*_at(site), windows)]


def _single(module: Any, site: Site) -> list[Operation] | None:
    """A pooling over windows of one value with a stride, which subsamples; None where it is none."""
    if len(site.before) not in (2, 3) or getattr(module, "divisor_override", None):
        return None
    window, stride, padding = (_window(value, site, along) for value, along in
                               ((module.kernel_size, 1), (module.stride, 1), (module.padding, 0)))  # fmt: skip
    if window != (1, 1) or stride == (1, 1) or padding != (0, 0):
        return None
    height, width = _image(site.before)
    return [Crop(*_at(site), range(0, height, stride[0]), range(0, width, stride[1]))]


def _pooling_windows(module: Any, site: Site) -> Windows:
    """Windows of a pooling module."""
    flat = len(site.before) == 2
    if len(site.before) not in (2, 3) or type(module).__name__.endswith("1d") != flat:
        expected = "(C, L)" if type(module).__name__.endswith("1d") else "(C, H, W)"
        raise site.refuse(f"must get samples of shape {expected}, not {site.before}")
    size, stride = _window(module.kernel_size, site), _window(module.stride, site)
    padding = _window(module.padding, site, 0)
    image, outputs = _image(site.before), _image(site.after)
    # ceil_mode: as far beyond the border as the last window reaches
    ends = [(outputs[i] - 1) * stride[i] + size[i] - image[i] - padding[i] for i in range(2)]
    behind = [max(end, padding[i]) if module.ceil_mode else padding[i] for i, end in enumerate(ends)]
    return Windows(size, stride, padding, (behind[0], behind[1]))


def _adaptive_pool(module: nn.Module, site: Site) -> list[Operation]:
    if len(site.before) not in (2, 3):
        raise site.refuse(f"must get samples of shape (C, H, W), not {site.before}")
    source, target = _image(site.before), _image(site.after)
    if any(size % part for size, part in zip(source, target, strict=True)):
        fits = tuple(math.gcd(size, part) for size, part in zip(site.before[1:], site.after[1:], strict=True))
        raise site.refuse(
            f"output size must divide {site.before[1:]}, not {site.after[1:]}: its windows would overlap; use {fits}"
        )
    window = (source[0] // target[0], source[1] // target[1])
    if isinstance(module, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d):
        return [MaxPool(*_at(site), Windows.tiles(window))]
    return [AveragePool(*_at(site), window, 1.0)]


def _reshape(module: object, site: Site) -> list[Operation]:
    if sides(site.after) == sides(site.before):
        return []
    if len(site.before) == 3 and site.after == (site.before[0], site.before[1] * site.before[2]):
        return []  # places in one row, in address order; what is done with them has to treat them alike
    if len(site.after) != 1:
        raise site.refuse(
            f"must flatten to (N, {int(np.prod(site.before))}), not reshape {site.before} to {site.after}"
        )
    return [Flatten(*_at(site))]


def _channel_shuffle(module: nn.ChannelShuffle, site: Site) -> list[Operation]:
    order = np.arange(site.before[0]).reshape(module.groups, -1).T.ravel()
    return [Gather(*_at(site), tuple(order.tolist()))]


def _pad(module: Any, site: Site) -> list[Operation]:
    if getattr(module, "value", 0) != 0:
        raise site.refuse(f"must pad with zeros, not {module.value}; use ZeroPad2d")
    left, right, above, below = (*module.padding, 0, 0)[:4]
    return pad_sides(site, above, below, left, right)


def pad_sides(site: Site, above: int, below: int, left: int, right: int) -> list[Operation]:
    """Operations that pad the images, or sequences, at some site with zeros; negative sides are cropped first."""
    if not any((above, below, left, right)):
        return []
    found: list[Operation] = []
    (height, width), flat, cut = _image(site.before), len(site.before) == 2, (above, below, left, right)
    if min(above, below, left, right) < 0:
        rows = range(max(-above, 0), height + min(below, 0))
        columns = range(max(-left, 0), width + min(right, 0))
        if not rows or not columns:
            raise site.refuse(f"must leave something of {site.before}, not crop all of it by {cut}")
        height, width = len(rows), len(columns)
        shape: Shape = (site.before[0], *(height, width)[flat:])
        found.append(Crop(*_at(replace(site, after=shape)), rows, columns))
        above, below, left, right = (max(side, 0) for side in (above, below, left, right))
    if above + below + left + right:
        shape = (site.before[0], *(height + above + below, width + left + right)[flat:])
        before = found[-1].after if found else site.before
        found.append(PadSides(site.where, site.path, before, shape, above, below, left, right))
    return found


def _softmax(module: Any, site: Site) -> list[Operation]:
    dim = module.dim if module.dim is not None or len(site.before) != 2 else 0  # as PyTorch has it
    outputs = int(np.argmax(site.before)) + 1 if max(site.before) == np.prod(site.before) else 1
    if dim not in (None, outputs, outputs - len(site.before) - 1):
        raise site.refuse(f"dim must be {outputs}, the outputs, not {dim}; use dim={outputs}, or leave a last one out")
    function = torch.log_softmax if isinstance(module, nn.LogSoftmax) else torch.softmax
    return [Ending(*_at(site), partial(function, dim=1), joint=True)]


def _sigmoid(module: nn.Module, site: Site) -> list[Operation]:
    return [Ending(*_at(site), F.logsigmoid if isinstance(module, nn.LogSigmoid) else torch.sigmoid)]


def _pair(value: Any) -> Pair:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _window(value: Any, site: Site, along: int = 1) -> Pair:
    """A number or numbers of PyTorch's as (vertical, horizontal), `along` the missing axis of a sequence."""
    if len(site.before) == 2:
        return along, int(value if isinstance(value, int) else value[-1])
    return _pair(value)


def _image(shape: Shape) -> Pair:
    """(H, W) of a sample, (1, L) of a sequence."""
    return (1, shape[1]) if len(shape) == 2 else (shape[1], shape[2])


READERS: dict[type, Callable[[Any, Site], list[Operation]]] = {
    nn.Identity: _nothing,
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.SyncBatchNorm: _batch_norm,
    nn.ReLU: _relu,
    nn.Threshold: _threshold,
    nn.Hardtanh: _hardtanh,
    nn.LeakyReLU: _leaky,
    nn.PReLU: _parametric,
    nn.RReLU: _random_leaky,
    Trainable: _trainable,
    ThresholdRNN: _recurrent,
    MeanOverTime: _average_steps,
    nn.AvgPool1d: _average_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool1d: _adaptive_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AdaptiveMaxPool1d: _adaptive_pool,
    nn.AdaptiveMaxPool2d: _adaptive_pool,
    nn.Flatten: _reshape,
    nn.Unflatten: _reshape,
    nn.ChannelShuffle: _channel_shuffle,
    nn.Dropout: _dropout,
    nn.Dropout1d: _dropout,
    nn.Dropout2d: _dropout,
    nn.Dropout3d: _dropout,
    nn.AlphaDropout: _dropout,
    nn.FeatureAlphaDropout: _dropout,
    nn.ZeroPad1d: _pad,
    nn.ZeroPad2d: _pad,
    nn.ConstantPad1d: _pad,
    nn.ConstantPad2d: _pad,
    nn.Softmax: _softmax,
    nn.LogSoftmax: _softmax,
    nn.Sigmoid: _sigmoid,
    nn.LogSigmoid: _sigmoid,
}
