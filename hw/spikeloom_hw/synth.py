"""From a build to a bitstream: Yosys, nextpnr and the packer, what they used of the board, and how fast it is."""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spikeloom.errors import DoesNotFit, SpikeloomError, ToolError, listed
from spikeloom.parameters import digits_text, placeholder

from . import implant, primitives, toolchain
from .board_top import BAUD, BoardTop
from .boards import DEVICES, Board, find
from .build import Build

RESULT = "synth.json"
SCRIPT, NEXTPNR = "build_top.sh", '"$NEXTPNR_ECP5"'  # of Amaranth's platform, and how its line that runs nextpnr begins
YOSYS, PACKERS = '"$YOSYS"', ('"$ECPPACK"', '"$ICEPACK"')  # and the lines that run the first tool and the last one
PACK = "pack_top.sh"  # the last part of the script, from the packer on
REPORT = "report.json"
LOG = "synth.log"
SPEAK_SECONDS = 5.0
# abc9 takes a wire that is called `x[3]` for bit 3 of a wire `x` and dies of it; private names are safe.
HIDE_BRACKETS = "rename -hide w:*[[]*"
# What Yosys and nextpnr add to the name of the signal that a cell belongs to.
MADE_BY_TOOLS = re.compile(r"_+(?:RDATA|TRELLIS|SB|LUT4|CCU2C|PFUMX|L6MUX|DP16KD|MULT18|RAM|LC)(?:_|\d|$)|\$nextpnr")

# Equal registers, so that none has to be heard all over the device: without `keep` Yosys merges them. Only flip-flops
# have the attribute, since it would make a wire survive that nothing reads.
KEEP = ("proc", f"setattr -set keep 1 w:{primitives.SPREAD}* %ci1:+[Q] t:$dff %i")
# Where a design takes most block RAMs of a device, their places decide, see `floorplan`; others do as well without.
CROWDED = 0.5  # part of the block RAMs
# nextpnr tries no harder than the clock it is told, and an oscillator is slow: what it finds is judged by the board's.
TARGET_MHZ = 100.0
_FREQUENCY = re.compile(r'^(FREQUENCY PORT "\S+") [\d.]+ HZ;$', re.MULTILINE)

CELLS = {
    # family: (look-up table, block RAM, multiplier, suffix of the bitstream)
    "ecp5": ("TRELLIS_COMB", "DP16KD", "MULT18X18D", "bit"),
    "ice40": ("ICESTORM_LC", "ICESTORM_RAM", "ICESTORM_DSP", "bin"),
}


@dataclass(frozen=True)
class SynthResult:
    """What a bitstream uses and how fast it may run; plain values, so that `asdict` gives JSON.

    Members
    -------
    board, digest, seed : what was built, and nextpnr's seed.
    clock_mhz : of the board's oscillator, which clocks the design.
    fmax_mhz : the fastest clock that nextpnr's timing analysis allows.
    timing_met : fmax_mhz is at least clock_mhz.
    lut, ram, dsp, and the same with _available : four-input look-up tables, block RAMs, multipliers.
    ff : flip-flops.
    bitstream : path, None where timing was not met.
    baud : of the serial line.
    seconds : wall-clock time it took.
    log : path of everything the tools said.
    critical_path : names of the signals along the slowest path, from flip-flop to flip-flop.
    utilisation : cell type -> {"used", "available"}, every type in nextpnr's report that is used.
    """

    board: str
    clock_mhz: float
    fmax_mhz: float
    timing_met: bool
    lut: int
    lut_available: int
    ram: int
    ram_available: int
    dsp: int
    dsp_available: int
    ff: int
    critical_path: tuple[str, ...]
    utilisation: dict[str, dict[str, int]]
    digest: str = ""
    seed: int = 1
    baud: int = BAUD
    bitstream: str | None = None
    log: str = ""
    seconds: float = 0.0


def synth(build_dir: str | Path, *, seed: int = 1, progress: Callable[[str], None] | None = None) -> SynthResult:
    """Synthesise, place and route a build for the board of its manifest.

    Works in `<build>/synth/<board>`; on success the bitstream is `<build>/<network>-<board>.bit` (ECP5) or `.bin`
    (iCE40), and the result is in `synth.json` beside the log. Where the board's clock is not met there is a result
    without a bitstream. A bitstream of an earlier run never stays behind.

    Parameters
    ----------
    build_dir : folder that `spikeloom generate` made.
    seed : for nextpnr's placer.
    progress : called with a short text for every stage, and at least every five seconds or so.

    Raises
    ------
    SpikeloomError
        No build, one without a board, one that was altered, or one that cannot be written.
    DoesNotFit
        The board is too small; names every resource that is.
    ToolError
        A tool is missing or failed.
    """
    start = time.monotonic()
    build = Build.load(build_dir)
    name = build.manifest["board"]
    if name == "none":
        raise SpikeloomError(
            f"Build '{build.folder}': board must be one that `spikeloom boards` lists, not none; "
            "generate it again with --board"
        )
    board = find(name)
    network = build.network  # refused where it is not the one in the manifest
    build.require_unaltered()
    family = DEVICES[board.device].family
    folder = build.folder / "synth" / board.name
    log = folder / LOG
    bitstream = build.folder / f"{network.name}-{board.name}.{CELLS[family][3]}"
    try:
        bitstream.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_plan(build, board, folder, seed)
        _run(folder, progress)
        report = json.loads((folder / REPORT).read_text())
        result = _result(board, report, log.read_text(errors="replace"))
        if result.timing_met:
            os.replace(shutil.copy(folder / f"top.{CELLS[family][3]}", folder / "delivered"), bitstream)
            result = replace(result, bitstream=str(bitstream))
        result = replace(
            result, digest=network.digest, seed=seed, log=str(log), seconds=round(time.monotonic() - start, 1)
        )
        (folder / RESULT).write_text(json.dumps(asdict(result), indent=1) + "\n")
    except OSError as error:
        raise SpikeloomError(
            f"Build '{build.folder}': must be writable, not {error.strerror} ({error.filename}); make room or copy it"
        ) from None
    return result


def block_rams(build_dir: str | Path) -> int:
    """Block RAMs that Yosys takes for the memories of a build on an ECP5; the rest of synthesis is left out.

    Raises
    ------
    SpikeloomError
        No build, or one that was altered.
    ToolError
        Yosys failed.
    """
    build = Build.load(build_dir)
    build.require_unaltered()
    source = build.manifest["verilog"]
    script = [
        f"read_verilog {source}",
        HIDE_BRACKETS,
        f"synth_ecp5 -top {build.manifest['top']} -run begin:map_gates",
        "tee -q -o cells.json stat -json",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (source, *build.manifest["memories"]):
            shutil.copy(build.folder / file, folder / file)
        _hold_places(build, folder)
        (folder / "memories.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", "memories.ys"], cwd=folder, log=folder / "yosys.log")
        cells = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return sum(cells.get(kind, 0) for kind in ("DP16KD", "PDPW16KD"))  # the latter is a mode of the former


def crowded(build: Build, board: Board) -> bool:
    """Whether a build takes so many block RAMs of a board that they are placed before everything else."""
    return board.family == "ecp5" and build.manifest["ram_blocks"] > CROWDED * board.ram_blocks


def write_plan(build: Build, board: Board, folder: Path, seed: int) -> None:
    """Write the files and the script that Amaranth's platform makes of the top."""
    verilog = (build.folder / build.manifest["verilog"]).read_text()
    mapped = primitives.passes(build.manifest, verilog) if board.family == "ecp5" else []
    plan = board.platform().prepare(
        BoardTop(folder=build.folder, manifest=build.manifest),
        "top",
        verbose=True,  # the log shows where the tools are
        script_after_read="\n".join([*mapped, *KEEP, HIDE_BRACKETS]),
        # whether timing is met we judge, and say it better
        nextpnr_opts=f"--report {REPORT} --seed {seed} --timing-allow-fail",
    )
    (folder / primitives.MAP).write_text(primitives.ECP5)
    for name, content in plan.files.items():
        text = content if isinstance(content, str) else content.decode()
        if name.endswith(".lpf"):
            text = _FREQUENCY.sub(rf"\1 {max(TARGET_MHZ, board.clock_mhz) * 1e6:.0f} HZ;", text)
        elif name == SCRIPT and crowded(build, board):
            plan = f"python -P -m spikeloom_hw.floorplan top.json {board.device} {seed}"
            text = text.replace(NEXTPNR, f"{plan}\n{NEXTPNR}")
        if name == SCRIPT and build.parameters:
            packer = next(line for line in text.splitlines() if line.startswith(PACKERS))
            text = text.replace(packer, f"{implant.COMMAND} {board.family}\n{packer}")
            begin, end = text.index(YOSYS), text.index(implant.COMMAND)
            (folder / PACK).write_text(text[:begin] + text[end:])
        (folder / name).write_text(text)
    _hold_places(build, folder)


def _hold_places(build: Build, folder: Path) -> None:
    """Write other contents of the memories whose contents may change: what is made of a design depends on none."""
    for memory in build.parameters:
        (folder / memory.file).write_text(digits_text(placeholder(memory)))


def _run(folder: Path, progress: Callable[[str], None] | None) -> None:
    """Run the script; DoesNotFit where that is why it failed."""
    stages = Stages(progress)
    try:
        toolchain.run("sh", [SCRIPT], cwd=folder, log=folder / LOG, on_line=stages.hear, on_wait=stages.speak)
    except ToolError as error:
        log = folder / LOG
        text = log.read_text(errors="replace") if log.exists() else ""
        reasons = overused(text)
        if not reasons and not re.search(r"no BELs remaining|legal placement|utili[sz]ation limit", text):
            raise ToolError(str(error).replace("Tool 'sh'", f"Synthesis, stage {stages.stage}")) from None
        reasons = reasons or [f"{name} {used}/{available}" for name, used, available in _usage(text) if used]
        raise DoesNotFit(
            f"Board '{folder.name}': must have room for the design, but has not: {listed(reasons)} (used/available); "
            f"use fewer lanes or a larger board"
        ) from None


class Stages:
    """Turns the tools' output into a few words for people: which stage, what of it, how long it has been going on.

    Parameters
    ----------
    progress : called with these words when a stage begins, and every few seconds within it; or None.

    Members
    -------
    stage : name of the stage the tools are in.
    """

    BEGINS = (
        (re.compile(r"^\++ \S*yosys\b"), "synthesise"),
        (re.compile(r"^\++ \S*python\b.* spikeloom_hw\.floorplan\b"), "plan the floor"),
        (re.compile(r"^\++ \S*nextpnr-"), "pack"),
        (re.compile(r"^Info: Creating initial .*placement"), "place"),
        (re.compile(r"^Info: Routing( globals)?\.\."), "route"),
        (re.compile(r"^\++ \S*(ecppack|icepack)\b"), "write bitstream"),
    )
    DETAIL = re.compile(
        r"^(?:\d+(?:\.\d+)*\. Executing (?P<pass>[A-Z0-9_]+)|Info:\s+at (?P<iteration>iteration #\d+)"
        r"|Floor: (?P<plan>.*)|Info: +\d+ \|[^|]+\|[^|]+\| *(?P<left>\d+)\|)"
    )

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self.stage = "start"
        self._detail = ""
        self._progress = progress
        self._spoken = time.monotonic()

    def hear(self, line: str) -> None:
        """Take a line of the tools' output."""
        for pattern, stage in self.BEGINS:
            if stage != self.stage and pattern.match(line):
                self.stage, self._detail = stage, ""
                self._say(stage)
        match = self.DETAIL.match(line)
        if match:
            left = match["left"] and f"{match['left']} wires left"
            self._detail = match["pass"] or match["plan"] or match["iteration"] or left

    def speak(self, seconds: float) -> None:
        """Say where we are, if nothing was said for a while; `seconds` since the tools began."""
        if time.monotonic() - self._spoken >= SPEAK_SECONDS:
            self._say(f"{self.stage}{f' ({self._detail})' if self._detail else ''}, {seconds:.0f} s")

    def _say(self, text: str) -> None:
        self._spoken = time.monotonic()
        if self._progress is not None:
            self._progress(text)


def _usage(log: str) -> list[tuple[str, int, int]]:
    """(cell type, used, available) of nextpnr's list of the device's use."""
    rows = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE)
    return [(name, int(used), int(available)) for name, used, available in rows]


def overused(log: str) -> list[str]:
    """`name used/available` of every resource of which nextpnr's log says that the design needs more than there is."""
    return [f"{name} {used}/{available}" for name, used, available in _usage(log) if used > available]


def _result(board: Board, report: Mapping[str, Any], log: str) -> SynthResult:
    """What the report and the log of the tools say."""
    lut, ram, dsp, _ = CELLS[DEVICES[board.device].family]
    usage = report["utilization"]
    fmax = min(clock["achieved"] for clock in report["fmax"].values())
    packed = re.findall(r"^Info:\s+(\d+) LCs used as (?:LUT4 and DFF|DFF only)", log, re.MULTILINE)
    flip_flops = usage["TRELLIS_FF"]["used"] if "TRELLIS_FF" in usage else sum(map(int, packed))
    return SynthResult(
        board=board.name,
        clock_mhz=board.clock_mhz,
        fmax_mhz=round(fmax, 2),
        timing_met=fmax >= board.clock_mhz,
        lut=usage[lut]["used"],
        lut_available=usage[lut]["available"],
        ram=usage[ram]["used"],
        ram_available=usage[ram]["available"],
        dsp=usage.get(dsp, {"used": 0})["used"],
        dsp_available=usage.get(dsp, {"available": 0})["available"],
        ff=flip_flops,
        critical_path=critical_path(report),
        utilisation={name: dict(cells) for name, cells in usage.items() if cells["used"]},
    )


def critical_path(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Signals along the slowest path between flip-flops in nextpnr's report, by the names of the design.

    Yosys names what it makes after the signal it belongs to; these additions are cut off, and repetitions dropped.
    """
    paths = [
        path["path"]
        for path in report["critical_paths"]
        if path["from"].startswith("posedge") and path["to"].startswith("posedge")
    ]
    if not paths:
        return ()
    slowest = max(paths, key=lambda path: sum(step["delay"] for step in path))
    names: list[str] = []
    for step in slowest:
        for cell in (step["from"]["cell"], step["to"]["cell"]):
            plain = MADE_BY_TOOLS.split(cell)[0].removeprefix("serial.core.core.").rstrip("_")
            if plain and plain not in names:
                names.append(plain)
    return tuple(names)
