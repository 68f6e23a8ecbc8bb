"""What the synapses of a connection add to the potentials, in exact integer arithmetic on floating-point tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ..geometry import Conv2d, Dense

if TYPE_CHECKING:
    from ..network import Connection


def weight_tensor(connection: "Connection", dtype: torch.dtype) -> torch.Tensor:
    """The integer weights, shifted, as a floating-point tensor in the layout PyTorch's layer wants."""
    return torch.tensor(connection.weights, dtype=dtype) * 2**connection.shift


def per_channel(vector: np.ndarray, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """A neuron's vector [B, C] as a tensor [1, C, 1, 1]; border classes are not built, B is 1."""
    return torch.tensor(vector[0], dtype=dtype).reshape(1, -1, 1, 1)


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Floating-point arithmetic without short cuts, whatever the caller has switched on.

    Off are NNPACK's Winograd convolution, bfloat16 and TF32 inside oneDNN, and autocast: they round what float32 holds.
    """
    matmul, conv = torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "ieee"
    try:
        with torch.backends.nnpack.flags(enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        matmul.fp32_precision, conv.fp32_precision = before


def propagate(connection: "Connection", weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sum of weights times x for every target neuron: x [N, C, H, W] to [N, O, H', W'], dtype of both.

    Exact as long as every partial sum is an integer the dtype can hold.
    """
    geometry = connection.geometry
    assert isinstance(geometry, Dense | Conv2d)  # Network.require_built refused any other
    if geometry.pool != (1, 1):
        x = F.avg_pool2d(x, geometry.pool, divisor_override=1)
    with exact_arithmetic():
        if isinstance(geometry, Dense):
            return F.linear(x.flatten(1), weights)[:, :, None, None]
        return F.conv2d(x, weights, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)
