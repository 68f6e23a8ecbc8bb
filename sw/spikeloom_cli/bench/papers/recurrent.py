"""Optimal conversion of recurrent networks: images row by row, as the paper's appendix A.4 has sentences."""

from typing import Any

from spikeloom.measure import measure

from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, converted, data, trained

NETWORK, EPOCHS, IMAGES = "mnist_rnn", 6, 20_000  # images of the training split
RATE = 3e-3
BOUNDS = (1.0, 0.5, 0.25)  # of the threshold ReLU; that of a ReLU is its largest activation
NEAR = 0.02  # of the model's accuracy: as much may be lost; the paper loses nothing


def recurrent(bench: Bench) -> dict[str, Any]:
    """Accuracy of recurrent models and of their spiking networks, by activation function, with and without shift."""
    train, test = data(bench, "mnist")
    train = train.head(min(IMAGES, len(train)))
    rows = []
    for bound in (*BOUNDS, None):
        name = f"{NETWORK}:{'relu' if bound is None else 'trelu'}"
        parameters = {} if bound is None else {"bound": bound}
        model = trained(bench, name, train, epochs=EPOCHS, learning_rate=RATE, parameters=parameters)
        row: dict[str, Any] = {"bound": bound, "accuracy_ann": accuracy(model, test.x, test.labels)}
        for shift in (True, False):
            network = converted(bench, model, train, "optimal-conversion", None, options={"shift": shift})
            found = measure(network, test.x, test.y)
            assert found.accuracy is not None
            row["shifted" if shift else "plain"] = {
                "accuracy": found.accuracy,
                "loss_points": round(100 * (row["accuracy_ann"] - found.accuracy), 2),
                "sops": found.sops_per_inference,
            }
        rows.append(row)
    return {
        "network": NETWORK,
        "data": f"MNIST, {len(train)} training and {len(test)} test images, row by row",
        "timesteps": 28,
        "epochs": EPOCHS,
        "weight_bits": WEIGHT_BITS,
        "seed": bench.seed,
        "rows": rows,
        "missed": missed(rows),
    }


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """Where the paper's claims are not reached, as sentences: nothing is lost, neither by conversion nor to the best
    model, and much is without a threshold.
    """
    losses = {row["bound"]: row["accuracy_ann"] - row["shifted"]["accuracy"] for row in rows}
    least = min(loss for bound, loss in losses.items() if bound is not None)
    found = []
    if least > NEAR:
        found.append(f"the threshold ReLU loses {100 * least:.2f} points at least, above {100 * NEAR:g}")
    best, reached = max(row["accuracy_ann"] for row in rows), max(row["shifted"]["accuracy"] for row in rows)
    if best - reached > NEAR:
        found.append(f"the best spiking network has {reached:.2%}, the best model {best:.2%}")
    if losses[None] <= least:
        found.append(f"the ReLU loses {100 * losses[None]:.2f} points, no more than the threshold ReLU")
    return found
