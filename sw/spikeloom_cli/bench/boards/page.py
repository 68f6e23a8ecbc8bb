"""The page of the boards, docs/reference/boards.md: from their list and from docs/results/boards.json."""

import json
from pathlib import Path
from typing import Any

from spikeloom.storage import write_whole
from spikeloom_hw.boards.board_list import BOARDS

from ..papers.page import table

HEAD = """# Boards

Written by `make boards` from the list of boards and [docs/results/boards.json](../results/boards.json).

`spikeloom boards` lists them, `spikeloom fit net.loom` says on which of them a network fits, and
`spikeloom generate --board` takes their names. LUTs and block RAMs are counted as nextpnr counts them: four-input LUTs;
halves of a CPE and of a block RAM on GateMate. Nothing here has run on a board yet: bitstreams are placed, routed and
packed, and netlists simulated.
"""
CLOCKS = """## Clocks

`spikeloom synth --clock auto` routes for the oscillator, then sets the board's PLL to the fastest clock that 95 % of
the Fmax found allow (70 % on Gowin devices, whose Fmax looks optimistic), makes the bitstream again for it and checks
that it is met. Boards without a PLL in the table run at their oscillator; `--clock oscillator` makes every board do so.
Hold times of Gowin devices are not judged, as nextpnr's model of them reports violations everywhere. GateMate is timed
for a core voltage of 1.0 V (economy).
"""


def update(results: Path) -> None:
    """Write the page beside the results."""
    path = results / "boards.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    page = results.parent / "reference" / "boards.md"
    page.parent.mkdir(exist_ok=True)
    write_whole(page, render(rows).encode())


def render(rows: list[dict[str, Any]]) -> str:
    """The page: what the boards are, their clocks, what the demo took, where their pins are from."""
    listed = [
        [f"`{board.name}`", board.family, f"{board.device} {board.package} {board.speed_grade}".strip(), board.lut,
         board.ram_kbit, f"{board.clock_mhz:g}", board.pll or "-", board.serial]
        for board in BOARDS.values()
    ]  # fmt: skip
    made = [_made(row) for row in rows]
    sources = [[f"`{board.name}`", board.source] for board in BOARDS.values()]
    done = sum(row["bitstream"] is not None for row in rows)
    families = len({row["family"] for row in rows if row["bitstream"] is not None})
    return "\n".join(
        [
            HEAD,
            *table("board | family | device | LUTs | RAM kbit | oscillator MHz | PLL | serial line", listed),
            "",
            CLOCKS,
            "## What the demo takes",
            "",
            "A 64-32-10 network on scikit-learn's digits, T=4, 6-bit weights, with its serial line; planned figures "
            f"are those of `generate`, before synthesis. {done} bitstreams in {families} families.",
            "",
            *table("board | lanes | LUTs | planned | RAM blocks | planned | Fmax MHz | clock MHz", made),
            "",
            "## Where pins and clocks are from",
            "",
            *table("board | source", sources),
            "",
        ]
    )


def _made(row: dict[str, Any]) -> list[Any]:
    name = f"`{row['board']}`"
    if "lut" not in row:
        why = f"does not fit: {row['reasons'].split(': ', 1)[-1]}" if "reasons" in row else "failed"
        return [name, "-", why, "-", "-", "-", "-", "-"]
    clock = f"{row['clock_mhz']:g}" + (f" ({row['pll']})" if row["pll"] else "")
    return [
        name, "+".join(map(str, row["lanes"])), f"{row['lut']} of {row['lut_available']}", row["lut_planned"],
        f"{row['ram']} of {row['ram_available']}", row["ram_planned"],
        f"{row['fmax_mhz']:.1f}" + (" (optimistic)" if row["family"] == "gowin" else ""),
        clock if row["bitstream"] else f"{clock}, not met",
    ]  # fmt: skip


def summary(row: dict[str, Any]) -> str:
    """A row in a few words."""
    if "error" in row:
        return f"failed: {row['error']}"
    if "lut" not in row:
        return f"does not fit; the smallest board for it is {row['smallest']}"
    return (
        f"{row['lut']} LUTs, {row['ram']} RAM blocks, Fmax {row['fmax_mhz']:.1f} MHz, clock {row['clock_mhz']:g} MHz, "
        f"{row['bitstream'] or 'no bitstream'}"
    )
