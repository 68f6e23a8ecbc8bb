"""The plan of a program: what every layer and core is expected to cost, against what the board has."""

from dataclasses import asdict, dataclass
from typing import Any

from ..program.levels import core_visits
from ..program.program import CorePlan, Program
from .cost import phases, sops
from .pace import interval
from .resources import Capacity, all_blocks, core_blocks, core_luts


@dataclass(frozen=True)
class LayerEstimate:
    """Expected cost of a layer.

    Members
    -------
    layer, core : by name.
    lanes : of its core.
    grid, width : cells of its core, and lanes of a cell.
    spread : positions held side by side.
    sops : synaptic operations a sample.
    cycles : of the phases in which it is accumulated, or waited for.
    """

    layer: str
    core: str
    lanes: int
    grid: tuple[int, int]
    width: int
    spread: tuple[int, int]
    sops: float
    cycles: float


@dataclass(frozen=True)
class CoreEstimate:
    """Expected cost of a core: cycles a sample, look-up tables, block RAMs."""

    core: str
    lanes: int
    cycles: float
    lut: int
    ram: int


@dataclass(frozen=True)
class Plan:
    """What a program is expected to cost.

    Members
    -------
    interval : cycles between samples, see `spikeloom.placing.pace.interval`.
    utilisation : lower bound over interval: what all lanes of the busiest core would take, an operation a cycle each.
    lut, ram : look-up tables and block RAMs of all cores, and of the link to the host on a board.
    lut_available, ram_available : of the board, None without one.
    family : of the device that the block RAMs are counted for.
    """

    layers: tuple[LayerEstimate, ...]
    cores: tuple[CoreEstimate, ...]
    interval: float
    utilisation: float
    lut: int
    ram: int
    family: str
    lut_available: int | None = None
    ram_available: int | None = None

    @property
    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def plan(program: Program, capacity: Capacity | None = None) -> Plan:
    """Estimate the cost of a program; without a board, block RAMs are those of an ECP5."""
    family = capacity.family if capacity else "ecp5"
    cores = tuple(_core(program, core, family) for core in program.cores)
    layers = [tuple(_layers(program, core)) for core in program.cores]
    bound = max(sum(item.sops for item in own) / core.lanes for core, own in zip(program.cores, layers, strict=True))
    pace = interval(program.network, program.cores)
    return Plan(
        layers=tuple(item for own in layers for item in own),
        cores=cores,
        interval=pace,
        utilisation=bound / pace,
        lut=sum(core.lut for core in cores) + (capacity.link_lut if capacity else 0),
        ram=all_blocks(program, capacity) if capacity else sum(core.ram for core in cores),
        family=family,
        lut_available=capacity.lut + capacity.link_lut if capacity else None,
        ram_available=capacity.ram_blocks + capacity.link_blocks if capacity else None,
    )


def _core(program: Program, core: CorePlan, family: str) -> CoreEstimate:
    network = program.network
    busy = sum(phase.cycles for phase in phases(network, core))
    return CoreEstimate(
        core.name, core.lanes, busy, core_luts(network, core, family), core_blocks(network, core, family)
    )


def _layers(program: Program, core: CorePlan) -> list[LayerEstimate]:
    spent = [0.0] * len(core.layers)
    for visit, phase in zip(core_visits(program.network, core), phases(program.network, core), strict=True):
        spent[visit.layer] += phase.cycles
    return [
        LayerEstimate(
            layer=layer.population,
            core=core.name,
            lanes=core.lanes,
            grid=core.grid,
            width=core.width,
            spread=layer.spread,
            sops=sops(program.network, layer.population),
            cycles=cycles,
        )
        for layer, cycles in zip(core.layers, spent, strict=True)
    ]
