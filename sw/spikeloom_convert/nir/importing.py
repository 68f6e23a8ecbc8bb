"""A NIR graph as a spiking network in floats: continuous time becomes time steps, by options that are said openly.

NIR writes neurons as differential equations and leaves open how time is cut, whether a reset takes off the threshold or
goes to v_reset, and whether potentials have a lower bound. `NirOptions` says it; nothing is taken from elsewhere.

    IF    V <- V + dt R I                                I, the readout: likewise
    LIF   V <- (1 - dt/tau) V + dt/tau (v_leak + R I)    LI, the readout: likewise   (forward Euler)

Then a neuron fires where V >= v_threshold and is reset. Feed-forward spikes are heard in the same time step; samples
are injected, as they are, in every one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import nir
import numpy as np
from spikeloom.checks import is_finite
from spikeloom.errors import InvalidNetwork, UnsupportedLayer, listed, shown
from spikeloom.geometry import Shape

from ..folding.fold import fold
from ..reading.operations import Add, Affine, AveragePool, Operation, Rectify
from ..response import Heaviside as Spike
from ..spiking import FloatNeuron, SpikingNetwork
from .graph import Wiring, where, wiring
from .nodes import LEAST, MOST, Heaviside, Place, by_channel, image_of, numbers, read, shape_of

DEFAULT_DT = 1e-4
RESETS = ("hard", "soft")
_CLOSE = 1e-5  # of a quotient of float32 numbers
_MOST_LEAK = 15
_LEAKY = (nir.LIF, nir.LI)
_READOUTS = (nir.I, nir.LI)
_NEURONS = (nir.IF, nir.LIF, *_READOUTS)


@dataclass(frozen=True)
class NirOptions:
    """What NIR leaves open.

    Parameters
    ----------
    dt : time of a step, in the unit of the time constants. None: 1e-4 where there are any, which is what snnTorch and
        SpikingJelly write; otherwise 1/R, so that a time step adds just what arrives.
    reset : "hard", to v_reset, which must be 0, as NIR's equations say; "soft": the threshold is subtracted.
    v_min : lower bound of potentials. None, there is no bound, is all that the core can do.
    round_leak : take the nearest leak that the core can do, V <- V - V/2^s, where dt/tau is no 2^-s. What an input adds
        to the potential stays dt/tau R.
    """

    dt: float | None = None
    reset: str = "hard"
    v_min: float | None = None
    round_leak: bool = False

    def __post_init__(self) -> None:
        found = []
        if self.dt is not None and not (is_finite(self.dt) and LEAST <= self.dt <= MOST):
            found.append(f"dt must be a number in {LEAST:g}..{MOST:g}, not {shown(self.dt)}")
        if not isinstance(self.reset, str) or self.reset not in RESETS:
            found.append(f"reset must be {' or '.join(RESETS)}, not {shown(self.reset)}")
        if self.v_min is not None:
            found.append(f"v_min must be None, potentials have no lower bound, not {shown(self.v_min)}")
        if not isinstance(self.round_leak, bool):
            found.append(f"round_leak must be true or false, not {shown(self.round_leak)}")
        if found:
            raise InvalidNetwork(f"NIR options: {listed(found)}")


def import_graph(
    graph: nir.NIRGraph,
    options: NirOptions,
    *,
    timesteps: int,
    samples: Shape | None = None,
    ahead: Callable[[int], Operation | None] = lambda channels: None,
    span: tuple[float, float] = (0.0, 1.0),
) -> SpikingNetwork:
    """The spiking network that a graph is with these options.

    The last node gives the readout: of Linear, Affine and Conv what they add up over all time steps, of I and LI their
    potential at the end; of IF and LIF the number of spikes, by a population behind them that adds 1 for each.

    Parameters
    ----------
    graph : see `nodes.READERS` for what may be in it; feed-forward, one input, one output.
    options : NirOptions
    timesteps : T.
    samples : (C, H, W) of the samples, where the graph may take them flattened; None: as the graph says.
    ahead : an operation ahead of the graph, for so many channels; it keeps the shape.
    span : range of the samples.

    Raises
    ------
    UnsupportedLayer, InvalidNetwork
        Naming the node.
    """
    wired = wiring(graph)
    built = _Builder(wired, options, samples, ahead)
    for name in wired.nodes:
        built.add(name)
    network = fold("NIR", built.shape, built.operations, low=span[0], high=span[1])
    for layer in network.layers:
        largest = max(np.abs(layer.bias).max(), *(np.abs(item.weights).max() for item in layer.incoming))
        if not largest <= (most := MOST * MOST):
            raise InvalidNetwork(f"{layer.where}: weights must lie in +-{most:g}, not reach {largest:g}; rescale them")
    neurons = {
        layer.name: built.neurons[layer.response.node] for layer in network.layers if isinstance(layer.response, Spike)
    }
    if not neurons:
        raise UnsupportedLayer("Graph: must hold at least one IF or LIF; convert the trained PyTorch model instead")
    network = replace(network, notes=(*built.said(), *network.notes))
    return SpikingNetwork(network, neurons, timesteps, built.readout_growth)


class _Builder:
    """The operations so far, and what every node gave: (operation, shape, flat)."""

    def __init__(
        self,
        wired: Wiring,
        options: NirOptions,
        samples: Shape | None,
        ahead: Callable[[int], Operation | None],
    ) -> None:
        self.wired, self.options = wired, options
        self.values: dict[str, tuple[int, Shape, bool]] = {}
        self.neurons: dict[str, FloatNeuron] = {}
        self.readout_growth = 1.0
        self.notes: list[str] = []
        self.name, *_, self.last = wired.nodes
        self.end = _behind_nothing(wired, self.last)
        self.dt = _time_step(wired, options)
        self.shape, flat = self._input_shape(samples)
        before = ahead(self.shape[0])
        self.operations: list[Operation] = [] if before is None else [before]
        self.values[self.name] = (len(self.operations) - 1, self.shape, flat)

    def said(self) -> list[str]:
        """What was decided, for people."""
        bound = "no lower bound of potentials (v_min none)"
        return [f"NIR with dt {self.dt:g}, {self.options.reset} reset, {bound}, fires at v_threshold", *self.notes]

    def add(self, name: str) -> None:
        """Take the next node."""
        node = self.wired.nodes[name]
        if name == self.name:
            return
        place = self._place(name, node)
        if isinstance(node, _READOUTS) and name != self.end:
            raise UnsupportedLayer(f"{place.where}: must be the last node, its potential is the output; use IF or LIF")
        step = self._neuron(node, place) if isinstance(node, _NEURONS) else read(node, place)
        self._append(name, step, place.source)
        if name == self.last:
            self._count_spikes(place)

    def _append(self, name: str, step: Heaviside, source: int) -> None:
        if step.operation is not None:
            self.operations.append(step.operation)
            source = len(self.operations) - 1
        self.values[name] = (source, step.after, step.flat)

    def _input_shape(self, samples: Shape | None) -> tuple[Shape, bool]:
        node = self.wired.nodes[self.name]
        who = where(self.name, node)
        given = shape_of(node, who)
        shape = image_of(given[1:] if len(given) > 1 and given[0] == 1 and len(given) == 4 else given, who)
        if samples is None or samples == shape:
            return shape, False
        if math.prod(samples) != math.prod(shape):
            raise InvalidNetwork(f"{who}: must take the samples {samples}, not {tuple(given)}; give others")
        if sum(extent > 1 for extent in shape) <= 1:
            return samples, True
        if sum(extent > 1 for extent in samples) <= 1:
            return shape, False
        raise InvalidNetwork(f"{who}: must take the samples {samples}, not {tuple(given)}; transpose them")

    def _place(self, name: str, node: nir.NIRNode) -> Place:
        """Where a node stands; several sources are added."""
        who, sources = where(name, node), [self.values[source] for source in self.wired.sources[name]]
        number, shape, flat = sources[0]
        if any(other[1] != shape for other in sources):
            shapes = ", ".join(str(other[1]) for other in sources)
            raise InvalidNetwork(f"{who}: must get sources of one shape, not {shapes}")
        if len(sources) > 1:
            self.operations.append(Add(who, name, shape, shape, inputs=tuple(other[0] for other in sources)))
            number, flat = len(self.operations) - 1, any(other[2] for other in sources)
        return Place(who, name, shape, flat, number)

    def _neuron(self, node: nir.NIRNode, place: Place) -> Heaviside:
        """What drives a neuron, in units of its potential, and, unless it is a readout, its spikes."""
        gain, shift, growth = self._dynamics(node, place)
        number = place.source
        if (gain != 1).any() or shift.any():
            self.operations.append(Affine(*place.heads(place.before), gain, shift, inputs=(number,)))
            number = len(self.operations) - 1
        if isinstance(node, _READOUTS):
            self.readout_growth = growth
            return Heaviside(Add(*place.heads(place.before), inputs=(number,)), place.before)
        theta = by_channel(node, "v_threshold", place)
        if theta.min() < LEAST:
            raise UnsupportedLayer(f"{place.where}: v_threshold must be at least {LEAST:g}, not {theta.min():g}")
        if node.v_reset is not None and (bad := by_channel(node, "v_reset", place)).any():
            raise UnsupportedLayer(f"{place.where}: v_reset must be 0, not {bad[bad != 0][0]:g}; shift the potential")
        self.neurons[place.name] = FloatNeuron(np.ones(len(theta)), theta, growth=growth, reset_kind=self.options.reset)
        spikes = Rectify(*place.heads(place.before), Spike(place.name, tuple(theta.tolist())), inputs=(number,))
        return Heaviside(spikes, place.before, place.flat)

    def _dynamics(self, node: nir.NIRNode, place: Place) -> tuple[np.ndarray, np.ndarray, float]:
        """Gain and shift of every channel, and growth."""
        gain = self.dt * by_channel(node, "r", place)
        if not isinstance(node, _LEAKY):
            return gain, np.zeros(len(gain)), 1.0
        tau = by_channel(node, "tau", place)
        if tau.min() < LEAST:
            raise InvalidNetwork(f"{place.where}: tau must be at least {LEAST:g}, not {tau.min():g}")
        part = self.dt / tau
        return gain / tau, part * by_channel(node, "v_leak", place), self._growth(part, place)

    def _growth(self, part: np.ndarray, place: Place) -> float:
        """1 - dt/tau, where the core can do that."""
        low, high = float(part.min()), float(part.max())
        if high - low > _CLOSE * high:
            raise UnsupportedLayer(
                f"{place.where}: tau must be the same for all its neurons, not {self.dt / high:g}..{self.dt / low:g}; "
                f"split the node"
            )
        shift = -math.log2(high)
        whole = min(max(round(shift), 1), _MOST_LEAK)
        if abs(high * 2.0**whole - 1) <= _CLOSE:
            return 1.0 - 2.0**-whole
        known = [1.0, *(1.0 - 2.0**-leak for leak in range(_MOST_LEAK, 0, -1))]
        near = sorted(sorted(known, key=lambda growth: abs(growth - (1 - high)))[:2])
        nearest = min(near, key=lambda growth: abs(growth - (1 - high)))
        if self.options.round_leak and high < 1:
            self.notes.append(f"{place.where}: leak 1 - dt/tau rounded from {1 - high:.6g} to {nearest:g}")
            return nearest
        help_ = ", or round_leak" if high < 1 else ""
        raise UnsupportedLayer(
            f"{place.where}: 1 - dt/tau must be 1 - 2^-s with s in 1..{_MOST_LEAK}, not {1 - high:.6g}; the nearest "
            f"are {' and '.join(f'{growth:g}' for growth in near)}: choose another tau or dt{help_}"
        )

    def _count_spikes(self, place: Place) -> None:
        """A readout that counts, where the network ends in spikes; nothing else where it ends in weights."""
        number = place.source
        self.operations.append(Add("Readout", "readout", place.before, place.before, inputs=(number,)))
        while number >= 0 and isinstance(self.operations[number], AveragePool | Affine):
            number = (self.operations[number].inputs or (-1,))[0]
        if number >= 0 and isinstance(last := self.operations[number], Rectify):
            self.notes.append(f"the readout counts the spikes of {last.where}")


def _behind_nothing(wired: Wiring, name: str) -> str:
    """The node that gives the output: the first, from there, that does something or has several sources."""
    while isinstance(wired.nodes[name], nir.Input | nir.Output) and len(wired.sources[name]) == 1:
        (name,) = wired.sources[name]
    return name


def _time_step(wired: Wiring, options: NirOptions) -> float:
    """dt, given or by default."""
    if options.dt is not None:
        return float(options.dt)
    if any(isinstance(node, _LEAKY) for node in wired.nodes.values()):
        return DEFAULT_DT
    neurons = {name: node for name, node in wired.nodes.items() if isinstance(node, _NEURONS)}
    every = [numbers(node, "r", where(name, node)).ravel() for name, node in neurons.items()]
    found = np.concatenate(every) if every else np.ones(1)
    if found.min() < 1 / MOST or found.max() - found.min() > _CLOSE * found.max():
        span = f"{found.min():g}..{found.max():g}"
        raise InvalidNetwork(f"Graph: dt must be given where R differs or is not positive ({span}), not left out")
    return 1.0 / float(found.max())
