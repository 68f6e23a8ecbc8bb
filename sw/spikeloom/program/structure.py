"""Structure: what of a network the gates are made of, as opposed to the parameters in their memories."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import DoesNotFit, listed
from ..network import Network, Population
from ..neuron import Neuron, Silent
from .digits import digits
from .extents import listed_steps
from .levels import core_bits
from .program import CorePlan

INPUT = ("name", "shape", "timesteps", "signed", "code")
NEURON = ("timesteps", "growth", "reset_kind", "signed", "code", "step_bits")


def require_structure(network: Network, built: Network, cores: Sequence[CorePlan]) -> None:
    """Raise `DoesNotFit` listing everything for which a network needs other gates than those that were built.

    Parameters
    ----------
    network : whose parameters are to take the others' place.
    built, cores : what the gates were made of.
    """
    found = list(differences(network, built))
    if not found:  # only then the cores' layers are there
        found = list(_too_wide(network, built, cores))
    if found:
        raise DoesNotFit(
            f"Network '{network.name}': must have the structure of '{built.name}', for which the gates were made: "
            f"{listed(found)}; generate and synthesise it anew"
        )


def differences(network: Network, built: Network) -> Iterator[str]:
    """In which ways the structure of a network is not that of another, as sentences.

    Weights, thresholds, resets, initial potentials, drives and all scales may be others. So may the expected activity,
    from which only cycles are predicted.
    """
    if network.schedule != built.schedule:
        yield f"schedule must be {built.schedule}, not {network.schedule}"
    for kind in ("inputs", "populations", "connections"):
        ours, theirs = ([item.name for item in getattr(one, kind)] for one in (network, built))
        if ours != theirs:
            yield f"{kind} must be {', '.join(theirs)}, not {', '.join(ours)}"
    if [item.population for item in network.readouts] != [item.population for item in built.readouts]:
        yield "readouts must be the same populations"
    for ours, theirs in _pairs(network.inputs, built.inputs):
        yield from _unequal(f"input '{theirs.name}'", ours, theirs, INPUT)
    for ours, theirs in _pairs(network.populations, built.populations):
        yield from _neurons(ours, theirs)
    for ours, theirs in _pairs(network.connections, built.connections):
        yield from _unequal(f"connection '{theirs.name}'", ours, theirs, ("source", "target", "geometry", "shift"))


def _pairs(ours: Sequence[Any], theirs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    by_name = {item.name: item for item in ours}
    return ((by_name[item.name], item) for item in theirs if item.name in by_name)


def _unequal(who: str, ours: object, theirs: object, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        one, other = getattr(ours, name), getattr(theirs, name)
        if one != other:
            yield f"{who}: {name} must be {other}, not {one}"


def _neurons(ours: Population, theirs: Population) -> Iterator[str]:
    who, one, other = f"population '{theirs.name}'", ours.neuron, theirs.neuron
    yield from _unequal(who, ours, theirs, ("shape",))
    if isinstance(one, Silent) or isinstance(other, Silent):
        if type(one) is not type(other):
            yield f"{who}: must {'fire' if isinstance(other, Neuron) else 'be a readout'}"
        else:
            yield from _unequal(who, one, other, ("growth",))
    else:
        yield from _unequal(who, one, other, NEURON)
        if one.divides != other.divides:
            yield f"{who}: must {'' if other.divides else 'not '}fire at its theta and be reset by it"
    for vector in ("initial", "drive", "step_gamma"):
        classes = [0 if (item := getattr(neuron, vector, None)) is None else len(item) for neuron in (one, other)]
        if classes[0] != classes[1]:
            yield f"{who}: {vector} must have {classes[1]} border classes, not {classes[0]}"


def _too_wide(network: Network, built: Network, cores: Sequence[CorePlan]) -> Iterator[str]:
    """Numbers that the memories and adders of the cores do not hold, as sentences."""
    bits = core_bits(network)
    for core in cores:
        source = core.source
        for layer in core.layers:
            if bits[layer.population] > core.bits:
                yield (
                    f"population '{layer.population}': potentials must have at most {core.bits} bits, "
                    f"not {bits[layer.population]}"
                )
            for step in listed_steps(network, source, layer.population):
                if step.connection is not None:
                    yield from _weights(network, built, core, step.connection, by_rows=step.kind == "rows")
            source = layer.population


def _weights(network: Network, built: Network, core: CorePlan, name: str, *, by_rows: bool) -> Iterator[str]:
    ours, theirs = (next(item for item in one.connections if item.name == name) for one in (network, built))
    if by_rows:
        wanted, got = (digits(item, core.weight_bits, multiply=core.multiply)[0] for item in (theirs, ours))
        if wanted != got:
            yield f"connection '{name}': weights must have digits at {wanted}, not at {got}"
    elif (most := int(np.abs(ours.weights.astype(np.int64)).max(initial=0))) >= 1 << (core.weight_bits - 1):
        yield f"connection '{name}': weights must be below {1 << (core.weight_bits - 1)}, not {most}"
