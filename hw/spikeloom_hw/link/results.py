"""The store of results: what the core answers, as bytes, to be read as often as the host likes."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.link import Identity

from ..core.layouts import potential_layout
from .spec import BYTE_BITS, LinkSpec


def core_layouts(identity: Identity) -> tuple[data.StructLayout, int]:
    """Beats of a core's `o` and `o_class`."""
    return potential_layout(identity.potential_bits), identity.class_bits


class ResultStore(wiring.Component):
    """Keeps the bytes of the last result, as `Identity.pack_result` packs them.

    A byte a cycle while `collect` is high; the streams of the core stall while it is low, and while the bytes of a word
    are written.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    collect : In(1), take the result of a sample; up to `done`.
    done : Out(1), high for one cycle with its last byte.
    moves : Out(1), a byte is written.
    last_class : Out, the last readout's class of the last sample.
    i_potential, i_class : In(stream), `o` and `o_class` of the core.
    address : In, of a byte.
    byte : Out(8), the byte of that address, one cycle later.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        potential, klass = core_layouts(spec.identity)
        super().__init__(
            {
                "collect": In(1),
                "done": Out(1),
                "moves": Out(1),
                "last_class": Out(klass),
                "i_potential": In(stream.Signature(potential)),
                "i_class": In(stream.Signature(klass)),
                "address": In(ceil_log2(spec.identity.result_bytes)),
                "byte": Out(BYTE_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        identity = self.spec.identity
        m.submodules.bytes = memory = Memory(
            shape=BYTE_BITS, depth=identity.result_bytes, init=[], attrs={"no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port()
        largest = max(identity.potential_bytes, identity.class_bytes)
        word = Signal(largest * BYTE_BITS)
        number = Signal(range(largest))  # of a byte in its word
        class_due, word_done = Signal(), Signal()
        readouts_left = Signal(range(len(identity.outputs)), init=len(identity.outputs) - 1)
        place = Signal.like(write.addr)
        valid = Mux(class_due, self.i_class.valid, self.i_potential.valid)
        last = Mux(class_due, identity.class_bytes - 1, identity.potential_bytes - 1)
        m.d.comb += [
            word.eq(Mux(class_due, self.i_class.payload, self.i_potential.payload.potential)),
            self.moves.eq(valid & self.collect),
            word_done.eq(self.moves & (number == last)),
            self.i_potential.ready.eq(word_done & ~class_due),
            self.i_class.ready.eq(word_done & class_due),
            self.done.eq(self.i_class.ready & (readouts_left == 0)),
            write.addr.eq(place),
            write.data.eq(word.word_select(number, BYTE_BITS)),
            write.en.eq(self.moves),
            read.addr.eq(self.address),
            self.byte.eq(read.data),
        ]
        with m.If(self.moves):
            m.d.sync += [place.eq(place + 1), number.eq(number + 1)]
        with m.If(word_done):
            m.d.sync += [number.eq(0), class_due.eq(~class_due & self.i_potential.payload.last)]
        with m.If(self.i_class.ready):
            m.d.sync += [self.last_class.eq(self.i_class.payload), readouts_left.eq(readouts_left - 1)]
        with m.If(self.done):
            m.d.sync += [place.eq(0), readouts_left.eq(len(identity.outputs) - 1)]
        return m
