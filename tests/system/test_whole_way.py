"""From a trained model to gates that agree with it, by the commands alone."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from spikeloom import datasets
from spikeloom.threads import single_threaded
from spikeloom_cli.app import respond
from spikeloom_convert.models import load_model
from spikeloom_convert.training import train

from .conftest import Command

# on one worker, which makes the network and its build once
pytestmark = pytest.mark.xdist_group("whole_way")
MODEL = "spikeloom_convert.models:digits_cnn"


@dataclass(frozen=True)
class Way:
    """The files of one way through the commands."""

    weights: Path
    loom: Path
    build: Path


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    """A small network on digits: trained, converted, generated."""
    folder = tmp_path_factory.mktemp("way")
    result = Way(folder / "cnn.safetensors", folder / "cnn.loom", folder / "build")
    training, validation = datasets.load("digits", "train"), datasets.load("digits", "validation")
    with single_threaded():
        model = load_model(MODEL)
        train(model, training.x, training.labels, validation.x, validation.labels, epochs=12, learning_rate=8e-3)
        save_file(model.state_dict(), result.weights)
        convert = ["convert", MODEL, "--weights", result.weights, "--calibration", "digits", "-o", result.loom]
        assert respond([str(word) for word in convert]) == 0
        assert respond(["generate", str(result.loom), "-o", str(result.build)]) == 0
    return result


def converted(spikeloom: Command, way: Way, path: Path, *options: object) -> dict[str, Any]:
    command = ("convert", MODEL, "--weights", way.weights, "--calibration", "digits", "-o", path, "--json")
    outcome = spikeloom(*command, *options)
    assert outcome.code == 0, outcome.stderr
    return outcome.document


def test_conversion_answers_with_all_its_figures_and_repeats_itself(
    spikeloom: Command, way: Way, tmp_path: Path
) -> None:
    first = converted(spikeloom, way, tmp_path / "a.loom")
    second = converted(spikeloom, way, tmp_path / "b.loom")
    keys = ("network", "digest", "method", "timesteps", "accuracy_ann", "accuracy_snn")
    assert tuple(first)[:4] == keys[:4]
    assert set(keys) <= first.keys()
    assert (first["method"], first["timesteps"]) == ("spikeconverter", 4)
    assert first["accuracy_ann"] > 0.9
    assert abs(first["accuracy_ann"] - first["accuracy_snn"]) < 0.03
    assert first["digest"] == second["digest"] == spikeloom("show", way.loom, "--json").document["digest"]


def test_settings_reach_the_network(spikeloom: Command, way: Way, tmp_path: Path) -> None:
    options = ("--timesteps", 3, "--weight-bits", 4, "--input-timesteps", 5, "--samples", 100)
    converted(spikeloom, way, tmp_path / "n.loom", *options)
    shown = spikeloom("show", tmp_path / "n.loom", "--json").document
    assert [item.get("timesteps") for item in shown["populations"]] == [5, 3, 3, None]
    assert {item["weight_bits"] for item in shown["connections"]} == {4}


def test_calibration_without_labels_has_no_accuracies(spikeloom: Command, way: Way, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "x.npz", x=datasets.load("digits", "train").x[:200])
    command = (
        "convert",
        MODEL,
        "--weights",
        way.weights,
        "--calibration",
        tmp_path / "x.npz",
        "-o",
        tmp_path / "n.loom",
    )
    document = spikeloom(*command, "--json").document
    assert (document["accuracy_ann"], document["accuracy_snn"]) == (None, None)


def test_model_of_the_current_folder_is_found(
    spikeloom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_nets.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    outcome = spikeloom("convert", "mine_nets:net", "--calibration", "digits", "--json")
    assert (outcome.code, outcome.document["network"]) == (0, "net.loom")
    assert spikeloom("show", "net.loom", "--json").document["network"] == "net"


def test_spiking_network_is_as_good_as_its_model_on_the_test_split(spikeloom: Command, way: Way) -> None:
    document = spikeloom("run", way.loom, "digits", "--json").document
    assert document["samples"] == 364
    assert document["accuracy"] > 0.88


def test_gates_equal_the_golden_model(spikeloom: Command, way: Way) -> None:
    command = ("simulate", way.build, "digits", "--simulator", "cxxrtl", "--samples", 12, "--seed", 5, "--json")
    outcome = spikeloom(*command)
    assert outcome.code == 0, outcome.stderr
    keys = {
        "samples", "mismatches", "accuracy", "latency_cycles", "initiation_interval_cycles", "lower_bound_cycles",
        "utilisation", "simulator", "seconds",
    }  # fmt: skip
    assert keys <= outcome.document.keys()
    assert (outcome.document["samples"], outcome.document["mismatches"]) == (12, 0)


def test_gates_with_another_weight_are_told_apart_and_exit_with_1(spikeloom: Command, way: Way, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(way.build, build)
    name = next(name for name in json.loads((build / "manifest.json").read_text())["memories"] if "weight" in name)
    memory = build / name
    text = memory.read_text()
    memory.write_text(text.translate(str.maketrans("01", "10")))
    outcome = spikeloom("simulate", build, "digits", "--simulator", "cxxrtl", "--samples", 3, "--no-stalls", "--json")
    assert outcome.code == 1
    assert outcome.document["mismatches"] > 0
    count = outcome.document["mismatches"]
    said = f"spikeloom: Build '{build}': must equal the golden model, not differ in {count} integers; first: sample 0, "
    assert outcome.stderr.splitlines()[-1].startswith(said)
