"""Visits: in which order the generator of a core passes over its layers, and what it does to their potentials.

A layer that divides is visited once a sample: its potentials are complete, its whole trains are generated. Everything
else is a sweep: in a synchronous network every layer is visited in every time step, and so is a layer that fires by
steps (a growth other than 1 and 2, thresholds or resets of its own), which its receiver hears step by step.
"""

from dataclasses import dataclass, replace

from ..network import Input, Network, Population
from ..neuron import Neuron, Silent
from .program import Step, steps

UNROLLED = 3  # time steps of a synchronous program that have words of their own; the last one has, too


@dataclass(frozen=True)
class Visit:
    """One pass of the generator over the potentials of a layer, and what the lanes add to them before it.

    V = growth(kept) + kept input + what was added + constant; then it is clamped, fires, is reset, and is kept.

    Parameters
    ----------
    layer : position in the core.
    time : time step of the layer, from 0; of its source's train where the layer only gathers.
    steps : what the lanes add.
    recalls : V begins with what the visit before has left.
    growth : what that is multiplied by.
    constant : "none", "initial", "first" (grown initial potential, and drive), "drive", or "later" (drive again where
        the constant of the first time step was kept with the input).
    keeps_input, adds_input : what was added is kept for the later time steps; is added once more.
    action : "keep" (nothing leaves), "generate" (whole trains), "fire" (one time step), "read" (a readout).
    clamps : V is clamped first: the layer begins to fire.
    complete : V is the layer's accumulated potential (in this time step).
    final : what is left is the layer's remainder.
    """

    layer: int
    time: int
    steps: tuple[Step, ...]
    recalls: bool = False
    growth: float = 1.0
    constant: str = "initial"
    keeps_input: bool = False
    adds_input: bool = False
    action: str = "generate"
    clamps: bool = False
    complete: bool = True
    final: bool = True

    @property
    def sends(self) -> bool:
        """Whether trains leave, closed by an end mark."""
        return self.action in ("generate", "fire")

    @property
    def plain(self) -> bool:
        """Whether it needs nothing but the layer's accumulated potential."""
        return not self.recalls and self.constant == "initial" and self.action in ("generate", "read")


def swept(network: Network, name: str) -> bool:
    """Whether a population of a two-phase network fires step by step, and is heard so."""
    source = network.source(name)
    if network.schedule == "synchronous" or not isinstance(source, Population):
        return False
    return isinstance(source.neuron, Neuron) and not source.neuron.divides


def stepwise(network: Network, name: str) -> bool:
    """Whether a population that fires does so one time step a visit, rather than whole trains at once."""
    return network.schedule == "synchronous" or swept(network, name)


def sent_digits(network: Network, name: str) -> int:
    """Time steps that the events of a train name, up to its end mark: all of them, or one where it comes in sweeps."""
    sender = network.sender(name)
    if isinstance(sender, Input):
        return sender.steps
    if network.schedule == "synchronous":
        return max(sender.step_bits, 1)
    return 1 if swept(network, name) else sender.steps


def sent_binary(network: Network, name: str) -> bool:
    """Whether the spikes of such a train weigh powers of two rather than 1."""
    return not swept(network, name) and network.train(name)[0] == 2.0


def stored_bits(network: Network, name: str) -> int:
    """Bits of a code of that train in a store, two's complement where it is signed."""
    return network.largest_code(name).bit_length() + network.sender(name).signed


def visits(network: Network, source: str, populations: tuple[str, ...]) -> tuple[Visit, ...]:
    """All visits of a sample, in order, of a core that runs these populations and hears `source`."""
    if network.schedule == "synchronous":
        return tuple(visit for t in range(network.timesteps) for visit in _synchronous(network, source, populations, t))
    found: list[Visit] = []
    before = source
    for layer, name in enumerate(populations):
        listed = steps(network, before, name)
        first = _completed(network, layer, name, listed)
        last = layer - 1
        if swept(network, before):
            times = network.train(before)[1]
            growth = network.train(before)[0]
            for t in range(times):
                if t and layer:
                    found.append(_fired(network, last, populations[last], t))
                done = t == times - 1
                visit = first if done else Visit(layer, t, listed[:1], constant="none", action="keep", complete=False)
                found.append(replace(visit, recalls=t > 0, growth=growth if t else 1.0, final=visit.final and done))
        else:
            found.append(first)
        before = name
    if swept(network, before):
        layer = len(populations) - 1
        found += [_fired(network, layer, before, t) for t in range(1, network.train(before)[1])]
    return tuple(found)


def unrolled(network: Network, found: tuple[Visit, ...]) -> tuple[tuple[Visit, ...], tuple[int, int, int]]:
    """Visits of a program and its loop: (first visit, visits, how often) of those that are repeated.

    The middle time steps of a synchronous network are all alike; the first of them comes behind visits of its own kind.
    """
    times = network.timesteps if network.schedule == "synchronous" else 0
    if times <= UNROLLED + 1:
        return found, (0, 0, 1)
    layers = len(found) // times
    kept = tuple(visit for visit in found if visit.time < UNROLLED or visit.time == times - 1)
    return kept, ((UNROLLED - 1) * layers, layers, times - UNROLLED)


def sweeps(network: Network, found: tuple[Visit, ...]) -> bool:
    """Whether a core with these visits keeps potentials between them, or has negative ones that fire."""
    return any(not visit.plain for visit in found)


def _completed(network: Network, layer: int, name: str, listed: tuple[Step, ...]) -> Visit:
    """The visit in which a layer's potential is complete."""
    found = network.source(name)
    assert isinstance(found, Population)  # a core holds no input
    if isinstance(found.neuron, Silent):
        return Visit(layer, 0, listed, action="read")
    if not swept(network, name):
        return Visit(layer, 0, listed)
    return Visit(layer, 0, listed, action="fire", clamps=True, final=found.neuron.timesteps == 1)


def _fired(network: Network, layer: int, name: str, time: int) -> Visit:
    """A later time step of a layer that fires step by step."""
    growth, timesteps = network.train(name)
    return Visit(
        layer, time, (), recalls=True, growth=growth, constant="none", action="fire", complete=False,
        final=time == timesteps - 1,
    )  # fmt: skip


def _synchronous(network: Network, source: str, populations: tuple[str, ...], time: int) -> list[Visit]:
    """One time step of a synchronous network."""
    found, before, first = [], source, time == 0
    for layer, name in enumerate(populations):
        population, listed = network.source(name), steps(network, before, name)
        assert isinstance(population, Population)
        neuron, last = population.neuron, time == network.timesteps - 1
        incoming, port = network.incoming(name), network.inputs[0]
        # an input that is no sequence comes once, and what it adds is kept for the later time steps
        injected = not port.sequence and any(item.source == port.name for item in incoming)
        late = {item.name for item in incoming if network.recurrent(item)}
        if injected and not first:
            listed = tuple(step for step in listed if step.connection in late)
        elif first:  # nothing was fired before
            listed = tuple(step for step in listed if step.connection not in late)
        action = "fire" if isinstance(neuron, Neuron) else "read" if last else "keep"
        visit = Visit(
            layer, time, listed, recalls=not first, growth=neuron.growth, action=action, final=last,
            constant="first" if first else "later" if injected else "drive",
            keeps_input=injected and first, adds_input=injected and not first,
        )  # fmt: skip
        found.append(visit)
        before = name
    return found
