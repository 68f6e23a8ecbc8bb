"""From a bitstream to a board: the right one, of this build, onto the right device."""

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeloom.errors import SpikeloomError, ToolError

from .. import toolchain
from ..boards.board import Board, find
from ..build import Build
from .loaders import IDCODES, LOADERS, OTHERS, TOOL, Loader, arguments, detected, explained
from .synth import RESULT

LOG = "flash.log"
_FAILED = re.compile(r"\bFAIL(?:ED)?\b|^Error\b", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class FlashResult:
    """What was written where; plain values, so that `asdict` gives JSON.

    Members
    -------
    board, build : name of the board, id of the build.
    bitstream : path; size_bytes : of it.
    timing_met : whether it is fast enough for its clock; `synth --allow-timing-failure` makes others too.
    persistent : into the flash memory, where it survives a power cycle.
    written : false in a dry run.
    device, idcode : what answered before anything was written; None in a dry run, and where a device does not say.
    commands : lines that were run, or would be.
    seconds : wall-clock time it took.
    """

    board: str
    build: str
    bitstream: str
    size_bytes: int
    timing_met: bool
    persistent: bool
    written: bool
    device: str | None
    idcode: str | None
    commands: tuple[str, ...]
    seconds: float


def flash(
    build_dir: str | Path,
    *,
    persist: bool = False,
    dry_run: bool = False,
    cable: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> FlashResult:
    """Write the bitstream of a build to its board.

    The device is asked for its IDCODE first, and nothing is written to another one. iCE40 devices have none.

    Parameters
    ----------
    build_dir : folder that `spikeloom synth` made a bitstream in.
    persist : write the flash memory rather than the device, whose content is gone with the power.
    dry_run : check everything but the board, and write nothing.
    cable : programmer, as openFPGALoader calls it; the board's own where None.
    progress : called with a short text now and then.

    Raises
    ------
    SpikeloomError
        No build, one without a bitstream or with one that is not of this build, or a board that is not reached so.
    ToolError
        openFPGALoader or a library is missing, or there is no board, no permission, another device, or a failure.
    """
    start = time.monotonic()
    build = Build.load(build_dir)
    bitstream, timing_met = _bitstream(build)
    board = find(build.manifest["board"])
    loader = _loader(board, persist, cable)
    chosen = arguments(board.name, cable)
    detect = [*chosen, "--detect"]
    write = [*chosen, "-f" if persist else "-m", str(bitstream)]
    steps = [detect, write] if loader.jtag else [write]
    device = idcode = None
    if not dry_run:
        if loader.jtag:
            device, idcode = _check_device(board, loader, _run(detect, board, loader, progress, "asking the device"))
        _run(write, board, loader, progress, "writing")
    return FlashResult(
        board=board.name,
        build=build.manifest["link"]["build"],
        bitstream=str(bitstream),
        size_bytes=bitstream.stat().st_size,
        timing_met=timing_met,
        persistent=persist,
        written=not dry_run,
        device=device,
        idcode=idcode,
        commands=tuple(shlex.join([TOOL, *step]) for step in steps),
        seconds=round(time.monotonic() - start, 1),
    )


def _bitstream(build: Build) -> tuple[Path, bool]:
    """The bitstream of a build, and whether its timing is met.

    SpikeloomError where there is none, or another build's, or an altered one.
    """
    who, name = f"Build '{build.folder}'", build.manifest["board"]
    if name == "none":
        raise SpikeloomError(
            f"{who}: board must be one of `spikeloom boards`, not none; generate it again with --board"
        )
    path = build.folder / "synth" / name / RESULT
    again = f"run `spikeloom synth {shlex.quote(str(build.folder))}`"
    try:
        result: dict[str, Any] = json.loads(path.read_text())
        stated, identity, sha256 = result["bitstream"], result["build"], result["sha256"]
    except FileNotFoundError:
        raise SpikeloomError(f"{who}: must have a bitstream, and has none; {again}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpikeloomError(f"{who}: {path.name} cannot be read ({type(error).__name__}: {error}); {again}") from None
    if stated is None:
        raise SpikeloomError(f"{who}: must have a bitstream, and its timing was not met; {again} with --clock auto")
    bitstream = build.folder / Path(str(stated)).name  # wherever the folder is now
    if identity != build.manifest["link"]["build"]:
        raise SpikeloomError(f"{who}: bitstream must be of this build, and is of build {identity}; {again} again")
    if not bitstream.is_file():
        raise SpikeloomError(f"{who}: bitstream {bitstream.name} must be there, and is gone; {again} again")
    if hashlib.sha256(bitstream.read_bytes()).hexdigest() != sha256:
        raise SpikeloomError(f"{who}: bitstream {bitstream.name} must be as synthesised, not altered; {again} again")
    return bitstream, result.get("timing_met") is not False


def _loader(board: Board, persist: bool, cable: str | None) -> Loader:
    """How the board is reached; SpikeloomError where it is not, or not in that way."""
    if board.name not in LOADERS:
        how = OTHERS.get(board.name, "use its vendor's tool")
        raise SpikeloomError(f"Board '{board.name}': must be one that openFPGALoader reaches, which it is not; {how}")
    loader = LOADERS[board.name]
    if not loader.arguments and cable is None:
        raise SpikeloomError(
            f"Board '{board.name}': needs a programmer of its own, and none is named; name it with --cable "
            f"(`{TOOL} --list-cables` lists them), like --cable ft232"
        )
    if not loader.sram and not persist:
        raise SpikeloomError(
            f"Board '{board.name}': has a flash memory that the device loads itself from, and no other way in; "
            "write that with --persist"
        )
    return loader


def _run(args: Sequence[str], board: Board, loader: Loader, progress: Callable[[str], None] | None, what: str) -> str:
    """Run openFPGALoader and return what it said; ToolError in plain words where it fails."""
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        percent = _PERCENT.search(line)
        if progress is not None and percent:
            progress(f"{what}, {float(percent[1]):.0f} %")

    if progress is not None:
        progress(what)
    log = toolchain.cache_dir() / "log" / LOG
    try:
        toolchain.run(TOOL, args, cwd=Path.cwd(), log=log, on_line=hear)
    except ToolError:
        reason = explained("\n".join(said), board.name, loader)
        if reason is None:
            raise
        raise ToolError(f"{reason} (all it said is in {log})") from None
    failed = next((line.strip() for line in said if _FAILED.search(line)), None)
    if failed is not None:  # it ends with 0 all the same where it could not write a flash memory
        raise ToolError(f"Board '{board.name}': must be written, and {TOOL} says '{failed}'; all it said is in {log}")
    return "\n".join(said)


def _check_device(board: Board, loader: Loader, output: str) -> tuple[str, str]:
    """Model and IDCODE of the device that answered; ToolError where it is not the board's, or not one."""
    found, wanted = detected(output), IDCODES.get(board.device)
    if len(found) != 1:
        listed = ", ".join(item.model for item in found) or "none"
        raise ToolError(
            f"Board '{board.name}': one device must answer over JTAG, not {len(found)} ({listed}); "
            "check power and wiring, and connect one board only"
        )
    (device,) = found
    if wanted is not None and not device.is_device(wanted):
        raise ToolError(
            f"Board '{board.name}': device must be {board.device} (IDCODE 0x{wanted:08x}), and {device.model} answers "
            f"(0x{device.idcode:08x}); nothing was written: connect the board, or generate for the one that is there"
        )
    return device.model, f"0x{device.idcode:08x}"
