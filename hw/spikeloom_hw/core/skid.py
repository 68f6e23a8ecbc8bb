"""A stream register whose two sides do not see each other's flags in the same cycle."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """Cuts the path of `ready`: `i.ready` is a register, so that a stall does not run through a whole pipeline at once.

    Latency one cycle; one word a cycle; holds two words.

    Parameters
    ----------
    layout : of the words.

    Members
    -------
    i : In(stream)
    o : Out(stream)
    """

    def __init__(self, *, layout: data.Layout) -> None:
        self.layout = layout
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare = Signal(self.layout, reset_less=True)
        full = Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(full | self.i.valid), full.eq(0)]
            with m.If(full):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [spare.eq(self.i.payload), full.eq(1)]
        return m
