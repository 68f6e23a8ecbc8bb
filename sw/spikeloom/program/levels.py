"""Levels: what the neurons of a core begin with, fire at, and are reset by; a word for every slot of channels."""

from functools import lru_cache

import numpy as np

from ..bounds import potential_bits, signed_bits
from ..network import Network, Population
from ..neuron import Neuron, Silent, grow
from .program import CorePlan, fires
from .visits import Visit, stepwise, sweeps, visits

Words = dict[str, np.ndarray]
Bases = dict[tuple[int, str], int]
TOKEN_CEILING = 2  # what the generator clamps a spike that is fired alone to: twice its theta, which is 1
SWEPT = ("positive", "negative", "amount", "most")


@lru_cache(maxsize=256)
def core_visits(network: Network, core: CorePlan) -> tuple[Visit, ...]:
    """The visits of a core's sample, all of them."""
    return visits(network, core.source, tuple(layer.population for layer in core.layers))


def integrates(network: Network, core: CorePlan) -> bool:
    """Whether potentials are kept between visits, or are taken apart into sign and size."""
    names = [layer.population for layer in core.layers if fires(network, layer.population)]
    return sweeps(network, core_visits(network, core)) or any(network.sender(name).signed for name in names)


@lru_cache(maxsize=256)
def kept_words(network: Network, core: CorePlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First word of each layer in the memory of kept potentials and in that of kept inputs, and the words of all.

    A word holds the potentials of a slot, in the order in which the generator passes them.
    """
    found = core_visits(network, core)
    sizes = [len(layer.scan(core.generate_width or 1)) for layer in core.layers]
    recalled = {visit.layer for visit in found if visit.recalls}
    injected = {visit.layer for visit in found if visit.adds_input}
    states, inputs = (
        tuple(int(end) for end in np.cumsum([0, *(size * (n in kept) for n, size in enumerate(sizes))]))
        for kept in (recalled, injected)
    )
    return states, inputs


@lru_cache(maxsize=256)
def neuron_words(network: Network, core: CorePlan) -> tuple[Words, Bases]:
    """Words by field, and the first word of every layer and constant.

    Fields, one for each neuron n of a slot, wrapped to the core's bits: `initial<n>` (the constant), `theta<n>`; in
    cores that integrate, `positive<n>`, `negative<n>` (where it fires), `amount<n>` (subtracted by a soft reset, or
    to make a graded spike) and `most<n>` (of the clamp, or, where there is none, as in synchronous networks, added by a
    soft reset at a negative spike). A layer's border classes lie one behind the other.
    """
    slot, wrap = core.generate_width or 1, (1 << core.bits) - 1
    parts: dict[str, list[np.ndarray]] = {}
    bases: Bases = {}
    place, wide = 0, integrates(network, core)
    for key in dict.fromkeys(sorted((visit.layer, visit.constant) for visit in core_visits(network, core))):
        population = network.source(core.layers[key[0]].population)
        assert isinstance(population, Population)  # a core holds no input
        constant = _constant(population.neuron, key[1])
        alone = stepwise(network, population.name)
        vectors = {"initial": constant} | _thresholds(population.neuron, wide=wide, alone=alone)
        if wide and network.schedule == "synchronous":
            vectors["most"] = _added(population.neuron)
        for kind, vector in vectors.items():
            # places without a neuron never fire
            fill = {"initial": 0, "negative": -1}.get(kind, 1)
            padded = np.full((len(constant), -(-vector.shape[1] // slot) * slot), fill, np.int64)
            padded[:, : vector.shape[1]] = vector
            for n in range(slot):
                parts.setdefault(f"{kind}{n}", []).append(padded[:, n::slot].reshape(-1) & wrap)
        bases[key] = place
        place += len(parts["initial0"][-1])
    return {name: np.concatenate(part) for name, part in parts.items()}, bases


def level_widths(network: Network, core: CorePlan) -> dict[str, int]:
    """Bits of the fields of `neuron_words` that a core reads, whatever the levels are: the structure alone decides."""
    fields = neuron_words(network, core)[0]
    firing = any(fires(network, layer.population) for layer in core.layers)
    read = [name for name in fields if firing or name.startswith("initial")]
    return {name: core.bits - 1 if name.startswith("theta") else core.bits for name in read}


def border_count(population: Population) -> int:
    """Border classes of what the neurons of a population begin with, or are driven by."""
    drive = population.neuron.drive
    return max(len(population.neuron.initial), 0 if drive is None else len(drive))


def border_words(network: Network, core: CorePlan) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Words to skip among the neurons' for every row and every column of the layers with border classes."""
    skips: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for layer in core.layers:
        population = network.source(layer.population)
        assert isinstance(population, Population)
        if border_count(population) > 1:
            rows, columns = network.border_classes(layer.population)
            words = -(-layer.shape[0] // (core.generate_width or 1))
            skips[0].append(rows * (int(columns.max()) + 1) * words)
            skips[1].append(columns * words)
    return skips


def _constant(neuron: Neuron | Silent, kind: str) -> np.ndarray:
    """What a visit adds to the potentials, int64 [border classes, C]."""
    drive = np.zeros((1, neuron.initial.shape[1]), np.int64) if neuron.drive is None else neuron.drive
    grown = grow(neuron.initial, neuron.growth)
    constants = {"none": 0, "initial": neuron.initial, "first": grown + drive, "drive": drive, "later": -grown}
    return np.zeros_like(neuron.initial + drive) + constants[kind]


def _thresholds(neuron: Neuron | Silent, *, wide: bool, alone: bool) -> dict[str, np.ndarray]:
    """Vectors int64 [1, C]; a readout's are 1, for it never fires.

    So is theta where a spike is fired `alone`, in a visit of its own: it only stands for that spike, and may not fit.
    """
    if isinstance(neuron, Silent):
        ones = np.ones((1, neuron.initial.shape[1]), np.int64)
        return dict.fromkeys(("theta", *(SWEPT if wide else ())), ones)
    token = alone and not neuron.step_bits
    found = {"theta": np.ones_like(neuron.theta[:1]) if token else neuron.theta[:1]}
    if wide:
        positive, negative, amount = (None if item is None else item[:1] for item in neuron.thresholds)
        assert positive is not None
        assert amount is not None
        graded = neuron.step_gamma is not None
        found["positive"] = positive + graded  # a graded spike is sent above its threshold only
        found["negative"] = -neuron.theta[:1] if negative is None else negative
        found["amount"] = positive - neuron.step_gamma[:1] if neuron.step_gamma is not None else amount
        found["most"] = neuron.ceiling * neuron.theta[:1]
    return found


def _added(neuron: Neuron | Silent) -> np.ndarray:
    """What a soft reset adds at a negative spike, int64 [1, C]."""
    if isinstance(neuron, Silent) or not neuron.signed:
        return np.ones((1, neuron.initial.shape[1]), np.int64)
    return neuron.negative_amount[:1]


def level_limits(network: Network, name: str) -> tuple[int, int]:
    """Least and largest of the levels that the gates compare a population's potentials with, or with a spike that it
    fires alone; 0 where it divides.
    """
    population = network.source(name)
    assert isinstance(population, Population)
    neuron = population.neuron
    if isinstance(neuron, Silent) or not stepwise(network, name):
        return 0, 0
    levels = [_thresholds(neuron, wide=True, alone=True)[key] for key in ("positive", "negative")]
    most = max(int(item.max()) for item in levels)
    return min(int(item.min()) for item in levels), max(most, TOKEN_CEILING)


def core_bits(network: Network) -> dict[str, int]:
    """Width of each population's potentials, and of the levels that they are compared with."""
    levels = {item.name: signed_bits(*level_limits(network, item.name)) for item in network.populations}
    return {name: max(bits, levels[name]) for name, bits in potential_bits(network).items()}
