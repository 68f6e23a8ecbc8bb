"""The command check: what becomes of every layer, and everything that is to do before a model converts."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file
from spikeloom_convert.models import digits_cnn

from .conftest import Command

MODEL = "spikeloom_convert.models:digits_cnn"


def test_check_lists_what_becomes_of_every_layer(spikeloom: Command) -> None:
    outcome = spikeloom("check", MODEL, "--input-shape", "1,8,8")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines()[:4] == [
        "module   kind       in      out     status   what becomes of it",
        "conv1    Conv2d     1x8x8   8x8x8   ok       population 'conv1' of 8x8x8 = 512 neurons",
        "relu1    ReLU       8x8x8   8x8x8   ok       thresholds of population 'conv1'",
        "pool1    AvgPool2d  8x8x8   8x4x4   ok       average pooling on the connection to 'conv2'",
    ]
    assert outcome.stdout.splitlines()[-5:] == [
        "Model Sequential",
        "  verdict                      convertible",
        "  parameters                   3,818",
        "  multiplications of a sample  25,600",
        "  spiking network              3 populations of 778 neurons",
    ]


def test_check_takes_weights_and_the_shape_of_a_data_set(spikeloom: Command, tmp_path: Path) -> None:
    save_file(digits_cnn(seed=1).state_dict(), tmp_path / "w.safetensors")
    outcome = spikeloom("check", MODEL, "--weights", tmp_path / "w.safetensors", "--calibration", "digits", "--json")
    assert outcome.code == 0
    document = outcome.document
    assert (document["model"], document["convertible"], document["problems"]) == ("Sequential", True, [])
    assert (document["parameters"], document["macs"]) == (3818, 25600)
    assert document["nodes"][0] == {
        "node": "conv1",
        "module": "conv1",
        "kind": "Conv2d",
        "shape_in": [1, 8, 8],
        "shape_out": [8, 8, 8],
        "status": "ok",
        "becomes": "population 'conv1' of 8x8x8 = 512 neurons",
        "hint": "",
    }


def test_check_needs_no_shape_where_a_linear_layer_comes_first(spikeloom: Command) -> None:
    assert spikeloom("check", "spikeloom_convert.models:mnist_mlp").code == 0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "check_nets.py").write_text(
        "from torch import nn\n"
        "def bad(): return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 2))\n"
        "def nan():\n"
        "    model = nn.Linear(4, 3)\n"
        "    nn.init.constant_(model.bias, float('nan'))\n"
        "    return model\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_lists_all_problems_and_exits_1(spikeloom: Command, here: Path) -> None:
    outcome = spikeloom("check", "check_nets:bad")
    assert outcome.code == 1
    assert outcome.stderr == (
        "spikeloom: Model 'Sequential': not convertible, 2 problems, the first: Layer '1' (Tanh): is not supported; "
        "use ReLU, ReLU6 or Hardtanh(0, a)\n"
    )
    assert outcome.stdout.count("unsupported") == 2
    assert "  verdict                      not convertible\n" in outcome.stdout
    document = spikeloom("check", "check_nets:bad", "--json").document
    assert document["convertible"] is False
    assert [node["status"] for node in document["nodes"]] == ["ok", "unsupported", "ok", "unsupported", "ok"]
    assert document["nodes"][1]["hint"] == "is not supported; use ReLU, ReLU6 or Hardtanh(0, a)"
    assert len(document["problems"]) == 2


def test_check_answers_where_no_node_can_be_listed(spikeloom: Command, here: Path) -> None:
    outcome = spikeloom("check", "check_nets:nan", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.stdout) == {
        "model": "Linear",
        "convertible": False,
        "nodes": [],
        "problems": ["Model 'Linear': 'bias' must be finite, not NaN or infinite (3 of 3 values)"],
        "parameters": 15,
        "macs": 0,
    }


def test_check_knows_the_shape_of_networks_by_name(spikeloom: Command) -> None:
    outcome = spikeloom("check", "net2:strelu", "--json")
    assert outcome.code == 0
    assert outcome.document["convertible"] is True
    assert outcome.document["nodes"][0]["shape_in"] == [1, 28, 28]
