"""Recurrent models: the layer, its conversion, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spikeloom import Network, golden
from spikeloom.encoding import encode
from spikeloom.energy import macs
from spikeloom.errors import InvalidData, InvalidNetwork, NotBuilt, SpikeloomError, UnsupportedLayer
from spikeloom_convert import METHODS, NETWORKS, convert, inspect_model
from spikeloom_convert.activations import QCFS, ThresholdReLU
from spikeloom_convert.convert import spiking_network
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.models.origin import Origin
from spikeloom_convert.nir.export import graph_of
from spikeloom_convert.recurrent import MeanOverTime, ThresholdRNN
from spikeloom_convert.samples import Samples
from spikeloom_convert.spiking import averages
from spikeloom_convert.training.recipe import Recipe
from spikeloom_convert.training.residual import residual
from spikeloom_convert.training.train_network import train_network
from torch import nn

STEPS = 6


def model(*, tau: float = 0.5, lateral: bool = True, bound: float | None = 0.5, seed: int = 0) -> nn.Sequential:
    """5-12-9-4 over sequences of six time steps."""
    torch.manual_seed(seed)
    activations = [nn.ReLU() if bound is None else ThresholdReLU(bound) for _ in range(2)]
    return nn.Sequential(
        ThresholdRNN(5, 12, activations[0], tau=tau, lateral=lateral),
        ThresholdRNN(12, 9, activations[1], tau=0.75),
        MeanOverTime(),
        nn.Linear(9, 4),
    )


def sequences(count: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, STEPS, 5), dtype=np.uint8)


def converted(trained: nn.Module, x: np.ndarray | None = None, **more: Any) -> Network:
    given = {"method": "optimal-conversion", "weight_bits": 8, **more}
    return convert(trained, sequences() if x is None else x, **given)


def by_hand(trained: nn.Sequential, x: np.ndarray, *, spikes: bool, rounded: bool) -> np.ndarray:
    """Outputs float64 [N, 4] of appendix A.4 in numpy: of the model, or of neurons that send the bound or nothing."""
    values = x.astype(np.float64) / 255
    for layer in trained[:2]:
        weights, bias = (item.detach().double().numpy() for item in layer.forward_weights.parameters())
        lateral = layer.lateral_weights
        back = np.zeros((len(bias),) * 2) if lateral is None else lateral.weight.detach().double().numpy()
        bound, sent = layer.activation.bound, []
        left = y = np.zeros((len(x), len(bias)))
        for t in range(STEPS):
            u = values[:, t] @ weights.T + bias + y @ back.T + layer.tau * left
            y = bound * (u >= (bound / 2 if rounded else bound)) if spikes else np.clip(u, 0, bound)
            left = u - y
            sent.append(y)
        values = np.stack(sent, 1)
    weights, bias = (item.detach().double().numpy() for item in trained[3].parameters())
    return values.mean(1) @ weights.T + bias


def test_the_layer_is_that_of_the_appendix() -> None:
    trained, x = model().double(), sequences(8)
    expected = by_hand(trained, x, spikes=False, rounded=False)
    np.testing.assert_allclose(trained(torch.from_numpy(x / 255.0)).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shift", [True, False])
def test_the_spiking_network_in_floats_is_that_of_the_appendix(shift: bool) -> None:
    trained, x = model().double(), sequences(8)
    prepared = prepare(trained, Samples(x, None), None, None)
    method = METHODS["optimal-conversion"].with_options({"shift": shift})
    seen = torch.from_numpy(x / 255.0)[..., None, None]
    spiking = spiking_network(prepared.network, seen, method, STEPS)  # type: ignore[arg-type]
    got = averages(spiking, seen)[prepared.network.readouts[0]].flatten(1).numpy() / STEPS
    np.testing.assert_allclose(got, by_hand(trained, x, spikes=True, rounded=shift), atol=1e-12)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("shift", [True, False])
def test_integers_fire_as_the_spiking_network_in_floats(shift: bool, floats: bool) -> None:
    trained, x = model(), sequences(200)
    x = x / 100.0 - 1.0 if floats else x  # in -1..1.55, so that code 0 is not 0
    network = converted(trained, x, options={"shift": shift}, input_timesteps=8)
    codes = encode(network.inputs[0], x).reshape(x.shape) * network.inputs[0].scale + network.inputs[0].zero
    logits = golden.evaluate(network, x) * network.readouts[0].scale
    expected = by_hand(trained, codes * 255, spikes=True, rounded=shift)
    assert np.abs(logits - expected).mean() < 0.1 * expected.std()  # a spike here and there comes a step early or late


@pytest.mark.parametrize("tau", [0.0, 0.5, 1 - 2.0**-15, 1.0])
def test_structure_and_attenuation_are_kept(tau: float) -> None:
    network = converted(model(tau=tau))
    assert network.schedule == "synchronous"
    assert network.timesteps == network.inputs[0].sequence == STEPS
    assert network.inputs[0].shape == (5, 1, 1)
    assert [item.neuron.growth for item in network.populations] == [tau, 0.75, 1.0]
    assert [(item.source, item.target, network.recurrent(item)) for item in network.connections] == [
        ("input", "recur0", False),
        ("recur0", "recur0", True),
        ("recur0", "recur1", False),
        ("recur1", "linear3", False),
    ]
    for item in network.populations[:2]:
        np.testing.assert_array_equal(2 * item.neuron.fire_pos, item.neuron.theta)  # type: ignore[union-attr,operator]


def test_without_shift_the_threshold_is_the_bound() -> None:
    network = converted(model(), options={"shift": False})
    assert all(item.neuron.fire_pos is None for item in network.populations[:2])  # type: ignore[union-attr]


def test_a_relu_takes_its_largest_activation() -> None:
    trained, x = model(bound=None), sequences(200)
    network = converted(trained, x)
    with torch.no_grad():
        largest = float(trained[0](torch.from_numpy(x / np.float32(255))).max())
    units = np.array(network.provenance.units["recur0"])
    theta = network.populations[0].neuron.theta[0] * units  # type: ignore[union-attr]
    assert 0.5 * largest < theta.min() <= theta.max() <= 1.001 * largest  # of the samples that it was fitted on


def test_rows_of_grey_images_are_time_steps() -> None:
    x = sequences(40)
    plain, images = converted(model(), x), converted(model(), x[:, None])
    assert plain.digest == images.digest


def test_normalisation_alike_for_all_values_is_folded() -> None:
    trained, x = model(), sequences(40)
    network = converted(trained, x, mean=0.25, std=0.5)
    assert network.digest != converted(trained, x).digest
    prepared = prepare(trained, Samples(x, None), 0.25, 0.5)
    np.testing.assert_allclose(prepared.logits(Samples(x, None))[0], prepared.outputs(Samples(x, None))[0], atol=1e-5)


def test_a_file_and_another_run_give_the_same_network(tmp_path: Path) -> None:
    network = converted(model())
    network.save(tmp_path / "net.loom")
    assert Network.load(tmp_path / "net.loom").digest == network.digest == converted(model()).digest


def test_multiplications_come_in_every_time_step() -> None:
    assert macs(converted(model())) == {
        "recur0": STEPS * 60,
        "recur0_recur0": STEPS * 144,
        "recur1": STEPS * 108,
        "linear3": 36,
    }
    assert NETWORKS["mnist_rnn"].cost() == (28 * 128 + 128 + 128 * 128 + 1290, 28 * (28 * 128 + 128 * 128) + 1280)


def test_a_named_network_trains_as_recurrent_ones_do() -> None:
    origin = Origin.of("mnist_rnn")
    assert origin.parameters == {"bound": 0.25}
    recipe = Recipe.of(origin.make(), 1000)
    assert (recipe.optimiser, recipe.plain_epochs) == ("adam", 0)


def test_epochs_can_be_chosen_by_the_spikes_of_a_sequence() -> None:
    trained, x = model(), sequences(100)
    answers = by_hand(trained.double(), x, spikes=True, rounded=True).argmax(1)
    y = np.where(np.arange(100) < 70, answers, (answers + 1) % 4)
    assert residual(trained, x, y, METHODS["optimal-conversion"](), STEPS).accuracy == 0.7  # type: ignore[arg-type]


def test_a_training_of_a_recurrent_network_tells_what_its_spikes_reach() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 1, 28, 28), dtype=np.uint8), rng.integers(0, 10, 40)
    result = train_network("mnist_rnn", x, y, epochs=1, batch=10, validation=10, tau=28)
    assert result.reached.snn_accuracy is not None
    assert result.test(x, y)[1] is not None
    with pytest.raises(InvalidNetwork, match=r"tau must be 28 or left out, .*, not 8$"):
        train_network("mnist_rnn", x, y, epochs=1, batch=10, validation=10, tau=8)


class Joined(nn.Module):
    """Adds what a recurrent layer hears to what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.mean, self.fc = ThresholdRNN(5, 5), MeanOverTime(), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.mean(self.rnn(x) + x))  # type: ignore[no-any-return]


CHAIN = "which is layers of ThresholdRNN, then MeanOverTime and one Linear"
REFUSED: dict[str, tuple[Callable[[], Any], type[SpikeloomError], str]] = {
    "another method": (
        lambda: convert(model(), sequences(), method="strelu"),
        UnsupportedLayer,
        "Layer '0' (ThresholdRNN): method 'strelu' must have SymmetricThresholdReLU or AsymmetricThresholdLeakyReLU or "
        "ThresholdReLU, ReLU6, Hardtanh(0, a), ReLU behind it, not ThresholdRNN; use method 'optimal-conversion'",
    ),
    "another T": (
        lambda: converted(model(), timesteps=4),
        InvalidNetwork,
        "Convert: timesteps must be 6 or left out, the time steps of a sample of the recurrent model 'Sequential', "
        "not 4",
    ),
    "too many time steps": (
        lambda: converted(model(), np.random.default_rng(0).integers(0, 256, (9, 257, 5), dtype=np.uint8)),
        InvalidData,
        "Calibration: sequences must have at most 256 time steps, not 257; cut them",
    ),
    "samples that are no sequences": (
        lambda: converted(model(), np.random.default_rng(0).integers(0, 256, (9, 3, 6, 5), dtype=np.uint8)),
        InvalidData,
        "Calibration: samples must have the shape that model 'Sequential' takes, not (3, 6, 5) (ThresholdRNN: must get "
        "sequences (N, T, F) or grey images (N, 1, T, F), not (2, 3, 6, 5))",
    ),
    "no readout": (
        lambda: converted(nn.Sequential(ThresholdRNN(5, 4), MeanOverTime())),
        UnsupportedLayer,
        f"Model 'Sequential': must end with one Linear in a recurrent model, {CHAIN}",
    ),
    "a layer between": (
        lambda: converted(nn.Sequential(ThresholdRNN(5, 4), nn.ReLU(), MeanOverTime(), nn.Linear(4, 4))),
        UnsupportedLayer,
        f"Layer '1' (ReLU): must not stand here in a recurrent model, {CHAIN}",
    ),
    "a branch": (
        lambda: converted(Joined()),
        UnsupportedLayer,
        f"Model 'Joined' (call of add): must hear the layer before it alone in a recurrent model, {CHAIN}",
    ),
    "a mean of no sequence": (
        lambda: converted(nn.Sequential(nn.Conv2d(1, 2, 3), MeanOverTime()), sequences()[:, None]),
        UnsupportedLayer,
        "Layer '1' (MeanOverTime): must get sequences of shape (T, F), not (2, 4, 3); put it behind a ThresholdRNN",
    ),
    "normalisation by time step": (
        lambda: converted(model(), mean=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        UnsupportedLayer,
        "Normalisation by mean and std: must treat all values alike ahead of a recurrent layer",
    ),
    "epochs chosen by spikes of another T": (
        lambda: residual(model(), sequences(), np.zeros(60, np.int64), METHODS["optimal-conversion"](), 4),  # type: ignore[arg-type]
        InvalidNetwork,
        "Model 'Sequential': tau must be 6 or left out, the time steps of a sample of this recurrent model, not 4",
    ),
    "an activation function by name": (
        lambda: Origin.of("mnist_rnn", "strelu"),
        InvalidNetwork,
        "Network 'mnist_rnn': activation must be trelu or relu, as it is recurrent, not strelu",
    ),
    "export": (
        lambda: graph_of(converted(model(tau=1.0), options={"shift": False})),
        NotBuilt,
        "Network 'net': cannot be NIR: input must stay the same in all time steps, not be a sequence; "
        "connection 'recur0_recur0': must not be recurrent",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_recurrent_chain_is_refused_by_name(case: str) -> None:
    attempt, kind, expected = REFUSED[case]
    with pytest.raises(kind) as error:
        attempt()
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (0.6, "ThresholdRNN: tau must be 1, 0 or 1 - 2^-s with s in 1..15, not 0.6; the nearest is 0.5"),
        (0.1, "ThresholdRNN: tau must be 1, 0 or 1 - 2^-s with s in 1..15, not 0.1; the nearest is 0"),
        (1.5, "ThresholdRNN: tau must lie in 0..1, not 1.5"),
        (float("nan"), "ThresholdRNN: tau must lie in 0..1, not nan"),
        (True, "ThresholdRNN: tau must lie in 0..1, not True"),
    ],
)
def test_a_tau_that_integers_do_not_take_is_refused(tau: float, expected: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011, the whole message is compared
        ThresholdRNN(3, 3, tau=tau)
    assert str(error.value) == expected


def test_another_activation_function_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^ThresholdRNN: activation must be a ThresholdReLU or a ReLU, not QCFS$"):
        ThresholdRNN(3, 3, QCFS())


def test_a_check_tells_what_becomes_of_a_recurrent_model() -> None:
    report = inspect_model(model(), Samples(sequences(8), None))
    assert report.convertible
    assert report.macs == STEPS * (60 + 144 + 108) + 36
    assert [(node.status, node.becomes) for node in report.nodes] == [
        ("ok", "recurrent population 'recur0' of 12x1x1 = 12 neurons"),
        ("ok", "recurrent population 'recur1' of 9x1x1 = 9 neurons"),
        ("folded", "the readout adds up all time steps"),
        ("ok", "readout 'linear3' of 4x1x1 = 4 neurons"),
    ]


def test_a_check_names_what_a_recurrent_model_must_not_have() -> None:
    wrong = nn.Sequential(ThresholdRNN(5, 4), nn.ReLU(), MeanOverTime(), nn.Linear(4, 4))
    report = inspect_model(wrong, Samples(sequences(8), None))
    assert report.problems == (f"Layer '1' (ReLU): must not stand here in a recurrent model, {CHAIN}",)
    assert [node.status for node in report.nodes].index("unsupported") == 1
    assert report.nodes[1].hint == f"must not stand here in a recurrent model, {CHAIN}"
