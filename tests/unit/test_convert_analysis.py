"""Layer by layer: integers that are the golden model's, sums that add up, and the layer that was spoilt is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import pixels, seeded
from spikeloom import Network, golden
from spikeloom.encoding import codes_of, encode
from spikeloom.golden import forward
from spikeloom.measure import measure
from spikeloom_convert import convert
from spikeloom_convert.analysis.attribution import VARIANTS, Effect, worst
from spikeloom_convert.analysis.layers import Analysis, analyse, integer_values
from spikeloom_convert.float_network import INPUT
from torch import nn

X, Y = pixels(60, 2, 8, 8), np.random.default_rng(0).integers(0, 4, 60)


class Branches(nn.Module):
    """A residual branch, its 1x1 shortcut, maxima, a shift ahead of padding, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.b, self.c = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 4, 3, stride=2)
        self.kind, self.place = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.bn(F.max_pool2d(self.a(x).relu(), 2))
        x = (self.b(x) + x).relu()
        x = F.relu(self.c(x)).mean((2, 3))
        return {"kind": self.kind(x), "place": self.place(x)}


class Relayed(nn.Module):
    """The input is heard twice, so that a relay repeats it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.Linear(128, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out((self.b(self.a(x).relu()) + x).relu().flatten(1))


def chain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(54, 4),
    )  # fmt: skip


def shifted() -> nn.Module:
    """A batch norm between a ReLU and a padded convolution: border classes."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(144, 4),
    )  # fmt: skip


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "chain": (chain, {"timesteps": 3}),
    "growth 1": (chain, {"timesteps": 5, "growth": 1.0}),
    "minimal-weight code": (chain, {"timesteps": 4, "code": "naf"}),
    "branches": (Branches, {"timesteps": 4}),
    "relay": (Relayed, {"timesteps": 4}),
    "optimal-conversion": (chain, {"method": "optimal-conversion", "timesteps": 4}),
    "synchronous relay": (Relayed, {"method": "qcfs", "timesteps": 4}),
    "synchronous border": (shifted, {"method": "optimal-conversion", "timesteps": 4}),
    "graded border": (shifted, {"method": "steprelu", "timesteps": 1}),
    "graded": (chain, {"method": "steprelu", "timesteps": 2}),
}


def analysed(name: str, y: np.ndarray | None = Y) -> tuple[nn.Module, Network, Analysis]:
    make, settings = CASES[name]
    model = seeded(make)
    network = convert(model, X, **settings)
    return model, network, analyse(model, network, X, y)


@pytest.mark.parametrize("name", CASES)
def test_integer_values_are_those_of_the_golden_model(name: str) -> None:
    make, settings = CASES[name]
    network = convert(seeded(make), X, **settings)
    trace, x = golden.run(network, X[:9]), X[:9]
    chunks = list(forward(network, x, lambda _, activities: integer_values(network, activities)))
    values = {name: torch.cat([chunk[name] for chunk in chunks]).double().numpy() for name in chunks[0]}
    source = network.inputs[0]
    codes = (values.pop(INPUT) - source.zero) / source.scale
    np.testing.assert_array_equal(codes.round().astype(np.int64), encode(source, x))
    scales = {item.population: item.scale for item in network.readouts}
    assert values.keys() == scales.keys() | network.provenance.worths.keys()
    for name, value in values.items():
        if name in scales:
            last = trace.accumulated[name] if network.schedule == "two-phase" else trace.accumulated[name][:, -1]
            np.testing.assert_array_equal((value / scales[name]).round().astype(np.int64), last)
            continue
        worth = np.array(network.provenance.worths[name]).reshape(-1, 1, 1)
        repeats = network.timesteps if network.schedule == "synchronous" else 1
        spikes, growth = trace.spikes[name], network.train(name)[0]
        each = spikes.reshape(len(x), repeats, -1, *spikes.shape[2:])
        sent = sum(codes_of(each[:, step], growth) for step in range(repeats))
        np.testing.assert_array_equal((value / worth * repeats).round().astype(np.int64), sent)


@pytest.mark.parametrize("name", CASES)
def test_layers_add_up_to_the_network_and_end_in_its_answers(name: str) -> None:
    model, network, found = analysed(name)
    measured = measure(network, X, Y)
    assert [item.name for item in found.layers] == ["input", *(item.name for item in network.populations)]
    assert found.samples == len(X)
    assert found.accuracy_snn == measured.accuracy
    assert sum(item.sops for item in found.layers) == pytest.approx(measured.sops_per_inference)
    assert {item.name: item.events for item in found.layers if item.rate is not None} == measured.spikes
    for item in found.layers:
        assert item.effects.keys() == (set() if item.name == "relay" else VARIANTS.keys())
        if item.rate is not None:
            steps = network.train(item.name)[1]
            assert item.rate == pytest.approx(item.events / item.neurons / steps)
    first = network.readouts[0]
    potentials = golden.evaluate(network, X)
    logits = (potentials[first.population] if isinstance(potentials, dict) else potentials) * first.scale
    with torch.no_grad():
        outputs = model(torch.from_numpy(X / 255.0))
    own = (outputs["kind"] if isinstance(outputs, dict) else outputs).argmax(1).numpy()
    last = found.layers[-1].effects["up_to_rounded"]
    assert last.accuracy == measured.accuracy
    assert last.changed == int((logits.argmax(1) != own).sum())
    assert found.accuracy_ann == float((own == Y).mean())
    assert last.lost == round(len(X) * (found.accuracy_ann - float(measured.accuracy or 0)))


@pytest.mark.parametrize("name", CASES)
def test_a_float_readout_changes_nothing_and_the_input_is_heard_by_all(name: str) -> None:
    _, network, found = analysed(name)
    readout = next(item for item in found.layers if item.name == network.readouts[0].population)
    assert (readout.effects["alone"].changed, readout.effects["alone"].logit_error) == (0, 0.0)
    first = found.layers[0]
    assert len({first.effects[variant] for variant in VARIANTS}) == 1
    assert found.worst_layer in {item.name for item in found.layers}


def test_relay_has_events_and_work_but_nothing_of_its_own_to_lose() -> None:
    _, _, found = analysed("relay")
    relay = found.layers[1]
    assert (relay.name, relay.float_error, relay.clipped) == ("relay", None, None)
    assert relay.events == found.layers[0].events
    assert relay.sops == relay.events


def spoilt(network: Network, name: str) -> Network:
    """The network with the weights of one connection the wrong way round."""
    connections = tuple(
        replace(item, weights=-item.weights) if item.name == name else item for item in network.connections
    )
    return replace(network, connections=connections)


@pytest.mark.parametrize("method", ["spikeconverter", "optimal-conversion"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_layer_that_was_spoilt_is_named(method: str, number: int) -> None:
    model = seeded(chain)
    with torch.no_grad():
        outputs = model(torch.from_numpy(X / 255.0))
        model[-1].bias -= outputs.mean(0)  # so that no output is always the largest
        y = (outputs - outputs.mean(0)).argmax(1).numpy()  # the model is always right
    network = convert(model, X, method=method, timesteps=8, weight_bits=8)
    name = network.connections[number].name
    found = analyse(model, spoilt(network, name), X, y)
    assert (found.accuracy_ann, found.worst_layer) == (1.0, network.connections[number].target)
    assert found.within_noise is False
    errors = {item.name: item.effects["alone_rounded"].logit_error for item in found.layers if item.effects}
    assert max(errors, key=errors.__getitem__) == found.worst_layer
    assert all(error < 0.2 * errors[found.worst_layer] for name, error in errors.items() if name != found.worst_layer)


def effect(lost: int | None, changed: int, error: float) -> Effect:
    return Effect(None if lost is None else 0.5, lost, changed, error)


@pytest.mark.parametrize(
    ("alone", "expected"),
    [
        ({"a": effect(3, 9, 0.1), "b": effect(0, 2, 0.3)}, ("b", True)),  # 3 of 9 changed is chance
        ({"a": effect(7, 9, 0.1), "b": effect(0, 2, 0.3)}, ("a", False)),
        ({"a": effect(7, 9, 0.1), "b": effect(9, 9, 0.05)}, ("b", False)),
        ({"a": effect(-7, 9, 0.1), "b": effect(0, 0, 0.0)}, ("a", True)),
        ({"a": effect(None, 9, 0.1), "b": effect(None, 2, 0.3)}, ("b", None)),
    ],
)
def test_the_worst_layer_loses_more_than_chance_or_else_moves_the_outputs_most(
    alone: dict[str, Effect], expected: tuple[str, bool | None]
) -> None:
    assert worst(alone) == expected


def test_without_labels_answers_are_compared_with_the_models_alone() -> None:
    _, _, found = analysed("chain", y=None)
    assert (found.accuracy_ann, found.accuracy_float, found.accuracy_snn, found.within_noise) == (None,) * 4
    assert all(item.lost is None for layer in found.layers for item in layer.effects.values())


def test_more_time_steps_leave_less_error_and_clipping_stays_rare() -> None:
    errors = []
    for timesteps in (2, 4, 8):
        model = seeded(chain)
        network = convert(model, X, timesteps=timesteps, input_timesteps=8, weight_bits=8)
        found = analyse(model, network, X)
        errors.append([item.float_error for item in found.layers[1:-1]])
        assert all(item.beyond is not None and item.beyond < 0.1 for item in found.layers[1:-1])
    assert all(a > b > c for a, b, c in zip(*errors, strict=True))  # type: ignore[operator]


@pytest.mark.parametrize("shape", [(4, 15), (1, 15)])
def test_sequences_are_analysed_as_the_model_takes_them(shape: tuple[int, int]) -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Conv1d(shape[0], 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(18, 5))

    model = seeded(make)
    x = pixels(40, *shape)
    found = analyse(model, convert(model, x, timesteps=8, weight_bits=8), x)
    assert [item.name for item in found.layers] == ["input", "conv0", "fc4"]
    errors = [item.integer_error for item in found.layers]
    assert all(error is not None and error < 0.01 for error in errors)


def test_progress_ends_with_all_samples() -> None:
    seen: list[tuple[int, int]] = []
    model = seeded(chain)
    analyse(model, convert(model, X, timesteps=2), X, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (60, 60)
