"""The feeder: from the bytes of samples to the events of the core's input."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..core.encoder import PixelEncoder
from .spec import BYTE_BITS, LinkSpec


class SampleFeeder(wiring.Component):
    """Takes samples as bytes, codes in order of address, and sends their events, see `PixelEncoder`.

    A code in as many cycles as it has events, or one; `i` stalls meanwhile, and as `o` does.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    i : In(stream), bytes: of each code the lowest first; bits beyond a code do not count.
    o : Out(stream), events, see `event_layout`; an end mark behind each sample.
    sent : Out, bytes of the sample that have come: none of the next one behind the last byte.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        identity = spec.identity
        self.encoder = PixelEncoder(
            neurons=identity.neurons,
            timesteps=spec.timesteps,
            code=spec.code,
            pixels=1,
            depth=0,
            bits=identity.code_bits,
            signed=identity.code_signed,
        )
        super().__init__(
            {
                "i": In(stream.Signature(BYTE_BITS)),
                "o": Out(stream.Signature(self.encoder.o.payload.shape())),
                "sent": Out(range(identity.sample_bytes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        identity = self.spec.identity
        m.submodules.encoder = encoder = self.encoder
        connect(m, encoder.o, flipped(self.o))
        last = self.sent == identity.sample_bytes - 1
        taken = self.i.valid & self.i.ready
        before = Signal((identity.code_bytes - 1) * BYTE_BITS)  # bytes of the code
        missing = Signal(range(identity.code_bytes), init=identity.code_bytes - 1)
        whole = missing == 0
        m.d.comb += [
            encoder.i.payload.pixels[0].eq(Cat(before, self.i.payload)),
            encoder.i.payload.last.eq(last),
            encoder.i.valid.eq(self.i.valid & whole),
            self.i.ready.eq(encoder.i.ready | ~whole),
        ]
        with m.If(taken):
            m.d.sync += [
                self.sent.eq(self.sent + 1),
                before.eq(Cat(before, self.i.payload)[BYTE_BITS:]),
                missing.eq(missing - 1),
            ]
            with m.If(whole):
                m.d.sync += missing.eq(identity.code_bytes - 1)
            with m.If(last):
                m.d.sync += self.sent.eq(0)
        return m
