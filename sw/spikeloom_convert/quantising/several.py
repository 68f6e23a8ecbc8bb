"""Several neurons for one activation: each begins where the one before it is full.

A train of T steps has codes y up to a top Y. Neurons of one threshold that hear by the same synapses, the n-th of
them with (n - 1) * Y steps less to begin with, send y_n = clip(y - (n - 1) Y, 0, Y). Their sum is clip(y, 0, N Y): N
times the levels in as many time steps. Whoever hears one hears all of them, by the same weights; so does who pools
maxima, for a larger y has no smaller y_n. So between two populations of N and M neurons the weights are there N M
times. It is exact where a step is a whole number of units, as all are but those of clipped activations with coarse
weights (`quantise_layer` notes them) and of a fine-tune; of these the n-th neurons begin to the nearest unit.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
from spikeloom.encoding import event_counts
from spikeloom.network import Connection, Population
from spikeloom.neuron import Neuron

from ..float_network import LONGEST, FloatLayer, spare
from .quantise_layer import QuantisedLayer, Settings


def populations_of(layer: FloatLayer, made: QuantisedLayer, settings: Settings, taken: Set[str]) -> list[Population]:
    """The populations of a layer, the first of its own name, the others named unlike those `taken`."""
    neuron, train = made.neuron, made.train
    if settings.neurons == 1 or train is None or not isinstance(neuron, Neuron):
        return [Population(layer.name, layer.shape, neuron, made.activity)]
    top = int(settings.top) // settings.neurons
    found: list[Population] = []
    for number in range(settings.neurons):
        name = spare(f"{layer.name}_{number + 1}", taken) if number else layer.name
        codes = (train.codes - number * top).clamp(0, top).numpy()
        events = event_counts(codes, settings.code) if settings.growth == 2.0 else codes
        less = (2 * number * top * neuron.theta + settings.factor) // (2 * settings.factor)
        activity = float(events.sum(dtype=np.float64) / len(codes))
        found.append(Population(name, layer.shape, replace(neuron, initial=neuron.initial - less), activity))
    return found


def wired_to_all(
    given: Sequence[Connection],
    targets: Sequence[str],
    continued: Mapping[str, Sequence[str]],
    taken: Set[str],
) -> list[Connection]:
    """The connections of a layer, from all populations of its sources and into all of its own.

    Parameters
    ----------
    given : into the first population, from the first of each source.
    targets : the layer's populations.
    continued : those behind the first, by the first of a source.
    taken : names of all that there is.
    """
    every = [(item, source) for item in given for source in (item.source, *continued.get(item.source, ()))]
    found: list[Connection] = []
    for target in targets:
        for item, source in every:
            own = source == item.source and target == targets[0]
            names = taken | {other.name for other in (*given, *found)}
            name = item.name if own else spare(f"{target}_{source}"[:LONGEST], names)
            found.append(replace(item, name=name, source=source, target=target))
    return found
