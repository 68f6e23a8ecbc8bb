"""The readout: sends the potentials of a population that never fires, and the class with the largest one."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import class_bits, potential_layout, slot_layout
from .spec import CoreSpec


class ReadoutUnit(wiring.Component):
    """Passes potentials on in order of address and remembers the largest; ties go to the lowest index.

    One potential a cycle; the class follows in the cycle after the last potential was taken, and the next sample
    waits until the class was taken.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), potentials in scan order, one a slot.
    o : Out(stream), potentials, see `potential_layout`.
    o_class : Out(stream), index of the largest.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        bits, outputs = spec.plan.bits, spec.population.shape[0]
        super().__init__(
            {
                "i": In(stream.Signature(slot_layout(bits, 1))),
                "o": Out(stream.Signature(potential_layout(bits))),
                "o_class": Out(stream.Signature(class_bits(outputs))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        outputs = self.spec.population.shape[0]
        index = Signal(range(self.spec.plan.groups * self.spec.plan.lanes))
        best = Signal(self.o.payload.potential.shape())
        best_index = Signal.like(self.o_class.payload)
        potential = self.i.payload.potentials[0]
        real = Signal()
        deciding = Signal()
        m.d.comb += [
            real.eq(index < outputs),  # the last group may have lanes without a channel
            self.o.valid.eq(self.i.valid & real & ~deciding),
            self.o.payload.potential.eq(potential),
            self.o.payload.last.eq(index == outputs - 1),
            self.i.ready.eq(~deciding & (self.o.ready | ~real)),
            self.o_class.valid.eq(deciding),
            self.o_class.payload.eq(best_index),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += index.eq(index + 1)
            with m.If(self.i.payload.last):
                m.d.sync += index.eq(0)
            with m.If(real & ((index == 0) | (potential > best))):
                m.d.sync += [best.eq(potential), best_index.eq(index)]
            m.d.sync += deciding.eq(self.o.payload.last)
        with m.If(deciding & self.o_class.ready):
            m.d.sync += deciding.eq(0)
        return m
