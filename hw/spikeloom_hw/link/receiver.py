"""The receiver of frames: from bytes of the line to whole frames that wait for their turn."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from spikeloom.link.bodies import VERSION
from spikeloom.link.frames import HEADER_BYTES
from spikeloom.link.messages import FIRST_REPLY, Kind

from .cobs import COBSDecoder
from .crc import CRC_BYTES, SerialCRC
from .spec import BYTE_BITS, LinkSpec

KIND_BITS = FIRST_REPLY.bit_length() - 1  # of a request


def header_layout(spec: LinkSpec) -> data.StructLayout:
    """A request without its payload; `known`: it is of this version."""
    return data.StructLayout(
        {"known": 1, "kind": KIND_BITS, "sequence": BYTE_BITS, "length": unsigned(spec.length_bits)}
    )


class FrameReceiver(wiring.Component):
    """Takes the bytes of a line, drops what is no good frame, and keeps the others until they are dealt with.

    The twin is `spikeloom.link.frames.Framer`, but for the room, which is that for `credits` frames here: one that
    begins while there is none is dropped, unless it is an IDENTIFY, which needs none: it ends the session that the
    frames before it belong to, and those that wait are forgotten.

    `i` stalls for eight cycles behind each byte (see `SerialCRC`). A frame waits at `o` two cycles after its end.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    i : In(stream), bytes of the line.
    line_error : In(1), high for one cycle where the line lost a byte: a framing error, a break, an overrun.
    o : Out(stream), the frame that has waited longest, see `header_layout`; taking it gives up its room.
    position : In, of a byte in its payload.
    byte : Out(8), the byte of that position, one cycle later.
    identify : Out(1), high for one cycle: an IDENTIFY came, and nothing waits any more.
    sequence : Out(8), its number.
    damaged, cut, crowded : Out(1), high for one cycle where a frame is dropped, see `spikeloom.link.frames.Loss`.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "i": In(stream.Signature(BYTE_BITS)),
                "line_error": In(1),
                "o": Out(stream.Signature(header_layout(spec))),
                "position": In(spec.position_bits),
                "byte": Out(BYTE_BITS),
                "identify": Out(1),
                "sequence": Out(BYTE_BITS),
                "damaged": Out(1),
                "cut": Out(1),
                "crowded": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.decoder = decoder = COBSDecoder()
        m.submodules.crc = crc = SerialCRC()
        most = HEADER_BYTES + self.spec.identity.frame_bytes + CRC_BYTES
        count = Signal(range(most + 1))  # bytes of the frame
        first = Signal(BYTE_BITS)
        skipping, silent, drop = Signal(), Signal(), Signal()
        sent = decoder.o.payload
        came = decoder.o.valid & decoder.o.ready
        ends, surplus = Signal(), Signal()
        judged, good = Signal(), Signal()  # the cycle after the end, and then whether its frame is a good one
        m.d.comb += [
            decoder.i.payload.eq(self.i.payload),
            decoder.i.valid.eq(self.i.valid & ~skipping),
            self.i.ready.eq(decoder.i.ready | skipping),
            crc.i.payload.eq(sent.data),
            crc.i.valid.eq(decoder.o.valid & ~sent.end),
            decoder.o.ready.eq(crc.i.ready & ~judged),  # at the end, too: then the CRC is known
            ends.eq(came & sent.end),
            drop.eq(self.cut | surplus),
            decoder.drop.eq(drop),
            crc.start.eq(drop | judged),
        ]
        m.d.sync += surplus.eq(came & ~sent.end & (count == most))  # a cycle late, in which no byte comes
        with m.If(came & ~sent.end):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 0):
                m.d.sync += first.eq(sent.data)
            with m.If(count == 1):
                m.d.sync += self.sequence.eq(sent.data)
        with m.If(drop | judged):
            m.d.sync += count.eq(0)
        with m.If(silent | self.i.valid & (self.i.payload == 0)):
            m.d.sync += skipping.eq(0)
        with m.If(self.line_error | surplus):
            m.d.sync += skipping.eq(1)
        m.d.comb += self.cut.eq(self.line_error & ~skipping | silent & decoder.begun)
        self._time(m, silent)
        request = first[: KIND_BITS + 1] < FIRST_REPLY
        fine = sent.whole & (count >= HEADER_BYTES + CRC_BYTES) & crc.good & request
        m.d.sync += [judged.eq(ends), good.eq(ends & fine)]
        m.d.comb += self.damaged.eq(judged & ~good | surplus)
        self._keep(m, good, first, count, self._payloads(m, count, came & ~sent.end, sent.data))
        return m

    def _time(self, m: Module, silent: Signal) -> None:
        """Silence, counted from the last byte; up and to a power of two, so that nothing is compared."""
        cycles = Signal(exact_log2(self.spec.timeout_cycles) + 1)
        m.d.comb += silent.eq(cycles[-1])
        with m.If(self.i.valid | self.line_error):
            m.d.sync += cycles.eq(0)
        with m.Elif(~silent):
            m.d.sync += cycles.eq(cycles + 1)

    def _payloads(self, m: Module, count: Signal, came: Value, byte: Value) -> Signal:
        """Payloads in a memory; returns whether there is room for the frame that comes."""
        spec = self.spec
        credits, frame_bytes = spec.identity.credits, spec.identity.frame_bytes
        m.submodules.payloads = memory = Memory(
            shape=BYTE_BITS, depth=credits * frame_bytes, init=[], attrs={"no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port()
        self.write_slot, self.read_slot = Signal(range(credits)), Signal(range(credits))
        self.level = Signal(range(credits + 1))
        room = Signal()
        place = count - HEADER_BYTES
        m.d.comb += [
            write.addr.eq(Cat(place[: spec.position_bits], self.write_slot)),
            write.data.eq(byte),
            # the CRC, too, where it lies within the room: nobody reads behind the payload
            write.en.eq(came & room & (count >= HEADER_BYTES) & (place < frame_bytes)),
            read.addr.eq(Cat(self.position, self.read_slot)),
            self.byte.eq(read.data),
        ]
        with m.If(came & (count == 0)):  # room that is there then stays until the end
            m.d.sync += room.eq(self.level != credits)
        return room

    def _keep(self, m: Module, good: Signal, first: Signal, count: Signal, room: Signal) -> None:
        """Headers in a queue."""
        credits, level = self.spec.identity.credits, self.level
        queue = [Signal(header_layout(self.spec), name=f"queue{n}") for n in range(credits)]
        known = first[BYTE_BITS // 2 :] == VERSION
        kind = first[:KIND_BITS]
        length = count - (HEADER_BYTES + CRC_BYTES)
        pushed, taken = Signal(), Signal()
        identifies = Signal()  # found a cycle early, when the frame ends: much waits for it
        m.d.sync += identifies.eq(known & (kind == Kind.IDENTIFY) & (length == 0))
        m.d.comb += [
            self.identify.eq(good & identifies),
            pushed.eq(good & ~self.identify & room),
            self.crowded.eq(good & ~self.identify & ~room),
            taken.eq(self.o.valid & self.o.ready),
            self.o.valid.eq(level != 0),
            self.o.payload.eq(queue[0]),
        ]
        for n, entry in enumerate(queue):
            with m.If(taken):
                m.d.sync += entry.eq(queue[min(n + 1, credits - 1)])
            with m.If(pushed & (level - taken == n)):
                m.d.sync += [entry.known.eq(known), entry.kind.eq(kind), entry.length.eq(length)]
                m.d.sync += entry.sequence.eq(self.sequence)
        m.d.sync += [
            level.eq(level + pushed - taken),
            self.write_slot.eq(self.write_slot + pushed),
            self.read_slot.eq(self.read_slot + taken),
        ]
        with m.If(self.identify):
            m.d.sync += [level.eq(0), self.read_slot.eq(self.write_slot)]
