"""The integrate stage: neurons that are visited more than once, step by step, and potentials with a sign."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.neuron import growth_shift

from .layouts import biased_layout, row_layout
from .spec import CoreSpec

Put = Callable[[Value, list[Value], int], None]  # writes values, where a flag says so, in a stage


class Integrate(wiring.Component):
    """V = growth(kept potential) + kept input + potential; then V is clamped, fires, is reset, and is kept.

    A sweep over a layer is one visit: its slots come in the same order every time, so what is kept lies in a memory
    that is read and written slot by slot. A neuron that fires sends a potential of one threshold on, with its sign, and
    the generator makes one spike of it; a graded spike is sent as what lies above its level, which the generator
    divides. Everything else passes: whole trains as size and sign, potentials of a readout as they are.

    Latency six cycles, one slot a cycle; the whole pipeline waits while `o` is stalled with something to say. A slot
    is written back before the visit is over, so that the next one may read it.

    Ref: SpikeConverter, Algorithm 1 (phase II); StepReLU, Eq. 6; stReLU, Eq. 11.

    Parameters
    ----------
    spec : CoreSpec
    visit : layout of the fields that say what a visit does, see `words`.

    Members
    -------
    i : In(stream), see `biased_layout`, with levels.
    visit : In, constant during a visit.
    o : Out(stream), see `biased_layout`, with signs.
    over : Out(1), the last slot of a visit from which nothing leaves is kept.
    retire : Out(1), a slot is kept or leaves: `integrated` Out, its potentials before the clamp; `remainder` Out, what
        is left of them.
    """

    def __init__(self, *, spec: CoreSpec, visit: data.StructLayout) -> None:
        self.spec = spec
        bits, width, shape = spec.plan.bits, spec.slot, spec.scanned_shape
        self.row = row_layout(bits, width)
        super().__init__(
            {
                "i": In(stream.Signature(biased_layout(bits, width, shape, levels=True))),
                "visit": In(visit),
                "o": Out(stream.Signature(biased_layout(bits, width, shape, signs=True))),
                "over": Out(1),
                "retire": Out(1),
                "integrated": Out(self.row),
                "remainder": Out(self.row),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self.advance = Signal()
        payload, visit = self.i.payload, self.visit
        numbers = range(self.spec.slot)
        m.d.comb += self.i.ready.eq(self.advance)
        fresh = Signal(init=1)  # the next slot is the first one of a visit
        with m.If(self.i.valid & self.advance):
            m.d.sync += fresh.eq(payload.last)
        words_kept, words_input = self.spec.kept_words
        state, keep = self._memory(m, "state", words_kept, visit.state, fresh)
        held, inject = self._memory(m, "input", words_input, visit.input, fresh)

        # what was kept is there
        valid, slot = self._stage(m, 1, self.i.valid, payload)
        bases = [slot.potentials[n] + Mux(visit.adds_input, held[n], 0) for n in numbers]
        growns = [Mux(visit.recalls, self._grown(state[n]), 0) for n in numbers]
        valid, slot, bases, growns = self._stage(m, 2, valid, slot, bases, growns)
        inject(valid & visit.keeps_input, bases, 2)
        valid, slot, sums = self._stage(m, 3, valid, slot, [a + b for a, b in zip(bases, growns, strict=True)])
        clamped = [self._clamp(value, slot.mosts[n]) for n, value in enumerate(sums)]
        valid, slot, potentials, sums = self._stage(m, 4, valid, slot, clamped, sums)
        ups = [value >= slot.positives[n] for n, value in enumerate(potentials)]
        downs = [visit.signed & (value <= slot.negatives[n]) for n, value in enumerate(potentials)]
        less = [value - slot.amounts[n] for n, value in enumerate(potentials)]
        added = slot.mosts if self.spec.network.schedule == "synchronous" else slot.amounts
        more = [value + added[n] for n, value in enumerate(potentials)]
        valid, slot, ups, downs, less, more, potentials, sums = self._stage(
            m, 5, valid, slot, ups, downs, less, more, potentials, sums
        )
        lefts, sizes, signs = [], [], []
        for n, value in enumerate(potentials):
            fired = visit.fires & (ups[n] | downs[n])
            reset = Mux(visit.hard, 0, Mux(ups[n], less[n], more[n]))
            lefts.append(Mux(fired, reset, value))
            spike = Mux(fired, Mux(visit.graded, less[n], slot.thetas[n]), 0)
            sizes.append(Mux(visit.fires, spike, self._size(value)))
            signs.append(Mux(visit.fires, downs[n], visit.signed & value[-1]))
        valid, slot, lefts, sizes, signs, sums = self._stage(m, 6, valid, slot, lefts, sizes, signs, sums)
        keep(valid & visit.stays, lefts, 6)
        o = self.o.payload
        m.d.comb += [
            self.o.valid.eq(valid & ~visit.keeps),
            o.neuron.eq(slot.neuron),
            o.thetas.eq(slot.thetas),
            o.last.eq(slot.last),
            o.signs.eq(Cat(*signs)),
            *(o.potentials[n].eq(size) for n, size in enumerate(sizes)),
            self.advance.eq(~self.o.valid | self.o.ready),
            self.retire.eq(valid & self.advance),
            self.over.eq(self.retire & visit.keeps & slot.last),
            *(self.integrated[n].eq(value) for n, value in enumerate(sums)),
            *(self.remainder[n].eq(value) for n, value in enumerate(lefts)),
        ]
        return m

    def _stage(self, m: Module, number: int, valid: Value, slot: data.View, *values: list[Value]) -> tuple[Any, ...]:
        """Registers for a slot and values of its neurons, as wide as potentials or as flags."""
        held_valid, held_slot = (
            Signal(name=f"valid_{number}"),
            Signal(slot.shape(), name=f"slot_{number}", reset_less=True),
        )
        found: list[list[Signal]] = []
        with m.If(self.advance):
            m.d.sync += [held_valid.eq(valid), held_slot.eq(slot)]
            for kind, column in enumerate(values):
                kept = []
                for n, value in enumerate(column):
                    shape = 1 if len(value) == 1 else signed(self.spec.plan.bits)
                    kept.append(Signal(shape, name=f"value_{number}_{kind}_{n}", reset_less=True))
                    m.d.sync += kept[-1].eq(value)
                found.append(kept)
        return held_valid, held_slot, *found

    def _memory(self, m: Module, name: str, depth: int, base: Value, fresh: Value) -> tuple[Any, Put]:
        """A memory with a word a slot: (the word of the slot in stage 1, a function that writes one in a stage)."""
        if not depth:
            return [Const(0, signed(self.spec.plan.bits))] * self.spec.slot, lambda *_: None
        m.submodules[name] = memory = Memory(shape=self.row, depth=depth, init=[], attrs={"no_rw_check": 1})
        read, write = memory.read_port(), memory.write_port()
        address, following = Signal(ceil_log2(depth), name=f"{name}_address"), Signal(ceil_log2(depth))
        m.d.comb += [address.eq(Mux(fresh, base, following)), read.addr.eq(address), read.en.eq(self.advance)]
        with m.If(self.i.valid & self.advance):
            m.d.sync += following.eq(address + 1)

        def put(enable: Value, values: list[Value], stage: int) -> None:
            late = address
            for number in range(stage):
                held = Signal.like(address, name=f"{name}_address_{number}")
                with m.If(self.advance):
                    m.d.sync += held.eq(late)
                late = held
            m.d.comb += [write.addr.eq(late), write.en.eq(enable & self.advance)]
            m.d.comb += [write.data[n].eq(value) for n, value in enumerate(values)]

        return read.data, put

    def _grown(self, value: Value) -> Value:
        """A kept potential, one time step later."""
        options: list[Value] = []
        for growth in self.spec.growths:
            shift = growth_shift(growth)
            part = Const(0) if shift is None else value >> shift
            options.append(value + part if growth > 1 else value - part)
        chosen = options[0] if options else value
        for number, option in enumerate(options[1:], 1):
            chosen = Mux(self.visit.growth == number, option, chosen)
        return chosen

    def _clamp(self, value: Value, most: Value) -> Value:
        """Clamped to what its threshold allows, where the layer begins to fire."""
        least = Mux(self.visit.signed, -most, 0)
        inside = Mux(value > most, most, Mux(value < least, least, value))
        return Mux(self.visit.clamps, inside, value)

    def _size(self, value: Value) -> Value:
        """Absolute value of what is signed and not a readout's; the least number, which has none, comes close."""
        most = (1 << (self.spec.plan.bits - 1)) - 1
        negated = (-value)[: self.spec.plan.bits].as_signed()
        return Mux(self.visit.signed & value[-1], Mux(negated[-1], most, negated), value)
