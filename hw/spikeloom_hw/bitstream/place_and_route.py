"""A netlist placed and routed with one or several seeds side by side, of which the fastest is kept."""

import json
import math
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeloom.errors import DoesNotFit, ToolError, listed

from .. import toolchain
from ..boards.board import Board
from . import flow
from .stages import Stages, Stopped


@dataclass(frozen=True, eq=False)
class Routed:
    """What nextpnr made with a seed.

    Members
    -------
    seed : of the placer.
    folder : name of the folder with its files.
    fmax_mhz : the fastest clock that its timing analysis allows.
    report, log : what it wrote and said.
    """

    seed: int
    folder: str
    fmax_mhz: float
    report: Mapping[str, Any]
    log: str


class NotPlaced(DoesNotFit):
    """The device has room, but with this seed the placer does not get everything into it."""


def place_and_route(
    board: Board,
    platform: Any,
    folder: Path,
    *,
    seeds: Sequence[int],
    target_mhz: float,
    planned: bool = False,
    progress: Callable[[str], None] | None = None,
) -> list[Routed]:
    """Place and route `folder`/top.json with every seed, as many at a time as there are processors.

    The result, the fastest first and of equals the lowest seed, does not depend on how many run at a time. A seed for
    which the placer finds no legal place for everything, although there is room, is left out while another one does.

    Parameters
    ----------
    board : whose flow it is.
    platform : of the board, see `Board.platform`.
    folder : of the netlist and the constraints; every seed gets a folder `seed{seed}` in it.
    seeds : of the placer; at least one.
    target_mhz : clock that nextpnr is asked for.
    planned : block RAMs are placed first, see `floorplan`.
    progress : called with a short text now and then, from any thread.

    Raises
    ------
    DoesNotFit
        The device is too small; names every resource that is.
    ToolError
        A tool is missing or failed.
    """
    stopped = threading.Event()
    alone = len(seeds) == 1
    state: dict[int, str] = {}

    def tell(seed: int) -> Callable[[str], None]:
        def told(text: str) -> None:
            state[seed] = text
            if progress is not None:
                progress(text if alone else "; ".join(f"seed {n}: {state[n]}" for n in sorted(state)))

        return told

    def run(seed: int) -> Routed | NotPlaced:
        try:
            return _routed(board, platform, folder, seed, target_mhz, planned, Stages(tell(seed), stopped))
        except NotPlaced as error:
            return error
        except BaseException:
            stopped.set()  # one that fails makes the others useless
            raise

    with ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        tasks = [pool.submit(run, seed) for seed in seeds]
        try:
            found = [task.result() for task in _first_failure_first(tasks)]
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    routed = [item for item in found if isinstance(item, Routed)]
    if not routed:
        raise next(item for item in found if isinstance(item, NotPlaced))
    return sorted(routed, key=lambda item: (-item.fmax_mhz, item.seed))


def _first_failure_first(tasks: list[Any]) -> list[Any]:
    """The tasks, those that failed for a reason of their own before those that were stopped."""
    for task in tasks:
        task.exception()  # waits
    return sorted(tasks, key=lambda task: isinstance(task.exception(), Stopped))


def _routed(
    board: Board, platform: Any, folder: Path, seed: int, target_mhz: float, planned: bool, stages: Stages
) -> Routed:
    own = f"seed{seed}"
    (folder / own).mkdir(exist_ok=True)
    log = folder / own / "nextpnr.log"
    netlist = flow.NETLIST
    if planned:
        stages.begin("plan the floor")
        netlist = f"{own}/{flow.NETLIST}"
        command = ["-P", "-m", "spikeloom_hw.bitstream.floorplan", flow.NETLIST, board.device, str(seed), netlist]
        run("python", command, folder, folder / own / "floorplan.log", stages)
    stages.begin("pack")
    tool, *args = flow.route(board, platform, netlist, own, seed, target_mhz)
    try:
        run(tool, args, folder, log, stages)
    except ToolError:
        text = log.read_text(errors="replace") if log.exists() else ""
        who = f"Board '{board.name}': must have room for the design, but"
        if reasons := overused(text):
            raise DoesNotFit(
                f"{who} has not: {listed(reasons)} (used/available); use fewer lanes or a larger board"
            ) from None
        if re.search(r"no BELs remaining|legal placement|utili[sz]ation limit", text):
            used = [f"{name} {used}/{available}" for name, used, available in _usage(text) if used]
            raise NotPlaced(
                f"{who} nextpnr finds no place for everything: {listed(used)} (used/available); use another seed, "
                "fewer lanes or a larger board"
            ) from None
        raise
    report = json.loads((folder / own / flow.REPORT).read_text())
    fmax = min((clock["achieved"] for clock in report["fmax"].values()), default=math.inf)
    return Routed(seed, own, fmax, report, log.read_text(errors="replace"))


def run(tool: str, args: Sequence[str], folder: Path, log: Path, stages: Stages) -> None:
    """Run a tool of the flow; ToolError naming the stage it was in."""
    try:
        toolchain.run(tool, args, cwd=folder, log=log, on_line=stages.hear, on_wait=stages.speak)
    except ToolError as error:
        raise ToolError(re.sub(r"^Tool '[^']*'", f"Synthesis, stage {stages.stage}", str(error))) from None


def _usage(log: str) -> list[tuple[str, int, int]]:
    """(cell type, used, available) of nextpnr's list of the device's use."""
    rows = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE)
    return [(name, int(used), int(available)) for name, used, available in rows]


def overused(log: str) -> list[str]:
    """`name used/available` of every resource of which nextpnr's log says that the design needs more than there is."""
    return [f"{name} {used}/{available}" for name, used, available in _usage(log) if used > available]
