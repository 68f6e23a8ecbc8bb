"""All methods on one network: accuracy against time steps and against synaptic operations, and their gates."""

import tempfile
from pathlib import Path
from typing import Any

from spikeloom_convert import METHODS
from spikeloom_hw.build import generate
from spikeloom_sim import simulate

from ...output import working
from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, at_timesteps, converted, data, trained

NETWORK, EPOCHS = "mnist_cnn", 6
IMAGES = 2000  # of the test split for the curves: the longest trains take as long as 32 inferences
GATES = 100  # of them in gates
# method: activation function it is trained with, time steps, those in gates
RUNS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "spikeconverter": ("relu", (1, 2, 3, 4, 6, 8), 4),
    "optimal-conversion": ("trelu", (2, 4, 8, 16, 32), 8),
    "strelu": ("strelu", (1, 2, 4, 8, 16), 4),
    "steprelu": ("steprelu", (1,), 1),
    "qcfs": ("qcfs", (1, 2, 4, 8, 16), 4),
    "noisy-quantized": ("noisy-quantized", (1, 2, 4, 8, 16), 4),
}


def methods(bench: Bench) -> dict[str, Any]:
    """Curves, and integers of 100 real images that differ between Verilog and golden model."""
    train, test = data(bench, "mnist")
    some = test.head(min(IMAGES, len(test)))
    rows: list[dict[str, Any]] = []
    for method, (activation, timesteps, gates) in RUNS.items():
        model = trained(bench, f"{NETWORK}:{activation}", train, epochs=EPOCHS)
        network = converted(bench, model, train, method, gates)
        with tempfile.TemporaryDirectory() as folder, working(f"simulating {method}") as progress:
            build = generate(network, Path(folder) / "build", board="ulx3s-85f")
            result = simulate(
                build.folder, test.x[:GATES], test.labels[:GATES], simulator="cxxrtl", seed=bench.seed,
                progress=progress,
            )  # fmt: skip
        rows.append(
            {
                "method": method,
                "activation": activation,
                "accuracy_ann": accuracy(model, some.x, some.labels),
                "curve": at_timesteps(bench, model, train, some, method, timesteps),
                "gates": {
                    "timesteps": gates,
                    "images": result.samples,
                    "mismatches": result.mismatches,
                    "latency_cycles": result.latency_cycles,
                    "lanes": [core["lanes"] for core in build.manifest["cores"]],
                },
            }
        )
    return {
        "data": f"MNIST, {len(train)} training images, the first {len(some)} test images",
        "network": NETWORK,
        "epochs": EPOCHS,
        "weight_bits": WEIGHT_BITS,
        "seed": bench.seed,
        "rows": rows,
        "missed": [
            *(f"{name}: no run" for name in METHODS if name not in RUNS),
            *(f"{row['method']}: {row['gates']['mismatches']} integers differ" for row in rows if _differ(row)),
        ],
    }


def _differ(row: dict[str, Any]) -> bool:
    return bool(row["gates"]["mismatches"])
