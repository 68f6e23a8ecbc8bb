"""The larger and the smaller one of two activations, and channels of sums that are not activated yet."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import error, folded, names, same
from outside_models import Maker, conv, headed, linear, written
from spikeloom.errors import UnsupportedLayer
from spikeloom_convert.folding.inspection import inspect_model
from spikeloom_convert.samples import check
from torch import nn

IMAGES = np.random.default_rng(0).random((200, 3, 12, 12))


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


CHOSEN: dict[str, tuple[Maker, list[str]]] = {
    "of activations": (
        headed(lambda s, x: torch.max(F.relu(s.c(x)), F.relu(s.d(x))), d=conv()), ["c", "d", "larger", "f"]
    ),
    "the smaller one": (
        headed(lambda s, x: F.relu(s.c(x)).minimum(F.relu(s.d(x))), d=conv()), ["c", "d", "larger", "f"]
    ),
    "of sums": (
        headed(lambda s, x: s.e(torch.fmax(s.c(x), s.d(x))), d=conv(), e=conv(4, 4, 3)),
        ["larger", "c", "c_negative", "f"],
    ),
    "the smaller one of sums": (
        headed(lambda s, x: F.relu(torch.minimum(s.c(x), s.d(x))), d=conv()), ["larger", "d", "f"]
    ),
    "of the halves of a kernel": (  # Light CNN's max-feature-map
        headed(lambda s, x: s.e(torch.max(*torch.split(s.c(x), 2, 1))), e=conv(2, 4, 3)),
        ["larger", "c", "c_negative", "f"],
    ),
    "of halves, then pooled": (
        headed(lambda s, x: s.e(F.max_pool2d(torch.max(*s.c(x).chunk(2, 1)), 2)), e=conv(2, 4, 3, padding=1)),
        ["larger", "c", "c_negative_turned", "f"],
    ),
    "a leaky ReLU": (
        headed(lambda s, x: s.d(torch.maximum(y := s.c(x), 0.1 * y)), d=conv(4, 4, 3)), ["c", "c_negative", "f"]
    ),
    "a leaky ReLU the other way round": (
        headed(lambda s, x: s.d(torch.maximum(0.1 * (y := s.c(x)), y)), d=conv(4, 4, 3)), ["c", "c_negative", "f"]
    ),
    "an absolute value": (headed(lambda s, x: torch.max(y := s.c(x), -y)), ["larger", "f"]),
    "of leaky values": (
        headed(lambda s, x: s.d(torch.max(leaky(s.c(x)), leaky(s.e(x)))), d=conv(4, 4, 3), e=conv()),
        ["c", "c_negative", "e", "e_negative", "larger", "add", "negative", "f"],
    ),
    "of the samples": (
        headed(lambda s, x: s.c(torch.max(x, F.relu(s.d(x)))), d=conv(3, 3, padding=1)), ["d", "larger", "add", "f"]
    ),
    "of maxima": (
        headed(lambda s, x: F.relu(torch.max(F.max_pool2d(s.c(x), 2), F.max_pool2d(s.d(x), 2))), d=conv()),
        ["c", "c_negative_turned", "d", "d_negative_turned", "larger", "add", "f"],
    ),
    "of features": (
        written(
            lambda s, x: s.h(torch.max(s.f(x.flatten(1)), s.g(x.flatten(1)))), f=linear(432, 4), g=linear(432, 4),
            h=linear(),
        ),
        ["larger", "h"],
    ),
    "at the end": (
        written(lambda s, x: torch.max(s.f(x.flatten(1)), s.g(x.flatten(1))), f=linear(432), g=linear(432)),
        ["larger", "f"],
    ),
}  # fmt: skip
CHANNELS: dict[str, tuple[Maker, list[str]]] = {
    "halves, each activated": (
        headed(
            lambda s, x: (lambda a, b: s.d(torch.cat([F.relu(b), F.relu(a)], 1)))(*s.c(x).chunk(2, 1)), d=conv(4, 4, 1)
        ),
        ["c", "f"],
    ),
    "halves, activated by two functions": (
        headed(
            lambda s, x: (lambda a, b: s.d(torch.cat([F.relu(b), F.relu6(a)], 1)))(*s.c(x).chunk(2, 1)), d=conv(4, 4, 1)
        ),
        ["c", "c_2", "f"],
    ),
    "of one depth, shuffled": (
        headed(lambda s, x: s.d(F.relu(F.channel_shuffle(s.c(x), 2))), c=conv(3, 6, groups=3), d=conv(6, 4, 1)),
        ["c", "f"],
    ),
    "taken again": (
        headed(lambda s, x: (lambda a, b: s.d(torch.cat([b, a], 1)))(*s.c(x).split(2, 1)), d=conv(4, 4, 3)),
        ["c", "c_negative", "f"],
    ),
    "of a maximum, taken again": (
        headed(lambda s, x: (lambda a, b: torch.cat([a, b], 1))(*F.max_pool2d(s.c(x), 2).split(2, 1))),
        ["c", "c_negative_turned", "f"],
    ),
    "of a maximum, one of them heard": (
        headed(
            lambda s, x: (lambda a, b: torch.cat([F.relu(a), b], 1))(*F.max_pool2d(s.c(x), 2).split(2, 1))
        ),
        ["c", "c_negative_turned", "add", "f"],
    ),
    "of a maximum that falls, pooled again": (
        headed(lambda s, x: F.max_pool2d(F.relu((-F.max_pool2d(s.c(x), 2))[:, 1:3]), 2), f=linear(2)),
        ["c_negative", "c_turned", "add", "f"],
    ),
    "of a maximum, pooled again with a rest": (
        headed(lambda s, x: F.max_pool2d(F.relu(F.max_pool2d(s.c(x), 4)[:, 1:3]), 2, ceil_mode=True), f=linear(2)),
        ["c", "c_negative_turned", "add", "f"],
    ),
    "pooled twice, with a rest": (
        headed(lambda s, x: F.max_pool2d(F.relu(F.max_pool2d(s.c(x)[:, 1:3], 4)), 2, ceil_mode=True), f=linear(2)),
        ["c", "c_negative_turned", "add", "f"],
    ),
    "of a maximum that falls, each activated": (
        headed(
            lambda s, x: (lambda a, b: torch.cat([F.relu(b), F.relu(a)], 1))(*(-F.max_pool2d(s.c(x), 2)).chunk(2, 1))
        ),
        ["c_turned", "f"],
    ),
    "of a maximum, then a PReLU that falls": (
        headed(lambda s, x: F.prelu(F.max_pool2d(s.c(x), 2)[:, 1:3], torch.tensor(-0.2, dtype=x.dtype)), f=linear(2)),
        ["c", "c_negative_turned", "add", "negative", "f"],
    ),
    "of places with a batch norm each": (
        written(
            lambda s, x: s.f(s.b(s.c(x)[:, :2].flatten(1))), c=conv(), b=lambda: nn.BatchNorm1d(200),
            f=linear(200),
        ),
        ["c", "c_negative", "f"],
    ),
    "of groups": (
        headed(lambda s, x: s.d(F.relu(s.c(x)[:, 1:4])), c=conv(3, 6, groups=3), d=conv(3, 4, 1)), ["c", "f"]
    ),
    "shuffled": (
        headed(lambda s, x: F.relu(s.d(F.relu(F.channel_shuffle(s.c(x), 2)))), d=conv(4, 4, groups=2)), ["c", "d", "f"]
    ),
    "of a residual sum": (
        headed(lambda s, x: F.relu((F.relu(s.c(x)) + s.d(x))[:, 1:3]), d=conv(), f=linear(2)), ["c", "d", "f"]
    ),
    "of a maximum": (
        headed(lambda s, x: F.relu(-F.max_pool2d(s.c(x), 2)[:, 1:3]), f=linear(2)), ["c_turned", "f"]
    ),
    "of features": (
        written(lambda s, x: s.f(F.relu(s.d(x.flatten(1))[:, 2:4])), d=linear(432), f=linear(2)), ["d", "f"]
    ),
    "of outputs": (written(lambda s, x: s.f(x.flatten(1))[:, :2], f=linear(432)), ["f"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "populations"), [*CHOSEN.values(), *CHANNELS.values()])
def test_a_model_folds_into_its_own_outputs(make: Maker, populations: list[str]) -> None:
    assert names(same(make, 3, 12, 12)) == populations
    report = inspect_model(seeded(make), check(IMAGES[:4]))
    assert report.convertible
    assert all(node.status != "unsupported" and node.becomes for node in report.nodes)


@pytest.mark.parametrize("style", ["of the halves of a kernel", "of leaky values", "the smaller one"])
def test_integers_come_nearer_with_more_time_steps(style: str) -> None:
    model = seeded(CHOSEN[style][0])
    errors = [error(model, IMAGES, timesteps) for timesteps in (2, 8)]
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.05


def test_shapes_that_differ_are_refused_by_name() -> None:
    model = seeded(headed(lambda s, x: torch.max(s.c(x), s.d(x).mean((2, 3), keepdim=True)), d=conv()))
    with pytest.raises(UnsupportedLayer) as error:
        folded(model, IMAGES[:4])
    assert str(error.value) == "Model 'Net' (call of max): must add equal shapes, not (4, 1, 1) and (4, 10, 10)"
