"""The small models of docs/examples: trained, converted, simulated, routed on a board."""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikeloom import Network
from spikeloom.measure import measure
from spikeloom_convert import convert
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.build import generate
from spikeloom_sim import simulate
from torch import nn

from ..output import working
from .nets import Bench, kept
from .targets import example

SMALL = {"max pooling": 16, "depthwise separable": 16, "residual": 16, "sequence": 16}  # lanes of the one core
TIMESTEPS, WEIGHT_BITS, EPOCHS = 4, 8, 6
IMAGES = 100  # through the gates
LOSS_POINTS = 0.5  # of accuracy, at most
BOARD = "ulx3s-85f"


@dataclass(frozen=True, eq=False)
class Small:
    """A trained model, its spiking network, and test samples as both take them."""

    model: nn.Module
    network: Network
    test_x: np.ndarray
    test_y: np.ndarray


def prepared(bench: Bench, title: str) -> Small:
    """Train, or find, a model of docs/examples/small_models.py, and convert it."""
    module = example("small_models")
    order = np.random.default_rng(0).permutation(len(bench.train))[: module.MOST]
    x, y = module.shown(title, bench.train.x[order]), bench.train.labels[order]
    make = module.models(bench.train.x.shape[2])[title]
    bare = make()
    with torch.no_grad():
        bare(torch.zeros(2, *x.shape[1:]))  # gives the lazy layers their shape
    name = title.replace(" ", "_")

    def learn() -> nn.Module:
        with working(f"training {title}"):
            return module.prepared(make, x, y, EPOCHS, seed=bench.seed)

    code = f"{Path(module.__file__ or '').read_text()} {EPOCHS} {bench.seed} {len(bench.train)}"
    model = kept(name, code, bare, learn).eval()
    with working(f"converting {title}") as progress:
        network = convert(
            model, x, labels=y, timesteps=TIMESTEPS, weight_bits=WEIGHT_BITS, seed=bench.seed, name=name,
            progress=progress,
        )  # fmt: skip
    return Small(model, network, module.shown(title, bench.test.x), bench.test.labels)


def small_models(bench: Bench) -> dict[str, Any]:
    """Accuracy over all test images, cycles and bit-exactness of the gates, what nextpnr makes of one core."""
    rows = [_row(bench, title, lanes) for title, lanes in SMALL.items()]
    return {
        "data": f"MNIST, {len(bench.test)} test images, {IMAGES} through the gates",
        "rows": rows,
        "missed": [f"{row['network']}: {what}" for row in rows for what in missed(row)],
    }


def _row(bench: Bench, title: str, lanes: int) -> dict[str, Any]:
    case = prepared(bench, title)
    with torch.inference_mode():
        parts = torch.from_numpy(case.test_x.astype(np.float32) / 255).split(500)
        ann = float((torch.cat([case.model(part) for part in parts]).argmax(1).numpy() == case.test_y).mean())
    measured = measure(case.network, case.test_x, case.test_y)
    with tempfile.TemporaryDirectory() as folder:
        build = generate(case.network, Path(folder) / "build", board=BOARD, lanes=lanes, cores=1)
        x, y = case.test_x[:IMAGES], case.test_y[:IMAGES]
        with working(f"simulating {title}") as progress:
            result = simulate(build.folder, x, y, simulator="cxxrtl", seed=bench.seed, progress=progress)
        with working(f"placing and routing {title}") as progress:
            routed = synth(build.folder, clock="oscillator", seed=1, progress=lambda text: progress(what=text))
    paths = ("bitstream", "log")  # in a folder that is gone by now
    return {
        "network": title,
        "timesteps": TIMESTEPS,
        "weight_bits": WEIGHT_BITS,
        "accuracy_ann": ann,
        "accuracy_snn": measured.accuracy,
        "sops_per_inference": measured.sops_per_inference,
        "lanes": [core["lanes"] for core in build.manifest["cores"]],
        "simulated": dataclasses.asdict(result),
        "synthesised": {key: value for key, value in dataclasses.asdict(routed).items() if key not in paths},
        "digest": case.network.digest,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """What does not hold of a row, as sentences."""
    simulated, loss = row["simulated"], 100 * (row["accuracy_ann"] - row["accuracy_snn"])
    found = [f"integers differ: {simulated['mismatches']}"] if simulated["mismatches"] else []
    found += [f"accuracy loses {loss:.2f} points, above {LOSS_POINTS:g}"] if loss > LOSS_POINTS else []
    return found + ([] if row["synthesised"]["timing_met"] else ["timing is not met"])
