"""The netlist that is placed, bit for bit: sent bytes over its serial pins, it answers as the golden model."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork, random_samples
from spikeloom.encoding import encode
from spikeloom.link import Device, Identify, Identity, Sample, frame, golden_inference, pack
from spikeloom_hw import toolchain
from spikeloom_hw.boards import find
from spikeloom_hw.boards.board_top import BoardTop
from spikeloom_hw.build import Build, generate

DIVISOR = 4

# Sends bytes, waits at every word from 8000 on for so many bytes of an answer, and prints what comes back.
BENCH = """
`timescale 1ns/1ns
module bench;
  reg clk = 0, rx = 1;
  wire tx, clk_pin, rx_pin;
  assign clk_pin = clk;
  assign rx_pin = rx;
  top dut(.clk12_0__io(clk_pin), .uart_0__rx__io(rx_pin), .uart_0__tx__io(tx));
  reg [15:0] words [0:COUNT - 1];
  reg [7:0] answer;
  integer index, bit_sent, bit_got, answers = 0, expected = 0;
  always #5 clk = ~clk;
  task send(input level); begin rx = level; repeat (DIVISOR) @(negedge clk); end endtask
  initial begin
    $readmemh("words.hex", words);
    repeat (500) @(negedge clk);
    for (index = 0; index < COUNT; index = index + 1)
      if (words[index][15]) begin
        expected = expected + words[index][14:0];
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


@pytest.mark.skipif(toolchain.find("iverilog") is None, reason="Icarus Verilog is not installed")
def test_netlist_behind_its_serial_pins_answers_as_the_golden_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    network = RandomNetwork(rng, (1, 4, 4), 3, "gates").dense(4).readout(3)
    build = generate(network, tmp_path / "build", board="ice40-hx8k")
    netlist(build, tmp_path)
    identity = Identity.of(build.manifest, clock_hz=12_000_000)
    twin = Device(identity, golden_inference(network))
    codes = encode(network.inputs[0], random_samples(rng, network, 2))
    requests = [frame(pack(Identify(), 3))]
    requests += [frame(pack(Sample(identity.pack_codes(code)), 4 + n)) for n, code in enumerate(codes)]
    answers = [twin.receive(request) for request in requests]
    sent = [word for pair in zip(requests, answers, strict=True) for word in (*pair[0], 0x8000 + len(pair[1]))]
    (tmp_path / "bench.v").write_text(BENCH.replace("COUNT", str(len(sent))).replace("DIVISOR", str(DIVISOR)))
    (tmp_path / "words.hex").write_text("\n".join(f"{word:04x}" for word in sent))
    cells = Path(importlib.util.find_spec("pyosys").origin).parent / "share" / "ice40" / "cells_sim.v"
    sources = ["bench.v", "netlist.v", cells]
    options = ["-g2005", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench.vvp"]
    toolchain.run("iverilog", [*options, *sources], cwd=tmp_path, log=tmp_path / "iverilog.log")
    toolchain.run("vvp", ["bench.vvp"], cwd=tmp_path, log=tmp_path / "vvp.log")
    got = bytes.fromhex("".join(re.findall(r"^answer (\w\w)$", (tmp_path / "vvp.log").read_text(), re.MULTILINE)))
    assert got == b"".join(answers)
