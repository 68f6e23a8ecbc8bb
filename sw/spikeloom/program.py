"""A program says which core runs which part of a network, and with how many lanes."""

from dataclasses import dataclass

from .bounds import potential_bits
from .geometry import Conv2d
from .network import Network
from .neuron import Neuron

QUEUE_DEPTH = 32


@dataclass(frozen=True)
class CorePlan:
    """One core: the layers it runs (one, so far) and its sizes.

    Parameters
    ----------
    name : instance name in the hardware, `l<position>_<population>`.
    source, connection, population : the layer, by the names of the network.
    lanes : physical lanes P; each does one SOP a cycle.
    groups : channel groups, ceil(channels / lanes); a row of potentials is one group at one position.
    rows : rows of a bank, positions * groups.
    bits : proven width of a potential.
    generate_width : neurons the generator tests a cycle, divides `lanes`; 0 for a readout.
    queue_depth : words of the event queue; 0 for a readout.
    """

    name: str
    source: str
    connection: str
    population: str
    lanes: int
    groups: int
    rows: int
    bits: int
    generate_width: int
    queue_depth: int


@dataclass(frozen=True)
class Program:
    """A network with the chain of cores that runs it."""

    network: Network
    cores: tuple[CorePlan, ...]

    @property
    def lanes(self) -> int:
        """Physical lanes of all cores together."""
        return sum(core.lanes for core in self.cores)


def plan_core(network: Network, position: int, lanes: int) -> CorePlan:
    """Sizes of the core that runs the `position`-th population (from 0) with about `lanes` lanes.

    Lanes beyond the channels that an event reaches would idle (all of them, or those of a convolution's group), and so
    would those of a last group left partly empty: the number is cut to what `groups` full groups need.
    """
    population = network.populations[position]
    (connection,) = network.incoming(population.name)
    channels, height, width = population.shape
    reached = channels // connection.geometry.groups if isinstance(connection.geometry, Conv2d) else channels
    groups = -(-channels // min(lanes, reached))
    lanes = -(-channels // groups)
    fires = isinstance(population.neuron, Neuron)
    return CorePlan(
        name=f"l{position + 1}_{population.name}",
        source=connection.source,
        connection=connection.name,
        population=population.name,
        lanes=lanes,
        groups=groups,
        rows=height * width * groups,
        bits=potential_bits(network)[population.name],
        generate_width=(1 if lanes % 2 else 2) if fires else 0,
        queue_depth=QUEUE_DEPTH if fires else 0,
    )
