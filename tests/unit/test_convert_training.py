"""Training, and what conversion makes of trained networks."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from convert_models import pixels
from spikeloom import datasets, golden
from spikeloom.errors import InvalidData, InvalidNetwork
from spikeloom_convert import Training, convert, train, train_network
from spikeloom_convert.models import digits_cnn, mlp
from spikeloom_convert.samples import augmented
from spikeloom_convert.training.classifier import run_epoch, shown
from torch import nn


def accuracy(model: nn.Module, data: datasets.Data) -> float:
    with torch.no_grad():
        return float((model(torch.from_numpy(data.x / np.float32(255))).argmax(1).numpy() == data.y).mean())


@pytest.fixture(scope="module")
def digits() -> dict[str, datasets.Data]:
    return {split: datasets.load("digits", split) for split in datasets.SPLITS}


def fit(model: nn.Module, digits: dict[str, datasets.Data], **settings) -> Training:
    parts = digits["train"], digits["validation"]
    return train(model, parts[0].x, parts[0].y, parts[1].x, parts[1].y, **settings)


def test_training_is_the_same_every_time_and_leaves_the_random_state(digits) -> None:
    torch.manual_seed(2)
    expected = torch.rand(2)
    torch.manual_seed(2)
    states, results = [], []
    for seed in (0, 0, 1):
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10)).requires_grad_(True)
        with torch.no_grad():
            model[2].weight.zero_()
            model[2].bias.zero_()
        results.append(fit(model, digits, epochs=2, seed=seed))
        states.append(model[2].weight.detach().clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    assert results[0] == results[1]
    torch.manual_seed(2)
    assert torch.equal(torch.rand(2), expected)


def test_the_epoch_that_does_best_in_validation_is_kept(digits) -> None:
    model, told = mlp(64, 16, 10), []
    result = fit(model, digits, epochs=4, progress=lambda *what: told.append(what))
    assert not model.training
    assert all(value.grad is None for value in model.parameters())
    assert result.accuracy == max(result.history) == accuracy(model, digits["validation"])
    assert result.history[result.epoch - 1] == result.accuracy
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert told[-1][2] == f"validation accuracy {100 * result.history[-1]:.2f} %"


def test_samples_without_labels_are_refused() -> None:
    x = pixels(4, 64)
    with pytest.raises(InvalidData) as error:
        train(mlp(64, 10), x, np.zeros(3), x, np.zeros(4))
    assert str(error.value) == "Data for training: must be samples with a label each, not 4 with 3"


def test_the_digits_network_learns_and_survives_conversion(digits) -> None:
    model = digits_cnn()
    fit(model, digits, epochs=30)
    test = digits["test"]
    ann = accuracy(model, test)
    assert ann >= 0.96
    for timesteps, weight_bits, loss in ((6, 8, 0.006), (4, 6, 0.012)):
        network = convert(
            model, digits["train"].x, labels=digits["train"].y, timesteps=timesteps, weight_bits=weight_bits
        )
        snn = float((golden.evaluate(network, test.x).argmax(1) == test.y).mean())
        assert snn >= ann - loss
        assert abs(network.provenance.accuracy["ann"] - accuracy(model, digits["train"])) < 0.03


def mnist(split: str) -> datasets.Data:
    root = os.environ.get(datasets.ENVIRONMENT)
    if not root or not (Path(root) / "mnist").is_dir():
        pytest.skip(f"MNIST is not there: set {datasets.ENVIRONMENT} to the folder above mnist/")
    return datasets.load("mnist", split)


def test_mnist_survives_conversion() -> None:
    data, test = mnist("train"), mnist("test")
    model = mlp(784, 64, 10)
    train(model, data.x[:12000], data.y[:12000], data.x[-2000:], data.y[-2000:], epochs=4)
    ann = accuracy(model, test)
    for timesteps, weight_bits, loss in ((6, 8, 0.001), (4, 6, 0.005)):
        network = convert(model, data.x[:2000], labels=data.y[:2000], timesteps=timesteps, weight_bits=weight_bits)
        snn = float((golden.evaluate(network, test.x).argmax(1) == test.y).mean())
        assert snn >= ann - loss


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples_and_single_samples_are_left_out() -> None:
    model, told = nn.Linear(4, 3), []
    x, y = torch.rand(9, 4), torch.arange(9) % 3
    torch.manual_seed(0)
    order = torch.randperm(9)[:8]
    torch.manual_seed(0)
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(model(x[order]), y[order]))
    loss = run_epoch(model, torch.optim.SGD(model.parameters(), 0.0), x, y, 4, advance=lambda: told.append(1))
    assert abs(loss - expected) < 1e-6
    assert len(told) == 2


def test_bytes_are_seen_as_parts_of_one() -> None:
    x = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert shown(x).tolist() == [[0.0, torch.tensor(0.2).item(), 1.0]]
    assert torch.equal(shown(x.float()), x.float())


def test_augmented_images_are_shifted_or_mirrored_with_zeros_moving_in() -> None:
    x = torch.arange(1, 1 + 2 * 12 * 12, dtype=torch.int16).reshape(1, 2, 12, 12).expand(400, -1, -1, -1)
    torch.manual_seed(0)
    result = augmented(x)
    assert result.shape == x.shape
    padded = nn.functional.pad(x[0], (4, 4, 4, 4))
    windows = {}
    for dy in range(9):
        for dx in range(9):
            window = padded[:, dy : dy + 12, dx : dx + 12]
            windows[window.numpy().tobytes()] = (dy, dx, False)
            windows[window.flip(2).contiguous().numpy().tobytes()] = (dy, dx, True)
    seen = [windows[image.contiguous().numpy().tobytes()] for image in result]
    assert {dy for dy, _, _ in seen} == {dx for _, dx, _ in seen} == set(range(9))
    assert 150 < sum(mirrored for _, _, mirrored in seen) < 250
    torch.manual_seed(0)
    assert torch.equal(augmented(x), result)


class Auxiliary(nn.Sequential):
    """Gives a second output while it trains, as GoogLeNet does."""

    def forward(self, x: torch.Tensor) -> object:
        return (super().forward(x), x) if self.training else super().forward(x)


def test_a_model_of_several_outputs_in_training_is_refused() -> None:
    with pytest.raises(InvalidNetwork) as error:
        train_network(Auxiliary(nn.Flatten(), nn.Linear(64, 10)), pixels(40, 1, 8, 8), np.arange(40) % 10)
    assert str(error.value) == (
        "Model 'Auxiliary': must have one output to be trained, a tensor, not tuple in training mode; "
        "return the logits alone"
    )
