"""Our conversion beside SpikingJelly's, of the same trained networks, on the same test images."""

import copy
import importlib
import sys
from typing import Any

import torch
from spikeloom import SpikeloomError
from spikeloom_convert import convert
from torch import nn

from ...output import working
from ..nets import Bench
from .common import spiking_accuracy

NETWORKS = ("mnist_cnn", "mnist_mlp")
TIMESTEPS = (1, 2, 4, 8, 16)
WEIGHT_BITS = 8
FOLDER = ".cache/peers"  # where `make bench-conversion` puts them: they are no dependency of ours
CALIBRATION = 1500  # training images, for both
_CHUNK = 1000


def peers(bench: Bench) -> dict[str, Any]:
    """Accuracy over all test images at each T, of integers here, of floats there."""
    rows = []
    for name in NETWORKS:
        model = bench.trained(name)
        ann = bench.ann_accuracy(name)
        best = _spikingjelly(bench, model, name)
        for timesteps in TIMESTEPS:
            with working(f"converting {name}, T={timesteps}") as progress:
                network = convert(
                    model, bench.train.x, labels=bench.train.y, timesteps=timesteps, weight_bits=WEIGHT_BITS,
                    input_timesteps=8, seed=bench.seed, progress=progress,
                )  # fmt: skip
            ours = spiking_accuracy(network, bench.test.x, bench.test.labels)
            theirs = {converter: accuracy[timesteps] for converter, accuracy in best.items()}
            rows.append(
                {
                    "network": name,
                    "timesteps": timesteps,
                    "accuracy_ann": ann,
                    "accuracy": ours,
                    "spikingjelly": theirs,
                    "ahead_points": round(100 * (ours - max(theirs.values())), 2),
                    "loss_points": round(100 * (ann - ours), 2),
                }
            )
    data = f"MNIST, {len(bench.test.x)} test images; {CALIBRATION} training images to calibrate SpikingJelly's"
    return {"data": data, "weight_bits": WEIGHT_BITS, "seed": bench.seed, "rows": rows, "missed": missed(rows)}


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """Where SpikingJelly is ahead, and where the network's own accuracy is lost from T=4 on, as sentences."""
    found = [
        f"{row['network']}, T={row['timesteps']}: {-row['ahead_points']:g} points behind SpikingJelly's best converter"
        for row in rows
        if row["ahead_points"] < 0
    ]
    return found + [
        f"{row['network']}, T={row['timesteps']}: loses {row['loss_points']:g} points, above 0.1"
        for row in rows
        if row["timesteps"] >= 4 and row["loss_points"] > 0.1
    ]


def _spikingjelly(bench: Bench, model: nn.Module, name: str) -> dict[str, dict[int, float]]:
    """Accuracy by converter and T."""
    sys.path.append(FOLDER)
    try:
        ann2snn = importlib.import_module("spikingjelly.activation_based.ann2snn")
        functional = importlib.import_module("spikingjelly.activation_based.functional")
    except ImportError as error:
        raise SpikeloomError(f"Package 'spikingjelly': must be there ({error}); run `make bench-conversion`") from None
    finally:
        sys.path.remove(FOLDER)
    labels = torch.from_numpy(bench.test.labels)
    seen = torch.from_numpy(bench.train.x[:CALIBRATION]).float() / 255
    batches = [(part, None) for part in seen.split(100)]
    rate = ann2snn.RateCodingRecipe
    recipes = {
        "largest activation": lambda: rate(batches, mode="Max"),
        "99.9th percentile": lambda: rate(batches, mode="99.9%"),
        "99.9th percentile by channel, half threshold": lambda: rate(
            batches, mode="99.9%", channel_wise=True, half_threshold=True
        ),
        "local threshold balancing": lambda: ann2snn.LocalThresholdBalancingRecipe(batches),
    }
    found = {}
    for label, recipe in recipes.items():
        with working(f"{name} by SpikingJelly, {label}") as progress:
            spiking = ann2snn.Converter(recipe()).convert(copy.deepcopy(model)).eval()
            right = dict.fromkeys(TIMESTEPS, 0)
            for start, part in enumerate(bench.floats().split(_CHUNK)):
                functional.reset_net(spiking)
                total = torch.zeros(())
                with torch.inference_mode():
                    for step in range(1, max(TIMESTEPS) + 1):
                        total = total + spiking(part)
                        if step in right:
                            answers = total.argmax(1)
                            right[step] += int((answers == labels[start * _CHUNK :][: len(part)]).sum())
                progress((start + 1) * _CHUNK, len(labels), "images")
        found[label] = {step: count / len(labels) for step, count in right.items()}
    return found
