"""Clocks that a board's PLL can make of its oscillator's, and what its cell is told for one of them.

Limits: ECP5, FPGA-DS-02012 (sysCLOCK PLL timing); iCE40, FPGA-TN-02052 and FPGA-DS-02029; Gowin, DS117 (GW1NR-9, C6/I5)
and DS226 (GW2A, C8/I7); GateMate, UG1001 (economy mode) and nextpnr, himbaechel/uarch/gatemate/pll.cc.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from .board import Board

HIGHEST_MHZ = 200  # no core is faster on these devices; above it the search ends


@dataclass(frozen=True)
class Pll:
    """A clock: its frequency, and the parameters of the cell that makes it.

    Members
    -------
    cell : EHXPLLL, SB_PLL40_CORE, SB_PLL40_PAD, rPLL or CC_PLL.
    mhz : exactly.
    vco_mhz : of its oscillator.
    parameters : of the cell, by name.
    """

    cell: str
    mhz: Fraction
    vco_mhz: Fraction
    parameters: Mapping[str, int | str] = field(default_factory=lambda: MappingProxyType({}), compare=False)


def fastest(board: Board, limit_mhz: float) -> Pll | None:
    """The fastest clock up to a limit that the board's PLL makes; None where it has none, or none so slow.

    Of settings for the same clock the one with the slowest oscillator is taken, then the first one.
    """
    if not board.pll:
        return None
    found = [pll for pll in settings(board) if pll.mhz <= min(limit_mhz, HIGHEST_MHZ)]
    return max(found, key=lambda pll: (pll.mhz, -pll.vco_mhz), default=None)


def settings(board: Board) -> Iterator[Pll]:
    """Every setting of a board's PLL that is worth having."""
    reference = Fraction(board.clock_mhz)
    kind = {"ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin, "gatemate": _gatemate}[board.family]
    return kind(board, reference)


def _ecp5(board: Board, reference: Fraction) -> Iterator[Pll]:
    """CLKOP is fed back, CLKOS is the clock: the oscillator may then be divided by anything."""
    for divide in range(1, int(reference / 10) + 1):
        for turns in range(1, int(800 * divide / reference) + 1):  # of the oscillator in one of the phase detector
            vco = reference / divide * turns
            back = next((n for n in range(2, 129) if turns % n == 0 and 10 <= vco / n <= 400), None)
            if vco < 400 or back is None or turns // back > 80:
                continue
            for output in range(2, 129):
                if 10 <= vco / output <= HIGHEST_MHZ:
                    names: dict[str, int | str] = {
                        "CLKI_DIV": divide, "CLKFB_DIV": turns // back, "CLKOP_DIV": back, "CLKOS_DIV": output,
                        "CLKOP_CPHASE": back - 1, "CLKOS_CPHASE": output - 1,
                        "CLKOP_ENABLE": "ENABLED", "CLKOS_ENABLE": "ENABLED", "FEEDBK_PATH": "CLKOP",
                    }  # fmt: skip
                    yield Pll(board.pll, vco / output, vco, names)


def _ice40(board: Board, reference: Fraction) -> Iterator[Pll]:
    """DIVR, DIVF and DIVQ; the filter goes by the frequency of the phase detector."""
    for divide in range(1, int(reference / 10) + 1):
        detector = reference / divide
        filtered = sum(detector >= edge for edge in (0, 17, 26, 44, 66, 101))
        for turns in range(1, 129):
            vco = detector * turns
            if not 533 <= vco <= 1066 or detector > 133:
                continue
            for shift in range(1, 7):
                if 16 <= vco / 2**shift <= HIGHEST_MHZ:
                    names: dict[str, int | str] = {
                        "FEEDBACK_PATH": "SIMPLE", "DIVR": divide - 1, "DIVF": turns - 1, "DIVQ": shift,
                        "FILTER_RANGE": filtered,
                    }  # fmt: skip
                    yield Pll(board.pll, vco / 2**shift, vco, names)


def _gowin(board: Board, reference: Fraction) -> Iterator[Pll]:
    """IDIV, FBDIV and ODIV: the oscillator runs ODIV times as fast as the clock."""
    low, high = (400, 1200) if board.device.startswith("GW1") else (500, 1250)
    for divide in range(1, min(int(reference / 3), 64) + 1):
        for turns in range(1, 65):
            clock = reference / divide * turns
            if clock > HIGHEST_MHZ:
                break
            for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                if clock >= 4 and low <= clock * output <= high:
                    names: dict[str, int | str] = {
                        "FCLKIN": f"{board.clock_mhz:g}", "DEVICE": board.device, "IDIV_SEL": divide - 1,
                        "FBDIV_SEL": turns - 1, "ODIV_SEL": output, "CLKFB_SEL": "internal", "CLKOUT_BYPASS": "false",
                        "CLKOUTP_BYPASS": "false", "CLKOUTD_BYPASS": "false", "DYN_IDIV_SEL": "false",
                        "DYN_FBDIV_SEL": "false", "DYN_ODIV_SEL": "false", "PSDA_SEL": "0000", "DUTYDA_SEL": "1000",
                    }  # fmt: skip
                    yield Pll(board.pll, clock, clock * output, names)


def _gatemate(board: Board, reference: Fraction) -> Iterator[Pll]:
    """nextpnr finds the dividers for a frequency; these are those for which there are some, K being 1."""
    for turns in range(1, int(1000 / reference) + 1):
        half = reference * turns  # of the oscillator, PDIV1 being 2
        if not 1000 < 2 * half <= 2000:
            continue
        for divide in (1, *range(2, 129, 2)):
            clock = half / (2 * divide)
            if 5 <= clock <= HIGHEST_MHZ and clock * 10000 % 1 == 0:
                names: dict[str, int | str] = {
                    "REF_CLK": f"{board.clock_mhz:.1f}", "OUT_CLK": f"{float(clock):.4f}", "PERF_MD": "ECONOMY",
                    "LOW_JITTER": 1, "LOCK_REQ": 1, "CI_FILTER_CONST": 2, "CP_FILTER_CONST": 4,
                }  # fmt: skip
                yield Pll(board.pll, clock, 2 * half, names)
