"""Images of a connection on a layer's lanes: its weights row by row, and the tables that find an event's rows."""

from dataclasses import dataclass

import numpy as np

from ..geometry import Dense, Diagonal, Shape
from ..network import Connection, Network
from .digits import digits
from .extents import by_name, channel_starts, listed_steps, reach, walked
from .landing import Landing, landings
from .program import CorePlan, LayerPlan
from .weights import pack, used_cells


@dataclass(frozen=True, eq=False)
class Events:
    """A connection that is walked event by event.

    Members
    -------
    connection, layer : which one, and where its target lies.
    pack : source channels that share a weight row, where the channels of a position take so few cells that the row
        has room for more; 1 elsewhere.
    landing : passes of both axes.
    reach : rows of channels it reaches: rows a pass.
    weights : int64 [rows, gy, gx, width], row ((c*Qy + qy)*Qx + qx)*reach + j, weights in slots.
    """

    connection: Connection
    layer: LayerPlan
    pack: int
    landing: tuple[Landing, Landing]
    reach: int
    weights: np.ndarray

    @classmethod
    def of(cls, connection: Connection, layer: LayerPlan, source: Shape) -> "Events":
        """Images of a connection into a layer, whose events name neurons within `source`."""
        geometry, (gy, gx) = connection.geometry, layer.grid
        landing = landings(geometry, source, layer.shape, layer.spread)
        spanned = reach(geometry, source, layer)
        first_group = np.minimum(
            channel_starts(geometry, source, layer.shape) // layer.channels, layer.groups - spanned
        )
        synapses = _synapses(connection, source, layer.shape[0])
        rows = _slots(synapses, layer, landing, first_group, spanned)
        cells, together = used_cells(layer), pack(layer)
        if together > 1:
            short = -len(rows) % together
            rows = np.concatenate([rows, np.zeros((short, *rows.shape[1:]), np.int64)])
            # the cells that are used, of so many channels one behind the other
            flat = rows.reshape(*rows.shape[:4], gy * gx, layer.width)[..., :cells, :]
            flat = np.moveaxis(flat.reshape(-1, together, *flat.shape[1:]), 1, 4)
            rows = np.zeros((len(flat), *rows.shape[1:4], gy * gx, layer.width), np.int64)
            rows[..., : together * cells, :] = flat.reshape(*flat.shape[:4], together * cells, layer.width)
        return cls(connection, layer, together, landing, spanned, rows.reshape(-1, gy, gx, layer.width))

    @property
    def weight_strides(self) -> tuple[int, int, int]:
        """Weight rows between source channels (`pack` of them are one), lines and passes."""
        lines, passes = (len(axis.kernel) for axis in self.landing)
        return lines * passes * self.reach, passes * self.reach, self.reach

    @property
    def bank_strides(self) -> tuple[int, int]:
        """Bank rows between blocks along y and x."""
        return self.layer.strides


@dataclass(frozen=True, eq=False)
class Rows:
    """A diagonal connection that is added row by row: a digit of the weights at a time, times codes or their bit
    planes.

    Members
    -------
    connection, layer : which one, and where its target lies.
    shifts : shift of each digit of the weights, ascending; with multipliers multiples of the lanes' weight bits.
    weights : int64 [groups*digits, gy, gx, width], digits of a row of channels side by side.
    """

    connection: Connection
    layer: LayerPlan
    shifts: tuple[int, ...]
    weights: np.ndarray

    @classmethod
    def of(cls, connection: Connection, layer: LayerPlan, weight_bits: int, *, multiply: bool) -> "Rows":
        """Images of a diagonal connection on lanes with weights of `weight_bits` bits."""
        geometry = connection.geometry
        assert isinstance(geometry, Diagonal)
        shifts, values = digits(connection, weight_bits, multiply=multiply)
        channel = np.full(layer.groups * layer.channels, -1)
        inside = slice(geometry.channel_offset, geometry.channel_offset + len(connection.weights))
        channel[inside] = np.arange(len(connection.weights))
        placed = np.append(values, np.zeros((len(values), 1), np.int64), 1)[:, channel]
        placed = placed.reshape(len(values), layer.groups, layer.channel_cells, layer.width)
        rows = placed[:, :, np.maximum(layer.cells[2], 0), :].transpose(1, 0, 2, 3, 4)
        return cls(connection, layer, shifts, rows.reshape(-1, *layer.grid, layer.width))


def _synapses(connection: Connection, source: Shape, outputs: int) -> np.ndarray:
    """Weights of every source channel, int64 [C, Ky + 1, Kx + 1, O + 1]; the last ones are zero, for what is absent."""
    geometry, weights, channels = connection.geometry, connection.weights.astype(np.int64), source[0]
    if isinstance(geometry, Dense):
        height, width = source[1:] if geometry.pool_kind == "max" else geometry.kernel_shape(source)
        rows = weights.reshape(outputs, channels, height, width).transpose(1, 2, 3, 0)
    elif isinstance(geometry, Diagonal):
        rows = np.zeros((channels, 1, 1, outputs), np.int64)
        rows[np.arange(channels), 0, 0, np.arange(channels) + geometry.channel_offset] = weights
    else:
        rows = np.zeros((channels, *geometry.kernel, outputs), np.int64)
        inner, outer = channels // geometry.groups, outputs // geometry.groups
        for group in range(geometry.groups):
            heard, reached = slice(group * inner, (group + 1) * inner), slice(group * outer, (group + 1) * outer)
            rows[heard, :, :, reached] = weights[reached].transpose(1, 2, 3, 0)
    return np.pad(rows, ((0, 0), (0, 1), (0, 1), (0, 1)))


def _slots(
    synapses: np.ndarray,
    layer: LayerPlan,
    landing: tuple[Landing, Landing],
    first_group: np.ndarray,
    reach: int,
) -> np.ndarray:
    """Weights in slots, int64 [C, Qy, Qx, reach, gy, gx, width]: slot m of an axis holds the m-th lowest output."""
    bank_y, bank_x, shares = layer.cells
    kernels = [
        np.where(shares < 0, -1, axis.kernel[:, bank]) for axis, bank in zip(landing, (bank_y, bank_x), strict=True)
    ]
    group = first_group[:, None] + np.arange(reach)
    outputs = synapses.shape[3] - 1
    output = (group[:, :, None, None, None] * layer.channel_cells + np.maximum(shares, 0)[:, :, None]) * layer.width
    output = np.minimum(output + np.arange(layer.width), outputs)
    c = np.arange(len(synapses))[:, None, None, None, None, None, None]
    ky = kernels[0][None, :, None, None, :, :, None]
    kx = kernels[1][None, None, :, None, :, :, None]
    return synapses[c, ky, kx, output[:, None, None]]


def weight_image(network: Network, core: CorePlan) -> np.ndarray:
    """The weight memory of a core, int64 [rows, P]: a weight a lane, cells row-major; connections as `weight_rows`."""
    found: list[np.ndarray] = []
    source = core.source
    for layer in core.layers:
        for step in listed_steps(network, source, layer.population):
            if step.connection is not None:
                connection = by_name(network, step.connection)
                if step.kind == "rows":
                    image = Rows.of(connection, layer, core.weight_bits, multiply=core.multiply).weights
                else:
                    image = Events.of(connection, layer, walked(network, core, connection)).weights
                found.append(image.reshape(len(image), -1))
        source = layer.population
    return np.concatenate(found)
