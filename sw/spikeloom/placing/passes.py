"""Passes: how many cycles of the lanes the events of a connection take, and at which places."""

from functools import lru_cache

import numpy as np

from ..geometry import Geometry, Shape
from ..network import Connection, Network, Profile
from ..program.extents import heard, kept_landings, reach
from ..program.program import LayerPlan


@lru_cache(maxsize=4096)
def mean_passes(
    geometry: Geometry,
    source: Shape,
    target: Shape,
    banks: tuple[int, int],
    rows: int = 0,
    heard: Profile = ((), ()),
) -> float:
    """Passes of an event, averaged over the source's positions; with `rows`, cycles: rows a pass, and at least one.

    `heard`: events by row and by column, which weigh the positions, as if columns did not depend on rows; where it is
    not known, all positions weigh the same.
    """
    passes = taken(geometry, source, target, banks, rows)
    if not any(heard[0]):
        return float(passes.mean())
    return float((shares(heard) * passes).sum())


def event_cycles(network: Network, layer: LayerPlan, connection: Connection) -> float:
    """Mean lane cycles of an event: passes times rows of channels, at least the one in which it is looked at."""
    source = heard(network, connection)
    rows = reach(connection.geometry, source, layer)
    return mean_passes(connection.geometry, source, layer.shape, layer.spread, rows, connection.heard)


def shares(heard: Profile) -> np.ndarray:
    """Share of each position in all events, float64 [H, W]."""
    by_row, by_column = (np.array(part) for part in heard)
    found: np.ndarray = np.outer(by_row, by_column) / (by_row.sum() * by_column.sum())
    return found


def taken(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int], rows: int) -> np.ndarray:
    """Passes of an event at each position, int64 [H, W]; with `rows`, cycles as `mean_passes` says."""
    vertical, horizontal = kept_landings(geometry, source, target, banks)
    passes = np.outer(vertical.passes, horizontal.passes)
    return np.maximum(passes * rows, 1) if rows else passes
