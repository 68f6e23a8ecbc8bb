"""The readout: sends the potentials of a population that never fires, and the class with the largest one."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import biased_layout, class_bits, potential_layout
from .spec import CoreSpec


class ReadoutUnit(wiring.Component):
    """Passes potentials on in order of address and remembers the largest; ties go to the lowest index. Several
    readouts take turns.

    One potential a cycle; the class follows in the cycle after the last potential was taken, and the next sample
    waits until the class was taken.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), potentials in scan order.
    last : In, outputs of the readout, less one.
    o : Out(stream), potentials, see `potential_layout`.
    o_class : Out(stream), index of the largest.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        bits, self.outputs = spec.plan.bits, max(spec.outputs)
        super().__init__(
            {
                "i": In(stream.Signature(biased_layout(bits, spec.slot, spec.scanned_shape))),
                "last": In(range(self.outputs)),
                "o": Out(stream.Signature(potential_layout(bits))),
                "o_class": Out(stream.Signature(class_bits(self.outputs))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slot = self.spec.slot
        index = Signal(range(self.outputs))
        place = Signal(range(slot))
        best = Signal(self.o.payload.potential.shape())
        best_index = Signal.like(self.o_class.payload)
        potentials = self.i.payload.potentials
        potential = potentials[0] if slot == 1 else Array(potentials[n] for n in range(slot))[place]
        last = Signal()
        deciding = Signal()
        m.d.comb += [
            last.eq(index == self.last),
            self.o.valid.eq(self.i.valid & ~deciding),
            self.o.payload.potential.eq(potential),
            self.o.payload.last.eq(last),
            self.i.ready.eq(self.o.valid & self.o.ready & (last | (place == slot - 1))),
            self.o_class.valid.eq(deciding),
            self.o_class.payload.eq(best_index),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [index.eq(index + 1), place.eq(place + 1)]
            with m.If(self.i.ready):
                m.d.sync += place.eq(0)
            with m.If(last):
                m.d.sync += [index.eq(0), deciding.eq(1)]
            with m.If((index == 0) | (potential > best)):
                m.d.sync += [best.eq(potential), best_index.eq(index)]
        with m.If(deciding & self.o_class.ready):
            m.d.sync += deciding.eq(0)
        return m
