"""Files of trained weights: the network is made again from what they say, and nothing else is."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from spikeloom.errors import InvalidNetwork
from spikeloom_convert import load_model, load_trained
from spikeloom_convert.activations import QCFS, SymmetricThresholdReLU, ThresholdReLU
from spikeloom_convert.models.origin import KEY, Origin
from torch import nn

DIGITS = {"network": "digits_cnn", "activation": "qcfs", "parameters": {"levels": 8, "bound": 2.0}, "width": None}
WHO = "Weights 'w.safetensors'"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(model: nn.Module, text: str | None) -> None:
    save_file(model.state_dict(), "w.safetensors", metadata=None if text is None else {KEY: text})


def described(**changes: object) -> str:
    return json.dumps({"format": 1, "origin": {**DIGITS, "outside": "", **changes}, "training": {}})


def test_a_model_comes_back_with_its_activation_functions_and_weights(here: Path) -> None:
    origin = Origin.of("digits_cnn", "qcfs", {"levels": 8})
    model = origin.make(seed=3)
    with torch.no_grad():
        model.relu1.bound.fill_(0.7)
    save_file(model.state_dict(), "w.safetensors", metadata=origin.metadata({"epochs": 2}))
    for loaded in (load_trained("w.safetensors"), load_model("w.safetensors")):
        assert not loaded.training
        assert loaded.relu1.levels == loaded.relu2.levels == 8
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    with safe_open("w.safetensors", "pt") as file:
        assert json.loads(file.metadata()[KEY])["training"] == {"epochs": 2}


def test_names_of_networks_are_models_with_their_own_or_another_activation() -> None:
    assert isinstance(load_model("net2").act1, SymmetricThresholdReLU)
    qcfs = load_model("net2:qcfs").act1
    assert isinstance(qcfs, QCFS)
    assert float(qcfs.bound.detach()) == 1.0
    assert Origin.named("resnet20:qcfs").parameters == {"levels": 4, "bound": 2.0}
    assert isinstance(load_model("digits_cnn").relu1, nn.ReLU)
    with pytest.raises(InvalidNetwork, match=r"^Model 'net2:make': module 'net2' must be importable from here"):
        load_model("net2:make")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            None,
            "must say which network it is of, as `spikeloom train` writes it; use package.module:factory and --weights",
        ),
        ("{", "must say which network it is of as it was written; train it again"),
        ("[]", "must say which network it is of as it was written; train it again"),
        ("[" * 100_000, "must say which network it is of as it was written; train it again"),
        (json.dumps({"format": 2}), "must be of format 1, not 2"),
        (described(parameters=[1]), "must say which network it is of as it was written; train it again"),
        (described(parameters={"levels": "8"}), "must say which network it is of as it was written; train it again"),
        (described(parameters={"bound": 10**400}), "must say which network it is of as it was written; train it again"),
        (described(activation="tanh"), "Activation 'tanh': must be one of relu, trelu, strelu, atlrelu, steprelu, "
         "qcfs, noisy-quantized"),
        (described(parameters={"levels": 1000}), "Activation 'qcfs': levels must be an integer in 1..256, not 1000"),
        (described(parameters={"steps": 1}), "Activation 'qcfs': must not be given steps; its parameters are "
         "levels (4), bound (8)"),
        (described(width=2.0), "Network 'digits_cnn': must be left at its width, which cannot be chosen"),
        (described(network="vgg", width=1e9), "Network 'vgg': width must lie above 0, up to 4, not 1000000000.0"),
        (described(network="os"), "Network 'os': must be one of digits_cnn, mnist_mlp, mnist_cnn, mnist_rnn, net1, "
         "net2, net3, net4, net5, cifarnet, vgg, resnet20"),
        (described(network=None, outside="os:abort"), "must be of a network that `spikeloom networks` lists, not of "
         "os:abort, which a file may not run; use package.module:factory and --weights"),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused(here: Path, text: str | None, said: str) -> None:
    write(Origin.of("digits_cnn").make(), text)
    with pytest.raises(InvalidNetwork) as error:
        load_trained("w.safetensors")
    assert str(error.value) == f"{WHO}: {said}"


def test_weights_of_another_network_are_refused(here: Path) -> None:
    write(Origin.of("mnist_mlp").make(), described())
    with pytest.raises(InvalidNetwork) as error:
        load_trained("w.safetensors")
    assert str(error.value).startswith(f"{WHO}: must go with model 'digits_cnn:qcfs': 'conv1.weight', 'conv1.bias', ")


def test_files_that_are_none_are_refused(here: Path) -> None:
    with pytest.raises(InvalidNetwork) as error:
        load_trained("w.safetensors")
    assert str(error.value) == f"{WHO}: must be a file, there is none"
    Path("w.safetensors").write_bytes(b"import os\n" * 9)
    with pytest.raises(InvalidNetwork) as error:
        load_model("w.safetensors")
    assert str(error.value) == (
        f"{WHO}: must be a whole safetensors file, not damaged or of another kind; copy it anew or train it again"
    )


def test_parameters_are_named_with_their_defaults() -> None:
    assert Origin.of("net1", "trelu", {"bound": 2}).parameters == {"bound": 2}
    assert isinstance(Origin.of("net1", "trelu").make().act1, ThresholdReLU)
    with pytest.raises(InvalidNetwork) as error:
        Origin.of("net1", "relu", {"bound": 2})
    assert str(error.value) == "Activation 'relu': must not be given bound; its parameters are none"
    with pytest.raises(InvalidNetwork) as error:
        Origin.of("net1", "strelu", {"bound": -1.0})
    assert str(error.value) == "Activation 'strelu': bound must be a number above 0, not -1.0"
