"""The synchronous schedule: both its forms against each other and against loops in Python, and bounds that hold."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_graphs import RandomGraph
from random_networks import RandomNetwork, random_samples, random_synchronous_network
from spikeloom import Conv2d, Dense, Diagonal, Input, Network, Neuron, Readout, Trace, golden
from spikeloom.bounds import partial_bounds, potential_bits, potential_bounds, signed_bits
from spikeloom.encoding import codes_of, encode
from spikeloom.measure import measure, sops
from spikeloom.trace import first_divergence, require_equal

GROWTHS = (1.0, 1.0, 2.0, 1.5, 0.5, 0.75, 1 - 2.0**-5)


def matrices(network: Network) -> dict[str, np.ndarray]:
    """Every connection as a matrix of Python integers [targets, sources], from what PyTorch's layers do to units."""
    found = {}
    for connection in network.connections:
        shape, geometry = network.source(connection.source).shape, connection.geometry
        units = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
        weights = torch.tensor(connection.weights, dtype=torch.float64)
        pooled = F.avg_pool2d(units, geometry.pool) * geometry.pool[0] * geometry.pool[1]  # type: ignore[union-attr]
        if isinstance(geometry, Conv2d):
            out = F.conv2d(pooled, weights, None, geometry.stride, geometry.padding, 1, geometry.groups)
        else:
            out = F.linear(pooled.flatten(1), weights)
        whole = out.flatten(1).round().numpy().astype(int).T.astype(object)
        found[connection.name] = whole << connection.shift
    return found


def grow(potential: int, growth: float) -> int:
    part = potential * int(abs(growth - 1) * 2**15) // 2**15
    return potential + part if growth > 1 else potential - part


def step(potential: int, neuron: Neuron, channel: int) -> tuple[int, int]:
    """What one neuron sends in a time step, and the potential it keeps; straight from the definition."""
    theta, positive, negative, amount, gamma = (
        None if vector is None else int(vector[0, channel])
        for vector in (neuron.theta, neuron.fire_pos, neuron.fire_neg, neuron.reset, neuron.step_gamma)
    )
    assert theta is not None
    positive = theta if positive is None else positive
    if gamma is not None:
        if potential <= positive:
            return 0, potential
        return min((potential - positive + gamma) * 2 ** (neuron.step_bits - 1) // theta, 2**neuron.step_bits - 1), 0
    sign = 1 if potential >= positive else 0
    if neuron.signed and not sign and potential <= (-theta if negative is None else negative):
        sign = -1
    if neuron.reset_kind == "hard":
        return sign, 0 if sign else potential
    return sign, potential - sign * (theta if amount is None else amount)


def reference(network: Network, sample: np.ndarray) -> dict[str, list[list[int]]]:
    """Potentials before firing and values sent in every time step, flat, in plain Python integers."""
    source, linked = network.inputs[0], matrices(network)
    code = encode(source, sample[None])[0].ravel().astype(object)
    left = {
        item.name: [
            int(item.neuron.initial[0, n // (item.shape[1] * item.shape[2])]) for n in range(np.prod(item.shape))
        ]
        for item in network.populations
    }
    found: dict[str, list[list[int]]] = {}
    for _ in range(network.timesteps):
        sent = {source.name: code}
        for item in network.populations:
            neuron, size = item.neuron, item.shape[1] * item.shape[2]
            heard = sum(linked[link.name] @ sent[link.source] for link in network.incoming(item.name))
            values = []
            for n, potential in enumerate(left[item.name]):
                potential = grow(potential, neuron.growth) + int(heard[n])
                if neuron.drive is not None:
                    potential += int(neuron.drive[0, n // size])
                left[item.name][n] = potential
                if isinstance(neuron, Neuron):
                    values.append(step(potential, neuron, n // size))
            found.setdefault(f"{item.name} accumulated", []).append(list(left[item.name]))
            if isinstance(neuron, Neuron):
                sent[item.name] = np.array([value for value, _ in values], object)
                left[item.name] = [kept for _, kept in values]
                found.setdefault(f"{item.name} sent", []).append([value for value, _ in values])
                found[f"{item.name} remainder"] = [left[item.name]]
    return found


def values_sent(network: Network, trace: Trace, name: str) -> np.ndarray:
    """Values of the spikes of every time step, [N, T, C, H, W]: +-1, or codes of graded spikes."""
    spikes = trace.spikes[name]
    neuron = network.sender(name)
    assert isinstance(neuron, Neuron)
    if not neuron.step_bits:
        return spikes
    digits = spikes.reshape(len(spikes) * network.timesteps, neuron.step_bits, *spikes.shape[2:])
    return codes_of(digits, 2.0).reshape(len(spikes), network.timesteps, *spikes.shape[2:])


@pytest.mark.parametrize("block", range(4))
def test_both_forms_equal_loops_over_single_neurons(block: int) -> None:
    for seed in range(block * 15, block * 15 + 15):
        rng = np.random.default_rng([1, seed])
        network = random_synchronous_network(rng, growths=GROWTHS if seed % 2 else (1.0,))
        x = random_samples(rng, network, 3)
        trace = golden.run(network, x)
        require_equal(trace, golden.run_values(network, x))
        for number, sample in enumerate(x):
            expected = reference(network, sample)
            for item in network.populations:
                shape = (network.timesteps, *item.shape)
                got = {f"{item.name} accumulated": trace.accumulated[item.name][number]}
                if isinstance(item.neuron, Neuron):
                    got[f"{item.name} sent"] = values_sent(network, trace, item.name)[number]
                    got[f"{item.name} remainder"] = trace.remainder[item.name][number][None]
                for name, integers in got.items():
                    want = np.array(expected[name], np.int64).reshape(-1, *shape[1:])
                    np.testing.assert_array_equal(integers, want, err_msg=f"seed {seed}, {name}")


@pytest.mark.parametrize("shift", [0, 8, 12, 15])
@pytest.mark.parametrize("growth", [1.0, 0.75, 1.5])
def test_potentials_wider_than_a_float32_holds_are_exact(shift: int, growth: float) -> None:
    rng = np.random.default_rng([8, shift])
    layers = RandomNetwork(rng, (1, 1, 16), 8, schedule="synchronous")
    options: dict[str, Any] = {"timesteps": 6, "weight_bits": 8, "growth": growth}
    layers.dense(12, **options, shift=shift, drive=True).dense(9, **options, step_bits=12, shift=shift)
    network = layers.dense(9, **options, signed=True, thresholds=True).readout(4, shift=shift, weight_bits=8)
    x = random_samples(rng, network, 20)
    require_equal(golden.run(network, x), golden.run_values(network, x))


@pytest.mark.parametrize("threshold", [-(1 << 40) + 1, (1 << 40) + 1])
def test_graded_spikes_with_thresholds_far_from_their_potentials_are_exact(threshold: int) -> None:
    rng = np.random.default_rng(9)
    layers = RandomNetwork(rng, (1, 1, 16), 8, schedule="synchronous").dense(5, timesteps=3, step_bits=16)
    network = layers.readout(4)
    own: dict[str, Any] = {"fire_pos": np.full((1, 5), threshold), "theta": np.full((1, 5), (1 << 41) + 3)}
    hidden = network.populations[0]
    hidden = dataclasses.replace(hidden, neuron=dataclasses.replace(hidden.neuron, **own))  # type: ignore[arg-type]
    network = dataclasses.replace(network, populations=(hidden, network.populations[1]))
    x = random_samples(rng, network, 20)
    trace = golden.run(network, x)
    require_equal(trace, golden.run_values(network, x))
    assert trace.spikes["l1"].any() == (threshold < 0)


@pytest.mark.parametrize("seed", range(40))
def test_every_potential_lies_in_its_bounds_and_its_bits(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    network = random_synchronous_network(rng, growths=GROWTHS)
    trace = golden.run_values(network, random_samples(rng, network, 20))
    for name, (low, high) in potential_bounds(network).items():
        half = 1 << (potential_bits(network)[name] - 1)
        for potentials in (trace.accumulated[name], trace.remainder.get(name, trace.accumulated[name])):
            axes = tuple(axis for axis in range(potentials.ndim) if axis != potentials.ndim - 3)
            assert (low <= potentials.min(axes)).all()
            assert (potentials.max(axes) <= high).all()
            assert -half <= potentials.min()
            assert potentials.max() < half


@pytest.mark.parametrize(
    ("own", "largest"),
    [
        ({"theta": 1 << 20, "fire_pos": 5}, 2 << 20),
        ({"theta": 5, "fire_pos": -(1 << 18)}, 1 << 18),
        ({"theta": 5, "step_gamma": (1 << 22) + 99}, 1 << 22),
        ({"theta": 3, "step_gamma": None, "step_bits": 0, "fire_pos": 1 << 25}, 1 << 25),
        ({"theta": 3, "step_gamma": None, "step_bits": 0, "reset_kind": "soft", "reset": 1 << 26}, 1 << 26),
    ],
)
def test_width_holds_what_potentials_are_compared_with_and_divided_by(own: dict[str, Any], largest: int) -> None:
    layers = RandomNetwork(np.random.default_rng(11), (1, 1, 2), 2, schedule="synchronous")
    network = layers.dense(1, timesteps=2, step_bits=4, weight_bits=2).readout(1)
    numbers = {name: np.array([[own[name]]]) for name in own.keys() & {"theta", "fire_pos", "reset"}}
    if own.get("step_gamma"):
        numbers["step_gamma"] = np.array([[own["step_gamma"]]])
    changes: dict[str, Any] = {**own, **numbers, "initial": np.zeros((1, 1), np.int64)}
    neuron = dataclasses.replace(network.populations[0].neuron, **changes)  # type: ignore[arg-type]
    hidden = dataclasses.replace(network.populations[0], neuron=neuron)
    network = dataclasses.replace(network, populations=(hidden, network.populations[1]))
    assert potential_bits(network)["l1"] == signed_bits(0, largest)


def test_an_input_of_every_extreme_reaches_the_bounds_of_a_layer_that_never_fires() -> None:
    rng = np.random.default_rng(3)
    layers = RandomNetwork(rng, (1, 2, 3), 3, schedule="synchronous").dense(5, timesteps=4, drive=True)
    network = layers.dense(2, timesteps=4).readout(2)
    hidden = network.populations[0]
    neuron = dataclasses.replace(hidden.neuron, theta=np.full((1, 5), 10**6), initial=np.zeros((1, 5), np.int64))
    network = dataclasses.replace(
        network, populations=(dataclasses.replace(hidden, neuron=neuron), *network.populations[1:])
    )
    weights = network.connections[0].weights.reshape(5, 1, 2, 3)
    low, high = potential_bounds(network)["l1"]
    drive = network.populations[0].neuron.drive[0]  # type: ignore[index]
    most = golden.run(network, (weights > 0).astype(float)).accumulated["l1"][:, -1, :, 0, 0].diagonal()
    least = golden.run(network, (weights < 0).astype(float)).accumulated["l1"][:, -1, :, 0, 0].diagonal()
    assert (most[drive >= 0] == high[drive >= 0]).all()
    assert (least[drive <= 0] == low[drive <= 0]).all()


def test_partial_bounds_are_wider_for_minimal_weight_code_of_the_input() -> None:
    layers = RandomNetwork(np.random.default_rng(4), (1, 2, 3), 4, "net", "naf", schedule="synchronous")
    network = layers.dense(5, timesteps=3).readout(2)
    (low, high), (least, largest) = potential_bounds(network)["l1"], partial_bounds(network)["l1"]
    assert (least <= low).all()
    assert (largest >= high).all()
    assert (largest > high).any()


def test_measures_count_the_input_once_and_every_spike_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    network = RandomNetwork(rng, (1, 4, 4), 4, schedule="synchronous").dense(8, timesteps=5, signed=True).readout(3)
    x = random_samples(rng, network, 9)
    trace = golden.run(network, x)
    events = {name: np.count_nonzero(spikes) for name, spikes in trace.spikes.items()}
    result = measure(network, x, rng.integers(0, 3, 9))
    assert result.spikes == {name: count / 9 for name, count in events.items()}
    assert result.sops == {"to_l1": events["input"] * 8 / 9, "to_readout": events["l1"] * 3 / 9}
    assert {name: int(count.sum()) for name, count in sops(network, trace).items()} == {
        "to_l1": events["input"] * 8,
        "to_readout": events["l1"] * 3,
    }
    outputs = golden.evaluate(network, x)
    np.testing.assert_array_equal(outputs, trace.accumulated["readout"][:, -1, :, 0, 0])
    monkeypatch.setattr("spikeloom.golden.values._CHUNK_NEURONS", 1)
    np.testing.assert_array_equal(golden.evaluate(network, x), outputs)
    require_equal(trace, golden.run_values(network, x))


@pytest.mark.parametrize("seed", range(12))
def test_branches_border_classes_and_max_pooling_of_the_input_run_in_both_forms(seed: int) -> None:
    rng = np.random.default_rng([10, seed])
    pool = Conv2d((3, 3), padding=(1, 1), pool=(2, 2), pool_kind="max")
    same = Conv2d((3, 3), padding=(1, 1))
    drive = rng.integers(-300, 300, (9, 3))
    graph = RandomGraph(rng, (3, 9, 8), 5, "graph")
    graph.add("first", (3, 4, 4), ("input", pool), classes=9, growth=1.0, drive=drive, signed=bool(seed % 2))
    branch = Diagonal((2, 2), 1)
    graph.add("second", (5, 2, 2), ("first", branch), ("first", Conv2d((2, 2), (2, 2))), growth=0.75)
    graph.add("third", (3, 4, 4), ("first", Diagonal()), ("first", same), ("input", pool), classes=9, growth=1.0)
    graph.add("readout", (4, 1, 1), ("second", Dense()), ("third", Dense((2, 2))), fires=False)
    network = Network(
        "graph",
        (Input("input", (3, 9, 8), 5, scale=1.0),),
        tuple(graph.populations),
        tuple(graph.connections),
        (Readout("readout", 1.0),),
        "synchronous",
    )
    x = random_samples(rng, network, 6)
    trace = golden.run(network, x)
    require_equal(trace, golden.run_values(network, x))
    silence = golden.run(network, np.zeros_like(x)).accumulated["first"]
    classes = np.array([0, 1, 1, 2])
    initial = graph.populations[0].neuron.initial
    for y, column in np.ndindex(4, 4):
        row = classes[y] * 3 + classes[column]
        np.testing.assert_array_equal(silence[0, 0, :, y, column], initial[row] + drive[row])


def test_no_samples_give_empty_traces() -> None:
    layers = RandomNetwork(np.random.default_rng(6), (1, 4, 4), 4, schedule="synchronous")
    network = layers.dense(8, timesteps=5).dense(4, timesteps=5, step_bits=3).readout(3)
    trace = golden.run(network, np.zeros((0, 1, 4, 4), np.uint8))
    assert {name: spikes.shape for name, spikes in trace.spikes.items()} == {
        "input": (0, 4, 1, 4, 4),
        "l1": (0, 5, 8, 1, 1),
        "l2": (0, 15, 4, 1, 1),
    }
    assert trace.accumulated["readout"].shape == (0, 5, 3, 1, 1)
    require_equal(trace, golden.run_values(network, np.zeros((0, 1, 4, 4), np.uint8)))


def test_the_first_divergence_of_a_population_is_that_of_the_earliest_time_step() -> None:
    rng = np.random.default_rng(7)
    network = RandomNetwork(rng, (1, 2, 2), 4, schedule="synchronous").dense(3, timesteps=4, step_bits=2).readout(2)
    trace = golden.run(network, random_samples(rng, network, 2))
    spikes, potentials = trace.spikes["l1"].copy(), trace.accumulated["l1"].copy()
    spikes[1, 3, 2] += 1  # second digit of the second time step
    potentials[1, 2, 1] += 5
    got = Trace({"l1": spikes}, {"l1": potentials}, {"l1": trace.remainder["l1"] + 1})
    expected = int(trace.remainder["l1"][0, 0, 0, 0])
    assert first_divergence(trace, got) == (
        f"sample 0, population 'l1', neuron (c=0, y=0, x=0), remainder: expected {expected}, got {expected + 1}"
    )
    got = Trace({"l1": spikes}, {"l1": potentials})
    value = int(spikes[1, 3, 2, 0, 0])
    assert first_divergence(trace, got) == (
        f"sample 1, time step 4, population 'l1', neuron (c=2, y=0, x=0), spikes: expected {value - 1}, got {value}"
    )
