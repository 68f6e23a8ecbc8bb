"""Netlists of the cores, in the cells of every family, compiled by CXXRTL: they answer as the golden model."""

import ctypes
import importlib.util
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork, random_samples
from spikeloom import Network, golden
from spikeloom.encoding import encode, spikes_of
from spikeloom_hw import toolchain
from spikeloom_hw.bitstream import flow, primitives
from spikeloom_hw.build import Build, generate

PYOSYS = Path(str(importlib.util.find_spec("pyosys").origin)).parent / "share"
CELLS = {family: f"{family}/cells_sim.v" for family in ("ecp5", "ice40", "gowin", "gatemate")}

# Yosys has black boxes for Gowin's block RAMs. What they do: SUG283 (BSRAM); words of nine-bit bytes, of which a port
# of 18 or 36 bits takes 2 or 4; INIT_RAM_xx are 32 bytes each; the low bits of a write port's address enable bytes.
INITS = "".join(f"  parameter [287:0] INIT_RAM_{n:02X} = 0;\n" for n in range(64))
LOADS = "".join(
    f"    for (n = 0; n < 32; n = n + 1) mem[{32 * slice_} + n] = INIT_RAM_{slice_:02X}[9 * n +: 9];\n"
    for slice_ in range(64)
)
READ = """
  function [35:0] word(input integer width, input [13:0] a);
    word = width == 9 ? mem[a[13:3]] : width == 18 ? {mem[{a[13:4], 1'd1}], mem[{a[13:4], 1'd0}]}
      : {mem[{a[13:5], 2'd3}], mem[{a[13:5], 2'd2}], mem[{a[13:5], 2'd1}], mem[{a[13:5], 2'd0}]};
  endfunction
"""
GOWIN_RAMS = f"""
module SPX9(DO, DI, BLKSEL, AD, WRE, CLK, CE, OCE, RESET);
  parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 36, BLK_SEL = 0, RESET_MODE = "SYNC";
{INITS}
  output reg [35:0] DO; input [35:0] DI; input [2:0] BLKSEL; input [13:0] AD; input WRE, CLK, CE, OCE, RESET;
  reg [8:0] mem [0:2047];
  integer n;
  initial begin
{LOADS}
  end
  {READ}
  always @(posedge CLK) if (CE && !WRE) DO <= word(BIT_WIDTH, AD);
endmodule
module SDPX9B(CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, RESET, ADA, ADB, BLKSELA, BLKSELB, DI, DO);
  parameter READ_MODE = 0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36, BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
{INITS}
  output reg [35:0] DO; input [35:0] DI; input [2:0] BLKSELA, BLKSELB; input [13:0] ADA, ADB;
  input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, RESET;
  reg [8:0] mem [0:2047];
  integer n;
  initial begin
{LOADS}
  end
  {READ}
  always @(posedge CLKB) if (CEB) DO <= word(BIT_WIDTH_1, ADB);
  always @(posedge CLKA) if (CEA) begin
    if (BIT_WIDTH_0 == 9) mem[ADA[13:3]] <= DI[8:0];
    if (BIT_WIDTH_0 == 18) begin
      if (ADA[0]) mem[{{ADA[13:4], 1'd0}}] <= DI[8:0];
      if (ADA[1]) mem[{{ADA[13:4], 1'd1}}] <= DI[17:9];
    end
    if (BIT_WIDTH_0 == 36) begin
      if (ADA[0]) mem[{{ADA[13:5], 2'd0}}] <= DI[8:0];
      if (ADA[1]) mem[{{ADA[13:5], 2'd1}}] <= DI[17:9];
      if (ADA[2]) mem[{{ADA[13:5], 2'd2}}] <= DI[26:18];
      if (ADA[3]) mem[{{ADA[13:5], 2'd3}}] <= DI[35:27];
    end
  end
endmodule
"""

# And for those of ECP5, here as 512 words of 36 bits that are only read, the lower half at port A.
ECP5_INITS = "".join(f"  parameter [319:0] INITVAL_{n:02X} = 0;\n" for n in range(64))
ECP5_LOADS = "".join(
    f"    for (n = 0; n < 16; n = n + 1) mem[{16 * slice_} + n] = INITVAL_{slice_:02X}[20 * n +: 18];\n"
    for slice_ in range(64)
)
ECP5_SETTINGS = {
    "DATA_WIDTH_A": "36", "DATA_WIDTH_B": "36", "REGMODE_A": '"NOREG"', "REGMODE_B": '"NOREG"', "GSR": '"DISABLED"',
    "RESETMODE": '"ASYNC"', "ASYNC_RESET_RELEASE": '"ASYNC"', "CSDECODE_A": '"0b000"', "CSDECODE_B": '"0b000"',
    "CLKAMUX": '"CLKA"', "CLKBMUX": '"CLKB"', "WRITEMODE_A": '"NORMAL"', "WRITEMODE_B": '"NORMAL"', "WID": "0",
}  # fmt: skip


def port_bits(name: str, count: int) -> str:
    """The bits of a port that has one name for each, the highest first."""
    return ", ".join(f"{name}{n}" for n in reversed(range(count)))


IN_BITS = [*(("AD" + port, 14) for port in "AB"), *(("DI" + port, 18) for port in "AB"), ("CSA", 3), ("CSB", 3)]
ECP5_RAM = f"""
module DP16KD({", ".join(port_bits(*item) for item in [*IN_BITS, ("DOA", 18), ("DOB", 18)])},
  CLKA, CEA, OCEA, WEA, RSTA, CLKB, CEB, OCEB, WEB, RSTB);
{"".join(f"  parameter {name} = {value};" for name, value in ECP5_SETTINGS.items())}
{ECP5_INITS}
  input {", ".join(port_bits(*item) for item in IN_BITS)};
  input CLKA, CEA, OCEA, WEA, RSTA, CLKB, CEB, OCEB, WEB, RSTB;
  output {port_bits("DOA", 18)}, {port_bits("DOB", 18)};
  reg [17:0] mem [0:1023];
  reg [35:0] q;
  integer n;
  initial begin
{ECP5_LOADS}
  end
  assign {{{port_bits("DOB", 18)}, {port_bits("DOA", 18)}}} = q;
  wire [8:0] place = {{{port_bits("ADB", 14)}}} >> 5;
  always @(posedge CLKB) if (CEB) q <= {{mem[{{place, 1'b1}}], mem[{{place, 1'b0}}]}};
endmodule
"""

# Sends beats, one after the other; keeps every potential and class that comes, until as many classes as asked for.
BENCH = """
#include "core.cc"
extern "C" int run(const uint32_t *beats, int count, uint32_t *out, uint32_t *classes, int wanted) {
  cxxrtl_design::p_spikeloom top;
  int sent = 0, got = 0, answers = 0;
  auto edge = [&](bool reset) {
    top.p_rst.set<bool>(reset);
    top.p_clk.set<bool>(false); top.step();
    if (!reset) {
      if (sent < count && top.p_i____ready.get<bool>()) sent++;
      if (top.p_o____valid.get<bool>()) out[got++] = top.p_o____payload.get<uint32_t>();
      if (top.p_o__class____valid.get<bool>()) classes[answers++] = top.p_o__class____payload.get<uint32_t>();
    }
    top.p_clk.set<bool>(true); top.step();
  };
  top.p_o____ready.set<bool>(true); top.p_o__class____ready.set<bool>(true);
  for (int n = 0; n < 4; n++) edge(true);
  for (int cycle = 0; cycle < 200000 && answers < wanted; cycle++) {
    top.p_i____valid.set<bool>(sent < count);
    top.p_i____payload.set<uint32_t>(sent < count ? beats[sent] : 0);
    edge(false);
  }
  return got;
}
"""


def netlist(build: Build, folder: Path, family: str) -> set[str]:
    """Write `core.cc`, the netlist of the cores as a C++ model; the kinds of its cells."""
    device = "" if family != "gowin" else " -family gw1n"
    options = " -noiopads" if family == "gowin" else " -noiopad -noclkbuf" if family == "gatemate" else ""
    for name in (build.manifest["verilog"], *build.manifest["memories"]):
        (folder / name).write_text((build.folder / name).read_text())
    (folder / "bram.v").write_text(ECP5_RAM if family == "ecp5" else GOWIN_RAMS)
    (folder / "cells.v").write_text((PYOSYS / CELLS[family]).read_text())
    mapped: list[str] = []
    if family == "ecp5":  # with sums as `primitives` makes them
        (folder / primitives.MAP).write_text(primitives.ECP5)
        mapped = [*primitives.passes(build.manifest, (folder / build.manifest["verilog"]).read_text()), *flow.KEEP]
    synthesis = [
        f"read_verilog {build.manifest['verilog']}",
        *mapped,
        flow.HIDE_BRACKETS,
        *flow.synthesis(family, f"{device}{options} -top {build.manifest['top']}"),
        "tee -q -o kinds.txt stat",
        "write_verilog -noattr -noexpr netlist.v",
        f"write_json {flow.NETLIST}",
    ]
    model = [
        *([f"read_json {flow.NETLIST}", "delete =A:blackbox"] if family == "ecp5" else ["read_verilog netlist.v"]),
        f"read_verilog -defer -DNO_ICE40_DEFAULT_ASSIGNMENTS -DNO_INCLUDES -I{PYOSYS / family} cells.v",
        *(["read_verilog -overwrite bram.v"] if family in ("ecp5", "gowin") else []),
        f"hierarchy -check -top {build.manifest['top']}",
        "proc",
        "flatten",
        "opt_expr",
        "opt_clean",
        "write_cxxrtl -g0 core.cc",
    ]
    for name, script in (("netlist", synthesis), ("model", model)):
        (folder / f"{name}.ys").write_text("\n".join(script) + "\n")
        toolchain.run("yosys", ["-q", f"{name}.ys"], cwd=folder, log=folder / f"{name}.log")
        if (name, family) == ("netlist", "ecp5"):
            primitives.open_ends(folder / flow.NETLIST)
            assert ones_at_open_ends(folder / flow.NETLIST) > 10
    return {word for line in (folder / "kinds.txt").read_text().splitlines() for word in line.split()[1:2]}


def ones_at_open_ends(path: Path) -> int:
    """Have ones come into carry chains where they are open, which is as good as anything; how many there are."""
    design, count = json.loads(path.read_text()), 0
    for cell in (cell for module in design["modules"].values() for cell in module["cells"].values()):
        ends = cell["connections"]
        if cell["type"] == "CCU2C" and ends["CIN"] == primitives.OPEN:
            ends["CIN"], count = ["1"], count + 1
        if cell["type"] == "CCU2C" and ends["COUT"] == primitives.OPEN:
            del ends["COUT"]
    path.write_text(json.dumps(design))
    return count


def beats(network: Network, build: Build, x: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Events of samples in random order, each sample with its end mark."""
    source = network.inputs[0]
    offsets = {name: offset for name, (offset, _) in build.manifest["input"]["fields"].items()}
    sent: list[int] = []
    for train in spikes_of(encode(source, x), source.timesteps).reshape(len(x), source.timesteps, -1):
        events = rng.permutation(np.argwhere(train)).tolist()
        sent += [(address << offsets["address"]) | (step << offsets["step"]) for step, address in events]
        sent.append(1 << offsets["end"])
    return sent


@pytest.mark.parametrize(
    ("family", "block_ram"),
    [
        ("ecp5", "DP16KD"),
        ("ice40", "SB_RAM40_4K"),
        ("gowin", "SPX9"),
        pytest.param("gatemate", "CC_BRAM_20K", marks=pytest.mark.slow),
    ],
)
def test_netlist_of_a_core_answers_as_the_golden_model(family: str, block_ram: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    network = RandomNetwork(rng, (1, 8, 8), 3, "gates").dense(12).readout(3)
    build = generate(network, tmp_path / "build", lanes=12)
    x = random_samples(rng, network, 4)
    assert block_ram in netlist(build, tmp_path, family)
    (tmp_path / "bench.cpp").write_text(BENCH)
    runtime = PYOSYS / "include" / "backends" / "cxxrtl" / "runtime"
    command = ["g++", "-std=c++14", "-O0", "-fPIC", "-shared", f"-I{runtime}", "-o", "bench.so", "bench.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "bench.so"))
    sent = beats(network, build, x, rng)
    out, classes = (ctypes.c_uint32 * 1000)(), (ctypes.c_uint32 * 1000)()
    got = library.run((ctypes.c_uint32 * len(sent))(*sent), len(sent), out, classes, len(x))
    expected = golden.evaluate(network, x)
    assert got == expected.size
    fields, bits = build.manifest["readout"]["fields"], build.manifest["readout"]["potential_bits"]
    offset = fields["potential"][0]
    potentials = [((word >> offset) & ((1 << bits) - 1)) for word in out[:got]]
    signed = [value - (1 << bits) if value >> (bits - 1) else value for value in potentials]
    assert np.array(signed).reshape(expected.shape).tolist() == expected.tolist()
    assert list(classes[: len(x)]) == expected.argmax(1).tolist()
