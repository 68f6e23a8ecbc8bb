# amaranth: UnusedElaboratable=no
"""Samples in and answers out of the AXI wrapper, with stalls on every port, against a few lines of Python."""

from collections.abc import Iterator

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator, SimulatorContext
from spikeloom_hw.axi.answers import Answers
from spikeloom_hw.axi.packets import EventPackets, PixelPackets

Word = tuple[int, ...]
Beat = tuple[int, int, int]  # data, keep, last


def beats_of(packet: bytes, kept: list[int]) -> Iterator[Beat]:
    """Beats of a packet of bytes."""
    for start in range(0, len(packet), 4):
        keep = sum(bit << n for n, bit in enumerate(kept[start : start + 4]))
        yield int.from_bytes(packet[start : start + 4], "little"), keep, int(start + 4 >= len(packet))


def stream_through(dut: PixelPackets | EventPackets, beats: list[Beat], seed: int, clear_after: int = -1) -> list[Word]:
    """(word, flags: bad, short, long, wrong_event) of all that comes out; a clear after so many beats."""
    rng = np.random.default_rng(seed)
    out: list[Word] = []
    flags = (dut.bad, dut.short, dut.long, dut.wrong_event)

    async def send(context: SimulatorContext) -> None:
        for number, (data, keep, last) in enumerate(beats):
            if number == clear_after:
                context.set(dut.clear, 1)
                await context.tick()
                context.set(dut.clear, 0)
                out.append((-1,))
            while rng.random() < 0.3:
                await context.tick()
            context.set(dut.i.payload, {"data": data, "keep": keep, "last": last})
            context.set(dut.i.valid, 1)
            await context.tick().until(dut.i.ready)
            context.set(dut.i.valid, 0)
        await context.tick().repeat(3)

    async def receive(context: SimulatorContext) -> None:
        while True:
            taken = bool(rng.random() < 0.6)
            context.set(dut.o.ready, taken)
            _, _, valid, payload, ended, *found = await context.tick().sample(
                dut.o.valid, dut.o.payload, dut.ended, *flags
            )
            if valid and taken:
                out.append((payload.as_bits(), *(found if ended else (0, 0, 0, 0))))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(receive, background=True)
    simulator.run()
    return out


@pytest.mark.parametrize("neurons", [1, 4, 7, 10])
def test_pixels_of_packets_of_any_length_make_one_sample_each(neurons: int) -> None:
    rng = np.random.default_rng(neurons)
    whole, beats, wanted = -(-neurons // 4), [], []
    for _ in range(60):
        size = int(rng.integers(1, 2 * neurons + 9)) if rng.random() < 0.5 else neurons
        packet, kept = rng.bytes(size), [1] * size
        if rng.random() < 0.3:
            kept[int(rng.integers(size))] = 0
        parts = list(beats_of(packet, kept))
        beats += parts
        short = int(not all((kept + [0] * neurons)[:neurons]))  # what is beyond the sample does not count
        long = int(len(parts) > whole)
        for number, (data, _, last) in enumerate(parts[:whole]):
            closes = last or number == whole - 1
            wanted.append((data | closes << 32, *((short | long, short, long, 0) if closes else (0, 0, 0, 0))))
    assert stream_through(PixelPackets(neurons=neurons), beats, neurons) == wanted


def test_events_that_do_not_exist_never_leave() -> None:
    rng = np.random.default_rng(0)
    dut = EventPackets(neurons=5, digits=3, negative=True)  # three bits of address, two of the step, sign, end
    beats, wanted = [], []
    for _ in range(40):
        bad = 0
        for _ in range(int(rng.integers(0, 6))):
            event = int(rng.integers(64))
            beats.append((event | int(rng.integers(1 << 20)) << 6, 0, 0))
            if event & 7 < 5 and event >> 3 & 3 < 3:
                wanted.append((event, 0, 0, 0, 0))
            else:
                bad = 1
        end = int(rng.integers(64))
        beats.append((end, 0, 1))
        wanted.append((end | 64, bad, 0, 0, bad))
    assert stream_through(dut, beats, 1) == wanted


@pytest.mark.parametrize("clear_after", [1, 2, 3, 5])
def test_clear_discards_the_rest_of_a_packet(clear_after: int) -> None:
    beats = [(n, 15, int(n % 3 == 2)) for n in range(9)]
    found = stream_through(PixelPackets(neurons=12), beats, 5, clear_after)
    rest = found[found.index((-1,)) + 1 :]
    first = -(-clear_after // 3) * 3
    assert [word & 0xFF for word, *_ in rest] == list(range(first, 9))
    assert not any(bad for _, bad, *_ in rest)


class AnswerBench:
    """Answers of two readouts, three and one potentials; cleared in the middle where asked."""

    def __init__(self, seed: int, clear_at: int | None = None) -> None:
        self.dut = Answers(bits=9, outputs=(3, 1))
        self.rng = np.random.default_rng(seed)
        self.send_rng = np.random.default_rng([seed, 1])
        self.clear_at = clear_at
        self.samples = [(self.rng.integers(-256, 256, 4).tolist(), int(self.rng.integers(3))) for _ in range(12)]
        self.frames: list[list[Word]] = [[]]

    def wanted(self, number: int) -> list[Word]:
        """Beats of the answer to a sample: potential, bad, class, last."""
        potentials, class_ = self.samples[number]
        bad = number % 2
        ends = {2: class_, 3: 0}
        return [(value, bad, ends.get(n, 0), int(n == 3)) for n, value in enumerate(potentials)]

    async def send(self, context: SimulatorContext) -> None:
        """All samples; after a clear, all samples again."""
        context.set(self.dut.known, 1)
        number = cycle = position = 0
        cleared = self.clear_at is None
        offered = class_due = False
        while number < len(self.samples):
            if not cleared and cycle == self.clear_at:
                context.set(self.dut.i.valid, 0)
                context.set(self.dut.i_class.valid, 0)
                context.set(self.dut.clear, 1)
                await context.tick().repeat(3)
                context.set(self.dut.clear, 0)
                cleared, number, position, offered, class_due = True, 0, 0, False, False
            potentials, class_ = self.samples[number]
            if not offered:
                offered = bool(self.send_rng.random() < 0.7)
            context.set(self.dut.i.valid, offered and not class_due)
            context.set(self.dut.i_class.valid, offered and class_due)
            context.set(self.dut.i.payload, {"potential": potentials[position], "last": position >= 2})
            context.set(self.dut.i_class.payload, class_ if position == 2 else 0)
            _, _, ready, class_ready = await context.tick().sample(self.dut.i.ready, self.dut.i_class.ready)
            cycle += 1
            if offered and class_due and class_ready:
                offered = class_due = False
                number, position = (number + 1, 0) if position == 3 else (number, position + 1)
            elif offered and not class_due and ready:
                offered, class_due = False, position >= 2
                position += not class_due
        context.set(self.dut.i.valid, 0)
        context.set(self.dut.i_class.valid, 0)
        await context.tick().repeat(100)

    async def judge(self, context: SimulatorContext) -> None:
        """Whether the sample that is answered is bad, as the queue in front would say; and what was counted."""
        number = 0
        while True:
            context.set(self.dut.bad, number % 2)
            _, _, left, clear = await context.tick().sample(self.dut.left, self.dut.clear)
            number = 0 if clear else number + left

    async def receive(self, context: SimulatorContext) -> None:
        waiting = None
        while True:
            taken = bool(self.rng.random() < 0.5)
            context.set(self.dut.o.ready, taken)
            _, _, valid, beat = await context.tick().sample(self.dut.o.valid, self.dut.o.payload)
            word = (beat.data - (beat.data >> 31 << 32), beat.bad, beat["class"], beat.last)
            assert waiting is None or (valid and word == waiting), "a beat that waited changed"
            waiting = word if valid and not taken else None
            if valid and taken:
                self.frames[-1].append(word)
                if beat.last:
                    self.frames.append([])

    def run(self) -> list[list[Word]]:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.send)
        simulator.add_testbench(self.judge, background=True)
        simulator.add_testbench(self.receive, background=True)
        simulator.run()
        assert self.frames.pop() == [], "an answer stays open"
        return self.frames


@pytest.mark.parametrize("seed", range(3))
def test_answers_carry_class_and_mark(seed: int) -> None:
    bench = AnswerBench(seed)
    assert bench.run() == [bench.wanted(number) for number in range(12)]


@pytest.mark.parametrize("clear_at", range(20, 50, 3))
def test_clear_closes_the_packet_that_is_open(clear_at: int) -> None:
    bench = AnswerBench(clear_at, clear_at)
    frames = bench.run()
    assert frames[-12:] == [bench.wanted(number) for number in range(12)]
    for number, frame in enumerate(before := frames[:-12]):
        wanted = bench.wanted(number)
        if frame != wanted:
            assert number == len(before) - 1
            assert frame == [*wanted[: len(frame) - 1], (0, 1, 0, 1)]


def test_bench_of_answers_catches_a_word_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom_hw.axi.answers.Skid", LosingSkid)
    bench = AnswerBench(0)
    with pytest.raises(AssertionError):
        assert bench.run() == [bench.wanted(number) for number in range(12)]


class LosingSkid(wiring.Component):
    """A register that forgets what it holds when the next word comes."""

    def __init__(self, *, layout: object) -> None:
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(1)
        with m.If(self.i.valid):
            m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
