"""Input codes: the range of floats that they stand for."""

import numpy as np
import pytest
import torch
from spikeloom import golden
from spikeloom.errors import SpikeloomError
from spikeloom_convert import convert
from spikeloom_convert.samples import Samples, input_ranges
from torch import nn

SIGNALS = np.random.default_rng(0).normal(size=(200, 2, 40)).astype(np.float32)


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()


def with_noise(value: float) -> np.ndarray:
    x = SIGNALS.copy()
    x[3, 1, 7] = value
    return x


@pytest.mark.parametrize("value", [30.0, -30.0, 1000.0, 1e6])
@pytest.mark.parametrize("timesteps", [4, 8])
def test_one_spike_of_noise_does_not_make_the_input_coarse(value: float, timesteps: int) -> None:
    model, errors = classifier(), []
    with torch.no_grad():
        expected = model(torch.from_numpy(SIGNALS)).numpy()
    for x in (SIGNALS, with_noise(value)):
        network = convert(model, x, timesteps=timesteps, weight_bits=8)
        errors.append(np.square(golden.evaluate(network, SIGNALS) * network.readouts[0].scale - expected).mean())
        cut = [note for note in network.provenance.notes if note.startswith("samples are cut to ")]
        assert bool(cut) == (len(errors) == 2)
    assert errors[1] < 2 * errors[0] + 0.02 * expected.var()
    assert f"to {value:g}" in cut[0] if value > 0 else f"from {value:g} to" in cut[0]


@pytest.mark.parametrize("value", [1e2, 1e4, 1e6])
def test_a_sentinel_among_few_samples_does_not_either(value: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
    usual = np.delete(x, 3, 0)
    x[3, 3] = value
    with torch.no_grad():
        expected = model(torch.from_numpy(usual)).numpy()
    network = convert(model, x, timesteps=8, weight_bits=8)
    got = golden.evaluate(network, usual) * network.readouts[0].scale
    assert np.square(got - expected).mean() < 0.05 * expected.var()


def test_values_that_float32_does_not_hold_are_no_traceback() -> None:
    with pytest.raises(SpikeloomError):
        convert(classifier(), SIGNALS.astype(np.float64) * 1e39, timesteps=4)


def test_the_range_is_that_of_all_samples_where_codes_are_fine_or_values_even() -> None:
    even = np.linspace(-2, 3, 4000, dtype=np.float32).reshape(40, 100)
    assert input_ranges(Samples(even, None), 8)[0] == (-2.0, 3.0)
    bright = np.abs(even)
    for low, high in input_ranges(Samples(bright, None), 4)[:2]:
        assert (low, high) == pytest.approx((0.0, 3.0), abs=0.1)


@pytest.mark.parametrize("x", [np.arange(200, dtype=np.uint8).reshape(20, 10), np.linspace(0, 1, 200).reshape(20, 10)])
def test_pixels_keep_their_range(x: np.ndarray) -> None:
    assert input_ranges(Samples(x, None), 2) == [(0.0, 1.0)]


def test_of_many_silent_values_some_spikes_are_signal() -> None:
    x = np.zeros((100, 200), np.float32)
    x[:, ::50] = 5.0  # two in a hundred
    x[:, 1::50] = -1.0
    assert input_ranges(Samples(x, None), 4)[0] == (-1.0, 5.0)
    torch.manual_seed(0)
    network = convert(nn.Linear(200, 3).eval(), x * np.random.default_rng(0).random((100, 200)), timesteps=4)
    assert network.inputs[0].high > 4.0
