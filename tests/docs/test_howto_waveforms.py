"""The how-tos about waveforms: what they run runs, in their order, and says what they say it does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Conv2d, datasets, golden
from spikeloom_hw.build import Build, generate
from spikeloom_sim.wave.read import Waveform

pytestmark = pytest.mark.xdist_group("howto waveforms")  # one worker compiles and spoils the build
HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (HOWTO / page).read_text(), re.M | re.S)


def functions(page: str) -> dict[str, Any]:
    """What the Python blocks of a page define."""
    names: dict[str, Any] = {"__name__": "page"}
    for text in blocks(page, "python"):
        exec(compile(text, page, "exec"), names)
    return names


def run(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    program, *words = shlex.split(line, comments=True)
    assert program == "spikeloom"
    command = [sys.executable, "-m", "spikeloom_cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `build`, of a small network that takes digits."""
    folder = tmp_path_factory.mktemp("howto")
    builder = RandomNetwork(np.random.default_rng(1), (1, 8, 8), name="tiny")
    network = builder.conv(4, Conv2d((3, 3), padding=(1, 1))).readout(10, pool=(4, 4))
    generate(network, folder / "build")
    return folder


@pytest.fixture(scope="module")
def diverged(folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the page's command said of a build that was spoilt as the page says; it leaves `wrong.fst`."""
    functions("debug-a-divergence.md")["spoil"](folder / "build")
    (line,) = blocks("debug-a-divergence.md", "sh")
    return run(line, folder)


def alike(shown: str, told: str) -> bool:
    """Whether a line of a page is what was told, but for numbers."""
    return re.sub(r"-?[\d,]*\d", "0", shown) == re.sub(r"-?[\d,]*\d", "0", told)


def test_a_divergence_leads_to_its_cycle_as_the_page_says(
    folder: Path, diverged: "subprocess.CompletedProcess[str]"
) -> None:
    page, done = functions("debug-a-divergence.md"), diverged
    sentence, told = blocks("debug-a-divergence.md", "text")
    assert done.returncode == 1
    assert alike(sentence.strip(), done.stderr.strip().splitlines()[-1])
    lines = done.stdout.splitlines()
    assert all(any(alike(shown, line) for line in lines) for shown in told.splitlines())
    cycle = int(re.search(r"divergence +cycle (\d+)", done.stdout)[1])  # type: ignore[index]
    place = re.search(
        r"sample (\d+), population '(\w+)', neuron \(c=(\d+), y=(\d+), x=(\d+)\), accumulated: expected \S+, got (\S+)",
        done.stderr,
    )
    assert place is not None
    sample, population, c, y, x, got = place.groups()
    assert page["first_wrong_cycle"](folder / "wrong.fst", population) == cycle
    wave, at = Waveform(folder / "wrong.fst"), np.array([cycle - 1, cycle])
    assert wave.at(f"layers.{population}.potential.c{c}_y{y}_x{x}", at)[1] == int(got)
    assert wave.at(f"layers.{population}.accumulates", at)[0] == int(sample)
    # the first 64 neurons, those of channel 0, have lines: all that differ are among them
    network, test = Build.load(folder / "build").network, datasets.load("digits", "test")
    want = golden.run(network, test.x[:1]).accumulated[population][0, 0].ravel()
    seen = [wave.at(name, at)[1] for name in wave.neurons(population, "potential")]
    together = int(wave.at(f"layers.{population}.mismatches", at)[1])
    assert together == np.count_nonzero(want != seen)
    assert (
        f"rises to {together} at once, and all {together} potentials" in (HOWTO / "debug-a-divergence.md").read_text()
    )
    assert {f"spikeloom.l1_{population}.lanes.{name}" for name in ("operation", "addends")} <= set(wave.names)


@pytest.mark.usefixtures("diverged")
def test_lines_of_the_page_are_in_the_waveform(folder: Path) -> None:
    """Every line and signal that the tables name; a core's retire and visit probes exist where it has such things."""
    wave = Waveform(folder / "wrong.fst")
    found = {name.split(".")[2] for name in wave.names if name.startswith("layers.") and name.count(".") > 1}
    probes = {name.split(".")[-1] for name in wave.names if "probe_" in name}
    named = re.findall(r"^\| (`.*?`) \|", (HOWTO / "look-at-waveforms.md").read_text(), re.M)
    names = [name.split(".")[0] for cell in named for name in re.findall(r"`([\w.]+)`", cell)]
    assert {name for name in names if not name.startswith("probe_")} == found
    assert {name for name in names if name.startswith("probe_")} - probes == {"probe_visit", "probe_visited"}


@pytest.mark.usefixtures("diverged")
def test_a_waveform_is_drawn_as_the_page_says(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spikeloom_sim.wave.picture as picture

    real, asked = picture.draw_waveform, []

    def draw(path: Path, **options: Any) -> Any:
        asked.append(options["layers"])
        return real(path, layers=("l1", "readout"), neurons=options["neurons"])

    monkeypatch.setattr(picture, "draw_waveform", draw)
    functions("look-at-waveforms.md")["picture"](folder / "wrong.fst", tmp_path / "wave.png")
    assert asked == [("conv1", "conv2", "fc")]  # of the digits
    assert (tmp_path / "wave.png").read_bytes()[1:4] == b"PNG"
