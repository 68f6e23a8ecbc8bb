"""Checks of the values in a network, each by itself; they take anything, for a file may hold anything."""

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from .errors import shown
from .neuron import OPTIONAL_VECTORS, Neuron, Silent, growth_shift

if TYPE_CHECKING:
    from .network import Input, Population, Provenance

MAX_TIMESTEPS = 16
MAX_SYNCHRONOUS_TIMESTEPS = 256
MAX_POTENTIAL_BITS = 48
MAX_NEURONS = 1 << 24
MAX_TEXT = 1 << 20
MAX_EVENTS = 1 << 36  # a sample, more than any train can have


def is_integer(value: object, least: int, most: int) -> bool:
    """A Python int in [least, most]; True and False are none."""
    return type(value) is int and least <= value <= most


def is_finite(value: object) -> TypeGuard[float]:
    """A Python number that a float can hold, neither NaN nor infinite; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _all_positive(extents: tuple[Any, ...]) -> bool:
    return all(is_integer(extent, 1, MAX_NEURONS) for extent in extents)


def _shape(shape: object) -> list[str]:
    if isinstance(shape, tuple) and len(shape) == 3 and _all_positive(shape) and math.prod(shape) <= MAX_NEURONS:
        return []
    return [f"shape must be three positive integers of at most {MAX_NEURONS} neurons together, not {shown(shape)}"]


def _timesteps(timesteps: object, most: int = MAX_TIMESTEPS) -> list[str]:
    if is_integer(timesteps, 1, most):
        return []
    return [f"timesteps must be an integer in 1..{most}, not {shown(timesteps)}"]


def _growth(growth: Any) -> list[str]:
    if not is_finite(growth):
        return [f"growth must be a number, not {shown(growth)}"]
    try:
        growth_shift(growth)
    except ValueError as error:
        return [str(error)]
    return []


def is_events(value: object) -> bool:
    """A mean number of events a sample."""
    return is_finite(value) and 0 <= value <= MAX_EVENTS


def _flag(name: str, value: object) -> list[str]:
    return [] if isinstance(value, bool) else [f"{name} must be true or false, not {shown(value)}"]


def _activity(activity: Any) -> list[str]:
    return [] if is_events(activity) else [f"activity must be a number in 0..{MAX_EVENTS}, not {shown(activity)}"]


def _choice(name: str, value: object, choices: tuple[str, ...]) -> list[str]:
    fine = isinstance(value, str) and value in choices
    return [] if fine else [f"{name} must be {' or '.join(choices)}, not {shown(value)}"]


def provenance_violations(provenance: "Provenance") -> list[str]:
    """What is wrong with the type of a provenance; what it says is free."""
    texts: list[Any] = [provenance.model, provenance.method]
    tables = provenance.accuracy, provenance.versions
    kinds = isinstance(provenance.notes, tuple) and all(isinstance(table, dict) for table in tables)
    if kinds:
        texts += [*provenance.notes, *provenance.accuracy, *provenance.versions, *provenance.versions.values()]
        if isinstance(provenance.options, dict):
            texts += [str(item) for pair in provenance.options.items() for item in pair]
    if not kinds or not all(isinstance(text, str) for text in texts):
        return ["provenance must be text, a tuple of notes, and tables of accuracies and versions"]
    if sum(map(len, texts)) > MAX_TEXT:
        return [f"provenance must have at most {MAX_TEXT} characters, not {sum(map(len, texts))}"]
    options = provenance.options
    if not isinstance(options, dict) or not all(
        isinstance(name, str) and (isinstance(value, bool | str) or is_finite(value)) for name, value in options.items()
    ):
        return ["provenance: options must be text, numbers, true or false by name"]
    figures = ("units", provenance.units), ("worths", provenance.worths), ("turned", provenance.turned)
    for what, table in figures:
        scales = table.values() if isinstance(table, dict) else (None,)
        if not all(isinstance(item, tuple) and all(is_finite(number) for number in item) for item in scales):
            return [f"provenance: {what} must be tuples of finite numbers by population"]
        if not all(isinstance(name, str) for name in table):
            return [f"provenance: {what} must be by name of population"]
    continued = provenance.continued
    if not isinstance(continued, dict) or not all(
        isinstance(names, tuple) and all(isinstance(item, str) for item in (name, *names))
        for name, names in continued.items()
    ):
        return ["provenance: continued must be tuples of populations by population"]
    wrong = [(name, value) for name, value in provenance.accuracy.items() if not is_finite(value)]
    return [f"provenance: accuracy {shown(name)} must be a finite number, not {shown(value)}" for name, value in wrong]


def schedule_violations(schedule: object) -> list[str]:
    """What is wrong with a schedule."""
    return _choice("schedule", schedule, ("two-phase", "synchronous"))


def input_violations(source: "Input") -> list[str]:
    """What is wrong with an input."""
    found = _shape(source.shape) + _timesteps(source.timesteps) + _flag("signed", source.signed)
    numbers = (source.scale, source.zero, source.low, source.high)
    if not all(map(is_finite, numbers)):
        found.append(f"scale, zero, low and high must be finite, not {', '.join(map(shown, numbers))}")
    elif source.signed is True and source.low != -source.high:
        found.append(f"low must be -high with signed, not {shown(source.low)} with {shown(source.high)}")
    elif source.scale <= 0 or source.high <= source.low or not is_finite(source.high - source.low):
        found.append("scale must be positive and high above low")
    found += _naf(source.code, source.signed, source.growth)
    if not is_integer(source.sequence, 0, MAX_SYNCHRONOUS_TIMESTEPS):
        found.append(f"sequence must be an integer in 0..{MAX_SYNCHRONOUS_TIMESTEPS}, not {shown(source.sequence)}")
    elif not found and math.prod(source.shape) * source.sequence > MAX_NEURONS:
        values = math.prod(source.shape) * source.sequence
        found.append(f"sequence must have at most {MAX_NEURONS} values together, not {values}")
    return found + _activity(source.activity)


def _vectors(vectors: Iterable[tuple[str, Any]], channels: int, positive: tuple[str, ...] = ()) -> list[str]:
    found, classes = [], set()
    limit = 1 << (MAX_POTENTIAL_BITS - 1)
    for name, value in vectors:
        if not isinstance(value, np.ndarray):
            found.append(f"{name} must be int64 [border classes, {channels} channels], not {shown(value)}")
        elif value.dtype != np.int64 or value.shape[1:] != (channels,) or not len(value):
            kind = f"{value.dtype} {list(value.shape)}"
            found.append(f"{name} must be int64 [border classes, {channels} channels], not {kind}")
        elif name in positive and (value < 1).any():
            found.append(f"{name} must be at least 1, not {int(value.min())} ({int((value < 1).sum())} channels)")
        elif name == "fire_neg" and (value > -1).any():
            found.append(f"{name} must be at most -1, not {int(value.max())} ({int((value > -1).sum())} channels)")
        elif name == "step_gamma" and (value < 0).any():
            found.append(f"{name} must be at least 0, not {int(value.min())} ({int((value < 0).sum())} channels)")
        elif value.min() < -limit or value.max() >= limit:
            found.append(f"{name} must fit {MAX_POTENTIAL_BITS} bits")
        else:
            classes.add(len(value))
    if len(classes - {1}) > 1:
        found.append(f"all vectors must have one border class or the same number of them, not {sorted(classes)}")
    return found


def population_violations(population: "Population", *, synchronous: bool = False) -> list[str]:
    """What is wrong with a population and its neurons in a two-phase or synchronous network."""
    found = _shape(population.shape) + _activity(population.activity)
    neuron, channels = population.neuron, population.shape[0] if not found else 0
    if not isinstance(neuron, Neuron | Silent):
        return [*found, f"neuron must be a Neuron or Silent, not {shown(neuron)}"]
    if found:
        return found
    early = [name for name in ("drive", "step_gamma", "reset_neg") if getattr(neuron, name, None) is not None]
    if isinstance(neuron, Silent):
        drive = [] if neuron.drive is None else [("drive", neuron.drive)]
        found = _vectors([("initial", neuron.initial), *drive], channels) + _growth(neuron.growth)
        early += ["growth"] if is_finite(neuron.growth) and neuron.growth != 1 else []
    else:
        early += ["growth 0"] if is_finite(neuron.growth) and neuron.growth == 0 else []
        found = _firing(neuron, channels, MAX_SYNCHRONOUS_TIMESTEPS if synchronous else MAX_TIMESTEPS)
        found += _naf(neuron.code, neuron.signed, neuron.growth, synchronous=synchronous)
    if not synchronous:
        found += [f"{name} must be in a synchronous network, not in a two-phase one" for name in early]
    return found


def _firing(neuron: Neuron, channels: int, most_timesteps: int) -> list[str]:
    """What is wrong with a neuron that fires."""
    graded, hard = neuron.step_gamma is not None, isinstance(neuron.reset_kind, str) and neuron.reset_kind == "hard"
    optional = [(name, getattr(neuron, name)) for name in OPTIONAL_VECTORS if getattr(neuron, name) is not None]
    positive = ("theta", "reset", "reset_neg", *(() if graded else ("fire_pos",)))
    found = _vectors([("initial", neuron.initial), ("theta", neuron.theta), *optional], channels, positive)
    found += _timesteps(neuron.timesteps, most_timesteps) + _flag("signed", neuron.signed) + _growth(neuron.growth)
    found += _choice("reset_kind", neuron.reset_kind, ("soft", "hard"))
    if neuron.reset is not None and hard:
        found.append("reset must come with a soft reset_kind, a hard one leaves 0")
    if neuron.reset_neg is not None and hard:
        found.append("reset_neg must come with a soft reset_kind, a hard one leaves 0")
    found += [
        f"{name} must come with signed"
        for name in ("fire_neg", "reset_neg")
        if getattr(neuron, name) is not None and neuron.signed is False
    ]
    if graded and (not hard or neuron.signed is True):
        found.append("step_gamma must come with a hard reset_kind and without signed")
    if not is_integer(neuron.step_bits, 1 if graded else 0, MAX_TIMESTEPS if graded else 0):
        expected = f"an integer in 1..{MAX_TIMESTEPS} with step_gamma" if graded else "0 without step_gamma"
        found.append(f"step_bits must be {expected}, not {shown(neuron.step_bits)}")
    return found


def _naf(code: object, signed: object, growth: object, *, synchronous: bool = False) -> list[str]:
    """What is wrong with the code of a train."""
    found = _choice("code", code, ("plain", "naf"))
    if not isinstance(code, str) or code != "naf":
        return found
    if synchronous:
        found.append("code naf must be in a two-phase network")
    if is_finite(growth) and growth != 2:
        found.append(f"code naf must be with growth 2, not {shown(growth)}")
    if signed is True:
        found.append("code naf must be without signed")
    return found
