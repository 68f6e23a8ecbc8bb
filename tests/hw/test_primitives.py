"""The technology map: proven equal to what it stands for, with the device's cells as Yosys describes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from random_networks import RandomNetwork
from spikeloom import Conv2d, ToolError
from spikeloom.placing.cores import plan_core
from spikeloom_hw import toolchain
from spikeloom_hw.bitstream import flow, primitives
from spikeloom_hw.core.cells import Adders
from spikeloom_hw.core.spec import CoreSpec

CELLS = "read_verilog -overwrite +/lattice/common_sim.vh +/lattice/ccu2c_sim.vh"
PORTS = "read_verilog -lib +/lattice/ccu2c_sim.vh", "blackbox =CCU2C"
PROOF = ("miter -equiv gold around miter", "hierarchy -top miter", "flatten", "opt")


class Around(wiring.Component):
    """The adders of a cell as a submodule, since modules are mapped where they are used."""

    def __init__(self, adders: Adders) -> None:
        self.adders = adders
        super().__init__(adders.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.adders = self.adders
        wiring.connect(m, wiring.flipped(self), self.adders)
        return m


def spec(code: str, weight_bits: int) -> CoreSpec:
    """A core of cells whose lanes have an even or odd number of bits."""
    network = RandomNetwork(np.random.default_rng(3), (2, 4, 4), 3, "adds", code=code)
    network.conv(4, Conv2d((3, 3), padding=(1, 1)), timesteps=3, weight_bits=weight_bits)
    made = network.conv(4, Conv2d((3, 3), padding=(1, 1)), timesteps=3).readout(3)
    return CoreSpec(made, plan_core(made, 0, 3, grid=(3, 3), width=2))


def prove(core: CoreSpec, folder: Path, text: str = primitives.ECP5) -> None:
    """Let Yosys prove both forms of a cell's adders equal; ToolError where they are not."""
    name = f"spikeloom_{core.plan.name}_cells_cell0_adders"
    design = rtlil.convert(Around(Adders(spec=core)), name="around", emit_src=False).replace("around.adders", name)
    (folder / "around.il").write_text(design)
    (folder / primitives.MAP).write_text(text)
    run(folder, "read_rtlil around.il", "proc", "write_verilog -noattr around.v")
    size = {"name": core.plan.name, "bits": core.plan.bits, "width": core.plan.width}
    passes = primitives.passes({"top": "spikeloom", "cores": [size]}, (folder / "around.v").read_text())
    mapped = ["copy around gold", "flatten gold", *passes, "select -assert-min 1 around/t:CCU2C"]
    run(folder, "read_verilog around.v", *mapped, CELLS, *PROOF, "sat -verify -prove trigger 0 miter")


def run(folder: Path, *passes: str) -> None:
    """Run passes of Yosys in a folder."""
    (folder / "script.ys").write_text("\n".join(passes) + "\n")
    toolchain.run("yosys", ["-q", "script.ys"], cwd=folder, log=folder / "yosys.log")


@pytest.mark.parametrize(("code", "weight_bits"), [("plain", 4), ("plain", 5), ("naf", 4), ("naf", 5)])
def test_carry_cells_add_as_the_adders_do(code: str, weight_bits: int, tmp_path: Path) -> None:
    prove(spec(code, weight_bits), tmp_path)


def test_a_wrong_table_is_not_proven(tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        prove(spec("plain", 4), tmp_path, primitives.ECP5.replace("INIT1(16'h665A)", "INIT1(16'h6656)"))


SUMS = """
module around (a, b, s, t, ci, bi, plus, minus, more, less, lesser, under, apart, both, overflow);
  input [BITS - 1:0] a, b;
  input signed [BITS - 1:0] s;
  input signed [BITS - 3:0] t;
  input ci, bi;
  output [BITS - 1:0] plus, minus, more, apart, both, overflow;
  output less, lesser, under;
  assign plus = s + t, minus = a - t, more = a + 1, less = a < b, lesser = s < t, under = a >= 13;
  \\$alu #(.A_WIDTH(BITS), .B_WIDTH(BITS - 2), .Y_WIDTH(BITS), .B_SIGNED(1), .A_SIGNED(1)) of (
    .A(a), .B(t), .CI(ci), .BI(bi), .X(apart), .Y(both), .CO(overflow)
  );
endmodule
"""


def prove_sums(width: int, folder: Path, text: str = primitives.ECP5) -> None:
    """Let Yosys prove sums of so many bits equal to their carry cells, whatever comes in where a carry is left open."""
    (folder / "sums.v").write_text(SUMS.replace("BITS", str(width)))
    (folder / primitives.MAP).write_text(text)
    netlist = folder / "sums.json"
    source = ["read_verilog -icells sums.v", "proc", "alumacc", "opt_clean"]
    run(folder, *PORTS, *source, flow.SUMS, "select -assert-none around/t:$alu", f"write_json {netlist.name}")
    primitives.open_ends(netlist)
    design = json.loads(netlist.read_text())
    ends = [cell["connections"] for cell in design["modules"]["around"]["cells"].values() if cell["type"] == "CCU2C"]
    assert [sum(end[port] == primitives.OPEN for end in ends) for port in ("CIN", "COUT")] == [7, 7]
    for end in ends:
        if end["COUT"] == primitives.OPEN:
            del end["COUT"]  # an output that drives a constant
    netlist.write_text(json.dumps(design))
    mapped = [f"read_json {netlist.name}", "setundef -anyseq around", CELLS]
    run(folder, *source, "rename around gold", *mapped, *PROOF, "sat -verify -prove trigger 0 miter")


@pytest.mark.parametrize("width", [6, 7])
def test_carry_cells_add_as_sums_do(width: int, tmp_path: Path) -> None:
    prove_sums(width, tmp_path)


@pytest.mark.parametrize("wrong", [("INIT1(16'h96AA)", "INIT1(16'h96A6)"), (".D0(1'b1), .S0", ".D0(1'b0), .S0")])
def test_a_wrong_sum_is_not_proven(wrong: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        prove_sums(6, tmp_path, primitives.ECP5.replace(*wrong))
