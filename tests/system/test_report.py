"""The command report: what it writes, answers and refuses, and that an installed Spikeloom has its parts."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from manifests import manifest_of, redirect
from report_pages import EVIL, leave_simulation, leave_sweep, small_network
from spikeloom.network import Network, Provenance
from spikeloom_cli.report.page import MARK
from spikeloom_hw.build import Build, generate

from .conftest import Command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copied(build: Path, tmp_path: Path) -> Path:
    """A build of its own, to leave something in."""
    return Path(shutil.copytree(build, tmp_path / "tiny"))


def test_report_of_a_bare_build_says_what_is_missing_and_how_to_get_it(
    spikeloom: Command, build: Path, tmp_path: Path
) -> None:
    path = tmp_path / "r.html"
    outcome = spikeloom("report", build, "-o", path, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.document == {
        "report": str(path),
        "bytes": path.stat().st_size,
        "digest": json.loads((build / "manifest.json").read_text())["digest"],
        "accuracy": None,
        "samples": 0,
        "accuracy_by_step": [],
        "missing": {
            "accuracy": f"spikeloom report {build} DATA",
            "sweep": "spikeloom sweep MODEL --calibration DATA --timesteps 1,2,4,8 -o sweep",
            "simulation": f"spikeloom simulate {build} DATA",
            "synthesis": "spikeloom generate network.loom --board ulx3s-85f",
            "pace": "spikeloom generate network.loom --board ulx3s-85f",
        },
    }
    page = path.read_text()
    for sentence in ("No data set was named.", "It has not been simulated yet.", "It was generated for no board"):
        assert sentence in page


def test_report_measures_a_data_set_as_run_does(spikeloom: Command, build: Path, loom: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    command = ("report", build, "digits", "--samples", 50, "--sweep", leave_sweep(tmp_path), "-o", path)
    document = spikeloom(*command, "--json").document
    run = spikeloom("run", loom, "digits", "--samples", 50, "--json").document
    assert document["accuracy"] == document["accuracy_by_step"][-1] == run["accuracy"]
    assert (document["samples"], len(document["accuracy_by_step"])) == (50, 4)
    assert set(document["missing"]) == {"simulation", "synthesis", "pace"}
    page = path.read_text()
    assert f"spikeloom report {build} digits --samples 50" in page
    assert f"{run['sops_per_inference']:,.0f}" in page
    again = spikeloom(*command)
    assert (again.code, path.read_text()) == (0, page)
    assert "what would bring it in" in again.stdout


def test_simulation_is_left_in_its_build_for_the_report(spikeloom: Command, copied: Path, tmp_path: Path) -> None:
    command = ("simulate", copied, "digits", "--simulator", "cxxrtl", "--samples", 9, "--no-stalls", "--json")
    simulated = spikeloom(*command).document
    kept = json.loads((copied / "simulation.json").read_text())
    assert kept == simulated | {name: kept[name] for name in ("data", "digest", "build")}
    assert spikeloom("report", copied, "-o", tmp_path / "r.html", "--json").document["missing"].keys() == {
        "accuracy", "sweep", "synthesis", "pace",
    }  # fmt: skip
    page = (tmp_path / "r.html").read_text()
    assert "Gates equal to the golden model, 9 samples" in page
    for core in simulated["breakdown"].values():
        assert f'<td class="n">{core["accumulating"]:,.0f}</td>' in page


def test_simulation_that_cannot_be_kept_is_an_answer_all_the_same(spikeloom: Command, copied: Path) -> None:
    (copied / "simulation.json").mkdir()
    outcome = spikeloom("simulate", copied, "digits", "--simulator", "cxxrtl", "--samples", 2, "--no-stalls", "--json")
    assert (outcome.code, outcome.document["mismatches"]) == (0, 0)
    assert "`spikeloom report` will not know of this simulation" in outcome.stderr


def test_mismatches_are_the_first_thing_that_a_report_says(spikeloom: Command, copied: Path, tmp_path: Path) -> None:
    leave_simulation(Build.load(copied), mismatches=3, first_divergence="sample 0, somewhere")
    assert spikeloom("report", copied, "-o", tmp_path / "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    assert "Gates differ from the golden model in 3 integers" in page
    assert "sample 0, somewhere" in page


def test_words_of_a_network_are_escaped(spikeloom: Command, tmp_path: Path) -> None:
    network = small_network()
    provenance = Provenance(EVIL, EVIL, (EVIL, "x" * 5000), {EVIL: 0.5}, {EVIL: EVIL}, {EVIL: EVIL})
    hostile = Network(
        network.name, network.inputs, network.populations, network.connections, network.readouts, provenance=provenance
    )
    generate(hostile, tmp_path / "b", lanes=1)
    data = tmp_path / "<img src=x onerror=owned=1>.npz"
    np.savez(data, x=np.zeros((2, 1, 8, 8), np.uint8), y=np.array([0, 1]))
    assert spikeloom("report", tmp_path / "b", data, "-o", tmp_path / "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "{{ 7 * 7 }}" in page  # words are no templates
    assert page.count("&lt;script&gt;owned=1&lt;/script&gt;") >= 7
    assert "x" * 600 + "… (5,000 characters)" in page
    assert "x" * 601 not in page


def test_data_without_labels_has_a_report_without_accuracy(spikeloom: Command, build: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 1, 8, 8), np.uint8))
    document = spikeloom("report", build, tmp_path / "x.npz", "-o", tmp_path / "r.html", "--json").document
    assert (document["accuracy"], document["samples"], document["accuracy_by_step"]) == (None, 3, [])
    assert "have no labels" in (tmp_path / "r.html").read_text()


def test_another_file_is_not_replaced_by_a_report(spikeloom: Command, build: Path, tmp_path: Path) -> None:
    path = tmp_path / "thesis.html"
    path.write_text("<!doctype html><p>mine")
    outcome = spikeloom("report", build, "-o", path)
    assert outcome.code == 2
    assert outcome.stderr == (
        f"spikeloom: Output '{path}': must be a report or not be there, not another file; choose another with -o\n"
    )
    assert path.read_text() == "<!doctype html><p>mine"
    path.write_text(f"<!doctype html>\n{MARK}\n")
    assert spikeloom("report", build, "-o", path).code == 0


def test_report_into_a_folder_or_of_no_build_is_refused(spikeloom: Command, build: Path, tmp_path: Path) -> None:
    outcome = spikeloom("report", build, "-o", tmp_path)
    assert (
        outcome.stderr == f"spikeloom: Output '{tmp_path}': must be an .html file, not a folder; name the file in it\n"
    )
    outcome = spikeloom("report", tmp_path, "-o", tmp_path / "r.html")
    assert outcome.code == 2
    assert outcome.stderr == (
        f"spikeloom: Build '{tmp_path}': has no manifest.json; `spikeloom generate` makes a build\n"
    )
    assert not (tmp_path / "r.html").exists()


def test_manifest_without_a_core_s_field_is_refused_by_name(spikeloom: Command, copied: Path, tmp_path: Path) -> None:
    manifest = manifest_of(copied)
    del manifest["cores"][0]["width"]
    redirect(copied, manifest)
    outcome = spikeloom("report", copied, "-o", tmp_path / "r.html")
    assert outcome.stderr == (
        f"spikeloom: Build '{copied}': manifest.json must describe its cores, not lack 'width'; generate it again\n"
    )


def test_wheel_holds_every_source_and_template(tmp_path: Path) -> None:
    tree, wanted = tmp_path / "tree", set()
    for folder in ("hw", "sim", "sw"):
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, tree / folder, ignore=unwanted)
        wanted |= {path.relative_to(tree / folder) for path in (tree / folder).rglob("*") if path.is_file()}
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, tree]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as held:
        names = {Path(name) for name in held.namelist()}
    assert {path.suffix for path in wanted} == {".py", ".cpp", ".hpp", ".jinja", ".css"}
    assert wanted - names == set()
