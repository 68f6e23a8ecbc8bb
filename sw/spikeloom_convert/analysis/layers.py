"""Model, float network and integer network side by side, layer by layer: errors, clipping, rates, and what it costs."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from spikeloom.encoding import as_samples, samples_of
from spikeloom.errors import InvalidData
from spikeloom.golden import forward
from spikeloom.golden.values import Activity
from spikeloom.measure import Measurement, measure
from spikeloom.network import Input, Network, Population
from spikeloom.neuron import Neuron, train_weights
from torch import nn

from ..float_network import INPUT, FloatLayer, FloatNetwork
from ..folding.prepare import Norm, prepare
from ..samples import Samples
from .attribution import VARIANTS, Effect, Tally, centred, tallies, worst
from .float_snn import FloatSNN, Values, column, float_snn

Sums = defaultdict[str, float]  # "layer what"


@dataclass(frozen=True)
class LayerReport:
    """One population on the samples. Errors are squared and relative to the squares of what they are compared with.
    In a recurrent network they are those of the means over a sequence.

    Members
    -------
    name : of the population; the input is one, and so are a relay and one that goes on where another's codes end
        (`Provenance.continued`), which only have events and SOPs.
    neurons : how many.
    float_error, integer_error : of the float and the integer network's values against the model's activations; of a
        readout, after the common offset of its outputs is removed.
    rounding_error : of the integer network's values against the float network's.
    clipped : share of the values that have the largest code, of signed ones of either sign; in a synchronous network in
        every time step.
    beyond : share of the model's activations that no code reaches, by more than half a step.
    rate : events a neuron and time step.
    events : events a sample that it sends.
    sops : synaptic operations a sample of the connections that end in it.
    effects : what becomes of the answers, by variant, see `attribution.VARIANTS`.
    """

    name: str
    neurons: int
    float_error: float | None
    integer_error: float | None
    rounding_error: float | None
    clipped: float | None
    beyond: float | None
    rate: float | None
    events: float
    sops: float
    effects: Mapping[str, Effect]


@dataclass(frozen=True)
class Analysis:
    """A network layer by layer.

    Members
    -------
    samples : how many.
    accuracy_ann, accuracy_float, accuracy_snn : of the model, the float network and the integer network, None without
        labels.
    layers : in the network's order.
    worst_layer : where accuracy goes: that which alone loses most right answers or, where none loses more than chance
        may (`within_noise`) or there are no labels, that which alone moves the outputs most.
    within_noise : no layer alone loses more right answers than twice the square root of those it changes; None without
        labels.
    """

    samples: int
    accuracy_ann: float | None
    accuracy_float: float | None
    accuracy_snn: float | None
    layers: tuple[LayerReport, ...]
    worst_layer: str
    within_noise: bool | None


def analyse(
    model: nn.Module,
    network: Network,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    mean: Norm = None,
    std: Norm = None,
    progress: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Compare a trained model, the float network that fires as its conversion does, and the conversion itself.

    Parameters
    ----------
    model : the one that was converted.
    network : what it was converted to.
    x : samples as `spikeloom.encoding.encode` takes them.
    y : labels [N], or None.
    mean, std : as they were given to `convert`.
    progress : called with samples done and samples in all.

    Raises
    ------
    InvalidNetwork, NotBuilt
        As `float_snn`.
    InvalidData
        As `spikeloom.measure.measure`.
    """
    source = network.inputs[0]
    given = x if source.sequence else as_samples(source.name, x, source.shape)
    x = samples_of(source, x)
    found = measure(network, x, y)
    labels = None if y is None else np.asarray(y)
    try:
        prepared = prepare(model, Samples(given, labels), mean, std, network.provenance.turned)
    except InvalidData:
        if source.sequence or source.shape[1] != 1:
            raise
        # sequences, which the network has as images of one row
        prepared = prepare(model, Samples(given[:, :, 0], labels), mean, std, network.provenance.turned)
    twin = float_snn(prepared.network, network)

    def take(part: slice, activities: dict[str, Activity]) -> tuple[int, Sums, dict[str, Tally]]:
        seen = torch.from_numpy(Samples(x[part], None).seen).float()
        exact = _exact(twin.network, seen)
        integers = integer_values(network, activities)
        floats = twin.values(integers[INPUT])
        sums: Sums = defaultdict(float)
        for name in integers:
            _compare(sums, twin, name, exact[name], floats[name], integers[name], activities)
        expected = None if labels is None else torch.from_numpy(labels[part])
        return part.stop, sums, tallies(twin, exact, floats, integers, expected)

    sums: Sums = defaultdict(float)
    effects: dict[str, Tally] = {}
    for done, part_sums, part_effects in forward(network, x, take):
        for key, value in part_sums.items():
            sums[key] += value
        effects = {name: item + effects[name] if name in effects else item for name, item in part_effects.items()}
        if progress:
            progress(done, len(x))
    known = {name: tally.effect(effects["model"], labels is not None) for name, tally in effects.items()}
    populations: tuple[Input | Population, ...] = (source, *network.populations)
    reports = tuple(_report(network, item, found, sums, known) for item in populations)
    name, within = worst({item.name: item.effects["alone_rounded"] for item in reports if item.effects})
    last = network.populations[-1].name
    return Analysis(
        samples=len(x),
        accuracy_ann=known["model"].accuracy,
        accuracy_float=known[f"up_to {last}"].accuracy,
        accuracy_snn=found.accuracy,
        layers=reports,
        worst_layer=source.name if name == INPUT else name,
        within_noise=within,
    )


def integer_values(network: Network, activities: Mapping[str, Activity]) -> Values:
    """What every population of the integer network sends or reads out, [N, C, H, W] in the model's units.

    Codes times their worth, several neurons of an activation together; in a synchronous network the average time
    step's, in a recurrent one every time step's, [N, T, C, H, W]. Of the input under the name `INPUT`; relays are left
    out.
    """
    source = network.inputs[0]
    codes_of = sent_codes if source.sequence else mean_codes
    found: Values = {INPUT: sent_codes(network, source.name, activities[source.name]) * source.scale + source.zero}
    scales = {item.population: item.scale for item in network.readouts}
    for population in network.populations:
        if population.name in network.provenance.worths:
            codes = all_codes(network, population.name, activities, codes_of)
            found[population.name] = codes * column(np.array(network.provenance.worths[population.name]), codes)
        elif population.name in scales:
            potential = activities[population.name].potential
            assert potential is not None
            found[population.name] = potential.double() * scales[population.name]
    return found


def all_codes(
    network: Network,
    name: str,
    activities: Mapping[str, Activity],
    codes_of: Callable[[Network, str, Activity], torch.Tensor],
) -> torch.Tensor:
    """Codes of the activations that a population is the first of, or the only one, to send."""
    codes = codes_of(network, name, activities[name])
    for other in network.provenance.continued.get(name, ()):
        codes = codes + codes_of(network, other, activities[other])
    return codes


def mean_codes(network: Network, name: str, activity: Activity) -> torch.Tensor:
    """Codes of a population [N, C, H, W]; in a synchronous network the mean of what is sent in a time step."""
    return _mean(sent_codes(network, name, activity))


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Values [N, C, H, W], of [N, T, C, H, W] the means over the time steps."""
    return values.mean(1) if values.ndim == 5 else values


def sent_codes(network: Network, name: str, activity: Activity) -> torch.Tensor:
    """Codes of the input or a population [N, C, H, W]; what changes from one time step of a synchronous network to the
    next, of all of them, [N, T, C, H, W].
    """
    if activity.codes is not None:
        return activity.codes
    assert activity.train is not None
    each = activity.train.float().unflatten(1, (network.timesteps if network.schedule == "synchronous" else 1, -1))
    weights = torch.from_numpy(train_weights(network.train(name)[0], each.shape[2])).float()
    codes = torch.einsum("ntbchw,b->ntchw", each, weights)
    return codes if network.schedule == "synchronous" else codes[:, 0]


def _exact(network: FloatNetwork, x: torch.Tensor) -> Values:
    """The model's activations, and its outputs."""
    return {INPUT: x} | {layer.name: network.sent(layer, drive) for layer, drive in network.walk(x)}


def _compare(
    sums: Sums,
    twin: FloatSNN,
    name: str,
    exact: torch.Tensor,
    floats: torch.Tensor,
    integers: torch.Tensor,
    activities: Mapping[str, Activity],
) -> None:
    """Add up squares, and what is clipped, of one layer."""
    exact, floats, integers = (_mean(item.double()) for item in (exact, floats, integers))
    layer = next((item for item in twin.network.layers if item.name == name), None)
    if layer is not None and not layer.fires:
        exact, floats, integers = (centred(item) for item in (exact, floats, integers))
    for what, value in (
        ("power", exact),
        ("float power", floats),
        ("float", floats - exact),
        ("integer", integers - exact),
        ("rounding", integers - floats),
    ):
        sums[f"{name} {what}"] += float(value.square().sum())
    if layer is None or not layer.fires:
        return
    network, worth = twin.integers, column(np.array(twin.integers.provenance.worths[name]), exact)
    several = 1 + len(network.provenance.continued.get(name, ()))
    top = network.largest_code(name) * several
    sums[f"{name} clipped"] += float((all_codes(network, name, activities, mean_codes).abs() == top).sum())
    half = 0.5 / network.timesteps if network.schedule == "synchronous" and top == 1 else 0.5
    sums[f"{name} beyond"] += float(_beyond(layer, exact, (top + half) * worth).sum())
    sums[f"{name} values"] += exact.numel()


def _beyond(layer: FloatLayer, exact: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """Activations above the most that codes reach, or below the least where there are negative ones."""
    assert layer.response is not None
    return (exact.abs() > most) if layer.response.range[0] < 0 else (exact > most)


def _report(
    network: Network,
    item: Input | Population,
    measured: Measurement,
    sums: Sums,
    effects: Mapping[str, Effect],
) -> LayerReport:
    own = INPUT if isinstance(item, Input) else item.name
    known = f"{own} power" in sums
    neurons = int(np.prod(item.shape))

    def share(part: str, whole: str) -> float | None:
        least = sums[f"{own} {whole}"]
        return sums[f"{own} {part}"] / least if least else None

    events, rate = measured.spikes.get(item.name, 0.0), None
    if isinstance(item, Input) or isinstance(item.neuron, Neuron):
        repeats = max(item.sequence, 1) if isinstance(item, Input) else 1
        rate = events / neurons / network.train(item.name)[1] / repeats
    return LayerReport(
        name=item.name,
        neurons=neurons,
        float_error=share("float", "power"),
        integer_error=share("integer", "power"),
        rounding_error=share("rounding", "float power"),
        clipped=share("clipped", "values"),
        beyond=share("beyond", "values"),
        rate=rate,
        events=events,
        sops=sum(measured.sops[item.name] for item in network.incoming(item.name)),
        effects={name: effects[f"{name} {own}"] for name in VARIANTS} if known else {},
    )
