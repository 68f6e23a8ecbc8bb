"""What a bitstream uses of its board and how fast it may run: read from nextpnr's report and log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..boards.board import Board
from ..boards.board_top import BAUD
from ..boards.pll import Pll
from . import flow
from .place_and_route import Routed

# What Yosys and nextpnr add to the name of the signal that a cell belongs to.
MADE_BY_TOOLS = re.compile(
    r"_+(?:RDATA|TRELLIS|SB|LUT[1-5]|MUX2|ALU|DFF|CC|CCU2C|PFUMX|L6MUX|DP16KD|MULT18|RAM|LC)(?:_|\d|[A-Z]|$)|\$nextpnr"
)


@dataclass(frozen=True)
class SynthResult:
    """What a bitstream uses and how fast it may run; plain values, so that `asdict` gives JSON.

    Members
    -------
    board, digest, build, seed : what was built (network and build by their digest and id), and nextpnr's seed.
    clock_mhz, clock_hz : of the design.
    oscillator_mhz, pll : of the board, and the cell that makes the clock of it; "" where it is the oscillator's.
    fmax_mhz : the fastest clock that nextpnr's timing analysis allows.
    timing_met : fmax_mhz is at least clock_mhz.
    lut, ram, dsp, and the same with _available : look-up tables, block RAMs, multipliers, see `devices.Device`.
    ff : flip-flops.
    bitstream : path, None where timing was not met and nobody allowed it; sha256 : of its content.
    routed : folder of what the bitstream was made of, within the build.
    baud : of the serial line.
    fmax_mhz_by_seed : what each seed came to, [seed, MHz].
    seconds : wall-clock time it took.
    log : path of what nextpnr said; what Yosys and the packer said is beside it.
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
    oscillator_mhz: float
    pll: str = ""
    digest: str = ""
    build: str = ""
    clock_hz: int = 0
    seed: int = 1
    fmax_mhz_by_seed: tuple[tuple[int, float], ...] = ()
    baud: int = BAUD
    bitstream: str | None = None
    sha256: str = ""
    routed: str = ""
    log: str = ""
    seconds: float = 0.0


def result_of(board: Board, pll: Pll | None, clock_mhz: float, routed: Sequence[Routed], folder: Path) -> SynthResult:
    """What the report and the log of the fastest of what was routed, the first, say.

    Parameters
    ----------
    board, pll, clock_mhz : what was routed for which clock.
    routed : of one seed each, the fastest first.
    folder : that theirs are in.
    """
    family, best = flow.FAMILIES[board.family], routed[0]
    usage = best.report["utilization"]
    (lut, luts), (ram, rams), (dsp, dsps), (ff, _) = (
        flow.counted(usage, cells) for cells in (family.lut, family.ram, family.dsp, family.ff)
    )
    if board.family == "gatemate":  # nextpnr joins halves of block RAMs after it has counted them
        ram = int(re.findall(rf"^Info:\s+{family.ram[0]}:\s+(\d+)/", best.log, re.MULTILINE)[0])
    if not family.ff:
        packed = re.findall(r"^Info:\s+(\d+) LCs used as (?:LUT4 and DFF|DFF only)", best.log, re.MULTILINE)
        ff = sum(map(int, packed))
    return SynthResult(
        board=board.name,
        clock_mhz=round(clock_mhz, 4),
        clock_hz=round(1e6 * clock_mhz),
        fmax_mhz=round(best.fmax_mhz, 2),
        timing_met=best.fmax_mhz >= clock_mhz,
        lut=lut,
        lut_available=luts,
        ram=ram,
        ram_available=rams,
        dsp=dsp,
        dsp_available=dsps,
        ff=ff,
        critical_path=critical_path(best.report),
        utilisation={name: dict(cells) for name, cells in usage.items() if cells["used"]},
        oscillator_mhz=board.clock_mhz,
        pll=pll.cell if pll else "",
        seed=best.seed,
        fmax_mhz_by_seed=tuple(sorted((item.seed, round(item.fmax_mhz, 2)) for item in routed)),
        log=str(folder / best.folder / "nextpnr.log"),
        routed=str(Path("synth") / board.name / folder.name / best.folder),
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
