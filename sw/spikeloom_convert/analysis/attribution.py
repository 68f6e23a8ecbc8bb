"""Which layer the answers go wrong in: the model with one of its layers replaced, or with all up to one of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..float_network import INPUT, FloatNetwork
from .float_snn import FloatSNN, Values

# what fires; the rest is the model itself, on what it is given
VARIANTS = {
    "alone": "this layer alone, with the model's weights",
    "alone_rounded": "this layer alone, with the integer network's weights",
    "up_to": "all layers up to this one, with the model's weights",
    "up_to_rounded": "all layers up to this one, in integers",
}


@dataclass(frozen=True)
class Effect:
    """What becomes of the model's answers, which are those of its first output.

    Members
    -------
    accuracy : share of right answers, None without labels.
    lost : right answers fewer than the model has, None without labels.
    changed : answers that differ from the model's.
    logit_error : mean squared difference of the outputs over their mean square, common offsets removed.
    """

    accuracy: float | None
    lost: int | None
    changed: int
    logit_error: float

    @property
    def beyond_chance(self) -> bool:
        """More right answers lost than twice the standard deviation that the changed ones allow."""
        return self.lost is not None and self.lost > 2.0 * self.changed**0.5


@dataclass(frozen=True)
class Tally:
    """Sums over some samples that an `Effect` is made of."""

    samples: int
    right: int
    changed: int
    squares: float
    power: float

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.samples + other.samples,
            self.right + other.right,
            self.changed + other.changed,
            self.squares + other.squares,
            self.power + other.power,
        )

    def effect(self, model: "Tally", labelled: bool) -> Effect:
        """The effect against the model's own tally."""
        return Effect(
            self.right / self.samples if labelled else None,
            model.right - self.right if labelled else None,
            self.changed,
            self.squares / max(self.power, 1e-30),
        )


def tallies(
    twin: FloatSNN, exact: Values, floats: Values, integers: Values, labels: torch.Tensor | None
) -> dict[str, Tally]:
    """Tallies of all variants of all layers, as "variant layer", and of the "model".

    Parameters
    ----------
    twin : FloatSNN
    exact, floats, integers : what every layer sends or reads out, by name: the model's, the float and the integer
        network's.
    labels : int64 [N], or None.
    """
    network = twin.network
    expected = [exact[name] for name in network.readouts]
    found = {"model": _tally(expected, expected, labels)}
    heard: list[str] = []
    for name, layer in {INPUT: None, **{item.name: item for item in network.layers}}.items():
        heard.append(name)
        coded = integers[INPUT]
        replaced = {
            "alone": {name: coded if layer is None else twin.fire(layer, exact)},
            "alone_rounded": {name: coded if layer is None else twin.fire_rounded(layer, exact)},
            "up_to": {item: floats[item] for item in heard},
            "up_to_rounded": {item: integers[item] for item in heard},
        }
        for variant, values in replaced.items():
            found[f"{variant} {name}"] = _tally(outputs(network, exact, values), expected, labels)
    return found


def outputs(network: FloatNetwork, exact: Mapping[str, torch.Tensor], replaced: Values) -> list[torch.Tensor]:
    """The model's outputs where some layers send something else; what does not hear of it is taken from `exact`."""
    values, changed = {**exact, **replaced}, set(replaced)
    for layer in network.layers:
        if layer.name in replaced or not any(item.source in changed for item in layer.incoming):
            continue
        values[layer.name] = network.sent(layer, layer.drive(values))
        changed.add(layer.name)
    return [values[name] for name in network.readouts]


def _tally(got: list[torch.Tensor], expected: list[torch.Tensor], labels: torch.Tensor | None) -> Tally:
    answers, own = (values[0].flatten(1).argmax(1) for values in (got, expected))
    squares, power = 0.0, 0.0
    for pair in zip(got, expected, strict=True):
        value, wanted = (centred(item) for item in pair)
        scale = value.numel()
        squares += float((value - wanted).square().sum()) / scale * len(value)
        power += float(wanted.square().sum()) / scale * len(value)
    right = 0 if labels is None else int((answers == labels).sum())
    return Tally(len(own), right, int((answers != own).sum()), squares, power)


def centred(values: torch.Tensor) -> torch.Tensor:
    """Outputs float64 [N, outputs] without the offset that those of a sample have in common."""
    flat = values.flatten(1).double()
    return flat - flat.mean(1, keepdim=True)


def worst(alone: Mapping[str, Effect]) -> tuple[str, bool | None]:
    """The layer that does most harm alone, and whether what it loses is within noise (None: nobody knows)."""
    clear = {name: item for name, item in alone.items() if item.beyond_chance}
    if clear:
        return max(clear, key=lambda name: (clear[name].lost or 0, clear[name].logit_error)), False
    unknown = all(item.lost is None for item in alone.values())
    return max(alone, key=lambda name: alone[name].logit_error), None if unknown else True
