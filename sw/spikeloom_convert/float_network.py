"""The float twin of a network: populations with weighted connections and their geometry, nothing rounded yet."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, count

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.geometry import Dense, Diagonal, Geometry, Shape
from spikeloom.golden.synapses import maxima

from .response import RELU, Remaining, Response

_CHUNK = 256  # samples that are propagated at a time
INPUT = "input"  # name of the samples among the sources
LONGEST = 36  # characters of a name that a number may still follow


def connect(geometry: Geometry, weights: torch.Tensor, x: torch.Tensor, channels: int) -> torch.Tensor:
    """Weighted sum over the *sums* (or maxima) of the pooling windows: x [N, C, H, W] to [N, O, H', W'], O `channels`.

    Exact on integers as long as every partial sum is one that the dtype holds; Winograd paths are off.
    """
    if isinstance(geometry, Diagonal):
        reached = x[:, :, :: geometry.stride[0], :: geometry.stride[1]] * weights.reshape(1, -1, 1, 1)
        behind = channels - geometry.channel_offset - reached.shape[1]
        return F.pad(reached, (0, 0, 0, 0, geometry.channel_offset, behind))
    if geometry.max_windows is not None:
        x = maxima(x, geometry.max_windows)
    elif geometry.pool != (1, 1):
        x = F.avg_pool2d(x, geometry.pool, divisor_override=1)
    if isinstance(geometry, Dense):
        return F.linear(x.flatten(1), weights)[:, :, None, None]
    with torch.backends.nnpack.flags(enabled=False):
        return F.conv2d(x, weights, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)


@dataclass(frozen=True, eq=False)
class FloatConnection:
    """Weights from a source to a layer.

    Parameters
    ----------
    source : name of an earlier layer, or `INPUT`.
    geometry : connectivity, pooling included.
    weights : float64, shape given by `geometry.weight_shape`; they meet the *mean* (or maximum) of each pooling window.
    """

    source: str
    geometry: Geometry
    weights: np.ndarray

    def drive(self, x: torch.Tensor, channels: int) -> torch.Tensor:
        """What the connection adds to u [N, O, H', W'] for activations x [N, C, H, W], in the dtype of x.

        Of a sequence both are [N, T, ...].
        """
        weights = torch.from_numpy(self.weights / self.geometry.summed).to(x.dtype)
        return connect(self.geometry, weights, x.flatten(0, -4), channels).unflatten(0, x.shape[:-3])


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One population: u = sum over the connections + bias, and an activation function if it fires.

    Parameters
    ----------
    name : of its population, in the alphabet of a Network.
    where : who it is in an error.
    shape : (O, H', W').
    incoming : at least one.
    bias : float64 [O, 1, 1], or [O, H', W'] where a padded value was shifted: then alike within each border class.
    response : its activation function, None of a readout, which does not fire.
    lateral : from the layer to itself, of a sequence: heard one time step late. None: there is none.
    """

    name: str
    where: str
    shape: Shape
    incoming: tuple[FloatConnection, ...]
    bias: np.ndarray
    response: Response | None = RELU
    lateral: FloatConnection | None = None

    @property
    def fires(self) -> bool:
        """Whether an activation function follows; a readout has none."""
        return self.response is not None

    @property
    def clip(self) -> float | None:
        """Largest activation, None where there is none."""
        most = float("inf") if self.response is None else self.response.range[1]
        return None if most == float("inf") else most

    @property
    def macs(self) -> int:
        """Multiplications of one sample, for budgets."""
        places = self.shape[1] * self.shape[2]
        own = 0 if self.lateral is None else self.lateral.weights.size
        return own + sum(item.weights.size * places for item in self.incoming)

    def drive(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """u [N, O, H', W'] of the activations [N, C, H, W] of its sources, by name, in their dtype.

        Of a sequence all are [N, T, ...], and u is without what the time steps before add to it.
        """
        total: torch.Tensor | None = None
        for item in self.incoming:
            part = item.drive(values[item.source], self.shape[0])
            total = part if total is None else total.add_(part)
        assert total is not None
        return total.add_(torch.from_numpy(self.bias).to(total.dtype))

    def activate(self, u: torch.Tensor) -> torch.Tensor:
        """The activation function, nothing in the readout; of a sequence u is [N, T, O, H', W']."""
        if self.response is None:
            return u
        return self.response(u, self.back) if isinstance(self.response, Remaining) else self.response(u)

    @property
    def back(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What activations [N, C, H, W] of one time step add to the layer's own u in the next; None: nothing."""
        lateral = self.lateral
        return None if lateral is None else lambda sent: lateral.drive(sent, self.shape[0])


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A trained model reduced to weighted populations.

    Parameters
    ----------
    name : class of the model it came from.
    input_shape : (C, H, W) of a sample, of a time step of a sequence.
    layers : in topological order, the readouts last.
    readouts : names of the layers that are the outputs, in the model's order; they alone do not fire.
    notes : what was dropped or merged on the way, for people.
    sequence : T of a recurrent network, whose samples and activations are [N, T, C, H, W]; 0 of all others.
    turned : largest activation r of every channel that a layer sends 1 - r/largest of, by layer, see `folding.turning`.
    """

    name: str
    input_shape: Shape
    layers: tuple[FloatLayer, ...]
    readouts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sequence: int = 0
    turned: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample: (C, H, W), or (T, C, H, W) of a sequence."""
        return (self.sequence, *self.input_shape) if self.sequence else self.input_shape

    @property
    def macs(self) -> int:
        """Multiplications of one sample, for budgets."""
        return sum(layer.macs for layer in self.layers) * max(self.sequence, 1)

    @cached_property
    def last_use(self) -> dict[str, int]:
        """Number of the last layer that hears each source."""
        return {item.source: number for number, layer in enumerate(self.layers) for item in layer.incoming}

    def shape(self, source: str) -> Shape:
        """Shape of the samples or of a layer."""
        return self.input_shape if source == INPUT else next(item.shape for item in self.layers if item.name == source)

    def walk(self, x: torch.Tensor) -> Iterator[tuple[FloatLayer, torch.Tensor]]:
        """Every layer with its u [N, O, H', W'], in the dtype of the samples x [N, C, H, W], in the model's units.

        Of a sequence all are [N, T, ...], and u is without what the time steps before add to it. Activations are kept
        as long as a later layer needs them.
        """
        values = {INPUT: x}
        for number, layer in enumerate(self.layers):
            drive = torch.empty((*x.shape[:-3], *layer.shape), dtype=x.dtype)
            heard = {item.source: values[item.source].flatten(0, -4).split(_CHUNK) for item in layer.incoming}
            for chunk, part in enumerate(drive.flatten(0, -4).split(_CHUNK)):
                part.copy_(layer.drive({name: parts[chunk] for name, parts in heard.items()}))
            yield layer, drive
            values = {name: value for name, value in values.items() if self.last_use.get(name, -1) > number}
            if layer.name in self.last_use:
                values[layer.name] = layer.activate(drive)

    def sent(self, layer: FloatLayer, drive: torch.Tensor) -> torch.Tensor:
        """What a layer makes of u: activations, or outputs, of a sequence the mean over its time steps."""
        return drive.mean(1) if self.sequence and not layer.fires else layer.activate(drive)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Outputs [N, outputs] of samples x [N, C, H, W] in the model's units, in the model's order."""
        read = {layer.name: self.sent(layer, drive) for layer, drive in self.walk(x) if not layer.fires}
        return [read[name].flatten(1) for name in self.readouts]


def population_name(path: str, kind: str, layers: Sequence[str]) -> str:
    """Name of the population of a module's dotted path, unlike those of `layers`; `kind` where it has none."""
    plain = re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"{kind}{plain}"
    plain = plain[:24]
    while plain in {INPUT, *layers}:
        plain += f"_{len(layers) + 1}"
    return plain


def spare(wanted: str, taken: Set[str]) -> str:
    """A name, with a number behind it where it is taken."""
    return next(name for name in chain([wanted], (f"{wanted}_{number}" for number in count(2))) if name not in taken)


def edges(incoming: Sequence[FloatConnection], shapes: Mapping[str, Shape], shape: Shape) -> list[list[np.ndarray]]:
    """What each output row, and each column, sees of the padding of every connection; see `Conv2d.edges`."""
    found = [item.geometry.edges(shapes[item.source], shape) for item in incoming]
    return [[item[axis] for item in found] for axis in range(2)]
