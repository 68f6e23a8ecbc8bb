"""What the hand-written references list is what there is: keys of a manifest and of a .loom file, ports of a core."""

import json
import re
from pathlib import Path

import numpy as np
from random_networks import RandomNetwork
from safetensors import safe_open
from spikeloom import Conv2d
from spikeloom.storage import MAX_BYTES, MAX_DOCUMENT
from spikeloom_hw.build import generate

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def listed(page: str, heading: str, number: int = 0, column: int = 1) -> set[str]:
    """Names in a column, the first, of a table below a heading."""
    text = (REFERENCE / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    table = re.findall(r"(?:^\|.*\n)+", text, re.M)[number]
    cells = [row.split("|")[column] for row in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_pages_list_what_a_build_has(tmp_path: Path) -> None:
    builder = RandomNetwork(np.random.default_rng(1), (1, 8, 8), name="tiny")
    network = builder.conv(4, Conv2d((3, 3), padding=(1, 1))).readout(10, pool=(4, 4))
    folder = generate(network, tmp_path / "build").folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert listed("core.md", "manifest.json") == set(manifest)
    assert listed("core.md", "manifest.json", 1) == set(manifest["cores"][0])
    fields = {*manifest["input"]["fields"], *manifest["readout"]["fields"]}
    assert listed("core.md", "Words", column=2) == fields | {"negative"}  # of signed inputs only
    ports = {name for name in listed("core.md", "Ports") if "_load" not in name}
    module = re.search(r"module spikeloom\((.*?)\);", (folder / "spikeloom.v").read_text(), re.S)
    assert module is not None
    assert set(re.split(r"[,\s]+", module[1].strip())) - {"clk", "rst"} == ports
    with safe_open(folder / "network.loom", framework="numpy") as file:
        document = json.loads(file.metadata()["spikeloom"])
    assert listed("loom.md", "The document") == set(document)


def test_bounds_of_a_loom_file_are_those_of_the_reader() -> None:
    text = " ".join((REFERENCE / "loom.md").read_text().split())
    assert f"at most 2^{MAX_BYTES.bit_length() - 1} bytes" in text
    assert f"at most 2^{MAX_DOCUMENT.bit_length() - 1} characters" in text
    assert (1 << (MAX_BYTES.bit_length() - 1), 1 << (MAX_DOCUMENT.bit_length() - 1)) == (MAX_BYTES, MAX_DOCUMENT)
