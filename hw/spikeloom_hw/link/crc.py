"""CRC-32 of bytes, bit by bit: a byte takes eight cycles, which a serial line leaves, and 32 exclusive ors fewer."""

from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import crc, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from .spec import BYTE_BITS

CRC_BITS = 32
CRC_BYTES = CRC_BITS // BYTE_BITS


class SerialCRC(wiring.Component):
    """CRC-32 of the bytes since `start`, as `spikeloom.link.frames.crc` computes it.

    `i` stalls for eight cycles behind each byte; `crc` and `good` hold when it does not.

    Members
    -------
    start : In(1), forget the bytes so far, in any cycle; a byte that is taken in it is forgotten, too.
    i : In(stream), bytes.
    crc : Out(32), of the bytes.
    good : Out(1), the last four of them are the CRC of those before, lowest first.
    """

    def __init__(self) -> None:
        super().__init__({"start": In(1), "i": In(stream.Signature(BYTE_BITS)), "crc": Out(CRC_BITS), "good": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        processor = crc.Processor(CRC32_ISO_HDLC(data_width=1))
        # flip-flops have a reset for nothing, which the processor's own start has not
        m.submodules.processor = ResetInserter(self.start)(processor)
        byte = Signal(BYTE_BITS)
        bits_left = Signal(range(BYTE_BITS + 1))
        m.d.comb += [
            processor.data.eq(byte[0]),
            processor.valid.eq(bits_left != 0),
            self.i.ready.eq(bits_left == 0),
            self.crc.eq(processor.crc),
            self.good.eq(processor.match_detected),
        ]
        with m.If(bits_left != 0):
            m.d.sync += [byte.eq(byte >> 1), bits_left.eq(bits_left - 1)]
        with m.Elif(self.i.valid):
            m.d.sync += [byte.eq(self.i.payload), bits_left.eq(BYTE_BITS)]
        with m.If(self.start):
            m.d.sync += bits_left.eq(0)
        return m
