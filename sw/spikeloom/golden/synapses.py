"""What the synapses of a connection add to the potentials, in exact integer arithmetic on floating-point tensors."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..geometry import Conv2d, Dense

if TYPE_CHECKING:
    from ..network import Connection


def weight_tensor(connection: "Connection", dtype: torch.dtype) -> torch.Tensor:
    """The integer weights, shifted, as a floating-point tensor in the layout PyTorch's layer wants."""
    return torch.from_numpy(connection.weights.copy()).to(dtype) * 2**connection.shift


def propagate(connection: "Connection", weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sum of weights times x for every target neuron: x [N, C, H, W] to [N, O, H', W'], dtype of both.

    Exact as long as every partial sum is an integer the dtype can hold. NNPACK's Winograd convolution, which
    rounds, is switched off.
    """
    geometry = connection.geometry
    assert isinstance(geometry, Dense | Conv2d)  # Network.require_built refused any other
    if geometry.pool != (1, 1):
        x = F.avg_pool2d(x, geometry.pool, divisor_override=1)
    if isinstance(geometry, Dense):
        return F.linear(x.flatten(1), weights)[:, :, None, None]
    with torch.backends.nnpack.flags(enabled=False):
        return F.conv2d(x, weights, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)
