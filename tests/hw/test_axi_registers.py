# amaranth: UnusedElaboratable=no
"""The registers of the AXI wrapper, with stalls on every channel, against a few lines of Python."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator, SimulatorContext
from spikeloom_hw.axi.bank import RegisterBank
from spikeloom_hw.axi.registers import REGISTERS, Register, register_map, table

OKAY, SLVERR = 0, 2
CONSTANTS = {item.name: 0x1000_0001 * n for n, item in enumerate(register_map(2)) if item.kind == "constant"}
LIVE = [item for item in register_map(2) if item.kind in ("status", "counter")]
Word = tuple[int, ...]


def simulate(dut: wiring.Component, *testbenches: Callable) -> None:
    """Run test benches to their end."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    simulator.run()


async def transfer(
    context: SimulatorContext, rng: np.random.Generator, valid: Signal, ready: Signal, stalls: float = 0.4
) -> None:
    """One beat of a channel that we speak on."""
    while rng.random() < stalls:
        await context.tick()
    context.set(valid, 1)
    await context.tick().until(ready)
    context.set(valid, 0)


async def listen(
    context: SimulatorContext, rng: np.random.Generator, valid: Signal, ready: Signal, *payload: Signal
) -> Word:
    """One beat of a channel that we listen on; checks that it holds while it waits."""
    waiting = None
    for _ in range(2000):
        taken = bool(rng.random() < 0.5)
        context.set(ready, taken)
        _, _, offered, *values = await context.tick().sample(valid, *payload)
        assert waiting is None or (offered and values == waiting), "a beat that waited changed"
        if offered and taken:
            context.set(ready, 0)
            return tuple(values)
        waiting = values if offered else None
    raise AssertionError("nothing comes")


class BankBench:
    """Random reads and writes at once, of registers that are there and others."""

    def __init__(self, seed: int) -> None:
        self.dut = RegisterBank(readouts=2, constants=CONSTANTS)
        self.rng = [np.random.default_rng([seed, n]) for n in range(6)]
        rng = np.random.default_rng(seed)
        places = [item.offset for item in register_map(2)] + [0x48, 0x7C, 0x88, 0xFC]
        self.reads = [int(address) for address in rng.choice(places, 60)]
        # half of the writes go where something can be written
        places += len(places) // 2 * [REGISTERS["CONTROL"].offset, REGISTERS["ERRORS"].offset]
        self.writes = [(int(rng.choice(places)), int(rng.integers(1 << 32)), int(rng.integers(16))) for _ in range(60)]
        self.commands: list[int] = []
        self.flags = 7
        self.wrong: list[str] = []

    def value(self, address: int) -> tuple[int, int]:
        """(value, response) of a read."""
        for item in register_map(2):
            if item.offset == address and item.kind in ("status", "counter"):
                return 1000 + item.offset, OKAY
            if item.offset == address:
                return CONSTANTS.get(item.name, 0), OKAY
        return 0, SLVERR

    async def address(self, context: SimulatorContext) -> None:
        for item in LIVE:
            context.set(getattr(self.dut, item.name.lower()), 1000 + item.offset)
        for address, _, _ in self.writes:
            context.set(self.dut.awaddr, address)
            await transfer(context, self.rng[0], self.dut.awvalid, self.dut.awready)

    async def data(self, context: SimulatorContext) -> None:
        context.set(self.dut.errors, 7)
        await context.tick()
        context.set(self.dut.errors, 0)
        for _, word, strobes in self.writes:
            context.set(self.dut.wdata, word)
            context.set(self.dut.wstrb, strobes)
            await transfer(context, self.rng[1], self.dut.wvalid, self.dut.wready)

    async def responses(self, context: SimulatorContext) -> None:
        dut = self.dut
        for address, word, strobes in self.writes:
            (response,) = await listen(context, self.rng[2], dut.bvalid, dut.bready, dut.bresp)
            writable = address in (REGISTERS["CONTROL"].offset, REGISTERS["ERRORS"].offset)
            if response != (OKAY if writable else SLVERR):
                self.wrong.append(f"write of {address:#x}: {response}")
            if address == REGISTERS["ERRORS"].offset and strobes & 1:
                self.flags &= ~word

    async def ask(self, context: SimulatorContext) -> None:
        for address in self.reads:
            context.set(self.dut.araddr, address)
            await transfer(context, self.rng[3], self.dut.arvalid, self.dut.arready)

    async def answers(self, context: SimulatorContext) -> None:
        dut = self.dut
        for address in self.reads:
            value, response = await listen(context, self.rng[4], dut.rvalid, dut.rready, dut.rdata, dut.rresp)
            # the flags change meanwhile
            if address != REGISTERS["ERRORS"].offset and (value, response) != self.value(address):
                self.wrong.append(f"read of {address:#x}: {value:#x}, {response}")

    async def watch(self, context: SimulatorContext) -> None:
        for _ in range(2000):
            _, _, command = await context.tick().sample(self.dut.control)
            if command:
                self.commands.append(command)

    async def flags_at_the_end(self, context: SimulatorContext) -> None:
        await context.tick().repeat(2000)
        dut = self.dut
        context.set(dut.araddr, REGISTERS["ERRORS"].offset)
        await transfer(context, self.rng[5], dut.arvalid, dut.arready)
        value, _ = await listen(context, self.rng[5], dut.rvalid, dut.rready, dut.rdata, dut.rresp)
        if value != self.flags:
            self.wrong.append(f"flags {value:#x}, not {self.flags:#x}")

    def run(self) -> None:
        simulate(
            self.dut, self.address, self.data, self.responses, self.ask, self.answers, self.watch, self.flags_at_the_end
        )
        wanted = [
            word & 3
            for address, word, strobes in self.writes
            if address == REGISTERS["CONTROL"].offset and strobes & 1 and word & 3
        ]
        assert self.wrong == []
        assert self.commands == wanted


@pytest.mark.parametrize("seed", range(3))
def test_registers_answer_with_stalls_on_every_channel(seed: int) -> None:
    BankBench(seed).run()


MUTANTS: dict[str, tuple[str, object]] = {
    "every access is in order": ("lite.response", lambda error: error & 0),
    "bytes without a strobe count": ("bank.strobed", lambda data, strobes: data),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_bench_of_registers_catches(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, fault = MUTANTS[name]
    monkeypatch.setattr(f"spikeloom_hw.axi.{where}", fault)
    with pytest.raises(AssertionError):
        BankBench(0).run()


def test_bank_wants_every_constant_and_no_other() -> None:
    with pytest.raises(ValueError, match=r"^RegisterBank: constants must be \['BUILD_ID_HIGH', .*\], not \['MAGIC'\]$"):
        RegisterBank(readouts=1, constants={"MAGIC": 0})


def test_every_register_has_an_address_of_its_own_and_fields_that_fit() -> None:
    registers = register_map(32)
    assert len({item.offset for item in registers}) == len(registers)
    for item in registers:
        assert item.offset % 4 == 0
        assert item.offset < 256
        used = [bit for field in item.fields for bit in range(field.low, field.low + field.width)]
        assert len(used) == len(set(used))
        assert all(0 <= bit < 32 for bit in used)


def test_words_are_packed_and_unpacked_by_field() -> None:
    register: Register = REGISTERS["FORMAT"]
    word = register.pack(events=1, timesteps=5, potential_bits=18, readouts=2)
    assert word == 0x0212_0501
    assert register.unpack(word) == {"events": 1, "timesteps": 5, "potential_bits": 18, "readouts": 2}
    with pytest.raises(KeyError):
        register.field("nothing")


def test_reference_has_the_registers_of_the_code() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "axi.md"
    assert table() in page.read_text()
