"""Around the wrapper in simulation: cocotbext-axi at every port, random pauses, and the rules of the protocol."""

import itertools
import json
import logging
import os
import random
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

warnings.filterwarnings("ignore", category=DeprecationWarning, module="cocotbext")  # it still speaks cocotb 1
PERIOD_NS = 10
# channels on which the wrapper speaks: valid, ready, and what must hold while it waits
SPOKEN = {
    "m_axis": ("m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tkeep", "m_axis_tuser", "m_axis_tlast")),
    "b": ("s_axil_bvalid", "s_axil_bready", ("s_axil_bresp",)),
    "r": ("s_axil_rvalid", "s_axil_rready", ("s_axil_rdata", "s_axil_rresp")),
}


def pauses(rng: random.Random) -> Iterator[bool]:
    """Pauses of a channel: a fresh probability every 32 cycles, so that both long and short ones happen."""
    while True:
        probability = rng.choice([0.0, 0.2, 0.5, 0.9])
        yield from (rng.random() < probability for _ in range(32))


class Watch:
    """Looks at every cycle: rules of the protocol, and what the counters must say.

    Members
    -------
    ended : packets that are in; open : one has begun and is not.
    begun : cycles in which samples began whose answers are not out; cycles : of the last sample.
    answers, input_stalls, output_stalls, taken : answers that are out, cycles of stalls, beats out of the open answer.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.forget()
        self.waiting: dict[str, tuple[int, ...] | None] = dict.fromkeys(SPOKEN)

    def forget(self) -> None:
        """As after a reset; what an open packet was is not forgotten."""
        self.cycle = self.ended = self.cycles = self.answers = self.input_stalls = self.output_stalls = 0
        self.taken = 0
        self.begun: deque[int] = deque()

    async def run(self) -> None:
        """Look at every cycle, for ever."""
        dut, self.open = self.dut, False
        while True:
            await RisingEdge(dut.aclk)
            self.cycle += 1
            if not dut.aresetn.value:
                self.waiting, self.open = dict.fromkeys(SPOKEN), False
                continue
            for name, (valid, ready, payload) in SPOKEN.items():
                self._hold(name, getattr(dut, valid).value, getattr(dut, ready).value, payload)
            self._count(dut)

    def _hold(self, name: str, valid: Any, ready: Any, payload: tuple[str, ...]) -> None:
        before = self.waiting[name]
        now = tuple(int(getattr(self.dut, signal).value) for signal in payload) if valid else None
        assert before is None or now == before, f"{name}: a beat that waited was {before} and is {now}"
        self.waiting[name] = now if not ready else None

    def _count(self, dut: Any) -> None:
        if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
            if not self.open:
                self.begun.append(self.cycle)
            self.open = not dut.s_axis_tlast.value
            self.ended += not self.open
        elif dut.s_axis_tvalid.value:
            self.input_stalls += 1
        if dut.m_axis_tvalid.value and not dut.m_axis_tready.value:
            self.output_stalls += 1
        elif dut.m_axis_tvalid.value:
            self.taken += 1
            if dut.m_axis_tlast.value:
                self.answers, self.taken = self.answers + 1, 0
                if self.begun:
                    self.cycles = self.cycle - self.begun.popleft()


class Bench:
    """Sources, sinks and a master around the wrapper, and what must come of the samples.

    Parameters
    ----------
    dut : the wrapper.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.job = json.loads((Path(os.environ["SPIKELOOM_JOB"]) / "axi.json").read_text())
        self.rng = random.Random(self.job["seed"])
        self.packets = [bytes.fromhex(text) for text in self.job["packets"]]
        self.offsets = self.job["wrapper"]["registers"]
        self.watch = Watch(dut)
        for name in ("s_axis", "m_axis", "s_axil"):
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.WARNING)
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)

    @property
    def channels(self) -> tuple[Any, ...]:
        """Everything at a port that may pause."""
        write, read = self.master.write_if, self.master.read_if
        lite = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        return (self.source, self.sink, *lite)

    async def start(self, *, pause: bool = True) -> "Bench":
        """Clock, reset, pauses."""
        cocotb.start_soon(Clock(self.dut.aclk, PERIOD_NS, "ns").start())
        self.dut.aresetn.value = 1
        await self.cycles(1)
        await self.reset()
        cocotb.start_soon(self.watch.run())
        if pause:
            for channel in self.channels:
                channel.set_pause_generator(pauses(random.Random(self.rng.random())))
        return self

    async def reset(self, cycles: int = 2) -> None:
        """Pull `aresetn`."""
        self.dut.aresetn.value = 0
        await self.cycles(cycles)
        self.dut.aresetn.value = 1
        self.watch.forget()

    async def cycles(self, count: int) -> None:
        """Wait."""
        for _ in range(count):
            await RisingEdge(self.dut.aclk)

    async def read(self, name: str | int) -> int:
        """Value of a register."""
        answer = await self.master.read(self.offsets[name] if isinstance(name, str) else name, 4)
        assert answer.resp == AxiResp.OKAY, f"{name}: {answer.resp!r}"
        return int.from_bytes(answer.data, "little")

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        answer = await self.master.write(self.offsets[name], value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY, f"{name}: {answer.resp!r}"

    def answer(self, frame: AxiStreamFrame) -> list[tuple[int, int, int]]:
        """(potential, bad, class) of every beat of an answer."""
        assert all(frame.tkeep)
        words = [int.from_bytes(frame.tdata[n : n + 4], "little", signed=True) for n in range(0, len(frame.tdata), 4)]
        return [(word, user & 1, user >> 1) for word, user in zip(words, frame.tuser[::4], strict=True)]

    def wanted(self, number: int) -> list[tuple[int, int, int]]:
        """The answer to a sample: classes beside the last potential of each readout."""
        ends = list(itertools.accumulate(self.job["readouts"]))
        classes = dict(zip(ends, self.job["classes"][number], strict=True))
        potentials = self.job["potentials"][number]
        return [(value, 0, classes.get(place + 1, 0)) for place, value in enumerate(potentials)]

    async def received(self) -> list[tuple[int, int, int]]:
        """The next answer."""
        return self.answer(await self.sink.recv(compact=False))
