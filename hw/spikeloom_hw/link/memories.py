"""Access to the memories of a core that can be written: LOAD and CHECKSUM as streams, for cores that have some."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from spikeloom.link.messages import LOAD_BYTES

from .crc import CRC_BITS, SerialCRC
from .spec import BYTE_BITS

ADDRESS_BITS = (LOAD_BYTES - 1) * BYTE_BITS


class Access(data.Struct):
    """A byte that is written, or, with `read`, the wish for all bytes of a memory, lowest address first.

    `memory` and `address` are those of the LOAD for each of its bytes, `last` marks its last one: what comes behind the
    address goes to those behind it, in units that are the memory's business.
    """

    memory: BYTE_BITS
    address: ADDRESS_BITS
    data: BYTE_BITS
    last: 1
    read: 1


class Answer(data.Struct):
    """What a memory says: one `last` when a LOAD is written; every byte of it when it is read, the last with `last`.

    `refused`, with `last`: there is no such memory or address. The bytes before it may have been written.
    """

    data: BYTE_BITS
    last: 1
    refused: 1


def memory_ports() -> dict[str, Any]:
    """Ports of whoever wants memories read and written; a core that has some has them flipped."""
    return {"o_memory": Out(stream.Signature(Access)), "i_memory": In(stream.Signature(Answer))}


class MemoryAccess(wiring.Component):
    """Takes payloads of LOAD and CHECKSUM apart, passes them on and waits for the answer.

    A byte a cycle to the memories, one in nine cycles from them.

    Members
    -------
    i : In(stream), bytes of a payload of a right length; `read`: of a CHECKSUM; `last` marks its last byte.
    done : Out(1), high for one cycle: the answer is there.
    refused : Out(1), with `done`: there is no such memory or address.
    crc : Out(32), of all bytes that were read, from `done` on.
    moves : Out(1), a byte goes to or comes from a memory.
    o_memory, i_memory : see `memory_ports`.
    """

    def __init__(self) -> None:
        byte = data.StructLayout({"data": BYTE_BITS, "last": 1, "read": 1})
        outputs = {"done": Out(1), "refused": Out(1), "crc": Out(CRC_BITS), "moves": Out(1)}
        super().__init__({"i": In(stream.Signature(byte)), **outputs, **memory_ports()})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.check = check = SerialCRC()
        access, answer, byte = self.o_memory.payload, self.i_memory.payload, self.i.payload
        head = Signal(LOAD_BYTES * BYTE_BITS)
        missing = Signal(range(LOAD_BYTES + 1), init=LOAD_BYTES)  # bytes of the head
        reads = Signal()
        m.d.comb += [
            access.memory.eq(head[-BYTE_BITS:]),
            access.read.eq(1),
            check.i.payload.eq(answer.data),
            self.crc.eq(check.crc),
            self.moves.eq(self.o_memory.valid & self.o_memory.ready | self.i_memory.valid & self.i_memory.ready),
        ]
        with m.FSM(init="TakeHead"):
            with m.State("TakeHead"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.comb += check.start.eq(1)
                    m.d.sync += [
                        head.eq(Cat(head[BYTE_BITS:], byte.data)),
                        missing.eq(missing - 1),
                        reads.eq(byte.read),
                    ]
                    with m.If(byte.read):
                        m.next = "Ask"
                    with m.Elif(missing == 1):
                        m.next = "Write"
            with m.State("Ask"):
                m.d.comb += self.o_memory.valid.eq(1)
                with m.If(self.o_memory.ready):
                    m.next = "Hear"
            with m.State("Write"):
                m.d.comb += [
                    self.o_memory.valid.eq(self.i.valid),
                    self.i.ready.eq(self.o_memory.ready),
                    access.eq(Cat(head, byte.data, byte.last)),
                ]
                with m.If(self.i.valid & self.i.ready & byte.last):
                    m.next = "Hear"
            with m.State("Hear"):
                m.d.comb += [self.i_memory.ready.eq(check.i.ready), check.i.valid.eq(self.i_memory.valid & reads)]
                with m.If(self.i_memory.valid & self.i_memory.ready & answer.last):
                    m.d.sync += [self.refused.eq(answer.refused), missing.eq(LOAD_BYTES)]
                    m.next = "Tell"
            with m.State("Tell"), m.If(check.i.ready):
                m.d.comb += self.done.eq(1)
                m.next = "TakeHead"
        return m
