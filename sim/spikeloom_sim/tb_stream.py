"""The cocotb bench: drives samples into the harness, watches every word it shows, writes a capture.

Runs inside the simulator and imports neither torch nor the network: stimulus and layout come from the job's files, and
the comparison is made by whoever started it. One loop a cycle, at the falling edge: look at what the last rising edge
transferred, then set the inputs for the next.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeloom_sim.capture import STATE_BITS, STATES, Capture, Recorder, Words

RESET_CYCLES = 2
SETTLE_CYCLES = 64  # after the last class, for beats that should not be there


@cocotb.test()
async def stream(dut: Any) -> None:
    """Run the job whose folder is in SPIKELOOM_JOB."""
    folder = Path(os.environ["SPIKELOOM_JOB"])
    job = json.loads((folder / "bench.json").read_text())
    arrays = np.load(folder / "stimulus.npz")
    bench = Bench(dut, job, arrays["beats"].tolist(), arrays["stops"].tolist())
    await bench.run()
    bench.capture().save(folder / "capture.npz")


def pauses(seed: int | None, port: int) -> Iterator[bool]:
    """Random pauses of a port: a fresh probability every 64 cycles, so that both long and short ones happen."""
    rng = np.random.default_rng((seed or 0, port))
    while seed is not None:
        probability = rng.choice([0.0, 0.25, 0.5, 0.75, 0.94], (64, 1))
        yield from (rng.random((64, 64)) < probability).ravel().tolist()
    while True:
        yield False


class Monitor:
    """Records the payload of a slot whenever its flag is up."""

    def __init__(self, *, flag: int, offset: int, width: int, pieces: int | None = None) -> None:
        self.flag, self.offset, self.mask = 1 << flag, offset, (1 << width) - 1
        self.recorder = Recorder(pieces)

    def see(self, word: int, cycle: int) -> None:
        """Take the payload out of the word."""
        self.recorder.values.append(word >> self.offset & self.mask)
        self.recorder.cycles.append(cycle)


class BankMonitor:
    """Records the copy of a core's bank whenever it swaps: the rows of the layer that is complete, memory by memory."""

    def __init__(self, dut: Any, core: dict[str, Any]) -> None:
        self.flag = 1 << core["offset"]
        self.memories, self.rows, self.layer_rows = core["memories"], core["rows"], core["layer_rows"]
        words, handle = self.memories * self.rows, getattr(dut, core["bank"])
        self.words = [handle] if words == 1 else [handle[word] for word in range(words)]
        self.states = getattr(dut, core["states"]) if core["states"] else None
        self.recorder = Recorder(core["row_pieces"])
        self.spent: list[list[int]] = []

    def see(self, word: int, cycle: int) -> None:
        """Read the rows, and what the cycles were spent with."""
        used = self.layer_rows[len(self.recorder.cycles) % len(self.layer_rows)]
        for first in range(0, len(self.words), self.rows):
            self.recorder.values.extend(row.value.to_unsigned() for row in self.words[first : first + used])
            self.recorder.values.extend([0] * (self.rows - used))
        self.recorder.cycles.append(cycle)
        if self.states is not None:
            counts = self.states.value.to_unsigned()
            self.spent.append([counts >> STATE_BITS * n & (1 << STATE_BITS) - 1 for n in range(len(STATES))])

    def done(self) -> Words:
        """The banks so far."""
        return self.recorder.done(self.memories, self.rows)


class HoldRule:
    """A beat that is offered stays, payload and all, until it is taken."""

    def __init__(self, slots: list[dict[str, Any]]) -> None:
        self.slots = [(slot["name"], slot["offset"], (1 << slot["width"]) - 1) for slot in slots]
        self.waits = sum(2 << offset for _, offset, _ in self.slots)
        self.before = 0

    def broken(self, word: int) -> tuple[str, str] | None:
        """Name of a stream that broke the rule since the last word, and what it did not hold."""
        before, self.before = self.before, word & self.waits and word
        for name, offset, mask in self.slots if before else ():
            if before >> offset & 2:
                if not word >> offset & 3:
                    return name, "valid"
                if (word ^ before) >> (offset + 2) & mask:
                    return name, "payload"
        return None


class Bench:
    """One run of a job: `alone` samples into an idle design, the others back to back, perhaps with a reset on the way.

    Parameters
    ----------
    dut : the harness.
    job : options and layout, see `spikeloom_sim.cocotb_run.run`.
    beats, stops : stimulus, see `spikeloom_sim.vectors.Vectors`.
    """

    def __init__(self, dut: Any, job: dict[str, Any], beats: list[int], stops: list[int]) -> None:
        self.dut, self.job, self.beats, self.stops = dut, job, beats, stops
        self.cycle = self.moved = self.advanced = 0
        self.fault: str | None = None
        self.start()
        self.pauses = [pauses(job["seed"], port) for port in range(3)]
        self.inputs = dict.fromkeys(("rst", "i__valid", "i__payload", "o__ready", "o_class__ready"), -1)

    def start(self) -> None:
        """Forget what was seen; the next sample is the first."""
        self.beats_seen = {
            slot["name"]: Monitor(flag=slot["offset"], offset=slot["offset"] + 2, width=slot["width"])
            for slot in self.job["streams"]
        }
        self.swaps: dict[str, BankMonitor] = {}
        self.retires: dict[str, Monitor] = {}
        self.visits: dict[str, Monitor] = {}
        for core in self.job["cores"]:
            flag, name = core["offset"], core["name"]
            self.swaps[name] = BankMonitor(self.dut, core)
            if core["width"]:
                self.retires[name] = Monitor(
                    flag=flag + 1, offset=flag + 2, width=core["width"], pieces=core["retire_pieces"]
                )
                flag += 1 + core["width"]
            if core["visit_width"]:
                self.visits[name] = Monitor(
                    flag=flag + 1, offset=flag + 2, width=core["visit_width"], pieces=core["visit_pieces"]
                )
        self.slow: list[Monitor | BankMonitor] = [*self.swaps.values(), self.beats_seen["o_class"]]
        self.watched: list[Monitor | BankMonitor] = [
            *self.beats_seen.values(),
            *self.swaps.values(),
            *self.retires.values(),
            *self.visits.values(),
        ]
        self.any_flag = sum(monitor.flag for monitor in self.watched)
        self.any_slow = sum(monitor.flag for monitor in self.slow)
        self.rule = HoldRule(self.job["streams"])
        self.sent, self.offered, self.told = 0, False, 0
        self.taken = self.beats_seen["i"].flag
        self.classes = self.beats_seen["o_class"].recorder.cycles

    @property
    def answered(self) -> int:
        """Samples of which every readout has answered."""
        return len(self.classes) // int(self.job["readouts"])

    async def run(self) -> None:
        """The whole job; ends early, with `fault` set, where the design hangs or breaks a stream's rule."""
        Clock(self.dut.clk, 10, "ns").start()
        await self.reset(RESET_CYCLES)
        if self.job["abort_cycles"] is not None:
            await self.cycles(until=lambda: False, limit=self.job["abort_cycles"])
            self.start()
            await self.reset(1)
        await self.cycles(until=lambda: self.answered >= len(self.stops))
        if self.fault is None:
            await self.cycles(until=lambda: False, limit=SETTLE_CYCLES)

    async def reset(self, cycles: int) -> None:
        """Hold rst for some rising edges, with all inputs idle."""
        edge = FallingEdge(self.dut.clk)
        await edge
        self.set(rst=1, i__valid=0, i__payload=0, o__ready=0, o_class__ready=0)
        for _ in range(cycles):
            await edge
        self.set(rst=0)
        self.moved = self.advanced = self.cycle

    async def cycles(self, until: Callable[[], bool], limit: int | None = None) -> None:
        """Run until a condition holds, for a number of cycles, or until a fault."""
        edge, seen = FallingEdge(self.dut.clk), self.dut.seen
        self.drive()
        while limit != 0 and not until():
            await edge
            self.cycle += 1
            try:
                self.look(seen.value.to_unsigned())
            except ValueError:
                self.fault = f"{self.unknown(str(seen.value))} unknown (X) in cycle {self.cycle}"
            if self.fault:
                return
            if self.answered != self.told:
                self.told = self.answered
                print(f"samples {self.told}", flush=True)
            self.drive()
            limit = None if limit is None else limit - 1

    def look(self, word: int) -> None:
        """Record what the last rising edge did."""
        if word & self.any_flag:
            for monitor in self.watched:
                if word & monitor.flag:
                    monitor.see(word, self.cycle)
            self.moved = self.cycle
            if word & self.any_slow:
                self.advanced = self.cycle
        elif self.cycle - self.moved > self.job["patience_cycles"]:
            self.fault = f"nothing moved for {self.job['patience_cycles']} cycles up to cycle {self.cycle}"
        if self.cycle - self.advanced > self.job["sample_cycles"]:
            self.fault = f"no sample moved on for {self.job['sample_cycles']} cycles up to cycle {self.cycle}"
        if len(self.classes) > self.job["readouts"] * len(self.stops):
            self.fault = f"more classes than samples up to cycle {self.cycle}"
        if word & self.taken:
            self.sent, self.offered = self.sent + 1, False
        if broken := self.rule.broken(word):
            name, what = broken
            self.fault = (
                f"stream '{name}': {what} must hold until the beat is taken, but changed before cycle {self.cycle}"
            )

    def unknown(self, word: str) -> str:
        """What in the word, written in binary, is not known; else it was a bank."""
        known = re.search("[01]*$", word)
        place = len(known[0]) if known else 0
        slots = [slot for slot in (*self.job["streams"], *self.job["cores"]) if slot["offset"] <= place < len(word)]
        return f"'{slots[-1]['name']}' shows something" if slots else "a bank holds something"

    def drive(self) -> None:
        """Set the inputs for the next rising edge."""
        pause, pause_o, pause_class = (next(port) for port in self.pauses)
        alone = self.answered < min(self.job["alone"], len(self.stops))
        allowed = self.stops[self.answered] if alone else len(self.beats)
        self.offered = self.sent < allowed and (self.offered or not pause)
        if self.offered:
            self.set(i__payload=self.beats[self.sent])
        self.set(i__valid=int(self.offered), o__ready=int(not pause_o), o_class__ready=int(not pause_class))

    def set(self, **values: int) -> None:
        """Write the inputs that change."""
        for name, value in values.items():
            if self.inputs[name] != value:
                self.inputs[name] = value
                getattr(self.dut, name).value = value

    def capture(self) -> Capture:
        """What was seen."""
        return Capture(
            {name: monitor.recorder.done() for name, monitor in self.beats_seen.items()},
            {name: monitor.done() for name, monitor in self.swaps.items()},
            {name: monitor.recorder.done() for name, monitor in self.retires.items()},
            self.cycle,
            self.fault,
            {name: np.array(one.spent, np.int64) for name, one in self.swaps.items() if one.states is not None},
            {name: monitor.recorder.done() for name, monitor in self.visits.items()},
        )


if "torch" in sys.modules:  # would cost seconds in every simulation
    raise ImportError("tb_stream: must not import torch")
