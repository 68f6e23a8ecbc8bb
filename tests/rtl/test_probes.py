"""Every simulator sees the same of a design: banks memory by memory, remainders, spikes, and where the cycles go.

The design is written here by hand and counts cycles: what it holds is known without any network.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom.placing.cores import plan_core
from spikeloom.program.program import Program
from spikeloom_hw import toolchain
from spikeloom_sim import cocotb_run
from spikeloom_sim.capture import Capture
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.cxxrtl import Model
from spikeloom_sim.design import Core, Design, Stream
from spikeloom_sim.vectors import Vectors
from synthetic import described

PERIOD = 16  # cycles between swaps
VERILOG = """
module core(clk, rst, offered);
  input clk, rst, offered;
  reg [15:0] now = 0, swaps = 0;
  reg filled = 0;
  reg [39:0] cell0 [0:5], cell1 [0:5];
  wire [39:0] read = cell0[now[0]] & cell1[now[0]];  // a memory that nobody reads would vanish
  wire probe_swap = now[3:0] == 15, retire = now[1:0] == 2 | (now[15:7] && &read);
  wire [17:0] remainder = {2'h2, now};
  wire valid = now[2:0] == 5;
  wire [4:0] spike = {swaps[3:0], 1'b1};
  wire accumulating = now[3:0] < 3, waiting = now[3:0] == 4, draining = now[0] & now[3] & ~probe_swap, programming = 0;
  always @(posedge clk) begin
    now <= now + 1;
    if (now[3:0] >= 6 && now[3:0] < 12) begin
      cell0[now[3:0] - 6] <= {8'hA5, swaps, now};
      cell1[now[3:0] - 6] <= {8'h5A, now, swaps};
    end
    if (probe_swap) begin
      swaps <= swaps + 1;
      filled <= ~filled;
    end
    if (rst) begin
      now <= 0;
      swaps <= 0;
      filled <= 0;
    end
  end
endmodule

module single(clk, rst);
  input clk, rst;
  reg [15:0] now = 0;
  reg [70:0] accumulator = 0;
  wire swap = now[4:0] == 9;
  always @(posedge clk) begin
    now <= rst ? 0 : now + 1;
    accumulator <= {now, 39'h0, now};
  end
endmodule

module spikeloom(clk, rst, i__valid, i__ready, i__payload, o__valid, o__ready, o__payload,
                 o_class__valid, o_class__ready, o_class__payload);
  input clk, rst, i__valid, o__ready, o_class__ready;
  input [3:0] i__payload;
  output i__ready, o__valid, o_class__valid;
  output [3:0] o__payload;
  output [1:0] o_class__payload;
  reg [2:0] full = 0;
  assign i__ready = ~full[0] & ~full[1], o__valid = full[0], o_class__valid = full[1];
  assign o__payload = 9, o_class__payload = 2;
  always @(posedge clk)
    if (rst) full <= 0;
    else begin
      if (i__valid & i__ready) full <= 3;
      if (o__valid & o__ready) full[0] <= 0;
      if (o_class__valid & o_class__ready) full[1] <= 0;
    end
  core many(.clk(clk), .rst(rst), .offered(i__valid));
  single one(.clk(clk), .rst(rst));
endmodule
"""


@pytest.fixture
def design(tmp_path: Path) -> Design:
    """A core of two memories and one of a register."""
    network = RandomNetwork(np.random.default_rng(0), (2, 3, 2), 1, "toy").dense(4).readout(3)
    program = Program(network, (plan_core(network, 0, 1, width=1), plan_core(network, 1, 1, width=1)))
    plan = described(program)
    (tmp_path / "spikeloom.v").write_text(VERILOG)
    plan.manifest.update(verilog="spikeloom.v", contents="fixed")
    first, second = plan.cores
    spike = Stream(first.name, "many.valid", "many.valid", "many.spike", 5, {"step": (1, 4), "end": (0, 1)})
    states = tuple(f"many.{name}" for name in ("accumulating", "waiting", "draining", "programming"))
    many = replace(
        first, grid=(1, 2), width=2, bits=20, rows=3, generate_width=1, swap="many.probe_swap", filled="many.filled",
        banks=("many.cell0", "many.cell1"), retire_valid="many.retire", retire_remainder="many.remainder",
        spike=spike, states=states,
    )  # fmt: skip
    many = replace(many, bits=20, layers=(replace(first.layers[0], shape=(12, 1, 1), grid=(1, 2), width=2),))
    one = replace(
        second, grid=(1, 1), width=1, bits=71, rows=1, swap="one.swap", filled=None, banks=("one.accumulator",),
        states=(),
    )  # fmt: skip
    ports = {
        name: replace(plan.ports[name], width=width, fields={"end": (0, 1)})
        for name, width in (("i", 4), ("o", 4), ("o_class", 2))
    }
    return replace(plan, folder=tmp_path, cores=(many, one), ports=ports)


def stimulus() -> Vectors:
    return Vectors(np.arange(12, dtype=np.uint64), np.arange(12, dtype=np.int64) + 1)


def check(core: Core, capture: Capture) -> None:
    """Compare with what the Verilog says."""
    record = capture.swaps[core.name]
    assert record.words.shape == (len(record.cycles), 2, 3, 2)
    assert len(record.cycles) >= 3
    np.testing.assert_array_equal(np.diff(record.cycles), PERIOD)
    for n, banks in enumerate(record.words.astype(np.uint64)):
        for row in range(3):
            now = PERIOD * n + 6 + 2 * row + n % 2
            assert banks[0, row, 0] | banks[0, row, 1] << np.uint64(32) == 0xA5 << 32 | n << 16 | now
            assert banks[1, row, 0] | banks[1, row, 1] << np.uint64(32) == 0x5A << 32 | now << 16 | n
    spent = capture.states[core.name]
    np.testing.assert_array_equal(np.diff(spent, axis=0), np.tile([3, 1, 3, 0], (len(spent) - 1, 1)))
    retires = capture.retires[core.name].words[:, 0]
    np.testing.assert_array_equal(retires, (2 << 16) + 2 + 4 * np.arange(len(retires)))
    spikes = capture.beats[core.name].words
    np.testing.assert_array_equal(spikes, (np.arange(len(spikes)) // 2 % 16 * 2) | 1)


def check_register(core: Core, capture: Capture) -> None:
    """The register holds the cycle before, at both ends."""
    record = capture.swaps[core.name]
    assert record.words.shape == (len(record.cycles), 1, 1, 3)
    for n, words in enumerate(record.words[:, 0, 0].tolist()):
        now = 32 * n + 8
        assert words[0] | words[1] << 32 | words[2] << 64 == now << 55 | now


def seen(simulator: str, design: Design) -> Capture:
    if simulator == "cxxrtl":
        with Model(design, compile_library(design, level="-O0")) as model:
            return model.run(stimulus(), seed=3, abort_cycles=37)
    build = cocotb_run.simulator_of(design, simulator)
    return cocotb_run.run(design, simulator, build, stimulus(), seed=3, abort_cycles=37)


@pytest.mark.parametrize(
    "simulator", ["cxxrtl", pytest.param("verilator", marks=pytest.mark.xdist_group("verilator")), "icarus"]
)
def test_simulators_see_what_a_design_holds(simulator: str, design: Design) -> None:
    if simulator == "icarus" and toolchain.find("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed (Debian: apt-get install iverilog)")
    capture = seen(simulator, design)
    assert capture.fault is None
    assert len(capture.beats["o_class"].words) == 12
    check(design.cores[0], capture)
    check_register(design.cores[1], capture)
