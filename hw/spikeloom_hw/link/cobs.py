"""COBS in gates: what keeps zero bytes out of frames, and puts them back; the twin is `spikeloom.link.frames`."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from spikeloom.link.frames import GROUP_BYTES

from .spec import BYTE_BITS


def decoded_layout() -> data.StructLayout:
    """A byte of a frame, or its end, which says whether the code was whole; then `data` means nothing."""
    return data.StructLayout({"data": BYTE_BITS, "end": 1, "whole": 1})


LEAST_ROOM = 4


class COBSDecoder(wiring.Component):
    """Takes coded bytes and gives the bytes of frames.

    Latency none, one byte a cycle; `i` stalls as `o` does. Zeros that follow one another are one end.

    Members
    -------
    drop : In(1), forget what the frame was so far; its next byte begins another.
    i : In(stream), coded bytes, a zero behind each frame.
    o : Out(stream), see `decoded_layout`. May change while it waits where `drop` is set.
    begun : Out(1), a frame has begun.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "drop": In(1),
                "i": In(stream.Signature(BYTE_BITS)),
                "o": Out(stream.Signature(decoded_layout())),
                "begun": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        left, counts = Signal(BYTE_BITS), Signal(init=1)  # bytes of the group that are still to come; none are
        zero = Signal()  # behind the group, where another follows
        byte, sent = self.i.payload, self.o.payload
        m.d.comb += [
            sent.end.eq(byte == 0),
            sent.whole.eq(counts),
            sent.data.eq(Mux(counts, 0, byte)),
            # a count is a byte of the frame only where it stands for the zero before it
            self.o.valid.eq(self.i.valid & self.begun & (sent.end | ~counts | zero)),
            self.i.ready.eq(self.o.ready | ~self.o.valid),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.begun.eq(~sent.end), left.eq(left - 1), counts.eq(sent.end | (left == 1))]
            with m.If(counts):
                m.d.sync += [left.eq(byte - 1), counts.eq(byte <= 1)]
                with m.If(~sent.end):
                    m.d.sync += zero.eq(byte != GROUP_BYTES + 1)
        with m.If(self.drop):
            m.d.sync += [self.begun.eq(0), counts.eq(1)]
        return m


class COBSEncoder(wiring.Component):
    """Takes the bytes of frames and gives coded bytes, each frame when it is whole.

    The count of a group stands before its bytes, so that frames are coded in a memory, round and round: one is sent
    while the next is written. One byte a cycle in, one more cycle for a full group and three for the end; a byte in two
    cycles out. `i` stalls while the memory is full.

    Parameters
    ----------
    depth : bytes of the memory, a power of two; six more than a coded frame has, or its bytes would wait forever.

    Members
    -------
    drop : In(1), forget the frame that is being written, but for one whose last byte was taken.
    i : In(stream), bytes, `last` marks the last of a frame.
    o : Out(stream), coded bytes, a zero behind each frame.
    idle : Out(1), all is sent.
    """

    def __init__(self, *, depth: int) -> None:
        if depth < 2 * LEAST_ROOM or depth & (depth - 1):
            raise ValueError(f"COBS encoder: depth must be a power of two of at least {2 * LEAST_ROOM}, not {depth!r}")
        self.depth = depth
        super().__init__(
            {
                "drop": In(1),
                "i": In(stream.Signature(data.StructLayout({"data": BYTE_BITS, "last": 1}))),
                "o": Out(stream.Signature(BYTE_BITS)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.coded = memory = Memory(shape=BYTE_BITS, depth=self.depth, init=[], attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        place = Signal(range(self.depth))  # that is written next
        # first counts: of the group; of the frame that is being written, up to where all is to be sent
        head, finished = Signal.like(place), Signal.like(place)
        group, full = Signal(BYTE_BITS), Signal()  # bytes of the group; as many as there may be
        first = Signal.like(place)  # byte that is read
        room, begins = Signal(), Signal()  # a group begins: its count is left out for now
        # a register, for the clock's sake: what is written meanwhile still has room
        m.d.sync += room.eq((first + ~place)[: len(place)] >= LEAST_ROOM - 1)  # `first` is `place` where all is sent
        counted = Signal()  # the group's count is written, rather than a byte
        m.d.comb += [write.addr.eq(Mux(counted, head, place)), write.data.eq(self.i.payload.data)]
        with m.If(counted):
            m.d.comb += write.data.eq(group + 1)
        with m.FSM(init="Reserve") as fsm:
            with m.State("Reserve"):
                m.d.sync += finished.eq(place)
                m.d.comb += begins.eq(room)
                with m.If(room):
                    m.next = "Take"
            with m.State("Take"):
                m.d.comb += [self.i.ready.eq(room & ~full), write.en.eq(room & (full | self.i.valid))]
                m.d.comb += [counted.eq(full | (self.i.payload.data == 0)), begins.eq(write.en & counted)]
                with m.If(write.en):
                    m.d.sync += [place.eq(place + 1), group.eq(group + 1), full.eq(group == GROUP_BYTES - 1)]
                with m.If(self.i.valid & self.i.ready & self.i.payload.last):
                    m.next = "CloseGroup"
                with m.If(self.drop):
                    m.next = "Reserve"
            with m.State("CloseGroup"):
                m.d.comb += [write.en.eq(1), counted.eq(1)]
                m.next = "CloseFrame"
            with m.State("CloseFrame"):
                m.d.comb += [write.en.eq(room), write.data.eq(0)]
                with m.If(room):
                    m.d.sync += place.eq(place + 1)
                    m.next = "Reserve"
        with m.If(begins):
            m.d.sync += [head.eq(place), place.eq(place + 1), group.eq(0), full.eq(0)]
        with m.If(self.drop & fsm.ongoing("Take")):
            m.d.sync += place.eq(finished)
        fetched = Signal()
        m.d.comb += [
            read.addr.eq(first),
            self.o.valid.eq(fetched),
            self.o.payload.eq(read.data),
            self.idle.eq(~fetched & (first == finished)),
        ]
        m.d.sync += fetched.eq(~fetched & (first != finished))
        m.d.comb += read.en.eq(~fetched)
        with m.If(fetched):
            m.d.sync += fetched.eq(~self.o.ready)
            with m.If(self.o.ready):
                m.d.sync += first.eq(first + 1)
        return m
