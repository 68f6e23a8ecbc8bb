"""Recurrent connections and inputs of a value for every time step, against a reference in plain numpy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_networks import random_recurrent_network, random_sequences
from spikeloom import Conv2d, InvalidData, Network, Neuron, NotBuilt, golden
from spikeloom.bounds import partial_bounds, potential_bits, signed_bits
from spikeloom.encoding import codes_of, encode
from spikeloom.golden.synchronous import Layer, blocks
from spikeloom.measure import measure, sops
from spikeloom.trace import require_equal


@pytest.fixture
def rng() -> np.random.Generator:
    """Fixed, for networks of which any will do."""
    return np.random.default_rng(4)


def fired(potential: np.ndarray, neuron: Neuron) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of potentials [C], and what is left; straight from the definition."""
    above = neuron.theta[0] if neuron.fire_pos is None else neuron.fire_pos[0]
    below = -neuron.theta[0] if neuron.fire_neg is None else neuron.fire_neg[0]
    amount = neuron.theta[0] if neuron.reset is None else neuron.reset[0]
    spikes = (potential >= above) * 1 - (potential <= below) * int(neuron.signed)
    return spikes, np.where(spikes != 0, 0, potential) if neuron.reset_kind == "hard" else potential - spikes * amount


def reference(network: Network, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Potentials before firing, [T, C], of every population, of one sample's codes [T, C]; dense connections only."""
    order = [item.name for item in network.populations]
    left = {item.name: item.neuron.initial[0].copy() for item in network.populations}
    before = {item.name: np.zeros(item.shape[0], np.int64) for item in network.populations}
    found: dict[str, list[np.ndarray]] = {name: [] for name in order}
    for code in codes:
        now = {"input": code.astype(np.int64)}
        for place, population in enumerate(network.populations):
            neuron, potential = population.neuron, left[population.name]
            leak = round((1 - neuron.growth) * 2**15) if neuron.growth < 1 else 0
            potential = potential - np.floor_divide(potential * leak, 2**15)
            if neuron.drive is not None:
                potential = potential + neuron.drive[0]
            for link in network.connections:
                if link.target == population.name:
                    late = link.source in order and order.index(link.source) >= place
                    spikes = (before if late else now)[link.source]
                    potential = potential + (link.weights.astype(np.int64) << link.shift) @ spikes
            found[population.name].append(potential)
            if isinstance(neuron, Neuron):
                now[population.name], potential = fired(potential, neuron)
            left[population.name] = potential
        before = now
    return {name: np.array(steps) for name, steps in found.items()}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_forms_equal_a_loop_in_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_recurrent_network(rng)
    x = random_sequences(rng, network, 3)
    trace = golden.run(network, x)
    require_equal(trace, golden.run_values(network, x))
    source = network.inputs[0]
    codes = encode(source, x)
    steps = codes if source.sequence else np.repeat(codes[:, None], network.timesteps, 1)
    for number, sample in enumerate(steps.reshape(3, network.timesteps, -1)):
        for name, expected in reference(network, sample).items():
            got = trace.accumulated[name][number].reshape(network.timesteps, -1)
            np.testing.assert_array_equal(got, expected, f"seed {seed}, population {name}")
    readout = trace.accumulated["readout"][:, -1].reshape(3, -1)
    np.testing.assert_array_equal(golden.evaluate(network, x), readout)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bounds_hold_and_work_is_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_recurrent_network(rng)
    x = random_sequences(rng, network, 4)
    trace = golden.run(network, x)
    bounds, bits = partial_bounds(network), potential_bits(network)
    for name, potentials in trace.accumulated.items():
        low, high = bounds[name]
        flat = potentials.reshape(4, network.timesteps, -1)
        assert (flat >= low).all(), seed
        assert (flat <= high).all(), seed
        assert signed_bits(int(flat.min()), int(flat.max())) <= bits[name], seed
    measured, counted = measure(network, x), sops(network, trace)
    for link in network.connections:
        events = np.count_nonzero(trace.spikes[link.source].reshape(4, -1), 1)
        np.testing.assert_array_equal(counted[link.name], events * network.source(link.target).shape[0])
        assert measured.sops[link.name] == counted[link.name].mean()
    for name, train in trace.spikes.items():
        assert measured.spikes[name] == np.count_nonzero(train) / 4


def test_a_sequence_is_as_many_trains_one_behind_the_other(rng: np.random.Generator) -> None:
    network = random_recurrent_network(rng, sequence=True)
    source = network.inputs[0]
    x = random_sequences(rng, network, 2)
    train = golden.run(network, x).spikes["input"]
    assert train.shape == (2, network.timesteps * source.steps, *source.shape)
    digits = train.reshape(2 * network.timesteps, source.steps, *source.shape)
    np.testing.assert_array_equal(codes_of(digits, 2.0).reshape(x.shape), encode(source, x).reshape(x.shape))


def test_only_what_recurrence_ties_together_goes_step_by_step(rng: np.random.Generator) -> None:
    network = random_recurrent_network(rng, layers=4, backward=())
    links = {item.name: item for item in network.connections}
    back = replace(links["to_l2"], name="back", source="l3", target="l2")
    shape = network.source("l2").shape[0], network.source("l3").shape[0]
    tied = replace(
        network, connections=(*network.connections, replace(back, weights=np.ones(shape, np.int8), weight_bits=2))
    )
    found = blocks([Layer(tied, item) for item in tied.populations])
    assert [[layer.name for layer in block] for block in found] == [["l1"], ["l2", "l3"], ["l4"], ["readout"]]
    assert [tied.recurrent(item) for item in tied.connections] == [False] * 5 + [True]


def test_samples_of_a_sequence_may_be_grey_images_or_flat(rng: np.random.Generator) -> None:
    network = random_recurrent_network(rng, sequence=True)
    x, steps = random_sequences(rng, network, 3), network.timesteps
    expected = golden.evaluate(network, x)
    for shape in ((3, 1, steps, -1), (3, -1), (3, steps, *network.inputs[0].shape)):
        np.testing.assert_array_equal(golden.evaluate(network, x.reshape(shape)), expected)
    assert golden.evaluate(network, x[:0]).shape == (0, network.populations[-1].shape[0])  # type: ignore[union-attr]


def test_samples_of_another_length_are_refused(rng: np.random.Generator) -> None:
    network = random_recurrent_network(rng, sequence=True)
    steps, values = network.timesteps, network.inputs[0].shape[0]
    with pytest.raises(InvalidData) as error:
        golden.run(network, np.zeros((2, steps + 1, values), np.uint8))
    assert str(error.value) == (
        f"Data for 'input': must be sequences of shape (N, {steps}, {values}) or (N, 1, {steps}, {values}) or "
        f"(N, {steps * values}), not (2, {steps + 1}, {values})"
    )
    x = np.zeros((1, steps, values))
    x[0, -1, -1] = np.nan
    with pytest.raises(InvalidData, match=r"^Data for 'input': must be finite, not NaN or infinite \(1 values\)$"):
        golden.evaluate(network, x)


def test_max_pooling_of_a_sequence_is_refused(rng: np.random.Generator) -> None:
    network = random_recurrent_network(rng, sequence=True, layers=1, backward=())
    first, channels = network.connections[0], network.source("l1").shape[0]
    pooled = Conv2d((1, 1), pool=(1, 2), pool_kind="max")
    weights = np.ones((channels, 1, 1, 1), np.int8)
    changed = replace(
        network,
        inputs=(replace(network.inputs[0], shape=(1, 1, 2)),),
        connections=(replace(first, geometry=pooled, weights=weights, weight_bits=2), *network.connections[1:]),
    )
    with pytest.raises(NotBuilt) as error:
        golden.evaluate(changed, np.zeros((1, network.timesteps, 2), np.uint8))
    assert str(error.value) == "Network 'recurrent': not built yet: connection 'to_l1': max pooling of a sequence"


def test_a_recurrent_network_comes_back_from_its_file(rng: np.random.Generator, tmp_path: Path) -> None:
    for number in range(4):
        network = random_recurrent_network(rng, sequence=number % 2 == 0)
        path = tmp_path / f"{number}.loom"
        network.save(path)
        again = Network.load(path)
        assert again.digest == network.digest
        assert again.inputs == network.inputs
        x = random_sequences(rng, network, 2)
        require_equal(golden.run(network, x), golden.run(again, x))
    constant = replace(network.inputs[0], sequence=0)
    assert (
        replace(network, inputs=(constant,)).digest
        != replace(network, inputs=(replace(constant, sequence=network.timesteps),)).digest
    )
