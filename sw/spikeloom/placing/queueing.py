"""What the queue between a generator and the lanes does not even out.

Events lie unevenly: where a picture is empty the lanes wait for the generator, where it is full the generator waits for
the lanes. So a phase lasts longer than either of them alone.
"""

from functools import lru_cache

import numpy as np

from ..geometry import Geometry, Shape
from ..network import Connection, Network, Profile
from ..program.extents import by_name, heard, kept_landings, reach
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
    taken = _taken(geometry, source, target, banks, rows)
    if not any(heard[0]):
        return float(taken.mean())
    return float((_shares(heard) * taken).sum())


def event_cycles(network: Network, layer: LayerPlan, connection: Connection) -> float:
    """Mean lane cycles of an event: passes times rows of channels, at least the one in which it is looked at."""
    source = heard(network, connection)
    rows = reach(connection.geometry, source, layer)
    return mean_passes(connection.geometry, source, layer.shape, layer.spread, rows, connection.heard)


@lru_cache(maxsize=4096)
def stream_waits(
    network: Network, name: str, layer: LayerPlan, before: LayerPlan, count: float, pace: float, depth: float
) -> float:
    """Cycles that a stream takes longer because its events lie unevenly; 0 where nothing is known of where they lie.

    Parameters
    ----------
    name : of the connection of `layer` that hears the stream.
    before : the layer that is generated, row by row.
    count : events of the stream.
    pace : cycles of the generator for a row.
    depth : events that may wait.
    """
    work = _work(network, layer, by_name(network, name), count)
    if work is None:
        return 0.0
    channels, height, width = before.shape
    places = before.neurons.reshape(before.rows, -1)
    rows = np.where(places >= 0, work.reshape(-1)[places % (height * width)], 0).sum(1) / channels
    return waits(rows, pace, depth * work.sum() / count)


@lru_cache(maxsize=4096)
def replay_waits(network: Network, name: str, layer: LayerPlan, count: float, pace: float, depth: float) -> float:
    """As `stream_waits`, of a train that is read from the store position by position, each in `pace` cycles."""
    work = _work(network, layer, by_name(network, name), count)
    return 0.0 if work is None else waits(work.reshape(-1), pace, depth * work.sum() / count)


def waits(work: np.ndarray, pace: float, depth: float) -> float:
    """Cycles that two take longer together than the slower of them alone: who brings work, and the lanes that do it.

    Parameters
    ----------
    work : cycles of the lanes for each piece, in the order in which they come, [pieces].
    pace : cycles in which a piece is brought.
    depth : cycles of the lanes' work that may wait between the two.
    """
    done = np.cumsum(work)
    needed = np.searchsorted(done, done - depth, side="right") - 1  # what has to be done before a piece is across
    ends: list[float] = []
    sent = end = 0.0
    for cycles, piece in zip(work.tolist(), needed.tolist(), strict=True):
        end = max(end, sent) + cycles
        sent = max(sent + pace, ends[piece] if piece >= 0 else 0.0)
        ends.append(end)
    return max(end, sent) - max(float(done[-1]), pace * len(work))


def _work(network: Network, layer: LayerPlan, connection: Connection, count: float) -> np.ndarray | None:
    """Lane cycles of the events of each position of what a connection hears, float64 [H, W]; None: not known."""
    source = heard(network, connection)
    if not any(connection.heard[0]) or source[1:] == (1, 1) or not count:
        return None
    rows = reach(connection.geometry, source, layer)
    work: np.ndarray = _shares(connection.heard) * _taken(connection.geometry, source, layer.shape, layer.spread, rows)
    return count * work


def _shares(heard: Profile) -> np.ndarray:
    """Share of each position in all events, float64 [H, W]."""
    by_row, by_column = (np.array(part) for part in heard)
    shares: np.ndarray = np.outer(by_row, by_column) / (by_row.sum() * by_column.sum())
    return shares


def _taken(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int], rows: int) -> np.ndarray:
    """Passes of an event at each position, int64 [H, W]; with `rows`, cycles as `mean_passes` says."""
    vertical, horizontal = kept_landings(geometry, source, target, banks)
    passes = np.outer(vertical.passes, horizontal.passes)
    return np.maximum(passes * rows, 1) if rows else passes
