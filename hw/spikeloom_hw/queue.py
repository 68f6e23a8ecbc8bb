"""The event queue: nonzero trains wait here and leave as events, one a cycle."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import spike_layout, train_layout
from .spec import CoreSpec


class EventQueue(wiring.Component):
    """Names the neurons of each train word, queues the words, and expands them to events.

    A queued word is a whole slot of trains, so that the generator may run ahead of the lanes that eat its events.
    Latency three cycles; throughput one event a cycle, no bubble between words; stalls as `o` does, and `i` only
    while the queue is full (`i.ready` is a register, two words early, to keep the generator's clock fast).

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), trains with spikes, see `train_layout`.
    skip : In(1), a slot left the generator (silent ones too): counts the neurons.
    o : Out(stream), events, see `spike_layout`; the end mark after the last event of a sample.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        plan, shape = spec.plan, spec.population.shape
        self.trains = train_layout(spec.neuron.timesteps, plan.generate_width)
        self.word = data.StructLayout(
            {
                "trains": self.trains,
                "slot": ceil_log2(plan.groups * plan.lanes // plan.generate_width),
                "y": ceil_log2(shape[1]),
                "x": ceil_log2(shape[2]),
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(self.trains)),
                "skip": In(1),
                "o": Out(stream.Signature(spike_layout(shape, spec.neuron.timesteps))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.word.size, depth=self.spec.plan.queue_depth)
        word_in = Signal(self.word)
        room = Signal()
        slot, y, x = self._neuron_counters(m)
        m.d.comb += [
            word_in.trains.eq(self.i.payload),
            word_in.slot.eq(slot),
            word_in.y.eq(y),
            word_in.x.eq(x),
            fifo.w_data.eq(word_in),
            fifo.w_en.eq(self.i.valid & room),
            self.i.ready.eq(room),
        ]
        m.d.sync += room.eq(fifo.level <= fifo.depth - 2)
        self._expand(m, fifo)
        return m

    def _neuron_counters(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Which neurons the present slot holds: counters in scan order (channels, then x, then y)."""
        plan, (_, height, width) = self.spec.plan, self.spec.population.shape
        slots = plan.groups * plan.lanes // plan.generate_width
        counters = tuple(
            Signal(ceil_log2(extent), name=name) for extent, name in ((slots, "slot"), (width, "x"), (height, "y"))
        )
        step = self.skip
        for counter, extent in zip(counters, (slots, width, height), strict=True):
            top = counter == extent - 1
            with m.If(step):
                m.d.sync += counter.eq(Mux(top, 0, counter + 1))
            step = step & top
        return counters[0], counters[2], counters[1]

    def _expand(self, m: Module, fifo: SyncFIFOBuffered) -> None:
        """Emit the spikes of the word at the head one by one, then its end mark, through an output register."""
        plan, steps = self.spec.plan, self.spec.neuron.timesteps
        width = plan.generate_width
        word = data.View(self.word, fifo.r_data)
        spikes = word.trains.spikes
        sent = Signal.like(spikes)
        waiting = Signal.like(spikes)
        chosen = Signal.like(spikes)
        spent = Signal()
        ending = Signal()
        free = Signal()
        done = Signal()
        m.d.comb += [
            waiting.eq(spikes & ~sent),
            chosen.eq(waiting & -waiting),  # lowest spike that waits: earliest time step first
            spent.eq(waiting == 0),
            ending.eq(spent & word.trains.last),
            free.eq(~self.o.valid | self.o.ready),
            # the word leaves with its last spike, or with its end mark
            done.eq(Mux(word.trains.last, spent, (waiting & ~chosen) == 0)),
            fifo.r_en.eq(fifo.r_rdy & free & done),
        ]
        neuron = Cat(
            *(_any(chosen[n] for n in range(len(spikes)) if n % width >> bit & 1) for bit in range(ceil_log2(width)))
        )
        step = Cat(
            *(_any(chosen[n] for n in range(len(spikes)) if n // width >> bit & 1) for bit in range(ceil_log2(steps)))
        )
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(fifo.r_rdy),
                self.o.payload.end.eq(ending),
                self.o.payload.c.eq(Cat(neuron, word.slot)),
                self.o.payload.y.eq(word.y),
                self.o.payload.x.eq(word.x),
                self.o.payload.step.eq(step),
            ]
            with m.If(fifo.r_rdy):
                m.d.sync += sent.eq(Mux(done, 0, sent | chosen))


def _any(bits: Iterable[Value]) -> Value:
    return Cat(*bits).any()
