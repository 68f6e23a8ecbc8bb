"""MNIST 784-128-10 on 128 lanes: cycles an image at the event port, and with the pixel encoder in front."""

import tempfile
from pathlib import Path
from typing import Any

from spikeloom.placing.place import place
from spikeloom_hw.build import generate
from spikeloom_sim import simulate
from spikeloom_sim.encoded import PIXELS, generate_encoded, simulate_encoded

from ..output import working
from .nets import Bench

NETWORK, TIMESTEPS, WEIGHT_BITS, LANES = "mnist_mlp", 4, 6, 128
MOST_CYCLES = {"plain": 430.0, "naf": 300.0}  # an image at the event port
MOST_RATIO = 1.05  # what the encoder may make of it


def encoder(bench: Bench, samples: int = 10000) -> dict[str, Any]:
    """The interval of the bare core and of the core behind the encoder, over the test images, and bounds they miss."""
    rows = [_row(bench, code, samples) for code in MOST_CYCLES]
    return {
        "data": f"{len(bench.test.x[:samples])} MNIST test images, {PIXELS} pixels a cycle into the encoder",
        "network": "784-128-10", "timesteps": TIMESTEPS, "weight_bits": WEIGHT_BITS,
        "rows": rows,
        "missed": [f"{row['code']}: {what}" for row in rows for what in missed(row)],
    }  # fmt: skip


def _row(bench: Bench, code: str, samples: int) -> dict[str, Any]:
    network = bench.converted(NETWORK, TIMESTEPS, WEIGHT_BITS, code)
    program = place(network, lanes=LANES)
    x = bench.test.x[:samples]
    with tempfile.TemporaryDirectory() as folder:
        build = generate(network, Path(folder) / "bare", program=program)
        with working(f"simulating {NETWORK}, {code}") as progress:
            bare = simulate(build.folder, x, simulator="cxxrtl", seed=bench.seed, stalls=False, progress=progress)
        with working(f"simulating {NETWORK}, {code}, behind the encoder") as progress:
            design = generate_encoded(program, Path(folder) / "encoded")
            behind = simulate_encoded(design, x, progress=lambda done: progress(done, len(x)))
    encoded = behind.timing and behind.timing.initiation_interval_cycles
    port = bare.initiation_interval_cycles
    return {
        "code": code,
        "lanes": [core.lanes for core in program.cores],
        "samples": len(x),
        "mismatches": bare.mismatches + behind.mismatches,
        "first_divergence": bare.first_divergence or behind.first,
        "cycles_at_event_port": port,
        "latency_at_event_port": bare.latency_cycles,
        "lower_bound_cycles": bare.lower_bound_cycles,
        "cycles_behind_encoder": encoded,
        "latency_behind_encoder": behind.timing and behind.timing.latency_cycles,
        "ratio": encoded / port if encoded and port else None,
        "digest": network.digest,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """Bounds that do not hold, as sentences."""
    found = [f"integers differ: {row['mismatches']}"] if row["mismatches"] else []
    port, ratio, most = row["cycles_at_event_port"], row["ratio"], MOST_CYCLES[row["code"]]
    if port is None or port > most:
        found.append(f"cycles at the event port {port} above {most:g}")
    if ratio is None or ratio > MOST_RATIO:
        found.append(f"ratio behind the encoder {ratio} above {MOST_RATIO:g}")
    return found
