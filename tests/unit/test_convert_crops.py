"""Crops: some rows, columns or time steps of what a layer gives, as temporal convolutional networks take them."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import same
from outside_crops import IMAGES, SEQUENCES, TCN, row, sequence
from outside_models import conv, headed, linear, written
from spikeloom import golden
from spikeloom.errors import UnsupportedLayer
from spikeloom_convert import convert, inspect_model
from spikeloom_convert.float_network import FloatNetwork
from spikeloom_convert.methods import METHODS
from spikeloom_convert.samples import check
from torch import nn

STEPS = np.random.default_rng(0).random((40, 3, 13))


def tcn() -> TCN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of weight_norm, as the reference writes it
        return TCN(3, 5, (6, 6))


def kernels(network: FloatNetwork) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Kernel and padding of every first connection that is a convolution."""
    found = (layer.incoming[0].geometry for layer in network.layers)
    return [(geometry.kernel, geometry.padding) for geometry in found if geometry.kind == "conv2d"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("style", SEQUENCES)
def test_a_model_that_crops_sequences_folds_into_its_own_outputs(style: str) -> None:
    network = same(SEQUENCES[style], 3, 13)
    shapes = {"input": network.input_shape} | {layer.name: layer.shape for layer in network.layers}
    for layer in network.layers:
        for item in layer.incoming:
            assert item.geometry.violations(shapes[item.source], layer.shape) == []


@pytest.mark.parametrize("style", IMAGES)
def test_a_model_that_crops_images_folds_into_its_own_outputs(style: str) -> None:
    same(IMAGES[style], 3, 12, 12)


def test_a_temporal_block_is_three_populations_and_the_last_step_weights_of_the_last_one() -> None:
    network = same(tcn, 3, 13)
    assert [(layer.name, layer.shape) for layer in network.layers] == [
        ("network_0_conv1", (6, 1, 13)), ("network_0_conv2", (6, 1, 13)), ("network_0_downsample", (6, 1, 13)),
        ("network_1_conv1", (6, 1, 13)), ("network_1_conv2", (6, 1, 13)), ("network_1", (6, 1, 13)),
        ("linear", (5, 1, 1)),
    ]  # fmt: skip
    assert kernels(network)[0] == ((1, 5), (0, 2))
    assert not network.layers[0].incoming[0].weights[..., 3:].any()
    (heard,) = network.layers[-1].incoming
    weights = heard.weights.reshape(5, 6, 13)
    assert weights[..., 12].all()
    assert not weights[..., :12].any()


def test_a_crop_ahead_is_a_rim_and_a_crop_behind_less_padding() -> None:
    assert kernels(same(SEQUENCES["cropped ahead"], 3, 13)) == [((1, 5), (0, 2))]
    assert kernels(same(SEQUENCES["cropped behind by more than the padding"], 3, 13)) == [((1, 8), (0, 2))]
    assert kernels(same(SEQUENCES["cropped on both sides"], 3, 13)) == [((1, 5), (0, 1))]


def test_rims_are_no_wider_than_a_stride_asks_for() -> None:
    plain, stepped = (sequence(lambda s, x, a=a: F.relu(s.c(x)[:, :, ::a]), c=row(padding=1)) for a in (1, 2))
    assert kernels(same(plain, 3, 13)) == kernels(same(stepped, 3, 13)) == [((1, 3), (0, 1))]
    assert kernels(same(SEQUENCES["a step"], 3, 13)) == [((1, 4), (0, 1))]


def test_zeros_ahead_of_a_crop_make_the_population_itself_smaller() -> None:
    for style in ("behind the activation, ahead of padding", "leaky, ahead of padding"):
        network = same(SEQUENCES[style], 3, 13)
        assert {layer.shape for layer in network.layers[:-2]} == {(4, 1, 13)}
    network = same(SEQUENCES["behind the activation"], 3, 13)
    assert network.layers[0].shape == (4, 1, 15)


def test_a_population_that_something_else_hears_keeps_its_size_and_its_range() -> None:
    make = sequence(
        lambda s, x: F.relu(s.d((b := F.relu(a := F.relu(s.c(x))))[:, :, :-2])) + a[:, :, 1:-1] + 0 * b[:, :, 2:],
        d=row(4, 4, padding=1),
    )
    with pytest.raises(UnsupportedLayer, match=r"Layer 'd' \(Conv1d\): padding must be 0 where its images are cropped"):
        same(make, 3, 13)
    clipped = headed(lambda s, x: F.relu6(F.relu(a := F.relu(30 * s.c(x)))) + F.relu(s.d(a)), d=conv(4, 4, 1))
    assert [layer.clip for layer in same(clipped, 3, 12, 12).layers[:2]] == [None, 6.0]


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("strelu", "steprelu")])
def test_integers_come_nearer_to_a_temporal_model_with_more_time_steps(method: str) -> None:
    model = seeded(tcn)
    with torch.no_grad():
        expected = model(torch.from_numpy(STEPS)).numpy()
    errors = []
    for timesteps in (2, 8) if method == "spikeconverter" else (4, 64):
        network = convert(model, STEPS, method=method, timesteps=timesteps, weight_bits=8)
        potentials = golden.evaluate(network, STEPS) * network.readouts[0].scale
        errors.append(((potentials - expected) ** 2).mean() / expected.var())
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.05


def test_inspection_says_where_a_crop_went() -> None:
    model = written(
        lambda s, x: s.f(F.relu(s.d(F.relu(s.c(x)[:, :, :-2])[:, :, 1:]))[:, :, -1]), c=row(padding=2), d=row(4, 4),
        f=linear(),
    )  # fmt: skip
    report = inspect_model(model(), check(STEPS))
    assert report.convertible
    assert [(node.kind, node.status, node.becomes) for node in report.nodes if node.kind == "getitem"] == [
        ("getitem", "folded", "folded into 'c'"),
        ("getitem", "ok", "rows and columns on the connection to 'd'"),
        ("getitem", "ok", "rows and columns on the connection to 'f'"),
    ]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("style", [*SEQUENCES, *IMAGES])
def test_what_converts_is_found_convertible(style: str) -> None:
    shape = (3, 13) if style in SEQUENCES else (3, 12, 12)
    make = SEQUENCES.get(style) or IMAGES[style]
    report = inspect_model(make(), check(np.random.default_rng(0).random((4, *shape))))
    assert report.problems == ()
    assert "what follows" not in str(report.nodes)


CROPPED = (
    "padding must be 0 where its images are cropped, as zeros would have to stand for the places left out; crop the "
    "samples beforehand, or what the layer gives"
)
WINDOWS = "must not follow a crop that its windows do not fit without an activation between them"
REFUSED = {
    "samples, ahead of padding": (
        sequence(lambda s, x: F.relu(s.c(x[:, :, 2:]))), f"Layer 'c' (Conv1d): {CROPPED}"),
    "samples, behind": (sequence(lambda s, x: F.relu(s.c(x[:, :, :-1]))), f"Layer 'c' (Conv1d): {CROPPED}"),
    "samples, padded by itself": (
        sequence(lambda s, x: F.relu(s.c(F.pad(x[:, :, 2:], (1, 0)))), c=row()), f"Layer 'c' (Conv1d): {CROPPED}"),
    "parts of a population that is heard whole": (
        sequence(lambda s, x: F.relu(s.d((a := F.relu(s.c(x)))[:, :, :-2]) + s.e(a)), d=row(4, 4, padding=1),
                 e=row(4, 4)), f"Layer 'd' (Conv1d): {CROPPED}"),
    "averages of maxima": (
        sequence(lambda s, x: F.relu(s.d(F.avg_pool1d(F.max_pool1d(F.relu(s.c(x)), 2), 2)[:, :, 1:])),
                 d=row(4, 4, padding=1)),
        "Layer 'd' (Conv1d): padding must be 0 behind an average over a maximum that leaves a rest, or is cropped"),
    "maxima of samples": (
        sequence(lambda s, x: F.relu(s.c(F.max_pool1d(x[:, :, 1:], 2)))),
        f"Model 'Net' (call of max_pool1d): {WINDOWS}"),
    "maxima beyond another border": (
        sequence(lambda s, x: F.relu(s.c(F.max_pool1d(x[:, :, 2:], 2, 2, 1)))),
        f"Model 'Net' (call of max_pool1d): {WINDOWS}"),
    "maxima of every second step": (
        sequence(lambda s, x: F.relu(s.c(F.max_pool1d(x[:, :, ::2], 2)))),
        f"Model 'Net' (call of max_pool1d): {WINDOWS}"),
    "averages of every second step": (
        sequence(lambda s, x: F.relu(s.c(F.avg_pool1d(x[:, :, ::2], 2)))),
        "Model 'Net' (call of avg_pool1d): must not follow a slice that leaves rows or columns out between others; "
        "put a ReLU between them"),
    "zeros": (
        sequence(lambda s, x: F.relu(s.c(F.pad(x, (2, 2))[:, :, 1:]))),
        "Model 'Net' (call of getitem): must not follow zeros around images; pad for a Conv2d only"),
    "moved axes": (
        sequence(lambda s, x: F.relu(s.d(F.relu(s.c(x)).transpose(1, 2)[:, :, 1:])), d=row(15, 4)),
        "Model 'Net' (call of getitem): must take the axes of (4, 15) in their own order, not moved to (15, 4); put "
        "them back first, or flatten them for a Linear; samples are stored as (N, C, H, W) or (N, C, L)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_be_exact_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedLayer) as error:
        same(make, 3, 13)
    assert str(error.value) == message


@pytest.mark.parametrize("seed", range(40))
def test_any_crops_between_layers_are_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def crop(x: torch.Tensor, first: tuple[int, int], last: tuple[int, int], step: tuple[int, int]) -> torch.Tensor:
        return x[:, :, first[0] : x.shape[2] - last[0] : step[0], first[1] : x.shape[3] - last[1] : step[1]]

    def pairs(*choices: int) -> tuple[int, int]:
        return int(rng.choice(choices)), int(rng.choice(choices))

    crops = [(pairs(0, 0, 1, 2, 3), pairs(0, 1, 2), pairs(1, 1, 1, 2, 3)) for _ in range(2)]
    first, second = (
        conv(*size, pairs(1, 2, 3), stride=pairs(1, 1, 2), padding=pairs(*pad), groups=int(rng.choice((1, 2))))
        for size, pad in (((2, 4), (0, 1, 2)), ((4, 4), (0, 0)))
    )
    make = headed(
        lambda s, x: F.relu(s.d(crop(F.relu(s.c(x) if seed % 2 else crop(s.c(x), *crops[0])), *crops[1]))), c=first,
        d=second,
    )  # fmt: skip
    same(nn.Sequential(nn.Identity(), seeded(make, seed)), 2, 43, 45, seed=seed)


@pytest.mark.parametrize("style", ["early", "shifted", "averaged"])
def test_activations_beside_others_that_are_all_of_one_weight_are_not_lost(style: str) -> None:
    make = {
        "early": written(
            lambda s, x: s.f(F.relu(F.relu(s.d(a := F.relu(s.c(x)))[:, :, -1:]) + a[:, :, -1:])[:, :, 0]),
            c=row(padding=2), d=row(4, 4, padding=1), f=linear(),
        ),
        "shifted": sequence(lambda s, x: F.relu((a := F.relu(s.c(x)))[:, :, 2:] + F.relu(s.d(a))), d=row(4, 4)),
        "averaged": sequence(
            lambda s, x: F.relu(F.avg_pool1d(a := F.relu(s.c(x)), 3) + F.relu(s.d(a))), d=row(4, 4, 3, stride=3)
        ),
    }[style]  # fmt: skip
    model = seeded(make)
    with torch.no_grad():
        expected = model(torch.from_numpy(STEPS)).numpy()
    network = convert(model, STEPS, timesteps=8, weight_bits=8)
    potentials = golden.evaluate(network, STEPS) * network.readouts[0].scale
    assert ((potentials - expected) ** 2).mean() < 1e-5 * expected.var()
