"""Layouts of a waveform for viewers: a save file of GTKWave, a command file of Surfer."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

from spikeloom.storage import write_whole

from .layers import SCOPE
from .line import CYCLE_NS, Line

Groups = list[tuple[str, list[Line]]]
FRAMES = 2  # of GTKWave fit into its window as it opens
SHOWN_NEURONS = 8  # of each layer; the others are a click away


def groups_of(lines: Sequence[Line], top: str, probes: dict[str, list[str]]) -> Groups:
    """What to show, in order: clock, ports and each layer, and the signals of the cores that the layers come from.

    Parameters
    ----------
    lines : all of the waveform.
    top : scope of the gates.
    probes : full names of gates' signals by the group they are to be shown in.
    """
    known = {line.name: line for line in lines}
    found: Groups = []
    layers: dict[str, list[Line]] = {}
    for line in lines:
        if line.path[0] == SCOPE and len(line.path) > 2:
            layers.setdefault(line.path[1], []).append(line)
    found.append(("time", [known[f"{top}.clk"], known[f"{SCOPE}.cycle"]]))
    for name, mine in layers.items():
        found.append((name, [line for line in mine if len(line.path) == 3]))
        for kind in ("potential", "spike"):
            neurons = [line for line in mine if line.path[2] == kind][:SHOWN_NEURONS]
            if neurons:
                found.append((f"{name} {kind}s", neurons))
    for name, paths in probes.items():
        found.append((name, [known[path] for path in paths if path in known]))
    return [(name, mine) for name, mine in found if mine]


def write_gtkw(path: Path, wave: Path, groups: Groups, window: tuple[int, int], marker: int | None) -> None:
    """Write a save file of GTKWave.

    Parameters
    ----------
    path, wave : of the save file and of the waveform beside it.
    groups : see `groups_of`.
    window : cycles to show: the first, and the one behind the last.
    marker : cycle to mark.
    """
    from vcd.gtkw import GTKWColor, GTKWSave

    text = io.StringIO()
    save = GTKWSave(text)
    save.comment("Written by spikeloom simulate --trace")
    save.dumpfile(wave.name, abspath=False)
    save.treeopen(f"{SCOPE}.")
    save.signals_width(280)
    save.sst_expanded(True)
    first, stop = (cycle * CYCLE_NS for cycle in window)
    # its zoom is the negative logarithm of the ns that a frame of 200 pixels takes
    save.zoom_markers(-math.log2((stop - first) / FRAMES), -1 if marker is None else marker * CYCLE_NS)
    save.timestart(first)
    for name, lines in groups:
        with save.group(name, closed=len(lines) > SHOWN_NEURONS):
            for line in lines:
                form = "signed" if line.signed else "dec" if line.width == 1 else "hex"
                colour = GTKWColor.orange if "spike" in line.path[:-1] else None
                # GTKWave knows wires by their range, but integers by their bare name
                wide = line.width > 1 and not line.signed
                name_there = f"{line.name}[{line.width - 1}:0]" if wide else line.name
                save.trace(name_there, datafmt=form, alias=None, color=colour)
    write_whole(path, text.getvalue().encode())


def write_surfer(path: Path, groups: Groups, marker: int | None) -> None:
    """Write a command file of Surfer.

    Its commands are documented and have stayed the same over its versions, which its state files have not. Numbers are
    shown as signed decimals since the waveform declares them as integers.
    """
    lines = ["# Written by spikeloom simulate --trace; surfer WAVEFORM --command-file THIS"]
    for name, members in groups:
        lines.append(f"divider_add {name.replace(' ', '_')}")
        lines += [f"variable_add {line.name}" for line in members]
    lines.append("zoom_fit")
    if marker is not None:
        lines.append(f"cursor_set {marker * CYCLE_NS}")
    write_whole(path, "\n".join([*lines, ""]).encode())
