"""From packets on AXI4-Stream to samples: pixels or events, and what is wrong with a packet."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..core.encoder import PIXEL_BITS
from ..core.layouts import event_layout, pixel_layout

BEAT_BITS = 32
PIXELS = BEAT_BITS // PIXEL_BITS


def beat_layout(bits: int) -> data.StructLayout:
    """A beat of a packet: TDATA, TKEEP and TLAST."""
    return data.StructLayout({"data": bits, "keep": bits // 8, "last": 1})


class _Packets(wiring.Component):
    """What the two kinds of packets have in common.

    Members
    -------
    i : In(stream), beats, see `beat_layout`; the last one of a packet closes a sample.
    o : Out(stream), what a sample consists of.
    began : Out(1), the first beat of a sample is taken.
    ended : Out(1), what closes a sample is taken; `bad` says whether it is not what the packet meant, `short`, `long`
        and `wrong_event` why.
    receiving : Out(1), a packet has begun and not ended; discarding : Out(1), its rest is thrown away.
    clear : In(1), forget the sample: the rest of its packet is discarded, or with `restart` : In(1) the next beat
        begins a packet. No beat may be offered meanwhile.
    """

    def __init__(self, bits: int, payload: data.StructLayout) -> None:
        flags = ("began", "ended", "bad", "short", "long", "wrong_event", "receiving", "discarding")
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(bits))),
                "o": Out(stream.Signature(payload)),
                "clear": In(1),
                "restart": In(1),
                **{name: Out(1) for name in flags},
            }
        )

    def _follow(self, m: Module, passes: Value, closes: Value) -> Value:
        """Handshakes, and where in a packet we are; returns a flag that a beat of a sample is taken.

        `passes`: this beat goes to `o`, others vanish; `closes`: it closes the sample.
        """
        open_, taken = Signal(), Signal()  # open: a sample has begun
        beat = self.i.payload
        m.d.comb += [
            self.o.valid.eq(self.i.valid & passes & ~self.discarding),
            self.i.ready.eq(self.o.ready | ~passes | self.discarding),
            taken.eq(self.i.valid & self.i.ready & ~self.discarding),
            self.began.eq(taken & ~open_),
            self.ended.eq(taken & closes),
            self.bad.eq(self.short | self.long | self.wrong_event),
            self.receiving.eq(open_ | self.discarding),
        ]
        with m.If(taken):
            m.d.sync += [open_.eq(~closes), self.discarding.eq(closes & ~beat.last)]
        with m.If(self.discarding & self.i.valid & beat.last):
            m.d.sync += self.discarding.eq(0)
        with m.If(self.clear):
            m.d.sync += [open_.eq(0), self.discarding.eq(self.receiving & ~self.restart)]
        return taken


class PixelPackets(_Packets):
    """Packets of pixels, four in a beat, the first in the lowest bits, in order of address.

    Every packet makes one sample, so that answers and packets stay in step: where pixels are missing the sample is
    closed early, what is too much is discarded, and either makes it bad. Bytes beyond the sample in its last beat do
    not count, nor does their TKEEP. A beat a cycle; no latency.

    Parameters
    ----------
    neurons : pixels of a sample.

    Members
    -------
    See `_Packets`; `o` carries `pixel_layout`.
    """

    def __init__(self, *, neurons: int) -> None:
        self.neurons = neurons
        self.beats = -(-neurons // PIXELS)
        super().__init__(BEAT_BITS, pixel_layout(PIXEL_BITS, PIXELS))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self.i.payload
        place = Signal(range(self.beats))
        gap = Signal()  # an earlier beat of the sample lacked bytes
        last, whole = Signal(), Signal()
        bytes_at_end = self.neurons - PIXELS * (self.beats - 1)
        taken = self._follow(m, Const(1, 1), beat.last | last)
        m.d.comb += [
            last.eq(place == self.beats - 1),
            whole.eq(beat.keep[:bytes_at_end].all() & (last | beat.keep.all())),
            self.o.payload.pixels.eq(beat.data),
            self.o.payload.last.eq(beat.last | last),
            self.short.eq(self.ended & (gap | ~whole | ~last)),
            self.long.eq(self.ended & ~beat.last),
        ]
        with m.If(taken):
            m.d.sync += [place.eq(place + 1), gap.eq(gap | ~whole)]
        with m.If(self.ended | self.clear):
            m.d.sync += [place.eq(0), gap.eq(0)]
        return m


class EventPackets(_Packets):
    """Packets of events, one in a beat, as the core takes them; the last beat of a packet is the end mark.

    An event whose address or time step does not exist is dropped and makes the sample bad. TKEEP does not count, nor do
    the end mark's bits and those beyond the event.

    Parameters
    ----------
    neurons : of the input.
    digits : time steps of the train that is sent.
    negative : events have a sign.

    Members
    -------
    See `_Packets`; `o` carries `event_layout`.
    """

    def __init__(self, *, neurons: int, digits: int, negative: bool) -> None:
        self.neurons, self.digits = neurons, digits
        self.layout = event_layout(neurons, digits, negative=negative)
        super().__init__(BEAT_BITS * -(-self.layout.size // BEAT_BITS), self.layout)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self.i.payload
        event = data.View(self.layout, beat.data[: self.layout.size])
        exists, wrong = Signal(), Signal()  # wrong: an earlier event of the sample does not exist
        taken = self._follow(m, exists | beat.last, beat.last)
        m.d.comb += [
            exists.eq((event.address < self.neurons) & (event.step < self.digits)),
            self.o.payload.as_value().eq(beat.data),
            self.o.payload.end.eq(beat.last),
            self.wrong_event.eq(self.ended & wrong),
        ]
        with m.If(taken):
            m.d.sync += wrong.eq((wrong | ~exists) & ~self.ended)
        with m.If(self.clear):
            m.d.sync += wrong.eq(0)
        return m
