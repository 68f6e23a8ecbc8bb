"""Cores: the grid, the width and the spreads with which a list of layers costs least."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from ..geometry import Conv2d, Diagonal, Pair
from ..network import Network
from ..program.extents import by_name, listed_steps, outputs
from ..program.levels import core_bits
from ..program.program import QUEUE_DEPTH, CorePlan, LayerPlan, fires, store_plan
from ..program.visits import stored_bits
from ..program.weights import weight_rows
from .cost import accumulated, cycles

STORE_BITS = 96  # widest word of the store
PAYS = 0.9  # cells must bring the cycles down to this part: each lane behind them needs a rotation
SHARES = (1, 2, 4, 8, 16)  # codes in a word of the store


def plan_core(
    network: Network,
    position: int,
    count: int = 1,
    *,
    grid: Pair = (1, 1),
    width: int,
    spreads: Sequence[Pair] | None = None,
) -> CorePlan:
    """The core that runs `count` layers from the `position`-th population (from 0) on, with these cells.

    `spreads` are chosen by their cost where they are None.
    """
    populations = network.populations[position : position + count]
    names = tuple(item.name for item in populations)
    source = network.populations[position - 1].name if position else network.inputs[0].name
    bits = core_bits(network)
    firing = any(fires(network, name) for name in names)
    last = "" if count == 1 else f"to{position + count}"
    store_width = _store_width(network, source, names, width)
    plan = CorePlan(
        name=f"l{position + 1}{last}_{names[-1]}",
        source=source,
        layers=tuple(
            LayerPlan(item.name, item.shape, grid, width, (1, 1) if spreads is None else spreads[i])
            for i, item in enumerate(populations)
        ),
        grid=grid,
        width=width,
        bits=max(bits[name] for name in names),
        weight_bits=_weight_bits(network, source, names),
        generate_width=(1 if width % 2 else 2) if firing else 0,
        queue_depth=QUEUE_DEPTH if firing else 0,
        stored=store_plan(network, source, names, store_width),
        store_width=store_width,
    )
    return plan if spreads is not None or grid == (1, 1) else _spread(network, plan)


def best_core(network: Network, position: int, count: int, lanes: int, *, banked: bool = True) -> CorePlan:
    """The core with the fewest cycles that these layers can have with up to `lanes` lanes, and no idle ones.

    `banked` allows grids of several cells, which are taken where they pay.
    """
    best = _fewest(network, position, count, ((1, 1),), lanes)
    if banked:
        cells = [grid for grid in _grids(network, position, count) if 1 < grid[0] * grid[1] <= lanes]
        if cells:
            other = _fewest(network, position, count, cells, lanes)
            if cycles(network, other) <= PAYS * cycles(network, best):
                return other
    return best


def _fewest(network: Network, position: int, count: int, grids: Sequence[Pair], lanes: int) -> CorePlan:
    plans = (
        plan_core(network, position, count, grid=grid, width=width)
        for grid in grids
        for width in _widths(network, position, count, grid, lanes // (grid[0] * grid[1]))
    )
    return min(plans, key=lambda plan: (round(cycles(network, plan)), plan.lanes, plan.grid))


def _widths(network: Network, position: int, count: int, grid: Pair, most: int) -> Iterator[int]:
    """Widths up to `most` worth trying: the widest, those that fill the groups of a layer, and round ones.

    A core of one layer without cells has one: lanes beyond the channels that an event reaches would idle, and so
    would those of a last group left partly empty.
    """
    populations = network.populations[position : position + count]
    if count == 1 and grid == (1, 1):
        reached = max(outputs(item.geometry, populations[0].shape) for item in network.incoming(populations[0].name))
        most = min(most, reached)
        yield -(-populations[0].shape[0] // -(-populations[0].shape[0] // most))
        return
    most = min(most, max(item.shape[0] for item in populations))
    found = {most}
    for population in populations:
        channels = population.shape[0]
        groups = -(-channels // most)
        found |= {-(-channels // groups), -(-channels // groups // 2) * 2}
    found |= {most // share * share for share in SHARES if share <= most}
    yield from sorted(width for width in found if width <= most)


def _grids(network: Network, position: int, count: int) -> list[Pair]:
    """Grids worth trying: extents of the kernels, of their classes under the stride, and two."""
    extents: tuple[set[int], set[int]] = ({1}, {1})
    for population in network.populations[position : position + count]:
        for connection in network.incoming(population.name):
            if isinstance(connection.geometry, Conv2d):
                for axis in range(2):
                    kernel, stride = connection.geometry.kernel[axis], connection.geometry.stride[axis]
                    most = population.shape[1 + axis]
                    extents[axis].update(
                        size for size in (kernel, -(-kernel // stride), 2) if size <= min(kernel, most)
                    )
    return [(y, x) for y in sorted(extents[0]) for x in sorted(extents[1])]


def _spread(network: Network, core: CorePlan) -> CorePlan:
    """The core with the spread of every layer that costs least."""
    found, source = [], core.source
    stored = {item.source for item in core.stored}
    for layer in core.layers:
        kept = source in stored
        found.append(_options(network, layer, source, core.weight_bits, core.store_width, kept)[0].layer)
        source = layer.population
    return replace(core, layers=tuple(found))


@dataclass(frozen=True)
class Option:
    """A way to spread a layer: the cycles in which it keeps the lanes, and its rows of weights."""

    cycles: float
    weight_rows: int
    layer: LayerPlan


@lru_cache(maxsize=4096)
def _options(
    network: Network, layer: LayerPlan, source: str, weight_bits: int, store_width: int, kept: bool
) -> tuple[Option, ...]:
    """Every spread of a layer, the cheapest first; fewest rows of weights where several cost the same."""
    found = []
    for spread in product(range(1, layer.grid[0] + 1), range(1, layer.grid[1] + 1)):
        plan = replace(layer, spread=spread)
        core = CorePlan("", source, (plan,), layer.grid, layer.width, 0, weight_bits, 0, 0, (), store_width)
        rows = sum(weight_rows(network, core).values())
        listed = listed_steps(network, source, layer.population)
        phase = accumulated(network, plan, source, listed, weight_bits, store_width, store_width, kept, False)
        busy = phase.stream + phase.replay + phase.fetch + phase.late + plan.rows
        found.append(Option(busy, rows, plan))
    return tuple(
        sorted(found, key=lambda item: (round(item.cycles), item.weight_rows, item.layer.rows, item.layer.spread))
    )


@lru_cache(maxsize=64)
@lru_cache(maxsize=4096)
def _weight_bits(network: Network, source: str, names: tuple[str, ...]) -> int:
    """Width of a weight in memory: the widest that comes with events; wider diagonal ones take two rows."""
    by_event: list[int] = []
    by_row: list[int] = []
    for name in names:
        for step in listed_steps(network, source, name):
            if step.connection is not None:
                (by_row if step.kind == "rows" else by_event).append(by_name(network, step.connection).weight_bits)
        source = name
    return max(by_event or by_row)


@lru_cache(maxsize=4096)
def _store_width(network: Network, source: str, names: tuple[str, ...], width: int) -> int:
    """Codes in a word of the store: a power of two that divides the width and every offset between channels."""
    stored = store_plan(network, source, names, 1)
    if not stored:
        return 1
    kept = {item.source for item in stored}
    codes = max(stored_bits(network, name) for name in kept)
    offsets = [
        item.geometry.channel_offset
        for item in network.connections
        if item.source in kept and item.target in names and isinstance(item.geometry, Diagonal)
    ]
    return max(
        share
        for share in SHARES
        if share == 1 or (share * codes <= STORE_BITS and not any(size % share for size in (width, *offsets)))
    )
