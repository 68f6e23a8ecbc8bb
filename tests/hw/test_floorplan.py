"""Block RAMs and multipliers that belong together lie together, on sites that the device has."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from spikeloom_hw.bitstream import floorplan
from spikeloom_hw.boards import board as boards

ECP5 = [name for name, device in boards.DEVICES.items() if device.family == "ecp5"]


def cell(kind: str, *bits: int | str) -> dict:
    return {"type": kind, "connections": {"A": list(bits)}, "attributes": {}}


def clusters(count: int, size: int = 4) -> dict[str, dict]:
    """Rings of block RAMs and multipliers with a register between each two; a clock that all of them have."""
    cells, net = {}, 10
    for number in range(count):
        first = net
        for at in range(size):
            last = first if at == size - 1 else net + 2
            cells[f"ram{number}_{at}"] = cell("DP16KD" if at % 2 else "MULT18X18D", net, net + 1, 1, "0")
            cells[f"register{number}_{at}"] = cell("TRELLIS_FF", net + 1, last, 1)
            net += 2
    return cells


def at(bel: str) -> np.ndarray:
    match = re.fullmatch(r"X(\d+)/Y(\d+)/(EBR[0-3]|MULT18_[0145])", bel)
    assert match is not None, bel
    return np.array([int(match[1]), int(match[2])])


@pytest.mark.parametrize("device", ECP5)
def test_sites_are_all_that_a_device_has(device: str) -> None:
    found = floorplan.sites(device)
    has = boards.DEVICES[device]
    assert [len(set(found[kind])) for kind in (floorplan.RAM, floorplan.MULTIPLIER)] == [
        has.ram_blocks,
        has.multipliers,
    ]


def test_what_belongs_together_lies_together() -> None:
    cells = clusters(12)
    bels = floorplan.floorplan(cells, "LFE5U-85F", seed=1, moves=100_000)
    assert set(bels) == {name for name in cells if name.startswith("ram")}
    assert len(set(bels.values())) == len(bels)
    assert all(("MULT" in bel) == (cells[name]["type"] == "MULT18X18D") for name, bel in bels.items())
    places = {name: at(bel) for name, bel in bels.items()}
    for number in range(12):
        ring = [places[f"ram{number}_{k}"] for k in range(4)]
        assert max(np.abs(one - other).sum() for one in ring for other in ring) <= 40  # of 126 + 95


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    first, again, other = (floorplan.floorplan(clusters(4), "LFE5U-25F", seed, moves=5000) for seed in (1, 1, 2))
    assert first == again != other


def test_springs_in_a_row_pull_as_two_halves() -> None:
    cells = {"a": cell("DP16KD", 1), "wire": cell("LUT4", 1, 2), "b": cell("DP16KD", 2), "c": cell("DP16KD", 3, "1")}
    expected = np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(floorplan.attractions(cells, ["a", "b", "c"]), expected, atol=1e-2)


def test_a_net_of_many_ends_says_nothing() -> None:
    cells = {f"r{number}": cell("DP16KD", 1) for number in range(floorplan.MOST_HEARD + 1)}
    assert not floorplan.attractions(cells, ["r0", "r1"]).any()


def test_cells_that_are_drawn_together_become_neighbours() -> None:
    attraction = np.zeros((5, 5))
    attraction[0, 1] = attraction[1, 0] = 3.0
    attraction[2, 3] = attraction[3, 2] = 2.0
    line = {"K": [(x, 0, f"S{x}") for x in range(6)]}
    taken = floorplan.arrange(attraction, ["K"] * 5, line, seed=3, moves=5000)
    assert sorted(set(taken)) == sorted(taken)
    assert abs(taken[0] - taken[1]) == abs(taken[2] - taken[3]) == 1


@pytest.mark.parametrize("kinds", [(), ("DP16KD",) * 57, ("MULT18X18D",) * 29])
def test_too_many_or_none_are_left_to_nextpnr(kinds: tuple[str, ...]) -> None:
    cells = {f"c{number}": cell(kind, number + 1) for number, kind in enumerate(kinds)}
    assert floorplan.floorplan(cells, "LFE5U-25F", seed=1) == {}


def test_the_program_writes_the_netlist_with_bels_and_changes_nothing_else(tmp_path: Path) -> None:
    cells = clusters(2) | {"scope": cell("$scopeinfo")}
    netlist = {"modules": {"LIB": {"attributes": {}, "cells": {}}, "top": {"attributes": {"top": "1"}, "cells": cells}}}
    file = tmp_path / "top.json"
    file.write_text(json.dumps(netlist))
    command = [sys.executable, "-m", "spikeloom_hw.bitstream.floorplan", file.name, "LFE5U-25F", "1", "planned.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Floor: forces, step 0\n")
    written = json.loads((tmp_path / "planned.json").read_text())
    bels = {
        name: found["attributes"].pop("BEL")
        for name, found in written["modules"]["top"]["cells"].items()
        if "BEL" in found["attributes"]
    }
    plan = floorplan.floorplan({name: item for name, item in cells.items() if name != "scope"}, "LFE5U-25F", 1)
    assert bels == plan
    assert written == netlist
    assert json.loads(file.read_text()) == netlist
    assert sorted(path.name for path in tmp_path.iterdir()) == ["planned.json", "top.json"]
