"""The netlist that is placed, bit for bit: sent bytes over its serial pins, it answers as the golden model."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork, random_samples
from spikeloom import Network, golden
from spikeloom.encoding import encode, spikes_of
from spikeloom_hw import toolchain
from spikeloom_hw.board_top import BoardTop
from spikeloom_hw.boards import find
from spikeloom_hw.bridge import ByteFormat
from spikeloom_hw.build import Build, generate

DIVISOR = 4

# Sends bytes, waits at every word 100 for the answer to a sample, and prints what comes back.
BENCH = """
`timescale 1ns/1ns
module bench;
  reg clk = 0, rx = 1;
  wire tx, clk_pin, rx_pin;
  assign clk_pin = clk;
  assign rx_pin = rx;
  top dut(.clk12_0__io(clk_pin), .uart_0__rx__io(rx_pin), .uart_0__tx__io(tx));
  reg [8:0] words [0:COUNT - 1];
  reg [7:0] answer;
  integer index, bit_sent, bit_got, answers = 0, expected = 0;
  always #5 clk = ~clk;
  task send(input level); begin rx = level; repeat (DIVISOR) @(negedge clk); end endtask
  initial begin
    $readmemh("words.hex", words);
    repeat (500) @(negedge clk);
    for (index = 0; index < COUNT; index = index + 1)
      if (words[index][8]) begin
        expected = expected + ANSWER;
        wait (answers == expected);
      end else begin
        send(0);
        for (bit_sent = 0; bit_sent < 8; bit_sent = bit_sent + 1) send(words[index][bit_sent]);
        send(1);
      end
    $finish;
  end
  always begin
    @(negedge tx);
    repeat (DIVISOR / 2) @(negedge clk);
    for (bit_got = 0; bit_got < 8; bit_got = bit_got + 1) begin
      repeat (DIVISOR) @(negedge clk);
      answer[bit_got] = tx;
    end
    repeat (DIVISOR) @(negedge clk);
    $display("answer %h", answer);
    answers = answers + 1;
  end
  initial #5000000 $finish;
endmodule
"""


def netlist(build: Build, folder: Path) -> None:
    """Write `netlist.v`: the board's top after synthesis, with a serial line of four cycles a bit."""
    board = find(build.manifest["board"])
    top = BoardTop(folder=build.folder, manifest=build.manifest, baud=int(board.clock_mhz * 1e6 / DIVISOR))
    plan = board.platform().prepare(top, "top", script_after_synth="write_verilog -noattr -noexpr netlist.v")
    for name, content in plan.files.items():
        (folder / name).write_text(content)
    toolchain.run("yosys", ["-q", "top.ys"], cwd=folder, log=folder / "yosys.log")


def words(network: Network, build: Build, x: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Bytes of samples, their events in random order, 256 after each sample."""
    source, form = network.inputs[0], ByteFormat.of(build.manifest)
    offsets = {name: offset for name, (offset, _) in build.manifest["input"]["fields"].items()}
    sent: list[int] = []
    for train in spikes_of(encode(source, x), source.timesteps).reshape(len(x), source.timesteps, -1):
        events = rng.permutation(np.argwhere(train)).tolist()
        beats = [(address << offsets["address"]) | (step << offsets["step"]) for step, address in events]
        sent += [*form.pack([*beats, 1 << offsets["end"]]), 256]
    return sent


@pytest.mark.skipif(toolchain.find("iverilog") is None, reason="Icarus Verilog is not installed")
def test_netlist_behind_its_serial_pins_answers_as_the_golden_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    network = RandomNetwork(rng, (1, 4, 4), 3, "gates").dense(4).readout(3)
    build = generate(network, tmp_path / "build", board="icestick")
    x = random_samples(rng, network, 4)
    netlist(build, tmp_path)
    form = ByteFormat.of(build.manifest)
    sent = words(network, build, x, rng)
    bench = BENCH.replace("COUNT", str(len(sent))).replace("ANSWER", str(form.answer_bytes))
    (tmp_path / "bench.v").write_text(bench.replace("DIVISOR", str(DIVISOR)))
    (tmp_path / "words.hex").write_text("\n".join(f"{word:03x}" for word in sent))
    cells = Path(importlib.util.find_spec("pyosys").origin).parent / "share" / "ice40" / "cells_sim.v"
    sources = ["bench.v", "netlist.v", cells]
    options = ["-g2005", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench.vvp"]
    toolchain.run("iverilog", [*options, *sources], cwd=tmp_path, log=tmp_path / "iverilog.log")
    toolchain.run("vvp", ["bench.vvp"], cwd=tmp_path, log=tmp_path / "vvp.log")
    got = bytes.fromhex("".join(re.findall(r"^answer (\w\w)$", (tmp_path / "vvp.log").read_text(), re.MULTILINE)))
    answers = [form.unpack(got[k * form.answer_bytes :][: form.answer_bytes]) for k in range(len(x))]
    expected = golden.evaluate(network, x)
    assert [potentials for potentials, _ in answers] == expected.tolist()
    assert [winner for _, (winner,) in answers] == expected.argmax(1).tolist()
