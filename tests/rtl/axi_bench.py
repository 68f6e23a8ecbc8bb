"""Runs the benches of `tb_axi` on the wrapper of a build, under Verilator: what is sent, what must come back."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom_hw.build import Build
from spikeloom_sim import cocotb_run
from spikeloom_sim.cache import digest, made, workspace
from spikeloom_sim.cocotb_child import BUILD_ARGS
from spikeloom_sim.design import Design
from spikeloom_sim.vectors import expected, vectors

SIMULATOR = "verilator"
Edit = Callable[[str], str]


def packets(design: Design, x: np.ndarray, rng: np.random.Generator) -> tuple[list[bytes], list[int]]:
    """Packets of samples as bytes, and the events that the core takes of each."""
    wanted = vectors(design, x, rng)
    events = (np.diff(wanted.stops, prepend=0) - 1).tolist()
    if design.manifest["wrapper"]["s_axis"]["carries"] == "pixels":
        return [sample.tobytes() for sample in x.reshape(len(x), -1)], events
    size = design.manifest["wrapper"]["s_axis"]["tdata_bits"] // 8
    beats = [b"".join(int(beat).to_bytes(size, "little") for beat in wanted.sample(n)) for n in range(len(x))]
    return beats, events


def job_of(design: Design, x: np.ndarray, seed: int) -> dict[str, Any]:
    """All that the bench knows, as plain JSON."""
    rng = np.random.default_rng(seed)
    sent, events = packets(design, x, rng)
    want = expected(design, x)
    return {
        "seed": seed,
        "wrapper": design.manifest["wrapper"],
        "build_id": int(design.manifest["link"]["build"], 16),
        "inputs": int(np.prod(design.network.inputs[0].shape)),
        "timesteps": design.network.inputs[0].timesteps,
        "potential_bits": design.manifest["readout"]["potential_bits"],
        "readouts": list(design.readouts.values()),
        "packets": [sample.hex() for sample in sent],
        "events": events,
        "potentials": want.potentials.tolist(),
        "classes": want.classes.tolist(),
    }


def compiled(build: Build, edit: Edit = lambda text: text) -> Path:
    """Folder of the compiled simulator of a build with its wrapper; `edit` changes the wrapper's Verilog first."""
    wrapper = build.manifest["wrapper"]
    texts = {
        wrapper["verilog"]: edit((build.folder / wrapper["verilog"]).read_text()),
        build.manifest["verilog"]: (build.folder / build.manifest["verilog"]).read_text(),
    }

    def make(work: Path) -> None:
        for name, text in texts.items():
            (work / name).write_text(text)
        sources = [str(work / name) for name in texts]
        job = {"action": "build", "sources": sources, "build_dir": str(work)}
        cocotb_run.child(job, work, SIMULATOR, top=wrapper["top"])

    versions = importlib.metadata.version("cocotb"), importlib.metadata.version("verilator")
    return made(SIMULATOR, digest("axi", *texts.values(), *BUILD_ARGS[SIMULATOR], *versions), make)


def run(design: Design, x: np.ndarray, test: str, *, seed: int = 1, edit: Edit = lambda text: text) -> None:
    """Run one test of `tb_axi` with samples; ToolError with its message where it fails."""
    build = Build.load(design.folder)
    simulator = compiled(build, edit)
    with workspace("jobs", "axi") as folder:
        for name in build.manifest["memories"]:
            (folder / name).symlink_to((build.folder / name).resolve())
        (folder / "axi.json").write_text(json.dumps(job_of(design, x, seed)))
        job = {
            "action": "test",
            "module": "tb_axi",
            "only": f"{test}$",
            "path": [str(Path(__file__).parent)],
            "job": str(folder),
            "build_dir": str(simulator),
        }
        cocotb_run.child(job, folder, SIMULATOR, top=build.manifest["wrapper"]["top"])
