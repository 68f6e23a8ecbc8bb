"""Training by name: recipes, which epoch is kept, what a checkpoint brings back, and what noise is induced."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from convert_models import pixels
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from spikeloom import datasets
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from spikeloom_convert import TrainedNetwork, load_trained, train_network
from spikeloom_convert.activations import QCFS, NoisyQuantized, StepReLU, ThresholdReLU
from spikeloom_convert.methods import METHODS
from spikeloom_convert.models import digits_cnn
from spikeloom_convert.models.layered import layered
from spikeloom_convert.models.origin import Origin
from spikeloom_convert.training.checkpoint import path_of
from spikeloom_convert.training.history import Epoch, best
from spikeloom_convert.training.recipe import Recipe, kind_of, method_of
from spikeloom_convert.training.residual import residual
from torch import nn

DIGITS = datasets.load("digits", "train")


def trained(network: "str | nn.Module" = "digits_cnn", **settings) -> TrainedNetwork:
    return train_network(network, DIGITS.x[:600], DIGITS.labels[:600], **{"batch": 16, "epochs": 2, **settings})


def weights(result: TrainedNetwork) -> dict[str, torch.Tensor]:
    return result.model.state_dict()


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("activation", ["relu", "trelu", "strelu", "atlrelu", "steprelu", "qcfs", "noisy-quantized"])
def test_the_digits_are_learnt_with_every_activation(activation: str) -> None:
    adam = activation in ("relu", "strelu", "atlrelu")
    result = trained(activation=activation, epochs=6, learning_rate=5e-3 if adam else None)
    assert result.reached.accuracy >= 0.8
    assert result.reached.loss < result.history[0].loss
    assert not result.model.training
    assert all(value.grad is None for value in result.model.parameters())


def test_training_is_the_same_every_time_and_leaves_the_random_state() -> None:
    torch.manual_seed(2)
    expected = torch.rand(2)
    torch.manual_seed(2)
    first, second, other = (trained(activation="noisy-quantized", augment=True, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert equal(weights(first), weights(second))
    assert not equal(weights(first), weights(other))
    assert [dataclasses.replace(epoch, seconds=0) for epoch in first.history] == [
        dataclasses.replace(epoch, seconds=0) for epoch in second.history
    ]


@pytest.mark.parametrize("activation", ["relu", "noisy-quantized"])
def test_training_goes_on_from_its_checkpoint_to_the_same_weights(
    activation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"activation": activation, "epochs": 3, "augment": True}
    straight = trained(**settings, output=tmp_path / "straight.safetensors")

    def stop(done: int, total: int, what: str) -> None:
        if done > total // 2:  # within the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(**settings, output=tmp_path / "net.safetensors", progress=stop)
    told: list[tuple[int, int]] = []
    resumed = trained(
        **settings, output=tmp_path / "net.safetensors", progress=lambda done, total, _: told.append((done, total))
    )
    assert told[0] == (told[0][1] // 3 + 1, told[-1][0])
    assert equal(weights(resumed), weights(straight))
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in straight.history]
    assert (tmp_path / "net.safetensors").read_bytes() == (tmp_path / "straight.safetensors").read_bytes()
    again = trained(**settings, output=tmp_path / "net.safetensors", progress=lambda *_: pytest.fail("is done"))
    assert equal(weights(again), weights(straight))
    assert equal(load_trained(tmp_path / "net.safetensors").state_dict(), weights(straight))


@pytest.mark.parametrize("model", [digits_cnn(), layered("9-9-10", (1, 8, 8))])
def test_layers_ahead_of_the_last_start_with_stronger_weights(model: nn.Module) -> None:
    start = {name: value.clone() for name, value in model.state_dict().items()}
    *hidden, _ = (name for name in start if name.endswith("weight"))
    assert len(hidden) == 2
    # steps so small that they change nothing
    found = weights(trained(model, gain=4.0, epochs=1, optimiser="sgd", learning_rate=1e-30, weight_decay=0.0))
    assert equal(found, {name: 4 * value if name in hidden else value for name, value in start.items()})


def test_a_gain_is_given_once_and_told(tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"

    def stop(done: int, total: int, _: str) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(gain=4.0, output=output, progress=stop)
    resumed = trained(gain=4.0, output=output)
    assert equal(weights(resumed), weights(trained(gain=4.0)))
    assert not equal(weights(resumed), weights(trained()))
    with pytest.raises(InvalidNetwork, match=r"not of one with gain 4.0 \(here 1.0\); give"):
        trained(output=output)


def test_smoothed_labels_are_what_the_loss_is_about() -> None:
    model, steps = digits_cnn(), {"epochs": 1, "optimiser": "sgd", "learning_rate": 1e-30, "weight_decay": 0.0}
    plain = trained(model, **steps).history[0]
    smoothed = trained(model, smoothing=0.3, **steps).history[0]
    used = np.setdiff1d(np.arange(600), np.random.default_rng(0).permutation(600)[:60])
    with torch.no_grad():
        logs = model(torch.from_numpy(DIGITS.x[used]).float() / 255).log_softmax(1)
    assert smoothed.loss == pytest.approx(0.7 * plain.loss - 0.3 * float(logs.mean()), rel=1e-5)
    assert smoothed.validation_loss == plain.validation_loss


def test_a_checkpoint_from_before_gain_and_smoothing_goes_on(tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    first = trained(output=output)
    with safe_open(path_of(output), "pt") as file:
        document = json.loads(file.metadata()["spikeloom.checkpoint"])
    for name in ("gain", "smoothing"):
        del document["configuration"][name]
    save_file(load_file(path_of(output)), path_of(output), {"spikeloom.checkpoint": json.dumps(document)})
    again = trained(output=output, progress=lambda *_: pytest.fail("is done"))
    assert equal(weights(again), weights(first))


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    first = trained(output=output, epochs=1)
    with pytest.raises(InvalidNetwork) as error:
        trained(output=output, epochs=1, seed=1, activation="trelu", parameters={"bound": 2})
    assert str(error.value) == (
        f"Checkpoint '{tmp_path}/net.checkpoint.safetensors': must be of this training, not of one with "
        "model 'digits_cnn:relu' (here 'digits_cnn:trelu'), bound None (here 2), optimiser 'adam' (here 'sgd'), "
        "learning_rate 0.001 (here 0.05), weight_decay 0.0 (here 0.0005), seed 0 (here 1); "
        "give --no-resume (resume=False) to start anew, or another output"
    )
    with pytest.raises(InvalidNetwork, match=r"not of one with data '[0-9a-f]{16}' \(here '[0-9a-f]{16}'\); give"):
        train_network("digits_cnn", DIGITS.x[1:601], DIGITS.labels[1:601], batch=16, epochs=1, output=output)
    assert equal(load_file(output), weights(first))
    assert not equal(weights(trained(output=output, epochs=1, seed=1, resume=False)), weights(first))


@pytest.mark.parametrize("change", ["cut", "no metadata", "shape", "random", "optimiser", "step", "kept"])
def test_a_damaged_checkpoint_is_refused(change: str, tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    trained(output=output)
    path = path_of(output)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        tensors = load_file(path)
        if change == "shape":
            tensors["model:fc.bias"] = torch.zeros(9)
        elif change == "random":
            tensors["random:"] = tensors["random:"][:9].clone()
        elif change == "optimiser":
            tensors["optimiser:99.step"] = torch.zeros(())
        elif change == "step":
            del tensors["optimiser:0.step"]
        elif change == "kept":
            del tensors["kept:fc.bias"]
        save_file(tensors, path, metadata=None if change == "no metadata" else metadata)
    with pytest.raises(InvalidNetwork) as error:
        trained(output=output)
    assert str(error.value) == (
        f"Checkpoint '{path}': must be whole and as it was written; give --no-resume (resume=False) to start anew"
    )


def epoch(accuracy: float, snn: float | None = None, *, loss: float = 1.0, plain: bool = False) -> Epoch:
    return Epoch(0.1, 1.0, loss, accuracy, snn, 1.0, plain)


def test_the_spiking_network_chooses_the_epoch_where_it_is_measured_and_never_a_plain_one() -> None:
    assert best([epoch(0.9), epoch(0.8)]) == 1
    assert best([epoch(0.9, 0.5), epoch(0.8, 0.7)]) == 2
    assert best([epoch(0.9), epoch(0.9, loss=0.5), epoch(0.9, loss=0.5)]) == 2
    assert best([epoch(0.9, plain=True), epoch(0.8)]) == 2
    assert best([epoch(0.9, plain=True)]) is None


def test_threshold_relus_are_plain_in_the_first_epochs_only() -> None:
    model, plain = digits_cnn(activation=ThresholdReLU), []
    result = trained(model, epochs=3, plain_epochs=2, progress=lambda *_: plain.append(bool(model.relu2.plain)))
    assert plain == [True] * 68 + [False] * 34
    assert [epoch.plain for epoch in result.history] == [True, True, False]
    assert result.epoch == 3
    assert not model.relu1.plain


def test_noise_is_the_deviation_of_the_residual_error_on_the_validation_split() -> None:
    result = trained(activation="noisy-quantized", epochs=1, parameters={"levels": 2}, tau=4)
    held = np.sort(np.random.default_rng(0).permutation(600)[:60])
    model, x = result.model, torch.from_numpy(DIGITS.x[held]).double() / 255
    found = residual(model, DIGITS.x[held], DIGITS.labels[held], METHODS["noisy-quantized"].with_options({}), 4)
    assert result.reached.snn_accuracy == found.accuracy
    assert result.reached.deltas == {name: float(torch.tensor(value)) for name, value in found.deviations.items()}
    assert float(model.relu2.delta) == result.reached.deltas["relu2"] > 0
    # the same once more, step by step
    model = model.double()
    first = model.conv1(x)
    theta = [float(model.relu1.bound.detach()), float(model.relu2.bound.detach())]
    left, sums = [torch.full_like(first, theta[0] / 2), None], [0.0, 0.0]
    for _ in range(4):
        left[0] = left[0] + first
        spikes = (left[0] >= theta[0]).double()
        left[0] = left[0] - theta[0] * spikes
        drive = model.conv2(model.pool1(theta[0] * spikes))
        left[1] = (theta[1] / 2 if left[1] is None else left[1]) + drive
        second = (left[1] >= theta[1]).double()
        left[1] = left[1] - theta[1] * second
        sums = [sums[0] + theta[0] * spikes / 4, sums[1] + theta[1] * second / 4]
    ann = model.relu1(first)
    expected = [sums[0] - ann, sums[1] - model.relu2(model.conv2(model.pool1(ann)))]
    for name, off in zip(("relu1", "relu2"), expected, strict=True):
        assert found.deviations[name] == pytest.approx(float(off.detach().std(correction=0)), abs=1e-5)


def test_the_model_is_left_as_it_is_and_its_noise_does_not_count() -> None:
    model = digits_cnn(activation=NoisyQuantized)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, y = DIGITS.x[:40], DIGITS.labels[:40]
    model.train()
    first = residual(model, x, y, method_of(model), 4)
    model.relu1.delta.fill_(5.0)
    assert residual(model, x, y, method_of(model), 4) == first
    model.relu1.delta.fill_(0.0)
    assert equal(dict(model.state_dict()), before)
    assert model.training


@pytest.mark.parametrize(
    ("model", "kind", "optimiser", "tau", "plain"),
    [
        (digits_cnn(), "relu", "adam", None, 0),
        (Origin.of("digits_cnn", "strelu").make(), "strelu", "adam", None, 0),
        (Origin.of("digits_cnn", "atlrelu").make(), "atlrelu", "adam", None, 0),
        (digits_cnn(activation=ThresholdReLU), "trelu", "sgd", None, 20),
        (digits_cnn(activation=StepReLU), "steprelu", "sgd", None, 0),
        (digits_cnn(activation=lambda: QCFS(8)), "qcfs", "sgd", 8, 0),
        (digits_cnn(activation=NoisyQuantized), "noisy-quantized", "sgd", 4, 0),
    ],
)
def test_recipes_go_with_the_activation(model: nn.Module, kind: str, optimiser: str, tau: int, plain: int) -> None:
    assert kind_of(model) == kind
    recipe = Recipe.of(model, 1000, epochs=300)
    assert (recipe.optimiser, recipe.tau, recipe.plain_epochs, recipe.validation) == (optimiser, tau, plain, 100)
    assert recipe.weight_decay == (5e-4 if optimiser == "sgd" else 0)
    assert Recipe.of(model, 100_000, epochs=1).plain_epochs == 0
    assert Recipe.of(model, 100_000, epochs=1).validation == 5000


OWN = {"epochs": 16, "batch": 128, "learning_rate": 2e-3, "gain": 3.0, "smoothing": 0.1}  # of net2


@pytest.mark.parametrize(
    ("network", "given", "expected"),
    [
        ("net2", {"epochs": 1}, OWN | {"epochs": 1}),
        ("net2:strelu", {"epochs": 1, "gain": 2.0, "smoothing": 0.0}, OWN | {"epochs": 1, "gain": 2.0, "smoothing": 0}),
        ("net2", {"epochs": 1, "learning_rate": 1e-4}, OWN | {"epochs": 1, "learning_rate": 1e-4}),
        ("net2", {"epochs": 1, "optimiser": "adam"}, OWN | {"epochs": 1}),
        ("net2", {"epochs": 1, "optimiser": "sgd"}, OWN | {"epochs": 1, "learning_rate": 0.05}),
        ("net2:relu", {"epochs": 1}, {"epochs": 1, "batch": 128, "learning_rate": 1e-3, "gain": 1.0, "smoothing": 0.0}),
        ("net2", {"batch": 50}, OWN | {"batch": 50}),
    ],
)
def test_a_network_by_name_has_settings_of_its_own(
    network: str, given: dict[str, object], expected: dict[str, object]
) -> None:
    x, y = np.zeros((100, 1, 28, 28), np.uint8), np.arange(100) % 10
    recipe = train_network(network, x, y, **given).recipe  # type: ignore[arg-type]
    assert {name: getattr(recipe, name) for name in OWN} == expected


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"epochs": 0, "batch": 1, "validation": 599, "optimiser": "lion", "weight_decay": -1.0, "tau": 300},
            "epochs must be an integer of at least 1, not 0; batch must be an integer of at least 2, not 1; "
            "validation must be an integer in 1..598, not 599; tau must be an integer in 1..256, not 300; "
            "optimiser must be adam or sgd, not 'lion'; weight_decay must be a number of at least 0, not -1.0",
        ),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
        ({"gain": 0.0}, "gain must be a number above 0, not 0.0"),
        ({"smoothing": 1.0}, "smoothing must be a number of at least 0, below 1, not 1.0"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"activation": "trelu", "plain_epochs": 2}, "plain_epochs must be an integer in 0..1, not 2"),
        ({"activation": "atlrelu", "tau": 4}, "tau must be left out for atlrelu, which no method converts"),
        (
            {"learning_rate": 1e30},
            "loss must stay finite, which it does not in epoch 1; choose a learning rate below 1e+30",
        ),
        (
            {"network": "spikeloom_convert.models:digits_cnn", "activation": "qcfs"},
            "activation must be left out for a model from outside, which has its own",
        ),
    ],
)
def test_settings_out_of_range_are_listed(settings: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidNetwork) as error:
        trained(**settings, output=tmp_path / "net.safetensors")
    assert str(error.value) == f"Training: {said}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (pixels(40, 1, 8, 8), np.zeros(39, int), "Labels: must be 40 integers, one a sample, not int64 of shape (39,)"),
        (pixels(40, 1, 8, 8), np.full(40, 10), "Labels: must lie in 0..9, the model's outputs, not 10..10"),
        (
            pixels(40, 3, 8, 8),
            np.zeros(40, int),
            "Data for training: samples must have the shape the model takes, not (3, 8, 8) (Given groups=1, weight of "
            "size [8, 1, 3, 3], expected input[2, 3, 8, 8] to have 1 channels, but got 3 channels instead)",
        ),
    ],
)
def test_data_that_does_not_go_with_the_network_is_refused(x: np.ndarray, y: np.ndarray, said: str) -> None:
    with pytest.raises(InvalidData) as error:
        train_network("digits_cnn", x, y)
    assert str(error.value) == said


def test_models_from_outside_are_trained_and_told_to_be_loaded_by_their_factory(tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    result = trained("spikeloom_convert.models:digits_cnn", output=output)
    assert result.origin == Origin(None, outside="spikeloom_convert.models:digits_cnn")
    with pytest.raises(InvalidNetwork, match=r"not of spikeloom_convert.models:digits_cnn, which a file may not run"):
        load_trained(output)
    model = layered("6c3-p2-10", (1, 8, 8), batch_norm=True, padding=1)
    assert trained(model).model is model


def test_arrays_may_be_read_only() -> None:
    x, y = DIGITS.x[:60].copy(), DIGITS.labels[:60].copy()
    x.flags.writeable = y.flags.writeable = False
    accuracy, _ = train_network("digits_cnn:qcfs", x, y, epochs=1, batch=16).test(x, y)
    assert 0 <= accuracy <= 1


def test_a_name_may_bring_its_activation(tmp_path: Path) -> None:
    result = trained("digits_cnn:trelu", epochs=1, output=tmp_path / "net.safetensors")
    assert result.origin == Origin.of("digits_cnn", "trelu")
    assert isinstance(load_trained(tmp_path / "net.safetensors").relu1, ThresholdReLU)


def test_what_cannot_be_converted_is_refused_before_it_is_trained() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), QCFS(4, 1.0), nn.Linear(9, 9), nn.Sigmoid(), nn.Linear(9, 10))
    with pytest.raises(UnsupportedLayer) as error:
        trained(model, progress=lambda *_: pytest.fail("trains"))
    assert str(error.value) == (
        "Layer '4' (Sigmoid): must be the last layer, not ahead of Layer '5' (Linear); "
        "use ReLU, ReLU6 or Hardtanh(0, a)"
    )


def test_floats_are_trained_on_as_they_are_and_accuracies_on_new_samples_are_told() -> None:
    x = DIGITS.x.reshape(-1, 64) / 255.0
    model = layered("20-10", (1, 8, 8), of_one, seed=1)
    result = train_network(model, x[:600].reshape(-1, 1, 8, 8), DIGITS.labels[:600], epochs=3, batch=16)
    accuracy, snn = result.test(x[600:].reshape(-1, 1, 8, 8), DIGITS.labels[600:])
    with torch.no_grad():
        guesses = model(torch.from_numpy(x[600:]).float()).argmax(1).numpy()
    assert accuracy == (guesses == DIGITS.labels[600:]).mean() > 0.8
    assert snn is not None
    assert abs(snn - accuracy) < 0.02


def of_one() -> QCFS:
    return QCFS(4, 1.0)
