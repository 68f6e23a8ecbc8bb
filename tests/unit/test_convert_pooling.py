"""Pooling windows that overlap, leave places out or reach beyond the border: folded exactly, converted, run."""

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from folding import names, same
from spikeloom import Dense, golden
from spikeloom.errors import UnsupportedLayer
from spikeloom.golden.synapses import maxima
from spikeloom.network import Network
from spikeloom.trace import require_equal
from spikeloom.windows import Windows
from spikeloom_convert import convert
from torch import nn

POOLS = {
    "overlapping": nn.MaxPool2d(3, 2),
    "padded": nn.MaxPool2d(3, 2, 1),
    "dense": nn.MaxPool2d(3, 1, 1),
    "apart": nn.MaxPool2d(2, 3),
    "one axis": nn.MaxPool2d((1, 3), (1, 2), (0, 1)),
    "ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "ceil of tiles": nn.MaxPool2d(4, ceil_mode=True),
    "ceil and padding": nn.MaxPool2d(3, 4, 1, ceil_mode=True),
    "larger than the image": nn.Sequential(nn.MaxPool2d((4, 1)), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.MaxPool2d(3, 1, 1)),
    "one after the other": nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 1, 1)),
    "mean, overlapping": nn.AvgPool2d(3, 2),
    "mean, padded": nn.AvgPool2d(3, 2, 1),
    "mean, divided by another number": nn.AvgPool2d(2, 1, divisor_override=3),
}


OUTSIDE = "pool_ahead and pool_behind must be at most (1, 1), not (2, 0) and (0, 0)"
SIDE_BY_SIDE = "average pooling must have windows side by side, not of (2, 2) every (1, 1)"


def pooled(pool: nn.Module) -> nn.Module:
    """Convolution, ReLU, pooling, convolution, ReLU, mean, classes; for samples of 2x11x12."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.ReLU(),
            pool,
            nn.Conv2d(4, 5, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 3),
        )
    )


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
def test_any_pooling_folds_into_the_models_own_outputs(pool: nn.Module) -> None:
    same(pooled(pool), 2, 11, 12)


def test_maxima_are_taken_on_the_connection_and_overlapping_means_are_a_population() -> None:
    assert names(same(pooled(POOLS["padded"]), 2, 11, 12)) == ["conv0", "conv3", "fc7"]
    assert len(same(pooled(POOLS["mean, overlapping"]), 2, 11, 12).layers) == 4


@pytest.mark.parametrize("pool", [POOLS["padded"], POOLS["ceil"]], ids=["padded", "ceil"])
def test_batch_norms_and_activations_on_either_side_of_the_pooling_fold(pool: nn.Module) -> None:
    for layers in ((nn.BatchNorm2d(4), pool, nn.ReLU()), (nn.ReLU(), nn.BatchNorm2d(4), pool)):
        same(
            lambda layers=layers: nn.Sequential(
                nn.Conv2d(2, 4, 3), *layers, nn.Flatten(), nn.Linear(100, 3)
            ),
            2, 12, 12,
        )  # fmt: skip


def test_maxima_of_sequences_may_overlap() -> None:
    same(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3), nn.ReLU(), nn.MaxPool1d(3, 2, 1), nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(24, 3),
        ),
        2, 21,
    )  # fmt: skip


def test_two_maxima_of_which_the_first_leaves_places_out_are_refused() -> None:
    for pools in ((nn.MaxPool2d(2, 3), nn.MaxPool2d(2)), (nn.MaxPool2d(4, 2), nn.MaxPool2d(3, 1, 1))):
        with pytest.raises(
            UnsupportedLayer, match=r"'2\.1'.* must not follow max pooling whose windows leave places out"
        ):
            same(pooled(nn.Sequential(*pools)), 2, 13, 13)


def test_windows_of_maxima_of_maxima_are_those_of_both() -> None:
    rng, made = np.random.default_rng(0), 0
    for _ in range(400):
        height, width = (int(size) for size in rng.integers(3, 12, 2))
        first, second = (_any_windows(rng) for _ in range(2))
        if first.violations((1, height, width), "max") or second.violations((1, *first.outputs(height, width)), "max"):
            continue
        x = torch.from_numpy(rng.random((1, 1, height, width)))
        if (both := first.then(second, height, width)) is not None:
            assert torch.equal(maxima(x, both), maxima(maxima(x, first), second)), (first, second)
            made += 1
    assert made > 100


def _any_windows(rng: np.random.Generator) -> Windows:
    size = [int(extent) for extent in rng.integers(1, 5, 2)]
    draw = [[int(rng.integers(low, side + more)) for side in size] for low, more in ((1, 2), (0, 0), (0, 0))]
    return Windows(*((a, b) for a, b in (size, *draw)))


@pytest.mark.parametrize("name", ["overlapping", "padded", "ceil", "apart", "mean, padded"])
def test_converted_networks_follow_the_model_and_both_forms_agree(name: str, tmp_path) -> None:
    model, x = pooled(POOLS[name]), pixels(60, 2, 11, 12)
    network = convert(model, x, timesteps=8, weight_bits=8)
    require_equal(golden.run(network, x[:4]), golden.run_values(network, x[:4]))
    with torch.no_grad():
        expected = model(torch.from_numpy(x).double() / 255).numpy()
    logits = golden.evaluate(network, x) * network.readouts[0].scale
    assert np.corrcoef((logits - logits.mean(0)).ravel(), (expected - expected.mean(0)).ravel())[0, 1] > 0.98
    network.save(tmp_path / "net.loom")
    assert Network.load(tmp_path / "net.loom").digest == network.digest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pool": (3, 3)}, "pool must be between 1 and the source's (2, 8), not (3, 3)"),
        ({"pool": (2, 2), "pool_stride": (0, 1)}, "pool_stride must be two integers in 1..65536, not (0, 1)"),
        ({"pool": (2, 2), "pool_ahead": (2, 0)}, OUTSIDE),
        ({"pool": (2, 2), "pool_kind": "average", "pool_stride": (1, 1)}, SIDE_BY_SIDE),
    ],
)  # fmt: skip
def test_windows_that_cannot_be_are_said(given: dict, message: str) -> None:
    assert Dense(**{"pool_kind": "max"} | given).violations((1, 2, 8), (3, 1, 1)) == [message]


def test_tiles_are_windows_side_by_side() -> None:
    assert Windows.tiles((2, 3)).outputs(7, 7) == (3, 2)
    assert Windows((3, 3), (2, 2), (1, 1), (1, 1)).outputs(32, 32) == (16, 16)


@pytest.mark.parametrize("end", ["activations", "means", "maxima", "maps"])
def test_activations_may_be_the_outputs(end: str) -> None:
    layers = {
        "activations": [nn.Flatten(), nn.Linear(4 * 9 * 10, 3), nn.ReLU()],
        "means": [nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        "maxima": [nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()],
        "maps": [nn.BatchNorm2d(4)],
    }[end]
    network = same(lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), *layers), 2, 11, 12)
    assert network.notes[-1].endswith("has a readout of its own: the outputs are activations")


def test_a_network_that_ends_in_a_mean_of_activations_is_converted() -> None:
    model = seeded(
        lambda: nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    )
    x = pixels(60, 2, 11, 12)
    network = convert(model, x, timesteps=8, weight_bits=8)
    with torch.no_grad():
        expected = model(torch.from_numpy(x).double() / 255).flatten(1).numpy()
    logits = golden.evaluate(network, x) * network.readouts[0].scale
    assert np.corrcoef((logits - logits.mean(0)).ravel(), (expected - expected.mean(0)).ravel())[0, 1] > 0.98
