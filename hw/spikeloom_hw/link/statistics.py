"""The counters of the link: what the last sample cost, and what was dropped."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.link import Statistics
from spikeloom.link.frames import LARGEST_COUNT

from .spec import BYTE_BITS, LinkSpec

COUNT_BITS = 32
LOSSES = ("damaged", "cut", "crowded")
LAYOUT = data.StructLayout(
    {"cycles": COUNT_BITS, "events": COUNT_BITS, "samples": COUNT_BITS, **dict.fromkeys(LOSSES, COUNT_BITS // 2)}
)


class Counters(wiring.Component):
    """Counts as `spikeloom.link.Statistics` tells; cycles and samples wrap, losses stop at `LARGEST_COUNT`.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    clear : In(1), everything from 0.
    begin : In(1), high in the cycle in which a sample begins, before its first event.
    finish : In(1), high in the cycle in which its result is whole.
    abort : In(1), a sample that has begun is lost: its cycles end.
    event : In(1), an event goes into the core.
    damaged, cut, crowded : In(1), a frame was dropped.
    index : In, of a byte of the statistics' payload.
    byte : Out(8), this byte.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        flags = ("clear", "begin", "finish", "abort", "event", *LOSSES)
        index = ceil_log2(Statistics.FORMAT.size)
        super().__init__({**{name: In(1) for name in flags}, "index": In(index), "byte": Out(BYTE_BITS)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cycles, samples = Signal(COUNT_BITS), Signal(COUNT_BITS)
        events = Signal(range(self.spec.identity.neurons * self.spec.digits + 1))
        losses = [Signal(range(LARGEST_COUNT + 1), name=name) for name in LOSSES]
        running = Signal()
        m.d.sync += [cycles.eq(cycles + running), events.eq(events + self.event), samples.eq(samples + self.finish)]
        with m.If(self.begin):
            m.d.sync += [cycles.eq(1), events.eq(0), running.eq(1)]
        with m.If(self.finish | self.abort):
            m.d.sync += running.eq(0)
        for name, count in zip(LOSSES, losses, strict=True):
            lost = Signal(name=f"lost_{name}")  # a cycle late, for the clock's sake
            m.d.sync += [lost.eq(getattr(self, name)), count.eq(count + (lost & ~count.all()))]
        with m.If(self.clear):
            m.d.sync += [count.eq(0) for count in (cycles, events, samples, *losses)]
        padded = Signal(LAYOUT)
        m.d.comb += [
            padded.cycles.eq(cycles),
            padded.events.eq(events),
            padded.samples.eq(samples),
            *(padded[name].eq(count) for name, count in zip(LOSSES, losses, strict=True)),
            self.byte.eq(padded.as_value().word_select(self.index, BYTE_BITS)),
        ]
        return m
