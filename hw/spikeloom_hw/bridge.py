"""Between a host's bytes and a core's streams: the byte format, its software twin, and the gates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

BYTE_BITS = 8


@dataclass(frozen=True)
class ByteFormat:
    """How words travel as bytes: each in the fewest whole bytes, lowest first, one after the other, nothing between.

    To the device: the beats of the input stream (see the manifest's `input`), unused bits zero. A sample is any number
    of events and one beat with `end`. Back, for every sample and readout: its potentials in order of address, two's
    complement and sign-extended to whole bytes, then its class, unsigned. There is no framing and no checksum.

    Members
    -------
    input_bits, potential_bits, class_bits : widths of the words.
    outputs : potentials of each readout.
    """

    input_bits: int
    potential_bits: int
    class_bits: int
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "ByteFormat":
        """Format of a build, from its manifest."""
        readout = manifest["readout"]
        widths = manifest["input"]["width"], readout["potential_bits"], readout["class_bits"]
        return cls(*widths, tuple(readout["outputs"]))

    @property
    def input_bytes(self) -> int:
        """Bytes of an input beat."""
        return bytes_for(self.input_bits)

    @property
    def potential_bytes(self) -> int:
        """Bytes of a potential."""
        return bytes_for(self.potential_bits)

    @property
    def class_bytes(self) -> int:
        """Bytes of a class."""
        return bytes_for(self.class_bits)

    @property
    def answer_bytes(self) -> int:
        """Bytes of the answer to one sample."""
        return sum(self.outputs) * self.potential_bytes + len(self.outputs) * self.class_bytes

    def pack(self, beats: Iterable[int]) -> bytes:
        """Bytes for the device: input beats one after the other."""
        return b"".join(beat.to_bytes(self.input_bytes, "little") for beat in beats)

    def unpack(self, answer: bytes) -> tuple[list[int], list[int]]:
        """Potentials, and the class of each readout, in the answer to one sample; ValueError where its length is
        another.
        """
        if len(answer) != self.answer_bytes:
            raise ValueError(f"Answer: must have {self.answer_bytes} bytes, not {len(answer)}")
        size, place = self.potential_bytes, 0
        potentials, classes = [], []
        for outputs in self.outputs:
            for _ in range(outputs):
                potentials.append(int.from_bytes(answer[place : place + size], "little", signed=True))
                place += size
            classes.append(int.from_bytes(answer[place : place + self.class_bytes], "little"))
            place += self.class_bytes
        return potentials, classes


def bytes_for(bits: int) -> int:
    """Bytes that hold a word of so many bits; at least one."""
    return max(1, -(-bits // BYTE_BITS))


def potential_layout(form: ByteFormat) -> data.StructLayout:
    """Beats of a core's `o` stream."""
    return data.StructLayout({"potential": signed(form.potential_bits), "last": 1})


class ByteBridge(wiring.Component):
    """Turns bytes into input beats, and potentials and classes into bytes.

    A beat leaves the cycle after its last byte came; a word is taken when all bytes of the one before have left. One
    byte a cycle but for one cycle a word; `i` stalls while a whole beat waits, the core's streams while bytes wait.

    Parameters
    ----------
    form : ByteFormat

    Members
    -------
    i : In(stream), bytes from the host.
    o : Out(stream), bytes to the host.
    o_input : Out(stream), beats for the core's `i`.
    i_potential : In(stream), the core's `o`.
    i_class : In(stream), the core's `o_class`.
    last_class : Out, class of the last sample, zero before.
    """

    def __init__(self, *, form: ByteFormat) -> None:
        self.form = form
        super().__init__(
            {
                "i": In(stream.Signature(BYTE_BITS)),
                "o": Out(stream.Signature(BYTE_BITS)),
                "o_input": Out(stream.Signature(form.input_bits)),
                "i_potential": In(stream.Signature(potential_layout(form))),
                "i_class": In(stream.Signature(form.class_bits)),
                "last_class": Out(form.class_bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        form = self.form
        received = Signal(form.input_bytes * BYTE_BITS)
        received_bytes = Signal(range(form.input_bytes + 1))
        m.d.comb += [
            self.o_input.valid.eq(received_bytes == form.input_bytes),
            self.o_input.payload.eq(received),
            self.i.ready.eq(~self.o_input.valid),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                received.eq(Cat(received[BYTE_BITS:], self.i.payload)),
                received_bytes.eq(received_bytes + 1),
            ]
        with m.If(self.o_input.valid & self.o_input.ready):
            m.d.sync += received_bytes.eq(0)

        # The class of a sample follows its last potential, and must leave before a potential of the next sample does.
        largest = max(form.potential_bytes, form.class_bytes)
        to_send = Signal(largest * BYTE_BITS)
        bytes_left = Signal(range(largest + 1))
        class_due = Signal()
        m.d.comb += [
            self.o.valid.eq(bytes_left != 0),
            self.o.payload.eq(to_send),
            self.i_potential.ready.eq(~self.o.valid & ~class_due),
            self.i_class.ready.eq(~self.o.valid & class_due),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [to_send.eq(to_send >> BYTE_BITS), bytes_left.eq(bytes_left - 1)]
        taken = self.i_potential.valid & self.i_potential.ready
        with m.If(taken | self.i_class.valid & self.i_class.ready):
            m.d.sync += [
                to_send.eq(Mux(class_due, self.i_class.payload, self.i_potential.payload.potential)),
                bytes_left.eq(Mux(class_due, form.class_bytes, form.potential_bytes)),
                class_due.eq(taken & self.i_potential.payload.last),
            ]
        with m.If(self.i_class.valid & self.i_class.ready):
            m.d.sync += self.last_class.eq(self.i_class.payload)
        return m
