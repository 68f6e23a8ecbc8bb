"""Raw words become integers by neuron, and events that are no spikes are named."""

from dataclasses import replace

import numpy as np
import pytest
import rtl_networks as networks
from random_networks import random_samples
from rtl_networks import MakeDesign
from spikeloom_sim.capture import Capture, Recorder, Words, lanes_of, pieces_of
from spikeloom_sim.design import Design, Stream
from spikeloom_sim.scoreboard import Verdict, judge
from spikeloom_sim.vectors import Expected, expected, vectors


@pytest.mark.parametrize("bits", [1, 2, 17, 31, 32, 33, 48])
@pytest.mark.parametrize("lanes", [1, 2, 5, 128])
def test_lanes_of_wide_words_are_signed_integers(rng: np.random.Generator, bits: int, lanes: int) -> None:
    values = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (3, lanes))
    recorder = Recorder(pieces_of(lanes * bits))
    for row in values:
        recorder.values.append(sum((int(value) & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(row)))
        recorder.cycles.append(0)
    np.testing.assert_array_equal(lanes_of(recorder.done().words, lanes, bits), values)


def test_captures_survive_their_file(tmp_path) -> None:
    words = Words(np.arange(6, dtype=np.uint32).reshape(2, 3), np.array([4, 9]))
    Capture({"i": words}, {"l1": words}, {}, 17, "hangs").save(tmp_path / "capture.npz")
    again = Capture.load(tmp_path / "capture.npz")
    assert (again.cycles, again.fault, again.retires) == (17, "hangs", {})
    np.testing.assert_array_equal(again.swaps["l1"].words, words.words)
    np.testing.assert_array_equal(again.beats["i"].cycles, words.cycles)


def test_fields_are_packed_and_found_again(rng: np.random.Generator) -> None:
    stream = Stream("s", "v", "r", "p", 12, {"address": (0, 9), "step": (9, 0), "end": (9, 3)})
    address, end = rng.integers(0, 512, 20), rng.integers(0, 8, 20)
    words = stream.pack({"address": address, "end": end})
    np.testing.assert_array_equal(stream.field(words, "address"), address)
    np.testing.assert_array_equal(stream.field(words, "end"), end)
    assert not stream.field(words, "step").any()


def test_vectors_hold_every_spike_once_in_any_order(make_design: MakeDesign, rng: np.random.Generator) -> None:
    design = make_design(networks.registers(), 9)
    x = random_samples(rng, design.network, 5)
    ordered, shuffled = vectors(design, x), vectors(design, x, rng)
    port, trace = design.ports["i"], expected(design, x).trace
    np.testing.assert_array_equal(ordered.stops, shuffled.stops)
    for n in range(5):
        words, mixed = ordered.sample(n), shuffled.sample(n)
        assert (port.field(words, "end") == np.arange(len(words)) // (len(words) - 1 or 1)).all() or len(words) == 1
        assert port.field(mixed, "end")[-1] == 1
        np.testing.assert_array_equal(np.sort(mixed[:-1]), np.sort(words[:-1]))
        train = np.zeros_like(trace.spikes["input"][n].reshape(design.network.inputs[0].timesteps, -1))
        train[port.field(words, "step")[:-1], port.field(words, "address")[:-1]] += 1
        np.testing.assert_array_equal(train.ravel(), trace.spikes["input"][n].ravel())
    assert (ordered.beats != shuffled.beats).any()


def perfect(design: Design, want: Expected) -> Capture:
    """The capture of a design that does what the golden model says."""
    samples = len(want.classes)
    beats = {"i": _beats(vectors(design, np.zeros((samples, *design.network.inputs[0].shape), np.uint8)).beats)}
    swaps, retires = {}, {}
    for core in design.cores:
        rows = _scanned(want.trace.accumulated[core.population], core.groups * core.lanes).reshape(
            samples, core.rows, -1
        )
        swaps[core.name] = Words(_packed(rows, core.bits), np.zeros(samples, np.int64))
        if core.spike is None:
            continue
        left = _scanned(want.trace.remainder[core.population], core.groups * core.lanes)
        slots = left.reshape(-1, core.generate_width)
        retires[core.name] = Words(_packed(slots, core.bits), np.zeros(len(slots), np.int64))
        words = []
        for train in want.trace.spikes[core.population]:
            step, c, y, x = np.nonzero(train)
            words += core.spike.pack({"step": step, "c": c, "y": y, "x": x}).tolist()
            words += core.spike.pack({"end": np.ones(1)}).tolist()
        beats[core.name] = _beats(np.array(words, np.uint64))
    last = np.arange(want.potentials.shape[1]) == want.potentials.shape[1] - 1
    bits = design.manifest["readout"]["potential_bits"]
    low = want.potentials & ((1 << bits) - 1)
    port = design.ports["o"]
    beats["o"] = _beats(port.pack({"potential": low, "last": np.broadcast_to(last, low.shape)}).ravel())
    beats["o_class"] = _beats(want.classes.astype(np.uint64))
    return Capture(beats, swaps, retires)


def _beats(words: np.ndarray) -> Words:
    return Words(words, np.zeros(len(words), np.int64))


def _scanned(neurons: np.ndarray, channels: int) -> np.ndarray:
    """Values in scan order, [N, H*W*channels], of neurons [N, C, H, W]."""
    padded = np.zeros((len(neurons), *neurons.shape[2:], channels), np.int64)
    padded[..., : neurons.shape[1]] = neurons.transpose(0, 2, 3, 1)
    return padded.reshape(len(neurons), -1)


def _packed(values: np.ndarray, bits: int) -> np.ndarray:
    recorder = Recorder(pieces_of(values.shape[-1] * bits))
    for row in values.reshape(-1, values.shape[-1]):
        recorder.values.append(sum((int(value) & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(row)))
    words = np.frombuffer(
        b"".join(value.to_bytes(4 * (recorder.pieces or 0), "little") for value in recorder.values), np.uint32
    )
    return words.reshape(*values.shape[:-1], recorder.pieces)


@pytest.fixture
def seen(make_design: MakeDesign, rng: np.random.Generator) -> tuple[Design, Expected, Capture]:
    """A design of several rows and groups, what is expected of three samples, and exactly that."""
    design = make_design(networks.memories(), 3)
    want = expected(design, random_samples(rng, design.network, 3))
    return design, want, perfect(design, want)


def with_beats(capture: Capture, name: str, words: np.ndarray) -> Capture:
    return replace(capture, beats=capture.beats | {name: _beats(words)})


def test_a_perfect_capture_has_no_mismatch(seen: tuple[Design, Expected, Capture]) -> None:
    assert judge(*seen) == Verdict(0, None)


def test_an_event_sent_twice_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    n, step, c, y, x = np.argwhere(want.trace.spikes["l1"])[0]
    words = capture.beats["l1_l1"].words
    verdict = judge(design, want, with_beats(capture, "l1_l1", np.concatenate([words[:1], words])))
    assert verdict == Verdict(
        1,
        f"sample {n}, population 'l1', spikes: neuron (c={c}, y={y}, x={x}) at time step {step + 1} sent 2 events, "
        "at most one may be",
    )


def test_an_event_out_of_range_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    spike = design.cores[0].spike
    assert spike is not None
    wrong = spike.pack({"c": np.array([5]), "y": np.array([1]), "x": np.array([2])})
    verdict = judge(design, want, with_beats(capture, "l1_l1", np.concatenate([wrong, capture.beats["l1_l1"].words])))
    assert verdict == Verdict(
        1,
        "sample 0, population 'l1', spikes: an event of neuron (c=5, y=1, x=2) at time step 1, but the shape is "
        "(5, 5, 5) and there are 3 time steps",
    )


def test_a_missing_end_mark_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    verdict = judge(design, want, with_beats(capture, "l1_l1", capture.beats["l1_l1"].words[:-1]))
    assert verdict == Verdict(1, "sample 2, population 'l1', end marks: expected 3 in all samples, got 2")


def test_an_event_after_the_last_end_mark_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    words = capture.beats["l1_l1"].words
    verdict = judge(design, want, with_beats(capture, "l1_l1", np.concatenate([words, words[:1]])))
    assert verdict == Verdict(1, "sample 3, population 'l1', spikes: an event after the last end mark")


def test_a_wrong_potential_at_the_port_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    words = capture.beats["o"].words.copy()
    words[5] ^= np.uint64(1)
    value = want.potentials[1, 1]
    verdict = judge(design, want, with_beats(capture, "o", words))
    assert verdict == Verdict(1, f"sample 1, port 'o', output 1: expected {value}, got {value ^ 1}")


def test_a_last_mark_in_the_wrong_place_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    words = capture.beats["o"].words.copy()
    words[6] |= np.uint64(1) << np.uint64(design.ports["o"].fields["last"][0])
    verdict = judge(design, want, with_beats(capture, "o", words))
    assert verdict == Verdict(1, "sample 1, port 'o': 'last' must mark output 3 alone, not outputs [2, 3]")


def test_a_wrong_class_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    wrong = (want.classes + np.array([0, 0, 1])) % 4
    verdict = judge(design, want, with_beats(capture, "o_class", wrong.astype(np.uint64)))
    assert verdict == Verdict(1, f"sample 2, port 'o_class': expected {want.classes[2]}, got {wrong[2]}")


def test_of_two_divergences_the_cause_is_named(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    words = capture.swaps["l1_l1"].words.copy()
    words[0, 0, 0] ^= 1
    value = want.trace.accumulated["l1"][0, 0, 0, 0]
    late = with_beats(
        replace(capture, swaps=capture.swaps | {"l1_l1": Words(words, np.zeros(3, np.int64))}),
        "o_class",
        np.zeros(0, np.uint64),
    )
    verdict = judge(design, want, late)
    wrong_classes = int((want.classes != 0).sum())
    assert verdict == Verdict(
        2 + wrong_classes,
        f"sample 0, population 'l1', neuron (c=0, y=0, x=0), accumulated: expected {value}, got {value ^ 1}",
    )


def test_a_run_that_was_cut_off_says_how_far_it_came(seen: tuple[Design, Expected, Capture]) -> None:
    design, want, capture = seen
    cut = with_beats(capture, "o_class", capture.beats["o_class"].words[:2])
    verdict = judge(design, want, replace(cut, fault="nothing moved for 9 cycles up to cycle 99"))
    assert verdict == Verdict(
        1,
        "sample 2: nothing moved for 9 cycles up to cycle 99 (of 3 samples the input took 3; 'l1' accumulated 3 and "
        "closed 3; 'l2' accumulated 3 and closed 3; 'readout' accumulated 3)",
    )
