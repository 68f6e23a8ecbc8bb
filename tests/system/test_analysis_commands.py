"""`run --layers` and sweep: tables for people, one object for programs, pictures, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spikeloom import Network, datasets
from spikeloom_cli.app import respond
from spikeloom_cli.commands.analysis import verdict
from spikeloom_convert.analysis.attribution import Effect
from spikeloom_convert.analysis.layers import Analysis, LayerReport

from .conftest import Command

MODEL = "spikeloom_convert.models:digits_cnn"  # untrained: its weights come from a seed


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversion of the untrained model."""
    path = tmp_path_factory.mktemp("converted") / "digits.loom"
    settings = ["--calibration", "digits", "--samples", "60", "--timesteps", "3", "-o", str(path), "--json"]
    assert respond(["convert", MODEL, *settings]) == 0
    return path


def test_run_tells_the_energy_of_an_inference(spikeloom: Command, converted: Path) -> None:
    document = spikeloom("run", converted, "digits", "--samples", 20, "--json").document
    energy = document["energy"]
    # conv1: 22 rows and columns of kernels land; conv2 on the pooled image: 10; fc: all
    assert energy["macs"] == 22 * 22 * 8 + 10 * 10 * 8 * 16 + 16 * 4 * 4 * 10
    assert energy["sops"] == document["sops_per_inference"]
    assert energy["ann_pj"] == pytest.approx(4.6 * energy["macs"])
    assert energy["snn_pj"] == pytest.approx(0.077 * energy["sops"])
    assert energy["ratio"] == pytest.approx(energy["snn_pj"] / energy["ann_pj"])
    text = spikeloom("run", converted, "digits", "--samples", 20).stdout
    assert "Energy of an inference at 4.6 pJ a MAC and 77 fJ a SOP" in text
    assert "  MACs of the model      19,232\n" in text


def test_run_compares_layers_and_names_the_worst(spikeloom: Command, converted: Path, tmp_path: Path) -> None:
    picture = tmp_path / "layers.png"
    arguments = ("run", converted, "digits", "--samples", 50, "--layers", "--model", MODEL, "--plot", picture)
    document = spikeloom(*arguments, "--json").document
    assert [item["name"] for item in document["layers"]] == ["input", "conv1", "conv2", "fc"]
    assert document["worst_layer"] in {"input", "conv1", "conv2", "fc"}
    assert document["samples"] == 50
    assert sum(item["sops"] for item in document["layers"]) == pytest.approx(document["sops_per_inference"])
    last = document["layers"][-1]["effects"]["up_to_rounded"]
    assert last["accuracy"] == document["accuracy"] == document["accuracy_snn"]
    assert document["plot"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = spikeloom(*arguments[:-2]).stdout
    goes = "nowhere" if document["accuracy_snn"] >= document["accuracy_ann"] else f"{document['worst_layer']}: alone"
    assert f"accuracy goes in           {goes}" in text
    for head in ("error float", "integers to float", "clipped", "SOPs/sample", "float alone", "up to"):
        assert head in text


def test_layers_of_data_without_labels_have_no_accuracy(spikeloom: Command, converted: Path, tmp_path: Path) -> None:
    x, picture = tmp_path / "x.npz", tmp_path / "p.png"
    np.savez(x, x=np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
    arguments = ("run", converted, x, "--layers", "--model", MODEL, "--plot", picture)
    document = spikeloom(*arguments, "--json").document
    assert (document["accuracy_ann"], document["within_noise"]) == (None, None)
    assert "; there are no labels\n" in spikeloom(*arguments).stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("ann", "snn", "lost", "changed", "said"),
    [
        (0.9, 0.8, 4, 5, "conv1: alone it changes 5 of 50 answers, 4 right ones fewer; within noise, as all layers "
         "are, but it moves the outputs most"),
        (0.9, 0.9, 0, 0, "nowhere, nothing is lost (0 right ones more than the model); conv1 moves the outputs most"),
        (0.9, 0.94, 1, 1, "nowhere, nothing is lost (2 right ones more than the model); conv1 moves the outputs most"),
        (None, None, None, 3, "conv1: alone it changes 3 of 50 answers; there are no labels"),
        (None, None, None, 0, "nowhere, no layer alone changes an answer; there are no labels"),
    ],
)  # fmt: skip
def test_where_nothing_is_lost_no_layer_is_blamed(
    ann: float | None, snn: float | None, lost: int | None, changed: int, said: str
) -> None:
    effects = {"alone_rounded": Effect(ann, lost, changed, 0.1)}
    layer = LayerReport("conv1", 8, None, None, None, None, None, None, 0.0, 0.0, effects)
    assert verdict(Analysis(50, ann, snn, snn, (layer,), "conv1", None if ann is None else True)) == said


def test_layers_of_a_recurrent_network_are_compared(spikeloom: Command, tmp_path: Path) -> None:
    rng, model = np.random.default_rng(0), "spikeloom_convert.models.networks:mnist_rnn"
    x, y = rng.integers(0, 256, (40, 1, 28, 28), dtype=np.uint8), rng.integers(0, 10, 40)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    settings = ["--calibration", tmp_path / "x.npz", "--method", "optimal-conversion", "-o", tmp_path / "rnn.loom"]
    assert spikeloom("convert", model, *settings).code == 0
    arguments = ("run", tmp_path / "rnn.loom", tmp_path / "x.npz", "--layers", "--model", model, "--json")
    document = spikeloom(*arguments).document
    assert [item["name"] for item in document["layers"]] == ["input", "rnn", "fc"]
    assert sum(item["sops"] for item in document["layers"]) == pytest.approx(document["sops_per_inference"])
    assert document["layers"][-1]["effects"]["up_to_rounded"]["accuracy"] == document["accuracy_snn"]


def test_a_network_of_an_older_version_must_be_converted_again(
    spikeloom: Command, converted: Path, tmp_path: Path
) -> None:
    network = Network.load(converted)
    old = replace(network, provenance=replace(network.provenance, units={}, worths={}))
    old.save(tmp_path / "old.loom")
    outcome = spikeloom("run", tmp_path / "old.loom", "digits", "--samples", 20, "--layers", "--model", MODEL)
    assert outcome.stderr == (
        "spikeloom: Network 'digits_cnn': must say what its potentials and codes are worth, as this version writes; "
        "convert the model again\n"
    )
    assert (outcome.code, outcome.stdout) == (2, "")


def test_another_model_is_refused(spikeloom: Command, converted: Path, tmp_path: Path) -> None:
    other = "spikeloom_convert.models:mnist_cnn"
    outcome = spikeloom("run", converted, "digits", "--samples", 20, "--layers", "--model", other)
    assert outcome.code == 2
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--layers", "Option '--layers': must be given with --model, not alone; name the model of the network"),
        ("--model m:f", "Option '--model': must be given with --layers, not alone; add --layers"),
        ("--plot p.png", "Option '--plot': must be given with --layers, not alone; add --layers"),
        ("--mean 0.5", "Option '--mean': must be given with --layers, not alone; add --layers"),
        ("--layers --model m:f --plot no/p.png", "Output 'no/p.png': folder 'no' must exist; make it first"),
    ],
)
def test_options_of_layers_go_together(
    spikeloom: Command, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = spikeloom("run", converted, "digits", *options.split())
    assert outcome.stderr == f"spikeloom: {said}\n"
    assert (outcome.code, outcome.stdout) == (2, "")


def test_sweep_writes_a_table_and_a_picture(spikeloom: Command, tmp_path: Path) -> None:
    folder, few = tmp_path / "sweep", tmp_path / "few.npz"
    np.savez(few, x=datasets.load("digits", "train").x[:60])
    arguments = ("sweep", MODEL, "--calibration", few, "--test", "digits", "--timesteps", "3,1", "--samples", 30)
    arguments += ("-o", folder)
    document = spikeloom(*arguments, "--weight-bits", 5, "--json").document
    written = json.loads((folder / "sweep.json").read_text())
    assert document == written | {"json": str(folder / "sweep.json"), "png": str(folder / "sweep.png")}
    assert [point["timesteps"] for point in written["points"]] == [1, 3]
    assert (written["data"], written["calibration"]) == ("digits", str(few))
    assert (written["samples"], written["weight_bits"], written["method"]) == (30, 5, "spikeconverter")
    assert all(point["energy"]["macs"] == 19232 for point in written["points"])
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == ["sweep.json", "sweep.png"]
    text = spikeloom(*arguments, "--method", "qcfs").stdout
    assert "T  accuracy  points lost" in text
    assert json.loads((folder / "sweep.json").read_text())["method"] == "qcfs"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--timesteps 1,x", "Option '--timesteps': must be whole numbers between commas, like 1,2,4, not '1,x'"),
        (
            "--timesteps 4,32",
            "Sweep: timesteps must be different integers in 1..16 for method spikeconverter, not 4, 32",
        ),
        ("--option shift", "Option '--option': must be NAME=VALUE, like shift=false, not 'shift'"),
        ("-o no/s", "Output 'no/s': folder 'no' must exist; make it first"),
        ("-o file", "Output 'file': must be a folder, not a file; choose another with -o"),
    ],
)
def test_wrong_use_of_sweep_leaves_nothing_behind(
    spikeloom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    outcome = spikeloom("sweep", MODEL, "--calibration", "digits", *options.split())
    assert outcome.stderr == f"spikeloom: {said}\n"
    assert (outcome.code, outcome.stdout) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
