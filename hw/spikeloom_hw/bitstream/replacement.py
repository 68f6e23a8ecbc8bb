"""Another network of the same structure into a finished bitstream: no synthesis, no placing, no routing."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from spikeloom import Network
from spikeloom.errors import DoesNotFit, SpikeloomError
from spikeloom.program.parameters import cores_of
from spikeloom.program.program import Program
from spikeloom.program.structure import require_structure

from ..boards.board import find
from ..build import Build, appearing, made, require_free, without_header, write
from . import flow
from .blocks import FORMATS
from .implant import pack, placed_name
from .stages import Stages
from .synth import RESULT

HIGHEST_HZ = 1 << 32  # that an identity tells


@dataclass(frozen=True)
class Replacement:
    """What came of it; plain values, so that `asdict` gives JSON.

    Members
    -------
    build : folder of the build with the other network.
    network, digest : the network that is in it now.
    before : digest of the one that was.
    bitstream : path.
    memories : how many of its memories hold other contents now.
    seconds : wall-clock time it took.
    """

    build: str
    network: str
    digest: str
    before: str
    bitstream: str
    memories: int
    seconds: float


def replace_parameters(
    build_dir: str | Path,
    network: Network,
    folder: str | Path | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Replacement:
    """Put the parameters of a network into the bitstream of a build.

    The Verilog of the network is made anew and has to be that of the build; only contents of parameter memories differ.
    They go where those lie that the design was placed with, see `implant`: the bitstream is the one that `synth` would
    make of the network with the same seed.

    Parameters
    ----------
    build_dir : a build with a bitstream, generated as replaceable or loadable.
    network : of the same structure.
    folder : the build to make; takes the place of what was there. None: of `build_dir` itself.
    progress : called with a few words for every stage.

    Raises
    ------
    SpikeloomError
        No build, one that is fixed or altered, or without bitstream; a folder that cannot be written.
    DoesNotFit
        The network needs other gates; lists everything that differs.
    ToolError
        A tool is missing or failed.
    """
    start = time.monotonic()
    say = progress or (lambda text: None)
    build = Build.load(build_dir)
    folder = build.folder if folder is None else Path(folder)
    require_free(folder)
    result = _result(build)
    built = build.network
    build.require_unaltered()
    require_structure(network, built, cores_of(build.manifest, built))
    say("compare the gates")
    program = Program(network, cores_of(build.manifest, network))
    command = f"spikeloom replace {build.folder.name} {network.name}.loom"
    files, manifest = made(program, build.manifest["board"], command)
    changed = _changed(build, files)
    board = find(build.manifest["board"])
    bitstream = f"{network.name}-{board.name}.{flow.FAMILIES[board.family].suffix}"
    say("write bitstream")
    routed = Path(result["routed"])
    with appearing(folder) as temporary:
        write(temporary, files, network, manifest)
        (temporary / routed).mkdir(parents=True)
        placed = placed_name(board.family)
        shutil.copy(build.folder / routed / placed, temporary / routed / placed)
        packed = pack(Build.load(temporary), board, temporary / routed, result["clock_hz"], Stages(None))
        shutil.copy(packed, temporary / bitstream)
        result |= {"digest": network.digest, "build": manifest["link"]["build"], "bitstream": str(folder / bitstream)}
        result |= {"log": str(folder / routed / "pack.log"), "sha256": sha256(packed.read_bytes()).hexdigest()}
        (temporary / "synth" / board.name / RESULT).write_text(json.dumps(result, indent=1) + "\n")
    return Replacement(
        build=str(folder),
        network=network.name,
        digest=network.digest,
        before=built.digest,
        bitstream=str(folder / bitstream),
        memories=len(changed),
        seconds=round(time.monotonic() - start, 1),
    )


def _result(build: Build) -> dict[str, Any]:
    """What `synth` found out about a build that has a bitstream and whose parameters can be replaced."""
    manifest = build.manifest
    if manifest["contents"] == "fixed":
        raise SpikeloomError(
            f"Build '{build.folder}': must be generated with --replaceable or --loadable, else its parameters are "
            "part of the gates; generate and synthesise it again"
        )
    folder = build.folder / "synth" / manifest["board"]
    path = folder / RESULT
    try:
        result = dict(json.loads(path.read_text()))
    except FileNotFoundError:
        result = {}
    except (OSError, ValueError, TypeError) as error:
        raise SpikeloomError(
            f"Build '{build.folder}': {RESULT} cannot be read ({error}); synthesise it again"
        ) from None
    if (family := find(manifest["board"]).family) not in FORMATS:
        raise SpikeloomError(
            f"Build '{build.folder}': family must be one of {', '.join(FORMATS)} for its bitstream to be changed, not "
            f"{family}; synthesise the other network"
        )
    finished = result.get("bitstream") is not None and result.get("digest") == manifest["digest"]
    if not finished or not _placed(build, result, family):
        raise SpikeloomError(f"Build '{build.folder}': must have a bitstream, not none; run `spikeloom synth` first")
    return result


def _placed(build: Build, result: Mapping[str, Any], family: str) -> bool:
    """Whether what nextpnr left is there, within the build, and the clock that it was made for is known."""
    routed, clock = result.get("routed"), result.get("clock_hz")
    if not isinstance(routed, str) or not isinstance(clock, int | float) or not 0 < clock < HIGHEST_HZ:
        return False
    parts = Path(routed).parts
    inside = parts[:2] == ("synth", build.manifest["board"]) and ".." not in parts
    return inside and (build.folder / routed / placed_name(family)).is_file()


def _changed(build: Build, files: Mapping[str, str]) -> list[str]:
    """Parameter files that differ; DoesNotFit where anything else does."""
    parameters = {memory.file for memory in build.parameters}
    differing = []
    for name in sorted({*files, build.manifest["verilog"], *build.manifest["memories"]}):
        old = (build.folder / name).read_text() if (build.folder / name).is_file() else ""
        if without_header(files.get(name, "")) != without_header(old):
            differing.append(name)
    if others := [name for name in differing if name not in parameters]:
        raise DoesNotFit(
            f"Build '{build.folder}': must differ in parameters only, but does in {', '.join(others)}; "
            "generate and synthesise it anew"
        )
    return differing
