"""Measures against brute force: every synaptic operation counted one by one."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from random_networks import RandomNetwork, random_network, random_samples
from spikeloom import Conv2d, Dense, InvalidData, Network, Silent, golden
from spikeloom.encoding import codes_of
from spikeloom.measure import measure, sops


def brute_sops(network: Network, sample: dict[str, np.ndarray]) -> dict[str, int]:
    """Weights added to potentials by the spikes [T, C, H, W] of one sample, each (spike, target neuron) looked at."""
    found = {}
    for connection in network.connections:
        geometry, spikes = connection.geometry, sample[connection.source]
        assert isinstance(geometry, Dense | Conv2d)
        channels, high, wide = spikes.shape[1:]
        target = network.source(connection.target).shape
        count = 0
        for _, c, y, x in np.argwhere(spikes):
            row, column = y // geometry.pool[0], x // geometry.pool[1]
            if row >= high // geometry.pool[0] or column >= wide // geometry.pool[1]:
                continue
            if isinstance(geometry, Dense):
                count += target[0]
                continue
            for o, v, u in itertools.product(*map(range, target)):
                ky = row + geometry.padding[0] - v * geometry.stride[0]
                kx = column + geometry.padding[1] - u * geometry.stride[1]
                same_group = o // (target[0] // geometry.groups) == c // (channels // geometry.groups)
                count += same_group and 0 <= ky < geometry.kernel[0] and 0 <= kx < geometry.kernel[1]
        found[connection.name] = int(count)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_sops_equal_counting_every_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, growths=(1.0, 2.0, 1.5), codes=("plain", "naf"))
    x = random_samples(rng, network, 2)
    trace = golden.run(network, x)
    counted = [brute_sops(network, {name: train[n] for name, train in trace.spikes.items()}) for n in range(2)]
    assert {name: count.tolist() for name, count in sops(network, trace).items()} == {
        name: [sample[name] for sample in counted] for name in counted[0]
    }


@pytest.mark.parametrize("seed", range(10))
def test_measurement_is_the_mean_of_the_trace(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    network = random_network(rng, growths=(1.0, 2.0, 1.5), codes=("plain", "naf"), layers=2)
    x, y = random_samples(rng, network, 9), rng.integers(0, 3, 9)
    trace = golden.run(network, x)
    seen: list[tuple[int, int]] = []
    result = measure(network, x, y, progress=lambda done, total: seen.append((done, total)))
    work = sops(network, trace)
    assert result.samples == 9
    assert seen[-1] == (9, 9)
    assert result.sops == {name: float(count.sum()) / 9 for name, count in work.items()}
    assert result.sops_per_inference == sum(float(count.sum()) for count in work.values()) / 9
    assert result.spikes == {name: float((train != 0).sum()) / 9 for name, train in trace.spikes.items()}
    hidden = [trace.spikes[name] for name in ("l1", "l2")]
    neurons = sum(train[0, 0].size for train in hidden)
    assert result.spikes_per_neuron == sum(int((train != 0).sum()) for train in hidden) / neurons / 9
    classes = trace.accumulated["readout"].reshape(9, -1).argmax(1)
    assert result.accuracy == int((classes == y).sum()) / 9
    assert result.images_per_second > 0


def test_measurement_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    network = random_network(rng, layers=2)
    x = random_samples(rng, network, 7)
    whole = measure(network, x)
    monkeypatch.setattr("spikeloom.golden.values._CHUNK_NEURONS", 1)
    parts = measure(network, x)
    assert (whole.sops, whole.spikes, whole.spikes_per_neuron) == (parts.sops, parts.spikes, parts.spikes_per_neuron)
    assert whole.accuracy is None


def test_a_network_without_hidden_layers_has_no_spikes_per_neuron() -> None:
    rng = np.random.default_rng(3)
    network = RandomNetwork(rng, (1, 2, 2), 3).readout(4)
    x = np.full((1, 1, 2, 2), 255, np.uint8)
    result = measure(network, x)
    assert result.spikes_per_neuron == 0.0
    assert result.spikes == {"input": 12.0}
    assert result.sops == {"to_readout": 48.0}


def test_ties_go_to_the_lowest_class() -> None:
    network = RandomNetwork(np.random.default_rng(4), (1, 1, 1), 1).readout(5)
    x = np.zeros((2, 1, 1, 1), np.uint8)  # potentials are the offsets alone
    lowest = int(network.populations[0].neuron.initial[0].argmax())
    assert measure(network, x, np.array([lowest, lowest])).accuracy == 1.0
    readout = network.populations[0]
    assert isinstance(readout.neuron, Silent)
    none = replace(readout.neuron, initial=np.zeros_like(readout.neuron.initial))
    equal = replace(network, populations=(replace(readout, neuron=none),))
    assert measure(equal, x, np.array([0, 1])).accuracy == 0.5


@pytest.mark.parametrize("growth", [1.0, 2.0, 1.25])
def test_spikes_are_counted_not_weighed(growth: float) -> None:
    rng = np.random.default_rng(6)
    network = RandomNetwork(rng, (1, 4, 4)).dense(6, growth=growth, timesteps=5).readout(2)
    x = random_samples(rng, network, 8)
    trace = golden.run(network, x)
    assert measure(network, x).spikes["l1"] == trace.spikes["l1"].sum() / 8
    assert codes_of(trace.spikes["l1"], growth).sum() >= trace.spikes["l1"].sum()


@pytest.mark.parametrize(
    ("samples", "labels", "expected"),
    [
        (0, None, "Data: must have at least one sample, not none"),
        (3, np.zeros(4, np.int64), "Labels: must be 3 integers, one a sample, not int64 (4,)"),
        (3, np.eye(3, dtype=np.int64), "Labels: must be 3 integers, one a sample, not int64 (3, 3)"),
        (3, np.zeros(3), "Labels: must be 3 integers, one a sample, not float64 (3,)"),
        (3, np.array([0, 12, 2]), "Labels: must lie in 0..2, the model's outputs, not 0..12"),
        (3, np.array([0, -1, 2]), "Labels: must lie in 0..2, the model's outputs, not -1..2"),
    ],
    ids=["no samples", "too many labels", "one-hot labels", "float labels", "no such output", "negative"],
)
def test_data_that_cannot_be_measured_is_refused(samples: int, labels: np.ndarray | None, expected: str) -> None:
    network = RandomNetwork(np.random.default_rng(7), (1, 2, 2)).readout(3)
    with pytest.raises(InvalidData) as error:
        measure(network, np.zeros((samples, 1, 2, 2), np.uint8), labels)
    assert str(error.value) == expected
