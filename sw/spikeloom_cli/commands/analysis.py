"""What `run` tells beyond its measures: the layers beside those of the model, and the energy of an inference."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..output import Answer, Cells, named_rows, percent, working
from .options import require_writable, trained_model

if TYPE_CHECKING:
    from spikeloom.energy import Energy
    from spikeloom.network import Network
    from spikeloom_convert.analysis.attribution import Effect
    from spikeloom_convert.analysis.layers import Analysis
    from torch import nn


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `run --layers` compares a network with: its model, how samples are shown to it, and a picture's path."""

    model: "nn.Module"
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    plot: Path | None

    def added_to(self, answer: Answer, network: "Network", data: Any) -> Answer:
        """The answer with the layers side by side."""
        from dataclasses import asdict

        from spikeloom_convert.analysis.layers import analyse

        with working(f"comparing {len(data)} samples layer by layer") as progress:
            found = analyse(self.model, network, data.x, data.y, mean=self.mean, std=self.std, progress=progress)
        if self.plot is not None:
            from ..plots.analysis import draw_layers

            draw_layers(self.plot, found)
        document = asdict(found)
        del document["samples"]
        if self.plot is not None:
            document["plot"] = str(self.plot)
        return Answer(answer.document | document, (*answer.tables, *layer_tables(found)))


def comparison(
    layers: bool,
    model: str | None,
    weights: Path | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plot: Path | None,
) -> Comparison | None:
    """What the options of run ask for; None without --layers.

    Raises
    ------
    InvalidData
        --layers without --model, or an option that goes with it alone.
    """
    from spikeloom.errors import InvalidData

    given = {"--model": model, "--weights": weights, "--mean": mean, "--std": std, "--plot": plot}
    if not layers:
        for name, value in given.items():
            if value is not None:
                raise InvalidData(f"Option '{name}': must be given with --layers, not alone; add --layers")
        return None
    if model is None:
        raise InvalidData("Option '--layers': must be given with --model, not alone; name the model of the network")
    if plot is not None:
        require_writable(plot, "a .png file")
    return Comparison(trained_model(model, weights), mean, std, plot)


def layer_tables(found: "Analysis") -> tuple[tuple[Cells, ...], ...]:
    """Layers side by side, what each does to the answers, and where accuracy goes."""
    heads = (
        "layer", "neurons", "error float", "error integers", "integers to float", "clipped", "beyond", "rate",
        "events/sample", "SOPs/sample",
    )  # fmt: skip
    values = [
        (
            item.name,
            str(item.neurons),
            *map(_share, (item.float_error, item.integer_error, item.rounding_error, item.clipped, item.beyond)),
            _share(item.rate),
            f"{item.events:,.1f}",
            f"{item.sops:,.0f}",
        )
        for item in found.layers
    ]
    variants = ("alone", "alone_rounded", "up_to", "up_to_rounded")
    titles = ("float alone", "alone", "float up to", "up to")
    effect_heads = ["layer"]
    for title in titles:
        effect_heads += [title, "changed", "output error"]
    effects = [
        (item.name, *(cell for name in variants for cell in _effect(item.effects[name])))
        for item in found.layers
        if item.effects
    ]
    accuracies = {
        "accuracy of the model": percent(found.accuracy_ann),
        "accuracy of the float SNN": percent(found.accuracy_float),
        "accuracy of the integers": percent(found.accuracy_snn),
        "accuracy goes in": verdict(found),
        "all layers together": f"change {_changes(found.layers[-1].effects['up_to_rounded'], found.samples)}",
    }
    return (heads, *values), (effect_heads, *effects), named_rows("Where accuracy goes", accuracies)


def verdict(found: "Analysis") -> str:
    """The worst layer as a sentence, with what it alone does."""
    effect = next(item for item in found.layers if item.name == found.worst_layer).effects["alone_rounded"]
    most = f"{found.worst_layer} moves the outputs most"
    if found.accuracy_ann is not None and found.accuracy_snn is not None and found.accuracy_snn >= found.accuracy_ann:
        more = round((found.accuracy_snn - found.accuracy_ann) * found.samples)
        return f"nowhere, nothing is lost ({more} right ones more than the model); {most}"
    alone = [item.effects["alone_rounded"].changed for item in found.layers if item.effects]
    if found.within_noise is None and not any(alone):
        return "nowhere, no layer alone changes an answer; there are no labels"
    text = f"{found.worst_layer}: alone it changes {_changes(effect, found.samples)}"
    if found.within_noise is None:
        return f"{text}; there are no labels"
    return f"{text}; within noise, as all layers are, but it moves the outputs most" if found.within_noise else text


def _changes(effect: "Effect", samples: int) -> str:
    """How many answers are others than the model's, and how many right ones that costs."""
    text = f"{effect.changed} of {samples} answers"
    if effect.lost is None:
        return text
    return f"{text}, {abs(effect.lost)} right ones {'fewer' if effect.lost >= 0 else 'more'}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3f} %"


def _effect(effect: "Effect") -> tuple[str, str, str]:
    return percent(effect.accuracy), str(effect.changed), _share(effect.logit_error)


def energy_of(network: "Network", sops: float) -> "Energy":
    """What an inference takes, against its model."""
    from spikeloom.energy import energy, macs

    return energy(sum(macs(network).values()), sops)


def energy_table(cost: "Energy") -> tuple[Cells, ...]:
    """The energy of an inference as a table."""
    from spikeloom.energy import MAC_PJ, SOP_PJ

    rows = {
        "MACs of the model": f"{cost.macs:,}",
        "energy of the model": _joules(cost.ann_pj),
        "SOPs": f"{cost.sops:,.0f}",
        "energy of the network": _joules(cost.snn_pj),
        "network to model": percent(cost.ratio),
    }
    title = f"Energy of an inference at {MAC_PJ:g} pJ a MAC and {1000 * SOP_PJ:g} fJ a SOP; padding multiplies nothing"
    return named_rows(title, rows)


def _joules(picojoules: float) -> str:
    return f"{picojoules / 1e6:,.4f} uJ"
