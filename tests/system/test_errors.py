"""Wrong use and wrong input: one line on stderr, exit code 2, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from spikeloom import Network
from spikeloom_hw.build import generate

from .conftest import Command

CHOICE = "must be one of digits, mnist, fashion-mnist, cifar10, an .npz file or a folder of IDX files"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("conver", "No such command 'conver'. Did you mean 'convert'?; see `spikeloom --help`"),
        ("--bogus", "No such option: --bogus; see `spikeloom --help`"),
        ("show", "Command 'show': Missing argument 'NETWORK'; see `spikeloom show --help`"),
        ("show a b", "Command 'show': Got unexpected extra argument(s) (b); see `spikeloom show --help`"),
        (
            "convert m:f",
            "Command 'convert': Missing option '--calibration'; see `spikeloom convert --help`",
        ),
        (
            "convert m:f --calibration digits --timesteps four",
            "Command 'convert': Invalid value for '--timesteps': Input should be a valid integer, unable to parse "
            "string as an integer; see `spikeloom convert --help`",
        ),
        (
            "simulate b digits --simulator ghdl",
            "Command 'simulate': Invalid value for '--simulator': 'ghdl' is not one of 'verilator', 'icarus', "
            "'cxxrtl'; see `spikeloom simulate --help`",
        ),
        ("show no.loom", "File 'no.loom': does not exist; `spikeloom convert ... -o no.loom` writes one"),
        ("run no.loom digits", "File 'no.loom': does not exist; `spikeloom convert ... -o no.loom` writes one"),
        ("simulate no digits", "Build 'no': has no manifest.json; `spikeloom generate` makes a build"),
        ("synth no", "Build 'no': has no manifest.json; `spikeloom generate` makes a build"),
        ("generate no.loom", "File 'no.loom': does not exist; `spikeloom convert ... -o no.loom` writes one"),
        (
            "convert net.nir --calibration digits",
            "File 'net.nir': does not exist; `nir.write('net.nir', graph)` writes one",
        ),
        (
            "convert net.nir --calibration digits --v-min 0",
            "NIR options: v_min must be None, potentials have no lower bound, not '0'",
        ),
        (
            "convert net.nir --calibration digits --reset none --dt 0",
            "NIR options: dt must be a number in 1e-15..1e+15, not 0.0; reset must be hard or soft, not 'none'",
        ),
        (
            "convert net.nir --calibration digits --method qcfs",
            "Option '--method': must be left out for a .nir file, which is a spiking network already",
        ),
        (
            "convert net.nir --calibration digits --weights w.pt",
            "Option '--weights': must be left out for a .nir file, which is a spiking network already",
        ),
        (
            "convert m:f --calibration digits --round-leak",
            "Option '--round-leak': must be for a .nir file, not for 'm:f'; leave it out",
        ),
        ("export no.loom", "File 'no.loom': does not exist; `spikeloom convert ... -o no.loom` writes one"),
        ("export no.loom -o .", "Output '.': must be a .nir file, not a folder; name the file in it"),
        ("convert m:f --calibration dig", f"Data 'dig': {CHOICE}, not something that does not exist"),
        (
            "convert m:f --calibration digits --mean 0.1,x",
            "Option '--mean': must be numbers between commas, not '0.1,x'",
        ),
        (
            "convert m:f --calibration digits --layer-timesteps a=4 --layer-timesteps conv1=x",
            "Option '--layer-timesteps': must be NAME=T, like layer1_*=6, not 'conv1=x'",
        ),
        (
            "convert m:f --calibration digits --layer-neurons conv1",
            "Option '--layer-neurons': must be NAME=N, like layer1_*=2, not 'conv1'",
        ),
        (
            "convert net.nir --calibration digits --layer-neurons conv1=2",
            "Option '--layer-neurons': must be left out for a .nir file, which is a spiking network already",
        ),
        ("convert m:f --calibration digits -o no/n.loom", "Output 'no/n.loom': folder 'no' must exist; make it first"),
        (
            "convert m:f --calibration digits -o .",
            "Output '.': must be a .loom file, not a folder; name the file in it",
        ),
        ("check net.nir", "Model 'net.nir': must be package.module:factory, not NIR, which is not read yet"),
        (
            "check spikeloom_convert.models:digits_cnn",
            "Model 'spikeloom_convert.models:digits_cnn': must be given the shape of a sample, which its layers leave "
            "open; use --input-shape C,H,W or --calibration DATA",
        ),
        (
            "check m:f --input-shape 3,x",
            "Option '--input-shape': must be C,H,W or C,L or F, like 3,32,32, not '3,x'",
        ),
        (
            "check spikeloom_convert.models:digits_cnn --input-shape 1,8,8 --calibration digits",
            "Option '--input-shape': must be left out with --calibration, whose samples have a shape",
        ),
        (
            "check spikeloom_convert.models:digits_cnn --input-shape 1,8,10",
            "Calibration: samples must have the shape that model 'Sequential' takes, not (1, 8, 10) "
            "(mat1 and mat2 shapes cannot be multiplied (2x320 and 256x10))",
        ),
        ("demo --samples 365 -o d", "Data 'digits': samples must be 1..364, not 365"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    spikeloom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = spikeloom(*arguments.split())
    assert outcome.stderr == f"spikeloom: {said}\n"
    assert (outcome.code, outcome.stdout) == (2, "")
    with_json = spikeloom(*arguments.split(), "--json")
    if not said.startswith(("No such", "Command")):
        assert with_json.document == {"error": said}
    assert with_json.code == 2


def test_network_that_was_altered_or_cut_off_is_refused(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    content = bytearray(loom.read_bytes())
    cut, altered = tmp_path / "cut.loom", tmp_path / "altered.loom"
    cut.write_bytes(content[:-1])
    content[-1] ^= 1
    altered.write_bytes(content)
    for path in (cut, altered):
        outcome = spikeloom("show", path)
        assert outcome.code == 2
        assert outcome.stderr.startswith(f"spikeloom: File '{path}': ")
        assert outcome.stderr.count("\n") == 1


def test_data_of_another_shape_is_refused_by_run(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.npz"
    np.savez(path, x=np.zeros((2, 1, 8, 9), np.uint8))
    outcome = spikeloom("run", loom, path)
    assert outcome.stderr == "spikeloom: Data for 'input': must have shape (N, 1, 8, 8), not (2, 1, 8, 9)\n"
    assert outcome.code == 2


def test_unknown_board_is_refused_with_its_neighbours(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    outcome = spikeloom("generate", loom, "--board", "icebraker", "-o", tmp_path / "b")
    assert outcome.stderr == (
        "spikeloom: Board 'icebraker': must be one that `spikeloom boards` lists, not this; "
        "did you mean icebreaker, icesugar, icepi-zero?\n"
    )
    assert outcome.code == 2
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_no_build_is_never_overwritten(spikeloom: Command, loom: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    outcome = spikeloom("generate", loom, "-o", tmp_path)
    assert (
        outcome.stderr == f"spikeloom: Build '{tmp_path}': exists and is not a build; choose another folder with -o\n"
    )
    assert outcome.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_build_without_a_board_cannot_be_synthesised(spikeloom: Command, build: Path) -> None:
    outcome = spikeloom("synth", build)
    assert outcome.code == 2
    assert outcome.stderr.count("\n") == 1


def test_command_alone_shows_its_help_and_is_wrong_use(spikeloom: Command) -> None:
    outcome = spikeloom()
    assert outcome.code == 2
    assert outcome.stderr.startswith("Usage: spikeloom")
    assert outcome.stdout == ""


def test_reader_that_has_enough_is_not_told_off(loom: Path) -> None:
    command = f"{sys.executable} -m spikeloom_cli show {loom}; echo $? >&2"
    head = ["bash", "-c", f"({command}) | true"]
    done = subprocess.run(head, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() in ("141", "0")
    assert done.stdout == ""


def test_interrupt_ends_with_130_and_one_line(loom: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", x=np.zeros((3_000_000, 1, 8, 8), np.uint8))
    command = [sys.executable, "-m", "spikeloom_cli", "run", str(loom), str(tmp_path / "many.npz")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "spikeloom: interrupted\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/cwd"), reason="needs /proc")
def test_command_that_is_told_to_end_ends_what_it_started(loom: Path, tmp_path: Path) -> None:
    def working_there() -> list[str]:
        found = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with suppress(OSError):
                found += [link.parent.name] if os.readlink(link).startswith(str(tmp_path / "build")) else []
        return found

    generate(Network.load(loom), tmp_path / "build", board="ulx3s-85f")
    command = [sys.executable, "-m", "spikeloom_cli", "synth", str(tmp_path / "build"), "--clock", "oscillator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not working_there():
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.splitlines()[-1]) == (130, "", "spikeloom: interrupted")
    ends = time.monotonic() + 20  # on a busy machine a process that was told to end needs a while
    while working_there() and time.monotonic() < ends:
        time.sleep(0.1)
    assert not working_there()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_under_the_answer_is_one_line(loom: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "spikeloom_cli", "show", str(loom)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_json_object_is_all_there_is_on_stdout_when_something_is_wrong(program) -> None:  # type: ignore[no-untyped-def]
    done = program("show", "nowhere.loom", "--json")
    assert json.loads(done.stdout) == {
        "error": "File 'nowhere.loom': does not exist; `spikeloom convert ... -o nowhere.loom` writes one"
    }
    assert done.returncode == 2
