"""Figures that were aimed at: networks on the gates of a board, next to the bounds they have to keep."""

import dataclasses
import importlib.util
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from spikeloom import Network, SpikeloomError
from spikeloom.errors import Divergence
from spikeloom_convert import convert
from spikeloom_hw.bitstream.synth import SynthResult, synth
from spikeloom_hw.build import generate
from spikeloom_sim import SimulationResult, simulate
from torch import nn

from ..output import working
from .nets import Bench, kept

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
TIMESTEPS = 4


@dataclass(frozen=True)
class Target:
    """A network on a board, and what it has to reach there at the clock that routing allows.

    Members
    -------
    network : "mnist_up5k", trained by its example, or one of the bench's recipes.
    weight_bits, code : of the conversion, see `convert`.
    board, lanes : see `generate`; the planner chooses where there are no lanes.
    accuracy : of the gates, at least.
    fmax_mhz : at least.
    interval_us, latency_us : an image, at most.
    lut : look-up tables, at most.
    """

    network: str
    weight_bits: int
    board: str
    accuracy: float
    lut: int
    interval_us: float
    code: str = "plain"
    lanes: int | None = None
    fmax_mhz: float = 0.0
    latency_us: float = float("inf")


TARGETS = (
    Target("mnist_up5k", 4, "icebreaker", accuracy=0.97, lut=5280, interval_us=1000.0, fmax_mhz=24.0),
    *(
        Target("mnist_mlp", bits, "ulx3s-85f", 0.975, 14635, 5.0, code=code, latency_us=8.0)
        for bits, code in ((4, "plain"), (6, "plain"), (4, "naf"))
    ),
)


def targets(bench: Bench, samples: int = 10000) -> dict[str, Any]:
    """Accuracy and cycles of the gates on MNIST test images, what nextpnr makes of them, and the bounds they miss."""
    return {"data": "MNIST test images", "rows": [_row(bench, target, samples) for target in TARGETS]}


def _row(bench: Bench, target: Target, samples: int) -> dict[str, Any]:
    network = _network(bench, target)
    assert bench.test.y is not None
    with tempfile.TemporaryDirectory() as folder:
        build = generate(network, Path(folder) / "build", board=target.board, lanes=target.lanes)
        x, y = bench.test.x[:samples], bench.test.y[:samples]
        with working(f"simulating {network.name} for {target.board}") as progress:
            simulated = simulate(build.folder, x, y, simulator="cxxrtl", seed=bench.seed, progress=progress)
        with working(f"placing and routing {network.name} for {target.board}") as progress:
            routed = synth(build.folder, clock="oscillator", seed=1, progress=lambda text: progress(what=text))
    if simulated.initiation_interval_cycles is None or simulated.latency_cycles is None:
        raise Divergence(f"Target '{network.name}' on '{target.board}': {simulated.first_divergence}")
    times = {
        "interval_us": simulated.initiation_interval_cycles / routed.fmax_mhz,
        "latency_us": simulated.latency_cycles / routed.fmax_mhz,
    }
    return {
        "network": target.network,
        "timesteps": TIMESTEPS,
        "weight_bits": target.weight_bits,
        "code": target.code,
        "lanes": [core["lanes"] for core in build.manifest["cores"]],
        "simulated": _plain(simulated),
        "synthesised": _plain(routed),
        **times,
        "missed": missed(target, simulated, routed, times),
    }


def missed(target: Target, simulated: SimulationResult, routed: SynthResult, times: Mapping[str, float]) -> list[str]:
    """Bounds that do not hold, as sentences; empty where all is well."""
    found = [f"integers differ: {simulated.mismatches}"] if simulated.mismatches else []
    least = {"accuracy": (target.accuracy, simulated.accuracy or 0.0), "fmax_mhz": (target.fmax_mhz, routed.fmax_mhz)}
    most = {name: (getattr(target, name), value) for name, value in times.items()} | {"lut": (target.lut, routed.lut)}
    found += [f"{name} {value:g} below {bound:g}" for name, (bound, value) in least.items() if value < bound]
    return found + [f"{name} {value:g} above {bound:g}" for name, (bound, value) in most.items() if value > bound]


def _network(bench: Bench, target: Target) -> Network:
    name = target.network
    with working(f"training and converting {name}"):
        model = up5k(bench) if name == "mnist_up5k" else bench.trained(name)
        return convert(
            model, bench.train.x, labels=bench.train.y, timesteps=TIMESTEPS, weight_bits=target.weight_bits,
            code=target.code, seed=bench.seed, name=name,
        )  # fmt: skip


def up5k(bench: Bench) -> nn.Module:
    """The network of docs/examples/mnist_up5k.py, trained."""
    module = example("mnist_up5k")
    code = Path(module.__file__ or "").read_text() + str(bench.seed)
    return kept("mnist_up5k", code, module.mnist_up5k(), lambda: module.trained(bench.train, seed=bench.seed))


def example(name: str) -> ModuleType:
    """A module of docs/examples."""
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SpikeloomError(f"Example '{name}': '{path}' must exist; run the benchmarks in a checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _plain(result: SimulationResult | SynthResult) -> dict[str, Any]:
    paths = ("bitstream", "log")  # in a folder that is gone by now
    return {key: value for key, value in dataclasses.asdict(result).items() if key not in paths}
