"""stReLU: from how many time steps on its networks lose nothing, and what they spend."""

from typing import Any

from spikeloom_convert import NETWORKS

from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, at_timesteps, data, trained

# network, accuracy of the paper's ANN, time steps from which the paper's SNN loses nothing
RUNS = (("net1", 0.9829, 3), ("net2", 0.9929, 11), ("net3", 0.8990, 11))
OTHERS = ("trelu", "atlrelu")  # in place of stReLU, in the first network
TIMESTEPS = (1, 2, 3, 4, 6, 8, 11, 16)
NEAR = 0.003  # of the paper's accuracies
LOSSLESS = 0.0005  # of accuracy: within it nothing is lost


def strelu(bench: Bench) -> dict[str, Any]:
    """Accuracy of ANN and SNN against T, by network and activation function."""
    rows = []
    for name, paper, lossless in RUNS:
        source, recipe = NETWORKS[name].data, dict(NETWORKS[name].recipe)
        train, test = data(bench, source)
        for activation in ("strelu", *(OTHERS if name == RUNS[0][0] else ())):
            model = trained(bench, f"{name}:{activation}", train, **recipe)
            ann = accuracy(model, test.x, test.labels)
            curve = at_timesteps(bench, model, train, test, "strelu", TIMESTEPS)
            rows.append(
                {
                    "network": name,
                    "data": source,
                    "activation": activation,
                    **recipe,
                    "accuracy_ann": ann,
                    "lossless_from": lossless_from(ann, curve),
                    "paper": {"accuracy_ann": paper, "lossless_from": lossless} if activation == "strelu" else None,
                    "curve": curve,
                }
            )
    return {"weight_bits": WEIGHT_BITS, "seed": bench.seed, "rows": rows, "missed": missed(rows)}


def lossless_from(ann: float, curve: list[dict[str, Any]]) -> int | None:
    """The T from which on every measured network loses nothing; None if the last one does."""
    found = None
    for row in reversed(curve):
        if ann - row["accuracy"] > LOSSLESS:
            break
        found = row["timesteps"]
    return found


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """Where the paper's figures are not reached, as sentences."""
    found = []
    for row in rows:
        if (paper := row["paper"]) is None:
            continue
        if row["accuracy_ann"] < paper["accuracy_ann"] - NEAR:
            found.append(f"{row['network']}: ANN {row['accuracy_ann']:.2%}, the paper's {paper['accuracy_ann']:.2%}")
        if row["lossless_from"] is None or row["lossless_from"] > paper["lossless_from"]:
            found.append(
                f"{row['network']}: lossless from T={row['lossless_from']}, the paper's from {paper['lossless_from']}"
            )
    return found
