"""Potentials step by step end in the golden model's own integers, on networks of every kind."""

from collections.abc import Callable

import numpy as np
import pytest
from deep_shapes import residual_network
from random_networks import RandomNetwork
from recurrent_networks import random_recurrent_network, random_sequences
from spikeloom import Conv2d, Network, golden
from spikeloom.datasets import Data
from spikeloom.neuron import Neuron
from spikeloom_cli.report.course import accumulation, generation
from spikeloom_cli.report.measured import measured
from spikeloom_cli.report.recording import MOST_ROWS, chosen, recorded, spread

Rng = np.random.Generator


def plain(rng: Rng) -> Network:
    return RandomNetwork(rng, (1, 6, 6)).conv(4, Conv2d((3, 3), padding=(1, 1))).dense(9).readout(5)


def mixed(rng: Rng) -> Network:
    builder = RandomNetwork(rng, (1, 6, 6), timesteps=5).conv(4, Conv2d((3, 3), pool=(2, 2)), timesteps=3)
    return builder.dense(9, growth=1.0, timesteps=6).dense(8, growth=1.5).readout(5)


def signed(rng: Rng) -> Network:
    builder = RandomNetwork(rng, (2, 4, 4), signed=True).dense(12, signed=True, thresholds=True)
    return builder.dense(9, code="naf").readout(4)


def max_pooled(rng: Rng) -> Network:
    return RandomNetwork(rng, (1, 8, 8)).conv(4, Conv2d((3, 3), pool=(2, 2), pool_kind="max")).readout(3)


def residual(rng: Rng) -> Network:
    return residual_network(rng, channels=(4, 8), blocks=1, size=8, timesteps=4)


def synchronous(rng: Rng) -> Network:
    return RandomNetwork(rng, (1, 5, 5), schedule="synchronous").dense(9, growth=1.0, drive=True).readout(4)


NETWORKS = (plain, mixed, signed, max_pooled, residual, synchronous)


def samples(network: Network, rng: Rng, count: int) -> np.ndarray:
    if network.inputs[0].signed:
        return rng.uniform(-1, 1, (count, *network.inputs[0].shape)).astype(np.float32)
    return rng.integers(0, 256, (count, *network.inputs[0].shape)).astype(np.uint8)


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_accumulation_ends_in_what_the_golden_model_accumulated(make: Callable[[Rng], Network]) -> None:
    rng = np.random.default_rng(7)
    network = make(rng)
    trace = golden.run(network, samples(network, rng, 3))
    for population in network.populations:
        found = accumulation(network, trace, population.name)
        want = trace.accumulated[population.name]
        assert np.array_equal(found[:, -1], want[:, -1] if network.schedule == "synchronous" else want)


@pytest.mark.parametrize("make", NETWORKS[:-1], ids=lambda make: make.__name__)
def test_generation_fires_where_the_golden_model_fires_and_leaves_what_it_leaves(
    make: Callable[[Rng], Network],
) -> None:
    rng = np.random.default_rng(8)
    network = make(rng)
    trace = golden.run(network, samples(network, rng, 1))
    for population in network.populations:
        if not isinstance(population.neuron, Neuron):
            continue
        channels = np.indices(population.shape)[0].ravel()
        potentials = trace.accumulated[population.name][0].ravel()
        before, left = generation(population.neuron, potentials, channels)
        assert np.array_equal(left, trace.remainder[population.name][0].ravel())
        if population.neuron.code == "plain" and not population.neuron.signed:
            fires = before >= population.neuron.thresholds[0][0][channels, None]
            assert np.array_equal(fires.T, trace.spikes[population.name][0].reshape(len(fires.T), -1) == 1)


def test_potential_after_a_step_is_that_of_a_train_that_ends_there() -> None:
    rng = np.random.default_rng(9)
    network = RandomNetwork(rng, (1, 4, 4), timesteps=4).readout(3)
    x = rng.integers(0, 256, (5, 1, 4, 4)).astype(np.uint8)
    found = accumulation(network, golden.run(network, x), "readout")
    for step in range(4):
        cut = x >> (7 - step) << (7 - step)  # the first bits of every pixel, then nothing
        assert np.array_equal(found[:, step], golden.run(network, cut).accumulated["readout"])


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_last_step_has_the_golden_accuracy(make: Callable[[Rng], Network], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom_cli.report.measured._CHUNK_BYTES", 20_000)  # so that there are several chunks
    rng = np.random.default_rng(10)
    network = make(rng)
    x = samples(network, rng, 40)
    outputs = network.populations[-1].shape[0]
    labels = rng.integers(0, outputs, 40)
    told: dict[str, list[float]] = {}
    result = measured(
        network, Data("x", x, labels), lambda done, total, what: told.setdefault(what, []).append(done / total)
    )
    potentials = golden.evaluate(network, x)
    assert isinstance(potentials, np.ndarray)
    answers = potentials.argmax(1)
    assert np.array_equal(result.answers, answers)
    assert result.accuracy.prefix[-1].accuracy == result.accuracy.accuracy == (answers == labels).mean()
    assert len(result.accuracy.prefix) == accumulation(network, golden.run(network, x[:1]), "readout").shape[1]
    assert result.accuracy.confusion is not None
    assert result.accuracy.confusion.trace() == (answers == labels).sum()
    assert list(told) == ["measuring", "reading out after each time step"]
    assert all(parts == sorted(parts) and parts[-1] == 1 for parts in told.values())


def test_sequences_of_recurrent_networks_are_measured_and_recorded() -> None:
    rng = np.random.default_rng(11)
    network = random_recurrent_network(rng, sequence=True)
    x = random_sequences(rng, network, 6)
    result = measured(network, Data("x", x), lambda *_: None)
    assert (result.accuracy.accuracy, result.accuracy.confusion, result.accuracy.prefix) == (None, None, ())
    sample = recorded(network, Data("x", x), *chosen(result.answers, None)[0])
    assert (sample.label, sample.image, sample.why) == (None, None, "the first sample")
    assert sample.answer == result.answers[0]


def test_right_and_wrong_samples_are_chosen() -> None:
    right, wrong = "the first sample that is read out right", "the first that is read out wrong"
    assert chosen(np.array([1, 2, 3]), np.array([0, 2, 3])) == [(1, right), (0, wrong)]
    assert chosen(np.array([1, 2]), np.array([1, 2])) == [(0, right)]


def test_large_populations_are_thinned_and_the_rest_is_named() -> None:
    rng = np.random.default_rng(12)
    network = residual_network(rng, channels=(4, 8), blocks=3, size=12)
    x = samples(network, rng, 1)
    sample = recorded(network, Data("x", x), 0, "why")
    trace = golden.run(network, x)
    names = [raster.population for raster in sample.rasters]
    assert len(names) == 8
    assert (names[0], names[-1]) == ("input", "l13")
    for raster in sample.rasters:
        flat = trace.spikes[raster.population][0].reshape(6, -1)
        assert np.array_equal(raster.spikes, flat[:, raster.addresses].T)
        assert (raster.total, raster.sent, raster.negative) == (flat.shape[1], np.count_nonzero(flat), 0)
        assert (raster.addresses[0], raster.addresses[-1]) == (0, flat.shape[1] - 1)
        assert len(raster.addresses) == min(MOST_ROWS, flat.shape[1])
    assert [text for text in sample.left_out if text.startswith("population")] == [
        f"population {name}" for name in trace.spikes if name not in names
    ]
    assert f"{576 - MOST_ROWS} of the 576 neurons of {names[1]}" in sample.left_out
    assert [course.population for course in sample.courses] == ["l1", "l13", "readout"]
    assert sample.courses[-1].addresses[0] == sample.answer


def test_negative_spikes_are_counted_apart() -> None:
    rng = np.random.default_rng(13)
    network = signed(rng)
    x = samples(network, rng, 1)
    sent = golden.run(network, x).spikes["input"]
    raster = recorded(network, Data("x", x), 0, "why").rasters[0]
    assert (raster.sent, raster.negative) == (np.count_nonzero(sent), (sent == -1).sum())
    assert 0 < raster.negative < raster.sent


def test_spread_keeps_both_ends() -> None:
    assert spread(list("abc"), 8) == list("abc")
    assert spread(list("abcdefghij"), 4) == list("adgj")
