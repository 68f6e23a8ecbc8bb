"""The golden model on networks with branches: both forms equal, and equal to loops written from the definition."""

from itertools import product

import numpy as np
import pytest
import torch
from random_graphs import RandomGraph, random_graph
from random_networks import random_samples
from spikeloom import Connection, Conv2d, Dense, Diagonal, Network, Neuron, golden
from spikeloom.bounds import potential_bounds
from spikeloom.encoding import codes_of, encode, spikes_of
from spikeloom.golden.synapses import race
from spikeloom.measure import fan_out, measure, sops
from spikeloom.network import Population
from spikeloom.trace import require_equal
from spikeloom.windows import Windows


def pooled(values: np.ndarray, geometry: Dense | Conv2d) -> np.ndarray:
    """Sums or maxima of the windows of values [C, H, W], by loops."""
    (py, px), (channels, height, width) = geometry.pool, values.shape
    (sy, sx), (above, left), (below, right) = (
        geometry.pool_stride or (py, px),
        geometry.pool_ahead,
        geometry.pool_behind,
    )
    rows = range(-above, height + below - py + 1, sy)
    columns = range(-left, width + right - px + 1, sx)
    found = np.zeros((channels, len(rows), len(columns)), object)
    for c, (y, row), (x, column) in product(range(channels), enumerate(rows), enumerate(columns)):
        window = values[c, max(row, 0) : row + py, max(column, 0) : column + px]
        found[c, y, x] = max(window.flat) if geometry.pool_kind == "max" else sum(window.flat)
    return found


def taps(connection: Connection, shape: tuple[int, ...], o: int, y: int, x: int) -> list[tuple[int, tuple[int, ...]]]:
    """(weight, source neuron) of everything a target neuron hears; the source (pooled) has this shape."""
    geometry, weights, found = connection.geometry, connection.weights, []
    if isinstance(geometry, Diagonal):
        c = o - geometry.channel_offset
        inside = 0 <= c < shape[0]
        return [(int(weights[c]), (c, y * geometry.stride[0], x * geometry.stride[1]))] if inside else []
    if isinstance(geometry, Dense):
        return [(int(weights[o].flat[i]), at) for i, at in enumerate(np.ndindex(*shape))]
    per_group, rows = weights.shape[1], len(weights) // geometry.groups
    for c, ky, kx in np.ndindex(*weights.shape[1:]):
        row = y * geometry.stride[0] - geometry.padding[0] + ky
        column = x * geometry.stride[1] - geometry.padding[1] + kx
        if 0 <= row < shape[1] and 0 <= column < shape[2]:
            found.append((int(weights[o, c, ky, kx]), (o // rows * per_group + c, row, column)))
    return found


def border_class(network: Network, population: Population, y: int, x: int) -> int:
    """Number of the class of a place: what its row and its column see of all paddings, in order of appearance."""

    def signature(axis: int, place: int) -> tuple[tuple[int, ...], ...]:
        seen = []
        for item in network.incoming(population.name):
            geometry = item.geometry
            if isinstance(geometry, Conv2d):
                size = pooled(np.zeros(network.source(item.source).shape), geometry).shape[1 + axis]
                first = place * geometry.stride[axis] - geometry.padding[axis]
                seen.append(tuple(k for k in range(geometry.kernel[axis]) if 0 <= first + k < size))
        return tuple(seen)

    rows, columns = (
        list(dict.fromkeys(signature(axis, place) for place in range(population.shape[1 + axis]))) for axis in range(2)
    )
    return rows.index(signature(0, y)) * len(columns) + columns.index(signature(1, x))


def reference(network: Network, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Accumulated potentials of every population for one sample, in plain Python integers."""
    values, found = {"input": encode(network.inputs[0], sample[None])[0].astype(object)}, {}
    for population in network.populations:
        potential = np.zeros(population.shape, object)
        for o, y, x in np.ndindex(potential.shape):
            initial = population.neuron.initial
            total = int(initial[border_class(network, population, y, x) if len(initial) > 1 else 0, o])
            for item in network.incoming(population.name):
                heard = values[item.source]
                if not isinstance(item.geometry, Diagonal):
                    heard = pooled(heard, item.geometry)
                total += sum((w << item.shift) * heard[at] for w, at in taps(item, heard.shape, o, y, x))
            potential[o, y, x] = total
        found[population.name] = potential
        neuron = population.neuron
        if isinstance(neuron, Neuron):
            factor = 1 << (neuron.timesteps - 1) if neuron.growth == 2 else 1
            top = 2 * factor - 1 if neuron.growth == 2 else neuron.timesteps
            theta = neuron.theta[0].astype(object).reshape(-1, 1, 1)
            values[population.name] = np.clip(potential * factor // theta, 0, top)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_potentials_are_what_the_definition_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_graph(rng)
    x = random_samples(rng, network, 2)
    trace = golden.run(network, x)
    for sample in range(2):
        for name, expected in reference(network, x[sample]).items():
            np.testing.assert_array_equal(trace.accumulated[name][sample], expected.astype(np.int64), name)


@pytest.mark.parametrize("growths", [(1.0, 2.0), (1.5, 2.0, 1.0), (1.25,)], ids=str)
@pytest.mark.parametrize("code", ["plain", "naf"])
@pytest.mark.parametrize("seed", range(8))
def test_both_forms_give_the_same_integers(seed: int, growths: tuple[float, ...], code: str) -> None:
    rng = np.random.default_rng(100 + seed)
    network = random_graph(rng, growths=growths, code=code)
    x = random_samples(rng, network, 5)
    trace = golden.run(network, x)
    require_equal(trace, golden.run_values(network, x))
    outputs = golden.evaluate(network, x)
    assert isinstance(outputs, dict)
    for name, potentials in outputs.items():
        np.testing.assert_array_equal(potentials, trace.accumulated[name].reshape(5, -1))
    for name, (low, high) in potential_bounds(network).items():
        accumulated = trace.accumulated[name]
        assert (accumulated >= low.reshape(1, -1, 1, 1)).all()
        assert (accumulated <= high.reshape(1, -1, 1, 1)).all()


@pytest.mark.parametrize("code", ["plain", "naf"])
@pytest.mark.parametrize(
    "windows",
    [
        *(Windows.tiles(size) for size in ((1, 1), (2, 2), (3, 2), (1, 4))),
        Windows((3, 3), (2, 2)),
        Windows((2, 3), (1, 4), (1, 1), (0, 2)),
    ],
    ids=str,
)
def test_the_race_of_growth_2_wins_the_train_of_the_largest_value(windows: Windows, code: str) -> None:
    rng = np.random.default_rng(sum(windows.size))
    values = rng.integers(0, 32, (4, 3, 7, 8)) * (rng.random((4, 3, 7, 8)) < 0.7)
    (above, left), (below, right) = windows.ahead, windows.behind
    edged = np.pad(values, ((0, 0), (0, 0), (above, below), (left, right)), constant_values=-1)
    seen = np.lib.stride_tricks.sliding_window_view(edged, windows.size, (2, 3))
    largest = seen[:, :, :: windows.stride[0], :: windows.stride[1]].max((4, 5))
    assert largest.shape[2:] == windows.outputs(7, 8)
    won = race(torch.from_numpy(spikes_of(values, 5, code)), windows).numpy()
    np.testing.assert_array_equal(won, spikes_of(largest, 5, code))
    np.testing.assert_array_equal(codes_of(won, 2.0), largest)


def test_the_race_of_growth_1_is_the_or_of_its_window_and_the_largest_count() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 6, (4, 3, 6, 6))
    train = torch.from_numpy((counts[:, None] > np.arange(5).reshape(1, -1, 1, 1, 1)).astype(np.int8))
    won = race(train, Windows.tiles((2, 3)))
    windows = train.reshape(4, 5, 3, 3, 2, 2, 3)
    assert torch.equal(won, windows.amax((4, 6)))
    np.testing.assert_array_equal(won.sum(1), counts.reshape(4, 3, 3, 2, 2, 3).max((3, 5)))


def test_max_pooling_does_not_widen_the_potentials() -> None:
    def widest(kind: str) -> int:
        graph = RandomGraph(np.random.default_rng(0), (2, 4, 4))
        graph.add("out", (3, 1, 1), ("input", Dense((2, 2), kind)), fires=False)
        initial = graph.populations[0].neuron.initial[0]
        return int((potential_bounds(graph.network())["out"][1] - np.maximum(initial, 0)).max())

    assert widest("average") == 4 * widest("max")


@pytest.mark.parametrize("seed", range(4))
def test_synaptic_operations_count_the_spikes_behind_max_pooling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_graph(rng, growths=(1.0, 2.0, 1.5))
    x = random_samples(rng, network, 3)
    trace = golden.run(network, x)
    counted, measured = sops(network, trace), measure(network, x)
    for item in network.connections:
        train = torch.from_numpy(trace.spikes[item.source])
        heard = train if getattr(item.geometry, "pool_kind", "") != "max" else race(train, item.geometry.windows)
        assert fan_out(network, item).shape == tuple(heard.shape[2:])
        by_hand = (heard.numpy().sum(1, dtype=np.int64) * fan_out(network, item)).sum((1, 2, 3))
        np.testing.assert_array_equal(counted[item.name], by_hand)
        assert measured.sops[item.name] == pytest.approx(by_hand.mean(), rel=1e-9)


def test_a_network_with_branches_comes_back_as_it_was_saved(tmp_path) -> None:
    network = random_graph(np.random.default_rng(3))
    network.save(tmp_path / "net.loom")
    loaded = Network.load(tmp_path / "net.loom")
    assert loaded.digest == network.digest
    assert [item.geometry for item in loaded.connections] == [item.geometry for item in network.connections]
