"""Block RAMs by Yosys without the rest of synthesis: those that the plan counts."""

from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Conv2d, SpikeloomError
from spikeloom.placing.place import place
from spikeloom.placing.plan import plan
from spikeloom.program.program import CONTENTS
from spikeloom_hw.bitstream.synth import block_rams
from spikeloom_hw.build import generate


@pytest.mark.parametrize("contents", CONTENTS)
def test_planned_block_rams_are_those_that_yosys_takes(contents: str, tmp_path: Path) -> None:
    network = RandomNetwork(np.random.default_rng(0), (2, 12, 12), 4).conv(24, Conv2d((3, 3))).readout(10)
    program = place(network, lanes=24, cores=2, contents=contents)
    build = generate(network, tmp_path / "build", program=program)
    assert block_rams(build.folder) == plan(program).ram > 2
    (build.folder / build.manifest["verilog"]).write_text("module spikeloom(); endmodule")
    with pytest.raises(SpikeloomError) as error:
        block_rams(build.folder)
    assert str(error.value) == (
        f"Build '{build.folder}': spikeloom.v must be as generated, not altered; generate it again"
    )
