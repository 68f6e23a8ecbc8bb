"""Clocks of the boards' PLLs: within the limits of the devices, and what their settings come to."""

from fractions import Fraction

import pytest
from spikeloom import SpikeloomError
from spikeloom_hw.bitstream.synth import wanted_pll
from spikeloom_hw.boards import Board
from spikeloom_hw.boards.board_list import BOARDS
from spikeloom_hw.boards.pll import HIGHEST_MHZ, Pll, fastest, settings

WITH_PLL = {name: board for name, board in BOARDS.items() if board.pll}
# lowest and highest frequency of the oscillator, and of the phase detector
LIMITS = {"ecp5": (400, 800, 10, 400), "ice40": (533, 1066, 10, 133), "gatemate": (1000, 2000, 10, 50)}


def made(board: Board, pll: Pll) -> tuple[Fraction, Fraction, Fraction]:
    """(clock, oscillator, phase detector) in MHz, from the parameters of the cell alone."""
    numbers = {name: value for name, value in pll.parameters.items() if isinstance(value, int)}
    reference = Fraction(board.clock_mhz)
    if board.family == "ecp5":
        detector = reference / numbers["CLKI_DIV"]
        vco = detector * numbers["CLKFB_DIV"] * numbers["CLKOP_DIV"]
        return vco / numbers["CLKOS_DIV"], vco, detector
    if board.family == "ice40":
        detector = reference / (numbers["DIVR"] + 1)
        vco = detector * (numbers["DIVF"] + 1)
        return vco / 2 ** numbers["DIVQ"], vco, detector
    if board.family == "gowin":
        detector = reference / (numbers["IDIV_SEL"] + 1)
        clock = detector * (numbers["FBDIV_SEL"] + 1)
        return clock, clock * numbers["ODIV_SEL"], detector
    return Fraction(str(pll.parameters["OUT_CLK"])), pll.vco_mhz, Fraction(str(pll.parameters["REF_CLK"]))


@pytest.mark.parametrize("board", WITH_PLL.values(), ids=WITH_PLL)
def test_settings_make_the_clock_they_say_within_the_limits_of_the_device(board: Board) -> None:
    low, high, slowest, quickest = LIMITS.get(board.family, (400 if board.device[2] == "1" else 500, 1250, 3, 500))
    found = [fastest(board, limit) for limit in (20, 33.3, 47, 61.5, 80, 99.9, 150)]
    assert all(found)
    for pll in found:
        clock, vco, detector = made(board, pll)
        assert (clock, vco) == (pll.mhz, pll.vco_mhz)
        assert low <= vco <= high
        assert slowest <= detector <= quickest


@pytest.mark.parametrize("name", ["ulx3s-25f", "icebreaker", "tang-nano-9k", "olimex-gatemate"])
def test_fastest_is_below_the_limit_and_no_other_is_between(name: str) -> None:
    clocks = sorted({pll.mhz for pll in settings(BOARDS[name])})
    for limit in (clocks[0], clocks[5], clocks[-1], float(clocks[7]) + 1e-6):
        found = fastest(BOARDS[name], limit)
        assert found is not None
        assert found.mhz == max(clock for clock in clocks if clock <= min(limit, HIGHEST_MHZ))
    assert fastest(BOARDS[name], float(clocks[0]) - 1e-6) is None


def test_settings_are_those_of_the_vendors_tools() -> None:
    """As icepll 12 -> 39.75 and gowin_pll 27 -> 60.75 (GW2AR-18 C8/I7) say."""
    ice = fastest(BOARDS["icebreaker"], 40)
    assert ice is not None
    assert dict(ice.parameters) == {"FEEDBACK_PATH": "SIMPLE", "DIVR": 0, "DIVF": 52, "DIVQ": 4, "FILTER_RANGE": 1}
    gowin = fastest(BOARDS["tang-nano-20k"], 61.3)
    assert gowin is not None
    assert (gowin.mhz, gowin.parameters["IDIV_SEL"], gowin.parameters["FBDIV_SEL"]) == (Fraction("60.75"), 3, 8)


def test_board_without_a_pll_has_no_other_clock() -> None:
    assert fastest(BOARDS["nandland-go"], 100) is None


@pytest.mark.parametrize(
    ("name", "clock", "message"),
    [
        ("icebreaker", "quick", "must be auto, oscillator or a number of MHz, not 'quick'"),
        ("icebreaker", "5", "must be 17 to 200 MHz, which its PLL can make, not 5"),
        ("icebreaker", "nan", "must be 17 to 200 MHz, which its PLL can make, not nan"),
        ("icebreaker", "-3", "must be 17 to 200 MHz, which its PLL can make, not -3"),
        ("ulx3s-25f", "201", "must be 10 to 200 MHz, which its PLL can make, not 201"),
        ("nandland-go", "30", "must be its oscillator's 25 MHz, no PLL of it is supported"),
    ],
)
def test_clock_that_cannot_be_made_is_one_line(name: str, clock: str, message: str) -> None:
    with pytest.raises(SpikeloomError) as caught:
        wanted_pll(BOARDS[name], clock)
    assert str(caught.value) == f"Clock '{clock}' of board '{name}': {message}"


def test_clock_of_the_oscillator_needs_no_pll() -> None:
    assert wanted_pll(BOARDS["nandland-go"], "25") is None
    assert wanted_pll(BOARDS["ulx3s-25f"], 25.0) is None
