"""From one PyTorch module to operations; refuses by name what has no spiking counterpart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from spikeloom.errors import UnsupportedLayer
from torch import nn

from .activations import Trainable
from .operations import Affine, AveragePool, Convolution, Flatten, Linear, MaxPool, Operation, Pair, Rectify, Softmax
from .response import Rectified

Shape = tuple[int, ...]

# what to use instead, by the beginning of the lower-case name of a module or function
HINTS = (
    (("fractionalmax", "fractional_max", "maxpool3d", "max_pool3d", "adaptivemax", "adaptive_max", "maxunpool",
      "lppool"), "MaxPool2d"),
    (("conv3d", "convtranspose", "conv_transpose", "lazyconv"), "Conv2d"),
    (("avgpool3d", "avg_pool3d", "adaptiveavgpool3d", "adaptive_avg_pool3d"), "AvgPool2d"),
    (("layernorm", "layer_norm", "groupnorm", "group_norm", "instancenorm", "instance_norm", "localresponse",
      "batchnorm3d", "batch_norm"), "BatchNorm1d or BatchNorm2d as modules"),
    (("stack", "hstack", "vstack", "split", "chunk", "unbind", "tensor_split"),
     "torch.cat over the channels and slices"),
    (("linear", "conv2d", "matmul", "mm", "addmm", "bilinear"), "the modules Linear and Conv2d"),
    (("rnn", "lstm", "gru", "multihead", "transformer", "embedding"), "Linear and Conv2d"),
    (("sigmoid", "tanh", "gelu", "silu", "elu", "celu", "selu", "leaky", "prelu", "rrelu", "softplus", "softsign",
      "mish", "hardswish", "hardsigmoid", "threshold", "logsigmoid", "abs", "pow", "exp"),
     "ReLU, ReLU6 or Hardtanh(0, a)"),
)  # fmt: skip
SUPPORTED = (
    "Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, ReLU, ReLU6, Hardtanh(0, a), AvgPool2d, MaxPool2d, Flatten, "
    "additions and torch.cat"
)


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
        plain = name.lower().lstrip("_")
        hint = next((use for starts, use in HINTS if plain.startswith(starts)), SUPPORTED)
        return self.refuse(f"is not supported; use {hint}")


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
    if len(site.before) != 1:
        raise site.refuse(f"must get samples of shape (F,), not {site.before}; put nn.Flatten() before it")
    bias = np.zeros(module.out_features) if module.bias is None else _array(module.bias)
    return [Linear(*_at(site), _array(module.weight), bias)]


def _convolution(module: nn.Conv1d | nn.Conv2d, site: Site) -> list[Operation]:
    flat = isinstance(module, nn.Conv1d)
    if len(site.before) != (2 if flat else 3):
        raise site.refuse(f"must get samples of shape {'(C, L)' if flat else '(C, H, W)'}, not {site.before}")
    kernel, stride = _window(module.kernel_size, site), _window(module.stride, site)
    if any(extent != 1 for extent in module.dilation):
        given = module.dilation[0] if flat else _pair(module.dilation)
        raise site.refuse(f"dilation must be 1, not {given}; use a larger kernel")
    if module.padding == "same":
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            given = kernel[1] if flat else kernel
            raise site.refuse(f"padding 'same' needs an odd kernel, not {given}; use a number as padding")
        padding: Pair = (kernel[0] // 2, kernel[1] // 2)
    else:
        padding = (0, 0) if isinstance(module.padding, str) else _window(module.padding, site, 0)
    if module.padding_mode != "zeros" and padding != (0, 0):
        raise site.refuse(f"padding_mode must be 'zeros', not '{module.padding_mode}'")
    bias = np.zeros(module.out_channels) if module.bias is None else _array(module.bias)
    weights = _array(module.weight)
    return [Convolution(*_at(site), weights[:, :, None] if flat else weights, bias, stride, padding, module.groups)]


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


def _hardtanh(module: nn.Hardtanh, site: Site) -> list[Operation]:  # ReLU6 is one
    if module.min_val != 0 or module.max_val <= 0:
        raise site.refuse(f"must clip to 0..a, not {module.min_val}..{module.max_val}; use Hardtanh(0, a) or ReLU")
    return [Rectify(*_at(site), Rectified(float(module.max_val)))]


def _trainable(module: Trainable, site: Site) -> list[Operation]:
    return [Rectify(*_at(site), module.response())]


def _average_pool(module: nn.AvgPool1d | nn.AvgPool2d, site: Site) -> list[Operation]:
    window = _pooling_window(module, site, "AvgPool")
    area = window[0] * window[1]
    return [AveragePool(*_at(site), window, area / (getattr(module, "divisor_override", None) or area))]


def _max_pool(module: nn.MaxPool1d | nn.MaxPool2d, site: Site) -> list[Operation]:
    window = _pooling_window(module, site, "MaxPool")
    if any(extent != 1 for extent in _window(module.dilation, site)):
        raise site.refuse(f"dilation must be 1, not {_pair(module.dilation)}")
    if module.return_indices:
        raise site.refuse("return_indices must be off")
    return [MaxPool(*_at(site), window)]


def _pooling_window(module: Any, site: Site, name: str) -> Pair:
    """Window of a pooling module whose windows lie side by side and inside the image."""
    flat = len(site.before) == 2
    if len(site.before) not in (2, 3) or type(module).__name__.endswith("1d") != flat:
        expected = "(C, L)" if type(module).__name__.endswith("1d") else "(C, H, W)"
        raise site.refuse(f"must get samples of shape {expected}, not {site.before}")
    window, stride = _window(module.kernel_size, site), _window(module.stride, site)

    def plain(pair: Pair) -> int | Pair:
        return pair[1] if flat else pair

    if stride != window:
        use = f"{name}{'1d' if flat else '2d'}({plain(window)})"
        raise site.refuse(f"stride must equal the window {plain(window)}, not {plain(stride)}; use {use}")
    padding = _window(module.padding, site, 0)
    if padding != (0, 0):
        raise site.refuse(f"padding must be 0, not {plain(padding)}")
    if module.ceil_mode and any(size % side for size, side in zip(_image(site.before), window, strict=True)):
        raise site.refuse("ceil_mode must be off where the window does not divide the image; use ceil_mode=False")
    return window


def _adaptive_pool(module: nn.Module, site: Site) -> list[Operation]:
    if len(site.before) not in (2, 3):
        raise site.refuse(f"must get samples of shape (C, H, W), not {site.before}")
    source, target = _image(site.before), _image(site.after)
    if any(size % part for size, part in zip(source, target, strict=True)):
        raise site.refuse(f"output size must divide {site.before[1:]}, not {site.after[1:]}: its windows would overlap")
    window = (source[0] // target[0], source[1] // target[1])
    if isinstance(module, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d):
        return [MaxPool(*_at(site), window)]
    return [AveragePool(*_at(site), window, 1.0)]


def _reshape(module: object, site: Site) -> list[Operation]:
    def trimmed(shape: Shape) -> Shape:
        return trimmed(shape[:-1]) if len(shape) > 1 and shape[-1] == 1 else shape

    if trimmed(site.after) == trimmed(site.before):
        return []
    if len(site.after) != 1:
        raise site.refuse(
            f"must flatten to (N, {int(np.prod(site.before))}), not reshape {site.before} to {site.after}"
        )
    return [Flatten(*_at(site))]


def _softmax(module: Any, site: Site) -> list[Operation]:
    if module.dim not in (None, 1, -len(site.before)):
        raise site.refuse(f"dim must be 1, the outputs, not {module.dim}")
    return [Softmax(*_at(site), isinstance(module, nn.LogSoftmax))]


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
    nn.ReLU: _relu,
    nn.Hardtanh: _hardtanh,
    Trainable: _trainable,
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
    nn.Dropout: _dropout,
    nn.Dropout1d: _dropout,
    nn.Dropout2d: _dropout,
    nn.AlphaDropout: _dropout,
    nn.Softmax: _softmax,
    nn.LogSoftmax: _softmax,
}
