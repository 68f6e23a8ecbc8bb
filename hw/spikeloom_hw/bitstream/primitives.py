"""What Yosys does not find by itself: a technology map of the same function, and registers that stay apart."""

import re
from collections.abc import Mapping
from typing import Any

MAP = "primitives.v"
_ADDERS = "SPIKELOOM_ADDERS"
_MODULE = re.compile(
    r"^module (?P<name>(?P<core>\w+)_cells_cell\d+_adders)\s*\((?P<body>.*?)^endmodule", re.MULTILINE | re.DOTALL
)
_PORT = re.compile(r"^  (?:input|output) (?:\[(\d+):0\] )?(\\?\S+?) ?;", re.MULTILINE)

# A carry cell of ECP5 adds A to whatever its look-up table makes of the other inputs: D ? B : C, the last sum or what
# was read. Its carry is A where both are equal, which bits 3..0 of INIT (C = D = 0) have to say, and do.
ECP5 = f"""\
module {_ADDERS} (again, last_sums, potentials, addends, negative, sums);
  parameter BITS = 1;
  parameter LANES = 1;
  parameter INVERTS = 0;
  input again, negative;
  input [LANES * BITS - 1:0] last_sums, potentials, addends;
  output [LANES * BITS - 1:0] sums;
  localparam PAIRS = (BITS + 1) / 2;
  genvar lane, pair;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : of
      wire [2 * PAIRS - 1:0] addend = {{1'b0, addends[lane * BITS +: BITS]}};
      wire [2 * PAIRS - 1:0] last = {{1'b0, last_sums[lane * BITS +: BITS]}};
      wire [2 * PAIRS - 1:0] read = {{1'b0, potentials[lane * BITS +: BITS]}};
      wire [2 * PAIRS - 1:0] sum;
      wire [PAIRS:0] carry;
      assign carry[0] = INVERTS ? negative : 1'b0;
      assign sums[lane * BITS +: BITS] = sum[BITS - 1:0];
      for (pair = 0; pair < PAIRS; pair = pair + 1) begin : at
        CCU2C #(.INIT0(16'h665A), .INIT1(16'h665A), .INJECT1_0("NO"), .INJECT1_1("NO")) adder (
          .CIN(carry[pair]), .COUT(carry[pair + 1]),
          .A0(addend[2 * pair]), .B0(last[2 * pair]), .C0(read[2 * pair]), .D0(again), .S0(sum[2 * pair]),
          .A1(addend[2 * pair + 1]), .B1(last[2 * pair + 1]), .C1(read[2 * pair + 1]), .D1(again),
          .S1(sum[2 * pair + 1])
        );
      end
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
