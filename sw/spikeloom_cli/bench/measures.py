"""What is measured: conversion, golden model, core; each returns plain JSON."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from spikeloom import golden
from spikeloom.measure import measure
from spikeloom.threads import single_threaded
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.build import generate
from spikeloom_sim import simulate

from ..output import working
from .deep import deep
from .encoder import encoder
from .figures import conversion_error
from .nets import RECIPES, Bench
from .plan import plan
from .small import small_models
from .targets import targets

SETTINGS = ((4, 6), (4, 8), (6, 8))  # time steps, weight bits
CORES = {"mnist_mlp": 10000, "mnist_cnn": 200}  # test images through the gates


def conversion(bench: Bench) -> dict[str, Any]:
    """Accuracy of float and spiking networks on the 10,000 MNIST test images."""
    rows = []
    for name in RECIPES:
        ann = bench.ann_accuracy(name)
        for timesteps, weight_bits in SETTINGS:
            network = bench.converted(name, timesteps, weight_bits)
            result = measure(network, bench.test.x, bench.test.y)
            assert result.accuracy is not None
            rows.append(
                {
                    "network": name,
                    "timesteps": timesteps,
                    "weight_bits": weight_bits,
                    "accuracy_ann": ann,
                    "accuracy_snn": result.accuracy,
                    "loss_points": round(100 * (ann - result.accuracy), 2),
                    "sops_per_inference": result.sops_per_inference,
                    "spikes_per_neuron": result.spikes_per_neuron,
                    "digest": network.digest,
                }
            )
    return {"data": "MNIST, 10,000 test images", "seed": bench.seed, "rows": rows}


def golden_speed(bench: Bench) -> dict[str, Any]:
    """Images per CPU second of the value-domain golden model and of the float network's forward, one thread."""
    with single_threaded():
        rows = [_golden_row(bench, name, count) for name, count in (("mnist_mlp", 10000), ("mnist_cnn", 2000))]
    return {"unit": "images per CPU second, best of three", "timesteps": 4, "weight_bits": 6, "rows": rows}


def _golden_row(bench: Bench, name: str, count: int) -> dict[str, Any]:
    network, model = bench.converted(name, 4, 6), bench.trained(name)
    floats, x = bench.floats()[:count], bench.test.x[:count]

    def forward(size: int) -> None:
        with torch.inference_mode():
            for chunk in floats.split(size):
                model(chunk)

    ann = max(_rate(partial(forward, size), count) for size in (64, 256, 1000))
    spiking = _rate(partial(golden.evaluate, network, x), count)
    return {"network": name, "images": count, "ann": ann, "golden": spiking, "ratio": spiking / ann}


def _rate(work: Callable[[], object], count: int) -> float:
    work()
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return count / best


def core(bench: Bench) -> dict[str, Any]:
    """Cycles, utilisation and bit-exactness of the generated Verilog, and what nextpnr makes of it on an ECP5-85F."""
    rows = []
    for name, samples in CORES.items():
        network = bench.converted(name, 4, 6)
        with tempfile.TemporaryDirectory() as folder:
            build = generate(network, Path(folder) / "build", board="ulx3s-85f")
            assert bench.test.y is not None
            x, y = bench.test.x[:samples], bench.test.y[:samples]
            with working(f"simulating {name}") as progress:
                result = simulate(build.folder, x, y, simulator="cxxrtl", seed=bench.seed, progress=progress)
            with working(f"placing and routing {name}") as progress:
                routed = synth(build.folder, clock="oscillator", seed=1, progress=lambda text: progress(what=text))
        rows.append(
            {
                "network": name,
                "timesteps": 4,
                "weight_bits": 6,
                "lanes": [core["lanes"] for core in build.manifest["cores"]],
                "simulated": _plain(result),
                "synthesised": _plain(routed),
                "microseconds_per_image_at_fmax": result.initiation_interval_cycles / routed.fmax_mhz,
            }
        )
    return {"data": "MNIST test images", "rows": rows}


def _plain(result: Any) -> dict[str, Any]:
    import dataclasses

    paths = ("bitstream", "log")  # in a folder that is gone by now
    return {key: value for key, value in dataclasses.asdict(result).items() if key not in paths}


ALL: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "conversion": conversion,
    "golden": golden_speed,
    "core": core,
    "targets": targets,
    "plan": plan,
    "encoder": encoder,
    "small_models": small_models,
    "deep": deep,
    "conversion_error": conversion_error,
}
