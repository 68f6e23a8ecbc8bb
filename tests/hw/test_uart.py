# amaranth: UnusedElaboratable=no
"""The serial line: bytes back to back, senders that are too fast or slow, noise, stalls and resets."""

import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.sim import Simulator, SimulatorContext
from spikeloom_hw.link.uart import UARTReceiver, UARTTransmitter, divisor_of

DIVISOR = 16


def simulate(component: object, *benches: Callable) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    *helpers, main = benches  # the run ends with the last one
    for helper in helpers:
        simulator.add_testbench(helper, background=True)
    simulator.add_testbench(main)
    simulator.run()


def line_levels(data: Iterable[int], bit_cycles: float, stop: int = 1) -> Iterator[int]:
    """Level of the line cycle by cycle for bytes sent back to back at a rate that need not divide the clock."""
    bits = [bit for byte in data for bit in (0, *((byte >> k) & 1 for k in range(8)), stop)]
    for cycle in range(int(len(bits) * bit_cycles)):
        yield bits[int(cycle / bit_cycles)]


async def drive(ctx: SimulatorContext, rx: Signal, levels: Iterable[int]) -> None:
    for level in levels:
        ctx.set(rx, level)
        await ctx.tick()
    ctx.set(rx, 1)


def collector(receiver: UARTReceiver, got: list[int], stalls: random.Random | None = None) -> Callable:
    async def collect(ctx: SimulatorContext) -> None:
        while True:
            ctx.set(receiver.o.ready, stalls is None or stalls.random() < 0.3)
            _, _, valid, ready, payload = await ctx.tick().sample(
                receiver.o.valid, receiver.o.ready, receiver.o.payload
            )
            if valid and ready:
                got.append(payload)

    return collect


def counter(signal: Signal, count: list[int]) -> Callable:
    async def watch(ctx: SimulatorContext) -> None:
        async for _, _, high in ctx.tick().sample(signal):
            count[0] += high

    return watch


@pytest.mark.parametrize("error", [-0.04, -0.02, 0.0, 0.02, 0.04])
@pytest.mark.parametrize("divisor", [16, 25])
def test_bytes_back_to_back_arrive_although_the_sender_is_fast_or_slow(divisor: int, error: float) -> None:
    data = [0x00, 0xFF, 0x55, 0xAA, *random.Random(1).randbytes(12)]
    receiver, got = UARTReceiver(divisor=divisor), []

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, line_levels(data, divisor * (1 + error)))
        await ctx.tick().repeat(divisor)

    simulate(receiver, collector(receiver, got), send)
    assert got == data


def test_smallest_divisor_works_without_rate_error() -> None:
    data = list(random.Random(2).randbytes(40))
    receiver, got = UARTReceiver(divisor=4), []

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, line_levels(data, 4))
        await ctx.tick().repeat(8)

    simulate(receiver, collector(receiver, got), send)
    assert got == data


def test_edges_that_jitter_by_a_quarter_of_a_bit_do_no_harm() -> None:
    generator = random.Random(3)
    data = list(generator.randbytes(40))
    receiver, got = UARTReceiver(divisor=DIVISOR), []
    bits = [bit for byte in data for bit in (0, *((byte >> k) & 1 for k in range(8)), 1)]
    edges = [index * DIVISOR + (generator.randint(-2, 2) if index % 10 else 0) for index in range(len(bits) + 1)]

    async def send(ctx: SimulatorContext) -> None:
        for bit, begin, end in zip(bits, edges, edges[1:], strict=False):
            ctx.set(receiver.rx, bit)
            await ctx.tick().repeat(end - begin)
        await ctx.tick().repeat(DIVISOR)

    simulate(receiver, collector(receiver, got), send)
    assert got == data


def test_low_stop_bit_is_reported_once_and_the_next_byte_arrives() -> None:
    receiver, got, framing = UARTReceiver(divisor=DIVISOR), [], [0]

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, line_levels([0x3C], DIVISOR, stop=0))
        await ctx.tick().repeat(DIVISOR)
        await drive(ctx, receiver.rx, line_levels([0xA5], DIVISOR))
        await ctx.tick().repeat(DIVISOR)

    simulate(receiver, collector(receiver, got), counter(receiver.framing, framing), send)
    assert (got, framing) == ([0xA5], [1])


def test_break_is_one_framing_error_however_long_it_lasts() -> None:
    receiver, got, framing = UARTReceiver(divisor=DIVISOR), [], [0]

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, [0] * 50 * DIVISOR)
        await ctx.tick().repeat(4)
        assert not ctx.get(receiver.busy)

    simulate(receiver, collector(receiver, got), counter(receiver.framing, framing), send)
    assert (got, framing) == ([], [1])


def test_glitch_shorter_than_half_a_bit_is_no_start_bit() -> None:
    receiver, got, framing = UARTReceiver(divisor=DIVISOR), [], [0]

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, [0] * (DIVISOR // 2 - 2))
        await ctx.tick().repeat(12 * DIVISOR)

    simulate(receiver, collector(receiver, got), counter(receiver.framing, framing), send)
    assert (got, framing) == ([], [0])


def test_byte_that_is_not_taken_stays_and_the_one_after_it_is_an_overrun() -> None:
    receiver, overrun = UARTReceiver(divisor=DIVISOR), [0]

    async def send(ctx: SimulatorContext) -> None:
        await drive(ctx, receiver.rx, line_levels([0x11, 0x22], DIVISOR))
        await ctx.tick().repeat(DIVISOR)
        assert (ctx.get(receiver.o.valid), ctx.get(receiver.o.payload)) == (1, 0x11)

    simulate(receiver, counter(receiver.overrun, overrun), send)
    assert overrun == [1]


def test_reset_within_a_byte_drops_it_and_the_next_one_arrives() -> None:
    for cut in range(1, 9 * DIVISOR, 7):
        receiver, got, reset = UARTReceiver(divisor=DIVISOR), [], Signal()

        async def send(ctx: SimulatorContext, cut: int = cut, receiver: UARTReceiver = receiver, reset=reset) -> None:
            await drive(ctx, receiver.rx, list(line_levels([0x80], DIVISOR))[:cut])
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await ctx.tick().repeat(2)
            await drive(ctx, receiver.rx, line_levels([0x42], DIVISOR))
            await ctx.tick().repeat(DIVISOR)

        simulate(ResetInserter(reset)(receiver), collector(receiver, got), send)
        assert got == [0x42]


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_transmitter_and_receiver_carry_every_byte_with_stalls_on_both_ends(divisor: int) -> None:
    data = list(range(256)) if divisor == 4 else list(random.Random(4).randbytes(40))
    stalls = random.Random(5)
    m = Module()
    m.submodules.transmitter = transmitter = UARTTransmitter(divisor=divisor)
    m.submodules.receiver = receiver = UARTReceiver(divisor=divisor)
    m.d.comb += receiver.rx.eq(transmitter.tx)
    got: list[int] = []

    async def send(ctx: SimulatorContext) -> None:
        for byte in data:
            if stalls.random() < 0.3:
                ctx.set(transmitter.i.valid, 0)
                await ctx.tick().repeat(stalls.randrange(1, 40))
            ctx.set(transmitter.i.valid, 1)
            ctx.set(transmitter.i.payload, byte)
            await ctx.tick().until(transmitter.i.ready)
        ctx.set(transmitter.i.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    simulate(m, collector(receiver, got, random.Random(6)), send)
    assert got == data


def test_transmitter_sends_a_byte_in_ten_bits_without_a_pause() -> None:
    transmitter = UARTTransmitter(divisor=DIVISOR)
    taken: list[int] = []
    levels: list[int] = []

    async def send(ctx: SimulatorContext) -> None:
        ctx.set(transmitter.i.valid, 1)
        ctx.set(transmitter.i.payload, 0xA5)
        for cycle in range(31 * DIVISOR):
            _, _, ready, level = await ctx.tick().sample(transmitter.i.ready, transmitter.tx)
            if ready:
                taken.append(cycle)
            levels.append(level)

    simulate(transmitter, send)
    assert taken == [0, 10 * DIVISOR, 20 * DIVISOR, 30 * DIVISOR]
    assert levels[1 : 1 + 30 * DIVISOR] == list(line_levels([0xA5] * 3, DIVISOR))


def test_baud_rates_divide_the_clocks_of_the_boards() -> None:
    assert [divisor_of(clock * 1e6, 115200) for clock in (8, 12, 25, 50, 100)] == [69, 104, 217, 434, 868]


@pytest.mark.parametrize("baud", [3_000_000, 2_200_000])
def test_baud_rate_that_the_clock_cannot_make_is_refused(baud: int) -> None:
    with pytest.raises(ValueError, match=f"^UART: baud must be at most 2500000 and divide the clock, not {baud}$"):
        divisor_of(10e6, baud)


@pytest.mark.parametrize("kind", [UARTReceiver, UARTTransmitter])
def test_divisor_that_is_too_small_is_refused(kind: type) -> None:
    with pytest.raises(ValueError, match=r"^UART: divisor must be an integer of at least 4, not 3$"):
        kind(divisor=3)
