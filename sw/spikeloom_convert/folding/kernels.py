"""Kernels of convolutions: what weights and paddings become where something without weights stands beside them."""

import numpy as np
from spikeloom.geometry import Conv2d, Diagonal, Pair

Sides = tuple[int, int, int, int]  # above, below, on the left, on the right


def symmetric(weights: np.ndarray, pad: Sides, slack: Pair = (0, 0)) -> tuple[np.ndarray, Pair]:
    """Kernels [O, C, kh, kw] and padding of a convolution that pads alike what is padded in any way, or cropped.

    Where one side gets more than the other, both get it, and the kernel a rim of zeros that reaches no further; a
    negative `pad` is cropped. `slack`: rows and columns by which it may reach further without an output more.
    """
    rims, sides = [], []
    for axis in range(2):
        ahead, behind = pad[2 * axis : 2 * axis + 2]
        side = max(ahead, behind, 0)
        rims.append((side - ahead, side - min(behind + slack[axis], side)))
        sides.append(side)
    return np.pad(weights, ((0, 0), (0, 0), *rims)), (sides[0], sides[1])


def spread(weights: np.ndarray, step: Pair, mean: Pair) -> np.ndarray:
    """Kernels [O, C, kh, kw] whose places are `step` apart, each the mean of a window, no larger than the step."""
    *channels, kh, kw = weights.shape
    full = np.zeros((*channels, (kh - 1) * step[0] + mean[0], (kw - 1) * step[1] + mean[1]))
    for y in range(mean[0]):
        for x in range(mean[1]):
            full[..., y :: step[0], x :: step[1]] = weights / (mean[0] * mean[1])
    return full


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights [O, C, kh, kw] of a grouped convolution [O, C/groups, kh, kw], zeros between the groups."""
    outputs, per_group = weights.shape[:2]
    full = np.zeros((outputs, per_group * groups, *weights.shape[2:]))
    rows = outputs // groups
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        full[part, group * per_group : (group + 1) * per_group] = weights[part]
    return full


def diagonal_as_convolution(geometry: Diagonal, weights: np.ndarray, channels: int) -> tuple[Conv2d, np.ndarray]:
    """The 1x1 convolution that a diagonal connection equals."""
    count = len(weights)
    if count == channels:
        return Conv2d((1, 1), geometry.stride, groups=count), weights.reshape(-1, 1, 1, 1)
    full = np.zeros((channels, count, 1, 1))
    full[geometry.channel_offset + np.arange(count), np.arange(count), 0, 0] = weights
    return Conv2d((1, 1), geometry.stride), full
