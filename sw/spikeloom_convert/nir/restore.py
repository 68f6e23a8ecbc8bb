"""Our network again from the NIR graph that it was written as: the same digest, or a refusal."""

from typing import Any

import nir
import numpy as np
from spikeloom.errors import InvalidNetwork, SpikeloomError
from spikeloom.network import Network
from spikeloom.storage import network_of

from .export import NETWORK, graph_of
from .file import MISFITS, reason

_FIELDS = ("theta", "initial", "drive", "fire_pos", "reset")


def restored(graph: nir.NIRGraph, who: str) -> Network | None:
    """The network that a graph was written from; None of a graph from elsewhere.

    Weights come from the nodes and all else from the metadata; the graph is made once more then and compared, so that
    nobody takes a graph that was changed for the one it was.

    Raises
    ------
    InvalidNetwork
        The graph is not as it was written.
    """
    metadata = graph.metadata
    if not isinstance(metadata, dict) or NETWORK not in metadata:
        return None
    try:
        network = network_of(str(metadata[NETWORK]), _arrays(graph))
        same = _alike(graph_of(network).to_dict(), graph.to_dict())
        why = "its graph is another than its metadata say"
    except SpikeloomError as error:
        same, why = False, str(error)
    except MISFITS as error:
        same, why = False, reason(error)
    if not same:
        raise InvalidNetwork(
            f"{who}: must be as Spikeloom wrote it, not altered ({why}); export it again, or delete its metadata "
            f"'{NETWORK}' to convert it like any other"
        )
    return network


def _arrays(graph: nir.NIRGraph) -> dict[str, np.ndarray]:
    """The arrays of the network by the names that `storage` has for them."""
    arrays: dict[str, np.ndarray] = {}
    for node in graph.nodes.values():
        known = node.metadata
        if "population" in known:
            found = {name: known[name] for name in _FIELDS if name in known}
            arrays |= {f"population.{known['population']}.{name}": np.asarray(value) for name, value in found.items()}
        if "connection" in known:
            weights = known["weights"] if "weights" in known else _whole(node, int(known["shift"]))
            arrays[f"connection.{known['connection']}.weights"] = np.asarray(weights)
    return arrays


def _whole(node: Any, shift: int) -> np.ndarray:
    """Weights int8 of a node that holds them times 2^shift; what is no integer is not taken for one."""
    weights = np.asarray(node.weight) / 2.0**shift
    if weights.dtype.kind != "f" or not (np.abs(weights) <= 127).all() or (weights != np.rint(weights)).any():
        raise ValueError("weights are no integers of at most 8 bits")
    return weights.astype(np.int8)


def _alike(first: Any, second: Any) -> bool:
    """Whether two descriptions of graphs hold the same."""
    if isinstance(first, dict) or isinstance(second, dict):
        both = isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys()
        return both and all(_alike(first[key], second[key]) for key in first)
    one, other = np.asarray(first), np.asarray(second)
    return one.shape == other.shape and bool(np.all(one == other))
