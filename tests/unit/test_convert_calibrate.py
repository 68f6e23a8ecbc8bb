"""Thresholds: the step of least expected conversion error, and the rounding of weights that goes before it."""

import numpy as np
import pytest
import torch
from convert_models import pixels
from spikeloom.geometry import Conv2d, Dense
from spikeloom_convert.float_network import connect
from spikeloom_convert.quantising.calibrate import MOST_GAIN, RULES, Rule, codes, conversion_errors, half_steps, worth
from spikeloom_convert.quantising.rounding import BLOCK_COLUMNS, covariances, nearest, round_weights, weight_scales

ALL_RULES = pytest.mark.parametrize("rule", RULES, ids=str)


def toy(channels: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Potentials, activations that they stand for up to some noise, and the value of a unit."""
    generator = torch.Generator().manual_seed(seed)
    unit = torch.tensor([0.02, 0.05, 0.011], dtype=torch.float64)[:channels]
    real = torch.randn(channels, 400, generator=generator, dtype=torch.float64) * torch.tensor([[1.0], [2.0], [0.3]])
    noise = torch.randn(channels, 400, generator=generator, dtype=torch.float64) * 0.01
    return (real / unit[:, None]).round(), (real + noise).clamp(min=0.0), unit


def error_by_hand(potential: np.ndarray, activation: np.ndarray, unit: float, half: int, top: int, power: int) -> float:
    """Eq. 13 in plain Python integers."""
    total = 0.0
    for v, u in zip(potential.astype(int), activation, strict=True):
        y = min(max((int(v) + half) // (2 * half), 0), top)
        total += abs(u - 2 * half * unit * y) ** power
    return total / len(potential)


@pytest.mark.parametrize("power", [1, 2])
def test_conversion_error_is_the_mean_distance_of_what_goes_in_and_what_comes_out(power: int) -> None:
    potentials, activations, unit = toy()
    half = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    errors = conversion_errors(potentials, activations, unit, half, 15, power)
    by_hand = [
        error_by_hand(potentials[c].numpy(), activations[c].numpy(), float(unit[c]), int(half[c]), 15, power)
        for c in range(3)
    ]
    assert errors.tolist() == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("top", [3, 15])
def test_the_step_of_a_channel_is_the_minimiser_found_by_brute_force(power: int, top: int) -> None:
    potentials, activations, unit = toy()
    found = half_steps(potentials, activations, unit, top, Rule(True, power))
    for channel in range(3):
        v, u, s = potentials[channel].numpy(), activations[channel].numpy(), float(unit[channel])
        every = {half: error_by_hand(v, u, s, half, top, power) for half in range(1, 60)}
        least = min(every.values())
        got = every[int(found[channel])]
        assert got <= 1.01 * least  # the grid may miss the best integer, not by more


@pytest.mark.parametrize("power", [1, 2])
def test_the_step_of_a_layer_is_the_minimiser_found_by_brute_force(power: int) -> None:
    potentials, activations, unit = toy()
    found = half_steps(potentials, activations, unit, 15, Rule(False, power))

    def total(step: float) -> float:
        half = (step / (2 * unit)).round().clamp(min=1)
        return float(conversion_errors(potentials, activations, unit, half, 15, power).sum())

    least = min(total(step) for step in np.linspace(0.02, 1.0, 500))
    got = float(conversion_errors(potentials, activations, unit, found, 15, power).sum())
    assert got <= 1.02 * least
    steps = 2 * found * unit
    assert float(steps.max() / steps.min()) < 1.35  # as equal as whole units allow


@ALL_RULES
def test_steps_never_exceed_what_a_clip_allows(rule: Rule) -> None:
    potentials, activations, unit = toy()
    most = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    assert bool((half_steps(potentials, activations, unit, 3, rule, most) <= most).all())


@ALL_RULES
def test_silent_channels_have_a_step_too(rule: Rule) -> None:
    potentials, activations, unit = toy()
    activations[1] = 0.0
    assert bool((half_steps(potentials, activations, unit, 15, rule) >= 1).all())
    assert half_steps(potentials, activations * 0, unit, 15, rule).tolist() == [1.0, 1.0, 1.0]


def test_codes_round_to_the_nearest_step_halves_up() -> None:
    potentials = torch.arange(-4.0, 12.0)[None]
    assert codes(potentials, torch.tensor([2.0]), 2)[0].tolist() == [0.0] * 6 + [1.0] * 4 + [2.0] * 6


def dense(outputs: int, inputs: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(outputs, inputs)))


def correlated(samples: int, inputs: int) -> torch.Tensor:
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(samples, 5)) @ rng.normal(size=(5, inputs)) + 0.3 * rng.normal(size=(samples, inputs))
    return torch.from_numpy(np.clip(np.round(mixed * 3 + 7), 0, 15)).float()[:, :, None, None]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounded_weights_fit_their_bits_and_do_better_than_the_nearest(bits: int) -> None:
    weights, x = dense(6, 40), correlated(500, 40)
    largest = (1 << (bits - 1)) - 1
    blocks = covariances(Dense(), 6, x, seed=0)
    scale = weight_scales(weights, blocks, largest, shared=False)
    rounded = round_weights(weights, scale, blocks, largest)
    assert bool((rounded == rounded.round()).all())
    assert float(rounded.abs().max()) <= largest

    def error(integers: torch.Tensor) -> float:
        off = x.flatten(1).double() @ (weights - integers * scale[:, None]).T
        return float((off - off.mean(0)).square().mean())

    assert error(rounded) < 0.5 * error(nearest(weights, scale, largest))


def test_inputs_that_never_vary_keep_the_nearest_weights() -> None:
    weights, x = dense(4, 10), correlated(300, 10)
    x[:, 5:] = 0
    blocks = covariances(Dense(), 4, x, seed=0)
    scale = weight_scales(weights, blocks, 31, shared=False)
    rounded = round_weights(weights, scale, blocks, 31)
    assert bool((rounded[:, 5:] == nearest(weights, scale, 31)[:, 5:]).all())


def test_a_shared_scale_is_one_number_and_rows_of_zeros_have_none() -> None:
    weights, x = dense(4, 10), correlated(300, 10)
    blocks = covariances(Dense(), 4, x, seed=0)
    assert len(set(weight_scales(weights, blocks, 31, shared=True).tolist())) == 1
    assert weight_scales(weights * 0, blocks, 31, shared=False).tolist() == [0.0] * 4
    assert bool((round_weights(weights * 0, torch.ones(4), blocks, 31) == 0).all())


def test_long_rows_are_rounded_block_by_block() -> None:
    weights = dense(2, BLOCK_COLUMNS + 10)
    blocks = covariances(Dense(), 2, torch.rand(20, BLOCK_COLUMNS + 10, 1, 1), seed=0)
    assert [(block.columns.start, block.columns.stop) for block in blocks] == [
        (0, BLOCK_COLUMNS),
        (BLOCK_COLUMNS, BLOCK_COLUMNS + 10),
    ]
    scale = weight_scales(weights, blocks, 7, shared=False)
    assert round_weights(weights, scale, blocks, 7).shape == weights.shape


def test_covariances_are_those_of_what_a_convolution_multiplies() -> None:
    geometry = Conv2d((2, 3), stride=(1, 2), padding=(1, 0), groups=2, pool=(2, 1))
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 2, 2, 3))
    x = torch.from_numpy(pixels(9, 4, 6, 5) >> 4).double()
    blocks = covariances(geometry, 6, x, seed=0)
    assert [block.rows for block in blocks] == [slice(0, 3), slice(3, 6)]
    drive = connect(geometry, torch.from_numpy(weights), x, 6).transpose(0, 1).flatten(1)
    for block in blocks:
        rows = torch.from_numpy(weights).flatten(1)[block.rows]
        damping = block.covariance.diagonal().mean() * 0.01 / 1.01
        covariance = block.covariance - damping * torch.eye(12, dtype=torch.float64)
        expected = torch.cov(drive[block.rows], correction=0)
        assert torch.allclose(rows @ covariance @ rows.T, expected, rtol=1e-6)


def test_a_code_is_worth_what_it_says_on_average() -> None:
    activations = torch.tensor([[0.2, 1.1, 2.0, 9.0], [0.0, 0.0, 0.1, 0.2], [1.0, 2.0, 3.0, 2.0]], dtype=torch.float64)
    half = torch.full((3,), 5.0, dtype=torch.float64)
    steps = torch.ones(3, dtype=torch.float64)
    found = worth(activations * 10, activations, half, steps, top=3)
    # codes 0 1 2 3; none; those of the activations: they are exact already
    expected = [(1.1 + 4.0 + 27.0) / (1 + 4 + 9), 1.0, 1.0]
    torch.testing.assert_close(found, torch.tensor([min(expected[0], MOST_GAIN), *expected[1:]], dtype=torch.float64))
    milder = worth(activations * 10, activations.clamp(max=3.5), half, steps, top=3)
    torch.testing.assert_close(milder[0], torch.tensor((1.1 + 4.0 + 10.5) / 14, dtype=torch.float64))
