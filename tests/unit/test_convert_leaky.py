"""Leaky ReLUs: two populations, one for each side of zero, and everything that hears the one hears the other."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import error, names, same
from outside_models import Maker, conv, flattened, headed, linear, parameter, reduced, written
from spikeloom.errors import UnsupportedLayer
from spikeloom_convert.methods import METHODS
from torch import nn

IMAGES = np.random.default_rng(0).random((40, 3, 12, 12))


def prelu(*factors: float):
    def make() -> nn.PReLU:
        made = nn.PReLU(len(factors))
        made.weight.data = torch.tensor(factors)
        return made

    return make


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


LEAKY: dict[str, Maker] = {
    "module": headed(lambda s, x: s.a(s.c(x)), a=lambda: nn.LeakyReLU(0.3)),
    "one factor for all": headed(lambda s, x: s.a(s.c(x)), a=prelu(0.3)),
    "a factor a channel, of any sign": headed(lambda s, x: s.a(s.c(x)), a=prelu(0.3, 0.0, -0.5, 2.0)),
    "function with a parameter": headed(lambda s, x: F.prelu(s.c(x), s.w), w=parameter(4)),
    "random in training only": headed(lambda s, x: F.rrelu(s.c(x), training=s.training)),
    "random in training only, a module": headed(lambda s, x: s.a(s.c(x)), a=nn.RReLU),
    "in place": headed(lambda s, x: F.leaky_relu_(s.c(x), 0.1)),
    "ahead of kernels": headed(lambda s, x: leaky(s.d(leaky(s.c(x)))), d=conv(4, 4, 3, padding=1)),
    "ahead of groups": headed(lambda s, x: leaky(s.d(leaky(s.c(x)))), d=conv(4, 4, 3, groups=2)),
    "ahead of strides": headed(lambda s, x: F.relu(s.d(leaky(s.c(x)))), d=conv(4, 4, 3, stride=2, padding=1)),
    "ahead of 1x1 kernels": headed(lambda s, x: F.relu(s.d(leaky(s.c(x)))), d=conv(4, 4, 1)),
    "ahead of an even kernel of the same size": headed(
        lambda s, x: F.relu(s.d(leaky(s.c(x)))), d=conv(4, 4, 4, padding="same")
    ),
    "behind and ahead of batch norms": headed(
        lambda s, x: s.d(s.m(leaky(s.n(s.c(x))))), d=conv(4, 4, 3, padding=1), n=lambda: nn.BatchNorm2d(4),
        m=lambda: nn.BatchNorm2d(4),
    ),
    "padded by itself": headed(lambda s, x: s.d(F.pad(leaky(s.c(x)), (2, 0, 1, 0))), d=conv(4, 4, 3)),
    "averages": headed(lambda s, x: F.relu(s.d(F.avg_pool2d(leaky(s.c(x)), 2))), d=conv(4, 4, 3)),
    "averages that overlap": headed(lambda s, x: leaky(F.avg_pool2d(leaky(s.c(x)), 3, 2))),
    "added": headed(lambda s, x: leaky(leaky(s.c(x)) + s.d(x)), d=conv()),
    "added ahead of a kernel": headed(
        lambda s, x: s.d(F.relu(leaky(s.c(x)) - leaky(s.e(x)))), d=conv(4, 4, 3), e=conv()
    ),
    "twice": headed(lambda s, x: leaky(leaky(s.c(x)))),
    "joined": headed(
        lambda s, x: s.e(torch.cat([leaky(s.c(x)), F.relu(s.d(x)), s.a(s.g(x))], 1)), d=conv(3, 2), e=conv(10, 4),
        g=conv(), a=prelu(0.1, 0.2, 0.3, 0.4),
    ),
    "joined with sums": headed(lambda s, x: leaky(torch.cat([leaky(s.c(x)), s.d(x)], 1))[:, :4], d=conv(3, 2)),
    "joined with zeros": headed(lambda s, x: s.d(F.pad(leaky(s.c(x)), (0, 0, 0, 0, 1, 1))), d=conv(6, 4, 3)),
    "features joined": written(
        lambda s, x: s.f(torch.cat([leaky(s.c(x)).flatten(1), F.relu(s.d(x)).flatten(1)], 1)), c=conv(), d=conv(3, 2),
        f=linear(600),
    ),
    "channels": headed(lambda s, x: s.d(leaky(s.c(x))[:, 1:3]), d=conv(2, 4, 3)),
    "channels in another order": headed(
        lambda s, x: s.d(F.channel_shuffle(leaky(s.c(x)), 2)), d=conv(4, 4, 3, groups=2)
    ),
    "every second place": headed(lambda s, x: s.d(leaky(s.c(x))[:, :, ::2, ::2]), d=conv(4, 4, 3)),
    "a shift between": headed(lambda s, x: s.d(leaky(s.c(x)) * 0.5 - 0.25), d=conv(4, 4, 3, padding=1)),
    "flattened": flattened(lambda x: F.avg_pool2d(leaky(x - 0.1), 1).flatten(1)),
    "flattened by places": written(
        lambda s, x: s.f(leaky(s.c(x)).permute(0, 2, 3, 1).flatten(1)), c=conv(), f=linear(400)
    ),
    "averaged over the image": reduced(lambda x: leaky(x - 0.1).mean((2, 3))),
    "of features": written(
        lambda s, x: s.f(s.a(s.d(x.flatten(1)))), d=linear(432, 4), f=linear(), a=prelu(0.1, 0.2, 0.3, 0.4)
    ),
    "at the end": written(lambda s, x: leaky(s.f(x.flatten(1))), f=linear(432)),
    "means at the end": written(lambda s, x: leaky(s.c(x)).mean((2, 3)), c=conv(3, 5)),
    "of the samples": headed(lambda s, x: s.c(leaky(x - 0.5))),
    "of samples that are never negative": headed(lambda s, x: s.c(leaky(x))),
    "several outputs": written(
        lambda s, x: (s.f((a := leaky(s.c(x))).mean((2, 3))), s.g(a.flatten(1))), c=conv(), f=linear(), g=linear(400, 3)
    ),
}  # fmt: skip


BARE: dict[str, Maker] = {
    "two kernels": headed(lambda s, x: F.relu(s.d(s.c(x))), d=conv(4, 4, 3, padding=1)),
    "three kernels, normalised": headed(
        lambda s, x: s.e(s.n(s.d(s.c(x)))), d=conv(4, 4, 3, stride=2), e=conv(4, 4, 2), n=lambda: nn.BatchNorm2d(4)
    ),
    "features of a kernel": written(lambda s, x: s.f(s.c(x).flatten(1)), c=conv(), f=linear(400)),
    "features of a kernel, by places": written(
        lambda s, x: s.f(s.c(x).permute(0, 2, 3, 1).flatten(1)), c=conv(), f=linear(400)
    ),
    "padded in between": headed(lambda s, x: F.relu(s.d(F.pad(s.c(x), (1, 1)))), d=conv(4, 4)),
    "channels of a kernel": headed(lambda s, x: F.relu(s.d(s.c(x)[:, 1:3])), d=conv(2, 4)),
    "shuffled in between": headed(
        lambda s, x: F.relu(s.d(F.channel_shuffle(s.c(x), 2))), d=conv(4, 4, 3, groups=2)
    ),
    "a stem that two branches hear": headed(
        lambda s, x: F.relu(F.relu(s.d(a := s.c(x))) + F.relu(s.e(a))), d=conv(4, 4, 3, stride=2, padding=1),
        e=conv(4, 4, 1, stride=2),
    ),
    "a stem that is activated, too": headed(lambda s, x: s.d(a := s.c(x)) + F.relu(a), d=conv(4, 4, 3, padding=1)),
    "a stem that two kernels hear": headed(
        lambda s, x: s.d(a := s.c(x)) + s.e(a), d=conv(4, 4, 3, padding=1), e=conv(4, 4, 5, padding=2)
    ),
    "a sum of kernels": headed(lambda s, x: s.e(s.c(x) + s.d(x)), d=conv(), e=conv(4, 4, 3)),
    "a kernel that is an output": written(
        lambda s, x: (s.f(s.d(a := s.c(x)).mean((2, 3))), a.mean((2, 3))), c=conv(), d=conv(4, 4, 3), f=linear()
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", BARE)
def test_a_sum_without_an_activation_is_heard_from_both_sides(style: str) -> None:
    network = same(BARE[style], 3, 12, 12)
    assert sum("has two populations of its own" in note for note in network.notes) == 1 + (style[:5] == "three")


@pytest.mark.parametrize("style", LEAKY)
def test_a_model_with_leaky_relus_folds_into_its_own_outputs(style: str) -> None:
    same(LEAKY[style], 3, 12, 12)


def test_what_follows_hears_both_sides_and_the_factor_is_in_its_weights() -> None:
    network = same(LEAKY["a factor a channel, of any sign"], 3, 12, 12)
    assert names(network) == ["c", "c_negative", "f"]
    positive, negative = network.layers[2].incoming
    factors = np.array([0.3, 0.0, -0.5, 2.0], np.float32)
    np.testing.assert_allclose(negative.weights, -positive.weights * np.repeat(factors, len(positive.weights[0]) // 4))
    first, second = (layer.incoming[0].weights for layer in network.layers[:2])
    np.testing.assert_array_equal(first, -second)


def test_a_leaky_relu_that_changes_nothing_makes_no_population() -> None:
    assert names(same(LEAKY["of samples that are never negative"], 3, 12, 12)) == ["f"]


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("strelu", "steprelu")])
def test_integers_come_nearer_to_a_leaky_model_with_more_time_steps(method: str) -> None:
    model = seeded(LEAKY["ahead of kernels"])
    steps = (2, 8) if method == "spikeconverter" else (4, 64)
    errors = [error(model, IMAGES, timesteps, method) for timesteps in steps]
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.05


def test_what_is_random_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLayer) as error:
        same(headed(lambda s, x: F.rrelu(s.c(x), training=True)), 3, 12, 12)
    assert str(error.value) == (
        "Model 'Net' (call of rrelu): is random in evaluation too; pass training=self.training, or use nn.RReLU"
    )
