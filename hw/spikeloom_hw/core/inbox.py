"""The inbox: events wait here for a core that is busy, so that the core before need not."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from .core import input_layout
from .spec import CoreSpec


class Inbox(wiring.Component):
    """Events that wait before a core, so that the core before is not held up while this one is busy.

    A core begins its next sample only when its last layer's train is sent. Latency two cycles, one event a cycle.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i, o : In(stream), Out(stream), events, see `input_layout`.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.depth = spec.plan.inbox
        events = stream.Signature(input_layout(spec))
        super().__init__({"i": In(events), "o": Out(events)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.i.payload.shape().size, depth=self.depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.as_value().eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return m
