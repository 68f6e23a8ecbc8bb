"""The event queue: nonzero trains wait here and leave as events, one a cycle."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from spikeloom.program.program import QUEUE_DEPTH

from .expander import Expander, word_layout
from .layouts import neuron_layout, spike_layout, train_layout
from .skid import Skid
from .spec import CoreSpec


class EventQueue(wiring.Component):
    """Queues words of trains and expands them to events.

    A queued word is a whole slot of trains, so that the generator may run ahead of the lanes that eat its events.
    Latency four cycles; throughput one event a cycle, no bubble between words; stalls as `o` does, and `i` only
    while the queue is full (`i.ready` is a register, two words early, to keep the generator's clock fast).

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), trains with spikes, see `train_layout`.
    out, replayed : In(1), the word is for the port rather than for the lanes; it comes from the store.
    o : Out(stream), events, see `spike_layout`; the end mark after the last event of a sample.
    o_out, o_replayed : Out(1), what was said of the event's word.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.digits, self.signed = spec.queued_digits, spec.queues_signed
        trains = train_layout(self.digits, spec.slot, spec.sent_shape, signed=self.signed)
        self.tag = data.StructLayout({"neuron": neuron_layout(spec.queued_shape), "out": 1, "replayed": 1})
        super().__init__(
            {
                "i": In(stream.Signature(trains)),
                "out": In(1),
                "replayed": In(1),
                "o": Out(
                    stream.Signature(
                        spike_layout(spec.queued_shape, self.digits, negative=self.signed, none=spec.announces_any)
                    )
                ),
                "o_out": Out(1),
                "o_replayed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.spec.slot
        layout = word_layout(self.digits, width, self.tag.size, signed=self.signed)
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=layout.size, depth=self.spec.plan.queue_depth or QUEUE_DEPTH)
        m.submodules.expander = expander = Expander(
            digits=self.digits, width=width, tag=self.tag.size, signed=self.signed
        )
        room = Signal()
        word, tag, i = Signal(layout), Signal(self.tag), self.i.payload
        m.d.comb += [
            tag.neuron.c.eq(i.neuron.c),
            tag.neuron.y.eq(i.neuron.y),
            tag.neuron.x.eq(i.neuron.x),
            tag.out.eq(self.out),
            tag.replayed.eq(self.replayed),
            word.spikes.eq(i.spikes),
            word.tag.eq(tag),
            word.last.eq(i.last),
            fifo.w_data.eq(word),
            fifo.w_en.eq(self.i.valid & room),
            self.i.ready.eq(room),
            expander.i.payload.as_value().eq(fifo.r_data),
            expander.i.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(expander.i.ready),
        ]
        if self.signed:
            m.d.comb += word.negatives.eq(i.negatives)
        m.d.sync += room.eq(fifo.level <= fifo.depth - 2)
        layout = data.StructLayout({"event": self.o.payload.shape(), "out": 1, "replayed": 1})
        m.submodules.skid = skid = Skid(layout=layout)  # what takes the events knows late whether it does
        event, came = skid.i.payload.event, data.View(self.tag, expander.o.payload.tag)
        m.d.comb += [
            skid.i.valid.eq(expander.o.valid),
            expander.o.ready.eq(skid.i.ready),
            # neurons of a slot differ in the lowest bits of their channel
            event.c.eq(Cat(expander.o.payload.neuron, came.neuron.c[(width - 1).bit_length() :])),
            event.y.eq(came.neuron.y),
            event.x.eq(came.neuron.x),
            event.step.eq(expander.o.payload.step),
            event.end.eq(expander.o.payload.end),
            skid.i.payload.out.eq(came.out),
            skid.i.payload.replayed.eq(came.replayed),
            self.o.valid.eq(skid.o.valid),
            skid.o.ready.eq(self.o.ready),
            self.o.payload.eq(skid.o.payload.event),
            self.o_out.eq(skid.o.payload.out),
            self.o_replayed.eq(skid.o.payload.replayed),
        ]
        if self.signed:
            m.d.comb += event.negative.eq(expander.o.payload.negative)
        if self.spec.announces_any:
            m.d.comb += event.none.eq(expander.o.payload.none)
        return m
