"""Chains of layers from the field's notation, such as 12c5-p2-64c5-p2-10.

12c5 is a convolution of 12 maps by kernels of 5x5, p2 the means over windows of 2x2, a number alone a fully connected
layer, the last of them the outputs. An activation function follows every weighted layer but the last.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from spikeloom.errors import InvalidNetwork, shown
from spikeloom.geometry import Shape
from torch import nn

Activation = Callable[[], nn.Module] | None  # makes one, such as activations.SymmetricThresholdReLU; None: ReLU
_ITEM = re.compile(r"(?P<maps>[1-9]\d{,5})c(?P<kernel>[1-9]\d?)|p(?P<pool>[1-9]\d?)|(?P<units>[1-9]\d{,5})", re.ASCII)
_LEAST_MAPS = 4  # of a layer that is made narrower


def layered(
    topology: str,
    shape: Shape,
    activation: Activation = None,
    *,
    padding: int = 0,
    batch_norm: bool = False,
    width: float = 1.0,
    seed: int = 0,
) -> nn.Sequential:
    """A chain of layers.

    Parameters
    ----------
    topology : in the notation above.
    shape : (C, H, W) of a sample.
    activation : makes the function behind every weighted layer but the last.
    padding : of the convolutions.
    batch_norm : ahead of every activation function; the layers there have no bias then.
    width : factor of the maps and units of all layers but the last.
    seed : of the weights; the caller's random state stays as it is.

    Raises
    ------
    InvalidNetwork
        Anything else in the notation, no outputs at its end, or an image that is too small for a kernel or window.
    """
    who = f"Topology {shown(topology)}"
    items = [match for match in map(_ITEM.fullmatch, topology.split("-")) if match]
    if len(items) != topology.count("-") + 1 or not items[-1]["units"]:
        raise InvalidNetwork(f"{who}: must be items like 12c5, p2 and 100 between dashes, the outputs last")
    layers: dict[str, nn.Module] = {}
    weighted = pooled = 0
    with seeded(seed):
        for number, item in enumerate(items, 1):
            if item["units"] and "flatten" not in layers:
                layers["flatten"] = nn.Flatten()
                shape = (shape[0] * shape[1] * shape[2], 1, 1)
            if item["pool"]:
                window = _fits(who, item, int(item["pool"]), shape, 0, layers)
                pooled += 1
                layers[f"pool{pooled}"] = nn.AvgPool2d(window)
                shape = (shape[0], shape[1] // window, shape[2] // window)
                continue
            weighted += 1
            last = number == len(items)
            outputs = int(item["maps"] or item["units"])
            outputs = outputs if last else scaled(outputs, width)
            bias = last or not batch_norm
            if item["units"]:
                layers[f"fc{weighted}"] = nn.Linear(shape[0], outputs, bias)
                shape = (outputs, 1, 1)
            else:
                kernel = _fits(who, item, int(item["kernel"]), shape, padding, layers)
                layers[f"conv{weighted}"] = nn.Conv2d(shape[0], outputs, kernel, padding=padding, bias=bias)
                grown = 2 * padding - kernel + 1
                shape = (outputs, shape[1] + grown, shape[2] + grown)
            if not last:
                if batch_norm:
                    layers[f"bn{weighted}"] = (nn.BatchNorm1d if item["units"] else nn.BatchNorm2d)(outputs)
                layers[f"act{weighted}"] = made(activation)
    return chain(**layers)


def _fits(who: str, item: re.Match[str], reach: int, shape: Shape, padding: int, layers: dict[str, nn.Module]) -> int:
    """The reach of a kernel or window; InvalidNetwork where there is no image, or a smaller one."""
    if "flatten" in layers or reach > min(shape[1:]) + 2 * padding:
        image = "vectors" if "flatten" in layers else "x".join(map(str, shape[1:]))
        raise InvalidNetwork(f"{who}: {item[0]} must follow an image that it fits into, not {image}")
    return reach


def scaled(count: int, width: float) -> int:
    """Maps or units of a layer that is made narrower or wider."""
    return max(min(count, _LEAST_MAPS), round(count * width))


def made(activation: Activation) -> nn.Module:
    """An activation function of its own."""
    return nn.ReLU() if activation is None else activation()


def chain(**layers: nn.Module) -> nn.Sequential:
    """Layers by name, one after the other."""
    return nn.Sequential(OrderedDict(layers))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights from a seed; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
