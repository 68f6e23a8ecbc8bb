"""The conversion from end to end: data, settings, what is recorded, and that it comes out the same every time."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from spikeloom import golden
from spikeloom.errors import InvalidData, InvalidNetwork, SpikeloomError
from spikeloom.measure import measure
from spikeloom.network import Network
from spikeloom.neuron import Neuron
from spikeloom_convert import convert
from spikeloom_convert.float_network import FloatNetwork
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.quantising.calibrate import RULES
from spikeloom_convert.quantising.selection import Candidate, Reference, choose
from spikeloom_convert.samples import HELD_SAMPLES, check, split
from torch import nn

X = pixels(80, 1, 6, 6)
Y = np.arange(80) % 4


def dense(seed: int = 0) -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 4)), seed)


def conv(padding: int = 0) -> nn.Module:
    side = 4 + 2 * padding
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=padding), nn.ReLU(), nn.Flatten(), nn.Linear(3 * side * side, 4)
        )
    )


class Branched(nn.Module):
    """Three convolutions, the last of which adds what the first one gave; two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
        )
        self.f, self.out = nn.Linear(144, 10), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.c1(x))
        both = torch.relu(first + self.c3(torch.relu(self.c2(first))))
        out: torch.Tensor = self.out(torch.relu(self.f(both.flatten(1))))
        return out


def branched() -> nn.Module:
    return seeded(Branched)


def agreement(network: Network, model: nn.Module, x: np.ndarray, seen: np.ndarray) -> float:
    """Correlation of the network's logits with the model's."""
    with torch.no_grad():
        expected = model(torch.from_numpy(seen)).numpy()
    logits = golden.evaluate(network, x) * network.readouts[0].scale
    return float(np.corrcoef((logits - logits.mean(0)).ravel(), (expected - expected.mean(0)).ravel())[0, 1])


def test_the_same_seed_gives_the_same_network() -> None:
    first, second = (convert(conv(), X, labels=Y, seed=3) for _ in range(2))
    assert first.digest == second.digest
    assert first.provenance == second.provenance
    assert convert(conv(), X, labels=Y, seed=4).digest != first.digest


def test_minimal_weight_code_changes_nothing_but_the_events() -> None:
    plain, naf = (convert(dense(), X, labels=Y, timesteps=5, code=code) for code in ("plain", "naf"))
    np.testing.assert_array_equal(golden.evaluate(plain, X), golden.evaluate(naf, X))
    assert plain.provenance.accuracy == naf.provenance.accuracy
    assert [naf.sender(name).code for name in ("input", naf.populations[0].name)] == ["naf", "naf"]
    fit, _ = split(check(X, Y), 0, len(X))
    for network in (plain, naf):
        spikes = golden.run(network, fit.x).spikes
        for sender in (network.inputs[0], network.populations[0]):
            assert sender.activity == np.count_nonzero(spikes[sender.name]) / len(fit)


def test_the_number_of_threads_does_not_matter_and_stays_what_it_was() -> None:
    before = torch.get_num_threads()
    digests = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        digests.append(convert(conv(), X).digest)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert digests[0] == digests[1]


def test_the_callers_random_state_and_model_stay_what_they_were() -> None:
    model = conv().float().train()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    convert(model, X)
    assert torch.equal(torch.rand(3), expected)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_models_of_every_precision_are_taken(dtype: torch.dtype) -> None:
    network = convert(dense().to(dtype), X, timesteps=8, weight_bits=8)
    assert agreement(network, dense(), X, X / 255.0) > 0.99


def test_provenance_tells_where_a_network_comes_from() -> None:
    network = convert(dense(), X, labels=Y, name="digits")
    known = network.provenance
    assert network.name == "digits"
    assert (known.model, known.method) == ("Sequential", "spikeconverter")
    assert set(known.accuracy) == {"ann", "snn", "agreement"}
    assert set(known.versions) == {"spikeloom", "python", "torch", "numpy"}
    assert known.notes[0] in [str(rule) for rule in RULES]
    assert known.notes[1] == "fitted on 60 samples, measured on 20"
    held = split(check(X, Y), 0)[1]
    assert held.y is not None
    assert known.accuracy["snn"] == (golden.evaluate(network, held.x).argmax(1) == held.y).mean()
    with torch.no_grad():
        classes = dense()(torch.from_numpy(held.x / 255.0)).argmax(1).numpy()
    assert known.accuracy["ann"] == (classes == held.y).mean()


def test_without_labels_only_the_agreement_is_known() -> None:
    assert set(convert(dense(), X).provenance.accuracy) == {"agreement"}


def test_what_is_held_back_is_not_fitted_on() -> None:
    samples = check(np.arange(6000, dtype=np.float64).reshape(-1, 1))
    fit, held = split(samples, seed=1)
    assert not set(fit.x.ravel()) & set(held.x.ravel())
    assert (len(fit), len(held)) == (1500, HELD_SAMPLES)
    assert [len(part) for part in split(check(X), seed=0)] == [60, 20]
    assert [len(part) for part in split(check(X), seed=0, most=7)] == [7, 7]
    assert [len(part) for part in split(check(X[:7]), seed=0)] == [7, 7]


def test_progress_tells_every_layer() -> None:
    told: list[tuple[int, int, str]] = []
    convert(dense(), X, progress=lambda *what: told.append(what))
    assert told == [(done, 8, "layers calibrated") for done in range(9)]


def test_pixels_have_as_many_input_bits_as_time_steps_at_most_8() -> None:
    assert [convert(dense(), X, timesteps=t).inputs[0].timesteps for t in (3, 8, 12)] == [3, 8, 8]
    assert convert(dense(), X / 255.0, timesteps=12).inputs[0].timesteps == 12
    assert convert(dense(), X, timesteps=3, input_timesteps=5).inputs[0].timesteps == 5


@pytest.mark.parametrize(
    ("bits", "said"), [(1, "cut to 1 bit: more input_timesteps, up to 8, bring it nearer"), (8, "")]
)
def test_a_note_says_where_the_inputs_few_bits_cost_most(bits: int, said: str) -> None:
    notes = convert(dense(), X, timesteps=8, input_timesteps=bits).provenance.notes
    found = [note for note in notes if "is the input's" in note]
    assert [note.endswith(said) for note in found] == ([True] if said else [])


@pytest.mark.parametrize("model", [conv(0), conv(1)], ids=["unpadded", "padded"])
def test_input_codes_stand_for_pixels_as_least_squares_says(model: nn.Module) -> None:
    source = convert(model, X[:6], timesteps=3).inputs[0]  # so few are all fitted on
    codes, seen = (X[:6] >> 5).ravel().astype(np.float64), (X[:6] / 255.0).ravel()
    if isinstance(model[0], nn.Conv2d) and model[0].padding == (1, 1):
        assert source.zero == 0.0
        assert source.scale == pytest.approx((codes @ seen) / (codes @ codes), rel=1e-12)
    else:
        assert [source.scale, source.zero] == pytest.approx(np.polyfit(codes, seen, 1).tolist(), rel=1e-9)
    assert (source.low, source.high) == (0.0, 1.0)


def test_float_samples_are_mapped_from_the_range_they_span() -> None:
    x = X / 255.0
    for data, span in ((x, (0.0, 1.0)), (x * 3 - 1, (-1.0, 2.0)), (x * 0.5 + 0.2, (0.0, 1.0)), (x + 1, (1.0, 2.0))):
        network = convert(conv(), data, timesteps=8, weight_bits=8)
        assert (network.inputs[0].low, network.inputs[0].high) == span
        assert agreement(network, conv(), data, data) > 0.99
    assert convert(conv(1), x + 1).inputs[0].low == 0.0  # padded zeros are code 0
    network = convert(conv(1), x * 3 - 1, timesteps=8, weight_bits=8)  # no code is 0: offsets differ at the border
    assert agreement(network, conv(1), x * 3 - 1, x * 3 - 1) > 0.99
    assert len(network.populations[0].neuron.initial) == 9


@pytest.mark.parametrize(
    "given", [{"mean": 0.4, "std": 0.25}, {"mean": [0.4], "std": [0.25]}, {"mean": 0.4}, {"std": 0.25}]
)
def test_normalisation_outside_the_model_is_folded_in(given: dict[str, Any]) -> None:
    for model in (conv(), conv(1)):
        network = convert(model, X, timesteps=8, weight_bits=8, **given)
        mean, std = (float(np.ravel(given.get(name, default))[0]) for name, default in (("mean", 0.0), ("std", 1.0)))
        assert agreement(network, model, X, (X / 255.0 - mean) / std) > 0.99


def test_normalisation_by_channel_is_folded_in() -> None:
    x = pixels(60, 3, 6, 6)
    model = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    network = convert(model, x, timesteps=8, weight_bits=8, mean=mean, std=std)
    along = (1, 3, 1, 1)
    seen = (x / 255.0 - np.reshape(mean, along)) / np.reshape(std, along)
    assert agreement(network, model, x, seen) > 0.99


def test_images_are_flattened_for_a_model_that_takes_vectors() -> None:
    model = nn.Sequential(*dense()[1:])
    network = convert(model, X, timesteps=8, weight_bits=8, mean=0.5)
    assert network.inputs[0].shape == (1, 6, 6)
    assert agreement(network, model, X, X.reshape(80, 36) / 255.0 - 0.5) > 0.99


def test_vectors_and_sequences_are_taken_as_the_model_takes_them() -> None:
    flat, rows = X.reshape(80, 36), X.reshape(80, 4, 9)
    assert convert(nn.Sequential(*dense()[1:]), flat).inputs[0].shape == (36, 1, 1)
    assert convert(dense(), rows).inputs[0].shape == (4, 1, 9)


def test_tensors_serve_as_samples_and_labels() -> None:
    assert (
        convert(dense(), torch.from_numpy(X), labels=torch.from_numpy(Y)).digest == convert(dense(), X, labels=Y).digest
    )


class Unusual(nn.Module):
    """A model whose layers do not say what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(36, 4)
        self.head.register_forward_hook(lambda module, inputs, output: output * 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


def test_a_model_that_is_not_its_layers_is_refused() -> None:
    with pytest.raises(InvalidNetwork) as error:
        convert(Unusual(), X)
    assert str(error.value).startswith("Model 'Unusual': must give the outputs its layers say, not others (up to ")
    assert str(error.value).endswith("; remove hooks, random values and changes of the layers in forward")


NAN = X / 255.0
NAN[3, 0, 1, 1:3] = np.nan
REFUSED: dict[str, tuple[dict[str, Any], type[SpikeloomError], str]] = {
    "every setting at once": (
        {"timesteps": 17, "input_timesteps": 0, "weight_bits": 9, "seed": -1, "name": "No"},
        InvalidNetwork,
        "Convert: timesteps must be an integer in 1..16, not 17; input_timesteps must be an integer in 1..16, not 0; "
        "weight_bits must be an integer in 2..8, not 9; seed must be an integer of at least 0, not -1; "
        "name must match [a-z][a-z0-9_]{0,39}, not 'No'",
    ),
    "no integers": (
        {"timesteps": 4.0, "weight_bits": True},
        InvalidNetwork,
        "Convert: timesteps must be an integer in 1..16, not 4.0; weight_bits must be an integer in 2..8, not True",
    ),
    "method": (
        {"method": "ttfs"},
        InvalidNetwork,
        "Convert: method must be one of spikeconverter, optimal-conversion, strelu, steprelu, qcfs, noisy-quantized, "
        "not 'ttfs'",
    ),
    "code": ({"code": 3}, InvalidNetwork, "Convert: code must be plain or naf, not 3"),
    "code of growth 1": (
        {"code": "naf", "growth": 1.0},
        InvalidNetwork,
        "Convert: code naf must be with growth 2, not 1",
    ),
    "no samples": (
        {"calibration": X[:0]},
        InvalidData,
        "Calibration: must hold at least one sample, not shape (0, 1, 6, 6)",
    ),
    "constant": (
        {"calibration": X * 0 + 7},
        InvalidData,
        "Calibration: values must vary, not all be 7; give real samples",
    ),
    "NaN": (
        {"calibration": NAN},
        InvalidData,
        "Data for 'calibration': must be finite, not NaN or infinite (2 values)",
    ),
    "integers": (
        {"calibration": X.astype(np.int64)},
        InvalidData,
        "Data for 'calibration': must be uint8 or float, not int64; convert it with astype",
    ),
    "one axis": (
        {"calibration": X[0, 0, 0]},
        InvalidData,
        "Calibration: must have shape (N, C, H, W), (N, C, L) or (N, F), not (6,)",
    ),
    "another shape": (
        {"calibration": pixels(8, 1, 5, 5)},
        InvalidData,
        "Calibration: samples must have the shape that model 'Sequential' takes, not (1, 5, 5) "
        "(mat1 and mat2 shapes cannot be multiplied (2x25 and 36x12))",
    ),
    "too few labels": (
        {"labels": Y[:5]},
        InvalidData,
        "Labels: must be 80 integers, one a sample, not int64 of shape (5,)",
    ),
    "labels beyond the outputs": (
        {"labels": Y + 1},
        InvalidData,
        "Labels: must lie in 0..3, the model's outputs, not 1..4",
    ),
    "mean": (
        {"mean": [0.1, 0.2]},
        InvalidData,
        "mean: must be one finite number or one for each of 1 channels, not [0.1, 0.2]",
    ),
    "std": ({"std": 0.0}, InvalidData, "std: must be positive, not 0.0"),
    "time steps of a layer": (
        {"layer_timesteps": {"*": 0}},
        InvalidNetwork,
        "Convert: layer_timesteps of '*' must be an integer in 1..16, not 0",
    ),
    "time steps of nobody": (
        {"layer_timesteps": {"fc1": 3, "fc2": 4, "input": 5}},
        InvalidNetwork,
        "Convert: layer_timesteps must name populations that fire (fc1), not 'fc2', 'input'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_one_clear_line(given: dict[str, Any], kind: type[SpikeloomError], message: str) -> None:
    arguments = {"model": dense(), "calibration": X} | given
    with pytest.raises(kind) as error:
        convert(arguments.pop("model"), arguments.pop("calibration"), **arguments)
    assert str(error.value) == message


def test_the_float_network_stands_between_model_and_integers() -> None:
    prepared = prepare(dense(), check(X), None, None)
    assert isinstance(prepared.network, FloatNetwork)
    assert np.allclose(prepared.outputs(check(X))[0], prepared.logits(check(X))[0], atol=1e-12)


def candidate(right: int, differing: int, error: float, sops: float = 100.0) -> Candidate:
    return Candidate(RULES[0], convert(dense(), X[:8]), None, right, differing, error, sops)


def test_candidates_are_chosen_by_accuracy_where_it_is_no_chance_and_by_their_logits_where_it_is() -> None:
    better, nearer, worse = candidate(98, 4, 0.02), candidate(97, 4, 0.01), candidate(90, 9, 0.001)
    assert choose([better, nearer, worse]) is nearer
    assert choose([better, worse]) is better


def test_of_candidates_about_as_near_the_one_of_fewest_synaptic_operations_is_chosen() -> None:
    nearest, cheap, cheaper = candidate(97, 4, 0.002), candidate(97, 4, 0.0024, 90.0), candidate(97, 4, 0.0026, 80.0)
    assert choose([nearest, cheap, cheaper]) is cheap
    assert choose([nearest, candidate(97, 4, 0.0024, 100.0)]) is nearest
    far, little, much = candidate(97, 4, 0.09), candidate(97, 4, 0.0909, 90.0), candidate(97, 4, 0.0912, 80.0)
    assert choose([far, little, much]) is little


def test_synaptic_operations_of_a_candidate_are_those_of_the_calibration_samples() -> None:
    model, samples = conv(padding=1), check(X, Y)
    network = convert(model, X, labels=Y)
    reference = Reference.of(prepare(model, samples, None, None), samples)
    expected = measure(network, split(samples, 0, len(X))[0].x).sops_per_inference
    assert Candidate.measure(RULES[0], network, reference).sops == pytest.approx(expected, rel=0.05)


def test_single_populations_have_trains_of_their_own_length() -> None:
    network = convert(branched(), X, timesteps=3, input_timesteps=5, layer_timesteps={"c*": 4, "c2": 7})
    lengths = {item.name: item.neuron.timesteps for item in network.populations if isinstance(item.neuron, Neuron)}
    assert lengths == {"c1": 4, "c2": 7, "c3": 4, "f": 3}


def test_longer_trains_ahead_of_short_ones_bring_the_network_nearer() -> None:
    """Weights keep their bits however fine the codes are that they meet."""
    errors = []
    for own in ({}, {"c1": 12}, {"c*": 12}):
        network = convert(branched(), X, timesteps=4, weight_bits=8, input_timesteps=8, layer_timesteps=own)
        errors.append(1.0 - agreement(network, branched(), X, X / 255.0))
    assert errors[0] > errors[1] > errors[2]
