"""The sweep: each point is the conversion at that T, on the test samples."""

from typing import Any

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from spikeloom import InvalidData, InvalidNetwork
from spikeloom.energy import energy, macs
from spikeloom.measure import measure
from spikeloom_convert import convert, sweep
from torch import nn

X, TEST = pixels(30, 1, 4, 4), pixels(20, 1, 4, 4, seed=1)
Y = np.random.default_rng(0).integers(0, 3, 20)


def model() -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)))


@pytest.mark.parametrize(
    "settings", [{"weight_bits": 5}, {"method": "qcfs", "weight_bits": 8}, {"mean": 0.5, "std": 0.25, "code": "naf"}]
)
def test_points_are_the_conversions_at_their_time_steps(settings: dict[str, Any]) -> None:
    seen: list[tuple[int, int, str]] = []
    found = sweep(
        model(), X, TEST, Y, timesteps=[6, 2], settings=settings,
        progress=lambda done, total, what: seen.append((done, total, what)),
    )  # fmt: skip
    assert [point.timesteps for point in found.points] == [2, 6]
    for point in found.points:
        network = convert(model(), X, timesteps=point.timesteps, **settings)
        result = measure(network, TEST, Y)
        assert point.digest == network.digest
        assert (point.accuracy, point.sops) == (result.accuracy, result.sops_per_inference)
        assert point.energy == energy(sum(macs(network).values()), point.sops)
    x = torch.from_numpy(TEST / 255.0)
    if "mean" in settings:
        x = (x - 0.5) / 0.25
    with torch.no_grad():
        own = model()(x).argmax(1).numpy()
    assert found.accuracy_ann == float((own == Y).mean())
    assert (found.method, found.samples) == (settings.get("method", "spikeconverter"), 20)
    assert {"T=2, layers calibrated", "T=2, samples run", "T=6, samples run"} <= {what for _, _, what in seen}


REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "too long": ([2, 17], "spikeconverter", "1..16 for method spikeconverter, not 2, 17"),
    "too long for all": ([300], "qcfs", "1..256 for method qcfs, not 300"),
    "none": ([], "qcfs", "1..256 for method qcfs, not none"),
    "twice": ([4, 4], "qcfs", "1..256 for method qcfs, not 4, 4"),
    "no integer": ([4, 2.5], "spikeconverter", "1..16 for method spikeconverter, not 4, 2.5"),
}


@pytest.mark.parametrize(("timesteps", "method", "said"), REFUSED.values(), ids=REFUSED)
def test_time_steps_that_the_method_does_not_take_are_refused_first(
    timesteps: list[Any], method: str, said: str
) -> None:
    with pytest.raises(InvalidNetwork) as error:
        sweep(model(), X, TEST, Y, timesteps=timesteps, settings={"method": method})
    assert str(error.value) == f"Sweep: timesteps must be different integers in {said}"


def test_an_unknown_method_is_refused_as_convert_does() -> None:
    with pytest.raises(InvalidNetwork) as error:
        sweep(model(), X, TEST, Y, timesteps=[2], settings={"method": "ttfs"})
    assert str(error.value).startswith("Convert: method must be one of spikeconverter, ")


def test_labels_that_do_not_match_are_refused() -> None:
    with pytest.raises(InvalidData) as error:
        sweep(model(), X, TEST, Y[:3], timesteps=[2])
    assert str(error.value) == "Labels: must be 20 integers, one a sample, not int64 of shape (3,)"
