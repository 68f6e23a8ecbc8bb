"""Between nextpnr and the packer: a build's parameters take the places of those that its design was placed with."""

import shutil
from pathlib import Path

import numpy as np
from spikeloom.link import Identity
from spikeloom.program.parameters import flags, placeholder, rows_of_text

from ..boards.board import Board
from ..build import Build
from ..link.spec import identity_memory, identity_rows
from . import flow
from .blocks import FORMATS, find, implanted
from .place_and_route import run
from .stages import Stages


def pack(build: Build, board: Board, folder: Path, clock_hz: float, stages: Stages) -> Path:
    """Write the bitstream of what nextpnr left in a folder, which the parameters of the build are put into.

    Parameters
    ----------
    build : whose memory files hold the parameters.
    board : of the bitstream.
    folder : of nextpnr's files.
    clock_hz : of the design, which its identity tells.
    stages : hear the packer.

    Returns
    -------
    Path of the bitstream.

    Raises
    ------
    ToolError
        The packer failed, or some parameters lie in no block RAM.
    """
    if build.parameters and board.family in FORMATS:
        implant(build, folder, board.family, clock_hz)
    tool, *args = flow.pack(board, folder.name)
    run(tool, args, folder.parent, folder / "pack.log", stages)
    return folder / f"{flow.TOP}.{flow.FAMILIES[board.family].suffix}"


def implant(build: Build, folder: Path, family: str, clock_hz: float) -> int:
    """Write `top.*` in a folder of synthesis with the parameters of a build; returns how many block RAMs hold them.

    What nextpnr wrote is kept as `placed.*`. With the parameters goes the identity that the link tells.

    Raises
    ------
    ToolError
        Some parameters lie in no block RAM.
    """
    form = FORMATS[family]
    placed, top = folder / placed_name(family), folder / f"top.{form.suffix}"
    if not placed.exists():
        shutil.copy(top, placed)
    identity = Identity.of(build.manifest, clock_hz=round(clock_hz))
    text, memories = placed.read_text(), [*build.parameters, identity_memory(identity)]
    blocks = form.read(text)
    optional = [flags(memory.optional, memory.width) for memory in memories]
    sites = find(form, blocks, [placeholder(memory) for memory in memories], optional)
    contents = implanted(blocks, sites, [*parameters(build), identity_rows(identity)])
    top.write_text(form.write(text, contents))
    return len(contents)


def placed_name(family: str) -> str:
    """File that keeps what nextpnr wrote."""
    return f"placed.{FORMATS[family].suffix}"


def parameters(build: Build) -> list[np.ndarray]:
    """Contents of the parameter memories of a build, bool [depth, width] each."""
    return [rows_of_text((build.folder / memory.file).read_text(), memory.depth) for memory in build.parameters]
