"""Runs a chain of cores in Amaranth's own simulator, with stalls, and hands back what came out."""

from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import Module
from amaranth.sim import Simulator, SimulatorContext
from spikeloom import Network
from spikeloom.encoding import encode, spikes_of
from spikeloom.placing.place import place
from spikeloom_hw.core.chain import Chain


@dataclass
class Output:
    """Readout potentials [N, outputs] and classes [N] as they came, and the cycle of each class."""

    potentials: list[list[int]] = field(default_factory=lambda: [[]])
    classes: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


def chain(network: Network, lanes: int, cores: int | None = None) -> Chain:
    """Cores with about `lanes` lanes each: one a layer, or so many."""
    return Chain(program=place(network, lanes=lanes, cores=cores))


def events(network: Network, x: np.ndarray, rng: np.random.Generator) -> list[list[tuple[int, int]]]:
    """(address, step) of every input spike of each sample, in random order."""
    source = network.inputs[0]
    trains = spikes_of(encode(source, x), source.timesteps).reshape(len(x), source.timesteps, -1)
    return [[(int(a), int(t)) for t, a in rng.permutation(np.argwhere(train))] for train in trains]


def simulate(dut: Chain, samples: list[list[tuple[int, int]]], rng: np.random.Generator, *, stalls: float) -> Output:
    """Send samples back to back and collect potentials and classes; every port stalls with that probability."""
    output = Output()
    module = Module()
    module.submodules.dut = dut
    simulator = Simulator(module)
    simulator.add_clock(1e-6)

    async def send(context: SimulatorContext) -> None:
        for sample in samples:
            for address, step in [*sample, (None, None)]:
                while rng.random() < stalls:
                    context.set(dut.i.valid, 0)
                    await context.tick()
                context.set(dut.i.valid, 1)
                payload = {"end": 1} if address is None else {"address": address, "step": step, "end": 0}
                context.set(dut.i.payload, payload)
                await context.tick().until(dut.i.ready)
        context.set(dut.i.valid, 0)

    async def receive(context: SimulatorContext) -> None:
        cycle = 0
        while len(output.classes) < len(samples):
            ready = [rng.random() >= stalls, rng.random() >= stalls]
            context.set(dut.o.ready, ready[0])
            context.set(dut.o_class.ready, ready[1])
            _, _, valid, payload, class_valid, klass = await context.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_class.valid, dut.o_class.payload
            )
            cycle += 1
            assert cycle < 200_000, "the chain hangs"
            if valid and ready[0]:
                output.potentials[-1].append(payload.potential)
                if payload.last:
                    output.potentials.append([])
            if class_valid and ready[1]:
                output.classes.append(klass)
                output.cycles.append(cycle)
        output.potentials.pop()

    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.run()
    return output
