"""Components that a device does better than Yosys finds by itself, as a technology map of the same function."""

from collections.abc import Mapping
from typing import Any

MAP = "primitives.v"
_ADDERS = "SPIKELOOM_ADDERS"

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


def passes(manifest: Mapping[str, Any], path: str = MAP) -> list[str]:
    """Yosys passes that map the adders of every core of a build; `path`: of a file with `ECP5`.

    The modules are told apart by their names, and have to be there still: run these before the hierarchy is flattened.
    """
    found = []
    for core in manifest["cores"]:
        cells = f"t:{manifest['top']}_{core['name']}_cells_cell*_adders"
        found.append(
            f"setparam -set BITS {core['bits']} -set LANES {core['width']} -set INVERTS {int(core['inverts'])} {cells}"
        )
        found.append(f"chtype -set {_ADDERS} {cells}")
    return [*found, f"techmap -map {path} t:{_ADDERS}"]
