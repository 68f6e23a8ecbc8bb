"""Raw words become integers by neuron, also where a core runs many layers; what is no spike of it is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network
from spikeloom.placing.cores import plan_core
from spikeloom.program.program import Program
from spikeloom_sim.capture import Capture, Words
from spikeloom_sim.collect import collect
from spikeloom_sim.design import Design
from spikeloom_sim.fuzz.draw import PLAIN, draw_network, draw_program, draw_samples
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import Expected, expected
from synthetic import beats, described, perfect

Seen = tuple[Design, Expected, Capture]


def four_layers() -> Network:
    """Two maps, a dense layer of one row, a readout."""
    network = RandomNetwork(np.random.default_rng(5), (2, 4, 4), 3, "four")
    network.conv(5, Conv2d((2, 2), padding=(1, 1)), timesteps=3)
    network.conv(6, Conv2d((3, 3), groups=1), timesteps=2, growth=1.0)
    return network.dense(7, timesteps=4).readout(4)


def one_core(network: Network) -> Program:
    """All layers on six cells of four lanes."""
    spreads = [(2, 3), (1, 2), (1, 1), (2, 3)]
    return Program(network, (plan_core(network, 0, 4, grid=(2, 3), width=4, spreads=spreads),))


def two_cores(network: Network) -> Program:
    """The first layer on a core of its own, the last alone in registers, two between."""
    return Program(
        network,
        (
            plan_core(network, 0, width=3),
            plan_core(network, 1, 2, grid=(2, 2), width=2, spreads=[(2, 2), (2, 1)]),
            plan_core(network, 3, grid=(1, 2), width=2, spreads=[(1, 1)]),
        ),
    )


def seen_of(program: Program, samples: int = 3, **more_fields: list[int]) -> Seen:
    design = described(program, **more_fields)
    want = expected(design, draw_samples(1, program.network, samples))
    return design, want, perfect(design, want)


@pytest.fixture
def seen() -> Seen:
    """A core of four layers, what is expected of three samples, and exactly that."""
    return seen_of(one_core(four_layers()))


def with_beats(capture: Capture, name: str, words: np.ndarray) -> Capture:
    return replace(capture, beats=capture.beats | {name: beats(words)})


@pytest.mark.parametrize("program", [one_core, two_cores])
def test_a_perfect_capture_is_the_golden_trace(program: Callable[[Network], Program]) -> None:
    design, want, capture = seen_of(program(four_layers()))
    assert judge(design, want, capture) == Verdict(0, None)
    trace = collect(design, capture, 3).trace
    names = ["l1", "l2", "l3", "readout"]
    assert (list(trace.spikes), list(trace.accumulated), list(trace.remainder)) == (names[:3], names, names[:3])


@pytest.mark.parametrize("seed", range(40))
def test_perfect_captures_of_random_cores_have_no_mismatch(seed: int) -> None:
    network = draw_network(seed, kinds=frozenset(PLAIN))  # sweeps are seen in gates only
    assert judge(*seen_of(draw_program(seed, network), 2, negative=[25, 1])) == Verdict(0, None)


def test_every_bit_of_a_potential_counts(seen: Seen) -> None:
    design, want, capture = seen
    core = design.cores[0]
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, layer = int(rng.integers(3)), int(rng.integers(4))
        plan = core.layers[layer]
        c, y, x = (int(rng.integers(size)) for size in plan.shape)
        row, a, b, lane = np.argwhere(plan.neurons == (c * plan.shape[1] + y) * plan.shape[2] + x)[0]
        bit = int(rng.integers(core.bits))
        words = capture.swaps[core.name].words.copy()
        at = int(lane) * core.bits + bit
        words[4 * n + layer, a * 3 + b, row, at // 32] ^= np.uint32(1 << at % 32)
        swaps = {core.name: Words(words, capture.swaps[core.name].cycles)}
        verdict = judge(design, want, replace(capture, swaps=swaps))
        assert verdict.mismatches == 1
        assert verdict.first is not None
        assert verdict.first.startswith(
            f"sample {n}, population '{plan.population}', neuron (c={c}, y={y}, x={x}), accumulated: expected "
        )


def test_a_wrong_remainder_is_named(seen: Seen) -> None:
    design, want, capture = seen
    core = design.cores[0]
    sizes = [len(core.layers[n].scan(core.generate_width)) for n in core.firing]
    words = capture.retires[core.name].words.copy()
    words[sum(sizes) + sizes[0] + 2, 0] ^= 1  # sample 1, l2, third slot, lower half
    verdict = judge(design, want, replace(capture, retires={core.name: Words(words, np.zeros(len(words), np.int64))}))
    c, y, x = np.unravel_index(core.layers[1].scan(core.generate_width)[2, 0], core.layers[1].shape)
    value = want.trace.remainder["l2"][1, c, y, x]
    assert verdict == Verdict(
        1,
        f"sample 1, population 'l2', neuron (c={c}, y={y}, x={x}), remainder: expected {value}, got {value ^ 1}",
    )


def test_missing_remainders_are_named_with_their_layer(seen: Seen) -> None:
    design, want, capture = seen
    core = design.cores[0]
    words = capture.retires[core.name].words
    cut = Words(words[:-1], np.zeros(len(words) - 1, np.int64))
    verdict = judge(design, want, replace(capture, retires={core.name: cut}))
    assert verdict.first is not None
    text = f"population 'l3', words of remainders: expected {len(words)} in all samples, got {len(words) - 1}"
    assert text in verdict.first or "population 'l3', neuron" in verdict.first


def test_a_lost_event_is_named(seen: Seen) -> None:
    design, want, capture = seen
    name, train = design.cores[0].name, want.trace.spikes["l3"]
    ends = np.flatnonzero(design.streams[-1].field(capture.beats[name].words, "end"))
    first = ends[3 * 2 + 1] + 1  # sample 2, l3
    lost = capture.beats[name].words[first]
    verdict = judge(design, want, with_beats(capture, name, np.delete(capture.beats[name].words, first)))
    step, c, y, x = (int(design.streams[-1].field(lost, field)) for field in ("step", "c", "y", "x"))
    assert train[2, step, c, y, x] == 1
    assert verdict == Verdict(
        1,
        f"sample 2, time step {step + 1}, population 'l3', neuron (c={c}, y={y}, x={x}), spikes: expected 1, got 0",
    )


def test_an_event_sent_twice_is_named(seen: Seen) -> None:
    design, want, capture = seen
    name = design.cores[0].name
    words = capture.beats[name].words
    stream = design.streams[-1]
    second = int(np.flatnonzero(stream.field(words, "end"))[0]) + 1  # the first event of l2
    step, c, y, x = (int(stream.field(words[second], field)) for field in ("step", "c", "y", "x"))
    verdict = judge(design, want, with_beats(capture, name, np.insert(words, second, words[second])))
    assert verdict == Verdict(
        1,
        f"sample 0, population 'l2', spikes: neuron (c={c}, y={y}, x={x}) at time step {step + 1} sent 2 events, "
        "at most one may be",
    )


def test_an_event_out_of_range_is_named(seen: Seen) -> None:
    design, want, capture = seen
    stream, name = design.streams[-1], design.cores[0].name
    wrong = stream.pack({"c": np.array([5]), "y": np.array([1]), "x": np.array([2])})
    verdict = judge(design, want, with_beats(capture, name, np.concatenate([wrong, capture.beats[name].words])))
    assert verdict == Verdict(
        1,
        "sample 0, population 'l1', spikes: an event of neuron (c=5, y=1, x=2) at time step 1, but the shape is "
        "(5, 5, 5) and there are 3 time steps",
    )


def test_an_event_of_the_next_layer_before_the_end_mark_is_named(seen: Seen) -> None:
    design, want, capture = seen
    stream, name = design.streams[-1], design.cores[0].name
    words = capture.beats[name].words.copy()
    end = int(np.flatnonzero(stream.field(words, "end"))[0])
    words[[end, end + 1]] = words[[end + 1, end]]
    verdict = judge(design, want, with_beats(capture, name, words))
    assert verdict.mismatches == 2 - int(verdict.first is not None and "sent 2 events" in verdict.first)
    assert verdict.first is not None
    assert "sample 0, " in verdict.first
    assert "population 'l1'" in verdict.first


def test_events_that_are_none_are_left_out() -> None:
    design, want, capture = seen_of(one_core(four_layers()), none=[25, 1])
    stream, name = design.streams[-1], design.cores[0].name
    words = capture.beats[name].words
    none = stream.pack({"c": np.array([7]), "none": np.ones(1)})
    mixed = np.insert(words, [0, 3, 3, len(words)], none)
    assert judge(design, want, with_beats(capture, name, mixed)) == Verdict(0, None)


def test_spikes_of_the_wrong_sign_are_named() -> None:
    design, want, capture = seen_of(one_core(four_layers()), negative=[26, 1])
    stream, name = design.streams[-1], design.cores[0].name
    words = capture.beats[name].words.copy()
    assert judge(design, want, capture) == Verdict(0, None)
    words[0] |= stream.pack({"negative": np.ones(1)})[0]
    step, c, y, x = (int(stream.field(words[0], field)) for field in ("step", "c", "y", "x"))
    assert judge(design, want, with_beats(capture, name, words)) == Verdict(
        1,
        f"sample 0, time step {step + 1}, population 'l1', neuron (c={c}, y={y}, x={x}), spikes: expected 1, got -1",
    )


def test_a_missing_end_mark_is_named(seen: Seen) -> None:
    design, want, capture = seen
    name = design.cores[0].name
    verdict = judge(design, want, with_beats(capture, name, capture.beats[name].words[:-1]))
    assert verdict == Verdict(1, "sample 2, population 'l3', end marks: expected 9 in all samples, got 8")


def test_an_event_after_the_last_end_mark_is_named(seen: Seen) -> None:
    design, want, capture = seen
    words = capture.beats[design.cores[0].name].words
    verdict = judge(design, want, with_beats(capture, design.cores[0].name, np.concatenate([words, words[:1]])))
    assert verdict == Verdict(1, "sample 3, population 'l1', spikes: an event after the last end mark")


def test_a_missing_swap_is_named(seen: Seen) -> None:
    design, want, capture = seen
    name = design.cores[0].name
    swaps = {name: Words(capture.swaps[name].words[:-2], capture.swaps[name].cycles[:-2])}
    verdict = judge(design, want, replace(capture, swaps=swaps))
    lost = int((want.trace.accumulated["l3"][2] != 0).sum() + (want.trace.accumulated["readout"][2] != 0).sum())
    assert verdict.mismatches <= lost + 1
    assert verdict.first is not None
    assert "sample 2, population 'l3', " in verdict.first


def test_a_wrong_potential_at_the_port_is_named(seen: Seen) -> None:
    design, want, capture = seen
    words = capture.beats["o"].words.copy()
    words[5] ^= np.uint64(1)
    value = want.potentials[1, 1]
    verdict = judge(design, want, with_beats(capture, "o", words))
    assert verdict == Verdict(1, f"sample 1, port 'o', output 1: expected {value}, got {value ^ 1}")


def test_a_last_mark_in_the_wrong_place_is_named(seen: Seen) -> None:
    design, want, capture = seen
    words = capture.beats["o"].words.copy()
    words[6] |= np.uint64(1) << np.uint64(design.ports["o"].fields["last"][0])
    verdict = judge(design, want, with_beats(capture, "o", words))
    assert verdict == Verdict(1, "sample 1, port 'o': 'last' must mark output 3 alone, not outputs [2, 3]")


def test_a_wrong_class_is_named(seen: Seen) -> None:
    design, want, capture = seen
    wrong = (want.classes[:, 0] + np.array([0, 0, 1])) % 4
    verdict = judge(design, want, with_beats(capture, "o_class", wrong.astype(np.uint64)))
    assert verdict == Verdict(1, f"sample 2, port 'o_class': expected {want.classes[2, 0]}, got {wrong[2]}")


def test_of_two_divergences_the_cause_is_named(seen: Seen) -> None:
    design, want, capture = seen
    name = design.cores[0].name
    words = capture.swaps[name].words.copy()
    row, a, b, lane = np.argwhere(design.layers[1].neurons == 0)[0]
    assert lane == 0
    words[1, a * 3 + b, row, 0] ^= 1
    value = want.trace.accumulated["l2"][0, 0, 0, 0]
    verdict = judge(
        design,
        want,
        with_beats(
            replace(capture, swaps={name: Words(words, capture.swaps[name].cycles)}), "o_class", words[:0, 0, 0, 0]
        ),
    )
    wrong_classes = int((want.classes != 0).sum())
    initial = design.network.populations[1].neuron.initial[0, 0]
    got = ((value - initial) ^ 1) + initial
    assert verdict == Verdict(
        2 + wrong_classes,
        f"sample 0, population 'l2', neuron (c=0, y=0, x=0), accumulated: expected {value}, got {got}",
    )


def test_a_run_that_was_cut_off_says_how_far_it_came(seen: Seen) -> None:
    design, want, capture = seen
    cut = with_beats(capture, "o_class", capture.beats["o_class"].words[:2])
    swaps = {name: Words(item.words[:-1], item.cycles[:-1]) for name, item in capture.swaps.items()}
    verdict = judge(design, want, replace(cut, swaps=swaps, fault="nothing moved for 9 cycles up to cycle 99"))
    assert verdict == Verdict(
        1,
        "sample 2: nothing moved for 9 cycles up to cycle 99 (of 3 samples the input took 3; 'l1..readout' accumulated "
        "2 and 3 of 4 layers and closed 3)",
    )
