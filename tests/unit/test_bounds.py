"""Proven bounds: inputs that reach them exactly, and none that pass them on the way."""

import dataclasses

import numpy as np
import pytest
import torch
from random_networks import RandomNetwork, random_network, random_samples
from spikeloom import Connection, Conv2d, Dense, Diagonal, Input, Network, Neuron, Population, Readout, Silent, golden
from spikeloom.bounds import generated, partial_bounds, potential_bits, potential_bounds, signed_bits
from spikeloom.encoding import codes_of, spikes_of
from spikeloom.golden.stepped import Synapses, accumulate, fire, generate, grow
from spikeloom.neuron import train_weights


def alone(connection: Connection, shape: tuple[int, int, int], target: tuple[int, int, int], steps: int) -> Network:
    """One connection from an input to a layer, and a readout behind it, offsets 0."""
    channels, neurons = target[0], int(np.prod(target))
    zero = np.zeros((1, channels), np.int64)
    return Network(
        "alone",
        (Input("input", shape, steps, scale=1.0),),
        (
            Population("layer", target, Neuron(4, 2.0, np.full((1, channels), 7), zero)),
            Population("readout", (1, 1, 1), Silent(np.zeros((1, 1), np.int64))),
        ),
        (connection, Connection("out", "layer", "readout", Dense(), np.ones((1, neurons), np.int8), 2)),
        (Readout("readout", 1.0),),
    )


@pytest.mark.parametrize("steps", [1, 3, 8, 16])
@pytest.mark.parametrize("shift", [0, 3])
def test_an_adversary_reaches_both_bounds_of_a_dense_layer_exactly(steps: int, shift: int) -> None:
    rng = np.random.default_rng([0, steps, shift])
    weights = rng.integers(-31, 32, (5, 12), dtype=np.int8)
    connection = Connection("to_layer", "input", "layer", Dense(), weights, 6, shift)
    network = alone(connection, (3, 2, 2), (5, 1, 1), steps)
    low, high = potential_bounds(network)["layer"]
    full = (weights[:, :] > 0).astype(float), (weights < 0).astype(float)
    for samples, bound in zip(full, (high, low), strict=True):
        reached = golden.run(network, samples.reshape(5, 3, 2, 2)).accumulated["layer"][:, :, 0, 0]
        np.testing.assert_array_equal(np.diagonal(reached), bound)
        assert (low <= reached).all()
        assert (reached <= high).all()


def test_an_adversary_reaches_the_bound_of_a_pooled_convolution_in_its_interior() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-31, 32, (4, 2, 3, 3), dtype=np.int8)
    geometry = Conv2d((3, 3), padding=(1, 1), pool=(2, 2))
    network = alone(Connection("to_layer", "input", "layer", geometry, weights, 6), (2, 6, 6), (4, 3, 3), 4)
    low, high = potential_bounds(network)["layer"]
    for sign, bound in ((1, high), (-1, low)):
        samples = np.repeat(np.repeat(sign * weights > 0, 2, 2), 2, 3).astype(float)
        reached = golden.run(network, samples).accumulated["layer"]
        np.testing.assert_array_equal(reached[range(4), range(4), 1, 1], bound)
        assert (np.abs(reached) <= np.maximum(high, -low).reshape(1, -1, 1, 1)).all()


@pytest.mark.parametrize("growth", [1.0, 2.0])
def test_bound_of_a_hidden_source_counts_its_largest_code(growth: float) -> None:
    rng = np.random.default_rng(2)
    network = RandomNetwork(rng, (1, 2, 2), 2).dense(6, timesteps=5, growth=growth).readout(3)
    fires = dataclasses.replace(network.populations[0].neuron, initial=np.full((1, 6), 10**6))  # always, all
    readout = dataclasses.replace(network.populations[1], neuron=Silent(np.zeros((1, 3), np.int64)))
    network = dataclasses.replace(
        network, populations=(dataclasses.replace(network.populations[0], neuron=fires), readout)
    )
    weights = network.connections[1].weights.astype(np.int64)
    code = 5 if growth == 1.0 else 31
    low, high = potential_bounds(network)["readout"]
    np.testing.assert_array_equal(high, np.maximum(weights, 0).sum(1) * code)
    np.testing.assert_array_equal(low, np.minimum(weights, 0).sum(1) * code)
    assert golden.evaluate(network, np.zeros((1, 1, 2, 2), np.uint8)).tolist() == [(weights.sum(1) * code).tolist()]  # type: ignore[union-attr]


def naf_case(seed: int) -> tuple[Network, np.ndarray]:
    """A dense layer behind an input in minimal-weight code, and every digit's contribution to it [O, events]."""
    rng = np.random.default_rng([8, seed])
    steps, shift = int(rng.integers(1, 6)), int(rng.integers(0, 3))
    weights = rng.integers(-7, 8, (6, 5), dtype=np.int8)
    network = alone(Connection("to_layer", "input", "layer", Dense(), weights, 4, shift), (5, 1, 1), (6, 1, 1), steps)
    source = dataclasses.replace(network.inputs[0], code="naf")
    network = dataclasses.replace(network, inputs=(source,))
    digits = spikes_of(np.arange(1 << steps), steps, "naf") * train_weights(2.0, steps + 1)
    return network, np.einsum("oi,qt->oqit", weights.astype(np.int64) << shift, digits)


@pytest.mark.parametrize("seed", range(20))
def test_the_worst_order_of_minimal_weight_events_reaches_both_partial_bounds(seed: int) -> None:
    network, terms = naf_case(seed)
    low, high = partial_bounds(network)["layer"]
    # every source neuron may send any code, and its events of one sign may all come before the others
    np.testing.assert_array_equal(np.minimum(terms, 0).sum(3).min(1).sum(1), low)
    np.testing.assert_array_equal(np.maximum(terms, 0).sum(3).max(1).sum(1), high)
    least, largest = potential_bounds(network)["layer"]
    np.testing.assert_array_equal(terms.sum(3).min(1).sum(1), least)
    np.testing.assert_array_equal(terms.sum(3).max(1).sum(1), largest)
    assert (low <= least).all()
    assert (largest <= high).all()


@pytest.mark.parametrize("seed", range(20))
def test_potentials_of_the_proven_width_may_wrap_on_the_way_and_end_right(seed: int) -> None:
    network, terms = naf_case(seed)
    bits = max(signed_bits(int(low), int(high)) for low, high in zip(*potential_bounds(network)["layer"], strict=True))
    assert potential_bits(network)["layer"] == max(bits, signed_bits(0, 14))
    half = 1 << (bits - 1)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        codes = rng.integers(0, terms.shape[1], terms.shape[2])
        chosen = terms[:, codes, np.arange(terms.shape[2])]
        potential = np.zeros(len(terms), np.int64)
        for positive in rng.permutation([True, False]):
            for step in np.where((chosen > 0) == positive, chosen, 0).reshape(len(terms), -1).T:
                potential = (potential + step + half) % (2 * half) - half
        np.testing.assert_array_equal(potential, chosen.sum((1, 2)))


def test_partial_bounds_are_those_of_potentials_without_minimal_weight_code() -> None:
    network = random_network(np.random.default_rng(9), growths=(1.0, 2.0, 1.5), layers=3)
    for name, bounds in partial_bounds(network).items():
        np.testing.assert_array_equal(bounds, potential_bounds(network)[name])


@pytest.mark.parametrize("growth", [1.0, 2.0])
def test_an_adversary_reaches_both_bounds_behind_signed_trains(growth: float) -> None:
    rng = np.random.default_rng(11)
    network = RandomNetwork(rng, (1, 2, 3), 3, signed=True).dense(5, growth=growth, timesteps=4, signed=True).readout(4)
    hidden, readout = network.populations
    still = dataclasses.replace(hidden.neuron, initial=np.zeros((1, 5), np.int64))
    zero = dataclasses.replace(readout, neuron=Silent(np.zeros((1, 4), np.int64)))
    network = dataclasses.replace(network, populations=(dataclasses.replace(hidden, neuron=still), zero))
    for sign, bound in zip((-1, 1), potential_bounds(network)["l1"], strict=True):
        samples = sign * np.sign(network.connections[0].weights).reshape(5, 1, 2, 3).astype(float)
        reached = golden.run(network, samples).accumulated["l1"][:, :, 0, 0]
        np.testing.assert_array_equal(np.diagonal(reached), bound)
    low, high = potential_bounds(network)["readout"]
    code = 15 if growth == 2.0 else 4
    np.testing.assert_array_equal(high, abs(network.connections[1].weights.astype(np.int64)).sum(1) * code)
    np.testing.assert_array_equal(low, -high)


@pytest.mark.parametrize("seed", range(60))
def test_generation_stays_in_its_bounds_whatever_thresholds_and_resets_are(seed: int) -> None:
    rng = np.random.default_rng([12, seed])
    signed, hard = bool(rng.integers(2)), bool(rng.integers(2))
    own = {"fire_pos": rng.integers(1, 40, (1, 1)), "reset": None if hard else rng.integers(1, 40, (1, 1))}
    own |= {"fire_neg": -rng.integers(1, 40, (1, 1))} if signed else {}
    growth = float(rng.choice([1.0, 2.0, 1.5, 0.5, 0.75]))
    theta = rng.integers(1, 25, (1, 1))
    neuron = Neuron(
        1, growth, theta, np.zeros((1, 1), np.int64), signed=signed, reset_kind="hard" if hard else "soft", **own
    )
    for steps in range(1, 7):
        neuron = dataclasses.replace(neuron, timesteps=steps)
        low, high = (int(bound[0]) for bound in generated(neuron))
        most = neuron.ceiling * int(theta[0, 0])
        potential = torch.arange(-most if signed else 0, most + 1).reshape(-1, 1, 1, 1)
        for step in range(steps):
            assert low <= int(potential.min())
            assert int(potential.max()) <= high
            _, potential = fire(potential, neuron)
            assert low <= int(potential.min())
            assert int(potential.max()) <= high
            potential = grow(potential, growth) if step < steps - 1 else potential


@pytest.mark.parametrize("growth", [1.5, 1.25, 0.75, 0.5, 1 - 2.0**-6])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_train_that_fires_every_step_reaches_the_bound_of_growths_that_round(growth: float, sign: int) -> None:
    network = RandomNetwork(np.random.default_rng(7), (1, 1, 1), 2).dense(1, timesteps=12, growth=growth).readout(1)
    link = dataclasses.replace(network.connections[1], weights=np.array([[sign * 29]], np.int8))
    readout = dataclasses.replace(network.populations[1], neuron=Silent(np.zeros((1, 1), np.int64)))
    network = dataclasses.replace(
        network, connections=(network.connections[0], link), populations=(network.populations[0], readout)
    )
    low, high = potential_bounds(network)["readout"]
    reached = int(accumulate(torch.ones((1, 12, 1, 1, 1), dtype=torch.int8), growth, Synapses(link)))
    assert ([0], [reached]) == (low.tolist(), high.tolist()) if sign > 0 else ([reached], [0]) == (low, high)


def test_minimal_weight_code_widens_no_potential() -> None:
    network = random_network(np.random.default_rng(10), layers=3, growths=(2.0,), codes=("naf",))
    populations = [
        dataclasses.replace(item, neuron=dataclasses.replace(item.neuron, code="plain"))
        for item in network.populations[:-1]
    ]
    plain = dataclasses.replace(
        network,
        inputs=(dataclasses.replace(network.inputs[0], code="plain"),),
        populations=(*populations, network.populations[-1]),
    )
    assert potential_bits(network) == potential_bits(plain)
    assert [network.largest_code(name) for name in ("input", "l1")] == [plain.largest_code(n) for n in ("input", "l1")]


@pytest.mark.parametrize("seed", range(30))
def test_every_partial_sum_in_any_order_lies_within_the_bounds(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    network = random_network(rng, layers=1)
    trace = golden.run(network, random_samples(rng, network, 4))
    bounds = potential_bounds(network)
    readout, connection = network.populations[-1], network.connections[-1]
    assert isinstance(connection.geometry, Dense)
    growth, steps = network.train(connection.source)
    spikes = trace.spikes[connection.source]
    vertical, horizontal = connection.geometry.pool
    high, wide = spikes.shape[3] // vertical, spikes.shape[4] // horizontal
    weights = connection.weights.astype(np.int64).reshape(readout.shape[0], spikes.shape[2], high, wide)
    for sample in spikes:
        events = [
            event for event in np.argwhere(sample) if event[2] // vertical < high and event[3] // horizontal < wide
        ]
        rng.shuffle(events)
        terms = [
            weights[:, c, y // vertical, x // horizontal] * train_weights(growth, steps)[t] << connection.shift
            for t, c, y, x in events
        ]
        partial = np.cumsum([readout.neuron.initial[0], *terms], 0)
        assert (bounds["readout"][0] <= partial).all()
        assert (partial <= bounds["readout"][1]).all()


@pytest.mark.parametrize("growth", [1.5, 1.25, 1 + 2.0**-6])
@pytest.mark.parametrize("steps", [1, 4, 16])
def test_bounds_hold_for_growths_that_round_on_the_way(growth: float, steps: int) -> None:
    rng = np.random.default_rng(4)
    for sign in (1, -1):
        network = RandomNetwork(rng, (1, 3, 3), 2).dense(8, timesteps=steps, growth=growth).readout(4)
        weights = sign * np.abs(network.connections[1].weights)
        readout = dataclasses.replace(network.connections[1], weights=weights)
        always = dataclasses.replace(network.populations[0].neuron, theta=np.ones((1, 8), np.int64))
        hidden = dataclasses.replace(network.populations[0], neuron=always)
        network = dataclasses.replace(
            network, connections=(network.connections[0], readout), populations=(hidden, network.populations[1])
        )
        low, high = potential_bounds(network)["readout"]
        reached = golden.evaluate(network, random_samples(rng, network, 30))
        assert isinstance(reached, np.ndarray)
        assert (low <= reached).all()
        assert (reached <= high).all()


@pytest.mark.parametrize("growth", [1.0, 2.0, 1.5])
def test_width_holds_the_clamp_where_it_lies_above_the_bound(growth: float) -> None:
    network = RandomNetwork(np.random.default_rng(5), (1, 2, 2), 1).dense(2, growth=growth, timesteps=5).readout(2)
    neuron = dataclasses.replace(network.populations[0].neuron, theta=np.array([[1, 3 << 20]]))
    hidden = dataclasses.replace(network.populations[0], neuron=neuron)
    network = dataclasses.replace(network, populations=(hidden, network.populations[1]))
    ceiling = (5 if growth == 1.0 else 2) * (3 << 20)
    assert potential_bits(network)["l1"] == ceiling.bit_length() + 1
    for potential in (ceiling, 10**9, 3 << 20, (3 << 20) - 1):
        _, left = generate(torch.full((1, 2, 1, 1), potential), neuron)
        assert 0 <= int(left.max()) < 1 << (potential_bits(network)["l1"] - 1)


def test_initial_potentials_count_even_where_they_pull_the_other_way() -> None:
    weights = np.array([[3], [-3]], np.int8)
    connection = Connection("to_layer", "input", "layer", Dense(), weights, 3)
    network = alone(connection, (1, 1, 1), (2, 1, 1), 2)
    neuron = dataclasses.replace(network.populations[0].neuron, initial=np.array([[-5, 5]]))
    hidden = dataclasses.replace(network.populations[0], neuron=neuron)
    network = dataclasses.replace(network, populations=(hidden, network.populations[1]))
    low, high = potential_bounds(network)["layer"]
    assert (low.tolist(), high.tolist()) == ([-5, -9], [9, 5])  # events may come before or after the offset


@pytest.mark.parametrize("growth", [1.5, 1.25, 1 + 2.0**-4])
def test_bounds_hold_for_the_floors_of_a_train_that_fires_every_step(growth: float) -> None:
    for weight in (-1, 1):
        network = RandomNetwork(np.random.default_rng(7), (1, 1, 1), 2).dense(1, timesteps=16, growth=growth).readout(1)
        link = dataclasses.replace(network.connections[1], weights=np.array([[weight]], np.int8))
        readout = dataclasses.replace(network.populations[1], neuron=Silent(np.zeros((1, 1), np.int64)))
        network = dataclasses.replace(
            network, connections=(network.connections[0], link), populations=(network.populations[0], readout)
        )
        low, high = potential_bounds(network)["readout"]
        reached = int(accumulate(torch.ones((1, 16, 1, 1, 1), dtype=torch.int8), growth, Synapses(link)))
        assert low <= reached <= high
        exact = sum(growth**t for t in range(16))
        assert (reached < -exact) if weight < 0 else (reached <= exact)  # floors lead away from zero below it


def test_diagonal_connections_reach_only_the_channels_behind_their_offset() -> None:
    dense = Connection("to_layer", "input", "layer", Dense(), np.zeros((4, 2), np.int8), 2)
    network = alone(dense, (2, 1, 1), (4, 1, 1), 3)
    bypass = Connection("bypass", "input", "layer", Diagonal((1, 1), 1), np.array([5, -6], np.int8), 4, 1)
    low, high = potential_bounds(dataclasses.replace(network, connections=(*network.connections, bypass)))["layer"]
    assert (low.tolist(), high.tolist()) == ([0, 0, -84, 0], [0, 70, 0, 0])


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 1), (0, 1, 2), (-1, 0, 1), (-2, 1, 2), (-3, 0, 3), (0, 127, 8), (-128, 0, 8), (-129, 127, 9), (0, 128, 9)],
)
def test_signed_bits_is_the_smallest_width_that_holds_both_ends(low: int, high: int, bits: int) -> None:
    assert signed_bits(low, high) == bits


def test_bounds_are_exact_integers_computed_once() -> None:
    weights = np.full((1, 1 << 16), 127, np.int8)
    connection = Connection("to_layer", "input", "layer", Dense(), weights, 8)
    network = alone(connection, (1, 256, 256), (1, 1, 1), 16)
    low, high = potential_bounds(network)["layer"]
    assert (low.dtype, high.dtype) == (np.int64, np.int64)
    assert high.tolist() == [127 * 65535 << 16]
    assert network.intervals is network.intervals


def test_codes_never_exceed_the_largest_code_a_bound_is_made_of() -> None:
    rng = np.random.default_rng(6)
    for growth in (1.0, 2.0, 1.5):
        network = RandomNetwork(rng, (1, 3, 3)).dense(20, growth=growth, timesteps=6).readout(1)
        codes = codes_of(golden.run(network, random_samples(rng, network, 20)).spikes["l1"], growth)
        assert codes.max() <= network.largest_code("l1")
