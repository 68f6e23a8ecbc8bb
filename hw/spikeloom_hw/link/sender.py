"""The sender of frames: from the bytes of a body to those of the line."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from spikeloom.link.frames import GROUP_BYTES, HEADER_BYTES

from .cobs import COBSEncoder
from .crc import CRC_BYTES, SerialCRC
from .spec import BYTE_BITS, LinkSpec

SPARE_BYTES = 5  # of the coder's memory, that no frame takes


class FrameSender(wiring.Component):
    """Takes bodies, appends their CRC and sends them as frames.

    The gates of `spikeloom.link.frames.frame`. A byte in nine cycles, and 40 for the CRC; `i` stalls meanwhile, and
    while there is no room: for a frame of any size beside the one that is being sent.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    drop : In(1), forget the body that is being taken.
    i : In(stream), bytes of bodies, `last` marks the last of each.
    o : Out(stream), bytes for the line.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        body = data.StructLayout({"data": BYTE_BITS, "last": 1})
        super().__init__({"drop": In(1), "i": In(stream.Signature(body)), "o": Out(stream.Signature(BYTE_BITS))})

    @property
    def frame_bytes(self) -> int:
        """Bytes of the longest frame on the line."""
        body = HEADER_BYTES + self.spec.identity.frame_bytes + CRC_BYTES
        return body + -(-body // GROUP_BYTES) + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = SerialCRC()
        m.submodules.encoder = encoder = COBSEncoder(depth=1 << (self.frame_bytes + SPARE_BYTES).bit_length())
        connect(m, encoder.o, flipped(self.o))
        body_sent = Signal()
        byte = Signal(range(CRC_BYTES))
        ready = Signal()
        m.d.comb += [
            encoder.drop.eq(self.drop),
            ready.eq(crc.i.ready & encoder.i.ready),
            encoder.i.payload.data.eq(Mux(body_sent, crc.crc.word_select(byte, BYTE_BITS), self.i.payload.data)),
            encoder.i.payload.last.eq(body_sent & (byte == CRC_BYTES - 1)),
            encoder.i.valid.eq(crc.i.ready & (body_sent | self.i.valid)),
            crc.i.payload.eq(self.i.payload.data),
            crc.i.valid.eq(encoder.i.ready & self.i.valid & ~body_sent),
            self.i.ready.eq(ready & ~body_sent),
            crc.start.eq(self.drop | encoder.i.payload.last & encoder.i.valid & encoder.i.ready),
        ]
        with m.If(body_sent & ready):
            m.d.sync += byte.eq(byte + 1)
        with m.If(crc.start):
            m.d.sync += [body_sent.eq(0), byte.eq(0)]
        with m.Elif(self.i.valid & self.i.ready & self.i.payload.last):
            m.d.sync += body_sent.eq(1)
        return m
