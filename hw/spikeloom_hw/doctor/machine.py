"""What `spikeloom doctor` asks of the machine: room, rights, the libraries and rules that boards need."""

import ctypes
import grp
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import toolchain
from ..bitstream.loaders import FTDI, LIBRARIES, RULES, udev_rule
from .checks import Check

GIB = 1 << 30
CACHE_GIB, HERE_GIB = 1.0, 0.2  # compiled tools and simulators; builds and their synthesis
FLASH_LIBRARIES = ("libusb-1.0.so.0", "libftdi1.so.2")
PORTS = ("ttyUSB*", "ttyACM*")
SERIAL_GROUPS = ("dialout", "uucp")  # Debian's and Arch's
RULE_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")


def machine_checks(*, devices: Path = Path("/dev")) -> list[Check]:
    """Everything about the machine; what only boards need is optional. Takes no time worth speaking of."""
    cache = toolchain.cache_dir()
    found = [
        _folder("cache folder", cache, CACHE_GIB, "make room there, or set SPIKELOOM_CACHE to a folder elsewhere"),
        _folder("current folder", Path.cwd(), HERE_GIB, "make room, or work in a folder that is yours"),
        *(_library(name) for name in FLASH_LIBRARIES),
    ]
    if sys.platform == "linux":
        found += [_serial_ports(devices), _usb_rights()]
    return found


def _folder(name: str, folder: Path, needed_gib: float, mend: str) -> Check:
    """Whether a folder, or the one it will be made in, can be written and has room."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free / GIB
    except OSError as error:
        return Check(name, f"{folder}: {error.strerror}", False, mend=mend)
    return Check(name, f"{folder}: {free:.1f} GiB free", free >= needed_gib, mend="" if free >= needed_gib else mend)


def _library(name: str) -> Check:
    """Whether a library that openFPGALoader needs can be loaded."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return Check(name, None, False, True, f"to flash boards, install it (Debian: {LIBRARIES})")
    return Check(name, "loads", True, True)


def _serial_ports(devices: Path) -> Check:
    """Whether the serial ports that are there can be opened, or could be."""
    name = "serial ports"
    ports = sorted(path for pattern in PORTS for path in devices.glob(pattern))
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        group = _group_of(closed[0])
        return Check(name, f"{closed[0]}: no permission", False, True, _join(group))
    if ports:
        return Check(name, ", ".join(map(str, ports)), True, True)
    mine = set(_my_groups())
    known = [group for group in SERIAL_GROUPS if _exists(group)]
    if os.geteuid() == 0 or not known or mine & set(known):
        return Check(name, "none plugged in", True, True)
    return Check(name, "none plugged in", False, True, f"to talk to boards, {_join(known[0])}")


def _usb_rights() -> Check:
    """Whether programmers on USB may be opened: by root, or by a rule of udev for FTDI's, which most boards have."""
    name = "USB rights"
    if os.geteuid() == 0:
        return Check(name, "root", True, True)
    for path in _rules():
        if any(FTDI in line and ("uaccess" in line or "MODE" in line) for line in _lines(path)):
            return Check(name, str(path), True, True)
    mend = f"to flash boards, as root write {udev_rule(FTDI)} into {RULES} and run `udevadm control --reload-rules`"
    return Check(name, None, False, True, mend)


def _rules() -> Iterator[Path]:
    for folder in RULE_FOLDERS:
        yield from sorted(Path(folder).glob("*.rules"))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(errors="replace").splitlines() if not line.lstrip().startswith("#")]
    except OSError:
        return []


def _join(group: str) -> str:
    return f"run `sudo usermod -aG {group} $USER` and log in again"


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError):
        return SERIAL_GROUPS[0]


def _my_groups() -> Iterator[str]:
    for number in {os.getegid(), *os.getgroups()}:
        try:
            yield grp.getgrgid(number).gr_name
        except KeyError:
            continue


def _exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True
