"""The core behind a serial line: bytes in, answers out, on a small stand-in for the core."""

import random
from collections.abc import Callable

import pytest
from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator, SimulatorContext
from spikeloom_hw.board_top import SerialCore, core_signature
from spikeloom_hw.bridge import ByteBridge, ByteFormat

FORM = ByteFormat(input_bits=11, potential_bits=13, class_bits=2, outputs=(3,))
DIVISOR = 4
FRAME = 10 * DIVISOR


class SummingCore(wiring.Component):
    """Stand-in for a core: an input beat is a number, its top bit `end`; potential o of a sample is (o - 1) * sum.

    `dead` makes it stop taking beats.
    """

    def __init__(self, form: ByteFormat) -> None:
        self.form = form
        self.dead = Signal()
        super().__init__(core_signature(form))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(self.form.potential_bits)
        output = Signal(range(self.form.outputs[0]))
        state = Signal(2)  # summing, potentials, class
        with m.If(state == 0):
            m.d.comb += self.i.ready.eq(~self.dead)
            with m.If(self.i.valid & self.i.ready):
                with m.If(self.i.payload[-1]):
                    m.d.sync += state.eq(1)
                with m.Else():
                    m.d.sync += total.eq(total + self.i.payload[:-1])
        with m.Elif(state == 1):
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.potential.eq(Mux(output == 0, -total, Mux(output == 1, 0, total))),
                self.o.payload.last.eq(output == self.form.outputs[0] - 1),
            ]
            with m.If(self.o.ready):
                m.d.sync += [output.eq(output + 1), state.eq(1 + self.o.payload.last)]
        with m.Else():
            m.d.comb += [self.o_class.valid.eq(1), self.o_class.payload.eq(Mux(total == 0, 0, 2))]
            with m.If(self.o_class.ready):
                m.d.sync += [state.eq(0), total.eq(0), output.eq(0)]
        return ResetInserter(self.clear)(m)


class Host:
    """The other end of the line: sends bytes and breaks, and keeps what comes back."""

    def __init__(self) -> None:
        self.core = SummingCore(FORM)
        self.serial = SerialCore(form=FORM, core=self.core, divisor=DIVISOR)
        self.answers = bytearray()

    def run(self, talk: Callable) -> None:
        simulator = Simulator(self.serial)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._listen, background=True)
        simulator.add_testbench(talk)
        simulator.run()

    async def send(self, ctx: SimulatorContext, data: bytes, stop: int = 1) -> None:
        for byte in data:
            for bit in (0, *((byte >> k) & 1 for k in range(8)), stop):
                ctx.set(self.serial.rx, bit)
                await ctx.tick().repeat(DIVISOR)
        ctx.set(self.serial.rx, 1)

    async def _listen(self, ctx: SimulatorContext) -> None:
        while True:
            while ctx.get(self.serial.tx):
                await ctx.tick()
            await ctx.tick().repeat(DIVISOR // 2 - 1)
            byte = 0
            for k in range(9):
                await ctx.tick().repeat(DIVISOR)
                byte |= ctx.get(self.serial.tx) << k
            if byte >> 8:  # else cut off by a reset
                self.answers.append(byte & 0xFF)

    async def ask(self, ctx: SimulatorContext, numbers: list[int]) -> tuple[list[int], list[int]]:
        """Answer to a sample."""
        already = len(self.answers)
        await self.send(ctx, sample(numbers))
        for _ in range((FORM.answer_bytes + 2) * FRAME):
            if len(self.answers) == already + FORM.answer_bytes:
                break
            await ctx.tick()
        return FORM.unpack(bytes(self.answers[already:]))

    async def silence(self, ctx: SimulatorContext, frames: int = 3) -> None:
        await ctx.tick().repeat(frames * FRAME)


def sample(numbers: list[int]) -> bytes:
    """Bytes of a sample."""
    return FORM.pack([*numbers, 1 << FORM.input_bits - 1])


def expected(numbers: list[int]) -> tuple[list[int], list[int]]:
    total = sum(numbers)
    return [-total, 0, total], [2 if total else 0]


def test_every_sample_is_answered_with_its_potentials_and_its_class() -> None:
    host, generator = Host(), random.Random(1)

    async def talk(ctx: SimulatorContext) -> None:
        await host.silence(ctx)
        for count in (0, 1, 4, 2):
            numbers = [generator.randrange(1000) for _ in range(count)]
            assert await host.ask(ctx, numbers) == expected(numbers)
            assert ctx.get(host.serial.last_class) == expected(numbers)[1][0]

    host.run(talk)
    assert len(host.answers) == 4 * FORM.answer_bytes


def test_device_listens_only_after_two_byte_times_of_silence_from_power_on() -> None:
    host = Host()

    async def talk(ctx: SimulatorContext) -> None:
        await host.send(ctx, sample([5]) * 3)
        assert ctx.get(host.serial.fault)
        await ctx.tick().repeat(2 * FRAME - 10)
        assert ctx.get(host.serial.fault)
        await ctx.tick().repeat(20)
        assert not ctx.get(host.serial.fault)
        assert await host.ask(ctx, [7]) == expected([7])

    host.run(talk)
    assert len(host.answers) == FORM.answer_bytes


@pytest.mark.parametrize("byte", range(4))
def test_low_stop_bit_anywhere_in_a_sample_loses_the_sample_and_not_the_next(byte: int) -> None:
    host = Host()

    async def talk(ctx: SimulatorContext) -> None:
        await host.silence(ctx)
        data = sample([100])
        await host.send(ctx, data[:byte])
        await host.send(ctx, data[byte : byte + 1], stop=0)
        await ctx.tick().repeat(2)
        await host.send(ctx, data[byte + 1 :])
        await host.silence(ctx)
        assert await host.ask(ctx, [3, 4]) == expected([3, 4])

    host.run(talk)
    assert len(host.answers) == FORM.answer_bytes


def test_break_in_the_middle_of_an_answer_starts_afresh() -> None:
    host = Host()

    async def talk(ctx: SimulatorContext) -> None:
        await host.silence(ctx)
        await host.send(ctx, sample([9]))
        await ctx.tick().repeat(2 * FRAME + 3)
        ctx.set(host.serial.rx, 0)
        await ctx.tick().repeat(30 * FRAME // 10)
        ctx.set(host.serial.rx, 1)
        await host.silence(ctx)
        host.answers.clear()
        assert await host.ask(ctx, [11]) == expected([11])

    host.run(talk)


def test_core_that_does_not_keep_up_gives_no_answer_rather_than_a_wrong_one() -> None:
    host = Host()

    async def talk(ctx: SimulatorContext) -> None:
        await host.silence(ctx)
        ctx.set(host.core.dead, 1)
        await host.send(ctx, sample([1, 2]))
        assert ctx.get(host.serial.fault)
        ctx.set(host.core.dead, 0)
        await host.silence(ctx)
        assert host.answers == b""
        assert await host.ask(ctx, [6]) == expected([6])

    host.run(talk)


@pytest.mark.parametrize(
    "form",
    [
        ByteFormat(input_bits=1, potential_bits=2, class_bits=1, outputs=(2,)),
        ByteFormat(input_bits=8, potential_bits=8, class_bits=1, outputs=(1,)),
        ByteFormat(input_bits=17, potential_bits=25, class_bits=9, outputs=(300,)),
    ],
)
def test_bridge_carries_words_of_any_width_with_stalls_on_every_port(form: ByteFormat) -> None:
    generator = random.Random(form.input_bits)
    samples = 3 if form.outputs[0] < 100 else 2
    beats = [generator.getrandbits(form.input_bits) for _ in range(40)]
    half = 1 << form.potential_bits - 1
    edges = [half - 1, -half]
    potentials = [[generator.choice([*edges, generator.randrange(-half, half)]) for _ in range(form.outputs[0])]]
    potentials += [[generator.randrange(-half, half) for _ in range(form.outputs[0])] for _ in range(samples - 1)]
    classes = [generator.getrandbits(form.class_bits) for _ in range(samples)]
    bridge = ByteBridge(form=form)
    got_beats: list[int] = []
    got_bytes = bytearray()

    def source(port: object, words: list, seed: int) -> Callable:
        async def drive(ctx: SimulatorContext) -> None:
            stalls = random.Random(seed)
            for word in words:
                while stalls.random() < 0.3:
                    await ctx.tick()
                ctx.set(port.valid, 1)
                ctx.set(port.payload, word)
                await ctx.tick().until(port.ready)
                ctx.set(port.valid, 0)

        return drive

    def sink(port: object, got: object, count: int, seed: int) -> Callable:
        async def take(ctx: SimulatorContext) -> None:
            stalls = random.Random(seed)
            while len(got) < count:
                ctx.set(port.ready, ready := stalls.random() < 0.5)
                _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
                if valid and ready:
                    got.append(payload)

        return take

    words = [{"potential": v, "last": k == form.outputs[0] - 1} for row in potentials for k, v in enumerate(row)]
    simulator = Simulator(bridge)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source(bridge.i, list(form.pack(beats)), 1))
    simulator.add_testbench(source(bridge.i_potential, words, 2))
    simulator.add_testbench(source(bridge.i_class, classes, 3))
    simulator.add_testbench(sink(bridge.o_input, got_beats, len(beats), 4))
    simulator.add_testbench(sink(bridge.o, got_bytes, samples * form.answer_bytes, 5))
    simulator.run()
    assert got_beats == beats
    answers = [bytes(got_bytes[k * form.answer_bytes :][: form.answer_bytes]) for k in range(samples)]
    expected = [(row, [last]) for row, last in zip(potentials, classes, strict=True)]
    assert [form.unpack(answer) for answer in answers] == expected


def test_answer_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Answer: must have 7 bytes, not 6$"):
        FORM.unpack(bytes(6))


def test_format_comes_from_the_manifest() -> None:
    manifest = {"input": {"width": 12}, "readout": {"potential_bits": 17, "class_bits": 4, "outputs": [10]}}
    form = ByteFormat.of(manifest)
    assert (form.input_bytes, form.potential_bytes, form.class_bytes, form.answer_bytes) == (2, 3, 1, 31)
