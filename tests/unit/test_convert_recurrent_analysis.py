"""Recurrent networks layer by layer: the float twin is the appendix's, integers are the golden model's, sums add up."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from spikeloom import Network, golden
from spikeloom.encoding import encode
from spikeloom.golden import forward
from spikeloom.measure import measure
from spikeloom_convert.analysis.attribution import VARIANTS, outputs
from spikeloom_convert.analysis.float_snn import FloatSNN, float_snn
from spikeloom_convert.analysis.layers import analyse, integer_values
from spikeloom_convert.float_network import INPUT
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.samples import Samples
from test_convert_recurrent import STEPS, by_hand, converted, model, sequences
from torch import nn

X, Y = sequences(80), np.random.default_rng(0).integers(0, 4, 80)
LAYERS = ["input", "recur0", "recur1", "linear3"]


def seen(network: Network, x: np.ndarray) -> torch.Tensor:
    """What the input's codes stand for, float64 [N, T, C, 1, 1]."""
    source = network.inputs[0]
    return torch.from_numpy(encode(source, x).astype(np.float64)) * source.scale + source.zero


def twin_of(trained: nn.Module, network: Network) -> FloatSNN:
    return float_snn(prepare(trained, Samples(X, None), None, None).network, network)


def values_of(network: Network, x: np.ndarray) -> Mapping[str, torch.Tensor]:
    chunks = list(forward(network, x, lambda _, activities: integer_values(network, activities)))
    return {name: torch.cat([chunk[name] for chunk in chunks]).double() for name in chunks[0]}


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_float_twin_fires_as_the_appendix_says(tau: float, shift: bool) -> None:
    trained = model(tau=tau).double()
    network = converted(trained, X, options={"shift": shift}, input_timesteps=8)
    x = seen(network, X)
    found = twin_of(trained, network).values(x)
    assert found["recur0"].shape == (len(X), STEPS, 12, 1, 1)
    expected = by_hand(trained, x.reshape(X.shape).numpy() * 255, spikes=True, rounded=shift)
    np.testing.assert_allclose(found["linear3"].flatten(1).numpy(), expected, atol=1e-9)


def test_a_layer_alone_fires_in_the_place_of_the_models() -> None:
    trained = model().double()
    network = converted(trained, X)
    twin, x = twin_of(trained, network), torch.from_numpy(X / 255.0)[..., None, None]
    exact = {INPUT: x} | {layer.name: twin.network.sent(layer, drive) for layer, drive in twin.network.walk(x)}
    for number, layer in enumerate(twin.network.layers):
        sent = twin.fire(layer, exact)
        single = [*trained[:number], Spiking(trained[number]), *trained[number + 1 :]] if layer.fires else trained
        expected = nn.Sequential(*single)(x[..., 0, 0])
        got = outputs(twin.network, exact, {layer.name: sent})[0].flatten(1)
        np.testing.assert_allclose(got.numpy(), expected.detach().numpy(), atol=1e-9)


class Spiking(nn.Module):
    """A recurrent layer that sends its bound where u reaches half of it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer, sent = self.layer, []
        left = y = torch.zeros(len(x), layer.forward_weights.out_features, dtype=x.dtype)
        for t in range(STEPS):
            u = layer.forward_weights(x[:, t]) + layer.tau * left
            u = u if layer.lateral_weights is None else u + layer.lateral_weights(y)
            y = layer.activation.bound * (u >= layer.activation.bound / 2).to(x.dtype)
            left = u - y
            sent.append(y)
        return torch.stack(sent, 1)


@pytest.mark.parametrize("tau", [0.0, 1.0])  # others round what is left towards minus infinity
def test_a_rounded_layer_alone_fires_as_the_integer_network_does(tau: float) -> None:
    trained = model(tau=tau)
    network = converted(trained, X)
    twin, values = twin_of(trained, network), values_of(network, X)
    first, _, last = twin.network.layers
    np.testing.assert_array_equal(twin.fire_rounded(first, values).numpy(), values[first.name].numpy())
    np.testing.assert_allclose(twin.fire_rounded(last, values).numpy(), values[last.name].numpy(), atol=1e-9)


def test_integer_values_are_those_of_the_golden_model_in_every_time_step() -> None:
    network = converted(model(), X)
    trace, values = golden.run(network, X), values_of(network, X)
    np.testing.assert_allclose(values[INPUT].numpy(), seen(network, X).numpy(), atol=1e-6)
    for name, worth in network.provenance.worths.items():
        sent = values[name] / torch.tensor(worth, dtype=torch.float64).reshape(-1, 1, 1)
        np.testing.assert_array_equal(sent.round().numpy(), trace.spikes[name])
    logits = golden.evaluate(network, X) * network.readouts[0].scale
    np.testing.assert_allclose(values["linear3"].flatten(1).numpy(), logits, atol=1e-12)


@pytest.mark.parametrize("images", [False, True])
def test_layers_add_up_to_the_network_and_end_in_its_answers(images: bool) -> None:
    x = X[:, None] if images else X
    trained = model()
    network = converted(trained, x)
    found, measured = analyse(trained, network, x, Y), measure(network, x, Y)
    assert [item.name for item in found.layers] == LAYERS
    assert sum(item.sops for item in found.layers) == pytest.approx(measured.sops_per_inference)
    assert {item.name: item.events for item in found.layers if item.rate is not None} == measured.spikes
    trace = golden.run(network, x)
    for item in found.layers:
        assert item.effects.keys() == VARIANTS.keys()
        if item.rate is not None:
            assert item.rate == pytest.approx(np.count_nonzero(trace.spikes[item.name]) / trace.spikes[item.name].size)
        if item.clipped is not None:
            assert item.clipped == (trace.spikes[item.name] == 1).all(1).mean()
    with torch.no_grad():
        own = trained(torch.from_numpy(x / np.float32(255))).argmax(1).numpy()
    answers = golden.evaluate(network, x).argmax(1)  # type: ignore[union-attr]
    last = found.layers[-1].effects["up_to_rounded"]
    assert (found.accuracy_ann, found.accuracy_snn) == ((own == Y).mean(), (answers == Y).mean())
    assert (last.accuracy, last.changed) == (found.accuracy_snn, (answers != own).sum())


def test_errors_are_those_of_the_means_over_the_sequence() -> None:
    trained = model()
    network = converted(trained, X)
    found = {item.name: item for item in analyse(trained, network, X).layers}
    with torch.no_grad():
        exact = trained[0](torch.from_numpy(X / np.float32(255))).mean(1).double().numpy()
    sent = values_of(network, X)["recur0"].mean(1).flatten(1).numpy()
    assert found["recur0"].integer_error == pytest.approx(((sent - exact) ** 2).sum() / (exact**2).sum(), rel=1e-4)
    assert found["recur0"].beyond == 0.0  # a threshold ReLU sends no more than its bound


@pytest.mark.parametrize("number", range(4))
def test_the_layer_that_was_spoilt_is_named(number: int) -> None:
    trained = model(seed=3)
    with torch.no_grad():
        trained[0].lateral_weights.weight *= 4  # so that much hangs on what a layer hears of itself
        outputs = trained(torch.from_numpy(X / np.float32(255)))
        trained[3].bias -= outputs.mean(0)  # so that no output is always the largest
    y = (outputs - outputs.mean(0)).argmax(1).numpy()
    network = converted(trained, X)
    spoilt = tuple(
        replace(item, weights=-item.weights) if place == number else item
        for place, item in enumerate(network.connections)
    )
    found = analyse(trained, replace(network, connections=spoilt), X, y)
    assert (found.accuracy_ann, found.worst_layer) == (1.0, network.connections[number].target)
