"""The commands one by one: what they answer to people and to programs."""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork

from .conftest import Command

NAMES = (
    "check",
    "train",
    "networks",
    "convert",
    "show",
    "export",
    "run",
    "sweep",
    "fit",
    "generate",
    "simulate",
    "synth",
    "report",
    "flash",
    "replace",
    "load",
    "infer",
    "emulate",
    "boards",
    "ports",
    "doctor",
    "demo",
)


def test_help_lists_what_there_is_and_nothing_else(spikeloom: Command) -> None:
    text = spikeloom("--help").stdout
    commands = text.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    listed = [line.split()[0] for line in commands if re.match(r"  \w", line)]
    assert tuple(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_an_example_and_json_in_its_help(spikeloom: Command, name: str) -> None:
    outcome = spikeloom(name, "--help")
    assert outcome.code == 0
    assert f"Example:\n    spikeloom {name}" in outcome.stdout
    assert "--json" in outcome.stdout


def test_help_boards_and_network_errors_do_not_wait_for_torch(program) -> None:  # type: ignore[no-untyped-def]
    code = "import sys; from spikeloom_cli.app import respond; respond(sys.argv[1:]); assert 'torch' not in sys.modules"
    import subprocess

    for arguments in (["--help"], ["boards"], ["doctor"], ["show", "nowhere.loom"]):
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - start < 20


def test_show_names_the_proven_width_of_every_potential(spikeloom: Command, loom: Path) -> None:
    document = spikeloom("show", loom, "--json").document
    assert [item["name"] for item in document["populations"]] == ["input", "l1", "readout"]
    assert [item.get("potential_bits") for item in document["populations"]] == [None, 12, 17]
    assert len(document["digest"]) == 64
    text = spikeloom("show", loom).stdout
    assert document["digest"] in text
    assert "proven range of V" in text


def test_run_measures_the_test_split(spikeloom: Command, loom: Path) -> None:
    document = spikeloom("run", loom, "digits", "--json").document
    assert document["samples"] == 364
    keys = {"accuracy", "samples", "sops_per_inference", "spikes_per_neuron", "images_per_second"}
    assert keys <= document.keys()
    assert 0 <= document["accuracy"] <= 1
    few = spikeloom("run", loom, "digits", "--samples", 7, "--json").document
    assert few["samples"] == 7


def test_run_without_labels_has_no_accuracy(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "x.npz", x=np.zeros((3, 1, 8, 8), np.uint8))
    assert spikeloom("run", loom, tmp_path / "x.npz", "--json").document["accuracy"] is None
    assert "  accuracy            -\n" in spikeloom("run", loom, tmp_path / "x.npz").stdout


def test_generate_says_what_it_made_and_replaces_a_build(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    first = spikeloom("generate", loom, "-o", folder, "--lanes", 2, "--json")
    assert first.code == 0
    assert first.document["build"] == str(folder)
    assert first.document["digest"] == json.loads((folder / "manifest.json").read_text())["digest"]
    assert first.document["lanes"] == sum(core["lanes"] for core in first.document["cores"]) == 4
    second = spikeloom("generate", loom, "-o", folder, "--lanes", 1, "--json")
    assert (second.code, second.document["lanes"]) == (0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_generate_adds_a_wrapper_around_a_core_that_simulates(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    folder = tmp_path / "soc"
    made = spikeloom("generate", loom, "-o", folder, "--wrapper", "axi", "--json")
    assert made.code == 0
    wrapper = json.loads((folder / "manifest.json").read_text())["wrapper"]
    assert made.document["wrapper"] == wrapper
    assert (wrapper["kind"], wrapper["top"], wrapper["verilog"]) == ("axi", "spikeloom_axi", "spikeloom_axi.v")
    assert "module spikeloom_axi(" in (folder / "spikeloom_axi.v").read_text()
    done = spikeloom("simulate", folder, "digits", "--samples", 2, "--simulator", "cxxrtl", "--json")
    assert (done.code, done.document["mismatches"]) == (0, 0)
    refused = spikeloom("flash", folder)
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1


def test_boards_lists_what_their_devices_hold(spikeloom: Command) -> None:
    boards = {board["name"]: board for board in spikeloom("boards", "--json").document["boards"]}
    assert {"ulx3s-85f", "ulx3s-25f", "icebreaker", "ice40-hx8k"} <= boards.keys()
    assert boards["ulx3s-85f"]["lut"] == 83640
    assert boards["ulx3s-85f"]["ram_kbit"] == 3744
    assert "ulx3s-85f" in spikeloom("boards").stdout
    assert len(boards) >= 12
    assert {board["family"] for board in boards.values()} == {"ecp5", "ice40", "gowin", "gatemate"}
    assert (boards["tang-nano-9k"]["ram_kbit"], boards["tang-nano-9k"]["pll"]) == (468, "rPLL")
    assert all(board["source"] for board in boards.values())


def test_fit_tells_every_reason_and_the_smallest_board(spikeloom: Command, tmp_path: Path) -> None:
    network = RandomNetwork(np.random.default_rng(0), (2, 12, 12), 4, "wide").dense(200).readout(10)
    network.save(tmp_path / "wide.loom")
    outcome = spikeloom("fit", tmp_path / "wide.loom", "--board", "icestick", "--json")
    assert outcome.code == 1
    (found,) = outcome.document["boards"]
    assert not found["fits"]
    assert len(found["reasons"]) == 2
    least = outcome.document["smallest"]
    assert outcome.stderr.strip().endswith(
        f"spikeloom: Network 'wide' on 'icestick': {'; '.join(found['reasons'])}; "
        f"the smallest board on which it does is {least}"
    )
    fits = spikeloom("fit", tmp_path / "wide.loom", "--board", least)
    assert (fits.code, "smallest board" in fits.stdout) == (0, True)
    assert spikeloom("fit", tmp_path / "wide.loom").code == 0


def test_fit_for_a_board_that_there_is_not_is_refused(spikeloom: Command, tmp_path: Path) -> None:
    RandomNetwork(np.random.default_rng(0), (1, 1, 4), 2, "tiny").readout(2).save(tmp_path / "tiny.loom")
    outcome = spikeloom("fit", tmp_path / "tiny.loom", "--board", "basys3")
    assert outcome.code == 2
    assert outcome.stderr == "spikeloom: Board 'basys3': must be one that `spikeloom boards` lists, not this\n"


def test_doctor_finds_every_tool_of_this_environment(spikeloom: Command) -> None:
    outcome = spikeloom("doctor", "--json")
    assert outcome.code == 0
    assert outcome.document["ok"] is True
    assert {"torch", "verilator", "g++", "pyosys"} <= {tool["name"] for tool in outcome.document["tools"]}
    assert {"cache folder", "serial ports"} <= {item["name"] for item in outcome.document["machine"]}


def test_doctor_without_libusb_says_what_to_install_and_is_content(
    spikeloom: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", refuse)
    outcome = spikeloom("doctor")
    assert outcome.code == 0
    mend = "to flash boards, install it (Debian: apt-get install libusb-1.0-0 libftdi1-2)"
    (line,) = (line for line in outcome.stdout.splitlines() if line.startswith("libusb-1.0.so.0"))
    assert line.endswith(f"  no, optional  {mend}")


def test_doctor_fails_where_the_disk_is_full(spikeloom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom_hw.doctor.machine.HERE_GIB", 1e9)
    outcome = spikeloom("doctor", "--json")
    assert (outcome.code, outcome.document["ok"]) == (1, False)
    assert outcome.stderr == (
        "spikeloom: Machine: everything that is not optional must be right, and 1 are not; "
        "current folder: make room, or work in a folder that is yours\n"
    )
