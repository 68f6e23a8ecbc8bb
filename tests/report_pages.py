"""Facts of reports for tests: of a small build all there is to know, of another nothing; hostile and large ones."""

import dataclasses
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Conv2d
from spikeloom.datasets import Data
from spikeloom.network import Network, Provenance
from spikeloom_cli.report.collect import collect
from spikeloom_cli.report.facts import Accuracy, Core, Facts, Missing, Point, Raster, Sample
from spikeloom_hw.bitstream.synth_result import SynthResult
from spikeloom_hw.build import Build, generate
from spikeloom_sim.simulation import SimulationResult

EVIL = "<script>owned=1</script>\"'><b onload=owned=1>&amp;\N{RIGHT-TO-LEFT OVERRIDE}{{ 7 * 7 }}"


def small_network() -> Network:
    """A convolution and a readout of ten, on images of 8x8."""
    builder = RandomNetwork(np.random.default_rng(1), (1, 8, 8), name="tiny")
    made = builder.conv(4, Conv2d((3, 3), padding=(1, 1))).readout(10, pool=(4, 4))
    provenance = Provenance(
        "Net", "spikeconverter", ("a note",), {"ann": 0.9, "snn": 0.89}, {"torch": "2"}, {"bits": 6}
    )
    return dataclasses.replace(made, provenance=provenance)


def small_data() -> Data:
    """Sixty random images, with labels."""
    rng = np.random.default_rng(2)
    return Data("random", rng.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8), rng.integers(0, 10, 60))


def small_build(folder: Path, board: str = "ulx3s-85f") -> Build:
    """A build of it."""
    return generate(small_network(), folder, board=board, lanes=2)


def leave_simulation(build: Build, **changes: Any) -> None:
    """What `simulate` would leave in a build, in its own words, with figures of the right size, or these."""
    states = {"accumulating": 700.0, "waiting": 120.5, "draining": 80.0, "program": 3.0}
    layers = [name for core in build.manifest["cores"] for name in core["populations"]]
    result = SimulationResult(
        samples=20, mismatches=0, accuracy=0.15, latency_cycles=1200.5, initiation_interval_cycles=903.5,
        lower_bound_cycles=700.0, utilisation=0.775, simulator="cxxrtl", seconds=3.0, busiest="l1", cycles=30_000,
        cycles_by_layer=dict.fromkeys(layers, 903.5),
        breakdown={core["name"]: states for core in build.manifest["cores"]},
    )  # fmt: skip
    document = asdict(dataclasses.replace(result, **changes)) | {"data": "random"} | identity_of(build)
    (build.folder / "simulation.json").write_text(json.dumps(document))


def identity_of(build: Build) -> dict[str, str]:
    """What says which build a result is of."""
    return {"digest": build.manifest["digest"], "build": build.manifest["link"]["build"]}


def leave_synthesis(build: Build) -> None:
    """What `synth` would leave."""
    cells = {"TRELLIS_COMB": {"used": 4000, "available": 83640}, "DP16KD": {"used": 4, "available": 208}}
    synthesised = SynthResult(
        board="ulx3s-85f", clock_mhz=70.0, fmax_mhz=72.25, timing_met=True, lut=4000, lut_available=83640, ram=4,
        ram_available=208, dsp=0, dsp_available=156, ff=2000, critical_path=("a.b", "c.d"), utilisation=cells,
        oscillator_mhz=25.0, pll="EHXPLLL", bitstream=str(build.folder / "tiny.bit"), sha256="0" * 64, seconds=100.0,
        fmax_mhz_by_seed=((1, 72.25),), **identity_of(build),
    )  # fmt: skip
    path = build.folder / "synth" / "ulx3s-85f" / "synth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(synthesised)))


def leave_sweep(folder: Path) -> Path:
    """What `sweep` would leave."""
    points = [{"timesteps": steps, "accuracy": 0.9 - 0.5 / steps**2} for steps in (1, 2, 4, 8, 16)]
    document = {"model": "Net", "method": "spikeconverter", "data": "random", "samples": 60, "accuracy_ann": 0.91}
    (folder / "sweep.json").write_text(json.dumps(document | {"points": points}))
    return folder / "sweep.json"


def facts_of(folder: Path, data: Data | None, sweep: Path | None = None) -> Facts:
    """The facts of a build."""
    return collect(folder, data, sweep=sweep, command=f"spikeloom report {folder}", progress=lambda *_: None)


def full_facts(folder: Path) -> Facts:
    """All that can be known of the small build."""
    build = small_build(folder / "full")
    leave_simulation(build)
    leave_synthesis(build)
    return facts_of(build.folder, small_data(), leave_sweep(folder))


def bare_facts(folder: Path) -> Facts:
    """Those of one without board, data or results."""
    return facts_of(small_build(folder / "bare", board="none").folder, None)


def hostile(facts: Facts) -> Facts:
    """The same facts with all their words replaced by ones that would run, if anybody let them."""
    found = _hostile(facts)
    assert isinstance(found, Facts)
    return dataclasses.replace(found, schedule=facts.schedule, board=EVIL)


def _hostile(value: Any) -> Any:
    if isinstance(value, str):
        return EVIL + value
    if isinstance(value, dict):
        return {_hostile(key): _hostile(item) for key, item in value.items()} | (
            {"Spikeloom": EVIL} if "Spikeloom" in value else {}
        )
    if isinstance(value, tuple):
        return tuple(map(_hostile, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {item.name: _hostile(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value


def large(facts: Facts) -> Facts:
    """Many layers with long names and large numbers, many classes, long trains, thousands of neurons."""
    assert not isinstance(facts.accuracy, Missing)
    core = facts.cores[0]
    layer = dataclasses.replace(
        core.layers[0], name="layer3_block17_convolution_of_the_branch", neurons=1_048_576, weights=2_359_296,
        theta=(1, 2_147_483_647), sops=12_345_678_901.5, cycles=987_654_321.0, shape=(512, 128, 128),
    )  # fmt: skip
    cores = tuple(
        Core(f"c{number}_with_a_long_name_of_forty_letters_1", "3×3×32", 288, 99_999, 208, (layer,) * 9, core.states)
        for number in range(7)
    )
    rng = np.random.default_rng(3)
    classes = 24
    confusion = rng.integers(0, 900, (classes, classes)) + 9000 * np.eye(classes, dtype=np.int64)
    prefix = tuple(Point(step + 1, min(1.0, 0.3 + 0.01 * step)) for step in range(64))
    rasters = tuple(
        Raster(
            layer.name,
            1_048_576,
            np.linspace(0, 1_048_575, 96).astype(int),
            spikes.astype(np.int8),
            99_999_999,
            9_999_999,
        )
        for spikes in rng.integers(-1, 2, (8, 96, 64))
    )
    sample = facts.samples[0]
    courses = tuple(
        dataclasses.replace(
            item, potentials=np.cumsum(rng.integers(-9_000_000, 9_000_001, (len(item.addresses), 48)), 1),
            accumulated=32 if item.theta is not None else 48, addresses=item.addresses + 1_000_000,
        )
        for item in sample.courses
    )  # fmt: skip
    shown = Sample(9999, sample.why, 3, 7, sample.image, rasters, courses, ("population x",) * 40)
    accuracy = Accuracy(
        "/a/folder/" + "x" * 200, 10_000, 0.5, (0.4, 0.6), confusion, prefix, 1.5, 12_345_678_901.5, 1.0
    )
    return dataclasses.replace(
        facts, network="n" * 40, cores=cores, accuracy=accuracy, samples=(shown, shown),
    )  # fmt: skip
