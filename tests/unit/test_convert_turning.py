"""Maxima next to leaky ReLUs, behind negative factors, of bare sums: populations that fall are turned around."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import folded, names, same
from outside_models import Maker, conv, headed, linear, written
from spikeloom import golden
from spikeloom.errors import UnsupportedLayer
from spikeloom_convert import convert
from spikeloom_convert.folding.inspection import inspect_model
from spikeloom_convert.samples import check
from torch import nn

IMAGES = np.random.default_rng(0).random((200, 3, 12, 12))
SIGNS = torch.tensor([1, -0.5, 0.7, -1.0]).view(4, 1, 1)


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


def largest(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 2)


LEAKY: dict[str, Maker] = {
    "leaky, then the largest": headed(lambda s, x: largest(leaky(s.c(x)))),
    "the largest, then leaky": headed(lambda s, x: leaky(largest(s.c(x)))),
    "pyramid of windows": headed(
        lambda s, x: s.d(torch.cat([a := leaky(s.c(x)), F.max_pool2d(a, 3, 1, 1), F.max_pool2d(a, 5, 1, 2)], 1)),
        d=conv(12, 4, 1),
    ),
    "as Darknet": headed(
        lambda s, x: leaky(s.e(largest(leaky(s.d(largest(leaky(s.c(x)))))))), d=conv(4, 8, 3, padding=1, bias=False),
        e=conv(8, 4, 3, padding=1),
    ),
    "windows that overlap, ahead of zeros": headed(
        lambda s, x: s.d(F.max_pool2d(leaky(s.c(x)), 3, 2, 1)), d=conv(4, 4, 3, padding=1)
    ),
    "twice": headed(lambda s, x: s.d(largest(largest(leaky(s.c(x))))), d=conv(4, 4, 2)),
    "normalised between": headed(lambda s, x: s.d(largest(SIGNS * leaky(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "normalised ahead": headed(lambda s, x: s.d(leaky(SIGNS * largest(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "of the whole image": written(lambda s, x: s.f(leaky(s.c(x)).amax((2, 3))), c=conv(), f=linear()),
    "of what is cropped": headed(lambda s, x: s.d(largest(leaky(s.c(x))[:, :, 1:9, 2:])), d=conv(4, 4, 2)),
    "heard before, too": headed(
        lambda s, x: s.d(largest(a := leaky(s.c(x)))) + s.e(a), d=conv(4, 4, 3, padding=1), e=conv(4, 4, 2, stride=2)
    ),
    "joined": headed(
        lambda s, x: s.e(largest(torch.cat([leaky(s.c(x)), F.relu(s.d(x))], 1))), d=conv(), e=conv(8, 4, 3)
    ),
    "at the end": written(lambda s, x: F.max_pool2d(leaky(s.c(x)), 10).flatten(1), c=conv(3, 5)),
    "less than zero times": headed(lambda s, x: largest(-leaky(s.c(x)))),
}  # fmt: skip
FALLING: dict[str, Maker] = {
    "some channels": headed(lambda s, x: s.d(largest(SIGNS * F.relu(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "ahead of groups": headed(
        lambda s, x: s.d(largest(SIGNS * F.relu(s.c(x)))), d=conv(4, 4, 3, padding=1, groups=4)
    ),
    "clipped": headed(lambda s, x: s.d(largest(SIGNS * F.relu6(9 * s.c(x)))), d=conv(4, 4, 3)),
    "shuffled": headed(lambda s, x: s.d(largest(SIGNS * F.channel_shuffle(F.relu(s.c(x)), 2))), d=conv(4, 4, 3)),
    "a minimum": headed(lambda s, x: s.d(-largest(-F.relu(s.c(x)))), d=conv(4, 4, 3)),
    "of half of them": headed(lambda s, x: s.d(largest(-F.relu(s.c(x))[:, :2])), d=conv(2, 4, 3)),
    "ahead of the activation": headed(lambda s, x: s.d(F.relu(SIGNS * largest(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "of channels that are never active": headed(
        lambda s, x: s.d(largest(SIGNS * F.relu(s.c(x) - 100))), d=conv(4, 4, 3)
    ),
}  # fmt: skip
BARE: dict[str, Maker] = {
    "features": written(lambda s, x: s.f(largest(s.c(x)).flatten(1)), c=conv(), f=linear(100)),
    "a kernel": headed(lambda s, x: F.relu(s.d(largest(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "a kernel of one place": headed(lambda s, x: F.relu(s.d(largest(s.c(x)))), d=conv(4, 4, 1)),
    "added": headed(lambda s, x: F.relu(largest(s.c(x)) + largest(s.d(x))), d=conv()),
    "joined": headed(
        lambda s, x: s.e(torch.cat([largest(s.c(x)), F.relu(largest(s.d(x)))], 1)), d=conv(), e=conv(8, 4, 3)
    ),
    "averaged": headed(lambda s, x: F.relu(s.d(F.avg_pool2d(F.relu(largest(s.c(x))), 2))), d=conv(4, 4, 2)),
    "cropped, then activated": headed(lambda s, x: F.relu(largest(s.c(x))[:, :, 1:])),
    "an output": written(lambda s, x: F.max_pool2d(s.c(x), 10).flatten(1), c=conv(3, 5)),
    "two outputs": written(
        lambda s, x: (s.f(leaky(s.c(x)).amax((2, 3))), F.max_pool2d(s.c(x), 10).flatten(1)), c=conv(), f=linear()
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", [*LEAKY.values(), *FALLING.values(), *BARE.values()])
def test_maxima_fold_into_the_outputs_of_the_model_itself(make: Maker) -> None:
    same(make, 3, 12, 12)


def test_populations_are_turned_around_and_those_that_nobody_hears_are_gone() -> None:
    assert names(same(LEAKY["leaky, then the largest"], 3, 12, 12)) == ["c", "c_negative_turned", "f"]
    assert names(same(LEAKY["heard before, too"], 3, 12, 12)) == ["c", "c_negative", "c_negative_turned", "f"]
    assert names(same(LEAKY["pyramid of windows"], 3, 12, 12)) == ["c", "c_negative", "c_negative_turned", "f"]
    assert names(same(FALLING["some channels"], 3, 12, 12)) == ["c_turned", "f"]
    assert names(same(BARE["a kernel"], 3, 12, 12)) == ["c", "c_negative_turned", "d", "f"]


def test_check_names_the_populations_there_are() -> None:
    model = seeded(LEAKY["leaky, then the largest"])
    report = inspect_model(model, check(IMAGES[:4]))
    assert report.convertible
    assert [node.becomes for node in report.nodes if node.kind == "leaky_relu"] == [
        "thresholds of populations 'c', 'c_negative_turned'"
    ]
    assert list(report.neurons) == ["c", "c_negative_turned", "f"]


@pytest.mark.parametrize("make", [LEAKY["as Darknet"], FALLING["some channels"], BARE["a kernel"]])
def test_integers_come_nearer_with_more_time_steps(make: Maker) -> None:
    model = seeded(make)
    with torch.no_grad():
        expected = model(torch.from_numpy(IMAGES)).numpy()
    errors = []
    for timesteps in (2, 8):
        network = convert(model, IMAGES, timesteps=timesteps, weight_bits=8)
        potentials = golden.evaluate(network, IMAGES) * network.readouts[0].scale
        errors.append(((potentials - expected) ** 2).mean() / expected.var())
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    {
        "a leaky ReLU that falls below zero": (
            headed(lambda s, x: largest(s.a(s.c(x))), a=lambda: nn.PReLU(1, -0.2)),
            "Layer 'a' (PReLU): must have no negative factors next to max pooling; use ReLU, or average pooling",
        ),
        "a negative factor behind a maximum": (
            headed(lambda s, x: largest(SIGNS * largest(F.relu(s.c(x))))),
            "Model 'Net' (call of max_pool2d): must take values whose batch norm has no negative factors; pool ahead "
            "of the batch norm",
        ),
        "largest and least of a channel": (
            headed(lambda s, x: s.d(largest(torch.cat([a := F.relu(s.c(x)), -a], 1))), d=conv(8, 4, 3)),
            "Model 'Net' (call of max_pool2d): must not take the largest and the least values of Layer 'c' (Conv2d) at "
            "once; pool them apart",
        ),
        "of the samples": (
            headed(lambda s, x: s.c(largest(0.5 - x))),
            "Model 'Net' (call of max_pool2d): must take values whose batch norm has no negative factors; pool ahead "
            "of the batch norm",
        ),
    }.values(),
)  # fmt: skip
def test_what_would_not_be_exact_is_refused_by_name(make: Maker, message: str) -> None:
    with pytest.raises(UnsupportedLayer) as error:
        folded(seeded(make), IMAGES[:4])
    assert str(error.value) == message
