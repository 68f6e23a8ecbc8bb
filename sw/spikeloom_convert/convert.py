"""The whole conversion: a trained module and calibration samples in, a spiking network on the integer line out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from typing import TypeGuard

import numpy as np
import torch
from spikeloom.checks import MAX_SYNCHRONOUS_TIMESTEPS, MAX_TIMESTEPS
from spikeloom.datasets import require_classes
from spikeloom.errors import InvalidData, InvalidNetwork, listed, shown
from spikeloom.geometry import Conv2d
from spikeloom.network import Input, Network
from spikeloom.neuron import nearest_growth
from spikeloom.profile import profiled
from spikeloom.threads import single_threaded
from spikeloom.validate import MAX_PARTS, NAME, WEIGHT_BITS
from torch import nn

from .float_network import INPUT, FloatNetwork
from .folding.prepare import Norm, prepare
from .folding.relay import with_relay
from .methods import METHODS, Method, Synchronous
from .methods.spikeconverter import SpikeConverter
from .quantising.calibrate import RULES
from .quantising.fine_tune import BATCH, fine_tuned
from .quantising.quantise import quantise
from .quantising.quantise_layer import Settings
from .quantising.quantise_spiking import Widths, quantise_spiking
from .quantising.selection import Candidate, Reference, choose, input_notes, nearest_input, with_provenance
from .samples import (
    PIXEL_BITS,
    Samples,
    augmented,
    check,
    code_input,
    codes_of,
    heard,
    input_ranges,
    not_held,
    split,
    value_range,
)
from .spiking import SpikingNetwork

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is being done
_BUDGET_MACS = 20_000_000_000  # of one pass over the calibration samples
_BUDGET_VALUES = 1 << 24  # activations of a population
_LEAST_SAMPLES = 32
MOST_NEURONS = 8  # for one activation
ANALOGUE_BITS = 8  # of the input where it is injected as a constant


def convert(
    model: nn.Module,
    calibration: np.ndarray,
    *,
    method: str = "spikeconverter",
    timesteps: int | None = None,
    weight_bits: int = 6,
    input_timesteps: int | None = None,
    layer_timesteps: Mapping[str, int] | None = None,
    layer_neurons: Mapping[str, int] | None = None,
    labels: np.ndarray | None = None,
    growth: float = 2.0,
    code: str = "plain",
    options: Mapping[str, object] | None = None,
    mean: Norm = None,
    std: Norm = None,
    seed: int = 0,
    name: str = "net",
    progress: Progress | None = None,
) -> Network:
    """Convert a trained model; the model itself is not changed.

    Parameters
    ----------
    model : Linear, Conv1d, Conv2d, BatchNorm, ReLU, ReLU6, Hardtanh(0, a), LeakyReLU, PReLU, average and max pooling
        and the like, with residual additions, concatenations of channels and one or several outputs.
    calibration : samples (N, C, H, W), (N, C, L) or (N, F); of a recurrent network (N, T, F), or grey images whose rows
        are time steps; uint8, which the model sees as x/255, or float. A quarter, at most 1000, is held back to choose
        between thresholds and to measure; at most 1500 others are fitted on.
    method : "spikeconverter", two-phase iLIF with thresholds of least expected conversion error; or, on the synchronous
        schedule, "optimal-conversion", "strelu", "steprelu", "qcfs", "noisy-quantized", see `methods`.
    timesteps : T of every hidden train, 1..16; on the synchronous schedule of the whole sample, 1..256. None: 4, or as
        many as a sequence has for a recurrent network (`recurrent`), which takes no other number.
    weight_bits : 2..8.
    input_timesteps : bits of an input code, 1..16; default `timesteps`, at most 8 for uint8.
    layer_timesteps : T of the trains of some populations, by name or shell pattern ("layer1_*"); the last that
        matches holds. Trains that a residual addition repeats gain most by a longer one.
    layer_neurons : neurons for each activation of some populations, 1..8, likewise: N times the levels in as many time
        steps, see `quantising.several`. What they hear, weights and synaptic operations, is there N times, and so are
        the weights of those who hear them (N^2 times from such a population to another); a longer train costs less.
    labels : classes int [N]: the accuracy of both networks is measured and recorded.
    growth : of the hidden trains, 2 (iLIF, best), 1 (IF) or 1 + 2^-s; it, `layer_timesteps`, `layer_neurons` (growth 1
        and 2 only) and `code` belong to the two-phase schedule.
    code : of all trains, "plain", or "naf" for the minimal-weight code: the same values in fewer events.
    options : of the method, by name, such as {"shift": False}; see its class in `methods`.
    mean, std : normalisation the model expects but does not hold, one value or one a channel.
    seed : of the split and of every random choice; the same seed gives the same digest.
    name : of the network, [a-z][a-z0-9_]*.
    progress : called with steps done, steps in all, and what is being done.

    Returns
    -------
    Network
        Its provenance tells model, method, notes, versions, agreement of both networks on the held-back samples, and
        the accuracy of both there (ann, snn) where labels are given. Where not only the first population hears the
        input, a population repeats it for all of them, see `relay.with_relay`.

    Raises
    ------
    UnsupportedLayer
        Naming the first layer that has no spiking counterpart, and what to use instead.
    InvalidData, InvalidNetwork, NotBuilt
        Calibration data, weights or settings that cannot be used.

    Ref: SpikeConverter, Eq. 10 and 13, Algorithm 1.
    """
    own, several = dict(layer_timesteps or {}), dict(layer_neurons or {})
    asked, timesteps = timesteps, 4 if timesteps is None else timesteps
    chosen = _check_settings(
        method, timesteps, weight_bits, input_timesteps, own, several, growth, code, options, seed, name
    )
    samples = check(calibration, labels)
    if input_timesteps is None:
        bits = timesteps if isinstance(chosen, SpikeConverter) else ANALOGUE_BITS
        input_timesteps = min(bits, PIXEL_BITS) if samples.x.dtype == np.uint8 else bits
    settings = Settings(int(timesteps), int(weight_bits), float(growth), RULES[0], int(seed), code)
    with single_threaded():
        prepared = prepare(model, samples, mean, std)
        chosen.require_accepted(prepared.network)
        if prepared.network.sequence:
            settings = replace(settings, timesteps=_sequence(prepared.network, asked))
        if isinstance(chosen, SpikeConverter):
            chosen.require_tunable(prepared.network, len(samples))
        settings = replace(
            settings,
            own_timesteps=_by_layer(prepared.network, own, "layer_timesteps"),
            own_neurons=_by_layer(prepared.network, several, "layer_neurons"),
        )
        _require_connections(prepared.network, settings)
        check_labels(samples, prepared.network)
        fit, held = split(samples, settings.seed, affordable(prepared.network))
        reference = Reference.of(prepared, held)
        ranges = input_ranges(samples, int(input_timesteps))
        sources = [input_of(prepared.network, fit, span, int(input_timesteps), code) for span in ranges]
        source = nearest_input(prepared.network, sources, reference)
        codes = codes_of(fit, source)
        seen = torch.from_numpy(fit.seen.reshape(codes.shape)).clamp_(source.low, source.high).float()
        layers = len(prepared.network.layers)
        if isinstance(chosen, Synchronous):
            advance = counter(progress, layers)
            spiking = spiking_network(prepared.network, seen, chosen, settings.timesteps)
            widths = Widths(settings.weight_bits, settings.seed)
            made = quantise_spiking(spiking, source, codes, widths, name=name, advance=advance)
            best = Candidate.measure(f"{chosen}", made, reference)
        else:
            assert isinstance(chosen, SpikeConverter)
            rules = RULES if layers > 1 else RULES[:1]
            tuned = chosen.fine_tune > 0
            batches = chosen.fine_tune * -(-(len(samples) - len(held)) // BATCH)
            advance = counter(progress, (len(rules) + tuned) * layers + batches)
            candidates = []
            for rule in rules:
                own_rule = replace(settings, rule=rule)
                made = quantise(prepared.network, source, codes, seen, own_rule, name=name, advance=advance)
                candidates.append(Candidate.measure(rule, made, reference))
            if tuned:
                every = not_held(samples, settings.seed, affordable(prepared.network))
                levelled = _fine_tuned(prepared.network, source, every, settings, chosen, advance)
                made = quantise(levelled, source, codes, heard(fit, source), settings, name=name, advance=advance)
                rule_of = f"fine-tuned for {chosen.fine_tune} epochs on {len(every)} samples"
                candidates.append(Candidate.measure(rule_of, made, reference))
            best = choose(candidates)
        told = input_notes(prepared.network, source, reference, best.error, value_range(samples))
        notes = chosen.notes(prepared.network) + told
        network = with_relay(with_provenance(best, reference, method, asdict(chosen), len(fit), notes))
        return profiled(network, fit.x)


def _fine_tuned(
    network: FloatNetwork,
    source: Input,
    samples: Samples,
    settings: Settings,
    method: SpikeConverter,
    advance: Callable[[], None],
) -> FloatNetwork:
    """The float network with weights for the levels that its trains have."""
    codes = torch.from_numpy(codes_of(samples, source))
    nothing = round(min(max(-source.zero / source.scale, 0), (1 << source.timesteps) - 1))  # the code of 0
    tops = {layer.name: int(settings.of(layer.name).top) for layer in network.layers if layer.fires}

    def take(numbers: torch.Tensor) -> torch.Tensor:
        part = codes[numbers]
        part = augmented(part - nothing) + nothing if method.augment else part
        return part * source.scale + source.zero

    return fine_tuned(network, tops, take, len(codes), epochs=method.fine_tune, seed=settings.seed, advance=advance)


def spiking_network(network: FloatNetwork, seen: torch.Tensor, method: Synchronous, timesteps: int) -> SpikingNetwork:
    """The neurons that a method gives a network, from samples float [N, C, H, W] as the network takes them."""
    neurons = {
        layer.name: method.neuron(layer, layer.activate(drive), timesteps)
        for layer, drive in network.walk(seen)
        if layer.fires
    }
    return SpikingNetwork(network, neurons, timesteps, method.readout_growth)


def input_of(network: FloatNetwork, samples: Samples, span: tuple[float, float], timesteps: int, code: str) -> Input:
    """The input population, with `timesteps` bits a code, of samples in a range; see `samples.code_input`."""
    first = [layer for layer in network.layers if any(item.source == INPUT for item in layer.incoming)]
    geometries = [item.geometry for layer in first for item in layer.incoming if item.source == INPUT]
    padded = any(isinstance(geometry, Conv2d) and geometry.padding != (0, 0) for geometry in geometries)
    # no border classes where code 0 can mean 0
    origin = padded and span[0] >= 0 and all(layer.bias.shape[1:] == (1, 1) for layer in first)
    sequence = network.sequence
    return code_input(samples, network.input_shape, timesteps, span, origin=origin, code=code, sequence=sequence)


def _sequence(network: FloatNetwork, asked: int | None) -> int:
    """T of a recurrent network, which is that of its samples."""
    length = network.sequence
    if asked not in (None, length):
        raise InvalidNetwork(
            f"Convert: timesteps must be {length} or left out, the time steps of a sample of the recurrent model "
            f"'{network.name}', not {asked}"
        )
    if length > MAX_SYNCHRONOUS_TIMESTEPS:
        raise InvalidData(
            f"Calibration: sequences must have at most {MAX_SYNCHRONOUS_TIMESTEPS} time steps, not {length}; cut them"
        )
    return length


def _by_layer(network: FloatNetwork, wanted: Mapping[str, int], what: str) -> tuple[tuple[str, int], ...]:
    """Name and number of every layer that fires and that a pattern matches; `what` they are in an error."""
    names = [layer.name for layer in network.layers if layer.fires]
    idle = [pattern for pattern in wanted if not any(fnmatchcase(name, pattern) for name in names)]
    if idle:
        known = ", ".join(names) or "none"
        raise InvalidNetwork(
            f"Convert: {what} must name populations that fire ({known}), not {', '.join(map(shown, idle))}"
        )
    return tuple(
        (name, int(number)) for pattern, number in wanted.items() for name in names if fnmatchcase(name, pattern)
    )


def _require_connections(network: FloatNetwork, settings: Settings) -> None:
    """InvalidNetwork where several neurons would hear several by more connections than a network may have."""
    neurons = dict(settings.own_neurons)
    number = sum(
        neurons.get(layer.name, 1) * neurons.get(item.source, 1) for layer in network.layers for item in layer.incoming
    )
    if neurons and number > MAX_PARTS:
        raise InvalidNetwork(
            f"Convert: layer_neurons must make at most {MAX_PARTS} connections, not {number}, for each neuron hears "
            "all of its sources; give fewer"
        )


def counter(progress: Progress | None, steps: int) -> Callable[[], None]:
    """Tell that nothing is done yet; what it returns tells that one step more is."""
    done = -1

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps, "layers calibrated")

    advance()
    return advance


def _check_settings(
    method: str,
    timesteps: int,
    weight_bits: int,
    input_timesteps: int | None,
    layer_timesteps: Mapping[str, int],
    layer_neurons: Mapping[str, int],
    growth: float,
    code: str,
    options: Mapping[str, object] | None,
    seed: int,
    name: str,
) -> Method:
    """The method; or one error that lists everything that is out of range."""
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidNetwork(f"Convert: method must be one of {', '.join(METHODS)}, not {shown(method)}")
    chosen = METHODS[method].with_options(options or {})
    _check_growth(growth)
    found = []
    lengths: list[tuple[str, object, int]] = [("timesteps", timesteps, chosen.most_timesteps)]
    lengths += [] if input_timesteps is None else [("input_timesteps", input_timesteps, MAX_TIMESTEPS)]
    lengths += [(f"layer_timesteps of {shown(name)}", steps, MAX_TIMESTEPS) for name, steps in layer_timesteps.items()]
    lengths += [(f"layer_neurons of {shown(name)}", several, MOST_NEURONS) for name, several in layer_neurons.items()]
    found = length_violations(lengths)
    if chosen.SCHEDULE == "synchronous":
        two_phase = {
            "layer_timesteps": bool(layer_timesteps),
            "layer_neurons": bool(layer_neurons),
            "growth": growth != 2,
            "code": code != "plain",
        }
        found += [
            f"{what} must be left out for method {method}, which has one T and IF neurons"
            for what in two_phase
            if two_phase[what]
        ]
    if code not in ("plain", "naf"):
        found.append(f"code must be plain or naf, not {shown(code)}")
    elif code == "naf" and growth != 2:
        found.append(f"code naf must be with growth 2, not {growth:g}")
    if isinstance(chosen, SpikeConverter) and chosen.fine_tune and growth not in (1, 2):
        found.append(f"fine_tune must be with growth 1 or 2, not {growth:g}")
    if layer_neurons and growth not in (1, 2):
        found.append(f"layer_neurons must be with growth 1 or 2, not {growth:g}")
    found += common_violations(weight_bits, seed, name)
    if found:
        raise InvalidNetwork(f"Convert: {listed(found)}")
    return chosen


def _check_growth(growth: object) -> None:
    """InvalidNetwork naming the growth nearest to one that integers do not take, or that generates nothing."""
    near = ""
    if isinstance(growth, int | float) and not isinstance(growth, bool) and np.isfinite(growth):
        if nearest_growth(growth) == growth:
            return
        near = f"; the nearest is {nearest_growth(growth):g}"
    raise InvalidNetwork(
        f"Convert: growth must be 1 (IF), 2 (iLIF) or 1 + 2^-s with s in 1..15, not {shown(growth)}{near}"
    )


def length_violations(lengths: Sequence[tuple[str, object, int]]) -> list[str]:
    """Which of these numbers, by name and with the most there may be, are none."""
    return [
        f"{what} must be an integer in 1..{most}, not {shown(value)}"
        for what, value, most in lengths
        if not (_integer(value) and 1 <= value <= most)
    ]


def common_violations(weight_bits: object, seed: object, name: object) -> list[str]:
    """What is wrong with settings of every conversion."""
    found = []
    if not _integer(weight_bits) or weight_bits not in WEIGHT_BITS:
        found.append(
            f"weight_bits must be an integer in {WEIGHT_BITS.start}..{WEIGHT_BITS.stop - 1}, not {shown(weight_bits)}"
        )
    if not _integer(seed) or seed < 0:
        found.append(f"seed must be an integer of at least 0, not {shown(seed)}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        found.append(f"name must match {NAME.pattern}, not {shown(name)}")
    return found


def _integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_labels(samples: Samples, network: FloatNetwork) -> None:
    """InvalidData where a label is no output of the network."""
    if samples.y is not None:
        require_classes(samples.y, network.shape(network.readouts[0]))


def affordable(network: FloatNetwork) -> int:
    """Most calibration samples that are worth their time and memory."""
    macs, steps = network.macs, max(network.sequence, 1)
    values = steps * max(
        int(np.prod(shape)) for shape in (network.input_shape, *(layer.shape for layer in network.layers))
    )
    return max(_LEAST_SAMPLES, min(_BUDGET_MACS // macs, _BUDGET_VALUES // values))
