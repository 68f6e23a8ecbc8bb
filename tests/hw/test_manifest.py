"""Manifests that are no longer what was generated: one line, whatever was done to them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of, redirect
from random_networks import RandomNetwork
from spikeloom import SpikeloomError
from spikeloom_hw.build import Build, generate
from spikeloom_hw.manifest import MANIFEST

ALTERED = "manifest.json must be as generated, not altered; generate it again"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    network = RandomNetwork(np.random.default_rng(1), (1, 1, 4), 2, "tiny").dense(2).readout(2)
    return generate(network, tmp_path / "build", lanes=2, contents="loadable").folder


def refused(folder: Path) -> str:
    with pytest.raises(SpikeloomError) as error:
        Build.load(folder)
    return str(error.value).removeprefix(f"Build '{folder}': ")


def test_build_is_read_as_it_was_generated(build: Path) -> None:
    found = Build.load(build)
    assert "seal" not in found.manifest
    redirect(build, found.manifest)
    assert Build.load(build) == found


@pytest.mark.parametrize("section", ["link", "readout", "cores", "sha256", "parameters", "seal", "wrapper", "contents"])
def test_section_that_is_missing_or_another_is_noticed(section: str, build: Path) -> None:
    manifest = manifest_of(build)
    for other in ({}, {section: "x"}):
        plain = {name: value for name, value in manifest.items() if name != section} | other
        (build / MANIFEST).write_text(json.dumps(plain))
        assert refused(build) == ALTERED


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda text: text[:100], "manifest.json cannot be read ("),
        (lambda text: "[]", "manifest.json cannot be read (list indices must be integers"),
        (lambda text: "[" * 100_000, "manifest.json cannot be read (maximum recursion depth exceeded"),
        (lambda text: text.replace('"format": 5', '"format": 4'), "format must be 5, not 4; generate it again"),
        (lambda text: text.replace('"frame_bytes": 256', '"frame_bytes": 0'), ALTERED),
        (lambda text: text.replace('"frame_bytes": 256', '"frame_bytes": NaN'), "manifest.json cannot be read (Out of"),
    ],
)
def test_file_that_is_another_is_one_line(alter: Callable[[str], str], message: str, build: Path) -> None:
    path = build / MANIFEST
    path.write_text(alter(path.read_text()))
    assert refused(build).startswith(message)


def first_file(manifest: dict[str, Any], name: str) -> None:
    manifest["parameters"][0]["file"] = name


@pytest.mark.parametrize(
    "put",
    [
        lambda manifest, name: manifest["memories"].append(name),
        lambda manifest, name: manifest["sha256"].update({name: ""}),
        lambda manifest, name: manifest["wrapper"].update(verilog=name),
        lambda manifest, name: manifest.update(verilog=name),
        first_file,
    ],
)
def test_files_beyond_the_folder_are_neither_read_nor_written(
    put: Callable[[dict[str, Any], str], None], build: Path
) -> None:
    manifest = manifest_of(build)
    put(manifest, "../outside.mem")
    redirect(build, manifest)
    assert refused(build) == "manifest.json must name files of the folder, not '../outside.mem'; generate it again"
