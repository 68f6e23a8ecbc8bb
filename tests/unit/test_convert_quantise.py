"""Quantisation: thresholds that round exactly, integers that fit, and networks that do what their floats say."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from convert_models import pixels, random_chain, seeded
from spikeloom import golden
from spikeloom.bounds import potential_bits
from spikeloom.errors import InvalidNetwork
from spikeloom.geometry import Dense
from spikeloom.network import Network
from spikeloom.neuron import Neuron
from spikeloom_convert import convert
from spikeloom_convert.float_network import FloatConnection, FloatLayer
from spikeloom_convert.folding.fold import fold
from spikeloom_convert.quantising.calibrate import RULES
from spikeloom_convert.quantising.quantise_layer import QuantisedLayer, Settings, quantise_layer
from spikeloom_convert.quantising.synapses import Train, absorbed_weights
from spikeloom_convert.reading.trace import trace
from spikeloom_convert.response import Levels
from torch import nn


def neurons(network: Network) -> Sequence[Neuron]:
    return [item.neuron for item in network.populations if isinstance(item.neuron, Neuron)]


def small(*activation: nn.Module) -> nn.Module:
    hidden = activation or (nn.ReLU(),)
    return seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, 12), *hidden, nn.Linear(12, 4)))


def alone(layer: FloatLayer, train: Train, values: torch.Tensor, settings: Settings) -> QuantisedLayer:
    """A first layer quantised by itself, from the activations it hears."""
    shape = train.codes.shape[1:]
    return quantise_layer(
        layer, {"input": (shape[0], shape[1], shape[2])}, {"input": train}, layer.drive({"input": values}), settings
    )


X = pixels(200, 1, 4, 5)


@pytest.mark.parametrize("timesteps", [1, 3, 4, 8, 16])
@pytest.mark.parametrize("weight_bits", [2, 5, 8])
def test_thresholds_of_growth_2_are_multiples_of_two_to_the_t(timesteps: int, weight_bits: int) -> None:
    network = convert(small(), X, timesteps=timesteps, weight_bits=weight_bits)
    for neuron in neurons(network):
        assert bool((neuron.theta % (1 << timesteps) == 0).all())
        assert neuron.timesteps == timesteps
    for connection in network.connections:
        assert int(np.abs(connection.weights.astype(int)).max()) <= (1 << (weight_bits - 1)) - 1


def test_thresholds_of_growth_1_are_even() -> None:
    network = convert(small(), X, timesteps=7, growth=1)
    for neuron in neurons(network):
        assert neuron.growth == 1.0
        assert bool((neuron.theta % 2 == 0).all())


@pytest.mark.parametrize("growth", [1, 2])
def test_codes_are_rounded_potentials_and_not_cut_ones(growth: float) -> None:
    """With rounding, the mean of U_in - U_out over unclipped activations is near 0, not near half a step."""
    model = small()
    network = convert(model, X, timesteps=4, weight_bits=8, growth=growth)
    trace_ = golden.run_values(network, X)
    population = network.populations[0]
    neuron, weights = neurons(network)[0], network.connections[0].weights.astype(np.float64)
    factor = 8 if growth == 2 else 1
    potential = trace_.accumulated[population.name] - neuron.initial[0].reshape(1, -1, 1, 1)
    half = neuron.theta[0] / factor / 2
    bias = neuron.initial[0] - half
    assert bool((half == half.round()).all())
    exact = (potential + bias.reshape(1, -1, 1, 1)) / (2 * half.reshape(1, -1, 1, 1))  # in steps, not rounded
    train = trace_.spikes[population.name].astype(np.int64)
    digits = (1 << np.arange(3, -1, -1)) if growth == 2 else np.ones(4, np.int64)
    code = np.tensordot(train, digits, ((1,), (0,)))
    inside = (exact > -0.5) & (exact < (15 if growth == 2 else 4))
    assert bool((np.abs(code - exact)[inside] <= 0.5).all())
    assert weights.shape == (12, 20)


def test_a_layer_of_integers_is_taken_as_it_is() -> None:
    """Weights, bias and steps that are whole numbers already lose nothing."""
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 16, (300, 6, 1, 1))).float()
    integers = rng.integers(-31, 32, (5, 6)).astype(np.float64)
    integers[:, 0] = 31
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(integers))
        model[0].bias.copy_(torch.tensor([3.0, -5.0, 0.0, 40.0, -100.0]))
    traced = trace(model, codes[:1, :, 0, 0].numpy())
    layer = fold(traced.name, (6, 1, 1), traced.operations).layers[0]
    train = Train(codes, torch.ones(6, dtype=torch.float64), 15)
    for rule in RULES:
        result = alone(layer, train, codes, Settings(4, 6, 2.0, rule))
        weights = result.connections[0].weights
        scale = 31.0 / weights.abs().amax(1)
        assert bool((weights * scale[:, None] == torch.from_numpy(integers)).all())
        assert isinstance(result.neuron, Neuron)
        rounding = result.neuron.theta[0] // 16
        assert ((result.neuron.initial[0] - rounding) * scale.numpy()).tolist() == [3.0, -5.0, 0.0, 40.0, -100.0]


def test_steps_of_the_source_and_its_pooling_go_into_the_weights() -> None:
    model = seeded(lambda: nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), nn.Flatten(),
                                         nn.Linear(24, 2)))  # fmt: skip
    traced = trace(model, np.random.default_rng(0).random((1, 4, 4, 4)))
    network = fold(traced.name, (4, 4, 4), traced.operations)
    steps = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    conv = absorbed_weights(network.layers[0].incoming[0], steps).numpy()
    weights = model[1].weight.numpy(force=True)[:, :, 0, 0] / 4
    assert np.array_equal(conv[:3], weights[:3] * [1.0, 2.0])
    assert np.array_equal(conv[3:], weights[3:] * [4.0, 8.0])
    dense = absorbed_weights(network.layers[1].incoming[0], torch.arange(1.0, 7.0, dtype=torch.float64)).numpy()
    assert np.array_equal(dense, network.layers[1].incoming[0].weights * np.repeat(np.arange(1.0, 7.0), 4))


@pytest.mark.parametrize(
    ("timesteps", "weight_bits", "growth"), [(4, 6, 2), (6, 8, 2), (3, 2, 2), (16, 3, 2), (5, 6, 1)]
)
@pytest.mark.parametrize("clip", [nn.ReLU6(), nn.Hardtanh(0, 0.05)], ids=str)
def test_the_top_code_means_the_clip_and_no_more(
    clip: nn.Hardtanh, timesteps: int, weight_bits: int, growth: int
) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(20, 12), clip, nn.Linear(12, 4)))
    with torch.no_grad():
        model[0].weight.mul_(6 * clip.max_val)  # so that many activations are clipped
    traced = trace(model, np.zeros((1, 20)))
    layer = fold(traced.name, (20, 1, 1), traced.operations).layers[0]
    codes = torch.from_numpy(pixels(300, 20, 1, 1)).float()
    train = Train(codes, torch.full((20,), 1 / 255, dtype=torch.float64), 255)
    for rule in RULES:
        settings = Settings(timesteps, weight_bits, float(growth), rule)
        result = alone(layer, train, codes.double() / 255, settings)
        assert result.train is not None
        top = result.train.steps * settings.top
        assert bool((top <= clip.max_val * (1 + 1e-6)).all())
        assert float(top.max()) > 0.9 * clip.max_val


def test_a_clip_finer_than_a_unit_is_followed_and_its_rounding_error_noted() -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, 3), nn.Hardtanh(0, 1e-3), nn.Linear(3, 2)))
    network = convert(model, X, timesteps=8, input_timesteps=4, weight_bits=2)
    assert any("channels round with an error of up to" in note for note in network.provenance.notes)


def dead(model: nn.Module, *channels: int) -> nn.Module:
    with torch.no_grad():
        for channel in channels:
            model[1].bias[channel] = -1e9
    return model


@pytest.mark.parametrize("growth", [1, 2])
def test_channels_that_never_fire_cost_neither_width_nor_accuracy(growth: int) -> None:
    network = convert(dead(small(), 0, 5), X, timesteps=4, weight_bits=8, growth=growth)
    spikes = golden.run_values(network, X).spikes[network.populations[0].name]
    assert not spikes[:, :, [0, 5]].any()
    assert bool((neurons(network)[0].theta >= 1).all())
    assert max(potential_bits(network).values()) <= 24
    assert network.provenance.accuracy["agreement"] > 0.8


def test_a_layer_that_never_fires_leaves_the_biases() -> None:
    model = dead(small(), *range(12))
    network = convert(model, X)
    potentials = golden.evaluate(network, X)
    bias = model[3].bias.numpy(force=True)
    assert np.allclose(potentials * network.readouts[0].scale, bias, atol=np.abs(bias).max() * 0.05)


@pytest.mark.parametrize("value", [-1e3, 1e3, 1e30, -1e30])
def test_a_huge_hidden_bias_neither_overflows_nor_widens_the_potentials(value: float) -> None:
    model = small()
    with torch.no_grad():
        model[1].bias[1] = value
    network = convert(model, X)
    assert max(potential_bits(network).values()) <= 36
    assert network.provenance.accuracy["agreement"] >= 0.9


def test_a_bias_that_drowns_the_other_outputs_is_refused() -> None:
    model = small()
    with torch.no_grad():
        model[3].bias[1] = -1e9
    with pytest.raises(InvalidNetwork) as error:
        convert(model, X)
    assert str(error.value) == (
        "Layer '3' (Linear): biases must not drown what the outputs say, not 1e+09 against 0.0398; rescale the layer"
    )


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e8])
def test_weights_of_any_size_are_taken(factor: float) -> None:
    model = small()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(factor)
    network = convert(model, X)
    assert max(potential_bits(network).values()) <= 28
    assert network.provenance.accuracy["agreement"] >= (1.0 if factor == 0 else 0.8)


def test_potentials_beyond_every_width_are_refused() -> None:
    model = small()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(1e30)
    with pytest.raises(InvalidNetwork) as error:
        convert(model, X)
    assert str(error.value) == (
        "Layer '3' (Linear): weights and biases must give potentials of at most 48 bits; rescale them"
    )


def test_all_outputs_share_one_scale_that_gives_the_logits() -> None:
    model = small()
    network = convert(model, X, timesteps=8, weight_bits=8)
    logits = golden.evaluate(network, X) * network.readouts[0].scale
    with torch.no_grad():
        expected = model(torch.from_numpy(X / 255.0)).numpy()
    assert float(np.abs(logits - expected).max()) < 0.03 * float(np.ptp(expected))


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_come_near_their_model(seed: int) -> None:
    torch.manual_seed(seed)  # of the layers that are drawn, whatever ran before
    chain, shape = random_chain(np.random.default_rng(100 + seed))
    model = seeded(lambda: chain, seed)
    x = pixels(120, *shape, seed=seed)
    network = convert(model, x, timesteps=8, weight_bits=8)
    with torch.no_grad():
        expected = model(torch.from_numpy(x / 255.0)).numpy()
    logits = golden.evaluate(network, x) * network.readouts[0].scale
    off = np.sqrt(((logits - expected) ** 2).mean())
    assert off < 0.1 * expected.std(0).mean() + 0.01 * np.abs(expected).max()


def test_activities_are_the_mean_events_of_the_golden_model() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 2)))
    for growth in (1, 2):
        network = convert(model, X[:7], timesteps=5, growth=growth)  # so few are all fitted on
        spikes = golden.run_values(network, X[:7]).spikes
        assert network.inputs[0].activity == spikes["input"].sum() / 7
        assert network.populations[0].activity == spikes["conv0"].sum() / 7
        assert network.populations[1].activity == 0.0


@pytest.mark.parametrize(
    ("steps", "worths"), [((12.0, 8.0), (10.0, 8.0)), ((8.8, 8.0), (8.0, 8.0)), ((3.0, 5.0), (3.3, 5.0))]
)
def test_tuned_steps_are_thresholds_whatever_their_codes_are_worth(
    steps: tuple[float, ...], worths: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 16, (400, 16, 1, 1))).double()
    weights = rng.normal(size=(2, 16))
    layer = FloatLayer(
        "l", "Layer 'l'", (2, 1, 1), (FloatConnection("input", Dense(), weights),), np.zeros((2, 1, 1)),
        Levels(steps, worths, 7),
    )  # fmt: skip
    train = Train(codes.float(), torch.ones(16, dtype=torch.float64), 15.0)
    made = alone(layer, train, codes, Settings(3, 8, 2.0, RULES[0]))
    assert made.notes == ()
    assert made.train is not None
    assert made.train.steps.tolist() == list(worths)
    drive = layer.drive({"input": codes})
    wanted = (drive / torch.tensor(steps).reshape(-1, 1, 1)).round().clamp(0, 7)
    assert float((made.train.codes != wanted).double().mean()) < 0.02


@pytest.mark.parametrize("step", [3.0, 7.0, 11.0])
def test_odd_steps_round_exactly(step: float) -> None:
    codes = torch.arange(64, dtype=torch.float64).reshape(64, 1, 1, 1)
    layer = FloatLayer(
        "l", "Layer 'l'", (1, 1, 1), (FloatConnection("input", Dense(), np.ones((1, 1))),), np.zeros((1, 1, 1)),
        Levels((step,), (step,), 7),
    )  # fmt: skip
    train = Train(codes.float(), torch.ones(1, dtype=torch.float64), 63.0)
    made = alone(layer, train, codes, Settings(3, 2, 2.0, RULES[0]))
    assert made.train is not None
    assert made.train.codes.flatten().tolist() == (codes / step).round().clamp(0, 7).flatten().tolist()
