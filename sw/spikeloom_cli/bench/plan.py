"""What the planner says of ten networks, next to what simulation and synthesis say."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import Network, datasets
from spikeloom.measure import measure
from spikeloom.placing.place import place
from spikeloom.placing.plan import plan as planned
from spikeloom.profile import evenly, profiled
from spikeloom.program.program import Program
from spikeloom_convert import convert
from spikeloom_hw.bitstream.synth import block_rams
from spikeloom_hw.boards import find
from spikeloom_hw.build import generate
from spikeloom_sim import simulate

from ..output import working
from .deep import resnet20
from .nets import RECIPES, Bench
from .small import SMALL, prepared
from .targets import up5k

BOARD = "ulx3s-85f"
SAMPLES, SAMPLES_OF_DEEP = 200, 10  # test images, from all over the set: the first ones are sparser than the mean
OFF_PERCENT = 5.0  # that the prediction may be


@dataclasses.dataclass(frozen=True)
class Case:
    """A network with test images, and how it is placed: chosen where `lanes` and `cores` are None.

    `make` gives the network and its test images.
    """

    name: str
    make: Callable[[Bench], tuple[Network, np.ndarray]]
    lanes: int | None = None
    cores: int | None = None


def _recipe(name: str) -> Callable[[Bench], tuple[Network, np.ndarray]]:
    return lambda bench: (bench.converted(name, 4, 6), evenly(bench.test.x, SAMPLES))


def _up5k(bench: Bench) -> tuple[Network, np.ndarray]:
    model = up5k(bench)
    x, y = bench.train.x, bench.train.y
    network = convert(model, x, labels=y, timesteps=4, weight_bits=4, seed=bench.seed, name="mnist_up5k")
    return network, evenly(bench.test.x, SAMPLES)


def _small(title: str) -> Callable[[Bench], tuple[Network, np.ndarray]]:
    def make(bench: Bench) -> tuple[Network, np.ndarray]:
        case = prepared(bench, title)
        return case.network, evenly(case.test_x, SAMPLES)

    return make


def _resnet20(bench: Bench) -> tuple[Network, np.ndarray]:
    model = resnet20(bench)
    train, test = (datasets.load("cifar10", split, bench.data_dir) for split in ("train", "test"))
    with working("converting ResNet-20") as progress:
        network = convert(
            model, train.x, labels=train.y, timesteps=6, weight_bits=6, input_timesteps=8, code="naf",
            seed=bench.seed, name="resnet20", progress=progress,
        )  # fmt: skip
    return network, evenly(test.x, SAMPLES_OF_DEEP)


CASES = (
    *(Case(name, _recipe(name)) for name in RECIPES),
    Case("mnist_up5k", _up5k),
    *(Case(title.replace(" ", "_"), _small(title), lanes=lanes, cores=1) for title, lanes in SMALL.items()),
    Case("resnet20", _resnet20, lanes=144, cores=1),
)


def plan(bench: Bench) -> dict[str, Any]:
    """Cycles predicted and simulated, block RAMs planned and counted by Yosys, network by network.

    The images that are simulated spike more or less than the calibration's, by some percent: `cycles_predicted` is what
    the cost model says for their own events by row and column, `cycles_by_calibration` what a plan says before anybody
    has seen them.
    """
    rows = [_row(bench, case) for case in CASES]
    return {
        "data": f"{SAMPLES} MNIST test images at even distances, {SAMPLES_OF_DEEP} of CIFAR-10 for ResNet-20; {BOARD}",
        "rows": rows,
        "missed": [f"{row['network']}: {what}" for row in rows for what in missed(row)],
    }


def _row(bench: Bench, case: Case) -> dict[str, Any]:
    network, x = case.make(bench)
    capacity = find(BOARD).capacity(network)
    program = place(network, lanes=case.lanes, cores=case.cores, capacity=capacity)
    expected = planned(program, capacity)
    with tempfile.TemporaryDirectory() as folder:
        build = generate(network, Path(folder) / "build", board=BOARD, program=program)
        with working(f"simulating {case.name}") as progress:
            result = simulate(build.folder, x, simulator="cxxrtl", seed=bench.seed, stalls=False, progress=progress)
        with working(f"memories of {case.name}"):
            blocks = block_rams(build.folder)
    cycles = result.initiation_interval_cycles
    measured = measure(network, x)
    seen = planned(Program(profiled(network, x), program.cores), capacity)
    return {
        "network": case.name,
        "cores": len(program.cores),
        "lanes": [core.lanes for core in program.cores],
        "samples": len(x),
        "mismatches": result.mismatches,
        "cycles_by_calibration": round(expected.interval, 1),
        "cycles_predicted": round(seen.interval, 1),
        "cycles_simulated": cycles,
        "deviation_percent": None if cycles is None else round(100 * (seen.interval / cycles - 1), 2),
        "sops_predicted": round(sum(layer.sops for layer in seen.layers)),
        "sops_measured": round(measured.sops_per_inference),
        "ram_planned": sum(core.ram for core in expected.cores),
        "ram_yosys": blocks,
        "lut_planned": sum(core.lut for core in expected.cores),
        "digest": network.digest,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """What does not hold of a row, as sentences: equal integers, predicted cycles, exact block RAMs."""
    found = [f"integers differ: {row['mismatches']}"] if row["mismatches"] else []
    off = row["deviation_percent"]
    if off is None or abs(off) > OFF_PERCENT:
        found.append(f"cycles predicted {row['cycles_predicted']:g}, simulated {row['cycles_simulated']}")
    if row["ram_planned"] != row["ram_yosys"]:
        found.append(f"block RAMs planned {row['ram_planned']}, of Yosys {row['ram_yosys']}")
    return found
