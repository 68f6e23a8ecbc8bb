"""What the synapses of a connection add to the potentials, in exact integer arithmetic on floating-point tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ..geometry import Dense, Diagonal
from ..windows import Windows

if TYPE_CHECKING:
    from ..network import Connection, Network, Population


_ABSENT = -2  # below every digit


def weight_tensor(connection: "Connection", dtype: torch.dtype) -> torch.Tensor:
    """The integer weights, shifted, as a floating-point tensor in the layout PyTorch's layer wants."""
    return torch.tensor(connection.weights, dtype=dtype) * 2**connection.shift


def per_channel(vector: np.ndarray, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """A neuron's vector [1, C] as a tensor [1, C, 1, 1]."""
    return torch.tensor(vector[0], dtype=dtype).reshape(1, -1, 1, 1)


def initial_potentials(network: "Network", population: "Population", dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """What the potentials of a population begin with, see `per_neuron`."""
    return per_neuron(network, population.name, population.neuron.initial, dtype)


def per_neuron(network: "Network", name: str, vector: np.ndarray, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """A vector [B, C] of a population as [1, C, 1, 1], or as [1, C, H, W] where there are border classes."""
    if len(vector) == 1:
        return per_channel(vector, dtype)
    rows, columns = network.border_classes(name)
    index = rows[:, None] * (columns.max() + 1) + columns
    return torch.tensor(vector[index], dtype=dtype).permute(2, 0, 1)[None]


class _Switches:
    """What PyTorch keeps for the whole process: the first thread that comes saves it, the last that leaves restores it.

    NNPACK's Winograd convolution, and bfloat16 and TF32 inside oneDNN.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._before: tuple[str, str, bool] = "none", "none", True
        onednn = torch.backends.mkldnn
        self._matmul, self._conv = onednn.matmul, onednn.conv  # type: ignore[attr-defined]  # PyTorch sets them late

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            precisions = self._matmul.fp32_precision, self._conv.fp32_precision
            self._matmul.fp32_precision = self._conv.fp32_precision = "ieee"
            self._before = *precisions, torch.backends.nnpack.set_flags(False)[0]

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            self._matmul.fp32_precision, self._conv.fp32_precision, nnpack = self._before
            torch.backends.nnpack.set_flags(nnpack)


_SWITCHES = _Switches()


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Floating-point arithmetic without short cuts, whatever the caller has switched on, in any number of threads.

    Off are those of `_Switches`, and autocast: they round what float32 holds.
    """
    with _SWITCHES, torch.autocast("cpu", enabled=False):
        yield


def maxima(x: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Largest value of every window of x [N, C, H, W], floating-point."""
    return F.max_pool2d(_surrounded(x, windows, -torch.inf), windows.size, windows.stride)


def _surrounded(x: torch.Tensor, windows: Windows, value: float) -> torch.Tensor:
    """An image [..., H, W] with a border of some value, as far as windows reach beyond it."""
    if not windows.padded:
        return x
    (above, left), (below, right) = windows.ahead, windows.behind
    return F.pad(x, (left, right, above, below), value=value)


def race(train: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Max pooling of trains [N, T, C, H, W] to [N, T, C, H', W'], digit by digit.

    In every time step the output is the largest digit among the candidates still in the race, and those with a smaller
    digit leave it: what wins is the train of the largest potential. For growth 2 its value is the largest value; for
    growth 1, where a neuron fires in its first y steps, the largest count, and every step is the OR of its window.
    """
    digits = _surrounded(train, windows, _ABSENT)
    for axis in range(2):  # [N, T, C, H', W', py, px]
        digits = digits.unfold(3 + axis, windows.size[axis], windows.stride[axis])
    racing = torch.ones_like(digits[:, 0], dtype=torch.bool)
    won = []
    for step in digits.unbind(1):
        largest = step.masked_fill(~racing, _ABSENT).amax((4, 5), keepdim=True)
        racing &= step == largest
        won.append(largest[..., 0, 0])
    return torch.stack(won, 1)


def propagate(
    connection: "Connection",
    weights: torch.Tensor,
    x: torch.Tensor,
    channels: int | None = None,
    *,
    raced: bool = False,
) -> torch.Tensor:
    """Sum of weights times x for every target neuron: x [N, C, H, W] to [N, O, H', W'], dtype of both.

    Exact as long as every partial sum is an integer the dtype can hold. Max pooling takes the maximum of x, which must
    be the trains' values then, not their spikes.

    Parameters
    ----------
    connection, weights : synapses, and their `weight_tensor`.
    x : values.
    channels : O, which a diagonal connection does not know (default: no channels behind the last it reaches).
    raced : x is behind the max pooling already, see `race`.
    """
    geometry = connection.geometry
    if isinstance(geometry, Diagonal):
        reached = x[:, :, :: geometry.stride[0], :: geometry.stride[1]] * weights.reshape(1, -1, 1, 1)
        behind = 0 if channels is None else channels - geometry.channel_offset - reached.shape[1]
        return F.pad(reached, (0, 0, 0, 0, geometry.channel_offset, behind))
    if geometry.max_windows is not None:
        x = x if raced else maxima(x, geometry.max_windows)
    elif geometry.pool != (1, 1):
        x = F.avg_pool2d(x, geometry.pool, divisor_override=1)
    with exact_arithmetic():
        if isinstance(geometry, Dense):
            return F.linear(x.flatten(1), weights)[:, :, None, None]
        return F.conv2d(x, weights, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)
