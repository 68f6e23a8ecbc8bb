"""The store: keeps the codes of trains that are needed again, and is read by rows or event by event."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .spec import CoreSpec
from .words import record_layout


class Store(wiring.Component):
    """A memory of codes, `store_width` neighbouring channels a word, written as a train's events pass by.

    Events of a word must follow each other, and silent words must be announced: then every word of a region is
    written once a sample. A word is written when the first event of the next one, or the end mark, comes.
    Reads take one cycle; one a cycle.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    record : In, an event; see `record_layout`.
    writing : Out(1), something is not in the memory yet.
    read, address : In, read a word; `word` Out, in the next cycle.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.word_layout = data.ArrayLayout(spec.code_bits, spec.plan.store_width)
        super().__init__(
            {
                "record": In(record_layout(spec)),
                "writing": Out(1),
                "read": In(1),
                "address": In(ceil_log2(spec.plan.store_words)),
                "word": Out(self.word_layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, record = self.spec.plan, self.record
        m.submodules.codes = memory = Memory(
            shape=self.word_layout, depth=plan.store_words, init=[], attrs={"no_rw_check": 1}
        )
        read, write = memory.read_port(), memory.write_port()
        word = Signal(self.word_layout)
        place = Signal.like(record.place)
        held = Signal()
        closing = Signal()
        same = Signal()
        m.d.comb += [
            read.addr.eq(self.address),
            read.en.eq(self.read),
            self.word.eq(read.data),
            same.eq(held & (record.place == place)),
            write.addr.eq(place),
            write.data.eq(word),
            write.en.eq(held & (closing | (record.valid & ~same))),
            self.writing.eq(held),
        ]
        code = Signal(self.spec.code_bits)
        spike = Signal()
        weighed = Signal.like(code)
        m.d.comb += [
            code.eq(Array(word[n] for n in range(plan.store_width))[record.lane]),
            spike.eq(~record.none & ~record.end),
            weighed.eq(Const(1, 1) << record.weighs),
        ]
        with m.If(closing):
            m.d.sync += [closing.eq(0), held.eq(0)]
        with m.If(record.valid):
            m.d.sync += [held.eq(1), place.eq(record.place), closing.eq(record.end)]
            for n in range(plan.store_width):
                before = Mux(same, word[n], 0)
                after = Mux(record.negative, before - weighed, before + weighed)[: len(code)]
                m.d.sync += word[n].eq(Mux(spike & (record.lane == n), after, before))
        return m
