"""What happens to samples on their way: how many, how long they take, which of them are bad."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from .registers import DATA_BITS

# what is counted, and where
STROBES = {"took_event": "events", "input_stall": "input_stalls", "output_stall": "output_stalls"}
COUNTERS = ("samples", "bad_samples", *STROBES.values())


class Meter(wiring.Component):
    """Counters, and a queue of the samples in flight: when each began and whether it is bad.

    Parameters
    ----------
    depth : samples in flight that the queue holds; the input has to wait while it is full.

    Members
    -------
    began : In(1), the first beat of a sample is taken; ended : In(1), its last one; ended_bad : In(1), it is bad.
    left : In(1), the last beat of an answer goes on its way; done : In(1), it is taken.
    took_event, input_stall, output_stall : In(1), what is counted.
    room : Out(1), another sample may end; known : Out(1), there is a sample in flight; bad : Out(1), it is a bad one.
    in_flight : Out, samples that have ended and not left.
    cycles : Out, of the last sample, from `began` to `done`.
    samples, bad_samples, events, input_stalls, output_stalls : Out, counters modulo 2^32.
    """

    def __init__(self, *, depth: int) -> None:
        self.depth = depth
        inputs = ("began", "ended", "ended_bad", "left", "done", *STROBES)
        super().__init__(
            {
                **{name: In(1) for name in inputs},
                **{name: Out(1) for name in ("room", "known", "bad")},
                **{name: Out(DATA_BITS) for name in (*COUNTERS, "cycles")},
                "in_flight": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flight = data.StructLayout({"start": DATA_BITS, "bad": 1})
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=flight.size, depth=self.depth)
        ended, first = data.View(flight, fifo.w_data), data.View(flight, fifo.r_data)
        now, start = Signal(DATA_BITS), Signal(DATA_BITS)
        leaving = Signal(flight)  # the sample whose last beat has left and is not taken
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            ended.start.eq(Mux(self.began, now, start)),
            ended.bad.eq(self.ended_bad),
            fifo.w_en.eq(self.ended),
            fifo.r_en.eq(self.left),
            self.room.eq(fifo.w_rdy),
            self.known.eq(fifo.r_rdy),
            self.bad.eq(first.bad),
            self.in_flight.eq(fifo.level),
        ]
        with m.If(self.began):
            m.d.sync += start.eq(now)
        with m.If(self.left):
            m.d.sync += leaving.eq(first)
        with m.If(self.done):
            m.d.sync += [self.cycles.eq(now - leaving.start), self.samples.eq(self.samples + 1)]
            m.d.sync += self.bad_samples.eq(self.bad_samples + leaving.bad)
        for strobe, name in STROBES.items():
            counter = getattr(self, name)
            m.d.sync += counter.eq(counter + getattr(self, strobe))
        return m
