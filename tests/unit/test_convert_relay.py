"""The relay: the same integers with it as without, in exactly the networks whose input the gates cannot keep."""

from dataclasses import replace

import numpy as np
import pytest
from random_graphs import random_graph
from random_networks import RandomNetwork, random_network, random_samples, random_synchronous_network
from spikeloom import Connection, Conv2d, Dense, Diagonal, Network, NotBuilt, golden
from spikeloom.program.gates import require_gates
from spikeloom_convert.folding.relay import needs_relay, with_relay


def same(network: Network, x: np.ndarray) -> Network:
    """The network with its relay, after proof that every spike and potential is the same, in both forms."""
    relayed = with_relay(network)
    before, after = golden.run(network, x), golden.run(relayed, x)
    for field in ("spikes", "accumulated", "remainder"):
        for name, values in getattr(before, field).items():
            np.testing.assert_array_equal(getattr(after, field)[name], values, f"{field} of {name}")
    np.testing.assert_array_equal(after.spikes["relay"], before.spikes["input"])
    assert not after.remainder["relay"].any()
    values = golden.run_values(relayed, x)
    for name, trains in after.spikes.items():
        np.testing.assert_array_equal(values.spikes[name], trains, f"spikes of {name} from values")
    return relayed


@pytest.mark.parametrize("seed", range(12))
def test_a_relay_changes_no_integer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_graph(rng, code=("plain", "naf")[seed % 2])  # a readout hears the input, through max pooling
    network = replace(network, inputs=(replace(network.inputs[0], zero=0.25, code=("plain", "naf")[seed // 2 % 2]),))
    relayed = same(network, random_samples(rng, network, 6))
    assert [item.target for item in relayed.connections if item.source == "input"] == ["relay"]
    assert relayed.inputs == network.inputs
    assert with_relay(relayed) is relayed


def test_a_relay_of_signed_codes_changes_no_integer() -> None:
    rng = np.random.default_rng(0)
    made = RandomNetwork(rng, (2, 4, 4), 5, signed=True).conv(3, Conv2d((3, 3), pool_kind="max")).readout(4)
    same(replace(made, connections=_pooled_first(made)), random_samples(rng, made, 20))


@pytest.mark.parametrize("timesteps", [1, 16])
def test_a_relay_carries_the_shortest_and_the_longest_train(timesteps: int) -> None:
    rng = np.random.default_rng(timesteps)
    made = RandomNetwork(rng, (2, 2, 2), timesteps).layer(Dense((2, 2), pool_kind="max"), (4, 1, 1)).readout(2)
    same(made, rng.random((20, 2, 2, 2)))


def test_networks_that_the_gates_can_feed_stay_as_they_are() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        network = random_network(rng)
        assert with_relay(network) is network
        synchronous = random_synchronous_network(rng)
        assert with_relay(synchronous) is synchronous


@pytest.mark.parametrize("seed", range(20))
def test_there_is_a_relay_exactly_where_the_gates_would_refuse_the_input(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=2)
    if seed % 2:
        network = replace(network, connections=(*network.connections, _beside(rng, network)))
    elif seed % 4:
        network = replace(network, connections=_pooled_first(network))
    assert needs_relay(network) == ("network's input" in _refusal(network))
    assert "network's input" not in _refusal(with_relay(network))


def test_a_relay_takes_a_name_that_is_free() -> None:
    rng = np.random.default_rng(2)
    network = random_network(rng, layers=1)
    first = replace(network.populations[0], name="relay")
    links = (
        replace(network.connections[0], name="relay_2", target="relay"),
        replace(network.connections[1], source="relay"),
        replace(_beside(rng, network), name="more"),
    )
    made = with_relay(replace(network, populations=(first, *network.populations[1:]), connections=links))
    assert [item.name for item in made.populations] == ["relay_3", "relay", "readout"]
    assert made.connections[0].geometry == Diagonal()
    assert made.provenance.notes[-1] == "'relay_3' repeats the input for those who hear it late, twice or pooled"


def _beside(rng: np.random.Generator, network: Network) -> Connection:
    """A connection from the input into the readout."""
    shape = Dense().weight_shape(network.inputs[0].shape, network.source("readout").shape)
    return Connection("beside", "input", "readout", Dense(), rng.integers(-3, 4, shape, dtype=np.int8), 3)


def _pooled_first(network: Network) -> tuple[Connection, ...]:
    """The connections, the first of them through max pooling."""
    first = network.connections[0]
    assert not isinstance(first.geometry, Diagonal)
    return (replace(first, geometry=replace(first.geometry, pool_kind="max")), *network.connections[1:])


def _refusal(network: Network) -> str:
    try:
        require_gates(network)
    except NotBuilt as error:
        return str(error)
    return ""
