"""QCFS and noisy quantisation: the same network trained both ways, from several seeds."""

from statistics import mean, stdev
from typing import Any

from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, at_timesteps, data, trained

NETWORK, EPOCHS, LEVELS, TAU = "net5", 12, 4, 4
SEEDS = (0, 1, 2)
METHODS = ("qcfs", "noisy-quantized")
TIMESTEPS = (1, 2, 4)
IMAGES = 5000  # of the test split


def residual(bench: Bench) -> dict[str, Any]:
    """Accuracy of ANN and SNN by method, seed and T, with the spread over the seeds."""
    train, test = data(bench, "cifar10")
    test = test.head(min(IMAGES, len(test)))
    runs: list[dict[str, Any]] = []
    for seed in SEEDS:
        for method in METHODS:
            model = trained(
                bench, f"{NETWORK}:{method}", train, epochs=EPOCHS, seed=bench.seed + seed,
                parameters={"levels": LEVELS}, tau=TAU,
            )  # fmt: skip
            ann = accuracy(model, test.x, test.labels)
            curve = at_timesteps(bench, model, train, test, method, TIMESTEPS)
            runs.append({"method": method, "seed": bench.seed + seed, "accuracy_ann": ann, "curve": curve})
    return {
        "data": f"CIFAR-10, {len(train)} training and {len(test)} test images",
        "network": NETWORK,
        "epochs": EPOCHS,
        "levels": LEVELS,
        "tau": TAU,
        "weight_bits": WEIGHT_BITS,
        "runs": runs,
        "spread": [spread(runs, method, steps) for method in METHODS for steps in TIMESTEPS],
    }


def spread(runs: list[dict[str, Any]], method: str, timesteps: int) -> dict[str, Any]:
    """Mean and standard deviation over the seeds."""
    found = [
        row["accuracy"]
        for run in runs
        if run["method"] == method
        for row in run["curve"]
        if row["timesteps"] == timesteps
    ]
    return {"method": method, "timesteps": timesteps, "mean": mean(found), "deviation": stdev(found)}
