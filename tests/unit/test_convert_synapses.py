"""Several connections into one population: one unit of potential, exact residual branches, narrow readouts."""

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from spikeloom import golden
from spikeloom.bounds import potential_bits
from spikeloom.geometry import Conv2d, Diagonal
from spikeloom_convert import convert
from spikeloom_convert.float_network import FloatConnection, FloatLayer
from spikeloom_convert.quantising.synapses import (
    Train,
    common_scales,
    fitted_to_diagonals,
    parts_of,
    potentials,
    rounded,
)
from test_convert_branches import GRAPHS, Graph
from torch import nn


def trains(seed: int = 0) -> dict[str, Train]:
    rng = np.random.default_rng(seed)

    def train(channels: int) -> Train:
        codes = torch.from_numpy(rng.integers(0, 64, (40, channels, 6, 6))).float()
        return Train(codes, torch.from_numpy(rng.uniform(0.01, 0.05, channels)), 63)

    return {"a": train(4), "b": train(3)}


def layer(*incoming: FloatConnection) -> FloatLayer:
    return FloatLayer("c", "Layer 'c'", (5, 6, 6), incoming, np.zeros((5, 1, 1)))


def convolution(source: str, channels: int, size: float) -> FloatConnection:
    weights = np.random.default_rng(channels).normal(size=(5, channels, 3, 3)) * size
    return FloatConnection(source, Conv2d((3, 3), padding=(1, 1)), weights)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_residual_branch_is_added_without_loss(bits: int) -> None:
    bypass = FloatConnection("b", Diagonal((1, 1), 1), np.array([1.0, -0.5, 2.0]))
    both = layer(convolution("a", 4, 0.2), bypass)
    parts = parts_of(both, trains(), 0)
    largest = (1 << (bits - 1)) - 1
    before, shifts = common_scales(parts, 5, largest, shared=False)
    scales, shifts = fitted_to_diagonals(parts, before, shifts, largest, before / 2)
    main, diagonal = rounded(parts, scales, shifts, bits)
    exact = torch.from_numpy(bypass.weights) * trains()["b"].steps
    got = diagonal.weights * 2**diagonal.shift * scales[1:4]
    assert bool(((got - exact).abs() <= 1e-12 * exact.abs()).all())
    assert float(diagonal.weights.abs().max()) <= 127
    assert float(main.weights.abs().max()) <= largest
    assert bool((scales[[0, 4]] == before[[0, 4]]).all())  # channels that it does not reach


def test_connections_of_different_size_are_shifted_to_one_unit() -> None:
    both = layer(convolution("a", 4, 0.02), convolution("b", 3, 1.0))
    parts = parts_of(both, trains(), 0)
    scales, shifts = common_scales(parts, 5, 31, shared=False)
    assert shifts[0] == 0
    assert shifts[1] >= 4
    for item in rounded(parts, scales, shifts, 6):
        off = item.weights * 2.0**item.shift * scales[:, None] - item.part.weights
        assert float(off.square().mean() / item.part.weights.square().mean()) < 0.02
        assert float(item.weights.abs().max()) <= 31


@pytest.mark.parametrize("times", [1, 4, 16, 100])
@pytest.mark.parametrize("shared", [False, True])
def test_no_channel_is_clipped_where_one_connection_is_louder(times: float, shared: bool) -> None:
    first, second = convolution("a", 4, 0.2), convolution("b", 3, 0.2)
    first.weights[0] *= times
    second.weights[1] *= times
    both = layer(first, second)
    parts = parts_of(both, trains(), 0)
    scales, shifts = common_scales(parts, 5, 127, shared=shared)
    made = rounded(parts, scales, shifts, 8)
    wrong = sum(item.error(scales) for item in made)
    silent = sum(item.error(scales) for item in rounded(parts, scales * 1e9, shifts, 8))  # all weights 0
    bound = 1e-3 * silent if not shared else 1e-3 * silent.max()
    assert bool((wrong < bound).all())


def test_weights_of_inputs_that_never_vary_set_no_scale() -> None:
    given = trains()
    given["a"].codes[:, 2] = 0.0
    quiet, loud = convolution("a", 4, 0.2), convolution("a", 4, 0.2)
    loud.weights[:, 2] = np.sign(loud.weights[:, 2]) * 300 * np.abs(loud.weights).max()
    found = []
    for item in (quiet, loud):
        part = parts_of(layer(item), given, 0)
        found.append(common_scales(part, 5, 127, shared=False)[0])
    assert bool((found[1] <= 1.5 * found[0]).all())
    given["a"].codes[:] = 3.0  # where nothing varies, all weights count
    (part,) = parts_of(layer(loud), given, 0)
    assert float(part.weights.abs().amax()) > 100 * float(part.weights.abs().median())


def test_a_batch_norm_behind_dead_neurons_costs_no_accuracy() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 10))
    model[1].bias.data[:3] = -100.0  # never active
    model[3].running_var[:3] = 0.0
    x = pixels(300, 1, 8, 8)
    network = convert(model.eval(), x, timesteps=8, weight_bits=6)
    with torch.no_grad():
        expected = model(torch.from_numpy(x).float() / 255).numpy()
    got = golden.evaluate(network, x) * network.readouts[0].scale
    assert np.square(got - expected).mean() < 5e-3 * expected.var(0).mean()


def test_potentials_are_those_of_all_connections() -> None:
    both = layer(convolution("a", 4, 0.2), FloatConnection("b", Diagonal((1, 1), 1), np.ones(3)))
    connections = rounded(parts_of(both, trains(), 0), torch.full((5,), 0.01), [0, 3], 8)
    potential = potentials(both, connections)
    alone = [potentials(both, [item]) for item in connections]
    assert torch.equal(potential, alone[0] + alone[1])
    assert bool((alone[1][:, [0, 4]] == 0).all())
    low, high = (sum(item.reach[end].min() for item in connections) for end in range(2))
    assert float(low) <= float(potential.min())
    assert float(potential.max()) <= sum(float(item.reach[1].max()) for item in connections)
    assert float(low) <= float(high)


@pytest.mark.parametrize("name", GRAPHS)
def test_branches_come_near_their_model(name: str) -> None:
    layers, connect = GRAPHS[name]
    model = seeded(lambda: Graph(layers(), connect))
    x = pixels(150, 2, 8, 8)
    network = convert(model, x, timesteps=8, weight_bits=8)
    with torch.no_grad():
        result = model(torch.from_numpy(x / 255.0))
    outputs = list(result.values()) if isinstance(result, dict) else result if isinstance(result, tuple) else [result]
    found = golden.evaluate(network, x)
    for readout, expected in zip(network.readouts, outputs, strict=True):
        potentials = found[readout.population] if isinstance(found, dict) else found
        off = potentials * readout.scale - expected.numpy()
        assert np.sqrt((off**2).mean()) < 0.1 * expected.numpy().std(0).mean() + 0.01 * np.abs(expected.numpy()).max()


def test_a_readout_is_no_wider_than_the_hidden_layers_where_that_costs_nothing() -> None:
    model = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
        )
    )
    bright = np.random.default_rng(0).integers(0, 4, (100, 1, 1, 1), dtype=np.uint8)
    network = convert(model, pixels(100, 1, 4, 4) >> bright, timesteps=6, weight_bits=8, seed=1)
    bits = potential_bits(network)
    assert bits["fc4"] <= bits["conv0"]
    assert network.provenance.accuracy["agreement"] >= 0.9
