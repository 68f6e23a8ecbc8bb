"""What Yosys does not find by itself: sums as carry chains of ECP5, with ends that nobody needs left open."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAP = "primitives.v"
_ADDERS = "SPIKELOOM_ADDERS"
_CARRY_IN = 0x000A  # table of the first half of a chain
_LEAST_BITS = 5  # of a sum that is worth carries
OPEN = ["x"]
_MODULE = re.compile(
    r"^module (?P<name>(?P<core>\w+)_cells_cell\d+_adders)\s*\((?P<body>.*?)^endmodule", re.MULTILINE | re.DOTALL
)
_PORT = re.compile(r"^  (?:input|output) (?:\[(\d+):0\] )?(\\?\S+?) ?;", re.MULTILINE)

# A carry cell of ECP5 adds A to whatever its look-up table makes of the other inputs: D ? B : C for a cell's adders,
# the last sum or what was read. Its carry is A where both are equal, which bits 3..0 of INIT (C = D = 0) have to say,
# and do. The first half of a chain makes the carry in, which is its A, since its table says 0 where D = 1. Nobody needs
# what is carried into that half or out of the last one: they are left open (see `open_ends`), or nextpnr would take two
# halves to feed the one and two to show the other.
ECP5 = f"""\
module {_ADDERS} (again, last_sums, potentials, addends, negative, sums);
  parameter BITS = 1;
  parameter LANES = 1;
  parameter INVERTS = 0;
  input again, negative;
  input [LANES * BITS - 1:0] last_sums, potentials, addends;
  output [LANES * BITS - 1:0] sums;
  localparam PAIRS = BITS / 2 + 1;
  genvar lane, pair;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : of
      wire [2 * PAIRS - 1:0] addend = {{addends[lane * BITS +: BITS], INVERTS ? negative : 1'b0}};
      wire [2 * PAIRS - 1:0] last = {{last_sums[lane * BITS +: BITS], 1'b0}};
      wire [2 * PAIRS - 1:0] read = {{potentials[lane * BITS +: BITS], 1'b0}};
      wire [2 * PAIRS - 1:0] sum;
      wire [PAIRS:0] carry;
      assign carry[0] = 1'b0;
      assign sums[lane * BITS +: BITS] = sum[BITS:1];
      for (pair = 0; pair < PAIRS; pair = pair + 1) begin : at
        CCU2C #(
          .INIT0(pair ? 16'h665A : 16'h{_CARRY_IN:04X}), .INIT1(16'h665A), .INJECT1_0("NO"), .INJECT1_1("NO")
        ) adder (
          .CIN(carry[pair]), .COUT(carry[pair + 1]),
          .A0(addend[2 * pair]), .B0(last[2 * pair]), .C0(read[2 * pair]), .D0(pair ? again : 1'b1), .S0(sum[2 * pair]),
          .A1(addend[2 * pair + 1]), .B1(last[2 * pair + 1]), .C1(read[2 * pair + 1]), .D1(again),
          .S1(sum[2 * pair + 1])
        );
      end
    end
  endgenerate
endmodule

(* techmap_celltype = "$alu" *)
module SPIKELOOM_ALU (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH - 1:0] A;
  input [B_WIDTH - 1:0] B;
  input CI, BI;
  output [Y_WIDTH - 1:0] X, Y, CO;
  wire _TECHMAP_FAIL_ = Y_WIDTH < {_LEAST_BITS};
  localparam PAIRS = Y_WIDTH / 2 + 1;
  wire [A_WIDTH + Y_WIDTH - 1:0] wide_a = {{{{Y_WIDTH{{A_SIGNED ? A[A_WIDTH - 1] : 1'b0}}}}, A}};
  wire [B_WIDTH + Y_WIDTH - 1:0] wide_b = {{{{Y_WIDTH{{B_SIGNED ? B[B_WIDTH - 1] : 1'b0}}}}, B}};
  wire [Y_WIDTH - 1:0] a = wide_a, b = wide_b, added = b ^ {{Y_WIDTH{{BI}}}}, into = X ^ Y;
  wire [2 * PAIRS - 1:0] to = {{a, CI}}, addend = {{b, 1'b0}}, sum;
  wire [PAIRS:0] carry;
  assign carry[0] = 1'b0;
  assign X = a ^ added;
  assign Y = sum[Y_WIDTH:1];
  assign CO = {{a[Y_WIDTH - 1] & added[Y_WIDTH - 1] | X[Y_WIDTH - 1] & ~Y[Y_WIDTH - 1], into}} >> 1;
  genvar pair;
  generate
    for (pair = 0; pair < PAIRS; pair = pair + 1) begin : at
      CCU2C #(
        .INIT0(pair ? 16'h96AA : 16'h{_CARRY_IN:04X}), .INIT1(16'h96AA), .INJECT1_0("NO"), .INJECT1_1("NO")
      ) adder (
        .CIN(carry[pair]), .COUT(carry[pair + 1]),
        .A0(to[2 * pair]), .B0(addend[2 * pair]), .C0(BI), .D0(1'b1), .S0(sum[2 * pair]),
        .A1(to[2 * pair + 1]), .B1(addend[2 * pair + 1]), .C1(BI), .D1(1'b1), .S1(sum[2 * pair + 1])
      );
    end
  endgenerate
endmodule
"""


def passes(manifest: Mapping[str, Any], verilog: str, path: str = MAP) -> list[str]:
    """Yosys passes that map the adders of every core of a build; `verilog`: its text, `path`: of a file with `ECP5`.

    The modules are told apart by their names, and have to be there still: run these before the hierarchy is flattened.
    A module whose ports are not those of `Adders` stays as it is: Amaranth splits a port whose bits come from several
    places, as the addends of a single lane do.
    """
    sizes = {f"{manifest['top']}_{core['name']}": (core["bits"], core["width"]) for core in manifest["cores"]}
    found = []
    for module in _MODULE.finditer(verilog):
        bits, lanes = sizes[module["core"]]
        ports = {name: int(top or 0) + 1 for top, name in _PORT.findall(module["body"])}
        inverts = ports.pop("negative", 0)
        if ports == {"again": 1} | dict.fromkeys(("last_sums", "potentials", "addends", "sums"), bits * lanes):
            sized = f"setparam -set BITS {bits} -set LANES {lanes} -set INVERTS {inverts}"
            found += [f"{sized} t:{module['name']}", f"chtype -set {_ADDERS} t:{module['name']}"]
    return [*found, f"techmap -map {path} t:{_ADDERS}"] if found else []


def open_ends(netlist: Path) -> None:
    """Disconnect the carries before the first and behind the last half of every chain in a netlist of ECP5.

    Yosys connects all ports of a cell; a carry that nothing reads is as good as open, and so is one into `_CARRY_IN`.
    """
    design = json.loads(netlist.read_text())
    modules = design["modules"].values()
    cells = [cell for module in modules for cell in module["cells"].values()]
    ports = [port for module in modules for port in module["ports"].values()]
    read = {bit for port in ports if port["direction"] != "input" for bit in port["bits"]} | {
        bit
        for cell in cells
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input"
        for bit in bits
    }
    for cell in cells:
        if cell["type"] == "CCU2C":
            ends, first = cell["connections"], int(cell["parameters"]["INIT0"], 2) == _CARRY_IN
            ends["CIN"] = OPEN if first else ends["CIN"]
            ends["COUT"] = ends["COUT"] if read.intersection(ends["COUT"]) else OPEN
    netlist.write_text(json.dumps(design))
