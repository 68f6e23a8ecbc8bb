"""Boards: what the list says is what amaranth-boards and nextpnr say, and reaches the constraints."""

import re
from pathlib import Path

import numpy as np
import pytest
from amaranth.build import Platform
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io
from random_networks import RandomNetwork
from spikeloom import SpikeloomError
from spikeloom_hw import toolchain
from spikeloom_hw.bitstream import flow, primitives
from spikeloom_hw.bitstream.flow import FAMILIES
from spikeloom_hw.boards import Board, find
from spikeloom_hw.boards.board_list import BOARDS
from spikeloom_hw.boards.devices import DEVICES

ONE_BOARD_A_DEVICE = {board.device: board for board in BOARDS.values()}

QUICK = ("LFE5U-85F", "iCE40UP5K", "GW1NR-9C")  # the other devices take a minute


class Echo(Elaboratable):
    """The smallest design that uses a clock and a UART."""

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        held = Signal()
        m.d.sync += held.eq(rx.i)
        m.d.comb += tx.o.eq(held)
        return m


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_part_and_clock_are_those_of_the_platform(board: Board) -> None:
    platform = board.platform()
    assert (platform.device, platform.package, getattr(platform, "speed", "")) == (
        board.device,
        board.package,
        board.speed_grade,
    )
    assert platform.default_clk_frequency == board.clock_mhz * 1e6
    assert platform.lookup("uart", 0)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_board_says_where_its_pins_are_from(board: Board) -> None:
    assert board.source.startswith("https://github.com/")
    assert board.serial
    if board.pins is not None:  # the pins are in the sentence that cites them
        named = re.sub(r"[^\w]+", " ", board.source).split()
        assert {board.pins.clock, board.pins.rx, board.pins.tx} - {"J17", "H18"} <= set(named)


def test_there_are_twelve_boards_in_four_families() -> None:
    assert {board.family for board in BOARDS.values()} == {"ecp5", "ice40", "gowin", "gatemate"}
    wanted = {
        "ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s-85f", "icebreaker", "ice40-hx8k", "alchitry-cu", "orangecrab-25f",
        "orangecrab-85f", "colorlight-i5", "colorlight-i9", "icepi-zero", "tang-nano-9k", "tang-nano-20k",
        "tang-primer-20k", "tang-primer-25k", "gatemate-evb", "olimex-gatemate",
    }  # fmt: skip
    assert wanted <= set(BOARDS)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("tang-nano-9k", ['IO_LOC "uart_0__rx__io" 18;', 'IO_LOC "uart_0__tx__io" 17;', 'IO_LOC "clk_0__io" 52;']),
        ("olimex-gatemate", ['Net "uart_0__rx__io" Loc = "IO_SA_A6";', 'Net "uart_0__tx__io" Loc = "IO_SA_B6";',
                             'Net "clk_0__io" Loc = "IO_SB_A8" | SCHMITT_TRIGGER=true;']),
        ("colorlight-i9", ['LOCATE COMP "uart_0__rx__io" SITE "H18";', 'LOCATE COMP "clk_0__io" SITE "P3";']),
        ("alchitry-cu", ["set_io uart_0__rx__io P14", "set_io uart_0__tx__io M9", "set_io clk_0__io P7"]),
    ],
)  # fmt: skip
def test_pins_reach_the_constraints(name: str, lines: list[str]) -> None:
    plan = BOARDS[name].platform().prepare(Echo(), "top")
    constraints = plan.files[f"top.{FAMILIES[BOARDS[name].family].constraints}"]
    assert set(lines) <= {line.strip() for line in constraints.splitlines()}


@pytest.mark.parametrize(
    "device", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in DEVICES]
)
def test_device_holds_what_nextpnr_says(device: str, tmp_path: Path) -> None:
    board = ONE_BOARD_A_DEVICE[device]
    platform = board.platform()
    plan = platform.prepare(Echo(), "top")
    for name, content in plan.files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else content.decode())
    (tmp_path / primitives.MAP).write_text(primitives.ECP5)
    (tmp_path / "top.ys").write_text("\n".join(flow.script(board, ["top.il"], [])) + "\n")
    toolchain.run("yosys", ["-q", "top.ys"], cwd=tmp_path, log=tmp_path / "yosys.log")
    tool, *args = flow.route(board, platform, flow.NETLIST, ".", 1, 10.0)
    if board.family == "ecp5":  # nothing is placed, and so there is nothing to be written
        del args[(at := args.index("--textcfg")) : at + 2]
    seen: list[str] = []
    toolchain.run(tool, [*args, "--pack-only"], cwd=tmp_path, log=tmp_path / "log", on_line=seen.append)
    usage = {
        words[1].rstrip(":"): words for words in (line.replace("/", " ").split() for line in seen) if len(words) == 5
    }
    family = FAMILIES[board.family]
    available = [sum(int(usage[cell][3]) for cell in cells) for cells in (family.lut, family.ram)]
    assert available == [board.lut, board.ram_blocks]


def test_every_device_has_a_board() -> None:
    assert set(ONE_BOARD_A_DEVICE) == set(DEVICES)


def test_capacity_is_what_the_link_leaves_of_the_device() -> None:
    network = RandomNetwork(np.random.default_rng(0), (1, 1, 4), 2, "tiny").readout(2)
    capacity = find("ulx3s-85f").capacity(network)
    assert (capacity.name, capacity.lut + capacity.link_lut) == ("ulx3s-85f", 83640)
    assert (capacity.ram_blocks, capacity.family, capacity.multipliers) == (208 - 2, "ecp5", 156)
    many = RandomNetwork(np.random.default_rng(0), (1, 1, 4), 2, "many").readout(300)
    assert find("ulx3s-85f").capacity(many).link_blocks == 3  # the result of a sample fills a block RAM
    assert find("icebreaker").capacity(network).link_blocks == 2
    assert find("tang-primer-25k").capacity(network).family == "gowin5"
    assert find("ulx3s-85f").ram_kbit == 3744
    assert find("icebreaker").ram_kbit == 120


def test_names_are_taken_in_any_case() -> None:
    assert find(" ULX3S_85F") is BOARDS["ulx3s-85f"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("icebraker", "; did you mean icebreaker, icesugar, icepi-zero?"),
        ("ulx3s", "; did you mean ulx3s-85f, ulx3s-45f, ulx3s-25f, ulx3s-12f?"),
        ("basys3", ""),
        ("", ""),
    ],
)
def test_unknown_board_is_one_line_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(SpikeloomError) as caught:
        find(name)
    assert str(caught.value) == f"Board '{name}': must be one that `spikeloom boards` lists, not this{hint}"
