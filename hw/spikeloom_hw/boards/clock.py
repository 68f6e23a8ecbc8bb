"""The clock of a board's design, where it is not the oscillator's: the board's PLL and the reset until it is locked."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from .pll import Pll

WAKE_US = 15  # block RAMs of an iCE40 read as zero for some 3 us after configuration


class PllClock(Elaboratable):
    """Drives domain `sync`, which is its parent's: a PLL's clock; reset until it is locked, on an iCE40 15 us longer.

    Parameters
    ----------
    pll : what to make; its cell is one of the board's family.
    """

    def __init__(self, *, pll: Pll) -> None:
        self.pll = pll

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        clock, locked = Signal(), Signal()
        if self.pll.cell == "SB_PLL40_PAD":
            reference = pin.io
        else:
            m.submodules.pin = buffer = io.Buffer("i", pin)
            reference = buffer.i
        parameters = {f"p_{name}": value for name, value in self.pll.parameters.items()}
        m.submodules.pll = Instance(self.pll.cell, **parameters, **_ports(self.pll.cell, reference, clock, locked))
        if self.pll.cell == "CC_PLL":
            m.submodules.net = Instance("CC_BUFG", i_I=clock, o_O=ClockSignal())
        else:
            m.d.comb += ClockSignal().eq(clock)
        ready = locked
        if self.pll.cell.startswith("SB_"):
            m.domains.wake = ClockDomain(reset_less=True, local=True)
            m.d.comb += ClockSignal("wake").eq(clock)
            cycles = int(WAKE_US * self.pll.mhz) + 1
            waited = Signal(range(cycles + 1))
            ready = Signal()
            m.d.wake += ready.eq(waited == cycles)
            with m.If(~locked):
                m.d.wake += waited.eq(0)
            with m.Elif(waited != cycles):
                m.d.wake += waited.eq(waited + 1)
        m.submodules.reset = ResetSynchronizer(~ready, domain="sync")
        return m


def _ports(cell: str, reference: Any, clock: Signal, locked: Signal) -> dict[str, Any]:
    """Ports of a PLL's cell, and the attributes that the tools want of it."""
    if cell == "EHXPLLL":
        back = Signal()
        return {
            "i_CLKI": reference, "i_CLKFB": back, "o_CLKOP": back, "o_CLKOS": clock, "o_LOCK": locked,
            "i_RST": Const(0), "i_STDBY": Const(0), "i_ENCLKOP": Const(0), "i_ENCLKOS": Const(0),
            "i_PHASESEL0": Const(0), "i_PHASESEL1": Const(0), "i_PHASEDIR": Const(1), "i_PHASESTEP": Const(1),
            "i_PHASELOADREG": Const(1), "i_PLLWAKESYNC": Const(0),
            "a_ICP_CURRENT": "12", "a_LPF_RESISTOR": "8", "a_MFG_ENABLE_FILTEROPAMP": "1", "a_MFG_GMCREF_SEL": "2",
        }  # fmt: skip
    if cell == "SB_PLL40_PAD":
        return {"i_PACKAGEPIN": reference, "o_PLLOUTGLOBAL": clock, "o_LOCK": locked, "i_RESETB": Const(1),
                "i_BYPASS": Const(0)}  # fmt: skip
    if cell == "SB_PLL40_CORE":
        return {"i_REFERENCECLK": reference, "o_PLLOUTGLOBAL": clock, "o_LOCK": locked, "i_RESETB": Const(1),
                "i_BYPASS": Const(0)}  # fmt: skip
    if cell == "rPLL":
        unused = {f"i_{name}": Const(0, bits) for name, bits in (
            ("RESET", 1), ("RESET_P", 1), ("CLKFB", 1), ("FBDSEL", 6), ("IDSEL", 6), ("ODSEL", 6), ("PSDA", 4),
            ("DUTYDA", 4), ("FDLY", 4),
        )}  # fmt: skip
        return {"i_CLKIN": reference, "o_CLKOUT": clock, "o_LOCK": locked} | unused
    return {"i_CLK_REF": reference, "o_CLK0": clock, "o_USR_PLL_LOCKED": locked, "i_CLK_FEEDBACK": Const(0),
            "i_USR_CLK_REF": Const(0), "i_USR_LOCKED_STDY_RST": Const(0)}  # fmt: skip
