"""NIR graphs as spiking networks: what the nodes mean, what is left open and said, and what is refused by name."""

from typing import Any

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nir_graphs import DT, affine, chain, conv2d, mlp, neuron
from spikeloom import Diagonal, InvalidData, InvalidNetwork, SpikeloomError, UnsupportedLayer, golden
from spikeloom_convert import convert_nir, export_nir
from spikeloom_convert.nir.importing import NirOptions, import_graph
from spikeloom_convert.response import Heaviside
from spikeloom_convert.spiking import SpikingNetwork, averages

X = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
RNG = np.random.default_rng(1)


def imported(graph: nir.NIRGraph, samples: Any = (1, 8, 8), timesteps: int = 12, **options: Any) -> SpikingNetwork:
    return import_graph(graph, NirOptions(**options), timesteps=timesteps, samples=samples)


def potentials(graph: nir.NIRGraph, shape: Any = (1, 8, 8), **options: Any) -> np.ndarray:
    """Readout potentials [N, outputs] of the imported graph in float64, with samples 0..1."""
    spiking = imported(graph, shape, **options)
    x = torch.from_numpy(X[:9] / 255.0).reshape(-1, *spiking.network.input_shape)
    return averages(spiking, x)[spiking.network.readouts[0]].flatten(1).numpy()


def run(
    drive: np.ndarray, steps: int, *, part: float = 0.0, theta: float = 1.0, reset: str = "hard", gain: float = 1.0
) -> np.ndarray:
    """Spikes [T, ...] of a neuron with V <- V + part (0 - V) + gain drive, written down once more."""
    v, found = np.zeros_like(drive), []
    for _ in range(steps):
        v = v - part * v + gain * drive
        spikes = v >= theta
        v = np.where(spikes, 0.0 if reset == "hard" else v - theta, v)
        found.append(spikes.astype(np.float64))
    return np.stack(found)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize(("leak", "part"), [(None, 0.0), (1, 0.5), (4, 1 / 16)])
def test_neurons_follow_the_equations_of_nir(leak: int | None, part: float, reset: str) -> None:
    graph, x = mlp(leak=leak), X[:9].reshape(9, 64) / 255.0
    first, last = graph.nodes["fc1"], graph.nodes["fc2"]
    hidden = run(x @ first.weight.T + first.bias, 12, part=part, reset=reset)
    expected = (hidden @ last.weight.T + last.bias).sum(0)
    assert np.allclose(potentials(graph, reset=reset), expected, rtol=0, atol=1e-9)
    assert 0 < hidden.mean() < 1


def test_resistance_time_constant_and_rest_are_folded_into_the_drive() -> None:
    one = np.ones(16)
    plain = neuron(16, 3)
    other = nir.LIF(tau=8 * one, r=2 * one, v_leak=0.5 * one, v_threshold=one)
    graph, x = mlp(), X[:9].reshape(9, 64) / 255.0
    first, last = graph.nodes["fc1"], graph.nodes["fc2"]
    graph.nodes["hidden"] = other
    hidden = run(x @ first.weight.T + first.bias, 12, part=1 / 8, gain=1.0)
    drive = (0.5 + 2 * (x @ first.weight.T + first.bias)) / 8
    hidden = run(drive, 12, part=1 / 8)
    assert np.allclose(potentials(graph, dt=1.0), (hidden @ last.weight.T + last.bias).sum(0), rtol=0, atol=1e-9)
    graph.nodes["hidden"] = plain
    assert not np.allclose(potentials(graph), potentials(graph, dt=DT / 2))


def test_without_time_constants_a_step_adds_what_arrives_whatever_r_is() -> None:
    expected = potentials(mlp())
    for r in (1.0, 250.0):
        graph = mlp(r=np.full(16, r))
        assert np.allclose(potentials(graph), expected, rtol=0, atol=1e-9)
        assert imported(graph).network.notes[0] == (
            f"NIR with dt {1 / r:g}, hard reset, no lower bound of potentials (v_min none), fires at v_threshold"
        )
    assert np.allclose(potentials(mlp(r=np.full(16, 250.0)), dt=1 / 250), expected, rtol=0, atol=1e-9)
    graph = mlp(r=np.linspace(1, 2, 16))
    with pytest.raises(InvalidNetwork) as error:
        imported(graph)
    assert str(error.value) == "Graph: dt must be given where R differs or is not positive (1..2), not left out"
    assert imported(graph, dt=0.5).timesteps == 12


def test_leak_that_cannot_be_built_is_refused_and_rounded_when_asked() -> None:
    graph = mlp(leak=2, tau=np.full(16, 10 * DT))
    with pytest.raises(UnsupportedLayer) as error:
        imported(graph)
    assert str(error.value) == (
        "Node 'hidden' (LIF): 1 - dt/tau must be 1 - 2^-s with s in 1..15, not 0.9; the nearest are 0.875 and 0.9375: "
        "choose another tau or dt, or round_leak"
    )
    spiking = imported(graph, round_leak=True)
    assert spiking.neurons["fc1"].growth == 0.875
    assert spiking.network.notes[1] == "Node 'hidden' (LIF): leak 1 - dt/tau rounded from 0.9 to 0.875"
    assert imported(mlp(leak=2, tau=np.full(16, 1e3)), round_leak=True).neurons["fc1"].growth == 1.0
    assert imported(mlp(leak=2, tau=np.full(16, 16 * DT, np.float32))).neurons["fc1"].growth == 0.9375


def test_convolutions_of_every_kind_equal_those_of_pytorch() -> None:
    x = torch.from_numpy(X[:9] / 255.0)
    first = conv2d(RNG, 1, 4, stride=np.array([1, 2]), padding=np.array([2, 1]), dilation=(2, 1))
    second = conv2d(RNG, 4, 6, groups=2, padding="same")
    pool, last = nir.SumPool2d(np.array([2, 1]), np.array([2, 1]), np.array([0, 0])), affine(RNG, 6 * 4 * 4, 3)
    flat = nir.Flatten({"input": np.array([6, 4, 4])}, 0, -1)
    graph = chain((1, 8, 8), first, neuron((4, 8, 4)), second, neuron((6, 8, 4)), pool, flat, last)

    def conv(node: Any, x: torch.Tensor, **options: Any) -> torch.Tensor:
        return F.conv2d(x, torch.from_numpy(node.weight), torch.from_numpy(node.bias), **options)

    hidden = torch.from_numpy(run(conv(first, x, stride=(1, 2), padding=(2, 1), dilation=(2, 1)).numpy(), 12))
    v, total = torch.zeros(9, 6, 8, 4, dtype=torch.float64), torch.zeros(9, 3, dtype=torch.float64)
    for step in hidden:
        v = v + conv(second, step, padding=1, groups=2)
        spikes = (v >= 1).double()
        v = v.masked_fill(spikes > 0, 0.0)
        summed = F.avg_pool2d(spikes, (2, 1), divisor_override=1).flatten(1)
        total = total + F.linear(summed, torch.from_numpy(last.weight), torch.from_numpy(last.bias))
    assert np.allclose(potentials(graph), total, rtol=0, atol=1e-9)


def test_sequences_go_through_conv1d() -> None:
    weight = RNG.normal(size=(4, 1, 3))
    first = nir.Conv1d(64, weight, 2, 1, 1, 1, RNG.normal(size=4))
    flat = nir.Flatten({"input": np.array([4, 32])}, 0, -1)
    graph = chain((1, 64), first, neuron((4, 32)), flat, affine(RNG, 128, 3))
    x = torch.from_numpy(X[:9].reshape(9, 1, 64) / 255.0)
    drive = F.conv1d(x, torch.from_numpy(weight), torch.from_numpy(first.bias), stride=2, padding=1).numpy()
    hidden, last = run(drive, 12).reshape(12, 9, 128), graph.nodes["n4"]
    assert np.allclose(potentials(graph, (1, 1, 64)), (hidden @ last.weight.T + last.bias).sum(0), rtol=0, atol=1e-9)


def residual() -> nir.NIRGraph:
    """Two branches that meet in a neuron, one of them a Scale."""
    nodes = {
        "input": nir.Input(np.array([64])),
        "a": affine(RNG, 64, 16),
        "s1": neuron(16),
        "b": affine(RNG, 16, 16),
        "scale": nir.Scale(np.full(16, 0.5)),
        "s2": neuron(16),
        "c": affine(RNG, 16, 3),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "a"), ("a", "s1"), ("s1", "b"), ("s1", "scale"), ("b", "s2"), ("scale", "s2")]
    return nir.NIRGraph(nodes, [*edges, ("s2", "c"), ("c", "output")], type_check=False)


def test_branches_that_meet_are_added() -> None:
    graph, x = residual(), X[:9].reshape(9, 64) / 255.0
    a, b, c = (graph.nodes[name] for name in "abc")
    v, total = np.zeros((9, 16)), np.zeros((9, 3))
    for spikes in run(x @ a.weight.T + a.bias, 12):
        v = v + spikes @ b.weight.T + b.bias + 0.5 * spikes
        fired = (v >= 1).astype(float)
        v = np.where(fired > 0, 0, v)
        total += fired @ c.weight.T + c.bias
    assert np.allclose(potentials(graph), total, rtol=0, atol=1e-9)
    spiking = imported(graph)
    assert [type(item.geometry) for item in spiking.network.layers[1].incoming].count(Diagonal) == 1
    convert_nir(graph, X, timesteps=8)


def test_graphs_inside_are_taken_apart() -> None:
    flat = residual()
    inner = {name: flat.nodes[name] for name in ("b", "scale", "s2")}
    inside = nir.NIRGraph(
        {"in": nir.Input(np.array([16])), **inner, "out": nir.Output(np.array([16]))},
        [("in", "b"), ("in", "scale"), ("b", "s2"), ("scale", "s2"), ("s2", "out")],
        type_check=False,
    )
    nodes = {name: node for name, node in flat.nodes.items() if name not in inner}
    edges = [("input", "a"), ("a", "s1"), ("s1", "block"), ("block", "c"), ("c", "output")]
    nested = nir.NIRGraph(nodes | {"block": inside}, edges, type_check=False)
    assert np.array_equal(potentials(nested), potentials(flat))


def test_the_last_node_says_what_the_readout_is() -> None:
    x, steps = X[:9].reshape(9, 64) / 255.0, 12
    graph = mlp()
    first, last = graph.nodes["fc1"], graph.nodes["fc2"]
    current = run(x @ first.weight.T + first.bias, steps) @ last.weight.T + last.bias
    ends = {
        "I": nir.I(r=np.full(10, 2 / DT)),
        "LI": nir.LI(tau=np.full(10, 4 * DT), r=np.full(10, 4.0), v_leak=np.full(10, 0.5)),
        "IF": neuron(10, threshold=0.3),
    }
    leaky, v, count = np.zeros((9, 10)), np.zeros((9, 10)), np.zeros((9, 10))
    for step in current:
        leaky = leaky * 0.75 + (0.5 + 4 * step) / 4
        v = v + step
        count += v >= 0.3
        v = np.where(v >= 0.3, 0, v)
    for name, expected in (("I", 2 * current.sum(0)), ("LI", leaky), ("IF", count)):
        nodes = dict(graph.nodes) | {"end": ends[name]}
        edges = [edge for edge in graph.edges if edge[1] != "output"] + [("fc2", "end"), ("end", "output")]
        ended = nir.NIRGraph(nodes, edges, type_check=False)
        assert np.allclose(potentials(ended, dt=DT), expected, rtol=0, atol=1e-9)
        assert imported(ended, dt=DT).readout_growth == (0.75 if name == "LI" else 1.0)
        network = convert_nir(ended, X, timesteps=8, dt=DT)
        assert golden.evaluate(network, X[:3]).shape == (3, 10)
    assert imported(ended, dt=DT).network.notes[1] == "the readout counts the spikes of Node 'end' (IF)"


def test_conversion_keeps_the_answers_and_says_what_was_decided() -> None:
    network = convert_nir(mlp(leak=3), X, timesteps=16, weight_bits=8, reset="soft", labels=np.arange(40) % 10)
    assert (network.schedule, network.timesteps, network.provenance.method) == ("synchronous", 16, "nir")
    assert network.populations[0].neuron.growth == 0.875
    assert network.provenance.notes[:3] == (
        "weights of 8 bits, 16 time steps",
        "fitted on 30 samples, measured on 10",
        "NIR with dt 0.0001, soft reset, no lower bound of potentials (v_min none), fires at v_threshold",
    )
    assert network.provenance.accuracy.keys() == {"ann", "snn", "agreement"}
    assert network.provenance.accuracy["agreement"] >= 0.9


def test_normalisation_goes_ahead_of_the_graph() -> None:
    graph, spiking = mlp(), imported(mlp())
    folded = nir.Affine(graph.nodes["fc1"].weight / 0.5, graph.nodes["fc1"].bias - 0.2 / 0.5 * _row(graph))
    graph.nodes["fc1"] = folded
    plain = convert_nir(graph, X, timesteps=8)
    assert convert_nir(mlp(), X, timesteps=8, mean=0.2, std=0.5).provenance.accuracy == plain.provenance.accuracy
    assert spiking.network.input_shape == (1, 8, 8)


def _row(graph: nir.NIRGraph) -> np.ndarray:
    return graph.nodes["fc1"].weight.sum(1)


def test_converted_exported_and_converted_again_has_the_same_digest(tmp_path: Any) -> None:
    nir.write(tmp_path / "foreign.nir", mlp(leak=2))
    network = convert_nir(tmp_path / "foreign.nir", X, timesteps=8)
    export_nir(network, tmp_path / "ours.nir")
    again = convert_nir(tmp_path / "ours.nir", X)
    assert (again.digest, again.provenance) == (network.digest, network.provenance)


def test_a_step_is_1_from_its_threshold_on() -> None:
    step = Heaviside("n", (1.0, 2.0))
    u = torch.tensor([[0.5, 2.0], [1.0, 1.5]]).reshape(2, 2, 1, 1)
    assert step(u).flatten(1).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert step.range == (0.0, 1.0)


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "all": (
        {"dt": -1.0, "reset": "none", "v_min": -1.0, "round_leak": 1},
        "NIR options: dt must be a number in 1e-15..1e+15, not -1.0; reset must be hard or soft, not 'none'; v_min "
        "must be None, potentials have no lower bound, not -1.0; round_leak must be true or false, not 1",
    ),
    "dt": ({"dt": float("nan")}, "NIR options: dt must be a number in 1e-15..1e+15, not nan"),
    "settings": (
        {"timesteps": 257, "weight_bits": 9, "input_timesteps": 17},
        "Convert: timesteps must be an integer in 1..256, not 257; input_timesteps must be an integer in 1..16, not "
        "17; weight_bits must be an integer in 2..8, not 9",
    ),
}


@pytest.mark.parametrize(("given", "said"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_out_of_range_are_listed(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidNetwork) as error:
        convert_nir(mlp(), X, **given)
    assert str(error.value) == said


def test_labels_beyond_the_outputs_are_refused() -> None:
    with pytest.raises(InvalidData) as error:
        convert_nir(mlp(), X, labels=np.arange(40))
    assert str(error.value) == "Labels: must lie in 0..9, the model's outputs, not 0..39"


def test_samples_of_another_size_are_refused() -> None:
    with pytest.raises(SpikeloomError) as error:
        convert_nir(mlp(), X[:, :, :4])
    assert str(error.value) == "Node 'input' (Input): must take the samples (1, 4, 8), not (64,); give others"
