"""Raw words become integers by neuron, and events that are no spikes are named."""

import numpy as np
import pytest
import rtl_networks as networks
from random_networks import random_samples
from spikeloom.placing.cores import plan_core
from spikeloom.program.program import Program
from spikeloom_sim.capture import Capture, Recorder, Words, lanes_of, pieces_of
from spikeloom_sim.design import Stream
from spikeloom_sim.vectors import expected, vectors
from synthetic import described


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


def test_vectors_hold_every_spike_once_in_any_order(rng: np.random.Generator) -> None:
    network = networks.registers()
    design = described(Program(network, (plan_core(network, 0, len(network.populations), width=4),)))
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


def test_where_the_order_is_given_a_neuron_sends_its_steps_one_after_the_other(rng: np.random.Generator) -> None:
    network = networks.memories()
    design = described(Program(network, (plan_core(network, 0, len(network.populations), width=4),)))
    design.manifest["input"]["ordered"] = True
    x = random_samples(rng, network, 3)
    stimulus, port = vectors(design, x, rng), design.ports["i"]
    for n, train in enumerate(expected(design, x).trace.spikes["input"]):
        words = stimulus.sample(n)[:-1]
        y, x_, c, step = np.nonzero(train.transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(port.field(words, "address"), (c * 4 + y) * 4 + x_)
        np.testing.assert_array_equal(port.field(words, "step"), step)
