"""Where block RAMs and multipliers of an ECP5 go, before nextpnr places everything else around them.

Both of nextpnr's placers move them to sites that are legal at the very end, in no good order, and what is around them
stays behind. Of a design that takes most of them they decide how long its wires are, and they are few: hundreds, where
there are tens of thousands of other cells. So they are placed first, by themselves (see record 0022).

Run as a program between Yosys and nextpnr:
`python -m spikeloom_hw.bitstream.floorplan top.json LFE5U-85F 1 placed.json`.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

RAM, MULTIPLIER = "DP16KD", "MULT18X18D"
KINDS = {RAM: RAM, "PDPW16KD": RAM, MULTIPLIER: MULTIPLIER}  # cell type -> type of site; the second is a mode of RAM

# Blocks of nine columns, and rows of either kind of site, as nextpnr's X and Y.
_DIES = {
    "25": ((4, 13, 22, 33, 42, 51, 60), (25, 37), (13,)),
    "45": ((4, 13, 22, 31, 42, 51, 60, 69, 78), (10, 34, 58), (22, 46)),
    "85": ((4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114), (22, 46, 70, 82), (10, 34, 58)),
}
_IN_BLOCK = {RAM: ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3")),
             MULTIPLIER: ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))}  # fmt: skip
MOST_HEARD = 64  # a net with more ends, a clock or a reset, says nothing about who belongs together
MOVES = 500_000  # some ten seconds
_COOLING = 2000.0  # first temperature over the last
_REACH = 120  # columns that a move may span at first; fewer and fewer in the second half


def sites(device: str) -> dict[str, list[tuple[int, int, str]]]:
    """Sites of a device: for each kind (x, y, name); its bel is called X{x}/Y{y}/{name}."""
    die = device.removesuffix("F")[-2:]
    blocks, ram_rows, multiplier_rows = _DIES["25" if die == "12" else die]
    return {
        kind: [(x + offset, y, name) for y in rows for x in blocks for offset, name in _IN_BLOCK[kind]]
        for kind, rows in ((RAM, ram_rows), (MULTIPLIER, multiplier_rows))
    }


def floorplan(
    cells: Mapping[str, Any],
    device: str,
    seed: int,
    progress: Callable[[str], None] = lambda text: None,
    moves: int = MOVES,
) -> dict[str, str]:
    """The bel of every block RAM and multiplier; none at all where there are too many, which nextpnr says better.

    Parameters
    ----------
    cells : of the top module, as Yosys writes them to JSON.
    device : of `boards.devices.DEVICES`, of family ecp5.
    seed, moves : of the arrangement.
    progress : called now and then with a few words.
    """
    available = sites(device)
    names = [name for name, cell in cells.items() if cell["type"] in KINDS]
    kinds = [KINDS[cells[name]["type"]] for name in names]
    if not names or any(kinds.count(kind) > len(found) for kind, found in available.items()):
        return {}
    attraction = attractions(cells, names, progress)
    taken = arrange(attraction, kinds, available, seed, progress, moves)
    return {
        name: "X{}/Y{}/{}".format(*available[kind][site]) for name, kind, site in zip(names, kinds, taken, strict=True)
    }


def attractions(
    cells: Mapping[str, Any], names: list[str], progress: Callable[[str], None] = lambda text: None
) -> np.ndarray:
    """How strongly two of the named cells are bound to each other through all others, float64 [n, n], symmetric.

    Every net is a set of springs between its ends. The cells that are not named follow the forces; without them (a
    Schur complement of the graph's Laplacian) springs between the named ones are left. For a quadratic wire length
    that is exact: it is least over all places of the others.
    """
    graph = _graph(cells)
    numbers = {name: number for number, name in enumerate(cells)}
    named = np.array([numbers[name] for name in names])
    others = np.setdiff1d(np.arange(graph.shape[0]), named)
    degree = np.asarray(graph.sum(1)).ravel()
    between = graph[others][:, named].toarray()
    inner = sparse.diags(degree[others] + 1e-4).tocsr() - graph[others][:, others]
    followed = _solve(inner.astype(np.float32), between.astype(np.float32), progress)
    result = graph[named][:, named].toarray() + between.T @ followed.astype(np.float64)
    np.fill_diagonal(result, 0.0)
    return np.maximum(result + result.T, 0.0) / 2


def _graph(cells: Mapping[str, Any]) -> sparse.csr_matrix:
    """Springs between cells and, behind them, the middles of larger nets; symmetric. A net of k ends counts k - 1."""
    ends: dict[int, set[int]] = {}
    for number, cell in enumerate(cells.values()):
        for bits in cell["connections"].values():
            for bit in bits:
                if isinstance(bit, int):  # constants are strings
                    ends.setdefault(bit, set()).add(number)
    rows, columns, strengths, nodes = [], [], [], len(cells)
    for net in ends.values():
        if len(net) > MOST_HEARD:
            continue
        line = sorted(net)
        if len(line) == 2:
            rows.append(line[0])
            columns.append(line[1])
            strengths.append(1.0)
        elif len(line) > 2:
            rows += line
            columns += [nodes] * len(line)
            strengths += [len(line) / (len(line) - 1.0)] * len(line)
            nodes += 1
    half = sparse.coo_matrix((strengths, (rows, columns)), shape=(nodes, nodes)).tocsr()
    return (half + half.T).tocsr()


def _solve(matrix: sparse.csr_matrix, right: np.ndarray, progress: Callable[[str], None]) -> np.ndarray:
    """Solve for every column of `right` at once: conjugate gradients, to about a hundredth, preconditioned."""
    inverse = (1.0 / matrix.diagonal())[:, None].astype(right.dtype)
    found = np.zeros_like(right)
    left = right.copy()
    direction = inverse * left
    square = (left * direction).sum(0)
    wanted = 1e-4 * np.maximum(square, 1e-20)
    for step in range(500):
        if (square <= wanted).all():
            break
        if step % 10 == 0:
            progress(f"forces, step {step}")
        pushed = matrix @ direction
        length = square / np.maximum((direction * pushed).sum(0), 1e-30)
        found += length * direction
        left -= length * pushed
        steepest = inverse * left
        before, square = square, (left * steepest).sum(0)
        direction = steepest + (square / np.maximum(before, 1e-30)) * direction
    return found


def arrange(
    attraction: np.ndarray,
    kinds: list[str],
    available: Mapping[str, list[tuple[int, int, str]]],
    seed: int,
    progress: Callable[[str], None] = lambda text: None,
    moves: int = MOVES,
) -> list[int]:
    """The number of the site of each of n cells: least sum of attraction times distance, by simulated annealing.

    Parameters
    ----------
    attraction : [n, n], symmetric, zeros in the diagonal.
    kinds : of each cell.
    available : sites of each kind, at least as many as cells.
    seed, moves : of the search; a move takes a cell to any site of its kind, and who is there to the cell's own.
    """
    random = np.random.default_rng(seed)
    places = {kind: np.array([site[:2] for site in found], float) for kind, found in available.items()}
    owners = {kind: np.full(len(found), -1) for kind, found in available.items()}
    taken, where = np.zeros(len(kinds), int), np.zeros((len(kinds), 2))
    for kind, found in places.items():
        own = [number for number, other in enumerate(kinds) if other == kind]
        taken[own] = random.permutation(len(found))[: len(own)]
        owners[kind][taken[own]] = own
        where[own] = found[taken[own]]
    x, y = where[:, 0].copy(), where[:, 1].copy()
    spread = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    hottest = max(float((attraction * spread).sum()) / 4 / len(kinds), 1e-9)
    for move in range(moves):
        cooled = move / moves
        if move % 20_000 == 0:
            progress(f"block RAMs and multipliers, {100 * cooled:.0f} %")
        cell = int(random.integers(len(kinds)))
        kind = kinds[cell]
        site = int(random.integers(len(places[kind])))
        (new_x, new_y), old_x, old_y = places[kind][site], x[cell], y[cell]
        if site == taken[cell] or abs(new_x - old_x) > max(8.0, 2 * _REACH * (1 - cooled)):
            continue
        other = owners[kind][site]
        change = np.abs(x - new_x) + np.abs(y - new_y) - np.abs(x - old_x) - np.abs(y - old_y)
        if other < 0:
            longer = float(attraction[cell] @ change)
        else:  # what binds the two to each other stays as long as it was
            longer = float((attraction[cell] - attraction[other]) @ change)
            longer -= attraction[cell, other] * (change[other] - change[cell])
        if longer <= 0 or random.random() < np.exp(-longer * _COOLING**cooled / hottest):
            owners[kind][site], owners[kind][taken[cell]] = cell, other
            if other >= 0:
                x[other], y[other], taken[other] = old_x, old_y, taken[cell]
            x[cell], y[cell], taken[cell] = new_x, new_y, site
    return [int(site) for site in taken]


def main(path: str, device: str, seed: str, output: str) -> None:
    """Write a netlist of Yosys, a JSON file with one module, to `output` with bels in it."""
    file = Path(output)
    netlist = json.loads(Path(path).read_text())
    (module,) = (item for item in netlist["modules"].values() if "top" in item["attributes"])
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] != "$scopeinfo"}
    for name, bel in floorplan(cells, device, int(seed), lambda text: print(f"Floor: {text}", flush=True)).items():
        cells[name]["attributes"]["BEL"] = bel
    written = file.with_suffix(".placing")
    written.write_text(json.dumps(netlist))
    os.replace(written, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
