"""Block RAMs of a memory: what Yosys made of memories of many sizes, and what it makes of some today."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from spikeloom.placing.ram import blocks, units

# family, kind, words, bits; block RAMs and distributed RAMs that Yosys 0.70 needed
MEASURED = [
    ("ecp5", "rom", 20, 304, 0, 0),
    ("ecp5", "rom", 64, 10, 0, 0),
    ("ecp5", "rom", 144, 120, 4, 0),
    ("ecp5", "rom", 200, 18, 1, 0),
    ("ecp5", "rom", 300, 3, 0, 0),
    ("ecp5", "rom", 300, 864, 24, 0),
    ("ecp5", "rom", 400, 18, 1, 0),
    ("ecp5", "rom", 1025, 36, 3, 0),
    ("ecp5", "rom", 2112, 864, 120, 0),
    ("ecp5", "rom", 3000, 10, 2, 0),
    ("ecp5", "rom", 3000, 72, 12, 0),
    ("ecp5", "ram", 12, 90, 0, 23),
    ("ecp5", "ram", 17, 9, 0, 6),
    ("ecp5", "ram", 32, 30, 0, 16),
    ("ecp5", "ram", 33, 30, 0, 24),
    ("ecp5", "ram", 64, 9, 0, 12),
    ("ecp5", "ram", 64, 90, 3, 0),
    ("ecp5", "ram", 242, 288, 8, 0),
    ("ecp5", "ram", 242, 320, 9, 0),
    ("ecp5", "ram", 2048, 16, 2, 0),
    ("ecp5", "ram", 2050, 36, 5, 0),
    ("ecp5", "ram", 3000, 30, 6, 0),
    ("ecp5", "ram", 4096, 3, 1, 0),
    ("ice40", "rom", 24, 37, 0, 0),
    ("ice40", "rom", 513, 36, 7, 0),
    ("ice40", "rom", 600, 18, 4, 0),
    ("ice40", "rom", 1000, 1, 0, 0),
    ("ice40", "rom", 1000, 9, 3, 0),
    ("ice40", "rom", 2050, 1, 1, 0),
    ("ice40", "ram", 4, 16, 0, 0),
    ("ice40", "ram", 24, 3, 1, 0),
    ("ice40", "ram", 33, 30, 2, 0),
    ("ice40", "ram", 242, 32, 2, 0),
    ("ice40", "ram", 512, 36, 5, 0),
    ("ice40", "ram", 600, 90, 17, 0),
    ("ice40", "ram", 1025, 10, 4, 0),
    ("ice40", "ram", 2048, 37, 19, 0),
    ("ice40", "ram", 5000, 320, 400, 0),
]
CELLS = {"DP16KD": (0, 1), "SB_RAM40_4K": (0, 1), "TRELLIS_DPR16X4": (1, 1), "RAM16SDP4": (1, 1),
         "CC_BRAM_20K": (0, 1), "CC_BRAM_40K": (0, 2),
         **dict.fromkeys(("SP", "SPX9", "DPB", "DPX9B", "SDPB", "SDPX9B"), (0, 1))}  # fmt: skip


@pytest.mark.parametrize(("family", "kind", "depth", "width", "block", "distributed"), MEASURED)
def test_units_are_those_that_yosys_needed(
    family: str, kind: str, depth: int, width: int, block: int, distributed: int
) -> None:
    assert units(depth, width, kind, family) == (block, distributed)
    assert blocks(depth, width, kind, family) == block


@pytest.mark.parametrize(("family", "expected"), [("ecp5", 1), ("ice40", 1), ("gowin", 1), ("gatemate", 1)])
def test_a_memory_that_asks_for_block_ram_gets_it_however_small_it_is(family: str, expected: int) -> None:
    assert units(2, 12, "block", family) == (expected, 0)
    assert blocks(2, 12, "ram", family) == 0


SCRIPT = """
import json, os, random, sys
from pyosys import libyosys

source = random.Random(1)
last = {"ecp5": "map_ffs", "ice40": "map_ffs", "gowin": "map_gates", "gatemate": "map_gates", "gowin5": "map_gates"}
passes = {"gowin5": "synth_gowin -family gw5a -nolutram"}

for number, (family, kind, depth, width, same) in enumerate(json.loads(sys.argv[1])):
    bits = max(1, (depth - 1).bit_length())
    name = f"m{number}"
    ones = source.getrandbits(same)
    with open(name + ".mem", "w") as file:  # contents that no optimisation sees through, but for the lowest bits
        file.writelines(f"{source.getrandbits(width) >> same << same | ones:0{width}b}\\n" for _ in range(depth))
    ports = f"input clk, input re, input [{bits - 1}:0] ra, output reg [{width - 1}:0] rd"
    write = ""
    if kind != "rom":
        ports += f", input we, input [{bits - 1}:0] wa, input [{width - 1}:0] wd"
        write = "always @(posedge clk) if (we) m[wa] <= wd;"
    attributes = {"rom": "", "ram": "(* no_rw_check *)", "block": '(* no_rw_check, ram_style = "block" *)'}[kind]
    with open(name + ".v", "w") as file:
        file.write(
            f"module top({ports}); {attributes} reg [{width - 1}:0] m [{depth - 1}:0]; "
            f'initial $readmemb("{name}.mem", m); always @(posedge clk) if (re) rd <= m[ra]; {write} endmodule'
        )
    design = libyosys.Design()
    libyosys.run_pass(f"read_verilog {name}.v", design)
    libyosys.run_pass(f"{passes.get(family, 'synth_' + family)} -top top -run begin:{last[family]}", design)
    libyosys.run_pass(f"tee -q -o {name}.json stat -json", design)
sys.stdout.flush()
os._exit(0)
"""


def test_yosys_still_maps_memories_so(tmp_path: Path) -> None:
    """A later Yosys may cost memories otherwise: this says so before a plan is wrong."""
    sizes = [
        ("ecp5", "rom", 100, 33, 0),
        ("ecp5", "rom", 700, 40, 0),
        ("ecp5", "rom", 413, 74, 0),
        ("ecp5", "rom", 413, 74, 11),  # bits that are the same in all words are dropped
        ("ecp5", "ram", 40, 20, 0),
        ("ecp5", "ram", 600, 45, 0),
        ("ecp5", "block", 6, 50, 0),
        ("ice40", "rom", 600, 12, 0),
        ("ice40", "ram", 300, 21, 0),
        ("ice40", "block", 3, 5, 0),
        ("gowin", "rom", 413, 74, 0),
        ("gowin", "ram", 40, 20, 0),
        ("gowin", "ram", 600, 45, 0),
        ("gowin", "block", 6, 50, 0),
        ("gowin5", "ram", 15, 40, 0),
        ("gowin5", "ram", 5, 8, 0),
        ("gatemate", "rom", 413, 74, 0),
        ("gatemate", "ram", 15, 30, 0),
        ("gatemate", "ram", 600, 45, 0),
        ("gatemate", "rom", 3000, 36, 0),
    ]
    (tmp_path / "run.py").write_text(SCRIPT)
    subprocess.run(
        [sys.executable, "run.py", json.dumps(sizes)], cwd=tmp_path, check=True, timeout=300, stdout=subprocess.DEVNULL
    )
    for number, (family, kind, depth, width, same) in enumerate(sizes):
        (module,) = json.loads((tmp_path / f"m{number}.json").read_text())["modules"].values()
        found = [0, 0]
        for cell, count in module["num_cells_by_type"].items():
            if cell in CELLS:
                place, size = CELLS[cell]
                found[place] += count * size
        expected = units(depth, width - same, kind, family)
        assert (family, kind, depth, width, same, *found) == (family, kind, depth, width, same, *expected)
