"""The decoder at the input port: from an event's flat address to the coordinates that the first core walks."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from spikeloom.geometry import Shape, even_bits

from .layouts import event_layout, spike_layout


class EventDecoder(wiring.Component):
    """Splits address = (c*H + y)*W + x; wiring where H and W are powers of two, a memory of coordinates elsewhere.

    Where 2^n divides W, the lowest n bits of x are those of the address, and the memory has a 2^n-th of the words.

    Latency two cycles, one event a cycle; the second gives the memory's late output a cycle of its own.

    Parameters
    ----------
    shape : (C, H, W) as the first core wants the events; (C*H*W, 1, 1) passes addresses on.
    timesteps : T of the input train.
    negative : its spikes have a sign.

    Members
    -------
    i : In(stream), see `event_layout`.
    o : Out(stream), see `spike_layout`.
    """

    def __init__(self, *, shape: Shape, timesteps: int, negative: bool = False) -> None:
        self.shape, self.timesteps, self.negative = shape, timesteps, negative
        channels, height, width = shape
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(channels * height * width, timesteps, negative=negative))),
                "o": Out(stream.Signature(spike_layout(shape, timesteps, negative=negative))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _, height, width = self.shape
        event, spike = self.i.payload, self.o.payload
        valid = Signal()
        step = Signal.like(event.step)
        end = Signal()
        coordinates = Signal(len(spike.x) + len(spike.y) + len(spike.c))
        taken = Signal()
        if self.negative:
            sign = Signal()
            with m.If(self.i.ready):
                m.d.sync += sign.eq(event.negative)
            with m.If(taken):
                m.d.sync += spike.negative.eq(sign)
        m.d.comb += [taken.eq(~self.o.valid | self.o.ready), self.i.ready.eq(~valid | taken)]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), step.eq(event.step), end.eq(event.end)]
        with m.If(taken):
            m.d.sync += [
                self.o.valid.eq(valid),
                spike.step.eq(step),
                spike.end.eq(end),
                Cat(spike.x, spike.y, spike.c).eq(coordinates),
            ]
        plain = height & (height - 1) == 0 and width & (width - 1) == 0
        below = len(event.address) if plain else even_bits(width)
        address = Signal(below)
        with m.If(self.i.ready):
            m.d.sync += address.eq(event.address)
        if plain:
            m.d.comb += coordinates.eq(address)
        else:
            image = self._image(below)
            m.submodules.coordinates = memory = Memory(shape=len(coordinates) - below, depth=len(image), init=image)
            read = memory.read_port()
            m.d.comb += [
                read.addr.eq(event.address[below:]),
                read.en.eq(self.i.ready),
                coordinates.eq(Cat(address, read.data)),
            ]
        return m

    def _image(self, below: int) -> list[int]:
        """Coordinates packed x, y, c from the lowest bit, without so many bits of x, which are those of the address."""
        channels, height, width = self.shape
        bits_x, bits_y = (width - 1).bit_length(), (height - 1).bit_length()
        return [
            (address % width | address // width % height << bits_x | address // (width * height) << (bits_x + bits_y))
            >> below
            for address in range(0, channels * height * width, 1 << below)
        ]
