"""The inbox: every event in order, with stalls on both ports; its capacity; a reset in the middle."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, ResetInserter, Signal
from amaranth.sim import Simulator, SimulatorContext
from random_networks import RandomNetwork
from spikeloom import Conv2d
from spikeloom.placing.cores import plan_core
from spikeloom_hw.core.inbox import Inbox
from spikeloom_hw.core.spec import CoreSpec


def inbox(depth: int) -> Inbox:
    layers = RandomNetwork(np.random.default_rng(0), (2, 5, 5)).conv(4, Conv2d((3, 3))).conv(4, Conv2d((3, 3)))
    network = layers.readout(3)
    return Inbox(spec=CoreSpec(network, replace(plan_core(network, 1, width=4), inbox=depth)))


def passed(dut: Inbox, sent: list[int], rates: tuple[float, float], seed: int) -> list[int]:
    """What leaves until all has; both ports move with these chances a cycle."""
    rng, found = np.random.default_rng(seed), []

    async def bench(context: SimulatorContext) -> None:
        at = 0
        offered = False
        while len(found) < len(sent):
            offered = at < len(sent) and (offered or rng.random() < rates[0])
            context.set(dut.i.valid, int(offered))
            context.set(dut.i.payload.as_value(), sent[at] if offered else 0)
            context.set(dut.o.ready, int(rng.random() < rates[1]))
            if context.get(dut.o.valid & dut.o.ready):
                found.append(context.get(dut.o.payload.as_value()))
            if context.get(dut.i.valid & dut.i.ready):
                at, offered = at + 1, False
            await context.tick()

    simulate(dut, bench)
    return found


def simulate(dut: Elaboratable, bench: Callable[[SimulatorContext], Awaitable[None]]) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("depth", [2, 3, 8])
@pytest.mark.parametrize("rates", [(1.0, 1.0), (0.5, 0.9), (0.9, 0.4)])
def test_every_event_leaves_once_in_order(depth: int, rates: tuple[float, float]) -> None:
    dut = inbox(depth)
    size = dut.i.payload.shape().size
    sent = np.random.default_rng(depth).integers(0, 1 << size, 200).tolist()
    assert passed(dut, sent, rates, seed=depth) == sent


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_as_many_events_wait_as_it_is_deep_and_a_reset_forgets_them(depth: int) -> None:
    dut, reset = inbox(depth), Signal()
    taken = []

    async def bench(context: SimulatorContext) -> None:
        context.set(dut.i.valid, 1)
        for _ in range(2):
            taken.append(0)
            for _ in range(depth + 3):
                taken[-1] += context.get(dut.i.ready)
                await context.tick()
            assert context.get(dut.o.valid) == 1
            context.set(reset, 1)
            await context.tick()
            context.set(reset, 0)
            assert context.get(dut.o.valid) == 0

    simulate(ResetInserter(reset)(dut), bench)
    assert taken == [depth, depth]
