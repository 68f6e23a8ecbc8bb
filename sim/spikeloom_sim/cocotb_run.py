"""Runs a design under cocotb: builds the simulator (once for each Verilog), hands it a job, brings back a capture."""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import ToolError
from spikeloom_hw import toolchain

from .cache import digest, made, workspace
from .capture import Capture, pieces_of
from .cocotb_child import BUILD_ARGS
from .design import Design
from .harness import TOP, Harness, bank_name, harness, states_name
from .vectors import Vectors

SIMULATORS = ("verilator", "icarus")
_TOLD = re.compile(r"samples (\d+)")
_NEEDS = {"verilator": ("verilator", "make", "g++"), "icarus": ("iverilog", "vvp")}


def require(simulator: str) -> None:
    """Raise ToolError where a tool that the simulator needs is missing; the message says what to install."""
    for tool in _NEEDS[simulator]:
        if toolchain.find(tool) is None:
            mend = toolchain.MENDS.get(tool, toolchain.REINSTALL)
            raise ToolError(f"Tool '{tool}': must be on PATH, not missing; {mend}")


def simulator_of(
    design: Design,
    simulator: str,
    *,
    edit: Callable[[str], str] | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> Path:
    """Folder of the compiled simulator; compiled now unless it is there. Memory contents are no part of it.

    Parameters
    ----------
    design : Design
    simulator : one of `SIMULATORS`.
    edit : changes the Verilog first, for mutants.
    on_wait : called about once a second with the seconds a compiler has been running.

    Raises
    ------
    ToolError
        A tool is missing or failed, or warned of something that matters.
    """
    require(simulator)
    source = design.verilog.read_text()
    source = edit(source) if edit else source
    bench = harness(design).text
    versions = importlib.metadata.version("cocotb"), importlib.metadata.version("verilator"), sys.prefix

    def make(work: Path) -> None:
        sources = {work / "spikeloom.v": source, work / "harness.v": bench}
        for path, text in sources.items():
            path.write_text(text)
        job = {"action": "build", "sources": [str(path) for path in sources], "build_dir": str(work)}
        child(job, work, simulator, on_wait=on_wait)
        for path in work.glob("*.o"):
            path.unlink()

    return made(simulator, digest(source, bench, *BUILD_ARGS[simulator], *versions), make)


def run(
    design: Design,
    simulator: str,
    build: Path,
    stimulus: Vectors,
    *,
    seed: int | None = None,
    alone: int = 0,
    abort_cycles: int | None = None,
    on_samples: Callable[[int], None] | None = None,
) -> Capture:
    """Send samples through a simulated design.

    Parameters
    ----------
    design, simulator, build : what to run; `build` from `simulator_of`.
    stimulus : Vectors
    seed : of random pauses on all three ports; None: no pauses.
    alone : so many samples go one by one into an idle design, the others back to back.
    abort_cycles : first run for so many cycles, then reset, and only then send and watch the samples.
    on_samples : called with the number of samples that are out.

    Raises
    ------
    ToolError
        The simulator failed; the message names its log. A design that hangs does not raise: its capture says so.
    """
    options = {"seed": seed, "alone": alone, "abort_cycles": abort_cycles}
    limits = {"patience_cycles": design.patience_cycles, "sample_cycles": design.sample_cycles}

    def listen(line: str) -> None:
        told = _TOLD.fullmatch(line.strip())
        if told and on_samples:
            on_samples(int(told[1]))

    with workspace("jobs", simulator) as folder:
        for name in design.manifest["memories"]:  # $readmemb looks in the simulator's own folder
            (folder / name).symlink_to((design.folder / name).resolve())
        np.savez(folder / "stimulus.npz", beats=stimulus.beats, stops=stimulus.stops)
        (folder / "bench.json").write_text(json.dumps(options | limits | layout(design, harness(design))))
        job = {"action": "test", "module": "spikeloom_sim.tb_stream", "job": str(folder), "build_dir": str(build)}
        child(job, folder, simulator, on_line=listen)
        return Capture.load(folder / "capture.npz")


def layout(design: Design, bench: Harness) -> dict[str, Any]:
    """What the bench must know of the harness, as plain JSON."""
    return {
        "readouts": len(design.readouts),
        "streams": [{"name": slot.name, "offset": slot.offset, "width": slot.width} for slot in bench.streams],
        "cores": [
            {
                "name": slot.name, "offset": slot.offset, "width": slot.width, "bank": bank_name(index),
                "memories": core.memories, "rows": core.rows,
                "layer_rows": [core.layers[visit.layer].rows for visit in core.visits],
                "row_pieces": pieces_of(core.row_bits), "retire_pieces": pieces_of(core.retire_bits),
                "visit_width": slot.visit_width, "visit_pieces": pieces_of(slot.visit_width),
                "states": states_name(index) if core.states else None,
            }
            for index, (slot, core) in enumerate(zip(bench.cores, design.cores, strict=True))
        ],
    }  # fmt: skip


def child(job: dict[str, Any], folder: Path, simulator: str, *, top: str = TOP, **callbacks: Any) -> None:
    """Run cocotb's runner in a process of its own; everything it says goes to a log in `folder`.

    Parameters
    ----------
    job : what is to be done, see `cocotb_child.main`.
    folder : where the process runs.
    simulator : one of `SIMULATORS`.
    top : name of the Verilog module that is simulated.
    callbacks : as of `toolchain.run`.

    Raises
    ------
    ToolError
        The simulator or the bench failed; the message names the log.
    """
    path = folder / f"{job['action']}.json"
    path.write_text(json.dumps(job | {"simulator": simulator, "top": top}))
    arguments: list[str | Path] = ["-m", "spikeloom_sim.cocotb_child", path]
    try:
        toolchain.run("python", arguments, cwd=folder, log=folder / f"{job['action']}.log", **callbacks)
    except ToolError as error:
        # the process is ours, what failed in it is the simulator
        raise ToolError(str(error).replace("Tool 'python'", f"Simulator '{simulator}', {job['action']}", 1)) from None
