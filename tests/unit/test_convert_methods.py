"""The conversion methods of the synchronous schedule: what their papers say of one layer, and whole networks."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from convert_models import pixels
from spikeloom import Network, Neuron, golden
from spikeloom.errors import InvalidNetwork, UnsupportedLayer
from spikeloom.trace import require_equal
from spikeloom_convert import METHODS, convert, trace
from spikeloom_convert.activations import (
    QCFS,
    AsymmetricThresholdLeakyReLU,
    NoisyQuantized,
    StepReLU,
    SymmetricThresholdReLU,
    ThresholdReLU,
    Trainable,
)
from spikeloom_convert.spiking import FloatNeuron, fired
from torch import nn

X = pixels(40, 1, 6, 6)
TAKES = {
    "optimal-conversion": ThresholdReLU,
    "strelu": SymmetricThresholdReLU,
    "steprelu": StepReLU,
    "qcfs": lambda: QCFS(levels=4, bound=1.5),
    "noisy-quantized": lambda: NoisyQuantized(levels=4, bound=1.5),
}


def model(activation: Any, seed: int = 0) -> nn.Module:
    """A convolution, a strided one and a linear layer, with an activation function between them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = OrderedDict(
            first=nn.Conv2d(1, 4, 3, padding=1),
            act1=activation(),
            second=nn.Conv2d(4, 6, 3, stride=2, padding=1),
            act2=activation(),
            flat=nn.Flatten(),
            last=nn.Linear(54, 5),
        )
        for layer in layers.values():
            if hasattr(layer, "weight"):
                nn.init.normal_(layer.weight, 0.0, 1.5 / layer.weight[0].numel() ** 0.5)
        return nn.Sequential(layers).eval()


def logits(network: Network, x: np.ndarray) -> np.ndarray:
    """Of a network's readout, float64 [N, outputs]."""
    return golden.evaluate(network, x) * network.readouts[0].scale


@pytest.mark.parametrize("name", TAKES)
def test_with_many_time_steps_the_network_is_the_model(name: str) -> None:
    made = model(TAKES[name])
    options = {"spike_bits": 12} if name == "steprelu" else {}
    steps = {"steprelu": 1, "qcfs": 4, "noisy-quantized": 4}.get(name, 200)
    network = convert(made, X, method=name, timesteps=steps, weight_bits=8, options=options)
    with torch.no_grad():
        expected = made(torch.from_numpy(X).float() / 255).numpy()
    got = logits(network, X)
    # qcfs has the model's own levels, but its spikes arrive unevenly
    bound = 0.4 if "q" in name and steps == 4 else 0.06
    assert network.schedule == "synchronous"
    assert np.sqrt(((got - expected) ** 2).mean() / expected.var()) < bound
    require_equal(golden.run(network, X[:4]), golden.run_values(network, X[:4]))


def first_layer(name: str, steps: int, **options: object) -> tuple[np.ndarray, np.ndarray, Neuron]:
    """Mean spike [N, C, H, W] of the layer that hears the input, its drive per time step, and its neuron."""
    network = convert(model(TAKES[name]), X, method=name, timesteps=steps, weight_bits=6, options=options)
    found = golden.run(network, X)
    neuron = network.populations[0].neuron
    assert isinstance(neuron, Neuron)
    spikes = found.spikes["first"].astype(np.int64)
    if neuron.step_bits:
        weights = 1 << np.arange(neuron.step_bits)[::-1]
        spikes = (
            spikes.reshape(len(X), steps, neuron.step_bits, *spikes.shape[2:]) * weights[:, None, None, None]
        ).sum(2)
    drive = found.accumulated["first"][:, 0] - neuron.initial.reshape(-1, 1, 1)
    return spikes.sum(1), drive, neuron


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_optimal_conversion_rounds_the_average_input_to_t_levels(steps: int) -> None:
    count, drive, neuron = first_layer("optimal-conversion", steps)
    theta = int(neuron.theta[0, 0])
    assert (neuron.theta % (2 * steps) == 0).all()
    columns = neuron.theta.reshape(-1, 1, 1)
    np.testing.assert_array_equal(count, np.clip(steps * drive // columns, 0, steps))  # the shift is in the drive
    without, bare, other = first_layer("optimal-conversion", steps, shift=False)
    assert other.theta[0, 0] == theta
    np.testing.assert_array_equal(bare + other.theta.reshape(-1, 1, 1) // (2 * steps), drive)
    assert (without <= count).all()
    assert (without < count).any()


def normalised(layers: int) -> nn.Module:
    """Convolutions of mostly positive weights, each with a batch norm that takes their mean away again."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made: list[nn.Module] = []
        for number in range(layers):
            conv = nn.Conv2d(6 if number else 1, 6, 3, padding=1, bias=False)
            conv.weight.data += conv.weight.data.std() / 2
            made += [conv, nn.BatchNorm2d(6, momentum=None), ThresholdReLU()]
        model = nn.Sequential(*made, nn.Flatten(), nn.Linear(216, 5))
    with torch.no_grad():
        model(torch.from_numpy(X).float() / 255)  # for the statistics
    return model.eval()


def test_half_a_threshold_at_the_start_outruns_its_parts_in_every_step() -> None:
    made, off = normalised(8), {}
    with torch.no_grad():
        expected = made(torch.from_numpy(X).float() / 255).numpy()
    for name in ("optimal-conversion", "qcfs"):
        network = convert(made, X, method=name, timesteps=16, weight_bits=8)
        off[name] = np.sqrt(((logits(network, X) - expected) ** 2).mean() / expected.var())
    assert off["qcfs"] < off["optimal-conversion"] / 3, off


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_strelu_rounds_to_the_nearest_signed_count(steps: int) -> None:
    count, drive, neuron = first_layer("strelu", steps)
    theta = neuron.theta.reshape(-1, 1, 1)
    assert (neuron.fire_pos * 2 == neuron.theta).all()
    assert neuron.fire_neg is not None
    assert (neuron.fire_neg * 2 == -neuron.theta).all()
    tie = (2 * steps * drive) % theta == 0
    expected = np.clip(np.floor(steps * drive / theta + 0.5), -steps, steps)
    assert (count == expected)[~tie].all()
    assert count.min() < 0 < count.max()


def test_negative_spikes_of_leaky_ones_are_rarer_by_alpha() -> None:
    alpha = 0.25
    network = convert(
        model(lambda: AsymmetricThresholdLeakyReLU(alpha)), X, method="strelu", timesteps=8, weight_bits=6
    )
    neuron = network.populations[0].neuron
    assert isinstance(neuron, Neuron)
    assert neuron.reset_neg is not None
    assert (np.abs(neuron.reset_neg - neuron.theta / alpha) < 1).all()
    found = golden.run(network, X)
    drive = found.accumulated["first"][:, 0].astype(np.float64) / neuron.theta.reshape(-1, 1, 1)
    count = found.spikes["first"].astype(np.int64).sum(1)
    expected = np.clip(np.where(drive > 0, 8 * drive, 8 * alpha * drive), -8, 8)
    assert np.abs(count - np.trunc(expected)).max() <= 1  # at the edge of a level the thresholds' rounding decides
    assert (count == np.trunc(expected)).mean() > 0.95
    assert count.min() < 0 < count.max()
    require_equal(found, golden.run_values(network, X))


@pytest.mark.parametrize("name", ["qcfs", "noisy-quantized"])
def test_qcfs_with_as_many_time_steps_as_levels_is_its_activation_function(name: str) -> None:
    count, drive, neuron = first_layer(name, 4)
    theta = neuron.theta.reshape(-1, 1, 1)
    assert (neuron.initial * 2 == neuron.theta).all()
    np.testing.assert_array_equal(count, np.clip((4 * drive + theta // 2) // theta, 0, 4))


def test_steprelu_sends_what_exceeds_the_threshold_and_gamma() -> None:
    count, drive, neuron = first_layer("steprelu", 1, spike_bits=7)
    assert neuron.fire_pos is not None
    assert neuron.step_gamma is not None
    excess = drive - neuron.fire_pos.reshape(-1, 1, 1)
    size = neuron.theta.reshape(-1, 1, 1) >> 6
    value = (excess + neuron.step_gamma.reshape(-1, 1, 1)) // size
    np.testing.assert_array_equal(count, np.where(excess > 0, np.minimum(value, 127), 0))


def test_steprelu_repeats_its_input_and_forgets_it_by_its_leak() -> None:
    network = convert(model(StepReLU), X, method="steprelu", timesteps=5, options={"leak": 2})
    assert network.populations[-1].neuron.growth == 0.75
    assert network.timesteps == 5


@pytest.mark.parametrize("name", TAKES)
def test_provenance_tells_what_potentials_and_spikes_are_worth(name: str) -> None:
    made = model(TAKES[name])
    network = convert(made, X, method=name, timesteps=4, weight_bits=8)
    with torch.no_grad():
        u = made.first(torch.from_numpy(X).double().float() / 255).numpy()
    found = golden.run(network, X)
    units = np.array(network.provenance.units["first"]).reshape(-1, 1, 1)
    neuron = network.populations[0].neuron
    assert isinstance(neuron, Neuron)
    drive = (found.accumulated["first"][:, 0] - neuron.initial.reshape(-1, 1, 1)) * units
    if neuron.step_gamma is not None:
        drive = drive - neuron.fire_pos.reshape(-1, 1, 1) * units
    if name == "optimal-conversion":
        drive = drive - neuron.theta.reshape(-1, 1, 1) * units / 8
    assert np.abs(drive - u).mean() < 0.03 * np.abs(u).mean()
    assert set(network.provenance.worths) == {"first", "second"}


def test_activation_functions_are_what_their_responses_say() -> None:
    x = torch.linspace(-150, 5, 4001)
    for module in (
        ThresholdReLU(0.7),
        SymmetricThresholdReLU(0.7),
        AsymmetricThresholdLeakyReLU(0.1),
        StepReLU(0.3),
        QCFS(3, 0.9),
        NoisyQuantized(5, 2.0),
    ):
        assert isinstance(module, Trainable)
        with torch.no_grad():
            torch.testing.assert_close(module.eval()(x), module.response()(x))
        low, high = module.response().range
        assert low <= module(x).min() <= module(x).max() <= high


def test_gradients_pass_the_floor_of_qcfs_and_reach_its_bound() -> None:
    module = QCFS(4, 2.0)
    x = torch.tensor([-1.0, 0.3, 1.1, 5.0], requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert module.bound.grad is not None
    assert float(module.bound.grad) != 0


def test_noise_is_added_in_training_only() -> None:
    module = NoisyQuantized(4, 2.0)
    module.delta.fill_(0.5)
    x = torch.zeros(1000)
    assert float(module.eval()(x).detach().std()) == 0
    assert 0.4 < float(module.train()(x).detach().std()) < 0.6


def test_a_threshold_relu_is_plain_as_long_as_it_is_told() -> None:
    module = ThresholdReLU(1.0)
    module.plain.fill_(True)
    assert module(torch.tensor([3.0])).item() == 3.0
    assert module.response().range == (0.0, float("inf"))


def test_soft_and_hard_resets_differ_in_the_float_network() -> None:
    one = np.ones(1)
    drive = torch.tensor([1.5, 0.5, 0.5, -2.0]).reshape(1, 4, 1, 1, 1)
    soft = fired(drive, FloatNeuron(one, one)).flatten().tolist()
    hard = fired(drive, FloatNeuron(one, one, reset_kind="hard")).flatten().tolist()
    assert soft == [1, 1, 0, 0]
    assert hard == [1, 0, 1, 0]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown option": (
        {"method": "qcfs", "options": {"shift": True}},
        InvalidNetwork,
        "Method 'qcfs': 'shift' is no option of qcfs; its options are none",
    ),
    "type of an option": (
        {"method": "optimal-conversion", "options": {"shift": 1, "percentile": "x"}},
        InvalidNetwork,
        "Method 'optimal-conversion': shift must be true or false, not 1; percentile must be a number, not 'x'; "
        "its options are shift (True), percentile (100.0)",
    ),
    "range of an option": (
        {"method": "steprelu", "options": {"spike_bits": 17, "leak": -1}},
        InvalidNetwork,
        "Method 'steprelu': spike_bits must lie in 1..16, not 17; leak must lie in 0..15, not -1; "
        "its options are spike_bits (8), leak (0)",
    ),
    "settings of two phases": (
        {"method": "strelu", "growth": 1.0},
        InvalidNetwork,
        "Convert: growth must be left out for method strelu, which has one T and IF neurons",
    ),
    "too long": (
        {"method": "strelu", "timesteps": 257},
        InvalidNetwork,
        "Convert: timesteps must be an integer in 1..256, not 257",
    ),
}


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_settings_are_one_clear_line(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        convert(model(nn.ReLU), X, **given)
    assert str(error.value) == message


def test_a_method_that_does_not_take_an_activation_function_names_those_that_do() -> None:
    with pytest.raises(UnsupportedLayer) as error:
        convert(model(SymmetricThresholdReLU), X, method="qcfs")
    assert str(error.value) == (
        "Layer 'first' (Conv2d): method 'qcfs' must have QCFS or NoisyQuantized or ReLU, ReLU6, Hardtanh(0, a), "
        "ThresholdReLU behind it, not stReLU; use method 'strelu'"
    )


@pytest.mark.parametrize("method", ["qcfs", "noisy-quantized"])
def test_a_plain_relu_is_noted_where_a_method_wants_a_trained_threshold(method: str) -> None:
    note = (
        f"the network was not trained for method {method}, 2 of its 2 activations are ReLU: use method spikeconverter, "
        "or train it with QCFS or NoisyQuantized"
    )
    assert note in convert(model(nn.ReLU), X, method=method).provenance.notes
    for trained in (QCFS, ThresholdReLU):
        assert not any("not trained" in item for item in convert(model(trained), X, method=method).provenance.notes)


def test_every_method_says_what_it_is_called() -> None:
    assert {name: item.NAME for name, item in METHODS.items()} == {name: name for name in METHODS}


def test_activation_functions_are_traced_whole() -> None:
    found = trace(model(QCFS), X / 255.0)
    assert [type(item).__name__ for item in found.operations] == [
        "Convolution",
        "Rectify",
        "Convolution",
        "Rectify",
        "Flatten",
        "Linear",
    ]


def test_max_pooling_of_spikes_one_by_one_is_refused_before_anything_is_converted() -> None:
    pooled = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()
    with pytest.raises(UnsupportedLayer) as error:
        convert(pooled, X, method="qcfs", progress=lambda *_: pytest.fail("converts"))
    assert str(error.value) == (
        "Layer '4' (Linear): method 'qcfs' must have average pooling ahead of it, not max pooling, which is no maximum "
        "of spikes that come one by one; use AvgPool2d or method 'spikeconverter'"
    )


def test_a_clip_is_the_largest_graded_spike() -> None:
    network = convert(model(lambda: ThresholdReLU(0.3)), X, method="steprelu", timesteps=1, weight_bits=8)
    made = model(lambda: ThresholdReLU(0.3))
    with torch.no_grad():
        expected = made(torch.from_numpy(X).float() / 255).numpy()
    assert ((logits(network, X) - expected) ** 2).mean() < 1e-3 * expected.var()
    worths = np.array(network.provenance.worths["first"])
    np.testing.assert_allclose(worths * 255, 0.3, rtol=1e-6)


def test_neurons_that_collect_for_several_time_steps_send_what_they_have() -> None:
    made = model(lambda: StepReLU(0.0))
    with torch.no_grad():
        made.first.bias -= 4.0
    network = convert(made, X, method="steprelu", timesteps=8, weight_bits=8, options={"spike_bits": 8})
    found = golden.run(network, X)
    digits = found.spikes["first"].reshape(len(X), 8, 8, *found.spikes["first"].shape[2:])
    full = digits.all(2)
    assert digits.any()
    assert full.mean() < 0.02 * digits.any(2).mean()


@pytest.mark.parametrize("bound", [0.0, float("inf"), float("nan")])
def test_a_bound_that_is_none_is_refused_by_name(bound: float) -> None:
    made = model(lambda: QCFS(levels=4, bound=1.0))
    with torch.no_grad():
        made.act2.bound.fill_(bound)
    with pytest.raises(InvalidNetwork if bound != 0.0 else UnsupportedLayer) as error:
        convert(made, X, method="qcfs")
    assert "'act2" in str(error.value)


def test_a_network_without_activation_functions_has_nothing_to_fire() -> None:
    with pytest.raises(UnsupportedLayer) as error:
        convert(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), X, method="strelu")
    assert str(error.value) == (
        "Model 'Sequential': method 'strelu' must have an activation function between layers; use method "
        "'spikeconverter' for a single one"
    )


def test_an_alpha_above_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^AsymmetricThresholdLeakyReLU: alpha must be at most 1, not 3$"):
        AsymmetricThresholdLeakyReLU(3)
