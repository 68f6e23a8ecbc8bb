"""Bytes over a serial line, eight data bits, no parity, one stop bit: a receiver and a transmitter with streams."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out

BYTE_BITS = 8
FRAME_BITS = BYTE_BITS + 2
SMALLEST_DIVISOR = 4


def divisor_of(clock_hz: float, baud: int) -> int:
    """Cycles a bit, rounded; ValueError where the rate would be more than 2 % off (half of what a receiver bears)."""
    divisor = round(clock_hz / baud)
    if divisor < SMALLEST_DIVISOR or abs(clock_hz / divisor / baud - 1) > 0.02:
        raise ValueError(
            f"UART: baud must be at most {clock_hz / SMALLEST_DIVISOR:.0f} and divide the clock, not {baud}"
        )
    return divisor


def _checked(divisor: int) -> int:
    if not isinstance(divisor, int) or divisor < SMALLEST_DIVISOR:
        raise ValueError(f"UART: divisor must be an integer of at least {SMALLEST_DIVISOR}, not {divisor!r}")
    return divisor


class UARTReceiver(wiring.Component):
    """Turns a serial line into a stream of bytes.

    Each bit is sampled once, in its middle, counted from the falling edge of the start bit, so that the sender may be
    4 % fast or slow. A byte is there `9.5 * divisor + 3` cycles after its start bit began; it stays until it is taken.
    A line cannot stall: a byte that comes while the last one still waits is dropped and reported.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4.

    Members
    -------
    rx : In(1), the line; asynchronous.
    o : Out(stream), bytes.
    framing : Out(1), high for one cycle: the stop bit was low (a break, noise or a wrong rate); the byte is dropped.
    overrun : Out(1), high for one cycle: a byte was dropped because `o` stalled.
    busy : Out(1), the line is low or a byte is on it.

    Raises
    ------
    ValueError
        The divisor is too small.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__(
            {
                "rx": In(1, init=1),
                "o": Out(stream.Signature(BYTE_BITS)),
                "framing": Out(1),
                "overrun": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.rx_sync = cdc.FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(2 * self.divisor))
        bits_left = Signal(range(FRAME_BITS))
        shift = Signal(BYTE_BITS)
        sample = Signal()
        m.d.comb += sample.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM(init="AwaitHigh") as fsm:  # a line that is low after a reset or an error is no start bit
            with m.State("AwaitHigh"), m.If(line):
                m.next = "AwaitStart"
            with m.State("AwaitStart"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits_left.eq(BYTE_BITS)]
                with m.If(~line):
                    m.next = "CheckStart"
            with m.State("CheckStart"), m.If(sample):
                m.d.sync += timer.eq(self.divisor - 1)
                with m.If(line):  # a glitch
                    m.next = "AwaitStart"
                with m.Else():
                    m.next = "ReadBits"
            with m.State("ReadBits"), m.If(sample):
                m.d.sync += [timer.eq(self.divisor - 1), shift.eq(Cat(shift[1:], line)), bits_left.eq(bits_left - 1)]
                with m.If(bits_left == 1):
                    m.next = "CheckStop"
            with m.State("CheckStop"), m.If(sample):
                m.d.comb += [self.framing.eq(~line), self.overrun.eq(line & self.o.valid & ~self.o.ready)]
                with m.If(line & (~self.o.valid | self.o.ready)):
                    m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(shift)]
                with m.If(line):  # at once: a fast sender's next start bit may be here
                    m.next = "AwaitStart"
                with m.Else():
                    m.next = "AwaitHigh"
        m.d.comb += self.busy.eq(~line | ~fsm.ongoing("AwaitStart"))
        return m


class UARTTransmitter(wiring.Component):
    """Turns a stream of bytes into a serial line.

    One byte in `10 * divisor` cycles, without pause while bytes are there; `i` stalls while a byte is being sent.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4.

    Members
    -------
    i : In(stream), bytes.
    tx : Out(1), the line; high at rest.

    Raises
    ------
    ValueError
        The divisor is too small.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"i": In(stream.Signature(BYTE_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        timer = Signal(range(self.divisor))
        frame = Signal(FRAME_BITS, init=-1)
        bits_left = Signal(range(FRAME_BITS + 1))
        bit_done = Signal()
        m.d.comb += [
            bit_done.eq(timer == 0),
            self.i.ready.eq((bits_left == 0) | (bits_left == 1) & bit_done),
            self.tx.eq(frame[0]),
        ]
        with m.If(~bit_done):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits_left != 0):
            m.d.sync += [timer.eq(self.divisor - 1), frame.eq(Cat(frame[1:], 1)), bits_left.eq(bits_left - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [timer.eq(self.divisor - 1), frame.eq(Cat(0, self.i.payload, 1)), bits_left.eq(FRAME_BITS)]
        return m
