"""Maxima next to leaky ReLUs, behind negative factors, of bare sums: populations that fall are turned around."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import error, folded, names, same
from outside_models import Maker, conv, headed, linear, written
from spikeloom.errors import UnsupportedLayer
from spikeloom.storage import load, save
from spikeloom_convert import analyse, convert
from spikeloom_convert.folding.fold import fold
from spikeloom_convert.folding.inspection import inspect_model
from spikeloom_convert.folding.prepare import chain, prepare
from spikeloom_convert.reading.trace import trace
from spikeloom_convert.samples import FIT_SAMPLES, check
from torch import nn

IMAGES = np.random.default_rng(0).random((200, 3, 12, 12))
SIGNS = torch.tensor([1, -0.5, 0.7, -1.0]).view(4, 1, 1)


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


def largest(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 2)


def bent() -> nn.Module:
    """A PReLU whose factors are of both signs."""
    activation = nn.PReLU(4)
    activation.weight.data[:] = torch.tensor([-0.3, 0.2, 0.0, -1.5])
    return activation


FALLS_AND_RISES: dict[str, Maker] = {
    "some channels": headed(lambda s, x: s.d(largest(s.a(s.c(x)))), a=bent, d=conv(4, 4, 3, padding=1)),
    "all channels": headed(lambda s, x: largest(s.a(s.c(x))), a=lambda: nn.PReLU(1, -0.2)),
    "normalised between": headed(
        lambda s, x: s.d(largest(s.b(s.a(s.c(x))))), a=bent, b=lambda: nn.BatchNorm2d(4), d=conv(4, 4, 3, padding=1)
    ),
    "the largest, then bent": headed(lambda s, x: s.d(s.a(largest(s.c(x)))), a=bent, d=conv(4, 4, 3, padding=1)),
    "the largest behind factors of both signs, then bent": headed(
        lambda s, x: s.d(s.a(largest(SIGNS * s.c(x)))), a=bent, d=conv(4, 4, 3, padding=1)
    ),
    "windows that overlap and reach beyond the border": headed(
        lambda s, x: s.d(F.max_pool2d(s.a(s.c(x)), 3, 2, 1, ceil_mode=True)), a=bent, d=conv(4, 4, 3, padding=1)
    ),
    "two of them, as in MTCNN": headed(
        lambda s, x: s.e(F.max_pool2d(s.b(s.d(F.max_pool2d(s.a(s.c(x)), 3, 2, ceil_mode=True))), 2)), a=bent, b=bent,
        d=conv(4, 4, 2), e=conv(4, 4, 2),
    ),
    "joined": headed(
        lambda s, x: s.e(largest(torch.cat([F.relu(s.d(x)), s.a(s.c(x))], 1))), a=bent, d=conv(), e=conv(8, 4, 3)
    ),
    "some of the channels": headed(lambda s, x: s.d(largest(s.a(s.c(x)))[:, 1:3]), a=bent, d=conv(2, 4, 3)),
    "heard before, too": headed(
        lambda s, x: s.d(largest(a := s.a(s.c(x)))) + s.e(a), a=bent, d=conv(4, 4, 3, padding=1),
        e=conv(4, 4, 2, stride=2),
    ),
    "of the whole image": written(lambda s, x: s.f(s.a(s.c(x)).amax((2, 3))), a=bent, c=conv(), f=linear()),
    "added": headed(lambda s, x: F.relu(largest(s.a(s.c(x))) + largest(s.d(x))), a=bent, d=conv()),
}  # fmt: skip
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
    "places in a row": written(lambda s, x: s.f(leaky(s.c(x)).flatten(2).amax(2)), c=conv(), f=linear()),
    "next to channels of zeros": headed(
        lambda s, x: s.d(largest(F.pad(leaky(s.c(x)), (0, 0, 0, 0, 0, 2)))), d=conv(6, 4, 3)
    ),
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
    "channels of zeros": headed(
        lambda s, x: s.d(largest(-F.pad(-F.relu(s.c(x)), (0, 0, 0, 0, 0, 2)))), d=conv(6, 4, 3)
    ),
    "both ways, as outputs": written(
        lambda s, x: ((SIGNS * (a := F.relu(s.c(x)))).amax((2, 3)), (-SIGNS * a).amax((2, 3))), c=conv()
    ),
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


@pytest.mark.parametrize("make", [*FALLS_AND_RISES.values(), *LEAKY.values(), *FALLING.values(), *BARE.values()])
def test_maxima_fold_into_the_outputs_of_the_model_itself(make: Maker) -> None:
    same(make, 3, 12, 12)


def test_populations_are_turned_around_and_those_that_nobody_hears_are_gone() -> None:
    assert names(same(LEAKY["leaky, then the largest"], 3, 12, 12)) == ["c", "c_negative_turned", "f"]
    assert names(same(LEAKY["heard before, too"], 3, 12, 12)) == ["c", "c_negative", "c_negative_turned", "f"]
    assert names(same(LEAKY["pyramid of windows"], 3, 12, 12)) == ["c", "c_negative", "c_negative_turned", "f"]
    assert names(same(FALLING["some channels"], 3, 12, 12)) == ["c_turned", "f"]
    assert names(same(BARE["a kernel"], 3, 12, 12)) == ["c", "c_negative_turned", "d", "f"]
    mixed = headed(lambda s, x: s.e(largest(torch.cat([leaky(s.c(x)), -F.relu(s.d(x))], 1))), d=conv(), e=conv(8, 4, 3))
    assert names(same(mixed, 3, 12, 12)) == ["c", "d_turned", "c_negative_turned", "f"]
    some = ["c", "c_negative_turned", "c_larger", "f"]
    assert names(same(FALLS_AND_RISES["some channels"], 3, 12, 12)) == some
    assert names(same(FALLS_AND_RISES["heard before, too"], 3, 12, 12)) == ["c", "c_negative", *some[1:]]
    assert names(same(FALLS_AND_RISES["all channels"], 3, 12, 12)) == ["c", "c_negative", "c_larger", "f"]
    then = names(same(FALLS_AND_RISES["the largest, then bent"], 3, 12, 12))
    assert then == ["c", "c_negative_turned", "a", "a_negative", "f"]


def test_readouts_come_last_where_a_maximum_is_an_output() -> None:
    network = same(BARE["two outputs"], 3, 12, 12)
    assert [layer.fires for layer in network.layers] == [True] * 4 + [False] * 2


def test_samples_from_everywhere_tell_how_large_activations_get() -> None:
    louder = np.random.default_rng(0).random((64, 3, 128, 128)) * np.linspace(0.1, 1, 64)[:, None, None, None]
    model = seeded(FALLING["a minimum"])
    network = prepare(model, check(louder), None, None).network
    with torch.no_grad():
        largest_ones = F.relu(model.c(torch.from_numpy(louder[-1:]))).amax((0, 2, 3)).numpy()
    (turned,) = network.turned.values()
    assert (np.array(turned) > 0.999 * largest_ones).all()


def test_no_more_samples_tell_it_than_are_calibrated_on() -> None:
    many = check(np.random.default_rng(0).random((4000, 3, 4, 4)))
    assert len(chain(seeded(BARE["an output"]), check(IMAGES[:40]), None, None).taken(check(IMAGES[:40]))) == 40
    assert FIT_SAMPLES <= len(chain(nn.Conv2d(3, 4, 3), many, None, None).taken(many)) <= FIT_SAMPLES + 32


def test_analysis_takes_activations_to_be_as_large_as_the_calibration_had_them() -> None:
    model = seeded(LEAKY["leaky, then the largest"])
    network = convert(model, IMAGES / 2, timesteps=8, weight_bits=8)
    for loudness in (0.25, 0.75):
        found = analyse(model, network, IMAGES[:20] * loudness)
        errors = {layer.name: layer.integer_error for layer in found.layers}
        assert errors["c_negative_turned"] < 1e-4


def test_a_file_keeps_what_was_turned_and_says_nothing_where_nothing_was(tmp_path: Path) -> None:
    network = convert(seeded(FALLING["some channels"]), IMAGES[:40])
    save(network, tmp_path / "net.loom")
    assert load(tmp_path / "net.loom").provenance == network.provenance
    assert list(network.provenance.turned) == ["c_turned"]
    plain = convert(seeded(headed(lambda s, x: F.relu(s.c(x)))), IMAGES[:40])
    save(plain, tmp_path / "plain.loom")
    assert b'"turned"' not in (tmp_path / "plain.loom").read_bytes()
    assert load(tmp_path / "plain.loom").provenance == plain.provenance


@pytest.mark.parametrize("turned", [{"c_turned": (1.0,)}, {"c_turned": (0.0, 1.0, 1.0, 1.0)}, {"d_turned": (1.0,)}])
def test_what_was_turned_of_another_model_is_passed_over(turned: dict[str, tuple[float, ...]]) -> None:
    prepared = prepare(seeded(FALLING["some channels"]), check(IMAGES[:4]), None, None, turned)
    assert prepared.network.turned == folded(seeded(FALLING["some channels"]), IMAGES[:4]).turned


def test_without_samples_nothing_is_turned() -> None:
    traced = trace(seeded(FALLING["some channels"]), IMAGES[:1])
    with pytest.raises(UnsupportedLayer) as error:
        fold(traced.name, (3, 12, 12), traced.operations)
    assert str(error.value) == (
        "Layer 'c' (Conv2d): must be folded with samples, which tell how large its activations get; give some"
    )


def test_check_names_the_populations_there_are() -> None:
    model = seeded(LEAKY["leaky, then the largest"])
    report = inspect_model(model, check(IMAGES[:4]))
    assert report.convertible
    assert [node.becomes for node in report.nodes if node.kind == "leaky_relu"] == [
        "thresholds of populations 'c', 'c_negative_turned'"
    ]
    assert list(report.neurons) == ["c", "c_negative_turned", "f"]


@pytest.mark.parametrize("make", [LEAKY["as Darknet"], BARE["a kernel"]])
def test_check_lists_a_model_whose_populations_hear_what_is_not_supported(make: Maker) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = make()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(torch.sin(x))

    report = inspect_model(seeded(Net), check(IMAGES[:4]))
    (problem,) = report.problems
    assert problem.startswith("Model 'Net' (call of sin): is not supported")
    assert [node.kind for node in report.nodes if node.status == "unsupported"] == ["sin"]


@pytest.mark.parametrize(
    "make",
    [LEAKY["as Darknet"], FALLING["some channels"], BARE["a kernel"], FALLS_AND_RISES["two of them, as in MTCNN"]],
)
def test_integers_come_nearer_with_more_time_steps(make: Maker) -> None:
    model = seeded(make)
    errors = [error(model, IMAGES, timesteps) for timesteps in (2, 8)]
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    {
        "a leaky ReLU that falls below zero, pooled twice": (
            headed(lambda s, x: largest(largest(s.a(s.c(x)))), a=lambda: nn.PReLU(1, -0.2)),
            "Layer 'a' (PReLU): must have no negative factors next to max pooling but where it is the first to follow; "
            "use ReLU, or average pooling",
        ),
        "a leaky ReLU that falls on either side of zero": (
            headed(lambda s, x: largest(-s.a(s.c(x))), a=lambda: nn.PReLU(1, -0.2)),
            "Layer 'a' (PReLU): must have no negative factors next to max pooling but where it is the first to follow; "
            "use ReLU, or average pooling",
        ),
        "a negative factor behind a maximum": (
            headed(lambda s, x: largest(SIGNS * largest(F.relu(s.c(x))))),
            "Model 'Net' (call of max_pool2d): must take values whose batch norm has no negative factors; pool ahead "
            "of the batch norm",
        ),
        "a negative factor between maxima of a sum": (
            headed(lambda s, x: F.relu(largest(SIGNS * largest(s.c(x))))),
            "Model 'Net' (call of max_pool2d): must take values whose batch norm has no negative factors; pool ahead "
            "of the batch norm",
        ),
        "windows over what is reshaped": (
            written(lambda s, x: s.f(F.max_pool1d(leaky(s.c(x)).flatten(2), 3).flatten(1)), c=conv(), f=linear(132)),
            "Model 'Net' (call of max_pool1d): must get the axes of the layer before it, (4, 10, 10), not reshaped to "
            "(4, 1, 100)",
        ),
        "features of sums of two sizes": (
            written(
                lambda s, x: s.f(torch.cat([s.c(x).flatten(1), s.d(x).flatten(1)], 1)), c=conv(), d=conv(3, 4, 4),
                f=linear(724),
            ),
            "Model 'Net' (call of cat): must join images of one size before their activation; put ReLUs ahead of it",
        ),
        "nothing but zeros": (
            headed(lambda s, x: F.pad(F.relu(s.c(x)), (0, 0, 0, 0, 0, 4))[:, 4:]),
            "Layer 'f' (Linear): must take something of the samples, not zeros alone; remove it",
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
