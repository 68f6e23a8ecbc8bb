"""Training by command: what it writes, that a killed one goes on, and what becomes of its weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from spikeloom import datasets
from torch import nn

from .conftest import Command

FILES = {"net.safetensors", "net.checkpoint.safetensors", "net.png"}
QUICK = ("--epochs", "2", "--batch", "16", "--samples", "400")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_trained_network_is_measured_and_converted(spikeloom: Command, here: Path) -> None:
    command = ("train", "digits_cnn", "--activation", "noisy-quantized", "--levels", "8", *QUICK, "--json")
    document = spikeloom(*command).document
    assert {path.name for path in here.iterdir()} == FILES
    assert (here / "net.png").read_bytes().startswith(b"\x89PNG")
    assert document["network"] == "digits_cnn"
    assert document["parameters"] == {"levels": 8, "bound": 1.0}
    assert (document["data"], document["validation"], document["tau"]) == ("digits", 40, 8)
    kept = document["history"][document["epoch"] - 1]
    assert kept["snn_accuracy"] == document["accuracy_validation_snn"]
    assert kept["snn_accuracy"] == max(epoch["snn_accuracy"] for epoch in document["history"])
    assert set(kept["deltas"]) == {"relu1", "relu2"}
    assert 0.3 < document["accuracy_test"] <= 1
    assert 0.3 < document["accuracy_test_snn"] <= 1
    again = spikeloom(*command).document
    assert again == document
    how = ("--method", "qcfs", "--timesteps", "8", "-o", "n.loom", "--json")
    converted = spikeloom("convert", "net.safetensors", "--calibration", "digits", *how).document
    assert converted["method"] == "qcfs"
    ran = spikeloom("run", "n.loom", "digits", "--json").document
    assert abs(ran["accuracy"] - document["accuracy_test_snn"]) < 0.03


def test_a_conversion_of_random_weights_says_so(spikeloom: Command, here: Path) -> None:
    (here / "chance.py").write_text(
        "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict(), "w.pt")
    convert = ("convert", "chance:net", "--calibration", "digits", "--samples", 60)
    said = "  note: the weights of 'chance:net' are random; name the trained ones by --weights\n"
    assert spikeloom(*convert).stderr.count(said) == 1
    compared = spikeloom("run", "net.loom", "digits", "--samples", 20, "--layers", "--model", "chance:net")
    assert compared.stderr.count(said) == 1
    for own in ((*convert, "--weights", "w.pt"), ("convert", "spikeloom_convert.models:digits_cnn", *convert[2:])):
        outcome = spikeloom(*own)
        assert outcome.code == 0
        assert "random" not in outcome.stderr


def test_people_get_a_table(spikeloom: Command, here: Path) -> None:
    outcome = spikeloom("train", "digits_cnn:trelu", *QUICK)
    assert outcome.code == 0
    lines = outcome.stdout.splitlines()
    assert lines[0] == "Trained digits_cnn:trelu on digits"
    assert [line.split("  ")[1] for line in lines[1:]] == [
        "weights", "curves", "epoch kept", "validation accuracy", "test accuracy", "seconds per epoch",
    ]  # fmt: skip
    assert lines[3].endswith("2 of 2")  # the first is plain


def test_a_killed_training_goes_on_to_the_same_weights(here: Path) -> None:
    command = [
        sys.executable, "-m", "spikeloom_cli", "train", "digits_cnn", "--activation", "noisy-quantized",
        "--epochs", "3", "--batch", "2", "--samples", "400", "--augment", "-o",
    ]  # fmt: skip

    def finish(name: str) -> None:
        subprocess.run([*command, name], capture_output=True, timeout=300, check=True)

    killed = subprocess.Popen([*command, "killed.safetensors"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (here / "killed.checkpoint.safetensors").exists():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(0.05)  # into the second epoch
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (here / "killed.png").exists()
    finish("killed.safetensors")
    finish("straight.safetensors")
    assert (here / "killed.safetensors").read_bytes() == (here / "straight.safetensors").read_bytes()


def test_another_training_does_not_go_on_from_a_checkpoint(spikeloom: Command, here: Path) -> None:
    assert spikeloom("train", "digits_cnn", *QUICK).code == 0
    before = (here / "net.safetensors").read_bytes()
    outcome = spikeloom("train", "digits_cnn", *QUICK, "--seed", 1)
    assert outcome.code == 2
    assert outcome.stderr == (
        "spikeloom: Checkpoint 'net.checkpoint.safetensors': must be of this training, not of one with seed 0 "
        "(here 1); give --no-resume (resume=False) to start anew, or another output\n"
    )
    assert (here / "net.safetensors").read_bytes() == before
    assert spikeloom("train", "digits_cnn", *QUICK, "--seed", 1, "--no-resume").code == 0
    assert (here / "net.safetensors").read_bytes() != before


def test_an_npz_file_is_no_test_of_what_it_trained(spikeloom: Command, here: Path) -> None:
    data = datasets.load("digits", "train").head(200)
    np.savez("mine.npz", x=data.x, y=data.labels)
    command = ("train", "spikeloom_convert.models:digits_cnn", "--data", "mine.npz", "--epochs", "1", "--json")
    assert spikeloom(*command).document["accuracy_test"] is None
    assert spikeloom(*command, "--test", "digits").document["accuracy_test"] is not None


def test_networks_are_listed_with_their_size(spikeloom: Command) -> None:
    outcome = spikeloom("networks")
    assert outcome.stdout.splitlines()[0].split() == [
        "network", "data", "activation", "topology", "width", "parameters", "MACs", "s/epoch",
    ]  # fmt: skip
    rows = {item["name"]: item for item in spikeloom("networks", "--json").document["networks"]}
    assert rows["net1"]["parameters"] == 2_395_210
    assert rows["vgg"]["width"] == 0.25
    assert f"{rows['vgg']['macs']:,}" in outcome.stdout
    assert rows["net1"]["recipe"] == {"epochs": 12}
    assert rows["vgg"]["recipe"] == {}
    assert "\n  net2  --epochs 16 --learning-rate 0.002 --gain 3 --smoothing 0.1\n" in outcome.stdout


def test_a_network_by_name_is_trained_as_it_is_listed_and_options_win(spikeloom: Command, here: Path) -> None:
    np.savez("x.npz", x=np.zeros((40, 1, 28, 28), np.uint8), y=np.arange(40) % 10)
    document = spikeloom("train", "net2", "--data", "x.npz", "--epochs", 1, "--gain", 2, "--json").document
    told = {name: document[name] for name in ("epochs", "batch", "learning_rate", "gain", "smoothing")}
    assert told == {"epochs": 1, "batch": 128, "learning_rate": 0.002, "gain": 2.0, "smoothing": 0.1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train net1 -o net.pt", "Output 'net.pt': must be a .safetensors file; give it that ending"),
        ("train net1 -o no/n.safetensors", "Output 'no/n.safetensors': folder 'no' must exist; make it first"),
        ("train my:net", "Data for 'my:net': must be named by --data; networks by name have their own"),
        *(
            (
                f"train net9{data}",
                "Network 'net9': must be one that `spikeloom networks` lists, or package.module:factory",
            )
            for data in ("", " --data digits")
        ),
        ("train digits_cnn --activation relu6", "Activation 'relu6': must be one of relu, trelu, strelu, atlrelu, "
         "steprelu, qcfs, noisy-quantized"),
        ("train digits_cnn --gamma 1", "Activation 'relu': must not be given gamma; its parameters are none"),
        ("train digits_cnn --epochs 0", "Training: epochs must be an integer of at least 1, not 0"),
        ("train my:net --data digits --levels 4", "Training: parameters must be left out for a model from outside, "
         "which has its own"),
        ("train digits_cnn --test other.npz", "Data 'other.npz': must have samples of shape (1, 8, 8) to test on, not "
         "(1, 9, 9)"),
        ("train digits_cnn --data none.npz", "Data 'none.npz': must have labels, and has none; put them into 'y'"),
        ("convert net.safetensors --calibration digits", "Weights 'net.safetensors': must be a file, there is none"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_writes_nothing(spikeloom: Command, here: Path, arguments: str, said: str) -> None:
    np.savez("other.npz", x=np.zeros((2, 1, 9, 9), np.uint8), y=np.zeros(2, int))
    np.savez("none.npz", x=np.zeros((20, 1, 8, 8), np.uint8))
    outcome = spikeloom(*arguments.split())
    assert outcome.stderr == f"spikeloom: {said}\n"
    assert (outcome.code, outcome.stdout) == (2, "")
    assert {path.name for path in here.iterdir()} == {"other.npz", "none.npz"}
