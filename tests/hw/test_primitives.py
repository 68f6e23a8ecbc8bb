"""The technology map: proven equal to what it stands for, with the device's cells as Yosys describes them."""

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
from spikeloom_hw.bitstream import primitives
from spikeloom_hw.core.cells import Adders
from spikeloom_hw.core.spec import CoreSpec

CELLS = "read_verilog +/lattice/common_sim.vh +/lattice/ccu2c_sim.vh"
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
