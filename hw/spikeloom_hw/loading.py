"""Loading: writes parameter memories while the design runs, and reads them back; see `spikeloom.parameters`.

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
from spikeloom.parameters import ADDRESS_WORD_BITS, WORD_BITS, WORD_BYTES, ParameterMemory

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
    spread: Signal | None = None,
) -> tuple[Value, Value]:
    """A parameter memory with a write port, a word at a time, and a way to read it back through its read port.

    Parameters
    ----------
    m : gets the memory as submodule `name`.
    own : its sizes and number.
    bus : of `LoadBus.layout`.
    init : rows.
    address, enable : what the core reads; held while the bus reads.
    spread : a register that the address passes first, or None.

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
    if spread is not None:
        m.d.sync += spread.eq(wanted)
        wanted = spread
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
    """Between a host's bytes and the bus: a write a word of five bytes, sixteen cycles a word read back.

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
        known, refused, fresh = Signal(), Signal(), Signal(init=1)
        last_row, last_word = Signal.like(bus.row), Signal.like(bus.word)
        left = Signal(range(max(READ_CYCLES, WORD_BYTES)))  # cycles until a word is there, or bytes of it
        received = Signal((WORD_BYTES - 1) * 8)
        place = Signal(len(access.address))  # where the next word goes
        with m.Switch(bus.memory):
            for memory in memories:
                with m.Case(memory.number):
                    m.d.comb += [last_row.eq(memory.depth - 1), last_word.eq(memory.words - 1)]
        word, row = place[:ADDRESS_WORD_BITS], place[ADDRESS_WORD_BITS:]
        ends_row, inside = Signal(), Signal()
        m.d.comb += [
            ends_row.eq(word == last_word),
            inside.eq(known & (row <= last_row) & (word <= last_word)),
        ]
        m.d.sync += bus.write.eq(0)
        with m.FSM(init="Take"):
            with m.State("Take"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & fresh):
                    m.d.sync += [
                        known.eq(access.memory < len(memories)),
                        bus.memory.eq(access.memory),
                        place.eq(Mux(access.read, 0, access.address)),
                        fresh.eq(0),
                        refused.eq(0),
                        left.eq(WORD_BYTES - 1),
                    ]
                with m.If(self.i.valid & access.read):
                    m.next = "Ask"
                with m.Elif(self.i.valid):
                    m.d.sync += received.eq(Cat(received[8:], access.data))
                    whole = ~fresh & (left == 0) if WORD_BYTES > 1 else ~fresh
                    m.d.sync += left.eq(Mux(fresh, WORD_BYTES - 2, Mux(whole, WORD_BYTES - 1, left - 1)))
                    with m.If(whole):
                        m.d.sync += [
                            bus.data.eq(Cat(received, access.data)),
                            bus.row.eq(row),
                            bus.word.eq(word),
                            bus.write.eq(inside),
                            refused.eq(refused | ~inside),
                            place.eq(Mux(ends_row, Cat(word ^ word, row + 1), place + 1)),
                        ]
                    with m.If(access.last):
                        with m.If(~whole):
                            m.d.sync += refused.eq(1)
                        m.next = "Tell"
            with m.State("Tell"):
                m.d.comb += [self.o.valid.eq(1), answer.last.eq(1), answer.refused.eq(refused)]
                m.d.sync += fresh.eq(1)
                with m.If(self.o.ready):
                    m.next = "Take"
            with m.State("Ask"):
                m.d.sync += [bus.row.eq(row), bus.word.eq(word), bus.read.eq(known), left.eq(READ_CYCLES - 1)]
                m.next = "Wait"
                with m.If(~known):
                    m.d.sync += refused.eq(1)
                    m.next = "Tell"
            with m.State("Wait"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.sync += [bus.data.eq(self.loaded), left.eq(WORD_BYTES - 1), bus.read.eq(0)]
                    m.next = "Send"
            with m.State("Send"):
                ends = ends_row & (row == last_row)
                m.d.comb += [
                    self.o.valid.eq(1),
                    answer.data.eq(bus.data),
                    answer.last.eq((left == 0) & ends),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [bus.data.eq(bus.data >> 8), left.eq(left - 1)]
                    with m.If(left == 0):
                        m.d.sync += [place.eq(Mux(ends_row, Cat(word ^ word, row + 1), place + 1)), fresh.eq(ends)]
                        m.next = "Ask"
                        with m.If(ends):
                            m.next = "Take"
        return m
