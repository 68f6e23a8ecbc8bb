"""Graphs that no network can be made of: one clear line each, with the node."""

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest
from nir_graphs import affine, chain, conv2d, mlp, neuron
from spikeloom import InvalidNetwork, SpikeloomError, UnsupportedLayer
from spikeloom_convert.nir.importing import NirOptions, import_graph

RNG = np.random.default_rng(1)
ONE = np.ones(16)


def with_node(name: str, node: Any, leak: int | None = None) -> nir.NIRGraph:
    graph = mlp(leak=leak)
    graph.nodes[name] = node
    return graph


def with_edges(*edges: tuple[str, str], **nodes: Any) -> nir.NIRGraph:
    graph = mlp()
    return nir.NIRGraph(graph.nodes | nodes, [*graph.edges, *edges], type_check=False)


def images(*nodes: Any) -> nir.NIRGraph:
    return chain((1, 8, 8), *nodes)


def inside(**nodes: Any) -> nir.NIRGraph:
    return nir.NIRGraph({"in": nir.Input(np.array([16])), **nodes}, [], type_check=False)


def deep(depth: int) -> nir.NIRGraph:
    ports = {"in": nir.Input(np.array([16])), "out": nir.Output(np.array([16]))}
    graph = nir.NIRGraph(ports, [("in", "out")], type_check=False)
    for _ in range(depth):
        graph = nir.NIRGraph({**ports, "g": graph}, [("in", "g"), ("g", "out")], type_check=False)
    return graph


CURRENT = "must have no synaptic current of its own, which no neuron here has"
POOL = (np.array([2, 2]), np.array([1, 1]), np.array([0, 0]))
GRAPHS: dict[str, tuple[Callable[[], nir.NIRGraph], type[SpikeloomError], str]] = {
    "synaptic current": (
        lambda: with_node("hidden", nir.CubaLIF(ONE, ONE, ONE, 0 * ONE, ONE)),
        UnsupportedLayer,
        f"Node 'hidden' (CubaLIF): {CURRENT}; train with LIF or IF",
    ),
    "integrated synaptic current": (
        lambda: with_node("hidden", nir.CubaLI(ONE, ONE, ONE, 0 * ONE)),
        UnsupportedLayer,
        f"Node 'hidden' (CubaLI): {CURRENT}; train with LI or I",
    ),
    "threshold": (
        lambda: with_node("hidden", nir.Threshold(ONE)),
        UnsupportedLayer,
        "Node 'hidden' (Threshold): must be a neuron with a potential, not a bare threshold; use IF or LIF",
    ),
    "delay": (
        lambda: with_node("hidden", nir.Delay(ONE)),
        UnsupportedLayer,
        "Node 'hidden' (Delay): must be left out, spikes are heard in the time step they are fired in; train without "
        "delays",
    ),
    "recurrence": (
        lambda: with_edges(("hidden", "back"), ("back", "hidden"), back=affine(RNG, 16, 16)),
        UnsupportedLayer,
        "Graph: must be feed-forward, not recurrent ('hidden' -> 'back' -> 'hidden'); remove the edge back",
    ),
    "edge to itself": (
        lambda: with_edges(("hidden", "hidden")),
        UnsupportedLayer,
        "Graph: must be feed-forward, not recurrent ('hidden' -> 'hidden'); remove the edge back",
    ),
    "integrator in the middle": (
        lambda: with_node("hidden", nir.I(ONE)),
        UnsupportedLayer,
        "Node 'hidden' (I): must be the last node, its potential is the output; use IF or LIF",
    ),
    "no neuron": (
        lambda: chain((64,), affine(RNG, 64, 3)),
        UnsupportedLayer,
        "Graph: must hold at least one IF or LIF; convert the trained PyTorch model instead",
    ),
    "edge to nowhere": (
        lambda: with_edges(("hidden", "gone")),
        InvalidNetwork,
        "Edge 'hidden' -> 'gone': must join nodes of the graph, 'gone' is none",
    ),
    "edge twice": (
        lambda: with_edges(("fc1", "hidden")),
        InvalidNetwork,
        "Edge 'fc1' -> 'hidden': must be there once, not twice; scale the weights instead",
    ),
    "two inputs": (
        lambda: with_edges(("other", "fc1"), other=nir.Input(np.array([64]))),
        InvalidNetwork,
        "Graph: must have one Input, not 2 ('input', 'other')",
    ),
    "two outputs": (
        lambda: with_edges(("fc2", "other"), other=nir.Output(np.array([10]))),
        InvalidNetwork,
        "Graph: must have one Output, not 2 ('output', 'other')",
    ),
    "nothing": (
        lambda: nir.NIRGraph({}, [], type_check=False),
        InvalidNetwork,
        "Graph: must have one Input, not 0",
    ),
    "nodes off the way": (
        lambda: with_edges(("fc1", "end"), ("start", "fc2"), end=neuron(16), start=neuron(16)),
        InvalidNetwork,
        "Graph: 'start' must be reached from the input 'input'; 'end' must lead to the output 'output'; add the edges "
        "or remove the nodes",
    ),
    "graph without an output": (
        lambda: with_node("hidden", inside()),
        InvalidNetwork,
        "Node 'hidden' (NIRGraph): must have one Output, not 0",
    ),
    "graphs in each other": (
        lambda: with_node("hidden", deep(20)),
        InvalidNetwork,
        "Graph: must hold at most 16 graphs in each other",
    ),
    "NaN": (
        lambda: with_node("fc1", nir.Affine(np.full((16, 64), np.nan), np.ones(16))),
        InvalidNetwork,
        "Node 'fc1' (Affine): weight must be finite, not NaN or infinite (1024 of 1024)",
    ),
    "infinite bias": (
        lambda: with_node("fc1", nir.Affine(np.ones((16, 64)), np.full(16, np.inf))),
        InvalidNetwork,
        "Node 'fc1' (Affine): bias must be finite, not NaN or infinite (16 of 16)",
    ),
    "weights of another size": (
        lambda: with_node("fc2", affine(RNG, 17, 10)),
        InvalidNetwork,
        "Node 'fc2' (Affine): weight must have shape (O, 16), not (10, 17)",
    ),
    "bias of another size": (
        lambda: with_node("fc1", nir.Affine(np.ones((16, 64)), np.ones(5))),
        InvalidNetwork,
        "Node 'fc1' (Affine): bias must have shape (16,), not (5,)",
    ),
    "neurons of another size": (
        lambda: with_node("hidden", neuron(15)),
        InvalidNetwork,
        "Node 'hidden' (IF): r must be one number or one for each of (16, 1, 1), not shape (15,)",
    ),
    "output of another size": (
        lambda: with_node("output", nir.Output(np.array([7]))),
        InvalidNetwork,
        "Node 'output' (Output): shape must be that of its source, (10, 1, 1), not (7,)",
    ),
    "places that differ": (
        lambda: images(conv2d(RNG, 1, 2), neuron((2, 6, 6), threshold=np.arange(1.0, 73).reshape(2, 6, 6))),
        UnsupportedLayer,
        "Node 'n2' (IF): v_threshold must be the same for all places of a channel, not differ (2 of 2 channels); use "
        "one value a channel",
    ),
    "threshold of zero": (
        lambda: mlp(threshold=0.0),
        UnsupportedLayer,
        "Node 'hidden' (IF): v_threshold must be at least 1e-15, not 0",
    ),
    "reset to somewhere": (
        lambda: mlp(v_reset=0.25 * ONE),
        UnsupportedLayer,
        "Node 'hidden' (IF): v_reset must be 0, not 0.25; shift the potential",
    ),
    "time constants that differ": (
        lambda: mlp(leak=2, tau=np.linspace(4e-4, 8e-4, 16)),
        UnsupportedLayer,
        "Node 'hidden' (LIF): tau must be the same for all its neurons, not 0.0004..0.0008; split the node",
    ),
    "negative time constant": (
        lambda: mlp(leak=2, tau=-ONE),
        InvalidNetwork,
        "Node 'hidden' (LIF): tau must be at least 1e-15, not -1",
    ),
    "dense layer on an image": (
        lambda: images(conv2d(RNG, 1, 2), affine(RNG, 72, 3), neuron(3)),
        UnsupportedLayer,
        "Node 'n2' (Affine): must get features, not (2, 6, 6); put a Flatten before it",
    ),
    "part of the axes flattened": (
        lambda: images(conv2d(RNG, 1, 2), nir.Flatten({"input": np.array([2, 6, 6])}, 1, -1), affine(RNG, 72, 3)),
        UnsupportedLayer,
        "Node 'n2' (Flatten): must flatten all of (2, 6, 6), not the axes 1..-1; use start_dim 0 and end_dim -1",
    ),
    "windows that overlap": (
        lambda: images(nir.AvgPool2d(*POOL), conv2d(RNG, 1, 2), neuron((2, 5, 5))),
        UnsupportedLayer,
        "Node 'n1' (AvgPool2d): stride must equal the kernel_size (2, 2) and padding be 0, not (1, 1) and (0, 0); use "
        "a Conv2d with equal weights",
    ),
    "kernel beyond the image": (
        lambda: images(conv2d(RNG, 1, 2, 3, dilation=1000)),
        InvalidNetwork,
        "Node 'n1' (Conv2d): kernel must fit into (8, 8), not span (2001, 2001)",
    ),
    "huge padding": (
        lambda: images(conv2d(RNG, 1, 2, 3, padding=1 << 20)),
        InvalidNetwork,
        "Node 'n1' (Conv2d): padding must be less than the kernel spans, (3, 3), not (1048576, 1048576)",
    ),
    "huge padding and dilation": (
        lambda: images(conv2d(RNG, 1, 2, 3, padding=(1 << 20) - 1, dilation=1 << 19)),
        InvalidNetwork,
        "Node 'n1' (Conv2d): must give at most 4194304 values, not (2, 1048582, 1048582)",
    ),
    "padding 'same' of an even kernel": (
        lambda: images(conv2d(RNG, 1, 2, 2, padding="same")),
        UnsupportedLayer,
        "Node 'n1' (Conv2d): padding 'same' needs odd kernels and stride 1, not (2, 2) and (1, 1); use a number as "
        "padding",
    ),
    "groups of another size": (
        lambda: images(conv2d(RNG, 1, 2, groups=1), neuron((2, 6, 6)), conv2d(RNG, 3, 3, groups=3)),
        InvalidNetwork,
        "Node 'n3' (Conv2d): weight must be for 2 channels in 3 groups, not have shape (3, 1, 3, 3)",
    ),
    "stride of nothing": (
        lambda: images(conv2d(RNG, 1, 2, stride=0)),
        InvalidNetwork,
        "Node 'n1' (Conv2d): stride must be integers of at least 1, not (0, 0)",
    ),
    "huge input": (
        lambda: chain((1 << 40,), affine(RNG, 64, 3)),
        InvalidNetwork,
        "Node 'input' (Input): input_type must be integers of at least 1, not array([1099511627776])",
    ),
    "weights beyond all measure": (
        lambda: with_node("fc1", nir.Affine(np.full((16, 64), 1e300), np.ones(16))),
        InvalidNetwork,
        "Node 'fc1' (Affine): weight must lie in +-1e+15, not reach 1e+300; rescale it",
    ),
    "weights beyond all measure together": (
        lambda: chain(
            (64,), *(nir.Affine(np.full((64, 64), 1e15), np.ones(64)) for _ in range(3)), neuron(64), outputs=64
        ),
        InvalidNetwork,
        "Node 'n3' (Affine): weights must lie in +-1e+30, not reach 4.096e+48; rescale them",
    ),
    "text for a bias": (
        lambda: with_node("fc1", nir.Affine(np.ones((16, 64)), "many")),
        InvalidNetwork,
        "Node 'fc1' (Affine): bias must be numbers, not 'many'",
    ),
}


@pytest.mark.parametrize(("make", "kind", "said"), GRAPHS.values(), ids=GRAPHS.keys())
def test_graph_that_cannot_be_is_refused_by_name(
    make: Callable[[], nir.NIRGraph], kind: type[SpikeloomError], said: str
) -> None:
    with pytest.raises(kind) as error:
        import_graph(make(), NirOptions(), timesteps=4)
    assert str(error.value) == said
