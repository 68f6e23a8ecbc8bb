"""Boards: what the list says is what amaranth-boards and nextpnr say."""

from pathlib import Path

import pytest
from amaranth.build import Platform
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io
from spikeloom import SpikeloomError
from spikeloom_hw import toolchain
from spikeloom_hw.boards import BOARDS, DEVICES, Board, find
from spikeloom_hw.synth import CELLS

ONE_BOARD_A_DEVICE = {board.device: board for board in BOARDS.values()}

QUICK = ("LFE5U-85F", "iCE40UP5K")  # the other devices take half a minute


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
def test_part_and_clock_are_those_of_amaranth_boards(board: Board) -> None:
    platform = board.platform()
    assert (platform.device, platform.package, getattr(platform, "speed", "")) == (
        board.device,
        board.package,
        board.speed_grade,
    )
    assert platform.default_clk_frequency == board.clock_mhz * 1e6


@pytest.mark.parametrize(
    "device", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in DEVICES]
)
def test_device_holds_what_nextpnr_says(device: str, tmp_path: Path) -> None:
    board = ONE_BOARD_A_DEVICE[device]
    plan = board.platform().prepare(Echo(), "top", verbose=True, nextpnr_opts="--pack-only")
    for name, content in plan.files.items():
        (tmp_path / name).write_text(content)
    script = tmp_path / "build_top.sh"  # nothing is placed, so nothing can be written
    lines = [line.partition(" --textcfg")[0] for line in script.read_text().splitlines() if "PACK" not in line]
    script.write_text("\n".join(lines) + "\n")
    seen: list[str] = []
    toolchain.run("sh", [script.name], cwd=tmp_path, log=tmp_path / "log", on_line=seen.append)
    usage = {
        words[1].rstrip(":"): words for words in (line.replace("/", " ").split() for line in seen) if len(words) == 5
    }
    lut, ram, _, _ = CELLS[board.family]
    assert (int(usage[lut][3]), int(usage[ram][3])) == (board.lut, board.ram_blocks)


def test_every_device_has_a_board() -> None:
    assert set(ONE_BOARD_A_DEVICE) == set(DEVICES)


def test_capacity_is_what_the_link_leaves_of_the_device() -> None:
    capacity = find("ulx3s-85f").capacity()
    assert (capacity.name, capacity.lut) == ("ulx3s-85f", 83640 - 1400)
    assert (capacity.ram_blocks, capacity.family, capacity.multipliers) == (208 - 3, "ecp5", 156)
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
