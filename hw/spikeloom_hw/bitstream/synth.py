"""From a build to a bitstream: Yosys, nextpnr and the packer, and the clock that what they made can run at."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from spikeloom.errors import SpikeloomError
from spikeloom.program.parameters import digits_text, placeholder

from .. import toolchain
from ..boards.board import Board, find
from ..boards.board_top import BoardTop
from ..boards.pll import HIGHEST_MHZ, Pll, fastest
from ..build import Build
from . import flow, primitives
from .blocks import FORMATS
from .implant import pack
from .place_and_route import Routed, place_and_route, run
from .stages import Stages
from .synth_result import SynthResult, result_of

RESULT = "synth.json"
AUTO, OSCILLATOR = "auto", "oscillator"
# Where a design takes most block RAMs of a device, their places decide, see `floorplan`; others do as well without.
CROWDED = 0.5  # part of the block RAMs
# nextpnr tries no harder than the clock it is told, and an oscillator is slow: what it finds is judged by the clock.
TARGET_MHZ = 100.0
ROUNDS = 3  # of placing and routing for a clock of the PLL that is not met, each for a slower one
MOST_SEEDS = 1000
BLOCK_CELLS = {
    "DP16KD": 1, "PDPW16KD": 1, "SB_RAM40_4K": 1, "CC_BRAM_20K": 1, "CC_BRAM_40K": 2,
    **dict.fromkeys(("SP", "SPX9", "DPB", "DPX9B", "SDPB", "SDPX9B", "pROM", "pROMX9"), 1),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Try:
    """A clock, and what was routed for it, the fastest first."""

    pll: Pll | None
    clock_mhz: float
    folder: Path
    routed: list[Routed]

    @property
    def clock_hz(self) -> float:
        return 1e6 * self.clock_mhz if self.pll is None else float(self.pll.mhz * 1_000_000)

    @property
    def met(self) -> bool:
        return self.routed[0].fmax_mhz >= self.clock_mhz


def synth(
    build_dir: str | Path,
    *,
    clock: str | float = AUTO,
    seeds: int = 1,
    seed: int = 1,
    allow_timing_failure: bool = False,
    progress: Callable[[str], None] | None = None,
) -> SynthResult:
    """Synthesise, place and route a build for the board of its manifest.

    Works in `<build>/synth/<board>`; on success the bitstream is `<build>/<network>-<board>` with the family's suffix
    (.bit; .bin for iCE40, .fs for Gowin), and the result is in `synth.json` beside the logs. Where the clock is not
    met there is a result without a bitstream. A bitstream of an earlier run never stays behind.

    Parameters
    ----------
    build_dir : folder that `spikeloom generate` made.
    clock : of the design. "oscillator": the board's. A number of MHz: the fastest that the PLL makes up to it. "auto":
        routed for the oscillator first, then for the fastest clock of the PLL that this Fmax allows with a margin (see
        `flow.Family`), and for slower ones where it is not met; the oscillator where nothing else is better.
    seeds : how many seeds of nextpnr's placer are tried, side by side; the fastest is kept.
    seed : the first of them.
    allow_timing_failure : write the bitstream though its clock is not met.
    progress : called with a short text for every stage, and at least every five seconds or so.

    Raises
    ------
    SpikeloomError
        No build, one without a board or for a SoC, one that was altered, or one that cannot be written; a clock that
        there is not.
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
    if (wrapper := build.manifest.get("wrapper", {}).get("kind", "streams")) != "streams":
        raise SpikeloomError(
            f"Build '{build.folder}': wrapper must be streams for a bitstream of its own, not {wrapper}; "
            "generate it again without --wrapper, or synthesise it within your SoC"
        )
    board = find(name)
    if not 1 <= seeds <= MOST_SEEDS:
        raise SpikeloomError(f"Seeds: must be 1..{MOST_SEEDS}, not {seeds}")
    wanted = None if clock in (AUTO, OSCILLATOR) else wanted_pll(board, clock)
    network = build.network  # refused where it is not the one in the manifest
    build.require_unaltered()
    family = flow.FAMILIES[board.family]
    folder = build.folder / "synth" / board.name
    bitstream = build.folder / f"{network.name}-{board.name}.{family.suffix}"
    chosen = range(seed, seed + seeds)

    def attempt(pll: Pll | None) -> _Try:
        return _attempt(build, board, folder, pll, chosen, progress)

    try:
        bitstream.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        best = _auto(board, attempt) if clock == AUTO else attempt(wanted)
        result = result_of(board, best.pll, best.clock_mhz, best.routed, best.folder)
        if result.timing_met or allow_timing_failure:
            made = _packed(build, board, best, progress)
            os.replace(shutil.copy(made, folder / "delivered"), bitstream)
            digest = hashlib.sha256(bitstream.read_bytes()).hexdigest()
            result = replace(result, bitstream=str(bitstream), sha256=digest)
        result = replace(
            result,
            digest=network.digest,
            build=build.manifest["link"]["build"],
            seconds=round(time.monotonic() - start, 1),
        )
        (folder / RESULT).write_text(json.dumps(asdict(result), indent=1) + "\n")
    except OSError as error:
        raise SpikeloomError(
            f"Build '{build.folder}': must be writable ({error.strerror}: {error.filename}); make room or copy it"
        ) from None
    return result


def wanted_pll(board: Board, clock: str | float) -> Pll | None:
    """The PLL for a clock in MHz; None where it is the oscillator's own. SpikeloomError where it cannot be made."""
    who = f"Clock '{clock}' of board '{board.name}'"
    try:
        mhz = float(clock)
    except ValueError:
        raise SpikeloomError(f"{who}: must be auto, oscillator or a number of MHz, not '{clock}'") from None
    if mhz == board.clock_mhz:
        return None
    if not board.pll:
        raise SpikeloomError(f"{who}: must be its oscillator's {board.clock_mhz:g} MHz, no PLL of it is supported")
    pll = fastest(board, mhz) if 0 < mhz <= HIGHEST_MHZ else None
    if pll is None:
        slowest = next(low for low in range(1, HIGHEST_MHZ + 1) if fastest(board, low))
        raise SpikeloomError(f"{who}: must be {slowest} to {HIGHEST_MHZ} MHz, which its PLL can make, not {mhz:g}")
    return pll


def _auto(board: Board, attempt: Callable[[Pll | None], _Try]) -> _Try:
    """The fastest clock that is met: the oscillator's, or one of the PLL that what was routed allows."""
    first = attempt(None)
    margin = flow.FAMILIES[board.family].margin
    limit = first.routed[0].fmax_mhz * margin
    for _ in range(ROUNDS):
        pll = fastest(board, limit)
        if pll is None or (first.met and pll.mhz <= Fraction(board.clock_mhz)):
            break
        found = attempt(pll)
        if found.met:
            return found
        limit = min(found.routed[0].fmax_mhz * margin, 0.999 * float(pll.mhz))
    return first


def _attempt(
    build: Build,
    board: Board,
    folder: Path,
    pll: Pll | None,
    seeds: range,
    progress: Callable[[str], None] | None,
) -> _Try:
    """Synthesise, place and route for one clock, in a folder of its own."""
    clock = board.clock_mhz if pll is None else float(pll.mhz)
    own = folder / (OSCILLATOR if pll is None else f"{clock:.3f}mhz")
    own.mkdir()
    stages = Stages(progress)
    stages.begin("synthesise" if pll is None else f"synthesise for {clock:.4g} MHz")
    platform = _write_sources(build, board, own, pll)
    run("yosys", ["-l", "yosys.rpt", "top.ys"], own, own / "yosys.log", stages)
    if board.family == "ecp5":
        primitives.open_ends(own / flow.NETLIST)
    routed = place_and_route(
        board, platform, own, seeds=seeds, target_mhz=max(TARGET_MHZ, clock), planned=crowded(build, board),
        progress=progress,
    )  # fmt: skip
    return _Try(pll, clock, own, routed)


def _write_sources(build: Build, board: Board, folder: Path, pll: Pll | None) -> Any:
    """Write what Yosys and nextpnr read: the design, the board's top, constraints, the script; the platform."""
    verilog = (build.folder / build.manifest["verilog"]).read_text()
    mapped = primitives.passes(build.manifest, verilog) if board.family == "ecp5" else []
    platform = board.platform()
    held = board.family in FORMATS
    top = BoardTop(folder=build.folder, manifest=build.manifest, pll=pll, told_later=held)
    plan = platform.prepare(top, flow.TOP)
    (folder / primitives.MAP).write_text(primitives.ECP5)
    sources = [build.manifest["verilog"], f"{flow.TOP}.il"]
    constraints = f"{flow.TOP}.{flow.FAMILIES[board.family].constraints}"
    for name in (*sources, constraints, *build.manifest["memories"]):
        content = plan.files[name]
        text = content if isinstance(content, str) else content.decode()
        (folder / name).write_text(flow.CONSTRAINED.sub("", text) if name == constraints else text)
    if held:
        _hold_places(build, folder)
    (folder / f"{flow.TOP}.ys").write_text("\n".join(flow.script(board, sources, mapped)) + "\n")
    return platform


def _hold_places(build: Build, folder: Path) -> None:
    """Write other contents of the memories whose contents may change: what is made of a design depends on none."""
    for memory in build.parameters:
        (folder / memory.file).write_text(digits_text(placeholder(memory)))


def _packed(build: Build, board: Board, best: _Try, progress: Callable[[str], None] | None) -> Path:
    """Write the bitstream of the fastest seed."""
    stages = Stages(progress)
    stages.begin("write bitstream")
    return pack(build, board, best.folder / best.routed[0].folder, best.clock_hz, stages)


def block_rams(build_dir: str | Path, family: str = "ecp5") -> int:
    """Block RAMs that Yosys takes for the memories of a build on a family; the rest of synthesis is left out.

    Raises
    ------
    SpikeloomError
        No build, or one that was altered.
    ToolError
        Yosys failed.
    """
    build = Build.load(build_dir)
    build.require_unaltered()
    source, last = build.manifest["verilog"], "map_ffs" if family == "ice40" else "map_gates"
    script = [
        f"read_verilog {source}",
        flow.HIDE_BRACKETS,
        f"{flow.FAMILIES[family].synthesis} -top {build.manifest['top']} -run begin:{last}",
        "tee -q -o cells.json stat -json",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (source, *build.manifest["memories"]):
            shutil.copy(build.folder / file, folder / file)
        if family in FORMATS:
            _hold_places(build, folder)
        (folder / "memories.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", "memories.ys"], cwd=folder, log=folder / "yosys.log")
        cells = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return sum(BLOCK_CELLS.get(kind, 0) * count for kind, count in cells.items())


def crowded(build: Build, board: Board) -> bool:
    """Whether a build takes so many block RAMs of a board that they are placed before everything else."""
    return board.family == "ecp5" and build.manifest["ram_blocks"] > CROWDED * board.ram_blocks
