"""Serial ports, real ones as far as a pseudo-terminal is one: what is wrong with them, in plain words and in time."""

import os
import time
import tty
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from pty_ends import served
from spikeloom import golden
from spikeloom.errors import LinkError, LinkTrouble
from spikeloom.link import Device, Identity, Load, MemoryLoad, golden_inference
from spikeloom.link.frames import crc
from spikeloom_host import GoldenBoard, SerialBoard, SerialPort, Target, ports
from tiny_networks import tiny

NETWORK = tiny()
READOUT = NETWORK.readouts[0].population
TARGET = Target(
    NETWORK,
    Identity(
        build=0xAB, frame_bytes=64, credits=2, neurons=16, code_bits=NETWORK.inputs[0].timesteps, code_signed=False,
        potential_bits=24, class_bits=2, outputs=(3,), memories=0, clock_hz=0, watchdog_cycles=1000,
    ),
    (READOUT,),
)  # fmt: skip
X = np.random.default_rng(3).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)


def refused(path: object, timeout_s: float = 0.4) -> LinkError:
    """The error of asking at a port, which must come in time."""
    started = time.monotonic()
    with pytest.raises(LinkError) as caught:
        SerialBoard(str(path), TARGET, timeout_s=timeout_s).identify()
    assert time.monotonic() - started < timeout_s + 2.0  # a machine that is busy
    return caught.value


@pytest.fixture(autouse=True)
def _no_port_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom_host.serial_port.list_ports.comports", list)


def test_board_at_a_pseudo_terminal_answers_as_the_golden_model() -> None:
    device = Device(TARGET.identity, golden_inference(NETWORK))
    with (
        served(device.receive) as path,
        SerialBoard(path, TARGET, timeout_s=10.0) as board,
        GoldenBoard(TARGET) as want,
    ):
        done: list[int] = []
        answers = board.infer(X, done.append)
        assert board.identify() == TARGET.identity
        assert done == list(range(1, 21))
        assert answers.mismatches(want.infer(X)) == 0
        assert (answers.potentials[READOUT] == golden.evaluate(NETWORK, X)).all()
        assert (answers.classes[READOUT] == golden.evaluate(NETWORK, X).argmax(1)).all()
        assert board.statistics().samples == want.statistics().samples == 20
        assert board.statistics().events == want.statistics().events
        board.reset()
        want.reset()
        assert board.statistics() == want.statistics()


def test_mismatches_count_potentials_and_classes() -> None:
    answers = GoldenBoard(TARGET).infer(X)
    potentials = {READOUT: answers.potentials[READOUT].copy()}
    potentials[READOUT][3, 1] += 1
    potentials[READOUT][7, 0] -= 1
    assert answers.mismatches(type(answers)(potentials, answers.classes)) == 2
    assert answers.mismatches(type(answers)(answers.potentials, {READOUT: answers.classes[READOUT] ^ 1})) == 20


def test_no_samples_are_no_answers() -> None:
    device = Device(TARGET.identity, golden_inference(NETWORK))
    with served(device.receive) as path, SerialBoard(path, TARGET) as board:
        assert board.infer(X[:0]).potentials[READOUT].shape == (0, 3)


class Loaded:
    """A memory that anything can be loaded into."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def load(self, memory: int, address: int, data: bytes) -> bool:
        self.data = data
        return memory == 0

    def checksum(self, memory: int) -> int | None:
        return crc(self.data)


@pytest.mark.parametrize("place", [0, 10])
def test_board_that_loses_what_was_loaded_while_it_answers_is_an_error(place: int) -> None:
    target = replace(TARGET, identity=replace(TARGET.identity, memories=1))

    def started() -> Device:
        return Device(target.identity, golden_inference(NETWORK), memories=Loaded(b"the bitstream's"))

    loads = [MemoryLoad(0, (Load(0, 0, b"another"),), crc(b"another"))]
    device = started()

    def restart(done: int) -> None:
        nonlocal device
        if done == place:
            device = started()

    with served(lambda data: device.receive(data)) as path, SerialBoard(path, target, timeout_s=10.0) as board:
        board.load(loads)
        board.infer(X)
        restart(0)
        with pytest.raises(LinkError) as caught:
            board.infer(X, restart)
        assert caught.value.kind is LinkTrouble.OTHER_PARAMETERS
        board.load(loads)
        board.infer(X)


def test_board_with_another_build_is_named() -> None:
    device = Device(replace(TARGET.identity, build=1), golden_inference(NETWORK))
    with served(device.receive) as path:
        error = refused(path, timeout_s=10.0)
        assert error.kind is LinkTrouble.OTHER_BUILD
        assert str(error) == (
            f"Board at '{path}': must hold build 00000000000000ab, not 0000000000000001 (16 inputs, 3 outputs); load "
            "the bitstream of this build, or name the other with --build"
        )


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (lambda data: b"", LinkTrouble.SILENT, "must answer, and says nothing; is the bitstream loaded"),
        (
            lambda data: data,
            LinkTrouble.STRANGER,
            "must answer as a board of Spikeloom, and sends back what it is sent",
        ),
        (
            lambda data: b"ok\r\n" if data else b"",
            LinkTrouble.STRANGER,
            "must answer as a board of Spikeloom, and says something else (6f 6b 0d 0a ...)",
        ),
        (
            lambda data: b"#" * 64,
            LinkTrouble.STRANGER,
            "must answer as a board of Spikeloom, and says something else (23 23 23 23 23 23 23 23 ...)",
        ),
    ],
    ids=["silence", "echo", "answers", "babble"],
)
def test_something_else_at_the_port_is_told(answer: Callable[[bytes], bytes], kind: LinkTrouble, said: str) -> None:
    with served(answer) as path:
        error = refused(path)
        assert error.kind is kind
        assert str(error).startswith(f"Board at '{path}': {said}")


def test_port_that_takes_nothing_is_an_error_in_time() -> None:
    here, there = os.openpty()
    port = SerialPort(path := os.ttyname(there), write_seconds=0.2)
    try:
        with pytest.raises(LinkError) as caught:
            port.write(bytes(1 << 20))
        assert caught.value.kind is LinkTrouble.SILENT
        assert str(caught.value) == f"Port '{path}': must take bytes, and does not; nobody is at its other end"
    finally:
        port.close()
        os.close(here)
        os.close(there)


def test_path_without_anything_is_told_with_the_ports_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ttyUSB0"
    assert refused(path).kind is LinkTrouble.MISSING
    assert str(refused(path)) == f"Port '{path}': must exist, and does not; no serial port is plugged in"

    class Plugged:
        device, vid, pid, description = "/dev/ttyUSB1", 0x0403, 0x6015, "ULX3S FPGA"

    class Soldered:
        device, vid, pid, description = "/dev/ttyS0", None, None, "n/a"

    monkeypatch.setattr("spikeloom_host.serial_port.list_ports.comports", lambda: [Soldered, Plugged])
    assert str(refused(path)) == (
        f"Port '{path}': must exist, and does not; ports there are: "
        "/dev/ttyUSB1, ULX3S FPGA (FTDI FT231X, as on ULX3S); /dev/ttyS0, a serial port"
    )
    assert [(port.path, port.usb) for port in ports()] == [("/dev/ttyUSB1", "0403:6015"), ("/dev/ttyS0", None)]


def test_what_is_no_serial_port_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, kind in ((tmp_path / "file", "a file"), (tmp_path, "a folder")):
        error = refused(path)
        assert error.kind is LinkTrouble.REFUSED
        assert str(error) == f"Port '{path}': must be a serial port, not {kind}; no serial port is plugged in"
    assert str(refused("/dev/null")) == (
        "Port '/dev/null': must be a serial port, not another device; no serial port is plugged in"
    )
    assert str(refused("a\0b")) == "Port 'a\\x00b': must be a serial port, not 'embedded null byte'"


def test_port_without_rights_is_told_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = os.openpty()
    path = os.ttyname(there)
    monkeypatch.setattr(os, "access", lambda *_: False)
    try:
        error = refused(path)
        assert error.kind is LinkTrouble.REFUSED
        assert str(error) == (
            f"Port '{path}': must be readable and writable for you, and is not; join the group it belongs to "
            "(Debian: `sudo adduser $USER dialout`, then log in again)"
        )
    finally:
        os.close(here)
        os.close(there)


def test_port_that_another_program_uses_is_told() -> None:
    with served(lambda data: b"") as path:
        first = SerialPort(path)
        try:
            assert str(refused(path)) == f"Port '{path}': must be free, and another program uses it; end that first"
        finally:
            first.close()


def test_other_end_that_goes_away_is_an_error_in_time_and_is_noticed() -> None:
    here, there = os.openpty()
    tty.setraw(there)
    board = SerialBoard(os.ttyname(there), TARGET, timeout_s=0.5)
    os.close(there)
    started = time.monotonic()
    Timer(0.2, os.close, [here]).start()
    with pytest.raises(LinkError) as caught:
        board.identify()
    assert caught.value.kind is LinkTrouble.LOST
    assert "must stay, and went away" in str(caught.value)
    assert time.monotonic() - started < 3.0
    board.close()
    board.close()
