"""Values that moved between axes, read by their addresses as an order of channels or features."""

import numpy as np
from torch import nn

from .layers import Shape, Site, read_module
from .operations import Flatten, Gather, Operation


def groups(before: Shape, after: Shape) -> bool:
    """Whether a reshape splits the channels of a sample into groups of several: (C, H, W) to (G, C/G, H, W)."""
    return 1 < len(before) < len(after) and after[2:] == before[1:] and min(after[:2]) > 1


def arranged(site: Site, addresses: np.ndarray) -> list[Operation] | None:
    """Operations that arrange the values of a sample of shape `site.before` by address, int64 [*site.after].

    None where that is no sample for a layer yet: channels in groups, or axes in another order.
    """
    order, at = addresses.ravel(), (site.where, site.path, site.before, site.after)
    if (order == np.arange(order.size)).all():
        return None if groups(site.before, site.after) else read_module(nn.Flatten(), site)
    if len(site.after) == 1:
        return [Flatten(*at, order)]
    channels, places = site.before[0], int(np.prod(site.before[1:]))
    if site.after == site.before:
        numbers = order.reshape(channels, places) // places
        if (order.reshape(channels, places) == numbers[:, :1] * places + np.arange(places)).all():
            return [Gather(*at, tuple(numbers[:, 0].tolist()))]
    return None
