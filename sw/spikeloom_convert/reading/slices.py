"""Slices and paddings read as the channels, rows and columns they take or add."""

from typing import Any

import torch
from torch import nn

from .layers import Site, pad_sides, read_module
from .operations import Crop, Flatten, Gather, Operation, PadChannels, Select

_SLICES = "must be slices of channels without a step, and of rows and columns, x[:, a:b, c:d:s, e:f:t]"


def read_slices(index: Any, *, site: Site) -> list[Operation]:
    """x[:, first:stop, a:b:s, c:d:t], and numbers in place of slices: x[:, :, -1]."""
    if adds_axes(index):
        return read_module(nn.Flatten(), site)
    parts = list(index) if isinstance(index, tuple) else [index]
    axes = len(site.before) + 1
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (axes - len(parts) + 1)
    parts += [slice(None)] * (axes - len(parts))
    for axis, part in enumerate(parts[1:axes], 1):
        if isinstance(part, int) and not isinstance(part, bool):  # the axis itself is dropped
            number = part % site.before[axis - 1]
            parts[axis] = slice(number, number + 1)
    if len(parts) == axes and not isinstance(parts[1], slice):
        chosen, parts[1] = parts[1], slice(None)
        if all(part == slice(None) for part in parts):
            return index_select(1, torch.as_tensor(chosen), site=site)
    if len(parts) != axes or not all(isinstance(part, slice) for part in parts):
        raise site.refuse(_SLICES)
    samples, *ranges = [range(*part.indices(size)) for part, size in zip(parts, (2, *site.before), strict=True)]
    if samples != range(2) or ranges[0].step != 1 or not all(ranges):
        raise site.refuse(_SLICES)
    found: list[Operation] = []
    between = (len(ranges[0]), *site.before[1:])
    if between != site.before:
        found.append(Select(site.where, site.path, site.before, between, ranges[0].start, ranges[0].stop))
    sizes = tuple(map(len, ranges))
    if sizes != between:
        rows, columns = (range(1), range(1), *ranges[1:])[-2:]
        found.append(Crop(site.where, site.path, between, sizes, rows, columns))
    if len(site.after) == 1 < len(site.before):
        found.append(Flatten(site.where, site.path, sizes, site.after))
    return found


def adds_axes(index: Any) -> bool:
    """Whether an index takes all there is and adds axes: x[:, None, :, None]."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(part is None for part in parts) and all(
        part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in parts
    )


def narrow(dim: int, start: int, length: int, *, site: Site) -> list[Operation]:
    """x.narrow(2, first, length)."""
    axis = dim % (len(site.before) + 1)
    first = int(start) % site.before[axis - 1] if axis else start
    return read_slices((*[slice(None)] * axis, slice(first, first + length)), site=site)


def select(dim: int, index: int, *, site: Site) -> list[Operation]:
    """x.select(2, number)."""
    return read_slices((*[slice(None)] * (dim % (len(site.before) + 1)), index), site=site)


def index_select(dim: int, index: torch.Tensor, *, site: Site) -> list[Operation]:
    """Channels by number."""
    if dim not in (1, -len(site.before)) or index.ndim != 1 or index.dtype == torch.bool:
        raise site.refuse("must choose channels by their numbers, dim=1")
    channels = tuple(int(number) % site.before[0] for number in index)
    return [Gather(site.where, site.path, site.before, site.after, channels)]


def pad(pad: Any, mode: str = "constant", value: float | None = None, *, site: Site) -> list[Operation]:
    """F.pad of zeros, and with negative numbers, which crops."""
    sides = [int(side) for side in pad]
    axes = len(site.before)
    sides += [0] * (2 * axes - len(sides))
    if len(sides) > 2 * axes or min(sides[-2:]) < 0 or mode != "constant" or value:
        what = f"mode '{mode}'" if mode != "constant" else f"{value:g}" if value else str(tuple(pad))
        raise site.refuse(f"must add zeros to channels, rows and columns, not {what}; use padding of the next layer")
    if axes < 2:
        left, right, above, below = 0, 0, 0, 0
    else:
        left, right, above, below = (*sides[: 2 * axes - 2], 0, 0)[:4]
    found = pad_sides(site, above, below, left, right)
    between = found[-1].after if found else site.before
    if sides[-2] + sides[-1]:
        found.append(PadChannels(site.where, site.path, between, site.after, sides[-2], sides[-1]))
    return found
