"""Folding of branches: residual connections, concatenations, several outputs, sequences, border classes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import folded, names, same
from spikeloom.geometry import Conv2d, Diagonal
from torch import nn


def test_a_shift_ahead_of_padding_makes_offsets_differ_at_the_border() -> None:
    make = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(108, 3),
    )  # fmt: skip
    network = same(lambda: make, 1, 8, 8)
    assert [layer.bias.shape for layer in network.layers] == [(2, 1, 1), (3, 6, 6), (3, 1, 1)]
    classes = {tuple(values) for values in network.layers[1].bias.reshape(3, -1).T}
    assert len(classes) == 9


class Graph(nn.Module):
    """A model of layers by name, and a function that connects them."""

    def __init__(self, layers: dict[str, nn.Module], connect) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.connect = connect

    def forward(self, x: torch.Tensor):
        return self.connect(self.layers, x)


def conv(inputs: int, outputs: int, kernel: int = 3, **options) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, **options)


def identity(m, x):
    x = m["a"](x).relu()
    return m["out"]((m["b"](x) + x).relu().mean((2, 3)))


def option_a(m, x):
    x = m["a"](x).relu()
    short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))
    out = m["bn"](m["b"](x))
    out += short
    return m["out"](out.relu().mean((2, 3)))


def projection(m, x):
    x = m["a"](x).relu()
    out = torch.add(m["bn"](m["b"](x)), m["bns"](m["s"](x)))
    return m["out"](out.relu().mean((2, 3)))


def concatenation(m, x):
    x = m["a"](x).relu()
    y = m["b"](x).relu()
    return m["out"](torch.cat([x, F.max_pool2d(y, 1), y[:, 1:3]], 1).flatten(1))


def dense_block(m, x):
    x = m["a"](x)
    y = m["b"](m["bn"](x).relu())
    z = torch.cat([x, y], dim=1)
    return m["out"](m["bnz"](z).relu().mean((2, 3)))


def pooled_shortcut(m, x):
    x = m["a"](x).relu()
    return m["out"]((m["b"](x) + F.avg_pool2d(x, 2) + F.max_pool2d(x, 2)).relu().flatten(1))


def two_heads(m, x):
    x = m["a"](x).relu().mean((2, 3))
    return {"kind": m["kind"](x), "place": m["place"](x).softmax(1)}


def heads_in_order(m, x):
    x = m["a"](x).relu().mean((2, 3))
    return m["place"](x), m["kind"](x)


def signs(m, x):
    x = m["a"](x).relu()
    return m["out"]((x - m["b"](x)).relu().mean((2, 3)))


def long_way(m, x):
    first = m["a"](x).relu()
    second = m["b"](first).relu()
    return m["out"]((m["c"](second) + first + x).relu().flatten(1))


GRAPHS = {
    "identity": (lambda: {"a": conv(2, 3), "b": conv(3, 3, padding=1), "out": nn.Linear(3, 4)}, identity),
    "option A": (
        lambda: {"a": conv(2, 3), "b": conv(3, 6, stride=2, padding=1), "bn": nn.BatchNorm2d(6),
                 "out": nn.Linear(6, 4)},
        option_a,
    ),
    "projection": (
        lambda: {"a": conv(2, 3), "b": conv(3, 4, stride=2, padding=1), "bn": nn.BatchNorm2d(4),
                 "s": conv(3, 4, 1, stride=2), "bns": nn.BatchNorm2d(4), "out": nn.Linear(4, 4)},
        projection,
    ),
    "concatenation": (
        lambda: {"a": conv(2, 3), "b": conv(3, 4, padding=1), "out": nn.Linear(9 * 36, 4)}, concatenation
    ),
    "dense block": (
        lambda: {"a": conv(2, 3), "bn": nn.BatchNorm2d(3), "b": conv(3, 2, padding=1), "bnz": nn.BatchNorm2d(5),
                 "out": nn.Linear(5, 4)},
        dense_block,
    ),
    "pooled shortcut": (
        lambda: {"a": conv(2, 3), "b": conv(3, 3, 2, stride=2), "out": nn.Linear(27, 4)}, pooled_shortcut
    ),
    "one way twice": (
        lambda: {"a": conv(2, 3), "kind": nn.Linear(3, 4), "place": nn.Linear(3, 2)},
        lambda m, x: {"kind": m["kind"](m["a"](x).relu().mean((2, 3))), "place": heads_in_order(m, x)[0]},
    ),
    "heads in order": (lambda: {"a": conv(2, 3), "kind": nn.Linear(3, 4), "place": nn.Linear(3, 2)}, heads_in_order),
    "difference": (lambda: {"a": conv(2, 3), "b": conv(3, 3, padding=1), "out": nn.Linear(3, 4)}, signs),
    "input added": (
        lambda: {"a": conv(2, 2, padding=1), "b": conv(2, 4), "c": conv(4, 2, padding=2), "out": nn.Linear(128, 4)},
        long_way,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_branches_fold_exactly(name: str) -> None:
    layers, connect = GRAPHS[name]
    for seed in range(3):
        same(lambda: Graph(layers(), connect), 2, 8, 8, seed=seed)


def test_a_residual_branch_is_a_diagonal_connection() -> None:
    layers, connect = GRAPHS["option A"]
    network = same(lambda: Graph(layers(), connect), 2, 8, 8)
    second = network.layers[1]
    assert second.name == "layers_b"
    assert [(item.source, item.geometry) for item in second.incoming] == [
        ("layers_a", Conv2d((3, 3), (2, 2), (1, 1))),
        ("layers_a", Diagonal((2, 2), 1)),
    ]


def test_outputs_with_names_are_populations_of_these_names() -> None:
    network = folded(seeded(lambda: Graph(GRAPHS["heads in order"][0](), two_heads)), np.zeros((1, 2, 8, 8)))
    assert network.readouts == ("kind", "place")
    assert names(network) == ["layers_a", "kind", "place"]


def test_a_clip_that_only_one_of_two_listeners_sees_has_a_population_of_its_own() -> None:
    def connect(m, x):
        x = m["a"](x).relu()
        return m["out"]((x.clamp(0, 0.1) + m["b"](x)).relu().mean((2, 3)))

    network = same(lambda: Graph({"a": conv(2, 3), "b": conv(3, 3, 1), "out": nn.Linear(3, 4)}, connect), 2, 8, 8)
    assert [layer.clip for layer in network.layers] == [None, 0.1, None, None]
    assert network.notes == ("Model 'Graph' (call of clamp) has a population of its own: no weighted layer before it",)


SEQUENCES = {
    "conv1d": lambda: [nn.Conv1d(2, 3, 3), nn.ReLU()],
    "padding and stride": lambda: [nn.Conv1d(2, 3, 5, stride=2, padding=2), nn.BatchNorm1d(3), nn.ReLU()],
    "same": lambda: [nn.Conv1d(2, 4, 3, padding="same", groups=2), nn.ReLU()],
    "average": lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.AvgPool1d(3)],
    "maximum": lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 3, 2), nn.ReLU()],
    "adaptive": lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(2)],
    "adaptive maximum": lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(5)],
    "shift ahead of padding": lambda: [nn.BatchNorm1d(2), nn.Conv1d(2, 3, 3, padding=1), nn.ReLU()],
}


@pytest.mark.parametrize("layers", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_sequences_fold_exactly(layers) -> None:
    def make() -> nn.Module:
        body = nn.Sequential(*layers())
        with torch.no_grad():
            features = body.eval()(torch.zeros(1, 2, 12)).numel()
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(features, 5))

    network = same(make, 2, 12)
    assert network.input_shape == (2, 1, 12)
