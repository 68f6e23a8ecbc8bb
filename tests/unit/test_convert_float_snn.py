"""The float twin: its neurons are those of the integer network, in the model's units, and its weights the model's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from spikeloom import InvalidNetwork, NotBuilt, golden
from spikeloom.encoding import codes_of, encode
from spikeloom.neuron import Neuron
from spikeloom_convert import convert
from spikeloom_convert.activations import SymmetricThresholdReLU
from spikeloom_convert.analysis.float_snn import Firing, FloatSNN, float_snn
from spikeloom_convert.float_network import INPUT
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.samples import Samples
from torch import nn

X = pixels(40, 1, 6, 6)


def chain(response: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), response, nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, padding=1), response,
        nn.Flatten(), nn.Linear(36, 5),
    )  # fmt: skip


def twin_of(response: nn.Module | None = None, **settings: Any) -> FloatSNN:
    model = seeded(lambda: chain(response or nn.ReLU()))
    network = convert(model, X, **settings)
    return float_snn(prepare(model, Samples(X, None), None, None).network, network)


TWO_PHASE: dict[str, dict[str, Any]] = {
    "growth 2": {"timesteps": 4},
    "growth 1": {"timesteps": 5, "growth": 1.0},
    "one step": {"timesteps": 1, "input_timesteps": 8},
    "minimal-weight code": {"timesteps": 3, "code": "naf"},
    "clipped": {"timesteps": 4, "response": nn.Hardtanh(0, 0.7)},
}
SYNCHRONOUS: dict[str, dict[str, Any]] = {
    "optimal-conversion": {"method": "optimal-conversion", "timesteps": 6},
    "without shift": {"method": "optimal-conversion", "timesteps": 6, "options": {"shift": False}},
    "qcfs": {"method": "qcfs", "timesteps": 4},
    "strelu": {"method": "strelu", "timesteps": 5, "response": SymmetricThresholdReLU(0.8)},
    "steprelu": {"method": "steprelu", "timesteps": 1},
    "steprelu, repeated": {"method": "steprelu", "timesteps": 4, "options": {"leak": 2}},
}


def on_codes(twin: FloatSNN) -> dict[str, torch.Tensor]:
    """Codes of the integer network times their worth, float64, so that activations lie on codes exactly."""
    network, trace = twin.integers, golden.run_values(twin.integers, X)
    source = network.inputs[0]
    found = {INPUT: torch.from_numpy(encode(source, X).astype(np.float64)) * source.scale + source.zero}
    for name, worth in network.provenance.worths.items():
        codes = torch.from_numpy(codes_of(trace.spikes[name], network.train(name)[0])).double()
        found[name] = codes * torch.tensor(worth, dtype=torch.float64).reshape(-1, 1, 1)
    return found


@pytest.mark.parametrize("settings", TWO_PHASE.values(), ids=TWO_PHASE)
def test_rounded_layers_have_the_potentials_of_the_integer_network(settings: dict[str, Any]) -> None:
    twin = twin_of(**settings)
    trace, values = golden.run_values(twin.integers, X), on_codes(twin)
    for layer in twin.network.layers:
        potential = twin.potential(layer, values).round().to(torch.int64).numpy()
        np.testing.assert_array_equal(potential, trace.accumulated[layer.name], layer.name)


@pytest.mark.parametrize("settings", TWO_PHASE.values(), ids=TWO_PHASE)
def test_codes_of_potentials_are_those_of_the_integer_network(settings: dict[str, Any]) -> None:
    twin = twin_of(**settings)
    trace, values = golden.run_values(twin.integers, X), on_codes(twin)
    for name, coding in twin.coarse.items():
        sent = coding(torch.from_numpy(trace.accumulated[name]).double())
        np.testing.assert_array_equal(sent.numpy(), values[name].numpy(), name)


def counts(firing: Firing, sent: torch.Tensor, timesteps: int) -> np.ndarray:
    worth = torch.from_numpy(firing.neuron.worth).reshape(-1, 1, 1)
    return (sent / worth * timesteps).round().to(torch.int64).numpy()


@pytest.mark.parametrize("settings", SYNCHRONOUS.values(), ids=SYNCHRONOUS)
def test_the_first_synchronous_layer_fires_as_the_integer_network_does(settings: dict[str, Any]) -> None:
    twin = twin_of(**settings)
    network, trace = twin.integers, golden.run_values(twin.integers, X)
    layer = twin.network.layers[0]  # alone it hears the same in every time step
    neuron, firing = network.populations[0].neuron, twin.coarse[layer.name]
    assert isinstance(neuron, Neuron)
    assert isinstance(firing, Firing)
    potential = twin.potential(layer, on_codes(twin)).round()
    first = trace.accumulated[layer.name][:, 0] - neuron.initial[0].reshape(-1, 1, 1)
    np.testing.assert_array_equal(potential.to(torch.int64).numpy(), first)
    spikes = trace.spikes[layer.name].astype(np.int64)
    bits = max(neuron.step_bits, 1)
    spikes = spikes.reshape(len(X), neuron.timesteps, bits, *layer.shape) * (1 << np.arange(bits)[::-1]).reshape(
        -1, 1, 1, 1
    )
    sent = firing(potential)
    if neuron.step_bits:
        sent = sent / torch.from_numpy(neuron.theta[0] / (1 << (bits - 1))).reshape(-1, 1, 1)
    np.testing.assert_array_equal(counts(firing, sent, neuron.timesteps), spikes.sum((1, 2)))


@pytest.mark.parametrize("settings", (TWO_PHASE | SYNCHRONOUS).values(), ids=TWO_PHASE | SYNCHRONOUS)
def test_float_neurons_are_the_integer_ones_in_the_models_units(settings: dict[str, Any]) -> None:
    twin = twin_of(**settings)
    generator = torch.Generator().manual_seed(1)
    for layer in twin.network.layers:
        if not layer.fires:
            continue
        neuron, coarse = twin.neurons[layer.name], twin.coarse[layer.name]
        units = torch.tensor(twin.integers.provenance.units[layer.name], dtype=torch.float64).reshape(-1, 1, 1)
        u = torch.randn(20, *layer.shape, generator=generator, dtype=torch.float64)
        potential = u / units
        if not isinstance(neuron, Firing):
            potential = potential + torch.from_numpy(neuron.rounding).reshape(-1, 1, 1) / units
        elif neuron.grain is None and coarse.grain is not None:  # type: ignore[union-attr]
            continue  # graded spikes: the float network does not cut their values
        elif neuron.neuron.shift is not None:
            potential = potential + torch.from_numpy(neuron.neuron.shift).reshape(-1, 1, 1) / units
        np.testing.assert_array_equal(neuron(u).numpy(), coarse(potential).numpy(), layer.name)


def test_graded_spikes_carry_their_values_uncut() -> None:
    twin = twin_of(method="steprelu", timesteps=1)
    layer = twin.network.layers[0]
    u = torch.randn(20, *layer.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sent = twin.neurons[layer.name](u)
    # the thresholds are the bias in whole units, so a value may be a unit off
    unit = torch.tensor(twin.integers.provenance.units[layer.name], dtype=torch.float64).reshape(-1, 1, 1)
    assert bool(((sent - u.clamp(min=0)).abs() <= 1.5 * unit).all())


@pytest.mark.parametrize(("shift", "parts"), [(True, 12), (False, None)])
def test_the_shift_of_optimal_conversion_is_told_from_the_bias(shift: bool, parts: int | None) -> None:
    twin = twin_of(method="optimal-conversion", timesteps=6, options={"shift": shift})
    for item in twin.neurons.values():
        assert isinstance(item, Firing)
        if parts is None:
            assert item.neuron.shift is None
        else:
            assert item.neuron.shift is not None
            np.testing.assert_allclose(item.neuron.shift, item.neuron.theta / parts, rtol=1e-15)


@pytest.mark.parametrize("settings", (TWO_PHASE | SYNCHRONOUS).values(), ids=TWO_PHASE | SYNCHRONOUS)
def test_at_eight_bits_rounded_weights_only_move_the_outputs_by_a_constant(settings: dict[str, Any]) -> None:
    twin = twin_of(weight_bits=8, **settings)
    values = {name: value.double() for name, value in twin.values(on_codes(twin)[INPUT]).items()}
    layer = twin.network.layers[-1]
    exact, rounded = twin.fire(layer, values), twin.fire_rounded(layer, values)
    off = exact - rounded
    off = off - off.mean(0)  # offsets make up for what the layers ahead say too little on average
    assert float(off.square().sum() / exact.square().sum()) < 1e-3
    last = values[layer.name]
    assert float((exact - last).square().sum() / exact.square().sum()) < 1e-2


OLD = "Network 'net': must say what its potentials and codes are worth, as this version writes; convert the model again"


def test_a_network_that_does_not_say_what_potentials_are_worth_is_refused() -> None:
    twin = twin_of()
    worths, units = twin.integers.provenance.worths, twin.integers.provenance.units
    short = [{name: values[:-1] for name, values in table.items()} for table in (units, worths)]
    for values in ({"units": {}, "worths": {}}, {"worths": {}}, {"units": short[0]}, {"worths": short[1]}):
        old = replace(twin.integers, provenance=replace(twin.integers.provenance, **values))
        with pytest.raises(InvalidNetwork) as error:
            float_snn(twin.network, old)
        assert str(error.value) == OLD


def test_a_network_of_another_model_is_refused() -> None:
    twin = twin_of()
    other = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 7), nn.ReLU(), nn.Linear(7, 5)))
    network = prepare(other, Samples(X, None), None, None).network
    with pytest.raises(InvalidNetwork) as error:
        float_snn(network, twin.integers)
    assert str(error.value) == (
        "Network 'net': must be converted from model 'Sequential', not from another (5 layers differ, the first is "
        f"'{min({item.name for item in network.layers} | {item.name for item in twin.network.layers})}'); "
        "give the model that `spikeloom convert` was given"
    )


def test_neurons_that_conversion_does_not_make_are_refused() -> None:
    twin = twin_of()
    first, *others = twin.integers.populations
    assert isinstance(first.neuron, Neuron)
    signed = replace(first, neuron=replace(first.neuron, signed=True))
    with pytest.raises(NotBuilt) as error:
        float_snn(twin.network, replace(twin.integers, populations=(signed, *others)))
    assert str(error.value) == (
        f"Network: population '{first.name}': must have unsigned neurons of growth 1 or 2 to be analysed"
    )
