# amaranth: UnusedElaboratable=no
"""The parts of the link in gates, each with random stalls against its twin in software, and dropped in mid-frame."""

import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator, SimulatorContext
from link_bench import IDENTITY, spec_of
from random_networks import RandomNetwork
from spikeloom import DoesNotFit
from spikeloom.link import frame
from spikeloom.link.frames import cobs_decode, cobs_encode, crc
from spikeloom_hw.build import generate
from spikeloom_hw.link.cobs import COBSDecoder, COBSEncoder
from spikeloom_hw.link.crc import SerialCRC
from spikeloom_hw.link.feeder import SampleFeeder
from spikeloom_hw.link.receiver import FrameReceiver
from spikeloom_hw.link.results import ResultStore
from spikeloom_hw.link.sender import FrameSender
from spikeloom_hw.link.spec import LinkSpec

PATIENCE = 4000
DATA = [
    b"",
    b"\0",
    b"\0\0\0",
    b"\1\2\0\3",
    b"\1" * 253,
    b"\2" * 254,
    b"\2" * 254 + b"\0",
    b"\3" * 255,
    b"\0" + b"\4" * 254 + b"\5",
]


class Ports:
    """Drives and reads the streams of a part, with stalls."""

    def __init__(self, dut: Any, *, stalls: float = 0.3, seed: int = 0) -> None:
        self.dut, self.stalls, self.random = dut, stalls, random.Random(seed)
        self.taken: list[Any] = []

    async def give(self, ctx: SimulatorContext, port: Any, words: Sequence[Any]) -> None:
        """Words into a stream."""
        for word in words:
            while self.random.random() < self.stalls:
                await ctx.tick()
            ctx.set(port.payload, word)
            ctx.set(port.valid, 1)
            for _ in range(PATIENCE):
                _, _, ready = await ctx.tick().sample(port.ready)
                if ready:
                    break
            else:
                raise AssertionError("the part hangs")
            ctx.set(port.valid, 0)

    def taker(self, port: Any) -> Callable[[SimulatorContext], Awaitable[None]]:
        """Takes all that comes out of a stream."""

        async def take(ctx: SimulatorContext) -> None:
            while True:
                ctx.set(port.ready, ready := self.random.random() >= self.stalls)
                _, _, valid, word = await ctx.tick().sample(port.valid, port.payload)
                if valid and ready:
                    self.taken.append(word)

        return take

    def run(self, talk: Callable[[SimulatorContext], Awaitable[None]], port: Any = None) -> list[Any]:
        """Simulate up to the end of `talk`; what came out of `port`."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(talk)
        if port is not None:
            simulator.add_testbench(self.taker(port), background=True)
        simulator.run()
        return self.taken


async def pulse(ctx: SimulatorContext, signal: Any) -> None:
    """High for one cycle."""
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


def test_crc_is_that_of_zlib_and_begins_afresh_in_any_cycle() -> None:
    dut = SerialCRC()
    ports, rng = Ports(dut), random.Random(1)

    async def talk(ctx: SimulatorContext) -> None:
        for size in (1, 2, 7):
            await ports.give(ctx, dut.i, b"junk")
            await ctx.tick().repeat(rng.randrange(9))
            await pulse(ctx, dut.start)
            data = rng.randbytes(size)
            await ports.give(ctx, dut.i, data)
            await ctx.tick().until(dut.i.ready)
            assert ctx.get(dut.crc) == crc(data)
            assert not ctx.get(dut.good)
            await ports.give(ctx, dut.i, crc(data).to_bytes(4, "little"))
            await ctx.tick().until(dut.i.ready)
            assert ctx.get(dut.good)

    ports.run(talk)


def test_decoder_undoes_what_the_encoder_of_the_twin_did() -> None:
    dut = COBSDecoder()
    ports = Ports(dut, stalls=0.2)

    async def talk(ctx: SimulatorContext) -> None:
        for data in DATA:
            await ports.give(ctx, dut.i, cobs_encode(data) + b"\0")
            await ports.give(ctx, dut.i, b"\5\1")
            await pulse(ctx, dut.drop)
            assert not ctx.get(dut.begun)
        await ctx.tick().repeat(20)

    frames, rest = [], bytearray()
    for word in ports.run(talk, dut.o):
        if word.end:
            assert word.whole
            frames.append(bytes(rest))
        rest = bytearray() if word.end else rest + bytes((word.data,))
    # the byte of each dropped frame came out before it was dropped
    assert [data.removeprefix(b"\1" if n else b"") for n, data in enumerate(frames)] == DATA


@pytest.mark.parametrize("coded", [b"\2\0", b"\5\1\2\3\0", b"\xff\1\0"])
def test_decoder_says_where_a_frame_ends_within_a_group(coded: bytes) -> None:
    dut = COBSDecoder()
    ports = Ports(dut)

    async def talk(ctx: SimulatorContext) -> None:
        await ports.give(ctx, dut.i, coded + b"\1\0")
        await ctx.tick().repeat(20)

    ends = [word.whole for word in ports.run(talk, dut.o) if word.end]
    assert ends == [0, 1]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_encoder_sends_whole_frames_and_forgets_what_is_dropped(stalls: float) -> None:
    dut = COBSEncoder(depth=512)
    ports, rng = Ports(dut, stalls=stalls, seed=3), random.Random(2)
    frames = [data for data in DATA if data] + [rng.randbytes(rng.randrange(1, 60)) for _ in range(10)]

    async def talk(ctx: SimulatorContext) -> None:
        for data in frames:
            await ports.give(ctx, dut.i, [{"data": byte, "last": 0} for byte in rng.randbytes(rng.randrange(5))])
            await pulse(ctx, dut.drop)
            await ports.give(ctx, dut.i, [{"data": b, "last": n == len(data) - 1} for n, b in enumerate(data)])
        for _ in range(PATIENCE):
            if ctx.get(dut.idle) and ctx.get(dut.i.ready):
                break
            await ctx.tick()

    sent = bytes(ports.run(talk, dut.o)).split(b"\0")
    assert [cobs_decode(coded) for coded in sent[:-1]] == frames
    assert sent == [*map(cobs_encode, frames), b""]


@pytest.mark.parametrize("depth", [0, 4, 9, 24])
def test_encoder_needs_a_power_of_two(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"^COBS encoder: depth must be a power of two of at least 8, not {depth}$"):
        COBSEncoder(depth=depth)


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_sender_makes_the_frames_of_the_twin(stalls: float) -> None:
    dut = FrameSender(spec=spec_of())
    ports, rng = Ports(dut, stalls=stalls), random.Random(5)
    bodies = [rng.randbytes(size) for size in (2, 3, 66, 1, 40)]

    async def talk(ctx: SimulatorContext) -> None:
        for body in bodies:
            await ports.give(ctx, dut.i, [{"data": byte, "last": 0} for byte in rng.randbytes(3)])
            await ctx.tick().repeat(rng.randrange(9))
            await pulse(ctx, dut.drop)
            await ports.give(ctx, dut.i, [{"data": b, "last": n == len(body) - 1} for n, b in enumerate(body)])
        await ctx.tick().repeat(600)

    assert bytes(ports.run(talk, dut.o)) == b"".join(map(frame, bodies))


def test_receiver_keeps_as_many_frames_as_it_has_credits_and_their_payloads() -> None:
    spec = spec_of(credits=4)
    dut = FrameReceiver(spec=spec)
    ports, rng = Ports(dut), random.Random(6)

    async def talk(ctx: SimulatorContext) -> None:
        for _ in range(3):
            payloads = [rng.randbytes(rng.choice([0, 1, 63, 64])) for _ in range(4)]
            for n, payload in enumerate(payloads):
                await ports.give(ctx, dut.i, frame(bytes((0x13, n)) + payload))
            await ctx.tick().repeat(3)
            for n, payload in enumerate(payloads):
                head = ctx.get(dut.o.payload)
                assert (ctx.get(dut.o.valid), head.known, head.kind, head.sequence) == (1, 1, 3, n)
                got = bytearray()
                for position in range(head.length):
                    ctx.set(dut.position, position)
                    await ctx.tick()
                    got.append(ctx.get(dut.byte))
                assert got == payload
                await pulse(ctx, dut.o.ready)
            assert not ctx.get(dut.o.valid)

    ports.run(talk)


@pytest.mark.parametrize(
    "changes",
    [
        {"potential_bits": 1, "class_bits": 1, "outputs": (1,)},
        {"potential_bits": 8, "class_bits": 17, "outputs": (2, 1)},
        {"potential_bits": 25, "class_bits": 9, "outputs": (20,)},
    ],
)
def test_results_are_kept_as_the_twin_packs_them(changes: dict[str, Any]) -> None:
    spec = spec_of(**changes)
    identity, dut, rng = spec.identity, ResultStore(spec=spec), random.Random(7)
    potentials_in, classes_in = Ports(dut), Ports(dut, seed=1)
    half = 1 << identity.potential_bits - 1
    samples = [
        (
            [rng.choice([-half, half - 1, rng.randrange(-half, half)]) for _ in range(sum(identity.outputs))],
            [rng.getrandbits(identity.class_bits) for _ in identity.outputs],
        )
        for _ in range(2)
    ]
    ends = {sum(identity.outputs[: n + 1]) - 1 for n in range(len(identity.outputs))}

    async def feed(ctx: SimulatorContext) -> None:
        for values, _ in samples:
            words = [{"potential": value, "last": n in ends} for n, value in enumerate(values)]
            await potentials_in.give(ctx, dut.i_potential, words)

    async def feed_classes(ctx: SimulatorContext) -> None:
        for _, classes in samples:
            await classes_in.give(ctx, dut.i_class, classes)

    async def collect(ctx: SimulatorContext) -> None:
        for values, classes in samples:
            await ctx.tick().repeat(5)
            ctx.set(dut.collect, 1)
            await ctx.tick().until(dut.done)
            ctx.set(dut.collect, 0)
            got = bytearray()
            for address in range(identity.result_bytes):
                ctx.set(dut.address, address)
                await ctx.tick()
                got.append(ctx.get(dut.byte))
            assert identity.unpack_result(bytes(got)) == (values, classes)
            assert ctx.get(dut.last_class) == classes[-1]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in (feed, feed_classes, collect):
        simulator.add_testbench(bench)
    simulator.run()


def test_feeder_counts_the_bytes_of_a_sample() -> None:
    spec = spec_of(code_bits=10, neurons=3)
    dut = SampleFeeder(spec=spec)
    ports = Ports(dut)
    sent = []

    async def talk(ctx: SimulatorContext) -> None:
        for byte in b"\1\0\0\2\xff\xff\1":
            sent.append(ctx.get(dut.sent))
            await ports.give(ctx, dut.i, bytes((byte,)))
        await ctx.tick().repeat(30)

    events = [(word.address, word.step, word.end) for word in ports.run(talk, dut.o)]
    assert sent == [0, 1, 2, 3, 4, 5, 0]
    assert events[:2] == [(0, 9, 0), (1, 0, 0)]
    assert events[2:] == [*((2, step, 0) for step in range(10)), (2, 0, 1)]


def test_sizes_that_the_gates_cannot_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Link: frame_bytes must be a power of two of at least 2, not 100$"):
        spec_of(frame_bytes=100)
    with pytest.raises(ValueError, match=r"^Link: credits must be a power of two of at least 2, not 3$"):
        spec_of(credits=3)
    wanted = r"^Link: the identity must fit 32 bytes, not need 37; use fewer than 2 readouts$"
    with pytest.raises(DoesNotFit, match=wanted):
        spec_of(frame_bytes=32)
    wanted = r"^Link: results must have at most 65536 bytes, not 80001; use fewer outputs$"
    with pytest.raises(DoesNotFit, match=wanted):
        spec_of(outputs=(40000,))


def test_manifest_tells_the_sizes_and_names_the_build(tmp_path: Path) -> None:
    def built(name: str, seed: int, lanes: int) -> dict[str, Any]:
        network = RandomNetwork(np.random.default_rng(seed), (1, 2, 3), 5, "tiny").dense(2).readout(2)
        return generate(network, tmp_path / name, lanes=lanes).manifest

    first, again = built("first", 1, 2), built("again", 1, 2)
    others = [built("network", 2, 2), built("lanes", 1, 1)]
    assert first["link"] == again["link"]
    assert len({manifest["link"]["build"] for manifest in (first, *others)}) == 3
    identity = LinkSpec.of(first, 12e6).identity
    assert identity.build == int(first["link"]["build"], 16)
    assert (identity.neurons, identity.code_bits, identity.code_signed, identity.memories) == (6, 5, False, 0)
    assert (identity.frame_bytes, identity.credits, identity.outputs) == (256, 2, (2,))
    assert identity.watchdog_cycles in (4096, 8192)


def test_spec_comes_from_the_manifest() -> None:
    link = {"build": "0123456789abcdef", "code": "naf", "frame_bytes": 64, "credits": 2, "neurons": 70, "code_bits": 4}
    link |= {"code_signed": False, "memories": 0, "sequence": 0, "watchdog_cycles": 512}
    readout = {"potential_bits": 13, "class_bits": 2, "outputs": [3, 2]}
    spec = LinkSpec.of({"link": link, "readout": readout}, 12e6)
    assert spec == LinkSpec(IDENTITY, "naf", 1 << 19)
    assert (spec.timesteps, spec.digits) == (4, 5)
