"""The machine as doctor sees it: room, rights, libraries, each with what to do about it."""

import ctypes
import os
from pathlib import Path

import pytest
from spikeloom_hw.doctor import machine
from spikeloom_hw.doctor.checks import Check

RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", MODE="0660", GROUP="plugdev", TAG+="uaccess"'


def check(name: str, devices: Path = Path("/nowhere")) -> Check:
    """The check of a name."""
    (found,) = (item for item in machine.machine_checks(devices=devices) if item.name == name)
    return found


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is not root, and in no group that has to do with boards."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine, "_my_groups", lambda: iter(["users"]))
    monkeypatch.setattr(machine, "_exists", lambda group: group == "dialout")


def test_folders_are_told_with_their_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "not" / "there"))
    found = check("cache folder")
    assert found.found
    assert found.version is not None
    assert found.version.startswith(f"{tmp_path}/not/there: ")
    assert not (tmp_path / "not").exists()


def test_full_disk_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CACHE_GIB", 1e9)
    found = check("cache folder")
    assert (found.found, found.optional) == (False, False)
    assert found.mend == "make room there, or set SPIKELOOM_CACHE to a folder elsewhere"


def test_folder_that_cannot_be_written_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    found = check("current folder")
    assert found == Check(
        "current folder",
        f"{Path.cwd()}: Permission denied",
        False,
        mend="make room, or work in a folder that is yours",
    )


def test_missing_library_is_optional_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    mend = "to flash boards, install it (Debian: apt-get install libusb-1.0-0 libftdi1-2)"
    assert check("libusb-1.0.so.0") == Check("libusb-1.0.so.0", None, False, True, mend)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    assert check("libusb-1.0.so.0") == Check("libusb-1.0.so.0", "loads", True, True)


def test_serial_port_that_is_closed_names_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: None
) -> None:
    for name in ("ttyUSB0", "ttyACM1", "tty0"):
        (tmp_path / name).touch()
    assert check("serial ports", tmp_path) == Check(
        "serial ports", f"{tmp_path}/ttyACM1, {tmp_path}/ttyUSB0", True, True
    )
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(Path, "group", lambda path: "plugdev")
    mend = "run `sudo usermod -aG plugdev $USER` and log in again"
    assert check("serial ports", tmp_path) == Check(
        "serial ports", f"{tmp_path}/ttyACM1: no permission", False, True, mend
    )


def test_without_a_port_the_group_tells_whether_one_could_be_opened(
    monkeypatch: pytest.MonkeyPatch, user: None
) -> None:
    mend = "to talk to boards, run `sudo usermod -aG dialout $USER` and log in again"
    assert check("serial ports") == Check("serial ports", "none plugged in", False, True, mend)
    monkeypatch.setattr(machine, "_my_groups", lambda: iter(["users", "dialout"]))
    assert check("serial ports").found


def test_rule_of_udev_is_found_or_spelled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: None) -> None:
    monkeypatch.setattr(machine, "RULE_FOLDERS", (str(tmp_path),))
    rules = tmp_path / "99-boards.rules"
    rules.write_text(f"# {RULE}\n")
    found = check("USB rights")
    assert (found.found, found.optional) == (False, True)
    assert found.mend == (
        f"to flash boards, as root write {RULE} into /etc/udev/rules.d/99-spikeloom.rules "
        "and run `udevadm control --reload-rules`"
    )
    rules.write_text(f"{RULE}\n")
    assert check("USB rights") == Check("USB rights", str(rules), True, True)
