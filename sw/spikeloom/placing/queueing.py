"""What the queue between a generator and the lanes does not even out.

Events lie unevenly: where a picture is empty the lanes wait for the generator, where it is full the generator waits for
the lanes. So a phase lasts longer than either of them alone.
"""

from functools import lru_cache

import numpy as np

from ..network import Connection, Network
from ..program.extents import by_name, heard, reach
from ..program.program import LayerPlan
from .passes import shares, taken

LEADS = 8  # parts of a generator's pass by which it may be ahead of the lanes
Events = tuple[float, float]  # so many, and the cycles that the lanes have to work for them


@lru_cache(maxsize=4096)
def stream_cycles(
    network: Network,
    name: str | None,
    layer: LayerPlan,
    before: LayerPlan,
    events: Events,
    pace: float,
    depth: float,
    leads: int,
) -> tuple[float, ...]:
    """Cycles from when the lanes begin until a stream is added, if the generator began n/`LEADS` of its pass earlier.

    Parameters
    ----------
    name : of the connection of `layer` that hears the stream; None: it is only stored.
    before : the layer that is generated, row by row.
    events : how many there are, and how many lane cycles they take.
    pace : cycles of the generator for a row.
    depth : events that may wait.
    leads : the largest n.
    """
    count, busy = events
    channels, height, width = before.shape
    work = _work(network, layer, by_name(network, name)) if name else None
    if work is None:
        work = np.full((height, width), 1 / (height * width))
    places = before.neurons.reshape(before.rows, -1)
    rows = np.where(places >= 0, work.reshape(-1)[places % (height * width)], 0).sum(1) * (busy / channels)
    whole = pace * before.rows
    return tuple(together(rows, pace, depth * busy / count, whole * part / LEADS) for part in range(leads + 1))


@lru_cache(maxsize=4096)
def replay_cycles(network: Network, name: str, layer: LayerPlan, events: Events, pace: float, depth: float) -> float:
    """Cycles until a train is added that is read from the store position by position, each in `pace` cycles."""
    count, busy = events
    work = _work(network, layer, by_name(network, name))
    return 0.0 if work is None else together(work.reshape(-1) * busy, pace, depth * busy / count)


def together(work: np.ndarray, pace: float, depth: float, lead: float = 0.0) -> float:
    """Cycles until the lanes, from their beginning on, have done what comes to them piece by piece.

    Parameters
    ----------
    work : cycles of the lanes for each piece, in the order in which they come, [pieces].
    pace : cycles in which a piece is brought.
    depth : cycles of the lanes' work that may wait between the two.
    lead : cycles before the lanes' beginning in which pieces are brought already.
    """
    done = np.cumsum(work)
    needed = done - depth  # what has to be done before a piece is across, and the piece in which that is
    within = np.searchsorted(done, np.minimum(needed, done[-1]))
    spare = done[within] - needed
    ends: list[float] = []
    sent, end = -lead, 0.0
    for cycles, piece, left, waited in zip(*(part.tolist() for part in (work, within, spare, needed > 0)), strict=True):
        end = max(end, sent) + cycles
        ends.append(end)
        sent = max(sent + pace, ends[piece] - left) if waited else sent + pace
    return max(end, sent)


def _work(network: Network, layer: LayerPlan, connection: Connection) -> np.ndarray | None:
    """Share of each position of what a connection hears in the lanes' work, float64 [H, W]; None: not known."""
    source = heard(network, connection)
    if not any(connection.heard[0]):
        return None
    rows = reach(connection.geometry, source, layer)
    work: np.ndarray = shares(connection.heard) * taken(connection.geometry, source, layer.shape, layer.spread, rows)
    return work / work.sum() if work.any() else None
