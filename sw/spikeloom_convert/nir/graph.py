"""The wiring of a NIR graph: graphs in it taken apart, one input, one output, and the order in which to run."""

from collections.abc import Mapping
from dataclasses import dataclass

import nir
from spikeloom.errors import InvalidNetwork, UnsupportedLayer, listed, shown

from .file import MAX_EDGES, MAX_NODES

_MAX_DEPTH = 16
_MOST_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Wiring:
    """The nodes of a graph on the way from its input to its output.

    Members
    -------
    nodes : by name, in topological order, the input first and the output last; inputs and outputs of graphs inside are
        nodes that pass on what they get. A node of a graph inside has the names of both, with a dot.
    sources : of every node, in the order of the edges: what it gets is their sum.
    """

    nodes: Mapping[str, nir.NIRNode]
    sources: Mapping[str, tuple[str, ...]]


def where(name: str, node: nir.NIRNode) -> str:
    """Who a node is in an error."""
    return f"Node {shown(name)} ({type(node).__name__})"


def wiring(graph: nir.NIRGraph) -> Wiring:
    """The wiring of a graph.

    Raises
    ------
    InvalidNetwork
        Edges to nodes that are not there or twice the same, not one input and one output, nodes off the way.
    UnsupportedLayer
        Recurrence.
    """
    nodes, edges = _flattened(graph, "", 0)
    if len(nodes) > MAX_NODES or len(edges) > MAX_EDGES:
        raise InvalidNetwork(f"Graph: must have at most {MAX_NODES} nodes and {MAX_EDGES} edges")
    ends = {}
    for kind in (nir.Input, nir.Output):
        found = [name for name, node in nodes.items() if isinstance(node, kind) and name in graph.nodes]
        if len(found) != 1:
            names = f" ({_some(found)})" if found else ""
            raise InvalidNetwork(f"Graph: must have one {kind.__name__}, not {len(found)}{names}")
        ends[kind] = found[0]
    first, last = ends[nir.Input], ends[nir.Output]
    sources: dict[str, tuple[str, ...]] = dict.fromkeys(nodes, ())
    targets: dict[str, tuple[str, ...]] = dict.fromkeys(nodes, ())
    for source, target in edges:
        sources[target] += (source,)
        targets[source] += (target,)
    order = _ordered(nodes, sources, targets)
    reached, leading = _closure(first, targets), _closure(last, sources)
    wrong = [f"{shown(name)} must be reached from the input {shown(first)}" for name in order if name not in reached]
    wrong += [f"{shown(name)} must lead to the output {shown(last)}" for name in order if name not in leading]
    if wrong:
        raise InvalidNetwork(f"Graph: {listed(wrong[:_MOST_SHOWN])}; add the edges or remove the nodes")
    return Wiring({name: nodes[name] for name in order}, sources)  # all lie between first and last


def _flattened(graph: nir.NIRGraph, prefix: str, depth: int) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Nodes and edges of a graph, those of the graphs in it too."""
    if depth > _MAX_DEPTH:
        raise InvalidNetwork(f"Graph: must hold at most {_MAX_DEPTH} graphs in each other")
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    entries, exits = {}, {}
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if not isinstance(node, nir.NIRGraph):
            entries[name] = exits[name] = full
            nodes[full] = node
            continue
        inner, between = _flattened(node, f"{full}.", depth + 1)
        for kind, ports in ((nir.Input, entries), (nir.Output, exits)):
            found = [key for key, item in node.nodes.items() if isinstance(item, kind)]
            if len(found) != 1:
                raise InvalidNetwork(f"{where(full, node)}: must have one {kind.__name__}, not {len(found)}")
            ports[name] = f"{full}.{found[0]}"
        if doubled := inner.keys() & nodes.keys():
            raise InvalidNetwork(f"Graph: names must differ, not be {_some(sorted(doubled))} twice")
        nodes |= inner
        edges += between
    known = set()
    for source, target in graph.edges:
        edge = f"Edge {shown(f'{prefix}{source}')} -> {shown(f'{prefix}{target}')}"
        if lost := [name for name in (source, target) if name not in entries]:
            raise InvalidNetwork(f"{edge}: must join nodes of the graph, {_some(lost)} is none")
        if (source, target) in known:
            raise InvalidNetwork(f"{edge}: must be there once, not twice; scale the weights instead")
        known.add((source, target))
        edges.append((exits[source], entries[target]))
    return nodes, edges


def _ordered(
    nodes: Mapping[str, nir.NIRNode],
    sources: Mapping[str, tuple[str, ...]],
    targets: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Every node behind all its sources; UnsupportedLayer naming a circle where there is one."""
    missing = {name: len(before) for name, before in sources.items()}
    order = [name for name in nodes if not missing[name]]
    for name in order:  # grows on the way
        for target in targets[name]:
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    if len(order) == len(nodes):
        return order
    left, name = set(nodes) - set(order), next(name for name in nodes if missing[name])
    way: list[str] = []
    while name not in way:  # what is left has a source that is left
        way.append(name)
        name = next(source for source in sources[name] if source in left)
    circle = [*way[way.index(name) :], name][::-1]
    raise UnsupportedLayer(
        f"Graph: must be feed-forward, not recurrent ({' -> '.join(map(shown, circle[: _MOST_SHOWN + 1]))}); "
        f"remove the edge back"
    )


def _closure(start: str, following: Mapping[str, tuple[str, ...]]) -> set[str]:
    found, open_ = {start}, [start]
    while open_:
        new = [name for name in following[open_.pop()] if name not in found]
        found.update(new)
        open_ += new
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more
