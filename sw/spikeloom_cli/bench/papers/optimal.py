"""Optimal conversion: threshold and shift, apart and together, against T, as in the paper's Fig. 3 A."""

from typing import Any

from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, at_timesteps, data, trained

NETWORK, EPOCHS, PLAIN = "resnet20", 10, 2  # epochs, of which the first are without a threshold
TIMESTEPS = (8, 16, 32, 64)
IMAGES = 1000  # of the test split: the longest trains take as long as 64 inferences
CURVES = {
    "ReLU": ("relu", False),
    "ReLU and shift": ("relu", True),
    "threshold ReLU": ("trelu", False),
    "threshold ReLU and shift": ("trelu", True),
}


def optimal(bench: Bench) -> dict[str, Any]:
    """Accuracy that is lost, by activation function and shift."""
    train, test = data(bench, "cifar10")
    test = test.head(min(IMAGES, len(test)))
    models = {}
    for activation in ("relu", "trelu"):
        more = {"plain_epochs": PLAIN} if activation == "trelu" else {}
        models[activation] = trained(bench, f"{NETWORK}:{activation}", train, epochs=EPOCHS, **more)
    rows = []
    for label, (activation, shift) in CURVES.items():
        ann = accuracy(models[activation], test.x, test.labels)
        curve = at_timesteps(
            bench, models[activation], train, test, "optimal-conversion", TIMESTEPS, options={"shift": shift}
        )
        for row in curve:
            row["loss_points"] = round(100 * (ann - row["accuracy"]), 2)
        rows.append({"label": label, "accuracy_ann": ann, "curve": curve})
    return {
        "data": f"CIFAR-10, {len(train)} training and {len(test)} test images",
        "network": NETWORK,
        "epochs": EPOCHS,
        "weight_bits": WEIGHT_BITS,
        "seed": bench.seed,
        "rows": rows,
    }
