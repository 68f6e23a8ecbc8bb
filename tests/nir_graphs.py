"""Small NIR graphs, and a reader of NIR that knows nothing of this project but what an exported file says of itself."""

from itertools import pairwise
from typing import Any

import nir
import numpy as np
import torch
import torch.nn.functional as F

DT = 1e-4


def neuron(shape: int | tuple[int, ...], leak: int | None = None, threshold: Any = 1.0, **fields: Any) -> Any:
    """An IF node, or LIF with dt/tau = 2^-leak, that adds just what it gets."""
    one = np.ones(shape)
    threshold = threshold * one
    if leak is None:
        return nir.IF(**{"r": one / DT, "v_threshold": threshold} | fields)
    plain = {"tau": one * DT * 2.0**leak, "r": one * 2.0**leak, "v_leak": 0 * one, "v_threshold": threshold}
    return nir.LIF(**plain | fields)


def affine(rng: np.random.Generator, inputs: int, outputs: int) -> nir.Affine:
    return nir.Affine(rng.normal(size=(outputs, inputs)) / inputs**0.5, rng.normal(size=outputs) / 8)


def conv2d(rng: np.random.Generator, inputs: int, outputs: int, kernel: int = 3, **fields: Any) -> nir.Conv2d:
    groups = fields.get("groups", 1)
    weight = rng.normal(size=(outputs, inputs // groups, kernel, kernel)) / (kernel * (inputs // groups) ** 0.5)
    plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": rng.normal(size=outputs) / 8}
    return nir.Conv2d(**{"input_shape": None, "weight": weight} | plain | fields)


def chain(shape: tuple[int, ...], *nodes: Any, outputs: int = 3) -> nir.NIRGraph:
    """Input, nodes named n1, n2, ..., output."""
    every = {f"n{number}": node for number, node in enumerate(nodes, 1)}
    parts = {"input": nir.Input(np.array(shape)), **every, "output": nir.Output(np.array([outputs]))}
    names = list(parts)
    return nir.NIRGraph(parts, list(pairwise(names)), type_check=False)


def mlp(seed: int = 0, leak: int | None = None, **fields: Any) -> nir.NIRGraph:
    """64-16-10 with one hidden layer of neurons."""
    rng = np.random.default_rng(seed)
    last = affine(rng, 16, 10)
    return nir.NIRGraph(
        {
            "input": nir.Input(np.array([64])),
            "fc1": affine(rng, 64, 16),
            "hidden": neuron(16, leak, **fields),
            "fc2": last,
            "output": nir.Output(np.array([10])),
        },
        [("input", "fc1"), ("fc1", "hidden"), ("hidden", "fc2"), ("fc2", "output")],
        type_check=False,
    )


def simulate(graph: nir.NIRGraph, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Every spike [N, T, ...] and, of nodes that do not fire, every potential [N, T, ...] of an exported graph.

    Step by step in float64, by NIR's equations and the conditions in the graph's metadata. `codes`: as the input node
    wants them, [N, ...].
    """
    said = graph.metadata
    assert (str(said["v_min"]), str(said["fires"])) == ("none", "v >= v_threshold")
    dt, count = float(said["dt"]), len(codes)
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[str(target)].append(str(source))
    found: dict[str, list[np.ndarray]] = {name: [] for name, node in graph.nodes.items() if hasattr(node, "r")}
    state = {
        name: np.broadcast_to(np.asarray(graph.nodes[name].metadata["v_initial"]), (count, *graph.nodes[name].r.shape))
        for name in found
    }
    for _ in range(int(said["timesteps"])):
        values: dict[str, np.ndarray] = {}

        def value(name: str, values: dict[str, np.ndarray] = values) -> np.ndarray:
            if name not in values:
                node = graph.nodes[name]
                if isinstance(node, nir.Input):
                    values[name] = codes
                else:
                    given = sum(value(source) for source in sources[name])
                    values[name] = given if isinstance(node, nir.Output) else _apply(node, given)
                    if name in state:
                        values[name], state[name] = _advance(node, state[name], given, dt, str(said["reset"]))
                        found[name].append(values[name])
            return values[name]

        for name in graph.nodes:
            value(name)
    return {name: np.stack(steps, 1) for name, steps in found.items()}


def _advance(node: Any, before: np.ndarray, given: np.ndarray, dt: float, reset: str) -> tuple[np.ndarray, np.ndarray]:
    """Spikes (or the potential, if it does not fire) and what is left."""
    if isinstance(node, nir.LIF | nir.LI):
        leak = dt / node.tau
        potential = before - np.floor(before * leak) + leak * node.v_leak + leak * node.r * given
    else:
        potential = before + dt * node.r * given
    if isinstance(node, nir.I | nir.LI):
        return potential, potential
    spikes = (potential >= node.v_threshold).astype(np.float64)
    kind = reset if reset in ("hard", "soft") else str(node.metadata["reset_kind"])
    left = np.where(spikes > 0, node.v_reset, potential) if kind == "hard" else potential - spikes * node.v_threshold
    return spikes, left


def _apply(node: Any, x: np.ndarray) -> np.ndarray:
    match node:
        case nir.Linear():
            return x @ node.weight.T
        case nir.Affine():
            return x @ node.weight.T + node.bias
        case nir.Scale():
            return x * node.scale
        case nir.Flatten():
            assert (int(node.start_dim), int(node.end_dim)) == (0, -1)
            return x.reshape(len(x), -1)
        case nir.SumPool2d():
            window = tuple(int(side) for side in node.kernel_size)
            return F.avg_pool2d(torch.from_numpy(x), window, divisor_override=1).numpy()
        case nir.Conv2d():
            weight, bias = torch.from_numpy(np.asarray(node.weight)), torch.from_numpy(np.asarray(node.bias))
            pairs = [tuple(int(side) for side in np.atleast_1d(node_)) for node_ in (node.stride, node.padding)]
            return F.conv2d(torch.from_numpy(x), weight, bias, pairs[0], pairs[1], groups=int(node.groups)).numpy()
    return x  # a neuron, which `_advance` takes further
