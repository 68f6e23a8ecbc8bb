"""From readout potentials to packets on AXI4-Stream."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ..core.layouts import class_bits, potential_layout
from ..core.skid import Skid
from .packets import BEAT_BITS


def answer_layout(outputs: Sequence[int]) -> data.StructLayout:
    """A beat of an answer: TDATA, a potential; TUSER, whether the sample was bad and the readout's class; TLAST."""
    return data.StructLayout({"data": BEAT_BITS, "bad": 1, "class": class_bits(max(outputs)), "last": 1})


class Answers(wiring.Component):
    """One packet a sample: the potentials of all readouts, sign-extended; each readout's last has its class beside it.

    Everything at `o` is a register: one beat a cycle, two cycles late, three at the end of a readout. A beat that was
    offered stays, through `clear`, too: a packet that `clear` interrupts is closed by a beat of its own, zero and bad.

    Parameters
    ----------
    bits : of a potential, at most 32.
    outputs : potentials of each readout.

    Members
    -------
    i : In(stream), the core's potentials; i_class : In(stream), its classes.
    o : Out(stream), beats, see `answer_layout`.
    known : In(1), it is known whether the sample that is answered was `bad` : In(1).
    left : Out(1), the last beat of an answer goes into the register behind `o`.
    done : Out(1), that beat is taken.
    answering : Out(1), a packet has begun and not ended.
    classes : Out, of all readouts, those of the last answer.
    clear : In(1), forget what is on its way.
    """

    def __init__(self, *, bits: int, outputs: Sequence[int]) -> None:
        self.bits, self.outputs = bits, tuple(outputs)
        layout = answer_layout(outputs)
        self.class_bits = layout["class"].width
        super().__init__(
            {
                "i": In(stream.Signature(potential_layout(bits))),
                "i_class": In(stream.Signature(self.class_bits)),
                "o": Out(stream.Signature(layout)),
                "known": In(1),
                "bad": In(1),
                "left": Out(1),
                "done": Out(1),
                "answering": Out(1),
                "classes": Out(data.ArrayLayout(self.class_bits, len(outputs))),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        skid = Skid(layout=self.i.payload.shape())
        m.submodules.skid = ResetInserter(self.clear)(skid)
        connect(m, wiring.flipped(self.i), skid.i)
        decided, class_ = Signal(), Signal(self.class_bits)  # the class of a readout waits for its last potential
        readout = Signal(range(len(self.outputs)))
        free, go, ends, final, closing = (Signal(name=name) for name in ("free", "go", "ends", "final", "closing"))
        open_ = Signal()  # a beat that is not the last of its packet is at `o`, or was
        # the beat at `o` is the last one of an answer that counts, and not of one that was forgotten
        counts = Signal()
        beat = self.o.payload
        m.d.comb += [
            self.i_class.ready.eq(~decided),
            ends.eq(skid.o.payload.last),
            final.eq(ends & (readout == len(self.outputs) - 1)),
            free.eq(~self.o.valid | self.o.ready),
            go.eq(skid.o.valid & (~ends | decided) & self.known & ~closing & ~self.clear),
            skid.o.ready.eq(go & free),
            self.left.eq(go & free & final),
            self.answering.eq(open_ | closing | self.o.valid),
            self.done.eq(self.o.valid & self.o.ready & counts),
        ]
        with m.If(self.i_class.valid & ~decided):
            m.d.sync += [decided.eq(1), class_.eq(self.i_class.payload)]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(go | closing), closing.eq(0), counts.eq(self.left)]
            m.d.sync += [
                beat.data.eq(Mux(closing, 0, skid.o.payload.potential)),
                beat.bad.eq(self.bad | closing),
                beat["class"].eq(Mux(ends & ~closing, class_, 0)),
                beat.last.eq(final | closing),
            ]
        with m.If(go & free):
            m.d.sync += open_.eq(~final)
            with m.If(ends):
                m.d.sync += [self.classes[readout].eq(class_), decided.eq(0), readout.eq(Mux(final, 0, readout + 1))]
        with m.If(self.clear):
            m.d.sync += [closing.eq(closing & ~free | open_), open_.eq(0), counts.eq(0)]
            m.d.sync += [decided.eq(0), readout.eq(0), self.classes.as_value().eq(0)]
        return m
