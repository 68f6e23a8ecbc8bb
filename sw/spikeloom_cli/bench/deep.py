"""ResNet-20 for CIFAR-10, trained by somebody else: converted without retraining, on one core and on chains."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from spikeloom import Network, SpikeloomError, datasets, golden
from spikeloom.measure import measure
from spikeloom_convert import convert
from spikeloom_convert.quantising.selection import distance
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.build import generate
from spikeloom_sim import simulate
from torch import nn

from ..output import working
from .nets import Bench
from .targets import example

WEIGHTS = Path("models/resnet20_cifar10.safetensors")
STEM = {"conv1": 8}  # the first layer's trains as fine as the pixels: a third of the noise at T=5 is theirs
SETTINGS: tuple[tuple[int, int, dict[str, int]], ...] = (  # time steps, weight bits, time steps of single populations
    (6, 8, {}), (6, 6, {}), (5, 8, {}), (5, 6, {}), (5, 8, STEM)
)  # fmt: skip
MOST_LOSS = {8: 0.1, 6: 0.3}  # weight bits: points of accuracy
CHAINS = {2: 1.7, 3: 2.4}  # cores, at as many lanes each as the one core has: how many times its throughput, at least
MOST_CYCLES = {6: 330_000, 5: 270_000}  # of one core, by time steps
LEAST_UTILISATION, LEAST_FMAX, MOST_COMB = 0.75, 60.0, 115.0  # of one core; MHz; TRELLIS_COMB a lane
LANES = 144
IMAGES = 20
BOARD = "ulx3s-85f"


def deep(bench: Bench) -> dict[str, Any]:
    """Accuracy over all test images, cycles and bit-exactness of the gates, what nextpnr makes of one core."""
    model = resnet20(bench)
    train, test = (datasets.load("cifar10", split, bench.data_dir) for split in ("train", "test"))
    assert test.y is not None
    logits = logits_of(model, test.x)
    ann = float((logits.argmax(1) == test.y).mean())
    conversions, cores = [], []
    for timesteps, weight_bits, own in SETTINGS:
        with working(f"converting ResNet-20, T={timesteps}, {weight_bits} bits") as progress:
            network = convert(
                model, train.x, labels=train.y, timesteps=timesteps, weight_bits=weight_bits, seed=bench.seed,
                input_timesteps=8, layer_timesteps=own, code="naf", name="resnet20", progress=progress,
            )  # fmt: skip
        result = measure(network, test.x, test.y)
        assert result.accuracy is not None
        row: dict[str, Any] = {"timesteps": timesteps, "weight_bits": weight_bits, "accuracy_ann": ann}
        row |= {"accuracy_snn": result.accuracy, "loss_points": round(100 * (ann - result.accuracy), 2)}
        row |= {"sops_per_inference": result.sops_per_inference, "spikes_per_neuron": result.spikes_per_neuron}
        if own:
            row |= {"layer_timesteps": own}
        conversions.append({**row, **noise(network, test.x, logits), "digest": network.digest})
        if weight_bits == 6:
            cores.append(_gates(bench, network, timesteps, 1, test.x, test.y, BOARD))
            # no board has multipliers for two cores: what chains are compared with has none either
            chains = (1, *CHAINS) if timesteps == 6 else ()
            cores += [_gates(bench, network, timesteps, count, test.x, test.y) for count in chains]
    return {
        "data": f"CIFAR-10, {len(test.x)} test images; gates: the first {IMAGES}, 6-bit weights, minimal-weight code",
        "conversion": conversions,
        "cores": cores,
        "missed": missed(conversions, cores),
    }


def missed(conversions: list[dict[str, Any]], chains: list[dict[str, Any]]) -> list[str]:
    """Bounds that do not hold, as sentences."""
    found = [
        f"T={row['timesteps']}{_own(row)}, {row['weight_bits']} bits: loses {row['loss_points']:g} points, above "
        f"{MOST_LOSS[row['weight_bits']]:g}"
        for row in conversions
        if row["loss_points"] > MOST_LOSS[row["weight_bits"]]
    ]
    alone = {row["timesteps"]: row["simulated"] for row in chains if row["cores"] == 1 and row["board"] == "none"}
    for row in chains:
        cores = f"{row['cores']} core{'s' if row['cores'] > 1 else ''}"
        where, simulated = f"T={row['timesteps']}, {cores}", row["simulated"]
        bounds: list[tuple[str, float, float, bool]] = [("integers that differ", simulated["mismatches"], 0, True)]
        cycles = simulated["initiation_interval_cycles"]
        if row["board"] != "none":
            bounds += [
                ("cycles", cycles, MOST_CYCLES[row["timesteps"]], True),
                ("utilisation", simulated["utilisation"], LEAST_UTILISATION, False),
                ("MHz", row["synthesised"]["fmax_mhz"], LEAST_FMAX, False),
                ("TRELLIS_COMB a lane", row["comb_per_lane"], MOST_COMB, True),
            ]
        elif row["cores"] > 1:
            times = alone[row["timesteps"]]["initiation_interval_cycles"] / cycles
            bounds.append(("times the throughput of one core", times, CHAINS[row["cores"]], False))
        found += [
            f"{where}: {value:.6g} {what}, {'above' if most else 'below'} {bound:g}"
            for what, value, bound, most in bounds
            if (value > bound if most else value < bound)
        ]
    return found


def _own(row: dict[str, Any]) -> str:
    return "".join(f", {name} {steps}" for name, steps in row.get("layer_timesteps", {}).items())


def resnet20(bench: Bench) -> nn.Module:
    """The trained network."""
    if bench.data_dir is None or not (Path(bench.data_dir) / WEIGHTS).is_file():
        raise SpikeloomError(f"Weights '{WEIGHTS}': must be in the data folder; give it with --data-dir")
    model = example("resnet20").resnet20()
    model.load_state_dict(load_file(Path(bench.data_dir) / WEIGHTS))
    return model.eval()


def logits_of(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return torch.cat([model(chunk.float() / 255) for chunk in torch.from_numpy(x).split(500)]).double().numpy()


def noise(network: Network, x: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """Squared distance from the model's logits over their variance, and the images that are answered otherwise."""
    potentials = golden.evaluate(network, x)
    assert isinstance(potentials, np.ndarray)
    error = distance(potentials * network.readouts[0].scale, logits)
    return {"logit_error": error, "changed_answers": int((potentials.argmax(1) != logits.argmax(1)).sum())}


def _gates(
    bench: Bench, network: Network, timesteps: int, count: int, x: np.ndarray, y: np.ndarray, board: str = "none"
) -> dict[str, Any]:
    """Cores on a board, simulated with and without stalls and routed, or plain Verilog, simulated without."""
    whole = board != "none"
    routed = None
    with tempfile.TemporaryDirectory() as folder:
        build = generate(network, Path(folder) / "build", board=board, lanes=LANES, cores=count)
        what = f"ResNet-20, T={timesteps}, {count} core{'s' * (count > 1)}"
        with working(f"simulating {what}") as progress:
            result = simulate(
                build.folder, x[:IMAGES], y[:IMAGES], simulator="cxxrtl", seed=bench.seed, stalls=whole,
                progress=progress,
            )  # fmt: skip
        if whole:
            with working(f"placing and routing {what}") as progress:
                routed = synth(build.folder, clock="oscillator", seed=1, progress=lambda text: progress(what=text))
    row: dict[str, Any] = {
        "timesteps": timesteps,
        "cores": count,
        "board": board,
        "lanes": [core["lanes"] for core in build.manifest["cores"]],
        "simulated": dataclasses.asdict(result),
    }
    if routed is not None and result.initiation_interval_cycles:
        values = dataclasses.asdict(routed)
        row["synthesised"] = {key: value for key, value in values.items() if key not in ("bitstream", "log")}
        row["comb_per_lane"] = routed.lut / LANES
        row["frames_per_second_at_fmax"] = 1e6 * routed.fmax_mhz / result.initiation_interval_cycles
    return row
