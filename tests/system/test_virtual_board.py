"""A board from the command line: the virtual one under Verilator, killed and started again, and what is no board."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of, redirect
from pty_ends import served
from random_networks import exchanged
from spikeloom import Network, golden
from spikeloom.datasets import load
from spikeloom.errors import LinkError, LinkTrouble
from spikeloom_host import GoldenBoard, SerialBoard, Target
from spikeloom_hw.build import Build, generate
from spikeloom_sim.design import Design
from spikeloom_sim.simulated_board import SimulatedBoard

from .conftest import Command

PATIENT = ("--timeout", 60)  # of a machine that is busy with other tests
DIGITS = load("digits", "test")
HELD: list[int] = []  # terminals of boards, open here too: what a dead link names is no other test's terminal


@contextmanager
def emulated(build: Path, *options: object) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """The virtual board as a program of its own, and what it said when it was ready."""
    command = [sys.executable, "-m", "spikeloom_cli", "emulate", str(build), "--json", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            HELD.append(os.open(told["port"], os.O_RDWR | os.O_NOCTTY))
            yield process, told
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _terminals_let_go() -> Iterator[None]:
    yield
    while HELD:
        os.close(HELD.pop())


@pytest.fixture(scope="module")
def compiled(build: Path) -> Path:
    """A build whose virtual board is compiled, so that it starts in a second."""
    with emulated(build) as (process, _):
        process.terminate()
        assert process.wait(20) == 0
    return build


def test_infer_at_the_virtual_board_equals_the_golden_model(compiled: Path, spikeloom: Command, tmp_path: Path) -> None:
    link, answers = tmp_path / "board", tmp_path / "answers.npz"
    network = Network.load(compiled / "network.loom")
    with emulated(compiled, "--link", link) as (process, told):
        assert told == {
            "port": str(link), "terminal": os.readlink(link), "build": str(compiled), "digest": network.digest,
        }  # fmt: skip
        for _ in range(2):  # hosts come and go
            run = spikeloom(
                "infer",
                "digits",
                "--port",
                link,
                "--build",
                compiled,
                "--samples",
                30,
                "-o",
                answers,
                *PATIENT,
                "--json",
            )
            assert (run.code, run.stderr) == (0, "")
        expected = golden.evaluate(network, DIGITS.x[:30])
        document = run.document
        assert document["mismatches"] == 0
        assert document["accuracy"] == float((expected.argmax(1) == DIGITS.y[:30]).mean())
        assert (document["samples"], document["frames_lost"], document["clock_hz"]) == (30, 0, 25_000_000)
        with np.load(answers) as saved:
            name = network.readouts[0].population
            assert (saved[f"potentials_{name}"] == expected).all()
            assert (saved[f"classes_{name}"] == expected.argmax(1)).all()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not link.is_symlink()


def test_golden_model_simulation_and_virtual_board_are_one_interface(compiled: Path) -> None:
    build = Build.load(compiled)
    target = Target.of(build.network, build.manifest)
    with emulated(compiled) as (_, told), SerialBoard(told["port"], target, timeout_s=60.0) as board:
        boards = [GoldenBoard(target), SimulatedBoard(Design.load(compiled)), board]
        answers = [item.infer(DIGITS.x[:10]) for item in boards]
        assert [item.mismatches(answers[0]) for item in answers] == [0, 0, 0]
        assert {item.identify().build for item in boards} == {target.identity.build}
        counts = [item.statistics() for item in boards]
        assert {(item.samples, item.events) for item in counts} == {(10, counts[0].events)}
        assert counts[1].cycles > 0
        for item in boards:
            item.reset()
            assert item.statistics().samples == 0
            item.close()


def test_killed_board_is_an_error_in_time_and_right_when_it_is_back(compiled: Path, tmp_path: Path) -> None:
    build, link = Build.load(compiled), tmp_path / "board"
    board = SerialBoard(str(link), Target.of(build.network, build.manifest))
    expected = golden.evaluate(build.network, DIGITS.x)
    killed: list[float] = []

    with emulated(compiled, "--link", link) as (process, _):

        def kill(done: int) -> None:
            if done == 5:  # the frames of the next two samples are on the line
                killed.append(time.monotonic())
                process.kill()

        with pytest.raises(LinkError) as caught:
            board.infer(DIGITS.x, kill)
        assert time.monotonic() - killed[0] < 2.0 + 1.0  # a machine that is busy
        assert caught.value.kind is LinkTrouble.LOST
        assert str(caught.value).startswith(f"Port '{link}': must stay, and went away")
    assert link.is_symlink()  # left behind
    with pytest.raises(LinkError, match="must exist, and does not"):
        board.infer(DIGITS.x[:1])
    with emulated(compiled, "--link", link):
        patient = SerialBoard(str(link), board.target, timeout_s=60.0)
        answers = patient.infer(DIGITS.x[:20])
        assert (answers.potentials[board.target.readouts[0]] == expected[:20]).all()
        patient.close()


def test_board_that_is_restarted_in_time_goes_on_by_itself(compiled: Path, spikeloom: Command, tmp_path: Path) -> None:
    link = tmp_path / "board"
    with emulated(compiled, "--link", link) as (first, _):
        restarted: list[bool] = []

        def restart() -> None:
            time.sleep(1.5)
            first.kill()
            with emulated(compiled, "--link", link):
                restarted.append(True)
                ended.wait(100)

        ended = threading.Event()
        thread = threading.Thread(target=restart)
        thread.start()
        run = spikeloom("infer", "digits", "--port", link, "--build", compiled, *PATIENT, "--json")
        ended.set()
        thread.join()
        assert run.code == 0, run.stderr
        assert run.document["mismatches"] == 0
        assert restarted == [True]


@pytest.mark.parametrize(
    ("answer", "said"),
    [(lambda data: b"", "must answer, and says nothing"), (lambda data: data, "sends back what it is sent")],
    ids=["silence", "echo"],
)
def test_something_else_at_the_port_is_one_line_and_exit_2(
    answer: Callable[[bytes], bytes], said: str, build: Path, spikeloom: Command
) -> None:
    with served(answer) as path:
        run = spikeloom("infer", "digits", "--port", path, "--build", build, "--timeout", 0.3)
        assert run.code == 2
        assert run.stdout == ""
        assert run.stderr.count("\n") == 1
        assert run.stderr.startswith(f"spikeloom: Board at '{path}': must answer")
        assert said in run.stderr


def test_board_with_another_build_is_one_line_and_exit_2(compiled: Path, spikeloom: Command, tmp_path: Path) -> None:
    manifest = manifest_of(compiled)
    other = tmp_path / "other"
    other.mkdir()
    for path in compiled.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    mine, manifest["link"]["build"] = manifest["link"]["build"], "00000000000000ff"
    redirect(other, manifest)
    with emulated(compiled) as (_, told):
        run = spikeloom("infer", "digits", "--port", told["port"], "--build", other, *PATIENT)
    assert run.code == 2
    assert run.stderr == (
        f"spikeloom: Board at '{told['port']}': must hold build 00000000000000ff, not {mine} (64 inputs, 10 outputs); "
        "load the bitstream of this build, or name the other with --build\n"
    )


def test_mismatches_with_the_golden_model_exit_1(
    compiled: Path, spikeloom: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(self: GoldenBoard, x: np.ndarray, on_samples: object = None) -> Any:
        answers = infer(self, x)
        for values in answers.potentials.values():
            values[0, 0] += 1
        return answers

    infer = GoldenBoard.infer
    monkeypatch.setattr(GoldenBoard, "infer", off_by_one)
    with emulated(compiled) as (_, told):
        given = ("infer", "digits", "--port", told["port"], "--build", compiled, "--samples", 3, *PATIENT, "--json")
        run = spikeloom(*given)
        assert spikeloom(*given, "--no-check").document["mismatches"] is None
    assert (run.code, run.document["mismatches"]) == (1, 1)
    assert run.stderr == (
        f"spikeloom: Board at '{told['port']}': must equal the golden model, not differ in 1 integers\n"
    )


def test_wrong_options_are_refused_before_the_port_is_touched(build: Path, spikeloom: Command, tmp_path: Path) -> None:
    port = ("--port", tmp_path / "none")
    for options, said in {
        ("--timeout", "0"): "Option '--timeout': must be 0.1..3600 seconds, not 0",
        ("--timeout", "nan"): "Option '--timeout': must be 0.1..3600 seconds, not nan",
        ("--baud", "0"): "Option '--baud': must be 1..100000000, not 0",
        ("--samples", "0"): "Data 'digits': samples must be 1..364, not 0",
        ("-o", str(tmp_path)): f"Output '{tmp_path}': must be an .npz file, not a folder; name the file in it",
    }.items():
        run = spikeloom("infer", "digits", "--build", build, *port, *options)
        assert (run.code, run.stderr) == (2, f"spikeloom: {said}\n")
    run = spikeloom("infer", "digits", "--build", tmp_path, *port)
    assert run.stderr == f"spikeloom: Build '{tmp_path}': has no manifest.json; `spikeloom generate` makes a build\n"


def test_emulate_refuses_what_it_cannot_do(compiled: Path, spikeloom: Command, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    run = spikeloom("emulate", compiled, "--link", taken)
    assert (run.code, run.stderr) == (
        2,
        f"spikeloom: Link '{taken}': must be free, and something is there; remove it or choose another with --link\n",
    )
    assert taken.read_text() == "mine"
    run = spikeloom("emulate", compiled, "--link", tmp_path / "no" / "board")
    assert run.stderr == f"spikeloom: Link '{tmp_path}/no/board': folder '{tmp_path}/no' must exist; make it first\n"
    run = spikeloom("emulate", tmp_path)
    assert run.stderr == f"spikeloom: Build '{tmp_path}': has no manifest.json; `spikeloom generate` makes a build\n"


def test_ports_are_listed(spikeloom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugged:
        device, vid, pid, description = "/dev/ttyUSB1", 0x0403, 0x6015, "ULX3S FPGA"

    monkeypatch.setattr("spikeloom_host.serial_port.list_ports.comports", lambda: [Plugged])
    told = {"path": "/dev/ttyUSB1", "what": "ULX3S FPGA (FTDI FT231X, as on ULX3S)", "usb": "0403:6015"}
    assert spikeloom("ports", "--json").document == {"ports": [told]}
    assert "/dev/ttyUSB1  0403:6015  ULX3S FPGA" in spikeloom("ports").stdout
    monkeypatch.setattr("spikeloom_host.serial_port.list_ports.comports", list)
    assert spikeloom("ports").stdout == "No serial port is plugged in.\n"


@pytest.mark.slow
def test_parameters_are_loaded_over_the_line_and_infer_knows_which_are_there(
    build: Path, spikeloom: Command, tmp_path: Path
) -> None:
    first = Network.load(build / "network.loom")
    second = exchanged(first, np.random.default_rng(0))
    first.save(tmp_path / "first.loom")
    second.save(tmp_path / "second.loom")
    folder = generate(first, tmp_path / "loadable", lanes=4, cores=1, contents="loadable").folder
    with emulated(folder) as (_, told):
        at = ("--port", told["port"], "--build", folder, *PATIENT)

        def infer(*network: object) -> dict[str, Any]:
            return dict(spikeloom("infer", "digits", *at, *network, "--samples", 5, "--json").document)

        def load(name: str) -> dict[str, Any]:
            return dict(spikeloom("load", tmp_path / name, *at, "--json").document)

        assert infer()["mismatches"] == 0
        assert load("second.loom")["digest"] == second.digest
        loaded = infer("--network", tmp_path / "second.loom")
        assert (loaded["digest"], loaded["mismatches"]) == (second.digest, 0)
        refused = spikeloom("infer", "digits", *at, "--samples", 5)
        assert refused.code == 2
        assert (
            f"Board at '{told['port']}': must hold the parameters of '{first.name}' ({first.digest[:16]}), but has "
            "others in memory 0, 1; load them with `spikeloom load`, or name what it holds with --network\n"
        ) in refused.stderr
        load("first.loom")
        assert infer()["mismatches"] == 0
