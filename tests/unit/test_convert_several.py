"""Several neurons for one activation: together they send one code of as many times the levels."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import pixels, random_chain, seeded
from outside_models import Maker, conv, headed
from spikeloom import Network, golden
from spikeloom.encoding import codes_of
from spikeloom.errors import InvalidNetwork
from spikeloom.network import Provenance
from spikeloom.neuron import Neuron, largest_code
from spikeloom.storage import load, save
from spikeloom_convert import analyse, convert
from torch import nn

IMAGES = np.random.default_rng(0).random((160, 3, 12, 12))
MODELS: dict[str, Maker] = {
    "a residual addition": headed(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))) + s.e(x)), d=conv(4, 4, 3, padding=1), e=conv(3, 4, 3)
    ),
    "an identity": headed(lambda s, x: F.relu(s.d(a := F.relu(s.c(x))) + a), d=conv(4, 4, 3, padding=1)),
    "maxima": headed(lambda s, x: F.relu(s.d(F.max_pool2d(F.relu(s.c(x)), 2))), d=conv(4, 4, 3, padding=1)),
    "channels side by side": headed(
        lambda s, x: F.relu(s.d(torch.cat([a := F.relu(s.c(x)), F.relu(s.e(a))], 1))), d=conv(8, 4, 1), e=conv(4, 4, 1)
    ),
    "leaky ones": headed(lambda s, x: F.leaky_relu(s.d(F.max_pool2d(F.leaky_relu(s.c(x), 0.2), 2)), 0.1), d=conv(4, 4)),
    "clipped ones": headed(lambda s, x: F.hardtanh(s.d(F.relu6(s.c(x))), 0, 0.5), d=conv(4, 4)),
}  # fmt: skip


def shortfall(network: Network, x: np.ndarray) -> int:
    """Codes of several neurons that are not together what one neuron of all their levels would send, by the potential.

    Where a step is no whole number of units, the neurons behind the first may begin half a unit early or late.
    """
    trace, wrong = golden.run(network, x), 0
    for name, others in network.provenance.continued.items():
        neuron = network.source(name).neuron
        assert isinstance(neuron, Neuron)
        factor = 1 << (neuron.timesteps - 1) if neuron.growth == 2.0 else 1
        theta = neuron.theta[0].reshape(-1, 1, 1)
        top = largest_code(neuron.growth, neuron.timesteps)
        sent = sum(codes_of(trace.spikes[item], neuron.growth) for item in (name, *others))
        inexact = (theta % factor != 0) & (np.abs(trace.accumulated[name] * factor % theta) <= factor)
        expected = np.clip(trace.accumulated[name] * factor // theta, 0, (1 + len(others)) * top)
        wrong += int(((sent != expected) & ~inexact).sum())
    return wrong


@pytest.mark.parametrize(("several", "growth"), [(2, 1.0), (3, 2.0)])
@pytest.mark.parametrize("model", MODELS)
def test_neurons_of_an_activation_send_one_code_together(model: str, several: int, growth: float) -> None:
    network = convert(
        seeded(MODELS[model]), IMAGES, timesteps=2, layer_neurons={"*": several}, growth=growth, weight_bits=8
    )
    assert network.provenance.continued
    assert all(len(others) == several - 1 for others in network.provenance.continued.values())
    assert shortfall(network, IMAGES[:8]) == 0
    readout = network.readouts[0].population
    stepped = golden.run(network, IMAGES[:8]).accumulated[readout]
    np.testing.assert_array_equal(golden.evaluate(network, IMAGES[:8]), stepped.reshape(8, -1))


@pytest.mark.parametrize("bias", [0.0, 10.0])  # the larger one fills nearly all neurons by itself
@pytest.mark.parametrize("model", ["an identity", "maxima", "clipped ones"])
def test_neurons_that_count_spikes_are_together_one_of_a_longer_train(model: str, bias: float) -> None:
    made = seeded(MODELS[model])
    made.get_parameter("c.bias").data += bias
    settings: dict[str, Any] = {"input_timesteps": 4, "growth": 1.0, "weight_bits": 8}
    several = convert(made, IMAGES, timesteps=2, layer_neurons={"*": 3}, **settings)
    long = convert(made, IMAGES, timesteps=6, **settings)
    traces = golden.run(several, IMAGES[:8]), golden.run(long, IMAGES[:8])
    for name, others in several.provenance.continued.items():
        assert several.provenance.worths[name] == long.provenance.worths[name]
        together = sum(codes_of(traces[0].spikes[item], 1.0) for item in (name, *others))
        np.testing.assert_array_equal(together, codes_of(traces[1].spikes[name], 1.0))


@pytest.mark.parametrize("seed", range(12))
def test_neurons_of_random_models_send_one_code_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, shape = random_chain(rng)
    x, several = pixels(40, *shape, seed=seed), int(rng.integers(2, 9))
    code = "naf" if seed % 2 else "plain"
    network = convert(
        model.double().eval(), x, timesteps=int(rng.integers(1, 5)), layer_neurons={"*": several}, code=code
    )
    assert shortfall(network, x[:6]) == 0


@pytest.mark.parametrize("model", ["a residual addition", "maxima", "clipped ones"])
def test_more_neurons_bring_a_network_nearer_as_more_time_steps_do(model: str) -> None:
    made = seeded(MODELS[model])

    def far(several: int, timesteps: int) -> float:
        network = convert(
            made, IMAGES, timesteps=timesteps, input_timesteps=8, weight_bits=8, layer_neurons={"*": several}
        )
        with torch.no_grad():
            expected = made(torch.from_numpy(IMAGES)).numpy()
        potentials = golden.evaluate(network, IMAGES) * network.readouts[0].scale
        return float(((potentials - expected) ** 2).mean() / expected.var())

    assert far(4, 2) < far(2, 2) < far(1, 2)
    assert far(2, 3) < 2 * far(1, 4)  # 15 levels and 16


def test_all_hear_the_same_weights_and_whoever_hears_one_hears_all() -> None:
    network = convert(seeded(MODELS["an identity"]), IMAGES, layer_neurons={"c": 3, "d": 2})
    assert [item.name for item in network.populations] == ["relay", "c", "c_2", "c_3", "d", "d_2", "f"]
    for first, others in network.provenance.continued.items():
        given = [(item.geometry, item.weights.tobytes(), item.shift) for item in network.incoming(first)]
        for other in others:
            heard = [(item.geometry, item.weights.tobytes(), item.shift) for item in network.incoming(other)]
            assert heard == given
    assert [item.source for item in network.incoming("f")] == ["d", "d_2"]


@pytest.mark.parametrize("settings", [{}, {"code": "naf"}, {"growth": 1.0}])
def test_rules_are_compared_by_the_events_that_each_neuron_sends(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the profile of the network that was chosen comes later
    monkeypatch.setattr(sys.modules["spikeloom_convert.convert"], "profiled", lambda network, x: network)
    x = IMAGES[:7]  # so few are all fitted on
    network = convert(seeded(MODELS["maxima"]), x, timesteps=3, layer_neurons={"*": 2}, **settings)
    spikes = golden.run(network, x).spikes
    for name in ("c", "c_2", "d", "d_2"):
        population = next(item for item in network.populations if item.name == name)
        assert population.activity == np.count_nonzero(spikes[name]) / len(x)


def test_one_neuron_is_the_network_there_was() -> None:
    plain, one = (convert(seeded(MODELS["maxima"]), IMAGES, layer_neurons=given) for given in ({}, {"*": 1}))
    assert plain.digest == one.digest
    assert not one.provenance.continued


def test_names_that_are_taken_get_a_number_of_their_own() -> None:
    made = headed(lambda s, x: F.relu(s.c_2(F.relu(s.c(x)))), c_2=conv(4, 4, 3))
    network = convert(seeded(made), IMAGES, layer_neurons={"*": 2})
    names = [item.name for item in network.populations]
    assert names == ["relay", "c", "c_2_2", "c_2", "c_2_2_2", "f"]
    assert network.provenance.continued == {"c": ("c_2_2",), "c_2": ("c_2_2_2",)}


def test_connections_have_names_of_their_own() -> None:
    long = "a" * 30
    e, d_e, c, c_d = "e", "d_e", "c", "c_d"  # c hears d_e_2, and c_d hears e_2
    names = (e, d_e, c, c_d, "c_d_e_3", long, f"{long}b")

    def features(s: Any, x: torch.Tensor) -> torch.Tensor:
        first = F.relu(s.e(x))
        x = F.relu(s.g(first) + s.c_d(F.relu(s.c(F.relu(s.d_e(first))))))
        for name in names[4:]:
            x = F.relu(s.get_submodule(name)(x))
        return x

    members = {name: conv(4, 4, 1) for name in (*names, "g")} | {"e": conv()}
    network = convert(seeded(headed(features, **members)), IMAGES, layer_neurons={"*": 3})
    populations = {item.name for item in network.populations}
    assert populations > set(names[:5])
    for item in network.connections:
        assert item.name not in populations or item.name == item.target


def test_neurons_whose_steps_are_no_whole_units_begin_to_the_nearest_one() -> None:
    made = headed(lambda s, x: F.hardtanh(s.d(F.relu6(s.c(x))), 0, 0.05), d=conv(4, 4))
    network = convert(seeded(made), IMAGES, timesteps=5, weight_bits=2, layer_neurons={"*": 3})
    neurons = {item.name: item.neuron for item in network.populations if isinstance(item.neuron, Neuron)}
    first, *others = (neurons[name] for name in ("d", "d_2", "d_3"))
    assert (first.theta % 16).any()
    for number, other in enumerate(others, 1):
        off = 16 * (first.initial - other.initial) - number * 31 * first.theta
        assert np.abs(off).max() <= 8


def test_trains_of_their_own_length_and_several_neurons_go_together() -> None:
    network = convert(
        seeded(MODELS["maxima"]), IMAGES, timesteps=2, layer_timesteps={"c": 3}, layer_neurons={"c": 2}, weight_bits=8
    )
    assert [network.train(name)[1] for name in ("c", "c_2", "d")] == [3, 3, 2]
    assert shortfall(network, IMAGES[:8]) == 0


def test_a_fine_tune_knows_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    # whether or not it is better than what was not tuned
    monkeypatch.setattr(sys.modules["spikeloom_convert.convert"], "choose", lambda candidates: candidates[-1])
    network = convert(
        seeded(MODELS["maxima"]), IMAGES, timesteps=2, layer_neurons={"*": 2}, weight_bits=8, options={"fine_tune": 2}
    )
    assert network.provenance.notes[0].startswith("fine-tuned for 2 epochs")
    assert shortfall(network, IMAGES[:8]) == 0
    sent = codes_of(golden.run(network, IMAGES).spikes["c_2"], 2.0)
    assert sent.max() > 1  # the tuned levels go on beyond those of one neuron


def test_layer_by_layer_an_activation_is_the_sum_of_its_neurons(tmp_path: Path) -> None:
    made = seeded(MODELS["maxima"])
    path = tmp_path / "net.loom"
    save(convert(made, IMAGES, timesteps=2, input_timesteps=8, weight_bits=8, layer_neurons={"*": 2}), path)
    network = load(path)
    assert network.provenance.continued == {"c": ("c_2",), "d": ("d_2",)}
    found = {item.name: item for item in analyse(made, network, IMAGES).layers}
    alone = {
        item.name: item for item in analyse(made, convert(made, IMAGES, timesteps=2, weight_bits=8), IMAGES).layers
    }
    for name in ("c", "d"):
        assert found[name].integer_error < alone[name].integer_error / 2
        assert found[name].rounding_error < found[name].integer_error
        assert found[name].clipped < 0.05
        assert found[f"{name}_2"].integer_error is None
        assert 0 < found[f"{name}_2"].events < found[name].events


@pytest.mark.parametrize(
    "continued",
    [
        {"c": ("nobody",)},
        {"nobody": ("c_2",), "d": ("d_2",)},
        {"c": ("f",)},
        {"c": ("d_2",), "d": ("c_2",)},
        {"c": ("c_2", "c_2"), "d": ("d_2",)},
    ],
)
@pytest.mark.parametrize("worths", [{}, {"nobody": (1.0,)}])
def test_a_file_that_tells_other_neurons_than_there_are_is_refused(
    continued: dict[str, tuple[str, ...]], worths: dict[str, tuple[float, ...]]
) -> None:
    made = seeded(MODELS["maxima"])
    network = convert(made, IMAGES, timesteps=2, layer_neurons={"*": 2})
    worths = network.provenance.worths | worths
    told = dataclasses.replace(network.provenance, continued=continued, worths=worths)
    with pytest.raises(InvalidNetwork, match="must say what its potentials and codes are worth"):
        analyse(made, dataclasses.replace(network, provenance=told), IMAGES)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"layer_neurons": {"*": 0}}, "layer_neurons of '*' must be an integer in 1..8, not 0"),
    "many": ({"layer_neurons": {"c": 9}}, "layer_neurons of 'c' must be an integer in 1..8, not 9"),
    "no number": ({"layer_neurons": {"c": None}}, "layer_neurons of 'c' must be an integer in 1..8, not None"),
    "of time steps": ({"layer_timesteps": {"c": None}}, "layer_timesteps of 'c' must be an integer in 1..16, not None"),
    "of nobody": (
        {"layer_neurons": {"c": 2, "f": 2}}, "layer_neurons must name populations that fire (c, d), not 'f'"
    ),
    "not dividing": (
        {"layer_neurons": {"c": 2}, "growth": 1.5}, "layer_neurons must be with growth 1 or 2, not 1.5"
    ),
    "in step": (
        {"layer_neurons": {"c": 2}, "method": "qcfs"},
        "layer_neurons must be left out for method qcfs, which has one T and IF neurons",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_numbers_of_neurons_that_there_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidNetwork) as refused:
        convert(seeded(MODELS["maxima"]), IMAGES, **given)
    assert str(refused.value) == f"Convert: {message}"


def test_more_connections_than_there_may_be_are_refused_before_calibration() -> None:
    blocks = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(17)]
    model = nn.Sequential(*blocks, nn.Linear(2, 2))
    told: list[str] = []
    with pytest.raises(InvalidNetwork) as refused:
        convert(model, IMAGES[:, 0, 0, :2], layer_neurons={"*": 8}, progress=lambda *item: told.append(item[2]))
    assert str(refused.value) == (
        "Convert: layer_neurons must make at most 1024 connections, not 1040, for each neuron hears all of its "
        "sources; give fewer"
    )
    assert told == []


@pytest.mark.parametrize("continued", [[("c", ("d",))], {"c": ["d"]}, {"c": (1,)}, {1: ("c",)}])
def test_a_provenance_with_other_tables_is_refused(continued: Any) -> None:
    network = convert(nn.Sequential(nn.Flatten(), nn.Linear(432, 2)), IMAGES)
    with pytest.raises(InvalidNetwork, match="continued must be tuples of populations by population"):
        dataclasses.replace(network, provenance=Provenance(continued=continued))
