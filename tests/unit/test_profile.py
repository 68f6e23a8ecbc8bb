"""Where events lie: rows and columns of hand-made samples, and of random networks against their traces."""

import dataclasses

import numpy as np
import pytest
import torch
from random_networks import RandomNetwork, random_network, random_samples, random_synchronous_network
from spikeloom import Connection, Conv2d, Dense, Diagonal, InvalidData, Network, Neuron, Population, golden, profile
from spikeloom.golden.synapses import race
from spikeloom.profile import evenly, profiled


def repeated() -> Network:
    """An input of 4 x 5 in two bits, a population that repeats it, and a max pooling readout of that."""
    rng, one = np.random.default_rng(1), np.full((1, 1), 1, np.int64)
    network = RandomNetwork(rng, (1, 4, 5), 2).conv(1, Conv2d((1, 1)), timesteps=2).readout(1, pool=(2, 2))
    same = Population("l1", (1, 4, 5), Neuron(2, 2.0, 2 * one, 0 * one))
    first = Connection("to_l1", "input", "l1", Diagonal(), np.ones(1, np.int8), 2)
    second = dataclasses.replace(network.connections[1], geometry=Dense((2, 2), "max"))
    return dataclasses.replace(network, populations=(same, network.populations[1]), connections=(first, second))


def test_events_are_counted_by_row_and_by_column() -> None:
    codes = np.array(
        [
            [[3, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 2, 1, 0], [0, 0, 0, 0, 3]],
            [[1, 2, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
        ]
    )
    network = profiled(repeated(), (codes[:, None] << 6).astype(np.uint8))
    first, second = network.connections
    assert first.heard == ((2.5, 0.0, 1.0, 1.0), (1.5, 0.5, 0.5, 0.5, 1.5))
    # windows: 3 and 2 (of 2 and 1); 2 (of 1 and 2); the fifth column is in none
    assert second.heard == ((1.5, 0.5), (1.5, 0.5))
    assert network.inputs[0].activity == network.populations[0].activity == 4.5
    assert network.populations[1].activity == 0.0


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_profile_is_the_mean_of_the_trace(seed: int, synchronous: bool) -> None:
    rng = np.random.default_rng([seed, synchronous])
    network = random_synchronous_network(rng) if synchronous else random_network(rng, growths=(1.0, 2.0, 1.5))
    x = random_samples(rng, network, 5)
    spikes = golden.run(network, x).spikes
    seen = profiled(network, x)
    for connection in seen.connections:
        train = spikes[connection.source]
        if (windows := connection.geometry.max_windows) is not None:
            train = race(torch.from_numpy(train), windows).numpy()
        found = np.count_nonzero(train, (0, 1, 2)) / 5
        assert connection.heard == (
            pytest.approx(found.sum(1).tolist(), rel=1e-12),
            pytest.approx(found.sum(0).tolist(), rel=1e-12),
        )
    for item in (*seen.inputs, *seen.populations):
        assert item.activity == (np.count_nonzero(spikes[item.name]) / 5 if item.name in spikes else 0.0)
    np.testing.assert_array_equal(golden.evaluate(seen, x), golden.evaluate(network, x))


def test_no_more_samples_than_needed_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    x = random_samples(np.random.default_rng(2), repeated(), 9)
    monkeypatch.setattr(profile, "SAMPLES", 3)
    assert profiled(repeated(), x).digest == profiled(repeated(), x[[0, 4, 8]]).digest
    assert evenly(np.arange(10), 4).tolist() == [0, 3, 6, 9]


def test_what_would_make_a_file_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x = random_samples(np.random.default_rng(2), repeated(), 2)
    monkeypatch.setattr(profile, "MOST_NUMBERS", 9 + 3)
    first, second = profiled(repeated(), x).connections
    assert [len(part) for part in first.heard] == [4, 5]
    assert second.heard == ((), ())


def test_no_samples_are_refused() -> None:
    with pytest.raises(InvalidData) as error:
        profiled(repeated(), np.zeros((0, 1, 4, 5), np.uint8))
    assert str(error.value) == "Data: must have at least one sample, not none"
