"""Where the cycles go, from captures whose swaps lie where the test put them."""

from dataclasses import replace

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network
from spikeloom.measure import sops
from spikeloom.placing.cores import plan_core
from spikeloom.program.program import Program
from spikeloom_sim.capture import Capture, Words
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.draw import draw_samples
from spikeloom_sim.simulation import CHUNK_BYTES, CHUNK_SAMPLES, chunk_samples
from spikeloom_sim.timing import round_trip, timing
from spikeloom_sim.vectors import expected, vectors
from synthetic import described, perfect


def network_of(size: int = 4) -> Network:
    network = RandomNetwork(np.random.default_rng(5), (2, size, size), 3, "three")
    return network.conv(5, Conv2d((3, 3), padding=(1, 1))).dense(7).readout(4)


def run(design: Design, samples: int, alone: int) -> tuple[np.ndarray, Capture]:
    """Samples of a round trip, and a capture in which phase p of sample s takes 100*(p + 1) + s cycles."""
    order = round_trip(design, samples, alone)
    x = draw_samples(0, design.network, samples)[order]
    capture = perfect(design, expected(design, x))
    swaps, states = {}, {}
    for core in design.cores:
        count = len(core.layers)
        phase = 100 * (np.arange(count) + 1) + order[:, None]
        cycles = np.cumsum(phase.ravel())
        swaps[core.name] = Words(capture.swaps[core.name].words, cycles)
        states[core.name] = np.stack([cycles // 2, cycles * 0, cycles - cycles // 2, cycles * 0], 1)
    stimulus = vectors(design, x)
    ends = np.zeros(len(stimulus.beats), np.int64)
    ends[stimulus.stops - 1] = 1
    sent = replace(capture.beats["i"], words=stimulus.beats, cycles=np.cumsum(ends) * 1000)
    classes = replace(capture.beats["o_class"], cycles=(np.arange(len(order)) + 3) * 1000)
    beats = capture.beats | {"i": sent, "o_class": classes}
    return x, replace(capture, beats=beats, swaps=swaps, states=states)


def test_every_sample_counts_once_in_every_mean() -> None:
    network = network_of()
    program = Program(network, (plan_core(network, 0, 2, width=4), plan_core(network, 2, width=2)))
    design = described(program)
    x, capture = run(design, 5, 2)
    trace = expected(design, x[2:7]).trace
    found = timing(design, vectors(design, x), capture, expected(design, x).trace, 2)
    assert found.initiation_interval_cycles == 1000
    assert found.latency_cycles is not None
    work = sops(network, trace)
    first, second, last = (work[item.name].mean() for item in network.connections)
    assert found.lower_bound_cycles is not None
    np.testing.assert_allclose(found.lower_bound_cycles, [(first + second) / 4, last / 2])
    assert found.cycles_by_layer(design) == {"l1": 102.0, "l2": 202.0, "readout": 102.0}
    breakdown = found.breakdown(design)
    assert breakdown is not None
    assert list(breakdown) == [core.name for core in design.cores]
    whole = [sum(states.values()) for states in breakdown.values()]
    assert whole == [304.0, 102.0]
    assert found.cycles_by_layer(design) == (found + found).cycles_by_layer(design)


def test_a_design_that_does_not_show_its_states_has_no_breakdown() -> None:
    network = network_of()
    design = described(Program(network, (plan_core(network, 0, 3, width=4),)))
    blind = replace(design, cores=tuple(replace(core, states=()) for core in design.cores))
    x, capture = run(blind, 3, 1)
    seen = replace(capture, states={})
    assert timing(blind, vectors(blind, x), seen, expected(blind, x).trace, 1).breakdown(blind) is None


def test_large_banks_are_captured_a_few_samples_at_once() -> None:
    small, large = network_of(), network_of(64)
    sizes = []
    for network in (small, large):
        design = described(Program(network, (plan_core(network, 0, 3, width=4),)))
        sizes.append(chunk_samples(design))
        core = design.cores[0]
        assert sizes[-1] * len(core.layers) * core.rows * -(-core.row_bits // 32) * 4 <= CHUNK_BYTES
    assert sizes[0] == CHUNK_SAMPLES
    assert 8 <= sizes[1] < CHUNK_SAMPLES
