"""The link in gates answers as the link in software, whatever comes over the line."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.sim import SimulatorContext
from link_bench import Bench, inference, messages, spec_of
from spikeloom import Divergence
from spikeloom.link import (
    Ack,
    Checksum,
    Failure,
    FailureCode,
    GetChecksum,
    GetStatistics,
    Load,
    Read,
    Reset,
    Result,
    Sample,
    frame,
    pack,
)
from spikeloom_hw.link import dispatcher, receiver
from spikeloom_hw.link.crc import SerialCRC
from spikeloom_sim.fuzz.duel import Duel
from spikeloom_sim.fuzz.hostile import Attacker


def sample(bench: Bench, rng: random.Random) -> bytes:
    """Bytes of a random sample."""
    return rng.randbytes(bench.spec.identity.sample_bytes)


def result(bench: Bench, data: bytes) -> bytes:
    """Bytes of its result."""
    found = inference(bench.spec, bench.spec.identity.unpack_codes(data))
    return bench.spec.identity.pack_result(found.potentials, found.classes)


async def infer(bench: Bench, ctx: SimulatorContext, data: bytes) -> None:
    """A sample in frames as long as they may be, and its result in parts."""
    size, identity = bench.spec.identity.frame_bytes, bench.spec.identity
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    replies = [await bench.ask(ctx, Sample(part)) for part in parts]
    whole = result(bench, data)
    assert replies == [*[Ack()] * (len(parts) - 1), Result(whole[:size])]
    for start in range(size, identity.result_bytes, size):
        assert await bench.ask(ctx, Read(start)) == Result(whole[start : start + size])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"code": "naf", "code_bits": 8, "potential_bits": 8, "class_bits": 1, "outputs": (1,)},
        {"code_bits": 6, "code_signed": True, "potential_bits": 25, "class_bits": 9, "outputs": (30,)},
        {"code_bits": 12, "neurons": 33, "credits": 4},
        {"neurons": 1, "code_bits": 1},
    ],
)
def test_samples_of_any_kind_are_answered_with_stalls(changes: dict[str, Any]) -> None:
    bench, rng = Bench(spec_of(**changes), stalls=0.2, seed=len(changes)), random.Random(1)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx)
        for _ in range(2):
            await infer(bench, ctx, sample(bench, rng))
        assert (await bench.ask(ctx, GetStatistics())).samples == 2

    bench.run(talk)


def test_core_that_hangs_is_reset_by_the_watchdog_wherever_it_hangs() -> None:
    bench, rng = Bench(spec_of(neurons=3)), random.Random(2)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx)
        data = sample(bench, rng)
        for dead in (1, 0):
            ctx.set(bench.core.dead, dead)
            bench.hangs = bool(dead)
            reply = await bench.ask(ctx, Sample(data))
            assert reply == (Failure(FailureCode.WATCHDOG, bench.sequence) if dead else Result(result(bench, data)))
        assert await bench.ask(ctx, Read(0)) == Result(result(bench, data))

    bench.run(talk)


def test_identify_ends_a_sample_in_the_core_and_frames_that_wait() -> None:
    bench, rng = Bench(spec_of(watchdog_cycles=1 << 17)), random.Random(3)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx, 9)
        ctx.set(bench.core.dead, 1)
        data = sample(bench, rng)
        await bench.send(ctx, frame(pack(Sample(data[:64]), 10)) + frame(pack(Sample(data[64:]), 11)))
        await ctx.tick().repeat(300)
        assert bench.got == b""
        ctx.set(bench.core.dead, 0)
        await bench.open(ctx, 77)
        await infer(bench, ctx, data)

    bench.run(talk)


def test_frame_beyond_the_credit_is_dropped_and_the_others_are_answered() -> None:
    bench, rng = Bench(spec_of(watchdog_cycles=1 << 17)), random.Random(4)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx, 9)
        ctx.set(bench.core.dead, 1)
        data = sample(bench, rng)
        lines = [
            frame(pack(message, 10 + n)) for n, message in enumerate([Sample(data[:64]), Sample(data[64:]), Read(0)])
        ]
        await bench.send(ctx, b"".join(lines))
        ctx.set(bench.core.dead, 0)
        await ctx.tick().repeat(2000)
        assert bench.got == bench.twin.receive(b"".join(lines[:2]))
        bench.got.clear()
        await bench.send(ctx, frame(pack(GetStatistics(), 12)))
        ((statistics, sequence),) = messages(await bench.hear(ctx, 30))
        assert (statistics.crowded, sequence) == (1, 12)

    bench.run(talk)


def test_memories_are_loaded_and_read_back() -> None:
    bench = Bench(spec_of(memories=1), stalls=0.2)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx)
        assert await bench.ask(ctx, Load(0, 0, b"0123456789")) == Ack()
        assert await bench.ask(ctx, Load(0, 3, b"\0\xff")) == Ack()
        assert await bench.ask(ctx, GetChecksum(0)) == Checksum(bench.twin.memories.checksum(0))
        assert await bench.ask(ctx, GetChecksum(1)) == Failure(FailureCode.UNSUPPORTED, bench.sequence)
        assert await bench.ask(ctx, Load(2, 0, b"1")) == Failure(FailureCode.UNSUPPORTED, bench.sequence)
        assert await bench.ask(ctx, Load(0, 9, b"ab")) == Failure(FailureCode.UNSUPPORTED, bench.sequence)
        assert await bench.ask(ctx, GetChecksum(0)) == Checksum(bench.twin.memories.checksum(0))
        assert await bench.ask(ctx, Sample(b"12")) == Ack()
        for request in (Load(0, 0, b"1"), GetChecksum(0)):
            assert await bench.ask(ctx, request) == Failure(FailureCode.BUSY, bench.sequence)
        assert await bench.ask(ctx, Reset()) == Ack()
        assert await bench.ask(ctx, Load(0, 0, b"1")) == Ack()

    bench.run(talk)


def duel(cases: int, seed: int) -> None:
    """Some hostile cases, each with a good frame behind it."""
    bench, rng = Bench(spec_of(neurons=40, timeout_cycles=256), stalls=0.1, seed=seed), random.Random(seed)
    attacker = Attacker(rng, bench.spec.identity, [sample(bench, rng) for _ in range(5)])
    fight = Duel(attacker, bench.twin, lambda case, wanted: b"")

    async def talk(ctx: SimulatorContext) -> None:
        for number in range(2 * cases):
            case = attacker.good(fight.twin.expected) if number % 2 else attacker.hostile(fight.twin.expected)
            wanted = fight.expect(case)
            for act in case.acts:
                await bench.act(ctx, act)
            fight.judge(case, await bench.hear(ctx, len(wanted)), wanted)

    bench.run(talk)


def test_hostile_frames_are_borne_with_stalls() -> None:
    duel(60, seed=1)


class Gullible(SerialCRC):
    """Any CRC is good."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.good.eq(1)
        return m


def without(name: FailureCode) -> Callable[[dispatcher.Dispatcher], Any]:
    """The dispatcher's checks but one."""
    checks = dispatcher.Dispatcher.refusals
    return lambda self: tuple(item for item in checks(self) if item[1] is not name)


MUTANTS = {
    "any CRC is good": (receiver, "SerialCRC", Gullible),
    "any sequence number is expected": (dispatcher.Dispatcher, "refusals", without(FailureCode.SEQUENCE)),
    "any version is known": (dispatcher.Dispatcher, "refusals", without(FailureCode.VERSION)),
    "no session is needed": (dispatcher.Dispatcher, "refusals", without(FailureCode.CLOSED)),
    "silence ends no frame": (receiver.FrameReceiver, "_time", lambda self, m, silent: None),
    "replies are requests": (receiver, "FIRST_REPLY", 16),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_are_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    with pytest.raises(Divergence):
        duel(100, seed=1)
