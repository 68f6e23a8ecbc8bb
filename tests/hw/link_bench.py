"""A link in gates with a stand-in for the core, beside the same in software; bytes go in and come out with stalls."""

import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
from amaranth.hdl import Array, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator, SimulatorContext
from spikeloom.encoding import event_counts
from spikeloom.link import Device, Framer, Identify, Identity, Inference, Message, Statistics, frame, pack, unpack
from spikeloom_hw.link.device import LinkDevice, core_signature
from spikeloom_hw.link.spec import LinkSpec
from spikeloom_sim.fuzz.hostile import Act, BadStop, Break, Silence

IDENTITY = Identity(
    build=0x0123456789ABCDEF,
    frame_bytes=64,
    credits=2,
    neurons=70,
    code_bits=4,
    code_signed=False,
    potential_bits=13,
    class_bits=2,
    outputs=(3, 2),
    memories=0,
    clock_hz=12_000_000,
    watchdog_cycles=512,
)
SHELF_BYTES = 10


def spec_of(*, code: str = "plain", timeout_cycles: int = 2048, **changes: object) -> LinkSpec:
    """A small link, with some changes."""
    return LinkSpec(replace(IDENTITY, **changes), code, timeout_cycles)


def inference(spec: LinkSpec, codes: np.ndarray) -> Inference:
    """What `SummingCore` makes of codes: output n is n - 1 times their sum, weighed by address + 1, wrapped."""
    half = 1 << spec.identity.potential_bits - 1
    total = int((codes * (np.arange(len(codes)) + 1)).sum())
    potentials = [((number - 1) * total + half) % (2 * half) - half for number in range(sum(spec.identity.outputs))]
    classes = [(total + number) % (1 << spec.identity.class_bits) for number in range(len(spec.identity.outputs))]
    return Inference(tuple(potentials), tuple(classes), events=int(event_counts(codes, spec.code).sum()))


class SummingCore(wiring.Component):
    """Stand-in for a core, see `inference`; while `dead` it takes no event. Its memory 0 has ten bytes, if any."""

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        self.dead = Signal()
        super().__init__(core_signature(spec))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        event, outputs = self.i.payload, self.spec.identity.outputs
        total = Signal(self.spec.identity.potential_bits)
        number, readout = Signal(range(sum(outputs) + 1)), Signal(range(len(outputs) + 1))
        ends = Array(sum(outputs[: n + 1]) for n in range(len(outputs)))[readout]
        digits = self.spec.timesteps + (self.spec.code == "naf")
        weight = (event.address + 1) << (digits - 1 - event.step)[: len(event.step)]
        negative = event.negative if "negative" in dict(event.shape()) else Const(0, 1)
        with m.FSM(init="Sum"):
            with m.State("Sum"):
                m.d.comb += self.i.ready.eq(~self.dead)
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += total.eq(Mux(event.end, total, Mux(negative, total - weight, total + weight)))
                    with m.If(event.end):
                        m.next = "Read"
            with m.State("Read"):
                last = number + 1 == ends
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.potential.eq((number - 1) * total),
                    self.o.payload.last.eq(last),
                ]
                with m.If(self.o.ready):
                    m.d.sync += number.eq(number + 1)
                    with m.If(last):
                        m.next = "Classify"
            with m.State("Classify"):
                m.d.comb += [self.o_class.valid.eq(1), self.o_class.payload.eq(total + readout)]
                with m.If(self.o_class.ready):
                    m.d.sync += readout.eq(readout + 1)
                    m.next = "Read"
                    with m.If(readout == len(outputs) - 1):
                        m.d.sync += [number.eq(0), readout.eq(0), total.eq(0)]
                        m.next = "Sum"
        if self.spec.identity.memories:
            self._shelf(m)
        return ResetInserter(self.clear)(m)

    def _shelf(self, m: Module) -> None:
        """Addresses are bytes."""
        m.submodules.shelf = memory = Memory(shape=8, depth=SHELF_BYTES, init=[])
        write, read = memory.write_port(), memory.read_port()
        access, answer = self.i_load.payload, self.o_load.payload
        place, bad, wants = Signal(range(SHELF_BYTES + 2)), Signal(), Signal()
        address = access.address + place
        here = (access.memory == 0) & (access.read | (address < SHELF_BYTES))
        m.d.comb += [write.addr.eq(address), write.data.eq(access.data), read.addr.eq(place), answer.data.eq(read.data)]
        with m.FSM(init="Idle"):
            with m.State("Idle"):
                taken = self.i_load.valid & ~access.read & here
                m.d.comb += [self.i_load.ready.eq(1), write.en.eq(taken)]
                with m.If(self.i_load.valid):
                    m.d.sync += [bad.eq(bad | ~here), place.eq(Mux(access.read, 0, place + 1)), wants.eq(access.read)]
                    with m.If(access.read | access.last):
                        m.next = "Fetch"
            with m.State("Fetch"):
                m.next = "Say"
            with m.State("Say"):
                m.d.comb += [self.o_load.valid.eq(1), answer.refused.eq(bad)]
                m.d.comb += answer.last.eq(~wants | bad | (place == SHELF_BYTES - 1))
                with m.If(self.o_load.ready):
                    m.d.sync += place.eq(place + 1)
                    m.next = "Fetch"
                    with m.If(answer.last):
                        m.d.sync += [bad.eq(0), place.eq(0)]
                        m.next = "Idle"


class Shelf:
    """The memory of `SummingCore` in software."""

    def __init__(self) -> None:
        self.data = bytearray(SHELF_BYTES)

    def load(self, memory: int, address: int, data: bytes) -> bool:
        """Write."""
        for place, byte in enumerate(data, address):
            if memory == 0 and place < SHELF_BYTES:
                self.data[place] = byte
        return memory == 0 and address + len(data) <= SHELF_BYTES

    def checksum(self, memory: int) -> int | None:
        """CRC-32 of all."""
        return None if memory else zlib.crc32(self.data)


class Bench:
    """Gates and software, told the same.

    Parameters
    ----------
    spec : LinkSpec
    stalls : how often the host's side of each stream pauses, 0..1.
    seed : of these pauses.
    """

    def __init__(self, spec: LinkSpec, *, stalls: float = 0.0, seed: int = 0) -> None:
        self.spec, self.stalls = spec, stalls
        self.random = random.Random(seed)
        self.core = SummingCore(spec)
        self.link = LinkDevice(spec=spec)
        self.hangs = False
        memories = Shelf() if spec.identity.memories else None
        self.twin = Device(spec.identity, self._infer, memories=memories, timeout_s=1)
        self.got, self.sequence = bytearray(), 0

    def _infer(self, codes: np.ndarray) -> Inference | None:
        return None if self.hangs else inference(self.spec, codes)

    def run(self, talk: Callable[[SimulatorContext], Awaitable[None]]) -> None:
        """Simulate up to the end of `talk`."""
        m = Module()
        m.submodules.link, m.submodules.core = self.link, self.core
        connect(m, self.link.core, self.core)
        simulator = Simulator(m)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._listen, background=True)
        simulator.add_testbench(talk)
        simulator.run()

    async def _listen(self, ctx: SimulatorContext) -> None:
        while True:
            ctx.set(self.link.o.ready, ready := self.random.random() >= self.stalls)
            _, _, valid, byte = await ctx.tick().sample(self.link.o.valid, self.link.o.payload)
            if valid and ready:
                self.got.append(byte)

    async def send(self, ctx: SimulatorContext, data: bytes) -> None:
        """Bytes to the gates alone."""
        for byte in data:
            while self.random.random() < self.stalls:
                await ctx.tick()
            ctx.set(self.link.i.payload, byte)
            ctx.set(self.link.i.valid, 1)
            await ctx.tick().until(self.link.i.ready)
            ctx.set(self.link.i.valid, 0)

    async def both(self, ctx: SimulatorContext, data: bytes) -> list[tuple[Message, int]]:
        """Bytes to both; the replies, which are equal but for the cycles of a sample."""
        wanted = self.twin.receive(data)
        self.got.clear()
        await self.send(ctx, data)
        replies = [messages(stream) for stream in (await self.hear(ctx, len(wanted)), wanted)]
        assert replies[0] == replies[1], f"{replies[0]}, not {replies[1]}"
        return replies[0]

    async def ask(self, ctx: SimulatorContext, message: Message) -> Message:
        """The reply to a message with the next sequence number."""
        ((reply, sequence),) = await self.both(ctx, frame(pack(message, self.sequence)))
        assert sequence == self.sequence
        self.sequence = (self.sequence + 1) % 256
        return reply

    async def open(self, ctx: SimulatorContext, sequence: int = 200) -> None:
        """Open a session."""
        self.sequence = sequence
        assert await self.ask(ctx, Identify()) == self.spec.identity

    async def act(self, ctx: SimulatorContext, act: Act) -> None:
        """A hostile act for the gates alone; silences are counted in timeouts."""
        match act:
            case Break() | BadStop():
                ctx.set(self.link.line_error, 1)
                await ctx.tick()
                ctx.set(self.link.line_error, 0)
            case Silence(timeouts):
                await ctx.tick().repeat(round(timeouts * self.spec.timeout_cycles))
            case _:
                await self.send(ctx, act)

    async def hear(self, ctx: SimulatorContext, wanted: int) -> bytes:
        """What the gates have said, when it is as much as wanted or nothing comes any more."""
        for _ in range(20 * wanted + 1000):
            if len(self.got) >= wanted:
                break
            await ctx.tick()
        await ctx.tick().repeat(60)
        got = bytes(self.got)
        self.got.clear()
        return got


def messages(stream: bytes) -> list[tuple[Message, int]]:
    """What a device said, cycles left out."""
    framer = Framer()
    found = [unpack(body) for body in framer.feed(stream)]
    assert not sum(vars(framer.losses).values())
    assert stream[-1:] in (b"", b"\0")
    return [(replace(m, cycles=0) if isinstance(m, Statistics) else m, n) for m, n in found]
