"""Between nextpnr and the packer: a build's parameters take the places of those that its design was placed with.

`python -P -m spikeloom_hw.implant FAMILY` runs in `<build>/synth/<board>`: it keeps what nextpnr wrote as `placed.*`,
and writes `top.*` anew from it, with the contents of the build's memory files and the identity that the link tells.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from spikeloom.link import Identity
from spikeloom.parameters import flags, placeholder, rows_of_text

from .blocks import FORMATS, find, implanted
from .boards import find as find_board
from .build import Build
from .link.spec import identity_memory, identity_rows

COMMAND = "python -P -m spikeloom_hw.implant"


def implant(build: Build, folder: Path, family: str) -> int:
    """Write `top.*` in a folder of synthesis with the parameters of a build; returns how many block RAMs hold them.

    Raises
    ------
    ToolError
        Some parameters lie in no block RAM.
    """
    form = FORMATS[family]
    placed, top = folder / placed_name(family), folder / f"top.{form.suffix}"
    if not placed.exists():
        shutil.copy(top, placed)
    identity = Identity.of(build.manifest, clock_hz=round(find_board(build.manifest["board"]).clock_mhz * 1e6))
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


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="implant", description="parameters of a build into its design")
    parser.add_argument("family", choices=FORMATS)
    args = parser.parse_args(argv)
    folder = Path.cwd()
    print(f"Parameters: in {implant(Build.load(folder.parent.parent), folder, args.family)} block RAMs")


if __name__ == "__main__":
    main()
