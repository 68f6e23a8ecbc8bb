"""The page of what the conversion methods reach, docs/reference/methods.md, and its pictures, from docs/results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeloom.storage import write_whole

from ...output import as_options
from .common import WEIGHT_BITS
from .pictures import curves, noise, shifts

Result = dict[str, Any]
HEAD = """# What the conversion methods reach

Written by `make bench-conversion` from [docs/results](../results); every figure is of integers, by the golden model,
unless a line says otherwise. Networks were trained on two cores in minutes, not for hundreds of epochs on GPUs as in
the papers: read the losses, not the accuracies.
"""


def update(results: Path) -> None:
    """Write the page and the pictures of the result files there are."""
    parts = [HEAD]
    for name, render in SECTIONS.items():
        path = results / f"{name}.json"
        if path.is_file():
            result = json.loads(path.read_text())
            parts.append("\n".join([*render(result), *_missed(result)]) + "\n")
            if (draw := PICTURES.get(name)) is not None:
                write_whole(results / f"{name}.png", draw(result))
    if len(parts) > 1:
        page = results.parent / "reference" / "methods.md"
        page.parent.mkdir(exist_ok=True)
        write_whole(page, "\n".join(parts).encode())


def few_steps(result: Result) -> list[str]:
    """ResNet-20 of somebody else's training."""
    rows = [
        [
            row["timesteps"], f"{row['accuracy_snn']:.2%}", f"{row['loss_points']:.2f}", row["changed_answers"],
            f"{row['logit_error']:.4f}", f"{row['sops_per_inference'] / 1e6:.1f} M",
            *(_beside(row[what]) if what in row else "-" for what in ("fine_tuned", "several")),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    return [
        "## ResNet-20 of somebody else's training, at fewer and fewer time steps",
        "",
        f"{result['data']}; {result['weight_bits']}-bit weights, seed {result['seed']}; the model has "
        f"{result['accuracy_ann']:.2%}. No labels are used. The last columns: the option `fine_tune`; two neurons for "
        "each activation that a residual addition repeats (`layer_neurons`), with all trains as long as T says.",
        "",
        *table(
            "T | SNN | points lost | answers changed | logit error | SOPs | fine-tuned: SNN, points lost, SOPs "
            "| two neurons: SNN, points lost, SOPs",
            rows,
        ),
    ]


def _beside(row: Result) -> str:
    return f"{row['accuracy_snn']:.2%}, {row['loss_points']:.2f}, {row['sops_per_inference'] / 1e6:.1f} M"


def peers(result: Result) -> list[str]:
    """Beside SpikingJelly."""
    labels = list(result["rows"][0]["spikingjelly"])
    rows = [
        [
            row["network"], row["timesteps"], f"{row['accuracy_ann']:.2%}", f"**{row['accuracy']:.2%}**",
            *(f"{row['spikingjelly'][label]:.2%}" for label in labels),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    return [
        "## Beside SpikingJelly's converters, of the same trained networks",
        "",
        f"{result['data']}; ours in integers of {result['weight_bits']} bits, theirs in floats.",
        "",
        *table("network | T | ANN | spikeconverter | " + " | ".join(labels), rows),
    ]


def strelu(result: Result) -> list[str]:
    """From which T on nothing is lost."""
    steps = [row["timesteps"] for row in result["rows"][0]["curve"]]
    rows = [
        [
            row["network"], row["data"], row["activation"], f"{row['accuracy_ann']:.2%}",
            *(f"{item['accuracy']:.2%}" for item in row["curve"]),
            row["lossless_from"] or "-",
            "-" if row["paper"] is None else f"{row['paper']['accuracy_ann']:.2%}, {row['paper']['lossless_from']}",
            _spent(row),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    heads = "network | data | activation | ANN | " + " | ".join(f"T={item}" for item in steps)
    trainings = {row["network"]: _training(row) for row in result["rows"]}
    return [
        "## stReLU",
        "",
        f"All training and test images; {result['weight_bits']}-bit weights, seed {result['seed']}. Energy: 4.6 pJ a "
        "MAC, 77 fJ a SOP, at the T from which nothing is lost.",
        "",
        "Trained by `spikeloom train`, with what these networks have by default where they go with stReLU: "
        + "; ".join(f"{name}: {text}" for name, text in trainings.items())
        + ".",
        "",
        *table(f"{heads} | lossless from T | the paper's | energy of the ANN's", rows),
    ]


def _training(row: Result) -> str:
    options = ("epochs", "batch", "learning_rate", "gain", "smoothing")
    return f"`{as_options({name: row[name] for name in options if name in row})}`"


def _spent(row: Result) -> str:
    found = [item["energy_ratio"] for item in row["curve"] if item["timesteps"] == row["lossless_from"]]
    return f"{found[0]:.1%}" if found else "-"


def residual(result: Result) -> list[str]:
    """QCFS and noisy quantisation."""
    rows = [
        [row["method"], row["timesteps"], f"{row['mean']:.2%}", f"{100 * row['deviation']:.2f}"]
        for row in result["spread"]
    ]
    ann = [
        [run["method"], run["seed"], f"{run['accuracy_ann']:.2%}", *(f"{row['accuracy']:.2%}" for row in run["curve"])]
        for run in result["runs"]
    ]
    steps = " | ".join(f"T={row['timesteps']}" for row in result["runs"][0]["curve"])
    return [
        "## QCFS and noisy quantisation",
        "",
        f"{result['network']}, {result['data']}, {result['epochs']} epochs, L={result['levels']}, tau={result['tau']}.",
        "",
        *table("method | T | mean of the seeds | standard deviation, points", rows),
        "",
        *table(f"method | seed | ANN | {steps}", ann),
    ]


def optimal(result: Result) -> list[str]:
    """Threshold and shift."""
    steps = " | ".join(f"T={row['timesteps']}" for row in result["rows"][0]["curve"])
    rows = [
        [row["label"], f"{row['accuracy_ann']:.2%}", *(f"{item['loss_points']:.2f}" for item in row["curve"])]
        for row in result["rows"]
    ]
    return [
        "## Optimal conversion: threshold and shift",
        "",
        f"Points lost; {result['network']}, {result['data']}, {result['epochs']} epochs.",
        "",
        *table(f"training and conversion | ANN | {steps}", rows),
        "",
        "![points lost against time steps](../results/optimal.png)",
    ]


def half_step(result: Result) -> list[str]:
    """Why optimal conversion loses what it does, and what does not."""
    places = [name for name in result["rows"][0]["curve"][0] if name != "timesteps"]
    rows = [
        [row["label"], f"{row['accuracy_ann']:.1%}", name, *(f"{item[name]:.1%}" for item in row["curve"])]
        for row in result["rows"]
        for name in places
    ]
    steps = " | ".join(f"T={item['timesteps']}" for item in result["rows"][0]["curve"])
    layers = list(result["rows"][0]["errors"]["nothing"])
    shown = [layers[part * (len(layers) - 1) // 6] for part in range(7)]
    off = [
        [row["label"], added, *(f"{found[name]:.3f}" for name in shown)]
        for row in result["rows"]
        for added, found in row["errors"].items()
    ]
    integers = "; ".join(f"T={item['timesteps']}: {item['accuracy']:.1%}" for item in result["integers"])
    return [
        "## Why optimal conversion loses that much: spikes come unevenly, the half step late",
        "",
        f"{result['data']}, floats, step by step but for the lines *layer by layer*, where each layer hears the "
        "averages of the one ahead over all T (Eq. 7). theta/2 is added to a potential, or is not: theta/(2T) in every "
        "step is Algorithm 1, all of it at the start is the same term of Eq. 5, and what method `qcfs` does.",
        "",
        *table(f"network | ANN | theta/2 | {steps}", rows),
        "",
        f"How far spikes are off, root mean square in parts of the activations', at T={result['layers_at']}, from the "
        "first layer to the last that fires:",
        "",
        *table("network | theta/2 | " + " | ".join(shown), off),
        "",
        f"The first network converted by `qcfs`, in integers of {WEIGHT_BITS}-bit weights: {integers}.",
        "",
        "Layer by layer next to nothing is lost from some T on: what is lost step by step is the work of spikes that "
        "come unevenly. A neuron that starts empty is half a spike late, so is all that the next one hears, and spikes "
        "that should not have been are not taken back: the error grows layer by layer. The half that is added in every "
        "step is whole only in the last one. With threshold ReLUs behind batch norm its place decides, with the plain "
        "ReLUs it does not. What batch norm has to do with it: "
        "[0039](../decisions/0039-half-a-step-comes-late.md).",
    ]


def steprelu(result: Result) -> list[str]:
    """One time step, and noise."""
    rows = [
        [f"{row['gamma']:g}", f"{row['accuracy_ann']:.2%}", f"{row['accuracy_snn']:.2%}", f"{row['loss_points']:.2f}"]
        for row in result["rows"]
    ]
    repeats = result["repeats"]
    leaky = [
        [f"{row['share']:.0%}", *(f"{row[name]:.2%}" for name in ("relu", "kept", "leaky"))] for row in repeats["rows"]
    ]
    return [
        "## StepReLU: one time step, noise",
        "",
        f"{result['network']}, {result['data']}; the same network with ReLU has {result['accuracy_relu']:.2%}.",
        "",
        *table("gamma | ANN | SNN, T=1 | points lost", rows),
        "",
        f"Over {repeats['timesteps']} time steps of which one is noisy (float SNN, gamma {repeats['gamma']:g}):",
        "",
        *table("pixels black or white | ANN with ReLU, all noisy | SNN, readout keeps all | SNN, readout leaks", leaky),
        "",
        "![accuracy against noise](../results/steprelu.png)",
    ]


def recurrent(result: Result) -> list[str]:
    """Recurrent networks."""
    rows = [
        [
            "ReLU" if row["bound"] is None else f"threshold ReLU, bound {row['bound']:g}", f"{row['accuracy_ann']:.2%}",
            *(f"{row[name][key]:{form}}" for name in ("shifted", "plain")
              for key, form in (("accuracy", ".2%"), ("loss_points", ".2f"))),
            f"{row['shifted']['sops'] / 1e3:.0f} k",
        ]
        for row in result["rows"]
    ]  # fmt: skip
    heads = "activation | RNN | SNN | points lost | SNN without the shift | points lost | SOPs"
    return [
        "## Optimal conversion of a recurrent network",
        "",
        f"{result['network']}, {result['data']}, {result['timesteps']} time steps of both, {result['epochs']} epochs; "
        f"{result['weight_bits']}-bit weights, seed {result['seed']}.",
        "",
        *table(heads, rows),
    ]


def methods(result: Result) -> list[str]:
    """All methods on one network."""
    rows = [
        [
            row["method"], row["activation"], f"{row['accuracy_ann']:.2%}", row["gates"]["timesteps"],
            row["gates"]["images"], row["gates"]["mismatches"], f"{row['gates']['latency_cycles']:,.0f}",
        ]
        for row in result["rows"]
    ]  # fmt: skip
    return [
        "## All methods on one network, and in gates",
        "",
        f"{result['network']}, {result['data']}, {result['epochs']} epochs.",
        "",
        *table("method | trained with | ANN | T in gates | images | integers that differ | cycles of an image", rows),
        "",
        "![accuracy against time steps and synaptic operations](../results/methods.png)",
    ]


def table(heads: str, rows: list[list[Any]]) -> list[str]:
    """A table in Markdown; `heads` between bars."""
    count = heads.count("|") + 1
    return [f"| {heads} |", "|" + "---|" * count, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def _missed(result: Result) -> list[str]:
    if "missed" not in result:
        return []
    missed = result["missed"]
    return ["", *(["Not reached: " + "; ".join(missed) + "."] if missed else ["All that was aimed at is reached."])]


SECTIONS: dict[str, Callable[[Result], list[str]]] = {
    "few_steps": few_steps,
    "peers": peers,
    "methods": methods,
    "strelu": strelu,
    "steprelu": steprelu,
    "residual": residual,
    "optimal": optimal,
    "half_step": half_step,
    "recurrent": recurrent,
}
PICTURES: dict[str, Callable[[Result], bytes]] = {"methods": curves, "optimal": shifts, "steprelu": noise}
