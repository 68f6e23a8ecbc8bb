"""StepReLU: one time step, and noise, without and with a leaky readout over ten of them."""

from typing import Any

import numpy as np
import torch
from spikeloom.datasets import Data
from spikeloom_convert.convert import spiking_network
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.methods.steprelu import StepReLUMethod
from spikeloom_convert.samples import check
from spikeloom_convert.spiking import averages
from torch import nn

from ...output import working
from ..nets import Bench
from .common import WEIGHT_BITS, accuracy, converted, data, spiking_accuracy, trained
from .noise import salted

NETWORK, EPOCHS = "net5", 12
GAMMAS = (0.05, 0.1, 0.3)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)  # of pixels
IMAGES = 2000  # of the test split
REPEATS, LEAK = 10, 1  # time steps of which one is noisy; kappa = 1 - 2^-LEAK
MOST_LOSS = 0.15  # points, at one time step
_CHUNK = 100


def steprelu(bench: Bench) -> dict[str, Any]:
    """Accuracy of ANN and SNN at T=1; accuracy against noise, of ReLU, of StepReLU, and with a leak."""
    train, test = data(bench, "cifar10")
    noisy_test = test.head(min(IMAGES, len(test)))
    relu = trained(bench, f"{NETWORK}:relu", train, epochs=EPOCHS)
    rng = np.random.default_rng(bench.seed)
    images = {share: salted(noisy_test.x, share, rng) for share in SHARES}
    labels = noisy_test.labels
    rows: list[dict[str, Any]] = []
    for gamma in GAMMAS:
        model = trained(bench, f"{NETWORK}:steprelu", train, epochs=EPOCHS, parameters={"gamma": gamma})
        network = converted(bench, model, train, "steprelu", 1)
        ann = accuracy(model, test.x, test.labels)
        snn = spiking_accuracy(network, test.x, test.labels)
        noise = [
            {
                "share": share,
                "relu": accuracy(relu, x, labels),
                "steprelu": accuracy(model, x, labels),
                "snn": spiking_accuracy(network, x, labels),
            }
            for share, x in images.items()
        ]
        loss = round(100 * (ann - snn), 2)
        rows.append({"gamma": gamma, "accuracy_ann": ann, "accuracy_snn": snn, "loss_points": loss, "noise": noise})
    leaky = [
        {
            "share": share,
            "relu": accuracy(relu, images[share], labels),
            "leaky": _repeated(model, train, noisy_test.x, images[share], labels, LEAK, bench.seed),
            "kept": _repeated(model, train, noisy_test.x, images[share], labels, 0, bench.seed),
        }
        for share in SHARES
    ]
    return {
        "data": f"CIFAR-10, {len(train)} training, {len(test)} test images; noise on the first {len(noisy_test)}",
        "network": NETWORK,
        "epochs": EPOCHS,
        "weight_bits": WEIGHT_BITS,
        "seed": bench.seed,
        "accuracy_relu": accuracy(relu, test.x, test.labels),
        "rows": rows,
        "repeats": {"timesteps": REPEATS, "leak": LEAK, "gamma": GAMMAS[-1], "rows": leaky},
        "missed": [
            f"gamma {row['gamma']:g}: T=1 loses {row['loss_points']:g} points, above {MOST_LOSS:g}"
            for row in rows
            if row["loss_points"] > MOST_LOSS
        ],
    }


def _repeated(
    model: nn.Module, train: Data, clean: np.ndarray, noisy: np.ndarray, labels: np.ndarray, leak: int, seed: int
) -> float:
    """Accuracy of the float SNN that is shown every image ten times, one of these, at random, being the noisy one.

    Neurons forget between the time steps what they kept, as the paper's network runs once for each; its readout leaks.
    """
    samples = check(train.x[:500])
    prepared = prepare(model, samples, None, None)
    seen = torch.from_numpy(samples.seen).float()
    method = StepReLUMethod(leak=leak)
    once = spiking_network(prepared.network, seen, method, 1)
    where = np.random.default_rng(seed).integers(REPEATS, size=len(clean))
    readout = prepared.network.readouts[0]
    right = 0
    with torch.inference_mode(), working(f"repeats, leak {leak}") as progress:
        for start in range(0, len(clean), _CHUNK):
            part = slice(start, start + _CHUNK)
            shown = [torch.from_numpy(x[part]).float() / 255 for x in (clean, noisy)]
            calm, loud = (averages(once, x)[readout] for x in shown)
            total = torch.zeros_like(calm)
            for step in range(REPEATS):
                hit = torch.from_numpy(where[part] == step).reshape(-1, 1, 1, 1)
                total = method.readout_growth * total + torch.where(hit, loud, calm)
            right += int((total.flatten(1).argmax(1).numpy() == labels[part]).sum())
            progress(min(start + _CHUNK, len(clean)), len(clean), "images")
    return right / len(clean)
