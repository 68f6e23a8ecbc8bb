"""The notebook runs from its first cell to its last, what it prints is so, and git holds no outputs of it."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
from spikeloom import Network, datasets, golden
from spikeloom_sim.wave.read import Waveform

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "from-module-to-waveform.ipynb"
SLOW = "simulate("  # from the cell with this on, designs are compiled


def cells(kind: str) -> list[str]:
    document = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == kind]


def check_texts_before_simulation(text: str, folder: Path) -> Network:
    """What the notebook says of accuracies, populations and gates, measured again from the files it left."""
    network, test = Network.load(folder / "digits.loom"), datasets.load("digits", "test")
    guesses = golden.run(network, test.x).accumulated[network.readouts[0].population].reshape(len(test), -1).argmax(1)
    spiking = (guesses == test.labels).mean()
    assert f"accuracy of the spiking network: {spiking:.2%}\n" in text
    module = re.search(r"accuracy of the module: (\S+)% of 364 digits", text)
    assert module is not None
    assert len(test) == 364
    assert spiking * 100 > float(module[1]) - 2 > 90
    for item in network.populations:
        weights = sum(connection.weights.size for connection in network.incoming(item.name))
        assert re.search(rf"^{item.name} +{re.escape(str(item.shape))} +{weights} weights$", text, re.M)
    manifest = json.loads((folder / "build" / "manifest.json").read_text())
    for core in manifest["cores"]:
        assert re.search(rf"^{core['name']} +{core['width']} lanes, potentials of {core['bits']} bits$", text, re.M)
    assert f"{len((folder / 'build' / 'spikeloom.v').read_text().splitlines()):,} lines of Verilog\n" in text
    return network


def test_cells_up_to_the_gates_run_and_say_what_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    plt.switch_backend("agg")
    names: dict[str, Any] = {"__name__": "notebook"}
    code = cells("code")
    for text in code[: next(n for n, text in enumerate(code) if SLOW in text)]:
        exec(compile(text, "notebook", "exec"), names)
    network = check_texts_before_simulation(capsys.readouterr().out, tmp_path / "waveform-demo")
    # the stairs of the second plot are those of exact division
    neuron = network.populations[0].neuron
    value = np.clip(names["many"].accumulated[names["name"]] * 8 // neuron.theta[0].reshape(-1, 1, 1), 0, 15)
    np.testing.assert_array_equal(names["sent"], value)
    assert value.max() == 15


def test_git_holds_no_outputs_and_links_lead_somewhere() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(cells("markdown")))
    assert [link for link in links if not (NOTEBOOK.parent / link).is_file()] == []
    assert len(links) == 2


@pytest.mark.slow
def test_notebook_runs_to_a_picture_of_its_waveform(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's sockets and loops, which are none of ours
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert [output.name for output in outputs if output.output_type == "stream"].count("stderr") == 0
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    folder = tmp_path / "waveform-demo"
    network = check_texts_before_simulation(text, folder)
    wave = Waveform(folder / "digits.fst")
    cycles = wave.changes("layers.cycle")[1]
    assert re.search(r"^0 integers differ in [\d,]+ cycles$", text, re.M)
    signals = f"{len(wave.names):,} signals in waveform-demo/digits.fst, cycles {cycles[0]} to {cycles[-1]}\n"
    assert signals in text
    first = network.populations[0]
    when, samples = wave.changes(f"layers.{first.name}.generates")
    start = when[samples == 0]
    accumulated = golden.run(network, datasets.load("digits", "test").x[:1]).accumulated[first.name].ravel()
    seen = [wave.at(name, start)[0] for name in wave.neurons(first.name, "potential")]
    assert seen == accumulated.tolist()
    assert f"cycle {start[0]}: {len(seen)} of {len(seen)} potentials equal the golden model's\n" in text
