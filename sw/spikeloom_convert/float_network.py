"""The float twin of a network: weighted layers with their geometry, nothing rounded yet."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.geometry import Conv2d, Dense, Shape

_CHUNK = 256  # samples that are propagated at a time


def connect(geometry: Dense | Conv2d, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Weighted sum over the *sums* of the pooling windows: x [N, C, H, W] to [N, O, H', W'].

    Exact on integers as long as every partial sum is one that the dtype holds; Winograd paths are off.
    """
    if geometry.pool != (1, 1):
        x = F.avg_pool2d(x, geometry.pool, divisor_override=1)
    if isinstance(geometry, Dense):
        return F.linear(x.flatten(1), weights)[:, :, None, None]
    with torch.backends.nnpack.flags(enabled=False):
        return F.conv2d(x, weights, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One weighted layer: u = sum of weights times the *mean* of each pooling window, plus bias; ReLU if not the last.

    Parameters
    ----------
    name : of its population, in the alphabet of a Network.
    where : who it is in an error.
    geometry : connectivity from the layer before (or the input), pooling included.
    weights : float64, shape given by `geometry.weight_shape`.
    bias : float64 [O].
    shape : (O, H', W').
    fires : a ReLU follows (False: readout).
    clip : a of min(max(u, 0), a), None for a plain ReLU.
    """

    name: str
    where: str
    geometry: Dense | Conv2d
    weights: np.ndarray
    bias: np.ndarray
    shape: Shape
    fires: bool = True
    clip: float | None = None

    @property
    def window(self) -> int:
        """Neurons in a pooling window."""
        return self.geometry.pool[0] * self.geometry.pool[1]

    @property
    def macs(self) -> int:
        """Multiplications of one sample, for budgets."""
        places = self.shape[1] * self.shape[2] if isinstance(self.geometry, Conv2d) else 1
        return self.weights.size * places

    def drive(self, x: torch.Tensor) -> torch.Tensor:
        """u [N, O, H', W'] of activations x [N, C, H, W], in the dtype of x."""
        weights = torch.from_numpy(self.weights / self.window).to(x.dtype)
        return connect(self.geometry, weights, x) + torch.from_numpy(self.bias).to(x.dtype).reshape(1, -1, 1, 1)

    def activate(self, u: torch.Tensor) -> torch.Tensor:
        """The activation function: ReLU with its clip, nothing in the readout."""
        return u.clamp(min=0.0, max=self.clip) if self.fires else u


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A trained model reduced to weighted layers, the last one the readout.

    Parameters
    ----------
    name : class of the model it came from.
    input_shape : (C, H, W) of a sample.
    layers : at least one; all fire but the last.
    notes : what was dropped or merged on the way, for people.
    """

    name: str
    input_shape: Shape
    layers: tuple[FloatLayer, ...]
    notes: tuple[str, ...] = ()

    def drives(self, x: torch.Tensor) -> list[torch.Tensor]:
        """u of every layer, in the dtype of the samples x [N, C, H, W], which are in the model's units."""
        parts = []
        for chunk in x.split(_CHUNK):
            found = []
            for layer in self.layers:
                found.append(layer.drive(chunk))
                chunk = layer.activate(found[-1])
            parts.append(found)
        return [torch.cat(list(drives)) for drives in zip(*parts, strict=True)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, outputs] of samples x [N, C, H, W] in the model's units."""
        for layer in self.layers:
            x = layer.activate(layer.drive(x))
        return x.flatten(1)
