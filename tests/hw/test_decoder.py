"""The decoder at the input port: every address becomes its coordinates, with stalls on both sides."""

import random

import pytest
from amaranth.sim import Simulator, SimulatorContext
from spikeloom.geometry import Shape, even_bits
from spikeloom_hw.core.decoder import EventDecoder


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(
    "shape", [(2, 3, 4), (3, 4, 6), (1, 5, 7), (2, 3, 1), (1, 28, 28), (4, 2, 8), (5, 1, 1), (1, 1, 1), (1, 3, 10)]
)
def test_every_address_becomes_its_coordinates(shape: Shape, negative: bool) -> None:
    channels, height, width = shape
    dut, rng = EventDecoder(shape=shape, timesteps=3, negative=negative), random.Random(0)
    sent = [
        {"address": n, "step": rng.randrange(3), "end": rng.getrandbits(1), **({"negative": n & 1} if negative else {})}
        for n in rng.sample(range(channels * height * width), min(channels * height * width, 60))
    ]
    got: list[tuple[int, ...]] = []

    async def give(ctx: SimulatorContext) -> None:
        for word in sent:
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.i.payload, word)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def take(ctx: SimulatorContext) -> None:
        while len(got) < len(sent):
            ctx.set(dut.o.ready, ready := rng.random() < 0.6)
            _, _, valid, word = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid and ready:
                sign = (word.negative,) if negative else ()
                got.append(((word.c * height + word.y) * width + word.x, word.step, word.end, *sign))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(give)
    simulator.add_testbench(take)
    simulator.run()
    assert got == [
        tuple(word[name] for name in ("address", "step", "end", "negative") if name in word) for word in sent
    ]


def test_bits_that_column_and_address_share() -> None:
    assert [even_bits(n) for n in (1, 2, 3, 12, 28, 224)] == [0, 1, 0, 2, 2, 5]
