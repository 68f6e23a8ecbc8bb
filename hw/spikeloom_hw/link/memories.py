"""Access to the memories of a core that can be written: LOAD and CHECKSUM as streams, for cores that have some."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from spikeloom.link.messages import LOAD_BYTES

from ..core.layouts import access_layout, answer_layout
from .crc import CRC_BITS, SerialCRC
from .spec import BYTE_BITS


def load_ports() -> dict[str, Any]:
    """Ports of a core whose memories can be loaded, see `access_layout` and `answer_layout`.

    A LOAD is a beat for each of its bytes, all with its memory and address: bytes behind the first one go behind it, in
    units that are the memory's business. It is answered by one beat, with `last`, when it is written. One beat with
    `read` asks for a memory, and is answered by all its bytes, lowest address first, the last with `last`. A beat with
    `refused` ends either; what came before it may have been written. Neither happens while a sample is under way.
    """
    return {"i_load": In(stream.Signature(access_layout())), "o_load": Out(stream.Signature(answer_layout()))}


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
    o_load, i_load : the other side of a core's, see `load_ports`.
    """

    def __init__(self) -> None:
        byte = data.StructLayout({"data": BYTE_BITS, "last": 1, "read": 1})
        outputs = {"done": Out(1), "refused": Out(1), "crc": Out(CRC_BITS), "moves": Out(1)}
        loads = {"o_load": Out(stream.Signature(access_layout())), "i_load": In(stream.Signature(answer_layout()))}
        super().__init__({"i": In(stream.Signature(byte)), **outputs, **loads})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.check = check = SerialCRC()
        access, answer, byte = self.o_load.payload, self.i_load.payload, self.i.payload
        head = Signal(LOAD_BYTES * BYTE_BITS)
        missing = Signal(range(LOAD_BYTES + 1), init=LOAD_BYTES)  # bytes of the head
        reads = Signal()
        m.d.comb += [
            access.memory.eq(head[-BYTE_BITS:]),
            access.read.eq(1),
            check.i.payload.eq(answer.data),
            self.crc.eq(check.crc),
            self.moves.eq(self.o_load.valid & self.o_load.ready | self.i_load.valid & self.i_load.ready),
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
                m.d.comb += self.o_load.valid.eq(1)
                with m.If(self.o_load.ready):
                    m.next = "Hear"
            with m.State("Write"):
                m.d.comb += [
                    self.o_load.valid.eq(self.i.valid),
                    self.i.ready.eq(self.o_load.ready),
                    access.eq(Cat(head, byte.data, byte.last)),
                ]
                with m.If(self.i.valid & self.i.ready & byte.last):
                    m.next = "Hear"
            with m.State("Hear"):
                m.d.comb += [self.i_load.ready.eq(check.i.ready), check.i.valid.eq(self.i_load.valid & reads)]
                with m.If(self.i_load.valid & self.i_load.ready & answer.last):
                    m.d.sync += [self.refused.eq(answer.refused), missing.eq(LOAD_BYTES)]
                    m.next = "Tell"
            with m.State("Tell"), m.If(check.i.ready):
                m.d.comb += self.done.eq(1)
                m.next = "TakeHead"
        return m
