"""The decoder at the input port: from an event's flat address to the coordinates that the first core walks."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from spikeloom.geometry import Shape

from .layouts import event_layout, spike_layout


class EventDecoder(wiring.Component):
    """Splits address = (c*H + y)*W + x; wiring where H and W are powers of two, a memory of coordinates elsewhere.

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
        if height & (height - 1) == 0 and width & (width - 1) == 0:
            address = Signal.like(event.address)
            with m.If(self.i.ready):
                m.d.sync += address.eq(event.address)
            m.d.comb += coordinates.eq(address)
        else:
            m.submodules.coordinates = memory = Memory(shape=len(coordinates), depth=self._neurons, init=self._image())
            read = memory.read_port()
            m.d.comb += [read.addr.eq(event.address), read.en.eq(self.i.ready), coordinates.eq(read.data)]
        return m

    @property
    def _neurons(self) -> int:
        channels, height, width = self.shape
        return channels * height * width

    def _image(self) -> list[int]:
        """Coordinates packed x, y, c from the lowest bit, for every address."""
        _, height, width = self.shape
        bits_x, bits_y = (width - 1).bit_length(), (height - 1).bit_length()
        return [
            address % width | address // width % height << bits_x | address // (width * height) << (bits_x + bits_y)
            for address in range(self._neurons)
        ]
