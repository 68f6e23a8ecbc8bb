"""Loading: writes parameter memories while the design runs, and reads them back; see `spikeloom.program.parameters`.

What is loaded between two samples is what the next one meets. During a sample it must not be used: reading back takes
the address away from the lanes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import ceil_log2
from spikeloom.program.parameters import ADDRESS_WORD_BITS, WORD_BITS, WORD_BYTES, ParameterMemory

from .layouts import access_layout, answer_layout
from .rom import memory_attributes

READ_CYCLES = 6  # in which a word surely is back: bus, spread address, memory, choice of the word, and the way


@dataclass(frozen=True)
class LoadBus:
    """What travels from the loader to all memories: one word to write, or the wish to read one.

    Parameters
    ----------
    memories : all of the design.
    """

    memories: tuple[ParameterMemory, ...]

    @cached_property
    def layout(self) -> data.StructLayout:
        """`memory`, `row` and `word` say where; `write`: `data` goes there; `read`: it is wanted, until it came."""
        return data.StructLayout(
            {
                "memory": max(1, ceil_log2(len(self.memories))),
                "row": ceil_log2(max(memory.depth for memory in self.memories)),
                "word": max(1, ceil_log2(max(memory.words for memory in self.memories))),
                "data": WORD_BITS,
                "write": 1,
                "read": 1,
            }
        )


def bus_ports(bus: LoadBus | None) -> dict[str, Member]:
    """Ports of a component with parameter memories: the bus, and the word that is read back; none without a bus."""
    return {"bus": In(bus.layout), "loaded": Out(WORD_BITS)} if bus else {}


def any_of(words: Sequence[Value]) -> Value:
    """Words of which all but one are zero."""
    return reduce(or_, words)


def loadable_memory(
    m: Module,
    name: str,
    own: ParameterMemory,
    bus: data.View,
    *,
    init: Sequence[int],
    address: Value,
    enable: Value | None = None,
    spread: str = "",
) -> tuple[Value, Value]:
    """A parameter memory with a write port, a word at a time, and a way to read it back through its read port.

    Parameters
    ----------
    m : gets the memory as submodule `name`.
    own : its sizes and number.
    bus : of `LoadBus.layout`.
    init : rows.
    address, enable : what the core reads; held while the bus reads.
    spread : name of a register that the address passes first; "": there is none.

    Returns
    -------
    A row in the cycle after its address, and the word that the bus wants, zero where it wants another memory's.
    """
    memory = Memory(shape=own.words * WORD_BITS, depth=own.depth, init=init, attrs=memory_attributes("loadable"))
    m.submodules[name] = memory
    read, write = memory.read_port(), memory.write_port(granularity=WORD_BITS)
    chosen, word = Signal(name=f"{name}_chosen"), Signal(WORD_BITS, name=f"{name}_word")
    reads = chosen & bus.read
    wanted = Mux(reads, bus.row, address)
    if spread:
        held = Signal(range(own.depth), name=spread)
        m.d.sync += held.eq(wanted)
        wanted = held
    m.d.comb += [
        chosen.eq(bus.memory == own.number),
        read.addr.eq(wanted),
        write.addr.eq(bus.row),
        write.data.eq(bus.data.replicate(own.words)),
        *(write.en[n].eq(chosen & bus.write & (bus.word == n)) for n in range(own.words)),
    ]
    if enable is not None:
        m.d.comb += read.en.eq(enable | reads)
    words = Array(read.data[n * WORD_BITS : (n + 1) * WORD_BITS] for n in range(own.words))
    m.d.sync += word.eq(Mux(reads, words[bus.word] if own.words > 1 else words[0], 0))
    return read.data, word


class Loader(wiring.Component):
    """Between a host's bytes and the bus: a byte a cycle, twelve cycles a word of five bytes that is read back.

    A LOAD begins at an address, word of the row in its lowest byte and row above, and goes on with the words and rows
    behind it. What it holds beyond the memory, or of a word that is not whole, is refused and not written.

    Parameters
    ----------
    bus : LoadBus

    Members
    -------
    i : In(stream), bytes to write, or the wish for all bytes of a memory; see `access_layout`.
    o : Out(stream), see `answer_layout`: one beat when a LOAD is written, every byte of a memory that is read.
    o_bus : Out, see `LoadBus.layout`.
    loaded : In, word that was read.
    """

    def __init__(self, *, bus: LoadBus) -> None:
        self.bus = bus
        super().__init__(
            {
                "i": In(stream.Signature(access_layout())),
                "o": Out(stream.Signature(answer_layout())),
                "o_bus": Out(bus.layout),
                "loaded": In(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        access, answer, bus = self.i.payload, self.o.payload, self.o_bus
        memories = self.bus.memories
        shifted = Signal(WORD_BYTES * 8)  # bytes of a word, as they come in or go out: lowest first
        left = Signal(range(max(READ_CYCLES, WORD_BYTES)))  # bytes of a word, or cycles until it is there
        memory, row, word = (Signal.like(bus[name], name=name) for name in ("memory", "row", "word"))
        beyond, refused = Signal(), Signal()  # `beyond`: behind the last row, or no memory at all
        last_row, last_word = Signal.like(row, name="last_row"), Signal.like(word, name="last_word")
        ends_row, ends, moves = Signal(), Signal(), Signal()
        with m.Switch(memory):
            for own in memories:
                with m.Case(own.number):
                    m.d.comb += [last_row.eq(own.depth - 1), last_word.eq(own.words - 1)]
        m.d.comb += [
            ends_row.eq(word == last_word),
            ends.eq(ends_row & (row == last_row)),
            bus.memory.eq(memory),
            bus.row.eq(row),
            bus.word.eq(word),
            bus.data.eq(shifted),
        ]
        with m.If(moves):
            m.d.sync += [word.eq(word + 1), beyond.eq(beyond | ends)]
            with m.If(ends_row):
                m.d.sync += [word.eq(0), row.eq(row + 1)]
        m.d.sync += bus.write.eq(0)
        with m.FSM(init="Begin"):
            with m.State("Begin"), m.If(self.i.valid):
                rows = access.address[ADDRESS_WORD_BITS:]
                absent = access.memory >= len(memories)
                m.d.sync += [
                    memory.eq(access.memory),
                    word.eq(access.address),
                    row.eq(rows),
                    refused.eq(0),
                    left.eq(WORD_BYTES - 1),
                    beyond.eq(absent | access.address[len(word) : ADDRESS_WORD_BITS].any() | rows[len(row) :].any()),
                ]
                m.next = "Take"
                with m.If(access.read):
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += [row.eq(0), word.eq(0), beyond.eq(absent), refused.eq(absent)]
                    m.next = "Ask"
                    with m.If(absent):
                        m.next = "Tell"
            with m.State("Take"):
                m.d.comb += [self.i.ready.eq(1), moves.eq(bus.write)]
                with m.If(self.i.valid):
                    m.d.sync += [shifted.eq(Cat(shifted[8:], access.data)), left.eq(left - 1)]
                    with m.If(left == 0):
                        outside = beyond | (row > last_row) | (word > last_word)
                        m.d.sync += [left.eq(WORD_BYTES - 1), bus.write.eq(~outside), refused.eq(refused | outside)]
                    with m.If(access.last):
                        with m.If(left != 0):
                            m.d.sync += refused.eq(1)
                        m.next = "Tell"
            with m.State("Tell"):
                m.d.comb += [self.o.valid.eq(1), answer.last.eq(1), answer.refused.eq(refused)]
                with m.If(self.o.ready):
                    m.next = "Begin"
            with m.State("Ask"):
                m.d.sync += [bus.read.eq(1), left.eq(READ_CYCLES - 1)]
                m.next = "Wait"
            with m.State("Wait"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.sync += [shifted.eq(self.loaded), left.eq(WORD_BYTES - 1), bus.read.eq(0)]
                    m.next = "Send"
            with m.State("Send"):
                m.d.comb += [self.o.valid.eq(1), answer.data.eq(shifted), answer.last.eq((left == 0) & ends)]
                with m.If(self.o.ready):
                    m.d.sync += [shifted.eq(shifted >> 8), left.eq(left - 1)]
                    with m.If(left == 0):
                        m.d.comb += moves.eq(1)
                        m.next = "Ask"
                        with m.If(ends):
                            m.next = "Begin"
        return m
