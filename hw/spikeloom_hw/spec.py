"""Everything a core is built from, derived once from the network and its plan: shapes, strides, memory images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from spikeloom import Conv2d, Dense, Network, Neuron
from spikeloom.geometry import Axis, Shape
from spikeloom.network import Connection, Population
from spikeloom.neuron import growth_shift
from spikeloom.program import CorePlan


@dataclass(frozen=True, eq=False)
class CoreSpec:
    """A core's parameters and memory images.

    Parameters
    ----------
    network, plan : what to run and with which sizes.
    flat : source neurons arrive by address rather than by (c, y, x); dense connections without pooling only.
    """

    network: Network
    plan: CorePlan
    flat: bool = False

    @cached_property
    def population(self) -> Population:
        """The population this core holds."""
        population = self.network.source(self.plan.population)
        assert isinstance(population, Population)
        return population

    @cached_property
    def connection(self) -> Connection:
        """Its incoming connection."""
        (connection,) = self.network.incoming(self.plan.population)
        return connection

    @cached_property
    def geometry(self) -> Dense | Conv2d:
        """Geometry of the incoming connection."""
        assert isinstance(self.connection.geometry, Dense | Conv2d)  # Network.require_built refused any other
        return self.connection.geometry

    @cached_property
    def source_shape(self) -> Shape:
        """(C, H, W) of the source as the events name it."""
        shape = self.network.source(self.plan.source).shape
        return (int(np.prod(shape)), 1, 1) if self.flat else shape

    @cached_property
    def source_timesteps(self) -> int:
        """T of the incoming train."""
        return self.network.train(self.plan.source)[1]

    @cached_property
    def source_growth(self) -> float:
        """Growth of the incoming train."""
        return self.network.train(self.plan.source)[0]

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """Landing tables of the source's rows and columns."""
        return self.geometry.axes(self.source_shape, self.population.shape)

    @cached_property
    def kernel(self) -> tuple[int, int]:
        """Extent of the weights along both axes."""
        return self.geometry.kernel_shape(self.source_shape)

    @cached_property
    def first_group(self) -> np.ndarray:
        """First channel group that events of each source channel reach, int64 [C]."""
        channels, groups = self.source_shape[0], self._channel_groups
        outputs = self.population.shape[0] // groups
        owner = np.arange(channels) // (channels // groups)
        return np.minimum(owner * outputs // self.plan.lanes, self.plan.groups - self.reach)

    @cached_property
    def reach(self) -> int:
        """Channel groups an event reaches: rows at each position that lands."""
        outputs = self.population.shape[0] // self._channel_groups
        starts = np.arange(self._channel_groups) * outputs
        return int(((starts + outputs - 1) // self.plan.lanes - starts // self.plan.lanes + 1).max())

    @property
    def _channel_groups(self) -> int:
        return self.geometry.groups if isinstance(self.geometry, Conv2d) else 1

    @cached_property
    def weight_strides(self) -> tuple[int, int, int]:
        """Weight rows between neighbours in source channel, kernel row and kernel column."""
        height, width = self.kernel
        return height * width * self.reach, width * self.reach, self.reach

    @cached_property
    def bank_strides(self) -> tuple[int, int]:
        """Bank rows between neighbours in y and x."""
        return self.population.shape[2] * self.plan.groups, self.plan.groups

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Image of the weight memory, int64 [rows, P]: row ((c*kh + ky)*kw + kx)*reach + j, one weight a lane.

        Lanes of channels that the source channel does not reach hold zero.
        """
        lanes, groups = self.plan.lanes, self.plan.groups
        channels, outputs = self.source_shape[0], self.population.shape[0]
        height, width = self.kernel
        rows = np.zeros((channels, height, width, groups * lanes), np.int64)
        weights = self.connection.weights.astype(np.int64)
        if isinstance(self.geometry, Dense):
            rows[..., :outputs] = weights.reshape(outputs, channels, height, width).transpose(1, 2, 3, 0)
        else:
            inner, outer = channels // self._channel_groups, outputs // self._channel_groups
            for group in range(self._channel_groups):
                source = slice(group * inner, (group + 1) * inner)
                target = slice(group * outer, (group + 1) * outer)
                rows[source, :, :, target] = weights[target].transpose(1, 2, 3, 0)
        rows = rows.reshape(channels, height, width, groups, lanes)
        reached = self.first_group[:, None] + np.arange(self.reach)
        picked = np.take_along_axis(rows, reached[:, None, None, :, None], axis=3)
        return picked.reshape(-1, lanes)

    def per_channel(self, vector: np.ndarray, width: int, fill: int) -> np.ndarray:
        """A per-channel vector int64 [C] in scan order, int64 [groups*P/width, width]; padded with `fill`."""
        padded = np.full(self.plan.groups * self.plan.lanes, fill, np.int64)
        padded[: len(vector)] = vector
        return padded.reshape(-1, width)

    @cached_property
    def initial_rows(self) -> np.ndarray:
        """Potentials a sample starts with, int64 [groups, P]."""
        return self.per_channel(self.population.neuron.initial[0], self.plan.lanes, 0)

    @cached_property
    def neuron(self) -> Neuron:
        """The firing neuron of a hidden population."""
        assert isinstance(self.population.neuron, Neuron)
        return self.population.neuron

    @cached_property
    def theta_words(self) -> np.ndarray:
        """Thresholds in scan order, int64 [groups*P/G, G]."""
        return self.per_channel(self.neuron.theta[0], self.plan.generate_width, 1)

    @cached_property
    def growth_shift(self) -> int | None:
        """Shift s of the population's own growth 1 + 2^-s; None for growth 1."""
        return growth_shift(self.neuron.growth)
